"""Random splits of sets that are known in full: learn, draw curves, calibrate, measure.

A split gives 40 % of the samples to the product's heads, 10 % to its curves (the held-back ones),
25 % to the calibration drawer and 25 % to measure on. All four are drawn anew for each seed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from backend import catalogue
from backend.bench._audit_data import AuditedSet
from backend.bench.teaching import lessons_on
from backend.numerics import label_sets, logistic

LEARNED, CURVES, DRAWER = 0.4, 0.5, 0.75
"""Where the parts of a split end."""
MOST = 2400
"""Samples that one split uses of a large set."""


@dataclass(frozen=True)
class Trial:
    """One split of a set.

    Attributes:
        known, measured: chances of the drawer's samples and of those measured on.
        decided, truth: what these have.
    """

    known: Float[np.ndarray, "n l"]
    decided: Bool[np.ndarray, "n l"]
    measured: Float[np.ndarray, "m l"]
    truth: Bool[np.ndarray, "m l"]
    seed: int

    def columns(self, chosen: Int[np.ndarray, " k"]) -> Trial:
        """The same split on some labels."""
        cut = (each[:, chosen] for each in (self.known, self.decided, self.measured, self.truth))
        return Trial(*cut, seed=self.seed)


def trial(whole: AuditedSet, seed: int) -> Trial:
    """The split of a seed, its heads learned and its curves drawn."""
    order = np.random.default_rng(seed).permutation(len(whole.truth))[:MOST]
    ends = [int(share * len(order)) for share in (LEARNED, CURVES, DRAWER)]
    learned, curves, drawer, measured = np.split(order, ends)
    learner = catalogue.load("learners/logistic")()
    start = learner.start(whole.truth.shape[1], whole.features.pooled.shape[1])
    state, _ = learner.learn(start, whole.features, lessons_on(whole.truth, learned))
    scores = learner.score(state, whole.features)
    calibrator = catalogue.load("calibrators/platt")()
    fitted = calibrator.fit(scores, lessons_on(whole.truth, curves))
    curve = calibrator.probabilities(fitted, scores)
    rough = logistic.chance(scores)
    chances = np.where(np.isnan(curve), rough, curve).astype(np.float32)
    return Trial(
        chances[drawer], whole.truth[drawer], chances[measured], whole.truth[measured], seed
    )


@dataclass(frozen=True)
class Found:
    """What label sets of one measure at one level say of a trial.

    Attributes:
        coverage, smoothed: share of measured samples whose set was not excluded, by plain p-values
            and by those with ties broken at random.
        certified: share of (sample, label) pairs that are certain.
        wrong: share of samples with anything certain that is wrong.
        width: median of the labels left undecided.
    """

    coverage: float
    smoothed: float
    certified: float
    wrong: float
    width: float


def by_sets(one: Trial, level: float, *, measure: str = "", power: int = 0) -> Found:
    """Label sets as the product makes them, or with another distance."""
    method = catalogue.load("calibrators/powerset")
    settings = method.Settings()
    calibrator = method(method.Settings(measure or settings.measure, power or settings.power))
    state = calibrator.fit(one.known, one.decided.astype(np.int8))
    flips = calibrator.flips(state, one.measured)
    distances = flips.distances(one.truth)
    draws = np.random.default_rng(one.seed).random(len(distances))
    smoothed = label_sets.smoothed_p_values(state["distances"], distances, draws)
    sure = calibrator.certificates(state, one.measured, level)
    return Found(
        coverage=float((distances <= calibrator.radius(state, level)).mean()),
        smoothed=float((smoothed > 1 - level).mean()),
        certified=float((sure != 0).mean()),
        wrong=_wrong(sure, one.truth),
        width=float(np.median((sure == 0).sum(axis=1))),
    )


def by_bonferroni(one: Trial, level: float) -> tuple[float, float]:
    """Each label alone at (1 - level) / L: what is certain, and samples with an error in it.

    An answer is left out where its p, among the drawer's samples' own answers to that label, is at
    most that; the guarantee is that of label sets.
    """
    out = (1 - level) / one.known.shape[1]
    losses = np.sort(np.where(one.decided, 1 - one.known, one.known), axis=0)
    has, lacks = np.ones(one.measured.shape), np.ones(one.measured.shape)
    for column in range(one.known.shape[1]):
        own = one.measured[:, column]
        has[:, column] = answer_p_values(losses[:, column], 1 - own)
        lacks[:, column] = answer_p_values(losses[:, column], own)
    sure = (has > out).astype(np.int8) - (lacks > out).astype(np.int8)
    return float((sure != 0).mean()), _wrong(sure, one.truth)


def answer_p_values(
    ordered: Float[np.ndarray, " n"], losses: Float[np.ndarray, " m"]
) -> Float[np.ndarray, " m"]:
    """Conformal p-values of single answers."""
    at_least = len(ordered) - np.searchsorted(ordered, losses, side="left")
    return (at_least + 1) / (len(ordered) + 1)


def by_threshold(one: Trial) -> float:
    """How often the set of labels above one half is the true one."""
    return float(((one.measured >= 0.5) == one.truth).all(axis=1).mean())


def by_mass(one: Trial, level: float, *, most: int = 2000) -> float:
    """How often the likeliest sets whose chances add up to the level hold the true one.

    Labels are taken as independent and the chances as they are; at most so many sets.
    """
    flips = label_sets.flips(one.measured, power=1)
    inside = 0
    for row, truth in enumerate(one.truth):
        mine = tuple(np.flatnonzero(truth != flips.likely[row]).tolist())
        mass = 0.0
        for cost, flipped in label_sets.best_sets(flips.costs[row], most):
            if flipped == mine:
                inside += 1
                break
            mass += float(np.exp(-(int(flips.base[row]) + cost) / label_sets.NATS))
            if mass >= level:
                break
    return inside / len(one.truth)


def _wrong(sure: Int[np.ndarray, "m l"], truth: Bool[np.ndarray, "m l"]) -> float:
    return float(((sure != 0) & ((sure > 0) != truth)).any(axis=1).mean())
