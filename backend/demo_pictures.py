"""Pictures of the demo: crops and collages of photographs that installed packages carry.

What stands where in each photograph is in `assets/demo/photos.toml`, so the labels of every crop
and collage, and the boxes, are known. The same seed gives the same pictures. Only the files of the
packages are read; none of them is imported and nothing is downloaded.
"""

from __future__ import annotations

import random
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

from PIL import Image, ImageEnhance

from backend.types import Verdict

Box = tuple[float, float, float, float]
"""Left, top, right, bottom: fractions of a photograph, or pixels of a picture made here."""

PICTURES = 208
CROPS = 4
GAP = 4
QUALITY = 88
WHOLE: Box = (0.0, 0.0, 1.0, 1.0)

# An object that is half in view, or a quarter of it filling half of the view, is there (YES); one
# with next to nothing in view is not (NO); in between nobody is asked to know.
SEEN, LEAST = 0.5, 0.02
PART, FILLS = 0.25, 0.5
HIDDEN, TRACE = 0.08, 0.01


@dataclass(frozen=True)
class Photograph:
    """A picture of a package, with the box of each object in it, by label.

    Attributes:
        maybe: labels that are undecided where their box is not in view.
        is_texture: all of one thing, without an object that stands out.
    """

    name: str
    image: Image.Image
    objects: Mapping[str, Box]
    maybe: frozenset[str] = frozenset()
    is_texture: bool = False


@dataclass(frozen=True)
class DemoPicture:
    """A picture made for the demo, with what is known of it.

    Attributes:
        boxes: by label, where the object is, in fractions of the picture: left, top, width, height.
        sources: names of the photographs in it.
    """

    name: str
    image: Image.Image
    verdicts: Mapping[str, Verdict]
    boxes: Mapping[str, Sequence[Box]]
    sources: tuple[str, ...]


@dataclass(frozen=True)
class _View:
    """A crop of a photograph, put somewhere on a picture."""

    photograph: Photograph
    crop: Box
    place: Box
    is_mirrored: bool


def load_photographs(listing: Path) -> list[Photograph]:
    """The photographs that this machine's packages have; one that is missing is left out."""
    found = []
    for entry in tomllib.loads(listing.read_text(encoding="utf-8"))["pictures"]:
        spec = find_spec(entry["package"])
        folders = (spec.submodule_search_locations or []) if spec else []
        paths = [Path(folder) / entry["file"] for folder in folders]
        path = next((path for path in paths if path.is_file()), None)
        if path is not None:
            objects = {label: tuple(box) or WHOLE for label, box in entry["objects"].items()}
            with Image.open(path) as image:
                found.append(
                    Photograph(
                        name=entry["name"],
                        image=image.convert("RGB"),
                        objects=objects,
                        maybe=frozenset(entry.get("maybe", ())),
                        is_texture=entry.get("texture", False),
                    )
                )
    return found


def make_pictures(
    photographs: Sequence[Photograph],
    labels: Sequence[str],
    *,
    count: int = PICTURES,
    seed: int = 3,
) -> Iterator[DemoPicture]:
    """Make each photograph whole and in crops, then collages of two to six, `count` in all."""
    dice = random.Random(seed)  # noqa: S311  (pictures, not secrets)
    made = 0
    for photograph in photographs:
        for number in range(2 if photograph.is_texture else CROPS + 1):
            yield _single(photograph, number, labels, dice)
            made += 1
    layouts = [2, 3, 4, 2, 3, 4, 4, 5, 6]
    for number in range(count - made):
        yield _collage(photographs, layouts[number % len(layouts)], number, labels, dice)


def _single(
    photograph: Photograph, number: int, labels: Sequence[str], dice: random.Random
) -> DemoPicture:
    width, height = photograph.image.size
    if number == 0:
        crop, size = WHOLE, _fitted(width, height, 512)
        view = _View(photograph, crop, (0, 0, *size), is_mirrored=False)
    else:
        wide, high = dice.choice([(480, 360), (360, 480), (420, 420)])
        crop = _crop(photograph, wide / high, dice)
        view = _View(photograph, crop, (0, 0, wide, high), is_mirrored=dice.random() < 0.5)
    return _picture(f"single/{photograph.name}-{number}.jpg", [view], labels, dice)


def _collage(
    photographs: Sequence[Photograph],
    tiles: int,
    number: int,
    labels: Sequence[str],
    dice: random.Random,
) -> DemoPicture:
    views = []
    textures = [photograph for photograph in photographs if photograph.is_texture]
    plain = [photograph for photograph in photographs if not photograph.is_texture]
    chosen = dice.sample(plain, tiles)
    if textures and dice.random() < 0.4:
        chosen[-1] = dice.choice(textures)
    dice.shuffle(chosen)
    for photograph, place in zip(chosen, _places(tiles, dice), strict=True):
        ratio = (place[2] - place[0]) / (place[3] - place[1])
        crop = _crop(photograph, ratio, dice)
        views.append(_View(photograph, crop, place, is_mirrored=dice.random() < 0.5))
    return _picture(f"collage/{tiles}-{number:03d}.jpg", views, labels, dice)


