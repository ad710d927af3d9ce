"""Lanes in a frozen transformer, by the shortcut that makes them cheap.

Source of the algorithm: De Min, Mancini, Lathuilière, Roy, Ricci, "Less is more: Summarizing Patch
Tokens for efficient Multi-Label Class-Incremental Learning" (MULTI-LANE), CoLLAs 2024.

A lane sends its own CLS token and S selectors through the frozen blocks. In each block the
selectors, as queries, sum the tokens of the frozen stream up (softmax over tokens), the CLS
attends to itself, to these S summaries and to K learned prefixes, and the summaries are then
dropped and the selectors put back in their place. So

* the selectors of every block follow from those of the first alone, never from a sample;
* a summary follows from the selectors and the frozen tokens, which are computed once per sample;
* only the lane's CLS has to pass through attention and feed-forward.

Two sums are done in another order than the literal algorithm has them. With q the query of the CLS
and z what it attends to, itself and the summaries, q . (K z + b) = (K' q) . z + q . b, and the
values of all z are mixed before they are projected: so neither keys nor values of tokens,
summaries or the CLS itself are ever formed, and the frozen tokens are all that has to be kept of a
sample. `tests` hold the literal algorithm.

Letters: T lanes, N samples, B blocks, P tokens, S selectors, K prefixes, W width, H heads.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from backend.errors import BadInputError
from backend.methods._torch import ACTIVATIONS, choose_device
from backend.types import FrozenStack, Linear, Norm


@dataclass
class LaneWeights:
    """What T lanes learn inside the stack.

    Attributes:
        selectors: (T, S, W), before the first block.
        prefixes: (T, B', 2, K, W) keys and values of the first B' blocks.
    """

    selectors: Tensor
    prefixes: Tensor

    def tensors(self) -> list[Tensor]:
        """What an optimiser moves."""
        return [self.selectors, self.prefixes]


@dataclass(frozen=True)
class LaneOutput:
    """What lanes say of samples.

    Attributes:
        cls: (T, N, W), length 1.
        attention: (T, N, B, H, S) weight that the CLS gives to each summary; B is 0 unless asked.
        selection: (T, N, B, S, P) what each summary is made of; B is 0 unless asked.
    """

    cls: Tensor
    attention: Tensor
    selection: Tensor


class LaneNetwork:
    """The frozen blocks, made ready for lanes on one device."""

    def __init__(
        self, stack: FrozenStack, *, device: str = "cpu", dtype: torch.dtype | None = None
    ):
        self.device, self.dtype = torch.device(choose_device(device)), dtype or torch.float32
        self.heads, self.is_post_norm = stack.heads, stack.is_post_norm
        self.width, self.num_blocks = stack.width, len(stack.blocks)
        if stack.width % stack.heads:
            raise BadInputError(f"{stack.heads} heads do not divide a width of {stack.width}")
        if stack.activation not in ACTIVATIONS:
            raise BadInputError(f"lanes do not know the activation {stack.activation!r}")
        self._act = ACTIVATIONS[stack.activation]
        self.known_chain: tuple[bytes, Sequence[Tensor]] | None = None
        """What `chain` gave for the lanes read last, under a name that the reader chose."""
        self._start = self._tensor(stack.start)
        self._final = None if stack.final_norm is None else self._norm(stack.final_norm)
        self._blocks = [
            _Block(
                norm1=self._norm(block.norm1),
                norm2=self._norm(block.norm2),
                **{
                    name: self._linear(getattr(block, name))
                    for name in ("query", "key", "value", "out", "up", "down")
                },
            )
            for block in stack.blocks
        ]

    def __call__(
        self,
        lanes: LaneWeights,
        tokens: Tensor,
        real: Tensor | None = None,
        *,
        asked: Sequence[Tensor] | None = None,
        with_maps: bool = False,
    ) -> LaneOutput:
        """Send the CLS of every lane through the blocks.

        Args:
            lanes: T lanes of one shape.
            tokens: (N, B, P, W), what each block's attention gets of the frozen stream.
            real: (N, P), False for padding.
            asked: what `chain` gave for these lanes, where many batches are sent through.
            with_maps: keep the attention and the selection.
        """
        asked = self.chain(lanes) if asked is None else asked
        # Samples before lanes: so every summary lies in memory as it is computed.
        cls = self._start.expand(len(tokens), len(lanes.selectors), -1)
        attention, selection = [], []
        for number, block in enumerate(self._blocks):
            chosen, summary = _summaries(asked[number], tokens[:, number], real)
            prefixes = None
            if number < lanes.prefixes.shape[1]:
                prefixes = lanes.prefixes[:, number]
            own = cls if self.is_post_norm else block.norm1(cls)
            answer, weights = self._attend(block, own, summary, prefixes)
            cls = self._onward(block, cls, answer)
            if with_maps:
                attention.append(weights)
                selection.append(chosen)
        if self._final is not None:
            cls = self._final(cls)
        return LaneOutput(
            functional.normalize(cls, dim=-1).transpose(0, 1),
            torch.stack(attention, 2).transpose(0, 1) if with_maps else cls.new_zeros(0),
            torch.stack(selection, 2).transpose(0, 1) if with_maps else cls.new_zeros(0),
        )

    def chain(self, lanes: LaneWeights) -> list[Tensor]:
        """What the selectors of T lanes ask in each block, B times (T, S, W); of no sample."""
        asked, selectors = [], lanes.selectors
        for number, block in enumerate(self._blocks):
            asked.append(selectors if self.is_post_norm else block.norm1(selectors))
            if number + 1 < self.num_blocks:
                selectors = self._onward(block, selectors, asked[-1])
        return asked

    def _onward(self, block: _Block, x: Tensor, more: Tensor) -> Tensor:
        """The residual sums around attention and feed-forward."""
        if self.is_post_norm:
            x = block.norm1(x + more)
            return block.norm2(x + self._feed_forward(block, x))
        x = x + more
        return x + self._feed_forward(block, block.norm2(x))

    def _feed_forward(self, block: _Block, x: Tensor) -> Tensor:
        return block.down(self._act(block.up(x)))

    def _attend(
        self, block: _Block, own: Tensor, summary: Tensor, prefixes: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Attention of the CLS (N, T, W) to prefixes, itself and summaries (N, T, S, W)."""
        query = self._split(block.query(own)) / math.sqrt(self.width // self.heads)
        key, value = block.key.by_head(self.heads), block.value.by_head(self.heads)
        seen = torch.cat([own[:, :, None], summary], 2)
        # (N, T, H, W): the query in the space of the tokens.
        sought = torch.einsum("nthd,hdw->nthw", query, key.weight)
        logits = sought @ seen.transpose(2, 3)
        logits = logits + torch.einsum("nthd,hd->nth", query, key.bias)[..., None]
        num_seen = seen.shape[2]
        if prefixes is not None:
            on_prefix = torch.einsum("nthd,tkhd->nthk", query, self._split(prefixes[:, 0]))
            logits = torch.cat([logits, on_prefix], -1)
        weights = logits.softmax(-1)
        to_seen = weights[..., :num_seen]
        answer = torch.einsum("nthw,hdw->nthd", to_seen @ seen, value.weight)
        answer = answer + to_seen.sum(-1, keepdim=True) * value.bias
        if prefixes is not None:
            answer = answer + torch.einsum(
                "nthk,tkhd->nthd", weights[..., num_seen:], self._split(prefixes[:, 1])
            )
        return block.out(answer.flatten(-2)), to_seen[..., 1:]

    def _split(self, x: Tensor) -> Tensor:
        """(..., W) to (..., H, W / H)."""
        return x.unflatten(-1, (self.heads, -1))

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device, self.dtype)

    def _linear(self, linear: Linear) -> _Linear:
        return _Linear(self._tensor(linear.weight), self._tensor(linear.bias))

    def _norm(self, norm: Norm) -> _Norm:
        return _Norm(self._tensor(norm.weight), self._tensor(norm.bias), norm.epsilon)


def _summaries(asked: Tensor, tokens: Tensor, real: Tensor | None) -> tuple[Tensor, Tensor]:
    """Selection (N, T, S, P) and summaries (N, T, S, W) of tokens (N, P, W).

    One head, no projection, scaled by the full width.
    """
    num_lanes, num_selectors, width = asked.shape
    flat = asked.reshape(-1, width)
    scores = torch.matmul(flat / math.sqrt(width), tokens.transpose(1, 2))  # (N, T S, P)
    if real is not None:
        scores = scores.masked_fill(~real[:, None, :], -torch.inf)
    chosen = scores.softmax(-1)
    summary = torch.matmul(chosen, tokens)
    shape = (num_lanes, num_selectors)
    return chosen.unflatten(1, shape), summary.unflatten(1, shape)


@dataclass(frozen=True)
class _Linear:
    weight: Tensor
    bias: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.weight, self.bias)

    def by_head(self, heads: int) -> _Linear:
        """Weight (H, W / H, W) and bias (H, W / H)."""
        return _Linear(self.weight.unflatten(0, (heads, -1)), self.bias.unflatten(0, (heads, -1)))


@dataclass(frozen=True)
class _Norm:
    weight: Tensor
    bias: Tensor
    epsilon: float

    def __call__(self, x: Tensor) -> Tensor:
        return functional.layer_norm(x, x.shape[-1:], self.weight, self.bias, self.epsilon)


@dataclass(frozen=True)
class _Block:
    norm1: _Norm
    query: _Linear
    key: _Linear
    value: _Linear
    out: _Linear
    norm2: _Norm
    up: _Linear
    down: _Linear
