"""The few examples that bring back most of a label's samples, found one after the other.

Source: Chang et al., Thinking Like an Annotator: Generation of Dataset Labeling Instructions,
2023 (2306.14035).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from backend.fingerprints import fingerprint_of
from backend.numerics import exemplars


class GreedyWriter:
    """See `numerics/exemplars.py`. Without a YES and a NO to tell apart it chooses nothing."""

    @dataclass(frozen=True)
    class Settings:
        """How much a further example has to add.

        Attributes:
            least_gain: average precision, 0..1; below it the search ends.
        """

        least_gain: float = 0.005

    def __init__(self, settings: Settings | None = None):
        self.settings = settings or self.Settings()
        self.fingerprint = fingerprint_of("writers/greedy", self.settings)

    def choose(
        self,
        vectors: Float[np.ndarray, "c d"],  # noqa: ARG002 - the shelf's signature
        fits: Float[np.ndarray, "c n"],
        own: Int[np.ndarray, " c"],
        truth: Bool[np.ndarray, " n"],
        *,
        k: int,
        kept: Sequence[int] = (),
        seed: int = 0,  # noqa: ARG002 - nothing is random
    ) -> list[int]:
        least = self.settings.least_gain
        return exemplars.greedy(fits, own, truth, k=k, least_gain=least, kept=kept)
