"""Is a probability what it says: stated against observed share of YES, in bins, with intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int


@dataclass(frozen=True)
class Reliability:
    """One entry per bin that holds anything; `edges` are its borders, low included.

    Attributes:
        stated: mean probability in the bin.
        observed: share of YES, `low` to `high` its 95 % interval.
        counts: pairs.
        ece: mean distance of stated and observed, weighted by pairs.
        brier: mean squared distance of probability and truth.
    """

    edges: Float[np.ndarray, "b 2"]
    stated: Float[np.ndarray, " b"]
    observed: Float[np.ndarray, " b"]
    low: Float[np.ndarray, " b"]
    high: Float[np.ndarray, " b"]
    counts: Int[np.ndarray, " b"]
    ece: float
    brier: float


def reliability(
    probabilities: Float[np.ndarray, " m"],
    targets: Float[np.ndarray, " m"],
    *,
    num_bins: int = 15,
) -> Reliability:
    """Equal-width bins over 0..1; NaN probabilities (not calibrated) are left out.

    Args:
        probabilities: stated ones, 0..1.
        targets: above 0 for YES.
        num_bins: of width 1 / `num_bins`; empty ones are not told.

    Sources: Guo et al., On calibration of modern neural networks, ICML 2017 (1706.04599), for
    `ece`; Brier, Verification of forecasts expressed in terms of probability, 1950, for `brier`.
    """
    used = ~np.isnan(probabilities)
    stated, truth = probabilities[used].astype(np.float64), targets[used] > 0
    bins = bins_of(stated, num_bins)
    counts = np.bincount(bins, minlength=num_bins)
    there = np.flatnonzero(counts)
    yes = np.bincount(bins, truth, num_bins)[there]
    mean = np.bincount(bins, stated, num_bins)[there] / counts[there]
    observed = yes / counts[there]
    low, high = wilson(yes, counts[there])
    total = int(counts.sum())
    gaps = np.abs(mean - observed) * counts[there]
    return Reliability(
        np.stack([there / num_bins, (there + 1) / num_bins], axis=1),
        mean,
        observed,
        low,
        high,
        counts[there],
        float(gaps.sum() / total) if total else float("nan"),
        float(((stated - truth) ** 2).mean()) if total else float("nan"),
    )


def bins_of(probabilities: Float[np.ndarray, " m"], num_bins: int) -> Int[np.ndarray, " m"]:
    """Which equal-width bin each probability is in; 1 belongs to the last."""
    return np.minimum((probabilities * num_bins).astype(np.int64), num_bins - 1)


def wilson(
    hits: Float[np.ndarray, " b"] | Int[np.ndarray, " b"],
    counts: Int[np.ndarray, " b"],
    *,
    z: float = 1.959963984540054,
) -> tuple[Float[np.ndarray, " b"], Float[np.ndarray, " b"]]:
    """The score interval of a share, 95 % by default; 0 to 1 where nothing was counted.

    Args:
        hits: of `counts`.
        counts: trials.
        z: half width in deviations of the normal distribution.

    Source: Wilson, Probable Inference, the Law of Succession, and Statistical Inference, 1927.
    """
    n = np.maximum(counts, 1).astype(np.float64)
    share = hits / n
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    empty = counts == 0
    return (
        np.where(empty, 0.0, np.clip(middle - half, 0, 1)),
        np.where(empty, 1.0, np.clip(middle + half, 0, 1)),
    )
