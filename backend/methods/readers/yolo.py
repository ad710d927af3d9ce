"""YOLO folders: pictures, a text file beside each, and `data.yaml` or `classes.txt` with names.

Source: formats.md 4.3. `images/train/a.jpg` is told of in `labels/train/a.txt`, or in a file
beside it. Lines are boxes (`class cx cy w h`) or polygons (`class x1 y1 ...`); a further number is
a confidence, and makes a prediction of it. An empty text file says that nothing is there; without
a text file nothing is said. A polygon that is an upright rectangle is read as a box. What Patchlane
wrote brings names and labels of whole images back from `labels.csv`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import orjson
import yaml

from backend import images
from backend.errors import BadInputError, RefusedError
from backend.methods.readers._drafts import Rough, listed, pixel_region, problem
from backend.methods.readers._found import annotation_files, has_suffix
from backend.methods.readers._lines import decode_text, open_bytes
from backend.methods.readers._media import take_file
from backend.methods.readers._paths import clean_name, name_on_disk, shown
from backend.methods.readers._settings import ReaderSettings
from backend.methods.readers._table import table_rows
from backend.methods.readers._walk import walk
from backend.settings import Limits
from backend.types import Draft, FileProblem, Region, Split, Verdict

_MOST_YAML = 1_000_000
"""Bytes; parsing one takes seconds per megabyte."""
_MOST_LINES = 20_000_000
"""Bytes of one picture's text file."""
_SPLITS = ("train", "val", "test")
_CLASSES = "classes.txt"
_COLUMNS = ["file", "sample", "split", "labels"]
_UPRIGHT = 1e-9


@dataclass(frozen=True)
class _Told:
    """What `labels.csv` says of one picture."""

    sample: str
    split: str
    labels: tuple[str, ...]


@dataclass
class _Dataset:
    """What the files of the root say of all pictures.

    Attributes:
        names: class number -> label.
        splits: folder or file below the root -> split, the longest match counts.
        has_keypoints: lines are boxes with further points after them.
        told: picture below the root -> what `labels.csv` says of it.
    """

    names: dict[int, str] = field(default_factory=dict)
    splits: dict[str, str] = field(default_factory=dict)
    has_keypoints: bool = False
    told: dict[str, _Told] = field(default_factory=dict)


