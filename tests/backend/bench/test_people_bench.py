"""Planted annotators, what projects make of them, and the estimate that learns whom to trust."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from backend.bench import people
from backend.board import weigher
from backend.store.voices import folded
from backend.types import Correction, Trust, Verdict


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


def test_verdicts_weigh_as_in_a_project() -> None:
    _, said = world((40, 6), 1, 4)
    found = people.estimated(said)
    verdicts, _ = people.majority(said)
    weights = people.by_trust(said, found, verdicts)
    names = [f"person {number}" for number in range(len(said))]
    rates = zip(found.seen.tolist(), found.wrong.tolist(), strict=True)
    trust = Trust(dict(zip(names, rates, strict=True)), found.together, float(found.chances.mean()))
    weigh = weigher(trust)
    for sample, label in np.ndindex(40, 6):
        rows = [
            Correction(
                n, sample, label, Verdict.YES if one[sample, label] else Verdict.NO, who, 0.0, "op"
            )
            for n, (who, one) in enumerate(zip(names, said, strict=True), start=1)
            if one[sample, label] >= 0
        ]
        row = folded(rows).verdicts.get((sample, label))
        if row is not None and row.verdict is not None:  # a tie is no lesson
            assert (row.verdict is Verdict.YES) == verdicts[sample, label]
            assert weights[sample, label] == pytest.approx(weigh(row))


def test_knowing_whom_to_trust_is_nearer_the_truth_than_counting() -> None:
    truth, said = world()
    verdicts, weights = people.majority(said)
    assert (weights > 0).all()
    chances = people.estimated(said).chances.reshape(truth.shape)
    assert ((chances > 0.5) != truth).mean() < (verdicts != truth).mean()
