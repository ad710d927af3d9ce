"""Layer-wise transport: do maps and scores of earlier blocks add to those of the last parts.

`patchlane bench evidence --part layers`. PatchCT averages its cost over the layers. In a frozen
encoder an earlier layer's cost trains nothing that the score sees, so what is left to try is the
plan: `aligners/layered_transport` on the layers that the embedded encoder gives, beside
`aligners/transport` on its last parts. Pointing and heat-map AP are of the plan as it is; "as
shown" is the map with neighbours, ground and rivals, as the viewer draws it. Labels by their names
alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float16

from backend.bench._evidence_data import Boxed, Say, boxed_set
from backend.bench._lane_data import coco, mosaics, read_set
from backend.bench.multi_lane import NAME as LANES
from backend.bench.patchct import NAME, course_of
from backend.bench.pointing import Course
from backend.bench.reports import Row, row
from backend.contracts import Aligner, LayerHost, layer_host, layers_of_reading, reads_layers
from backend.errors import BadInputError
from backend.methods.aligners.layered_transport import LayeredTransportAligner
from backend.methods.aligners.transport import TransportAligner
from backend.numerics.localisation import map_average_precisions, pointing
from backend.numerics.scores import mean_average_precision
from backend.pipeline import Pipeline, load_encoder
from backend.recipes import load_recipe
from backend.settings import Settings
from backend.types import Kind, LaneReading, Layout

LAST, ALL, FEW = "the last parts", "mean over the layers", "mean over the last two layers"
Arms = Mapping[str, Aligner]


@dataclass(frozen=True)
class Layered:
    """What lanes read of each picture, from which an encoder tells its layers.

    Attributes:
        tokens: (N, B, T, W) of the frozen stream.
    """

    known: Boxed
    tokens: Float16[np.ndarray, "n b t w"]
    host: LayerHost


def layer_rows(settings: Settings, say: Say) -> Iterator[Row]:
    """Pointing, heat-map AP and mAP of the CT-pooled score on mosaics and photographs."""
    recipe = load_recipe("default")
    pipeline = Pipeline(recipe, load_encoder(recipe.default_encoder(Kind.IMAGE), settings))
    host = layer_host(pipeline.encoder)
    if host is None:
        raise BadInputError(getattr(pipeline.encoder, "layer_refusal", "no layers"))
    home = settings.home / "training"
    for source in (mosaics(settings.data), coco(settings.data)):
        known = boxed_set(source.name, pipeline.encoder, settings.data, home / NAME, say)
        tokens = read_set(source, pipeline, home / LANES, say).tokens
        found = figures(Layered(known, tokens, host), course_of(known, 0), pipeline)
        say(f"{source.name}: {found}")
        for arm, told in ((ALL, "layer-wise transport"), (FEW, f"{FEW} alone")):
            for figure in found[LAST]:
                yield row(
                    f"{told}, {source.name}, {figure}",
                    found[arm][figure],
                    "of 1",
                    at_least=found[LAST][figure] if arm == ALL else None,
                    baseline=LAST,
                    baseline_value=found[LAST][figure],
                )


def arms_at(temperature: float) -> Arms:
    """Transport on the last parts, and over all and the last two layers."""
    layered = LayeredTransportAligner.Settings
    return {
        LAST: TransportAligner(TransportAligner.Settings(temperature=temperature)),
        ALL: LayeredTransportAligner(layered(temperature=temperature)),
        FEW: LayeredTransportAligner(layered(temperature=temperature, last=2)),
    }


def figures(layered: Layered, course: Course, pipeline: Pipeline) -> dict[str, dict[str, float]]:
    """Of each arm on the measured pictures."""
    known, pairs = layered.known, course.pairs
    arms = arms_at(known.scale.temperature)
    plans: dict[str, list[np.ndarray]] = {name: [] for name in arms}
    shown: dict[str, list[np.ndarray]] = {name: [] for name in arms}
    scores: dict[str, list[np.ndarray]] = {name: [] for name in arms}
    order = [pairs[known.rows[pairs] == picture] for picture in course.measured]
    layout = Layout(grid=known.grid)
    nothing = np.zeros(0, np.float32)
    for picture, own in zip(course.measured.tolist(), order, strict=True):
        last = known.parts[picture].astype(np.float32)
        layers = layers_of_reading(
            layered.host, last, LaneReading(layered.tokens[picture], nothing)
        )
        if layers is None:
            raise BadInputError("the encoder does not tell its layers from what lanes read")
        columns = known.columns[own]
        accepted = np.flatnonzero(known.truth[picture])
        for name, aligner in arms.items():
            parts = layers.reshape(len(last), -1) if reads_layers(aligner) else last
            found = aligner.align(parts[None], known.labels)
            plans[name].append(found.backward[0][:, columns].T)
            scores[name].append(found.scores[0])
            seen = pipeline.shown(
                parts,
                known.labels[columns],
                layout,
                rivals=known.labels[accepted],
                own=np.searchsorted(accepted, columns),
                aligner=aligner,
            )
            shown[name].append(seen.backward[0].T)
    inside = known.inside[np.concatenate(order)]
    truth = known.truth[np.ix_(course.measured, course.columns)].astype(np.float32)
    out = {}
    for name in arms:
        plan, seen = np.concatenate(plans[name]), np.concatenate(shown[name])
        said = np.stack(scores[name])[:, course.columns]
        out[name] = {
            "pointing": float(pointing(plan, inside).mean()),
            "heat-map AP": float(np.nanmean(map_average_precisions(plan, inside))),
            "pointing as shown": float(pointing(seen, inside).mean()),
            "mAP of the CT-pooled score": float(
                mean_average_precision(said, truth, np.ones_like(truth, bool))
            ),
        }
    return out
