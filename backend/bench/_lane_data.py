"""Pictures whose truth is known in full, as lanes and heads read them; encoded once, kept on disk.

`mosaic_open`: its train part is taught; measured on are its val part and mosaics composed of val
photos of `pretrain_openphotos` in the way its SOURCE.md describes. `coco_mini`: all photographs,
taught and measured on by halves. The encoder's own training saw photos that the taught mosaics are
made of, but none of those that are measured on.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Float16
from PIL import Image

from backend.bench._embedded_data import MOSAICS, PACK, guillotine, read_rows
from backend.bench._embedded_measures import read_pictures
from backend.contracts import LaneHost
from backend.errors import BadInputError
from backend.images import fixed_view
from backend.pipeline import Pipeline
from backend.types import LaneReading

COCO = "coco_mini"
COMPOSED = 1000
SIDE = 256
QUALITY = 82
COUNTS, SHARES = (2, 3, 4, 5, 6), (0.30, 0.30, 0.19, 0.105, 0.105)
"""How often a mosaic of the pack holds so many photos, counted in its 950 pictures."""

CHUNK = 32
Say = Callable[[str], None]


@dataclass(frozen=True)
class Source:
    """Pictures with their labels, before anything is encoded.

    Attributes:
        labels: of each picture, all that it shows.
        is_taught: which pictures are learned from; for `coco_mini` a half is drawn later.
        load: pictures by number.
    """

    name: str
    names: list[str]
    labels: list[set[str]]
    is_taught: Bool[np.ndarray, " n"]
    load: Callable[[Sequence[int]], list[Image.Image]]

    @property
    def truth(self) -> Bool[np.ndarray, "n l"]:
        """Which picture shows which label."""
        return np.array([[name in each for name in self.names] for each in self.labels])


@dataclass(frozen=True)
class ReadSet:
    """What encoder, lanes and zero-shot scores say of the pictures of a source.

    Attributes:
        tokens: of every picture, or of those that the others repeat in turns.
    """

    names: list[str]
    truth: Bool[np.ndarray, "n l"]
    is_taught: Bool[np.ndarray, " n"]
    pooled: Float[np.ndarray, "n d"]
    whole: Float[np.ndarray, "n l"]
    local: Float[np.ndarray, "n l"]
    label_vectors: Float[np.ndarray, "l d"]
    plain: Float[np.ndarray, "n f"]
    tokens: Float16[np.ndarray, "k b p w"]

    def readings(self, rows: Sequence[int] | np.ndarray) -> list[LaneReading]:
        """Of some pictures; tokens are views into the file."""
        count = len(self.tokens)
        return [LaneReading(self.tokens[row % count], self.plain[row]) for row in np.asarray(rows)]


def mosaics(data: Path, *, composed: int = COMPOSED) -> Source:
    """Train and val of `mosaic_open`, then composed ones."""
    rows = read_rows(data, MOSAICS)
    names = sorted({name for each in rows for name in each["labels"]})
    photos, drawn = _drawn(data, names, composed)
    labels = [set(each["labels"]) for each in rows]
    labels += [{photos[index][1] for index, _, _ in layout} for layout in drawn]

    def load(numbers: Sequence[int]) -> list[Image.Image]:
        own = [rows[number]["file"] for number in numbers if number < len(rows)]
        found = read_pictures(data, MOSAICS, own)
        for number in numbers:
            if number >= len(rows):
                layout = drawn[number - len(rows)]
                files = [photos[index][0] for index, _, _ in layout]
                found.append(composed_of(read_pictures(data, PACK, files), layout))
        return found

    is_taught = [each["split"] == "train" for each in rows] + [False] * composed
    return Source("mosaic_open", names, labels, np.array(is_taught), load)


def _drawn(
    data: Path, names: Sequence[str], composed: int
) -> tuple[list[tuple[str, str]], list[list[Tile]]]:
    """The val photos with their label, and the layouts of the composed mosaics."""
    photos = [
        (each["file"], next(iter(set(each["labels"]) & set(names))))
        for each in read_rows(data, PACK)
        if each["split"] == "val" and set(each["labels"]) & set(names)
    ]
    draws = (np.random.default_rng((11, number)) for number in range(composed))
    return photos, [_layout(draw, photos) for draw in draws]


def mosaic_boxes(data: Path, *, composed: int = COMPOSED) -> list[dict[str, list[list[float]]]]:
    """Of each composed mosaic: label -> boxes (x, y, width, height) in 0..1."""
    names = sorted({name for each in read_rows(data, MOSAICS) for name in each["labels"]})
    photos, drawn = _drawn(data, names, composed)
    sizes: dict[str, tuple[int, int]] = {}
    with zipfile.ZipFile(data / PACK / "images.zip") as archive:
        for index in {tile[0] for layout in drawn for tile in layout}:
            with archive.open(photos[index][0]) as stream, Image.open(stream) as photo:
                sizes[photos[index][0]] = photo.size
    found: list[dict[str, list[list[float]]]] = []
    for layout in drawn:
        boxes: dict[str, list[list[float]]] = {}
        for tile in layout:
            file, label = photos[tile[0]]
            boxes.setdefault(label, []).append([side / SIDE for side in placed(sizes[file], tile)])
        found.append(boxes)
    return found


def coco(data: Path, *, most: int = 40) -> Source:
    """All of `coco_mini` with its commonest labels, in the order of their names."""
    rows = read_rows(data, COCO)
    labels = [set(each["labels"]) for each in rows]
    every = sorted({name for each in labels for name in each})
    counts = np.array([sum(name in each for each in labels) for name in every])
    names = [every[i] for i in np.sort(np.argsort(-counts, kind="stable")[:most])]

    def load(numbers: Sequence[int]) -> list[Image.Image]:
        return read_pictures(data, COCO, [rows[number]["file"] for number in numbers])

    return Source("coco_mini", names, labels, np.zeros(len(rows), bool), load)


Tile = tuple[int, tuple[int, int, int, int], tuple[int, int, int] | None]
"""A photo's number, its cell (left, top, right, bottom), and the ground it lies on with a margin
(None: it fills the cell)."""


def _layout(draw: np.random.Generator, photos: Sequence[tuple[str, str]]) -> list[Tile]:
    """A random guillotine layout; a label first, then one of its photos."""
    count = int(draw.choice(COUNTS, p=SHARES))
    cells = guillotine(draw, SIDE, count, shares=(0.3, 0.7))
    labels = sorted({label for _, label in photos})
    ground = tuple(int(x) for x in draw.integers(0, 256, 3))
    tiles: list[Tile] = []
    for cell in cells:
        label = labels[int(draw.integers(len(labels)))]
        of_label = [index for index, (_, own) in enumerate(photos) if own == label]
        fills = draw.random() < 0.5
        index = of_label[int(draw.integers(len(of_label)))]
        tiles.append((index, cell, None if fills else ground))  # pyright: ignore
    return tiles


def placed(size: tuple[int, int], tile: Tile) -> tuple[int, int, int, int]:
    """Where a photo of (width, height) comes to lie: left, top, width, height."""
    _, (left, top, right, bottom), ground = tile
    width, height = right - left, bottom - top
    if ground is None:
        return left, top, width, height
    scale = 0.85 * min(width / size[0], height / size[1])
    across, down = max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
    return left + (width - across) // 2, top + (height - down) // 2, across, down


def composed_of(photos: Sequence[Image.Image], layout: Sequence[Tile]) -> Image.Image:
    """One picture of `photos` in their cells, saved and read as a JPEG like those of the pack."""
    grounds = [ground for _, _, ground in layout if ground is not None]
    canvas = Image.new("RGB", (SIDE, SIDE), grounds[0] if grounds else (0, 0, 0))
    for photo, tile in zip(photos, layout, strict=True):
        left, top, width, height = placed(photo.size, tile)
        canvas.paste(photo.resize((width, height), Image.Resampling.BICUBIC), (left, top))
    kept = io.BytesIO()
    canvas.save(kept, "JPEG", quality=QUALITY)
    return Image.open(kept).convert("RGB")


def read_set(source: Source, pipeline: Pipeline, folder: Path, say: Say) -> ReadSet:
    """The source, encoded; what an earlier run encoded with the same encoder is taken from disk.

    Raises:
        BadInputError: lanes cannot live in the encoder.
    """
    host = pipeline.host
    if host is None:
        raise BadInputError(f"lanes cannot live in {pipeline.encoder.id}")
    labels = pipeline.encoder.encode_labels(source.names)
    facts = [pipeline.encoder.fingerprint, host.lane_key, host.plain_dim, source.names]
    facts += [sorted(each) for each in source.labels]
    key = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]
    place = folder / f"{source.name}-{key}"
    if not (place / "done.json").exists():
        _encode(source, pipeline, host, labels, place, say)
    arrays = {name: np.load(place / f"{name}.npy") for name in ("pooled", "local", "plain")}
    whole = pipeline.global_scores(arrays["pooled"], labels)
    tokens = np.load(place / "tokens.npy", mmap_mode="r")
    return ReadSet(
        names=source.names,
        truth=source.truth,
        is_taught=source.is_taught,
        whole=whole,
        label_vectors=labels,
        tokens=tokens,
        **arrays,
    )


def read_views(
    source: Source, pipeline: Pipeline, folder: Path, *, views: int, say: Say
) -> list[list[LaneReading]]:
    """Readings of all pictures in each of the fixed views after the first; kept on disk as well.

    Raises:
        BadInputError: lanes cannot live in the encoder.
    """
    host = pipeline.host
    if host is None:
        raise BadInputError(f"lanes cannot live in {pipeline.encoder.id}")
    count = len(source.labels)
    found: list[list[LaneReading]] = []
    for view in range(1, views):
        place = folder / f"{source.name}-{host.lane_key}-view-{view}"
        if not (place / "done.json").exists():
            place.mkdir(parents=True, exist_ok=True)
            tokens, plain = None, []
            for at in range(0, count, CHUNK):
                rows = range(at, min(at + CHUNK, count))
                pictures = [
                    fixed_view(picture, f"{source.name}:{row}", view)
                    for row, picture in zip(rows, source.load(rows), strict=True)
                ]
                _, readings = host.read(pictures)
                block = np.stack([reading.tokens for reading in readings])
                plain.append(np.stack([reading.plain for reading in readings]))
                if tokens is None:
                    shape = (count, *block.shape[1:])
                    path = place / "tokens.npy"
                    tokens = np.lib.format.open_memmap(path, "w+", np.float16, shape)
                tokens[at : at + len(block)] = block
                say(f"{source.name}, view {view}: {at + len(block)} of {count} read")
            np.save(place / "plain.npy", np.concatenate(plain))
            (place / "done.json").write_text(json.dumps({"count": count}), encoding="utf-8")
        tokens = np.load(place / "tokens.npy", mmap_mode="r")
        numbers = np.load(place / "plain.npy")
        found.append([LaneReading(tokens[row], numbers[row]) for row in range(count)])
    return found


def _encode(
    source: Source,
    pipeline: Pipeline,
    host: LaneHost,
    labels: np.ndarray,
    place: Path,
    say: Say,
) -> None:
    place.mkdir(parents=True, exist_ok=True)
    count = len(source.labels)
    pooled, local, plain, tokens = [], [], [], None
    for at in range(0, count, CHUNK):
        encoded, readings = host.read(source.load(range(at, min(at + CHUNK, count))))
        pooled.append(encoded.pooled)
        local.append(pipeline.local_scores(encoded.parts, labels))
        plain.append(np.stack([reading.plain for reading in readings]))
        block = np.stack([reading.tokens for reading in readings])
        if tokens is None:
            shape = (count, *block.shape[1:])
            tokens = np.lib.format.open_memmap(place / "tokens.npy", "w+", np.float16, shape)
        tokens[at : at + len(block)] = block
        say(f"{source.name}: {at + len(block)} of {count} read")
    for name, arrays in (("pooled", pooled), ("local", local), ("plain", plain)):
        np.save(place / f"{name}.npy", np.concatenate(arrays))
    (place / "done.json").write_text(json.dumps({"count": count}), encoding="utf-8")
