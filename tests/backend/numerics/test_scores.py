"""Scores against scikit-learn, by hand, and blind to what is unknown."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import (
    average_precision_score,
    f1_score,
    precision_score,
    recall_score,
)

from backend.numerics import scores as metrics


@pytest.fixture
def case():
    rng = np.random.default_rng(0)
    targets = (rng.random((80, 5)) < 0.3).astype(np.float32)
    # Rounded, so that ties are common.
    values = np.round(rng.normal(size=(80, 5)) + targets, 1).astype(np.float32)
    return values, targets, rng.random((80, 5)) < 0.7


def test_average_precision_equals_sklearn_with_and_without_ties(case):
    values, targets, known = case
    aps = metrics.label_average_precisions(values, targets, known)
    expected = [
        average_precision_score(targets[known[:, j], j], values[known[:, j], j]) for j in range(5)
    ]
    np.testing.assert_allclose(aps, expected, atol=1e-12)
    assert metrics.mean_average_precision(values, targets, known) == pytest.approx(
        np.mean(expected)
    )


def test_average_precision_by_hand():
    # Ranks 1 and 3 hold: (1/1 + 2/3) / 2.
    assert metrics.average_precision(
        np.array([0.9, 0.5, 0.4, 0.1]), np.array([1.0, 0, 1, 0])
    ) == pytest.approx((1 + 2 / 3) / 2)


def test_labels_with_one_kind_of_verdict_say_nothing(case):
    values, targets, known = case
    targets[:, 0], targets[:, 1] = 1, 0
    aps = metrics.label_average_precisions(values, targets, known)
    assert np.isnan(aps[:2]).all()
    assert metrics.mean_average_precision(values, targets, known) == pytest.approx(aps[2:].mean())
    assert np.isnan(metrics.mean_average_precision(values, targets, np.zeros_like(known)))


def test_f1_in_its_stated_definitions(case):
    values, targets, known = case
    predicted = values > 0.5
    assert metrics.overall_f1(predicted, targets, known) == pytest.approx(
        f1_score(targets[known], predicted[known])
    )
    precision = [
        (predicted & known & (targets > 0))[:, j].sum() / (predicted & known)[:, j].sum()
        for j in range(5)
    ]
    recall = [
        (predicted & known & (targets > 0))[:, j].sum() / (known & (targets > 0))[:, j].sum()
        for j in range(5)
    ]
    p, r = np.mean(precision), np.mean(recall)
    assert metrics.label_f1(predicted, targets, known) == pytest.approx(2 * p * r / (p + r))


def test_a_label_without_yes_is_not_in_cf1_and_one_never_predicted_counts_zero():
    targets = np.array([[1, 0, 1], [0, 0, 1]], np.float32)
    predicted = np.array([[True, True, False], [False, False, False]])
    known = np.ones((2, 3), bool)
    # Labels 0 and 2 have a YES: precision (1 + 0) / 2, recall (1 + 0) / 2.
    assert metrics.label_f1(predicted, targets, known) == pytest.approx(0.5)
    assert np.isnan(metrics.label_f1(predicted, np.zeros_like(targets), known))
    assert np.isnan(metrics.overall_f1(predicted, np.zeros_like(targets), known))


def test_unknown_pairs_change_no_number(case):
    values, targets, known = case
    wild_values, wild_targets = values.copy(), targets.copy()
    wild_values[~known] = 100
    wild_targets[~known] = 1 - wild_targets[~known]
    chances, wild_chances = (1 / (1 + np.exp(-v)) for v in (values, wild_values))
    for one, other in (
        (
            metrics.mean_average_precision(values, targets, known),
            metrics.mean_average_precision(wild_values, wild_targets, known),
        ),
        (
            metrics.label_f1(values > 0, targets, known),
            metrics.label_f1(wild_values > 0, wild_targets, known),
        ),
        (
            metrics.overall_f1(values > 0, targets, known),
            metrics.overall_f1(wild_values > 0, wild_targets, known),
        ),
        (
            metrics.expected_calibration_error(chances, targets, known),
            metrics.expected_calibration_error(wild_chances, wild_targets, known),
        ),
    ):
        assert one == other


def test_calibration_error_by_hand():
    chances = np.array([[0.9], [0.9], [0.9], [0.9], [0.1], [np.nan]])
    targets = np.array([[1.0], [1], [1], [0], [0], [1]])
    known = np.ones((6, 1), bool)
    # Bin of 0.9: stated 0.9, observed 0.75, four of five; bin of 0.1: 0.1 against 0.
    expected = (4 * 0.15 + 1 * 0.1) / 5
    assert metrics.expected_calibration_error(chances, targets, known) == pytest.approx(expected)
    perfect = np.array([[1.0], [1], [1], [0], [0], [1]])
    assert metrics.expected_calibration_error(perfect, targets, known) == 0
    assert np.isnan(metrics.expected_calibration_error(chances, targets, ~known))


def test_micro_and_weighted_are_those_of_sklearn(case):
    values, targets, known = case
    every = np.ones_like(known)
    for average, ours in (
        ("micro", metrics.micro_average_precision),
        ("weighted", metrics.weighted_average_precision),
        ("macro", metrics.mean_average_precision),
    ):
        assert ours(values, targets, every) == pytest.approx(
            average_precision_score(targets, values, average=average)
        ), average
    # With gaps micro is one list of the decided pairs.
    assert metrics.micro_average_precision(values, targets, known) == pytest.approx(
        average_precision_score(targets[known], values[known])
    )
    per_label = metrics.label_average_precisions(values, targets, known)
    yes = ((targets > 0) & known).sum(axis=0)
    assert metrics.weighted_average_precision(values, targets, known) == pytest.approx(
        np.average(per_label, weights=yes)
    )


def test_both_definitions_of_cf1_are_told_apart(case):
    values, targets, _ = case
    every, predicted = np.ones(targets.shape, bool), values > 0.5
    found = metrics.F1Scores.of(predicted, targets, every)
    assert found.CF1_mean == pytest.approx(f1_score(targets, predicted, average="macro"))
    assert pytest.approx(f1_score(targets, predicted, average="micro")) == found.OF1
    cp, cr = (
        score(targets, predicted, average="macro") for score in (precision_score, recall_score)
    )
    assert (pytest.approx(cp), pytest.approx(cr)) == (found.CP, found.CR)
    assert pytest.approx(2 * cp * cr / (cp + cr)) == found.CF1
    assert found.CF1_mean < found.CF1


@pytest.mark.parametrize("seed", range(5))
def test_the_mean_of_f1_is_never_above_f1_of_the_means(seed):
    rng = np.random.default_rng(seed)
    predicted, known = (rng.random((2, 30, 6)) < 0.5)[:, :, :]
    found = metrics.F1Scores.of(predicted, (rng.random((30, 6)) < 0.3).astype(np.float32), known)
    assert found.CF1_mean <= found.CF1 + 1e-12


def test_the_highest_of_each_sample_are_predicted_whatever_their_height():
    values = np.array([[0.9, 0.1, 0.5, 0.2], [-5.0, -1.0, -3.0, np.nan]], np.float32)
    assert metrics.highest(values, 2).tolist() == [
        [True, False, True, False],
        [False, True, True, False],
    ]
    # More than there are labels: all that have a score.
    assert metrics.highest(values, 9).sum() == 7


def test_top_k_f1_by_hand():
    values = np.array([[3.0, 2, 1], [1, 2, 3]], np.float32)
    targets = np.array([[1.0, 0, 1], [0, 0, 1]], np.float32)
    known = np.array([[True, True, True], [True, False, True]])
    found = metrics.F1Scores.of(metrics.highest(values, 2), targets, known)
    # Said and decided: (0,0) right, (0,1) wrong, (1,2) right; the undecided (1,1) is left out.
    assert (pytest.approx(2 / 3), pytest.approx(2 / 3)) == (found.OP, found.OR)
    assert (pytest.approx((1 + 1) / 2), pytest.approx((1 + 0.5) / 2)) == (found.CP, found.CR)
