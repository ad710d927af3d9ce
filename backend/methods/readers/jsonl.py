"""One JSON object per line: Patchlane's own lossless form, and what people have.

Source: formats.md 4.0. Also takes lists of such objects in one JSON file, gzip, `file` or `image`
with a path, `labels` as a list (present only) or a mapping, `boxes` in pixels, `spans`, rows of
`correct` ({"sample", "label", "verdict"}) and rows with an `answer` (see `_prodigy.py`). Fields it
has no other use for become metadata. In folders below the given one, `metadata.jsonl` is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from backend.errors import BadInputError, RefusedError
from backend.methods.readers._drafts import (
    Rough,
    as_mapping,
    fraction_region,
    listed,
    numbers,
    pixel_region,
    problem,
    span_region,
    verdict_of,
)
from backend.methods.readers._found import (
    Row,
    annotation_files,
    first_row,
    has_suffix,
    json_rows,
    nested_files,
)
from backend.methods.readers._media import Media
from backend.methods.readers._paths import clean_name, name_on_disk, shown
from backend.methods.readers._prodigy import plain
from backend.methods.readers._settings import ReaderSettings
from backend.types import Draft, FileProblem, Region, Verdict

_MEDIA = ("image", "file", "file_name", "filename", "filepath", "path")
_OWN = frozenset(
    {"sample", "text", "split", "labels", "label", "verdict", "who", "when", "names"}
    | {"regions", "boxes", "spans", "metadata", "width", "height"}
)
NESTED = "metadata.jsonl"
_SUFFIXES = (".jsonl", ".ndjson", ".json")
_TELLING = frozenset({*_MEDIA, "sample", "text"})


class JsonlReader:
    """Each row is a sample with its verdicts, or verdicts on a sample of the project."""

    @dataclass(frozen=True)
    class Settings(ReaderSettings):
        """Nothing of its own."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or self.Settings()

    def accepts(self, path: Path) -> bool:
        if path.is_dir():
            return bool(self._files(path))
        if not (path.is_file() and has_suffix(path, *_SUFFIXES)):
            return False
        # A file without a single readable row is taken too, to say what is wrong with it.
        return self._is_ours(path) or first_row(path, self.settings.limits) is None

    def read(self, path: Path) -> Iterator[Draft | FileProblem]:
        root = path if path.is_dir() else path.parent
        media = Media(root, self.settings)
        for file in self._files(path):
            beside = media.beside(file)
            called = name_on_disk(file, root)
            for row in json_rows(file, self.settings.limits):
                yield from self._draft(row, called, beside)
        if path.is_dir():
            yield from media.rest()

    def _files(self, path: Path) -> list[Path]:
        found = annotation_files(path, self._is_ours)
        return found + (nested_files(path, NESTED, self._is_ours) if path.is_dir() else [])

    def _is_ours(self, path: Path) -> bool:
        if not has_suffix(path, *_SUFFIXES):
            return False
        first = first_row(path, self.settings.limits)
        return first is not None and bool(_TELLING & first.keys())

    def _draft(self, row: Row, file: str, media: Media) -> Iterator[Draft | FileProblem]:
        rough = Rough("", file, row.where, self.settings.limits)
        try:
            if isinstance(row.value, Exception):
                raise row.value
            fields, notes = plain(as_mapping(row.value, "the row"))
            _identify(rough, fields, media, otherwise=f"{file}:{row.number}")
        except (BadInputError, RefusedError) as error:
            yield problem(file, row.where, error)
            return
        for note in notes:
            rough.note(note)
        _take_verdicts(rough, fields)
        _take_regions(rough, fields, media)
        _take_boxes(rough, fields, media)
        yield from rough.finish()


