"""What leaving the undecided to people buys: how much is answered by itself, how much of it wrong.

Label sets answer what is certain at a level and abstain from the rest. Beside them stands what the
probabilities alone would do: answer the surest share of the same pairs, with no promise. Compared
on decided pairs of samples that nothing was learned from; those of the drawer are left out, since
the sets rest on them.

Source of the curve: Geifman and El-Yaniv, Selective Classification for Deep Neural Networks, 2017.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from backend.board import Board
from backend.judged_pairs import answerable
from backend.numerics.reliability import wilson
from backend.scorecard import Judged
from backend.types import LabelSets

MOST_POINTS = 200


@dataclass(frozen=True)
class AbstentionPoint:
    """One level.

    Attributes:
        answered: share of the pairs that are certain.
        num_answered, num_wrong: pairs that are certain, and those of them decided otherwise.
        wrong: their share, `low` to `high` its 95 % interval; None where nothing is certain.
        complete: share of the samples with no label left undecided.
        undecided: mean number of labels of a sample that are left to people.
    """

    level: float
    answered: float
    num_answered: int
    num_wrong: int
    wrong: float | None
    low: float
    high: float
    complete: float
    undecided: float


@dataclass(frozen=True)
class Abstention:
    """The curve, and what probabilities alone would do.

    Attributes:
        samples, pairs: what it was compared on.
        share, wrong: surest share of the pairs by probability, and how much of it is wrong.
    """

    samples: int
    pairs: int
    points: tuple[AbstentionPoint, ...]
    share: Float[np.ndarray, " k"]
    wrong: Float[np.ndarray, " k"]


@dataclass(frozen=True)
class Widths:
    """How many samples have how many undecided labels at a level, drawer left out."""

    level: float
    undecided: Int[np.ndarray, " k"]
    samples: Int[np.ndarray, " k"]
    mean: float | None


def abstention(table: Judged, board: Board, sets: Sequence[LabelSets]) -> Abstention:
    """The curve over some levels.

    Args:
        table: decided pairs, the board's columns.
        board: whose rows the sets are of.
        sets: one per level, all with the same labels covered.
    """
    covered = sets[0].covered if sets else np.zeros(len(table.labels), bool)
    known, rows = answerable(table, board, covered)
    there = known.any(axis=1)
    known, at = known[there], rows[there]
    truth, chances = table.targets[there] > 0, table.chances[there]
    points = tuple(_point(one, known, truth, one.state[at][:, : len(covered)]) for one in sets)
    share, wrong = _by_probability(chances[known], truth[known])
    return Abstention(len(at), int(known.sum()), points if len(at) else (), share, wrong)


def widths(board: Board, found: LabelSets) -> Widths:
    """How much is left to people, over all samples that are no part of the drawer."""
    shown = board.encoded & ~board.in_drawer
    width = found.width[shown] if len(found.state) == len(shown) else np.zeros(0, np.int64)
    sizes, counts = np.unique(width, return_counts=True)
    return Widths(found.level, sizes, counts, float(width.mean()) if len(width) else None)


def table_rows(found: Abstention) -> list[Mapping[str, object]]:
    """The levels as rows of a table."""
    return [
        {
            "level": one.level,
            "pairs answered": one.num_answered,
            "share answered": one.answered,
            "wrong": one.num_wrong,
            "share wrong": one.wrong,
            "low": one.low,
            "high": one.high,
            "samples complete": one.complete,
            "labels undecided": one.undecided,
        }
        for one in found.points
    ]


def _point(
    found: LabelSets,
    known: Bool[np.ndarray, "n l"],
    truth: Bool[np.ndarray, "n l"],
    state: Int[np.ndarray, "n l"],
) -> AbstentionPoint:
    certain = known & (state != 0)
    wrong = certain & ((state > 0) != truth)
    num, bad = int(certain.sum()), int(wrong.sum())
    low, high = wilson(np.array([bad]), np.array([num]))
    left = (known & (state == 0)).sum(axis=1)
    return AbstentionPoint(
        level=found.level,
        answered=num / max(int(known.sum()), 1),
        num_answered=num,
        num_wrong=bad,
        wrong=bad / num if num else None,
        low=float(low[0]),
        high=float(high[0]),
        complete=float((left == 0).mean()) if len(left) else 0.0,
        undecided=float(left.mean()) if len(left) else 0.0,
    )


def _by_probability(
    chances: Float[np.ndarray, " m"], truth: Bool[np.ndarray, " m"]
) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, " k"]]:
    """Share answered and share wrong, the pairs furthest from one half first."""
    order = np.argsort(-np.abs(chances - 0.5), kind="stable")
    wrong = np.cumsum((chances[order] >= 0.5) != truth[order])
    count = np.arange(1, len(order) + 1)
    at = np.unique(np.linspace(0, len(order) - 1, min(len(order), MOST_POINTS)).astype(int))
    return count[at] / max(len(order), 1), wrong[at] / count[at]
