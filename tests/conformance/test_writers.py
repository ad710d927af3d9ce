"""What every writer promises."""

from __future__ import annotations

import numpy as np
import pytest

from backend import catalogue

KEYS = [line.key for line in catalogue.entries("writers")]


@pytest.fixture(params=KEYS)
def writer(request):
    return catalogue.load(request.param)()


@pytest.fixture
def world():
    """Twelve candidates, the YES among forty samples, in three bundles."""
    rng = np.random.default_rng(3)
    middles = rng.normal(size=(3, 6))
    vectors = middles[np.arange(12) % 3] + 0.2 * rng.normal(size=(12, 6))
    items = np.concatenate([vectors, rng.normal(size=(28, 6))])
    vectors, items = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (vectors, items))
    truth = np.arange(40) < 12
    fits = (vectors @ items.T).astype(np.float32)
    return vectors.astype(np.float32), fits, np.arange(12), truth


@pytest.mark.parametrize("k", [0, 1, 3, 12, 50])
def test_at_most_k_distinct_candidates(writer, world, k):
    chosen = writer.choose(*world, k=k)
    assert len(chosen) == len(set(chosen)) <= min(k, 12)
    assert all(isinstance(one, int) and 0 <= one < 12 for one in chosen)
    assert chosen or not k


@pytest.mark.parametrize("kept", [[7], [7, 2], [7, 7, 2]])
def test_what_is_kept_comes_first_and_once(writer, world, kept):
    chosen = writer.choose(*world, k=4, kept=kept)
    once = list(dict.fromkeys(kept))
    assert chosen[: len(once)] == once
    assert len(chosen) == len(set(chosen)) <= 4


def test_same_seed_same_answer_and_inputs_unchanged(writer, world):
    before = [array.copy() for array in world]
    one = writer.choose(*world, k=3, seed=4)
    assert writer.choose(*world, k=3, seed=4) == one
    for array, copy in zip(world, before, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_copies_of_one_candidate_do_no_harm(writer, world):
    _, fits, own, truth = world
    same = np.tile(np.eye(1, 6, dtype=np.float32), (12, 1))
    chosen = writer.choose(same, np.tile(fits[:1], (12, 1)), own, truth, k=3)
    assert 1 <= len(chosen) == len(set(chosen)) <= 3


def test_one_candidate_is_taken(writer):
    one = np.ones((1, 4), np.float32) / 2
    fits = np.array([[0.9, 0.8, 0.1]], np.float32)
    truth = np.array([True, True, False])
    assert writer.choose(one, fits, np.array([0]), truth, k=5) == [0]
