"""How good the suggestions are, on decided (sample, label) pairs; undecided pairs are masked."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool

from backend.board import Board
from backend.numerics.scores import (
    expected_calibration_error,
    label_average_precisions,
    label_f1,
    overall_f1,
)
from backend.types import Evaluation, Verdict


def evaluation(
    board: Board,
    verdicts: Mapping[tuple[int, int], Verdict],
    rows: Bool[np.ndarray, " n"],
    *,
    split: str,
) -> Evaluation:
    """Compare the board's scores with verdicts.

    A label is suggested when its probability is at least one half, or, before it is calibrated,
    when its score is above 0. UNSURE pairs are masked like undecided ones. The calibration error
    looks only at calibrated pairs.

    Args:
        board: scores of the current version.
        verdicts: (sample id, label id) -> verdict.
        rows: which samples count.
        split: their name, for the report.
    """
    targets = np.zeros(board.logits.shape, np.float32)
    known = np.zeros(board.logits.shape, bool)
    for (sample, label), verdict in verdicts.items():
        row, column = board.row_of.get(sample), board.column_of.get(label)
        if row is None or column is None or not rows[row] or verdict == Verdict.UNSURE:
            continue
        known[row, column] = True
        targets[row, column] = float(verdict == Verdict.YES)
    known &= np.isfinite(board.logits)
    calibrated = np.isfinite(board.probabilities)
    suggested = np.where(calibrated, board.probabilities >= 0.5, board.logits > 0)
    scores = np.nan_to_num(board.logits)
    precisions = label_average_precisions(scores, targets, known)
    ap = {
        label.name: float(value)
        for label, value in zip(board.labels, precisions, strict=True)
        if math.isfinite(value)
    }
    sure = calibrated & known
    return Evaluation(
        mAP=float(np.mean(list(ap.values()))) if ap else None,
        CF1=_number(label_f1(suggested, targets, known)),
        OF1=_number(overall_f1(suggested, targets, known)),
        ap=ap,
        coverage=None,
        mean_set_size=None,
        ece=_number(expected_calibration_error(board.probabilities, targets, sure)),
        n=int(known.any(axis=1).sum()),
        split=split,
    )


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
