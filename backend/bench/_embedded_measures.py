"""What is measured of an image encoder: zero-shot, pointing, names of photos, heads on top.

Everything goes through `Encoder.encode` and `encode_labels`, the path that the product takes, and
the shipped score is worked out with the encoder's own `scale`.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int
from PIL import Image

from backend.bench._embedded_data import (
    MOSAICS,
    PACK,
    kept_out_labels,
    load_photos,
    read_rows,
    usable_mosaics,
)
from backend.contracts import Encoder
from backend.methods.encoders.embedded import EmbeddedEncoder
from backend.numerics import transport
from backend.numerics.scores import mean_average_precision
from backend.types import Encoded, ScoreScale

PER_LABEL = 10
"""Photos of each label that heads are fitted on where a person has labelled only few."""

LOCAL_SHARE = 0.8
"""Of the transport score in the shipped score, chosen on training mosaics with the untrained
combination: mAP 0.294 with equal shares, 0.326 with 0.8, 0.328 with the transport score alone."""

_CHUNK = 64


@dataclass(frozen=True)
class Scene:
    """Encoded pictures with boxes, and their scores for every label of the pack.

    Attributes:
        truth: (N, L) whether the picture holds the label.
        whole, local: (N, L) scores on the encoder's scale; the shipped score is their mean.
        hits: one row (picture, 0 or 1) per picture and label in it: did the label's best part lie
            in one of its boxes.
    """

    truth: Bool[np.ndarray, "n l"]
    whole: Float[np.ndarray, "n l"]
    local: Float[np.ndarray, "n l"]
    hits: Int[np.ndarray, "h 2"]

    def figures(self, rows: Int[np.ndarray, " m"] | None = None) -> dict[str, float]:
        """MAP of each score and pointing, of all pictures or of the given ones."""
        rows = np.arange(len(self.truth)) if rows is None else rows
        truth = self.truth[rows].astype(np.float32)
        known = np.ones(truth.shape, bool)
        counts = np.bincount(rows, minlength=len(self.truth))[self.hits[:, 0]]
        both = (self.whole + self.local) / 2
        return {
            "mAP": mean_average_precision(both[rows], truth, known),
            "mAP global": mean_average_precision(self.whole[rows], truth, known),
            "mAP transport": mean_average_precision(self.local[rows], truth, known),
            "pointing": float((self.hits[:, 1] * counts).sum() / max(1, counts.sum())),
        }


def read_pictures(data: Path, pack: str, files: Sequence[str]) -> list[Image.Image]:
    """RGB pictures of a pack's files, from its folder or its archive."""
    archive = data / pack / "images.zip"
    if not archive.exists():
        return [_rgb((data / pack / file).read_bytes()) for file in files]
    with zipfile.ZipFile(archive) as packed:
        return [_rgb(packed.read(file)) for file in files]


def _rgb(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content)).convert("RGB")


def encode_files(
    encoder: Encoder, data: Path, pack: str, files: Sequence[str], say: Callable[[str], None]
) -> Encoded:
    """Encode a pack's files a chunk at a time."""
    done: list[Encoded] = []
    for start in range(0, len(files), _CHUNK):
        pictures = read_pictures(data, pack, files[start : start + _CHUNK])
        done.append(encoder.encode(pictures))
        say(f"{pack}: {start + len(pictures)} of {len(files)} encoded")
    return Encoded(
        np.concatenate([each.pooled for each in done]),
        tuple(part for each in done for part in each.parts),
        tuple(layout for each in done for layout in each.layouts),
    )


def measure_scene(encoder: Encoder, encoded: Encoded, rows: Sequence[dict]) -> Scene:
    """Scores and hits of pictures with boxes for all labels of their rows."""
    names = names_in(rows)
    return scene_of(encoder.scale, encoded, rows, names, encoder.encode_labels(names))


def names_in(rows: Sequence[dict]) -> list[str]:
    """Every label of the rows."""
    return sorted({name for row in rows for name in row["labels"]})


def scene_of(
    scale: ScoreScale,
    encoded: Encoded,
    rows: Sequence[dict],
    names: Sequence[str],
    labels: Float[np.ndarray, "l d"],
) -> Scene:
    """Scores and hits of pictures for some names, however these were put into numbers."""
    parts = np.stack(encoded.parts)
    whole, local = scale_scores(scale, encoded.pooled, parts, labels)
    hits = []
    for i, row in enumerate(rows):
        maps = parts[i] @ labels.T
        grid = encoded.layouts[i].grid or (1, 1)
        for name in sorted(set(row["labels"]) & set(names)):
            best = int(maps[:, names.index(name)].argmax())
            hits.append((i, _in_a_box(best, grid, row, name)))
    truth = np.array([[name in row["labels"] for name in names] for row in rows])
    return Scene(truth, whole, local, np.array(hits, dtype=int).reshape(-1, 2))


