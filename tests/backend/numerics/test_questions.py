"""What is asked: against the definition written out, and what it is meant to do."""

from __future__ import annotations

import numpy as np
import pytest

from backend.numerics import questions


@pytest.mark.parametrize("seed", range(4))
def test_values_are_the_formula_pair_by_pair(seed):
    rng = np.random.default_rng(seed)
    chances = rng.random((12, 4)).astype(np.float32)
    is_open = rng.random((12, 4)) < 0.7
    answers = np.array([0.0, 3.0, 1.5, 10.0])
    worth = questions.values(chances, is_open, answers, seed=seed)
    for label in range(4):
        doubt = [
            1 - abs(2 * chances[row, label] - 1) if is_open[row, label] else -1 for row in range(12)
        ]
        for row in range(12):
            place = sum(other > doubt[row] for other in doubt)
            told = 1 / (1 + answers[label] + place) if is_open[row, label] else 0.0
            assert worth[row, label] == pytest.approx(told)


def test_each_label_asks_first_about_its_own_most_doubtful_sample():
    # The second label is sure of nearly everything: its best doubt is small, but it has a turn.
    chances = np.array([[0.5, 0.01], [0.4, 0.02], [0.3, 0.2], [0.6, 0.01]], np.float32)
    worth = questions.values(chances, np.ones((4, 2), bool), np.zeros(2))
    assert worth[0, 0] == worth[2, 1] == 1.0


def test_a_label_with_answers_waits_for_one_without():
    chances = np.full((5, 2), 0.5, np.float32)
    yes, no = np.array([6, 0]), np.array([4, 0])
    worth = questions.values(chances, np.ones((5, 2), bool), questions.answered(yes, no))
    assert worth[:, 0].max() == pytest.approx(1 / 8)  # 6 x 1 + 4 x 0.25 answers
    assert worth[:, 1].min() > worth[:, 0].max()


def test_a_sample_asks_about_its_best_labels_and_no_others():
    worth = np.array([[0.9, 0.5, 0.4, 0.8, 0.7], [0.0, 0.0, 0.0, 0.0, 0.0]])
    assert questions.asked(worth, most=3).tolist() == [
        [True, False, False, True, True],
        [False] * 5,
    ]
    assert questions.asked(worth, most=2, near=0.95).tolist()[0] == [
        True,
        False,
        False,
        False,
        False,
    ]


def test_equals_come_in_an_order_that_the_seed_decides():
    chances = np.full((50, 1), 0.5, np.float32)
    is_open = np.ones((50, 1), bool)
    first = {
        int(questions.values(chances, is_open, np.zeros(1), seed=seed)[:, 0].argmax())
        for seed in range(8)
    }
    assert len(first) > 4


def test_nothing_to_ask_of_nothing():
    for shape in ((0, 3), (3, 0), (0, 0)):
        none = np.zeros(shape, np.float32)
        assert questions.values(none, none.astype(bool), np.zeros(shape[1])).shape == shape
        assert questions.asked(none).shape == shape


def test_labels_that_know_nothing_take_turns():
    # 40 samples have room for three questions each: every one of 60 labels can be asked twice.
    chances = np.full((40, 60), 0.5, np.float32)
    worth = questions.values(chances, np.ones((40, 60), bool), np.zeros(60))
    asked = questions.asked(worth)
    best = np.argsort(-np.where(asked, worth, 0.0).sum(axis=1))
    assert asked[best[:20]].any(axis=0).sum() > 30
    assert asked.sum(axis=0).max() <= 8
