"""A frozen transformer as lanes see it: its blocks as plain arrays, and the stream through them.

A lane runs its own class token through the frozen blocks, so the blocks must be what a lane takes
them for: plain attention and feed-forward, nothing else. What looks plain is run once beside the
encoder's own first and last block (`check`), so that a variant nobody thought of here (a norm on
queries, rotary positions, a mask) is refused in a sentence instead of learned from in silence.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from backend.methods._torch import ACTIVATIONS
from backend.types import FrozenBlock, FrozenStack, Linear, Norm

_BLOCK_TOLERANCE = 1e-3  # of the largest number; float32 differs by 1e-6, any variant by far more


class NotPlainError(Exception):
    """Why lanes cannot live in a transformer; the end of a sentence."""


@dataclass(frozen=True)
class Frozen:
    """A transformer that lanes can live in.

    Attributes:
        stack: its blocks; arrays share the memory of the network where they can.
        blocks: its own block modules, in order.
        attended: per block the module whose output (post-norm: whose input) its attention gets.
    """

    stack: FrozenStack
    blocks: tuple[nn.Module, ...]
    attended: tuple[nn.Module, ...]


def refusal(encoder_id: str, reason: object) -> str:
    """The sentence for an encoder that is no host."""
    return f"no lanes with {encoder_id}: {reason}; its labels learn by heads alone"


def no_layers(encoder_id: str, reason: object) -> str:
    """The sentence for an encoder whose earlier blocks cannot be asked where labels are."""
    return f"no layers with {encoder_id}: {reason}; its maps are of its parts alone"


class Watched(nn.Module):
    """A network that also gives what the attention of each block gets, (N, B, T, W) float16.

    The network itself stays as it is and may run elsewhere at the same time: what passes is noted
    for the thread that asked.
    """

    def __init__(self, network: nn.Module, frozen: Frozen):
        super().__init__()
        self.network = network
        self.attended = frozen.attended
        self._noted = threading.local()
        for module in frozen.attended:
            if frozen.stack.is_post_norm:
                module.register_forward_pre_hook(lambda m, inputs: self._note(m, inputs[0]))
            else:
                module.register_forward_hook(lambda m, _inputs, output: self._note(m, output))

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The network's outputs, and the tokens."""
        self._noted.tokens = tokens = {}
        try:
            outputs = self.network(*inputs)
        finally:
            self._noted.tokens = None
        return (*outputs, torch.stack([tokens[module] for module in self.attended], 1).half())

    def _note(self, module: nn.Module, tokens: Any) -> None:
        noted = getattr(self._noted, "tokens", None)
        if noted is not None:
            # The first time counts: a tower may use the last block's norm once more.
            noted.setdefault(module, tokens)


