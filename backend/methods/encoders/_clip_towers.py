"""What an open_clip image tower says of each cell of its grid, in the joint space.

A tower is trained to make one vector of a picture with a last attention: that of its last block to
the class token, or of a pooling head. Three ways to ask it for parts (`_last_block.py` says where
each comes from), and what they are where an attention pools the tokens:

- "values": that last attention asked of one cell alone; of the pooling head where there is one,
  else of the last block.
- "self": the last block with its attention among like cells, then the way that the tower's own
  tokens go, through the pooling head's value path where there is one.
- "tokens": the last block's own tokens; a tower that pools by attention has none in the joint
  space. The only way of a network without attention.

Earlier blocks are asked too, where one wants a map of several layers (`LayeredTower`): the tokens
behind each of them go the way that the last ones go into the joint space.

Which one points better with which weights is not measured here, since no open_clip weights came
with the packages: `patchlane bench evidence --part parts --encoder ID` measures it where they are.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import Any

import torch
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
from backend.methods.encoders._last_block import CannotAskError, LastBlock, without_artefacts
from backend.methods.encoders._timm_trunks import TimmTower, freeze_timm
from backend.methods.encoders._torchvision_shim import allow_torchvision
from backend.types import FrozenBlock, FrozenStack

allow_torchvision()
from open_clip.modified_resnet import ModifiedResNet  # noqa: E402  (torchvision, as above)
from open_clip.timm_model import TimmModel  # noqa: E402
from open_clip.transformer import ResidualAttentionBlock, VisionTransformer  # noqa: E402
from timm.models.eva import Eva  # noqa: E402
from timm.models.vision_transformer import VisionTransformer as TimmVisionTransformer  # noqa: E402

WAYS = ("values", "tokens", "self")
ARTEFACTS = ("kept", "replaced")


def image_tower(visual: nn.Module, *, parts: str, artefacts: str) -> tuple[nn.Module, str]:
    """A module from (N, 3, H, W) to the pooled (N, D) and the cells (N, P, D), neither unit.

    Args:
        visual: the image tower.
        parts: one of WAYS, or "auto": values where the tower has them, else tokens.
        artefacts: one of ARTEFACTS.

    Returns:
        The module, and the way its parts are made.

    Raises:
        BadInputError: the tower is of a kind whose cells cannot be brought into the joint space,
            or cannot be asked in this way.
    """
    ways = ("values", "tokens") if parts == "auto" else (parts,)
    reasons: list[str] = []
    for way in ways:
        try:
            return _tower(visual, way, is_replaced=artefacts == "replaced"), way
        except CannotAskError as reason:
            reasons.append(f"parts={way} cannot be had: {reason}")
    raise BadInputError(reasons[0])


def _tower(visual: nn.Module, way: str, *, is_replaced: bool) -> nn.Module:
    kind = type(getattr(visual, "trunk", visual)).__name__
    if isinstance(visual, VisionTransformer) and not getattr(visual, "attn_pool_type", ""):
        return _checked(_PatchTower(visual, way, is_replaced), visual)
    if isinstance(visual, TimmModel) and _is_transformer(visual.trunk):
        return _checked(_TimmPatchTower(visual, way, is_replaced), visual)
    if is_replaced:
        raise BadInputError(f"artefacts=replaced cannot be had: a {kind} has no such tokens")
    if isinstance(visual, ModifiedResNet):
        if way != "values":
            raise CannotAskError("a ModifiedResNet gives its cells by the value path alone")
        return _ResNetTower(visual)
    if isinstance(visual, TimmModel):
        if way != "tokens":
            raise CannotAskError(f"a {kind} is no row of plain attention blocks; say parts=tokens")
        return TimmTower(visual.trunk, visual.head)
    raise BadInputError(f"an image tower of the kind {kind} gives no parts")


def _is_transformer(trunk: Any) -> bool:
    """Whether a trunk is a row of blocks over tokens, with one norm behind them."""
    return isinstance(trunk, TimmVisionTransformer | Eva)


def _checked(tower: _CellTower, visual: Any) -> nn.Module:
    """The tower after one run, which finds out what only shows when a block is asked."""
    size = visual.image_size
    height, width = size if isinstance(size, tuple) else (size, size)
    try:
        with torch.inference_mode():
            tower.eval()(torch.zeros(1, 3, height, width))
    except (AssertionError, RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:160]
        raise CannotAskError(f"its last block cannot be asked of one cell ({reason})") from error
    return tower


class _CellTower(nn.Module, ABC):
    """A vision transformer whose last block is asked for its cells."""

    def __init__(self, block: nn.Module, way: str, is_replaced: bool, is_pooled: bool):
        super().__init__()
        if is_pooled and way == "tokens":
            raise CannotAskError(
                "the tower pools its tokens by attention, so that they come into the joint space "
                "by that attention's value path alone; say parts=values"
            )
        self.last = LastBlock(block)
        # A pooling head is asked itself for values, so that any block will do.
        self.way = "tokens" if is_pooled and way == "values" else way
        self.last.check(self.way)
        self.is_replaced = is_replaced

    def cells(
        self, x: Tensor, tokens: Tensor, given: dict[str, Any], prefix: int, grid: tuple[int, int]
    ) -> Tensor:
        """(N, P, W), made of what the last block got (`x`) or gave (`tokens`)."""
        read = tokens if self.way == "tokens" else x
        if self.is_replaced:
            read = without_artefacts(read, prefix, grid)
        if self.way == "values":
            read = self.last.values(read)
        elif self.way == "self":
            read = self.last.self_attended(read, given)
        return read[:, prefix:]

    @property
    @abstractmethod
    def blocks(self) -> tuple[nn.Module, ...]:
        """In order, the one that is asked for cells last."""

    @abstractmethod
    def brought(self, tokens: Tensor) -> Tensor:
        """Tokens (N, prefix + P, W) as cells (N, P, D) of the joint space."""


class LayeredTower(nn.Module):
    """A tower that also gives the cells behind each of its blocks, (N, P, K, D) float16, unit rows.

    The last layer is its own cells, however they are made. The tower stays as it is and may run
    elsewhere at the same time: what passes is noted for the thread that asked.
    """

    def __init__(self, tower: _CellTower):
        super().__init__()
        self.tower = tower
        self.earlier = tower.blocks[:-1]
        self._noted = threading.local()
        for block in self.earlier:
            block.register_forward_hook(self._note)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The tower's outputs, and the layers."""
        self._noted.tokens = tokens = {}
        try:
            pooled, cells = self.tower(images)
        finally:
            self._noted.tokens = None
        layers = [self.tower.brought(tokens[block]) for block in self.earlier]
        stacked = torch.stack([*layers, cells], 2)
        return pooled, cells, functional.normalize(stacked, dim=-1).half()

    def _note(self, block: nn.Module, _inputs: Any, output: Any) -> None:
        noted = getattr(self._noted, "tokens", None)
        if noted is not None:
            noted[block] = output


