"""The smallest margin: samples with a label that is nearest to 50 %.

Source: Lewis and Gale, A Sequential Algorithm for Training Text Classifiers, SIGIR 1994; over the
labels of a sample the largest, as "binary minimum" in Brinker, On Active Learning in Multi-label
Classification, 2006.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from backend.contracts import NO_FACTS
from backend.fingerprints import fingerprint_of
from backend.methods.pickers._openings import best, open_pairs, open_rows, told
from backend.numerics.questions import doubts
from backend.types import PickFacts


class MarginPicker:
    """One label in great doubt is enough."""

    @dataclass(frozen=True)
    class Settings:
        """Nothing to set."""

    def __init__(self, settings: Settings | None = None):
        self.settings = settings or self.Settings()
        self.fingerprint = fingerprint_of("pickers/margin", self.settings)

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
        doubt = doubts(scores, open_pairs(decided, is_open))

        def reason(row: int) -> str:
            if not doubt[row].any():
                return "not decided yet, and not in doubt"
            return "nearest to 50%: " + told(scores[row], [int(doubt[row].argmax())], label_names)

        return best(doubt.max(axis=1, initial=0), is_open, k, seed, reason)
