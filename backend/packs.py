"""What people do with label packs: teach their lanes, compare, mute, move, take home, go back.

Teaching has two halves. Training looks at a snapshot and takes seconds, while corrections go on
being folded in; swapping the lane in is one learn step, done under the learning lock with all
verdicts there are by then.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any, Protocol, runtime_checkable

import numpy as np
from safetensors.numpy import save

from backend import learning, replay
from backend.board import Board
from backend.errors import BadInputError, BusyError, NotFoundError
from backend.jobs import Cancelled, Jobs, JobState, Ticket
from backend.lane_room import LaneRoom
from backend.learning import Learned
from backend.numerics.scores import mean_average_precision
from backend.pipeline import Pipeline
from backend.settings import Settings
from backend.store.lane_files import LaneFile, pack_lane, unpack_lane
from backend.store.media import write_whole
from backend.store.naming import clean_label
from backend.store.project import ProjectStore
from backend.types import Label, Lane, LearnStep, Progress, Verdict

MUTED = "muted_packs"
PAUSED = "teaching_paused"
TAUGHT = "taught_verdicts"
ASKED = "teaching_asked_for"
REPORT = "report"
MOST_STARTS = 2
"""Times that a training which was cut off is started, the first one included."""
FIRST_VERDICTS = 30
"""Verdicts of a pack from which on its lane is trained by itself."""
MORE_VERDICTS = 1.25
"""Factor by which a pack's verdicts have to grow before its lane is trained again by itself."""
LEASE_PATIENCE = 15.0
"""Seconds to wait for another process that is writing a version."""
MOST_LANE_FILE = 256 * 2**20


@runtime_checkable
class Bench(Protocol):
    """What packs need of an open project; `Workbench` is one."""

    store: ProjectStore
    settings: Settings
    jobs: Jobs

    room: LaneRoom

    @property
    def pipeline(self) -> Pipeline:
        """The chosen methods."""
        ...

    @property
    def board(self) -> Board:
        """Rows, columns and scores as they are now."""
        ...

    @property
    def learned(self) -> Learned:
        """The live version."""
        ...

    @property
    def offset(self) -> int:
        """The log offset that was seen."""
        ...

    def learning(self) -> AbstractContextManager[object]:
        """While held, no other step is made in this process."""
        ...

    def fold_in(self) -> int:
        """Learn what is new in the log; callers hold `learning`."""
        ...

    def adopt(self, learned: Learned) -> None:
        """Make a stored version the live one."""
        ...

    def wake(self) -> None:
        """Look soon whether there is something to learn or to teach."""
        ...

    def resync(self) -> None:
        """See what changed in the store."""
        ...


@dataclass(frozen=True)
class PackInfo:
    """A pack at a glance.

    Attributes:
        labels: names, in order.
        yes, no, unsure: verdicts on its labels.
        digest: of its lane, "" without one; `share` as in `Lane`.
        num_bytes: of the lane's file.
        mAP: on held-back verdicts, None while there are too few.
    """

    name: str
    labels: tuple[str, ...]
    yes: int
    no: int
    unsure: int
    is_muted: bool
    digest: str = ""
    share: float = 0.0
    num_bytes: int = 0
    trained_on: int = 0
    mAP: float | None = None  # noqa: N815 - as the field writes it


@dataclass(frozen=True)
class PackChange:
    """One row of the table that shows what a step did to each pack."""

    pack: str
    before: float | None
    after: float | None
    digest_before: str
    digest_after: str
    largest_change: float
    """Of any logit of its labels, on any sample; exactly 0 for a pack that was not taught."""


@dataclass(frozen=True)
class TeachReport:
    """One lane put in place: "lane" is one that was taught, "import" one from a file."""

    pack: str
    version: int
    steps: int
    share: float
    digest: str
    seconds: float
    verdicts: int
    packs: tuple[PackChange, ...]
    kind: str
    when: float

    @classmethod
    def of(cls, step: LearnStep) -> TeachReport | None:
        """The report that a step keeps; None if it put no lane in place."""
        told: Any = step.detail.get(REPORT)
        if told is None:
            return None
        return cls(**{**told, "packs": tuple(PackChange(**row) for row in told["packs"])})


@dataclass(frozen=True)
class CurvePoint:
    """Held-back quality of one version."""

    version: int
    offset: int
    kind: str
    when: float
    mAP: float | None  # noqa: N815 - as the field writes it
    packs: Mapping[str, float | None]


