"""What every learner promises."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import load, save

from backend import catalogue
from backend.errors import BadInputError
from backend.types import Features, Lessons

KEYS = [line.key for line in catalogue.entries("learners")]
N, D, L = 60, 12, 4


def unit(array):
    return (array / np.linalg.norm(array, axis=-1, keepdims=True)).astype(np.float32)


@pytest.fixture
def world():
    """Samples of which label j holds where coordinate j is large; scores say so only roughly."""
    rng = np.random.default_rng(5)
    pooled = unit(rng.normal(size=(N, D)))
    truth = pooled[:, :L] > 0.2
    noise = rng.normal(size=(2, N, L))
    features = Features(
        pooled=pooled,
        global_scores=(truth + noise[0]).astype(np.float32),
        local_scores=(truth + noise[1]).astype(np.float32),
    )
    return features, truth


def lessons_of(truth, rows, columns):
    pairs = [(r, c) for c in columns for r in rows]
    index = np.array(pairs, np.int64).reshape(-1, 2)
    targets = truth[index[:, 0], index[:, 1]].astype(np.float32)
    return Lessons(rows=index[:, 0], columns=index[:, 1], targets=targets)


@pytest.fixture(params=KEYS)
def learner(request):
    return catalogue.load(request.param)()


def order_right(scores, truth):
    """Share of (YES, NO) pairs of samples in the right order."""
    return np.mean(
        [(scores[truth[:, j], j][:, None] > scores[~truth[:, j], j]).mean() for j in range(L)]
    )


def same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


def is_same(one, other):
    return all(np.array_equal(one[name], other[name]) for name in one)


def test_without_corrections_the_order_is_the_zero_shot_order(learner, world):
    features, _ = world
    scores = learner.score(learner.start(L, D), features)
    average = (features.global_scores + features.local_scores) / 2
    assert scores.shape == (N, L)
    np.testing.assert_array_equal(scores.ravel().argsort(), average.ravel().argsort())


def test_no_corrections_no_change(learner, world):
    features, truth = world
    state = learner.start(L, D)
    learned, steps = learner.learn(state, features, lessons_of(truth, [], []))
    same(learned, state)
    assert steps == 0


def test_lessons_are_learned(learner, world):
    features, truth = world
    state, steps = learner.learn(
        learner.start(L, D), features, lessons_of(truth, range(40), range(L))
    )
    scores = learner.score(state, features)[40:]
    start = learner.score(learner.start(L, D), features)[40:]
    assert steps > 0
    assert order_right(scores, truth[40:]) > order_right(start, truth[40:]) + 0.05


def test_the_same_call_gives_the_same_state_bit_by_bit(learner, world):
    features, truth = world
    lessons = lessons_of(truth, range(30), range(L))
    one = learner.learn(learner.start(L, D), features, lessons, seed=3)
    other = learner.learn(learner.start(L, D), features, lessons, seed=3)
    same(one[0], other[0])
    assert one[1] == other[1]


def test_order_of_lessons_does_not_matter(learner, world):
    features, truth = world
    lessons = lessons_of(truth, range(30), range(L))
    order = np.random.default_rng(0).permutation(len(lessons.rows))
    shuffled = Lessons(lessons.rows[order], lessons.columns[order], lessons.targets[order])
    learned, _ = learner.learn(learner.start(L, D), features, lessons)
    same(learner.learn(learner.start(L, D), features, shuffled)[0], learned)
    # The order of the rows alone is what does not matter: with other answers all is different.
    other = Lessons(lessons.rows, lessons.columns, shuffled.targets)
    assert not is_same(learner.learn(learner.start(L, D), features, other)[0], learned)


def test_replay_of_the_steps_equals_the_live_model(learner, world):
    features, truth = world
    live, log = learner.start(L, D), []
    for count, columns in ((10, [0, 1]), (20, [0]), (25, range(L)), (40, [2, 3])):
        live, steps = learner.learn(live, features, lessons_of(truth, range(count), columns))
        log.append((count, columns, steps))
    replayed = learner.start(L, D)
    for count, columns, steps in log:
        lessons = lessons_of(truth, range(count), columns)
        replayed, taken = learner.learn(replayed, features, lessons, steps=steps)
        assert taken == steps
    same(replayed, live)


def test_no_more_steps_are_taken_than_were_asked_for(learner, world):
    features, truth = world
    lessons = lessons_of(truth, range(30), range(L))
    whole, steps = learner.learn(learner.start(L, D), features, lessons)
    cut, taken = learner.learn(learner.start(L, D), features, lessons, steps=1)
    assert steps > taken == 1
    assert not is_same(cut, whole)
    assert not is_same(cut, learner.start(L, D))


def test_the_way_there_does_not_matter(learner, world):
    features, truth = world
    all_at_once, _ = learner.learn(
        learner.start(L, D), features, lessons_of(truth, range(40), range(L))
    )
    bit_by_bit = learner.start(L, D)
    for count in range(1, 41):
        lessons = lessons_of(truth, range(count), range(L))
        bit_by_bit, _ = learner.learn(bit_by_bit, features, lessons)
    np.testing.assert_allclose(
        learner.score(bit_by_bit, features), learner.score(all_at_once, features), atol=1e-5
    )


def test_teaching_one_label_leaves_the_others_bit_by_bit(learner, world):
    features, truth = world
    state, _ = learner.learn(learner.start(L, D), features, lessons_of(truth, range(20), range(L)))
    taught, _ = learner.learn(state, features, lessons_of(truth, range(40), [1]))
    for name in state:
        np.testing.assert_array_equal(np.delete(taught[name], 1, 0), np.delete(state[name], 1, 0))
    before, after = learner.score(state, features), learner.score(taught, features)
    np.testing.assert_array_equal(np.delete(after, 1, 1), np.delete(before, 1, 1))
    assert np.abs(after[:, 1] - before[:, 1]).max() > 1e-3


def test_old_lessons_again_change_nothing(learner, world):
    features, truth = world
    lessons = lessons_of(truth, range(30), range(L))
    state, _ = learner.learn(learner.start(L, D), features, lessons)
    again, steps = learner.learn(state, features, lessons)
    same(again, state)
    assert steps == 0


def test_unknown_pairs_are_masked(learner, world):
    """A column's state depends on its own decided rows, not on what other rows hold."""
    features, truth = world
    lessons = lessons_of(truth, range(20), [0, 2])
    one, _ = learner.learn(learner.start(L, D), features, lessons)
    wild = Features(features.pooled.copy(), features.global_scores.copy(), features.local_scores)
    wild.pooled[20:] = -wild.pooled[20:]
    wild.global_scores[:, 1] = 99
    other, _ = learner.learn(learner.start(L, D), wild, lessons)
    same(one, other)
    wild.pooled[:20] = -wild.pooled[:20]
    seen, _ = learner.learn(learner.start(L, D), wild, lessons)
    moved = ~np.isclose(seen["weights"], one["weights"]).all(axis=1)
    assert moved.tolist() == [True, False, True, False], "the decided rows are what is learned from"


