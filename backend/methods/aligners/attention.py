"""Cross-attention: each label asks the parts, and is compared with what it gets.

The map is the attention itself and the same as transport's; the score differs: it is the cosine of
the label and the attended vector, whose length is divided out. It assumes that what the label looks
at adds up to one thing. Where nothing fits it looks everywhere, and the mean of everything may be
nearer to the label than any part is, so absent labels score too high. One head and no learned
maps: slices of a joint space mean nothing on their own.

Source: Vaswani et al., Attention is all you need, NeurIPS 2017 (1706.03762).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from backend.fingerprints import fingerprint_of
from backend.methods.aligners._clouds import check, check_temperature, drawn, part_weights
from backend.numerics import pooling
from backend.types import Alignment


class AttentionAligner:
    """How near is each label to what it attends to."""

    @dataclass(frozen=True)
    class Settings:
        """How sharply labels look.

        Attributes:
            temperature: positive; what the dot products are divided by before the softmax.
        """

        temperature: float = 0.05

    def __init__(self, settings: Settings | None = None):
        self.settings = settings or self.Settings()
        check_temperature(self.settings.temperature)
        self.fingerprint = fingerprint_of("aligners/attention", self.settings)

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
            scores=pooling.attended_scores(parts, labels, theta, self.settings.temperature),
            real=real,
            weights=weights,
            theta=theta,
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
        return pooling.attended_scores(parts, labels, theta, self.settings.temperature)
