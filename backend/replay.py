"""From the log to a learned version: restored from its file, or repeated step by step.

A version is a pure function of a log prefix. The live path and the replay call the same functions
(`backend/learning.py`) with the same arguments, so they give the same numbers; only the step counts
come from the log. Beside what is learned, a version may be made by going back to an earlier one
(`revert`), by dropping a lane, or by weighing the verdicts of people anew (`trust`): the numbers of
that estimate stand in the step, and hold for every version made from it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from backend.board import Board
from backend.contracts import State
from backend.errors import BusyError, NotFoundError
from backend.lane_room import LaneRoom
from backend.learning import (
    TRUST,
    Learned,
    drop_lane,
    fold_in,
    new_lane,
    readable,
    start,
    swap_in,
    zero_shot_logits,
)
from backend.pipeline import Pipeline
from backend.store.lane_files import LaneFile
from backend.store.project import ProjectStore
from backend.types import Correction, Drawer, Lane, LearnStep, Trust

LEASE_SECONDS = 120.0
DRAWER, TAUGHT_DRAWER = "drawer", "taught_drawer"
"""Keys of a step's detail: the drawer no head learned from, and the one a lane did not."""
TAUGHT_TRUST = "taught_trust"
"""Key of a step's detail: whom a lane was taught to trust, where that was known."""
PLACING = ("lane", "import", "back")
"""Kinds of steps that put a lane in place: taught here, brought as a file, or put back."""

log = logging.getLogger("patchlane.replay")


@dataclass(frozen=True)
class Weighing:
    """What a step has to learn where people's verdicts weigh otherwise from now on.

    Attributes:
        trust: whom to trust how far.
        labels: ids of the labels that the step learns again for it.
        left: those that later steps do.
        compared: answers of several people on the same pairs when it was estimated.
    """

    trust: Trust
    labels: tuple[int, ...]
    left: tuple[int, ...] = ()
    compared: int = 0

    def detail(self) -> dict[str, Any]:
        """As the step keeps it."""
        return {
            TRUST: self.trust.as_json(),
            "labels": list(self.labels),
            "left": list(self.left),
            "compared": self.compared,
        }


class MissingLaneError(NotFoundError):
    """A lane that came from elsewhere is gone, so that a step cannot be repeated."""


def restore(store: ProjectStore, pipeline: Pipeline, board: Board, room: LaneRoom) -> Learned:
    """The newest version of this recipe and encoder: from its file, or by replaying the log.

    Steps of another recipe or encoder are passed over, also where they are newer: their numbers
    mean nothing to this one.
    Where the newest version cannot be made again, since `compact` removed what it learned from,
    this is version 0, and all that is left is learned anew. A replay needs the vectors of all
    samples with verdicts; `can_restore` says if they are there.
    """
    newest = store.versions.latest(pipeline.fingerprint)
    if newest is None:
        return start(pipeline)
    try:
        return at_version(store, pipeline, board, room, newest.version)
    except NotFoundError as error:
        log.warning("%s; what is left is learned anew", error)
        return start(pipeline)


def newer(
    store: ProjectStore, pipeline: Pipeline, board: Board, room: LaneRoom, known: Learned
) -> Learned:
    """`known`, or the newest version if another process made one since; callers hold the lease."""
    return restore(store, pipeline, board, room) if is_overtaken(store, pipeline, known) else known


def is_overtaken(store: ProjectStore, pipeline: Pipeline, known: Learned) -> bool:
    """Whether there is a newer version of this encoder and recipe than `known`."""
    newest = store.versions.latest(pipeline.fingerprint)
    return newest is not None and newest.version > known.version


