"""What every calibrator promises."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import load, save

from backend import catalogue
from backend.errors import BadInputError
from backend.types import Lessons

KEYS = [
    line.key
    for line in catalogue.entries("calibrators")
    if hasattr(catalogue.load(line.key), "probabilities")
]


@pytest.fixture(params=KEYS)
def calibrator(request):
    return catalogue.load(request.param)()


def held_back(rng, scores, slope, columns, count):
    """Verdicts drawn with probability logistic(slope score)."""
    rows = np.concatenate([rng.permutation(len(scores))[:count] for _ in columns])
    cols = np.repeat(np.array(columns), count)
    chance = 1 / (1 + np.exp(-slope * scores[rows, cols]))
    return Lessons(rows, cols, (rng.random(len(rows)) < chance).astype(np.float32))


@pytest.fixture
def scores():
    return (3 * np.random.default_rng(1).normal(size=(400, 4))).astype(np.float32)


@pytest.mark.parametrize("slope", [1.0, 0.2, -1.0])
def test_order_within_a_label_is_never_reversed_and_output_is_a_probability(
    calibrator, scores, slope
):
    lessons = held_back(np.random.default_rng(0), scores, slope, [0, 1], 60)
    found = calibrator.probabilities(calibrator.fit(scores, lessons), scores)
    for label in (0, 1):
        column = found[:, label]
        assert ((column >= 0) & (column <= 1)).all()
        assert (np.diff(column[scores[:, label].argsort()]) >= 0).all()
        assert len(np.unique(column)) > 10


def test_too_few_verdicts_or_one_kind_only_is_nan(calibrator, scores):
    lessons = held_back(np.random.default_rng(0), scores, 1.0, [0, 1, 2], 60)
    targets = lessons.targets.copy()
    targets[lessons.columns == 1] = 1
    few = (lessons.columns != 2) | (np.cumsum(lessons.columns == 2) <= 3)
    kept = Lessons(lessons.rows[few], lessons.columns[few], targets[few])
    found = calibrator.probabilities(calibrator.fit(scores, kept), scores)
    assert np.isfinite(found[:, 0]).all()
    assert np.isnan(found[:, 1:]).all()


def test_without_any_verdict_everything_is_nan(calibrator, scores):
    none = Lessons(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))
    assert np.isnan(calibrator.probabilities(calibrator.fit(scores, none), scores)).all()


def test_stated_probabilities_are_observed(calibrator, scores):
    rng = np.random.default_rng(7)
    # Overconfident scores: the truth follows a third of the logit.
    lessons = held_back(rng, scores, 1 / 3, [0, 1, 2, 3], 200)
    found = calibrator.probabilities(calibrator.fit(scores, lessons), scores)
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-scores / 3)), atol=0.12)


def test_same_call_same_answer_and_inputs_unchanged(calibrator, scores):
    lessons = held_back(np.random.default_rng(0), scores, 1.0, [0, 1], 40)
    before = scores.copy(), lessons.targets.copy()
    one, other = calibrator.fit(scores, lessons), calibrator.fit(scores, lessons)
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])
    np.testing.assert_array_equal(scores, before[0])
    np.testing.assert_array_equal(lessons.targets, before[1])


def test_save_then_load_gives_the_same_probabilities(calibrator, scores):
    lessons = held_back(np.random.default_rng(0), scores, 1.0, [0, 1], 40)
    state = calibrator.fit(scores, lessons)
    np.testing.assert_array_equal(
        calibrator.probabilities(load(save(state)), scores), calibrator.probabilities(state, scores)
    )


def test_other_number_of_labels_is_refused_with_both_numbers(calibrator, scores):
    lessons = held_back(np.random.default_rng(0), scores, 1.0, [0], 40)
    with pytest.raises(BadInputError, match=r"3 labels for curves of 4"):
        calibrator.probabilities(calibrator.fit(scores, lessons), scores[:, :3])
