"""Thresholds against scikit-learn's curve and against trying every one of them."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_recall_curve

from backend.numerics.trade_off import (
    best_threshold,
    cross_fitted,
    threshold_for_precision,
    threshold_for_recall,
    trade_off,
)


@pytest.fixture
def case():
    rng = np.random.default_rng(5)
    targets = (rng.random(60) < 0.35).astype(np.float32)
    return np.round(rng.normal(size=60) + targets, 1).astype(np.float32), targets


def test_the_curve_is_that_of_sklearn(case):
    values, targets = case
    curve = trade_off(values, targets)
    precision, recall, thresholds = precision_recall_curve(targets, values)
    np.testing.assert_allclose(curve.thresholds, thresholds[::-1], rtol=1e-6)
    np.testing.assert_allclose(curve.precision, precision[:-1][::-1])
    np.testing.assert_allclose(curve.recall, recall[:-1][::-1])


@pytest.mark.slow
def test_the_best_threshold_is_the_best_of_all(case):
    values, targets = case
    tried = np.linspace(values.min() - 1, values.max() + 1, 2000)
    best = max(f1_score(targets, values >= at, zero_division=0) for at in tried)
    chosen = best_threshold(trade_off(values, targets))
    assert f1_score(targets, values >= chosen) == pytest.approx(best)
    # Half way in its gap: no decided score is as close as the nearest two are apart.
    assert np.abs(values - chosen).min() > 0.01


def test_a_threshold_for_a_wish_is_the_widest_that_grants_it(case):
    values, targets = case
    curve = trade_off(values, targets)

    def at(threshold):
        said = values >= threshold
        return (said & (targets > 0)).sum() / said.sum(), said[targets > 0].mean()

    precise = threshold_for_precision(curve, 0.7)
    assert at(precise)[0] >= 0.7
    lower = [t for t in np.unique(values) if t < precise and at(t)[0] >= 0.7]
    assert lower == []
    wide = threshold_for_recall(curve, 0.9)
    assert at(wide)[1] >= 0.9
    # The next score above does the same, the one after it loses too many.
    same, fewer = np.unique(values[values > wide])[:2]
    assert at(same) == at(wide)
    assert at(fewer)[1] < 0.9
    assert threshold_for_precision(trade_off(values, np.zeros_like(targets)), 0.5) is None


def test_one_kind_of_verdict_chooses_nothing():
    values = np.array([0.2, 0.8], np.float32)
    for targets in (np.ones(2, np.float32), np.zeros(2, np.float32)):
        assert best_threshold(trade_off(values, targets)) is None
    empty = trade_off(values[:0], values[:0])
    assert best_threshold(empty) is None
    assert threshold_for_recall(empty, 0.5) is None


def test_equal_scores_are_one_point_of_the_curve():
    curve = trade_off(np.array([0.5, 0.5, 0.5], np.float32), np.array([1.0, 0, 0], np.float32))
    assert (curve.thresholds.tolist(), curve.hits.tolist(), curve.predicted.tolist()) == (
        [0.5],
        [1],
        [3],
    )
    assert best_threshold(curve) == 0.5


def test_a_fold_is_predicted_by_thresholds_that_did_not_see_it():
    rng = np.random.default_rng(3)
    targets = (rng.random((60, 3)) < 0.4).astype(np.float32)
    values = (rng.normal(size=(60, 3)) + targets).astype(np.float32)
    known = rng.random((60, 3)) < 0.8
    targets[:, 2] = 1  # nothing to choose by
    folds = np.arange(60) % 4
    found = cross_fitted(values, targets, known, folds, otherwise=0.5)
    for fold in range(4):
        here, there = folds == fold, folds != fold
        for label in range(2):
            rows = there & known[:, label]
            chosen = best_threshold(trade_off(values[rows, label], targets[rows, label]))
            assert (found[here, label] == (values[here, label] >= chosen)).all()
    assert (found[:, 2] == (values[:, 2] >= 0.5)).all()
    # What a fold itself says changes nothing in it.
    other = targets.copy()
    other[folds == 0] = 1 - other[folds == 0]
    again = cross_fitted(values, other, known, folds, otherwise=0.5)
    assert (again[folds == 0] == found[folds == 0]).all()
