"""The logistic learner: its prior in numbers, its balance, its speed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from backend.errors import BadInputError
from backend.methods.learners._heads import by_column
from backend.methods.learners.logistic import LogisticLearner
from backend.types import Features, Lessons


def unit(array):
    return (array / np.linalg.norm(array, axis=-1, keepdims=True)).astype(np.float32)


def world(num, dim, num_labels, seed=0):
    rng = np.random.default_rng(seed)
    pooled = unit(rng.normal(size=(num, dim)) + rng.normal(size=(1, dim)))
    logits = pooled @ rng.normal(size=(dim, num_labels)) + 0.1 * rng.normal(size=(num, num_labels))
    truth = logits > np.quantile(logits, 0.7, axis=0)  # three in ten hold
    noise = rng.normal(size=(2, num, num_labels))
    scores = (truth + noise).astype(np.float32)
    return Features(pooled, scores[0], scores[1]), truth


def lessons_of(truth, num, columns):
    rows = np.repeat(np.arange(num), len(columns))
    labels = np.tile(np.asarray(columns), num)
    return Lessons(rows, labels, truth[rows, labels].astype(np.float32))


def test_a_column_scores_the_same_bit_by_bit_whichever_others_are_scored_with_it():
    features, truth = world(700, 37, 9)
    learner = LogisticLearner()
    state, _ = learner.learn(learner.start(9, 37), features, lessons_of(truth, 60, range(9)))
    together = learner.score(state, features)
    weights = state["weights"].astype(np.float32)
    assert np.allclose(by_column(features.pooled, weights), features.pooled @ weights.T, atol=1e-5)
    for column in range(9):
        alone = replace(
            features,
            global_scores=features.global_scores[:, [column]],
            local_scores=features.local_scores[:, [column]],
        )
        own = {name: array[[column]] for name, array in state.items()}
        assert np.array_equal(learner.score(own, alone)[:, 0], together[:, column])


def test_before_any_verdict_the_score_is_the_average_on_the_logit_scale():
    features, _ = world(20, 6, 3)
    learner = LogisticLearner(LogisticLearner.Settings(slope=1.5, offset=-2.0))
    scores = learner.score(learner.start(3, 6), features)
    average = (features.global_scores + features.local_scores) / 2
    np.testing.assert_allclose(scores, 1.5 * average - 2.0, atol=1e-6)


def test_is_the_logistic_regression_it_says_it_is():
    """With slope 0 and one precision everywhere it is scikit-learn's on the same columns."""
    features, truth = world(60, 5, 3)
    settings = LogisticLearner.Settings(
        slope=0.0,
        offset=0.0,
        mix_precision=2.0,
        weight_precision=2.0,
        offset_precision=2.0,
        balance=0.0,
    )
    learner = LogisticLearner(settings)
    state, _ = learner.learn(learner.start(3, 5), features, lessons_of(truth, 60, range(3)))
    for label in range(3):
        scores = [features.global_scores[:, [label]], features.local_scores[:, [label]]]
        columns = np.concatenate([*scores, features.pooled, np.ones((60, 1))], axis=1).astype(float)
        expected = LogisticRegression(C=0.5, fit_intercept=False, tol=1e-12, max_iter=10_000)
        expected.fit(columns, truth[:, label])
        found = np.concatenate(
            [state["mix"][label], state["weights"][label], state["offset"][[label]]]
        )
        np.testing.assert_allclose(found, expected.coef_[0], atol=1e-6)


def test_a_firm_prior_keeps_the_zero_shot_score_and_a_loose_one_follows_the_verdicts():
    features, truth = world(200, 8, 1)
    lessons = lessons_of(truth, 200, [0])
    start = LogisticLearner().score(LogisticLearner().start(1, 8), features)

    def moved(**precisions):
        learner = LogisticLearner(replace(LogisticLearner.Settings(), **precisions))
        state, _ = learner.learn(learner.start(1, 8), features, lessons)
        return np.abs(learner.score(state, features) - start).mean()

    firm = moved(mix_precision=1e6, weight_precision=1e6, offset_precision=1e6)
    assert firm < 1e-2 < moved() < moved(weight_precision=1e-3)


def test_balance_gives_rare_yes_as_much_say_as_many_no():
    features, truth = world(300, 8, 1, seed=3)
    rare = truth[:, 0]
    lessons = lessons_of(truth, 300, [0])

    def mean_score(balance):
        learner = LogisticLearner(replace(LogisticLearner.Settings(), balance=balance))
        state, _ = learner.learn(learner.start(1, 8), features, lessons)
        return learner.score(state, features)[:, 0]

    alike, equal = mean_score(0.0), mean_score(1.0)
    assert (1 / (1 + np.exp(-alike))).mean() == pytest.approx(rare.mean(), abs=0.05)
    assert (1 / (1 + np.exp(-equal))).mean() > (1 / (1 + np.exp(-alike))).mean() + 0.02


def test_a_label_with_only_yes_learns_what_they_have_in_common():
    rng = np.random.default_rng(0)
    pooled = unit(np.repeat(np.eye(2, 10), 30, axis=0) + 0.1 * rng.normal(size=(60, 10)))
    silent = np.zeros((60, 1), np.float32)
    features = Features(pooled, silent, silent)
    rows = np.arange(5)
    learner = LogisticLearner()
    state, _ = learner.learn(
        learner.start(1, 10), features, Lessons(rows, np.zeros(5, np.int64), np.ones(5, np.float32))
    )
    scores = learner.score(state, features)[:, 0]
    assert scores[:30].min() > scores[30:].max()


def test_fewer_steps_are_a_stage_on_the_way():
    features, truth = world(100, 20, 1)
    lessons, learner = lessons_of(truth, 100, [0]), LogisticLearner()
    start = learner.start(1, 20)
    one, done = learner.learn(start, features, lessons, steps=1)
    full, steps = learner.learn(start, features, lessons)
    assert done == 1 < steps
    rest, more = learner.learn(one, features, lessons)
    assert done + more == steps
    np.testing.assert_allclose(rest["weights"], full["weights"], atol=1e-7)


def test_a_state_cannot_shrink():
    learner = LogisticLearner()
    with pytest.raises(BadInputError, match="3 labels and cannot shrink to 2"):
        learner.extend(learner.start(3, 4), 2)
