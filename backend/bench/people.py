"""What learners should make of several people who differ: their majority, weighted or not.

Annotators are planted who miss some of the labels that are there and see some that are not, each at
rates of their own. Each of some samples of a set that is known in full is judged completely by a
few of them. Heads learn from what they said, and mAP is that of held-out samples as they truly are.
Beside the two ways that a project could settle it by itself stands the estimate of Dawid and Skene
(1979), which learns whom to trust, and the truth of the same pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Bool, Float, Int

from backend.bench._audit_data import AuditedSet, audited_set
from backend.bench.reports import Row, row
from backend.methods.learners.logistic import LogisticLearner
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
ROUNDS = 50
PRIOR = 2.0
"""Pairs that a person is thought to have got right and wrong before anything is known of them."""


def rows(settings: Settings, *, say: Say) -> Iterator[Row]:
    """MAP with the weighting that ships, and with Dawid and Skene's, against the plain majority."""
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
    chances = trusted(said)
    alike = np.ones(truth.shape)
    arms = {
        "majority": (verdicts, alike * (weights > 0)),
        "weighted by agreement": (verdicts, weights),
        "weighted by trust": (verdicts, _lead(chances, verdicts) * (weights > 0)),
        "Dawid and Skene": (chances > 0.5, np.abs(2 * chances - 1)),
        "the truth of the same pairs": (truth, alike),
    }
    return {arm: _quality(one, judged, held_out, *told) for arm, told in arms.items()}


def _lead(
    chances: Float[np.ndarray, "n l"], verdicts: Bool[np.ndarray, "n l"]
) -> Float[np.ndarray, "n l"]:
    """How much surer a verdict is than the opposite; 0 where it is not."""
    return np.maximum(0.0, np.where(verdicts, 2 * chances - 1, 1 - 2 * chances))


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


def trusted(said: Opinions) -> Float[np.ndarray, "n l"]:
    """Probability of YES by expectation and maximisation: whom to trust, and what is so.

    Each person has a share of YES that is seen and of NO that is called so, over all labels; each
    label has a share of YES. It starts from the votes.
    """
    is_asked, is_yes = said >= 0, said == 1
    chances = (is_yes.sum(axis=0) + 0.5) / (is_asked.sum(axis=0) + 1)
    for _ in range(ROUNDS):
        often = chances.mean(axis=0).clip(1e-4, 1 - 1e-4)
        logits = np.log(often) - np.log1p(-often) + np.zeros_like(chances)
        for asked, yes in zip(is_asked, is_yes, strict=True):
            there, absent = chances[asked], 1 - chances[asked]
            seen = (there[yes[asked]].sum() + PRIOR) / (there.sum() + 2 * PRIOR)
            wrong = (absent[yes[asked]].sum() + PRIOR) / (absent.sum() + 2 * PRIOR)
            by_yes, by_no = np.log(seen / wrong), np.log((1 - seen) / (1 - wrong))
            logits += np.where(asked, np.where(yes, by_yes, by_no), 0.0)
        chances = 1 / (1 + np.exp(-logits.clip(-30, 30)))
    return chances


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
