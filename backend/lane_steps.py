"""Steps that put a lane in place, take it away, or go back: each makes one new version.

Whoever made the newest version, a step is made on that one; the report of what it changed in each
pack is kept with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from backend import learning, replay
from backend.board import Board
from backend.errors import NotFoundError
from backend.learning import Learned
from backend.live import Live
from backend.pack_facts import (
    at_version,
    forget_taught,
    labels_of,
    lane_of,
    note_taught,
    packs_of,
    quality,
)
from backend.store.lane_files import LaneFile
from backend.store.versions import patiently
from backend.types import Lane, LearnStep

REPORT = "report"
_REPEATED = (
    "pack",
    "digest",
    "file",
    "start",
    "taught",
    replay.TAUGHT_DRAWER,
    replay.TAUGHT_TRUST,
    "waiting",
)
"""What a lane that is put back says of itself as when it was placed first."""


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
    """One lane put in place; `kind` is that of its step, see `replay.PLACING`."""

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


def swap(
    bench: Live,
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
    """Put a lane in place, as part of a step that has begun; its report is kept with the step."""
    before = bench.learned
    board = bench.room.filled(bench.board, (*before.lanes, lane))
    new = learning.swap_in(
        bench.pipeline,
        board,
        before,
        lane,
        verdicts=bench.store.log.current(upto=before.offset),
        version=_next_version(bench),
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
        packs=_changes(bench, board, before, new),
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


def drop(bench: Live, pack: str) -> int:
    """Take the lane of a pack away, as a new version; its heads stay. Returns the version.

    Raises:
        NotFoundError: the pack has no lane.
    """
    labels = [label.id for label in labels_of(bench, pack)]
    with one_step(bench):
        before = bench.learned
        if lane_of(before, set(labels)) is None:
            raise NotFoundError(f"the pack {pack!r} has no lane")
        new = learning.drop_lane(
            bench.pipeline,
            bench.board,
            before,
            labels,
            verdicts=bench.store.log.current(upto=before.offset),
            version=_next_version(bench),
            offset=before.offset,
        )
        detail = {"pack": pack, "labels": labels}
        replay.save(
            bench.store, bench.pipeline, bench.board, before, new, kind="drop", detail=detail
        )
        bench.adopt(new)
    # Whoever removes a lane does not want it back at once: it is due again with new verdicts.
    note_taught(bench, pack)
    return new.version


def put_back(bench: Live) -> list[TeachReport]:
    """Put lanes back that the log has in use and the live version lacks, each as a new version.

    So they are after `compact` where the files of versions are gone, and after a change of the
    recipe. Each comes from its file; a pack whose lane has none here is due to be taught again.
    """
    reports: list[TeachReport] = []
    if bench.store.is_read_only or bench.room.refusal or not is_lane_missing(bench):
        return reports
    started = time.monotonic()
    with one_step(bench, folds=True):
        for step, labels in _missing(bench, counts=lambda step: _fits(bench, step)):
            found = _kept(bench, step)
            if found is None:
                continue
            told = step.detail
            lane = replace(found.lane, pack=str(told["pack"]), labels=labels)
            detail = {name: told[name] for name in _REPEATED if name in told}
            detail |= {"labels": list(labels), "rows": _rows(step, labels)}
            report = swap(
                bench,
                lane,
                kind="back",
                steps=step.steps,
                seed=step.seed,
                detail=detail,
                heads=replay.heads_of(found, replace(step, detail=detail)),
                started=started,
            )
            reports.append(report)
        for _, labels in _missing(bench):
            forget_taught(bench, labels)
    return reports


def is_lane_missing(bench: Live) -> bool:
    """Whether the log has a lane in use that the live version lacks."""
    return bool(_missing(bench))


def _missing(
    bench: Live, counts: Callable[[LearnStep], bool] = lambda _: True
) -> list[tuple[LearnStep, tuple[int, ...]]]:
    """What placed the lanes that the live version lacks, with the labels that are without one."""
    served = {label for lane in bench.learned.lanes for label in lane.labels}
    live = set(bench.board.column_of)
    found = [
        (step, tuple(label for label in labels if label not in served))
        for step, labels in replay.placed(bench.store.versions.steps(), counts=counts)
    ]
    return [(step, labels) for step, labels in found if live & set(labels)]


def _fits(bench: Live, step: LearnStep) -> bool:
    """Whether a step placed a lane of this encoder and learner; one that is lost may have been."""
    if step.recipe == bench.pipeline.fingerprint:
        return True
    found, host, teacher = _kept(bench, step), bench.pipeline.host, bench.pipeline.teacher
    if found is None or host is None or teacher is None:
        return False
    return (found.lane.lane_key, found.lane.maker) == (host.lane_key, teacher.maker)


def _kept(bench: Live, step: LearnStep) -> LaneFile | None:
    """The lane that a step placed, from its file; None if that is gone."""
    lanes = bench.store.lanes
    if "file" in step.detail:
        return lanes.load_import(str(step.detail["file"]))
    lane = lanes.load(str(step.detail["digest"]))
    return None if lane is None else LaneFile(lane)


def _rows(step: LearnStep, labels: tuple[int, ...]) -> list[int]:
    """Where the heads of some labels stand in the file that a step placed."""
    rows = step.detail.get("rows", range(len(step.detail["labels"])))
    row_of = dict(zip(step.detail["labels"], rows, strict=True))
    return [row_of[label] for label in labels]


def revert(bench: Live, version: int) -> int:
    """Make an earlier version the live one again, as a new version; returns its number.

    Verdicts stay in the log. Those given after `version` are learned again label by label, as
    soon as a label gets a new verdict.
    """
    with one_step(bench):
        before, offset = bench.learned, bench.offset
        old = at_version(bench, version)
        new = replace(old, version=_next_version(bench), offset=offset, unread=frozenset())
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


def last_report(bench: Live) -> TeachReport | None:
    """What the newest lane that was put in place changed, as it was measured then."""
    for step in reversed(bench.store.versions.steps()):
        if step.recipe == bench.pipeline.fingerprint and (told := TeachReport.of(step)):
            return told
    return None


@contextmanager
def one_step(bench: Live, *, folds: bool = False) -> Generator[None]:
    """Make one step on the newest version, whoever made that; waits for another process.

    Args:
        bench: the open project.
        folds: learn what is new in the log first, as a step of its own.
    """
    with bench.learning(), ExitStack() as stack:

        def begin() -> None:
            if folds:
                bench.fold_in()
            stack.enter_context(bench.store.versions.lease(replay.LEASE_SECONDS))

        # Somebody may fold a correction in; what was trained is not thrown away for it.
        patiently(begin)
        newest = replay.newer(bench.store, bench.pipeline, bench.board, bench.room, bench.learned)
        if newest is not bench.learned:
            bench.adopt(newest)
        bench.resync()  # it may have learned of samples and labels that are new here
        yield


def _changes(bench: Live, board: Board, before: Learned, after: Learned) -> tuple[PackChange, ...]:
    """What a step did to each pack."""
    pipeline = bench.pipeline
    old, _ = learning.score(pipeline, board, before)
    new, _ = learning.score(pipeline, board, after)
    good = [quality(board, logits) for logits in (old, new)]
    rows = []
    for name, labels in packs_of(board).items():
        ids = {label.id for label in labels}
        columns = [board.column_of[i] for i in ids]
        moved = np.abs(np.nan_to_num(new[:, columns]) - np.nan_to_num(old[:, columns]))
        digests = [getattr(lane_of(one, ids), "digest", "") for one in (before, after)]
        rows.append(
            PackChange(
                pack=name,
                before=good[0].get(name),
                after=good[1].get(name),
                digest_before=digests[0],
                digest_after=digests[1],
                largest_change=float(moved.max(initial=0)),
            )
        )
    return tuple(rows)


def _next_version(bench: Live) -> int:
    newest: LearnStep | None = bench.store.versions.latest()
    return (newest.version if newest else 0) + 1
