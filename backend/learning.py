"""One step of learning: from a version and the log's verdicts to the next version.

Pure functions of what they are given; nothing is read from or written to a project here. There
are two speeds: `fold_in` solves the heads of the labels whose verdicts changed, `swap_in` puts a
trained lane in the place of its pack's earlier one.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float

from backend.board import Board
from backend.contracts import State
from backend.errors import NotFoundError
from backend.pipeline import Pipeline
from backend.store.lane_files import digest_of
from backend.types import Correction, Drawer, Features, Lane, LearnStep, Lessons, Trust

CALIBRATOR = "calibrator."
LEARNER = "learner."
TRUST = "trust"
"""Key of what a version file, and the detail of a step, says of whom to trust."""
ENOUGH_HELD_BACK = 8
"""Held-back verdicts below which a lane's share is not chosen by them."""
CLEARLY = 2.0
"""Standard errors by which a lane has to be better than the heads alone."""


@dataclass(frozen=True)
class Learned:
    """One version in memory.

    Attributes:
        labels: label ids in the order of the learner's columns; removed labels keep theirs.
        lanes: each serves its own labels; a label is served by one lane at most.
        unread: samples with verdicts that had no vectors yet, so that nothing was learned of
            them; what they say is learned once they are encoded.
        drawer: the calibration drawer that no head has learned from.
        trust: whom heads believe how far; None while people count alike. A fold-in learns with
            that of the version before it.
    """

    version: int = 0
    offset: int = 0
    labels: tuple[int, ...] = ()
    learner: State = field(default_factory=dict)
    calibrator: State = field(default_factory=dict)
    lanes: tuple[Lane, ...] = ()
    unread: frozenset[int] = frozenset()
    drawer: Drawer | None = None
    trust: Trust | None = None

    @property
    def columns(self) -> dict[int, int]:
        """Label id -> the learner's column."""
        return {label: column for column, label in enumerate(self.labels)}

    def as_arrays(self) -> State:
        """Learner and calibrator in one flat dict, as a version file holds them."""
        learner = {LEARNER + name: array for name, array in self.learner.items()}
        return learner | {CALIBRATOR + name: array for name, array in self.calibrator.items()}

    def info(self) -> dict[str, object]:
        """What a version file holds beside the arrays; lanes lie in files of their own."""
        lanes = [
            {"digest": lane.digest, "pack": lane.pack, "labels": lane.labels, "share": lane.share}
            for lane in self.lanes
        ]
        info = {"labels": list(self.labels), "lanes": lanes, "unread": sorted(self.unread)}
        return info if self.trust is None else {**info, TRUST: self.trust.as_json()}

    @classmethod
    def from_arrays(
        cls, step: LearnStep, arrays: State, labels: tuple[int, ...], lanes: tuple[Lane, ...] = ()
    ) -> Learned:
        """Read what `as_arrays` wrote."""
        parts = {
            prefix: {
                name.removeprefix(prefix): array
                for name, array in arrays.items()
                if name.startswith(prefix)
            }
            for prefix in (LEARNER, CALIBRATOR)
        }
        return cls(step.version, step.offset, labels, parts[LEARNER], parts[CALIBRATOR], lanes)


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
    unread: frozenset[int] = frozenset(),
    steps: int = 0,
    seed: int = 0,
    trust: Trust | None = None,
) -> tuple[Learned, int]:
    """Learn the labels whose verdicts changed; every other label's column stays as it is.

    Args:
        pipeline: recipe and encoder.
        board: rows, columns and their zero-shot scores, complete for encoded rows.
        before: the version to start from.
        verdicts: the log folded up to `offset`.
        changed: ids of the labels with rows of the log between `before.offset` and `offset`, or
            whose verdicts weigh otherwise with another `trust`.
        version: number of the new version.
        offset: log offset it stands for.
        unread: samples whose verdicts wait for vectors.
        steps: optimiser steps; 0 until converged.
        seed: for learners that draw.
        trust: whom to trust from this version on; None: those of `before`.

    Returns:
        The new version and the optimiser steps done.
    """
    learner, trust = pipeline.learner, trust or before.trust
    verdicts = readable(verdicts, unread)
    new = sorted(set(changed) - set(before.labels))
    labels = (*before.labels, *new)
    columns = {label: column for column, label in enumerate(labels)}
    state = learner.extend(before.learner, len(labels))
    concerned = {label: columns[label] for label in changed}
    lessons = board.lessons(verdicts, concerned, board.trainable, trust=trust)
    undone = sorted({*concerned.values()} - {*lessons.columns.tolist()})
    state = learner.forget(state, undone)
    done = 0
    if len(lessons.rows):
        features, lessons = _only_rows_with_lessons(board, labels, lessons, before.lanes)
        state, done = learner.learn(state, features, lessons, steps=steps, seed=seed)
    learned = Learned(
        version,
        offset,
        labels,
        state,
        lanes=before.lanes,
        unread=unread,
        drawer=board.drawer,
        trust=trust,
    )
    return _calibrated(pipeline, board, learned, verdicts), done


