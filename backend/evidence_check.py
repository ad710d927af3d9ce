"""Is the evidence true? What a score does when the parts that a map marks are taken away.

A picture is read again with cells blurred, a text with words left out, and the label is scored as
the open project scores it: heads, parts and lanes. The map is the one that the viewer shows.
Regions with a verdict YES say where a label is; maps are judged against them by their cells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float
from PIL import Image, ImageFilter

from backend.errors import BadInputError, NotFoundError
from backend.images import decode
from backend.numerics.deletion import STEPS, area, deletion_counts, orders
from backend.numerics.localisation import map_average_precisions, mask_iou, pointing
from backend.numerics.regions import marked_parts
from backend.types import Explanation, Kind, Label, Layout, Progress, Sample, Verdict
from backend.workbench import Workbench

SEEDS = 3
BATCH = 8
BLUR = 1 / 8
"""Radius of the blur, as a share of a picture's longer side: no cell keeps what it showed."""


@dataclass(frozen=True)
class Curves:
    """What the score of a label does as parts go and come.

    Attributes:
        how: what was done with the parts, in words.
        gone: (K,) share of the parts that is gone.
        deletion: "map", "inverted" and "random" -> (K,) score; random is the mean of the seeds.
        shown: (K,) share of the parts that is there, for `insertion`.
        insertion: the same names -> (K,) score, the largest parts first.
        deletion_area, insertion_area: mean heights. A true map has a low one and a high one.
        random_areas: deletion area of each seed.
        holds: the map's deletion is below that of every seed.
        verdict: one sentence.
    """

    sample: int
    name: str
    label: str
    how: str
    gone: Float[np.ndarray, " k"]
    deletion: dict[str, Float[np.ndarray, " k"]]
    shown: Float[np.ndarray, " k"]
    insertion: dict[str, Float[np.ndarray, " k"]]
    deletion_area: dict[str, float]
    insertion_area: dict[str, float]
    random_areas: tuple[float, ...]
    holds: bool
    verdict: str


@dataclass(frozen=True)
class Placement:
    """How well a map lies on the regions of a label, 0..1; precision is None where undefined."""

    sample: int
    name: str
    label: str
    pointing: float
    heatmap_ap: float | None
    mask_iou: float
    mass: float


@dataclass(frozen=True)
class Mismatch:
    """One place where map and label disagree.

    Attributes:
        kind: "outside" (evidence outside the object), "same" (one evidence for two labels) or
            "background" (parts that samples of a label share and that are not on the object).
        strength: 0..1, larger is worse.
        map: (P,) 0..255, to draw over a thumbnail.
    """

    kind: str
    strength: float
    sample: int
    name: str
    label: str
    label_id: int
    other: str
    reason: str
    map: tuple[int, ...]
    grid: tuple[int, int] | None


def check(
    bench: Workbench,
    sample: int | str,
    label: int | str,
    *,
    steps: int = STEPS,
    aligner: str | None = None,
    progress: Progress | None = None,
) -> Curves:
    """Deletion and insertion of one map, beside random parts and the inverted map.

    With `aligner` the map is that of another than the recipe's; the score stays the same one.

    Raises:
        NotFoundError: the sample or label is unknown or not encoded yet, or the aligner unknown.
        BadInputError: the sample has one part only.
    """
    shown = bench.explain(sample, label=label, aligner=aligner)
    count = len(shown.backward)
    if count < 2:
        raise BadInputError(f"{shown.name} has one part only, so there is nothing to take away")
    found = bench.sample(shown.sample)
    is_text = found.kind == Kind.TEXT
    counts = deletion_counts(count, fewest_left=int(is_text), steps=steps)
    wanted = orders(shown.backward[:, 0], seeds=SEEDS)
    walks = [order for each in wanted.values() for order in each]
    kept = [_all_but(order[:gone], count) for order in walks for gone in counts]
    # All walks begin with everything, and those that end with nothing end alike.
    alike: dict[bytes, int] = {}
    place = [alike.setdefault(mask.tobytes(), len(alike)) for mask in kept]
    masks = [np.frombuffer(key, bool) for key in alike]
    alter = _words_left(found.text or "", shown.layout) if is_text else _cells_blurred(bench, found)
    column = [each.name for each in bench.labels()].index(shown.labels[0])
    scores = []
    for at in range(0, len(masks), BATCH):
        altered = [alter(mask) for mask in masks[at : at + BATCH]]
        scores.append(bench.score_unseen(altered)[:, column])
        if progress is not None:
            progress(min(at + BATCH, len(masks)), len(masks), "reading it again without parts")
    heights = np.concatenate(scores)[place].reshape(len(walks), len(counts))
    return _curves(shown.sample, shown.name, shown.labels[0], is_text, counts / count, heights)


