"""Random crops with labels of their own, beside crops with the sample's labels and no crops.

Source: Yun et al., Re-labeling ImageNet, CVPR 2021 (2101.05022). `patchlane reproduce relabel`;
claims, data and how long it takes: `assets/recipes/relabel.toml`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from backend.bench._embedded_data import MOSAICS
from backend.bench._lane_data import COCO
from backend.bench._relabel_data import CROPS, SEEN, CroppedSet, cropped_set
from backend.bench.claims import compared, read_claims, report
from backend.bench.teaching import mean_ap
from backend.methods.learners._heads import LogisticHeads
from backend.numerics import label_maps
from backend.pipeline import Pipeline, load_encoder
from backend.recipes import load_recipe
from backend.settings import Settings
from backend.types import Features, Kind, Lessons

Say = Callable[[str], None]

NAME = "relabel"
TAUGHT = 300
"""Mosaics that each seed draws of those that may be taught; of photographs it is half."""

WHOLE, LIGHT = "whole picture", "whole picture, counted a third"
SAMPLE, CROP, BOXES = "crops, sample's labels", "crops, crop labels", "crops, true boxes"
RIGHT = "right about boxes"


def reproduce(*, seeds: int, train: bool, data: Path, progress: Say) -> dict[str, Any]:  # noqa: ARG001
    """Run all arms on both sets.

    Args:
        seeds: of which pictures are taught.
        train: nothing is trained beforehand here.
        data: folder of the data packs.
        progress: told what is being done.

    Returns:
        The report; `figures` holds by set the mAP of each arm, mean of the seeds, and how
        right each kind of label of a crop is.
    """
    started = time.monotonic()
    settings = Settings.from_environ()
    recipe = load_recipe("default")
    pipeline = Pipeline(recipe, load_encoder(recipe.default_encoder(Kind.IMAGE), settings))
    runs: dict[str, list[dict[str, float]]] = {}
    figures: dict[str, Any] = {}
    for pack in (MOSAICS, COCO):
        known = cropped_set(data, pack, pipeline, settings.home / "training" / NAME, progress)
        right = agreement(known)
        told = {RIGHT: {name: each["right"] for name, each in right.items()}}
        runs[pack] = []
        for seed in range(seeds):
            found = measured(known, seed=seed)
            progress(f"{pack}, seed {seed}: {found}")
            runs[pack].append({f"mAP {arm}": value for arm, value in found.items()})
            runs[pack][-1] |= {f"{RIGHT} {arm}": value for arm, value in told[RIGHT].items()}
        means = {
            arm: round(float(np.mean([run[arm] for run in runs[pack]])), 4) for arm in runs[pack][0]
        }
        figures[pack] = {name: value for name, value in means.items() if name.startswith("mAP")}
        figures[pack] |= {"labels of crops": right}
    return report(
        NAME,
        "Yun et al., CVPR 2021",
        started=started,
        claims=[claim_of(each, runs) for each in read_claims(NAME)],
        figures=figures,
    )


def measured(known: CroppedSet, *, seed: int) -> dict[str, float]:
    """MAP of whole pictures that were not taught, by arm; each taught picture counts once."""
    count = known.num_taught
    order = np.random.default_rng(seed).permutation(count)
    if len(known.truth) > count:
        taught, rest = np.sort(order[:TAUGHT]), np.arange(count, len(known.truth))
    else:
        taught, rest = np.sort(order[: count // 2]), np.sort(order[count // 2 :])
    own = known.truth[:count].astype(np.float32)
    crops = range(1, 1 + CROPS)
    targets: dict[str, list[Float[np.ndarray, "m l"]]] = {
        WHOLE: [],
        SAMPLE: [own for _ in crops],
        CROP: [known.crop_labels(crop) for crop in crops],
        BOXES: [own * known.seen[crop - 1] for crop in crops],
    }
    found: dict[str, float] = {}
    for arm, labels in targets.items():
        scores = _taught(known, taught, labels, counted=1 / (1 + len(labels)))
        found[arm] = round(mean_ap(scores, known.truth, rest), 4)
    scores = _taught(known, taught, [], counted=1 / (1 + CROPS))
    found[LIGHT] = round(mean_ap(scores, known.truth, rest), 4)
    return found


def _taught(
    known: CroppedSet,
    rows: np.ndarray,
    labels: list[Float[np.ndarray, "m l"]],
    *,
    counted: float,
) -> Float[np.ndarray, "n l"]:
    """Scores of all whole pictures after heads learned from these, and from their crops.

    A row that counts a share of one is the same as a prior that is held so much more firmly.
    """
    prior = LogisticHeads.Settings()
    heads = LogisticHeads(
        replace(
            prior,
            mix_precision=prior.mix_precision / counted,
            weight_precision=prior.weight_precision / counted,
            offset_precision=prior.offset_precision / counted,
        )
    )
    views = known.views[: 1 + len(labels)]
    features = Features(
        pooled=np.concatenate([view.features.pooled[rows] for view in views]),
        global_scores=np.concatenate([view.features.global_scores[rows] for view in views]),
        local_scores=np.concatenate([view.features.local_scores[rows] for view in views]),
    )
    whole = known.truth[rows].astype(np.float32)
    targets = np.concatenate([whole, *(each[rows] for each in labels)])
    pairs = np.indices(targets.shape).reshape(2, -1)
    start = heads.start(targets.shape[1], features.pooled.shape[1])
    state, _ = heads.learn(start, features, Lessons(pairs[0], pairs[1], targets.ravel()))
    return heads.score(state, known.views[0].features)


def agreement(known: CroppedSet) -> dict[str, dict[str, float]]:
    """How right each kind of crop label is, over the labels of each taught picture and its crops.

    Right: the share of (crop, label) pairs where it is above one half as it should be, the crop
    showing half of a box of the label or more. Error: mean squared difference to that 0 or 1.
    """
    own = known.truth[: known.num_taught]
    told: dict[str, list[np.ndarray]] = {}
    truth = []
    for crop in range(1, 1 + CROPS):
        truth.append(known.seen[crop - 1][own] >= SEEN)
        area = known.views[crop].frames[:, 2:].prod(axis=1, keepdims=True)
        pooled = _relabelled(known, crop)
        for name, values in (
            ("sample's labels", np.ones(own.shape)),
            ("area of the crop", np.broadcast_to(area, own.shape)),
            ("softmax of the pooled map, as ReLabel", pooled),
            ("share of the map", known.crop_labels(crop)),
        ):
            told.setdefault(name, []).append(values[own])
    wanted = np.concatenate(truth)
    out = {}
    for name, each in told.items():
        values = np.concatenate(each)
        out[name] = {
            "right": round(float(((values >= SEEN) == wanted).mean()), 4),
            "error": round(float(((values - wanted) ** 2).mean()), 4),
        }
    return out


def _relabelled(known: CroppedSet, crop: int) -> Float[np.ndarray, "m l"]:
    """ReLabel's own targets: softmax over the labels of a picture of its map, pooled over a crop.

    As logits stand the cosines over the temperature of the viewer's maps.
    """
    out = np.zeros((known.num_taught, len(known.names)), np.float32)
    for number, cover in enumerate(known.cover(crop)):
        own = known.truth[number]
        if own.any():
            pooled = label_maps.pooled(known.cosines[number][:, own], cover[None])
            out[number, own] = label_maps.softmax(pooled / np.float32(known.temperature))[0]
    return out


def claim_of(
    claim: Mapping[str, Any], runs: Mapping[str, Sequence[Mapping[str, float]]]
) -> dict[str, Any]:
    """One claim with its figures, on each seed as well."""
    of_set, metric = runs[claim["data"]], claim["metric"]
    ours, theirs = (
        np.array([run[f"{metric} {claim[side]}"] for run in of_set]) for side in ("arm", "baseline")
    )
    return compared(claim, ours, theirs, metric=metric, tells_seeds=True)
