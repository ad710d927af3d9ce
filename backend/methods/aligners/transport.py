"""Conditional transport between parts and labels: score and map from the same numbers.

The score of a label is the cosine of its parts, weighted by the label's own map (its backward
navigator), so the explanation is faithful by construction: taking away the parts that carry the
map lowers the score. Formulas in `backend/numerics/transport.py`.

Source: Li et al., PatchCT: Aligning Patch Set and Label Set with Conditional Transport for
Multi-Label Image Classification, ICCV 2023 (2307.09066); the pooled score is our option beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from backend.fingerprints import fingerprint_of
from backend.methods.aligners._clouds import (
    check,
    check_temperature,
    mask_of,
    part_weights,
)
from backend.numerics import transport
from backend.types import Alignment


class TransportAligner:
    """Where is each label, what is each part, and how well do they fit.

    A label of weight 0 is not offered to the parts (its forward column is 0); its backward map is
    still told, since no other label has a say in it.
    """

    @dataclass(frozen=True)
    class Settings:
        """Set once per encoder, from its `ScoreScale`.

        Attributes:
            temperature: positive; small: a label is its best part, large: all parts alike.
        """

        temperature: float = 0.05

    def __init__(self, settings: Settings | None = None):
        self.settings = settings or self.Settings()
        check_temperature(self.settings.temperature)
        self.fingerprint = fingerprint_of("aligners/transport", self.settings)

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
        mask = mask_of(parts, real)
        theta = transport.part_weights(mask, saliency)
        beta = transport.label_weights(len(parts), len(labels), weights)
        cosine = transport.similarity(parts, labels)
        settings = self.settings
        backward = transport.backward_navigator(cosine, theta, settings.temperature)
        forward = transport.forward_navigator(cosine, beta, settings.temperature)
        forward *= mask[:, :, None]
        return Alignment(
            scores=np.einsum("npl,npl->nl", backward, cosine),
            forward=forward,
            backward=backward,
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
        check(parts, labels, saliency=saliency)
        theta = part_weights(parts, real, saliency)
        return transport.pooled_scores(parts, labels, theta, self.settings.temperature)
