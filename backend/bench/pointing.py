"""Does the shown map lie on its label: against the map of mean-pooled training, and Grad-CAM.

`patchlane bench evidence --part pointing` and `--part corrections`. Labels with a YES in what was
taught, on pictures that were not; the same parts for all. Of `mosaic_open` the train part is taught
and of the others 100 pictures, drawn three times.

The baseline is the cosine map of a label's vector after mean-pooled training: the same label
vector, moved by a logistic fit of the pictures' mean parts. The shipped map knows which other
labels a person accepted of the picture, all that it has; what that brings is told beside the map
that is for itself. Grad-CAM takes the shipped map's own
score, the CT-pooled one of the learned vector: the weights of the channels are the gradient, mean
over parts. That gradient is pi_n (1 + (S_n - s) / t) v at part n, and its mean v / P, so that its
map is the likeness of each part and v, where positive: neither neighbours nor ground.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from backend.bench._embedded_data import MOSAICS
from backend.bench._evidence_data import SETS, Boxed, Say, boxed_set
from backend.bench.reports import Row, row
from backend.numerics import logistic, map_shape
from backend.numerics.localisation import map_average_precisions, pointing
from backend.numerics.part_shift import Taught, learned_vector
from backend.numerics.scores import mean_average_precision
from backend.numerics.transport import part_weights, pooled_scores
from backend.part_lessons import NEWEST
from backend.pipeline import load_encoder
from backend.recipes import load_recipe
from backend.settings import Settings
from backend.types import Kind

NAME = "patchct"
SEEDS = 3
TAUGHT = 100
MARKED = 20
CORRECTED = ("coco_mini", "aquarium")
SLOPE, OFFSET, PRECISION = 1.3, -3.5, 30.0
"""Of the mean-pooled fit: logit per unit of score, logit of score 0, precision of the shift."""


@dataclass(frozen=True)
class Course:
    """What is taught and measured of one set: rows, and the labels that have both verdicts."""

    known: Boxed
    taught: Int[np.ndarray, " n"]
    measured: Int[np.ndarray, " m"]
    columns: Int[np.ndarray, " l"]

    @classmethod
    def draw(cls, known: Boxed, seed: int) -> Course:
        """As the set says, or `TAUGHT` pictures."""
        if known.is_taught.any():
            taught, measured = np.flatnonzero(known.is_taught), np.flatnonzero(~known.is_taught)
        else:
            order = np.random.default_rng(seed).permutation(len(known.truth))
            taught, measured = np.sort(order[:TAUGHT]), np.sort(order[TAUGHT:])
        shown = known.truth[taught]
        columns = np.flatnonzero(shown.any(axis=0))
        return cls(known, taught, measured, columns)

    @property
    def pairs(self) -> Int[np.ndarray, " k"]:
        """Measured pairs of a taught label."""
        found = self.known.pairs_of(self.measured)
        return found[np.isin(self.known.columns[found], self.columns)]


def pointing_rows(settings: Settings, say: Say) -> Iterator[Row]:
    """Shipped map, its parts one by one, and both baselines on each set."""
    for known in _sets(settings, SETS, say):
        seeds = 1 if known.is_taught.any() else SEEDS
        runs: list[dict[str, tuple[float, float]]] = []
        for seed in range(seeds):
            course = Course.draw(known, seed)
            runs.append(judged(course, taught_vectors(course), mean_pooled_vectors(course)))
            say(f"{known.name}, seed {seed}: {runs[-1]}")
        hits, order = (
            {arm: float(np.mean([run[arm][at] for run in runs])) for arm in runs[0]}
            for at in (0, 1)
        )
        base = hits["mean-pooled"]
        reach = base + (1 - base) / 3 if known.name == MOSAICS else base
        yield row(
            f"pointing of the shipped map, {known.name}",
            hits["shipped"],
            "of 1",
            at_least=reach,
            baseline="cosine map after mean-pooled training",
            baseline_value=base,
        )
        yield row(
            f"pointing of the shipped map, {known.name}, against Grad-CAM",
            hits["shipped"],
            "of 1",
            at_least=hits["Grad-CAM"],
            baseline="Grad-CAM on the same score",
            baseline_value=hits["Grad-CAM"],
        )
        yield row(
            f"pointing of the shipped map, {known.name}, against the same without rivals",
            hits["shipped"],
            "of 1",
            baseline="no other label accepted",
            baseline_value=hits["alone"],
        )
        for arm in ("untaught, cosine", "untaught, shaped"):
            yield row(
                f"pointing, {known.name}, {arm}",
                hits[arm],
                "of 1",
                baseline="parts drawn at random",
                baseline_value=float(known.inside.mean()),
            )
        yield row(
            f"heat-map AP of the shipped map, {known.name}",
            order["shipped"],
            "of 1",
            baseline="cosine map after mean-pooled training",
            baseline_value=order["mean-pooled"],
        )


def correction_rows(settings: Settings, say: Say) -> Iterator[Row]:
    """20 verdicts of each label, half of them YES: alone, and with marks on the parts of the YES.

    The gain is over no verdicts, of the shipped map and of the CT-pooled score.
    """
    for known in _sets(settings, CORRECTED, say):
        gains: dict[str, list[tuple[float, float]]] = {"sample": [], "part": []}
        for seed in range(SEEDS):
            course = Course.draw(known, seed)
            shown = known.truth[course.taught]
            half = MARKED // 2
            enough = (shown.sum(axis=0) >= half) & ((~shown).sum(axis=0) >= half)
            course = Course(known, course.taught, course.measured, np.flatnonzero(enough))
            before = _quality(course, known.labels)
            for kind, found in gains.items():
                vectors = taught_vectors(course, newest=half, with_marks=kind == "part")
                after = _quality(course, vectors)
                found.append((after[0] - before[0], after[1] - before[1]))
            say(f"{known.name}, seed {seed}: {gains}")
        sample, part = (np.mean(gains[kind], axis=0) for kind in ("sample", "part"))
        for at, what in enumerate(("pointing", "mAP of the CT-pooled score")):
            yield row(
                f"gain of {MARKED} corrections on parts, {known.name}, {what}",
                float(part[at]),
                "of 1",
                at_least=float(sample[at]),
                baseline=f"{MARKED} corrections on samples",
                baseline_value=float(sample[at]),
            )


def taught_vectors(
    course: Course, *, newest: int = NEWEST, with_marks: bool = False
) -> Float[np.ndarray, "l d"]:
    """All label vectors, those of the course's labels as the product learns them.

    Args:
        course: rows and labels.
        newest: of each kind of verdict, the most that is learned from.
        with_marks: samples with a YES say which parts show the label and which do not.
    """
    known = course.known
    boxed = {
        (int(known.rows[pair]), int(known.columns[pair])): known.inside[pair]
        for pair in known.pairs_of(course.taught)
    }
    out = known.labels.copy()
    for column in course.columns.tolist():
        yes = course.taught[known.truth[course.taught, column]][-newest:].tolist()
        no = course.taught[~known.truth[course.taught, column]][-newest:].tolist()
        told = []
        for sample in yes:
            inside = boxed.get((sample, column)) if with_marks else None
            marks = () if inside is None else (np.flatnonzero(inside), np.flatnonzero(~inside))
            told.append(Taught(known.parts[sample], *marks))
        rest = [Taught(known.parts[sample]) for sample in no]
        out[column] = learned_vector(known.labels[column], told, rest, known.scale.temperature)
    return out


def mean_pooled_vectors(course: Course) -> Float[np.ndarray, "l d"]:
    """All label vectors, those of the course's labels moved by a fit of the mean parts."""
    known, scale = course.known, course.known.scale
    unit = SLOPE / scale.local_std
    mean = np.stack([known.parts[one].mean(axis=0, dtype=np.float32) for one in course.taught])
    features = np.hstack([mean * unit / np.sqrt(PRECISION), np.ones((len(mean), 1))]).astype(float)
    out = known.labels.copy()
    for column in course.columns.tolist():
        offsets = unit * (mean @ known.labels[column] - scale.local_mean) + OFFSET
        targets = known.truth[course.taught, column].astype(float)
        start, weights = np.zeros(features.shape[1]), np.ones(len(mean))
        found, _ = logistic.fit(features, offsets.astype(float), targets, weights, start)
        out[column] += (found[:-1] / np.sqrt(PRECISION)).astype(np.float32)
    return out