@dataclass(frozen=True)
class VersionChange:
    """A sample whose suggested labels differ between two versions."""

    sample: int
    name: str
    gained: tuple[str, ...]
    lost: tuple[str, ...]
    largest: float


class Packs:
    """The packs of one open project."""

    def __init__(self, bench: Bench):
        self._bench = bench
        self._noting = Lock()

    # --- look --------------------------------------------------------------------------------

    def list(self) -> list[PackInfo]:
        """All packs with labels, in the order of their first labels."""
        board, learned = self._bench.board, self._bench.learned
        muted, taught = self.muted(), self._taught()
        quality = self._quality(board, board.logits)
        infos = []
        for name, labels in _packs_of(board).items():
            ids = {label.id for label in labels}
            counts = _count(board, ids)
            lane = lane_of(learned, ids)
            path = None if lane is None else self._bench.store.lanes.path(lane.digest)
            infos.append(
                PackInfo(
                    name=name,
                    labels=tuple(label.name for label in labels),
                    yes=counts[Verdict.YES],
                    no=counts[Verdict.NO],
                    unsure=counts[Verdict.UNSURE],
                    is_muted=name in muted,
                    digest="" if lane is None else lane.digest,
                    share=0.0 if lane is None else lane.share,
                    num_bytes=path.stat().st_size if path is not None and path.exists() else 0,
                    trained_on=taught.get(name, 0),
                    mAP=quality.get(name),
                )
            )
        return infos

    def muted(self) -> frozenset[str]:
        """Packs whose labels are not suggested."""
        known: Any = self._bench.store.get(MUTED, [])
        return frozenset(known)

    @property
    def is_paused(self) -> bool:
        """Whether lanes are trained only when asked."""
        return bool(self._bench.store.get(PAUSED, False))

    def curve(self, *, most: int = 60) -> list[CurvePoint]:
        """Held-back mAP of the versions whose files are kept, the newest `most` of them.

        All are scored on today's held-back verdicts, so that points can be compared.
        """
        bench = self._bench
        board = bench.board
        rows = [row for row in replay.taught_rows(board, board.verdicts) if board.held_back[row]]
        steps = [s for s in bench.store.versions.steps() if s.recipe == bench.pipeline.fingerprint]
        points = []
        for step in reversed(steps):
            learned = replay.loaded(bench.store, step)
            if learned is None:
                continue
            ready = bench.room.filled(board, learned.lanes, rows=rows, is_reading=False)
            logits, _ = learning.score(bench.pipeline, ready, learned, rows=rows)
            each = self._quality(ready, logits)
            known = [value for value in each.values() if value is not None]
            points.append(
                CurvePoint(
                    version=step.version,
                    offset=step.offset,
                    kind=step.kind,
                    when=step.when,
                    mAP=self._all(ready, logits) if known else None,
                    packs=each,
                )
            )
            if len(points) >= most:
                break
        return points[::-1]

    def last_report(self) -> TeachReport | None:
        """What the newest lane that was put in place changed, as it was measured then."""
        bench = self._bench
        for step in reversed(bench.store.versions.steps()):
            if step.recipe == bench.pipeline.fingerprint and (told := TeachReport.of(step)):
                return told
        return None

    def compare(self, one: int, other: int, *, most: int = 200) -> list[VersionChange]:
        """Samples whose suggested labels (logit above 0) differ, the largest change first."""
        board = self._bench.board
        before, after = (self._logits(version) for version in (one, other))
        changed = np.nan_to_num(before) * np.nan_to_num(after) < 0
        changed |= (np.nan_to_num(before) > 0) != (np.nan_to_num(after) > 0)
        size = np.where(changed, np.abs(np.nan_to_num(after) - np.nan_to_num(before)), 0)
        order = np.argsort(-size.max(axis=1, initial=0), kind="stable")
        out = []
        for row in order[:most].tolist():
            columns = np.flatnonzero(changed[row])
            if not len(columns):
                break
            out.append(
                VersionChange(
                    sample=board.samples[row].id,
                    name=board.samples[row].name,
                    gained=_names(board, columns, after[row] > 0),
                    lost=_names(board, columns, after[row] <= 0),
                    largest=float(size[row].max()),
                )
            )
        return out

    # --- teach -------------------------------------------------------------------------------

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
        self._check_lanes()
        bench.resync()
        taught_offset = bench.offset  # first: the board may know more already, never less
        board, learned = bench.board, bench.learned
        labels = tuple(label.id for label in self._labels(pack))
        verdicts = bench.store.log.current(upto=taught_offset)
        base = learning.zero_shot_logits(bench.pipeline, board, labels)
        report(0, 1, "reading the samples with verdicts")
        taught, held = bench.room.lessons(board, labels, verdicts, base)
        if not (taught.known & (taught.targets > 0)).any():
            raise BadInputError(
                f"the pack {pack!r} has no YES on a sample that is learned from; give a few first"
            )
        start = lane_of(learned, set(labels)) or (learned.lanes[-1] if learned.lanes else None)

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
            "waiting": sorted(replay.without_vectors(board, verdicts)),
        }
        columns = {label: column for column, label in enumerate(labels)}
        count = sum(
            len(board.lessons(verdicts, columns, rows).rows)
            for rows in (board.trainable, board.held_back)
        )
        told = self._place(
            lane, steps=steps, seed=seed, detail=detail, started=started, verdicts=count
        )
        bench.store.set(TAUGHT, {**self._taught(), pack: count})
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
        known = set(_packs_of(self._bench.board))
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
        board, taught = bench.board, self._taught()
        out = []
        for name, labels in _packs_of(board).items():
            counts = _count(board, {label.id for label in labels})
            count = counts[Verdict.YES] + counts[Verdict.NO]
            enough = max(FIRST_VERDICTS, MORE_VERDICTS * taught.get(name, 0))
            if count >= enough and counts[Verdict.YES] and name not in self.muted():
                out.append(name)
        return out

    def pause(self, is_paused: bool) -> None:
        """Train lanes by themselves, or only when asked; ends one that trains by itself."""
        self._bench.store.set(PAUSED, bool(is_paused))
        if not is_paused:
            self._bench.wake()

    # --- change ------------------------------------------------------------------------------

    def mute(self, pack: str, is_muted: bool) -> None:
        """Leave a pack's labels out of suggestions and queue, or take them in again."""
        self._labels(pack)
        muted = self.muted() - {pack} | ({pack} if is_muted else set())
        self._bench.store.set(MUTED, sorted(muted))

    def move(self, labels: Sequence[int | str], pack: str, *, who: str = "me") -> None:
        """Put labels into a pack, new or old; one undo takes it back.

        They keep the lane that serves them until the pack they are in now is taught.
        """
        found = [self._bench.store.find_label(label).id for label in labels]
        self._bench.store.move_labels(found, pack, who=who)
        self._bench.resync()

    def rename(self, pack: str, new: str, *, who: str = "me") -> None:
        """Give a pack another name, which merges it into a pack that has it."""
        is_merged = new in _packs_of(self._bench.board)
        self.move([label.id for label in self._labels(pack)], new, who=who)
        muted = self.muted()
        if pack in muted:
            # What was hidden stays hidden; a pack it is merged into is not hidden by it.
            self._bench.store.set(MUTED, sorted(muted - {pack} | (set() if is_merged else {new})))
        taught = self._taught()
        if pack in taught and new not in taught:
            taught[new] = taught.pop(pack)
            self._bench.store.set(TAUGHT, taught)

    def remove(self, pack: str, *, who: str = "me") -> None:
        """Remove a pack with all its labels; one undo brings them and their verdicts back."""
        self._bench.store.remove_labels([label.id for label in self._labels(pack)], who=who)
        self._bench.resync()

    def drop(self, pack: str) -> int:
        """Take the lane of a pack away, as a new version; its heads stay. Returns the version."""
        bench = self._bench
        labels = [label.id for label in self._labels(pack)]
        with self._step("drop"):
            before = bench.learned
            if lane_of(before, set(labels)) is None:
                raise NotFoundError(f"the pack {pack!r} has no lane")
            new = learning.drop_lane(
                bench.pipeline,
                bench.board,
                before,
                labels,
                verdicts=bench.store.log.current(upto=before.offset),
                version=self._next_version(),
                offset=before.offset,
            )
            detail = {"pack": pack, "labels": labels}
            replay.save(
                bench.store, bench.pipeline, bench.board, before, new, kind="drop", detail=detail
            )
            bench.adopt(new)
        taught = self._taught()
        taught.pop(pack, None)
        bench.store.set(TAUGHT, taught)
        return new.version

    def revert(self, version: int) -> int:
        """Make an earlier version the live one again, as a new version; returns its number.

        Verdicts stay in the log. Those given after `version` are learned again label by label, as
        soon as a label gets a new verdict.
        """
        bench = self._bench
        with self._step("revert"):
            before, offset = bench.learned, bench.offset
            old = self._at(version)
            new = replace(old, version=self._next_version(), offset=offset, unread=frozenset())
            replay.save(
                bench.store,
                bench.pipeline,
                bench.board,
                before,
                new,
                kind="revert",
                detail={"to": version},
            )
            bench.adopt(new)
        return new.version

    # --- take home ---------------------------------------------------------------------------

    def export(self, pack: str, dest: str | Path) -> Path:
        """Write the lane of a pack with the heads that read it as one safetensors file."""
        bench, learned = self._bench, self._bench.learned
        labels = self._labels(pack)
        lane = lane_of(learned, {label.id for label in labels})
        if lane is None:
            raise NotFoundError(f"the pack {pack!r} has no lane yet; teach it first")
        columns = learned.columns
        served = [label for label in labels if label.id in lane.labels and label.id in columns]
        rows = [columns[label.id] for label in served]
        content = LaneFile(
            lane=replace(lane, pack=pack),
            names=tuple(label.name for label in served),
            heads={name: learned.learner[name][rows] for name in ("mix", "weights", "offset")},
            encoder=bench.pipeline.encoder.id,
        )
        path = Path(dest).expanduser()
        if path.is_dir():
            path = path / f"{_file_name(pack)}.safetensors"
        write_whole(path, pack_lane(content))
        return path

    def export_version(self, version: int, dest: str | Path) -> Path:
        """Write what a version learned, heads and calibration, as one safetensors file.

        Lanes go home one by one, see `export`; the file names the digests of those it reads.
        """
        bench = self._bench
        learned = replay.at_version(bench.store, bench.pipeline, bench.board, bench.room, version)
        names = {label.id: label.name for label in bench.board.labels}
        told = {
            "version": version,
            "encoder": bench.pipeline.encoder.id,
            "labels": [names.get(label, "") for label in learned.labels],
            "lanes": [lane.digest for lane in learned.lanes],
        }
        path = Path(dest).expanduser()
        if path.is_dir():
            path = path / f"version-{version}.safetensors"
        arrays = {name: np.ascontiguousarray(x) for name, x in learned.as_arrays().items()}
        write_whole(path, save(arrays, metadata={"patchlane": json.dumps(told)}))
        return path

    def take(
        self, source: str | Path | bytes, *, pack: str = "", who: str = "me", name: str = ""
    ) -> TeachReport:
        """Import a lane file as a pack: labels are found by name, or added.

        Args:
            source: a path, or the content.
            pack: where labels that are new go; the name in the file by default. Known labels
                stay in the pack they are in, and are served by this lane from now on.
            who: adds the labels.
            name: of the content, for messages.

        Raises:
            BadInputError: no lane file, cut off, of another encoder or learner; nothing changed.
        """
        bench, started = self._bench, time.monotonic()
        self._check_lanes()
        if isinstance(source, bytes):
            content, told = source, name or "the file"
        else:
            path = Path(source).expanduser()
            told = name or path.name
            if not path.is_file():
                raise BadInputError(f"there is no file {path}")
            if path.stat().st_size > MOST_LANE_FILE:
                raise BadInputError(f"{told} is larger than any lane")
            content = path.read_bytes()
        found = unpack_lane(content, name=told)
        self._check_fits(found, told)
        pack = clean_label(pack or found.lane.pack, bench.settings.limits.label_characters)
        # What takes long or may fail comes before anything is changed.
        bench.room.filled(bench.board, (*bench.learned.lanes, found.lane))
        with self._step("import", folds=True):
            known = {label.name for label in bench.store.labels()}
            new = [one for one in found.names if one not in known]
            if new:
                bench.store.add_labels(new, pack=pack, who=who)
                bench.resync()
            ids = tuple(bench.store.find_label(one).id for one in found.names)
            lane = replace(found.lane, pack=pack, labels=ids)
            bench.store.lanes.save(lane)
            file = bench.store.lanes.save_import(content)
            detail = {"pack": pack, "labels": list(ids), "digest": lane.digest, "file": file}
            return self._swap(
                lane, kind="import", detail=detail, heads=found.heads, started=started
            )

    # --- inside ------------------------------------------------------------------------------

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
        with self._step("teach", folds=True):
            if not set(lane.labels) & set(bench.board.column_of):
                raise NotFoundError(f"the pack {lane.pack!r} was removed while it was taught")
            return self._swap(
                lane,
                kind="lane",
                steps=steps,
                seed=seed,
                detail=detail,
                started=started,
                verdicts=verdicts,
            )

    def _swap(
        self,
        lane: Lane,
        *,
        kind: str,
        detail: Mapping[str, object],
        started: float,
        verdicts: int = 0,
        steps: int = 0,
        seed: int = 0,
        heads: Mapping[str, np.ndarray] | None = None,
    ) -> TeachReport:
        """The same as part of a step that has begun; the report is kept with the step."""
        bench = self._bench
        before = bench.learned
        board = bench.room.filled(bench.board, (*before.lanes, lane))
        new = learning.swap_in(
            bench.pipeline,
            board,
            before,
            lane,
            verdicts=bench.store.log.current(upto=before.offset),
            version=self._next_version(),
            offset=before.offset,
            heads=dict(heads) if heads else None,
        )
        told = TeachReport(
            pack=lane.pack,
            version=new.version,
            steps=steps,
            share=next(one.share for one in new.lanes if one.digest == lane.digest),
            digest=lane.digest,
            verdicts=verdicts,
            packs=self._changes(board, before, new),
            seconds=time.monotonic() - started,
            kind=kind,
            when=time.time(),
        )
        replay.save(
            bench.store,
            bench.pipeline,
            board,
            before,
            new,
            kind=kind,
            steps=steps,
            seed=seed,
            detail={**detail, REPORT: asdict(told)},
        )
        bench.adopt(new)
        bench.wake()  # another pack may be due
        return told

    def _changes(self, board: Board, before: Learned, after: Learned) -> tuple[PackChange, ...]:
        pipeline = self._bench.pipeline
        old, _ = learning.score(pipeline, board, before)
        new, _ = learning.score(pipeline, board, after)
        quality = [self._quality(board, logits) for logits in (old, new)]
        rows = []
        for name, labels in _packs_of(board).items():
            ids = {label.id for label in labels}
            columns = [board.column_of[i] for i in ids]
            moved = np.abs(np.nan_to_num(new[:, columns]) - np.nan_to_num(old[:, columns]))
            digests = [getattr(lane_of(one, ids), "digest", "") for one in (before, after)]
            rows.append(
                PackChange(
                    pack=name,
                    before=quality[0].get(name),
                    after=quality[1].get(name),
                    digest_before=digests[0],
                    digest_after=digests[1],
                    largest_change=float(moved.max(initial=0)),
                )
            )
        return tuple(rows)

    def _quality(self, board: Board, logits: np.ndarray) -> dict[str, float | None]:
        """Held-back mAP of each pack."""
        targets, known = _truth(board, board.held_back)
        out: dict[str, float | None] = {}
        for name, labels in _packs_of(board).items():
            columns = [board.column_of[label.id] for label in labels]
            out[name] = _mean_ap(logits[:, columns], targets[:, columns], known[:, columns])
        return out

    def _all(self, board: Board, logits: np.ndarray) -> float | None:
        targets, known = _truth(board, board.held_back)
        return _mean_ap(logits, targets, known)

    def _logits(self, version: int) -> np.ndarray:
        bench = self._bench
        if version == bench.learned.version:
            return bench.board.logits
        learned = self._at(version)
        board = bench.room.filled(bench.board, learned.lanes)
        return learning.score(bench.pipeline, board, learned)[0]

    def _at(self, version: int) -> Learned:
        bench = self._bench
        if version == 0:
            return learning.start(bench.pipeline)
        return replay.at_version(bench.store, bench.pipeline, bench.board, bench.room, version)

    @contextmanager
    def _step(self, owner: str, *, folds: bool = False) -> Generator[None]:
        """Make one step on the newest version, whoever made that; waits for another process.

        Args:
            owner: told to whoever finds the lease taken.
            folds: learn what is new in the log first, as a step of its own.
        """
        bench = self._bench
        with bench.learning(), ExitStack() as stack:
            until = time.monotonic() + LEASE_PATIENCE
            while True:
                try:
                    if folds:
                        bench.fold_in()
                    lease = bench.store.versions.lease(owner, replay.LEASE_SECONDS)
                    stack.enter_context(lease)
                    break
                except BusyError:
                    # Somebody folds a correction in; what was trained is not thrown away for it.
                    if time.monotonic() > until:
                        raise
                    time.sleep(0.2)
            newest = replay.newer(
                bench.store, bench.pipeline, bench.board, bench.room, bench.learned
            )
            if newest is not bench.learned:
                bench.adopt(newest)
            bench.resync()  # it may have learned of samples and labels that are new here
            yield

    def _labels(self, pack: str) -> list[Label]:
        packs = _packs_of(self._bench.board)
        if pack not in packs:
            raise NotFoundError(
                f"there is no pack {pack!r}; there are {', '.join(packs) or 'no labels yet'}"
            )
        return packs[pack]

    def _asked(self) -> dict[str, dict[str, Any]]:
        """Job and number of earlier starts of the last training asked for, by pack."""
        known: Any = self._bench.store.get(ASKED, {})
        return dict(known)

    def _ask(self, pack: str, job: str, starts: int) -> None:
        with self._noting:
            told = {"job": job, "starts": starts}
            self._bench.store.set(ASKED, {**self._asked(), pack: told})

    def _taught(self) -> dict[str, int]:
        known: Any = self._bench.store.get(TAUGHT, {})
        return dict(known)

    def _next_version(self) -> int:
        newest: LearnStep | None = self._bench.store.versions.latest()
        return (newest.version if newest else 0) + 1

    def _check_lanes(self) -> None:
        if self._bench.room.refusal:
            raise BadInputError(self._bench.room.refusal)

    def _check_fits(self, found: LaneFile, told: str) -> None:
        pipeline = self._bench.pipeline
        host, teacher = pipeline.host, pipeline.teacher
        if host is None or teacher is None:
            raise BadInputError(self._bench.room.refusal)
        if not found.names:
            raise BadInputError(f"{told} serves no labels; nothing was changed")
        if found.lane.lane_key != host.lane_key:
            where = f" ({found.encoder})" if found.encoder else ""
            raise BadInputError(
                f"{told} lives in another encoder{where} than this project "
                f"({pipeline.encoder.id}); nothing was changed"
            )
        if found.lane.maker != teacher.maker:
            raise BadInputError(
                f"{told} is a lane of another shape ({found.lane.maker}) than this project's "
                f"({teacher.maker}); nothing was changed"
            )
        try:
            teacher.check_lane(self._bench.room.network(), dict(found.lane.arrays))
            if found.heads:
                count = len(found.names)
                fresh = pipeline.learner.start(count, pipeline.encoder.dim)
                teacher.anchored(fresh, range(count), dict(found.heads))
        except BadInputError as error:
            raise BadInputError(f"{told} does not fit: {error}; nothing was changed") from error


