"""Whether what is called certain is so, how much of it there is, and what it costs.

`patchlane bench doubt [--part P]`. Every figure stands beside its baseline from the same run.
"""

from __future__ import annotations

import itertools
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Int
from scipy.stats import binom

from backend import api, catalogue
from backend.bench import people, planted_errors
from backend.bench._audit_data import SETS, audited_set, rows_of
from backend.bench._label_set_trials import (
    Found,
    Trial,
    by_bonferroni,
    by_mass,
    by_sets,
    by_threshold,
    trial,
)
from backend.bench.reports import Row, row
from backend.errors import BadInputError, NotFoundError
from backend.numerics import label_sets
from backend.settings import Settings
from backend.types import Kind

Say = Callable[[str], None]

SPLITS = 20
LEVELS = (0.8, 0.9, 0.95)
CERTIFIED_AT = 0.9
SMALL = 14
"""Labels of which every set can still be looked at."""
SEARCHED = 60
"""Samples that are searched by brute force."""
TOP, ENUMERATED = 100, 10_000
MANY, LABELS, DECIDED, LEARNED, FOLDS = 10_000, 20, 200, 100, 8
"""Samples and labels of the project, decided samples of its drawer and others, fold-ins."""


def rows(settings: Settings, *, say: Say, part: str | None = None) -> Iterator[Row]:
    """All rows, or those of one part.

    Raises:
        NotFoundError: no part has that name, or what a part needs is not there.
    """
    steps: dict[str, Callable[[], Iterator[Row]]] = {
        "coverage": lambda: coverage_rows(settings, say),
        "search": lambda: search_rows(settings, say),
        "recompute": lambda: recompute_rows(settings, say),
        "errors": lambda: planted_errors.rows(settings, say=say),
        "people": lambda: people.rows(settings, say=say),
    }
    if part is not None and part not in steps:
        raise NotFoundError(f"doubt has no part {part!r}; there are {', '.join(steps)}")
    for name, step in steps.items():
        if part not in (None, name):
            continue
        say(f"measuring: {name}")
        try:
            yield from step()
        except BadInputError as error:  # what one part is compared with is not there
            if part is not None:
                raise
            say(f"{name} is left out: {error}")


# --- coverage --------------------------------------------------------------------------------


def coverage_rows(settings: Settings, say: Say) -> Iterator[Row]:
    """Coverage against the promised level, and the share that is certain, on five sets."""
    for name in SETS:
        whole = audited_set(name, settings, say=say)
        trials = []
        for seed in range(SPLITS):
            trials.append(trial(whole, seed))
            say(f"{name}: split {seed + 1} of {SPLITS}")
        for level in LEVELS:
            yield from _coverage_of(name, trials, level)
        yield from _certified_of(name, trials)


def _coverage_of(name: str, trials: list[Trial], level: float) -> Iterator[Row]:
    found = [by_sets(one, level) for one in trials]
    n, measured = len(trials[0].known), len(trials[0].truth)
    told = f"{name}, {level:.0%}, {n} decided, {measured} measured, {len(trials)} splits"
    low, high = (int(k) / measured for k in binom.interval(0.95, measured, level))
    coverage = float(np.mean([one.coverage for one in found]))
    apart = [abs(one.coverage - level) for one in found]
    plain = row(
        f"{told}: coverage, binomial interval {low:.3f} to {high:.3f}",
        coverage,
        "share",
        at_least=low,
        baseline="likeliest sets until their chances add up to the level",
        baseline_value=float(np.mean([by_mass(one, level) for one in trials])),
    )
    yield replace(plain, ok=low <= coverage <= high)
    inside = [low <= one.coverage <= high for one in found]
    yield row(
        f"{told}: splits inside that interval, which draw their decided samples as well",
        float(np.mean(inside)),
        "share",
    )
    yield row(
        f"{told}: mean coverage with smoothed p-values, away from the level",
        abs(float(np.mean([one.smoothed for one in found])) - level),
        "share",
        at_most=0.01 + 1 / (n + 1),
        baseline="a single split, mean distance",
        baseline_value=float(np.mean(apart)),
    )


