"""Trunk features of the training pictures, computed once; a stopped run goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from backend.bench._embedded_data import (
    MAX_TILES,
    Mosaic,
    Photos,
    compose,
    read_mosaic,
    usable_mosaics,
)
from backend.methods.encoders._engine import Engine, lazy_engine
from backend.methods.encoders._trunk import MEAN, STD, STRIDE, WIDTH, load_trunk
from backend.types import Progress

BATCH = 16
PHOTO_SIZE = 192


class TrunkCells(nn.Module):
    """RGB pictures (B, H, W, 3) uint8 to the trunk's last cells (B, P, 1280)."""

    def __init__(self, trunk: nn.Module):
        super().__init__()
        self.trunk = trunk

    def forward(self, pictures: Tensor) -> Tensor:
        x = (pictures.permute(0, 3, 1, 2).float() / 255 - MEAN) / STD
        return self.trunk.forward_features(x).flatten(2).transpose(1, 2)  # pyright: ignore


def trunk_engine(size: int, threads: int) -> Engine:
    """The trunk at one input size, compiled when it is first run."""
    example = np.zeros((2, size, size, 3), np.uint8)
    return lazy_engine(lambda: TrunkCells(load_trunk()), [example], device="cpu", threads=threads)


@dataclass(frozen=True)
class MosaicCache:
    """Features and truth of the training mosaics; `cells` stays on disk."""

    cells: np.ndarray
    photos: np.ndarray
    cover: np.ndarray


def cache_mosaics(
    folder: Path,
    photos: Photos,
    data: Path,
    *,
    count: int,
    size: int,
    threads: int,
    progress: Progress,
) -> MosaicCache:
    """`count` composed pictures, then those of mosaic_open; picture i depends on i only."""
    own = usable_mosaics(data)
    total, parts = count + len(own), (size // STRIDE) ** 2

    def picture(i: int) -> Mosaic:
        if i < count:
            return compose(photos, np.random.default_rng((7, i)), size, STRIDE)
        return read_mosaic(*own[i - count], size, STRIDE)

    folder.mkdir(parents=True, exist_ok=True)
    cells = open_rows(folder / f"mosaics_{size}.npy", (total, parts, WIDTH), np.float16)
    chosen = open_rows(folder / f"mosaics_{size}_photos.npy", (total, MAX_TILES), np.int32)
    cover = open_rows(folder / f"mosaics_{size}_cover.npy", (total, parts, MAX_TILES), np.float16)
    mark = folder / f"mosaics_{size}.json"
    run = trunk_engine(size, threads)

    def work(start: int, stop: int) -> None:
        made = [picture(i) for i in range(start, stop)]
        cells[start:stop] = run(np.stack([mosaic.image for mosaic in made]))[0]
        chosen[start:stop] = np.stack([mosaic.photos for mosaic in made])
        cover[start:stop] = np.stack([mosaic.cover for mosaic in made])

    fill(mark, total, work, progress, "features of mosaics")
    return MosaicCache(cells, chosen, cover)


def cache_photos(folder: Path, photos: Photos, *, threads: int, progress: Progress) -> np.ndarray:
    """Cells (n, 36, 1280) of every photo alone, stretched to 192 pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    total, parts = len(photos.images), (PHOTO_SIZE // STRIDE) ** 2
    cells = open_rows(folder / "photos.npy", (total, parts, WIDTH), np.float16)
    run = trunk_engine(PHOTO_SIZE, threads)

    def work(start: int, stop: int) -> None:
        pictures = [stretch(photos.images[i], PHOTO_SIZE) for i in range(start, stop)]
        cells[start:stop] = run(np.stack(pictures))[0]

    fill(folder / "photos.json", total, work, progress, "features of photos")
    return cells


def stretch(picture: np.ndarray, size: int) -> np.ndarray:
    """A picture at (size, size), as the encoder sees it."""
    image = Image.fromarray(picture).resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(image)


def open_rows(path: Path, shape: tuple[int, ...], dtype: type) -> np.ndarray:
    """A memory map that keeps what is in it if its shape is the right one."""
    if path.exists():
        found = np.load(path, mmap_mode="r+")
        if found.shape == shape:
            return found
    return np.lib.format.open_memmap(path, "w+", dtype, shape)


def fill(
    mark: Path,
    total: int,
    work: Callable[[int, int], None],
    progress: Progress,
    note: str,
    *,
    batch: int = BATCH,
) -> None:
    """Do the rows that `mark` does not count as done, a batch (start, stop) at a time."""
    done = json.loads(mark.read_text())["done"] if mark.exists() else 0
    for start in range(done, total, batch):
        stop = min(start + batch, total)
        with torch.inference_mode():
            work(start, stop)
        mark.write_text(json.dumps({"done": stop}))
        progress(stop, total, note)