def judged(
    course: Course, learned: Float[np.ndarray, "l d"], pooled: Float[np.ndarray, "l d"]
) -> dict[str, tuple[float, float]]:
    """Pointing and heat-map AP of each arm, mean over the measured pairs."""
    known, pairs = course.known, course.pairs
    inside = known.inside[pairs]
    plain, moved = _maps(course, known.labels), _maps(course, learned)
    arms = {
        "shipped": moved.shown,
        "alone": moved.alone,
        "Grad-CAM": np.maximum(moved.likeness, 0),
        "mean-pooled": _maps(course, pooled).likeness,
        "untaught, cosine": plain.likeness,
        "untaught, shaped": plain.alone,
    }
    return {name: _means(maps, inside) for name, maps in arms.items()}


@dataclass(frozen=True)
class Maps:
    """Of each measured pair: likeness of the parts, and logits of the map that is shown.

    Attributes:
        alone: where no other label of the picture was accepted.
        shown: where all its labels were.
    """

    likeness: Float[np.ndarray, "k p"]
    alone: Float[np.ndarray, "k p"]
    shown: Float[np.ndarray, "k p"]


def _maps(course: Course, vectors: Float[np.ndarray, "l d"]) -> Maps:
    known, pairs = course.known, course.pairs
    likeness, alone, shown = (
        np.empty((len(pairs), known.parts.shape[1]), np.float32) for _ in range(3)
    )
    rows = known.rows[pairs]
    for sample in np.unique(rows).tolist():
        at = np.flatnonzero(rows == sample)
        parts = known.parts[sample].astype(np.float32)
        columns = known.columns[pairs[at]]
        likeness[at] = (parts @ vectors[columns].T).T
        smooth = map_shape.smoothed(parts, known.grid)
        weights = np.log(map_shape.saliency(parts, known.grid))
        alone[at] = (smooth @ vectors[columns].T).T / known.scale.temperature + weights
        accepted = np.flatnonzero(known.truth[sample])
        own = np.searchsorted(accepted, columns)
        claimed = map_shape.claims(smooth @ vectors[accepted].T, own, known.scale.temperature)
        shown[at] = alone[at] - map_shape.YIELD * claimed.T
    return Maps(likeness, alone, shown)


