"""Take samples one by one: the best mixture of a worth and of what is not covered yet.

Each sample has a worth that the picker gives and a gain: how many samples resemble it that resemble
nothing decided or taken yet, a facility-location gain over some samples drawn as anchors. Each one
taken covers its surroundings and lowers its near duplicates.

Source: Wei, Iyer and Bilmes, Submodularity in Data Subset Selection and Active Learning, ICML 2015.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from backend.methods.pickers._openings import Pick

NEAR = 0.2
"""Share of its largest value below which a gain is not worth telling."""


@dataclass(frozen=True)
class Taken:
    """One sample of the queue.

    Attributes:
        is_by_worth: its worth weighed more than its gain.
        share: of the samples it stands for that nothing decided or taken stands for.
    """

    row: int
    value: float
    is_by_worth: bool
    share: float


@dataclass(frozen=True)
class Covering:
    """How the queue is mixed.

    Attributes:
        worth_share: weight of worth against gain, 0..1.
        sharpness: of the resemblance exp(sharpness (cosine - 1)); larger: only near ones count.
        num_anchors: samples drawn to measure what is covered.
        few: samples whose value is worked out again at once.
    """

    worth_share: float
    sharpness: float
    num_anchors: int
    few: int = 256

    def queue(
        self,
        worth: Float[np.ndarray, " n"],
        pooled: Float[np.ndarray, "n d"],
        is_open: Bool[np.ndarray, " n"],
        touched: Bool[np.ndarray, " n"],
        *,
        k: int,
        seed: int,
        reason: Callable[[int], str] | None = None,
    ) -> list[Pick]:
        """What `take` takes, each with why; `reason` tells it of a row whose worth weighed more."""
        has_verdicts = bool(touched.any())
        return [
            (
                each.row,
                each.value,
                reason(each.row)
                if reason is not None and each.is_by_worth
                else cover_reason(each.share, has_verdicts=has_verdicts),
            )
            for each in self.take(worth, pooled, is_open, touched, k=k, seed=seed)
        ]

    def take(
        self,
        worth: Float[np.ndarray, " n"],
        pooled: Float[np.ndarray, "n d"],
        is_open: Bool[np.ndarray, " n"],
        touched: Bool[np.ndarray, " n"],
        *,
        k: int,
        seed: int,
    ) -> Iterator[Taken]:
        """At most k open rows; `touched` are those with a verdict. `worth` is 0..1."""
        if not is_open.any():
            return
        vectors = np.nan_to_num(pooled)  # a sample that is not encoded yet resembles nothing
        near = self._resemblance(vectors, seed)
        covered = near[touched].max(axis=0, initial=0)
        gains = _gains(near, covered)
        scale = float(gains.max()) or 1.0
        own, spread = self.worth_share * worth, (1 - self.worth_share) / scale
        bound = np.where(is_open, own + spread * gains, -np.inf)
        twins = _Twins(vectors)
        for _ in range(min(k, int(is_open.sum()))):
            is_fresh = np.zeros(len(bound), bool)
            # Values only fall as more is taken, so old ones are upper bounds: only the best few
            # are worked out again, until one of them is the best of all.
            while not is_fresh[row := int(bound.argmax())]:
                few = np.argpartition(bound, -min(self.few, len(bound)))[-self.few :]
                # Among equal values these few need not hold the one that is asked about.
                few = np.append(few[np.isfinite(bound[few]) & (few != row)], row)
                gains = _gains(near[few], covered)
                bound[few] = (own[few] + spread * gains) * (1 - twins.cosines(few) ** 4)
                is_fresh[few] = True
            is_by_worth = own[row] > 0 and own[row] >= spread * _gains(near[[row]], covered)[0]
            share = float((near[row] - covered > NEAR).mean())
            yield Taken(row, float(bound[row]), bool(is_by_worth), share)
            twins.taken.append(row)
            bound[row] = -np.inf
            covered = np.maximum(covered, near[row])

    def _resemblance(
        self, vectors: Float[np.ndarray, "n d"], seed: int
    ) -> Float[np.ndarray, "n a"]:
        rng = np.random.default_rng(seed)
        anchors = rng.permutation(len(vectors))[: self.num_anchors]
        cosine = vectors @ vectors[np.sort(anchors)].T
        return np.exp(np.float32(self.sharpness) * (cosine - 1))


class _Twins:
    """How like each sample is to the likest one taken; each pair of the two is compared once."""

    def __init__(self, vectors: Float[np.ndarray, "n d"]):
        self.taken: list[int] = []
        self._vectors = vectors
        self._cosines = np.zeros(len(vectors), np.float32)
        self._compared = np.zeros(len(vectors), np.int64)

    def cosines(self, rows: Int[np.ndarray, " k"]) -> Float[np.ndarray, " k"]:
        """Of some samples the largest cosine, at least 0."""
        compared = self._compared[rows]
        for count in np.unique(compared[compared < len(self.taken)]).tolist():
            late = rows[compared == count]
            newer = self._vectors[self.taken[count:]]
            found = (self._vectors[late] @ newer.T).max(axis=1)
            self._cosines[late] = np.maximum(self._cosines[late], found)
        self._compared[rows] = len(self.taken)
        return self._cosines[rows]


def _gains(
    near: Float[np.ndarray, "n a"], covered: Float[np.ndarray, " a"]
) -> Float[np.ndarray, " n"]:
    """How much better each sample would cover the anchors than what is decided or picked."""
    return np.maximum(near - covered, 0).mean(axis=1)


def cover_reason(share: float, *, has_verdicts: bool) -> str:
    """How many samples it stands for that nothing labelled or picked stands for yet."""
    if share < 0.01:
        return "not decided yet, and not in doubt"
    about = f"stands for about {share:.0%} of the samples"
    return f"unlike anything labelled so far, {about}" if has_verdicts else f"typical, {about}"