def _curves(
    sample: int,
    name: str,
    label: str,
    is_text: bool,
    gone: Float[np.ndarray, " k"],
    heights: Float[np.ndarray, "w k"],
) -> Curves:
    """Rows of `heights`: the map, the inverted map, then the random orders."""
    by_map, inverted, draws = heights[0], heights[1], heights[2:]
    shown = 1 - gone[::-1]
    deletion = {"map": by_map, "inverted": inverted, "random": draws.mean(axis=0)}
    insertion = {
        "map": inverted[::-1],
        "inverted": by_map[::-1],
        "random": draws.mean(axis=0)[::-1],
    }
    random_areas = tuple(area(gone, draw) for draw in draws)
    areas = {key: area(gone, curve) for key, curve in deletion.items()}
    holds = areas["map"] < min(random_areas)
    return Curves(
        sample=sample,
        name=name,
        label=label,
        how="words left out and the text read again"
        if is_text
        else "cells blurred and the picture read again",
        gone=gone,
        deletion=deletion,
        shown=shown,
        insertion=insertion,
        deletion_area=areas,
        insertion_area={key: area(shown, curve) for key, curve in insertion.items()},
        random_areas=random_areas,
        holds=holds,
        verdict=_verdict(label, areas, random_areas),
    )


def _verdict(label: str, areas: dict[str, float], draws: tuple[float, ...]) -> str:
    told = f"(mean score {areas['map']:.2f} against {areas['random']:.2f} for parts at random)"
    if areas["map"] < min(draws):
        return (
            f"The score of {label} rests on what the map marks: without it the score falls "
            f"faster {told}."
        )
    if areas["map"] < areas["random"]:
        return (
            f"The map of {label} is a weak reason: without what it marks the score falls hardly "
            f"faster {told}."
        )
    return (
        f"Do not trust this map of {label}: without what it marks the score falls no faster {told}."
    )


def _all_but(gone: np.ndarray, count: int) -> Bool[np.ndarray, " p"]:
    mask = np.ones(count, bool)
    mask[gone] = False
    return mask


def _cells_blurred(bench: Workbench, sample: Sample) -> Callable[[np.ndarray], Image.Image]:
    """A picture in which only the kept cells are sharp."""
    path, size = bench.store.media.path(sample), bench.pipeline.encoder.input_size
    picture = decode(path, at_least=size).convert("RGB")
    blurred = picture.filter(ImageFilter.GaussianBlur(BLUR * max(picture.size)))
    grid = bench.layout(sample.id).grid or (1, 1)

    def altered(keep: np.ndarray) -> Image.Image:
        mask = Image.fromarray(np.where(keep.reshape(grid), 255, 0).astype(np.uint8))
        return Image.composite(
            picture, blurred, mask.resize(picture.size, Image.Resampling.NEAREST)
        )

    return altered


def _words_left(text: str, layout: Layout) -> Callable[[np.ndarray], str]:
    """A text of the kept words, in their order."""
    spans = layout.spans or ()

    def altered(keep: np.ndarray) -> str:
        return " ".join(text[a:b] for (a, b), is_kept in zip(spans, keep, strict=True) if is_kept)

    return altered


# --- against regions -------------------------------------------------------------------------


