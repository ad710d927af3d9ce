"""Planted annotators, what projects make of them, and the estimate that learns whom to trust."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from backend.bench import people


def world(shape: tuple[int, int] = (400, 12), fewest: int = 3, most: int = 3):
    draw = np.random.default_rng(3)
    truth = draw.random(shape) < 0.2
    return truth, people.opinions(truth, fewest, most, draw)


def test_each_errs_at_the_rates_that_were_planted() -> None:
    truth, said = world((3000, 12))
    assert ((said >= 0).all(axis=2).sum(axis=0) == 3).all()
    for one, (misses, alarms) in zip(said, people.PEOPLE, strict=True):
        asked = one >= 0
        assert (one[asked & truth] == 0).mean() == pytest.approx(misses, abs=0.03)
        assert (one[asked & ~truth] == 1).mean() == pytest.approx(alarms, abs=0.015)


def test_the_majority_and_its_lead_are_those_of_counting() -> None:
    _, said = world((60, 5), 1, 5)
    verdicts, weights = people.majority(said)
    for sample in range(60):
        for label in range(5):
            votes = Counter(v for v in said[:, sample, label].tolist() if v >= 0)
            lead = abs(votes[1] - votes[0])
            assert weights[sample, label] == pytest.approx(lead / votes.total())
            if lead:
                assert verdicts[sample, label] == (votes[1] > votes[0])


def test_trust_is_the_estimate_of_dawid_and_skene_by_loops() -> None:
    _, said = world((25, 3), 1, 4)
    chances = np.zeros((25, 3))
    for i, j in np.ndindex(25, 3):
        votes = [v for v in said[:, i, j].tolist() if v >= 0]
        chances[i, j] = (sum(votes) + 0.5) / (len(votes) + 1)
    for _ in range(people.ROUNDS):
        rates = []
        for one in said:
            asked = [(i, j) for i, j in np.ndindex(25, 3) if one[i, j] >= 0]
            there = sum(chances[at] for at in asked)
            absent = sum(1 - chances[at] for at in asked)
            seen = sum(chances[at] for at in asked if one[at] == 1)
            wrong = sum(1 - chances[at] for at in asked if one[at] == 1)
            own = people.PRIOR
            rates.append(((seen + own) / (there + 2 * own), (wrong + own) / (absent + 2 * own)))
        often = chances.mean(axis=0).clip(1e-4, 1 - 1e-4)
        after = np.zeros_like(chances)
        for i, j in np.ndindex(25, 3):
            yes, no = often[j], 1 - often[j]
            for one, (seen, wrong) in zip(said, rates, strict=True):
                if one[i, j] >= 0:
                    yes *= seen if one[i, j] else 1 - seen
                    no *= wrong if one[i, j] else 1 - wrong
            after[i, j] = yes / (yes + no)
        chances = after
    np.testing.assert_allclose(people.trusted(said), chances, atol=1e-6)


def test_knowing_whom_to_trust_is_nearer_the_truth_than_counting() -> None:
    truth, said = world()
    verdicts, weights = people.majority(said)
    assert (weights > 0).all()
    assert ((people.trusted(said) > 0.5) != truth).mean() < (verdicts != truth).mean()
