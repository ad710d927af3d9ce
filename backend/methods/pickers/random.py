"""Any sample that still has something to decide: the plain picker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from backend.fingerprints import fingerprint_of


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
        scores: Float[np.ndarray, "n l"],
        pooled: Float[np.ndarray, "n d"],  # noqa: ARG002 - the shelf's signature
        decided: Bool[np.ndarray, "n l"],
        *,
        k: int,
        seed: int = 0,
        label_names: Sequence[str] = (),  # noqa: ARG002 - the shelf's signature
    ) -> list[tuple[int, float, str]]:
        # Without labels everything is still open: `all` of nothing would say the opposite.
        is_open = ~decided.all(axis=1) if scores.shape[1] else np.ones(len(scores), bool)
        rows = np.flatnonzero(is_open)
        chosen = np.random.default_rng(seed).permutation(rows)[: max(0, k)]
        return [(int(row), 0.0, "picked at random") for row in chosen]
