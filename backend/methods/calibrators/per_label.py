"""Each label for itself, and each answer for itself: sets of YES and NO with a guarantee.

    p(YES) = (number of decided YES whose chance is at most this one's, plus 1) / (their number + 1)

and in the same way for NO. An answer is left out where its p is at most 1 - level. So of the
samples that have a label, at most 1 - level lose it, however rare the label is: a rare one is not
paid for by common ones. A label that was seen too seldom is never left out. It says nothing of
several labels together. UNSURE answers are passed over.

Source: Vovk, Lindsay, Nouretdinov and Gammerman, Mondrian confidence machine, 2003; label
conditional, as in `crepes`, which the tests compare with.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from backend.contracts import State
from backend.errors import BadInputError
from backend.fingerprints import fingerprint_of
from backend.numerics.label_sets import samples_needed


class PerLabelCalibrator:
    """State: `yes` and `no` (n, L), chances of decided samples, ascending, NaN at the end."""

    @dataclass(frozen=True)
    class Settings:
        """There is nothing to set."""

    promise = "of the samples that have a label, and of those that do not, so many are right"

    def __init__(self, settings: Settings | None = None):
        self.settings = settings or self.Settings()
        self.fingerprint = fingerprint_of("calibrators/per_label", self.settings)

    def fit(self, chances: Float[np.ndarray, "n l"], truth: Int[np.ndarray, "n l"]) -> State:
        yes, no = (np.sort(np.where(truth == kind, chances, np.nan), axis=0) for kind in (1, 0))
        return {"yes": yes, "no": no}

    def certificates(
        self, state: State, chances: Float[np.ndarray, "n l"], level: float
    ) -> Int[np.ndarray, "n l"]:
        present, absent = self.p_values(state, chances)
        out = round(1 - level, 9)
        is_yes, is_no = present > out, absent > out
        return (is_yes.astype(np.int8) - is_no.astype(np.int8)).astype(np.int8)

    def p_values(
        self, state: State, chances: Float[np.ndarray, "n l"]
    ) -> tuple[Float[np.ndarray, "n l"], Float[np.ndarray, "n l"]]:
        yes, no = state["yes"], state["no"]
        if yes.shape[1] != chances.shape[1]:
            raise BadInputError(
                f"got chances of {chances.shape[1]} labels for sets of {yes.shape[1]}; fit again"
            )
        present, absent = np.ones(chances.shape), np.ones(chances.shape)
        for column in range(chances.shape[1]):
            own = chances[:, column]
            has = yes[np.isfinite(yes[:, column]), column]
            lacks = no[np.isfinite(no[:, column]), column]
            below = np.searchsorted(has, own, side="right")
            above = len(lacks) - np.searchsorted(lacks, own, side="left")
            present[:, column] = (below + 1) / (len(has) + 1)
            absent[:, column] = (above + 1) / (len(lacks) + 1)
        return present, absent

    def needed(self, level: float) -> int:
        return samples_needed(level)
