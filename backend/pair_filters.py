"""Filters on decided pairs as the evaluation counts them: the grammar, not the counting.

    judged:UNKNOWN:SCOPE:WHAT

UNKNOWN is what an undecided pair is, as in `scorecard`. SCOPE is a label's id, or `any` label,
`shown` (labels with a YES) or `ranked` (labels with a YES and a NO). WHAT is one of

    decided  decided:PACK            all pairs; of the labels of one pack
    yes  no  yes:BINS:K  no:BINS:K   by verdict; with a probability in the K-th of BINS bins
    stated:BINS:K  crossed:BINS:K    the same of calibrated pairs, and of curves fitted without them
    said  hit  missed  alarm  wrong  suggested; right, YES without it, NO with it, either of these;
                                     followed by :WAY (`best-threshold`, `top-3` or a probability)
                                     for another way to suggest than the labels' thresholds
    alone  idle                      missed and nothing said wrongly; said wrongly, nothing missed
    answered:LEVEL  mistaken:LEVEL   pairs that label sets answer, and those answered wrongly
    left:LEVEL  complete:LEVEL       one is left to people; none is

A sample matches with one such pair, for `complete` with all. They are counted over the samples that
all other filters leave, so that a figure of the evaluation and its filter are the same samples.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

JUDGED = "judged"
UNKNOWN = ("masked", "no", "complete")
"""What an undecided pair is: left out; NO, on samples with any verdict; or left out together with
every sample that is not decided on all labels."""
SCOPES = ("any", "shown", "ranked")
WAYS = ("threshold", "best-threshold", "top-3")
TOP = 3
"""Labels of each sample that are suggested by "top-3"."""
BINNED = ("yes", "no", "stated", "crossed")
SUGGESTED = ("said", "hit", "missed", "alarm", "wrong")
ALONE = ("alone", "idle")
OF_LEVEL = ("answered", "mistaken", "left", "complete")
MOST_BINS = 1_000


@dataclass(frozen=True)
class PairFilter:
    """One WHAT, read.

    Attributes:
        bins, at: which bin of how many; 0 of 0 where any probability will do.
        way: one of `WAYS`, or a probability.
        level: of the label sets.
        pack: whose labels count; "" for all.
    """

    what: str
    bins: int = 0
    at: int = 0
    way: str | float = WAYS[0]
    level: float = 0.0
    pack: str = ""


def read_key(text: str, id_of: Callable[[str], int] | None = None) -> tuple[str, str] | None:
    """`UNKNOWN:SCOPE:WHAT` -> "judged:UNKNOWN:SCOPE" and WHAT; None where it cannot be read.

    Args:
        text: what comes after `judged:`.
        id_of: the id of a label by its name, where labels may be named.
    """
    unknown, _, rest = text.partition(":")
    if unknown not in UNKNOWN:
        return None
    parts = rest.split(":")
    for end in range(1, len(parts)):  # a name may hold colons itself
        scope, what = ":".join(parts[:end]), ":".join(parts[end:])
        if read_what(what) is None:
            continue
        if id_of is not None and scope and scope not in SCOPES:
            return f"{JUDGED}:{unknown}:{id_of(scope)}", what
        if scope in SCOPES or (scope.isascii() and scope.isdigit() and len(scope) < 17):
            return f"{JUDGED}:{unknown}:{scope}", what
    return None


def read_what(text: str) -> PairFilter | None:
    """WHAT, or None where it cannot be read."""
    what, _, more = text.partition(":")
    if what == "decided":
        return PairFilter(what, pack=more)
    if what in BINNED and (more or what in ("stated", "crossed")):
        return _binned(what, more)
    if what in (*BINNED, *ALONE):
        return None if more else PairFilter(what)
    if what in SUGGESTED:
        way = (more or WAYS[0]) if not more or more in WAYS else _share(more)
        return None if way is None else PairFilter(what, way=way)
    if what in OF_LEVEL:
        level = _share(more)
        return PairFilter(what, level=level) if level is not None and 0 < level < 1 else None
    return None


def _binned(what: str, text: str) -> PairFilter | None:
    parts = text.split(":")
    if len(parts) != 2 or not all(p.isascii() and p.isdigit() and len(p) < 5 for p in parts):
        return None
    bins, at = map(int, parts)
    return PairFilter(what, bins=bins, at=at) if at < bins <= MOST_BINS else None


def _share(text: str) -> float | None:
    try:
        found = float(text)
    except ValueError:
        return None
    return found if 0 <= found <= 1 else None