def lane_of(learned: Learned, labels: set[int]) -> Lane | None:
    """The lane that serves most of these labels."""
    serving = [(len(labels & set(lane.labels)), lane) for lane in learned.lanes]
    best = max(serving, key=lambda pair: pair[0], default=(0, None))
    return best[1] if best[0] else None


def _packs_of(board: Board) -> dict[str, list[Label]]:
    packs: dict[str, list[Label]] = {}
    for label in board.labels:
        packs.setdefault(label.pack, []).append(label)
    return packs


def _count(board: Board, labels: set[int]) -> dict[Verdict, int]:
    counts = dict.fromkeys(Verdict, 0)
    for (_, label), correction in board.verdicts.items():
        if label in labels and correction.verdict is not None:
            counts[correction.verdict] += 1
    return counts


def _truth(board: Board, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Targets and known cells of some rows, (N, L)."""
    lessons = board.lessons(board.verdicts, board.column_of, rows)
    shape = (len(board.samples), len(board.labels))
    targets, known = np.zeros(shape, np.float32), np.zeros(shape, bool)
    targets[lessons.rows, lessons.columns] = lessons.targets
    known[lessons.rows, lessons.columns] = True
    return targets, known


def _mean_ap(logits: np.ndarray, targets: np.ndarray, known: np.ndarray) -> float | None:
    """MAP over labels with at least one known YES and NO; None without any."""
    known = known & np.isfinite(logits)
    usable = ((targets > 0) & known).any(axis=0) & ((targets == 0) & known).any(axis=0)
    if not usable.any():
        return None
    rows = known.any(axis=1)
    return float(
        mean_average_precision(
            np.nan_to_num(logits[rows][:, usable]), targets[rows][:, usable], known[rows][:, usable]
        )
    )


def _file_name(pack: str) -> str:
    """A pack's name as that of a file in the folder that was asked for, and nowhere else."""
    return re.sub(r"[^\w .-]+", "_", pack).strip(". ") or "pack"


def _names(board: Board, columns: np.ndarray, chosen: np.ndarray) -> tuple[str, ...]:
    return tuple(board.labels[column].name for column in columns if chosen[column])
