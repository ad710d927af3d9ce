"""Which samples a figure of the evaluation is worked out of: pairs of a comparison as tables.

A filter of `pair_filters` and the figure it stands for are answered by the same `Judged`, so they
cannot tell of different samples: whatever is left out of the one is left out of the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from backend.board import Board
from backend.errors import NotFoundError
from backend.numerics.reliability import bins_of
from backend.numerics.scores import highest
from backend.pair_filters import (
    ALONE,
    BINNED,
    JUDGED,
    OF_LEVEL,
    SUGGESTED,
    TOP,
    WAYS,
    PairFilter,
    read_what,
)
from backend.scorecard import Judged
from backend.types import LabelSets

F1S = {
    "CF1": ("shown", "decided", "hit", "wrong"),
    "CF1_mean": ("shown", "decided", "hit", "wrong"),
    "OF1": ("any", "decided", "hit", "wrong"),
    "CP": ("shown", "said", "hit", "alarm"),
    "CR": ("shown", "yes", "hit", "missed"),
    "OP": ("any", "said", "hit", "alarm"),
    "OR": ("any", "yes", "hit", "missed"),
}
"""Of what each measure is worked out: scope, all pairs, those that are right, those that are not.
Measures of labels are means over the labels with a YES, so pairs of no other label are in them."""
WHOLE = {
    "mAP": ("ranked", "decided"),
    "mAP_micro": ("any", "decided"),
    "mAP_weighted": ("ranked", "decided"),
    "ece": ("any", "stated:1:0"),
    "ece_cross_fitted": ("any", "crossed:1:0"),
}
"""The same of what has no right and wrong."""


@dataclass(frozen=True)
class Behind:
    """The samples behind a figure: how many, and the filter that finds them."""

    filter: str
    samples: int


@dataclass(frozen=True)
class Figure:
    """What a figure is worked out of; `right` and `wrong` are parts of it, a sample may be both."""

    all: Behind
    right: Behind | None = None
    wrong: Behind | None = None


def predicted(table: Judged, way: str | float) -> Bool[np.ndarray, "n l"]:
    """What is suggested: at the thresholds, at the best ones, the top three, or from a chance on.

    Args:
        table: a comparison.
        way: one of `pair_filters.WAYS`, or the probability.
    """
    if way == "best-threshold":
        return table.best_said
    if way == "top-3":
        return highest(table.chances, TOP)
    if isinstance(way, str):
        return table.said
    return table.chances.astype(np.float64) >= way


def answerable(
    table: Judged, board: Board, covered: Bool[np.ndarray, " l"]
) -> tuple[Bool[np.ndarray, "n l"], np.ndarray]:
    """Pairs that label sets are held against, and the board's row of each sample.

    The drawer is left out, since the sets rest on it, and so is a sample that is gone (row -1).
    """
    rows = np.array([board.row_of.get(int(sample), -1) for sample in table.ids], np.int64)
    usable = (rows >= 0) & ~board.in_drawer[rows]
    return table.known & covered & usable[:, None], rows


def rows_with(
    table: Judged,
    scope: str,
    what: PairFilter,
    *,
    cross: Float[np.ndarray, "n l"] | None = None,
    board: Board | None = None,
    sets: LabelSets | None = None,
) -> Bool[np.ndarray, " n"]:
    """Samples of a comparison with such a pair.

    Args:
        table: the comparison.
        scope: a label's id as text, or one of `pair_filters.SCOPES`.
        what: which pairs.
        cross: probabilities of curves fitted without the sample, for "crossed".
        board: whose rows `sets` are of.
        sets: for what follows their level; None: nothing is certain.

    Raises:
        NotFoundError: there is no such label.
    """
    columns = _columns(table, scope)
    if what.what in OF_LEVEL:
        return _of_level(table, columns, what.what, board, sets)
    found: Bool[np.ndarray, " n"] = np.any(_cells(table, columns, what, cross), axis=1)
    if what.what not in ALONE:
        return found
    other = "alarm" if what.what == "alone" else "missed"
    return found & ~rows_with(table, "any", PairFilter(other))


def figures(
    table: Judged, cross: Float[np.ndarray, "n l"] | None = None
) -> dict[str, dict[str, Figure]]:
    """Measure -> way to suggest ("" where it needs none) -> the samples behind it.

    There is no "ece_cross_fitted" without `cross`.
    """
    kept: dict[tuple[str, str], Behind] = {}

    def behind(scope: str, what: str) -> Behind:
        if (scope, what) not in kept:
            read = read_what(what)
            assert read is not None  # noqa: S101  the words above
            rows = rows_with(table, scope, read, cross=cross)
            text = f"{JUDGED}:{table.unknown}:{scope}:{what}"
            kept[scope, what] = Behind(text, int(rows.sum()))
        return kept[scope, what]

    def by(what: str, way: str) -> str:
        return f"{what}:{way}" if what in SUGGESTED and way != WAYS[0] else what

    found: dict[str, dict[str, Figure]] = {
        name: {"": Figure(behind(scope, what))}
        for name, (scope, what) in WHOLE.items()
        if cross is not None or not what.startswith("crossed")
    }
    for name, (scope, *whats) in F1S.items():
        found[name] = {
            way: Figure(*(behind(scope, by(what, way)) for what in whats)) for way in WAYS
        }
    return found


def _columns(table: Judged, scope: str) -> np.ndarray | slice:
    if scope == "any":
        return slice(None)
    if scope == "shown":
        return np.flatnonzero(table.counts.yes > 0)
    if scope == "ranked":
        return np.flatnonzero(np.isfinite(table.precisions))
    found = [column for column, label in enumerate(table.labels) if str(label.id) == scope]
    if not found:
        raise NotFoundError(f"no label has the id {scope}; reload the page")
    return np.array(found, np.int64)


def _cells(
    table: Judged,
    columns: np.ndarray | slice,
    what: PairFilter,
    cross: Float[np.ndarray, "n l"] | None,
) -> Bool[np.ndarray, "n k"]:
    known, yes = table.known[:, columns], table.targets[:, columns] > 0
    if what.what == "decided":
        packs = np.array([not what.pack or one.pack == what.pack for one in table.labels], bool)
        return known & packs[columns]
    if what.what in BINNED:
        return known & _binned(table, columns, what, cross, yes)
    said = predicted(table, what.way)[:, columns]
    found: Mapping[str, np.ndarray] = {
        "said": said,
        "hit": said & yes,
        "missed": ~said & yes,
        "alone": ~said & yes,
        "alarm": said & ~yes,
        "idle": said & ~yes,
        "wrong": said != yes,
    }
    return known & found[what.what]


def _binned(
    table: Judged,
    columns: np.ndarray | slice,
    what: PairFilter,
    cross: Float[np.ndarray, "n l"] | None,
    yes: Bool[np.ndarray, "n k"],
) -> Bool[np.ndarray, "n k"]:
    chances = table.chances[:, columns].astype(np.float64)
    is_it = np.ones(yes.shape, bool)
    if what.what in ("yes", "no"):
        is_it = yes if what.what == "yes" else ~yes
    elif what.what == "stated":
        is_it = table.is_calibrated[:, columns]
    elif cross is None:
        return np.zeros(yes.shape, bool)
    else:
        chances = cross[:, columns].astype(np.float64)
        is_it = ~np.isnan(chances)
    if not what.bins:
        return is_it
    found = np.zeros(yes.shape, bool)
    found[is_it] = bins_of(chances[is_it], what.bins) == what.at
    return found


def _of_level(
    table: Judged,
    columns: np.ndarray | slice,
    what: str,
    board: Board | None,
    sets: LabelSets | None,
) -> Bool[np.ndarray, " n"]:
    nothing = np.zeros(len(table.ids), bool)
    if board is None or sets is None or sets.why or len(sets.state) != len(board.samples):
        return nothing
    known, rows = answerable(table, board, sets.covered)
    state = sets.state[rows][:, : len(table.labels)]
    told = known & (state != 0)
    wrong = told & ((state > 0) != (table.targets > 0))
    found = {"answered": told, "mistaken": wrong, "left": known & ~told, "complete": known}
    rows: Bool[np.ndarray, " n"] = np.any(found[what][:, columns], axis=1)
    if what == "complete":
        rows &= ~np.any(found["left"][:, columns], axis=1)
    return rows