def swap_in(
    pipeline: Pipeline,
    board: Board,
    before: Learned,
    lane: Lane,
    *,
    verdicts: Mapping[tuple[int, int], Correction],
    version: int,
    offset: int,
    heads: State | None = None,
) -> Learned:
    """Put a trained lane in place and solve the heads of its labels anew; nothing else moves.

    The lane's share is the one of `teacher.shares` whose heads held-back verdicts like best, where
    they like it clearly better than the smallest; with fewer than 8 of them the smallest.

    Args:
        pipeline: recipe and encoder.
        board: holds the lane's CLS in all rows with verdicts on its labels.
        before: the version to start from.
        lane: takes its labels over from the lanes that had them.
        verdicts: the log folded up to `offset`.
        version: number of the new version.
        offset: log offset it stands for.
        heads: of its labels, where the lane came with heads that read it; its share is kept then.

    Raises:
        NotFoundError: the recipe has no lanes.
    """
    teacher = pipeline.teacher
    if teacher is None:
        raise NotFoundError("this recipe has no lanes")
    board = board.with_drawer(before.drawer)  # the other heads know of no newer one
    verdicts = readable(verdicts, before.unread)
    labels = (*before.labels, *sorted(set(lane.labels) - set(before.labels)))
    columns = {label: column for column, label in enumerate(labels)}
    mine = {label: columns[label] for label in lane.labels}
    extended = pipeline.learner.extend(before.learner, len(labels))
    extended = teacher.without_lane(extended, sorted(mine.values()))
    if heads:
        extended = teacher.anchored(extended, list(mine.values()), heads)
    lessons = board.lessons(verdicts, mine, board.trainable, trust=before.trust)
    held = board.lessons(verdicts, mine, board.held_back, trust=before.trust)
    others = without_labels(before.lanes, lane.labels)
    shares = [lane.share] if heads else list(teacher.shares)
    if not heads and len(held.rows) < ENOUGH_HELD_BACK:
        shares = [min(shares)]
    tried: list[Learned] = []
    losses: list[Float[np.ndarray, " m"]] = []
    for share in shares:
        lanes = (*others, replace(lane, share=share))
        state = extended
        if len(lessons.rows):
            features, here = _only_rows_with_lessons(board, labels, lessons, lanes)
            state, _ = pipeline.learner.learn(extended, features, here)
        loss = np.zeros(0)
        if len(held.rows):
            features, here = _only_rows_with_lessons(board, labels, held, lanes)
            logits = pipeline.learner.score(state, features)[here.rows, here.columns]
            loss = np.logaddexp(0, logits) - here.targets * logits
        losses.append(loss)
        tried.append(replace(before, labels=labels, learner=state, lanes=lanes))
    best = replace(tried[earned(shares, losses)], version=version, offset=offset)
    return _calibrated(pipeline, board, best, verdicts)


def earned(shares: Sequence[float], losses: Sequence[Float[np.ndarray, " m"]]) -> int:
    """Which of several shares to take, by the losses of the same held-back verdicts.

    The one with the smallest loss, if it is better than the smallest share's by more than
    `CLEARLY` standard errors of that difference: a lane has to earn its say. (By the smallest
    loss alone, lanes cost 0.004 mAP on `coco_mini` and won nothing on `mosaic_open`.)
    """
    plain = min(range(len(shares)), key=lambda one: shares[one])
    best = min(range(len(shares)), key=lambda one: float(losses[one].sum()))
    gains = losses[plain] - losses[best]
    if len(gains) < 2:
        return plain
    error = float(gains.std(ddof=1)) / math.sqrt(len(gains))
    return best if float(gains.mean()) > CLEARLY * error else plain


def drop_lane(
    pipeline: Pipeline,
    board: Board,
    before: Learned,
    labels: Collection[int],
    *,
    verdicts: Mapping[tuple[int, int], Correction],
    version: int,
    offset: int,
) -> Learned:
    """Take the lane of some labels away; their heads are solved anew without it."""
    teacher = pipeline.teacher
    board = board.with_drawer(before.drawer)
    verdicts = readable(verdicts, before.unread)
    columns = before.columns
    mine = {label: columns[label] for label in labels if label in columns}
    state = before.learner
    lanes = without_labels(before.lanes, labels)
    if teacher is not None:
        state = teacher.without_lane(state, sorted(mine.values()))
    lessons = board.lessons(verdicts, mine, board.trainable, trust=before.trust)
    if len(lessons.rows):
        features, lessons = _only_rows_with_lessons(board, before.labels, lessons, lanes)
        state, _ = pipeline.learner.learn(state, features, lessons)
    learned = replace(before, version=version, offset=offset, learner=state, lanes=lanes)
    return _calibrated(pipeline, board, learned, verdicts)


