"""How probable it is that a given label is wrong, for labels that are each YES, NO or unknown.

A model of its own of what was said: the truth t of a pair is YES with a chance that follows from
the evidence x, what was given is the truth turned round at a rate that each label has for each
direction,

    P(t = YES | x) = s(w . x + b_l),   P(given YES | t NO) = f_l,   P(given NO | t YES) = m_l,

and a pair is wrong with the chance that Bayes' rule gives. The weights w are common to all labels,
the b, f and m of a label are drawn towards those of all. Fitted by expectation and maximisation
over the decided pairs; what is unknown says nothing.

Two rankings follow: by the chance that what was given is wrong, and by the evidence alone, one
minus the chance it gives to what was given. The rates make the second one robust, since weights
are fitted to a truth and not to its errors, and say in the first which direction is usually wrong.
The first found more of the swaps planted in photographs, the second more of what was turned round
at random and far more in `goemotions`, where the first spends its places on the people's own
errors; so the auditor ranks by the second. `patchlane bench errors` measures it.

Source: the rates are those that confident learning estimates (Northcutt, Jiang and Chuang, JAIR
2021), here per label and direction as in the multi-label case (Thyagarajan et al. 2022); estimated
by likelihood rather than by counts over a threshold, as a label of few YES has no counts to speak
of.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Int8

from backend.numerics.logistic import logistic

ROUNDS = 40
FIRST_RATE = 0.03
RATE_PAIRS, PRIOR_PAIRS = 100.0, 50.0
"""Pairs that the common rate counts as beside those of a label, and the first one beside all: with
few wrong labels among few, a rate would else end at nothing, and every doubt with it."""
FIRST_PRECISION, WEIGHT_PRECISION, OFFSET_PRECISION = 1.0, 30.0, 3.0
"""How firmly the first weight is held at 1, the others at 0, and offsets at 0; 1 / variance."""
VOTE_TEMPERATURE, VOTE_PRIOR = 0.1, 0.1
MOST_RATE = 0.45
"""Above this, what was given would say the opposite of itself."""


@dataclass(frozen=True)
class WrongLabels:
    """Chances of M decided pairs, and what they follow from.

    Attributes:
        chance: (M,) that what was given is wrong.
        truth: (M,) that the truth is YES.
        by_evidence: (M,) the same without what was given: P(t = YES | x).
        weights: (F,) of the evidence.
        false_rate, missed_rate: (L,) P(given YES | truth NO), P(given NO | truth YES).
    """

    chance: Float[np.ndarray, " m"]
    truth: Float[np.ndarray, " m"]
    by_evidence: Float[np.ndarray, " m"]
    weights: Float[np.ndarray, " f"]
    false_rate: Float[np.ndarray, " l"]
    missed_rate: Float[np.ndarray, " l"]


def wrong_labels(
    evidence: Float[np.ndarray, "m f"],
    said: Bool[np.ndarray, " m"],
    columns: Int[np.ndarray, " m"],
    *,
    labels: int,
    rounds: int = ROUNDS,
) -> WrongLabels:
    """Fit the model to decided pairs and ask it of each of them.

    Args:
        evidence: finite; the first kind is the logit that holds at the start, and none of it may
            come from a model that saw what was given of the same pair.
        said: YES or NO.
        columns: the label of each pair, below `labels`.
        labels: L; those without a pair cost nothing.
        rounds: of expectation and maximisation.
    """
    x = evidence.astype(np.float64)
    start = np.zeros(x.shape[1])
    start[:1] = 1.0
    weights, offsets = start.copy(), np.zeros(labels)
    false_rate, missed_rate = np.full(labels, FIRST_RATE), np.full(labels, FIRST_RATE)
    for _ in range(rounds if len(x) else 0):
        chance = logistic(x @ weights + offsets[columns])
        truth = _posterior(chance, said, false_rate[columns], missed_rate[columns])
        false_rate = _rates((1 - truth) * said, 1 - truth, columns, labels)
        missed_rate = _rates(truth * ~said, truth, columns, labels)
        weights, offsets = _step(x, columns, truth, chance, weights, offsets, start)
    chance = logistic(x @ weights + offsets[columns])
    truth = _posterior(chance, said, false_rate[columns], missed_rate[columns])
    return WrongLabels(
        np.where(said, 1 - truth, truth), truth, chance, weights, false_rate, missed_rate
    )


def self_confidence_doubt(
    logits: Float[np.ndarray, " m"], said: Bool[np.ndarray, " m"]
) -> Float[np.ndarray, " m"]:
    """One minus the chance of what was given, 0..1: the plain ranking.

    Source: self-confidence, Northcutt, Jiang and Chuang, Confident Learning, JAIR 2021
    (1911.00068).
    """
    chance = logistic(logits.astype(np.float64))
    return np.where(said, 1 - chance, chance)


def neighbour_votes(
    vectors: Float[np.ndarray, "n d"],
    neighbours: Int[np.ndarray, "n k"],
    given: Int8[np.ndarray, "n l"],
    pairs: tuple[Int[np.ndarray, " m"], Int[np.ndarray, " m"]],
) -> Float[np.ndarray, " m"]:
    """Log odds of YES among the decided neighbours of each pair's sample, near ones counting more.

    A label's own share of YES counts as `VOTE_PRIOR` of a neighbour, so that few votes say little.

    Args:
        vectors: unit rows.
        neighbours: (N, K) rows, never the sample itself.
        given: 1 YES, 0 NO, -1 unknown.
        pairs: rows and columns that are asked about.
    """
    yes, decided = given == 1, given >= 0
    base = (yes.sum(axis=0) + 0.5) / (decided.sum(axis=0) + 1.0)
    cosines = np.einsum("nkd,nd->nk", vectors[neighbours], vectors, optimize=True)
    weights = np.exp((cosines - 1.0) / VOTE_TEMPERATURE)
    rows, columns = pairs
    near = neighbours[rows]
    weight = weights[rows] * decided[near, columns[:, None]]
    prior = VOTE_PRIOR * base[columns]
    share = ((weight * yes[near, columns[:, None]]).sum(axis=1) + prior) / (
        weight.sum(axis=1) + VOTE_PRIOR
    )
    return np.log(share / (1 - share))


def _posterior(
    chance: Float[np.ndarray, " m"],
    said: Bool[np.ndarray, " m"],
    false_rate: Float[np.ndarray, " m"],
    missed_rate: Float[np.ndarray, " m"],
) -> Float[np.ndarray, " m"]:
    """P(truth YES | evidence, given), by Bayes' rule."""
    if_yes = chance * np.where(said, 1 - missed_rate, missed_rate)
    if_no = (1 - chance) * np.where(said, false_rate, 1 - false_rate)
    return if_yes / (if_yes + if_no)