def _picture(
    name: str, views: Sequence[_View], labels: Sequence[str], dice: random.Random
) -> DemoPicture:
    width = int(max(view.place[2] for view in views))
    height = int(max(view.place[3] for view in views))
    canvas = Image.new("RGB", (width, height), "white")
    for view in views:
        canvas.paste(_rendered(view, dice), (int(view.place[0]), int(view.place[1])))
    seen = {label: [_seen(view, label) for view in views] for label in labels}
    verdicts = {label: _together(found) for label, found in seen.items()}
    boxes = {
        label: [
            _box_on_canvas(view, label, width, height)
            for view, verdict in zip(views, found, strict=True)
            if verdict is Verdict.YES
        ]
        for label, found in seen.items()
    }
    return DemoPicture(
        name=name,
        image=canvas,
        verdicts={label: verdict for label, verdict in verdicts.items() if verdict is not None},
        boxes={label: places for label, places in boxes.items() if places},
        sources=tuple(view.photograph.name for view in views),
    )


def _rendered(view: _View, dice: random.Random) -> Image.Image:
    image = view.photograph.image
    box = tuple(
        edge * side for edge, side in zip(view.crop, (*image.size, *image.size), strict=True)
    )
    size = (int(view.place[2] - view.place[0]), int(view.place[3] - view.place[1]))
    made = image.resize(size, Image.Resampling.BICUBIC, box=box)  # type: ignore[arg-type]
    if view.is_mirrored:
        made = made.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return ImageEnhance.Brightness(made).enhance(dice.uniform(0.88, 1.12))


def _crop(photograph: Photograph, ratio: float, dice: random.Random) -> Box:
    """A crop of the given width over height, around one of the objects with some air."""
    width, height = photograph.image.size
    left, top, right, bottom = photograph.objects[dice.choice(sorted(photograph.objects))]
    if (left, top, right, bottom) == WHOLE:
        # A photograph that is all of one thing: any piece of it will do.
        share = dice.uniform(0.55, 1.0)
        wide = high = share * min(width, height)
    else:
        air = dice.uniform(0.8, 1.4)
        wide, high = air * (right - left) * width, air * (bottom - top) * height
    wide, high = max(wide, high * ratio), max(high, wide / ratio)
    shrink = min(1.0, width / wide, height / high)
    wide, high = min(1.0, wide * shrink / width), min(1.0, high * shrink / height)
    x = (left + right) / 2 - wide / 2 + dice.uniform(-0.1, 0.1) * wide
    y = (top + bottom) / 2 - high / 2 + dice.uniform(-0.1, 0.1) * high
    x, y = max(0.0, min(x, 1 - wide)), max(0.0, min(y, 1 - high))
    return x, y, min(1.0, x + wide), min(1.0, y + high)


def _seen(view: _View, label: str) -> Verdict | None:
    """Whether the crop shows the object; None where people would argue."""
    box = view.photograph.objects.get(label)
    otherwise = None if label in view.photograph.maybe else Verdict.NO
    if box is None:
        return otherwise
    common = _area(_common(box, view.crop))
    share, fill = common / _area(box), common / _area(view.crop)
    is_texture = box == WHOLE
    if (share >= SEEN and fill >= LEAST) or (share >= PART and fill >= FILLS) or is_texture:
        return Verdict.YES
    return otherwise if share < HIDDEN and fill < TRACE else None


def _together(found: Sequence[Verdict | None]) -> Verdict | None:
    if Verdict.YES in found:
        return Verdict.YES
    return None if None in found else Verdict.NO


def _box_on_canvas(view: _View, label: str, width: int, height: int) -> Box:
    box = _common(view.photograph.objects[label], view.crop)
    wide, high = view.crop[2] - view.crop[0], view.crop[3] - view.crop[1]
    left, right = (box[0] - view.crop[0]) / wide, (box[2] - view.crop[0]) / wide
    top, bottom = (box[1] - view.crop[1]) / high, (box[3] - view.crop[1]) / high
    if view.is_mirrored:
        left, right = 1 - right, 1 - left
    x0, y0, x1, y1 = view.place
    return (
        round((x0 + left * (x1 - x0)) / width, 4),
        round((y0 + top * (y1 - y0)) / height, 4),
        round((right - left) * (x1 - x0) / width, 4),
        round((bottom - top) * (y1 - y0) / height, 4),
    )


def _common(one: Box, other: Box) -> Box:
    return (
        max(one[0], other[0]),
        max(one[1], other[1]),
        min(one[2], other[2]),
        min(one[3], other[3]),
    )


def _area(box: Box) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def _fitted(width: int, height: int, longer: int) -> tuple[int, int]:
    scale = longer / max(width, height)
    return round(width * scale), round(height * scale)


def _places(tiles: int, dice: random.Random) -> list[Box]:
    """Where the tiles of a collage are, in pixels, with a narrow white gap between them."""
    width, height = dice.choice([(600, 420), (540, 480), (480, 540)])
    if tiles == 3 and dice.random() < 0.5:
        edge = round(width * dice.uniform(0.5, 0.62))
        right = _column([1, 1], edge + GAP, width, height)
        return [(0, 0, edge, height), *right]
    rows = {2: [2], 3: [1, 2], 4: [2, 2], 5: [2, 3], 6: [3, 3]}[tiles]
    if tiles == 2 and dice.random() < 0.4:
        rows = [1, 1]
    share = dice.uniform(0.44, 0.56)
    cuts = [0, height] if len(rows) == 1 else [0, round(height * share), height]
    places: list[Box] = []
    for row, (top, bottom) in zip(rows, pairwise(cuts), strict=True):
        top += GAP if top else 0
        for column in range(row):
            left = round(width * column / row) + (GAP if column else 0)
            places.append((left, top, round(width * (column + 1) / row), bottom))
    return places


def _column(heights: Sequence[int], left: int, right: int, height: int) -> list[Box]:
    cuts = [round(height * sum(heights[:at]) / sum(heights)) for at in range(len(heights) + 1)]
    return [(left, top + (GAP if top else 0), right, bottom) for top, bottom in pairwise(cuts)]
