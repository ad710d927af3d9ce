"""How well a few examples of a label bring its samples back, and which few do it best.

With s (C, N) how well each of N samples fits each of C candidates, a set S of candidates gives
sample i the score max over c in S of s_ci: a sample is like the label if it is like one example.
The worth of S is the average precision of that ranking. A candidate finds its own sample without
effort, so the samples that the candidates of S are from take no part in it.

Source: greedy search over candidates by the precision of what they retrieve is that of Labelling
Instruction Generation (Chang et al. 2023, 2306.14035); leaving out own samples is ours. The mean
over S in place of the maximum was tried and chooses near copies of the commonest look.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from backend.numerics.scores import average_precision

Fits = Float[np.ndarray, "c n"]
ALONE = (1.0,)
SHARES = (1.0, 0.75, 0.5, 0.25)
"""Of the crop in what is searched by, the rest is the label's name; 1 is the crop alone."""


def fit(
    vectors: Float[np.ndarray, "c d"], parts: Float[np.ndarray, "p d"]
) -> Float[np.ndarray, " c"]:
    """How well one sample fits each candidate: the cosine of its nearest part; -1 without parts."""
    if not len(parts):
        return np.full(len(vectors), -1, np.float32)
    return (parts @ vectors.T).max(axis=0)


def mixed(
    vectors: Float[np.ndarray, "c d"], name: Float[np.ndarray, " d"], share: float
) -> Float[np.ndarray, "c d"]:
    """What parts are searched by: crops with the name of their label beside them.

    The cosine of a part with the one and with the other, added by their shares, is its product
    with this sum: w <v, z> + (1 - w) <t, z> = <w v + (1 - w) t, z>. Not of unit length.
    """
    return (share * vectors + (1 - share) * name).astype(np.float32)


def worth(
    fits: Fits,
    own: Int[np.ndarray, " c"],
    truth: Bool[np.ndarray, " n"],
    chosen: Sequence[int],
) -> float:
    """Average precision of a set of candidates on all samples but their own.

    NaN where no YES or no NO is left; 0 for no candidates.

    Args:
        fits: see above.
        own: the sample that each candidate is from, -1 for one that is not among the N.
        truth: which samples show the label.
        chosen: the set.
    """
    if not len(chosen):
        return 0.0
    kept = np.ones(len(truth), bool)
    mine = own[list(chosen)]
    kept[mine[mine >= 0]] = False
    targets = truth[kept]
    if not targets.any() or targets.all():
        return float("nan")
    return average_precision(fits[list(chosen)].max(axis=0)[kept], targets.astype(np.float32))


def greedy(
    fits: Fits,
    own: Int[np.ndarray, " c"],
    truth: Bool[np.ndarray, " n"],
    *,
    k: int,
    least_gain: float,
    kept: Sequence[int] = (),
) -> list[int]:
    """At most k candidates, each the one that adds most to the worth of those before it.

    Args:
        fits: see above.
        own: the sample that each candidate is from, -1 for one that is not among the N.
        truth: which samples show the label.
        k: the most.
        least_gain: of worth, below which the search ends; the first candidate is always taken.
        kept: candidates that are in the set from the beginning.
    """
    chosen = list(dict.fromkeys(kept))[:k]
    reached = worth(fits, own, truth, chosen)
    if np.isnan(reached):
        return chosen
    while len(chosen) < min(k, len(fits)):
        gains = np.full(len(fits), -np.inf)
        for candidate in range(len(fits)):
            if candidate not in chosen:
                found = worth(fits, own, truth, [*chosen, candidate])
                gains[candidate] = -np.inf if np.isnan(found) else found - reached
        best = int(gains.argmax())
        if not np.isfinite(gains[best]) or (chosen and gains[best] < least_gain):
            break
        chosen.append(best)
        reached += float(gains[best])
    return chosen


def crop_vector(
    parts: Float[np.ndarray, "p d"], inside: Int[np.ndarray, " k"]
) -> Float[np.ndarray, " d"]:
    """The mean of the parts of a crop, at unit length; of all parts where none is inside."""
    mean = (parts[inside] if len(inside) else parts).mean(axis=0)
    return (mean / max(float(np.linalg.norm(mean)), 1e-12)).astype(np.float32)
