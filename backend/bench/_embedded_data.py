"""Training data of the embedded encoder: which photos may be used, and mosaics made of them.

A mosaic is made of real pixels at the encoder's input size, with the share of every cell that each
photo covers, so that a cell learns what stands in *it*.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from backend.errors import NotFoundError

PACK = "pretrain_openphotos"
MOSAICS = "mosaic_open"
KEPT_OUT = 40
MAX_TILES = 6


def read_rows(data: Path, pack: str) -> list[dict]:
    """The rows of a pack's annotations.jsonl.

    Raises:
        NotFoundError: The pack is not there.
    """
    path = data / pack / "annotations.jsonl"
    if not path.is_file():
        raise NotFoundError(f"the data pack {pack} is not in {data}: set PATCHLANE_DATA")
    with path.open(encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


def kept_out_labels(rows: list[dict]) -> list[str]:
    """The 40 first labels that nothing is trained on, so that "unseen" is honest."""
    first = sorted({row["labels"][0] for row in rows})
    order = np.random.default_rng(0).permutation(len(first))
    return sorted(first[i] for i in order[:KEPT_OUT])


def forbidden_photos(data: Path) -> set[str]:
    """Stems of photos in the val or test part of clothing_crowd; they measure the encoder."""
    rows = read_rows(data, "clothing_crowd")
    return {Path(row["file"]).stem for row in rows if row["split"] != "train"}


def _stem(file: str) -> str:
    """Stem of a photo's name without its source, as clothing_crowd spells it."""
    return Path(file).stem.removeprefix("clo_")


@dataclass(frozen=True)
class Photos:
    """The photos that training may see.

    Attributes:
        images: RGB arrays as stored (long side at most 96 pixels).
        labels: Index into `names` of each photo's first label.
        names: The label names seen in training.
    """

    images: list[np.ndarray]
    labels: np.ndarray
    names: list[str]


def usable_rows(data: Path) -> list[dict]:
    """Rows of pretrain_openphotos that training may see."""
    rows = read_rows(data, PACK)
    kept_out, forbidden = set(kept_out_labels(rows)), forbidden_photos(data)
    return [
        row
        for row in rows
        if row["split"] == "train"
        and not kept_out & set(row["labels"])
        and _stem(row["file"]) not in forbidden
    ]


def load_photos(data: Path) -> Photos:
    """Decode every usable photo once; about 300 MB."""
    rows = usable_rows(data)
    names = sorted({row["labels"][0] for row in rows})
    index = {name: i for i, name in enumerate(names)}
    with zipfile.ZipFile(data / PACK / "images.zip") as archive:
        images = [
            np.asarray(Image.open(io.BytesIO(archive.read(row["file"]))).convert("RGB"))
            for row in rows
        ]
    return Photos(images, np.array([index[row["labels"][0]] for row in rows]), names)


def usable_mosaics(data: Path) -> list[tuple[Path, list[tuple[int, tuple[float, ...]]]]]:
    """Train pictures of mosaic_open whose every photo is usable.

    Returns:
        Per picture its path and, per photo, the position in `usable_rows` and its box as
        (left, top, right, bottom) in 0..1.
    """
    position = {Path(row["file"]).name: i for i, row in enumerate(usable_rows(data))}
    found = []
    for row in read_rows(data, MOSAICS):
        if row["split"] != "train" or not all(part in position for part in row["parts"]):
            continue
        tiles = []
        for part, box in zip(row["parts"], row["boxes"], strict=True):
            x, y, w, h = box["xywh"]
            tiles.append(
                (
                    position[part],
                    (
                        x / row["width"],
                        y / row["height"],
                        (x + w) / row["width"],
                        (y + h) / row["height"],
                    ),
                )
            )
        found.append((data / MOSAICS / row["file"], tiles))
    return found


@dataclass(frozen=True)
class Mosaic:
    """A picture made of photos.

    Attributes:
        image: (size, size, 3) uint8.
        photos: Index of each photo, -1 where there are fewer than six.
        cover: (cells, 6) share of each cell that each photo covers.
    """

    image: np.ndarray
    photos: np.ndarray
    cover: np.ndarray


class Canvas:
    """Photos pasted one over another, remembering who is on top."""

    def __init__(self, size: int, colour: np.ndarray):
        self.image = np.full((size, size, 3), colour, np.uint8)
        self.owner = np.full((size, size), -1, np.int8)
        self.photos: list[int] = []
        self.size = size

    def paste(
        self, photo: np.ndarray, index: int, box: tuple[int, int, int, int], *, flip: bool = False
    ) -> None:
        """Stretch a photo into a box (left, top, right, bottom)."""
        left, top, right, bottom = box
        picture = Image.fromarray(photo).resize(
            (right - left, bottom - top), Image.Resampling.BICUBIC
        )
        array = np.asarray(picture)
        self.image[top:bottom, left:right] = array[:, ::-1] if flip else array
        self.owner[top:bottom, left:right] = len(self.photos)
        self.photos.append(index)

    def finish(self, stride: int) -> Mosaic:
        """Shares of the cells of `stride` pixels."""
        side = self.size // stride
        cells = self.owner.reshape(side, stride, side, stride).transpose(0, 2, 1, 3)
        cells = cells.reshape(side * side, -1)
        cover = np.stack([(cells == i).mean(1) for i in range(MAX_TILES)], axis=1)
        photos = np.full(MAX_TILES, -1, np.int32)
        photos[: len(self.photos)] = self.photos
        return Mosaic(self.image, photos, cover.astype(np.float16))


