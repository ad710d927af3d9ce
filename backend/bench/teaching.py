"""A person who answers every label of some samples, and what is learned from that."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int, Int8

from backend import catalogue
from backend.contracts import Learner
from backend.cross_fit import STEPS
from backend.numerics.scores import mean_average_precision
from backend.types import Features, Lessons


def lessons_on(truth: Bool[np.ndarray, "n l"], rows: Int[np.ndarray, " r"]) -> Lessons:
    """A verdict on each label of each of these samples."""
    columns = np.tile(np.arange(truth.shape[1]), len(rows))
    repeated = np.repeat(rows, truth.shape[1])
    return Lessons(repeated, columns, truth[repeated, columns].astype(np.float32))


def taught(
    learner: Learner,
    features: Features,
    truth: Bool[np.ndarray, "n l"],
    rows: Int[np.ndarray, " r"],
) -> Float[np.ndarray, "n l"]:
    """Scores of all samples after a person answered for these."""
    start = learner.start(truth.shape[1], features.pooled.shape[1])
    state, _ = learner.learn(start, features, lessons_on(truth, rows))
    return learner.score(state, features)


def taught_as(
    features: Features, rows: Int[np.ndarray, " r"], given: Int8[np.ndarray, "r l"]
) -> Float[np.ndarray, "n l"]:
    """Scores of all samples after plain heads learned labels that may be wrong or missing.

    Args:
        features: of all samples.
        rows: those that are taught.
        given: what each of them is taught: 1 YES, 0 NO, -1 nothing.
    """
    learner = catalogue.load("learners/logistic")()
    at, columns = np.nonzero(given >= 0)
    lessons = Lessons(rows[at], columns, (given[at, columns] == 1).astype(np.float32))
    start = learner.start(given.shape[1], features.pooled.shape[1])
    state, _ = learner.learn(start, features, lessons, steps=STEPS)
    return learner.score(state, features)


def mean_ap(
    scores: Float[np.ndarray, "n l"],
    truth: Bool[np.ndarray, "n l"],
    rows: Int[np.ndarray, " r"],
) -> float:
    """Score these samples by mAP, all of them decided."""
    targets = truth[rows].astype(np.float32)
    return mean_average_precision(scores[rows], targets, np.ones_like(targets, bool))
