"""How good the suggestions are, on decided (sample, label) pairs; undecided pairs are masked."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool

from backend.board import Board
from backend.numerics.scores import (
    average_precision,
    expected_calibration_error,
    f1_scores,
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
    when its score is above 0. UNSURE pairs are masked like undecided ones. CF1 and OF1 are macro
    and micro F1 over labels with at least one YES; mAP is macro over the same labels. The
    calibration error looks only at calibrated pairs.

    Args:
        board: scores of the current version.
        verdicts: (sample id, label id) -> verdict.
        rows: which samples count.
        split: their name, for the report.
    """
    truth = np.full(board.logits.shape, np.nan, np.float32)
    for (sample, label), verdict in verdicts.items():
        row, column = board.row_of.get(sample), board.column_of.get(label)
        known = row is not None and column is not None and rows[row]
        if known and verdict in (Verdict.YES, Verdict.NO):
            truth[row, column] = float(verdict == Verdict.YES)
    truth[~np.isfinite(board.logits)] = np.nan
    is_calibrated = np.isfinite(board.probabilities)
    suggested = np.where(is_calibrated, board.probabilities >= 0.5, board.logits > 0)
    ap: dict[str, float] = {}
    for column, label in enumerate(board.labels):
        known = np.isfinite(truth[:, column])
        if (truth[known, column] == 1).any():
            scores = board.logits[known, column]
            ap[label.name] = float(average_precision(truth[known, column], scores))
    class_f1, overall_f1 = f1_scores(truth, suggested)
    sure = is_calibrated & np.isfinite(truth)
    ece = expected_calibration_error(truth[sure], board.probabilities[sure]) if sure.any() else None
    return Evaluation(
        mAP=float(np.mean(list(ap.values()))) if ap else None,
        CF1=class_f1,
        OF1=overall_f1,
        ap=ap,
        coverage=None,
        mean_set_size=None,
        ece=ece,
        n=int(np.isfinite(truth).any(axis=1).sum()),
        split=split,
    )
