"""Take over in bulk what is certain: what that would store, and what was found wrong of it since.

Pure functions of what is certain and of the board; `certainty.py` stores the rows as one action.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from backend.board import Board
from backend.store.claims import Noted
from backend.store.corrections import NewCorrection
from backend.types import (
    Acceptance,
    AcceptPlan,
    Correction,
    LabelSets,
    QueueEntry,
    Split,
    Verdict,
)


@dataclass(frozen=True)
class Acceptable:
    """What is certain and undecided.

    Attributes:
        cells: (N, L) of the board.
        asked: samples that are looked at for it.
    """

    cells: Bool[np.ndarray, "n l"]
    asked: int


def acceptable(
    sets: LabelSets, board: Board, *, muted: Set[str], ids: Sequence[int] | None
) -> Acceptable:
    """What to accept; samples of the drawer, of val and test, and muted packs are left out.

    Args:
        sets: of all samples of the board.
        board: whose rows they are.
        muted: packs that are not asked about.
        ids: only these samples; None for all.
    """
    asked = board.encoded & ~board.in_drawer
    asked &= np.array([sample.split == Split.TRAIN for sample in board.samples], bool)
    if ids is not None:
        asked &= np.isin(board.ids, np.array(list(ids), np.int64))
    shown = np.array([label.pack not in muted for label in board.labels], bool)
    cells = (sets.state != 0) & asked[:, None] & shown & ~board.decided
    return Acceptable(cells, int(asked.sum()))


def plan_of(found: Acceptable, sets: LabelSets, wrong_share: Callable[[], float]) -> AcceptPlan:
    """What accepting it would store.

    Args:
        found: what to accept.
        sets: what it follows from.
        wrong_share: how much of it is wrong, 0..1; asked for only where there is something.
    """
    samples, yes = int(found.cells.any(axis=1).sum()), int((sets.state[found.cells] > 0).sum())
    count = int(found.cells.sum())
    at_most = min(samples, round((1 - sets.level) * found.asked, 6))
    return AcceptPlan(
        level=sets.level,
        guarantee=sets.guarantee,
        samples=samples,
        yes=yes,
        no=count - yes,
        wrong_samples=float(at_most) if sets.guarantee == "joint" else None,
        wrong_verdicts=count * wrong_share() if count else 0.0,
    )


def rows_of(found: Acceptable, sets: LabelSets, board: Board) -> list[NewCorrection]:
    """What to accept, as rows of the log."""
    rows, columns = np.nonzero(found.cells)
    is_yes = sets.state[rows, columns] > 0
    return [
        NewCorrection(
            board.samples[row].id, board.labels[column].id, Verdict.YES if yes else Verdict.NO
        )
        for row, column, yes in zip(rows.tolist(), columns.tolist(), is_yes.tolist(), strict=True)
    ]


def acceptance_of(noted: Noted, verdicts: Mapping[tuple[int, int], Correction]) -> Acceptance:
    """A bulk acceptance with what people found of it since.

    Args:
        noted: the action.
        verdicts: what counts now, by sample and label id.
    """
    told = dict(noted.told)
    version = int(told.pop("version"))
    checked = wrong = 0
    for sample, label, accepted in noted.pairs:
        now = verdicts.get((sample, label))
        if now is None or now.is_accepted or now.verdict in (None, Verdict.UNSURE):
            continue
        checked += 1
        wrong += now.verdict != accepted
    return Acceptance(
        op=noted.op,
        when=noted.when,
        who=noted.who,
        version=version,
        plan=AcceptPlan(**told),
        checked=checked,
        wrong=wrong,
        is_undone=noted.is_undone,
        offset=noted.offset,
    )


def spot_check(noted: Noted, board: Board, k: int) -> list[QueueEntry]:
    """Random samples of an acceptance that nobody has looked at since; the same each time."""
    counts: dict[int, int] = {}
    for sample, label, _ in noted.pairs:
        current = board.verdicts.get((sample, label))
        if sample in board.row_of and current is not None and current.is_accepted:
            counts[sample] = counts.get(sample, 0) + 1
    level = float(noted.told["level"])
    order = np.random.default_rng(noted.offset).permutation(sorted(counts)).tolist()
    return [
        QueueEntry(
            sample=sample,
            name=board.samples[board.row_of[sample]].name,
            picker="spot-check",
            reason=f"accepted at {level:.0%} without a look: {counts[sample]} labels",
            score=1 / (1 + place),
        )
        for place, sample in enumerate(order[:k])
    ]
