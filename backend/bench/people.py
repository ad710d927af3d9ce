"""What learners should make of several people who differ: their majority, weighted or not.

Annotators are planted who miss some of the labels that are there and see some that are not, each at
rates of their own. Each of some samples of a set that is known in full is judged completely by a
few of them. Heads learn from what they said, and mAP is that of held-out samples as they truly are.
A project weighs the majority by agreement until people have judged enough of the same pairs, and by
trust (Dawid and Skene, 1979) from then on. Beside these stand the plain majority, the verdicts of
that estimate itself in place of the majority's, and the truth of the same pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Bool, Float, Int

from backend.bench._audit_data import AuditedSet, audited_set
from backend.bench.reports import Row, row
from backend.methods.learners.logistic import LogisticLearner
from backend.numerics import trust as formula
from backend.numerics.scores import mean_average_precision
from backend.settings import Settings
from backend.store.voices import settled
from backend.types import Features, Lessons, Verdict

Say = Callable[[str], None]
Opinions = Int[np.ndarray, "p n l"]
"""Of each person on each pair: 1 YES, 0 NO, -1 was not asked."""

SETS = ("nlupp", "coco_mini", "bccd")
SEEDS = 3
JUDGED = 300
"""Samples that are judged, at most half of a set; the others are held out."""
PEOPLE = ((0.05, 0.01), (0.1, 0.02), (0.2, 0.04), (0.3, 0.08), (0.5, 0.15))
"""Of each person the share of YES that are missed and of NO that are taken for YES."""
PLANS = {"three judge each": (3, 3), "one to three judge each": (1, 3), "two judge each": (2, 2)}
"""The fewest and the most people who judge a sample."""
SHIPS = "weighted by trust (ships)"


def rows(settings: Settings, *, say: Say) -> Iterator[Row]:
    """MAP of each way of settling against the plain majority, each verdict alike."""
    for name in SETS:
        found = audited_set(name, settings, say=say)
        for plan, (fewest, most) in PLANS.items():
            arms: dict[str, list[float]] = {}
            for seed in range(SEEDS):
                for arm, quality in measured(found, fewest, most, seed).items():
                    arms.setdefault(arm, []).append(quality)
            mean = {arm: float(np.mean(values)) for arm, values in arms.items()}
            say(f"{name}, {plan}: {mean}")
            told = f"several people, {name}, {plan}, {SEEDS} seeds, mAP"
            for arm in [arm for arm in mean if arm != "majority"]:
                yield row(
                    f"{told}: {arm}",
                    round(mean[arm], 4),
                    "mAP",
                    at_least=round(mean["majority"], 4) if arm.startswith("weighted") else None,
                    baseline="majority, each verdict alike",
                    baseline_value=round(mean["majority"], 4),
                )


def measured(one: AuditedSet, fewest: int, most: int, seed: int) -> dict[str, float]:
    """Way of settling -> mAP of the held-out samples."""
    draw = np.random.default_rng((29, seed))
    order = draw.permutation(len(one.truth))
    judged, held_out = np.split(order, [min(JUDGED, len(order) // 2)])
    truth = one.truth[judged]
    said = opinions(truth, fewest, most, draw)
    verdicts, weights = majority(said)
    found = estimated(said)
    chances = found.chances.reshape(truth.shape)
    alike = np.ones(truth.shape)
    arms = {
        "majority": (verdicts, alike * (weights > 0)),
        "weighted by agreement": (verdicts, weights),
        SHIPS: (verdicts, by_trust(said, found, verdicts) * (weights > 0)),
        "Dawid and Skene": (chances > 0.5, np.abs(2 * chances - 1)),
        "the truth of the same pairs": (truth, alike),
    }
    return {arm: _quality(one, judged, held_out, *told) for arm, told in arms.items()}


def opinions(
    truth: Bool[np.ndarray, "n l"], fewest: int, most: int, draw: np.random.Generator
) -> Opinions:
    """What `PEOPLE` say of samples, each of which `fewest` to `most` of them judge completely."""
    said = np.full((len(PEOPLE), *truth.shape), -1)
    for sample in range(len(truth)):
        count = int(draw.integers(fewest, most + 1))
        for person in draw.permutation(len(PEOPLE))[:count].tolist():
            misses, alarms = PEOPLE[person]
            is_wrong = draw.random(truth.shape[1]) < np.where(truth[sample], misses, alarms)
            said[person, sample] = truth[sample] ^ is_wrong
    return said


def majority(said: Opinions) -> tuple[Bool[np.ndarray, "n l"], Float[np.ndarray, "n l"]]:
    """What counts as projects settle it, and how far people agree; a tie weighs nothing."""
    votes = np.stack([(said == 1).sum(axis=0), (said == 0).sum(axis=0)], axis=-1)
    cases, case_of = np.unique(votes.reshape(-1, 2), axis=0, return_inverse=True)
    told = [settled([Verdict.YES] * yes + [Verdict.NO] * no) for yes, no in cases.tolist()]
    verdicts = np.array([one.verdict is Verdict.YES for one in told])[case_of.ravel()]
    weights = np.array([one.weight for one in told])[case_of.ravel()]
    return verdicts.reshape(said.shape[1:]), weights.reshape(said.shape[1:])


def estimated(said: Opinions) -> formula.Estimate:
    """Whom to trust, and what is so, as projects estimate it."""
    people, rows_, columns = np.nonzero(said >= 0)
    num_samples, num_labels = said.shape[1:]
    return formula.estimated(
        rows_ * num_labels + columns,
        people,
        said[people, rows_, columns] == 1,
        np.tile(np.arange(num_labels), num_samples),
        num_people=len(said),
        num_labels=num_labels,
    )


def by_trust(
    said: Opinions, found: formula.Estimate, verdicts: Bool[np.ndarray, "n l"]
) -> Float[np.ndarray, "n l"]:
    """What the majority's verdicts weigh by who gave them, as projects weigh them."""
    logits = np.full(verdicts.shape, formula.log_odds(found.chances.mean()))
    for one, seen, wrong in zip(said, found.seen, found.wrong, strict=True):
        asked = one >= 0
        shares = np.broadcast_to([[seen], [wrong]], (2, int(asked.sum())))
        logits[asked] += formula.evidence(shares[0], shares[1], one[asked] == 1)
    return formula.weights(logits, verdicts)


def _quality(
    one: AuditedSet,
    judged: Int[np.ndarray, " k"],
    held_out: Int[np.ndarray, " t"],
    verdicts: Bool[np.ndarray, "k l"],
    weights: Float[np.ndarray, "k l"],
) -> float:
    """MAP of held-out samples; pairs that weigh nothing are no lessons."""
    learner = LogisticLearner()
    rows_, columns = np.nonzero(weights > 0)
    targets = verdicts[rows_, columns].astype(np.float32)
    lessons = Lessons(rows_, columns, targets, weights[rows_, columns].astype(np.float32))
    features = _only(one.features, judged)
    state = learner.start(one.truth.shape[1], features.pooled.shape[1])
    state, _ = learner.learn(state, features, lessons)
    truth = one.truth[held_out]
    scores = learner.score(state, _only(one.features, held_out))
    return mean_average_precision(scores, truth.astype(np.float32), np.ones_like(truth))


def _only(features: Features, rows_: Int[np.ndarray, " k"]) -> Features:
    return Features(
        features.pooled[rows_], features.global_scores[rows_], features.local_scores[rows_]
    )
