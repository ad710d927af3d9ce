"""open_clip encoders: any of its models, with its pretrained tag, a checkpoint file or a folder.

Pictures are stretched to the model's size, never cropped, so that every part of the picture is a
part. Labels are read as "a photo of a NAME".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from backend.errors import BadInputError
from backend.methods._torch import choose_device
from backend.methods.encoders._clip_towers import (
    ARTEFACTS,
    WAYS,
    freeze_tower,
    image_tower,
    layered,
)
from backend.methods.encoders._clip_weights import load_clip
from backend.methods.encoders._engine import choose_dtype, choose_engine, lazy_engine
from backend.methods.encoders._frozen import no_layers
from backend.methods.encoders._last_block import CannotAskError
from backend.methods.encoders._pictures import PictureNetwork, hash_of_weights
from backend.methods.encoders._words import check_texts, encoder_fingerprint, unit_rows
from backend.numerics.words import readable_name
from backend.types import Encoded, FrozenStack, Kind, LaneReading, ScoreScale


class ClipEncoder:
    """Pictures, their cells and labels in the joint space of an open_clip model."""

    @dataclass(frozen=True)
    class Settings:
        """Which model, how its parts are made, and how to run it.

        Attributes:
            model: a name that open_clip knows, "local-dir:FOLDER" or "hf-hub:OWNER/NAME".
            pretrained: a tag of the model, or a file of weights; empty with a folder or hub name.
            parts: "values" (the value path of the last attention), "tokens" (the last tokens),
                "self" (the last block with attention among like cells) or "auto" (values where the
                tower has them, else tokens).
            artefacts: "kept", or "replaced": a cell of outsize norm becomes its neighbours' mean.
            prompt: what a label's name is put into.
            is_offline: never download.
        """

        model: str = "ViT-B-32"
        pretrained: str = ""
        parts: str = "auto"
        artefacts: str = "kept"
        prompt: str = "a photo of a {}"
        engine: str = "auto"
        device: str = "auto"
        dtype: str = "auto"
        threads: int = 0
        batch_size: int = 32
        is_offline: bool = True

    kind = Kind.IMAGE
    plain_dim = 0
    choices: ClassVar = {"parts": ("auto", *WAYS), "artefacts": ARTEFACTS}
    """Settings that an encoder's name may carry, with their values."""
    # Not measured, since no such weights come with the packages: CLIP's cosines of a picture with
    # any text lie around 0.2, and differ by a few hundredths between fitting and unfitting ones.
    scale = ScoreScale(
        global_mean=0.2, global_std=0.04, local_mean=0.2, local_std=0.04, temperature=0.02
    )

    def __init__(self, settings: Settings = Settings()):
        chosen = {name: getattr(settings, name) for name in self.choices}
        for name, value in chosen.items():
            if value not in self.choices[name]:
                raise BadInputError(
                    f"{name} is {value!r}; there are {', '.join(self.choices[name])}"
                )
        self.settings = settings
        self.id = f"open_clip:{settings.model}/{settings.pretrained}".rstrip("/")
        said = {k: v for k, v in chosen.items() if v != getattr(type(settings), k)}
        self.id += ("?" + "&".join(f"{k}={v}" for k, v in said.items())) if said else ""
        device = choose_device(settings.device)
        choose_engine(settings.engine, device)
        dtype = choose_dtype(settings.dtype)
        loaded = load_clip(settings.model, settings.pretrained, is_offline=settings.is_offline)
        self._loaded = loaded
        visual: Any = loaded.model.visual
        tower, self.parts = image_tower(visual, **chosen)
        options: dict[str, Any] = {"device": device, "dtype": dtype, "threads": settings.threads}
        self.num_layers, self.layer_refusal = 0, ""
        with_layers = None
        try:
            with_layers = layered(tower)
            self.num_layers = len(with_layers.earlier) + 1
        except CannotAskError as reason:
            self.layer_refusal = no_layers(self.id, reason)
        self._network = PictureNetwork(
            tower.eval(),
            lambda: freeze_tower(visual),
            loaded.form,
            encoder_id=self.id,
            grid=getattr(visual, "grid_size", (0, 0)),
            batch_size=settings.batch_size,
            layered=with_layers,
            engine=settings.engine,
            **options,
        )
        self.input_size = max(loaded.form.size)
        self.dim, self.grid = self._network.dim, self._network.grid
        facts: dict[str, object] = {
            "weights": hash_of_weights(loaded.model),
            "input": loaded.form.facts(),
            "dtype": dtype,
        }
        made = {"parts": self.parts, "artefacts": settings.artefacts, "prompt": settings.prompt}
        self.fingerprint = encoder_fingerprint("open_clip", {**facts, **made})
        self.lane_refusal = self._network.lane_refusal
        self.lane_key = "" if self.lane_refusal else encoder_fingerprint("open_clip-stream", facts)
        # Texts are few and short, and some text towers cannot be traced: PyTorch runs them.
        ids = np.zeros((2, 1), np.int64)
        self._read = lazy_engine(lambda: _TextTower(loaded.model), [ids], engine="torch", **options)

    def encode(self, samples: Sequence[object]) -> Encoded:
        """One vector per picture and one per cell of the grid.

        Raises:
            BadInputError: a sample is no picture.
        """
        return self._network.encode(samples)

    def read(self, samples: Sequence[object]) -> tuple[Encoded, list[LaneReading]]:
        """`encode`, and what lanes read of each picture.

        Raises:
            BadInputError: a sample is no picture, or lanes cannot live in this model.
        """
        return self._network.read(samples)

    def frozen_stack(self) -> FrozenStack:
        """The blocks of the image tower.

        Raises:
            BadInputError: lanes cannot live in this model.
        """
        return self._network.frozen_stack()

    def layers(self, samples: Sequence[object]) -> list[Float[np.ndarray, "p k d"]]:
        """The cells behind each block of the image tower, the last of them the parts.

        Raises:
            BadInputError: a sample is no picture, or the tower has no such blocks.
        """
        if self.layer_refusal:
            raise BadInputError(self.layer_refusal)
        return self._network.layers(samples, self.num_layers)

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


class _TextTower(nn.Module):
    def __init__(self, model: Any):
        super().__init__()
        self.model = model

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.model.encode_text(ids)
