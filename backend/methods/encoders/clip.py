"""open_clip encoders: any of its models, with its pretrained tag, a checkpoint file or a folder.

Pictures are stretched to the model's size, never cropped, so that every part of the picture is a
part. Labels are read as "a photo of a NAME".
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import nn

from backend.errors import BadInputError
from backend.methods.encoders._clip_towers import freeze_tower, grid_of, image_tower
from backend.methods.encoders._clip_weights import load_clip
from backend.methods.encoders._engine import (
    Engine,
    choose_device,
    choose_dtype,
    choose_engine,
    lazy_engine,
)
from backend.methods.encoders._frozen import Frozen, NotPlainError, Watched, check, refusal
from backend.methods.encoders._words import check_texts, encoder_fingerprint, unit_rows
from backend.numerics.words import readable_name
from backend.types import Encoded, FrozenStack, Kind, LaneReading, Layout, ScoreScale

READ_BYTES = 128_000_000
"""Of the tokens of one run: those of a large model would not fit into memory otherwise."""
_FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


class ClipEncoder:
    """Pictures, their cells and labels in the joint space of an open_clip model."""

    @dataclass(frozen=True)
    class Settings:
        """Which model, how its parts are made, and how to run it.

        Attributes:
            model: a name that open_clip knows, "local-dir:FOLDER" or "hf-hub:OWNER/NAME".
            pretrained: a tag of the model, or a file of weights; empty with a folder or hub name.
            parts: "values" (the value path of the last attention) or "tokens" (the last tokens).
            prompt: what a label's name is put into.
            is_offline: never download.
        """

        model: str = "ViT-B-32"
        pretrained: str = ""
        parts: str = "values"
        prompt: str = "a photo of a {}"
        engine: str = "auto"
        device: str = "auto"
        dtype: str = "auto"
        threads: int = 0
        batch_size: int = 32
        is_offline: bool = True

    kind = Kind.IMAGE
    plain_dim = 0
    # Not measured, since no such weights come with the packages: CLIP's cosines of a picture with
    # any text lie around 0.2, and differ by a few hundredths between fitting and unfitting ones.
    scale = ScoreScale(
        global_mean=0.2, global_std=0.04, local_mean=0.2, local_std=0.04, temperature=0.02
    )

    def __init__(self, settings: Settings = Settings()):
        if settings.parts not in ("values", "tokens"):
            raise BadInputError(f"parts is {settings.parts!r}; there are values and tokens")
        self.settings = settings
        self.id = f"open_clip:{settings.model}/{settings.pretrained}".rstrip("/")
        device = choose_device(settings.device)
        choose_engine(settings.engine, device)
        dtype = choose_dtype(settings.dtype)
        loaded = load_clip(settings.model, settings.pretrained, is_offline=settings.is_offline)
        self._loaded = loaded
        self._mean, self._std = np.array([loaded.mean, loaded.std], np.float32)
        self.input_size = max(loaded.size)
        facts: dict[str, object] = {
            "weights": _hash_of(loaded.model),
            "input": [*loaded.size, *loaded.mean, *loaded.std, loaded.interpolation],
            "dtype": dtype,
        }
        self.fingerprint = encoder_fingerprint(
            "open_clip", {**facts, "parts": settings.parts, "prompt": settings.prompt}
        )
        visual: Any = loaded.model.visual
        tower = image_tower(visual, parts=settings.parts).eval()
        self.dim, self.grid = _shape_of(tower, visual, loaded.size)
        self._frozen, self.lane_refusal = _frozen_in(tower, visual, loaded.size, self.id)
        self.lane_key = "" if self.lane_refusal else encoder_fingerprint("open_clip-stream", facts)
        options: dict[str, Any] = {
            "device": device,
            "dtype": dtype,
            "threads": settings.threads,
        }
        picture = np.zeros((2, 3, *loaded.size), np.float32)
        self._see = lazy_engine(lambda: tower, [picture], engine=settings.engine, **options)
        self._watch = lazy_engine(
            lambda: Watched(tower, self._host()), [picture], engine=settings.engine, **options
        )
        # Texts are few and short, and some text towers cannot be traced: PyTorch runs them.
        ids = np.zeros((2, 1), np.int64)
        self._read = lazy_engine(lambda: _TextTower(loaded.model), [ids], engine="torch", **options)

    def encode(self, samples: Sequence[object]) -> Encoded:
        """One vector per picture and one per cell of the grid.

        Raises:
            BadInputError: a sample is no picture.
        """
        return self._encoded(samples, self._see, self.settings.batch_size)[0]

    def read(self, samples: Sequence[object]) -> tuple[Encoded, list[LaneReading]]:
        """`encode`, and what lanes read of each picture.

        Raises:
            BadInputError: a sample is no picture, or lanes cannot live in this model.
        """
        stack = self._host().stack
        num_bytes = 2 * len(stack.blocks) * stack.width * (self.grid[0] * self.grid[1] + 1)
        size = max(1, min(self.settings.batch_size, READ_BYTES // num_bytes))
        return self._encoded(samples, self._watch, size)

    def frozen_stack(self) -> FrozenStack:
        """The blocks of the image tower.

        Raises:
            BadInputError: lanes cannot live in this model.
        """
        return self._host().stack

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
            pictures = [self._prepared(one) for one in samples[at : at + size]]
            whole, cells, *tokens = engine(np.stack(pictures))
            pooled[at : at + len(pictures)] = whole
            parts += [unit_rows(each) for each in cells]
            if tokens:
                readings += [LaneReading(each, np.zeros(0, np.float32)) for each in tokens[0]]
        layouts = (Layout(grid=self.grid),) * len(samples)
        return Encoded(unit_rows(pooled), tuple(parts), layouts), readings

    def encode_labels(self, names: Sequence[str]) -> Float[np.ndarray, "l d"]:
        names = check_texts(names, self.id)
        return self.encode_texts([self.settings.prompt.format(readable_name(n)) for n in names])

    def encode_texts(self, texts: Sequence[str]) -> Float[np.ndarray, "n d"]:
        texts = check_texts(texts, self.id)
        rows = [np.zeros((0, self.dim), np.float32)]
        for at in range(0, len(texts), self.settings.batch_size):
            ids = self._loaded.tokenizer(texts[at : at + self.settings.batch_size])
            rows += self._read(ids.numpy().astype(np.int64))
        return unit_rows(np.concatenate(rows))

    def _prepared(self, picture: object) -> Float[np.ndarray, "3 h w"]:
        if not isinstance(picture, Image.Image):
            raise BadInputError(f"{self.id} takes pictures, not {type(picture).__name__}")
        height, width = self._loaded.size
        resample = _FILTERS.get(self._loaded.interpolation, Image.Resampling.BICUBIC)
        pixels = np.asarray(picture.convert("RGB").resize((width, height), resample), np.float32)
        normal = (pixels / 255 - self._mean) / self._std
        return normal.transpose(2, 0, 1)


class _TextTower(nn.Module):
    def __init__(self, model: Any):
        super().__init__()
        self.model = model

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.model.encode_text(ids)


def _shape_of(
    tower: nn.Module, visual: nn.Module, size: tuple[int, int]
) -> tuple[int, tuple[int, int]]:
    try:
        with torch.inference_mode():
            pooled, cells = tower(torch.zeros(1, 3, *size))
    except RuntimeError as error:
        raise BadInputError(
            f"the head of {type(visual).__name__} cannot be asked of one cell: {error}"
        ) from error
    return int(pooled.shape[1]), grid_of(visual, int(cells.shape[1]), size)


def _frozen_in(
    tower: nn.Module, visual: nn.Module, size: tuple[int, int], encoder_id: str
) -> tuple[Frozen | None, str]:
    """The transformer that lanes can live in, or why they cannot."""
    noise = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(0))
    try:
        frozen = freeze_tower(visual)
        check(frozen, lambda: tower(noise))
    except NotPlainError as reason:
        return None, refusal(encoder_id, reason)
    return frozen, ""


def _hash_of(model: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().float().numpy().tobytes())
    return digest.hexdigest()
