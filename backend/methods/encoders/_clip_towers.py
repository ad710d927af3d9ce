"""What an open_clip image tower says of each cell of its grid, in the joint space.

A tower is trained to make one vector of a picture with a last attention: that of its last block to
the class token, or of a pooling head. Asked of one cell alone, that attention answers with the
cell's value, since a softmax over one key is 1. This "value path" is the default for parts
("values", as in Zhou et al., MaskCLIP, ECCV 2022, 2112.01071, without the skip connection); the
last block's own tokens are the other choice ("tokens"). Which one points better with which weights
is not measured here: no open_clip weights came with the packages.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from backend.errors import BadInputError
from backend.methods.encoders._frozen import (
    Frozen,
    NotPlainError,
    activation_of,
    array,
    linear_of,
    norm_of,
    three_of,
)
from backend.methods.encoders._timm_trunks import TimmTower, freeze_timm
from backend.methods.encoders._torchvision_shim import allow_torchvision
from backend.types import FrozenBlock, FrozenStack

allow_torchvision()
from open_clip.modified_resnet import ModifiedResNet  # noqa: E402  (torchvision, as above)
from open_clip.timm_model import TimmModel  # noqa: E402
from open_clip.transformer import ResidualAttentionBlock, VisionTransformer  # noqa: E402


def image_tower(visual: nn.Module, *, parts: str) -> nn.Module:
    """A module from (N, 3, H, W) to the pooled (N, D) and the cells (N, P, D), neither unit.

    Raises:
        BadInputError: the tower is of a kind whose cells cannot be brought into the joint space.
    """
    if isinstance(visual, VisionTransformer) and not getattr(visual, "attn_pool_type", ""):
        return _PatchTower(visual, parts)
    if isinstance(visual, ModifiedResNet):
        return _ResNetTower(visual)
    if isinstance(visual, TimmModel):
        return TimmTower(visual.trunk, visual.head)
    raise BadInputError(f"an image tower of the kind {type(visual).__name__} gives no parts")


class _PatchTower(nn.Module):
    """open_clip's own vision transformer, with a class token, a mean or an attention pool."""

    def __init__(self, visual: VisionTransformer, parts: str):
        super().__init__()
        self.visual: Any = visual
        self.takes_values = parts == "values"

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        visual = self.visual
        x = visual._embeds(images)
        *blocks, last = visual.transformer.resblocks
        for block in blocks:
            x = block(x)
        tokens = last(x)
        pooled, _ = visual._pool(tokens)
        if visual.attn_pool is not None:
            cells = _pooler_values(visual.attn_pool, tokens)
        elif self.takes_values:
            cells = _block_values(last, x)
        else:
            cells = tokens
        cells = visual.ln_post(cells[:, 1:])
        if visual.proj is not None:
            pooled, cells = pooled @ visual.proj, cells @ visual.proj
        return pooled, cells


def _block_values(block: Any, x: Tensor) -> Tensor:
    """A block's attention where every token attends to itself only."""
    attention = block.attn
    width = x.shape[-1]
    weight, bias = attention.in_proj_weight[2 * width :], attention.in_proj_bias
    values = functional.linear(block.ln_1(x), weight, None if bias is None else bias[2 * width :])
    head_scale = getattr(attention, "head_scale", None)
    if head_scale is not None:
        values = (values.unflatten(-1, (len(head_scale), -1)) * head_scale[:, 0]).flatten(-2)
    values = attention.out_proj(getattr(attention, "ln_inner", nn.Identity())(values))
    return block.ls_1(getattr(block, "ln_attn", nn.Identity())(values))


def _pooler_values(pooler: Any, tokens: Tensor) -> Tensor:
    """An attention pool's answer to each token alone; it is the same for every query."""
    attention = pooler.attn
    width = attention.embed_dim
    weight = attention.v_proj_weight
    if weight is None:
        weight = attention.in_proj_weight[2 * width :]
    values = functional.linear(pooler.ln_k(tokens), weight, attention.in_proj_bias[2 * width :])
    return attention.out_proj(values)


class _ResNetTower(nn.Module):
    """CLIP's ResNet: the value path of its attention pool at each cell of the last map."""

    def __init__(self, visual: ModifiedResNet):
        super().__init__()
        self.visual: Any = visual

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        visual = self.visual
        x = visual.stem(images)
        for layer in (visual.layer1, visual.layer2, visual.layer3, visual.layer4):
            x = layer(x)
        pool = visual.attnpool
        cells = x.flatten(2).transpose(1, 2) + pool.positional_embedding[1:]
        return pool(x), pool.c_proj(pool.v_proj(cells))


def freeze_tower(visual: nn.Module) -> Frozen:
    """The transformer of an image tower, for lanes.

    Raises:
        NotPlainError: it has none, or one with more than plain blocks.
    """
    if isinstance(visual, VisionTransformer):
        return _freeze_clip(visual)
    if isinstance(visual, TimmModel):
        return freeze_timm(visual.trunk)
    raise NotPlainError(f"a {type(visual).__name__} has no transformer")


def _freeze_clip(visual: Any) -> Frozen:
    blocks = tuple(visual.transformer.resblocks)
    for block in blocks:
        if not isinstance(block, ResidualAttentionBlock):
            raise NotPlainError(f"its blocks are of the kind {type(block).__name__}, not plain")
    if visual.attn_pool is not None:
        raise NotPlainError("it pools by attention, so that its class token says nothing")
    stack = FrozenStack(
        blocks=tuple(clip_block(block) for block in blocks),
        heads=blocks[0].attn.num_heads,
        start=array(visual.ln_pre(visual.class_embedding)),
        final_norm=norm_of(visual.ln_post),
        activation=activation_of(blocks[0].mlp.gelu),
    )
    return Frozen(stack, blocks, tuple(block.ln_1 for block in blocks))


def clip_block(block: Any) -> FrozenBlock:
    """The arrays of one residual block of open_clip."""
    query, key, value = three_of(block.attn.in_proj_weight, block.attn.in_proj_bias)
    return FrozenBlock(
        norm1=norm_of(block.ln_1),
        query=query,
        key=key,
        value=value,
        out=linear_of(block.attn.out_proj, gain=block.ls_1),
        norm2=norm_of(block.ln_2),
        up=linear_of(block.mlp.c_fc),
        down=linear_of(block.mlp.c_proj, gain=block.ls_2),
    )
