"""Pairs of labels against counting them one sample after the other."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from backend.numerics import label_pairs


@pytest.fixture
def case():
    rng = np.random.default_rng(2)
    targets = (rng.random((50, 6)) < 0.4).astype(np.float32)
    return rng.random((50, 6)) < 0.4, targets, rng.random((50, 6)) < 0.7


def as_counter(pairs):
    rows = zip(pairs.first.tolist(), pairs.second.tolist(), pairs.counts.tolist(), strict=True)
    return Counter({(a, b): n for a, b, n in rows})


def test_said_instead_is_counted_sample_by_sample(case):
    predicted, targets, known = case
    found = label_pairs.instead(predicted, targets, known)
    pairs, missed, alarms, lonely_miss, lonely_alarm = (Counter() for _ in range(5))
    for said, truth, decided in zip(predicted, targets, known, strict=True):
        misses = [a for a in range(6) if decided[a] and truth[a] > 0 and not said[a]]
        wrong = [b for b in range(6) if decided[b] and truth[b] <= 0 and said[b]]
        pairs.update((a, b) for a in misses for b in wrong)
        missed.update(misses)
        alarms.update(wrong)
        lonely_miss.update(misses if not wrong else [])
        lonely_alarm.update(wrong if not misses else [])
    assert as_counter(found.pairs) == pairs
    for ours, twin in (
        (found.missed, missed),
        (found.alarms, alarms),
        (found.missed_alone, lonely_miss),
        (found.alarms_alone, lonely_alarm),
    ):
        assert ours.tolist() == [twin[label] for label in range(6)]
    assert (np.diff(found.pairs.counts) <= 0).all()


def test_a_swap_of_two_labels_is_seen_as_one():
    """Every sample is label 0 and is called label 1."""
    targets = np.tile(np.array([1.0, 0, 0], np.float32), (5, 1))
    predicted = np.tile(np.array([False, True, False]), (5, 1))
    found = label_pairs.instead(predicted, targets, np.ones((5, 3), bool))
    assert as_counter(found.pairs) == {(0, 1): 5}
    assert (found.missed_alone.sum(), found.alarms_alone.sum()) == (0, 0)


def test_labels_that_go_together_are_counted_once_per_pair(case):
    _, targets, known = case
    shown = known & (targets > 0)
    pairs = label_pairs.together(shown)
    twin = Counter(
        (a, b) for row in shown for a in range(6) for b in range(a + 1, 6) if row[a] and row[b]
    )
    assert as_counter(pairs) == twin
    decided = label_pairs.both_known(known, pairs)
    assert decided.tolist() == [
        int((known[:, a] & known[:, b]).sum())
        for a, b in zip(pairs.first, pairs.second, strict=True)
    ]


def test_no_samples_and_no_labels_are_no_pairs():
    for shape in ((0, 4), (3, 0)):
        nothing = np.zeros(shape, bool)
        found = label_pairs.instead(nothing, nothing.astype(np.float32), nothing)
        assert len(found.pairs.counts) == 0
        assert len(label_pairs.together(nothing).counts) == 0
