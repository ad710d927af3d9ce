"""The embedded encoder: pictures, their parts and label names in one space, with no network at all.

A frozen EfficientNet-Lite0 sees, a frozen MiniLM reads, and a small parts transformer of our own
puts every cell of the picture and the picture as a whole where MiniLM puts the names of what is
there. The first two come as Python packages, the transformer from `assets/encoder`; every file's
hash is checked. Data, licences, numbers and limits: `assets/encoder/MODEL_CARD.md`.

Source: trunk Tan and Le, EfficientNet (1905.11946); text side Reimers and Gurevych, Sentence-BERT
(1908.10084); combination of classes Norouzi et al., ConSE, ICLR 2014 (1312.5650).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from backend.errors import BadInputError, NotFoundError, RefusedError
from backend.fingerprints import fingerprint_of
from backend.methods.encoders._engine import (
    Engine,
    choose_device,
    choose_dtype,
    choose_engine,
    compile_engine,
)
from backend.methods.encoders._label_space import TextSide, encode_label_names
from backend.methods.encoders._packaged import EFFICIENTNET_LITE0, MINILM, sha256_of
from backend.methods.encoders._parts_transformer import (
    Combination,
    PartsTransformer,
    TransformerShape,
)
from backend.methods.encoders._trunk import MEAN, STD, STRIDE, load_trunk
from backend.methods.encoders._words import check_texts, unit_rows
from backend.settings import assets_folder
from backend.types import Encoded, Kind, Layout, ScoreScale

CONSTANTS = "encoder.json"


@dataclass(frozen=True)
class Output:
    """What of the network is given out; chosen by measurement, see the model card.

    Attributes:
        size: pixels that a picture's sides are stretched to.
        learned_parts: share of the trained part vectors, the rest is the untrained combination.
        learned_whole: the same for the pooled vector.
        smooth: mean of every part with its neighbours.
        whole_from_parts: weight of the mean part that is added to the pooled vector.
        parts_temperature, parts_keep: of the combination of classes of one part.
        whole_temperature, whole_keep: of that of the whole picture.
    """

    size: int = 384
    learned_parts: float = 1.0
    learned_whole: float = 1.0
    smooth: bool = False
    whole_from_parts: float = 0.0
    parts_temperature: float = 2.0
    parts_keep: int = 50
    whole_temperature: float = 1.5
    whole_keep: int = 20


@dataclass(frozen=True)
class Identity:
    """All that decides a vector, beside the transformer's weights."""

    output: Output
    shape: TransformerShape
    trunk: str
    text: str
    dtype: str


class EmbeddedNetwork(nn.Module):
    """RGB pictures (B, H, W, 3) uint8 to parts (B, P, D) and pooled (B, D)."""

    def __init__(self, trunk: nn.Module, transformer: PartsTransformer, output: Output):
        super().__init__()
        self.trunk, self.transformer, self.output = trunk, transformer, output
        self.grid = output.size // STRIDE

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        x = (pictures.permute(0, 3, 1, 2).float() / 255 - MEAN) / STD
        cells = self.trunk.forward_features(x)  # pyright: ignore[reportCallIssue]
        parts, pooled = self.transformer(
            cells.flatten(2).transpose(1, 2),
            self.grid,
            learned_parts=self.output.learned_parts,
            learned_whole=self.output.learned_whole,
        )
        if self.output.smooth:
            parts = smooth(parts, self.grid)
        if self.output.whole_from_parts:
            mean = functional.normalize(parts.mean(1), dim=-1)
            pooled = functional.normalize(pooled + self.output.whole_from_parts * mean, dim=-1)
        return parts, pooled


def smooth(parts: Tensor, grid: int) -> Tensor:
    """Unit mean of each part (B, P, D) with its neighbours on the grid."""
    b, p, d = parts.shape
    field = parts.transpose(1, 2).reshape(b, d, grid, grid)
    field = functional.avg_pool2d(field, 3, stride=1, padding=1, count_include_pad=False)
    return functional.normalize(field.reshape(b, d, p).transpose(1, 2), dim=-1)


