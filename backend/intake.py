"""What somebody brought: choose a reader, unpack archives, preview, hand drafts to the store.

Nothing is stored by a preview. A take goes on after every problem and reports it by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from backend import catalogue
from backend.contracts import Reader
from backend.errors import BadInputError, NotFoundError
from backend.settings import Settings
from backend.types import BroughtVectors, Draft, FileProblem, Kind, Region, Sample, Verdict

FIRST_SHOWN = 12
PROBLEMS_SHOWN = 200
Found = Draft | BroughtVectors | FileProblem


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
    problems, first, samples, annotations, kind = [], [], 0, 0, None
    name, found = reading(path, format=format, settings=settings)
    for item in found:
        if isinstance(item, FileProblem):
            problems.append(item)
        elif isinstance(item, BroughtVectors):
            annotations += len(item.names)
        else:
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
    """One row of a correction: a verdict, one place, or (label None) "all others here are NO".

    Attributes:
        regions: all marks of the pair from now on; None keeps those that are there.
        part: the one place that is marked, with the verdict on it; None without one.
        is_gone: that mark is taken away instead.
    """

    sample: int | str
    label: int | str | None = None
    verdict: Verdict | None = None
    regions: tuple[Region, ...] | None = None
    part: Region | None = None
    is_gone: bool = False


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
        label = _name(row.get("label"), "label", number)
        if "part" in row:
            yield _marked(row, sample, label, number)
            continue
        if "verdict" not in row:
            raise BadInputError(f"row {number} gives no verdict; say yes, no, unsure or null")
        verdict = _verdict(row["verdict"], number)
        regions = row.get("regions")
        if regions is None:
            yield Answer(sample, label, verdict)
            continue
        if not isinstance(regions, Sequence) or isinstance(regions, str):
            raise BadInputError(f"row {number}: regions is not a list")
        found = tuple(_region(item, verdict or Verdict.YES, number) for item in regions)
        if verdict is Verdict.NO and any(region.is_here for region in found):
            raise BadInputError(
                f"row {number} says no to the whole sample and yes to a place in it; say one"
            )
        yield Answer(sample, label, verdict, found)


def _marked(row: Mapping[str, object], sample: int | str, label: int | str, number: int) -> Answer:
    """A row that marks or unmarks one place."""
    if "verdict" in row or "regions" in row:
        raise BadInputError(f"row {number} has a part; give verdict and regions in another row")
    if "here" not in row:
        raise BadInputError(f"row {number} does not say if it is here: true, false or null")
    region = _region(row["part"], Verdict.YES, number)
    here = row["here"]
    if here is None:
        return Answer(sample, label, part=region, is_gone=True)
    return Answer(sample, label, part=replace(region, verdict=_sign(here, number)))


def check_fits(region: Region, sample: Sample) -> None:
    """Refuse a place that a sample cannot have.

    Raises:
        BadInputError: a span on a picture, a box on a text, or a span that ends after the text.
    """
    if (region.kind == "span") != (sample.kind is Kind.TEXT):
        raise BadInputError(
            f"{sample.name} is {'a text' if sample.kind is Kind.TEXT else 'an image'}, and a "
            f"{region.kind} is no place on one"
        )
    if sample.text is not None and region.points[1] > len(sample.text):
        raise BadInputError(
            f"a span ends at {region.points[1]:.0f}, and {sample.name} has "
            f"{len(sample.text)} characters"
        )


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


def _sign(here: object, number: int) -> Verdict:
    if not isinstance(here, bool):
        raise BadInputError(f"row {number}: here is {here!r}; say true or false")
    return Verdict.YES if here else Verdict.NO


def _region(item: object, verdict: Verdict, number: int) -> Region:
    """One region as rows write it; without a word on it, it agrees with `verdict`."""
    if isinstance(item, Region):
        return item
    if isinstance(item, Mapping):
        if "here" in item:
            verdict = _sign(item["here"], number)
        elif "verdict" in item:  # as exported lines have it
            verdict = _verdict(item["verdict"], number) or verdict
        for kind, count in (("box", 4), ("polygon", 6), ("span", 2)):
            if kind in item:
                try:
                    points = np.asarray(item[kind], np.float64).reshape(-1)
                except (TypeError, ValueError):
                    break
                fits = len(points) == count or (kind == "polygon" and len(points) >= count)
                if fits and np.isfinite(points).all() and (points >= 0).all():
                    return Region(kind, tuple(float(value) for value in points), verdict)
    raise BadInputError(
        f"row {number}: a region is a box [x, y, w, h], a polygon [[x, y], ...] in 0..1 "
        "or a span [start, end]"
    )


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
