"""Pictures with boxes as parts of the encoder, encoded once and kept on disk.

Five sets: `mosaic_open`, whose val part is measured on together with mosaics composed of val photos
(`_lane_data.py`), and `coco_mini`, `aquarium`, `bccd`, `doc_gallica`. A picture's truth is the
labels it has and, for each of them, the cells that lie on one of its boxes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float16, Int
from PIL import Image

from backend.bench._embedded_data import MOSAICS, read_rows
from backend.bench._embedded_measures import read_pictures
from backend.bench._lane_data import COMPOSED, mosaic_boxes, mosaics
from backend.contracts import Encoder
from backend.numerics.localisation import cells_on_boxes
from backend.types import ScoreScale

SETS = (MOSAICS, "coco_mini", "aquarium", "bccd", "doc_gallica")
CHUNK = 32
Say = Callable[[str], None]


@dataclass(frozen=True)
class Boxed:
    """Encoded pictures with boxes.

    Attributes:
        truth: (N, L) which picture shows which label.
        is_taught: which pictures the set says are learned from; none where a half is drawn later.
        parts: (N, P, D) of a grid that is the same for all.
        rows, columns: M pairs of a picture and a label it has boxes of.
        inside: (M, P) the parts that lie on a box of the pair.
        labels: (L, D) vectors of the labels' names.
    """

    name: str
    names: list[str]
    truth: Bool[np.ndarray, "n l"]
    is_taught: Bool[np.ndarray, " n"]
    pooled: Float[np.ndarray, "n d"]
    parts: Float16[np.ndarray, "n p d"]
    grid: tuple[int, int]
    rows: Int[np.ndarray, " m"]
    columns: Int[np.ndarray, " m"]
    inside: Bool[np.ndarray, "m p"]
    labels: Float[np.ndarray, "l d"]
    scale: ScoreScale

    def pairs_of(self, rows: np.ndarray) -> Int[np.ndarray, " k"]:
        """Numbers of the pairs whose picture is among `rows`."""
        return np.flatnonzero(np.isin(self.rows, rows))


def boxed_set(name: str, encoder: Encoder, data: Path, folder: Path, say: Say) -> Boxed:
    """One of `SETS`; what an earlier run encoded with the same encoder is taken from disk.

    Raises:
        NotFoundError: the data pack is not there.
    """
    rows = read_rows(data, name)

    def load(numbers: Sequence[int]) -> list[Image.Image]:
        return read_pictures(data, name, [rows[number]["file"] for number in numbers])

    labels = [set(row["labels"]) for row in rows]
    boxes = [_own_boxes(row) for row in rows]
    pooled, parts, grid = encoded_set(name, encoder, len(rows), load, folder, say)
    is_taught = np.zeros(len(rows), bool)
    if name == MOSAICS:
        is_taught = np.array([row["split"] == "train" for row in rows] + [False] * COMPOSED)
        more = mosaics(data)

        def compose(numbers: Sequence[int]) -> list[Image.Image]:
            return more.load([len(rows) + number for number in numbers])

        added = encoded_set("composed", encoder, COMPOSED, compose, folder, say)
        pooled, parts = (
            np.concatenate([a, b]) for a, b in zip((pooled, parts), added, strict=False)
        )
        labels += more.labels[len(rows) :]
        boxes += mosaic_boxes(data)
    names = sorted({label for each in labels for label in each})
    pairs = [
        (row, names.index(label), cells_on_boxes(np.array(found), grid))
        for row, of_picture in enumerate(boxes)
        for label, found in sorted(of_picture.items())
        if label in labels[row]
    ]
    return Boxed(
        name=name,
        names=names,
        truth=np.array([[label in each for label in names] for each in labels]),
        is_taught=is_taught,
        pooled=pooled,
        parts=parts,
        grid=grid,
        rows=np.array([row for row, _, _ in pairs]),
        columns=np.array([column for _, column, _ in pairs]),
        inside=np.stack([inside for _, _, inside in pairs]),
        labels=encoder.encode_labels(names),
        scale=encoder.scale,
    )


def _own_boxes(row: dict) -> dict[str, list[list[float]]]:
    """Label -> boxes (x, y, width, height) in 0..1 of the picture."""
    found: dict[str, list[list[float]]] = {}
    for box in row.get("boxes", ()):
        x, y, w, h = box["xywh"]
        placed = [x / row["width"], y / row["height"], w / row["width"], h / row["height"]]
        found.setdefault(box["label"], []).append(placed)
    return found


def encoded_set(
    name: str,
    encoder: Encoder,
    count: int,
    load: Callable[[Sequence[int]], list[Image.Image]],
    folder: Path,
    say: Say,
) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    """Pooled vectors, parts and grid of a set; a stopped run goes on where it was."""
    key = hashlib.sha256(json.dumps([encoder.fingerprint, count]).encode()).hexdigest()[:12]
    place = folder / f"{name}-{key}"
    place.mkdir(parents=True, exist_ok=True)
    mark = place / "done.json"
    done: dict[str, Any] = (
        json.loads(mark.read_text(encoding="utf-8")) if mark.exists() else {"count": 0}
    )
    for at in range(done["count"], count, CHUNK):
        numbers = range(at, min(at + CHUNK, count))
        encoded = encoder.encode(load(numbers))
        grid = encoded.layouts[0].grid or (1, len(encoded.parts[0]))
        block = np.stack(encoded.parts).astype(np.float16)
        mode = "r+" if at else "w+"
        for kind, values in (("parts", block), ("pooled", encoded.pooled)):
            path, shape = place / f"{kind}.npy", (count, *values.shape[1:])
            array = np.lib.format.open_memmap(path, mode, values.dtype, None if at else shape)
            array[at : at + len(block)] = values
            array.flush()
        done = {"count": at + len(block), "grid": list(grid)}
        mark.write_text(json.dumps(done), encoding="utf-8")
        say(f"{name}: {done['count']} of {count} encoded")
    rows, columns = done["grid"]
    return np.load(place / "pooled.npy"), np.load(place / "parts.npy"), (rows, columns)
