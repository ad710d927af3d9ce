"""Any examples of a label: what others have to be better than."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from backend.fingerprints import fingerprint_of


class RandomWriter:
    """Every candidate is as likely as any other."""

    @dataclass(frozen=True)
    class Settings:
        """Nothing to set."""

    def __init__(self, settings: Settings | None = None):
        self.settings = settings or self.Settings()
        self.fingerprint = fingerprint_of("writers/random", self.settings)

    def choose(
        self,
        vectors: Float[np.ndarray, "c d"],
        fits: Float[np.ndarray, "c n"],  # noqa: ARG002 - the shelf's signature
        own: Int[np.ndarray, " c"],  # noqa: ARG002 - the shelf's signature
        truth: Bool[np.ndarray, " n"],  # noqa: ARG002 - the shelf's signature
        *,
        k: int,
        kept: Sequence[int] = (),
        seed: int = 0,
    ) -> list[int]:
        chosen = list(dict.fromkeys(kept))[:k]
        rest = np.setdiff1d(np.arange(len(vectors)), chosen)
        order = np.random.default_rng(seed).permutation(rest)
        return chosen + [int(one) for one in order[: k - len(chosen)]]
