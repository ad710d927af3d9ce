"""Planted errors are as many as said, found ones are counted right, noise looks as described."""

from __future__ import annotations

import numpy as np
import pytest

from backend.bench.capro import CONFUSED, FLIPPED, confused
from backend.bench.planted_errors import nearest, plant, precision_at
from backend.bench.registers import PARENTS


def world(seed: int = 0, shape: tuple[int, int] = (300, 8)) -> np.ndarray:
    return np.random.default_rng(seed).random(shape) < np.linspace(0.05, 0.4, shape[1])


@pytest.mark.parametrize("share", [0.05, 0.10])
def test_a_share_of_all_pairs_is_turned_round(share: float) -> None:
    truth = world()
    given = plant(truth, share, "pairs", 3)
    assert (given != truth).sum() == round(share * truth.size)
    np.testing.assert_array_equal(given, plant(truth, share, "pairs", 3))
    assert (given != plant(truth, share, "pairs", 4)).any()


def test_swaps_lose_a_label_and_give_another_to_the_same_sample() -> None:
    truth = world()
    given = plant(truth, 0.10, "swaps", 0)
    lost, new = truth & ~given, given & ~truth
    assert lost.sum() == round(0.10 * truth.sum())
    np.testing.assert_array_equal(lost.sum(axis=1), new.sum(axis=1))
    draws = [plant(truth, 0.10, "swaps", seed) & ~truth for seed in range(10)]
    often = np.sum(draws, axis=(0, 1))
    assert often[-1] > 2 * often[0], "frequent labels are given more often"


def test_precision_at_the_number_of_planted_errors() -> None:
    wrong = np.array([[True, False], [False, True], [False, False]])
    assert precision_at(np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.0]]), wrong) == 1.0
    assert precision_at(np.array([[0.9, 0.1], [0.2, 0.05], [0.3, 0.0]]), wrong) == 0.5
    assert np.isnan(precision_at(np.zeros((3, 2)), np.zeros((3, 2), bool)))


def test_nearest_are_those_of_brute_force() -> None:
    vectors = np.random.default_rng(0).normal(size=(600, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -2)
    found = np.take_along_axis(cosines, nearest(vectors, 5), 1)
    np.testing.assert_allclose(found, -np.sort(-cosines, axis=1)[:, :5], atol=1e-6)


def test_a_search_engine_takes_look_alikes_for_each_other() -> None:
    rng = np.random.default_rng(0)
    truth = np.eye(8, dtype=bool)[rng.integers(8, size=800)]
    base = rng.normal(size=(800, 4))
    scores = np.repeat(base, 2, axis=1) + rng.normal(scale=0.1, size=(800, 8))
    given = confused(truth, scores.astype(np.float32), np.random.default_rng(1))
    np.testing.assert_array_equal(given.sum(axis=1), 1)
    moved = given.argmax(axis=1) != truth.argmax(axis=1)
    assert moved.mean() == pytest.approx(CONFUSED + FLIPPED, abs=0.05)
    twin = given.argmax(axis=1) // 2 == truth.argmax(axis=1) // 2
    assert twin[moved].mean() > 0.2


def test_no_label_stands_below_two_parents() -> None:
    for parents in PARENTS.values():
        below = [name for names in parents.values() for name in names]
        assert len(below) == len(set(below))
