"""Sets of label sets that hold the true one, whole, with the chance that was asked for.

All certain labels of a sample hold together: the chance that any of them is wrong is at most
1 - level, over samples like the decided ones. Everything follows from the distances of the decided
samples' own sets; see `numerics/label_sets.py` for the formulas and for how sets are found.

A decided sample with an UNSURE counts with its dearer answer, which only makes the sets larger.

Source: Maltoudoglou et al. 2022 (2312.09304), LP-ICP. Its distance is Euclidean; ours is by default
made of the fourth powers of each label's log loss. A single confident miss, which every scorer
makes now and then, costs 1 at most in the Euclidean distance, as much as any flip does, so that
its radius leaves hardly anything certain (`patchlane reproduce lp-icp` shows both).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from backend.contracts import State
from backend.errors import BadInputError
from backend.fingerprints import fingerprint_of
from backend.numerics import label_sets

MOST_POWER = 8
"""Costs stay whole numbers below 2^36."""


class PowersetCalibrator:
    """State: `distances` (n,) of the decided samples' sets, ascending; `labels` (1,), how many."""

    @dataclass(frozen=True)
    class Settings:
        """What "far off" means for a label set.

        Attributes:
            measure: "likelihood" or "euclidean".
            power: of each label's loss in the likelihood, 1 to 8. Of 1, 2, 4 and 8 on the five sets
                of `patchlane bench doubt`, 1 made least certain; from 4 to 8 is little.
        """

        measure: str = label_sets.LIKELIHOOD
        power: int = label_sets.POWER

    promise = "all certain labels of a sample are right together"

    def __init__(self, settings: Settings | None = None):
        self.settings = settings or self.Settings()
        if self.settings.measure not in label_sets.MEASURES:
            raise BadInputError(
                f"measure is one of {', '.join(label_sets.MEASURES)}, not {self.settings.measure!r}"
            )
        if not 1 <= self.settings.power <= MOST_POWER:
            raise BadInputError(
                f"power is a whole number from 1 to {MOST_POWER}, not {self.settings.power}"
            )
        self.fingerprint = fingerprint_of("calibrators/powerset", self.settings)

    def fit(self, chances: Float[np.ndarray, "n l"], truth: Int[np.ndarray, "n l"]) -> State:
        found = label_sets.flips(chances, self.settings.measure, self.settings.power)
        dearer = np.where(truth < 0, ~found.likely, truth > 0)
        distances = np.sort(found.distances(dearer))
        return {"distances": distances, "labels": np.array([chances.shape[1]])}

    def certificates(
        self, state: State, chances: Float[np.ndarray, "n l"], level: float
    ) -> Int[np.ndarray, "n l"]:
        return label_sets.certificates(self.flips(state, chances), self.radius(state, level))

    def p_values(
        self, state: State, chances: Float[np.ndarray, "n l"]
    ) -> tuple[Float[np.ndarray, "n l"], Float[np.ndarray, "n l"]]:
        return label_sets.label_p_values(state["distances"], self.flips(state, chances))

    def needed(self, level: float) -> int:
        return label_sets.samples_needed(level)

    def flips(self, state: State, chances: Float[np.ndarray, "n l"]) -> label_sets.Flips:
        """Distances of all label sets of some samples.

        Raises:
            BadInputError: the chances are of another number of labels than was fitted.
        """
        if state["labels"][0] != chances.shape[1]:
            raise BadInputError(
                f"got chances of {chances.shape[1]} labels for sets of {state['labels'][0]}; "
                "fit again"
            )
        return label_sets.flips(chances, self.settings.measure, self.settings.power)

    def radius(self, state: State, level: float) -> int:
        """The largest distance of a set at a level."""
        return label_sets.radius(state["distances"], level)
