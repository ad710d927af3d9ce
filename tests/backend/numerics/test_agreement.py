"""Krippendorff's alpha against the reference library and by hand."""

from __future__ import annotations

import krippendorff
import numpy as np
import pytest

from backend.numerics.agreement import alpha, alphas


def test_alpha_by_hand() -> None:
    """Two judges, four units, one of them disputed: D_o = 2/8, D_e = 2 * 5 * 3 / (8 * 7)."""
    counts = np.array([[2, 0], [0, 2], [2, 0], [1, 1]])
    assert alpha(counts) == pytest.approx(1 - (2 / 8) / (30 / 56))


@pytest.mark.parametrize("seed", range(8))
def test_alpha_is_the_reference_librarys(seed: int) -> None:
    rng = np.random.default_rng(seed)
    judges, units = int(rng.integers(2, 6)), int(rng.integers(5, 60))
    truth = rng.integers(0, 3, units)
    said = np.where(rng.random((judges, units)) < 0.7, truth, rng.integers(0, 3, (judges, units)))
    data = np.where(rng.random((judges, units)) < 0.4, np.nan, said)
    counts = np.stack([(data == value).sum(axis=0) for value in range(3)], axis=1)
    wanted = krippendorff.alpha(reliability_data=data, level_of_measurement="nominal")
    assert alpha(counts) == pytest.approx(wanted, abs=1e-12)


def test_groups_are_as_if_each_were_alone() -> None:
    rng = np.random.default_rng(3)
    counts, groups = rng.integers(0, 3, (200, 3)), rng.integers(0, 7, 200)
    found = alphas(counts, groups, 8)
    alone = [alpha(counts[groups == group]) for group in range(7)]
    np.testing.assert_allclose(found[:7], alone, atol=1e-12)
    assert np.isnan(found[7])  # a group without units


@pytest.mark.parametrize("counts", [np.zeros((0, 3), int), [[1, 0, 0], [0, 1, 0]], [[3, 0, 0]] * 4])
def test_nothing_to_tell_from_chance_is_not_a_number(counts: np.ndarray) -> None:
    assert np.isnan(alpha(np.asarray(counts)))