class EmbeddedEncoder:
    """Pictures, parts and label names, offline."""

    @dataclass(frozen=True)
    class Settings:
        """How to run it; only `dtype` changes the vectors.

        Attributes:
            engine: "auto", "openvino" or "torch".
            device: "auto" or a torch device.
            dtype: "auto" (float32), "float32" or "bfloat16".
            threads: 0 for all cores this process may use.
            batch_size: pictures per run of the network.
            folder: where the weights lie, "" for those that ship.
        """

        engine: str = "auto"
        device: str = "auto"
        dtype: str = "auto"
        threads: int = 0
        batch_size: int = 16
        folder: str = ""

    id = "embedded"
    kind = Kind.IMAGE

    def __init__(self, settings: Settings | None = None):
        self.settings = settings or self.Settings()
        if self.settings.batch_size < 1:
            raise BadInputError(f"batch_size is {self.settings.batch_size}; give one above 0")
        choose_engine(self.settings.engine, choose_device(self.settings.device))
        self.folder = (
            Path(self.settings.folder) if self.settings.folder else assets_folder() / "encoder"
        )
        constants = _read_constants(self.folder)
        self._weights = self.folder / constants["file"]
        self._sha256 = constants["sha256"]
        self.shape = TransformerShape(**constants["shape"])
        self.output = Output(**constants["output"])
        self.scale = ScoreScale(**constants["scale"])
        self.input_size = self.output.size
        self.dim = self.shape.out
        self.fingerprint = fingerprint_of(
            "encoders/embedded",
            Identity(
                self.output,
                self.shape,
                trunk=next(iter(EFFICIENTNET_LITE0.files.values())),
                text=MINILM.files["model.safetensors"],
                dtype=choose_dtype(self.settings.dtype),
            ),
            weights=self._sha256,
        )
        self._lock = Lock()
        self._tensors: dict[str, Tensor] | None = None
        self._run: Engine | None = None
        self._text: TextSide | None = None

    def encode(self, samples: Sequence[object]) -> Encoded:
        """Parts and pooled vectors; every picture is stretched to the input size, never cropped.

        Raises:
            BadInputError: a sample is no picture.
            NotFoundError, RefusedError: weights are missing or are not the pinned ones.
        """
        grid = self.output.size // STRIDE
        parts: list[Float[np.ndarray, "p d"]] = []
        pooled = np.zeros((len(samples), self.dim), np.float32)
        run = self._engine() if len(samples) else None
        for start in range(0, len(samples), self.settings.batch_size):
            batch = samples[start : start + self.settings.batch_size]
            pictures = np.stack([self._picture(sample) for sample in batch])
            if run is not None:
                found, pooled[start : start + len(batch)] = run(pictures)
                parts.extend(found)
        return Encoded(pooled, tuple(parts), (Layout(grid=(grid, grid)),) * len(samples))

    def encode_labels(self, names: Sequence[str]) -> Float[np.ndarray, "l d"]:
        names = [name.replace("_", " ") for name in check_texts(names, self.id)]
        return encode_label_names(self._text_side(), self._mean(), names)

    def encode_texts(self, texts: Sequence[str]) -> Float[np.ndarray, "n d"]:
        texts = check_texts(texts, self.id)
        return unit_rows(self._text_side().encode(texts) - self._mean())

    def _picture(self, sample: object) -> UInt8[np.ndarray, "h w 3"]:
        size = self.output.size
        if isinstance(sample, np.ndarray):
            if sample.dtype != np.uint8 or sample.ndim != 3 or sample.shape[2] != 3:
                raise BadInputError(
                    f"embedded takes pictures as (height, width, 3) uint8, not "
                    f"{sample.shape} {sample.dtype}"
                )
            sample = Image.fromarray(sample)
        if not isinstance(sample, Image.Image):
            raise BadInputError(f"embedded takes pictures, not {type(sample).__name__}")
        # `reducing_gap` shrinks a large picture by whole numbers first; small ones are not touched.
        return np.asarray(
            sample.convert("RGB").resize((size, size), Image.Resampling.BICUBIC, reducing_gap=3.0)
        )

    def _loaded(self) -> dict[str, Tensor]:
        """The shipped tensors, hash checked; callers hold the lock."""
        if self._tensors is None:
            if not self._weights.is_file():
                raise NotFoundError(f"{self._weights.name} is missing; install Patchlane again")
            if sha256_of(self._weights) != self._sha256:
                raise RefusedError(
                    f"{self._weights.name} is not the file that {CONSTANTS} names (its SHA-256 "
                    "differs) and was not loaded; install Patchlane again"
                )
            stored = load_file(self._weights)
            self._tensors = {name: tensor.float() for name, tensor in stored.items()}
        return self._tensors

    def _engine(self) -> Engine:
        """The network, compiled on first use: a project whose vectors are stored opens without."""
        with self._lock:
            if self._run is None:
                size = self.output.size
                self._run = compile_engine(
                    self.network(),
                    [np.zeros((2, size, size, 3), np.uint8)],
                    engine=self.settings.engine,
                    device=self.settings.device,
                    dtype=self.settings.dtype,
                    threads=self.settings.threads,
                )
            return self._run

    def network(self) -> EmbeddedNetwork:
        """The image side as a torch module; callers hold the lock."""
        return build_network(self._loaded(), self.output, self.shape)

    def _text_side(self) -> TextSide:
        with self._lock:
            if self._text is None:
                self._text = TextSide()
            return self._text

    def _mean(self) -> Float[np.ndarray, " d"]:
        with self._lock:
            return self._loaded()["text_mean"].numpy()


def build_network(
    tensors: dict[str, Tensor], output: Output, shape: TransformerShape
) -> EmbeddedNetwork:
    """The whole image side from stored tensors and the packaged trunk."""
    trunk = load_trunk()
    head = trunk.get_submodule("classifier")
    weight, bias = head.get_parameter("weight").data, head.get_parameter("bias").data

    def combination(temperature: float, keep: int) -> Combination:
        return Combination(
            weight, bias, tensors["class_vectors"], temperature=temperature, keep=keep
        )

    transformer = PartsTransformer(
        combination(output.parts_temperature, output.parts_keep),
        combination(output.whole_temperature, output.whole_keep),
        shape,
    )
    transformer.load_state_dict({name: tensors[name] for name in transformer.state_dict()})
    return EmbeddedNetwork(trunk, transformer, output).eval().requires_grad_(False)


def _read_constants(folder: Path) -> dict[str, Any]:
    path = folder / CONSTANTS
    if not path.is_file():
        raise NotFoundError(f"{CONSTANTS} of the embedded encoder is missing in {folder}")
    return json.loads(path.read_text(encoding="utf-8"))
