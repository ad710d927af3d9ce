"""Chances of formulas against the truth table summed up case by case, and against closed forms."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.numerics.formulas import BLOCK, MOST_LABELS, chance, expansion, truth_table
from backend.types import (
    Atom,
    Either,
    Every,
    Formula,
    Inside,
    Named,
    Negation,
    Worded,
    atoms_of,
)

ATOMS = [Named("a"), Named("b"), Inside("c"), Worded("d"), Named("e")]
A, B, C = map(Named, "abc")


def trees(atoms: Sequence[Atom] = ATOMS) -> st.SearchStrategy[Formula]:
    def more(inner: st.SearchStrategy[Formula]) -> st.SearchStrategy[Formula]:
        several = st.lists(inner, min_size=2, max_size=4).map(tuple)
        return inner.map(Negation) | several.map(Every) | several.map(Either)

    return st.recursive(st.sampled_from(atoms), more, max_leaves=12)


def holds(formula: Formula, there: dict[str, bool]) -> bool:
    """A reading of its own: by the words, one case at a time."""
    if isinstance(formula, Named | Inside | Worded):
        return there["abcde"[ATOMS.index(formula)]]
    if isinstance(formula, Negation):
        return not holds(formula.of, there)
    if isinstance(formula, Every):
        return all(holds(part, there) for part in formula.of)
    return any(holds(part, there) for part in formula.of)


def cases(labels: str) -> list[dict[str, bool]]:
    every = product([False, True], repeat=len(labels))
    return [dict(zip(labels, there, strict=True)) for there in every]


@settings(max_examples=60, deadline=None)
@given(trees(), st.integers(0, 2**32 - 1))
def test_the_chance_is_the_sum_over_the_truth_table(formula: Formula, seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = rng.random((7, 5)) * (rng.random((7, 5)) < 0.8)  # some are surely not there
    p[rng.random((7, 5)) < 0.1] = 1
    twin = np.zeros(7)
    for there in cases("abcde"):
        if holds(formula, there):
            twin += np.prod(
                [p[:, j] if there[x] else 1 - p[:, j] for j, x in enumerate("abcde")], 0
            )
    np.testing.assert_allclose(chance(formula, ATOMS, p), twin, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(trees())
def test_the_table_has_a_bit_for_each_case(formula: Formula) -> None:
    table = truth_table(formula, ATOMS)
    for there in cases("abcde"):
        case = sum(there[x] << j for j, x in enumerate("abcde"))
        assert bool(table >> case & 1) == holds(formula, there)
    assert table < 1 << 32


def test_closed_forms() -> None:
    p = np.array([[0.3, 0.6, 0.9], [0.0, 1.0, 0.5]])
    a, b, c = p.T
    said = lambda f: chance(f, [A, B, C], p)  # noqa: E731
    np.testing.assert_array_equal(said(Every((A, Negation(A)))), 0)
    np.testing.assert_array_equal(said(Either((A, Negation(A)))), 1)
    np.testing.assert_array_equal(said(Either((A, A))), a)
    np.testing.assert_array_equal(said(Every((A, A))), a)
    np.testing.assert_allclose(said(Every((A, Negation(B)))), a * (1 - b))
    np.testing.assert_allclose(said(Either((A, B, C))), 1 - (1 - a) * (1 - b) * (1 - c))
    # a stands twice: along the formula it would be 1 - (1 - ab)(1 - ac)
    both = Either((Every((A, B)), Every((A, C))))
    np.testing.assert_allclose(said(both), a * (1 - (1 - b) * (1 - c)))
    either_not_both = Either((Every((A, Negation(B))), Every((Negation(A), B))))
    np.testing.assert_allclose(said(either_not_both), a + b - 2 * a * b)


def test_what_is_unknown_matters_only_where_the_formula_hangs_on_it() -> None:
    nan = np.nan
    p = np.array([[nan, 1.0], [nan, 0.0], [nan, 0.4], [0.2, nan], [nan, nan]])
    said = lambda f: chance(f, [A, B], p)  # noqa: E731
    np.testing.assert_array_equal(said(Either((A, B))), [1, nan, nan, nan, nan])
    np.testing.assert_array_equal(said(Every((A, B))), [nan, 0, nan, nan, nan])
    np.testing.assert_array_equal(said(Every((B, Either((A, Negation(A)))))), p[:, 1])
    np.testing.assert_array_equal(said(Every((A, Negation(A)))), 0)


def test_many_samples_are_told_as_one_by_one() -> None:
    p = np.random.default_rng(3).random((BLOCK + 5, 3))
    formula = Either((Every((A, Negation(B))), C))
    every = chance(formula, [A, B, C], p)
    alone = [chance(formula, [A, B, C], row[None])[0] for row in p[[0, BLOCK - 1, BLOCK, -1]]]
    assert every[[0, BLOCK - 1, BLOCK, -1]].tolist() == alone
    assert chance(formula, [A, B, C], p[:0]).shape == (0,)


def test_equal_parts_are_worked_out_once() -> None:
    """An odd number of labels: 2^16 cases, and two parts for each label but the last."""
    steps, _whole = expansion(_parity(MOST_LABELS), MOST_LABELS)
    assert len(steps) == 2 * MOST_LABELS - 1
    small: Formula = Either((Every((A, Negation(B))), Every((Negation(A), B))))
    assert truth_table(small, [A, B]) == _parity(2)


def _parity(num: int) -> int:
    return sum((k.bit_count() & 1) << k for k in range(1 << num))


@pytest.mark.parametrize(
    ("formula", "atoms"),
    [
        (A, [A]),
        (Every((C, Negation(A), A)), [C, A]),
        (Either((B, C, B)), [B, C]),
        (Either((Inside("a"), Negation(Worded("a")), A)), [Inside("a"), Worded("a"), A]),
    ],
)
def test_atoms_are_named_once_as_they_are_written(formula: Formula, atoms: list[Atom]) -> None:
    assert atoms_of(formula) == atoms
