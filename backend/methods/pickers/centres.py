"""What is farthest from everything decided: k centres, greedily.

Each pick is the open sample whose nearest decided or picked sample is farthest; the first of all is
the one nearest to the mean. It looks at no score.

Source: Sener and Savarese, Active Learning for Convolutional Neural Networks: A Core-Set Approach,
ICLR 2018 (1708.00489); Gonzalez 1985.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from backend.contracts import NO_FACTS
from backend.fingerprints import fingerprint_of
from backend.methods.pickers._openings import open_rows
from backend.types import PickFacts


class CentresPicker:
    """Covers the space; rare corners come early, and so do odd ones out."""

    @dataclass(frozen=True)
    class Settings:
        """Nothing to set."""

    def __init__(self, settings: Settings | None = None):
        self.settings = settings or self.Settings()
        self.fingerprint = fingerprint_of("pickers/centres", self.settings)

    def pick(
        self,
        scores: Float[np.ndarray, "n l"],  # noqa: ARG002 - the shelf's signature
        pooled: Float[np.ndarray, "n d"],
        decided: Bool[np.ndarray, "n l"],
        *,
        k: int,
        seed: int = 0,
        label_names: Sequence[str] = (),  # noqa: ARG002 - the shelf's signature
        facts: PickFacts = NO_FACTS,
    ) -> list[tuple[int, float, str]]:
        is_open = open_rows(decided, facts)
        vectors = np.nan_to_num(pooled)
        touched = decided.any(axis=1)
        # Equals and samples without a vector come in an order that the seed decides.
        noise = np.random.default_rng(seed).random(len(vectors)) * 1e-6
        nearest = _nearest(vectors, vectors[touched])
        picks: list[tuple[int, float, str]] = []
        for _ in range(min(max(0, k), int(is_open.sum()))):
            if not np.isfinite(nearest).any():  # nothing to be far from yet
                values = vectors @ vectors.mean(axis=0)
            else:
                values = 1 - nearest
            row = int(np.where(is_open, values + noise, -np.inf).argmax())
            is_first = not np.isfinite(nearest[row])
            far = 0.0 if is_first else float(1 - nearest[row])
            reason = (
                "in the middle of all samples"
                if is_first
                else f"unlike anything decided or above: at most {1 - far:.2f} alike"
            )
            picks.append((row, far, reason))
            is_open[row] = False
            nearest = np.maximum(nearest, vectors @ vectors[row])
        return picks


def _nearest(
    vectors: Float[np.ndarray, "n d"], known: Float[np.ndarray, "m d"]
) -> Float[np.ndarray, " n"]:
    """Cosine to the nearest known sample; minus infinity where none is."""
    nearest = np.full(len(vectors), -np.inf)
    for start in range(0, len(known), BLOCK):
        nearest = np.maximum(nearest, (vectors @ known[start : start + BLOCK].T).max(axis=1))
    return nearest


BLOCK = 512
"""Known samples compared with all others at once."""
