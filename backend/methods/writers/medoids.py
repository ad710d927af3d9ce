"""The most typical examples: the middles of groups of examples that look alike.

Source: Lloyd 1982 (k-means, scikit-learn); the member nearest to each mean stands for its group.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from sklearn.cluster import KMeans

from backend.fingerprints import fingerprint_of


class MedoidWriter:
    """One example for each of k groups, the largest group first; it looks at no verdict."""

    @dataclass(frozen=True)
    class Settings:
        """How groups are found.

        Attributes:
            starts: k-means is begun so many times, and the tightest groups are taken.
        """

        starts: int = 4

    def __init__(self, settings: Settings | None = None):
        self.settings = settings or self.Settings()
        self.fingerprint = fingerprint_of("writers/medoids", self.settings)

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
        # Copies of one example are one: k-means finds no more groups than there are places.
        _, first = np.unique(vectors[rest], axis=0, return_index=True)
        rest = rest[np.sort(first)]
        wanted = min(k - len(chosen), len(rest))
        if wanted <= 0:
            return chosen
        starts: Any = self.settings.starts  # scikit-learn is annotated for "auto" alone
        found = KMeans(wanted, n_init=starts, random_state=seed).fit(vectors[rest])
        apart = ((vectors[rest] - found.cluster_centers_[found.labels_]) ** 2).sum(axis=1)
        groups = [np.flatnonzero(found.labels_ == group) for group in range(wanted)]
        groups.sort(key=lambda members: (-len(members), members[:1].tolist()))
        chosen += [int(rest[members[apart[members].argmin()]]) for members in groups]
        return chosen
