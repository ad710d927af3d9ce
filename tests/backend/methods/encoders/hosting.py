"""The laws of an encoder that lanes can live in; each test file brings its own encoder."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn import functional

from backend.contracts import LaneHost, lane_host
from backend.types import Encoded, FrozenStack, LaneReading, Linear, Norm

HALF = 2e-3
"""Of float16, relative to numbers of size 1."""


def activated(name: str, x: np.ndarray) -> np.ndarray:
    tensor = torch.from_numpy(x)
    if name == "quick_gelu":
        return (tensor * torch.sigmoid(1.702 * tensor)).numpy()
    if name == "relu":
        return np.maximum(x, 0)
    approximate = "tanh" if name == "gelu_tanh" else "none"
    return functional.gelu(tensor, approximate=approximate).numpy()


def linear(map_: Linear, x: np.ndarray) -> np.ndarray:
    return x @ map_.weight.T + map_.bias


def norm(one: Norm, x: np.ndarray) -> np.ndarray:
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt(x.var(-1, keepdims=True) + one.epsilon) * one.weight + one.bias


def attention(
    stack: FrozenStack, number: int, x: np.ndarray, *, is_causal: bool = False
) -> np.ndarray:
    block, size = stack.blocks[number], stack.width // stack.heads
    mixed = np.zeros_like(x)
    query, key, value = linear(block.query, x), linear(block.key, x), linear(block.value, x)
    for head in range(stack.heads):
        own = slice(head * size, (head + 1) * size)
        logits = query[:, own] @ key[:, own].T / np.sqrt(size)
        if is_causal:
            logits = np.where(np.tri(len(x), dtype=bool), logits, -np.inf)
        weights = np.exp(logits - logits.max(1, keepdims=True))
        mixed[:, own] = weights / weights.sum(1, keepdims=True) @ value[:, own]
    return linear(block.out, mixed)


def rerun_causal(stack: FrozenStack, x: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """`rerun` of a tower whose tokens see only what stands before them."""
    return rerun(stack, x, is_causal=True)


def rerun(
    stack: FrozenStack, x: np.ndarray, *, is_causal: bool = False
) -> tuple[list[np.ndarray], np.ndarray]:
    """What the attention of each block gets, and the last tokens, from the arrays alone."""
    attended = []
    for number, block in enumerate(stack.blocks):
        attended.append(x if stack.is_post_norm else norm(block.norm1, x))
        x = x + attention(stack, number, attended[-1], is_causal=is_causal)
        if stack.is_post_norm:
            x = norm(block.norm1, x)
        inner = x if stack.is_post_norm else norm(block.norm2, x)
        x = x + linear(block.down, activated(stack.activation, linear(block.up, inner)))
        if stack.is_post_norm:
            x = norm(block.norm2, x)
    return attended, x if stack.final_norm is None else norm(stack.final_norm, x)


def check_blocks(
    encoder: Any, reading: LaneReading, first: np.ndarray, last: np.ndarray | None
) -> None:
    """`first` and `last`: the encoder's own tokens (T, W) before and after the blocks."""
    stack = encoder.frozen_stack()
    attended, found = rerun(stack, first.astype(np.float64))
    assert reading.tokens.shape == (len(stack.blocks), *first.shape)
    for number, tokens in enumerate(attended):
        scale = np.abs(tokens).max()
        assert np.abs(reading.tokens[number] - tokens).max() < HALF * scale, f"block {number}"
    if last is not None:
        np.testing.assert_allclose(found, last, atol=1e-4, rtol=1e-4)


def check_reading(encoder: Any, samples: list[Any], *, bound: float = 2e-5) -> list[LaneReading]:
    """`read` is `encode` with readings, and a batch equals its items one at a time."""
    assert isinstance(encoder, LaneHost)
    assert lane_host(encoder) is encoder
    assert encoder.lane_key
    encoded, readings = encoder.read(samples)
    _same(encoded, encoder.encode(samples), bound)
    assert len(readings) == len(samples)
    for sample, reading in zip(samples, readings, strict=True):
        assert reading.tokens.dtype == np.float16
        assert reading.plain.dtype == np.float32
        assert reading.plain.shape == (encoder.plain_dim,)
        _, (alone,) = encoder.read([sample])
        assert alone.tokens.shape == reading.tokens.shape
        scale = np.abs(alone.tokens.astype(np.float32)).max()
        difference = alone.tokens.astype(np.float32) - reading.tokens.astype(np.float32)
        assert np.abs(difference).max() <= HALF * scale
        np.testing.assert_allclose(alone.plain, reading.plain, atol=bound)
    assert encoder.read([])[1] == []
    return readings


def _same(one: Encoded, other: Encoded, bound: float) -> None:
    np.testing.assert_allclose(one.pooled, other.pooled, atol=bound)
    assert one.layouts == other.layouts
    for a, b in zip(one.parts, other.parts, strict=True):
        np.testing.assert_allclose(a, b, atol=bound)
