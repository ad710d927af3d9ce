"""What somebody brought: choose a reader, unpack archives, preview, hand drafts to the store.

Nothing is stored by a preview. A take goes on after every problem and reports it by name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

from backend import catalogue
from backend.contracts import Reader
from backend.errors import BadInputError, NotFoundError
from backend.settings import Settings
from backend.types import BroughtVectors, Draft, FileProblem, Kind

FIRST_SHOWN = 12
PROBLEMS_SHOWN = 200
Found = Draft | BroughtVectors | FileProblem


@dataclass(frozen=True)
class ImportPreview:
    """What was understood before anything is stored.

    Attributes:
        format: the reader's name, e.g. "folder" or "coco".
        kind: what most samples are, images or texts; None when only annotations came.
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


def reading(
    path: Path, *, format: str = "auto", settings: Settings, follow_links: bool = False
) -> tuple[str, Iterator[Found]]:
    """The reader's name and what it reads; an archive is unpacked while it is being read.

    Pictures are not decoded by the reader: whoever takes the drafts decodes them once.

    Raises:
        NotFoundError: nothing is at `path`.
        BadInputError: no reader takes it, or the format is unknown.
    """
    if not path.exists():
        raise NotFoundError(f"there is nothing at {path}")
    name = _format_of(path, format, settings, follow_links)
    return name, _built(name, settings, follow_links).read(path)


def preview(path: Path, *, settings: Settings, format: str = "auto") -> ImportPreview:
    """Read everything once and store nothing."""
    labels: dict[str, None] = {}
    problems, first, annotations = [], [], 0
    samples: Counter[Kind] = Counter()
    name, found = reading(path, format=format, settings=settings)
    for item in found:
        if isinstance(item, FileProblem):
            problems.append(item)
        elif isinstance(item, BroughtVectors):
            annotations += len(item.names)
        else:
            if (kind := _kind_of(item)) is not None:
                samples[kind] += 1
                first += [item] if len(first) < FIRST_SHOWN else []
            annotations += len(item.verdicts) + len(item.regions) + len(item.predictions)
            mentioned = (*item.verdicts, *(r.label for r in item.regions), *item.predictions)
            labels.update(dict.fromkeys(mentioned))
    return ImportPreview(
        format=name,
        kind=samples.most_common(1)[0][0] if samples else None,
        samples=samples.total(),
        annotations=annotations,
        labels=tuple(labels),
        problems=tuple(islice(problems, PROBLEMS_SHOWN)),
        first=tuple(first),
    )


def begun(found: Iterator[Found]) -> tuple[Kind | None, Iterator[Found]]:
    """What the first sample of a reading is, and the whole reading again."""
    read: list[Found] = []
    for item in found:
        read.append(item)
        if (kind := _kind_of(item)) is not None:
            return kind, chain(read, found)
    return None, iter(read)


def _kind_of(item: Found) -> Kind | None:
    if not isinstance(item, Draft) or (item.path is None and item.text is None):
        return None
    return Kind.TEXT if item.text is not None else Kind.IMAGE


def _format_of(path: Path, format: str, settings: Settings, follow_links: bool) -> str:
    known = formats()
    if format != "auto":
        if format not in known:
            names = ", ".join(["auto", *known])
            raise BadInputError(f"unknown format {format!r}; known are {names}")
        return format
    for name in known:
        if _built(name, settings, follow_links).accepts(path):
            return name
    raise BadInputError(
        f"{path.name} is none of the formats Patchlane reads ({', '.join(known)}); "
        "name one with --format if you know better"
    )


def _built(name: str, settings: Settings, follow_links: bool) -> Reader:
    method: Any = catalogue.load(f"readers/{name}")
    own = method.Settings(
        limits=settings.limits, is_following_links=follow_links, is_decoding=False
    )
    if name != "archive":
        return method(own)

    def inside(root: Path) -> Reader:
        return _built(_format_of(root, "auto", settings, follow_links), settings, follow_links)

    return method(own, inside=inside)
