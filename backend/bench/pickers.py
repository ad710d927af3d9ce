"""How many answers a picker saves: a person is simulated, the real learner learns.

`patchlane bench pickers [--part SET]`. Counted are answers, verdicts on (sample, label) pairs,
until the mAP on the test part reaches 90 % of what it is with every pair of the pool answered. The
default policy asks about a few labels of each sample, as its queue says. It is measured against
three ways of chance: whole samples at random, single pairs at random, and the few questions on
samples at random. All pickers are also compared with each sample answered completely, which is
how small-text asks: its one strategy for multi-label data (category vector inconsistency and
ranking, Reyes et al. 2018; its core set is the rule of our `centres`). Without small-text installed
that row is left out.

Where labels' names alone get there before any answer, counted is to 90 % of what all answers add to
names; and the set is labelled as if names said nothing, known by verdicts alone for all ways alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from backend import catalogue
from backend.bench._labelling import (
    SETS,
    TARGET,
    Ask,
    Course,
    Labelling,
    Point,
    Say,
    course,
    full_quality,
    labelled,
    reached,
)
from backend.bench.reports import Row, row
from backend.errors import NotFoundError
from backend.numerics import learning_curve, questions
from backend.settings import Settings
from backend.types import PickFacts

DEFAULT = "stages"
SEEDS, FEW_SEEDS = 3, 2
COMPLETE = (
    "stages",
    "doubt",
    "margin",
    "entropy",
    "width",
    "centres",
    "gradients",
    "rarity",
    "typicality",
)
"""Pickers that need nothing but scores, vectors and verdicts; all samples are answered whole."""

FEW = ("doubt", "gradients", "centres")
"""The best of the others, asking about a few labels as the default does."""

AHEAD = 100
"""Answers that a forecast looks ahead."""


def rows(settings: Settings, *, say: Say, part: str | None = None) -> Iterator[Row]:
    """All sets, or one of them.

    Raises:
        NotFoundError: a data pack is not there, or no part has that name.
    """
    if part is not None and part not in SETS:
        raise NotFoundError(f"bench pickers has no part {part!r}; there are {', '.join(SETS)}")
    for name in SETS if part is None else (part,):
        yield from of_course(course(name, settings, say), say)


def of_course(known: Course, say: Say, *, seeds: int = SEEDS) -> Iterator[Row]:
    """All rows of one set."""
    full, start = full_quality(known), Labelling(known).quality()
    yield row(
        f"{known.name}: mAP before any answer, names only",
        start,
        "mAP",
        baseline="every pair answered",
        baseline_value=full,
    )
    if start < TARGET * full:
        race = Race(known.name, known, TARGET * full, "90 % of full mAP", say, seeds)
        yield from race.rows()
        return
    gained = start + TARGET * (full - start)
    race = Race(known.name, known, gained, "90 % of what all answers add to names", say, seeds)
    yield from race.rows()
    strange = known.strange()
    full = full_quality(strange)
    name = f"{known.name}, names unknown"
    yield row(f"{name}: mAP with every pair answered", full, "mAP")
    race = Race(name, strange, TARGET * full, "90 % of full mAP", say, seeds)
    yield from race.against_chance(race.runs(few_of(DEFAULT)))


@dataclass(frozen=True)
class Race:
    """Ways of asking on one set, counted until `until` is reached, which `goal` says in words."""

    name: str
    known: Course
    until: float
    goal: str
    say: Say
    seeds: int

    def rows(self) -> Iterator[Row]:
        """The default against chance and against all others."""
        own = self.runs(few_of(DEFAULT))
        answers, _ = self.counted(own)
        yield from self.against_chance(own)
        for key in FEW:
            value, _ = self.counted(self.runs(few_of(key), FEW_SEEDS))
            yield row(
                f"{self.name}: answers, {key} with a few questions",
                value,
                "answers",
                baseline="default",
                baseline_value=answers,
            )
        whole, _ = self.counted(self.runs(whole_of("random"), FEW_SEEDS))
        complete = {key: whole_of(key) for key in COMPLETE} | peers()
        for key, ask in complete.items():
            value, _ = self.counted(self.runs(ask, FEW_SEEDS))
            yield row(
                f"{self.name}: answers, {key}, whole samples",
                value,
                "answers",
                baseline="whole samples at random",
                baseline_value=whole,
            )
        yield from _forecasts(self.name, own)

    def against_chance(self, own: list[list[Point]]) -> Iterator[Row]:
        """The default, whose runs are `own`, beside three ways of chance."""
        answers, opened = self.counted(own)
        whole, whole_opened = self.counted(self.runs(whole_of("random")))
        pairs, _ = self.counted(self.runs(random_pairs))
        chosen, _ = self.counted(self.runs(few_of("random")))
        for text, value, reach in (
            ("whole samples at random", whole, 0.5 * whole),
            ("single pairs at random", pairs, 0.5 * pairs),
            ("a few questions on samples at random", chosen, chosen),
        ):
            yield row(
                f"{self.name}: answers to {self.goal}, default",
                answers,
                "answers",
                at_most=reach,
                baseline=text,
                baseline_value=value,
            )
        yield row(
            f"{self.name}: samples opened meanwhile, default",
            opened,
            "samples",
            baseline="whole samples at random",
            baseline_value=whole_opened,
        )

    def runs(self, ask: Ask, count: int | None = None) -> list[list[Point]]:
        """One run for each seed."""
        return [
            labelled(self.known, ask, until=self.until, seed=1000 * seed)
            for seed in range(self.seeds if count is None else count)
        ]

    def counted(self, found: list[list[Point]]) -> tuple[float, float]:
        """Answers and opened samples until it was reached, mean of the runs."""
        answers, opened = zip(*(reached(points, self.until) for points in found), strict=True)
        self.say(f"{self.name}: answers {[int(each) for each in answers]}")
        return float(np.mean(answers)), float(np.mean(opened))


def _forecasts(name: str, found: list[list[Point]]) -> Iterator[Row]:
    """How far the expected gain of the next answers is from the gain that came."""
    ours, none = [], []
    for points in found:
        answers = np.array([point.answers for point in points], float)
        quality = np.array([point.quality for point in points])
        off, count = learning_curve.error(answers, quality, AHEAD)
        if off is None:
            continue
        ours.append(off)
        at = range(learning_curve.LEAST, len(points))
        then = [answers[i - 1] + AHEAD for i in at]
        came = [
            np.interp(end, answers, quality) - quality[i - 1]
            for i, end in zip(at, then, strict=True)
            if end <= answers[-1]
        ]
        none.append(float(np.mean(np.abs(came))) if count else 0.0)
    if ours:
        yield row(
            f"{name}: error of the expected gain of the next {AHEAD} answers",
            float(np.mean(ours)),
            "mAP",
            baseline="expecting none",
            baseline_value=float(np.mean(none)),
        )


def _picked(run: Labelling, key: str, k: int, seed: int) -> list[int]:
    facts = PickFacts(verdicts=run.verdicts)
    picker = catalogue.load(f"pickers/{key}")()
    pooled = run.course.pool.pooled
    found = picker.pick(run.chances, pooled, run.known, k=k, seed=seed, facts=facts)
    return [each[0] for each in found]


def whole_of(key: str) -> Ask:
    """The picker's samples, all labels of each."""

    def ask(run: Labelling, count: int, seed: int) -> Bool[np.ndarray, "n l"]:
        pairs = np.zeros_like(run.known)
        pairs[_picked(run, key, max(1, count // run.num_labels), seed)] = True
        return pairs

    return ask


def few_of(key: str) -> Ask:
    """The picker's samples in their order, the few questions of each until enough are asked."""

    def ask(run: Labelling, count: int, seed: int) -> Bool[np.ndarray, "n l"]:
        verdicts = run.verdicts
        answers = questions.answered((verdicts == 1).sum(axis=0), (verdicts == 0).sum(axis=0))
        worth = questions.values(run.chances, ~run.known, answers, seed=seed)
        asked, pairs = questions.asked(worth), np.zeros_like(run.known)
        left = count
        for picked in _picked(run, key, count, seed):
            if left <= 0:
                break
            pairs[picked] = asked[picked]
            left -= int(asked[picked].sum())
        return pairs

    return ask


def random_pairs(run: Labelling, count: int, seed: int) -> Bool[np.ndarray, "n l"]:
    """Open pairs, each as likely as any other."""
    left = np.flatnonzero(~run.known)
    pairs = np.zeros(run.known.size, bool)
    pairs[np.random.default_rng(seed).permutation(left)[:count]] = True
    return pairs.reshape(run.known.shape)


class _Chances:
    """What small-text asks of a classifier; its data set is the row numbers of the pool."""

    def __init__(self, run: Labelling):
        self._chances = run.chances

    def predict_proba(self, rows: np.ndarray) -> Float[np.ndarray, "m l"]:
        """Chances of some rows."""
        return self._chances[rows].astype(float)

    def predict(self, rows: np.ndarray) -> Any:
        """Labels above 50 %, as a sparse table."""
        return import_module("scipy.sparse").csr_matrix((self._chances[rows] > 0.5).astype(int))


def peers() -> dict[str, Ask]:
    """Strategies of small-text for multi-label data; none where it is not installed."""
    try:
        small_text = import_module("small_text.query_strategies")
    except ImportError:
        return {}
    vectors = small_text.CategoryVectorInconsistencyAndRanking(pbar=None)
    return {"small-text category vectors": _peer(vectors)}


def _peer(strategy: Any) -> Ask:
    sparse = import_module("scipy.sparse").csr_matrix

    def choose(run: Labelling, left: np.ndarray, done: np.ndarray, k: int) -> np.ndarray:
        everything = np.arange(len(run.known))
        said = sparse(run.course.truth[done].astype(int))
        return strategy.query(_Chances(run), everything, left, done, said, n=k)

    return _by_rows(choose)


def _by_rows(choose: Callable[..., np.ndarray]) -> Ask:
    """Whole samples by a rule that needs some answered ones; the first are drawn by chance."""

    def ask(run: Labelling, count: int, seed: int) -> Bool[np.ndarray, "n l"]:
        left = np.flatnonzero(~run.known.all(axis=1))
        done = np.flatnonzero(run.known.all(axis=1))
        k = min(len(left), max(1, count // run.num_labels))
        draw = np.random.default_rng(seed)
        np.random.seed(seed)  # noqa: NPY002 - small-text draws from it
        chosen = choose(run, left, done, k) if len(done) else draw.permutation(left)[:k]
        pairs = np.zeros_like(run.known)
        pairs[np.asarray(chosen, int)] = True
        return pairs

    return ask
