"""Platt's curve against scikit-learn's, its bound and its prior."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.calibration import _SigmoidCalibration

from backend.numerics.calibration import fit_sigmoid


@pytest.fixture
def case():
    rng = np.random.default_rng(0)
    scores = 4 * rng.normal(size=120) - 1
    return scores, (rng.random(120) < 1 / (1 + np.exp(-0.7 * scores - 0.3))).astype(float)


def test_equals_sklearn(case):
    scores, targets = case
    expected = _SigmoidCalibration().fit(scores, targets)
    slope, offset = fit_sigmoid(scores, targets)
    assert slope == pytest.approx(-expected.a_, abs=1e-4)
    assert offset == pytest.approx(-expected.b_, abs=1e-4)


def test_separable_verdicts_end_at_a_finite_slope_like_sklearn():
    scores = np.array([-3.0, -2, -1, 1, 2, 3])
    targets = (scores > 0).astype(float)
    slope, offset = fit_sigmoid(scores, targets)
    expected = _SigmoidCalibration().fit(scores, targets)
    assert slope == pytest.approx(-expected.a_, abs=1e-3)
    assert offset == pytest.approx(0, abs=1e-6)


def test_a_falling_relation_is_held_flat_but_rising(case):
    scores, targets = case
    slope, offset = fit_sigmoid(scores, 1 - targets)
    assert 0 < slope < 1e-2
    share = (1 - targets).mean()
    assert 1 / (1 + np.exp(-offset)) == pytest.approx(share, abs=0.02)


def test_equal_scores_give_the_share_of_yes():
    slope, offset = fit_sigmoid(np.full(40, 2.0), np.repeat([1.0, 0.0], [30, 10]))
    assert slope > 0
    assert 1 / (1 + np.exp(-(2 * slope + offset))) == pytest.approx(0.75, abs=0.02)


def test_the_prior_is_worth_as_many_verdicts_as_it_says(case):
    scores, targets = case
    own, common = fit_sigmoid(scores, targets), (3.0, 5.0)
    near = fit_sigmoid(scores, targets, prior=common, strength=1e6)
    assert near == pytest.approx(common, abs=0.05)
    between = [
        fit_sigmoid(scores, targets, prior=common, strength=s)[0] for s in (0.0, 10.0, 100.0, 1e4)
    ]
    assert between[0] == pytest.approx(own[0], abs=1e-6)
    assert between == sorted(between)
