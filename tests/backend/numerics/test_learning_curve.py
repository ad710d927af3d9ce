"""Forecasts of a learning curve: exact where the curve is what they take it for."""

from __future__ import annotations

import numpy as np
import pytest

from backend.numerics import learning_curve

ANSWERS = np.array([50.0, 100, 200, 400, 800, 1600])


def test_a_straight_line_in_the_logarithm_is_continued_exactly():
    quality = 0.2 + 0.07 * np.log1p(ANSWERS)
    expected = 0.07 * np.log(1701 / 1601)
    assert learning_curve.gain(ANSWERS, quality, 100) == pytest.approx(expected)
    off, compared = learning_curve.error(ANSWERS, quality, 50)
    # What came is read off chords between points, which lie a little below the curve.
    assert compared == 3
    assert off == pytest.approx(0, abs=0.02)


def test_the_error_is_the_mean_distance_from_what_came():
    quality = np.array([0.1, 0.3, 0.4, 0.4, 0.5, 0.5])
    off = []
    for at in (3, 4, 5):
        expected = learning_curve.gain(ANSWERS[:at], quality[:at], 100)
        then = ANSWERS[at - 1] + 100
        came = np.interp(then, ANSWERS, quality) - quality[at - 1]
        off.append(abs(expected - came))
    assert learning_curve.error(ANSWERS, quality, 100) == (pytest.approx(np.mean(off)), 3)


def test_only_the_newest_points_decide():
    quality = np.concatenate([[0.9, 0.1], 0.2 + 0.05 * np.log1p(ANSWERS)])
    answers = np.concatenate([[5.0, 20.0], ANSWERS])
    assert learning_curve.gain(answers, quality, 100) == pytest.approx(0.05 * np.log(1701 / 1601))


def test_nothing_is_said_of_too_little_and_no_loss_is_promised():
    assert learning_curve.gain(ANSWERS[:2], np.array([0.1, 0.2]), 100) is None
    assert learning_curve.gain(np.full(4, 9.0), np.arange(4) / 9, 100) is None
    assert learning_curve.gain(ANSWERS, np.linspace(0.6, 0.5, 6), 100) == 0.0
    assert learning_curve.error(ANSWERS[:2], np.array([0.1, 0.2]), 100) == (None, 0)
    # A forecast whose end is not reached yet cannot be compared.
    assert learning_curve.error(ANSWERS, np.linspace(0, 1, 6), 5000) == (None, 0)