def at_version(
    store: ProjectStore, pipeline: Pipeline, board: Board, room: LaneRoom, version: int
) -> Learned:
    """Any version: from its file, or by repeating the steps from the nearest one that is there.

    Raises:
        NotFoundError: there is no such version of this encoder and recipe, or what it learned
            from was removed for good by `compact`.
    """
    steps = {step.version: step for step in store.versions.steps()}
    compacted: Any = store.get("replayable_from") or {"offset": 0, "when": 0.0}
    todo: list[LearnStep] = []
    learned = start(pipeline)
    current: int | None = version
    while current:
        step = steps.get(current)
        if step is None or step.recipe != pipeline.fingerprint:
            if current == version:
                raise NotFoundError(f"there is no version {version} of this encoder and recipe")
            break
        kept = loaded(store, step)
        if kept is not None:
            learned = kept
            break
        # What was learned anew afterwards may stand at a smaller offset: the last rows are gone.
        if step.offset < int(compacted["offset"]) and step.when <= float(compacted["when"]):
            raise NotFoundError(
                f"version {version} learned from what `compact` removed and cannot be made again"
            )
        todo.append(step)
        current = int(step.detail["to"]) if step.kind == "revert" else step.from_version
    missing = 0
    for step in reversed(todo):
        try:
            learned = again(store, pipeline, board, room, learned, step)
        except MissingLaneError as error:
            # Work goes on without it; a file that is brought back is found at the next opening.
            log.warning("%s", error)
            learned = replace(learned, version=step.version, offset=step.offset)
            missing += 1
    if todo and not missing and not store.is_read_only:
        store.versions.restore(todo[0], learned.as_arrays(), learned.info())
    return learned


def placed(
    steps: Sequence[LearnStep], *, counts: Callable[[LearnStep], bool] = lambda _: True
) -> list[tuple[LearnStep, tuple[int, ...]]]:
    """The lanes in use after the newest step by the log alone: what placed each, and its labels.

    Where learning began anew, since nothing before could be made again or was of another recipe,
    the lanes of before count on.

    Args:
        steps: all of them, oldest first.
        counts: of a step that placed a lane; one that does not count takes no labels over.
    """
    by_version = {step.version: step for step in steps}
    way: list[LearnStep] = []
    step = steps[-1] if steps else None
    while step is not None:
        way.append(step)
        if step.kind == "revert":
            step = by_version.get(int(step.detail["to"]))
        else:
            step = by_version.get(step.from_version or step.version - 1)
    lanes: list[tuple[LearnStep, tuple[int, ...]]] = []
    for step in reversed(way):
        if step.kind != "drop" and not (step.kind in PLACING and counts(step)):
            continue
        taken = tuple(int(label) for label in step.detail["labels"])
        lanes = [
            (one, tuple(label for label in labels if label not in taken)) for one, labels in lanes
        ]
        if step.kind in PLACING:
            lanes.append((step, taken))
    return [(one, labels) for one, labels in lanes if labels]


def loaded(store: ProjectStore, step: LearnStep) -> Learned | None:
    """A version from its files; None if one of them is missing or damaged."""
    kept = store.versions.load(step.version)
    if kept is None:
        return None
    arrays, held = kept
    info: Any = held
    lanes = []
    for told in info.get("lanes", ()):
        lane = store.lanes.load(told["digest"])
        if lane is None:
            return None
        labels = tuple(int(label) for label in told["labels"])
        lanes.append(replace(lane, pack=told["pack"], labels=labels, share=told["share"]))
    learned = Learned.from_arrays(
        step, arrays, tuple(int(label) for label in info["labels"]), tuple(lanes)
    )
    return replace(
        learned,
        unread=_unread_of(step),
        drawer=drawer_in(step.detail.get(DRAWER)),
        trust=trust_in(info.get(TRUST)),
    )


