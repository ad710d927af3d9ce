"""What every picker promises."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backend import catalogue
from backend.types import PickFacts

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


@pytest.fixture
def facts(world):
    """All that a picker may be told, with ten rows that it must leave alone."""
    scores, _, decided = world
    rng = np.random.default_rng(9)
    verdicts = np.where(decided, (rng.random(decided.shape) < 0.4).astype(np.float32), np.nan)
    verdicts[decided & (rng.random(decided.shape) < 0.1)] = np.nan  # UNSURE
    excluded = np.zeros(len(scores), bool)
    excluded[25:35] = True
    words = rng.normal(size=(50, 6, 8)).astype(np.float32)
    words /= np.linalg.norm(words, axis=2, keepdims=True)
    opinion = rng.random(decided.shape).astype(np.float32)
    opinion[::7] = np.nan
    return PickFacts(
        excluded=excluded,
        verdicts=verdicts.astype(np.float32),
        undecided=rng.random(decided.shape) < 0.5,
        opinions={"neighbours": opinion},
        parts=lambda rows: [words[row] for row in rows],
    )


@pytest.mark.parametrize("seed", range(3))
def test_what_is_excluded_is_never_picked_and_everything_else_comes(picker, world, facts, seed):
    scores, pooled, decided = world
    wanted = set(np.flatnonzero(~decided.all(axis=1) & ~facts.excluded).tolist())
    picks = picker.pick(scores, pooled, decided, k=500, seed=seed, label_names=NAMES, facts=facts)
    rows = [row for row, _, _ in picks]
    assert sorted(rows) == sorted(wanted)
    assert all(reason.strip() and len(reason) < 120 for _, _, reason in picks)
    everything = replace(facts, excluded=np.ones(len(scores), bool))
    assert picker.pick(scores, pooled, decided, k=5, facts=everything) == []


def test_facts_are_not_changed_and_give_the_same_answer_again(picker, world, facts):
    told = [facts.excluded, facts.verdicts, facts.undecided, *facts.opinions.values()]
    before = [array.copy() for array in told]
    one = picker.pick(*world, k=12, seed=4, label_names=NAMES, facts=facts)
    assert picker.pick(*world, k=12, seed=4, label_names=NAMES, facts=facts) == one
    for array, copy in zip(told, before, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_names_of_any_length_stay_readable(picker, world, facts):
    names = ["x" * 200, "y" * 200, "z" * 200]
    picks = picker.pick(*world, k=20, label_names=names, facts=facts)
    assert picks
    assert all(0 < len(reason) < 120 for _, _, reason in picks)
