"""Cosine of the mean part: the plain aligner that others are measured against.

The score of a label is the cosine of the label and the (saliency-weighted) mean of the parts; its
map is the cosine of each part, which knows nothing of saliency. Both navigators are softmaxes
of that cosine, because the shelf promises shares; the order of parts in a map is the cosine's.

Source: mean pooling and class activation by similarity, common practice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from backend.fingerprints import fingerprint_of
from backend.methods.aligners._clouds import check, check_temperature, drawn, part_weights
from backend.types import Alignment


class CosineAligner:
    """How near is each label to the mean part, and to each part."""

    @dataclass(frozen=True)
    class Settings:
        """How sharp the maps are drawn; scores do not depend on it.

        Attributes:
            temperature: positive; of the softmax that turns cosines into shares.
        """

        temperature: float = 0.1

    def __init__(self, settings: Settings | None = None):
        self.settings = settings or self.Settings()
        check_temperature(self.settings.temperature)
        self.fingerprint = fingerprint_of("aligners/cosine", self.settings)

    def align(
        self,
        parts: Float[np.ndarray, "n p d"],
        labels: Float[np.ndarray, "l _"],  # its own width: the refusal below says both
        *,
        real: Bool[np.ndarray, "n p"] | None = None,
        weights: Float[np.ndarray, " l"] | None = None,
        saliency: Float[np.ndarray, "n p"] | None = None,
    ) -> Alignment:
        return drawn(
            parts,
            labels,
            scores=self.score(parts, labels, real=real, saliency=saliency),
            real=real,
            weights=weights,
            theta=part_weights(parts, real, None),
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
        mean = np.matmul(theta[:, None, :], parts, dtype=np.float32)[:, 0]
        length = np.linalg.norm(mean, axis=1, keepdims=True)
        return (mean / np.maximum(length, 1e-12)) @ labels.T.astype(np.float32, copy=False)
