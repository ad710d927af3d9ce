"""What somebody brought: choose a reader, unpack archives, preview, hand drafts to the store.

Nothing is stored by a preview. A take goes on after every problem and reports it by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from backend import catalogue
from backend.contracts import Reader
from backend.errors import BadInputError, NotFoundError
from backend.settings import Settings
from backend.types import Draft, FileProblem, Kind, Region, Verdict

FIRST_SHOWN = 12
PROBLEMS_SHOWN = 200


@dataclass(frozen=True)
class ImportPreview:
    """What was understood before anything is stored.

    Attributes:
        format: the reader's name, e.g. "folder" or "coco".
        kind: images or texts; None when only annotations came.
        samples: drafts with a file or a text.
        annotations: verdicts, regions and predictions found.
    """

    format: str
    kind: Kind | None
    samples: int
    annotations: int
    labels: tuple[str, ...]
    problems: tuple[FileProblem, ...]
    first: tuple[Draft, ...]


def formats() -> list[str]:
    """The names a person may give as `--format`, in the order they are tried."""
    return [line.key.split("/")[1] for line in catalogue.entries("readers")]


@contextmanager
def opened(
    path: Path,
    *,
    format: str,
    settings: Settings,
    follow_links: bool,
) -> Iterator[tuple[str, Iterator[Draft | FileProblem]]]:
    """The reader's name and what it reads; an archive is unpacked for the time of the block.

    Raises:
        NotFoundError: nothing is at `path`.
        BadInputError: no reader takes it, or the format is unknown.
    """
    if not path.exists():
        raise NotFoundError(f"there is nothing at {path}")
    archive = catalogue.load("readers/archive")()
    if path.is_file() and format in ("auto", "archive") and archive.accepts(path):
        with TemporaryDirectory(prefix="patchlane-") as folder:
            root, problems = archive.unpack(path, Path(folder), settings.limits)
            name, reader = _reader(root, "auto", follow_links)
            yield name, _both(problems, reader.read(root))
        return
    name, reader = _reader(path, format, follow_links)
    yield name, reader.read(path)


def preview(path: Path, *, settings: Settings, format: str = "auto") -> ImportPreview:
    """Read everything once and store nothing."""
    labels: dict[str, None] = {}
    problems, first, samples, annotations, kind = [], [], 0, 0, None
    with opened(path, format=format, settings=settings, follow_links=False) as (name, found):
        for item in found:
            if isinstance(item, FileProblem):
                problems.append(item)
                continue
            if item.path is not None or item.text is not None:
                samples += 1
                kind = kind or (Kind.TEXT if item.text is not None else Kind.IMAGE)
                first += [item] if len(first) < FIRST_SHOWN else []
            annotations += len(item.verdicts) + len(item.regions) + len(item.predictions)
            mentioned = (*item.verdicts, *(r.label for r in item.regions), *item.predictions)
            labels.update(dict.fromkeys(mentioned))
    return ImportPreview(
        format=name,
        kind=kind,
        samples=samples,
        annotations=annotations,
        labels=tuple(labels),
        problems=tuple(islice(problems, PROBLEMS_SHOWN)),
        first=tuple(first),
    )


@dataclass(frozen=True)
class Answer:
    """One row of a correction: a verdict, or (label None) "all others of this sample are NO"."""

    sample: int | str
    label: int | str | None = None
    verdict: Verdict | None = None
    regions: tuple[Region, ...] = ()


def answers(rows: Sequence[Mapping[str, object]]) -> Iterator[Answer]:
    """Rows as programs and screens write them, in one form.

    Raises:
        BadInputError: names the row and what is wrong with it.
    """
    for number, row in enumerate(rows, 1):
        sample = _name(row.get("sample"), "sample", number)
        if row.get("complete") is True:
            yield Answer(sample)
            continue
        if "verdict" not in row:
            raise BadInputError(f"row {number} gives no verdict; say yes, no, unsure or null")
        label = _name(row.get("label"), "label", number)
        regions = row.get("regions") or ()
        if not isinstance(regions, Sequence) or isinstance(regions, str):
            raise BadInputError(f"row {number}: regions is not a list")
        found = tuple(_region(item, number) for item in regions)
        yield Answer(sample, label, _verdict(row["verdict"], number), found)


def _name(value: object, what: str, number: int) -> int | str:
    if isinstance(value, bool) or not isinstance(value, int | str) or value == "":
        raise BadInputError(f"row {number} names no {what}; give its name or id")
    return value


def _verdict(value: object, number: int) -> Verdict | None:
    if value is None:
        return None
    try:
        return Verdict(str(value))
    except ValueError:
        raise BadInputError(
            f"row {number}: {value!r} is no verdict; say yes, no, unsure or null"
        ) from None


def _region(item: object, number: int) -> Region:
    if isinstance(item, Region):
        return item
    if isinstance(item, Mapping):
        for kind, count in (("box", 4), ("polygon", 6), ("span", 2)):
            if kind in item:
                points = np.asarray(item[kind], np.float64).reshape(-1)
                fits = len(points) == count or (kind == "polygon" and len(points) >= count)
                if fits and np.isfinite(points).all() and (points >= 0).all():
                    return Region(kind, tuple(float(value) for value in points))
    raise BadInputError(
        f"row {number}: a region is a box [x, y, w, h], a polygon [[x, y], ...] in 0..1 "
        "or a span [start, end]"
    )


def _reader(path: Path, format: str, follow_links: bool) -> tuple[str, Reader]:
    if format != "auto":
        if format not in formats():
            raise BadInputError(
                f"unknown format {format!r}; known are auto, {', '.join(formats())}"
            )
        return format, _built(format, follow_links)
    for name in formats():
        reader = _built(name, follow_links)
        if reader.accepts(path):
            return name, reader
    raise BadInputError(
        f"{path.name} is none of the formats Patchlane reads ({', '.join(formats())}); "
        "name one with --format if you know better"
    )


def _built(name: str, follow_links: bool) -> Reader:
    method: Any = catalogue.load(f"readers/{name}")
    settings = getattr(method, "Settings", None)
    if settings is None or "follow_links" not in {field.name for field in fields(settings)}:
        return method()
    return method(settings(follow_links=follow_links))


def _both(
    problems: list[FileProblem], found: Iterator[Draft | FileProblem]
) -> Iterator[Draft | FileProblem]:
    yield from problems
    yield from found
