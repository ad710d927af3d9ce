"""Pictures that stand for a labelled project: whom exemplars are drawn from, who is searched.

`mosaic_open` as it is, 950 mosaics of 160 labels; of `pretrain_openphotos` the photos of the 40
labels that nothing of the shipped encoder was trained on, at most `MOST_PHOTOS` of each.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Float16
from PIL import Image

from backend.bench._embedded_data import MOSAICS, PACK, kept_out_labels, read_rows
from backend.bench._embedded_measures import read_pictures
from backend.bench._evidence_data import encoded_set
from backend.contracts import Encoder

SETS = (MOSAICS, PACK)
MOST_PHOTOS = 48
Say = Callable[[str], None]


@dataclass(frozen=True)
class Shown:
    """Encoded pictures, all decided.

    Attributes:
        truth: (N, L) which picture shows which label.
        parts: (N, P, D) of a grid that is the same for all.
        labels: (L, D) vectors of the labels' names.
    """

    name: str
    names: list[str]
    truth: Bool[np.ndarray, "n l"]
    pooled: Float[np.ndarray, "n d"]
    parts: Float16[np.ndarray, "n p d"]
    grid: tuple[int, int]
    labels: Float[np.ndarray, "l d"]


def shown_set(name: str, encoder: Encoder, data: Path, folder: Path, say: Say) -> Shown:
    """One of `SETS`; what an earlier run encoded with the same encoder is taken from disk.

    Raises:
        NotFoundError: the data pack is not there.
    """
    rows = read_rows(data, name)
    if name == PACK:
        names = kept_out_labels(rows)
        rows = chosen_photos(rows, names)
    else:
        names = sorted({label for row in rows for label in row["labels"]})

    def load(numbers: Sequence[int]) -> list[Image.Image]:
        return read_pictures(data, name, [rows[number]["file"] for number in numbers])

    pooled, parts, grid = encoded_set(name, encoder, len(rows), load, folder, say)
    return Shown(
        name=name,
        names=names,
        truth=np.array([[label in row["labels"] for label in names] for row in rows]),
        pooled=pooled,
        parts=parts,
        grid=grid,
        labels=encoder.encode_labels(names),
    )


def chosen_photos(rows: Sequence[dict], names: Sequence[str]) -> list[dict]:
    """The photos of some labels, at most `MOST_PHOTOS` of each, whichever files' hashes come first.

    A file's hash has nothing to do with what it shows, and numbers in names often have.
    """
    kept: dict[str, dict] = {}
    for name in names:
        own = sorted((row for row in rows if name in row["labels"]), key=_lot)
        kept |= {row["file"]: row for row in own[:MOST_PHOTOS]}
    return sorted(kept.values(), key=_lot)


def _lot(row: dict) -> str:
    return hashlib.sha256(row["file"].encode()).hexdigest()
