"""What lanes cost: from a correction to fresh suggestions, to teach a pack, to look, to grow.

`patchlane bench lanes [--part P]`. Photographs are those of `coco_mini`, read by the embedded
encoder once and kept below the home folder; projects are made in a temporary one. Where many
samples are needed, tiny pictures stand for the photographs in turns: vectors and tokens are real
and repeat. CPU figures are `time.process_time` of this process, all its threads together.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import numpy as np

from backend import api, learning
from backend.bench import _lane_speed, lane_costs
from backend.bench._embedded_data import read_rows
from backend.bench._lane_arms import Classroom, Course
from backend.bench._lane_data import COCO, ReadSet, coco, read_set, read_views
from backend.bench._lane_projects import make_repeated, opened
from backend.bench.multi_lane import NAME, courses
from backend.bench.reports import Row, row
from backend.board import Board
from backend.encoding import NUM_VIEWS
from backend.errors import NotFoundError
from backend.learning import Learned
from backend.methods.learners.lanes import LanesLearner
from backend.numerics.halves import quantised, restored
from backend.numerics.scores import mean_average_precision
from backend.pipeline import Pipeline, load_encoder
from backend.recipes import load_recipe
from backend.settings import Settings
from backend.types import Correction, Kind, LaneReading, Verdict

T = TypeVar("T")
Say = Callable[[str], None]

MANY, LABELS, PACKS, DECIDED = 10_000, 20, 4, 100
"""Samples, labels, packs and fully labelled samples of the loop."""

REPEATS, VISIBLE = 60, 40
SIZES = (1_000, 10_000, 100_000)
TAUGHT_LABELS, YES, NO = 5, 20, 40
TEXTS = 600


def rows(settings: Settings, *, say: Say, part: str | None = None) -> Iterator[Row]:
    """All rows, or those of one part.

    Raises:
        NotFoundError: the data packs are not there, or no part has that name.
    """
    if not settings.data.is_dir():
        raise NotFoundError(f"no data packs in {settings.data}; set PATCHLANE_DATA")
    recipe = load_recipe("default")
    pipeline = Pipeline(recipe, load_encoder(recipe.default_encoder(Kind.IMAGE), settings))
    kept = settings.home / "training" / NAME

    def known() -> ReadSet:
        return read_set(coco(settings.data), pipeline, kept, say)

    with TemporaryDirectory(prefix="patchlane-bench-") as folder:
        own = replace(settings, home=Path(folder))
        steps: dict[str, Callable[[], Iterator[Row]]] = {
            "loop": lambda: loop(own, commonest(known(), LABELS), samples=MANY),
            "teach": lambda: teach(own),
            "inference": lambda: _lane_speed.inference(own),
            "cost": lambda: _lane_speed.cost(own, pipeline, known()),
            "growth": lambda: growth(pipeline, commonest(known(), LABELS), SIZES),
            "cache": lambda: cache(own, pipeline, known()),
            "views": lambda: views(
                pipeline,
                known(),
                read_views(
                    coco(settings.data), pipeline, kept, views=NUM_VIEWS[Kind.IMAGE], say=say
                ),
            ),
            "cuda": _lane_speed.cuda,
        }
        if part is not None and part not in steps:
            raise NotFoundError(f"lanes has no part {part!r}; there are {', '.join(steps)}")
        for name, step in steps.items():
            if part in (None, name):
                say(f"measuring: {name}")
                yield from step()


def commonest(known: ReadSet, count: int) -> ReadSet:
    """The same pictures with their commonest labels only."""
    columns = np.sort(np.argsort(-known.truth.sum(axis=0), kind="stable")[:count])
    return replace(
        known,
        names=[known.names[column] for column in columns],
        truth=known.truth[:, columns],
        whole=known.whole[:, columns],
        local=known.local[:, columns],
        label_vectors=known.label_vectors[columns],
    )


# --- loop ------------------------------------------------------------------------------------


def loop(settings: Settings, known: ReadSet, *, samples: int) -> Iterator[Row]:
    """One correction after the other on a project that serves a screen, lanes taught."""
    path = settings.home / "many"
    made = min(DECIDED, samples)
    make_repeated(path, settings, known, samples=samples, packs=PACKS, verdicts=made)
    with opened(path, settings) as bench:
        bench.learn()
        seconds = [bench.packs.teach(pack.name).seconds for pack in bench.packs.list()]
    shape = f"{samples:,} samples x {len(known.names)} labels"
    yield row(
        f"teach a lane and read all samples with it, {shape}",
        statistics.median(seconds),
        "s",
    )
    with opened(path, settings, learns=True) as bench:
        told = corrected(bench, np.random.default_rng(0))
    stored, folded, shown, whole = (1000 * np.array(values) for values in zip(*told, strict=True))
    yield row(
        f"correction to refreshed suggestions, {shape}, p50",
        float(np.median(whole)),
        "ms",
        at_most=150.0,
        baseline="storing the correction, durably",
        baseline_value=float(np.median(stored)),
    )
    yield row(
        f"correction to refreshed suggestions, {shape}, p95",
        float(np.quantile(whole, 0.95)),
        "ms",
        at_most=300.0,
        baseline="storing the correction, durably",
        baseline_value=float(np.quantile(stored, 0.95)),
    )
    yield row("of that: the next version is there, p50", float(np.median(folded)), "ms")
    yield row(f"of that: suggestions of {VISIBLE} samples, p50", float(np.median(shown)), "ms")


def corrected(bench: api.Workbench, draw: np.random.Generator) -> list[tuple[float, ...]]:
    """Seconds to store, to the next version, to suggest, and of all, for each correction."""
    ids = [sample.id for sample in bench.samples()]
    labels = [label.name for label in bench.labels()]
    visible = ids[:VISIBLE]
    bench.suggest(visible)
    told = []
    for number in range(REPEATS):
        since = bench.refresh(0, timeout=0)
        verdict = ("yes", "no")[number % 2]
        answer = {"sample": int(draw.choice(ids)), "label": str(draw.choice(labels))}
        at = [time.perf_counter()]
        bench.correct([{**answer, "verdict": verdict}])
        at.append(time.perf_counter())
        bench.refresh(since, timeout=30)
        at.append(time.perf_counter())
        bench.suggest(visible)
        at.append(time.perf_counter())
        told.append((*np.diff(at).tolist(), at[-1] - at[0]))
        time.sleep(0.05)  # a person looks for a moment
    return told[1:]


# --- teach -----------------------------------------------------------------------------------


def teach(settings: Settings) -> Iterator[Row]:
    """A new pack of five labels, twenty YES and forty NO each, on photographs and on texts."""
    items = read_rows(settings.data, COCO)
    folder = settings.data / COCO / "images"
    labels = [set(item["labels"]) for item in items]
    names = [Path(item["file"]).name for item in items]
    yield from taught_pack("coco_mini photographs", settings, folder, names, labels)
    lines = (settings.data / "nlupp" / "data.jsonl").read_text(encoding="utf-8").splitlines()
    read = [json.loads(line) for line in lines]
    texts = [item for item in read if item["split"] == "train"][:TEXTS]
    file = settings.home / "texts.jsonl"
    lines = [json.dumps({"sample": f"t{i}", "text": each["text"]}) for i, each in enumerate(texts)]
    file.write_text("\n".join(lines), encoding="utf-8")
    labels = [set(each["labels"]) for each in texts]
    names = [f"t{number}" for number in range(len(texts))]
    yield from taught_pack("nlupp texts", settings, file, names, labels)


def taught_pack(
    told: str, settings: Settings, source: Path, names: list[str], labels: list[set[str]]
) -> Iterator[Row]:
    """Seconds to fresh suggestions and to a lane; quality on the pairs that were not answered."""
    every = sorted({name for each in labels for name in each})
    counts = [sum(name in each for each in labels) for name in every]
    # Those with just enough YES, and some left to measure on: a new pack is no pack of `person`.
    enough = sorted((count, name) for count, name in zip(counts, every, strict=True))
    chosen = [name for count, name in enough if count >= 1.5 * YES][:TAUGHT_LABELS]
    kind = api.Kind.TEXT if source.suffix == ".jsonl" else api.Kind.IMAGE
    bench = api.create_project(told.split(maxsplit=1)[0], kind=kind, settings=settings)
    try:
        bench.add(source)
        # The same text twice is one sample with two names.
        known = {
            name.split("/")[-1]: sample.id
            for sample in bench.samples()
            for name in (sample.name, *sample.names)
        }
        ids = [known[name] for name in names]
        bench.packs.pause(True)
        bench.warm_up(compiles=True)
        started = time.perf_counter()
        bench.add_labels(chosen, pack="new")
        bench.suggest(ids[:VISIBLE])
        named = time.perf_counter() - started
        answers = _answers(chosen, ids, labels)
        left = {(i, n) for i in ids for n in chosen} - {(a["sample"], a["label"]) for a in answers}
        before = _quality(bench, chosen, ids, labels, left)
        started = time.perf_counter()
        bench.correct(answers)
        bench.learn()
        bench.suggest(ids[:VISIBLE])
        first = time.perf_counter() - started
        heads = _quality(bench, chosen, ids, labels, left)
        started = time.perf_counter()
        report = bench.packs.teach("new")
        lane = time.perf_counter() - started
        after = _quality(bench, chosen, ids, labels, left)
    finally:
        bench.close()
    yield row(f"{told}: new labels by name to suggestions", named, "s", at_most=1.0)
    yield row(f"{told}: {len(answers)} verdicts to first suggestions", first, "s", at_most=1.0)
    yield row(
        f"{told}: to a usable lane, {report.steps} steps, share {report.share:g}",
        lane,
        "s",
        at_most=10.0,
        baseline="first suggestions",
        baseline_value=first,
    )
    yield row(
        f"{told}: mAP of pairs not answered, heads",
        heads,
        "mAP",
        baseline="no verdict",
        baseline_value=before,
    )
    yield row(
        f"{told}: mAP of pairs not answered, lane",
        after,
        "mAP",
        baseline="heads",
        baseline_value=heads,
    )


def _answers(chosen: list[str], ids: list[int], labels: list[set[str]]) -> list[dict[str, object]]:
    draw = np.random.default_rng(0)
    answers: list[dict[str, object]] = []
    for name in chosen:
        shown = np.array([name in each for each in labels])
        for verdict, count in (("yes", YES), ("no", NO)):
            rows_ = draw.permutation(np.flatnonzero(shown == (verdict == "yes")))[:count]
            answers += [{"sample": ids[i], "label": name, "verdict": verdict} for i in rows_]
    return answers


def _quality(
    bench: api.Workbench,
    chosen: list[str],
    ids: list[int],
    labels: list[set[str]],
    left: set[tuple[int, str]],
) -> float:
    board = bench.board
    columns = [board.column_named[name] for name in chosen]
    at = [board.row_of[i] for i in ids]
    truth = np.array([[name in each for name in chosen] for each in labels], np.float32)
    is_left = np.array([[(i, name) in left for name in chosen] for i in ids])
    return mean_average_precision(board.logits[at][:, columns], truth, is_left)


# --- growth ----------------------------------------------------------------------------------


def growth(pipeline: Pipeline, known: ReadSet, sizes: tuple[int, ...]) -> Iterator[Row]:
    """The same fold-in with more and more samples beside those with verdicts."""
    first: float | None = None
    for size in sizes:
        board, learned, verdicts = _large(pipeline, known, size)
        label = board.labels[0].id
        new = Correction(2, DECIDED + 1, label, Verdict.YES, "bench", 0.0, "bench")
        told = {**verdicts, (DECIDED + 1, label): new}
        lately = [_one_more(pipeline, board, learned, told, label) for _ in range(9)]
        fold, score = (1000 * float(np.median(each)) for each in zip(*lately, strict=True))
        first = fold if first is None else first
        yield row(
            f"fold one correction in, {size:,} samples",
            fold,
            "ms",
            at_most=1.2 * first,
            baseline=f"{sizes[0]:,} samples",
            baseline_value=first,
        )
        yield row(f"score its label on all {size:,} samples", score, "ms")


def _one_more(
    pipeline: Pipeline,
    board: Board,
    learned: Learned,
    verdicts: dict[tuple[int, int], Correction],
    label: int,
) -> tuple[float, float]:
    """Seconds to fold a verdict on one label in, and to score that label anew."""
    fold, (new, _) = _spent(
        lambda: learning.fold_in(
            pipeline, board, learned, verdicts=verdicts, changed=[label], version=2, offset=2
        )
    )
    return fold, _spent(lambda: learning.score(pipeline, board, new, scored=learned))[0]


def _large(
    pipeline: Pipeline, known: ReadSet, size: int
) -> tuple[Board, Learned, dict[tuple[int, int], Correction]]:
    """A board in memory with `size` samples, lanes of random start, and what was learned of it."""
    at = np.arange(size) % len(known.truth)
    many = replace(
        known,
        truth=known.truth[at],
        is_taught=np.ones(size, bool),
        pooled=known.pooled[at],
        whole=known.whole[at],
        local=known.local[at],
        plain=known.plain[at],
    )
    packs = tuple(tuple(x.tolist()) for x in np.array_split(np.arange(len(known.names)), PACKS))
    course = Course(many, packs, np.arange(size), np.arange(0), 0)
    verdicts = replace(course, taught=np.arange(DECIDED)).verdicts(range(len(known.names)))
    board, learned = course.board, learning.start(pipeline)
    draw = np.random.default_rng(0)
    for number, pack in enumerate(packs):
        arrays = {"selectors": draw.standard_normal((8, 256)).astype(np.float32)}
        labels = tuple(column + 1 for column in pack)
        lane = learning.new_lane(pipeline, arrays, pack=f"pack {number + 1}", labels=labels)
        cls = draw.standard_normal((len(known.truth), 256)).astype(np.float32)
        cls /= np.linalg.norm(cls, axis=1, keepdims=True)
        board = replace(board, lane_cls={**board.lane_cls, lane.digest: cls[at]})
        learned = learning.swap_in(
            pipeline, board, learned, lane, verdicts=verdicts, version=1, offset=1
        )
    logits, chances = learning.score(pipeline, board, learned)
    return replace(board, logits=logits, probabilities=chances), learned, verdicts


# --- cache -----------------------------------------------------------------------------------


def cache(settings: Settings, pipeline: Pipeline, known: ReadSet) -> Iterator[Row]:
    """Bytes and time per sample, and what int8 costs in quality after half is labelled."""
    yield from lane_costs.rows(settings)
    yield from int8(pipeline, known, seeds=3)


def int8(pipeline: Pipeline, known: ReadSet, *, seeds: int) -> Iterator[Row]:
    """Last mAP of lanes that always count, on tokens of one byte beside those of two."""

    def coarse(at: np.ndarray) -> list[LaneReading]:
        return [
            LaneReading(restored(*quantised(each.tokens)), each.plain)
            for each in known.readings(at)
        ]

    yield row(
        "coco_mini mAP, half labelled, lanes of share 1 on int8 tokens",
        _last_map(pipeline, known, seeds, readings=coarse),
        "mAP",
        baseline="float16 tokens",
        baseline_value=_last_map(pipeline, known, seeds),
    )


def views(
    pipeline: Pipeline, known: ReadSet, seen: Sequence[Sequence[LaneReading]]
) -> Iterator[Row]:
    """What further fixed views of each taught picture bring to lanes that always count."""
    plain_seconds, plain = _spent(lambda: _last_map(pipeline, known, 3))
    seconds, found = _spent(lambda: _last_map(pipeline, known, 3, views=seen))
    yield row(
        f"coco_mini mAP, half labelled, lanes of share 1 on {1 + len(seen)} views",
        found,
        "mAP",
        baseline="1 view",
        baseline_value=plain,
    )
    yield row(
        f"seconds of that, {1 + len(seen)} views",
        seconds,
        "s",
        baseline="1 view",
        baseline_value=plain_seconds,
    )


def _last_map(
    pipeline: Pipeline,
    known: ReadSet,
    seeds: int,
    *,
    readings: Callable[[np.ndarray], list[LaneReading]] | None = None,
    views: Sequence[Sequence[LaneReading]] = (),
) -> float:
    """Mean over seeds of the recipe's last mAP where each lane has its full say.

    By default a lane that has not earned its say has none, and a comparison of lanes would then
    compare heads.
    """
    teacher = copy(pipeline.teacher)
    if not isinstance(teacher, LanesLearner) or pipeline.host is None:
        raise NotFoundError("the default recipe has no lanes")
    teacher.shares = (1.0,)
    counting = copy(pipeline)
    counting.learner = counting.teacher = teacher
    network = teacher.network(pipeline.host.frozen_stack())
    found = []
    for seed in range(seeds):
        course = courses(known, seed=seed)
        truth = known.truth[course.measured].astype(np.float32)
        last = Classroom(course, counting, network, readings, views).product()[-1]
        targets = truth[:, list(last.columns)]
        found.append(mean_average_precision(last.scores, targets, np.ones_like(targets, bool)))
    return float(np.mean(found))


def _spent(work: Callable[[], T]) -> tuple[float, T]:
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result
