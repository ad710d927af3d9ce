"""From the log to a learned version: one fold-in, and the replay of all of them.

A version is a pure function of a log prefix. The live path and the replay call the same `fold_in`
with the same arguments, so they give the same numbers; only the step counts come from the log.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from backend.board import Board
from backend.contracts import State
from backend.pipeline import Pipeline
from backend.store.project import ProjectStore
from backend.types import Correction, Features, LearnStep, Lessons

CALIBRATOR = "calibrator."
LEARNER = "learner."
LEASE_SECONDS = 120.0


@dataclass(frozen=True)
class Learned:
    """One version in memory.

    Attributes:
        labels: label ids in the order of the learner's columns; removed labels keep theirs.
    """

    version: int = 0
    offset: int = 0
    labels: tuple[int, ...] = ()
    learner: State = field(default_factory=dict)
    calibrator: State = field(default_factory=dict)

    @property
    def columns(self) -> dict[int, int]:
        """Label id -> the learner's column."""
        return {label: column for column, label in enumerate(self.labels)}

    def as_arrays(self) -> State:
        """Learner and calibrator in one flat dict, as a version file holds them."""
        learner = {LEARNER + name: array for name, array in self.learner.items()}
        return learner | {CALIBRATOR + name: array for name, array in self.calibrator.items()}

    @classmethod
    def from_arrays(cls, step: LearnStep, arrays: State, labels: tuple[int, ...]) -> Learned:
        """Read what `as_arrays` wrote."""
        parts = {
            prefix: {
                name.removeprefix(prefix): array
                for name, array in arrays.items()
                if name.startswith(prefix)
            }
            for prefix in (LEARNER, CALIBRATOR)
        }
        return cls(step.version, step.offset, labels, parts[LEARNER], parts[CALIBRATOR])


def start(pipeline: Pipeline) -> Learned:
    """Version 0: nothing learned, every score is zero-shot."""
    return Learned(learner=pipeline.learner.start(0, pipeline.encoder.dim))


def fold_in(
    pipeline: Pipeline,
    board: Board,
    before: Learned,
    *,
    verdicts: Mapping[tuple[int, int], Correction],
    changed: Collection[int],
    version: int,
    offset: int,
    steps: int = 0,
    seed: int = 0,
) -> tuple[Learned, int]:
    """Learn the labels whose verdicts changed; every other label's column stays as it is.

    Args:
        pipeline: recipe and encoder.
        board: rows, columns and their zero-shot scores, complete for encoded rows.
        before: the version to start from.
        verdicts: the log folded up to `offset`.
        changed: ids of the labels with rows of the log between `before.offset` and `offset`.
        version: number of the new version.
        offset: log offset it stands for.
        steps: optimiser steps; 0 until converged.
        seed: for learners that draw.

    Returns:
        The new version and the optimiser steps done.
    """
    learner = pipeline.learner
    new = sorted(set(changed) - set(before.labels))
    labels = (*before.labels, *new)
    columns = {label: column for column, label in enumerate(labels)}
    state = learner.extend(before.learner, len(labels))
    concerned = {label: columns[label] for label in changed}
    lessons = board.lessons(verdicts, concerned, board.trainable)
    state = _reset(pipeline, state, sorted({*concerned.values()} - {*lessons.columns.tolist()}))
    done = 0
    if len(lessons.rows):
        features, lessons = _only_rows_with_lessons(pipeline, board, labels, lessons)
        state, done = learner.learn(state, features, lessons, steps=steps, seed=seed)
    held = board.lessons(verdicts, columns, board.held_back)
    calibrator: State = {}
    if len(held.rows):
        features, held = _only_rows_with_lessons(pipeline, board, labels, held)
        calibrator = pipeline.calibrator.fit(learner.score(state, features), held)
    return Learned(version, offset, labels, state, calibrator), done


def score(
    pipeline: Pipeline, board: Board, learned: Learned
) -> tuple[Float[np.ndarray, "n l"], Float[np.ndarray, "n l"]]:
    """Logits and calibrated probabilities of the whole board; NaN where nothing is known."""
    columns = learned.columns
    new = sorted(label.id for label in board.labels if label.id not in columns)
    labels = (*learned.labels, *new)
    state = pipeline.learner.extend(learned.learner, len(labels))
    rows = np.flatnonzero(board.encoded)
    shape = (len(board.samples), len(board.labels))
    logits, probabilities = np.full(shape, np.nan, np.float32), np.full(shape, np.nan, np.float32)
    if not len(rows) or not len(board.labels):
        return logits, probabilities
    raw = pipeline.learner.score(state, features_of(pipeline, board, labels, rows))
    order = [labels.index(label.id) for label in board.labels]
    logits[rows] = raw[:, order]
    if learned.calibrator:
        calibrated = pipeline.calibrator.probabilities(
            learned.calibrator, raw[:, : len(learned.labels)]
        )
        for column, label in enumerate(board.labels):
            if label.id in columns:
                probabilities[rows, column] = calibrated[:, columns[label.id]]
    return logits, probabilities


