"""Layer-wise transport: do maps and scores of earlier blocks add to those of the last parts.

`patchlane bench evidence --part layers`. PatchCT sums its cost over the layers, each brought to the
labels' space by a projection of its own. In a frozen encoder an earlier layer's cost trains nothing
that the score sees, so what is left to try is the plan: here each block of the parts transformer
gets the ridge projection that brings its cells nearest to the last parts of the taught pictures,
and maps and CT-pooled scores are the means over the layers. Labels by their names alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float16

from backend.bench._evidence_data import Boxed, Say, boxed_set
from backend.bench._lane_data import coco, mosaics, read_set
from backend.bench.multi_lane import NAME as LANES
from backend.bench.patchct import NAME, course_of
from backend.bench.pointing import Course
from backend.bench.reports import Row, row
from backend.numerics import transport
from backend.numerics.localisation import map_average_precisions, pointing
from backend.numerics.scores import mean_average_precision
from backend.pipeline import Pipeline, load_encoder
from backend.recipes import load_recipe
from backend.settings import Settings
from backend.types import Kind

RIDGE = 1.0
LAST, ALL = "the last parts", "mean over the layers"


@dataclass(frozen=True)
class Layered:
    """Cells of each block beside the last parts.

    Attributes:
        tokens: (N, B, P, W) of the frozen stream, without [CLS].
    """

    known: Boxed
    tokens: Float16[np.ndarray, "n b p w"]


def layer_rows(settings: Settings, say: Say) -> Iterator[Row]:
    """Pointing, heat-map AP and mAP of the CT-pooled score on mosaics and photographs."""
    recipe = load_recipe("default")
    pipeline = Pipeline(recipe, load_encoder(recipe.default_encoder(Kind.IMAGE), settings))
    home = settings.home / "training"
    for source in (mosaics(settings.data), coco(settings.data)):
        known = boxed_set(source.name, pipeline.encoder, settings.data, home / NAME, say)
        tokens = read_set(source, pipeline, home / LANES, say).tokens
        cells = tokens[:, :, tokens.shape[2] - known.parts.shape[1] :]
        found = figures(Layered(known, cells), course_of(known, 0))
        say(f"{source.name}: {found}")
        for figure in found[LAST]:
            yield row(
                f"layer-wise transport, {source.name}, {figure}",
                found[ALL][figure],
                "of 1",
                at_least=found[LAST][figure],
                baseline=LAST,
                baseline_value=found[LAST][figure],
            )


def figures(layered: Layered, course: Course) -> dict[str, dict[str, float]]:
    """Of the last parts alone and of the mean over the layers, on the measured pictures."""
    known = layered.known
    projections = projected(layered.tokens, known.parts, course.taught)
    pairs = course.pairs
    maps: dict[str, list[np.ndarray]] = {LAST: [], ALL: []}
    scores: dict[str, list[np.ndarray]] = {LAST: [], ALL: []}
    order = [pairs[known.rows[pairs] == picture] for picture in course.measured]
    for picture, own in zip(course.measured.tolist(), order, strict=True):
        clouds = [
            unit(block.astype(np.float32) @ by)
            for block, by in zip(layered.tokens[picture], projections, strict=True)
        ]
        last = known.parts[picture].astype(np.float32)
        plans, means = zip(
            *(told(cloud, known.labels, known.scale.temperature) for cloud in (*clouds, last)),
            strict=True,
        )
        for name, plan, score in (
            (LAST, plans[-1], means[-1]),
            (ALL, np.mean(plans, axis=0), np.mean(means, axis=0)),
        ):
            maps[name].append(plan[:, known.columns[own]].T)
            scores[name].append(score)
    inside = known.inside[np.concatenate(order)]
    truth = known.truth[np.ix_(course.measured, course.columns)].astype(np.float32)
    out = {}
    for name, found in maps.items():
        of_all = np.concatenate(found)
        said = np.stack(scores[name])[:, course.columns]
        out[name] = {
            "pointing": float(pointing(of_all, inside).mean()),
            "heat-map AP": float(np.nanmean(map_average_precisions(of_all, inside))),
            "mAP of the CT-pooled score": float(
                mean_average_precision(said, truth, np.ones_like(truth, bool))
            ),
        }
    return out


def projected(
    tokens: Float16[np.ndarray, "n b p w"],
    parts: Float[np.ndarray, "n p d"] | Float16[np.ndarray, "n p d"],
    rows: Sequence[int] | np.ndarray,
) -> list[Float[np.ndarray, "w d"]]:
    """Per block the ridge map from its cells to the last parts, fitted on some pictures."""
    found = []
    for block in range(tokens.shape[1]):
        width = tokens.shape[3]
        gram, both = RIDGE * np.eye(width), np.zeros((width, parts.shape[2]))
        for picture in rows:
            cells = tokens[picture, block].astype(np.float64)
            gram += cells.T @ cells
            both += cells.T @ parts[picture].astype(np.float64)
        found.append(np.linalg.solve(gram, both).astype(np.float32))
    return found


def told(
    parts: Float[np.ndarray, "p d"], labels: Float[np.ndarray, "l d"], temperature: float
) -> tuple[Float[np.ndarray, "p l"], Float[np.ndarray, " l"]]:
    """Each label's map, the backward navigator, and its CT-pooled score."""
    cosine = transport.similarity(parts[None], labels)
    theta = np.full((1, len(parts)), 1 / len(parts), np.float32)
    plan = transport.backward_navigator(cosine, theta, temperature)[0]
    return plan, (plan * cosine[0]).sum(axis=0)


def unit(rows: Float[np.ndarray, "p d"]) -> Float[np.ndarray, "p d"]:
    """Rows of length 1."""
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
