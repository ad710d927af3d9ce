"""The two directions of most variance: a map at once, and the plain member of its shelf.

Source: Pearson, On Lines and Planes of Closest Fit, 1901.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from backend.contracts import State
from backend.errors import BadInputError
from backend.fingerprints import fingerprint_of
from backend.numerics.projection import principal_axes


class PcaProjector:
    """State: `mean` (D,), `axes` (D, 2) and `xy` (N, 2), the places of the fitted points."""

    @dataclass(frozen=True)
    class Settings:
        """Nothing to set."""

    def __init__(self, settings: Settings | None = None):
        self.settings = settings or self.Settings()
        self.fingerprint = fingerprint_of("projectors/pca", self.settings)

    def fit(
        self,
        vectors: Float[np.ndarray, "n d"],
        *,
        seed: int = 0,  # noqa: ARG002 - nothing is random
    ) -> State:
        mean, axes = principal_axes(vectors)
        return {"mean": mean, "axes": axes, "xy": (vectors - mean) @ axes}

    def place(self, state: State, vectors: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n 2"]:
        if vectors.shape[1] != len(state["mean"]):
            raise BadInputError(
                f"got vectors {vectors.shape[1]} wide for a map of vectors {len(state['mean'])} "
                "wide; they are of different encoders"
            )
        return (vectors - state["mean"]) @ state["axes"]
