"""What the parts do to the score: the shipped one, global and transport, beside the global alone.

`patchlane bench evidence --part scores`, on the five sets with boxes. Without any verdict all
pictures are scored (of `mosaic_open` its val part and the composed mosaics); then heads learn from
the pictures that `reproduce patchct` teaches, three draws, and those it measures are scored. Where
only the global score is told it stands in for the other, so that both have the same heads and
priors.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from backend.bench._evidence_data import SETS, Boxed, Say, boxed_set
from backend.bench.patchct import NAME, course_of
from backend.bench.reports import Row, row
from backend.bench.teaching import mean_ap, taught
from backend.pipeline import Pipeline, load_encoder
from backend.recipes import load_recipe
from backend.settings import Settings
from backend.types import Features, Kind

SEEDS = 3
LOSS = 0.003
"""The most mAP that parts may cost on any set."""

SHIPPED, GLOBAL = "shipped", "global only"


def score_rows(settings: Settings, say: Say) -> Iterator[Row]:
    """Per set the mAP of both scores, without verdicts and after learning."""
    recipe = load_recipe("default")
    pipeline = Pipeline(recipe, load_encoder(recipe.default_encoder(Kind.IMAGE), settings))
    folder = settings.home / "training" / NAME
    for name in SETS:
        known = boxed_set(name, pipeline.encoder, settings.data, folder, say)
        found = quality(known, pipeline, say)
        for when, values in found.items():
            yield row(
                f"mAP of the shipped score, {name}, {when}",
                values[SHIPPED],
                "mAP",
                at_least=values[GLOBAL] - LOSS,
                baseline="global score only",
                baseline_value=values[GLOBAL],
            )


def quality(known: Boxed, pipeline: Pipeline, say: Say) -> dict[str, dict[str, float]]:
    """MAP of both scores by when it is measured, mean of the draws."""
    ways = features_of(known, pipeline)
    no_verdict, learned = "no verdict", "heads learned, held out"
    found: dict[str, dict[str, list[float]]] = {no_verdict: {}, learned: {}}
    everything = np.flatnonzero(~known.is_taught)
    courses = [course_of(known, seed) for seed in range(SEEDS)]
    for way, features in ways.items():
        start = pipeline.learner.start(len(known.names), features.pooled.shape[1])
        plain = pipeline.learner.score(start, features)
        found[no_verdict][way] = [mean_ap(plain, known.truth, everything)]
        found[learned][way] = []
        for course in courses:
            scores = taught(pipeline.learner, features, known.truth, course.taught)
            columns = course.columns
            value = mean_ap(scores[:, columns], known.truth[:, columns], course.measured)
            found[learned][way].append(value)
    say(f"{known.name}: {found}")
    return {
        when: {way: float(np.mean(values)) for way, values in each.items()}
        for when, each in found.items()
    }


def features_of(known: Boxed, pipeline: Pipeline) -> dict[str, Features]:
    """What heads see of all pictures, with and without the score of their parts."""
    pooled = known.pooled.astype(np.float32)
    whole = pipeline.global_scores(pooled, known.labels)
    local = np.concatenate(
        [
            pipeline.local_scores(list(block.astype(np.float32)), known.labels)
            for block in np.array_split(known.parts, max(1, len(known.parts) // 128))
        ]
    )
    return {SHIPPED: Features(pooled, whole, local), GLOBAL: Features(pooled, whole, whole)}