def placements(
    bench: Workbench, *, aligner: str | None = None, progress: Progress | None = None
) -> list[Placement]:
    """All maps whose label has regions with a verdict YES, in the order of samples.

    Raises:
        NotFoundError: no aligner has that name.
    """
    bench.pipeline.other_aligner(aligner)
    out = []
    for one in _located(bench, progress, aligner):
        on, values = one.inside[None], one.map[None]
        precision = float(map_average_precisions(values, on)[0])
        rows, columns = one.layout.grid or (1, len(one.map))
        mask = (one.map >= (one.map.min() + one.map.max()) / 2).reshape(1, rows, columns)
        out.append(
            Placement(
                sample=one.sample.id,
                name=one.sample.name,
                label=one.label.name,
                pointing=float(pointing(values, on)[0]),
                heatmap_ap=None if np.isnan(precision) else precision,
                mask_iou=float(mask_iou(mask, on.reshape(mask.shape))[0]),
                mass=one.mass,
            )
        )
    return out


@dataclass(frozen=True)
class Located:
    """A YES of which it is said where it is, and the map that the viewer shows.

    Attributes:
        map: (P,) share of each part, sum 1.
        inside: (P,) the parts that are marked as showing the label.
    """

    sample: Sample
    label: Label
    map: Float[np.ndarray, " p"]
    inside: Bool[np.ndarray, " p"]
    layout: Layout

    @property
    def mass(self) -> float:
        """The share of the map on the marked parts, 0..1."""
        return float(self.map[self.inside].sum() / max(float(self.map.sum()), 1e-12))


def _located(
    bench: Workbench, progress: Progress | None, aligner: str | None = None
) -> Iterator[Located]:
    """Every YES with parts that are marked as showing it, in the order of samples."""
    samples = {sample.id: sample for sample in bench.samples()}
    labels = {label.id: label for label in bench.labels()}
    marked = [
        (samples[pair[0]], labels[pair[1]], said.regions)
        for pair, said in sorted(bench.store.log.current().items())
        if said.verdict == Verdict.YES and pair[0] in samples and pair[1] in labels
        if any(region.is_here for region in said.regions)
    ]
    for done, (sample, label, regions) in enumerate(marked, 1):
        shown = _shown(bench, sample.id, label.id, aligner)
        if shown is not None:
            inside = np.zeros(len(shown.backward), bool)
            inside[marked_parts(regions, shown.layout)[0]] = True
            if inside.any():  # not where newer marks say that it is not there
                yield Located(sample, label, shown.backward[:, 0], inside, shown.layout)
        if progress is not None:
            progress(done, len(marked), "looking where labels are")


def _shown(
    bench: Workbench, sample: int, label: int | None = None, aligner: str | None = None
) -> Explanation | None:
    """What the viewer shows; None of a sample that has no vectors yet."""
    try:
        return bench.explain(sample, label=label, aligner=aligner)
    except NotFoundError:
        return None


# --- where map and label disagree ------------------------------------------------------------

MOST_DOUBTS = 60
MOST_SAMPLES = 2000
OUTSIDE, SAME, SHARED = 0.5, 0.85, 0.5
"""From when on: share of a map that is off the object; overlap of two maps; cosine of the parts."""
FEWEST = 3
"""Samples of a label before what they share says anything."""


def doubts(bench: Workbench, *, progress: Progress | None = None) -> list[Mismatch]:
    """Where map and label disagree most, worst first within each kind."""
    located = list(_located(bench, progress))
    found = [*_outside(located), *_background(bench, located), *_same(bench, progress)]
    return sorted(found, key=lambda one: (one.kind, -one.strength, one.sample))


def _outside(located: Sequence[Located]) -> list[Mismatch]:
    """Right label, evidence outside the object."""
    out = []
    for one in located:
        off = 1 - one.mass
        if off > OUTSIDE and not one.inside[int(one.map.argmax())]:
            reason = f"{off:.0%} of the evidence lies outside the marked object"
            out.append(_mismatch("outside", off, one, reason=reason))
    return sorted(out, key=lambda one: -one.strength)[:MOST_DOUBTS]


