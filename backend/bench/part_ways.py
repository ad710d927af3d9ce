"""How an encoder's parts are best made: every way it knows, on pictures with boxes.

Of an open_clip encoder the ways of `?parts=...&artefacts=...`; of the embedded one the size of its
input, and with it the grid, of the untrained combination (the trained transformer lives on the grid
it was trained at). Labels are known by name only. mAP is of the mean of the global and the
transport score, each at mean 0 and deviation 1; pointing and heat-map AP are of the backward plan.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from backend.bench._embedded_data import read_rows
from backend.bench._embedded_measures import encode_files
from backend.bench.reports import Row, row
from backend.contracts import Encoder, has_text_side
from backend.errors import BadInputError
from backend.methods.encoders._trunk import STRIDE
from backend.methods.encoders.embedded import CONSTANTS, EmbeddedEncoder
from backend.numerics import transport
from backend.numerics.localisation import cells_on_boxes, map_average_precisions, pointing
from backend.numerics.scores import mean_average_precision
from backend.pipeline import load_encoder
from backend.recipes import parse_encoder_id
from backend.settings import Settings

Say = Callable[[str], None]
SETS = {"coco_mini": "", "mosaic_open": "val"}
SIZES = (320, 384, 448, 512)
UNITS = {"mean_precision": "mAP", "pointing": "pointing", "heatmap_ap": "heat-map AP"}
WAYS = ("values", "tokens", "self")
ARTEFACTS = ("kept", "replaced")


@dataclass(frozen=True)
class Figures:
    """What one way of making parts gets on one set."""

    mean_precision: float
    pointing: float
    heatmap_ap: float


def rows(settings: Settings, *, say: Say, encoder: str = "embedded") -> Iterator[Row]:
    """Three rows per way and set, beside the encoder as it is named.

    Raises:
        BadInputError: the encoder has one way only, or no text side.
    """
    (name,) = parse_encoder_id(encoder)
    plain = load_encoder(encoder, settings)
    if not has_text_side(plain):
        raise BadInputError(f"{encoder} has no text side, so no label can be pointed at by name")
    if name.key == "encoders/embedded":
        ways = _sizes(settings)
    elif name.key == "encoders/clip":
        ways = _clip_ways(encoder.partition("?")[0], settings, say)
    else:
        raise BadInputError(f"{encoder} makes its parts in one way; say embedded or open_clip:...")
    usual = {pack: _measured(plain, settings.data, pack, say) for pack in SETS}
    for told, other in ways:
        for pack, base in usual.items():
            found = _measured(other, settings.data, pack, say)
            for figure, unit in UNITS.items():
                yield row(
                    f"{pack} {unit}, {told}",
                    getattr(found, figure),
                    unit,
                    baseline=f"{encoder} as it is",
                    baseline_value=getattr(base, figure),
                )


def _clip_ways(base: str, settings: Settings, say: Say) -> Iterator[tuple[str, Any]]:
    for way in WAYS:
        for artefacts in ARTEFACTS:
            told = f"parts={way}&artefacts={artefacts}"
            try:
                made = load_encoder(f"{base}?{told}", settings)
            except BadInputError as reason:
                say(str(reason))
                continue
            yield told, made


def _sizes(settings: Settings) -> Iterator[tuple[str, Any]]:
    shipped = EmbeddedEncoder(EmbeddedEncoder.Settings(threads=settings.threads))
    for size in SIZES:
        with _resized(shipped, size, settings) as made:
            side = size // STRIDE
            yield f"untrained combination at {size} px, grid {side} x {side}", made


@contextmanager
def _resized(shipped: EmbeddedEncoder, size: int, settings: Settings) -> Iterator[EmbeddedEncoder]:
    """The classes' combination alone, on pictures of another size."""
    constants = json.loads((shipped.folder / CONSTANTS).read_text(encoding="utf-8"))
    alone = {"learned_parts": 0.0, "learned_whole": 0.0, "smooth": False, "whole_from_parts": 0.0}
    constants["output"] |= {**alone, "size": size}
    with TemporaryDirectory(prefix="patchlane-size-") as folder:
        for file in shipped.folder.iterdir():
            if file.name != CONSTANTS:
                (Path(folder) / file.name).symlink_to(file.resolve())
        (Path(folder) / CONSTANTS).write_text(json.dumps(constants), encoding="utf-8")
        yield EmbeddedEncoder(EmbeddedEncoder.Settings(folder=folder, threads=settings.threads))


def _measured(encoder: Encoder, data: Path, pack: str, say: Say) -> Figures:
    split = SETS[pack]
    items = [each for each in read_rows(data, pack) if not split or each["split"] == split]
    encoded = encode_files(encoder, data, pack, [each["file"] for each in items], say)
    names = sorted({label for each in items for label in each["labels"]})
    labels = encoder.encode_labels(names)
    parts = np.stack(encoded.parts).astype(np.float32)
    theta = transport.part_weights(np.ones(parts.shape[:2], bool))
    temperature = encoder.scale.temperature
    local = transport.pooled_scores(parts, labels, theta, temperature)
    whole = encoded.pooled @ labels.T
    both = _standard(local) + _standard(whole)
    truth = np.array([[label in each["labels"] for label in names] for each in items], np.float32)
    maps, inside = [], []
    for each, cells, layout in zip(items, parts, encoded.layouts, strict=True):
        grid = layout.grid or (1, 1)
        size = np.array([each["width"], each["height"]] * 2, float)
        for label in sorted({box["label"] for box in each["boxes"]}):
            boxes = [box["xywh"] for box in each["boxes"] if box["label"] == label]
            inside.append(cells_on_boxes(np.array(boxes, float) / size, grid))
            maps.append(cells @ labels[names.index(label)])  # the backward plan's order of parts
    maps, inside = np.stack(maps), np.stack(inside)
    return Figures(
        mean_precision=mean_average_precision(both, truth, np.ones(truth.shape, bool)),
        pointing=float(pointing(maps, inside).mean()),
        heatmap_ap=float(np.nanmean(map_average_precisions(maps, inside))),
    )


def _standard(scores: np.ndarray) -> np.ndarray:
    return (scores - scores.mean()) / max(float(scores.std()), 1e-12)
