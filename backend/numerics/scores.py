"""How good is it, on what is known: average precision, F1 and calibration error, all masked.

`known` marks the (sample, label) pairs that a person decided YES or NO; every other pair, unknown
or UNSURE, takes no part in any number here. Arrays are (N, L); `targets` is 1 for YES.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

Pairs = Float[np.ndarray, "n l"]
Known = Bool[np.ndarray, "n l"]


def average_precision(scores: Float[np.ndarray, " m"], targets: Float[np.ndarray, " m"]) -> float:
    """Area below the steps of precision over recall; samples with equal scores come together.

    The same number as scikit-learn's `average_precision_score`. NaN without a YES.
    """
    if not (targets > 0).any():
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(targets[order] > 0)
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    recall = hits[last] / hits[-1]
    precision = hits[last] / (last + 1)
    return float((np.diff(recall, prepend=0) * precision).sum())


def label_average_precisions(
    scores: Pairs, targets: Pairs, known: Known
) -> Float[np.ndarray, " l"]:
    """AP of each label on its decided samples; NaN without a YES or without a NO.

    With only YES every order is perfect, and the number would say nothing.
    """
    result = np.full(scores.shape[1], np.nan)
    for label in range(scores.shape[1]):
        rows = known[:, label]
        truth = targets[rows, label]
        if (truth > 0).any() and (truth <= 0).any():
            result[label] = average_precision(scores[rows, label], truth)
    return result


def mean_average_precision(scores: Pairs, targets: Pairs, known: Known) -> float:
    """mAP: mean over the labels that have a YES and a NO; NaN when none has."""
    values = label_average_precisions(scores, targets, known)
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else float("nan")


def label_f1(predicted: Known, targets: Pairs, known: Known) -> float:
    """CF1: the F1 of mean precision and mean recall over labels with a decided YES.

    Not the mean of the labels' F1, which some papers also call CF1. A label that is never
    predicted has precision 0. NaN without any YES.
    """
    yes = (targets > 0) & known
    hits = (predicted & yes).sum(axis=0)
    counted = yes.any(axis=0)
    if not counted.any():
        return float("nan")
    precision = (hits / np.maximum((predicted & known).sum(axis=0), 1))[counted].mean()
    recall = (hits / np.maximum(yes.sum(axis=0), 1))[counted].mean()
    return _f1(precision, recall)


def overall_f1(predicted: Known, targets: Pairs, known: Known) -> float:
    """OF1: F1 over all decided pairs together (micro). NaN without any YES."""
    yes = (targets > 0) & known
    if not yes.any():
        return float("nan")
    hits = (predicted & yes).sum()
    return _f1(hits / max((predicted & known).sum(), 1), hits / yes.sum())


def expected_calibration_error(
    probabilities: Pairs, targets: Pairs, known: Known, *, num_bins: int = 15
) -> float:
    """ECE: mean distance of stated and observed share of YES, over equal-width bins 0..1.

    All decided pairs together, each bin weighted by its pairs; pairs whose probability is NaN
    (not calibrated yet) are left out. NaN when nothing is left.
    """
    used = known & ~np.isnan(probabilities)
    stated, truth = probabilities[used].astype(float), targets[used] > 0
    if not len(stated):
        return float("nan")
    bins = np.minimum((stated * num_bins).astype(int), num_bins - 1)
    stated_sum = np.bincount(bins, stated, num_bins)
    true_sum = np.bincount(bins, truth, num_bins)
    return float(np.abs(stated_sum - true_sum).sum() / len(stated))


def _f1(precision: float, recall: float) -> float:
    return float(2 * precision * recall / max(precision + recall, 1e-12))