def _means(maps: Float[np.ndarray, "k p"], inside: Bool[np.ndarray, "k p"]) -> tuple[float, float]:
    return (
        round(float(pointing(maps, inside).mean()), 4),
        round(float(np.nanmean(map_average_precisions(maps, inside))), 4),
    )


def _quality(course: Course, vectors: Float[np.ndarray, "l d"]) -> tuple[float, float]:
    """Pointing of the shown map, and mAP of the CT-pooled score, on measured pictures."""
    known, pairs = course.known, course.pairs
    hits = pointing(_maps(course, vectors).shown, known.inside[pairs])
    parts = known.parts[course.measured]
    theta = part_weights(np.ones(parts.shape[:2], bool))
    scores = pooled_scores(parts, vectors[course.columns], theta, known.scale.temperature)
    truth = known.truth[course.measured][:, course.columns].astype(np.float32)
    return float(hits.mean()), mean_average_precision(scores, truth, np.ones_like(truth, bool))


def _sets(settings: Settings, names: tuple[str, ...], say: Say) -> Iterator[Boxed]:
    encoder = load_encoder(load_recipe("default").default_encoder(Kind.IMAGE), settings)
    folder = settings.home / "training" / NAME
    for name in names:
        yield boxed_set(name, encoder, settings.data, folder, say)