def test_a_new_label_starts_zero_shot_and_leaves_old_scores_alone(learner, world):
    features, truth = world
    narrow = Features(features.pooled, features.global_scores[:, :3], features.local_scores[:, :3])
    state, _ = learner.learn(learner.start(3, D), narrow, lessons_of(truth, range(30), range(3)))
    wide = learner.extend(state, L)
    scores = learner.score(wide, features)
    np.testing.assert_allclose(scores[:, :3], learner.score(state, narrow), atol=1e-6)
    np.testing.assert_allclose(
        scores[:, 3], learner.score(learner.start(L, D), features)[:, 3], atol=1e-6
    )


def test_only_yes_or_only_no_stays_within_reach_and_points_the_right_way(learner, world):
    features, _ = world
    start = learner.score(learner.start(L, D), features)
    for answer in (0.0, 1.0):
        lessons = Lessons(np.arange(40), np.zeros(40, np.int64), np.full(40, answer, np.float32))
        state, _ = learner.learn(learner.start(L, D), features, lessons)
        scores = learner.score(state, features)
        assert np.isfinite(scores).all()
        assert np.abs(scores).max() < 50
        moved = (scores - start)[:, 0].mean()
        assert (moved > 0) == (answer == 1)


def test_inputs_are_not_changed(learner, world):
    features, truth = world
    state, _ = learner.learn(learner.start(L, D), features, lessons_of(truth, range(9), [0]))
    before = {name: value.copy() for name, value in state.items()}
    pooled = features.pooled.copy()
    learner.learn(state, features, lessons_of(truth, range(30), range(L)))
    learner.score(state, features)
    learner.extend(state, 9)
    same(state, before)
    np.testing.assert_array_equal(features.pooled, pooled)


def test_save_then_load_gives_the_same_scores(learner, world):
    features, truth = world
    state, _ = learner.learn(learner.start(L, D), features, lessons_of(truth, range(30), range(L)))
    loaded = load(save(state))
    np.testing.assert_array_equal(learner.score(loaded, features), learner.score(state, features))


def test_other_width_or_number_of_labels_is_refused_with_both_numbers(learner, world):
    features, truth = world
    lessons = lessons_of(truth, range(9), [0])
    for call in (
        lambda state: learner.score(state, features),
        lambda state: learner.learn(state, features, lessons),
    ):
        with pytest.raises(BadInputError, match=r"12 wide and the learned state 13"):
            call(learner.start(L, 13))
        with pytest.raises(BadInputError, match=r"4 labels for a state of 3"):
            call(learner.start(3, D))


def test_forgotten_columns_are_as_before_any_verdict_and_the_others_stay(learner, world):
    features, truth = world
    start = learner.start(L, D)
    learned, _ = learner.learn(start, features, lessons_of(truth, range(40), range(L)))
    forgotten = learner.forget(learned, [1, 3])
    for name, array in forgotten.items():
        np.testing.assert_array_equal(array[[1, 3]], start[name][[1, 3]])
        np.testing.assert_array_equal(array[[0, 2]], learned[name][[0, 2]])