def readable(
    verdicts: Mapping[tuple[int, int], Correction], unread: Collection[int]
) -> Mapping[tuple[int, int], Correction]:
    """The verdicts on samples that had vectors."""
    if not unread:
        return verdicts
    return {pair: row for pair, row in verdicts.items() if pair[0] not in unread}


def without_labels(lanes: tuple[Lane, ...], labels: Collection[int]) -> tuple[Lane, ...]:
    """The lanes after some labels left them; a lane without labels goes."""
    left = (
        replace(lane, labels=tuple(label for label in lane.labels if label not in labels))
        for lane in lanes
    )
    return tuple(lane for lane in left if lane.labels)


def new_lane(pipeline: Pipeline, arrays: State, *, pack: str, labels: tuple[int, ...]) -> Lane:
    """Arrays as a lane of this encoder and learner; its share is set by `swap_in`.

    Raises:
        NotFoundError: there are no lanes with this encoder.
    """
    host, teacher = pipeline.host, pipeline.teacher
    if host is None or teacher is None:
        raise NotFoundError("there are no lanes with this encoder")
    return Lane(pack, labels, host.lane_key, arrays, 1.0, digest_of(arrays), teacher.maker)


def zero_shot_logits(
    pipeline: Pipeline, board: Board, labels: tuple[int, ...]
) -> Float[np.ndarray, "n l"]:
    """Logits of version 0 for some labels, on all rows; 0 where a row is not encoded."""
    rows = np.arange(len(board.samples))
    state = pipeline.learner.extend(start(pipeline).learner, len(labels))
    features = features_of(board, labels, rows, ())
    return np.nan_to_num(pipeline.learner.score(state, features))


def score(
    pipeline: Pipeline,
    board: Board,
    learned: Learned,
    *,
    rows: Sequence[int] | None = None,
    scored: Learned | None = None,
) -> tuple[Float[np.ndarray, "n l"], Float[np.ndarray, "n l"]]:
    """Logits and calibrated probabilities of the whole board; NaN where nothing is known.

    Args:
        pipeline: recipe and encoder.
        board: rows, columns and what scores follow from.
        learned: the version.
        rows: only these are scored, and all others are NaN.
        scored: the version that the board's logits are of, for the same rows, columns and lanes;
            only what has changed since then is worked out.
    """
    columns = learned.columns
    new = sorted(label.id for label in board.labels if label.id not in columns)
    labels = (*learned.labels, *new)
    state = pipeline.learner.extend(learned.learner, len(labels))
    wanted = board.encoded.copy()
    if rows is not None:
        wanted[:] = False
        wanted[list(rows)] = board.encoded[list(rows)]
    at = np.flatnonzero(wanted)
    shape = (len(board.samples), len(board.labels))
    logits, probabilities = np.full(shape, np.nan, np.float32), np.full(shape, np.nan, np.float32)
    if not len(at) or not len(board.labels):
        return logits, probabilities
    if scored is None:
        raw = pipeline.learner.score(state, features_of(board, labels, at, learned.lanes))
    else:
        raw = _rescored(
            pipeline, board, learned=learned, scored=scored, labels=labels, state=state, at=at
        )
    place = {label: column for column, label in enumerate(labels)}
    logits[at] = raw[:, [place[label.id] for label in board.labels]]
    if learned.calibrator:
        calibrated = pipeline.calibrator.probabilities(
            learned.calibrator, raw[:, : len(learned.labels)]
        )
        for column, label in enumerate(board.labels):
            if label.id in columns:
                probabilities[at, column] = calibrated[:, columns[label.id]]
    return logits, probabilities


def _rescored(
    pipeline: Pipeline,
    board: Board,
    *,
    learned: Learned,
    scored: Learned,
    labels: tuple[int, ...],
    state: State,
    at: np.ndarray,
) -> Float[np.ndarray, "n l"]:
    """Logits of rows `at`: the board's own, but for the labels whose state or lane is another."""
    earlier = pipeline.learner.extend(
        scored.learner, len(scored.labels) + len(set(labels) - set(scored.labels))
    )
    was = {label: column for column, label in enumerate(scored.labels)}
    for label in labels:
        was.setdefault(label, len(was))
    served, served_before = (
        {label: (lane.digest, lane.share) for lane in each.lanes for label in lane.labels}
        for each in (learned, scored)
    )
    raw = np.zeros((len(at), len(labels)), np.float32)
    todo = []
    for column, label in enumerate(labels):
        is_same = served.get(label) == served_before.get(label) and all(
            name in earlier and np.array_equal(array[column], earlier[name][was[label]])
            for name, array in state.items()
        )
        here = board.column_of.get(label)
        if here is None:
            continue  # a removed label is not shown
        if is_same:
            raw[:, column] = board.logits[at, here]
        else:
            todo.append(column)
    if todo:
        wanted = tuple(labels[column] for column in todo)
        lanes = tuple(lane for lane in learned.lanes if set(lane.labels) & set(wanted))
        own = {name: array[todo] for name, array in state.items()}
        raw[:, todo] = pipeline.learner.score(own, features_of(board, wanted, at, lanes))
    return raw


