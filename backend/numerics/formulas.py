"""The chance that a formula is true, its labels taken as independent given the sample.

What is said here of labels holds of all that a formula asks (`Atom`): a saved slice is a label
whose chance is 0 or 1, free words are one that nobody has made. By expansion on one label after
the other,

    P(f) = p_i P(f | i is there) + (1 - p_i) P(f | i is not there),

which is exact however often a label occurs: `a & ~a` is 0, `a | a` is p_a, `a | b` is
1 - (1 - p_a)(1 - p_b). Multiplying along the formula instead is right only where no label occurs
twice, and the fuzzy min and max are right nowhere but at 0 and 1.

The formula becomes its truth table, one bit for each of the 2^L cases, so that equal parts are
found by comparing numbers: each is worked out once, and a label that changes nothing is left out.

Source: C. E. Shannon, A symbolic analysis of relay and switching circuits, 1938 (expansion);
K. P. Parker and E. J. McCluskey, Probabilistic treatment of general combinational networks, 1975;
R. E. Bryant, Graph-based algorithms for Boolean function manipulation, 1986 (each part once).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from backend.types import Atom, Either, Every, Formula, Inside, Named, Negation, Worded

MOST_LABELS = 16
"""A table of 2^16 bits is 8 kB and has at most some thousand different parts."""
BLOCK = 2_048
"""Samples at a time: all parts of the worst formula take 150 MB then."""


@dataclass(frozen=True)
class Step:
    """One part: by `label`, if it is there the part `high`, else the part `low`.

    Parts are numbered: 0 never holds, 1 always does, 2 is the first step.
    """

    label: int
    high: int
    low: int


def truth_table(formula: Formula, labels: Sequence[Atom]) -> int:
    """Bit k tells whether the formula holds where exactly the labels of k's bits are there.

    Args:
        formula: over these labels and no other.
        labels: at most `MOST_LABELS`.
    """
    every = _every(len(labels))
    # Label j is there in the cases in which bit j is 1: not in the lower half of each 2^(j+1).
    cases = {name: every ^ every // ((1 << (1 << j)) + 1) for j, name in enumerate(labels)}

    def table(part: Formula) -> int:
        match part:
            case Named() | Inside() | Worded():
                return cases[part]
            case Negation(inner):
                return every ^ table(inner)
            case Every(parts):
                found = every
                for one in parts:
                    found &= table(one)
                return found
            case Either(parts):
                found = 0
                for one in parts:
                    found |= table(one)
                return found

    return table(formula)


def expansion(table: int, num_labels: int) -> tuple[list[Step], int]:
    """The different parts of a truth table, each after those it needs, and the number of the whole.

    Args:
        table: as `truth_table` makes it.
        num_labels: of how many labels.
    """
    steps: list[Step] = []
    numbers: dict[tuple[int, int], int] = {}

    def number(part: int, left: int) -> int:
        while part not in (0, _every(left)):
            half = 1 << (left - 1)
            low, high = part & ((1 << half) - 1), part >> half
            if low != high:
                break
            part, left = low, left - 1  # this label changes nothing
        else:
            return int(part != 0)
        if (part, left) not in numbers:
            steps.append(Step(left - 1, number(high, left - 1), number(low, left - 1)))
            numbers[part, left] = len(steps) + 1
        return numbers[part, left]

    return steps, number(table, num_labels)


def chance(
    formula: Formula, labels: Sequence[Atom], chances: Float[np.ndarray, "n l"]
) -> Float[np.ndarray, " n"]:
    """How probable the formula is for each sample.

    Args:
        formula: over these labels and no other.
        labels: of the columns, at most `MOST_LABELS`.
        chances: of each label being there, 0..1; NaN where nothing is known of it.

    Returns:
        0..1; NaN where the formula hangs on what is not known.
    """
    steps, whole = expansion(truth_table(formula, labels), len(labels))
    out = np.empty(len(chances))
    for start in range(0, len(chances), BLOCK):
        block = np.asarray(chances[start : start + BLOCK], np.float64)
        parts = [np.zeros(len(block)), np.ones(len(block))]
        for step in steps:
            parts.append(_mixed(block[:, step.label], parts[step.high], parts[step.low]))
        out[start : start + BLOCK] = parts[whole]
    return out


def _mixed(p: np.ndarray, high: np.ndarray, low: np.ndarray) -> np.ndarray:
    """One step: what a sure `p` leaves out may be unknown, and `p` where it changes nothing."""
    mixed = np.where(high == low, high, low + p * (high - low))
    return np.where(p == 1, high, np.where(p == 0, low, mixed))


def _every(num_labels: int) -> int:
    return (1 << (1 << num_labels)) - 1