def scale_scores(
    scale: ScoreScale,
    pooled: Float[np.ndarray, "n d"],
    parts: Float[np.ndarray, "n p d"],
    labels: Float[np.ndarray, "l d"],
) -> tuple[Float[np.ndarray, "n l"], Float[np.ndarray, "n l"]]:
    """Global and CT-pooled scores on the encoder's scale."""
    theta = transport.part_weights(np.ones(parts.shape[:2], bool))
    local = transport.pooled_scores(parts, labels, theta, scale.temperature)
    return (
        (pooled @ labels.T - scale.global_mean) / scale.global_std,
        (local - scale.local_mean) / scale.local_std,
    )


def _in_a_box(part: int, grid: tuple[int, int], row: dict, name: str) -> bool:
    down, across = divmod(part, grid[1])
    x, y = (across + 0.5) / grid[1] * row["width"], (down + 0.5) / grid[0] * row["height"]
    boxes = [box["xywh"] for box in row["boxes"] if box["label"] == name]
    return any(0 <= x - b[0] <= b[2] and 0 <= y - b[1] <= b[3] for b in boxes)


@dataclass(frozen=True)
class PhotoSet:
    """Rows of pretrain_openphotos: val to measure on, train to fit heads on.

    Attributes:
        few: positions in `train` of up to 10 photos of every label, the same ones every time.
        names: every first label of a photo.
        kept_out: those of them that the encoder was never trained on.
    """

    val: list[dict]
    train: list[dict]
    few: list[int]
    names: list[str]
    kept_out: list[str]

    @classmethod
    def read(cls, data: Path) -> PhotoSet:
        """Both parts of the pack."""
        rows = read_rows(data, PACK)
        names = sorted({row["labels"][0] for row in rows})
        train = [row for row in rows if row["split"] == "train"]
        rng = np.random.default_rng(1)
        few = []
        for name in names:
            own = [i for i, row in enumerate(train) if row["labels"][0] == name]
            few += [own[i] for i in sorted(rng.permutation(len(own))[:PER_LABEL])]
        val = [row for row in rows if row["split"] == "val"]
        return cls(val, train, few, names, kept_out_labels(rows))

    def indices(self, rows: Sequence[dict]) -> Int[np.ndarray, " n"]:
        """Number of each row's first label."""
        return np.array([self.names.index(row["labels"][0]) for row in rows])


def naming(
    encoder: Encoder, pooled: Float[np.ndarray, "n d"], photos: PhotoSet, *, unseen: bool
) -> Bool[np.ndarray, " m"]:
    """Of each val photo with a (un)seen label: is its label the nearest of the (un)seen ones."""
    kept_out = set(photos.kept_out)
    names = [name for name in photos.names if (name in kept_out) == unseen]
    rows = [i for i, row in enumerate(photos.val) if (row["labels"][0] in kept_out) == unseen]
    scores = pooled[rows] @ encoder.encode_labels(names).T
    truth = np.array([names.index(photos.val[i]["labels"][0]) for i in rows])
    return scores.argmax(1) == truth


def measure_scale(
    settings: EmbeddedEncoder.Settings,
    data: Path,
    *,
    every: int = 1,
    local_share: float = LOCAL_SHARE,
) -> ScoreScale:
    """The scale of an encoder, from training mosaics and the labels seen in training.

    Args:
        settings: names the encoder.
        data: folder of the data packs.
        every: takes each so manieth mosaic; a third is enough for a baseline.
        local_share: of the transport score in the shipped score.
    """
    encoder = EmbeddedEncoder(settings)
    files = [str(path.relative_to(data / MOSAICS)) for path, _ in usable_mosaics(data)[::every]]
    encoded = encode_files(encoder, data, MOSAICS, files, lambda _: None)
    labels = encoder.encode_labels(load_photos(data).names)
    return fit_scale(
        encoded.pooled,
        np.stack(encoded.parts),
        labels,
        temperature=encoder.scale.temperature,
        local_share=local_share,
    )


def fit_scale(
    pooled: Float[np.ndarray, "n d"],
    parts: Float[np.ndarray, "n p d"],
    labels: Float[np.ndarray, "l d"],
    *,
    temperature: float,
    local_share: float = LOCAL_SHARE,
) -> ScoreScale:
    """Constants that give both scores mean 0 on training pictures, and their weights.

    The shipped score is the mean of both; deviations of 2 - 2 * local_share and 2 * local_share
    make it (1 - local_share) global + local_share transport, each of deviation 1.
    """
    plain = ScoreScale(temperature=temperature)
    whole, local = scale_scores(plain, pooled, parts, labels)
    return ScoreScale(
        global_mean=float(whole.mean()),
        global_std=float(whole.std()) / (2 - 2 * local_share),
        local_mean=float(local.mean()),
        local_std=float(local.std()) / (2 * local_share),
        temperature=temperature,
    )
