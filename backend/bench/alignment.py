"""What whole photographs, their cells, and both together know, and where a label's map points.

`mosaic_open` val and `coco_mini` with the embedded encoder, the 20 most common labels, known by
name. Half of the samples, drawn three times, are labelled in full and the other half is scored.
Pointing is the share of (photograph, label it shows) pairs whose strongest cell has its centre
in a box of that label.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from backend.bench.reports import Row, row
from backend.bench.teaching import mean_ap, taught
from backend.images import decode
from backend.pipeline import Pipeline, load_encoder
from backend.recipes import load_recipe
from backend.settings import Settings
from backend.types import Alignment, Features, Kind

PACKS = {"mosaic_open val": ("mosaic_open", "val"), "coco_mini": ("coco_mini", "")}
LABELS = 20
SEEDS = 3
BATCH = 16


@dataclass(frozen=True)
class Photographs:
    """One pack, encoded, with its truth on the most common labels."""

    items: list[dict[str, Any]]
    names: list[str]
    truth: Bool[np.ndarray, "n l"]
    pooled: Float[np.ndarray, "n d"]
    parts: Float[np.ndarray, "n p d"]
    grid: tuple[int, int]
    labels: Float[np.ndarray, "l d"]


def rows(settings: Settings) -> Iterator[Row]:
    """Accuracy before and after half of the samples is labelled, then pointing."""
    recipe = load_recipe("default")
    pipeline = Pipeline(recipe, load_encoder(recipe.default_encoder(Kind.IMAGE), settings))
    for name, (pack, split) in PACKS.items():
        photographs = _photographs(settings, pipeline, pack, split)
        yield from _accuracy(name, pipeline, photographs)
        yield from _pointing(name, pipeline, photographs)


def _accuracy(name: str, pipeline: Pipeline, photographs: Photographs) -> Iterator[Row]:
    truth, everything = photographs.truth, np.arange(len(photographs.truth))
    chance = np.random.default_rng(0).random(truth.shape).astype(np.float32)
    by_chance = mean_ap(chance, truth, everything)
    variants = _variants(pipeline, photographs)
    for told, features in variants.items():
        zero_shot = pipeline.learner.score(
            pipeline.learner.start(truth.shape[1], features.pooled.shape[1]), features
        )
        yield row(
            f"{name} mAP, no verdict, {told}",
            mean_ap(zero_shot, truth, everything),
            "mAP",
            baseline="random scores",
            baseline_value=by_chance,
        )
        before, after = [], []
        for seed in range(SEEDS):
            order = np.random.default_rng(seed).permutation(everything)
            shown, scored = order[: len(order) // 2], order[len(order) // 2 :]
            before.append(mean_ap(zero_shot, truth, scored))
            learned = taught(pipeline.learner, features, truth, shown)
            after.append(mean_ap(learned, truth, scored))
        yield row(
            f"{name} mAP, half labelled, {told}",
            float(np.mean(after)),
            "mAP",
            baseline="the same halves, no verdict",
            baseline_value=float(np.mean(before)),
        )


def _variants(pipeline: Pipeline, photographs: Photographs) -> dict[str, Features]:
    """Features of whole photographs, of cells, and of both.

    Where only one is told its score stands in for the other, so that the zero-shot average is
    that score alone; cells bring their mean as the vector to learn from.
    """
    whole = pipeline.global_scores(photographs.pooled, photographs.labels)
    cells = pipeline.local_scores(list(photographs.parts), photographs.labels)
    mean = photographs.parts.mean(axis=1)
    mean = mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12)
    return {
        "global only": Features(photographs.pooled, whole, whole),
        "transport only": Features(mean, cells, cells),
        "both": Features(photographs.pooled, whole, cells),
    }


def _pointing(name: str, pipeline: Pipeline, photographs: Photographs) -> Iterator[Row]:
    parts, labels = photographs.parts, photographs.labels
    plain = pipeline.aligner.align(parts, labels)
    by_cosine = _hits(plain.similarity, photographs)
    saliency = _saliency(parts)
    ways = {
        "cells weighted by saliency": _align_salient(pipeline, photographs, saliency).backward,
        "times the cells' choice of labels": plain.backward * plain.forward,
    }
    for told, maps in ways.items():
        yield row(
            f"{name} pointing, backward plan, {told}",
            _hits(maps, photographs),
            "share",
            baseline="cosine",
            baseline_value=by_cosine,
        )
    middle = np.zeros_like(plain.similarity)
    rows_, columns = photographs.grid
    middle[:, (rows_ // 2) * columns + columns // 2] = 1
    yield row(
        f"{name} pointing, cosine",
        by_cosine,
        "share",
        baseline="the middle cell",
        baseline_value=_hits(middle, photographs),
    )


def _align_salient(
    pipeline: Pipeline, photographs: Photographs, saliency: Float[np.ndarray, "n p"]
) -> Alignment:
    return pipeline.aligner.align(photographs.parts, photographs.labels, saliency=saliency)


def _saliency(parts: Float[np.ndarray, "n p d"]) -> Float[np.ndarray, "n p"]:
    """How much a cell stands out: 1 - its cosine with the mean cell."""
    mean = parts.mean(axis=1, keepdims=True)
    mean = mean / np.maximum(np.linalg.norm(mean, axis=2, keepdims=True), 1e-12)
    return np.maximum(1 - (parts * mean).sum(axis=2), 0)


def _hits(maps: Float[np.ndarray, "n p l"], photographs: Photographs) -> float:
    rows_, columns = photographs.grid
    strongest = maps.argmax(axis=1)
    hits = []
    for index, label in zip(*np.nonzero(photographs.truth), strict=True):
        item, name = photographs.items[index], photographs.names[label]
        y, x = divmod(int(strongest[index, label]), columns)
        x, y = (x + 0.5) / columns * item["width"], (y + 0.5) / rows_ * item["height"]
        hits.append(any(_is_inside(x, y, box, name) for box in item["boxes"]))
    return float(np.mean(hits))


def _is_inside(x: float, y: float, box: dict[str, Any], name: str) -> bool:
    left, top, width, height = box["xywh"]
    return box["label"] == name and 0 <= x - left <= width and 0 <= y - top <= height


def _photographs(settings: Settings, pipeline: Pipeline, pack: str, split: str) -> Photographs:
    folder = settings.data / pack
    with (folder / "annotations.jsonl").open(encoding="utf-8") as lines:
        items = [json.loads(line) for line in lines]
    items = [item for item in items if not split or item["split"] == split]
    names = sorted({name for item in items for name in item["labels"]})
    truth = np.array([[name in item["labels"] for name in names] for item in items])
    common = np.sort(np.argsort(-truth.sum(axis=0), kind="stable")[:LABELS])
    encoder = pipeline.encoder
    pooled, parts, grid = [], [], None
    for start in range(0, len(items), BATCH):
        pictures = [
            decode(folder / item["file"], at_least=encoder.input_size)
            for item in items[start : start + BATCH]
        ]
        encoded = encoder.encode(pictures)
        pooled.append(encoded.pooled)
        parts.extend(encoded.parts)
        grid = encoded.layouts[0].grid
    chosen = [names[label] for label in common]
    return Photographs(
        items=items,
        names=chosen,
        truth=truth[:, common],
        pooled=np.concatenate(pooled),
        parts=np.stack(parts).astype(np.float32),
        grid=grid or (1, 1),
        labels=encoder.encode_labels(chosen),
    )
