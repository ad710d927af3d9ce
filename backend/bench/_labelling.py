"""A person who answers what a picker asks, and what the learner makes of it, round after round.

An answer is one verdict on one (sample, label) pair; whoever answers a sample completely gives as
many as there are labels. Every way of asking is counted in this unit.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from backend.bench._embedded_data import read_rows
from backend.bench._evidence_data import boxed_set
from backend.errors import NotFoundError
from backend.methods.learners.logistic import LogisticLearner
from backend.numerics import logistic
from backend.numerics.scores import mean_average_precision
from backend.pipeline import Pipeline, load_encoder
from backend.recipes import load_recipe
from backend.settings import Settings
from backend.types import Features, Kind, Lessons

Say = Callable[[str], None]
IMAGES, TEXTS = ("mosaic_open", "aquarium"), ("nlupp", "goemotions")
SETS = (*IMAGES, *TEXTS)
DRAWN = {"train": 3000, "test": 1500}
"""Texts of `goemotions`, drawn once."""

GROWTH = 1.35
"""Answers after a round over those before it."""

FIRST = 2
"""Answers per label in the first round."""

BATCH = 128
TARGET = 0.9


@dataclass(frozen=True)
class Course:
    """A set that is labelled and one that is measured on.

    Attributes:
        pool, test: features of both; `truth` and `test_truth` their labels.
    """

    name: str
    names: list[str]
    pool: Features
    truth: Bool[np.ndarray, "n l"]
    test: Features
    test_truth: Bool[np.ndarray, "t l"]

    def strange(self) -> Course:
        """The same, known by verdicts alone: names say nothing, all zero-shot scores are 0."""
        return replace(self, pool=_nameless(self.pool), test=_nameless(self.test))


def _nameless(features: Features) -> Features:
    none = np.zeros_like(features.global_scores)
    return replace(features, global_scores=none, local_scores=none)


def course(name: str, settings: Settings, say: Say) -> Course:
    """Read a set; its vectors are encoded once and kept below the home folder.

    Raises:
        NotFoundError: the data pack is not there.
    """
    kind = Kind.IMAGE if name in IMAGES else Kind.TEXT
    encoder = load_encoder(load_recipe("default").default_encoder(kind), settings)
    pipeline = Pipeline(load_recipe("default"), encoder)
    folder = settings.home / "training" / "pickers"
    key = hashlib.sha256(f"{pipeline.fingerprint}{DRAWN}".encode()).hexdigest()[:12]
    path = folder / f"{name}-{key}.npz"
    if not path.exists():
        say(f"{name}: encoding")
        read = _read_images if kind is Kind.IMAGE else _read_texts
        arrays = read(name, pipeline, settings, say)
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(path.with_suffix(".part.npz"), allow_pickle=False, **arrays)
        path.with_suffix(".part.npz").rename(path)
    with np.load(path) as found:
        kept = {key: found[key] for key in found.files}
    taught = kept["is_taught"]
    parts = [
        (
            Features(kept["pooled"][rows], kept["whole"][rows], kept["local"][rows]),
            kept["truth"][rows],
        )
        for rows in (taught, ~taught)
    ]
    return Course(name, kept["names"].tolist(), *parts[0], *parts[1])


def _read_images(
    name: str, pipeline: Pipeline, settings: Settings, say: Say
) -> dict[str, np.ndarray]:
    folder = settings.home / "training" / "patchct"  # shared with `bench evidence`
    found = boxed_set(name, pipeline.encoder, settings.data, folder, say)
    splits = [row["split"] for row in read_rows(settings.data, name)]
    splits += ["test"] * (len(found.truth) - len(splits))  # composed mosaics
    local = [
        pipeline.local_scores(list(found.parts[at : at + BATCH].astype(np.float32)), found.labels)
        for at in range(0, len(found.truth), BATCH)
    ]
    return {
        "names": np.array(found.names),
        "truth": found.truth,
        "is_taught": np.array(splits) == "train",
        "pooled": found.pooled.astype(np.float32),
        "whole": pipeline.global_scores(found.pooled.astype(np.float32), found.labels),
        "local": np.concatenate(local),
    }


def _read_texts(
    name: str,
    pipeline: Pipeline,
    settings: Settings,
    say: Say,  # noqa: ARG001 - as for images
) -> dict[str, np.ndarray]:
    items = _items(settings.data / name)
    if name == "goemotions":
        draw, kept = np.random.default_rng(0), []
        for split, count in DRAWN.items():
            own = [item for item in items if item["split"] == split]
            kept += [own[at] for at in sorted(draw.permutation(len(own))[:count])]
        items = kept
    names = sorted({label for item in items for label in item["labels"]})
    labels = pipeline.encoder.encode_labels(names)
    pooled, local = [], []
    for at in range(0, len(items), BATCH):
        encoded = pipeline.encoder.encode([item["text"] for item in items[at : at + BATCH]])
        pooled.append(encoded.pooled)
        local.append(pipeline.local_scores(encoded.parts, labels))
    vectors = np.concatenate(pooled)
    return {
        "names": np.array(names),
        "truth": np.array([[label in item["labels"] for label in names] for item in items]),
        "is_taught": np.array([item["split"] == "train" for item in items]),
        "pooled": vectors,
        "whole": pipeline.global_scores(vectors, labels),
        "local": np.concatenate(local),
    }


def _items(folder: Path) -> list[dict]:
    plain, packed = folder / "data.jsonl", folder / "data.jsonl.gz"
    if packed.exists():
        with gzip.open(packed, "rt", encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]
    if not plain.exists():
        raise NotFoundError(f"no texts in {folder}; set PATCHLANE_DATA")
    with plain.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@dataclass(frozen=True)
class Point:
    """After a round: answers given, samples opened, mAP on the test part."""

    answers: int
    opened: int
    quality: float


Ask = Callable[["Labelling", int, int], Bool[np.ndarray, "n l"]]
"""(labelling, about how many answers, seed) -> the pairs to ask in this round."""


class Labelling:
    """One run: what is known, and the heads that learned from it."""

    def __init__(self, course: Course):
        self.course = course
        self.learner = LogisticLearner()
        self.known: Bool[np.ndarray, "n l"] = np.zeros(course.truth.shape, bool)
        self.num_labels: int = course.truth.shape[1]
        width = course.pool.pooled.shape[1]
        self.state = self.learner.start(self.num_labels, width)
        self.opened = 0

    @property
    def chances(self) -> Float[np.ndarray, "n l"]:
        """Of the pool, a logistic of the score, as a project says before it is calibrated."""
        logits = self.learner.score(self.state, self.course.pool)
        return logistic.chance(logits).astype(np.float32)

    @property
    def verdicts(self) -> Float[np.ndarray, "n l"]:
        """1, 0, or NaN where nobody answered."""
        return np.where(self.known, self.course.truth, np.nan).astype(np.float32)

    def answer(self, pairs: Bool[np.ndarray, "n l"]) -> None:
        """Answer these pairs truly and learn from them."""
        fresh = pairs & ~self.known
        self.opened += int(fresh.any(axis=1).sum())
        self.known |= fresh
        columns = np.flatnonzero(fresh.any(axis=0))
        is_asked = np.zeros_like(self.known)
        is_asked[:, columns] = self.known[:, columns]
        rows, at = np.nonzero(is_asked)
        targets = self.course.truth[rows, at].astype(np.float32)
        lessons = Lessons(rows, at, targets)
        self.state, _ = self.learner.learn(self.state, self.course.pool, lessons)

    def quality(self) -> float:
        """MAP on the test part, all of it decided."""
        targets = self.course.test_truth.astype(np.float32)
        scores = self.learner.score(self.state, self.course.test)
        return mean_average_precision(scores, targets, np.ones_like(targets, bool))

    def point(self) -> Point:
        """Where it stands."""
        return Point(int(self.known.sum()), self.opened, self.quality())


def full_quality(course: Course) -> float:
    """MAP with every pair of the pool answered."""
    run = Labelling(course)
    run.answer(np.ones_like(run.known))
    return run.quality()


def labelled(course: Course, ask: Ask, *, until: float, seed: int) -> list[Point]:
    """Rounds until the test mAP reaches `until` or nothing is left to ask."""
    run = Labelling(course)
    points = [run.point()]
    count = FIRST * run.num_labels
    while points[-1].quality < until and not run.known.all():
        pairs = ask(run, count, seed + len(points))
        if not (pairs & ~run.known).any():
            break
        run.answer(pairs)
        points.append(run.point())
        count = max(FIRST * run.num_labels // 2, int((GROWTH - 1) * run.known.sum()))
    return points


def reached(points: list[Point], until: float) -> tuple[float, float]:
    """Answers and opened samples at which the mAP got there, on the line between two rounds.

    All pairs of the pool count where it never did.
    """
    for before, after in zip([points[0], *points], points, strict=False):
        if after.quality >= until:
            rise = after.quality - before.quality
            share = 1.0 if rise <= 0 else (until - before.quality) / rise
            answers = before.answers + share * (after.answers - before.answers)
            return answers, before.opened + share * (after.opened - before.opened)
    return float(points[-1].answers), float(points[-1].opened)
