"""Precision against recall of one label over every threshold, and thresholds chosen from it.

A sample is predicted where its score is at least the threshold. Arrays are the decided samples of
one label: scores (M,), targets (M,) with 1 for YES.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

Scores = Float[np.ndarray, " m"]


@dataclass(frozen=True)
class TradeOff:
    """One point per distinct score, from the highest threshold to the lowest.

    Attributes:
        thresholds: the scores themselves; each predicts all that is as high or higher.
        hits, predicted: counts at each.
        num_yes, num_no: all decided samples.
    """

    thresholds: Float[np.ndarray, " t"]
    hits: Int[np.ndarray, " t"]
    predicted: Int[np.ndarray, " t"]
    num_yes: int
    num_no: int

    @property
    def precision(self) -> Float[np.ndarray, " t"]:
        """Share of the predicted that is YES."""
        return self.hits / self.predicted

    @property
    def recall(self) -> Float[np.ndarray, " t"]:
        """Share of YES that is predicted; NaN without a YES."""
        return self.hits / self.num_yes if self.num_yes else np.full(len(self.hits), np.nan)

    @property
    def f1(self) -> Float[np.ndarray, " t"]:
        """Their harmonic mean; 0 without a hit."""
        return 2 * self.hits / (self.predicted + self.num_yes)


def trade_off(scores: Scores, targets: Scores) -> TradeOff:
    """The whole curve of one label; samples with equal scores come together."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order].astype(np.float64)
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)) if len(ranked) else order
    hits = np.cumsum(targets[order] > 0)
    return TradeOff(
        ranked[last],
        hits[last],
        last + 1,
        int((targets > 0).sum()),
        int((targets <= 0).sum()),
    )


def best_threshold(curve: TradeOff) -> float | None:
    """Where F1 is highest, half way to the next score below; None without a YES or a NO.

    Half way, since every threshold in that gap does the same on what is decided, and new samples
    fall on both sides of it. Of equal ones the highest threshold.
    """
    if not curve.num_yes or not curve.num_no:
        return None
    return _in_gap(curve, int(curve.f1.argmax()))


def threshold_for_precision(curve: TradeOff, least: float) -> float | None:
    """The lowest threshold with at least that precision; None where no threshold has it."""
    good = np.flatnonzero(curve.precision >= least)
    return _in_gap(curve, int(good[-1])) if len(good) else None


def threshold_for_recall(curve: TradeOff, least: float) -> float | None:
    """The highest threshold with at least that recall; None without a YES."""
    good = np.flatnonzero(curve.recall >= least)
    return _in_gap(curve, int(good[0])) if len(good) else None


def cross_fitted(
    scores: Float[np.ndarray, "n l"],
    targets: Float[np.ndarray, "n l"],
    known: Bool[np.ndarray, "n l"],
    folds: Int[np.ndarray, " n"],
    *,
    otherwise: float,
) -> Bool[np.ndarray, "n l"]:
    """Predictions of each fold with the best thresholds of all other folds.

    What choosing thresholds brings, measured on samples that did not choose them.

    Args:
        scores: of each pair.
        targets: 1 for YES.
        known: decided pairs.
        folds: which fold a sample is in, 0, 1, ...
        otherwise: threshold of labels that have no YES or no NO in the other folds.
    """
    predicted = scores >= otherwise
    for fold in range(int(folds.max(initial=-1)) + 1):
        here = folds == fold
        others = known & ~here[:, None]
        # Of thousands of labels few have both.
        has_both = (others & (targets > 0)).any(axis=0) & (others & (targets <= 0)).any(axis=0)
        for label in np.flatnonzero(has_both):
            rows = others[:, label]
            chosen = best_threshold(trade_off(scores[rows, label], targets[rows, label]))
            predicted[here, label] = scores[here, label] >= chosen
    return predicted


def _in_gap(curve: TradeOff, at: int) -> float:
    value = float(curve.thresholds[at])
    if at + 1 < len(curve.thresholds):
        return (value + float(curve.thresholds[at + 1])) / 2
    return value