def _identify(rough: Rough, fields: Mapping[str, object], media: Media, *, otherwise: str) -> None:
    """Take name, media, text and all that is not about labels."""
    if _is_given(fields.get("sample")):
        rough.name = clean_name(fields["sample"])
    used = {*_OWN}
    for key in _MEDIA:
        if _is_given(fields.get(key)):
            media.take(rough, fields[key])
            used.add(key)
            break
    if _is_given(fields.get("text")) and rough.path is None and rough.text is None:
        rough.set_text(fields["text"])
    elif "text" in fields and rough.path is not None:
        used.discard("text")
    if not rough.name:
        key = next((key for key in ("name", "id") if _is_given(fields.get(key))), None)
        if key is None and rough.text is None:
            raise BadInputError(f"it names no sample; give one of {', '.join(sorted(_TELLING))}")
        rough.name = clean_name(fields[key]) if key else otherwise
        used |= {key or ""}
    rough.set_split(fields.get("split"))
    rough.set_split_by_folder(media.base)
    rough.set_author(fields.get("who"), fields.get("when"))
    rough.names = tuple(clean_name(name) for name in listed(fields.get("names")))
    rough.metadata.update({key: fields[key] for key in fields if key not in used})
    if fields.get("metadata") is not None:
        rough.metadata.update(as_mapping(fields["metadata"], "the metadata"))


def _take_verdicts(rough: Rough, fields: Mapping[str, object]) -> None:
    labels = fields.get("labels")
    if isinstance(labels, Mapping):
        for label, said in labels.items():
            _decide(rough, label, said)
    elif labels is None and "label" in fields and "verdict" in fields:
        _decide(rough, fields["label"], fields["verdict"])
    elif labels is not None or "label" in fields:
        rough.only_present = True
        for entry in listed(fields.get("label") if labels is None else labels):
            if isinstance(entry, Mapping):
                _decide(rough, entry.get("label"), entry.get("verdict", "yes"))
            else:
                rough.decide(entry, Verdict.YES)
    else:
        rough.only_present = bool(fields.get("boxes") or fields.get("spans"))


def _decide(rough: Rough, label: object, said: object) -> None:
    """Take one verdict; null leaves a label open, also where a region shows it."""
    if said is None:
        rough.leave_open(label)
        return
    verdict = verdict_of(said)
    if verdict is None:
        rough.note(f"the verdict {shown(said)} on {shown(label)} is not yes, no or unsure")
    else:
        rough.decide(label, verdict)


def _take_regions(rough: Rough, fields: Mapping[str, object], media: Media) -> None:
    """Regions of our own form (fractions of the picture), spans of texts, shapes in pixels."""
    for entry in listed(fields.get("regions")) + listed(fields.get("spans")):
        try:
            region = as_mapping(entry, "a region")
            said = region.get("verdict", region.get("here", "yes"))  # `here`: rows of `correct`
            verdict = verdict_of(said)
            if verdict is None:
                raise BadInputError(f"{shown(said)} is not yes, no or unsure")
            place = _region(rough, region, fields, media)
            rough.mark(region.get("label", fields.get("label")), place, verdict)
        except (BadInputError, RefusedError) as error:
            rough.note(error)


def _region(
    rough: Rough, region: Mapping[str, object], fields: Mapping[str, object], media: Media
) -> Region:
    for kind in ("box", "polygon"):
        if kind in region:
            return fraction_region(kind, region[kind])
    if "points" in region or "width" in region:
        size = media.size(rough, fields.get("width"), fields.get("height"))
        sides = [region.get(side) for side in ("x", "y", "width", "height")]
        if region.get("type", "rect") != "rect":
            return pixel_region("polygon", region.get("points"), *size)
        return pixel_region("box", _around(region) if None in sides else sides, *size)
    if "span" in region:
        start, end = (*listed(region["span"]), None, None)[:2]
        return span_region(start, end, rough.text)
    return span_region(region.get("start"), region.get("end"), rough.text)


def _around(region: Mapping[str, object]) -> list[float]:
    """x, y, width, height of what is given by its corners."""
    points = numbers(region.get("points"), "points")
    across, down = points[0::2], points[1::2]
    if not down:
        raise BadInputError(f"the points {shown(region.get('points'))} are not x and y")
    return [min(across), min(down), max(across) - min(across), max(down) - min(down)]


def _take_boxes(rough: Rough, fields: Mapping[str, object], media: Media) -> None:
    """Boxes as people have them: pixels, with the picture's size in the row or in its file."""
    for entry in listed(fields.get("boxes")):
        try:
            box = as_mapping(entry, "a box")
            width, height = media.size(rough, fields.get("width"), fields.get("height"))
            pixels = next((box[key] for key in ("xywh", "bbox", "box") if key in box), None)
            rough.mark(box.get("label"), pixel_region("box", pixels, width, height))
        except (BadInputError, RefusedError) as error:
            rough.note(error)


def _is_given(value: object) -> bool:
    return value is not None and value != ""
