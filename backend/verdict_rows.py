"""Rows of verdicts as programs and screens write them: read, checked, and made rows of the log.

A row names a sample and a label with a verdict, a place in a sample with or without the label, or a
sample that is complete. One that is none of these is refused by its number, and nothing is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from backend.errors import BadInputError
from backend.store.corrections import NewCorrection, NewIfStill, NewMark
from backend.types import GoneLabel, Kind, Label, Region, Sample, Verdict


def log_rows(
    rows: Sequence[Mapping[str, object]],
    *,
    sample_of: Callable[[int | str], Sample],
    label_of: Callable[[int | str], Label],
    labels: Sequence[Label],
    seen: Callable[[int], Collection[int]],
) -> list[NewCorrection | NewMark]:
    """What rows say, as rows of the log; a complete sample is NO on all that nothing is said of.

    Args:
        rows: as `Workbench.correct` takes them.
        sample_of: the sample of an id or name.
        label_of: the label of an id or name.
        labels: of the project.
        seen: ids of the labels that have a verdict on a sample, by its id.

    Raises:
        BadInputError: names the row and what is wrong with it.
        NotFoundError: a sample or label is unknown.
    """
    new: list[NewCorrection | NewMark] = []
    for asked in answers(rows):
        sample = sample_of(asked.sample)
        for region in (*(asked.regions or ()), *([asked.part] if asked.part else [])):
            check_fits(region, sample)
        if asked.label is not None:
            label = label_of(asked.label)
            if asked.part is not None:
                new.append(NewMark(sample.id, label.id, asked.part, asked.is_gone))
            elif asked.is_if_still:
                new.append(NewIfStill(sample.id, label.id, asked.verdict, seen=asked.seen))
            else:
                new.append(NewCorrection(sample.id, label.id, asked.verdict, asked.regions))
            continue
        decided = {(sample.id, label) for label in seen(sample.id)}
        decided |= {
            (row.sample, row.label)
            for row in new
            if isinstance(row, NewCorrection) or row.region.is_here
        }
        new += [
            NewIfStill(sample.id, label.id, Verdict.NO)
            for label in labels
            if (sample.id, label.id) not in decided
        ]
    return new


@dataclass(frozen=True)
class Answer:
    """One row of a correction: a verdict, one place, or (label None) "all others here are NO".

    Attributes:
        regions: all marks of the pair from now on; None keeps those that are there.
        part: the one place that is marked, with the verdict on it; None without one.
        is_gone: that mark is taken away instead.
        is_if_still: the verdict holds only where the person still sees `seen`.
    """

    sample: int | str
    label: int | str | None = None
    verdict: Verdict | None = None
    regions: tuple[Region, ...] | None = None
    part: Region | None = None
    is_gone: bool = False
    is_if_still: bool = False
    seen: Verdict | None = None


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
        if "seen" in row:
            if regions is not None:
                raise BadInputError(f"row {number} has regions; it cannot depend on what was seen")
            seen = _verdict(row["seen"], number)
            yield Answer(sample, label, verdict, is_if_still=True, seen=seen)
            continue
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


def on_living(
    rows: Sequence[Mapping[str, object]], gone: Mapping[int, GoneLabel]
) -> list[Mapping[str, object]]:
    """The same rows without labels that are gone, for a page that did not know it yet.

    What a person said of a label that was merged into another goes there, as it would have if they
    had said it before, but over nothing that is said there. What merely followed from leaving the
    label alone, and what takes a verdict back, goes with it.

    Args:
        rows: by label id, each a verdict or a part.
        gone: what became of labels, by id.
    """
    kept: list[Mapping[str, object]] = []
    here = {(row["sample"], row["label"]) for row in rows if row["label"] not in gone}
    for row in rows:
        found = gone.get(int(str(row["label"])))
        if found is None:
            kept.append(row)
            continue
        if found.into is None or "seen" in row:
            continue
        moved = {**row, "label": found.into.id}
        if "part" in row:
            kept.append(moved)
        elif row["verdict"] is not None and (row["sample"], found.into.id) not in here:
            kept.append({**moved, "seen": None})
    return kept


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