def _certified_of(name: str, trials: list[Trial]) -> Iterator[Row]:
    level = CERTIFIED_AT
    found = [by_sets(one, level) for one in trials]
    paper = [by_sets(one, level, measure=label_sets.EUCLIDEAN) for one in trials]
    theirs = [by_bonferroni(one, level) for one in trials]
    told = f"{name}, {level:.0%}, {len(trials)} splits"

    def mean(of: Callable[[Found], float], what: list[Found]) -> float:
        return float(np.mean([of(one) for one in what]))

    ours, bound = mean(lambda one: one.certified, found), float(np.mean([c for c, _ in theirs]))
    certified = row(
        f"{told}: labels certified",
        ours,
        "share",
        at_least=bound,
        baseline="per-label conformal with Bonferroni",
        baseline_value=bound,
    )
    yield replace(certified, ok=ours > bound)
    yield row(
        f"{told}: labels certified",
        ours,
        "share",
        baseline="Euclidean distance",
        baseline_value=mean(lambda one: one.certified, paper),
    )
    yield row(
        f"{told}: samples with a certified label that is wrong",
        mean(lambda one: one.wrong, found),
        "share",
        at_most=round(1 - level, 9) + 1 / (len(trials[0].known) + 1),
        baseline="per-label conformal with Bonferroni",
        baseline_value=float(np.mean([wrong for _, wrong in theirs])),
    )
    yield row(
        f"{told}: labels left undecided, median",
        mean(lambda one: one.width, found),
        "labels",
        baseline="all",
        baseline_value=float(trials[0].known.shape[1]),
    )
    yield row(
        f"{told}: the set above one half is the true one",
        float(np.mean([by_threshold(one) for one in trials])),
        "share",
    )


# --- search ----------------------------------------------------------------------------------


def search_rows(settings: Settings, say: Say) -> Iterator[Row]:
    """The pruned search against every set there is, and what can be said of 80 labels."""
    texts = trial(audited_set("goemotions", settings, say=say), 0)
    common = np.argsort(-texts.decided.sum(axis=0), kind="stable")[:SMALL]
    yield from _small_rows(texts.columns(np.sort(common)))
    yield from _large_rows(trial(audited_set("coco_mini", settings, say=say), 0))


def _small_rows(one: Trial) -> Iterator[Row]:
    flips, decided = _flips(one)
    within = label_sets.radius(decided, CERTIFIED_AT)
    every = np.array(list(itertools.product((False, True), repeat=SMALL)))
    budgets = flips.budgets(within)
    rows_ = np.flatnonzero(budgets >= 0)[:SEARCHED]
    taken, looped, at_once, sizes, same = [], [], [], [], True
    for at in rows_.tolist():
        costs, budget = flips.costs[at], int(budgets[at])
        found, seconds = _timed(lambda c=costs, b=budget: label_sets.sets_within(c, b))
        taken.append(seconds)
        slow, seconds = _timed(lambda at=at: _by_loops(flips, decided, at))
        looped.append(seconds)
        quick, seconds = _timed(lambda at=at: _by_arrays(flips, decided, at, every))
        at_once.append(seconds)
        mine = {_set_of(flips.likely[at], flipped) for flipped in found}
        same &= mine == slow == {tuple(each) for each in quick.tolist()}
        same &= len(mine) == len(found)
        sizes.append(len(found))
    told = f"{SMALL} labels, {len(rows_)} samples of goemotions at {CERTIFIED_AT:.0%}"
    yield row(f"{told}: sets are those of brute force", float(same), "share", at_least=1.0)
    yield row(f"{told}: sets in a ball, median of {2**SMALL}", float(np.median(sizes)), "sets")
    ours, loops = float(np.median(taken)), float(np.median(looped))
    faster = row(
        f"{told}: pruned search, times faster than brute force in the same language",
        loops / ours,
        "times",
        at_least=100.0,
        baseline="pruned search, milliseconds a sample",
        baseline_value=ours * 1e3,
    )
    yield replace(faster, ratio=None)
    arrays = row(
        f"{told}: pruned search, times faster than brute force in NumPy, all sets at once",
        float(np.median(at_once)) / ours,
        "times",
        baseline="brute force in NumPy, milliseconds a sample",
        baseline_value=float(np.median(at_once)) * 1e3,
    )
    yield replace(arrays, ratio=None)


def _by_loops(
    flips: label_sets.Flips, decided: Int[np.ndarray, " n"], at: int
) -> set[tuple[bool, ...]]:
    """Every set of one sample, one after the other, kept if its p-value is above."""
    likely, costs = flips.likely[at].tolist(), flips.costs[at].tolist()
    base, unit = int(flips.base[at]), flips.unit
    within = label_sets.radius(decided, CERTIFIED_AT)
    kept = set()
    for one in itertools.product((False, True), repeat=len(costs)):
        distance = base
        for has, is_likely, cost in zip(one, likely, costs, strict=True):
            if has is not is_likely:
                distance += unit * cost
        if distance <= within:
            kept.add(one)
    return kept


def _by_arrays(
    flips: label_sets.Flips, decided: Int[np.ndarray, " n"], at: int, every: Bool[np.ndarray, "s l"]
) -> Bool[np.ndarray, "k l"]:
    """Every set of one sample, all at once, by its p-value."""
    costs = np.where(every != flips.likely[at], flips.costs[at], 0).sum(axis=1)
    p = label_sets.p_values(decided, flips.base[at] + flips.unit * costs)
    return every[p > round(1 - CERTIFIED_AT, 9)]


def _set_of(likely: Bool[np.ndarray, " l"], flipped: tuple[int, ...]) -> tuple[bool, ...]:
    has = likely.copy()
    has[list(flipped)] ^= True
    return tuple(has.tolist())


