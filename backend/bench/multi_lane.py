"""Packs of labels in sequence: lanes beside one shared lane, linear probes and joint training.

Source: De Min et al., MULTI-LANE, CoLLAs 2024. `patchlane reproduce multi-lane`; claims, data and
how long it takes: `assets/recipes/multi-lane.toml`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from backend.bench._lane_arms import Classroom, Course, Stage
from backend.bench._lane_data import ReadSet, coco, mosaics, read_set
from backend.bench.claims import read_claims, report
from backend.numerics.logistic import logistic
from backend.numerics.scores import (
    label_average_precisions,
    label_f1,
    mean_average_precision,
    overall_f1,
)
from backend.pipeline import Pipeline, load_encoder
from backend.recipes import load_recipe
from backend.settings import Settings
from backend.types import Kind

Say = Callable[[str], None]

NAME = "multi-lane"
PACKS = 8
DRAWS = 100
"""Bootstrap samples of the measured pictures."""

SURE = 0.8
"""Chance from which the paper counts a label as predicted; ours is 0.5."""

PRODUCT, PAPER, SHARED = "lanes", "lanes, paper protocol", "one shared lane"
PROBE, FULL_PROBE = "linear probe", "linear probe, all verdicts"
JOINT, HEADS = "joint", "heads without lanes"


@dataclass(frozen=True)
class Run:
    """One arm on one seed."""

    stages: list[Stage]
    truth: Bool[np.ndarray, "m l"]
    packs: tuple[tuple[int, ...], ...]
    draws: Float[np.ndarray, " b"]

    def figures(self) -> dict[str, float]:
        """All figures of the table; F1 in both definitions."""
        last = self.stages[-1]
        targets = self._targets(last)
        known = np.ones_like(targets, bool)
        chances = logistic(last.scores)
        likely, sure = chances > 0.5, chances > SURE
        return {
            "average mAP": float(np.mean([self.quality(stage) for stage in self.stages])),
            "last mAP": self.quality(last),
            "CF1 (F1 of mean P and R, 0.5)": label_f1(likely, targets, known),
            "CF1 (paper: mean F1, 0.8)": mean_f1(sure, targets),
            "OF1 (0.5)": overall_f1(likely, targets, known),
            "OF1 (paper: 0.8)": overall_f1(sure, targets, known),
            "forgetting": self.forgetting(),
            "largest change of an old score": self.largest_change(),
            "seconds per pack": float(np.mean([stage.seconds for stage in self.stages])),
            "bytes per pack": float(np.mean([stage.num_bytes for stage in self.stages])),
        }

    def quality(self, stage: Stage) -> float:
        """MAP over the labels seen so far, on all measured pictures."""
        targets = self._targets(stage)
        return mean_average_precision(stage.scores, targets, np.ones_like(targets, bool))

    def forgetting(self) -> float:
        """Mean over old packs of best mAP so far minus last mAP."""
        history: dict[int, list[float]] = {}
        for stage in self.stages:
            targets = self._targets(stage)
            each = label_average_precisions(stage.scores, targets, np.ones_like(targets, bool))
            for number, pack in enumerate(self.packs):
                if set(pack) <= set(stage.columns):
                    at = [stage.columns.index(column) for column in pack]
                    history.setdefault(number, []).append(float(np.nanmean(each[at])))
        lost = [max(values) - values[-1] for values in history.values() if len(values) > 1]
        return float(np.mean(lost)) if lost else 0.0

    def largest_change(self) -> float:
        """Of any score of an old pack, from any stage to the next; exactly 0 for lanes."""
        pairs = zip(self.stages, self.stages[1:], strict=False)
        moves = [
            np.abs(after.scores[:, : before.scores.shape[1]] - before.scores).max()
            for before, after in pairs
        ]
        return float(max(moves, default=0.0))

    def _targets(self, stage: Stage) -> Float[np.ndarray, "m l"]:
        return self.truth[:, list(stage.columns)].astype(np.float32)


def mean_f1(predicted: Bool[np.ndarray, "m l"], targets: Float[np.ndarray, "m l"]) -> float:
    """CF1 as the paper has it: the mean of the labels' F1."""
    hits = (predicted & (targets > 0)).sum(axis=0)
    both = predicted.sum(axis=0) + targets.sum(axis=0)
    return float((2 * hits / np.maximum(both, 1)).mean())


