"""COCO JSON: images, categories and annotations; and results files.

Source: formats.md 4.2. COCO has no form for a label of a whole image; both conventions are read:
an annotation without `bbox`, or with a box that is the whole picture. Boxes and polygons become
regions, and the label is present. Annotations with a score are predictions, and so is every row
of a results file, whose names come from the dataset file beside it. COCO lists what is present.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from backend.errors import BadInputError, RefusedError
from backend.methods.readers._drafts import (
    Rough,
    as_mapping,
    listed,
    number,
    numbers,
    pixel_region,
    problem,
)
from backend.methods.readers._found import annotation_files, first_row, has_suffix
from backend.methods.readers._lines import first_bytes, read_json
from backend.methods.readers._media import Media
from backend.methods.readers._paths import clean_name, shown
from backend.methods.readers._settings import ReaderSettings
from backend.types import Draft, FileProblem, Region, Verdict

_FOLDERS = ("", "annotations")
_HEAD = 1_000_000
_TELLING = tuple(
    (re.compile(rb'"%s"\s*:\s*\[' % first), [re.compile(rb'"%s"\s*:' % one) for one in others])
    for first, others in (
        (b"images", (b"(?:annotations|categories|file_name)",)),
        # Sorted keys put megabytes of annotations before the first image.
        (b"annotations", (b"image_id", b"category_id")),
    )
)
"""A list of the document, and what else the head of a file that holds it names."""
_USED = frozenset({"id", "width", "height", "file_name", "sample", "names", "split", "metadata"})
_SPLIT_IN_NAME = re.compile(r"(?:^|_)(train|val|valid|test)\d*$")
_FRAME_SLACK = 0.5
"""Pixels by which a box may miss the edge and still be the whole picture."""


@dataclass
class _Dataset:
    """What dataset files say, by id; ids are unique over the files of one folder."""

    categories: dict[object, object] = field(default_factory=dict)
    images: dict[object, Mapping[str, object]] = field(default_factory=dict)
    annotations: dict[object, list[Mapping[str, object]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    scored_places: int = 0

    def lost_places(self, file: Path) -> Iterator[FileProblem]:
        """That a prediction is a score here, however exactly its file says where it is."""
        if self.scored_places:
            told = "prediction has" if self.scored_places == 1 else "predictions have"
            what = f"{self.scored_places:,} {told} a place, which is not taken; the score is"
            yield problem(file.name, "", what)


class CocoReader:
    """Each image of the file is a sample."""

    @dataclass(frozen=True)
    class Settings(ReaderSettings):
        """Nothing of its own."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or self.Settings()

    def accepts(self, path: Path) -> bool:
        if path.is_dir():
            return bool(annotation_files(path, self._is_dataset, folders=_FOLDERS))
        return path.is_file() and (self._is_dataset(path) or self._is_results(path))

    def read(self, path: Path) -> Iterator[Draft | FileProblem]:
        if not path.is_dir() and self._is_results(path):
            yield from self._results(path)
            return
        in_annotations = not path.is_dir() and path.parent.name in _FOLDERS
        root = path if path.is_dir() else path.parent.parent if in_annotations else path.parent
        tokens = [f.stem.split("_")[-1] for f in self._files(path)]
        places = ("", *_FOLDERS[1:], "images", *tokens, *(f"images/{token}" for token in tokens))
        media = Media(root, self.settings, places=tuple(dict.fromkeys(places)))
        for file in self._files(path):
            dataset = _Dataset()
            yield from self._load(file, dataset)
            for image in dataset.images.values():
                yield from self._image(image, file, dataset, media)
            yield from dataset.lost_places(file)
        if path.is_dir():
            yield from media.rest()

    def _files(self, path: Path) -> list[Path]:
        return annotation_files(path, self._is_dataset, folders=_FOLDERS)

    def _is_dataset(self, path: Path) -> bool:
        if not has_suffix(path, ".json"):
            return False
        head = first_bytes(path, _HEAD, self.settings.limits).lstrip(b"\xef\xbb\xbf \t\r\n")
        return head.startswith(b"{") and any(
            first.search(head) and all(one.search(head) for one in others)
            for first, others in _TELLING
        )

    def _is_results(self, path: Path) -> bool:
        if not has_suffix(path, ".json"):
            return False
        first = first_row(path, self.settings.limits)
        return first is not None and {"image_id", "category_id", "score"} <= first.keys()

    def _load(self, file: Path, dataset: _Dataset) -> Iterator[FileProblem]:
        """Fill the dataset; yield what of the file cannot be used."""
        try:
            document = as_mapping(read_json(file, self.settings.limits), "the document")
        except (BadInputError, RefusedError) as error:
            yield problem(file.name, "", error)
            return
        for kind in ("categories", "images", "annotations"):
            for at, entry in enumerate(listed(document.get(kind)), start=1):
                try:
                    _add(kind, as_mapping(entry, "the entry"), dataset)
                except BadInputError as error:
                    yield problem(file.name, f"{kind} entry {at}", error)

    def _image(
        self, image: Mapping[str, object], file: Path, dataset: _Dataset, media: Media
    ) -> Iterator[Draft | FileProblem]:
        rough = Rough("", file.name, f"image {shown(image['id'])}", self.settings.limits)
        try:
            _identify(rough, image, file, media)
        except (BadInputError, RefusedError) as error:
            yield problem(file.name, rough.where, error)
            return
        annotations = dataset.annotations.get(image["id"], [])
        width = height = 0.0
        if annotations:
            try:
                width, height = media.size(rough, image.get("width"), image.get("height"))
            except (BadInputError, RefusedError) as error:
                rough.note(error)
        for annotation in annotations:
            try:
                _annotate(rough, annotation, dataset, (width, height))
            except (BadInputError, RefusedError) as error:
                rough.note(error)
        yield from rough.finish()

    def _results(self, path: Path) -> Iterator[Draft | FileProblem]:
        """Scores by image and category, named by the dataset files in the same folder."""
        dataset = _Dataset()
        for beside in annotation_files(path.parent, self._is_dataset, folders=_FOLDERS):
            for _ in self._load(beside, dataset):
                pass  # its own import names its problems
        if not dataset.categories:
            reason = "needs the dataset file with images and categories beside it"
            yield problem(path.name, "", reason)
            return
        roughs: dict[object, Rough] = {}
        try:
            rows = listed(read_json(path, self.settings.limits))
        except (BadInputError, RefusedError) as error:
            yield problem(path.name, "", error)
            return
        for at, entry in enumerate(rows, start=1):
            try:
                row = as_mapping(entry, "the row")
                key = _id(row.get("image_id"), "image_id")
                image = dataset.images.get(key)
                if image is None:
                    raise BadInputError(f"there is no image {shown(key)} in the file beside it")
                if key not in roughs:
                    named = clean_name(image.get("sample") or image.get("file_name"))
                    roughs[key] = Rough(named, path.name, "", self.settings.limits)
                roughs[key].where = f"row {at}"
                roughs[key].predict(_category(row, dataset), row.get("score"))
                dataset.scored_places += _has_place(row)
            except (BadInputError, RefusedError) as error:
                yield problem(path.name, f"row {at}", error)
        for rough in roughs.values():
            yield from rough.finish()
        yield from dataset.lost_places(path)


