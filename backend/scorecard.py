"""How good the suggestions are on decided (sample, label) pairs: the numbers of one comparison.

`Judged` is what is compared: samples that count, what was said of them and what is so. Undecided
pairs are masked, unless a person says that whatever is not decided is NO; which of these was done
is part of every answer. UNSURE is masked always.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

from backend import views
from backend.board import Board
from backend.errors import BadInputError
from backend.numerics import resampling
from backend.numerics.scores import (
    Counts,
    F1Scores,
    expected_calibration_error,
    highest,
    label_average_precisions,
    micro_average_precision,
    weighted_average_precision,
)
from backend.numerics.trade_off import cross_fitted
from backend.pair_filters import TOP, UNKNOWN
from backend.slices import Claims
from backend.types import Evaluation, Interval, Label, Verdict

HALF = 0.5
"""Threshold of a label for which nobody has chosen another one."""
FOLDS = 5
MOST_DRAWS, FEWEST_DRAWS, MOST_DRAWN = 500, 50, 60_000_000
"""Bootstrap draws, and how many (draw, pair) cells they may come to."""


@dataclass(frozen=True)
class Judged:
    """Samples that count as rows, all labels as columns.

    Attributes:
        ids: sample ids, (N,).
        folds: which of `FOLDS` each sample is in; follows from its content.
        logits: scores, 0 where there are none.
        chances: probabilities, rough where `is_calibrated` is not set.
        said: which labels are suggested.
        targets: 1 for YES.
        known: pairs that count.
        thresholds: of each label, on `chances`.
        chosen: labels whose threshold a person chose.
        unknown: one of `pair_filters.UNKNOWN`.
        split: the name of the samples.
        version: whose scores these are.
    """

    labels: tuple[Label, ...]
    ids: Int[np.ndarray, " n"]
    folds: Int[np.ndarray, " n"]
    logits: Float[np.ndarray, "n l"]
    chances: Float[np.ndarray, "n l"]
    is_calibrated: Bool[np.ndarray, "n l"]
    said: Bool[np.ndarray, "n l"]
    targets: Float[np.ndarray, "n l"]
    known: Bool[np.ndarray, "n l"]
    thresholds: Float[np.ndarray, " l"]
    chosen: Bool[np.ndarray, " l"]
    unknown: str = "masked"
    split: str = "held-back"
    version: int = 0

    def only(self, keep: Bool[np.ndarray, " n"]) -> Judged:
        """Some of the samples."""
        cells = ("logits", "chances", "is_calibrated", "said", "targets", "known")
        return replace(
            self,
            ids=self.ids[keep],
            folds=self.folds[keep],
            **{name: getattr(self, name)[keep] for name in cells},
        )

    @property
    def num_samples(self) -> int:
        """Samples with a pair that counts."""
        return len(self.ids)

    @property
    def num_pairs(self) -> int:
        """Pairs that count."""
        return int(self.known.sum())

    @cached_property
    def counts(self) -> Counts:
        """Hits, suggestions and YES of each label."""
        return Counts.of(self.said, self.targets, self.known)

    @cached_property
    def precisions(self) -> Float[np.ndarray, " l"]:
        """AP of each label."""
        return label_average_precisions(self.logits, self.targets, self.known)

    @cached_property
    def draws(self) -> Float[np.ndarray, "b n"]:
        """Bootstrap draws of the samples; fewer where there are very many pairs."""
        most = MOST_DRAWN // max(self.num_pairs, 1)
        num = min(MOST_DRAWS, max(FEWEST_DRAWS, most))
        return resampling.draws(self.num_samples, num, seed=0)

    @cached_property
    def drawn_precisions(self) -> Float[np.ndarray, "b l"]:
        """AP of each label in each draw; NaN where it says nothing."""
        found = np.full((len(self.draws), len(self.labels)), np.nan)
        for column in np.flatnonzero(np.isfinite(self.precisions)):
            rows = np.flatnonzero(self.known[:, column])
            found[:, column] = resampling.weighted_average_precisions(
                self.logits[rows, column], self.targets[rows, column], self.draws[:, rows]
            )
        return found

    def precision_interval(self, column: int) -> Interval | None:
        """95 % interval of one label's AP."""
        return resampling.interval(self.drawn_precisions[:, column])

    @cached_property
    def mean_precision_interval(self) -> Interval | None:
        """95 % interval of mAP."""
        found = self.drawn_precisions
        counted = np.isfinite(found)
        with np.errstate(invalid="ignore"):
            means = np.where(counted, found, 0).sum(axis=1) / counted.sum(axis=1)
        return resampling.interval(means)

    @cached_property
    def best_said(self) -> Bool[np.ndarray, "n l"]:
        """Suggestions at each label's best threshold, chosen on the other folds."""
        return cross_fitted(self.chances, self.targets, self.known, self.folds, otherwise=HALF)


def claims(board: Board, thresholds: Mapping[int, float]) -> Claims:
    """What the model says: a label is suggested from its threshold on.

    That is the threshold a person chose, else one half; before a label is calibrated, a score
    above 0.

    Args:
        board: scores of the current version.
        thresholds: label id -> the one that was chosen.
    """
    chances, limits = views.chances(board), limits_of(board.labels, thresholds)
    is_rough = ~np.isfinite(board.probabilities)
    said = chances >= limits
    plain = np.array([label.id not in thresholds for label in board.labels], bool)
    said = np.where(is_rough & plain, board.logits > 0, said)
    is_known = np.isfinite(board.logits)
    return Claims(chances, said & is_known, is_known)


def limits_of(labels: Sequence[Label], chosen: Mapping[int, float]) -> Float[np.ndarray, " l"]:
    """The threshold of each label."""
    return np.array([chosen.get(label.id, HALF) for label in labels], np.float64)


