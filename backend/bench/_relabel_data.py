"""Pictures with boxes, whole and in small crops, as heads read them; encoded once, kept on disk.

`mosaic_open`: 400 of its train mosaics and its val part; `coco_mini`: all photographs. Crops are
the product's small ones (`images.fixed_view`), placed by the picture's name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from backend.bench._embedded_data import MOSAICS, read_rows
from backend.bench._embedded_measures import read_pictures
from backend.bench._kept import kept_arrays
from backend.bench._lane_data import COCO
from backend.errors import BadInputError
from backend.images import FIRST_SMALL_CROP, fixed_view, view_frame
from backend.numerics import label_maps
from backend.pipeline import Pipeline
from backend.types import Features

Say = Callable[[str], None]

TRAIN, LABELS, CROPS, CHUNK = 400, 40, 2, 32
SEEN = 0.5
"""Share of a box from which on a crop shows the thing in it."""


@dataclass(frozen=True)
class View:
    """Some pictures, seen in one way.

    Attributes:
        features: with the encoder's plain numbers beside the pooled vector.
        frames: x, y, width, height in 0..1 of the picture.
    """

    features: Features
    frames: Float[np.ndarray, "n 4"]


@dataclass(frozen=True)
class CroppedSet:
    """One pack.

    Attributes:
        truth: (N, L) of all pictures.
        maps: (M, P, L) of those that may be taught, the first M: how much of a label lies on a
            part, `cosines` the similarity it is made of.
        views: of all pictures as they are, then of the first M in each crop.
        seen: (M, L) per crop, the largest share of a box of the label that lies in it.
    """

    name: str
    names: list[str]
    truth: Bool[np.ndarray, "n l"]
    maps: Float[np.ndarray, "m p l"]
    cosines: Float[np.ndarray, "m p l"]
    temperature: float
    grid: tuple[int, int]
    views: list[View]
    seen: list[Float[np.ndarray, "m l"]]

    @property
    def num_taught(self) -> int:
        """M: how many pictures there are crops of."""
        return len(self.maps)

    def cover(self, crop: int) -> Float[np.ndarray, "m p"]:
        """The share of each part's cell in a crop, numbered from 1."""
        return label_maps.covered(self.views[crop].frames, self.grid)

    def crop_labels(self, crop: int) -> Float[np.ndarray, "m l"]:
        """What each picture's own label map says that a crop shows; 0 for other labels."""
        pairs = zip(self.maps, self.cover(crop), strict=True)
        shares = [label_maps.shown(one, cover[None])[0] for one, cover in pairs]
        return np.where(self.truth[: self.num_taught], np.stack(shares), 0).astype(np.float32)


def cropped_set(data: Path, pack: str, pipeline: Pipeline, folder: Path, say: Say) -> CroppedSet:
    """The pack, encoded; what an earlier run encoded with the same encoder is taken from disk.

    Raises:
        BadInputError: lanes cannot live in the encoder.
    """
    rows = read_rows(data, pack)
    taught = rows
    if pack == MOSAICS:
        taught = [row for row in rows if row["split"] == "train"][:TRAIN]
        rows = taught + [row for row in rows if row["split"] == "val"]
    counts = {name: 0 for row in rows for name in row["labels"]}
    for row in rows:
        for name in set(row["labels"]):
            counts[name] += 1
    names = sorted(counts)
    if pack == COCO:
        names = sorted(sorted(names, key=lambda name: -counts[name])[:LABELS])
    labels = pipeline.encoder.encode_labels(names)
    views, parts = [], np.zeros((0, 0, 0), np.float32)
    for number in (0, *range(FIRST_SMALL_CROP, FIRST_SMALL_CROP + CROPS)):
        seen = rows if number == 0 else taught
        view, found = _view(
            data,
            pack,
            rows=seen,
            number=number,
            pipeline=pipeline,
            labels=labels,
            folder=folder,
            say=say,
        )
        views.append(view)
        parts = found[: len(taught)] if number == 0 else parts
    side = round(parts.shape[1] ** 0.5)
    alignment = pipeline.aligner.align(parts, labels)
    return CroppedSet(
        name=pack,
        names=names,
        truth=np.array([[name in row["labels"] for name in names] for row in rows]),
        maps=alignment.backward,
        cosines=alignment.similarity,
        temperature=pipeline.scale.temperature,
        grid=(side, side),
        views=views,
        seen=[seen_of(taught, names, view.frames) for view in views[1:]],
    )


def seen_of(
    rows: Sequence[dict[str, Any]], names: Sequence[str], frames: Float[np.ndarray, "m 4"]
) -> Float[np.ndarray, "m l"]:
    """The largest share of any box of each label that lies in each picture's crop."""
    place = {name: column for column, name in enumerate(names)}
    out = np.zeros((len(rows), len(names)), np.float32)
    for number, (row, (x, y, width, height)) in enumerate(zip(rows, frames, strict=True)):
        for box in row["boxes"]:
            column = place.get(box["label"])
            if column is None:
                continue
            left, top, wide, tall = box["xywh"]
            right = min((x + width) * row["width"], left + wide) - max(x * row["width"], left)
            down = min((y + height) * row["height"], top + tall) - max(y * row["height"], top)
            share = max(right, 0) * max(down, 0) / max(wide * tall, 1e-9)
            out[number, column] = max(out[number, column], share)
    return out


def _view(
    data: Path,
    pack: str,
    *,
    rows: Sequence[dict[str, Any]],
    number: int,
    pipeline: Pipeline,
    labels: Float[np.ndarray, "l d"],
    folder: Path,
    say: Say,
) -> tuple[View, Float[np.ndarray, "n p d"]]:
    """Features and parts of some pictures in one view."""
    host = pipeline.host
    if host is None:
        raise BadInputError(f"lanes cannot live in {pipeline.encoder.id}")
    place = folder / f"{pack}-{pipeline.encoder.fingerprint}-view{number}.npz"
    files = [row["file"] for row in rows]

    def make() -> dict[str, np.ndarray]:
        pooled, parts, plain, frames = [], [], [], []
        for at in range(0, len(files), CHUNK):
            some = files[at : at + CHUNK]
            pictures = read_pictures(data, pack, some)
            keys = [f"{pack}/{file}" for file in some]
            seen = [fixed_view(one, key, number) for one, key in zip(pictures, keys, strict=True)]
            frames += [
                view_frame(one.size, key, number) for one, key in zip(pictures, keys, strict=True)
            ]
            encoded, readings = host.read(seen)
            pooled.append(encoded.pooled)
            parts.append(np.stack(encoded.parts).astype(np.float16))
            plain.append(np.stack([reading.plain for reading in readings]))
            say(f"{pack}, view {number}: {at + len(some)} of {len(files)} read")
        return {
            "pooled": np.concatenate(pooled),
            "parts": np.concatenate(parts),
            "plain": np.concatenate(plain),
            "frames": np.array(frames),
        }

    held = kept_arrays(place, files, make)
    pooled, plain, frames = held["pooled"], held["plain"], held["frames"]
    parts = held["parts"].astype(np.float32)
    local = [
        pipeline.local_scores(list(parts[at : at + 2 * CHUNK]), labels)
        for at in range(0, len(parts), 2 * CHUNK)
    ]
    vectors = np.concatenate([pooled, plain], axis=1).astype(np.float32)
    whole = pipeline.global_scores(pooled, labels)
    view = View(Features(vectors, whole, np.concatenate(local)), frames.astype(np.float32))
    return view, parts