def layered(tower: nn.Module) -> LayeredTower:
    """An image tower that gives its layers as well.

    Raises:
        CannotAskError: it is no row of blocks over the tokens of one grid.
    """
    if not isinstance(tower, _CellTower):
        kind = type(getattr(tower, "visual", getattr(tower, "trunk", tower))).__name__
        raise CannotAskError(f"a {kind} is no row of blocks over the cells of one grid")
    if len(tower.blocks) < 2:
        raise CannotAskError("it has one block only")
    return LayeredTower(tower)


class _PatchTower(_CellTower):
    """open_clip's own vision transformer, with a class token, a mean or an attention pool."""

    def __init__(self, visual: VisionTransformer, way: str, is_replaced: bool):
        last: Any = visual.transformer.resblocks[-1]
        super().__init__(last, way, is_replaced, is_pooled=visual.attn_pool is not None)
        self.visual: Any = visual

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        visual = self.visual
        tokens, x, after, given = self.last.watch(visual.transformer, visual._embeds(images))
        pooled, _ = visual._pool(tokens)
        cells = self._projected(self.cells(x, after, given, 1, visual.grid_size))
        return pooled if visual.proj is None else pooled @ visual.proj, cells

    @property
    def blocks(self) -> tuple[nn.Module, ...]:
        """Those of the transformer."""
        return tuple(self.visual.transformer.resblocks)

    def brought(self, tokens: Tensor) -> Tensor:
        """Through the pool's value path where there is one, the last norm and the projection."""
        return self._projected(tokens[:, 1:])

    def _projected(self, cells: Tensor) -> Tensor:
        visual = self.visual
        if visual.attn_pool is not None:
            cells = _pooler_values(visual.attn_pool, cells)
        cells = visual.ln_post(cells)
        return cells if visual.proj is None else cells @ visual.proj


class _TimmPatchTower(_CellTower):
    """timm's vision transformers (SigLIP, EVA, ViTamin, ...) under open_clip's head."""

    def __init__(self, visual: TimmModel, way: str, is_replaced: bool):
        trunk: Any = visual.trunk
        pool = getattr(trunk, "attn_pool", None)
        super().__init__(trunk.blocks[-1], way, is_replaced, is_pooled=pool is not None)
        self.whole = TimmTower(trunk, visual.head)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        trunk = self.whole.trunk
        features, x, after, given = self.last.watch(trunk.forward_features, images)
        prefix = int(trunk.num_prefix_tokens)
        grid = tuple(trunk.patch_embed.grid_size)
        cells = trunk.norm(self.cells(x, after, given, prefix, grid))
        return self.whole.of_features(features), self.whole.of_cells(cells)

    @property
    def blocks(self) -> tuple[nn.Module, ...]:
        """Those of the trunk."""
        return tuple(self.whole.trunk.blocks)

    def brought(self, tokens: Tensor) -> Tensor:
        """Through the last norm and the head, each cell alone."""
        trunk = self.whole.trunk
        return self.whole.of_cells(trunk.norm(tokens[:, int(trunk.num_prefix_tokens) :]))


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
