"""MiniLM in plain PyTorch, with the packaged weights: the offline text model.

The same network as `transformers.BertModel` with mean pooling, 60 lines instead of an import of
5 to 8 seconds, and easy to trace with two free axes. A test compares it with sentence-transformers.
"""

from __future__ import annotations

import math
from typing import Any

from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

from backend.methods.encoders._frozen import Frozen, array, linear_of, norm_of
from backend.methods.encoders._packaged import MINILM
from backend.types import FrozenBlock, FrozenStack

WIDTH = 384
HEADS = 12
LAYERS = 6
EPSILON = 1e-12
CLS = 101
"""The number of the class token, the first of every text."""
WINDOW = 256
"""Tokens of one text that the model was trained with, its two special tokens included."""


class MiniLM(nn.Module):
    """(ids, mask) of shape (N, T) to token outputs (N, T, D) and their mean (N, D), not unit."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(30522, WIDTH)
        self.positions = nn.Embedding(512, WIDTH)
        self.types = nn.Embedding(2, WIDTH)
        self.norm = nn.LayerNorm(WIDTH, EPSILON)
        self.layers = nn.ModuleList(_Layer() for _ in range(LAYERS))

    def forward(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Padding (mask 0) is attended by nothing and is no part of the mean."""
        positions = self.positions.weight[: ids.shape[1]]
        x = self.norm(self.words(ids) + positions + self.types.weight[0])
        bias = (1.0 - mask.to(x.dtype))[:, None, None, :] * -1e4
        for layer in self.layers:
            x = layer(x, bias)
        weights = mask.to(x.dtype).unsqueeze(2)
        return x, (x * weights).sum(1) / weights.sum(1).clamp(min=1e-9)


class _Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.out = nn.Linear(WIDTH, WIDTH)
        self.attention_norm = nn.LayerNorm(WIDTH, EPSILON)
        self.up = nn.Linear(WIDTH, 4 * WIDTH)
        self.down = nn.Linear(4 * WIDTH, WIDTH)
        self.norm = nn.LayerNorm(WIDTH, EPSILON)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        query, key, value = (
            linear(x).unflatten(2, (HEADS, -1)).transpose(1, 2)
            for linear in (self.query, self.key, self.value)
        )
        weights = query @ key.transpose(2, 3) / math.sqrt(WIDTH // HEADS) + bias
        mixed = (weights.softmax(3) @ value).transpose(1, 2).flatten(2)
        x = self.attention_norm(x + self.out(mixed))
        return self.norm(x + self.down(functional.gelu(self.up(x))))


_NAMES = {
    "embeddings.word_embeddings": "words",
    "embeddings.position_embeddings": "positions",
    "embeddings.token_type_embeddings": "types",
    "embeddings.LayerNorm": "norm",
    "attention.self.query": "query",
    "attention.self.key": "key",
    "attention.self.value": "value",
    "attention.output.dense": "out",
    "attention.output.LayerNorm": "attention_norm",
    "intermediate.dense": "up",
    "output.dense": "down",
    "output.LayerNorm": "norm",
}


def load_minilm() -> MiniLM:
    """The network with the packaged weights (hash checked), in evaluation mode and frozen.

    Raises:
        PackagedFileError: the package is absent or its file is not the pinned one.
    """
    state = {}
    for name, value in load_file(MINILM.locate("model.safetensors")).items():
        if name.startswith("pooler") or name.endswith("position_ids"):
            continue
        place, _, kind = name.removeprefix("encoder.layer.").rpartition(".")
        number, _, inner = place.partition(".")
        ours = f"layers.{number}.{_NAMES[inner]}" if number.isdigit() else _NAMES[place]
        state[f"{ours}.{kind}"] = value
    model = MiniLM()
    model.load_state_dict(state, assign=True)
    return model.eval().requires_grad_(False)


def freeze_minilm(network: nn.Module) -> Frozen:
    """Its six layers, for lanes."""
    model: Any = network
    layers = tuple(model.layers)
    blocks = tuple(
        FrozenBlock(
            norm1=norm_of(layer.attention_norm),
            query=linear_of(layer.query),
            key=linear_of(layer.key),
            value=linear_of(layer.value),
            out=linear_of(layer.out),
            norm2=norm_of(layer.norm),
            up=linear_of(layer.up),
            down=linear_of(layer.down),
        )
        for layer in layers
    )
    start = model.norm(model.words.weight[CLS] + model.types.weight[0])
    stack = FrozenStack(blocks, HEADS, array(start), final_norm=None, is_post_norm=True)
    return Frozen(stack, layers, layers)


def load_minilm_tokenizer() -> Tokenizer:
    """The packaged tokenizer, without its built-in cut and padding to 128 tokens."""
    tokenizer = Tokenizer.from_file(str(MINILM.locate("tokenizer.json")))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
