"""Run a network that makes vectors of pictures and of the cells of a grid over them.

What the encoders with weights from outside share: the picture's form, batches, the grid, and what
lanes read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import nn

from backend.errors import BadInputError
from backend.methods.encoders._engine import Engine, lazy_engine
from backend.methods.encoders._frozen import Frozen, NotPlainError, Watched, check, refusal
from backend.methods.encoders._words import unit_rows
from backend.types import Encoded, FrozenStack, LaneReading, Layout

READ_BYTES = 128_000_000
"""Of the tokens of one run: those of a large model would not fit into memory otherwise."""

_FILTERS = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "nearest": Image.Resampling.NEAREST,
    "lanczos": Image.Resampling.LANCZOS,
}


@dataclass(frozen=True)
class Form:
    """How a network wants its pictures.

    Attributes:
        size: (height, width) that pictures are stretched to.
        mean, std: of the RGB values in 0..1.
        interpolation: "bicubic", "bilinear", "nearest" or "lanczos".
    """

    size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str

    def facts(self) -> list[object]:
        """All of it, for a fingerprint."""
        return [*self.size, *self.mean, *self.std, self.interpolation]


class PictureNetwork:
    """A tower (N, 3, H, W) -> (pooled (N, D), cells (N, P, D)), and its transformer for lanes.

    Attributes:
        dim: D.
        grid: rows and columns of the cells.
        lane_refusal: why lanes cannot live in it, "" if they can.
    """

    def __init__(
        self,
        tower: nn.Module,
        freeze: Callable[[], Frozen],
        form: Form,
        *,
        encoder_id: str,
        grid: tuple[int, int] = (0, 0),
        batch_size: int = 32,
        layered: nn.Module | None = None,
        **options: Any,
    ):
        """Look at the network once.

        Args:
            tower: the network, in evaluation mode.
            freeze: gives its transformer; raises NotPlainError.
            form: of its pictures.
            encoder_id: for the sentences.
            grid: if known.
            batch_size: pictures per run.
            layered: the tower with (N, P, K, D) of its layers behind its outputs, if it has any.
            options: as for `compile_engine`.

        Raises:
            BadInputError: the cells make no grid, or the head cannot be asked of one cell.
        """
        self.form, self.encoder_id, self.batch_size = form, encoder_id, batch_size
        self._mean, self._std = np.array([form.mean, form.std], np.float32)
        self.dim, self.grid = _shape_of(tower, form.size, grid, encoder_id)
        self._frozen, self.lane_refusal = _frozen_in(tower, freeze, form.size, encoder_id)
        example = [np.zeros((2, 3, *form.size), np.float32)]
        self._see = lazy_engine(lambda: tower, example, **options)
        self._watch = lazy_engine(lambda: Watched(tower, self._host()), example, **options)
        with_layers = layered or tower
        self._layered = lazy_engine(lambda: with_layers, example, **options)

    def encode(self, samples: Sequence[object]) -> Encoded:
        """One vector per picture and one per cell of the grid.

        Raises:
            BadInputError: a sample is no picture.
        """
        return self._encoded(samples, self._see, self.batch_size)[0]

    def read(self, samples: Sequence[object]) -> tuple[Encoded, list[LaneReading]]:
        """`encode`, and what lanes read of each picture.

        Raises:
            BadInputError: a sample is no picture, or lanes cannot live in this network.
        """
        stack = self._host().stack
        num_bytes = 2 * len(stack.blocks) * stack.width * (self.grid[0] * self.grid[1] + 1)
        size = max(1, min(self.batch_size, READ_BYTES // num_bytes))
        return self._encoded(samples, self._watch, size)

    def layers(self, samples: Sequence[object], count: int) -> list[Float[np.ndarray, "p k d"]]:
        """Per picture its cells in each of `count` layers, unit rows; of a tower that has them.

        Raises:
            BadInputError: a sample is no picture.
        """
        num_bytes = 2 * count * self.dim * self.grid[0] * self.grid[1]
        size = max(1, min(self.batch_size, READ_BYTES // num_bytes))
        found: list[np.ndarray] = []
        for at in range(0, len(samples), size):
            pictures = [self.prepared(one) for one in samples[at : at + size]]
            for layers in self._layered(np.stack(pictures))[2]:
                flat = unit_rows(layers.astype(np.float32).reshape(-1, self.dim))
                found.append(flat.reshape(layers.shape))
        return found

    def frozen_stack(self) -> FrozenStack:
        """The blocks of its transformer.

        Raises:
            BadInputError: lanes cannot live in this network.
        """
        return self._host().stack

    def prepared(self, picture: object) -> Float[np.ndarray, "3 h w"]:
        """A picture in the network's form: stretched, never cropped.

        Raises:
            BadInputError: it is no picture.
        """
        if not isinstance(picture, Image.Image):
            raise BadInputError(f"{self.encoder_id} takes pictures, not {type(picture).__name__}")
        height, width = self.form.size
        resample = _FILTERS.get(self.form.interpolation, Image.Resampling.BICUBIC)
        pixels = np.asarray(picture.convert("RGB").resize((width, height), resample), np.float32)
        normal = (pixels / 255 - self._mean) / self._std
        return normal.transpose(2, 0, 1)

    def _host(self) -> Frozen:
        if self._frozen is None:
            raise BadInputError(self.lane_refusal)
        return self._frozen

    def _encoded(
        self, samples: Sequence[object], engine: Engine, size: int
    ) -> tuple[Encoded, list[LaneReading]]:
        pooled = np.zeros((len(samples), self.dim), np.float32)
        parts: list[np.ndarray] = []
        readings: list[LaneReading] = []
        for at in range(0, len(samples), size):
            pictures = [self.prepared(one) for one in samples[at : at + size]]
            whole, cells, *tokens = engine(np.stack(pictures))
            pooled[at : at + len(pictures)] = whole
            parts += [unit_rows(each) for each in cells]
            if tokens:
                readings += [LaneReading(each, np.zeros(0, np.float32)) for each in tokens[0]]
        layouts = (Layout(grid=self.grid),) * len(samples)
        return Encoded(unit_rows(pooled), tuple(parts), layouts), readings


def _shape_of(
    tower: nn.Module, size: tuple[int, int], grid: tuple[int, int], encoder_id: str
) -> tuple[int, tuple[int, int]]:
    """D, and rows and columns of the cells."""
    try:
        with torch.inference_mode():
            pooled, cells = tower(torch.zeros(1, 3, *size))
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise BadInputError(
            f"the head of {encoder_id} cannot be asked of one cell: {reason}"
        ) from error
    num_cells, (rows, columns) = int(cells.shape[1]), grid
    if rows * columns != num_cells:
        rows = round((num_cells * size[0] / size[1]) ** 0.5)
        columns = num_cells // max(rows, 1)
    if rows * columns != num_cells:
        raise BadInputError(f"{num_cells} parts of {encoder_id} make no grid")
    return int(pooled.shape[1]), (int(rows), int(columns))


def _frozen_in(
    tower: nn.Module, freeze: Callable[[], Frozen], size: tuple[int, int], encoder_id: str
) -> tuple[Frozen | None, str]:
    """The transformer that lanes can live in, or why they cannot."""
    noise = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(0))
    try:
        frozen = freeze()
        check(frozen, lambda: tower(noise))
    except NotPlainError as reason:
        return None, refusal(encoder_id, reason)
    return frozen, ""


def hash_of_weights(model: nn.Module) -> str:
    """SHA-256 of all parameters and buffers, by name."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().float().numpy().tobytes())
    return digest.hexdigest()
