"""Any timm backbone: pictures and their cells, with no text side.

Nothing here brings a label's name into the space of the pictures, so labels have no zero-shot
score: a label is what its verdicts make of it (heads, and lanes where the backbone is a plain
vision transformer). Pictures are stretched to the model's size, never cropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import nn

from backend.errors import BadInputError
from backend.methods._torch import choose_device
from backend.methods.encoders._engine import choose_dtype, choose_engine
from backend.methods.encoders._frozen import no_layers
from backend.methods.encoders._pictures import PictureNetwork, hash_of_weights
from backend.methods.encoders._timm_trunks import TimmTower, freeze_timm
from backend.methods.encoders._timm_weights import load_timm
from backend.methods.encoders._words import check_texts, encoder_fingerprint
from backend.types import Encoded, FrozenStack, Kind, LaneReading, ScoreScale


class VisionEncoder:
    """Pictures and their cells by a backbone that timm knows."""

    @dataclass(frozen=True)
    class Settings:
        """Which backbone, and how to run it.

        Attributes:
            model: a name that timm knows, "local-dir:FOLDER" or "hf-hub:OWNER/NAME".
            pretrained: a file of weights, or "" for the pretrained ones of that name.
            is_offline: never download.
        """

        model: str = "vit_base_patch16_224"
        pretrained: str = ""
        engine: str = "auto"
        device: str = "auto"
        dtype: str = "auto"
        threads: int = 0
        batch_size: int = 32
        is_offline: bool = True

    kind = Kind.IMAGE
    has_text_side = False
    plain_dim = 0
    scale = ScoreScale()
    """Nothing to scale: every zero-shot score is 0."""

    def __init__(self, settings: Settings = Settings()):
        self.settings = settings
        self.id = f"timm:{settings.model}/{settings.pretrained}".rstrip("/")
        device, dtype = choose_device(settings.device), choose_dtype(settings.dtype)
        choose_engine(settings.engine, device)
        trunk, form = load_timm(settings.model, settings.pretrained, is_offline=settings.is_offline)
        self._network = PictureNetwork(
            TimmTower(trunk, nn.Identity()).eval(),
            lambda: freeze_timm(trunk),
            form,
            encoder_id=self.id,
            grid=_grid_of(trunk),
            batch_size=settings.batch_size,
            engine=settings.engine,
            device=device,
            dtype=dtype,
            threads=settings.threads,
        )
        self.input_size = max(form.size)
        self.dim, self.grid = self._network.dim, self._network.grid
        facts: dict[str, object] = {
            "weights": hash_of_weights(trunk),
            "input": form.facts(),
            "dtype": dtype,
        }
        self.fingerprint = encoder_fingerprint("timm", facts)
        self.layer_refusal = no_layers(self.id, "it has no text side, so no label is near a block")
        self.lane_refusal = self._network.lane_refusal
        self.lane_key = "" if self.lane_refusal else encoder_fingerprint("timm-stream", facts)

    def encode(self, samples: Sequence[object]) -> Encoded:
        """One vector per picture and one per patch or cell of the last map.

        Raises:
            BadInputError: a sample is no picture.
        """
        return self._network.encode(samples)

    def read(self, samples: Sequence[object]) -> tuple[Encoded, list[LaneReading]]:
        """`encode`, and what lanes read of each picture.

        Raises:
            BadInputError: a sample is no picture, or lanes cannot live in this backbone.
        """
        return self._network.read(samples)

    def frozen_stack(self) -> FrozenStack:
        """The blocks of the backbone.

        Raises:
            BadInputError: lanes cannot live in this backbone.
        """
        return self._network.frozen_stack()

    def encode_labels(self, names: Sequence[str]) -> Float[np.ndarray, "l d"]:
        """Rows of zeros: no name has a place among the pictures."""
        return np.zeros((len(check_texts(names, self.id)), self.dim), np.float32)

    def encode_texts(self, texts: Sequence[str]) -> Float[np.ndarray, "n d"]:
        """Refuse.

        Raises:
            BadInputError: always.
        """
        check_texts(texts, self.id)
        raise BadInputError(
            f"{self.id} has no text side, so nothing can be found by words; search by a sample or "
            "a picture, or choose an encoder that reads, such as embedded"
        )


def _grid_of(trunk: nn.Module) -> tuple[int, int]:
    patches: Any = getattr(trunk, "patch_embed", None)
    rows, columns = getattr(patches, "grid_size", None) or (0, 0)
    return int(rows), int(columns)
