"""UMAP to the plane; neighbours stay neighbours, and far apart says little.

The layout starts from the PCA map, so that groups stay on their side when it takes the PCA map's
place, and runs on one thread from a seed: the same answer each time. A fitted UMAP object can only
be kept by pickle, which may run code when it is opened, so the state holds the fitted vectors and
their places instead, and a new sample is put between its nearest fitted neighbours (mean weighted
by 1 / squared distance). Nothing that was fitted ever moves.

Source: McInnes, Healy and Melville, UMAP, 2018 (1802.03426), `umap-learn`; start from PCA: Kobak
and Linderman, Initialization Is Critical for Preserving Global Data Structure, 2021.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from backend.contracts import State
from backend.errors import BadInputError
from backend.fingerprints import fingerprint_of
from backend.numerics.projection import (
    between_neighbours,
    nearest_neighbours,
    principal_axes,
)

FEWEST = 12
"""Below so many samples there is no neighbourhood to keep: the PCA map is the map."""


class UmapProjector:
    """State: `vectors` (N, D) unit rows and `xy` (N, 2), both of the fitted points."""

    @dataclass(frozen=True)
    class Settings:
        """UMAP's own words for what they do.

        Attributes:
            num_neighbours: size of the neighbourhood that is kept.
            min_dist: how tightly points may be packed, 0..1.
            num_place: neighbours a new sample is put between.
        """

        num_neighbours: int = 15
        min_dist: float = 0.1
        num_place: int = 5

    def __init__(self, settings: Settings | None = None):
        self.settings = settings or self.Settings()
        self.fingerprint = fingerprint_of("projectors/umap_plane", self.settings)

    def fit(self, vectors: Float[np.ndarray, "n d"], *, seed: int = 0) -> State:
        unit = _unit(vectors)
        mean, axes = principal_axes(unit)
        start = (unit - mean) @ axes
        if len(unit) < FEWEST:
            return {"vectors": unit, "xy": start}
        # UMAP wants a start about ten wide; the noise separates samples that are the same.
        noise = np.random.default_rng(seed).normal(size=start.shape) * 1e-3
        start = (10 * start / max(float(np.abs(start).max()), 1e-9) + noise).astype(np.float32)
        return {"vectors": unit, "xy": self._layout(unit, start, seed)}

    def _layout(
        self, unit: Float[np.ndarray, "n d"], start: Float[np.ndarray, "n 2"], seed: int
    ) -> Float[np.ndarray, "n 2"]:
        count = min(self.settings.num_neighbours, len(unit) - 1)
        with warnings.catch_warnings():
            # It says that its optional TensorFlow part is missing, and that a map made from given
            # neighbours cannot place new samples: nobody here asks it for either.
            warnings.simplefilter("ignore")
            # Imported here, since it compiles for seconds and placing new samples needs none of it.
            import umap  # noqa: PLC0415

            model = umap.UMAP(
                n_neighbors=count,
                # Exact, and on one thread quicker than UMAP's own search, which compiles first.
                precomputed_knn=(*nearest_neighbours(unit, count), None),
                force_approximation_algorithm=True,  # or few samples are searched once more
                min_dist=self.settings.min_dist,
                metric="cosine",
                init=start,  # pyright: ignore[reportArgumentType] - umap takes arrays, too
                random_state=seed,
                n_jobs=1,
            )
            return np.asarray(model.fit_transform(unit), np.float32)

    def place(self, state: State, vectors: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n 2"]:
        width = state["vectors"].shape[1]
        if vectors.shape[1] != width:
            raise BadInputError(
                f"got vectors {vectors.shape[1]} wide for a map of vectors {width} wide; "
                "they are of different encoders"
            )
        return between_neighbours(
            state["vectors"], state["xy"], _unit(vectors), num_neighbours=self.settings.num_place
        )


def _unit(vectors: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
    rows = vectors.astype(np.float32, copy=False)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
