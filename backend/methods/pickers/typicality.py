"""The most typical samples of different kinds: for the first rounds, before anything is learned.

Only what a sample stands for counts, see `_covering.py`: how many others resemble it that resemble
nothing decided or picked yet. Odd ones out, which k centres take first, come last.

Source: Hacohen, Dekel and Weinshall, Active Learning on a Budget, ICML 2022 (2202.02794).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from backend.contracts import NO_FACTS
from backend.fingerprints import fingerprint_of
from backend.methods.pickers._covering import Covering
from backend.methods.pickers._openings import open_rows, touched_rows
from backend.types import PickFacts


class TypicalityPicker:
    """Stands for many, and for others than the one before."""

    @dataclass(frozen=True)
    class Settings:
        """As in the queue of doubt.

        Attributes:
            sharpness: of the resemblance exp(sharpness (cosine - 1)); larger: only near ones count.
            num_anchors: samples drawn to measure what is covered.
        """

        sharpness: float = 5.0
        num_anchors: int = 256

    def __init__(self, settings: Settings | None = None):
        self.settings = settings or self.Settings()
        self.fingerprint = fingerprint_of("pickers/typicality", self.settings)

    def pick(
        self,
        scores: Float[np.ndarray, "n l"],
        pooled: Float[np.ndarray, "n d"],
        decided: Bool[np.ndarray, "n l"],
        *,
        k: int,
        seed: int = 0,
        label_names: Sequence[str] = (),  # noqa: ARG002 - the shelf's signature
        facts: PickFacts = NO_FACTS,
    ) -> list[tuple[int, float, str]]:
        is_open = open_rows(decided, facts)
        touched = touched_rows(decided)
        covering = Covering(0.0, self.settings.sharpness, self.settings.num_anchors)
        worth = np.zeros(len(scores))
        return covering.queue(worth, pooled, is_open, touched, k=k, seed=seed)
