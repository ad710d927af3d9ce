"""Conditional transport as score and as regulariser, beside what else parts are pooled with.

Source: Li et al., PatchCT, ICCV 2023 (2307.09066). `patchlane reproduce patchct`; claims, data and
how long it takes: `assets/recipes/patchct.toml`; the arms: `_patchct_arms.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from backend.bench._evidence_data import SETS, Boxed, boxed_set
from backend.bench._patchct_arms import Arm, Cloud, Scorer, Space, scored, trained
from backend.bench.claims import Table, compared, read_claims, report
from backend.bench.pointing import Course
from backend.numerics.localisation import map_average_precisions, pointing
from backend.numerics.scores import mean_average_precision
from backend.pipeline import load_encoder
from backend.recipes import load_recipe
from backend.settings import Settings
from backend.types import Kind

Say = Callable[[str], None]

NAME = "patchct"
TAUGHT, MEASURED = 300, 500
"""Mosaics that each seed draws of the train part, and the first of the others; of the other sets
half are taught and half measured."""

WEIGHT = 1.0
"""Of a transport cost, beside a cross-entropy that is summed over the labels."""

MEAN, CONTROL = "mean-pool + adapter", "the same + both, weight 0"
ARMS = {
    MEAN: Arm("mean"),
    "mean-pool + backward CT": Arm("mean", "backward", WEIGHT),
    "mean-pool + both CT": Arm("mean", "both", WEIGHT),
    "mean-pool + Sinkhorn": Arm("mean", "sinkhorn", WEIGHT),
    CONTROL: Arm("mean", "both", 0.0),
    "max": Arm("max"),
    "CT-pooled": Arm("pooled"),
    "CT-pooled + backward CT": Arm("pooled", "backward", WEIGHT),
    "average of both": Arm("average"),
    "cross-attention": Arm("attention"),
}
FIGURES = ("mAP", "pointing", "heat-map AP")


def reproduce(*, seeds: int, train: bool, data: Path, progress: Say) -> dict[str, Any]:  # noqa: ARG001
    """Run all arms on the five sets.

    Args:
        seeds: of which pictures are taught, of the start and of the order of batches.
        train: nothing is trained beforehand here.
        data: folder of the data packs.
        progress: told what is being done.

    Returns:
        The report; `figures` holds by set and arm the mean of each figure over the seeds
        and its difference to the mean-pooled arm, with the spread of that difference.
    """
    started = time.monotonic()
    settings = Settings.from_environ()
    encoder = load_encoder(load_recipe("default").default_encoder(Kind.IMAGE), settings)
    folder = settings.home / "training" / NAME
    runs: dict[str, list[Table]] = {}
    for name in SETS:
        known = boxed_set(name, encoder, data, folder, progress)
        runs[name] = []
        for seed in range(seeds):
            runs[name].append(measured(course_of(known, seed), seed=seed, say=progress))
    return report(
        NAME,
        "Li et al., ICCV 2023",
        started=started,
        claims=[claim_of(each, runs) for each in read_claims(NAME)],
        figures={name: table(each) for name, each in runs.items()},
    )


def course_of(known: Boxed, seed: int) -> Course:
    """`TAUGHT` of the pictures that may be taught and `MEASURED` of the rest, or half and half."""
    may = np.flatnonzero(known.is_taught)
    everything = np.arange(len(known.truth))
    pool, count = (may, TAUGHT) if len(may) else (everything, len(everything) // 2)
    taught = np.sort(np.random.default_rng(seed).permutation(pool)[:count])
    rest = np.flatnonzero(~known.is_taught)[:MEASURED]
    measured = rest if len(may) else np.setdiff1d(everything, taught)
    columns = np.flatnonzero(known.truth[taught].any(axis=0))
    return Course(known, taught, measured, columns)


def measured(course: Course, *, seed: int, say: Say) -> Table:
    """All figures of all arms on one course."""
    known, columns = course.known, course.columns
    taught, labels = known.parts[course.taught], known.labels[columns]
    space = Space.of(taught, labels, known.scale.temperature)
    truth = known.truth[np.ix_(course.taught, columns)]
    shown, asked = (Cloud.of(parts, space) for parts in (taught, known.parts[course.measured]))
    found = {}
    for name, arm in ARMS.items():
        started = time.monotonic()
        scorer = trained(arm, space, shown, truth, seed=seed)
        found[name] = judged(scorer, asked, course)
        told = ", ".join(f"{figure} {value:.4f}" for figure, value in found[name].items())
        say(f"{known.name}, seed {seed}, {name}: {told}; {time.monotonic() - started:.0f} s")
    return found


def judged(scorer: Scorer, cloud: Cloud, course: Course) -> dict[str, float]:
    """MAP on measured pictures; pointing and heat-map AP over their labels that have boxes."""
    known, pairs = course.known, course.pairs
    rows = np.searchsorted(course.measured, known.rows[pairs])
    columns = np.searchsorted(course.columns, known.columns[pairs])
    scores, maps = scored(scorer, cloud, rows, columns)
    truth = known.truth[np.ix_(course.measured, course.columns)].astype(np.float32)
    inside = known.inside[pairs]
    values = (
        mean_average_precision(scores, truth, np.ones_like(truth, bool)),
        pointing(maps, inside).mean(),
        np.nanmean(map_average_precisions(maps, inside)),
    )
    return {name: float(value) for name, value in zip(FIGURES, values, strict=True)}


def table(runs: list[Table]) -> Table:
    """By arm: each figure, and how far it is from the mean-pooled arm's on the same seeds."""
    found = {}
    for arm in runs[0]:
        found[arm] = {}
        for name in FIGURES:
            values = np.array([run[arm][name] for run in runs])
            apart = values - np.array([run[MEAN][name] for run in runs])
            found[arm][name] = round(float(values.mean()), 4)
            if arm != MEAN:
                found[arm][f"{name}, difference"] = round(float(apart.mean()), 4)
                found[arm][f"{name}, spread"] = round(float(apart.std()), 4)
    return found


def claim_of(claim: Mapping[str, Any], runs: Mapping[str, Sequence[Table]]) -> dict[str, Any]:
    """One claim with its figures, on each seed as well."""
    of_set, figure = runs[claim["data"]], claim["figure"]
    ours, theirs = (
        np.array([run[claim[side]][figure] for run in of_set]) for side in ("arm", "baseline")
    )
    return compared(claim, ours, theirs, metric=figure, tells_seeds=True)
