"""Any sample that still has something to decide: the plain picker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from backend.contracts import NO_FACTS
from backend.fingerprints import fingerprint_of
from backend.methods.pickers._openings import open_rows
from backend.types import PickFacts


class RandomPicker:
    """Every open sample is as likely as any other."""

    @dataclass(frozen=True)
    class Settings:
        """Nothing to set."""

    def __init__(self, settings: Settings | None = None):
        self.settings = settings or self.Settings()
        self.fingerprint = fingerprint_of("pickers/random", self.settings)

    def pick(
        self,
        scores: Float[np.ndarray, "n l"],  # noqa: ARG002 - the shelf's signature
        pooled: Float[np.ndarray, "n d"],  # noqa: ARG002 - the shelf's signature
        decided: Bool[np.ndarray, "n l"],
        *,
        k: int,
        seed: int = 0,
        label_names: Sequence[str] = (),  # noqa: ARG002 - the shelf's signature
        facts: PickFacts = NO_FACTS,
    ) -> list[tuple[int, float, str]]:
        rows = np.flatnonzero(open_rows(decided, facts))
        chosen = np.random.default_rng(seed).permutation(rows)[: max(0, k)]
        return [(int(row), 0.0, "picked at random") for row in chosen]
