"""What every picker promises."""

from __future__ import annotations

import numpy as np
import pytest

from backend import catalogue

KEYS = [line.key for line in catalogue.entries("pickers")]
NAMES = ["cat", "dog", "boat"]


@pytest.fixture(params=KEYS)
def picker(request):
    return catalogue.load(request.param)()


@pytest.fixture
def world():
    rng = np.random.default_rng(2)
    pooled = rng.normal(size=(50, 8))
    pooled = (pooled / np.linalg.norm(pooled, axis=1, keepdims=True)).astype(np.float32)
    scores = rng.random((50, 3)).astype(np.float32)
    decided = rng.random((50, 3)) < 0.3
    decided[:10] = True
    return scores, pooled, decided


@pytest.mark.parametrize("seed", range(5))
def test_k_distinct_rows_that_are_open_each_with_a_reason(picker, world, seed):
    _, _, decided = world
    picks = picker.pick(*world, k=20, seed=seed, label_names=NAMES)
    rows = [row for row, _, _ in picks]
    assert len(rows) == len(set(rows)) == 20
    assert not decided[rows].all(axis=1).any()
    assert all(isinstance(row, int) and np.isfinite(score) for row, score, _ in picks)
    assert all(reason.strip() and len(reason) < 120 for _, _, reason in picks)


def test_fewer_where_fewer_exist_and_none_where_all_is_decided(picker, world):
    scores, pooled, decided = world
    assert len(picker.pick(scores, pooled, decided, k=500)) == (~decided.all(axis=1)).sum()
    assert picker.pick(scores, pooled, np.ones_like(decided), k=5) == []
    assert picker.pick(scores[:0], pooled[:0], decided[:0], k=5) == []
    assert picker.pick(scores, pooled, decided, k=0) == []


def test_same_seed_same_answer_and_inputs_unchanged(picker, world):
    before = [array.copy() for array in world]
    one = picker.pick(*world, k=10, seed=4, label_names=NAMES)
    assert picker.pick(*world, k=10, seed=4, label_names=NAMES) == one
    for array, copy in zip(world, before, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_without_labels_everything_is_open(picker, world):
    _, pooled, _ = world
    none = np.zeros((50, 0))
    picks = picker.pick(none.astype(np.float32), pooled, none.astype(bool), k=5)
    assert len({row for row, _, _ in picks}) == 5


def test_samples_that_are_not_encoded_yet_do_no_harm(picker, world):
    scores, pooled, decided = (array.copy() for array in world)
    pooled[20:30], scores[20:30] = np.nan, np.nan
    picks = picker.pick(scores, pooled, decided, k=40)
    assert len({row for row, _, _ in picks}) == 40
    assert all(np.isfinite(score) for _, score, _ in picks)
