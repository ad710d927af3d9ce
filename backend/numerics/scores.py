"""How good is it, on what is known: average precision, F1 and calibration error, all masked.

Labels and verdicts can be averaged in several ways that papers call by one name; each has a
function of its own here, and says which one it is.

`known` marks the (sample, label) pairs that a person decided YES or NO; every other pair, unknown
or UNSURE, takes no part in any number here. Arrays are (N, L); `targets` is 1 for YES.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from backend.numerics.reliability import reliability

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


def weighted_average_precision(scores: Pairs, targets: Pairs, known: Known) -> float:
    """Weighted mAP: as `mean_average_precision`, each label weighted by its decided YES.

    scikit-learn's `average="weighted"`.
    """
    values = label_average_precisions(scores, targets, known)
    counted = ~np.isnan(values)
    if not counted.any():
        return float("nan")
    weights = ((targets > 0) & known).sum(axis=0)[counted]
    return float((weights * values[counted]).sum() / weights.sum())


def micro_average_precision(scores: Pairs, targets: Pairs, known: Known) -> float:
    """Micro mAP: one ranking of all decided pairs, whatever their label.

    Scores of different labels must mean the same, so these are probabilities. NaN without a YES
    or without a NO. scikit-learn's `average="micro"`.
    """
    truth = targets[known] > 0
    if truth.all() or not truth.any():
        return float("nan")
    return average_precision(scores[known], truth.astype(np.float32))


@dataclass(frozen=True)
class Counts:
    """Decided pairs of each label, (L,): YES that were predicted, all predicted, all YES."""

    hits: Int[np.ndarray, " l"]
    predicted: Int[np.ndarray, " l"]
    yes: Int[np.ndarray, " l"]

    @classmethod
    def of(cls, predicted: Known, targets: Pairs, known: Known) -> Counts:
        """Count them."""
        yes = (targets > 0) & known
        return cls((predicted & yes).sum(axis=0), (predicted & known).sum(axis=0), yes.sum(axis=0))

    @property
    def precision(self) -> Float[np.ndarray, " l"]:
        """Share of the predicted that is right; 0 for a label that is never predicted."""
        return self.hits / np.maximum(self.predicted, 1)

    @property
    def recall(self) -> Float[np.ndarray, " l"]:
        """Share of YES that is predicted; NaN for a label without a YES."""
        return np.where(self.yes > 0, self.hits / np.maximum(self.yes, 1), np.nan)

    @property
    def f1(self) -> Float[np.ndarray, " l"]:
        """Each label's own F1; NaN for a label without a YES."""
        both = np.maximum(self.predicted + self.yes, 1)
        return np.where(self.yes > 0, 2 * self.hits / both, np.nan)


@dataclass(frozen=True)
class F1Scores:
    """All that is called CF1 and OF1, each by its definition; NaN without any YES.

    Attributes:
        CF1: F1 of the labels' mean precision and mean recall.
        CF1_mean: mean of the labels' F1, which other papers call CF1. Never above CF1.
        OF1: F1 over all decided pairs together.
        CP, CR: the labels' mean precision and mean recall.
        OP, OR: precision and recall over all decided pairs together.
    """

    CF1: float
    CF1_mean: float
    OF1: float
    CP: float
    CR: float
    OP: float
    OR: float

    @classmethod
    def of(cls, predicted: Known, targets: Pairs, known: Known) -> F1Scores:
        """From predictions, over labels with a decided YES."""
        counts = Counts.of(predicted, targets, known)
        counted = counts.yes > 0
        if not counted.any():
            return cls(*(float("nan"),) * 7)
        cp, cr = float(counts.precision[counted].mean()), float(counts.recall[counted].mean())
        hits = int(counts.hits.sum())
        op = hits / max(int(counts.predicted.sum()), 1)
        or_ = hits / int(counts.yes.sum())
        return cls(
            CF1=_f1(cp, cr),
            CF1_mean=float(counts.f1[counted].mean()),
            OF1=_f1(op, or_),
            CP=cp,
            CR=cr,
            OP=op,
            OR=or_,
        )


def label_f1(predicted: Known, targets: Pairs, known: Known) -> float:
    """CF1: the F1 of mean precision and mean recall over labels with a decided YES.

    Not the mean of the labels' F1, which some papers also call CF1. A label that is never
    predicted has precision 0. NaN without any YES.
    """
    return F1Scores.of(predicted, targets, known).CF1


def overall_f1(predicted: Known, targets: Pairs, known: Known) -> float:
    """OF1: F1 over all decided pairs together (micro). NaN without any YES."""
    return F1Scores.of(predicted, targets, known).OF1


def highest(scores: Pairs, k: int) -> Known:
    """The k labels with the highest scores of each sample, whether high or low; ties by column.

    All labels compete, decided or not: these are the k that a person would be shown. NaN never
    wins.
    """
    chosen = np.zeros(scores.shape, bool)
    width = min(k, scores.shape[1])
    order = np.argsort(-np.nan_to_num(scores, nan=-np.inf), axis=1, kind="stable")[:, :width]
    np.put_along_axis(chosen, order, True, axis=1)
    return chosen & ~np.isnan(scores)


def expected_calibration_error(
    probabilities: Pairs, targets: Pairs, known: Known, *, num_bins: int = 15
) -> float:
    """ECE: mean distance of stated and observed share of YES, over equal-width bins 0..1.

    All decided pairs together, each bin weighted by its pairs; pairs whose probability is NaN
    (not calibrated yet) are left out. NaN when nothing is left.

    Source: Guo et al., On calibration of modern neural networks, ICML 2017 (1706.04599).
    """
    return reliability(probabilities[known], targets[known], num_bins=num_bins).ece


def _f1(precision: float, recall: float) -> float:
    return float(2 * precision * recall / max(precision + recall, 1e-12))
