"""What the last block of a vision transformer says of each of its tokens, asked in three ways.

A tower is trained to make one vector of a picture, so what its last block makes of the other tokens
was never held to the names of things. The ways, none of which needs a copy of a block's code:

- "tokens": what the block makes of them.
- "values": its attention branch with every token attending to itself alone, without the skip
  connection: a softmax over one key is 1, so this is the value, projected (Zhou et al., MaskCLIP,
  ECCV 2022, 2112.01071).
- "self": the whole block, where attention weights come from queries with queries plus keys with
  keys, so that alike tokens are mixed (Wang et al., SCLIP, ECCV 2024, 2312.01597; the idea of
  CLIP Surgery, 2304.05653).

"Artefacts" are the few tokens of large norm that big transformers keep notes about the whole
picture in (Darcet et al., ICLR 2024, 2309.16588).
"""

from __future__ import annotations

import threading
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from backend.methods.encoders._torchvision_shim import allow_torchvision

allow_torchvision()
from open_clip.transformer import (  # noqa: E402  (torchvision, as above)
    CustomResidualAttentionBlock,
    ResidualAttentionBlock,
)
from timm.models.eva import EvaBlock, EvaBlockPostNorm  # noqa: E402
from timm.models.vision_transformer import Block  # noqa: E402

ARTEFACT = 2.0
"""A token whose norm is more than so many times the median of its picture is an artefact."""


class CannotAskError(Exception):
    """Why a block cannot be asked in a way; the end of a sentence."""


class LastBlock:
    """The last block of a tower; notes what passes through it while the tower runs.

    The tower itself stays as it is and may run elsewhere at the same time: notes are kept for the
    thread that asked.
    """

    def __init__(self, block: nn.Module):
        self.block: Any = block
        self._noted = threading.local()
        block.register_forward_pre_hook(self._before, with_kwargs=True)
        block.register_forward_hook(self._after)
        attention = getattr(block, "attn", None)
        if isinstance(attention, nn.Module):
            attention.register_forward_hook(self._instead, with_kwargs=True)

    def check(self, way: str) -> None:
        """Refuse a kind of block that cannot be asked in this way.

        Raises:
            CannotAskError: with its kind.
        """
        known = (
            ResidualAttentionBlock,
            CustomResidualAttentionBlock,
            Block,
            EvaBlock,
            EvaBlockPostNorm,
        )
        if way != "tokens" and not isinstance(self.block, known):
            raise CannotAskError(f"its last block is a {type(self.block).__name__}")

    def watch(self, run: Any, *inputs: Tensor) -> tuple[Any, Tensor, Tensor, dict[str, Any]]:
        """What `run` gives, the block's input and output tokens, and what else it was given."""
        self._noted.passed = passed = {}
        try:
            made = run(*inputs)
        finally:
            self._noted.passed = None
        return made, passed["before"], passed["after"], passed["given"]

    def values(self, x: Tensor) -> Tensor:
        """The attention branch with every token alone, (N, T, W) -> (N, T, W)."""
        block = self.block
        if isinstance(block, EvaBlockPostNorm):
            return block.norm1(_alone(block.attn, x))
        if isinstance(block, EvaBlock):
            branch = _alone(block.attn, block.norm1(x))
            return branch if block.gamma_1 is None else block.gamma_1 * branch
        if isinstance(block, Block):
            return block.ls1(_alone(block.attn, block.norm1(x)))
        norm = getattr(block, "ln_attn", nn.Identity())
        return block.ls_1(norm(_alone(block.attn, block.ln_1(x))))

    def self_attended(self, x: Tensor, given: dict[str, Any]) -> Tensor:
        """The block with its attention among like tokens.

        Raises:
            CannotAskError: its attention does not go through the function that all others use.
        """
        self._noted.is_self = True
        try:
            return self.block(x, **given)
        finally:
            self._noted.is_self = False

    def _before(self, _block: nn.Module, inputs: tuple[Any, ...], given: dict[str, Any]) -> None:
        passed = getattr(self._noted, "passed", None)
        if passed is not None:
            passed.update(before=inputs[0], given=given)

    def _after(self, _block: nn.Module, _inputs: tuple[Any, ...], output: Any) -> None:
        passed = getattr(self._noted, "passed", None)
        if passed is not None:
            passed["after"] = output

    def _instead(
        self, attention: Any, inputs: tuple[Any, ...], given: dict[str, Any], _output: Any
    ) -> Any:
        if not getattr(self._noted, "is_self", False):
            return None
        with _LikeWithLike() as mode:
            if isinstance(attention, nn.MultiheadAttention):
                return _by_heads(attention, inputs[0]), None
            made = attention.forward(*inputs, **given)
        if mode.num_asked != 1:
            raise CannotAskError(f"its attention is a {type(attention).__name__} of its own")
        return made


class _LikeWithLike(TorchFunctionMode):
    """Within it attention weights are softmax(q q') + softmax(k k'), whoever works them out."""

    num_asked = 0

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        del types
        given = kwargs or {}
        if func is not functional.scaled_dot_product_attention:
            return func(*args, **given)
        self.num_asked += 1
        query, key, value, *rest = args
        return func(query, query, value, *rest, **given) + func(key, key, value, *rest, **given)


def _alone(attention: Any, x: Tensor) -> Tensor:
    """An attention's answer to each token alone; where a token stands is no matter to itself."""
    tokens = x.reshape(-1, 1, x.shape[-1])
    if isinstance(attention, nn.MultiheadAttention):
        made = attention(tokens, tokens, tokens, need_weights=False)[0]
    else:
        made = attention(tokens)
    return made.reshape(x.shape)


def _by_heads(attention: nn.MultiheadAttention, x: Tensor) -> Tensor:
    """PyTorch's own attention written out, since its module hides the one function inside."""
    projected = functional.linear(x, attention.in_proj_weight, attention.in_proj_bias)
    query, key, value = (
        each.unflatten(-1, (attention.num_heads, -1)).transpose(1, 2)
        for each in projected.chunk(3, dim=-1)
    )
    mixed = functional.scaled_dot_product_attention(query, key, value)
    return attention.out_proj(mixed.transpose(1, 2).flatten(2))


def without_artefacts(tokens: Tensor, prefix: int, grid: tuple[int, int]) -> Tensor:
    """(N, prefix + P, W) where each artefact cell is the mean of its neighbours that are none.

    A cell among artefacts only becomes the mean of all cells that are none.
    """
    cells = tokens[:, prefix:]
    norms = cells.norm(dim=-1)
    # The median by sorting: the engine that traces this knows no other.
    middle = norms.sort(dim=1).values[:, (norms.shape[1] - 1) // 2, None]
    is_sound = (norms <= ARTEFACT * middle).to(cells.dtype)[..., None]
    planes = (cells * is_sound).transpose(1, 2).unflatten(2, grid)
    counts = is_sound.transpose(1, 2).unflatten(2, grid)
    around = functional.avg_pool2d(planes, 3, 1, 1).flatten(2).transpose(1, 2)
    share = functional.avg_pool2d(counts, 3, 1, 1).flatten(2).transpose(1, 2)
    everywhere = (cells * is_sound).mean(1, keepdim=True) / is_sound.mean(1, keepdim=True)
    near = torch.where(share > 0, around / share.clamp(min=1e-6), everywhere)
    return torch.cat([tokens[:, :prefix], torch.where(is_sound > 0, cells, near)], dim=1)
