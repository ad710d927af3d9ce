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
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
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

from backend.errors import BadInputError, NotFoundError
from backend.fingerprints import fingerprint_of
from backend.methods._torch import choose_device
from backend.methods.encoders._captioned_nouns import CaptionedNouns
from backend.methods.encoders._dictionary import Dictionary
from backend.methods.encoders._engine import (
    Engine,
    choose_dtype,
    choose_engine,
    compile_engine,
    usable_threads,
)
from backend.methods.encoders._frozen import (
    Frozen,
    Watched,
    array,
    linear_of,
    no_layers,
    norm_of,
    three_of,
)
from backend.methods.encoders._label_space import TextSide, encode_label_names
from backend.methods.encoders._layer_projections import LayerProjections
from backend.methods.encoders._mean_cell import MeanCellProjection
from backend.methods.encoders._packaged import (
    CLASS_NAMES,
    EFFICIENTNET_LITE0,
    MINILM,
    check_shipped,
)
from backend.methods.encoders._parts_transformer import (
    Combination,
    PartsTransformer,
    TransformerShape,
)
from backend.methods.encoders._trunk import MEAN, STD, STRIDE, load_trunk
from backend.methods.encoders._words import check_texts, encoder_fingerprint, unit_rows
from backend.settings import assets_folder
from backend.types import (
    Encoded,
    FrozenBlock,
    FrozenStack,
    Kind,
    LaneReading,
    Layout,
    ScoreScale,
)

CONSTANTS = "encoder.json"
STREAM_BATCH, MOST_STREAMS = 4, 4
"""Pictures per run, and runs at once, of OpenVINO: one run of two threads took 67 ms CPU a picture
on 2 shared cores, two runs of one thread each 58, since threads of one run wait for each other."""


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
    words: str
    dtype: str