class YoloReader:
    """Each picture below the folder is a sample."""

    @dataclass(frozen=True)
    class Settings(ReaderSettings):
        """Nothing of its own."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or self.Settings()

    def accepts(self, path: Path) -> bool:
        if path.is_dir():
            has_classes = (path / _CLASSES).is_file() and (path / "labels").is_dir()
            return has_classes or bool(annotation_files(path, self._is_description))
        return path.is_file() and self._is_description(path)

    def read(self, path: Path) -> Iterator[Draft | FileProblem]:
        root = path if path.is_dir() else path.parent
        dataset = _Dataset()
        yield from self._describe(path, root, dataset)
        waiting: set[str] = set()
        pictures: list[Path] = []
        for found in walk(root, is_following_links=self.settings.is_following_links):
            if isinstance(found, FileProblem):
                yield found
            elif found.suffix.lower() in images.SUFFIXES:
                pictures.append(found)
            elif found.suffix.lower() == ".txt":
                waiting.add(name_on_disk(found, root))
        here = {name_on_disk(picture, root): picture for picture in pictures}
        for name in dict.fromkeys((*here, *dataset.told)):  # told: its picture may be elsewhere
            beside = next((one for one in _beside(name) if one in waiting), None)
            if beside is not None:
                waiting.remove(beside)
            yield from self._picture(here.get(name), name, beside, root, dataset)
        for name in sorted(waiting):
            if "labels" in PurePosixPath(name).parts[:-1] and not name.endswith(_CLASSES):
                yield FileProblem(name, "there is no picture of this name")

    def _is_description(self, path: Path) -> bool:
        if not has_suffix(path, ".yaml", ".yml"):
            return False
        try:
            fields = _parsed(path, self.settings.limits)
        except (BadInputError, RefusedError):
            return False
        return "names" in fields and any(split in fields for split in _SPLITS)

    def _describe(self, path: Path, root: Path, dataset: _Dataset) -> Iterator[FileProblem]:
        """Fill the dataset; yield what of its files cannot be used."""
        files = annotation_files(path, self._is_description)
        if len(files) > 1:
            others = ", ".join(file.name for file in files[1:])
            yield FileProblem(files[0].name, f"was read, and {others} beside it was not")
        limits = self.settings.limits
        if files and has_suffix(files[0], ".yaml", ".yml"):
            try:
                fields = _parsed(files[0], limits)
                dataset.names = _names(fields["names"], limits)
            except (BadInputError, RefusedError) as error:
                yield problem(files[0].name, "", error)
                return
            dataset.has_keypoints = "kpt_shape" in fields
            for split in _SPLITS:
                for place in listed(fields.get(split)):
                    yield from _split(split, place, files[0].name, root, dataset, limits)
        elif (root / _CLASSES).is_file() and not (root / _CLASSES).is_symlink():
            try:
                lines = _text(root / _CLASSES, _MOST_YAML).splitlines()
                dataset.names = _names([line.strip() for line in lines if line.strip()], limits)
            except (BadInputError, RefusedError) as error:
                yield problem(_CLASSES, "", error)
        table = root / "labels.csv"
        if table.is_file() and not table.is_symlink():
            yield from _read_table(table, dataset, limits)

    def _picture(
        self, picture: Path | None, name: str, beside: str | None, root: Path, dataset: _Dataset
    ) -> Iterator[Draft | FileProblem]:
        told = dataset.told.get(name)
        rough = Rough("", beside or name, "", self.settings.limits)
        try:
            rough.name = clean_name(told.sample if told else name)
            if picture is not None:
                take_file(rough, picture, self.settings)
        except (BadInputError, RefusedError) as error:
            yield FileProblem(name, str(error))
            return
        rough.set_split(told.split if told else _split_of(name, dataset))
        for label in told.labels if told else ():
            rough.decide(label, Verdict.YES)
        if beside is not None:
            rough.only_present = True
            try:
                text = _text(root / beside, _MOST_LINES)
            except (BadInputError, RefusedError) as error:
                rough.note(error)
            else:
                for number, line in enumerate(text.splitlines(), start=1):
                    rough.where = f"line {number}"
                    _take(rough, line.split(), dataset)
        yield from rough.finish()


def _parsed(path: Path, limits: Limits) -> Mapping[str, object]:
    """The fields of a description; every scalar is text, so that a label may be called no.

    Raises:
        BadInputError: not YAML, or not a mapping.
        RefusedError: over the limit of bytes.
    """
    with open_bytes(path, limits) as stream:
        data = stream.read(_MOST_YAML + 1)
    if len(data) > _MOST_YAML:
        raise RefusedError(f"is larger than {_MOST_YAML:,} bytes, the limit")
    try:
        # BaseLoader makes texts, lists and mappings of whatever the file says, and nothing else.
        loaded = yaml.BaseLoader(decode_text(data)).get_single_data()
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadInputError(f"is not YAML: {said}") from error
    if not isinstance(loaded, Mapping):
        raise BadInputError("is not a mapping of names")
    return {str(key): value for key, value in loaded.items()}


def _text(path: Path, most: int) -> str:
    """A small text file, which may be empty.

    Raises:
        BadInputError: binary, or in another encoding.
        RefusedError: over the limit.
    """
    try:
        size = path.stat().st_size
        if size > most:
            raise RefusedError(f"has {size:,} bytes; the limit is {most:,}")
        return decode_text(path.read_bytes())
    except OSError as error:
        raise BadInputError(f"cannot be read: {error.strerror or error}") from error


def _names(raw: object, limits: Limits) -> dict[int, str]:
    """Class numbers and their labels, from a list or a mapping.

    Raises:
        BadInputError: neither, or a number or name that is none.
        RefusedError: a name over the limit.
    """
    if isinstance(raw, list):
        raw = {str(number): name for number, name in enumerate(raw)}
    if not isinstance(raw, Mapping):
        raise BadInputError("names is not a list or a mapping of numbers to names")
    found: dict[int, str] = {}
    for number, name in raw.items():
        if not (isinstance(number, str) and number.isdecimal() and len(number) < 10):
            raise BadInputError(f"names has {shown(number)} where a class number is expected")
        if not isinstance(name, str) or not name.strip():
            raise BadInputError(f"class {number} is called {shown(name)}; give a name")
        if len(name) > limits.label_characters:
            raise RefusedError(
                f"the name of class {number} has {len(name):,} characters; the limit is "
                f"{limits.label_characters:,}"
            )
        found[int(number)] = name
    return found


def _split(
    split: str, place: object, file: str, root: Path, dataset: _Dataset, limits: Limits
) -> Iterator[FileProblem]:
    """Note a folder of a split, or the pictures that a list file names."""
    try:
        name = _below(place)
    except (BadInputError, RefusedError) as error:
        yield problem(file, split, error)
        return
    listing = root / name
    if not name.endswith(".txt"):
        dataset.splits.setdefault(name, split)
    elif listing.is_file() and listing.resolve().is_relative_to(root.resolve()):
        try:
            for line in _text(listing, limits.upload_bytes).splitlines():
                if line.strip():
                    dataset.splits.setdefault(_below(line.strip()), split)
        except (BadInputError, RefusedError) as error:
            yield problem(name, "", error)
    else:
        yield problem(file, split, f"there is no {shown(name)} beside it")


def _below(place: object) -> str:
    """A place of a description relative to its folder; many begin with a `../` that is not meant.

    Raises:
        BadInputError: no path.
        RefusedError: an absolute path, or one that leaves the folder.
    """
    if isinstance(place, str):
        while place.startswith(("../", "./")):
            place = place.split("/", 1)[1]
    return str(PurePosixPath(clean_name(place)))


def _split_of(name: str, dataset: _Dataset) -> str | None:
    """The split whose folder (or list) a picture is in; else one that a folder is named after."""
    path = PurePosixPath(name)
    for above in (path, *path.parents):
        if str(above) in dataset.splits and str(above) != ".":
            return dataset.splits[str(above)]
    named = {"train": Split.TRAIN, "val": Split.VAL, "valid": Split.VAL, "test": Split.TEST}
    return next((str(named[part]) for part in path.parts[:-1] if part in named), None)


def _beside(name: str) -> Iterator[str]:
    """Where what is said of a picture may be: with `labels` for an `images`, or beside it.

    The last `images` of the path is the one that trainers mean.
    """
    path = PurePosixPath(name)
    parts = path.parts
    for at in reversed(range(len(parts) - 1)):
        if parts[at] == "images":
            yield str(PurePosixPath(*parts[:at], "labels", *parts[at + 1 :]).with_suffix(".txt"))
    yield str(path.with_suffix(".txt"))


def _read_table(table: Path, dataset: _Dataset, limits: Limits) -> Iterator[FileProblem]:
    """Names and labels of whole pictures, from a table that Patchlane wrote and no other."""
    for row in table_rows(table, limits):
        if row.line == 1:
            if row.cells != _COLUMNS:
                return
            continue
        try:
            if not isinstance(row.cells, list):
                raise row.cells
            if len(row.cells) != len(_COLUMNS):
                raise BadInputError(f"has {len(row.cells)} cells; {len(_COLUMNS)} are expected")
            file, sample, split, labels = row.cells
            file = str(PurePosixPath(clean_name(file)))
            if file == ".":
                raise BadInputError("names no file")
            try:
                told = orjson.loads(labels)
            except orjson.JSONDecodeError:
                told = None
            if not isinstance(told, list) or not all(isinstance(one, str) for one in told):
                raise BadInputError(f"the labels {shown(labels)} are not a JSON list of names")
        except (BadInputError, RefusedError) as error:
            yield problem(table.name, f"line {row.line}", error)
            continue
        dataset.told[file] = _Told(sample, split, tuple(told))


def _take(rough: Rough, words: list[str], dataset: _Dataset) -> None:
    """One line of a picture's text file."""
    if not words:
        return
    try:
        label = _label(words[0], dataset)
        numbers = [_number(word) for word in words[1:]]
        if dataset.has_keypoints:
            numbers = numbers[:4]
        if len(numbers) >= 5 and len(numbers) % 2:
            rough.predict(label, numbers[-1])
            return
        rough.mark(label, _region(numbers))
    except (BadInputError, RefusedError) as error:
        rough.note(error)


