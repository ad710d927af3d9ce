"""The calibration drawer: which samples and labels calibrate, and what is still to be decided.

Pure functions of a board. The drawer has an order of its own, drawn from the samples' content.
Taken are its first n samples and the labels that all of these are decided on, n chosen so that most
decided cells are in. So nobody's choice of what to decide first, and no label that was added later,
can bend the guarantee: whoever skips a sample waits for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from backend.board import Board
from backend.errors import BadInputError
from backend.numerics.label_sets import samples_needed
from backend.types import DrawerReport, QueueEntry, Sample, Split, Verdict

USUAL_SHARE, MOST_SHARE = 0.1, 0.5
"""Of the training samples, in a drawer that is opened for a level: so much, and never more."""
SPARE = 2
"""Times as many samples as the level needs: a random draw may hold fewer, and some stay open."""

_CODES = {Verdict.YES: 1, Verdict.NO: 0, Verdict.UNSURE: -1}


@dataclass(frozen=True)
class Decided:
    """The samples that calibrate and the labels they are decided on.

    Attributes:
        truth: 1 YES, 0 NO, -1 UNSURE.
        complete: members of the drawer whose every label is decided.
    """

    rows: Int[np.ndarray, " n"]
    columns: Int[np.ndarray, " c"]
    truth: Int[np.ndarray, "n c"]
    complete: int

    def is_same(self, other: Decided) -> bool:
        """Whether both say the same."""
        return all(
            np.array_equal(getattr(self, name), getattr(other, name))
            for name in ("rows", "columns", "truth")
        )


def decided_of(board: Board) -> Decided:
    """The first samples of the drawer and the labels that all of these are decided on.

    Of all numbers n of first samples the one with the most decided cells in the rectangle; of
    equals the one with the most labels.
    """
    order = board.drawer_order()
    order = order[board.encoded[order]]
    ids = [label.id for label in board.labels]
    truth = np.full((len(order), len(ids)), 2, np.int8)
    said = board.verdicts.get
    for at, row in enumerate(order.tolist()):
        sample = board.samples[row].id
        for column, label in enumerate(ids):
            found = said((sample, label))  # `answer_of`, a million times in a large drawer
            if found is not None and found.verdict is not None and not found.is_accepted:
                truth[at, column] = _CODES[found.verdict]
    known = truth < 2
    complete = int(known.all(axis=1).sum()) if ids else 0
    runs = np.logical_and.accumulate(known, axis=0).sum(axis=0) if len(order) else np.zeros(0, int)
    best, columns = 0, np.zeros(0, np.int64)
    for n in sorted({int(run) for run in runs if run}):
        mine = np.flatnonzero(runs >= n)
        if n * len(mine) > best * len(columns):  # of equals the first, with more labels, stays
            best, columns = n, mine
    return Decided(order[:best], columns, truth[:best][:, columns], complete)


def report(board: Board, levels: Sequence[float]) -> DrawerReport:
    """How far the drawer is decided, and how much more each level needs."""
    found = decided_of(board)
    covered = {int(column) for column in found.columns}
    names = [label.name for label in board.labels]
    return DrawerReport(
        share=board.drawer.share if board.drawer else 0.0,
        members=int(board.in_drawer.sum()),
        decided=found.complete,
        counted=len(found.rows),
        labels=tuple(name for column, name in enumerate(names) if column in covered),
        uncovered=tuple(name for column, name in enumerate(names) if column not in covered),
        need={level: max(0, samples_needed(level) - len(found.rows)) for level in levels},
    )


def share_for(board: Board, level: float) -> float:
    """How large a drawer should be for a level, larger than the one there is if that is too small.

    Raises:
        BadInputError: it would take more than half of what there is to learn from.
    """
    needed = samples_needed(level)
    known = sum(sample.split == Split.TRAIN for sample in board.samples)
    share = max(USUAL_SHARE, SPARE * needed / known) if known else 1.0
    if board.drawer is not None and board.in_drawer.sum() < needed:  # so was the draw
        share = max(share, SPARE * board.drawer.share)
    share = min(share, MOST_SHARE)
    is_same = board.drawer is not None and share <= board.drawer.share
    if known * share < needed or (is_same and board.in_drawer.sum() < needed):
        raise BadInputError(
            f"{level:.0%} needs {needed} decided samples, and half of the {known} training samples "
            "are too few to find them among; add samples, or ask for a lower level"
        )
    return share


def ask(board: Board, k: int) -> list[QueueEntry]:
    """The next samples of the drawer to decide completely, in its own order."""
    found: list[QueueEntry] = []
    for place, row in enumerate(board.drawer_order().tolist()):
        sample = board.samples[row]
        left = sum(answer_of(board, sample, label.id) is None for label in board.labels)
        if left and len(found) < k:
            reason = f"calibration drawer: decide all labels ({left} open)"
            found.append(QueueEntry(sample.id, sample.name, "drawer", reason, 1 / (1 + place)))
    return found


def answer_of(board: Board, sample: Sample, label: int) -> int | None:
    """What a person said of a pair; None where it is open, or was accepted without a look."""
    found = board.verdicts.get((sample.id, label))
    if found is None or found.verdict is None or found.is_accepted:
        return None
    return _CODES[found.verdict]


def is_untouched(board: Board, row: int) -> bool:
    """A training sample with vectors, outside the drawer, that nobody has decided anything of."""
    sample = board.samples[row]
    return (
        sample.split == Split.TRAIN
        and bool(board.encoded[row])
        and not board.in_drawer[row]
        and all(answer_of(board, sample, label.id) is None for label in board.labels)
    )
