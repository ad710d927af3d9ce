"""Platt's calibrator: when it speaks, and what labels lend each other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backend.methods.calibrators.platt import PlattCalibrator
from backend.numerics.calibration import fit_sigmoid
from backend.numerics.scores import expected_calibration_error
from backend.types import Lessons


def verdicts(truth, rows, column):
    return Lessons(
        np.asarray(rows),
        np.full(len(rows), column),
        np.asarray(truth)[rows].astype(np.float32),
    )


def together(*lessons):
    return Lessons(
        np.concatenate([one.rows for one in lessons]),
        np.concatenate([one.columns for one in lessons]),
        np.concatenate([one.targets for one in lessons]),
    )


@pytest.mark.parametrize(("count", "speaks"), [(7, False), (8, True)])
def test_eight_verdicts_of_both_kinds_are_enough(count, speaks):
    scores = np.linspace(-2, 2, 20, dtype=np.float32)[:, None]
    truth = np.arange(20) % 2
    state = PlattCalibrator().fit(scores, verdicts(truth, np.arange(count), 0))
    found = PlattCalibrator().probabilities(state, scores)
    assert np.isfinite(found).all() == speaks
    assert np.isnan(found).all() != speaks


def test_alone_a_label_gets_exactly_its_own_curve():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(60, 2)).astype(np.float32)
    truth = rng.random(60) < 0.5
    calibrator = PlattCalibrator(PlattCalibrator.Settings(shrinkage=0.0))
    state = calibrator.fit(
        scores, together(verdicts(truth, np.arange(60), 0), verdicts(~truth, np.arange(30), 1))
    )
    slope, offset = fit_sigmoid(scores[:, 0].astype(float), truth.astype(float))
    np.testing.assert_allclose(state["curves"][0], [slope, offset], atol=1e-6)


def test_a_label_with_few_verdicts_leans_on_the_others():
    rng = np.random.default_rng(1)
    scores = (3 * rng.normal(size=(500, 2))).astype(np.float32)
    chance = 1 / (1 + np.exp(-scores))
    truth = rng.random(scores.shape) < chance
    lessons = together(
        verdicts(truth[:, 0], np.arange(500), 0), verdicts(truth[:, 1], np.arange(9), 1)
    )
    errors = []
    for shrinkage in (0.0, 10.0):
        calibrator = PlattCalibrator(replace(PlattCalibrator.Settings(), shrinkage=shrinkage))
        found = calibrator.probabilities(calibrator.fit(scores, lessons), scores)
        errors.append(np.abs(found[:, 1] - chance[:, 1]).mean())
    assert errors[1] < errors[0]
    assert errors[1] < 0.1


def test_overconfident_scores_become_honest():
    rng = np.random.default_rng(2)
    scores = (6 * rng.normal(size=(600, 3))).astype(np.float32)
    truth = rng.random(scores.shape) < 1 / (1 + np.exp(-scores / 4))
    held = together(*(verdicts(truth[:, j], np.arange(200), j) for j in range(3)))
    found = PlattCalibrator().probabilities(PlattCalibrator().fit(scores, held), scores)
    rest = np.zeros_like(truth)
    rest[200:] = True
    targets = truth.astype(np.float32)
    raw = (1 / (1 + np.exp(-scores))).astype(np.float32)
    assert expected_calibration_error(raw, targets, rest) > 0.1
    assert expected_calibration_error(found, targets, rest) < 0.04
