"""Leave out what a sample hardly has, so that the share of its labels that is lost stays bounded.

Labels with a chance below one threshold are left out, everything else is to be looked at. The
threshold is the largest at which the decided samples lose so few of their labels that

    (sum of the shares lost + 1) / (n + 1) <= 1 - level,

and then the share of its labels that a new sample loses is at most 1 - level on average. A sample
without labels loses none. Nothing is ever surely YES. UNSURE answers count as NO.

Source: Angelopoulos, Bates, Fisch, Lei and Schuster, Conformal risk control, ICLR 2024
(2208.02814), false negative rate; the tests compare with MAPIE, which asks for a classifier of its
own and looks at a grid of thresholds only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from backend.contracts import State
from backend.errors import BadInputError
from backend.fingerprints import fingerprint_of
from backend.numerics.label_sets import samples_needed


class RecallCalibrator:
    """State: `chances` (m,) of the labels that decided samples have, ascending, and `lost` (m,).

    `lost` is the summed share of labels that is lost when the threshold lies above that chance;
    `decided` (1,) counts the samples, `labels` (1,) the labels.
    """

    @dataclass(frozen=True)
    class Settings:
        """There is nothing to set."""

    promise = "on average no larger share of a sample's labels is left out"

    def __init__(self, settings: Settings | None = None):
        self.settings = settings or self.Settings()
        self.fingerprint = fingerprint_of("calibrators/recall", self.settings)

    def fit(self, chances: Float[np.ndarray, "n l"], truth: Int[np.ndarray, "n l"]) -> State:
        has = truth == 1
        shares = has / np.maximum(has.sum(axis=1, keepdims=True), 1)
        found, each = chances[has].astype(np.float64), shares[has]
        order = np.argsort(found, kind="stable")
        size = np.array([len(chances)]), np.array([chances.shape[1]])
        return {
            "chances": found[order],
            "lost": np.cumsum(each[order]),
            "decided": size[0],
            "labels": size[1],
        }

    def certificates(
        self, state: State, chances: Float[np.ndarray, "n l"], level: float
    ) -> Int[np.ndarray, "n l"]:
        if state["labels"][0] != chances.shape[1]:
            raise BadInputError(
                f"got chances of {chances.shape[1]} labels for sets of {state['labels'][0]}; "
                "fit again"
            )
        return np.where(chances < self.threshold(state, level), -1, 0).astype(np.int8)

    def p_values(
        self, state: State, chances: Float[np.ndarray, "n l"]
    ) -> tuple[Float[np.ndarray, "n l"], Float[np.ndarray, "n l"]]:
        """The promise is of an average, so no single label has a p; all NaN."""
        del state
        nothing = np.full(chances.shape, np.nan)
        return nothing, nothing.copy()

    def needed(self, level: float) -> int:
        return samples_needed(level)

    def threshold(self, state: State, level: float) -> float:
        """Chances below it are left out; 0 where too few samples are decided."""
        decided = int(state["decided"][0])
        may_lose = round((1 - level) * (decided + 1) - 1, 9)
        if may_lose < 0:
            return 0.0
        # A threshold equal to a chance keeps that label; the first that may not be lost ends it.
        kept = np.flatnonzero(np.round(state["lost"], 9) > may_lose)
        return float(state["chances"][kept[0]]) if len(kept) else float("inf")