def again(
    store: ProjectStore,
    pipeline: Pipeline,
    board: Board,
    room: LaneRoom,
    before: Learned,
    step: LearnStep,
) -> Learned:
    """Repeat one step of the log on the version it started from.

    Raises:
        BusyError: samples that it learned from have no vectors now.
        MissingLaneError: a lane that it imported is gone.
    """
    if step.kind == "revert":
        return replace(before, version=step.version, offset=step.offset, unread=frozenset())
    board = board.with_drawer(drawer_in(step.detail.get(DRAWER)))
    verdicts = store.log.current(upto=step.offset)
    rows = taught_rows(board, readable(verdicts, _unread_of(step)))
    if not board.encoded[rows].all():
        raise BusyError("samples that were learned from have to be read again first; wait for it")
    board = room.filled(board, before.lanes, rows=rows)
    if step.kind == "drop":
        labels = [int(label) for label in step.detail["labels"]]
        return drop_lane(
            pipeline,
            board,
            before,
            labels,
            verdicts=verdicts,
            version=step.version,
            offset=step.offset,
        )
    if step.kind in PLACING:
        return _placed_again(
            store, pipeline, board=board, room=room, before=before, step=step, verdicts=verdicts
        )
    return _folded_again(store, pipeline, board=board, before=before, step=step, verdicts=verdicts)


def _placed_again(
    store: ProjectStore,
    pipeline: Pipeline,
    *,
    board: Board,
    room: LaneRoom,
    before: Learned,
    step: LearnStep,
    verdicts: Mapping[tuple[int, int], Correction],
) -> Learned:
    """Put the lane of a step in place again: from its file, or trained once more.

    Raises:
        MissingLaneError: it was imported, and its file is gone.
    """
    file = None
    if "file" in step.detail:
        file = store.lanes.load_import(str(step.detail.get("file", "")))
        if file is None:
            raise MissingLaneError(
                f"the lane of {step.detail['pack']!r} that version {step.version} imported is "
                f"gone from {store.lanes.folder}; import it again"
            )
    lane = store.lanes.load(str(step.detail["digest"])) if file is None else file.lane
    if lane is None:
        then = board.with_drawer(drawer_in(step.detail.get(TAUGHT_DRAWER)))
        lane = retrained(store, pipeline, then, room, before, step)
    labels = tuple(int(label) for label in step.detail["labels"])
    lane = replace(lane, pack=str(step.detail["pack"]), labels=labels)
    rows = taught_rows(board, readable(verdicts, _unread_of(step)))
    return swap_in(
        pipeline,
        room.filled(board, (*before.lanes, lane), rows=rows),
        before,
        lane,
        verdicts=verdicts,
        version=step.version,
        offset=step.offset,
        heads=None if file is None else heads_of(file, step),
    )


def _folded_again(
    store: ProjectStore,
    pipeline: Pipeline,
    *,
    board: Board,
    before: Learned,
    step: LearnStep,
    verdicts: Mapping[tuple[int, int], Correction],
) -> Learned:
    """Learn the labels again that had changed by a step, with its number of optimiser steps.

    A step that weighed verdicts anew did the same with the labels that it names, and the trust.
    """
    unread = _unread_of(step)
    changed = _labels_between(store, board, before.offset, step.offset)
    changed |= _labels_on(board, verdicts, before.unread - unread)
    changed |= _labels_on(board, verdicts, _moved(board, before.drawer))
    trust = trust_in(step.detail.get(TRUST))
    if trust is not None:
        changed |= set(board.column_of) & {int(label) for label in step.detail["labels"]}
    learned, _ = fold_in(
        pipeline,
        board,
        before,
        verdicts=verdicts,
        changed=changed,
        version=step.version,
        offset=step.offset,
        unread=unread,
        steps=step.steps,
        seed=step.seed,
        trust=trust,
    )
    return learned


def heads_of(file: LaneFile, step: LearnStep) -> State:
    """The heads that came with a lane, for the labels of a step; all of them by default."""
    rows = step.detail.get("rows", range(len(file.names)))
    return {name: array[list(rows)] for name, array in file.heads.items()}