def _background(bench: Workbench, located: Sequence[Located]) -> list[Mismatch]:
    """What is off the object, carries a label, and is alike in its samples.

    A label's shared part is the mean of the parts outside, weighted by the map; a sample has it if
    a part outside is near it. Parts of the same samples at random say what is near anyway.
    """
    out = []
    for label_id in sorted({one.label.id for one in located}):
        mine = [one for one in located if one.label.id == label_id and not one.inside.all()]
        if len(mine) < FEWEST:
            continue
        vectors = [_parts(bench, one.sample)[~one.inside] for one in mine]
        weights = [one.map[~one.inside] for one in mine]
        carried = float(np.mean([each.sum() for each in weights]))
        means = [(w[:, None] * v).sum(0) / max(float(w.sum()), 1e-12) for w, v in zip(
            weights, vectors, strict=True)]  # fmt: skip
        shared = _unit(np.sum(means, axis=0))
        usual = _unit(np.sum([v.mean(0) for v in vectors], axis=0))
        near = [v @ shared for v in vectors]
        gain = float(
            np.mean([n.max() for n in near]) - np.mean([(v @ usual).max() for v in vectors])
        )
        alike = float(np.mean([n.max() for n in near]))
        if alike < SHARED or carried < OUTSIDE or gain <= 0:
            continue
        for one, values in zip(mine, near, strict=True):
            drawn = np.zeros(len(one.map), np.float32)
            drawn[~one.inside] = np.maximum(values, 0)
            reason = (
                f"{len(mine)} samples of {one.label.name} share a background (cosine {alike:.2f}) "
                f"that carries {carried:.0%} of the evidence"
            )
            strength = carried * float(values.max())
            out.append(_mismatch("background", strength, replace(one, map=drawn), reason=reason))
    return sorted(out, key=lambda one: -one.strength)[:MOST_DOUBTS]


def _same(bench: Workbench, progress: Progress | None) -> list[Mismatch]:
    """The same evidence for two labels that a person gave to one sample."""
    out = []
    labels = {label.id: label for label in bench.labels()}
    given = (
        (sample, [labels[i] for i, said in verdicts.items() if said == Verdict.YES and i in labels])
        for sample, verdicts in sorted(bench.verdicts().items())
    )
    several = [(sample, both) for sample, both in given if len(both) > 1][:MOST_SAMPLES]
    for done, (sample_id, both) in enumerate(several, 1):
        shown = _shown(bench, sample_id)
        if shown is not None:
            maps = shown.backward[:, [shown.labels.index(label.name) for label in both]]
            one, two, overlap = most_alike(maps)
            # Maps that are flat overlap without saying anything.
            peak = float(maps[:, [one, two]].max()) * len(maps)
            if overlap > SAME and peak > 2:
                everywhere = np.ones(len(maps), bool)
                sample = bench.sample(sample_id)
                seen = Located(sample, both[one], maps[:, one], everywhere, shown.layout)
                reason = f"{overlap:.0%} of the evidence is that of {both[two].name}"
                out.append(_mismatch("same", overlap, seen, reason=reason, other=both[two].name))
        if progress is not None:
            progress(done, len(several), "comparing maps of labels")
    return sorted(out, key=lambda each: -each.strength)[:MOST_DOUBTS]


def most_alike(maps: Float[np.ndarray, "p l"]) -> tuple[int, int, float]:
    """Of several labels the two whose maps share most, and the share, 0..1; maps sum to 1."""
    overlap = np.minimum(maps[:, :, None], maps[:, None, :]).sum(axis=0)
    np.fill_diagonal(overlap, 0)
    one, two = np.unravel_index(int(overlap.argmax()), overlap.shape)
    return int(one), int(two), float(overlap[one, two])


def _parts(bench: Workbench, sample: Sample) -> Float[np.ndarray, "p d"]:
    fingerprint = bench.pipeline.encoder.fingerprint
    return np.asarray(bench.store.vectors.parts(sample.content_hash, fingerprint)[0], np.float32)


def _unit(vector: Float[np.ndarray, " d"]) -> Float[np.ndarray, " d"]:
    return vector / max(float(np.linalg.norm(vector)), 1e-12)


def _mismatch(
    kind: str, strength: float, one: Located, *, reason: str, other: str = ""
) -> Mismatch:
    """What is wrong of a map as it is to be drawn."""
    steps = np.round(255 * one.map / max(float(one.map.max()), 1e-12)).astype(int)
    return Mismatch(
        kind=kind,
        strength=strength,
        sample=one.sample.id,
        name=one.sample.name,
        label=one.label.name,
        label_id=one.label.id,
        other=other,
        reason=reason,
        map=tuple(int(step) for step in steps),
        grid=one.layout.grid,
    )
