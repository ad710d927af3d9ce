"""Entropic optimal transport between parts and labels: one plan that keeps both marginals.

What transport is compared with. Every part must be shipped and every label must get its share, so
background is forced onto labels, absent labels take parts from present ones, and a score depends on
which other labels the project has: with one label it is the mean part. The plan takes tens of
rounds instead of one softmax. The maps are the plan's conditionals: forward = plan / theta,
backward = plan / beta; the score of a label is the cosine under its backward map.

The loop is `numerics/transport.py`'s own and POT's log-domain one is its reference in the tests:
POT takes 170 MB of disk and seconds to import, and solves one sample at a time.

Source: Cuturi, Sinkhorn Distances, NeurIPS 2013 (1306.0895).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from backend.fingerprints import fingerprint_of
from backend.methods.aligners._clouds import check, check_temperature, mask_of, part_weights
from backend.numerics import transport
from backend.types import Alignment


class SinkhornAligner:
    """Where each label's share of a jointly optimal plan comes from."""

    @dataclass(frozen=True)
    class Settings:
        """How far the plan may be from the cheapest one.

        Attributes:
            temperature: positive; the entropic regulariser, on the scale of cosines. Small: labels
                starve and rounds run out; large: everything is spread evenly.
        """

        temperature: float = 0.05

    def __init__(self, settings: Settings | None = None):
        self.settings = settings or self.Settings()
        check_temperature(self.settings.temperature)
        self.fingerprint = fingerprint_of("aligners/sinkhorn", self.settings)

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
        beta = transport.label_weights(len(parts), len(labels), weights)
        cosine = transport.similarity(parts, labels)
        temperature = self.settings.temperature
        potentials = transport.sinkhorn_potentials(cosine, theta, beta, temperature)
        forward, backward = transport.sinkhorn_navigators(cosine, potentials, temperature)
        forward *= mask_of(parts, real)[:, :, None]
        # With weights, labels of weight 0 are out of the plan, and so are the parts they would
        # take; the scores are those of all labels, whatever is asked to be drawn.
        if weights is None:
            scores = np.einsum("npl,npl->nl", backward, cosine)
        else:
            scores = transport.sinkhorn_scores(parts, labels, theta, temperature)
        return Alignment(scores=scores, forward=forward, backward=backward, similarity=cosine)

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
        return transport.sinkhorn_scores(parts, labels, theta, self.settings.temperature)