def _label(word: str, dataset: _Dataset) -> str:
    number = _number(word)
    if not number.is_integer() or int(number) not in dataset.names:
        raise BadInputError(f"class {shown(word)} has no name")
    return dataset.names[int(number)]


def _number(word: str) -> float:
    try:
        number = float(word)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise BadInputError(f"{shown(word)} is not a finite number")
    return number


def _region(numbers: list[float]) -> Region:
    """A box or polygon in 0..1, cut to the picture; in pixels it is refused."""
    if any(abs(number) > 2 for number in numbers):
        raise BadInputError(f"{shown(numbers)} is not in 0..1 of the picture")
    if len(numbers) == 4:
        x, y, width, height = numbers
        return pixel_region("box", [x - width / 2, y - height / 2, width, height], 1.0, 1.0)
    polygon = pixel_region("polygon", numbers, 1.0, 1.0)
    return _upright(polygon.points) or polygon


def _upright(points: tuple[float, ...]) -> Region | None:
    """The box that four corners are, in the order that boxes are written in."""
    if len(points) != 8:
        return None
    left, top, right, _, _, bottom, _, _ = points
    corners = (left, top, right, top, right, bottom, left, bottom)
    is_box = all(abs(a - b) <= _UPRIGHT for a, b in zip(points, corners, strict=True))
    if not is_box or right <= left or bottom <= top:
        return None
    return Region("box", (left, top, right - left, bottom - top))