def _large_rows(one: Trial) -> Iterator[Row]:
    flips, decided = _flips(one)
    labels = one.known.shape[1]
    taken, sizes = [], []
    for at in range(min(SEARCHED, len(one.truth))):
        single = label_sets.Flips(
            flips.likely[at : at + 1],
            flips.base[at : at + 1],
            flips.costs[at : at + 1],
            flips.unit,
        )

        def work(single: label_sets.Flips = single) -> int | None:
            within = label_sets.radius(decided, CERTIFIED_AT)
            label_sets.certificates(single, within)
            label_sets.best_sets(single.costs[0], TOP)
            budget = int(single.budgets(within)[0])
            count = label_sets.count_within(single.costs[0], budget)
            if count is not None and count < ENUMERATED:
                label_sets.sets_within(single.costs[0], budget)
            return count

        count, seconds = _timed(work)
        taken.append(seconds)
        sizes.append(float("inf") if count is None else float(count))
    told = f"{labels} labels, {len(taken)} samples of coco_mini at {CERTIFIED_AT:.0%}"
    yield row(
        f"{told}: certificates, the top {TOP} and the exact count, the slowest sample",
        max(taken) * 1e3,
        "ms",
        at_most=20.0,
        baseline="the median sample",
        baseline_value=float(np.median(taken)) * 1e3,
    )
    yield row(f"{told}: sets in a ball, median", float(np.median(sizes)), "sets")


def _flips(one: Trial) -> tuple[label_sets.Flips, Int[np.ndarray, " n"]]:
    calibrator = catalogue.load("calibrators/powerset")()
    state = calibrator.fit(one.known, one.decided.astype(np.int8))
    return calibrator.flips(state, one.measured), state["distances"]


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    started = time.perf_counter()
    return work(), time.perf_counter() - started


# --- recompute -------------------------------------------------------------------------------


def recompute_rows(settings: Settings, say: Say) -> Iterator[Row]:
    """After each fold-in of a project with 10,000 texts: sets of all of them, and the queue."""
    with tempfile.TemporaryDirectory(prefix="patchlane-doubt-") as folder:
        bench = _many(Path(folder), settings, say)
        try:
            yield from _recomputed(bench)
        finally:
            bench.close()


def _recomputed(bench: api.Workbench) -> Iterator[Row]:
    names = [label.name for label in bench.labels()]
    decided = bench.verdicts()
    left = [
        sample
        for sample, is_drawn in zip(bench.samples(), bench.board.in_drawer, strict=True)
        if not is_drawn and not decided.get(sample.id)
    ]
    folded, sets, queue = [], [], []
    for sample in left[:FOLDS]:
        rows_ = [{"sample": sample.id, "label": name, "verdict": "no"} for name in names]
        bench.correct(rows_)
        folded.append(_timed(bench.learn)[1])
        found, seconds = _timed(bench.certainty.sets)
        assert not found.is_stale  # noqa: S101  nothing is measured that was kept from before
        sets.append(seconds)
        queue.append(_timed(lambda: bench.next(20))[1])
    told = f"{len(bench.samples()):,} samples x {len(names)} labels, {DECIDED} decided"
    yield row(
        f"{told}: label sets and queue after a fold-in",
        float(np.median(np.add(sets, queue))) * 1e3,
        "ms",
        at_most=200.0,
        baseline="the fold-in itself",
        baseline_value=float(np.median(folded)) * 1e3,
    )
    yield row(
        f"{told}: label sets alone",
        float(np.median(sets)) * 1e3,
        "ms",
        baseline="the queue alone",
        baseline_value=float(np.median(queue)) * 1e3,
    )


def _many(folder: Path, settings: Settings, say: Say) -> api.Workbench:
    """A project of texts whose drawer is decided and of which some others are learned from."""
    texts = list(dict.fromkeys(each["text"] for each in rows_of(settings.data, "goemotions")))
    known = [f"{text} {at // len(texts)}" for at, text in zip(range(MANY), itertools.cycle(texts))]
    file = folder / "many.jsonl"
    lines = (json.dumps({"sample": f"t{at}", "text": text}) for at, text in enumerate(known))
    file.write_text("\n".join(lines), encoding="utf-8")
    names = [f"label {at}" for at in range(LABELS)]
    bench = api.create_project(
        folder / "many", labels=names, kind=Kind.TEXT, encoder="words", settings=settings
    )
    say("making a project of 10,000 texts")
    bench.add(file)
    bench.certainty.open_drawer(samples=DECIDED)
    draw = np.random.default_rng(0)
    board = bench.board
    others = np.flatnonzero(~board.in_drawer)[:LEARNED]
    rows_ = [
        {
            "sample": int(board.ids[at]),
            "label": name,
            "verdict": "yes" if draw.random() < 0.2 else "no",
        }
        for at in [*board.drawer_order().tolist(), *others.tolist()]
        for name in names
    ]
    bench.correct(rows_)
    bench.learn()
    return bench