def retrained(
    store: ProjectStore,
    pipeline: Pipeline,
    board: Board,
    room: LaneRoom,
    before: Learned,
    step: LearnStep,
) -> Lane:
    """The lane of a step trained again, from the same start with the same number of steps."""
    labels = tuple(int(label) for label in step.detail["labels"])
    started = str(step.detail.get("start", ""))
    warm = store.lanes.load(started) if started else None
    if warm is None and started and before.lanes:
        # That one was lost as well, and made again with other last digits: it serves the same.
        serving = [lane for lane in before.lanes if set(lane.labels) & set(labels)]
        warm = (serving or before.lanes)[-1]
    verdicts = readable(
        store.log.current(upto=int(step.detail["taught"])), step.detail.get("waiting", ())
    )
    base = zero_shot_logits(pipeline, board, labels)
    trust = trust_in(step.detail.get(TAUGHT_TRUST))
    taught, held = room.lessons(board, labels, verdicts, base, trust=trust)
    arrays, _ = room.train(taught, held, start=warm, steps=step.steps, seed=step.seed, threads=1)
    lane = new_lane(pipeline, arrays, pack=str(step.detail["pack"]), labels=labels)
    if lane.digest != step.detail["digest"]:
        log.warning(
            "the lane of version %s was lost and trained again, and differs in its last digits",
            step.version,
        )
    if not store.is_read_only:
        store.lanes.save(lane)
    return lane


def taught_rows(board: Board, verdicts: Mapping[tuple[int, int], Correction]) -> list[int]:
    """Rows with a verdict, in order."""
    row_of = board.row_of
    return sorted({row_of[sample] for sample, _ in verdicts if sample in row_of})


def can_restore(store: ProjectStore, pipeline: Pipeline, board: Board) -> bool:
    """Whether `restore` would give the newest version now, with the vectors that are there."""
    newest = store.versions.latest(pipeline.fingerprint)
    if newest is None:
        return True
    if loaded(store, newest) is not None:
        return True
    rows = taught_rows(board, readable(board.verdicts, _unread_of(newest)))
    return bool(board.encoded[rows].all())


def next_version(
    store: ProjectStore,
    pipeline: Pipeline,
    board: Board,
    before: Learned,
    room: LaneRoom,
    *,
    offset: int,
    weighing: Weighing | None = None,
) -> tuple[Learned, int]:
    """Fold the log up to `offset` in and store it as a new version; `before` if nothing is new.

    With `weighing` there is always something new, and the version is of the kind "trust".

    Raises:
        BusyError: another process is writing versions of this project.
    """
    is_new = weighing is not None or is_overtaken(store, pipeline, before)
    if not is_new and not _changed(store, board, before, offset):
        return before, 0
    with store.versions.lease(LEASE_SECONDS):
        before = newer(store, pipeline, board, room, before)
        newest = store.versions.latest()
        changed = _changed(store, board, before, offset)
        if weighing is not None:
            changed |= set(board.column_of) & set(weighing.labels)
        if not changed:
            return before, 0
        version = (newest.version if newest else 0) + 1
        unread = without_vectors(board, board.verdicts)
        if before.lanes:
            rows = taught_rows(board, readable(board.verdicts, unread))
            board = room.filled(board, before.lanes, rows=rows)
        learned, steps = fold_in(
            pipeline,
            board,
            before,
            verdicts=board.verdicts,
            changed=changed,
            version=version,
            offset=offset,
            unread=unread,
            trust=None if weighing is None else weighing.trust,
        )
        kind, detail = ("fold", None) if weighing is None else (TRUST, weighing.detail())
        save(store, pipeline, board, before, learned, steps=steps, kind=kind, detail=detail)
    return learned, steps


