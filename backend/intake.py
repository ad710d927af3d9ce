"""What somebody brought: choose a reader, unpack archives, preview, hand drafts to the store.

Nothing is stored by a preview. A take goes on after every problem and reports it by name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from backend import catalogue
from backend.contracts import Reader
from backend.errors import BadInputError, NotFoundError
from backend.settings import Settings
from backend.types import BroughtVectors, Draft, FileProblem, Kind

FIRST_SHOWN = 12
PROBLEMS_SHOWN = 200
PATH_SHOWN = 200
ARCHIVE = "archive"
Found = Draft | BroughtVectors | FileProblem


@dataclass(frozen=True)
class ImportPreview:
    """What was understood before anything is stored.

    Attributes:
        format: the reader's name, e.g. "folder" or "coco".
        kind: what most samples are, images or texts; None when only annotations came.
        samples: drafts with a file or a text.
        annotations: verdicts, regions and predictions found.
        problems: the first things that cannot be taken, or not as they are, with the reason.
        num_problems: how many such things there are.
    """

    format: str
    kind: Kind | None
    samples: int
    annotations: int
    labels: tuple[str, ...]
    problems: tuple[FileProblem, ...]
    first: tuple[Draft, ...]
    num_problems: int = 0


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
        BadInputError: it cannot be opened, no reader takes it, or the format is unknown.
    """
    check_opens(path)
    name, inside = _formats_of(path, format, settings, follow_links)
    reader = _built(name, settings, follow_links, inside=inside)
    if format != "auto" and path.is_dir() and not reader.accepts(path):
        nothing = FileProblem(path.name, f"holds no annotations that are {name}")
        return name, chain([nothing], reader.read(path))
    return name, reader.read(path)


def check_opens(path: Path) -> None:
    """See whether a file or folder can be opened at all.

    Raises:
        NotFoundError: nothing is at `path`.
        BadInputError: it cannot be opened; the sentence says why.
    """
    shown = str(path) if len(str(path)) <= PATH_SHOWN else f"{str(path)[:PATH_SHOWN]}..."
    try:
        if path.is_dir():
            next(path.iterdir(), None)
        elif path.is_file():
            path.open("rb").close()
        elif not path.exists():
            raise NotFoundError(f"there is nothing at {shown}")
    except OSError as error:
        raise BadInputError(f"{shown} cannot be opened: {error.strerror or error}") from error


def preview(
    path: Path, *, settings: Settings, format: str = "auto", follow_links: bool = False
) -> ImportPreview:
    """Read everything once and store nothing."""
    labels: dict[str, None] = {}
    problems, first, annotations = [], [], 0
    num_problems = 0
    samples: Counter[Kind] = Counter()
    name, found = reading(path, format=format, settings=settings, follow_links=follow_links)
    for item in found:
        if isinstance(item, FileProblem):
            num_problems += 1
            problems += [item] if len(problems) < PROBLEMS_SHOWN else []
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
        problems=tuple(problems),
        first=tuple(first),
        num_problems=num_problems,
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


def _formats_of(path: Path, format: str, settings: Settings, follow_links: bool) -> tuple[str, str]:
    """The reader of `path`, and that of what is in it where it is an archive.

    A format that a person names is the one of the annotations, also of those in an archive.
    """
    known = formats()
    if format not in ("auto", ARCHIVE, *known):
        raise BadInputError(f"unknown format {format!r}; known are {', '.join(['auto', *known])}")
    if format in ("auto", ARCHIVE):
        return (_chosen(path, settings, follow_links) if format == "auto" else ARCHIVE), "auto"
    if _built(ARCHIVE, settings, follow_links).accepts(path):
        return ARCHIVE, format
    return format, "auto"


def _chosen(path: Path, settings: Settings, follow_links: bool) -> str:
    known = formats()
    for name in known:
        if _built(name, settings, follow_links).accepts(path):
            return name
    raise BadInputError(
        f"{path.name} is none of the formats Patchlane reads ({', '.join(known)}); "
        "name one with --format if you know better"
    )


def _built(name: str, settings: Settings, follow_links: bool, *, inside: str = "auto") -> Reader:
    method: Any = catalogue.load(f"readers/{name}")
    own = method.Settings(
        limits=settings.limits, is_following_links=follow_links, is_decoding=False
    )
    if name != ARCHIVE:
        return method(own)

    def unpacked(root: Path) -> Reader:
        found = inside if inside != "auto" else _chosen(root, settings, follow_links)
        return _built(found, settings, follow_links)

    return method(own, inside=unpacked)
