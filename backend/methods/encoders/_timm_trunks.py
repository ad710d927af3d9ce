"""timm's networks as encoders see them: a vector per picture and per cell, and frozen blocks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from backend.methods.encoders._frozen import (
    Frozen,
    NotPlainError,
    activation_of,
    array,
    linear_of,
    norm_of,
    three_of,
)
from backend.methods.encoders._torchvision_shim import allow_torchvision
from backend.types import FrozenBlock, FrozenStack

allow_torchvision()
from timm.layers.attention import Attention  # noqa: E402  (timm imports torchvision, as above)
from timm.models.vision_transformer import Block, VisionTransformer  # noqa: E402


class TimmTower(nn.Module):
    """Any timm trunk under a head: the head is asked of each cell as of a picture."""

    def __init__(self, trunk: nn.Module, head: nn.Module):
        super().__init__()
        self.trunk: Any = trunk
        self.head = head

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        trunk = self.trunk
        features = trunk.forward_features(images)
        pooled = self.of_features(features)
        if features.ndim == 4 and getattr(trunk, "output_fmt", "NCHW") == "NHWC":
            alone = features.flatten(0, 2)[:, None, None, :]
        elif features.ndim == 4:
            alone = features.permute(0, 2, 3, 1).flatten(0, 2)[:, :, None, None]
        else:
            prefix = int(getattr(trunk, "num_prefix_tokens", 0))
            return pooled, self.of_cells(features[:, prefix:])
        return pooled, self.of_features(alone).reshape(images.shape[0], -1, pooled.shape[-1])

    def of_features(self, features: Tensor) -> Tensor:
        """(N, D) of what the trunk makes of pictures."""
        return self.head(self.trunk.forward_head(features))

    def of_cells(self, cells: Tensor) -> Tensor:
        """(N, P, W) tokens, each alone, to (N, P, D)."""
        made = self.of_features(self._tokens_alone(cells))
        return made.reshape(cells.shape[0], -1, made.shape[-1])

    def _tokens_alone(self, cells: Tensor) -> Tensor:
        trunk = self.trunk
        prefix = int(getattr(trunk, "num_prefix_tokens", 0))
        alone = cells.flatten(0, 1)[:, None, :]
        if getattr(trunk, "global_pool", "token") == "token":
            # Such a head reads the first tokens, a distilled one two of them: the cell is each.
            alone = alone.expand(-1, max(prefix, 1), -1)
        elif prefix and not getattr(trunk, "pool_include_prefix", False):
            # Such a pool takes no notice of the first tokens, so something has to stand there.
            alone = torch.cat([alone.new_zeros(alone.shape[0], prefix, alone.shape[2]), alone], 1)
        return alone


def freeze_timm(trunk: nn.Module) -> Frozen:
    """A plain vision transformer, and what is built of the same blocks.

    Without a class token a lane starts from a patch without content: the patch map's bias.

    Raises:
        NotPlainError: with what it has more.
    """
    if not isinstance(trunk, VisionTransformer):
        raise NotPlainError(f"a {type(trunk).__name__} is not made of plain transformer blocks")
    blocks: tuple[Any, ...] = tuple(trunk.blocks)  # pyright: ignore[reportArgumentType]
    for block in blocks:
        if type(block) is not Block or type(block.attn) is not Attention:
            raise NotPlainError(f"its blocks are of the kind {type(block).__name__}, not plain")
    first: Any = trunk.cls_token
    if first is None:
        first = getattr(getattr(trunk.patch_embed, "proj", None), "bias", None)
    if first is None:
        raise NotPlainError("it has no class token that a lane could start from")
    final = next(
        (norm for norm in (trunk.norm, trunk.fc_norm) if isinstance(norm, nn.LayerNorm)), None
    )
    stack = FrozenStack(
        blocks=tuple(_timm_block(block) for block in blocks),
        heads=blocks[0].attn.num_heads,
        start=array(trunk.norm_pre(first.flatten())),
        final_norm=None if final is None else norm_of(final),
        activation=activation_of(blocks[0].mlp.act),
    )
    return Frozen(stack, blocks, tuple(block.norm1 for block in blocks))


def _timm_block(block: Any) -> FrozenBlock:
    query, key, value = three_of(block.attn.qkv.weight, block.attn.qkv.bias)
    return FrozenBlock(
        norm1=norm_of(block.norm1),
        query=query,
        key=key,
        value=value,
        out=linear_of(block.attn.proj, gain=block.ls1),
        norm2=norm_of(block.norm2),
        up=linear_of(block.mlp.fc1),
        down=linear_of(block.mlp.fc2, gain=block.ls2),
    )
