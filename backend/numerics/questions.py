"""Which (sample, label) pairs are worth a person's answer.

Every label has a queue of its own: its undecided samples, the most doubtful first. A pair is worth

    value = 1 / (1 + answers of its label so far + its place in that queue)

so that labels take turns, the ones with few answers first, and none is asked about what it is sure
of. Doubt is compared within a label only: over all labels, common ones would drown the rare. It is
the rule of minimum margin (Lewis and Gale 1994), one label at a time.

A sample asks about the few labels that are worth most on it. Answering those alone costs a
fraction of answering all of its labels, and what is left out stays unknown, never NO.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

MOST = 3
"""Labels that a sample asks about."""

NEAR = 0.65
"""Share of the sample's best value below which a label is not asked about.

This and what an answer counts are a compromise over the four sets of `patchlane bench pickers`: a
larger share saves answers and opens more samples for them.
"""

YES_COUNTS, NO_COUNTS = 1.0, 0.25
"""How much an answer counts as one: a YES is rare and teaches a label more than a NO."""

Pairs = Float[np.ndarray, "n l"]
Open = Bool[np.ndarray, "n l"]


def doubts(chances: Pairs, is_open: Open) -> Pairs:
    """1 at 50 %, 0 at certainty; 0 where nothing is open or known."""
    doubt = 1 - np.abs(2 * np.nan_to_num(chances, nan=0.0) - 1)
    return np.where(is_open, doubt, 0.0)


def values(
    chances: Pairs,
    is_open: Open,
    answers: Float[np.ndarray, " l"],
    *,
    seed: int = 0,
) -> Pairs:
    """Worth of each pair, 0..1; 0 where it is not open.

    Args:
        chances: (N, L) 0..1, NaN where unknown.
        is_open: pairs that may be asked.
        answers: of each label so far, see `answered`.
        seed: decides between equals.
    """
    num_rows, num_labels = chances.shape
    if not num_rows or not num_labels:
        return np.zeros(chances.shape)
    # Each label by a chance of its own: labels that know nothing yet would else all ask of the same
    # samples, which have room for a few of them, and the others would never have their turn.
    chance = np.random.default_rng(seed).random(chances.shape, dtype=np.float32)
    doubt = np.where(is_open, doubts(chances, is_open), -1.0)
    order = np.lexsort((chance, -doubt), axis=0)
    place = np.empty(doubt.shape, np.int64)
    at = np.broadcast_to(np.arange(num_rows)[:, None], doubt.shape)
    np.put_along_axis(place, order, at, axis=0)
    return np.where(is_open, 1 / (1 + answers + place), 0.0)


def answered(
    num_yes: Int[np.ndarray, " l"], num_no: Int[np.ndarray, " l"]
) -> Float[np.ndarray, " l"]:
    """Answers of each label, YES and NO counted by what they teach."""
    return YES_COUNTS * num_yes + NO_COUNTS * num_no


def asked(worth: Pairs, *, most: int = MOST, near: float = NEAR) -> Open:
    """The pairs that are asked, of each sample at most `most`: its best and what is near it.

    Args:
        worth: from `values`; a pair that is worth 0 is never asked.
        most: labels of a sample.
        near: share of the sample's best value, 0..1, that a pair has to reach.
    """
    if not worth.shape[1]:
        return np.zeros(worth.shape, bool)
    best = worth.max(axis=1, keepdims=True)
    order = np.argsort(-worth, axis=1, kind="stable")
    is_first = np.zeros(worth.shape, bool)
    np.put_along_axis(is_first, order[:, :most], True, axis=1)
    return is_first & (worth > 0) & (worth >= near * best)
