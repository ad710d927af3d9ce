"""Platt scaling per label, each drawn towards the labels' common curve.

    probability = logistic(slope score + offset), slope > 0

One curve is fitted to the held-back verdicts of all labels together; then each label's own curve
with a Gaussian prior around the common one, so that ten verdicts say a little and a thousand say
nearly everything. A slope below a small positive bound is held there: order within a label is
never reversed. A label with fewer than `min_verdicts` held-back verdicts, or with only YES or only
NO among them, gets NaN: not enough verdicts yet.

Source: Platt, Probabilistic Outputs for Support Vector Machines, 1999, with its softened targets.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from backend.contracts import State
from backend.errors import BadInputError
from backend.fingerprints import fingerprint_of
from backend.numerics import calibration
from backend.numerics.logistic import logistic
from backend.types import Lessons


class PlattCalibrator:
    """State: `curves` (L, 2), slope and offset of each label, NaN where there is none yet."""

    @dataclass(frozen=True)
    class Settings:
        """How many verdicts make a curve, and how much labels lend each other.

        Attributes:
            min_verdicts: held-back verdicts a label needs before it says a probability.
            shrinkage: held-back verdicts that the common curve is worth; 0: each label alone.
        """

        min_verdicts: int = 8
        shrinkage: float = 10.0

    def __init__(self, settings: Settings | None = None):
        self.settings = settings or self.Settings()
        self.fingerprint = fingerprint_of("calibrators/platt", self.settings)

    def fit(self, scores: Float[np.ndarray, "n l"], lessons: Lessons) -> State:
        curves = np.full((scores.shape[1], 2), np.nan)
        if not len(lessons.rows):
            return {"curves": curves}
        held = scores[lessons.rows, lessons.columns].astype(float)
        targets = lessons.targets.astype(float)
        if not 0 < targets.sum() < len(targets):
            return {"curves": curves}
        common = calibration.fit_sigmoid(held, targets)
        for label in np.unique(lessons.columns).tolist():
            mine = lessons.columns == label
            truth = targets[mine]
            if len(truth) >= self.settings.min_verdicts and 0 < truth.sum() < len(truth):
                curves[label] = calibration.fit_sigmoid(
                    held[mine], truth, prior=common, strength=self.settings.shrinkage
                )
        return {"curves": curves}

    def probabilities(
        self, state: State, scores: Float[np.ndarray, "n l"]
    ) -> Float[np.ndarray, "n l"]:
        curves = state["curves"]
        if len(curves) != scores.shape[1]:
            raise BadInputError(
                f"got scores of {scores.shape[1]} labels for curves of {len(curves)}; fit again"
            )
        logits = scores * curves[:, 0] + curves[:, 1]
        return logistic(logits).astype(np.float32)
