"""Whom to trust: by loops, from planted rates, and what a verdict weighs for it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from backend.numerics import trust

MISSES = np.array([0.05, 0.1, 0.2, 0.3, 0.5])
ALARMS = np.array([0.01, 0.02, 0.04, 0.08, 0.15])


def world(
    num_pairs: int, num_labels: int, asked: int, *, seed: int = 3
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Truth and labels of pairs, and what `asked` of five people say of each."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, num_labels, num_pairs)
    truth = draw.random(num_pairs) < draw.uniform(0.05, 0.5, num_labels)[labels]
    people = np.argsort(draw.random((num_pairs, len(MISSES))), axis=1)[:, :asked]
    pairs = np.repeat(np.arange(num_pairs), asked)
    people = people.reshape(-1)
    is_wrong = draw.random(len(pairs)) < np.where(truth[pairs], MISSES[people], ALARMS[people])
    return truth, labels, pairs, people, truth[pairs] ^ is_wrong


def by_loops(
    labels: list[int], answers: list[dict[int, bool]], num_people: int, decided: dict[int, bool]
) -> tuple[list[tuple[float, float]], list[float]]:
    """The estimate as its paper tells it, answer by answer and in probabilities."""
    right, wrong, alike = 9.0, 1.0, 10.0
    chances = [
        float(decided[u]) if u in decided else (sum(said.values()) + 0.5) / (len(said) + 1)
        for u, said in enumerate(answers)
    ]
    rates: list[tuple[float, float]] = []
    for _ in range(50):
        rates = []
        for who in range(num_people):
            mine = [(chances[u], said[who]) for u, said in enumerate(answers) if who in said]
            rates.append(
                (
                    (sum(c for c, yes in mine if yes) + right)
                    / (sum(c for c, _ in mine) + right + wrong),
                    (sum(1 - c for c, yes in mine if yes) + wrong)
                    / (sum(1 - c for c, _ in mine) + right + wrong),
                )
            )
        mean = sum(chances) / len(chances)
        often = {
            label: (sum(c for c, at in zip(chances, labels, strict=True) if at == label)
                    + alike * mean) / (labels.count(label) + alike)
            for label in set(labels)
        }  # fmt: skip
        after = []
        for u, said in enumerate(answers):
            yes, no = often[labels[u]], 1 - often[labels[u]]
            for who, answer in said.items():
                seen, alarm = rates[who]
                yes *= seen if answer else 1 - seen
                no *= alarm if answer else 1 - alarm
            after.append(float(decided[u]) if u in decided else yes / (yes + no))
        chances = after
    return rates, chances


def test_the_estimate_is_that_of_dawid_and_skene_by_loops() -> None:
    _, labels, pairs, people, said = world(60, 4, 3)
    decided = {3: True, 7: False, 20: True}
    known = np.full(60, np.nan)
    known[list(decided)] = list(decided.values())
    answers = [
        {int(who): bool(yes) for at, who, yes in zip(pairs, people, said, strict=True) if at == u}
        for u in range(60)
    ]
    rates, chances = by_loops(labels.tolist(), answers, 6, decided)
    found = trust.estimated(pairs, people, said, labels, num_people=6, num_labels=4, decided=known)
    np.testing.assert_allclose(found.chances, chances, atol=1e-5)
    np.testing.assert_allclose(np.stack([found.seen, found.wrong], axis=1), rates, atol=1e-5)
    assert rates[5] == pytest.approx((0.9, 0.1))  # who said nothing is thought of like anybody
    at = found.chances[pairs]
    together = (
        (at[said].sum() + 9) / (at.sum() + 10),
        ((1 - at)[said].sum() + 1) / ((1 - at).sum() + 10),
    )
    assert found.together == pytest.approx(together, abs=1e-4)


def test_planted_rates_come_back() -> None:
    truth, labels, pairs, people, said = world(8000, 12, 3)
    found = trust.estimated(pairs, people, said, labels, num_people=5, num_labels=12)
    np.testing.assert_allclose(found.seen, 1 - MISSES, atol=0.03)
    np.testing.assert_allclose(found.wrong, ALARMS, atol=0.015)
    shares = [truth[labels == label].mean() for label in range(12)]
    np.testing.assert_allclose(found.often, shares, atol=0.03)
    votes = np.bincount(pairs, said) / np.bincount(pairs)
    assert ((found.chances > 0.5) != truth).mean() < 0.8 * ((votes > 0.5) != truth).mean()


def test_who_always_says_the_opposite_is_found_out_and_weighs_the_least() -> None:
    truth, labels, pairs, people, said = world(2000, 5, 3)
    said = np.where(people == 4, ~truth[pairs], said)
    found = trust.estimated(pairs, people, said, labels, num_people=5, num_labels=5)
    assert found.seen[4] < 0.05
    assert found.wrong[4] > 0.95
    often = float(found.chances.mean())
    for is_yes in (True, False):
        alone = [(float(found.seen[4]), float(found.wrong[4]), is_yes)]
        assert trust.weight(alone, is_yes, often=often) == trust.LEAST


def test_a_weight_is_how_much_surer_a_verdict_is_than_its_opposite() -> None:
    said = [(0.9, 0.05, True), (0.6, 0.1, True), (0.8, 0.02, False)]
    yes, no = 0.3 * 0.9 * 0.6 * 0.2, 0.7 * 0.05 * 0.1 * 0.98
    lead = (yes - no) / (yes + no)
    assert trust.weight(said, True, often=0.3) == pytest.approx(lead)
    assert trust.weight(said, False, often=0.3) == trust.LEAST
    # nobody has said anything: the share of all decides
    assert trust.weight([], False, often=0.3) == pytest.approx(0.4)
    told = trust.weights(np.array([2.0, -2.0, 0.0]), np.array([True, True, False]))
    assert told.tolist() == pytest.approx([math.tanh(1), trust.LEAST, trust.LEAST])


def test_two_hundred_thousand_answers_and_five_thousand_labels() -> None:
    _, labels, pairs, people, said = world(100_000, 5000, 2)
    found = trust.estimated(pairs, people, said, labels, num_people=5, num_labels=5000)
    assert (np.argsort(found.wrong) == np.arange(5)).all()
    assert (np.argsort(-found.seen) == np.arange(5)).all()
    assert np.isfinite(found.often).all()


def test_two_who_always_contradict_each_other_say_nothing_of_the_truth() -> None:
    pairs, people = np.repeat(np.arange(200), 2), np.tile([0, 1], 200)
    said = np.tile([True, False], 200)
    found = trust.estimated(pairs, people, said, np.zeros(200, int), num_people=2, num_labels=1)
    seen, wrong = found.together
    assert abs(seen - wrong) < 0.1
