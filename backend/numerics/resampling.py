"""How far a number would move with other samples: the bootstrap over samples.

Samples are drawn with replacement, all labels of a sample together, since they are not
independent. A draw is a row of counts, so that nothing is copied: a sample drawn three times has
weight 3. Intervals are percentiles of the draws.

Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

MOST_CELLS = 4_000_000
"""Weights that are worked on at once, to bound memory."""


def draws(num_samples: int, num_draws: int, *, seed: int) -> Float[np.ndarray, "b n"]:
    """How often each sample is in each draw; every row sums to `num_samples`.

    Args:
        num_samples: N; each draw takes so many with replacement.
        num_draws: B.
        seed: the same one gives the same draws.
    """
    random = np.random.default_rng(seed)
    if not num_samples:
        return np.zeros((num_draws, 0), np.float32)
    even = np.full(num_samples, 1 / num_samples)
    return random.multinomial(num_samples, even, size=num_draws).astype(np.float32)


def weighted_average_precisions(
    scores: Float[np.ndarray, " m"],
    targets: Float[np.ndarray, " m"],
    weights: Float[np.ndarray, "b m"],
) -> Float[np.ndarray, " b"]:
    """AP of one label under each row of weights, ties together; NaN where a draw has one kind.

    The same as scikit-learn's `average_precision_score` with `sample_weight`.

    Args:
        scores: of the label's decided samples.
        targets: above 0 for YES.
        weights: of each sample in each draw, not negative.
    """
    order = np.argsort(-scores, kind="stable")
    ranked, truth = scores[order], targets[order] > 0
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    result = np.full(len(weights), np.nan)
    step = max(1, MOST_CELLS // max(len(scores), 1))
    for start in range(0, len(weights), step):
        part = weights[start : start + step][:, order].astype(np.float64)
        hits = np.cumsum(part * truth, axis=1)[:, last]
        seen = np.cumsum(part, axis=1)[:, last]
        if not hits.shape[1]:
            continue
        both = (hits[:, -1] > 0) & (hits[:, -1] < seen[:, -1])
        recall = np.diff(hits[both], axis=1, prepend=0) / hits[both, -1:]
        result[start : start + step][both] = (
            recall * hits[both] / np.maximum(seen[both], 1e-12)
        ).sum(axis=1)
    return result


def drawn_f1(
    predicted: Bool[np.ndarray, "n l"],
    targets: Float[np.ndarray, "n l"],
    known: Bool[np.ndarray, "n l"],
    weights: Float[np.ndarray, "b n"],
) -> tuple[Float[np.ndarray, " b"], Float[np.ndarray, " b"], Float[np.ndarray, " b"]]:
    """CF1, CF1 as the mean of the labels' F1, and OF1 of each draw; see `scores.F1Scores`.

    NaN for a draw without any YES.

    Args:
        predicted: the labels that are said.
        targets: above 0 for YES.
        known: decided pairs; the others count nowhere.
        weights: how often each sample is in each draw.
    """
    yes = (targets > 0) & known
    hits = weights @ (predicted & yes).astype(np.float32)
    said = weights @ (predicted & known).astype(np.float32)
    there = weights @ yes.astype(np.float32)
    counted = there > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        num = counted.sum(axis=1)
        precision = np.where(counted, hits / np.maximum(said, 1), 0).sum(axis=1) / num
        recall = np.where(counted, hits / there, 0).sum(axis=1) / num
        mean = np.where(counted, 2 * hits / (said + there), 0).sum(axis=1) / num
        together = np.where(
            num > 0, 2 * hits.sum(axis=1) / (said.sum(axis=1) + there.sum(axis=1)), np.nan
        )
        harmonic = np.where(num > 0, 2 * precision * recall / (precision + recall), np.nan)
    zero = (num > 0) & (precision + recall == 0)
    return np.where(zero, 0.0, harmonic), mean, together


def interval(values: Float[np.ndarray, " b"], *, level: float = 0.95) -> tuple[float, float] | None:
    """Percentiles of the draws that say something; None where fewer than half of them do.

    Args:
        values: one per draw, NaN where a draw says nothing.
        level: 0..1, the share of draws between the two ends.
    """
    known = values[np.isfinite(values)]
    if len(known) < max(2, len(values) / 2):
        return None
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
