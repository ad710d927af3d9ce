"""What is typical of a group: by hand, by SciPy's odds ratio, and nothing where all are alike."""

import math

import numpy as np
import pytest
from scipy.stats import norm
from scipy.stats.contingency import odds_ratio

from backend.numerics.typical import PRIOR, typicality

DRAW = np.random.default_rng(0)


def by_hand(y: float, n: float, all_y: float, all_n: float) -> float:
    prior = PRIOR * all_y / all_n
    a, b = y + prior, n - y + PRIOR - prior
    c, d = all_y - y + prior, (all_n - n) - (all_y - y) + PRIOR - prior
    return (math.log(a / b) - math.log(c / d)) / math.sqrt(1 / a + 1 / b + 1 / c + 1 / d)


def test_every_cell_is_the_formula_by_hand() -> None:
    has = DRAW.random((200, 5)) < [0.02, 0.1, 0.3, 0.6, 0.9]
    groups = np.array([0] * 20 + [1] * 60 + [2] * 120)
    having = np.stack([has[groups == g].sum(axis=0) for g in range(3)]).astype(float)
    sizes = np.bincount(groups).astype(float)
    found = typicality(having, sizes, has.sum(axis=0).astype(float), 200.0)
    twin = [[by_hand(y, n, t, 200) for y, t in zip(row, has.sum(axis=0), strict=True)]
            for row, n in zip(having, sizes, strict=True)]  # fmt: skip
    np.testing.assert_allclose(found, twin, rtol=1e-9)


def test_it_is_the_sample_odds_ratio_once_the_prior_is_counted_as_samples() -> None:
    """30 of 100 have it: the prior is 3 samples with and 7 without it, on both sides."""
    y, n = 12, 20
    table = np.array([[y + 3, n - y + 7], [30 - y + 3, 80 - 18 + 7]])
    told = odds_ratio(table, kind="sample")
    interval = told.confidence_interval(0.95)
    spread = (math.log(interval.high) - math.log(interval.low)) / (2 * norm.ppf(0.975))
    found = typicality(np.array([[12.0]]), np.array([20.0]), np.array([30.0]), 100.0)
    assert found[0, 0] == pytest.approx(math.log(told.statistic) / spread)


def test_nothing_is_typical_where_all_have_it_alike() -> None:
    having = np.array([[5.0, 0, 10], [10.0, 0, 20]])
    found = typicality(having, np.array([10.0, 20]), np.array([50.0, 0, 100]), 100.0)
    np.testing.assert_allclose(found, 0, atol=1e-12)


def test_one_rare_thing_in_a_small_group_is_no_surprise_and_many_are() -> None:
    once, often = (
        typicality(np.array([[y]]), np.array([10.0]), np.array([20.0 + y]), 1000.0)[0, 0]
        for y in (1.0, 9.0)
    )
    assert once < 1.5
    assert often > 5


def test_sums_of_chances_count_like_samples() -> None:
    sure = typicality(np.array([[6.0]]), np.array([10.0]), np.array([9.0]), 50.0)
    assert typicality(np.array([[5.9]]), np.array([10.0]), np.array([8.9]), 50.0) < sure
    # 32-bit sums may come out a little above the number of samples
    assert np.isfinite(
        typicality(np.array([[10.0001]]), np.array([10.0]), np.array([10.0001]), 50.0)
    ).all()


def test_of_no_samples_nothing_is_known() -> None:
    assert not typicality(np.zeros((2, 3)), np.zeros(2), np.zeros(3), 0.0).any()