def compose(photos: Photos, rng: np.random.Generator, size: int, stride: int) -> Mosaic:
    """One random picture: a guillotine layout, photos scattered over another, or a photo alone."""
    canvas = Canvas(size, rng.integers(0, 256, 3))
    kind = rng.random()
    if kind < 0.15:
        _paste_one(canvas, photos, rng, (0, 0, size, size), whole=True)
    elif kind < 0.6:
        for box in guillotine(rng, size, int(rng.integers(2, MAX_TILES + 1))):
            _paste_one(canvas, photos, rng, box)
    else:
        _scatter(canvas, photos, rng)
    return canvas.finish(stride)


def _pick(photos: Photos, rng: np.random.Generator) -> int:
    """A label first, then one of its photos: rare labels are seen as often as common ones."""
    label = rng.integers(len(photos.names))
    return int(rng.choice(np.flatnonzero(photos.labels == label)))


def _paste_one(
    canvas: Canvas,
    photos: Photos,
    rng: np.random.Generator,
    box: tuple[int, int, int, int],
    *,
    whole: bool = False,
) -> None:
    index = _pick(photos, rng)
    photo = photos.images[index]
    if not whole and rng.random() < 0.5:
        box = _fit(photo, box, rng)
    canvas.paste(photo, index, box, flip=bool(rng.random() < 0.5))


def _fit(
    photo: np.ndarray, box: tuple[int, int, int, int], rng: np.random.Generator
) -> tuple[int, int, int, int]:
    """A place inside the box with the photo's own shape and a margin."""
    left, top, right, bottom = box
    height, width = photo.shape[:2]
    scale = min((right - left) / width, (bottom - top) / height) * rng.uniform(0.75, 1.0)
    w, h = max(8, round(width * scale)), max(8, round(height * scale))
    x = left + int(rng.integers(0, max(1, right - left - w)))
    y = top + int(rng.integers(0, max(1, bottom - top - h)))
    return x, y, min(x + w, right), min(y + h, bottom)


def guillotine(
    rng: np.random.Generator, size: int, count: int, *, shares: tuple[float, float] = (0.35, 0.65)
) -> list[tuple[int, int, int, int]]:
    """Cut the largest box of a square again and again until there are `count`.

    Args:
        rng: of the cuts.
        size: side of the square, pixels.
        count: of the boxes.
        shares: a cut leaves a share between these two, 0..1, on one side.

    Returns:
        Left, top, right and bottom of each box.
    """
    boxes = [(0, 0, size, size)]
    while len(boxes) < count:
        boxes.sort(key=lambda b: (b[2] - b[0]) * (b[3] - b[1]))
        left, top, right, bottom = boxes.pop()
        share = rng.uniform(*shares)
        if right - left >= bottom - top:
            cut = left + round((right - left) * share)
            boxes += [(left, top, cut, bottom), (cut, top, right, bottom)]
        else:
            cut = top + round((bottom - top) * share)
            boxes += [(left, top, right, cut), (left, cut, right, bottom)]
    return boxes


def _scatter(canvas: Canvas, photos: Photos, rng: np.random.Generator) -> None:
    """Photos of many sizes, some over others, mostly on another photo as the ground."""
    size, count = canvas.size, int(rng.integers(2, MAX_TILES))
    if rng.random() < 0.7:
        _paste_one(canvas, photos, rng, (0, 0, size, size), whole=True)
    for _ in range(count):
        index = _pick(photos, rng)
        photo = photos.images[index]
        height, width = photo.shape[:2]
        side = size * float(np.exp(rng.uniform(np.log(0.2), np.log(0.7))))
        scale = side / max(height, width)
        w, h = max(24, round(width * scale)), max(24, round(height * scale))
        x, y = int(rng.integers(0, size - w + 1)), int(rng.integers(0, size - h + 1))
        canvas.paste(photo, index, (x, y, x + w, y + h), flip=bool(rng.random() < 0.5))


def read_mosaic(
    path: Path, tiles: list[tuple[int, tuple[float, ...]]], size: int, stride: int
) -> Mosaic:
    """A picture of mosaic_open, stretched to the input size."""
    with Image.open(path) as picture:
        stretched = picture.convert("RGB").resize((size, size), Image.Resampling.BICUBIC)
    canvas = Canvas(size, np.zeros(3))
    for index, (left, top, right, bottom) in tiles:
        canvas.owner[
            round(top * size) : round(bottom * size), round(left * size) : round(right * size)
        ] = len(canvas.photos)
        canvas.photos.append(index)
    canvas.image = np.asarray(stretched)
    return canvas.finish(stride)
