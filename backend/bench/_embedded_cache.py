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
from backend.methods.encoders._engine import Engine, compile_engine
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
    """The trunk at one input size."""
    example = np.zeros((2, size, size, 3), np.uint8)
    return compile_engine(TrunkCells(load_trunk()), [example], device="cpu", threads=threads)


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
    cells = _open(folder / f"mosaics_{size}.npy", (total, parts, WIDTH), np.float16)
    chosen = _open(folder / f"mosaics_{size}_photos.npy", (total, MAX_TILES), np.int32)
    cover = _open(folder / f"mosaics_{size}_cover.npy", (total, parts, MAX_TILES), np.float16)
    mark = folder / f"mosaics_{size}.json"

    def work(run: Engine, start: int, stop: int) -> None:
        made = [picture(i) for i in range(start, stop)]
        cells[start:stop] = run(np.stack([mosaic.image for mosaic in made]))[0]
        chosen[start:stop] = np.stack([mosaic.photos for mosaic in made])
        cover[start:stop] = np.stack([mosaic.cover for mosaic in made])

    _fill(mark, total, work, size, threads, progress, "mosaics")
    return MosaicCache(cells, chosen, cover)


def cache_photos(folder: Path, photos: Photos, *, threads: int, progress: Progress) -> np.ndarray:
    """Cells (n, 36, 1280) of every photo alone, stretched to 192 pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    total, parts = len(photos.images), (PHOTO_SIZE // STRIDE) ** 2
    cells = _open(folder / "photos.npy", (total, parts, WIDTH), np.float16)

    def work(run: Engine, start: int, stop: int) -> None:
        pictures = [stretch(photos.images[i], PHOTO_SIZE) for i in range(start, stop)]
        cells[start:stop] = run(np.stack(pictures))[0]

    _fill(folder / "photos.json", total, work, PHOTO_SIZE, threads, progress, "photos")
    return cells


def stretch(picture: np.ndarray, size: int) -> np.ndarray:
    """A picture at (size, size), as the encoder sees it."""
    image = Image.fromarray(picture).resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(image)


def _open(path: Path, shape: tuple[int, ...], dtype: type) -> np.ndarray:
    """A memory map that keeps what is in it if its shape is the right one."""
    if path.exists():
        found = np.load(path, mmap_mode="r+")
        if found.shape == shape:
            return found
    return np.lib.format.open_memmap(path, "w+", dtype, shape)


def _fill(
    mark: Path,
    total: int,
    work: Callable[[Engine, int, int], None],
    size: int,
    threads: int,
    progress: Progress,
    note: str,
) -> None:
    """Do the batches that `mark` does not count as done."""
    done = json.loads(mark.read_text())["done"] if mark.exists() else 0
    if done >= total:
        return
    run = trunk_engine(size, threads)
    for start in range(done, total, BATCH):
        stop = min(start + BATCH, total)
        with torch.inference_mode():
            work(run, start, stop)
        mark.write_text(json.dumps({"done": stop}))
        progress(stop, total, f"features of {note}")