def courses(known: ReadSet, *, seed: int, packs: int = PACKS) -> Course:
    """Labels in the order of their names; taught is what the set says, or half of it."""
    columns = np.array_split(np.arange(len(known.names)), packs)
    rows = np.arange(len(known.truth))
    taught = rows[known.is_taught]
    if not len(taught):
        taught = np.sort(np.random.default_rng(seed).permutation(rows)[: len(rows) // 2])
    return Course(
        known=known,
        packs=tuple(tuple(part.tolist()) for part in columns),
        taught=taught,
        measured=np.setdiff1d(rows, taught),
        seed=seed,
    )


def arms(classroom: Classroom) -> Iterator[tuple[str, Callable[[], list[Stage]]]]:
    """Every arm by name; joint training is one pack of all labels."""
    together = [tuple(column for pack in classroom.course.packs for column in pack)]
    yield PRODUCT, classroom.product
    yield HEADS, classroom.heads
    yield PAPER, classroom.paper
    yield SHARED, lambda: classroom.paper(is_shared=True)
    yield PROBE, lambda: classroom.probe(is_paper=True)
    yield FULL_PROBE, lambda: classroom.probe(is_paper=False)
    yield JOINT, lambda: classroom.product(together)


def measured(
    known: ReadSet, pipeline: Pipeline, network: Any, *, seed: int, say: Say, packs: int = PACKS
) -> dict[str, Run]:
    """All arms on one set and seed."""
    course = courses(known, seed=seed, packs=packs)
    classroom = Classroom(course, pipeline, network)
    truth = known.truth[course.measured]
    found = {}
    for name, teach in arms(classroom):
        started = time.perf_counter()
        stages = teach()
        run = Run(stages, truth, course.packs, draws_of(stages[-1], truth, DRAWS))
        found[name] = run
        say(
            f"{name}, seed {seed}: {run.quality(stages[-1]):.4f} in "
            f"{time.perf_counter() - started:.0f} s"
        )
    return found


def draws_of(stage: Stage, truth: np.ndarray, count: int) -> Float[np.ndarray, " b"]:
    """MAP on bootstrap samples of the measured pictures, the same ones for every arm."""
    targets = truth[:, list(stage.columns)].astype(np.float32)
    known = np.ones_like(targets, bool)
    out = np.empty(count)
    for number in range(count):
        rows = np.random.default_rng(number).integers(len(targets), size=len(targets))
        out[number] = mean_average_precision(stage.scores[rows], targets[rows], known)
    return out


def reproduce(*, seeds: int, train: bool, data: Path, progress: Say) -> dict[str, Any]:  # noqa: ARG001
    """Run all arms on both sets.

    Args:
        seeds: of halves, held-back pictures, starts of lanes and order of batches.
        train: nothing is trained beforehand here.
        data: folder of the data packs.
        progress: told what is being done.

    Returns:
        The report; `figures` holds the table of each set, by arm, mean of the seeds.
    """
    started = time.monotonic()
    settings = Settings.from_environ()
    recipe = load_recipe("default")
    pipeline = Pipeline(recipe, load_encoder(recipe.default_encoder(Kind.IMAGE), settings))
    if pipeline.teacher is None or pipeline.host is None:
        raise RuntimeError("the default recipe has lanes")
    network = pipeline.teacher.network(pipeline.host.frozen_stack())
    runs: dict[str, list[dict[str, Run]]] = {}
    for source in (mosaics(data), coco(data)):
        known = read_set(source, pipeline, settings.home / "training" / NAME, progress)
        runs[source.name] = [
            measured(known, pipeline, network, seed=seed, say=progress) for seed in range(seeds)
        ]
    return report(
        NAME,
        "De Min et al., CoLLAs 2024",
        started=started,
        claims=[claim_of(each, runs) for each in read_claims(NAME)],
        figures={name: table(each) for name, each in runs.items()},
    )


def table(runs: Sequence[dict[str, Run]]) -> dict[str, dict[str, float]]:
    """Figures of each arm, mean over seeds, with the interval of the last mAP."""
    found = {}
    for arm in runs[0]:
        each = [run[arm].figures() for run in runs]
        row = {name: float(np.mean([one[name] for one in each])) for name in each[0]}
        low, high = interval(np.mean([run[arm].draws for run in runs], axis=0))
        found[arm] = {name: round(value, 5) for name, value in row.items()} | {
            "last mAP, low": round(low, 4),
            "last mAP, high": round(high, 4),
        }
    return found


def interval(draws: Float[np.ndarray, " b"]) -> tuple[float, float]:
    """The middle 95 % of bootstrap values."""
    return float(np.quantile(draws, 0.025)), float(np.quantile(draws, 0.975))


def claim_of(claim: dict[str, Any], runs: dict[str, list[dict[str, Run]]]) -> dict[str, Any]:
    """One claim with its figures.

    `reach` is the least difference to the baseline on the mean of the seeds, or on each of them
    where the claim says `each_seed`; a claim with `exactly` asks for that value.
    """
    of_set, arm, figure = runs[claim["data"]], claim["arm"], claim["figure"]
    values = np.array([run[arm].figures()[figure] for run in of_set])
    told = {
        "claim": claim["claim"],
        "data": claim["data"],
        "metric": figure,
        "arm": arm,
        "seeds": len(of_set),
        "expected": claim["expected"],
        "measured": round(float(values.mean()), 4),
    }
    if "exactly" in claim:
        holds = bool((values == claim["exactly"]).all())
        return {
            **told,
            "baseline": claim["exactly"],
            "difference": told["measured"],
            "spread": 0.0,
            "holds": holds,
        }
    base = claim["baseline"]
    against = np.array([run[base].figures()[figure] for run in of_set])
    apart = values - against
    draws = np.mean([run[arm].draws - run[base].draws for run in of_set], axis=0)
    low, high = interval(draws)
    least = apart.min() if claim.get("each_seed") else apart.mean()
    verdict = "equal" if low <= 0 <= high else ("above" if low > 0 else "below")
    return {
        **told,
        "baseline": round(float(against.mean()), 4),
        "baseline_arm": base,
        "difference": round(float(apart.mean()), 4),
        "of_each_seed": [round(float(value), 4) for value in apart],
        "interval": [round(low, 4), round(high, 4)],
        "within": verdict,
        "spread": round(float(draws.std()), 4),
        "holds": bool(least > 0) if claim.get("each_seed") else bool(least >= claim["reach"]),
    }
