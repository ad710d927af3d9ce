"""Layer-wise conditional transport: what several blocks of an encoder say of each part, averaged.

The layers lie side by side in the width of the parts, (N, P, K D) beside labels (L, D), the last of
them the parts themselves; navigators, scores and likeness are the means over the layers. With one
layer this is `transport`, number by number. Formulas in `backend/numerics/transport.py`.

Earlier blocks see a part more for itself, later ones more of what is around it. So the mean is
better where a picture shows separate things side by side, and worse on photographs of scenes, where
a part is known by what is around it (`patchlane bench evidence --part layers`). It costs K times as
much, and the blocks of a sample are read when its map is asked for: what a project keeps, and its
scores rest on, are the last parts.

Source: Li et al., PatchCT: Aligning Patch Set and Label Set with Conditional Transport for
Multi-Label Image Classification, ICCV 2023 (2307.09066), which averages the cost over the layers;
the mean of the plans and of the pooled scores is ours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from backend.errors import BadInputError
from backend.fingerprints import fingerprint_of
from backend.methods.aligners._clouds import check, check_temperature, mask_of, part_weights
from backend.numerics import transport
from backend.types import Alignment


class LayeredTransportAligner:
    """Where is each label, what is each part, and how well do they fit, over several layers."""

    @dataclass(frozen=True)
    class Settings:
        """Set once per encoder, from its `ScoreScale`.

        Attributes:
            temperature: positive; small: a label is its best part, large: all parts alike.
            last: how many of the last layers count, 0 for all.
        """

        temperature: float = 0.05
        last: int = 0

    reads_layers = True

    def __init__(self, settings: Settings | None = None):
        self.settings = settings or self.Settings()
        check_temperature(self.settings.temperature)
        if self.settings.last < 0:
            raise BadInputError(f"last is {self.settings.last}; give a number of layers, 0 for all")
        self.fingerprint = fingerprint_of("aligners/layered_transport", self.settings)

    def align(
        self,
        parts: Float[np.ndarray, "n p w"],
        labels: Float[np.ndarray, "l _"],
        *,
        real: Bool[np.ndarray, "n p"] | None = None,
        weights: Float[np.ndarray, " l"] | None = None,
        saliency: Float[np.ndarray, "n p"] | None = None,
    ) -> Alignment:
        check(parts, labels, weights=weights, saliency=saliency, is_layered=True)
        mask = mask_of(parts, real)
        theta = transport.part_weights(mask, saliency)
        beta = transport.label_weights(len(parts), len(labels), weights)
        layers = self._counted(parts, labels)
        found = transport.layered_plans(layers, labels, theta, beta, self.settings.temperature)
        return Alignment(
            scores=found.scores,
            forward=found.forward * mask[:, :, None],
            backward=found.backward,
            similarity=found.cosine,
        )

    def score(
        self,
        parts: Float[np.ndarray, "n p w"],
        labels: Float[np.ndarray, "l _"],
        *,
        real: Bool[np.ndarray, "n p"] | None = None,
        saliency: Float[np.ndarray, "n p"] | None = None,
    ) -> Float[np.ndarray, "n l"]:
        check(parts, labels, saliency=saliency, is_layered=True)
        theta = part_weights(parts, real, saliency)
        layers = self._counted(parts, labels)
        return transport.layered_scores(layers, labels, theta, self.settings.temperature)

    def _counted(
        self, parts: Float[np.ndarray, "n p w"], labels: Float[np.ndarray, "l _"]
    ) -> list[Float[np.ndarray, "n p d"]]:
        return transport.layers_of(parts, labels.shape[1])[-self.settings.last :]