def restore(store: ProjectStore, pipeline: Pipeline, board: Board) -> Learned:
    """The newest version: from its file, or by replaying the log where files are gone.

    Steps of another recipe or encoder are passed over: their numbers mean nothing to this one.
    A replay needs the vectors of all samples with verdicts; `can_restore` says if they are there.
    """
    steps = store.versions.steps()
    learned = start(pipeline)
    todo: list[LearnStep] = []
    for step in reversed(steps):
        if step.recipe != pipeline.fingerprint:
            break
        kept = store.versions.load(step.version)
        if kept is not None:
            arrays, info = kept
            labels: Any = info["labels"]
            learned = Learned.from_arrays(step, arrays, tuple(int(i) for i in labels))
            break
        todo.append(step)
    for step in reversed(todo):
        changed = _labels_between(store, board, learned.offset, step.offset)
        learned, _ = fold_in(
            pipeline,
            board,
            learned,
            verdicts=store.log.current(upto=step.offset),
            changed=changed,
            version=step.version,
            offset=step.offset,
            steps=step.steps,
            seed=step.seed,
        )
        store.versions.restore(step, learned.as_arrays(), {"labels": list(learned.labels)})
    return learned


def can_restore(store: ProjectStore, pipeline: Pipeline, board: Board) -> bool:
    """Whether `restore` would give the newest version now, with the vectors that are there."""
    newest = store.versions.latest()
    if newest is None or newest.recipe != pipeline.fingerprint:
        return True
    if store.versions.load(newest.version) is not None:
        return True
    taught = {board.row_of[sample] for sample, _ in board.verdicts if sample in board.row_of}
    return bool(board.encoded[sorted(taught)].all())


def next_version(
    store: ProjectStore,
    pipeline: Pipeline,
    board: Board,
    before: Learned,
    *,
    offset: int,
    owner: str,
) -> tuple[Learned, int]:
    """Fold the log up to `offset` in and store it as a new version; `before` if nothing is new.

    Raises:
        BusyError: another process is writing versions of this project.
    """
    if not _labels_between(store, board, before.offset, offset):
        return before, 0
    with store.versions.lease(owner, LEASE_SECONDS):
        newest = store.versions.latest()
        if newest is not None and newest.version > before.version:
            before = restore(store, pipeline, board)  # another process learned meanwhile
        changed = _labels_between(store, board, before.offset, offset)
        if not changed:
            return before, 0
        version = (newest.version if newest else 0) + 1
        learned, steps = fold_in(
            pipeline,
            board,
            before,
            verdicts=board.verdicts,
            changed=changed,
            version=version,
            offset=offset,
        )
        step = LearnStep(
            version=version,
            from_version=before.version,
            offset=offset,
            recipe=pipeline.fingerprint,
            seed=0,
            split_seed=board.split_seed,
            steps=steps,
            when=time.time(),
        )
        store.versions.save(step, learned.as_arrays(), {"labels": list(learned.labels)})
    return learned, steps


def _labels_between(store: ProjectStore, board: Board, start: int, end: int) -> set[int]:
    """Live labels with rows of the log after `start` and up to `end`."""
    rows = store.log.since(start)
    return {row.label for row in rows if row.offset <= end and row.label in board.column_of}


def features_of(
    pipeline: Pipeline, board: Board, labels: tuple[int, ...], rows: np.ndarray
) -> Features:
    """Features of some rows with the learner's column order; columns of removed labels are 0."""
    columns = np.array([board.column_of.get(label, -1) for label in labels], np.int64)

    def picked(scores: np.ndarray) -> np.ndarray:
        out = np.zeros((len(rows), len(columns)), np.float32)
        known = np.flatnonzero(columns >= 0)
        out[:, known] = scores[np.ix_(rows, columns[known])]
        return np.nan_to_num(out)

    return pipeline.features(
        board.pooled[rows], picked(board.global_scores), picked(board.local_scores)
    )


def changed_samples(before: np.ndarray, after: np.ndarray) -> int:
    """How many samples have another set of suggested labels (logit above 0)."""
    if before.shape != after.shape:
        return len(after)
    return int(((before > 0) != (after > 0)).any(axis=1).sum())


def _reset(pipeline: Pipeline, state: State, columns: list[int]) -> State:
    """Set columns without any lesson left back to zero-shot (all verdicts were undone)."""
    fresh = pipeline.learner.extend(
        pipeline.learner.start(0, pipeline.encoder.dim), max(columns, default=-1) + 1
    )
    out = {name: array.copy() for name, array in state.items()}
    for name, array in out.items():
        array[columns] = fresh[name][columns]
    return out


def _only_rows_with_lessons(
    pipeline: Pipeline, board: Board, labels: tuple[int, ...], lessons: Lessons
) -> tuple[Features, Lessons]:
    rows, where = np.unique(lessons.rows, return_inverse=True)
    return features_of(pipeline, board, labels, rows), replace(lessons, rows=where.reshape(-1))
