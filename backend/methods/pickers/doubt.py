"""What the model doubts, and what the verdicts so far do not cover, in one queue.

Each sample has a doubt (how near its undecided labels are to 50%) and a gain (how many samples
resemble it that resemble nothing decided yet; a facility-location gain over some samples drawn as
anchors). Samples are taken one by one, best mixture first; each one taken covers its
surroundings and lowers its near duplicates. Before any verdict only the gain counts, which begins
with the most typical samples of different kinds.

Source: uncertainty sampling, Lewis and Gale 1994; the gain as in Wei, Iyer and Bilmes,
Submodularity in Data Subset Selection and Active Learning, ICML 2015; typical first as in
Hacohen, Dekel and Weinshall, Active Learning on a Budget, ICML 2022 (2202.02794).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from backend.contracts import NO_FACTS
from backend.fingerprints import fingerprint_of
from backend.methods.pickers._covering import Covering
from backend.methods.pickers._openings import open_pairs, open_rows, told, touched_rows
from backend.numerics.questions import doubts
from backend.types import PickFacts

FEW = 256
"""Samples whose value is worked out again at once."""


class DoubtPicker:
    """Uncertain first, spread out, each with its reason."""

    @dataclass(frozen=True)
    class Settings:
        """How the queue is mixed.

        Attributes:
            doubt_share: weight of doubt against gain, 0..1, once something is decided.
            sharpness: of the resemblance exp(sharpness (cosine - 1)); larger: only near ones count.
            num_anchors: samples drawn to measure what is covered.
        """

        doubt_share: float = 0.7
        sharpness: float = 5.0
        num_anchors: int = 256

    def __init__(self, settings: Settings | None = None):
        self.settings = settings or self.Settings()
        self.fingerprint = fingerprint_of("pickers/doubt", self.settings)

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
        touched = touched_rows(decided)
        doubt = doubts(scores, open_pairs(decided, is_open))
        set_ = self.settings
        covering = Covering(
            set_.doubt_share if touched.any() else 0.0, set_.sharpness, set_.num_anchors, FEW
        )
        worth = doubt.max(axis=1, initial=0)

        def reason(row: int) -> str:
            return _doubt_reason(doubt[row], scores[row], label_names)

        return covering.queue(worth, pooled, is_open, touched, k=k, seed=seed, reason=reason)


def _doubt_reason(
    doubt: Float[np.ndarray, " l"], scores: Float[np.ndarray, " l"], names: Sequence[str]
) -> str:
    """Name the two labels in most doubt, the second only if it is nearly as doubtful."""
    best: Int[np.ndarray, " x"] = np.argsort(-doubt, kind="stable")[:2]
    near = [int(i) for i in best if doubt[i] > 0 and doubt[i] >= 0.8 * doubt[best[0]]]
    return "unsure about " + told(scores, near, names)
