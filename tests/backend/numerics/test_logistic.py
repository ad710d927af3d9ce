"""The solver against scikit-learn, from several starts, and its own promise of distance."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from backend.numerics import logistic


@pytest.fixture
def case():
    rng = np.random.default_rng(0)
    x = 2 * rng.normal(size=(70, 9))
    y = (x @ rng.normal(size=9) + rng.normal(size=70) > 0).astype(float)
    return x, y


def test_equals_sklearn_without_offsets(case):
    x, y = case
    # scikit-learn at C = 1 has the same objective: sum of losses plus half the squared length.
    expected = LogisticRegression(C=1.0, fit_intercept=False, tol=1e-12, max_iter=10_000).fit(x, y)
    found, steps = logistic.fit(x, np.zeros(70), y, np.ones(70), np.zeros(9))
    np.testing.assert_allclose(found, expected.coef_[0], atol=1e-6)
    assert 0 < steps < 20


def test_the_logistic_is_that_of_scipy_and_overflows_nowhere():
    x = np.array([-1e4, -30.0, -1.5, 0.0, 2.0, 40.0, 1e4, np.nan])
    np.testing.assert_allclose(logistic.logistic(x), expit(x), atol=1e-15)
    light = logistic.logistic(x.astype(np.float32))
    assert light.dtype == np.float32
    np.testing.assert_allclose(light, expit(x), atol=1e-7)


def test_chances_are_those_of_scipy_and_small_ones_stay_apart():
    x = np.array([-1e4, -29.5, -18.0, -17.5, 0.0, 2.0, 1e4, np.nan], np.float32)
    found = logistic.chance(x)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expit(np.clip(x, -30, 30).astype(float)), rtol=1e-5)
    assert (np.diff(found[:6]) > 0).all()
    assert logistic.logistic(x)[2] == logistic.logistic(x)[3], "half a tangent takes them for one"


def test_weights_count_like_repeated_rows(case):
    x, y = case
    twice = np.where(np.arange(70) < 20, 2.0, 1.0)
    found, _ = logistic.fit(x, np.zeros(70), y, twice, np.zeros(9))
    repeated = np.concatenate([np.arange(70), np.arange(20)])
    other, _ = logistic.fit(x[repeated], np.zeros(90), y[repeated], np.ones(90), np.zeros(9))
    np.testing.assert_allclose(found, other, atol=1e-7)


def test_offsets_are_a_known_part_of_the_logit(case):
    """With an offset of x v, the solution is that of a prior around v."""
    x, y = case
    v = np.linspace(-1, 1, 9)
    moved, _ = logistic.fit(x, x @ v, y, np.ones(70), np.zeros(9))
    # Check the stationary point by hand: X'(p - y) + (whole - v) = 0.
    whole = moved + v
    chance = 1 / (1 + np.exp(-x @ whole))
    np.testing.assert_allclose(x.T @ (chance - y) + (whole - v), 0, atol=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_every_start_ends_within_the_promised_distance(case, seed):
    x, y = case
    one, _ = logistic.fit(x, np.zeros(70), y, np.ones(70), np.zeros(9))
    start = 30 * np.random.default_rng(seed).normal(size=9)
    other, _ = logistic.fit(x, np.zeros(70), y, np.ones(70), start)
    assert np.linalg.norm(one - other) <= 2 * logistic.TOLERANCE


def test_a_solved_start_is_returned_itself(case):
    x, y = case
    one, _ = logistic.fit(x, np.zeros(70), y, np.ones(70), np.zeros(9))
    again, steps = logistic.fit(x, np.zeros(70), y, np.ones(70), one)
    assert again is one
    assert steps == 0


def test_steps_are_limited_and_add_up(case):
    x, y = case
    whole, steps = logistic.fit(x, np.zeros(70), y, np.ones(70), np.zeros(9))
    half, done = logistic.fit(x, np.zeros(70), y, np.ones(70), np.zeros(9), max_steps=3)
    assert done == 3
    rest, more = logistic.fit(x, np.zeros(70), y, np.ones(70), half)
    np.testing.assert_array_equal(rest, whole)
    assert done + more == steps


def test_huge_features_do_not_overflow_and_end_where_the_gradient_is_nothing():
    x, y = np.array([[1e4], [-1e4], [3e3]]), np.array([1.0, 0, 0])
    found, _ = logistic.fit(x, np.zeros(3), y, np.ones(3), np.array([50.0]))
    gradient = x.T @ (1 / (1 + np.exp(-x @ found)) - y) + found
    assert np.abs(gradient).max() < 1e-6 * 1e4
    assert 0 < found[0] < 1e-2
