"""The largest entropy: samples whose undecided labels are unsure taken together.

Labels count as independent, so the entropy of a sample is the sum over its undecided labels.

Source: Shannon 1948; as a query strategy Settles, Active Learning Literature Survey, 2009.
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


class EntropyPicker:
    """Many labels in some doubt count as much as one in great doubt."""

    @dataclass(frozen=True)
    class Settings:
        """Nothing to set."""

    def __init__(self, settings: Settings | None = None):
        self.settings = settings or self.Settings()
        self.fingerprint = fingerprint_of("pickers/entropy", self.settings)

    def pick(
        self,
        scores: Float[np.ndarray, "n l"],
        pooled: Float[np.ndarray, "n d"],  # noqa: ARG002 - the shelf's signature
        decided: Bool[np.ndarray, "n l"],
        *,
        k: int,
        seed: int = 0,
        label_names: Sequence[str] = (),
        facts: PickFacts = NO_FACTS,
    ) -> list[tuple[int, float, str]]:
        is_open = open_rows(decided, facts)
        bits = np.where(open_pairs(decided, is_open), entropy(scores), 0.0)
        total = bits.sum(axis=1)

        def reason(row: int) -> str:
            first = [int(c) for c in np.argsort(-bits[row], kind="stable")[:2] if bits[row, c] > 0]
            most = f", most in {told(scores[row], first, label_names)}" if first else ""
            return f"{total[row]:.1f} bits of doubt{most}"

        return best(total, is_open, k, seed, reason)


def entropy(chances: Float[np.ndarray, "n l"]) -> Float[np.ndarray, "n l"]:
    """In bits, of a YES or NO; 0 where the chance is unknown."""
    p = np.clip(np.nan_to_num(chances, nan=0.0).astype(float), 1e-12, 1 - 1e-12)
    return -(p * np.log2(p) + (1 - p) * np.log2(1 - p))
