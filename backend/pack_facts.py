"""What packs are and how good they are: at a glance, over the versions, between two of them.

Nothing is changed here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from backend import learning, replay
from backend.board import Board
from backend.errors import BadInputError, NotFoundError
from backend.learning import Learned
from backend.live import Live
from backend.numerics.scores import mean_average_precision
from backend.store.project import ProjectStore
from backend.types import Label, Lane, Verdict

MUTED = "muted_packs"
TAUGHT = "taught_verdicts"


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


def listed(bench: Live) -> list[PackInfo]:
    """All packs with labels, in the order of their first labels."""
    board, learned = bench.board, bench.learned
    hidden, counted = muted(bench.store), counts_when_taught(bench.store)
    good = quality(board, board.logits)
    infos = []
    for name, labels in packs_of(board).items():
        ids = {label.id for label in labels}
        counts = count_verdicts(board, ids)
        lane = lane_of(learned, ids)
        path = None if lane is None else bench.store.lanes.path(lane.digest)
        infos.append(
            PackInfo(
                name=name,
                labels=tuple(label.name for label in labels),
                yes=counts[Verdict.YES],
                no=counts[Verdict.NO],
                unsure=counts[Verdict.UNSURE],
                is_muted=name in hidden,
                digest="" if lane is None else lane.digest,
                share=0.0 if lane is None else lane.share,
                num_bytes=path.stat().st_size if path is not None and path.exists() else 0,
                trained_on=counted.get(name, 0),
                mAP=good.get(name),
            )
        )
    return infos


def curve(bench: Live, *, most: int = 60, only: Collection[int] | None = None) -> list[CurvePoint]:
    """Held-back mAP of the versions whose files are kept, the newest `most` of them.

    All are scored on today's held-back verdicts, so that points can be compared. `only` names the
    versions to look at.
    """
    board = bench.board
    rows = [row for row in replay.taught_rows(board, board.verdicts) if board.held_back[row]]
    steps = [s for s in bench.store.versions.steps() if s.recipe == bench.pipeline.fingerprint]
    points = []
    for step in reversed(steps):
        if only is not None and step.version not in only:
            continue
        learned = replay.loaded(bench.store, step)
        if learned is None:
            continue
        ready = bench.room.filled(board, learned.lanes, rows=rows, is_reading=False)
        logits, _ = learning.score(bench.pipeline, ready, learned, rows=rows)
        each = quality(ready, logits)
        known = [value for value in each.values() if value is not None]
        points.append(
            CurvePoint(
                version=step.version,
                offset=step.offset,
                kind=step.kind,
                when=step.when,
                mAP=quality_of_all(ready, logits) if known else None,
                packs=each,
            )
        )
        if len(points) >= most:
            break
    return points[::-1]


def compare(bench: Live, one: int, other: int, *, most: int = 200) -> list[VersionChange]:
    """Samples whose suggested labels (logit above 0) differ, the largest change first."""
    board = bench.board
    before, after = (logits_of(bench, board, version) for version in (one, other))
    changed = changed_cells(before, after)
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


def changed_cells(
    before: Float[np.ndarray, "n l"], after: Float[np.ndarray, "n l"]
) -> Bool[np.ndarray, "n l"]:
    """Which labels are suggested (logit above 0) by one version and not by the other."""
    return (np.nan_to_num(before) > 0) != (np.nan_to_num(after) > 0)


def logits_of(bench: Live, board: Board, version: int) -> Float[np.ndarray, "n l"]:
    """What any version says of a board's samples.

    Raises:
        NotFoundError: there is no such version, or it cannot be made again.
    """
    if version == bench.learned.version:
        return board.logits
    learned = at_version(bench, version)
    return learning.score(bench.pipeline, bench.room.filled(board, learned.lanes), learned)[0]


def quick_before(bench: Live, version: int) -> int | None:
    """The version that a version was made from, if its scores are quick to have.

    Making it again from the log, or reading samples for its lanes, may take long.
    """
    steps = {step.version: step for step in bench.store.versions.steps()}
    if version not in steps:
        return None
    before = steps[version].from_version
    step = steps.get(before)
    if step is None or step.recipe != bench.pipeline.fingerprint:
        return 0 if before == 0 else None
    learned, board = replay.loaded(bench.store, step), bench.board
    if learned is None:
        return None
    seen = bench.room.filled(board, learned.lanes, is_reading=False).lane_cls.values()
    is_read = all(np.isfinite(cls[board.encoded, 0]).all() for cls in seen)
    return before if is_read else None


def muted(store: ProjectStore) -> frozenset[str]:
    """Packs whose labels are not suggested."""
    known: Any = store.get(MUTED, [])
    return frozenset(known)


def counts_when_taught(store: ProjectStore) -> dict[str, int]:
    """How many verdicts each pack had when its lane was trained, brought or removed."""
    known: Any = store.get(TAUGHT, {})
    return dict(known)


def note_taught(bench: Live, *packs: str) -> None:
    """Note that all verdicts there are on some packs have been dealt with."""
    counts = lessons_of_packs(bench.board)
    now = {pack: counts[pack].verdicts for pack in packs if pack in counts}
    bench.store.set(TAUGHT, {**counts_when_taught(bench.store), **now})


def forget_taught(bench: Live, labels: Collection[int]) -> None:
    """Note that the packs of some labels have to be taught again."""
    packs = {label.pack for label in bench.board.labels if label.id in labels}
    known = counts_when_taught(bench.store)
    if packs & known.keys():
        bench.store.set(TAUGHT, {pack: n for pack, n in known.items() if pack not in packs})


def labels_of(bench: Live, pack: str) -> list[Label]:
    """The labels of a pack.

    Raises:
        NotFoundError: there is no such pack; those that there are are named.
    """
    packs = packs_of(bench.board)
    if pack not in packs:
        raise NotFoundError(
            f"there is no pack {pack!r}; there are {', '.join(packs) or 'no labels yet'}"
        )
    return packs[pack]


def check_lanes(bench: Live) -> None:
    """Raise BadInputError where there are no lanes with this encoder or recipe."""
    if bench.room.refusal:
        raise BadInputError(bench.room.refusal)


def at_version(bench: Live, version: int) -> Learned:
    """Any version, 0 included."""
    if version == 0:
        return learning.start(bench.pipeline)
    return replay.at_version(bench.store, bench.pipeline, bench.board, bench.room, version)


def lane_of(learned: Learned, labels: set[int]) -> Lane | None:
    """The lane that serves most of these labels."""
    serving = [(len(labels & set(lane.labels)), lane) for lane in learned.lanes]
    best = max(serving, key=lambda pair: pair[0], default=(0, None))
    return best[1] if best[0] else None


def packs_of(board: Board) -> dict[str, list[Label]]:
    """Labels by pack, packs in the order of their first labels."""
    packs: dict[str, list[Label]] = {}
    for label in board.labels:
        packs.setdefault(label.pack, []).append(label)
    return packs


@dataclass(frozen=True)
class PackLessons:
    """YES and NO on a pack's labels that its lane can learn from or stop by; YES it learns from."""

    verdicts: int = 0
    yes: int = 0


