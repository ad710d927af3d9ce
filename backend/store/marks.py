"""Verdicts on places, as the log holds them: checked, packed, and what a new one does to others.

A row of the log holds all that is said of a pair, its verdict and every mark. So whoever adds one
mark, or decides the whole sample, says what changes, and `after` makes the whole of it from what
the log says at that moment, inside the transaction. A verdict on the whole sample never touches a
mark: a slip of the finger on a chip must not cost forty boxes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from backend.errors import BadInputError
from backend.types import Region, Verdict

MOST_MARKS = 2000
"""Marks of one pair; each row of the log holds all of them."""
MOST_CORNERS = 5000
SAME = 1e-6
"""How far apart two numbers of one place may be; browsers and files round them."""


@dataclass(frozen=True)
class NewCorrection:
    """A verdict on a whole sample to append; None takes the pair's verdict back (unknown again).

    `regions` are all marks of the pair from now on; None keeps those that are there.
    """

    sample: int
    label: int
    verdict: Verdict | None
    regions: tuple[Region, ...] | None = None


@dataclass(frozen=True)
class NewIfStill(NewCorrection):
    """A verdict that follows from what a person left as it was, e.g. NO to all that is undecided.

    It is stored only where that person would still see `seen`: what was said meanwhile stays.
    """

    seen: Verdict | None = None


@dataclass(frozen=True)
class NewMark:
    """One place to mark with the region's verdict, or (`is_gone`) to unmark; other marks stay."""

    sample: int
    label: int
    region: Region
    is_gone: bool = False


@dataclass(frozen=True)
class Said:
    """All that is said of a pair, as a row of the log holds it."""

    verdict: Verdict | None = None
    regions: tuple[Region, ...] = ()


def after(held: Said, new: NewCorrection | NewMark) -> Said:
    """What is said of a pair once `new` is added to what is said now.

    A mark takes the place of an older one on the same place. One that says "here" makes a label
    that is unknown or NO a YES: a part shows it, so the whole does. Nothing else decides the whole.

    Raises:
        BadInputError: a region that is none, or too many of them.
    """
    if isinstance(new, NewCorrection):
        if new.regions is None:
            return replace(held, verdict=new.verdict)
        return Said(new.verdict, _counted(tuple(checked_region(one) for one in new.regions)))
    region = checked_region(new.region)
    others = tuple(one for one in held.regions if not is_same_place(one, region))
    if new.is_gone:
        return replace(held, regions=others)
    is_shown = region.is_here and held.verdict is not Verdict.UNSURE
    verdict = Verdict.YES if is_shown else held.verdict
    return Said(verdict, _counted((*others, region)))


def united(older: Said, newer: Said) -> Said:
    """Both as if they had been said of one pair: the newer verdict, and the marks of both."""
    kept = tuple(
        one for one in older.regions if not any(is_same_place(one, two) for two in newer.regions)
    )
    verdict = older.verdict if newer.verdict is None else newer.verdict
    return Said(verdict, (*kept, *newer.regions))


def is_same_place(one: Region, two: Region) -> bool:
    """Whether two regions have one geometry, whatever is said there."""
    return (
        one.kind == two.kind
        and len(one.points) == len(two.points)
        and all(abs(a - b) <= SAME for a, b in zip(one.points, two.points, strict=True))
    )


def pack_regions(regions: Iterable[Region]) -> str | None:
    """Checked regions as JSON for the database: [kind, numbers..., verdict]; None without any."""
    packed = [[one.kind, *one.points, one.verdict.value] for one in regions]
    return json.dumps(packed) if packed else None


def unpack_regions(packed: str | None, verdict: Verdict | None) -> tuple[Region, ...]:
    """Read what `pack_regions` wrote.

    Rows from before places had verdicts of their own agree with the `verdict` of their row.
    """
    if packed is None:
        return ()
    found = []
    for kind, *told in json.loads(packed):
        said = Verdict(told.pop()) if isinstance(told[-1], str) else verdict or Verdict.YES
        found.append(Region(kind, tuple(told), said))
    return tuple(found)


def checked_region(region: Region) -> Region:
    """The region, if its geometry is one; a hair over the edge is brought back inside.

    Raises:
        BadInputError: saying what is wrong with it.
    """
    points = region.points
    if not all(math.isfinite(value) for value in points):
        raise BadInputError(f"a {region.kind} has a number that is not finite: {points}")
    if region.kind == "span":
        is_span = len(points) == 2 and 0 <= points[0] < points[1]
        if not is_span or any(value != int(value) for value in points):
            raise BadInputError(f"a span is (start, end) in whole characters, got {points}")
        return replace(region, points=(int(points[0]), int(points[1])))
    if region.kind not in ("box", "polygon"):
        raise BadInputError(f"a region is a box, a polygon or a span, not {region.kind!r}")
    if len(points) > 2 * MOST_CORNERS:
        raise BadInputError(
            f"a {region.kind} has {len(points) // 2:,} corners; the limit is {MOST_CORNERS:,}"
        )
    ends = points
    if region.kind == "box" and len(points) == 4:
        ends = (*points, points[0] + points[2], points[1] + points[3])
    if any(value < -SAME or value > 1 + SAME for value in ends):
        raise BadInputError(f"a {region.kind} lies in 0..1 of the displayed picture, got {points}")
    inside = tuple(min(max(float(value), 0.0), 1.0) for value in points)
    if region.kind == "box":
        if len(inside) != 4 or inside[2] <= 0 or inside[3] <= 0:
            raise BadInputError(f"a box is (x, y, width, height), got {points}")
    elif len(inside) < 6 or len(inside) % 2:
        raise BadInputError(f"a polygon has at least three corners (x, y, ...), got {points}")
    return replace(region, points=inside)


def _counted(regions: tuple[Region, ...]) -> tuple[Region, ...]:
    if len(regions) > MOST_MARKS:
        raise BadInputError(
            f"{len(regions):,} regions of one label on one sample; the limit is {MOST_MARKS:,}"
        )
    return regions
