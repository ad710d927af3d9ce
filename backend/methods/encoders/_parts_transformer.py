"""The parts transformer: trunk cells to vectors in the space of texts, for each part and the whole.

The way around the transformer is the class convex combination (Norouzi et al. 2014): softmax over
the trunk's own classes, then the weighted mean of the classes' text vectors. The transformer's last
layer starts at zero, so the untrained network *is* the combination, and what is learned is the
difference.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class TransformerShape:
    """Sizes of a `PartsTransformer`; `grid` is the side its positions were trained at."""

    features: int = 1280
    width: int = 256
    layers: int = 4
    heads: int = 8
    grid: int = 12
    out: int = 384


class Combination(nn.Module):
    """Class convex combination: features (..., C) to vectors (..., D) in text space, not unit.

    Attributes:
        temperature: Of the softmax; above 1 spreads the weight over more classes.
        keep: How many of the likeliest classes take part.
    """

    weight: Tensor
    bias: Tensor
    vectors: Tensor

    def __init__(
        self, weight: Tensor, bias: Tensor, vectors: Tensor, *, temperature: float, keep: int
    ):
        super().__init__()
        self.register_buffer("weight", weight, persistent=False)
        self.register_buffer("bias", bias, persistent=False)
        self.register_buffer("vectors", vectors, persistent=False)
        self.temperature, self.keep = temperature, keep

    def forward(self, features: Tensor) -> Tensor:
        logits = functional.linear(features, self.weight, self.bias) / self.temperature
        top, index = logits.topk(self.keep, dim=-1)
        weights = torch.zeros_like(logits).scatter(-1, index, top.softmax(-1))
        return weights @ self.vectors


class Block(nn.Module):
    """Pre-norm attention and feed-forward."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm_attention, self.norm_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, tokens: Tensor) -> Tensor:
        b, n, d = tokens.shape
        qkv = self.qkv(self.norm_attention(tokens)).reshape(b, n, 3, self.heads, d // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        tokens = tokens + self.out(mixed.transpose(1, 2).reshape(b, n, d))
        return tokens + self.mlp(self.norm_mlp(tokens))


class PartsTransformer(nn.Module):
    """CLS and grid tokens through pre-norm blocks, beside two combinations as the residual path.

    `embed`, `blocks` and `project` are separate so that more tokens can walk beside these.
    """

    def __init__(self, parts: Combination, whole: Combination, shape: TransformerShape):
        super().__init__()
        self.parts_combination, self.whole_combination, self.shape = parts, whole, shape
        width = shape.width
        self.inp, self.norm_in = nn.Linear(shape.features, width), nn.LayerNorm(width)
        self.position = nn.Parameter(torch.randn(1, width, shape.grid, shape.grid) * 0.02)
        self.cls = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.blocks = nn.ModuleList(Block(width, shape.heads) for _ in range(shape.layers))
        self.norm_out = nn.LayerNorm(width)
        self.out = nn.Linear(width, shape.out, bias=False)
        nn.init.zeros_(self.out.weight)

    def embed(self, cells: Tensor, grid: int) -> Tensor:
        """Cells (B, P, C) of a square grid to tokens (B, 1 + P, width), CLS first."""
        position = self.position
        if grid != self.shape.grid:
            position = functional.interpolate(
                position, (grid, grid), mode="bilinear", align_corners=False
            )
        tokens = self.norm_in(self.inp(cells)) + position.flatten(2).transpose(1, 2)
        return torch.cat([self.cls.expand(tokens.shape[0], -1, -1), tokens], 1)

    def residual(self, cells: Tensor) -> tuple[Tensor, Tensor]:
        """The combination of each part (B, P, D) and of the whole (B, D), unit vectors.

        The whole is half the combination of the mean cell and half the mean of the parts': the
        first names one large thing better, the second several.
        """
        parts = self.parts_combination(cells)
        one = functional.normalize(self.whole_combination(cells.mean(1)), dim=-1)
        several = functional.normalize(parts.mean(1), dim=-1)
        return functional.normalize(parts, dim=-1), functional.normalize(one + several, dim=-1)

    def learned(self, cells: Tensor, grid: int) -> tuple[Tensor, Tensor]:
        """What the blocks add to each part (B, P, D) and to the whole (B, D)."""
        tokens = self.embed(cells, grid)
        for block in self.blocks:
            tokens = block(tokens)
        vectors = self.out(self.norm_out(tokens))
        return vectors[:, 1:], vectors[:, 0]

    def forward(
        self, cells: Tensor, grid: int, *, learned_parts: float = 1.0, learned_whole: float = 1.0
    ) -> tuple[Tensor, Tensor]:
        """Trunk cells (B, P, C) to parts (B, P, D) and pooled (B, D), unit vectors.

        Args:
            cells: the trunk's last map, row by row.
            grid: side of the map.
            learned_parts: share of the trained part vector, the rest is the combination's.
            learned_whole: the same for the whole picture.
        """
        parts, whole = self.residual(cells)
        if learned_parts == learned_whole == 0:
            return parts, whole
        more_parts, more_whole = self.learned(cells, grid)
        return (
            _between(parts, functional.normalize(parts + more_parts, dim=-1), learned_parts),
            _between(whole, functional.normalize(whole + more_whole, dim=-1), learned_whole),
        )


def _between(plain: Tensor, trained: Tensor, share: float) -> Tensor:
    if share == 1:
        return trained
    return functional.normalize((1 - share) * plain + share * trained, dim=-1)
