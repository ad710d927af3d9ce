"""Bins by hand, the error against the one of `scores`, intervals against SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from backend.numerics.reliability import reliability, wilson
from backend.numerics.scores import expected_calibration_error


@pytest.fixture
def case():
    rng = np.random.default_rng(4)
    chances = rng.random(400).astype(np.float32)
    return chances, (rng.random(400) < chances**1.5).astype(np.float32)


def test_the_curve_is_that_of_sklearn(case):
    chances, targets = case
    found = reliability(chances, targets, num_bins=10)
    observed, stated = calibration_curve(targets, chances, n_bins=10)
    np.testing.assert_allclose(found.observed, observed)
    np.testing.assert_allclose(found.stated, stated, rtol=1e-6)
    assert found.brier == pytest.approx(brier_score_loss(targets, chances))
    assert found.ece == pytest.approx(
        expected_calibration_error(
            chances[:, None], targets[:, None], np.ones((400, 1), bool), num_bins=10
        )
    )


def test_bins_and_intervals_by_hand():
    found = reliability(np.array([0.9, 0.9, 1.0, 0.1, np.nan]), np.array([1.0, 0, 1, 0, 1]))
    assert found.counts.tolist() == [1, 2, 1]
    assert found.edges[-1].tolist() == [14 / 15, 1]  # a probability of 1 is in the last bin
    assert found.observed.tolist() == [0, 0.5, 1]
    assert found.ece == pytest.approx((0.1 + 2 * 0.4 + 0) / 4)


@pytest.mark.parametrize(("hits", "count"), [(0, 5), (5, 5), (3, 17), (400, 1000)])
def test_intervals_are_those_of_scipy(hits, count):
    low, high = wilson(np.array([hits]), np.array([count]))
    twin = binomtest(hits, count).proportion_ci(method="wilson")
    assert (low[0], high[0]) == (pytest.approx(twin.low, abs=1e-9), pytest.approx(twin.high))


def test_nothing_counted_says_nothing():
    assert np.isnan(reliability(np.array([np.nan]), np.array([1.0])).ece)
    low, high = wilson(np.array([0]), np.array([0]))
    assert (low[0], high[0]) == (0, 1)
