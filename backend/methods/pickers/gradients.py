"""Diverse and uncertain at once: how the heads would move, spread out as k-means++ does.

If the likelier answer of each label were given, the head of label l would move along
g_l x, g_l = p_l - [p_l > 1/2], x the sample's vector. So the gradient of a sample is the outer
product of g and x: long where many labels are in doubt, and pointing elsewhere for other labels or
other vectors. Picks are drawn one by one with a chance proportional to the squared distance from
the nearest one picked. The outer products are never made: their inner products are the product of
those of g and of x.

Source: Ash et al., BADGE, ICLR 2020 (1906.03671), for independent labels instead of classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from backend.contracts import NO_FACTS
from backend.fingerprints import fingerprint_of
from backend.methods.pickers._openings import best, open_pairs, open_rows, told
from backend.types import PickFacts


class GradientsPicker:
    """One draw per pick; the seed decides it."""

    @dataclass(frozen=True)
    class Settings:
        """Nothing to set."""

    def __init__(self, settings: Settings | None = None):
        self.settings = settings or self.Settings()
        self.fingerprint = fingerprint_of("pickers/gradients", self.settings)

    def pick(
        self,
        scores: Float[np.ndarray, "n l"],
        pooled: Float[np.ndarray, "n d"],
        decided: Bool[np.ndarray, "n l"],
        *,
        k: int,
        seed: int = 0,
        label_names: Sequence[str] = (),
        facts: PickFacts = NO_FACTS,
    ) -> list[tuple[int, float, str]]:
        is_open = open_rows(decided, facts)
        k = min(max(0, k), int(is_open.sum()))
        chances = np.where(open_pairs(decided, is_open), np.nan_to_num(scores, nan=0.0), 0.0)
        moves = np.where(chances > 0.5, chances - 1, chances)
        x = np.nan_to_num(pooled)
        length = (moves**2).sum(axis=1) * (x**2).sum(axis=1)
        rng = np.random.default_rng(seed)
        distance = np.where(is_open, length, 0.0)  # of the first, from nothing
        picks: list[tuple[int, float, str]] = []
        while len(picks) < k and distance.sum() > 0:
            # BADGE takes the longest first; then by chance.
            row = (
                int(rng.choice(len(distance), p=distance / distance.sum()))
                if picks
                else int(distance.argmax())
            )
            first = [
                int(c) for c in np.argsort(-np.abs(moves[row]), kind="stable")[:2] if moves[row, c]
            ]
            reason = f"would move {told(scores[row], first, label_names)}, unlike those above"
            picks.append((row, float(distance[row]), reason))
            inner = (moves @ moves[row]) * (x @ x[row])
            apart = np.maximum(length + length[row] - 2 * inner, 0)
            distance = (
                np.minimum(distance, apart) if len(picks) > 1 else np.where(is_open, apart, 0.0)
            )
            distance[[row for row, _, _ in picks]] = 0.0
        is_open[[row for row, _, _ in picks]] = False
        rest = best(np.zeros(len(x)), is_open, k - len(picks), seed, lambda _: NOTHING)
        return picks + rest


NOTHING = "not decided yet; its answer would move no label"