class EmbeddedNetwork(nn.Module):
    """RGB pictures (B, H, W, 3) uint8 to parts (B, P, D) and pooled (B, D)."""

    def __init__(self, trunk: nn.Module, transformer: PartsTransformer, output: Output):
        super().__init__()
        self.trunk, self.transformer, self.output = trunk, transformer, output
        self.grid = output.size // STRIDE

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        return self.given_out(self.cells(pictures))

    def cells(self, pictures: Tensor) -> Tensor:
        """The trunk's last map (B, P, C), row by row."""
        x = (pictures.permute(0, 3, 1, 2).float() / 255 - MEAN) / STD
        cells = self.trunk.forward_features(x)  # pyright: ignore[reportCallIssue]
        return cells.flatten(2).transpose(1, 2)

    def given_out(self, cells: Tensor) -> tuple[Tensor, Tensor]:
        """Parts and pooled of the trunk's cells."""
        parts, pooled = self.transformer(
            cells,
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


class WithMeanCell(nn.Module):
    """The same network with one more output, the trunk's mean cell, scaled to length 1."""

    def __init__(self, network: EmbeddedNetwork):
        super().__init__()
        self.network = network

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        cells = self.network.cells(pictures)
        parts, pooled = self.network.given_out(cells)
        if self.network.output.learned_parts == self.network.output.learned_whole == 0:
            self.network.transformer.learned(cells, self.network.grid)  # for whoever watches it
        return parts, pooled, functional.normalize(cells.mean(1), dim=-1)


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
            batch_size: pictures per run of the network; OpenVINO runs several smaller ones at once.
            folder: where the weights lie, "" for those that ship.
            cache: where compiled networks are kept, "" for nowhere.
        """

        engine: str = "auto"
        device: str = "auto"
        dtype: str = "auto"
        threads: int = 0
        batch_size: int = 16
        folder: str = ""
        cache: str = ""

    id = "embedded"
    kind = Kind.IMAGE
    lane_refusal = ""

    def __init__(self, settings: Settings | None = None):
        self.settings = settings or self.Settings()
        if self.settings.batch_size < 1:
            raise BadInputError(f"batch_size is {self.settings.batch_size}; give one above 0")
        engine = choose_engine(self.settings.engine, choose_device(self.settings.device))
        threads = usable_threads(self.settings.threads)
        self._streams = min(threads, MOST_STREAMS) if engine == "openvino" else 1
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
        words = constants.get("dictionary")
        self._dictionary = None if words is None else Dictionary(**words)
        said = constants.get("captions")
        self._captions = None if said is None else CaptionedNouns(self.folder, said)
        self.fingerprint = fingerprint_of(
            "encoders/embedded",
            Identity(
                self.output,
                self.shape,
                trunk=next(iter(EFFICIENTNET_LITE0.files.values())),
                text=MINILM.files["model.safetensors"],
                words=json.dumps([words, said, dict(CLASS_NAMES.files)], sort_keys=True),
                dtype=choose_dtype(self.settings.dtype),
            ),
            weights=self._sha256,
        )
        self.lane_key = encoder_fingerprint(
            "embedded-stream",
            {
                "trunk": dict(EFFICIENTNET_LITE0.files),
                "weights": self._sha256,
                "size": self.output.size,
                "dtype": choose_dtype(self.settings.dtype),
                "mean_cell": constants.get("mean_cell", {}).get("sha256", ""),
            },
        )
        told = constants.get("mean_cell")
        self._plain = None if told is None else MeanCellProjection(self.folder, told)
        self.plain_dim = self.shape.features if self._plain is None else self._plain.dim
        told = constants.get("layers")
        self._layers = None if told is None else LayerProjections(self.folder, told)
        self.num_layers = 0 if self._layers is None else self._layers.num_blocks + 1
        lacking = no_layers(self.id, "its folder has no projections of its blocks")
        self.layer_refusal = "" if self._layers is not None else lacking
        self._lock = Lock()
        self._tensors: dict[str, Tensor] | None = None
        self._run: Engine | None = None
        self._watch: Engine | None = None
        self._text: TextSide | None = None

    def encode(self, samples: Sequence[object]) -> Encoded:
        """Parts and pooled vectors; every picture is stretched to the input size, never cropped.

        Raises:
            BadInputError: a sample is no picture.
            NotFoundError, RefusedError: weights are missing or are not the pinned ones.
        """
        return self._encoded(samples, self._engine)[0]

    def read(self, samples: Sequence[object]) -> tuple[Encoded, list[LaneReading]]:
        """`encode`, and what lanes read; the plain numbers come from the trunk's mean cell.

        Raises:
            BadInputError, NotFoundError, RefusedError: as `encode`.
        """
        return self._encoded(samples, self._watching_engine)

    def frozen_stack(self) -> FrozenStack:
        """The blocks of the parts transformer."""
        with self._lock:
            return freeze(self.network().transformer).stack

    def layers(self, samples: Sequence[object]) -> list[Float[np.ndarray, "p k d"]]:
        """The cells of each block of the parts transformer, and the parts.

        Raises:
            BadInputError, NotFoundError, RefusedError: as `encode`, or there are no projections.
        """
        encoded, readings = self.read(samples)
        pairs = zip(encoded.parts, readings, strict=True)
        return [self.layers_of_reading(parts, reading) for parts, reading in pairs]

    def layers_of_reading(
        self, parts: Float[np.ndarray, "p d"], reading: LaneReading
    ) -> Float[np.ndarray, "p k d"]:
        """The same of a picture that was read already.

        Raises:
            BadInputError, NotFoundError, RefusedError: as `layers`.
        """
        if self._layers is None:
            raise BadInputError(self.layer_refusal)
        return self._layers(parts, reading.tokens)

    def _encoded(
        self, samples: Sequence[object], engine: Callable[[], Engine]
    ) -> tuple[Encoded, list[LaneReading]]:
        grid = self.output.size // STRIDE
        parts: list[Float[np.ndarray, "p d"]] = []
        pooled = np.zeros((len(samples), self.dim), np.float32)
        readings: list[LaneReading] = []
        run = engine() if len(samples) else None
        step = min(self.settings.batch_size, STREAM_BATCH if self._streams > 1 else 1 << 30)

        def one_run(start: int) -> tuple[np.ndarray, ...]:
            pictures = [self._picture(sample) for sample in samples[start : start + step]]
            return run(np.stack(pictures)) if run is not None else ()

        starts = range(0, len(samples), step)
        for start, (found, whole, *more) in zip(
            starts, self._side_by_side(one_run, starts), strict=True
        ):
            pooled[start : start + len(whole)] = whole
            parts.extend(found)
            if more:
                mean_cells, tokens = more
                if self._plain is not None:
                    mean_cells = self._plain(mean_cells)
                readings += [LaneReading(*one) for one in zip(tokens, mean_cells, strict=True)]
        layouts = (Layout(grid=(grid, grid)),) * len(samples)
        return Encoded(pooled, tuple(parts), layouts), readings

    def _side_by_side(
        self, run: Callable[[int], tuple[np.ndarray, ...]], starts: Sequence[int]
    ) -> Iterator[tuple[np.ndarray, ...]]:
        """The runs in order, as many at once as the engine takes."""
        if self._streams == 1 or len(starts) < 2:
            yield from map(run, starts)
            return
        # Threads of this call: they inherit how urgent the calling thread is.
        with ThreadPoolExecutor(self._streams, thread_name_prefix="embedded") as pool:
            yield from pool.map(run, starts)

    def encode_labels(self, names: Sequence[str]) -> Float[np.ndarray, "l d"]:
        names = [name.replace("_", " ") for name in check_texts(names, self.id)]
        labels = encode_label_names(self._text_side(), self._mean(), names, self._dictionary)
        return labels if self._captions is None else self._captions.drawn(names, labels)

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
            check_shipped(self._weights, self._sha256)
            stored = load_file(self._weights)
            self._tensors = {name: tensor.float() for name, tensor in stored.items()}
        return self._tensors

    def _engine(self) -> Engine:
        """The network, compiled on first use: a project whose vectors are stored opens without.

        One that gives its stream as well does the same work; what it says more is dropped, where
        compiling a second one takes as long as a hundred pictures.
        """
        with self._lock:
            if self._watch is not None:
                return self._watch
            if self._run is None:
                self._run = self._compiled(self.network, "plain")
            return self._run

    def _watching_engine(self) -> Engine:
        """The network that gives its stream as well, compiled on first use."""
        with self._lock:
            if self._watch is None:
                self._watch = self._compiled(self._watched, "watched")
            return self._watch

    def _watched(self) -> Watched:
        network = self.network()
        return Watched(WithMeanCell(network), freeze(network.transformer))

    def _compiled(self, load: Callable[[], nn.Module], form: str) -> Engine:
        size = self.output.size
        return compile_engine(
            load,
            [np.zeros((2, size, size, 3), np.uint8)],
            engine=self.settings.engine,
            device=self.settings.device,
            dtype=self.settings.dtype,
            threads=self.settings.threads,
            streams=self._streams,
            cache=self.settings.cache,
            identity=f"embedded {form} {self.fingerprint} {self.lane_key}",
        )

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


def freeze(transformer: PartsTransformer) -> Frozen:
    """The blocks of the parts transformer, for lanes."""
    modules: list[Any] = list(transformer.blocks)
    blocks: list[FrozenBlock] = []
    for block in modules:
        query, key, value = three_of(block.qkv.weight, block.qkv.bias)
        blocks.append(
            FrozenBlock(
                norm1=norm_of(block.norm_attention),
                query=query,
                key=key,
                value=value,
                out=linear_of(block.out),
                norm2=norm_of(block.norm_mlp),
                up=linear_of(block.mlp[0]),
                down=linear_of(block.mlp[2]),
            )
        )
    stack = FrozenStack(
        blocks=tuple(blocks),
        heads=transformer.shape.heads,
        start=array(transformer.cls.flatten()),
        final_norm=norm_of(transformer.norm_out),
    )
    return Frozen(stack, tuple(modules), tuple(block.norm_attention for block in modules))


def _read_constants(folder: Path) -> dict[str, Any]:
    path = folder / CONSTANTS
    if not path.is_file():
        raise NotFoundError(f"{CONSTANTS} of the embedded encoder is missing in {folder}")
    return json.loads(path.read_text(encoding="utf-8"))