def _rates(
    turned: Float[np.ndarray, " m"], there: Float[np.ndarray, " m"], columns: np.ndarray, count: int
) -> Float[np.ndarray, " l"]:
    """Share of the pairs of a truth that were given the other way, drawn towards that of all."""
    common = (turned.sum() + PRIOR_PAIRS * FIRST_RATE) / (there.sum() + PRIOR_PAIRS)
    own = np.bincount(columns, turned, count) + RATE_PAIRS * common
    return np.clip(own / (np.bincount(columns, there, count) + RATE_PAIRS), 1e-4, MOST_RATE)


def _step(
    x: Float[np.ndarray, "m f"],
    columns: Int[np.ndarray, " m"],
    truth: Float[np.ndarray, " m"],
    chance: Float[np.ndarray, " m"],
    weights: Float[np.ndarray, " f"],
    offsets: Float[np.ndarray, " l"],
    start: Float[np.ndarray, " f"],
) -> tuple[Float[np.ndarray, " f"], Float[np.ndarray, " l"]]:
    """One Newton step of the logistic part; the offsets, one a label, are eliminated first."""
    count = len(offsets)
    residual, curve = truth - chance, np.maximum(chance * (1 - chance), 1e-6)
    held = np.where(start > 0, FIRST_PRECISION, WEIGHT_PRECISION)
    by_weight = x.T @ residual - held * (weights - start)
    by_offset = np.bincount(columns, residual, count) - OFFSET_PRECISION * offsets
    curved = x * curve[:, None]
    weight_block = x.T @ curved + np.diag(held)
    mixed = np.stack([np.bincount(columns, each, count) for each in curved.T])
    offset_block = np.bincount(columns, curve, count) + OFFSET_PRECISION
    reduced = weight_block - (mixed / offset_block) @ mixed.T
    move = np.linalg.solve(reduced, by_weight - (mixed / offset_block) @ by_offset)
    shift = (by_offset - mixed.T @ move) / offset_block
    return weights + np.clip(move, -2, 2), offsets + np.clip(shift, -3, 3)
