"""The best part speaks for the label: MaxSim, late interaction with one vector per label.

Right for small things, of which one cell is enough; wrong where one odd cell, an artefact of the
encoder or a look-alike in the background, outvotes all others. Parts of saliency 0 have no vote.
The maps are the softmaxes of the same cosine, for the score itself reads a single part.

Source: Khattab and Zaharia, ColBERT, SIGIR 2020 (2004.12832).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from backend.fingerprints import fingerprint_of
from backend.methods.aligners._clouds import check, check_temperature, drawn, part_weights
from backend.numerics import pooling
from backend.types import Alignment


class MaxsimAligner:
    """How near is each label to its best part."""

    @dataclass(frozen=True)
    class Settings:
        """How sharp the maps are drawn; scores do not depend on it.

        Attributes:
            temperature: positive; of the softmax that turns cosines into shares.
        """

        temperature: float = 0.05

    def __init__(self, settings: Settings | None = None):
        self.settings = settings or self.Settings()
        check_temperature(self.settings.temperature)
        self.fingerprint = fingerprint_of("aligners/maxsim", self.settings)

    def align(
        self,
        parts: Float[np.ndarray, "n p d"],
        labels: Float[np.ndarray, "l _"],  # its own width: the refusal below says both
        *,
        real: Bool[np.ndarray, "n p"] | None = None,
        weights: Float[np.ndarray, " l"] | None = None,
        saliency: Float[np.ndarray, "n p"] | None = None,
    ) -> Alignment:
        check(parts, labels, weights=weights, saliency=saliency)
        theta = part_weights(parts, real, saliency)
        return drawn(
            parts,
            labels,
            scores=pooling.best_part_scores(parts, labels, theta),
            real=real,
            weights=weights,
            theta=part_weights(parts, theta > 0, None),
            temperature=self.settings.temperature,
        )

    def score(
        self,
        parts: Float[np.ndarray, "n p d"],
        labels: Float[np.ndarray, "l _"],
        *,
        real: Bool[np.ndarray, "n p"] | None = None,
        saliency: Float[np.ndarray, "n p"] | None = None,
    ) -> Float[np.ndarray, "n l"]:
        check(parts, labels, saliency=saliency)
        theta = part_weights(parts, real, saliency)
        return pooling.best_part_scores(parts, labels, theta)
