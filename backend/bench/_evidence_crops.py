"""Whether the labels of crops and the boxes that are made of maps are those of the true boxes.

On the pictures of `reproduce relabel`, with the labels that a picture is known to show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from safetensors.numpy import save

from backend.bench._embedded_data import MOSAICS, read_rows
from backend.bench._lane_data import COCO
from backend.bench._relabel_data import CroppedSet, cropped_set
from backend.bench.relabel import NAME, agreement
from backend.bench.reports import Row, row
from backend.errors import NotFoundError
from backend.localising import KEPT
from backend.numerics import label_maps
from backend.numerics.boxes import Box, boxes_of
from backend.pipeline import Pipeline, load_encoder
from backend.recipes import load_recipe
from backend.settings import Settings
from backend.types import Kind

WHOLE: Box = (0.0, 0.0, 1.0, 1.0)


def crop_rows(settings: Settings, say: Callable[[str], None]) -> Iterator[Row]:
    """Crop labels beside the sample's labels, the first box beside the whole picture, and bytes.

    Raises:
        NotFoundError: the data packs are not there.
    """
    if not settings.data.is_dir():
        raise NotFoundError(f"no data packs in {settings.data}; set PATCHLANE_DATA")
    recipe = load_recipe("default")
    pipeline = Pipeline(recipe, load_encoder(recipe.default_encoder(Kind.IMAGE), settings))
    for pack in (MOSAICS, COCO):
        known = cropped_set(settings.data, pack, pipeline, settings.home / "training" / NAME, say)
        told = agreement(known)
        for figure, unit in (("right", "share"), ("error", "mean square")):
            for name in ("sample's labels", "softmax of the pooled map, as ReLabel"):
                yield row(
                    f"{pack}: labels of small crops from the map, {figure}",
                    told["share of the map"][figure],
                    unit,
                    baseline=name,
                    baseline_value=told[name][figure],
                )
        pictures = read_rows(settings.data, pack)[: known.num_taught]
        ours, whole = overlaps(known, pictures)
        yield row(
            f"{pack}: overlap (IoU) of the first box of a label's map and a true one",
            ours,
            "IoU",
            baseline="the whole picture",
            baseline_value=whole,
        )
        yield row(
            f"{pack}: a label map, {KEPT} labels of each part",
            float(np.mean([num_bytes(known, number) for number in range(known.num_taught)])),
            "bytes",
            baseline="float32, every label of the picture and part",
            baseline_value=float(known.truth[: known.num_taught].sum(axis=1).mean())
            * 4
            * known.maps.shape[1],
        )


def overlaps(known: CroppedSet, pictures: Sequence[dict[str, Any]]) -> tuple[float, float]:
    """Mean overlap with the nearest true box of the label, of our box and of the whole picture."""
    ours, whole = [], []
    for number, picture in enumerate(pictures):
        for column in np.flatnonzero(known.truth[number]):
            true = [
                (
                    box["xywh"][0] / picture["width"],
                    box["xywh"][1] / picture["height"],
                    box["xywh"][2] / picture["width"],
                    box["xywh"][3] / picture["height"],
                )
                for box in picture["boxes"]
                if box["label"] == known.names[column]
            ]
            found = boxes_of(known.cosines[number][:, column].reshape(known.grid))
            ours.append(max((iou(found[0], one) for one in true), default=0) if found else 0.0)
            whole.append(max((iou(WHOLE, one) for one in true), default=0))
    return float(np.mean(ours)), float(np.mean(whole))


def iou(one: Box, other: Box) -> float:
    """Area of what two boxes share over the area of both together."""
    wide = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    tall = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    both = max(wide, 0) * max(tall, 0)
    return both / max(one[2] * one[3] + other[2] * other[3] - both, 1e-12)


def num_bytes(known: CroppedSet, number: int) -> int:
    """Of the arrays of a picture's map as they are kept, header included."""
    own = known.truth[number]
    columns, values = label_maps.strongest(known.maps[number][:, own], KEPT)
    return len(save({"columns": columns, "values": values}))
