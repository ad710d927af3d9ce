"""The frozen transformer that lanes live in, what they read of a sample, and a lane itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float16


@dataclass(frozen=True)
class Linear:
    """A linear map as plain arrays: y = x @ weight.T + bias; weight (out, in), bias (out,)."""

    weight: Float[np.ndarray, "o i"]
    bias: Float[np.ndarray, " o"]


@dataclass(frozen=True)
class Norm:
    """A layer norm over the last axis; weight and bias (W,)."""

    weight: Float[np.ndarray, " w"]
    bias: Float[np.ndarray, " w"]
    epsilon: float = 1e-5


@dataclass(frozen=True)
class FrozenBlock:
    """One frozen transformer block, float32.

    Pre-norm: x + out(attention(norm1(x))), then x + down(act(up(norm2(x)))). Post-norm: norm1 and
    norm2 come after the sums. Gains on a branch (layer scale) are folded into `out` and `down`.
    """

    norm1: Norm
    query: Linear
    key: Linear
    value: Linear
    out: Linear
    norm2: Norm
    up: Linear
    down: Linear


@dataclass(frozen=True)
class FrozenStack:
    """The transformer that lanes live in; what a lane needs beside the tokens of a sample.

    Attributes:
        heads: attention heads; they divide the width W.
        start: (W,) what a lane's own CLS token is before the first block: the pretrained class
            token as the first block would get it, without a position.
        final_norm: norm after the last block; None where there is none (post-norm).
        activation: "gelu", "gelu_tanh", "quick_gelu" or "relu".
    """

    blocks: tuple[FrozenBlock, ...]
    heads: int
    start: Float[np.ndarray, " w"]
    final_norm: Norm | None
    is_post_norm: bool = False
    activation: str = "gelu"

    @property
    def width(self) -> int:
        """W."""
        return len(self.start)


@dataclass(frozen=True)
class LaneReading:
    """What lanes and their heads read of one sample; computed once, with the frozen stream.

    Attributes:
        tokens: (B, T, W) float16: what the attention of each of the B blocks gets, CLS included
            (post-norm: the block's input; pre-norm: norm1 of it).
        plain: (F,) float32, more numbers for a linear head that are not in the joint space, F may
            be 0 (a CNN trunk's mean cell, scaled to length 1).
    """

    tokens: Float16[np.ndarray, "b t w"]
    plain: Float[np.ndarray, " f"]


@dataclass(frozen=True)
class Lane:
    """The pathway of one label pack through a frozen encoder; it knows nothing of other lanes.

    Attributes:
        pack: name of the pack it was trained for.
        labels: ids of the labels it serves.
        lane_key: what it reads, see `LaneHost`.
        arrays: what the learner trained, float32.
        share: factor of its CLS for the heads; 0 where held-back verdicts saw no gain.
        digest: SHA-256 of the arrays.
        maker: fingerprint of the learner's lane settings.
    """

    pack: str
    labels: tuple[int, ...]
    lane_key: str
    arrays: Mapping[str, np.ndarray]
    share: float
    digest: str
    maker: str
