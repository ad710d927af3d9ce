"""Take over in bulk what is certain: what that would store, and what was found wrong of it since.

Pure functions of what is certain and of the board; `certainty.py` stores the rows as one action.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

import numpy as np

from backend.board import Board
from backend.contracts import SetCalibrator
from backend.fitted import Fitted
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


def planned(
    sets: LabelSets,
    fitted: Fitted,
    method: SetCalibrator,
    *,
    muted: Set[str],
    ids: Sequence[int] | None,
) -> tuple[AcceptPlan, list[NewCorrection]]:
    """What to accept of everything certain and undecided, and its rows.

    Samples of the drawer, of val and test, and labels of muted packs are left out.

    Args:
        sets: of all samples of the board.
        fitted: what they follow from.
        method: their guarantee.
        muted: packs that are not asked about.
        ids: only these samples; None for all.
    """
    board, level = fitted.board, sets.level
    asked = board.encoded & ~board.in_drawer
    asked &= np.array([sample.split == Split.TRAIN for sample in board.samples], bool)
    if ids is not None:
        asked &= np.isin(board.ids, np.array(list(ids), np.int64))
    shown = np.array([label.pack not in muted for label in board.labels], bool)
    cells = (sets.state != 0) & asked[:, None] & shown & ~board.decided
    rows, columns = np.nonzero(cells)
    is_yes = sets.state[rows, columns] > 0
    new = [
        NewCorrection(
            board.samples[row].id, board.labels[column].id, Verdict.YES if yes else Verdict.NO
        )
        for row, column, yes in zip(rows.tolist(), columns.tolist(), is_yes.tolist(), strict=True)
    ]
    samples = int(cells.any(axis=1).sum())
    at_most = min(samples, round((1 - level) * int(asked.sum()), 6))
    told = AcceptPlan(
        level=level,
        guarantee=sets.guarantee,
        samples=samples,
        yes=int(is_yes.sum()),
        no=int((~is_yes).sum()),
        wrong_samples=float(at_most) if sets.guarantee == "joint" else None,
        wrong_verdicts=len(new) * fitted.wrong_share(method, level) if new else 0.0,
    )
    return told, new


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
