"""Scores of every sample by heads that never saw a verdict on it.

Heads are taught once per fold on the verdicts of all other folds, and score their own. What a
version scores is no witness against a verdict it was taught; these are. They are thrown away
afterwards: nothing of them is shown as a suggestion.
"""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
from jaxtyping import Bool, Float, Int, Int8

from backend import catalogue
from backend.types import Features, Lessons, Progress

FOLDS = 5
STEPS = 8
"""Newton steps of a head; what they leave is far below what a fold of other samples changes."""
FEWEST = 2
"""Verdicts of each kind that a label has before heads say anything of it."""


def folds_of(keys: list[str], *, folds: int = FOLDS, seed: int = 0) -> Int[np.ndarray, " n"]:
    """The fold of each sample, by its content: it stays when others come and go."""
    digests = (blake2b(f"{seed}:{key}".encode(), digest_size=8).digest() for key in keys)
    return np.array([int.from_bytes(each, "big") % folds for each in digests], np.int64)


def cross_fitted(
    features: Features,
    given: Int8[np.ndarray, "n l"],
    fold: Int[np.ndarray, " n"],
    *,
    taught: Bool[np.ndarray, " n"] | None = None,
    skip: Bool[np.ndarray, "n l"] | None = None,
    progress: Progress | None = None,
) -> Float[np.ndarray, "n l"]:
    """Logits; NaN where a label has too few verdicts of a kind in the other folds.

    Args:
        features: `pooled` with whatever else heads may read beside it; no lane.
        given: 1 YES, 0 NO, -1 none.
        fold: of each sample, 0 and up.
        taught: samples that heads may learn from; the others are scored by the heads of all folds.
        skip: verdicts that are not taught.
        progress: called with (done, total, note).
    """
    count, labels = given.shape
    taught = np.ones(count, bool) if taught is None else taught
    learner = catalogue.load("learners/logistic")()
    known = (given >= 0) & taught[:, None]
    if skip is not None:
        known &= ~skip
    numbers = np.unique(fold)
    sums = np.zeros((count, labels))
    times = np.zeros((count, labels))
    for done, number in enumerate(numbers.tolist()):
        if progress is not None:
            progress(done, len(numbers), "scoring every sample by heads that did not see it")
        lessons = known & (fold != number)[:, None]
        yes, no = (lessons & (given == 1)).sum(axis=0), (lessons & (given == 0)).sum(axis=0)
        columns = np.flatnonzero((yes >= FEWEST) & (no >= FEWEST))
        scored = np.flatnonzero((fold == number) | ~taught)
        if not len(columns) or not len(scored):
            continue
        here = _columns(features, columns)
        rows, at = np.nonzero(lessons[:, columns])
        targets = (given[rows, columns[at]] == 1).astype(np.float32)
        start = learner.start(len(columns), features.pooled.shape[1])
        state, _ = learner.learn(start, here, Lessons(rows, at, targets), steps=STEPS)
        found = learner.score(state, _rows(here, scored))
        sums[np.ix_(scored, columns)] += found
        times[np.ix_(scored, columns)] += 1
    return np.where(times > 0, sums / np.maximum(times, 1), np.nan)


def _columns(features: Features, columns: np.ndarray) -> Features:
    return Features(
        features.pooled, features.global_scores[:, columns], features.local_scores[:, columns]
    )


def _rows(features: Features, rows: np.ndarray) -> Features:
    return Features(
        features.pooled[rows], features.global_scores[rows], features.local_scores[rows]
    )
