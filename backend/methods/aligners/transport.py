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

from backend.errors import BadInputError
from backend.fingerprints import fingerprint_of
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
        if not self.settings.temperature > 0:
            raise BadInputError(f"temperature is {self.settings.temperature}; give one above 0")
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
        _check(parts, labels, weights, saliency)
        mask = np.ones(parts.shape[:2], bool) if real is None else real
        theta = transport.part_weights(mask, saliency)
        beta = transport.label_weights(len(parts), len(labels), weights)
        cosine = transport.similarity(parts, labels)
        backward = transport.backward_navigator(cosine, theta, self.settings.temperature)
        forward = transport.forward_navigator(cosine, beta, self.settings.temperature)
        return Alignment(
            scores=(backward * cosine).sum(axis=1),
            forward=forward * mask[:, :, None],
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
        _check(parts, labels, None, saliency)
        mask = np.ones(parts.shape[:2], bool) if real is None else real
        theta = transport.part_weights(mask, saliency)
        return transport.pooled_scores(parts, labels, theta, self.settings.temperature)


def _check(
    parts: np.ndarray, labels: np.ndarray, weights: np.ndarray | None, saliency: np.ndarray | None
) -> None:
    if parts.shape[2] != labels.shape[1]:
        raise BadInputError(
            f"parts are {parts.shape[2]} wide and labels {labels.shape[1]}; "
            "encode both with the same encoder"
        )
    for name, values in (("weights", weights), ("saliency", saliency)):
        if values is not None and not (values >= 0).all():
            raise BadInputError(f"{name} has {np.min(values)}; give numbers of 0 or above")