def save(
    store: ProjectStore,
    pipeline: Pipeline,
    board: Board,
    before: Learned,
    learned: Learned,
    *,
    steps: int = 0,
    seed: int = 0,
    kind: str = "fold",
    detail: Mapping[str, Any] | None = None,
) -> LearnStep:
    """Store a new version and its step; callers hold the lease."""
    step = LearnStep(
        version=learned.version,
        from_version=before.version,
        offset=learned.offset,
        recipe=pipeline.fingerprint,
        seed=seed,
        split_seed=board.split_seed,
        steps=steps,
        when=time.time(),
        kind=kind,
        detail={
            **(detail or {}),
            **({"unread": sorted(learned.unread)} if learned.unread else {}),
            **({DRAWER: asdict(learned.drawer)} if learned.drawer else {}),
        },
    )
    store.versions.save(step, learned.as_arrays(), learned.info())
    return step


def _labels_between(store: ProjectStore, board: Board, start: int, end: int) -> set[int]:
    """Live labels with rows of the log after `start` and up to `end`."""
    rows = store.log.since(start)
    return {row.label for row in rows if row.offset <= end and row.label in board.column_of}


def _changed(store: ProjectStore, board: Board, before: Learned, offset: int) -> set[int]:
    """Labels with new rows of the log, or with verdicts on samples that have vectors by now."""
    changed = _labels_between(store, board, before.offset, offset)
    if before.unread:
        read = before.unread - without_vectors(board, board.verdicts)
        changed |= _labels_on(board, board.verdicts, read)
    return changed | _labels_on(board, board.verdicts, _moved(board, before.drawer))


def _moved(board: Board, before: Drawer | None) -> frozenset[int]:
    """Samples that came into the calibration drawer or left it since it was another one."""
    if board.drawer == before:
        return frozenset()
    then = board.with_drawer(before)
    return frozenset(board.ids[board.in_drawer != then.in_drawer].tolist())


def to_forget(board: Board, learned: Learned) -> bool:
    """Whether a version learned from verdicts on samples that are in the drawer by now."""
    if board.drawer is None or (learned.drawer is not None and learned.drawer.holds(board.drawer)):
        return False
    moved = _moved(board, learned.drawer) if learned.version else frozenset()
    return bool(_labels_on(board, board.verdicts, moved))


def saw_drawer(store: ProjectStore, lanes: Sequence[Lane], drawer: Drawer | None) -> list[Lane]:
    """Those of some lanes that were taught here while samples of the drawer were not in it yet.

    What a lane from elsewhere was taught on is not known here; it is not among them.
    """
    if drawer is None or not lanes:
        return []
    steps = {step.detail["digest"]: step for step in store.versions.steps() if step.kind == "lane"}
    found = []
    for lane in lanes:
        step = steps.get(lane.digest)
        then = None if step is None else drawer_in(step.detail.get(TAUGHT_DRAWER))
        if step is not None and (then is None or not then.holds(drawer)):
            found.append(lane)
    return found


def drawer_in(told: Any) -> Drawer | None:
    """The drawer that a step notes; None if it notes none."""
    return None if told is None else Drawer(float(told["share"]), int(told["seed"]))


def trust_in(told: Any) -> Trust | None:
    """Whom a step or a version file says to trust; None if it says nothing of it."""
    return None if told is None else Trust.from_json(told)


def _labels_on(
    board: Board, verdicts: Mapping[tuple[int, int], Correction], samples: frozenset[int]
) -> set[int]:
    """Live labels with verdicts on some samples."""
    return {label for sample, label in verdicts if sample in samples and label in board.column_of}


def without_vectors(board: Board, verdicts: Mapping[tuple[int, int], Correction]) -> frozenset[int]:
    """Live samples with verdicts that are not encoded yet."""
    if board.encoded.all():
        return frozenset()
    row_of = board.row_of
    return frozenset(
        sample for sample, _ in verdicts if sample in row_of and not board.encoded[row_of[sample]]
    )


def _unread_of(step: LearnStep) -> frozenset[int]:
    """Samples whose verdicts a step could not learn from; they had no vectors."""
    return frozenset(int(sample) for sample in step.detail.get("unread", ()))
