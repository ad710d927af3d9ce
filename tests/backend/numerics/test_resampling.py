"""The bootstrap against scikit-learn on repeated rows, and its intervals against the truth."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from backend.numerics import resampling, scores


@pytest.fixture
def case():
    rng = np.random.default_rng(1)
    targets = (rng.random((40, 4)) < 0.4).astype(np.float32)
    values = np.round(rng.normal(size=(40, 4)) + targets, 1).astype(np.float32)
    return values, targets, rng.random((40, 4)) < 0.8


def test_a_draw_is_a_count_of_each_sample():
    weights = resampling.draws(30, 200, seed=0)
    assert (weights.sum(axis=1) == 30).all()
    assert weights.mean() == pytest.approx(1)
    # A sample is missing from a draw with the chance (1 - 1/n)^n.
    assert (weights == 0).mean() == pytest.approx((1 - 1 / 30) ** 30, abs=0.02)
    assert (weights == resampling.draws(30, 200, seed=0)).all()
    assert resampling.draws(0, 3, seed=0).shape == (3, 0)


def test_weighted_precision_is_that_of_repeated_samples(case):
    values, targets, _ = case
    weights = resampling.draws(40, 25, seed=2)
    found = resampling.weighted_average_precisions(values[:, 0], targets[:, 0], weights)
    for one, weight in zip(found, weights, strict=True):
        rows = np.repeat(np.arange(40), weight.astype(int))
        assert one == pytest.approx(average_precision_score(targets[rows, 0], values[rows, 0]))


def test_a_draw_with_one_kind_of_verdict_says_nothing():
    values, targets = np.array([0.9, 0.1], np.float32), np.array([1.0, 0], np.float32)
    weights = np.array([[2.0, 0], [0, 2], [1, 1]], np.float32)
    found = resampling.weighted_average_precisions(values, targets, weights)
    assert np.isnan(found[:2]).all()
    assert found[2] == 1


def test_f1_of_a_draw_is_that_of_repeated_samples(case):
    values, targets, known = case
    predicted = values > 0.5
    weights = resampling.draws(40, 25, seed=3)
    cf1, mean, of1 = resampling.drawn_f1(predicted, targets, known, weights)
    for at, weight in enumerate(weights):
        rows = np.repeat(np.arange(40), weight.astype(int))
        twin = scores.F1Scores.of(predicted[rows], targets[rows], known[rows])
        assert (cf1[at], mean[at], of1[at]) == pytest.approx(
            (twin.CF1, twin.CF1_mean, twin.OF1), rel=1e-5
        )


def test_nothing_predicted_is_an_f1_of_zero_and_no_yes_is_none(case):
    _, targets, known = case
    weights = resampling.draws(40, 3, seed=0)
    nothing = resampling.drawn_f1(np.zeros_like(known), targets, known, weights)
    assert all((each == 0).all() for each in nothing)
    no_yes = resampling.drawn_f1(known, np.zeros_like(targets), known, weights)
    assert all(np.isnan(each).all() for each in no_yes)


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    """300 samples drawn again and again from one law: AP of the law is known from a large draw."""
    rng = np.random.default_rng(7)

    def drawn(size):
        targets = (rng.random(size) < 0.3).astype(np.float32)
        return (rng.normal(size=size) + 1.2 * targets).astype(np.float32), targets

    truth = scores.average_precision(*drawn(400_000))
    held = 0
    for seed in range(100):
        values, targets = drawn(300)
        weights = resampling.draws(300, 200, seed=seed)
        low, high = resampling.interval(
            resampling.weighted_average_precisions(values, targets, weights)
        )
        held += low <= truth <= high
    # 95 of 100; below 86 or above 99 would be a chance of one in a thousand.
    assert 86 <= held <= 99


def test_an_interval_needs_half_of_its_draws():
    values = np.array([0.2, 0.4, np.nan, np.nan, np.nan])
    assert resampling.interval(values) is None
    assert resampling.interval(values[:4]) == (pytest.approx(0.205), pytest.approx(0.395))
