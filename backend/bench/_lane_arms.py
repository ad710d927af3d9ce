"""Ways to learn packs of labels one after the other, on pictures that are known in full.

Each arm takes a `Course` and gives, after every pack, the scores of all labels seen so far. All of
them learn from the same pictures; the same fifth of them is held back, on which lanes stop. The
product's own arm goes through `backend.replay`, as a project does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from backend import learning
from backend.bench._lane_data import ReadSet
from backend.board import Board
from backend.contracts import State
from backend.errors import BadInputError
from backend.methods.learners._heads import LogisticHeads
from backend.methods.learners.lanes import LanesLearner
from backend.pipeline import Pipeline
from backend.types import (
    Correction,
    Features,
    Kind,
    Label,
    LaneLessons,
    LaneReading,
    Lessons,
    Sample,
    Split,
    Verdict,
)

Readings = Callable[[np.ndarray], list[LaneReading]]


@dataclass(frozen=True)
class Course:
    """Who is taught what, in which order, and on whom it is measured.

    Attributes:
        packs: columns of each pack, in the order of teaching.
        taught, measured: rows.
    """

    known: ReadSet
    packs: tuple[tuple[int, ...], ...]
    taught: np.ndarray
    measured: np.ndarray
    seed: int

    @cached_property
    def board(self) -> Board:
        """The pictures as a project holds them: taught rows are training samples."""
        known, shape = self.known, self.known.truth.shape
        is_taught = np.isin(np.arange(shape[0]), self.taught)
        pack_of = {column: number for number, pack in enumerate(self.packs) for column in pack}
        none = np.full(shape, np.nan, np.float32)
        return Board(
            samples=tuple(
                Sample(
                    row + 1,
                    f"{row}",
                    Kind.IMAGE,
                    f"{row}",
                    split=Split.TRAIN if is_taught[row] else Split.TEST,
                )
                for row in range(shape[0])
            ),
            labels=tuple(
                Label(column + 1, name, f"pack {pack_of[column] + 1}")
                for column, name in enumerate(known.names)
            ),
            pooled=known.pooled,
            label_vectors=known.label_vectors,
            global_scores=known.whole,
            local_scores=known.local,
            logits=none,
            probabilities=none,
            split_seed=self.seed,
            plain=known.plain,
        )

    def verdicts(self, columns: Sequence[int]) -> dict[tuple[int, int], Correction]:
        """A true YES or NO on these labels of every taught picture."""
        found = {}
        for row in self.taught.tolist():
            for column in columns:
                said = Verdict.YES if self.known.truth[row, column] else Verdict.NO
                pair = row + 1, column + 1
                found[pair] = Correction(1, *pair, said, "bench", 0.0, "bench")
        return found


@dataclass(frozen=True)
class Stage:
    """After one pack.

    Attributes:
        scores: (M, L') of the measured pictures, logits of the labels seen so far.
        columns: their labels.
        seconds: of teaching this pack.
        num_bytes: that this pack added to what is kept.
    """

    scores: Float[np.ndarray, "m l"]
    columns: tuple[int, ...]
    seconds: float
    num_bytes: int


class Classroom:
    """A course with the frozen blocks; each method is an arm."""

    def __init__(
        self,
        course: Course,
        pipeline: Pipeline,
        network: Any,
        readings: Readings | None = None,
        views: Sequence[Sequence[LaneReading]] = (),
    ):
        """Teach a course by a recipe.

        Args:
            course: who is taught what.
            pipeline: recipe and encoder.
            network: the frozen blocks.
            readings: in place of the course's own.
            views: of all pictures, in each further way that taught ones are looked at.
        """
        teacher = pipeline.teacher
        if not isinstance(teacher, LanesLearner):
            raise BadInputError("this recipe has no lanes")
        self.course, self.pipeline, self.network = course, pipeline, network
        self.teacher = teacher
        self._readings = readings or course.known.readings
        self._views = views
        board = course.board
        self.learned_from = np.flatnonzero(board.trainable)
        self.held_back = np.flatnonzero(board.held_back)

    # --- arms --------------------------------------------------------------------------------

    def product(self, packs: Sequence[Sequence[int]] | None = None) -> list[Stage]:
        """Lanes as they ship: zero-shot, heads, lanes; every taught picture is answered in full."""
        course, pipeline = self.course, self.pipeline
        board, learned = course.board, learning.start(pipeline)
        verdicts: dict[tuple[int, int], Correction] = {}
        stages: list[Stage] = []
        seen: tuple[int, ...] = ()
        for number, columns in enumerate(packs or course.packs):
            started = time.perf_counter()
            seen = (*seen, *columns)
            verdicts |= course.verdicts(columns)
            labels = tuple(column + 1 for column in columns)
            base = learning.zero_shot_logits(pipeline, board, labels)
            taught, held = (
                self._lessons(columns, rows, base) for rows in (self.learned_from, self.held_back)
            )
            taught = self._in_all_views(taught, self.learned_from)
            warm = dict(learned.lanes[-1].arrays) if learned.lanes else None
            arrays = self._teach(self.teacher, taught, held, warm)
            lane = learning.new_lane(pipeline, arrays, pack=f"pack {number + 1}", labels=labels)
            cls = {**board.lane_cls, lane.digest: self._cls(arrays)}
            board = replace(board, lane_cls=cls)
            learned = learning.swap_in(
                pipeline,
                board,
                learned,
                lane,
                verdicts=verdicts,
                version=number + 1,
                offset=number + 1,
            )
            spent = time.perf_counter() - started
            logits, _ = learning.score(pipeline, board, learned)
            heads = sum(array[: len(columns)].nbytes for array in learned.learner.values())
            stages.append(self._stage(logits, seen, spent, _bytes(arrays) + heads))
        return stages

    def heads(self) -> list[Stage]:
        """As the product without lanes: zero-shot and heads."""
        course, pipeline = self.course, self.pipeline
        board, learned = course.board, learning.start(pipeline)
        verdicts: dict[tuple[int, int], Correction] = {}
        stages: list[Stage] = []
        seen: tuple[int, ...] = ()
        for number, columns in enumerate(course.packs):
            started = time.perf_counter()
            seen = (*seen, *columns)
            verdicts |= course.verdicts(columns)
            learned, _ = learning.fold_in(
                pipeline,
                board,
                learned,
                verdicts=verdicts,
                changed=[column + 1 for column in columns],
                version=number + 1,
                offset=number + 1,
            )
            spent = time.perf_counter() - started
            logits, _ = learning.score(pipeline, board, learned)
            heads = sum(array[: len(columns)].nbytes for array in learned.learner.values())
            stages.append(self._stage(logits, seen, spent, heads))
        return stages

    def paper(self, *, is_shared: bool = False) -> list[Stage]:
        """The paper's protocol: pictures with a label of the pack only, its lane's CLS alone.

        Args:
            is_shared: one lane for all packs, trained on; heads of earlier packs stay as they are.
        """
        teacher = LanesLearner(replace(self.teacher.settings, is_paper_protocol=True))
        arrays: State | None = None
        read: list[np.ndarray] = []
        heads: list[tuple[tuple[int, ...], State]] = []
        stages: list[Stage] = []
        seen: tuple[int, ...] = ()
        for columns in self.course.packs:
            started = time.perf_counter()
            seen = (*seen, *columns)
            base = np.zeros((len(self.course.known.truth), len(columns)), np.float32)
            taught, held = (
                self._lessons(columns, self._with_a_label(rows, columns), base)
                for rows in (self.learned_from, self.held_back)
            )
            arrays = self._teach(teacher, taught, held, arrays)
            cls = self._cls(arrays)
            heads.append((tuple(columns), self._head(cls, columns, is_paper=True)))
            read.append(cls)
            spent = time.perf_counter() - started
            logits = np.zeros(self.course.known.truth.shape, np.float32)
            seen_by = [cls] * len(heads) if is_shared else read
            for (own, head), vectors in zip(heads, seen_by, strict=True):
                logits[:, own] = _HEADS.score(head, _plain_features(vectors, len(own)))
            stages.append(self._stage(logits, seen, spent, _bytes(arrays) + _bytes(heads[-1][1])))
        return stages

    def probe(self, *, is_paper: bool) -> list[Stage]:
        """A linear head per label on pooled and plain vectors, no zero-shot."""
        known = self.course.known
        vectors = np.concatenate([known.pooled, known.plain], axis=1)
        logits = np.zeros(known.truth.shape, np.float32)
        stages: list[Stage] = []
        seen: tuple[int, ...] = ()
        for columns in self.course.packs:
            started = time.perf_counter()
            seen = (*seen, *columns)
            head = self._head(vectors, columns, is_paper=is_paper)
            spent = time.perf_counter() - started
            logits[:, columns] = _HEADS.score(head, _plain_features(vectors, len(columns)))
            stages.append(self._stage(logits, seen, spent, _bytes(head)))
        return stages

    # --- inside ------------------------------------------------------------------------------

    def _teach(
        self, teacher: LanesLearner, taught: LaneLessons, held: LaneLessons, warm: State | None
    ) -> State:
        return teacher.teach(
            self.network, taught, held, start=warm, seed=self.course.seed, threads=1
        )[0]

    def _cls(self, arrays: State) -> Float[np.ndarray, "n w"]:
        rows = np.arange(len(self.course.known.truth))
        blocks = [
            self.teacher.read(self.network, [arrays], self._readings(rows[at : at + 64]))[0]
            for at in range(0, len(rows), 64)
        ]
        return np.concatenate(blocks)

    def _lessons(self, columns: Sequence[int], rows: np.ndarray, base: np.ndarray) -> LaneLessons:
        truth = self.course.known.truth[rows][:, list(columns)]
        return LaneLessons(
            self._readings(rows), base[rows], truth.astype(np.float32), np.ones_like(truth)
        )

    def _in_all_views(self, taught: LaneLessons, rows: np.ndarray) -> LaneLessons:
        """The same lessons again for each further view of their pictures."""
        if not self._views:
            return taught
        times = 1 + len(self._views)
        return LaneLessons(
            [*taught.readings, *(view[row] for view in self._views for row in rows.tolist())],
            np.tile(taught.base, (times, 1)),
            np.tile(taught.targets, (times, 1)),
            np.tile(taught.known, (times, 1)),
        )

    def _with_a_label(self, rows: np.ndarray, columns: Sequence[int]) -> np.ndarray:
        return rows[self.course.known.truth[rows][:, list(columns)].any(axis=1)]

    def _head(self, vectors: np.ndarray, columns: Sequence[int], *, is_paper: bool) -> State:
        rows = self.learned_from
        if is_paper:
            rows = self._with_a_label(rows, columns)
        truth: Bool[np.ndarray, "n l"] = self.course.known.truth[rows][:, list(columns)]
        lessons = Lessons(
            np.repeat(np.arange(len(rows)), len(columns)),
            np.tile(np.arange(len(columns)), len(rows)),
            truth.reshape(-1).astype(np.float32),
        )
        start = _HEADS.start(len(columns), vectors.shape[1])
        return _HEADS.learn(start, _plain_features(vectors[rows], len(columns)), lessons)[0]

    def _stage(
        self, logits: np.ndarray, seen: tuple[int, ...], seconds: float, num_bytes: int
    ) -> Stage:
        scores = logits[self.course.measured][:, list(seen)]
        return Stage(scores, seen, seconds, num_bytes)


_HEADS = LogisticHeads(LogisticHeads.Settings(offset=0.0))
"""The product's heads and prior, but nothing is said before the first verdict."""


def _plain_features(vectors: np.ndarray, num_labels: int) -> Features:
    """Vectors alone: zero-shot scores of 0 say nothing."""
    nothing = np.zeros((len(vectors), num_labels), np.float32)
    return Features(vectors.astype(np.float32), nothing, nothing)


def _bytes(state: State) -> int:
    return sum(array.nbytes for array in state.values())
