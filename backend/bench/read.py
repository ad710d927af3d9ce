"""Points from a label's map and the mask they make, beside the map, one point, and chance.

Source: READ (2412.17741), card and claims in `assets/recipes/read.toml`.
`patchlane reproduce read`; a part of `patchlane bench evidence` prints the masks alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import skimage
from jaxtyping import Bool, Float, UInt8
from PIL import Image
from sklearn.linear_model import LogisticRegression

from backend.bench._embedded_data import MOSAICS, read_rows
from backend.bench._embedded_measures import encode_files, read_pictures, scale_scores
from backend.bench._kept import kept_arrays
from backend.bench.claims import Table, mean_of, of_tables
from backend.bench.reports import Row, row
from backend.contracts import Encoder
from backend.numerics import masks, points
from backend.pipeline import load_encoder
from backend.recipes import load_recipe
from backend.settings import Settings
from backend.types import Kind

Say = Callable[[str], None]

NAME = "read"
COCO = "coco_mini"
CHOSEN_ON, MEASURED_ON = 100, 150
SIDE = masks.SIDE
THRESHOLDS = np.linspace(0.05, 0.95, 37)
TOLERANCES = (0.25, 0.5, 1.0, 2.0)
ABSENT = 3
"""Labels that are not there, asked of each measured picture."""

POINTS, ALONE, THRESHOLD = "points", "points alone", "threshold"
ONE, RANDOM, UNGATED = "one point", "random", "without gate"


@dataclass(frozen=True)
class Shown:
    """A picture as the walker gets it.

    Attributes:
        parts: (rows, cols, D).
        present: the labels that it shows, with their boxes as one mask each.
        chances: by label, the shipped score of it.
    """

    picture: UInt8[np.ndarray, "h w 3"]
    parts: Float[np.ndarray, "rows cols d"]
    present: dict[str, Bool[np.ndarray, "h w"]]
    scores: dict[str, float]


@dataclass(frozen=True)
class Gallery:
    """Pictures of a pack with their boxes, read once by the encoder."""

    name: str
    shown: list[Shown]
    is_val: Bool[np.ndarray, " n"]
    vectors: dict[str, Float[np.ndarray, " d"]]

    def heat(self, at: int, label: str) -> Float[np.ndarray, "rows cols"]:
        """The label's map: cosines."""
        return self.shown[at].parts @ self.vectors[label]

    def halves(self, seed: int) -> tuple[list[int], list[int]]:
        """Pictures to choose on and to measure on."""
        draw = np.random.default_rng(seed)
        train, val = np.flatnonzero(~self.is_val), np.flatnonzero(self.is_val)
        if not len(train):
            train, val = np.array_split(draw.permutation(val), 2)
        chosen = draw.permutation(train)[:CHOSEN_ON]
        return sorted(chosen.tolist()), sorted(val[:MEASURED_ON].tolist())


def gallery(name: str, encoder: Encoder, data: Path, folder: Path, say: Say) -> Gallery:
    """A pack, encoded; what an earlier run encoded with the same encoder is taken from disk."""
    rows = read_rows(data, name)
    names = sorted({label for each in rows for label in each["labels"]})
    vectors = encoder.encode_labels(names)
    files = [each["file"] for each in rows]

    def make() -> dict[str, np.ndarray]:
        encoded = encode_files(encoder, data, name, files, say)
        grid = encoded.layouts[0].grid or (1, 1)
        parts = np.stack(encoded.parts).reshape(len(rows), *grid, -1).astype(np.float16)
        return {"parts": parts, "pooled": encoded.pooled}

    found = kept_arrays(folder / f"{name}-{encoder.fingerprint}.npz", files, make)
    parts = found["parts"].astype(np.float32)
    flat = parts.reshape(len(parts), -1, parts.shape[-1])
    whole, local = scale_scores(encoder.scale, found["pooled"], flat, vectors)
    pictures = read_pictures(data, name, files)
    shown = [
        Shown(
            small(pictures[k]),
            parts[k],
            {label: boxes_of(each, label) for label in set(each["labels"]) if has(each, label)},
            dict(zip(names, ((whole[k] + local[k]) / 2).tolist(), strict=True)),
        )
        for k, each in enumerate(rows)
    ]
    is_val = np.array([each.get("split", "val") == "val" for each in rows])
    return Gallery(name, shown, is_val, dict(zip(names, vectors, strict=True)))