def _calibrated(
    pipeline: Pipeline,
    board: Board,
    learned: Learned,
    verdicts: Mapping[tuple[int, int], Correction],
) -> Learned:
    """The version with curves fitted on all held-back verdicts."""
    held = board.lessons(verdicts, learned.columns, board.held_back, trust=learned.trust)
    if not len(held.rows):
        return replace(learned, calibrator={})
    features, held = _only_rows_with_lessons(board, learned.labels, held, learned.lanes)
    scores = pipeline.learner.score(learned.learner, features)
    return replace(learned, calibrator=pipeline.calibrator.fit(scores, held))


def lane_logits(pipeline: Pipeline, board: Board, learned: Learned) -> Float[np.ndarray, "n l"]:
    """What the lanes add to the logits of a board, (N, L); NaN where no lane has a say."""
    columns = learned.columns
    out = np.full(board.logits.shape, np.nan, np.float32)
    at = np.flatnonzero(board.encoded)
    served = {label for lane in learned.lanes if lane.share for label in lane.labels}
    wanted = tuple(label for label in learned.labels if label in served & set(board.column_of))
    if not len(at) or not wanted:
        return out
    own = [columns[label] for label in wanted]
    state = {name: array[own] for name, array in learned.learner.items()}
    alone = pipeline.learner.score(state, features_of(board, wanted, at, ()))
    here = np.array([board.column_of[label] for label in wanted])
    out[at[:, None], here] = board.logits[at[:, None], here] - alone
    for lane in learned.lanes:
        read = board.lane_cls.get(lane.digest)
        unread = np.ones(len(out), bool) if read is None else np.isnan(read[:, 0])
        for label in set(lane.labels) & set(wanted):
            out[unread, board.column_of[label]] = np.nan
    return out


def features_of(
    board: Board, labels: tuple[int, ...], rows: np.ndarray, lanes: tuple[Lane, ...]
) -> Features:
    """Features of some rows with the learner's column order; columns of removed labels are 0."""
    columns = np.array([board.column_of.get(label, -1) for label in labels], np.int64)

    def picked(scores: np.ndarray) -> np.ndarray:
        out = np.zeros((len(rows), len(columns)), np.float32)
        known = np.flatnonzero(columns >= 0)
        out[:, known] = scores[np.ix_(rows, columns[known])]
        return np.nan_to_num(out)

    served = {label: number for number, lane in enumerate(lanes) for label in lane.labels}
    cls = []
    for lane in lanes:
        known = board.lane_cls.get(lane.digest)
        width = lane.arrays["selectors"].shape[-1]
        here = np.zeros((len(rows), width), np.float32) if known is None else _at(known, rows)
        cls.append(here if lane.share == 1 else np.float32(lane.share) * here)
    return Features(
        pooled=_at(board.pooled, rows),
        global_scores=picked(board.global_scores),
        local_scores=picked(board.local_scores),
        plain=_at(board.plain, rows) if board.plain.shape[1] else None,
        lane_cls=tuple(cls),
        lane_of=np.array([served.get(label, -1) for label in labels], np.int64),
    )


def _only_rows_with_lessons(
    board: Board, labels: tuple[int, ...], lessons: Lessons, lanes: tuple[Lane, ...]
) -> tuple[Features, Lessons]:
    rows, where = np.unique(lessons.rows, return_inverse=True)
    return features_of(board, labels, rows, lanes), replace(lessons, rows=where.reshape(-1))


def _at(known: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Rows of an array whose rows are NaN as a whole or not at all, with 0 for those.

    All rows are not copied: of ten thousand samples that would be most of a correction's time.
    """
    is_all = len(rows) == len(known) and bool((rows == np.arange(len(known))).all())
    here = known if is_all else known[rows]
    gaps = np.isnan(here[:, 0]) if here.shape[1] else np.zeros(0, bool)
    if gaps.any():
        here = np.where(gaps[:, None], np.float32(0), here)
    return here


def changed_samples(before: np.ndarray, after: np.ndarray) -> int:
    """How many samples have another set of suggested labels (logit above 0)."""
    if before.shape != after.shape:
        return len(after)
    return int(((before > 0) != (after > 0)).any(axis=1).sum())
