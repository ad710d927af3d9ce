"""Samples and labels as numbers: what encoders and aligners give, and what heads read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int


@dataclass(frozen=True)
class Layout:
    """Where the parts of one sample are: a grid for images, character spans for texts."""

    grid: tuple[int, int] | None = None
    spans: tuple[tuple[int, int], ...] | None = None


@dataclass(frozen=True)
class Encoded:
    """What an encoder says of N samples.

    Attributes:
        pooled: (N, D), unit rows, in the joint space of samples and labels.
        parts: per sample (P, D), unit rows; images of one encoder share P, texts do not.
        layouts: per sample, where its parts are.
    """

    pooled: Float[np.ndarray, "n d"]
    parts: tuple[Float[np.ndarray, "_ d"], ...]
    layouts: tuple[Layout, ...]


@dataclass(frozen=True)
class ScoreScale:
    """Constants, stored with an encoder, that bring its global and part scores to one scale.

    A score on the scale is (cosine - mean) / std; never statistics of the open project, so that
    a batch equals its items one at a time. The shipped score is the mean of both; a deviation
    above or below that of the scores makes one of them count less or more.

    Attributes:
        temperature: of the transport between parts and labels; positive.
    """

    global_mean: float = 0.0
    global_std: float = 1.0
    local_mean: float = 0.0
    local_std: float = 1.0
    temperature: float = 0.05


@dataclass(frozen=True)
class Alignment:
    """How well the parts of N samples fit L labels.

    Attributes:
        scores: (N, L), higher is better.
        forward: (N, P, L), rows sum to 1 over labels: what is this part? Rows of padding are 0.
        backward: (N, P, L), columns sum to 1 over parts: where is this label?
        similarity: (N, P, L), cosine of part and label.
    """

    scores: Float[np.ndarray, "n l"]
    forward: Float[np.ndarray, "n p l"]
    backward: Float[np.ndarray, "n p l"]
    similarity: Float[np.ndarray, "n p l"]

    @property
    def plan(self) -> Float[np.ndarray, "n p l"]:
        """Half the forward plus half the backward plan; sums to 1 per sample.

        Labels are weighted uniformly, and so are the real parts of a sample.
        """
        mass = np.maximum(self.forward.sum(axis=(1, 2), keepdims=True), 1e-12)
        return 0.5 * self.forward / mass + 0.5 * self.backward / self.backward.shape[2]


@dataclass(frozen=True)
class Features:
    """What a learner sees of N samples and L labels; scores are on the encoder's fixed scale.

    Attributes:
        pooled: (N, D) unit rows.
        global_scores: (N, L) zero-shot score of the whole sample.
        local_scores: (N, L) zero-shot transport score of its parts.
        plain: (N, F) more numbers for heads, F may be 0; rows of zeros where they are missing.
        lane_cls: per lane (N, W), its CLS times the lane's share; zeros where missing.
        lane_of: (L,) index into `lane_cls` of the lane that serves a label, or -1.
    """

    pooled: Float[np.ndarray, "n d"]
    global_scores: Float[np.ndarray, "n l"]
    local_scores: Float[np.ndarray, "n l"]
    plain: Float[np.ndarray, "n f"] | None = None
    lane_cls: tuple[Float[np.ndarray, "n w"], ...] = ()
    lane_of: Int[np.ndarray, " l"] | None = None