def judged(
    board: Board,
    verdicts: Mapping[tuple[int, int], Verdict],
    rows: Bool[np.ndarray, " n"],
    *,
    split: str,
    unknown: str = "masked",
    thresholds: Mapping[int, float] | None = None,
    version: int = 0,
) -> Judged:
    """Put verdicts beside what the board says.

    Args:
        board: scores of the current version.
        verdicts: (sample id, label id) -> verdict.
        rows: which samples count.
        split: their name, for the report.
        unknown: what a pair without a verdict is, one of `pair_filters.UNKNOWN`.
        thresholds: label id -> the one a person chose.
        version: whose scores these are.

    Raises:
        BadInputError: `unknown` is none of those.
    """
    if unknown not in UNKNOWN:
        raise BadInputError(f"undecided pairs can be {', '.join(UNKNOWN)}, not {unknown!r}")
    chosen = thresholds or {}
    targets, known = _pairs_that_count(board, verdicts, rows, unknown)
    at = np.flatnonzero(known.any(axis=1))
    told = claims(board, chosen)
    order = np.argsort([board.samples[row].content_hash for row in at], kind="stable")
    folds = np.empty(len(at), np.int64)
    folds[order] = np.arange(len(at)) % FOLDS
    return Judged(
        labels=board.labels,
        ids=board.ids[at],
        folds=folds,
        logits=np.nan_to_num(board.logits[at]),
        chances=told.chances[at],
        is_calibrated=np.isfinite(board.probabilities[at]),
        said=told.said[at],
        targets=targets[at],
        known=known[at],
        thresholds=limits_of(board.labels, chosen),
        chosen=np.array([label.id in chosen for label in board.labels], bool),
        unknown=unknown,
        split=split,
        version=version,
    )


def _pairs_that_count(
    board: Board,
    verdicts: Mapping[tuple[int, int], Verdict],
    rows: Bool[np.ndarray, " n"],
    unknown: str,
) -> tuple[Float[np.ndarray, "n l"], Bool[np.ndarray, "n l"]]:
    """Targets, 1 for YES, and which pairs count: see `judged`. Those without a score never do."""
    targets = np.zeros(board.logits.shape, np.float32)
    known = np.zeros(board.logits.shape, bool)
    unsure = np.zeros(board.logits.shape, bool)
    for (sample, label), verdict in verdicts.items():
        row, column = board.row_of.get(sample), board.column_of.get(label)
        if row is None or column is None or not rows[row]:
            continue
        if verdict == Verdict.UNSURE:
            unsure[row, column] = True
            continue
        known[row, column] = True
        targets[row, column] = float(verdict == Verdict.YES)
    if unknown == "no":
        known |= known.any(axis=1, keepdims=True) & ~unsure
    elif unknown == "complete":
        known &= (known | unsure).all(axis=1, keepdims=True)
    return targets, known & np.isfinite(board.logits)


def evaluation(
    table: Judged,
    *,
    top_k: int = TOP,
    cross: Float[np.ndarray, "n l"] | None = None,
    has_intervals: bool = True,
) -> Evaluation:
    """All numbers of a comparison.

    Args:
        table: what is compared.
        top_k: labels of each sample that count as predicted in the top-k scores.
        cross: probabilities from curves that were fitted without the sample, if there are any.
        has_intervals: draw the bootstrap, which takes most of the time.
    """
    targets, known = table.targets, table.known
    ap = {
        label.name: float(value)
        for label, value in zip(table.labels, table.precisions, strict=True)
        if math.isfinite(value)
    }
    threshold = F1Scores.of(table.said, targets, known)
    sure = table.is_calibrated & known
    stated = np.where(table.is_calibrated, table.chances, np.nan)
    intervals = _intervals(table) if has_intervals else {}
    return Evaluation(
        mAP=float(np.mean(list(ap.values()))) if ap else None,
        CF1=_number(threshold.CF1),
        OF1=_number(threshold.OF1),
        ap=ap,
        coverage=None,
        mean_set_size=None,
        ece=_number(expected_calibration_error(stated, targets, sure)),
        n=table.num_samples,
        split=table.split,
        pairs=table.num_pairs,
        unknown=table.unknown,
        version=table.version,
        mAP_micro=_number(micro_average_precision(table.chances, targets, known)),
        mAP_weighted=_number(weighted_average_precision(table.logits, targets, known)),
        f1={
            "threshold": _numbers(threshold),
            f"top-{top_k}": _numbers(F1Scores.of(highest(table.chances, top_k), targets, known)),
            "best-threshold": _numbers(F1Scores.of(table.best_said, targets, known)),
        },
        intervals=intervals,
        ap_intervals={
            label.name: found
            for column, label in enumerate(table.labels)
            if label.name in ap and (found := table.precision_interval(column)) is not None
        }
        if has_intervals
        else {},
        resamples=len(table.draws) if has_intervals else 0,
        ece_cross_fitted=None
        if cross is None
        else _number(expected_calibration_error(cross, targets, known)),
        thresholds={
            label.name: float(limit)
            for label, limit, is_chosen in zip(
                table.labels, table.thresholds, table.chosen, strict=True
            )
            if is_chosen
        },
    )


def _intervals(table: Judged) -> dict[str, Interval]:
    cf1, mean, of1 = resampling.drawn_f1(table.said, table.targets, table.known, table.draws)
    found = {
        "mAP": table.mean_precision_interval,
        "CF1": resampling.interval(cf1),
        "CF1_mean": resampling.interval(mean),
        "OF1": resampling.interval(of1),
    }
    return {name: each for name, each in found.items() if each is not None}


def _numbers(scores: F1Scores) -> dict[str, float | None]:
    return {name: _number(value) for name, value in asdict(scores).items()}


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