def small(picture: Image.Image) -> UInt8[np.ndarray, "h w 3"]:
    """As the walker gets it; square here, so that all truths have one shape."""
    return np.asarray(picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def has(row_: dict[str, Any], label: str) -> bool:
    """The row has a box of the label."""
    return any(box["label"] == label for box in row_["boxes"])


def boxes_of(row_: dict[str, Any], label: str) -> Bool[np.ndarray, "h w"]:
    """The union of a label's boxes, by the middles of pixels."""
    middle = (np.arange(SIDE) + 0.5) / SIDE
    right, down = middle * row_["width"], middle * row_["height"]
    out = np.zeros((SIDE, SIDE), bool)
    for box in row_["boxes"]:
        if box["label"] == label:
            x, y, w, h = box["xywh"]
            out |= ((down >= y) & (down <= y + h))[:, None] & ((right >= x) & (right <= x + w))
    return out


def overlap(mask: Bool[np.ndarray, "h w"], truth: Bool[np.ndarray, "h w"]) -> float:
    """Intersection over union; 1 where both are empty."""
    either = int((mask | truth).sum())
    return float((mask & truth).sum() / either) if either else 1.0


def heat_of(heat: Float[np.ndarray, "rows cols"]) -> Float[np.ndarray, "h w"]:
    """The map to threshold.

    Of cosine, shares and deviations, with and without smoothing, nearest and straight lines between
    cells, this had the best mask IoU on train mosaics.
    """
    scaled = masks.between(points.smoothed(heat))
    return masks.upsampled(scaled[:, :, None], (SIDE, SIDE))[:, :, 0]


def flooded(
    shown: Shown, heat: Float[np.ndarray, "rows cols"], tolerance: float
) -> Bool[np.ndarray, "h w"]:
    """From the map's best cell over pixels whose colour is like the one there."""
    row_, col = divmod(int(heat.argmax()), heat.shape[1])
    at = int((row_ + 0.5) / heat.shape[0] * SIDE), int((col + 0.5) / heat.shape[1] * SIDE)
    colours = masks.lab(shown.picture)
    apart = np.sqrt(((colours - colours[at]) ** 2).sum(axis=2))
    return skimage.segmentation.flood(apart <= tolerance, at)


@dataclass(frozen=True)
class Object:
    """One label in one measured picture, and what does not depend on the seed.

    Attributes:
        overlaps: mask IoU by arm; for the chosen arms by setting.
        hits: of positive and of negative points, whether they are right.
        chance: that a random point is in a box.
        best: whether the arg-max is.
    """

    picture: int
    overlaps: dict[str, float]
    by_threshold: Float[np.ndarray, " t"]
    by_tolerance: Float[np.ndarray, " f"]
    positive: Bool[np.ndarray, " k"]
    negative: Bool[np.ndarray, " m"]
    chance: float
    best: bool


def looked_at(whole: Gallery, at: int, label: str, *, walks: bool) -> Object:
    """Everything that is measured of one label in one picture; `walks` False leaves walkers out."""
    shown, heat = whole.shown[at], whole.heat(at, label)
    truth = shown.present[label]
    found = points.points_of(heat)
    hit = truth[
        np.minimum(SIDE - 1, (found.xy[:, 1] * SIDE).astype(int)),
        np.minimum(SIDE - 1, (found.xy[:, 0] * SIDE).astype(int)),
    ]
    overlaps = {}
    if walks:
        mask = masks.walked(shown.picture, shown.parts, found, heat=heat) >= masks.SURE
        alone = masks.walked(shown.picture, shown.parts, found) >= 0.5
        overlaps = {POINTS: overlap(mask, truth), ALONE: overlap(alone, truth)}
    scaled = heat_of(heat)
    row_, col = divmod(int(heat.argmax()), heat.shape[1])
    return Object(
        at,
        overlaps,
        np.array([overlap(scaled >= t, truth) for t in THRESHOLDS]),
        np.array([overlap(flooded(shown, heat, t), truth) for t in TOLERANCES]),
        hit[found.is_positive],
        ~hit[~found.is_positive],
        float(truth.mean()),
        bool(
            truth[int((row_ + 0.5) / heat.shape[0] * SIDE), int((col + 0.5) / heat.shape[1] * SIDE)]
        ),
    )


def objects(whole: Gallery, pictures: Sequence[int], *, walks: bool) -> list[Object]:
    """All labels with boxes of the pictures."""
    return [
        looked_at(whole, at, label, walks=walks)
        for at in pictures
        for label in sorted(whole.shown[at].present)
    ]


def figures(whole: Gallery, known: dict[int, list[Object]], seed: int) -> Table:
    """The table of one seed: by arm, then by figure. `known` keeps what was measured before."""
    chosen, measured = whole.halves(seed)
    for at in measured:
        if at not in known or not known[at][0].overlaps:
            known[at] = objects(whole, [at], walks=True)
    train = objects(whole, chosen, walks=False)
    val = [each for at in measured for each in known.get(at, [])]
    threshold = int(np.mean([each.by_threshold for each in train], axis=0).argmax())
    tolerance = int(np.mean([each.by_tolerance for each in train], axis=0).argmax())
    chance = float(np.mean([each.chance for each in val]))
    gated, ungated = gates(whole, chosen, measured, seed)
    iou = "mask IoU"
    return {
        POINTS: {
            iou: float(np.mean([each.overlaps[POINTS] for each in val])),
            "positive hits": float(np.concatenate([each.positive for each in val]).mean()),
            "negative hits": float(np.concatenate([each.negative for each in val]).mean()),
            "points": float(np.mean([len(each.positive) + len(each.negative) for each in val])),
            **gated,
        },
        UNGATED: ungated,
        ALONE: {iou: float(np.mean([each.overlaps[ALONE] for each in val]))},
        THRESHOLD: {
            iou: float(np.mean([each.by_threshold[threshold] for each in val])),
            "threshold": float(THRESHOLDS[threshold]),
        },
        ONE: {
            iou: float(np.mean([each.by_tolerance[tolerance] for each in val])),
            "positive hits": float(np.mean([each.best for each in val])),
        },
        RANDOM: {"positive hits": chance, "negative hits": 1 - chance},
    }


def gates(
    whole: Gallery, chosen: Sequence[int], measured: Sequence[int], seed: int
) -> tuple[dict[str, float], dict[str, float]]:
    """How often absent and present labels get a mask, with the gate and without.

    The probability of presence is a logistic of the shipped score, fitted on present and absent
    labels of the chosen pictures in equal weight, as verdicts of a person would be.
    """
    draw = np.random.default_rng((5, seed))

    def asked(pictures: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        scores, truth = [], []
        for at in pictures:
            shown = whole.shown[at]
            others = sorted(set(whole.vectors) - set(shown.present))
            away = [others[k] for k in draw.permutation(len(others))[:ABSENT]]
            for label in [*sorted(shown.present), *away]:
                scores.append(shown.scores[label])
                truth.append(label in shown.present)
        return np.array(scores)[:, None], np.array(truth)

    model = LogisticRegression(class_weight="balanced").fit(*asked(chosen))
    scores, truth = asked(measured)
    is_let_in = model.predict_proba(scores)[:, 1] >= points.GATE
    absent, present = "masks of absent labels", "masks of present labels"
    return (
        {absent: float(is_let_in[~truth].mean()), present: float(is_let_in[truth].mean())},
        {absent: 1.0, present: 1.0},
    )


def measured_on(name: str, settings: Settings, *, seeds: int, say: Say) -> list[Table]:
    """The tables of a pack, one per seed."""
    recipe = load_recipe("default")
    encoder = load_encoder(recipe.default_encoder(Kind.IMAGE), settings)
    whole = gallery(name, encoder, settings.data, settings.home / "training" / NAME, say)
    known: dict[int, list[Object]] = {}
    tables = []
    for seed in range(seeds):
        tables.append(figures(whole, known, seed))
        say(f"{name}, seed {seed}: {tables[-1]}")
    return tables


def reproduce(*, seeds: int, train: bool, data: Path, progress: Say) -> dict[str, Any]:  # noqa: ARG001
    """Run all arms on both packs.

    Args:
        seeds: of the pictures that thresholds are chosen on, of halves, and of absent labels.
        train: nothing is trained here.
        data: folder of the data packs.
        progress: told what is being done.

    Returns:
        The report; `figures` holds the table of each pack, mean of the seeds.
    """
    settings = Settings.from_environ()
    return of_tables(
        NAME,
        "Qian et al., CVPR 2025",
        lambda name: measured_on(name, settings, seeds=seeds, say=progress),
    )


def mask_rows(settings: Settings, say: Say) -> Iterator[Row]:
    """For `bench evidence --part masks`: mask IoU beside the thresholded map, three seeds."""
    for name in (MOSAICS, COCO):
        table = mean_of(measured_on(name, settings, seeds=3, say=say))
        least = table[THRESHOLD]["mask IoU"] + (0.10 if name == MOSAICS else 0.0)
        yield row(
            f"mask IoU of points and random walker, {name}",
            table[POINTS]["mask IoU"],
            "IoU",
            at_least=round(least, 4),
            baseline="the map above its best threshold",
            baseline_value=table[THRESHOLD]["mask IoU"],
        )