def _add(kind: str, entry: Mapping[str, object], dataset: _Dataset) -> None:
    if kind == "categories":
        dataset.categories[_id(entry.get("id"), "id")] = entry.get("name")
    elif kind == "images":
        dataset.images[_id(entry.get("id"), "id")] = entry
    else:
        image = _id(entry.get("image_id"), "image_id")
        if image not in dataset.images:
            raise BadInputError(f"there is no image {shown(image)}")
        dataset.annotations[image].append(entry)


def _id(raw: object, what: str) -> object:
    if isinstance(raw, bool) or not isinstance(raw, int | str):
        raise BadInputError(f"the {what} is {shown(raw)}; give a number or a text")
    return raw


def _category(entry: Mapping[str, object], dataset: _Dataset) -> object:
    key = _id(entry.get("category_id"), "category_id")
    if key not in dataset.categories:
        raise BadInputError(f"there is no category {shown(key)}")
    return dataset.categories[key]


def _identify(rough: Rough, image: Mapping[str, object], file: Path, media: Media) -> None:
    if image.get("sample"):
        rough.name = clean_name(image["sample"])
    media.take(rough, image.get("file_name"))
    split = _SPLIT_IN_NAME.search(file.stem)
    rough.set_split(image.get("split") or (split.group(1) if split else None))
    rough.names = tuple(clean_name(name) for name in listed(image.get("names")))
    rough.metadata.update({key: image[key] for key in image if key not in _USED})
    if image.get("metadata") is not None:
        rough.metadata.update(as_mapping(image["metadata"], "the metadata"))
    rough.only_present = True


def _annotate(
    rough: Rough,
    annotation: Mapping[str, object],
    dataset: _Dataset,
    size: tuple[float, float],
) -> None:
    label = _category(annotation, dataset)
    if annotation.get("score") is not None:
        rough.predict(label, number(annotation["score"], "score"))
        dataset.scored_places += _has_place(annotation)
        return
    regions = _regions(annotation, size)
    for region in regions:
        rough.mark(label, region)
    if not regions:
        rough.decide(label, Verdict.YES)
    if isinstance(annotation.get("segmentation"), Mapping):
        kept = "its box is" if regions else "the label of the whole picture is"
        rough.note(f"the run-length mask of {shown(label)} is not taken, {kept}")


def _has_place(entry: Mapping[str, object]) -> bool:
    return bool(entry.get("bbox") or entry.get("segmentation"))


def _regions(annotation: Mapping[str, object], size: tuple[float, float]) -> list[Region]:
    """The regions of an annotation; none if it is about the whole image."""
    polygons = annotation.get("segmentation")
    if isinstance(polygons, list) and polygons:
        # A flat list is one polygon; of run-length masks (an object) the box is kept.
        each = polygons if isinstance(polygons[0], list) else [polygons]
        return [pixel_region("polygon", polygon, *size) for polygon in each]
    box = annotation.get("bbox")
    if not box or annotation.get("image_level") is True:
        return []
    points = numbers(box, "bbox")
    off = [abs(a - b) for a, b in zip(points, (0.0, 0.0, *size), strict=False)]
    if annotation.get("image_level") is None and len(points) == 4 and max(off) <= _FRAME_SLACK:
        return []
    return [pixel_region("box", points, *size)]
