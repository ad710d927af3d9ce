"""What every picker needs: which rows may be picked, the best of them, names in reasons."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from backend.types import PickFacts

Pick = tuple[int, float, str]


def open_rows(decided: Bool[np.ndarray, "n l"], facts: PickFacts) -> Bool[np.ndarray, " n"]:
    """Rows with something to decide that are not excluded."""
    # Without labels everything is still open: `all` of nothing would say the opposite.
    is_open = np.ones(len(decided), bool)
    if decided.shape[1]:
        is_open &= ~decided.all(axis=1)
    if facts.excluded is not None:
        is_open &= ~facts.excluded
    return is_open


def touched_rows(decided: Bool[np.ndarray, "n l"]) -> Bool[np.ndarray, " n"]:
    """Rows with a verdict."""
    return np.asarray(decided.any(axis=1), bool)


def open_pairs(
    decided: Bool[np.ndarray, "n l"], is_open: Bool[np.ndarray, " n"]
) -> Bool[np.ndarray, "n l"]:
    """Pairs of those rows that have no verdict."""
    return ~decided & is_open[:, None]


def answers_of(
    decided: Bool[np.ndarray, "n l"], facts: PickFacts
) -> tuple[Int[np.ndarray, " l"], Int[np.ndarray, " l"]]:
    """YES and other verdicts of each label; where nobody says which is which, all are others."""
    num = decided.sum(axis=0)
    if facts.verdicts is None:
        return np.zeros_like(num), num
    num_yes = (facts.verdicts == 1).sum(axis=0)
    return num_yes, num - num_yes


def best(
    values: Float[np.ndarray, " n"],
    is_open: Bool[np.ndarray, " n"],
    k: int,
    seed: int,
    reason: Callable[[int], str],
) -> list[Pick]:
    """The k open rows of the highest value; equals in an order that the seed decides.

    Args:
        values: on any scale; NaN is 0.
        is_open: rows that may be picked.
        k: rows at the most.
        seed: of that order.
        reason: why a row is picked, in words.
    """
    values = np.nan_to_num(values, nan=0.0)
    rows = np.random.default_rng(seed).permutation(np.flatnonzero(is_open))
    rows = rows[np.argsort(-values[rows], kind="stable")][: max(0, k)]
    return [(int(row), float(values[row]), reason(int(row))) for row in rows]


def named(names: Sequence[str], column: int) -> str:
    """A label's name as a reason tells it, cut where it is long."""
    name = names[column] if column < len(names) else f"label {column + 1}"
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}\u2026"


LONGEST = 24
"""Characters of a name in a reason."""


def told(
    chances: Float[np.ndarray, " l"], columns: Sequence[int] | np.ndarray, names: Sequence[str]
) -> str:
    """Labels with their chances: "dog: 48%, cat: 55%"."""
    return ", ".join(f"{named(names, int(c))}: {chances[c]:.0%}" for c in columns)