def lessons_of_packs(board: Board) -> dict[str, PackLessons]:
    """Those of every pack, counted in one pass: val, test and unread samples teach nothing."""
    pack_of = {label.id: label.pack for label in board.labels}
    row_of = board.row_of
    taught = board.trainable & board.encoded
    counted = taught | (board.held_back & board.encoded)
    verdicts, yes = Counter[str](), Counter[str]()
    for (sample, label), correction in board.verdicts.items():
        row, pack = row_of.get(sample), pack_of.get(label)
        if row is None or pack is None or correction.verdict not in (Verdict.YES, Verdict.NO):
            continue
        if correction.is_accepted:
            continue
        verdicts[pack] += bool(counted[row])
        yes[pack] += bool(correction.verdict == Verdict.YES and taught[row])
    return {pack: PackLessons(verdicts[pack], yes[pack]) for pack in packs_of(board)}


def count_verdicts(board: Board, labels: set[int]) -> dict[Verdict, int]:
    """How many verdicts of each kind there are on some labels."""
    counts = dict.fromkeys(Verdict, 0)
    for (_, label), correction in board.verdicts.items():
        if label in labels and correction.verdict is not None:
            counts[correction.verdict] += 1
    return counts


def quality(board: Board, logits: np.ndarray) -> dict[str, float | None]:
    """Held-back mAP of each pack."""
    targets, known = _truth(board, board.held_back)
    out: dict[str, float | None] = {}
    for name, labels in packs_of(board).items():
        columns = [board.column_of[label.id] for label in labels]
        out[name] = _mean_ap(logits[:, columns], targets[:, columns], known[:, columns])
    return out


def quality_of_all(board: Board, logits: np.ndarray) -> float | None:
    """Held-back mAP over all labels."""
    targets, known = _truth(board, board.held_back)
    return _mean_ap(logits, targets, known)


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


def _names(board: Board, columns: np.ndarray, chosen: np.ndarray) -> tuple[str, ...]:
    return tuple(board.labels[column].name for column in columns if chosen[column])
