"""Teach packs: train their lanes on all verdicts, when somebody asks and by itself.

Teaching has two halves. Training looks at a snapshot and takes seconds, while corrections go on
being folded in; swapping the lane in is one learn step, done under the learning lock with all
verdicts there are by then.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import asdict, replace
from threading import Lock
from typing import Any

from backend import learning, replay
from backend.board import Board
from backend.errors import BadInputError, NotFoundError
from backend.jobs import Cancelled, JobState, Ticket
from backend.lane_steps import TeachReport, is_lane_missing, one_step, put_back, swap
from backend.learning import Learned
from backend.live import Live
from backend.pack_facts import (
    TAUGHT,
    check_lanes,
    counts_when_taught,
    labels_of,
    lane_of,
    lessons_of_packs,
    muted,
    packs_of,
)
from backend.types import Correction, Lane, Progress

PAUSED = "teaching_paused"
ASKED = "teaching_asked_for"
MOST_STARTS = 2
"""Times that a training which was cut off is started, the first one included."""
FIRST_VERDICTS = 30
"""Verdicts of a pack from which on its lane is trained by itself."""
MORE_VERDICTS = 1.25
"""Factor by which a pack's verdicts have to grow before its lane is trained again by itself."""


class Teaching:
    """Trainings of the packs of one open project."""

    def __init__(self, bench: Live):
        self._bench = bench
        self._noting = Lock()

    def teach(
        self,
        pack: str,
        *,
        until: float | None = None,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> TeachReport:
        """Train the lane of a pack on all its verdicts and put it in place as a new version.

        Args:
            pack: a pack's name.
            until: seconds after which training stops with the best lane so far.
            seed: of the lane's start and the order of samples.
            progress: called with (epoch, epochs at most, what is going on).

        Raises:
            NotFoundError: no such pack.
            BadInputError: no lanes with this encoder, or no verdicts to learn from.
            BusyError: another process is writing versions.
        """
        bench, started = self._bench, time.monotonic()
        report = progress or (lambda *_: None)
        check_lanes(bench)
        bench.resync()
        taught_offset = bench.offset  # first: the board may know more already, never less
        board, learned = bench.board, bench.learned
        labels = tuple(label.id for label in labels_of(bench, pack))
        verdicts = bench.store.log.current(upto=taught_offset)
        base = learning.zero_shot_logits(bench.pipeline, board, labels)
        report(0, 1, "reading the samples with verdicts")
        taught, held = bench.room.lessons(board, labels, verdicts, base, trust=learned.trust)
        if not (taught.known & (taught.targets > 0)).any():
            raise BadInputError(
                f"the pack {pack!r} has no YES on a sample that is learned from; give a few first"
            )
        start = self._start(board, learned, labels)

        def on_epoch(epoch: int, most: int, loss: float) -> bool:
            report(epoch, most, f"held-back loss {loss:.3f}" if loss > 0 else "training")
            return until is None or time.monotonic() - started < until

        arrays, steps = bench.room.train(
            taught, held, start=start, steps=0, seed=seed, threads=1, on_epoch=on_epoch
        )
        lane = learning.new_lane(bench.pipeline, arrays, pack=pack, labels=labels)
        bench.store.lanes.save(lane)
        report(1, 1, "putting the lane in place")
        detail = {
            "pack": pack,
            "labels": list(labels),
            "digest": lane.digest,
            "start": "" if start is None else start.digest,
            "taught": taught_offset,
            **({replay.TAUGHT_DRAWER: asdict(board.drawer)} if board.drawer else {}),
            **({replay.TAUGHT_TRUST: learned.trust.as_json()} if learned.trust else {}),
            "waiting": sorted(replay.without_vectors(board, verdicts)),
        }
        count = _num_lessons(board, verdicts, labels)
        told = self._place(
            lane, steps=steps, seed=seed, detail=detail, started=started, verdicts=count
        )
        bench.store.set(TAUGHT, {**counts_when_taught(bench.store), pack: count})
        return told

    def teach_soon(self, pack: str, *, by_itself: bool = False, starts: int = 0) -> str:
        """The same as a job; returns its id.

        Args:
            pack: a pack's name.
            by_itself: nobody asked: it ends when training is paused, and is due again later. What
                a person asked for is started again after a restart that cut it off.
            starts: how often it was started before and cut off.
        """
        jobs = self._bench.jobs

        def work(ticket: Ticket) -> TeachReport:
            def progress(done: int, total: int, note: str = "") -> None:
                if by_itself and self.is_paused:
                    raise Cancelled
                ticket.progress(done, total, note)

            return self.teach(pack, progress=progress)

        job = jobs.submit("teach", f"Teaching {pack}", work, key=f"teach:{pack}")
        if not by_itself:
            self._ask(pack, job, starts)
        return job

    def resume(self) -> None:
        """Start the trainings again that somebody asked for and a restart cut off.

        One that was cut off twice is left alone: it may be what ended the process.
        """
        known = set(packs_of(self._bench.board))
        jobs = {job.id: job for job in self._bench.jobs.list()}
        for pack, told in self._asked().items():
            job = jobs.get(told["job"])
            if job is None or job.state is not JobState.INTERRUPTED or pack not in known:
                continue
            starts = told["starts"] + (job.started is not None)
            if starts < MOST_STARTS:
                self.teach_soon(pack, starts=starts)

    def due(self) -> list[str]:
        """Packs whose verdicts have grown enough for their lane to be trained by itself."""
        bench = self._bench
        if bench.room.refusal or self.is_paused:
            return []
        before, hidden = counts_when_taught(bench.store), muted(bench.store)
        return [
            name
            for name, known in lessons_of_packs(bench.board).items()
            if known.verdicts >= max(FIRST_VERDICTS, MORE_VERDICTS * before.get(name, 0))
            and known.yes
            and name not in hidden
        ]

    def put_back_soon(self) -> None:
        """Put lanes back that the live version lacks, see `lane_steps.put_back`, as a job."""
        bench = self._bench
        if bench.store.is_read_only or bench.room.refusal or not is_lane_missing(bench):
            return

        def work(ticket: Ticket) -> None:
            ticket.progress(0, 1, "putting lanes back")
            put_back(bench)
            ticket.progress(1, 1, "")

        bench.jobs.submit("teach", "Putting lanes back", work, key="lanes-back")

    @property
    def is_paused(self) -> bool:
        """Whether lanes are trained only when asked."""
        return bool(self._bench.store.get(PAUSED, False))

    def pause(self, is_paused: bool) -> None:
        """Train lanes by themselves, or only when asked; ends one that trains by itself."""
        self._bench.store.set(PAUSED, bool(is_paused))
        if not is_paused:
            self._bench.wake()

    def _asked(self) -> dict[str, dict[str, Any]]:
        """Job and number of earlier starts of the last training asked for, by pack."""
        known: Any = self._bench.store.get(ASKED, {})
        return dict(known)

    def _ask(self, pack: str, job: str, starts: int) -> None:
        with self._noting:
            told = {"job": job, "starts": starts}
            self._bench.store.set(ASKED, {**self._asked(), pack: told})

    def _start(self, board: Board, learned: Learned, labels: Collection[int]) -> Lane | None:
        """The lane to start from: that of these labels or the newest, none that saw the drawer."""
        spoilt = replay.saw_drawer(self._bench.store, learned.lanes, board.drawer)
        digests = {lane.digest for lane in spoilt}
        lanes = tuple(lane for lane in learned.lanes if lane.digest not in digests)
        return lane_of(replace(learned, lanes=lanes), set(labels)) or (lanes[-1] if lanes else None)

    def _place(
        self,
        lane: Lane,
        *,
        steps: int,
        seed: int,
        detail: Mapping[str, object],
        started: float,
        verdicts: int,
    ) -> TeachReport:
        """Put a trained lane in place as a new version, and say what that changed."""
        bench = self._bench
        # Computing the lane's CLS of all samples takes seconds; nobody waits for it.
        bench.room.filled(bench.board, (*bench.learned.lanes, lane))
        with one_step(bench, folds=True):
            if not set(lane.labels) & set(bench.board.column_of):
                raise NotFoundError(f"the pack {lane.pack!r} was removed while it was taught")
            return swap(
                bench,
                lane,
                kind="lane",
                steps=steps,
                seed=seed,
                detail=detail,
                started=started,
                verdicts=verdicts,
            )


def _num_lessons(
    board: Board, verdicts: Mapping[tuple[int, int], Correction], labels: Collection[int]
) -> int:
    """Verdicts on labels that are learned from or held back."""
    columns = {label: column for column, label in enumerate(labels)}
    return sum(
        len(board.lessons(verdicts, columns, rows).rows)
        for rows in (board.trainable, board.held_back)
    )