def check(frozen: Frozen, run: Callable[[], object], *, forbidden: Tensor | None = None) -> None:
    """Run the network by `run` and compare its first and last block with their arrays.

    `forbidden` (T, T) is added to the attention's logits: a causal tower's -inf above the diagonal.

    Raises:
        NotPlainError: a block does something else than its arrays.
    """
    passed: dict[nn.Module, tuple[Tensor, Tensor]] = {}

    def note(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        # The first time counts: a tower may ask its last block once more.
        passed.setdefault(module, (inputs[0], output[0] if isinstance(output, tuple) else output))

    ends = (frozen.blocks[0], frozen.blocks[-1])
    hooks = [block.register_forward_hook(note) for block in dict.fromkeys(ends)]
    try:
        with torch.inference_mode():
            run()
    finally:
        for hook in hooks:
            hook.remove()
    arrays = (frozen.stack.blocks[0], frozen.stack.blocks[-1])
    for block, (before, after) in zip(arrays[: len(hooks)], passed.values(), strict=True):
        found = run_block(frozen.stack, block, before.float().cpu(), forbidden=forbidden)
        after = after.float().cpu()
        if (found - after).abs().max() > _BLOCK_TOLERANCE * after.abs().max().clamp(min=1.0):
            raise NotPlainError("its blocks do more than plain attention and feed-forward")


def run_block(
    stack: FrozenStack, block: FrozenBlock, x: Tensor, *, forbidden: Tensor | None = None
) -> Tensor:
    """Tokens (N, T, W) through one block, from its arrays alone; nothing is padded."""
    attended = x if stack.is_post_norm else _normed(block.norm1, x)
    query, key, value = (
        _mapped(linear, attended).unflatten(-1, (stack.heads, -1)).transpose(1, 2)
        for linear in (block.query, block.key, block.value)
    )
    mixed = (
        functional.scaled_dot_product_attention(query, key, value, attn_mask=forbidden)
        .transpose(1, 2)
        .flatten(2)
    )
    x = x + _mapped(block.out, mixed)
    if stack.is_post_norm:
        x = _normed(block.norm1, x)
    inner = x if stack.is_post_norm else _normed(block.norm2, x)
    x = x + _mapped(block.down, ACTIVATIONS[stack.activation](_mapped(block.up, inner)))
    return _normed(block.norm2, x) if stack.is_post_norm else x


def _mapped(linear: Linear, x: Tensor) -> Tensor:
    return functional.linear(x, torch.from_numpy(linear.weight), torch.from_numpy(linear.bias))


def _normed(norm: Norm, x: Tensor) -> Tensor:
    weight, bias = torch.from_numpy(norm.weight), torch.from_numpy(norm.bias)
    return functional.layer_norm(x, (len(norm.weight),), weight, bias, norm.epsilon)


def array(tensor: Tensor) -> np.ndarray:
    """The numbers of a tensor as float32, without a copy where they are."""
    return tensor.detach().float().cpu().numpy()


def linear_of(layer: object, *, gain: object = None) -> Linear:
    """A linear layer; `gain` is a module with one factor per output (layer scale), or none.

    Raises:
        NotPlainError: it is another kind of layer, or a gain without factors stands behind it.
    """
    if not isinstance(layer, nn.Linear):
        raise NotPlainError(f"it has a {type(layer).__name__} where a linear map is expected")
    bias = layer.bias if layer.bias is not None else torch.zeros(layer.out_features)
    factor = getattr(gain, "gamma", None)
    if factor is None:
        if not (gain is None or isinstance(gain, nn.Identity)):
            raise NotPlainError(f"it has a {type(gain).__name__} behind a branch")
        return Linear(array(layer.weight), array(bias))
    return Linear(array(layer.weight * factor[:, None]), array(bias * factor))


def three_of(weight: Tensor, bias: Tensor | None) -> tuple[Linear, Linear, Linear]:
    """Query, key and value that are kept as one map, in this order."""
    bias = torch.zeros(len(weight)) if bias is None else bias
    query, key, value = (
        Linear(array(w), array(b)) for w, b in zip(weight.chunk(3), bias.chunk(3), strict=True)
    )
    return query, key, value


def norm_of(layer: object) -> Norm:
    """A layer norm over the last axis.

    Raises:
        NotPlainError: it is another kind of norm.
    """
    if not isinstance(layer, nn.LayerNorm) or layer.weight is None:
        raise NotPlainError(f"its norm is a {type(layer).__name__}, not a layer norm")
    bias = layer.bias if layer.bias is not None else torch.zeros_like(layer.weight)
    return Norm(array(layer.weight), array(bias), float(layer.eps))


def activation_of(module: Callable[[Tensor], Tensor]) -> str:
    """The name of an activation, found by its values.

    Raises:
        NotPlainError: it is none of those that lanes know.
    """
    x = torch.linspace(-6, 6, 241)
    with torch.inference_mode():
        values = module(x.clone())
    for name, known in ACTIVATIONS.items():
        if torch.allclose(values, known(x), atol=1e-6):
            return name
    raise NotPlainError(f"its activation is a {type(module).__name__}")
