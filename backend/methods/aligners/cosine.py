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

from backend.errors import BadInputError
from backend.fingerprints import fingerprint_of
from backend.numerics import transport
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
        if not self.settings.temperature > 0:
            raise BadInputError(f"temperature is {self.settings.temperature}; give one above 0")
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
        scores = self.score(parts, labels, real=real, saliency=saliency)
        mask = np.ones(parts.shape[:2], bool) if real is None else real
        beta = transport.label_weights(len(parts), len(labels), weights)
        cosine = transport.similarity(parts, labels)
        forward = transport.forward_navigator(cosine, beta, self.settings.temperature)
        return Alignment(
            scores=scores,
            forward=forward * mask[:, :, None],
            backward=transport.backward_navigator(
                cosine, transport.part_weights(mask), self.settings.temperature
            ),
            similarity=cosine,
        )

    def score(
        self,
        parts: Float[np.ndarray, "n p d"],
        labels: Float[np.ndarray, "l _"],
        *,
        real: Bool[np.ndarray, "n p"] | None = None,
        saliency: Float[np.ndarray, "n p"] | None = None,
    ) -> Float[np.ndarray, "n l"]:
        if parts.shape[2] != labels.shape[1]:
            raise BadInputError(
                f"parts are {parts.shape[2]} wide and labels {labels.shape[1]}; "
                "encode both with the same encoder"
            )
        mask = np.ones(parts.shape[:2], bool) if real is None else real
        theta = transport.part_weights(mask, saliency)
        mean = np.matmul(theta[:, None, :], parts, dtype=np.float32)[:, 0]
        length = np.linalg.norm(mean, axis=1, keepdims=True)
        return (mean / np.maximum(length, 1e-12)) @ labels.T.astype(np.float32, copy=False)
