"""Look closely at how good the suggestions are: labels, mistakes, thresholds, slices, calibration.

One class for all of it. A comparison is worked out once for a version, a state of the log and a
question, and kept while people look at its parts.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from threading import RLock

import numpy as np
from jaxtyping import Bool, Float, Int

from backend import judged_pairs, views
from backend.board import Board
from backend.errors import BadInputError, NotFoundError
from backend.judged_pairs import Figure
from backend.live import Live
from backend.model_filters import Others
from backend.numerics import label_pairs
from backend.numerics.label_pairs import Instead, PairCounts
from backend.numerics.reliability import Reliability, bins_of, reliability
from backend.numerics.trade_off import (
    TradeOff,
    best_threshold,
    threshold_for_precision,
    threshold_for_recall,
    trade_off,
)
from backend.pair_filters import JUDGED, OF_LEVEL, read_what
from backend.scorecard import FOLDS, Judged, claims, evaluation, judged
from backend.slices import (
    Certain,
    Claims,
    Condition,
    matching,
    meta_of,
    parse_conditions,
    source_of,
)
from backend.types import Evaluation, Interval, Lessons, Receipt, Verdict

KEPT = 6
"""Comparisons that are kept."""
MOST_FITS = 2_000
"""Curves that cross-fitting may fit; each takes about a millisecond."""
MOST_SLICES = 60
FEWEST_OF_LABEL = 2
"""Samples that a label needs to be a slice of its own."""


@dataclass(frozen=True)
class Question:
    """What to compare.

    Attributes:
        split: "held-back", "train", "val" or "test".
        filters: as in `slices`; all must match.
        unknown: what an undecided pair is, one of `pair_filters.UNKNOWN`.
    """

    split: str = "held-back"
    filters: tuple[str, ...] = ()
    unknown: str = "masked"


@dataclass(frozen=True)
class LabelScore:
    """One label: verdicts, suggestions at its threshold, and how well it is ranked.

    Attributes:
        yes, no: decided samples.
        hits, misses, alarms: suggested YES, unsuggested YES, suggested NO.
        ap: average precision, None without a YES and a NO; `interval` its 95 % interval.
        precision, recall, f1: at the threshold; None where nothing can be said.
        is_chosen: a person chose the threshold.
        best: the threshold with the highest F1 on these verdicts, which is `best_f1`.
        ece: calibration error, None where not calibrated.
    """

    id: int
    name: str
    pack: str
    yes: int
    no: int
    hits: int
    misses: int
    alarms: int
    ap: float | None
    interval: Interval | None
    precision: float | None
    recall: float | None
    f1: float | None
    threshold: float
    is_chosen: bool
    best: float | None
    best_f1: float | None
    ece: float | None


@dataclass(frozen=True)
class LabelCurve:
    """One label over every threshold.

    Attributes:
        curve: of probabilities.
        wishes: "f1", "precision" (at least 0.9) and "recall" (at least 0.9) -> a threshold.
        reliability: stated against observed, None where not calibrated.
        chances: of each decided sample.
        targets: 1 for YES.
    """

    score: LabelScore
    curve: TradeOff
    wishes: Mapping[str, float | None]
    reliability: Reliability | None
    chances: Float[np.ndarray, " m"]
    targets: Float[np.ndarray, " m"]

    def spread(self, num_bins: int) -> tuple[Int[np.ndarray, " b"], Int[np.ndarray, " b"]]:
        """How many YES and how many NO have a probability in each of so many equal bins."""
        at, yes = bins_of(self.chances.astype(np.float64), num_bins), self.targets > 0
        return np.bincount(at[yes], minlength=num_bins), np.bincount(at[~yes], minlength=num_bins)


@dataclass(frozen=True)
class Slice:
    """Quality on the samples that match one more filter."""

    name: str
    filter: str
    n: int
    pairs: int
    mAP: float | None  # noqa: N815 - as the field writes it
    interval: Interval | None
    CF1: float | None
    OF1: float | None
    ece: float | None


@dataclass(frozen=True)
class SliceKey:
    """Something to slice by: "label", "slice" (saved ones), "source", "split" or "meta:KEY"."""

    key: str
    values: int


@dataclass(frozen=True)
class Calibration:
    """Stated against observed share of YES over all pairs.

    Attributes:
        shown: the probabilities that people see.
        cross: of curves fitted without the sample; None where they are not needed (the samples
            took no part in calibration) or cannot be had; `why` says which.
    """

    shown: Reliability
    cross: Reliability | None
    why: str


@dataclass(frozen=True)
class LabelsTogether:
    """Pairs of labels of one sample.

    Attributes:
        shown: YES on both.
        known: samples decided on both, in the order of `shown`.
        said: samples of those that are suggested both.
    """

    shown: PairCounts
    known: np.ndarray
    said: np.ndarray


class Comparison:
    """One comparison and all that can be asked of it; nothing is worked out before it is asked."""

    def __init__(
        self,
        table: Judged,
        cross: Float[np.ndarray, "n l"] | None,
        why: str,
        filters: tuple[str, ...] = (),
    ):
        self.table = table
        self.filters = filters
        self._cross, self._why = cross, why
        self._lock = RLock()
        self._labels: list[LabelScore] | None = None
        self._instead: Instead | None = None
        self._together: LabelsTogether | None = None
        self._told: Evaluation | None = None
        self._figures: dict[str, dict[str, Figure]] | None = None

    def evaluation(self) -> Evaluation:
        """All numbers, with intervals."""
        with self._lock:
            if self._told is None:
                told = evaluation(self.table, cross=self._cross)
                self._told = replace(told, slice=self.filters)
            return self._told

    def figures(self) -> Mapping[str, Mapping[str, Figure]]:
        """Measure -> way to suggest, "" where it needs none -> the samples behind the number."""
        with self._lock:
            if self._figures is None:
                self._figures = judged_pairs.figures(self.table, self._cross)
            return self._figures

    def labels(self) -> list[LabelScore]:
        """Every label, in the project's order."""
        with self._lock:
            if self._labels is None:
                self._labels = [self._label(column) for column in range(len(self.table.labels))]
            return self._labels

    def label(self, label: int) -> LabelCurve:
        """One label over every threshold, by its id.

        Raises:
            NotFoundError: there is no such label.
        """
        table = self.table
        column = next((c for c, one in enumerate(table.labels) if one.id == label), None)
        if column is None:
            raise NotFoundError(f"there is no label {label} any more; reload the page")
        rows = table.known[:, column]
        chances, targets = table.chances[rows, column], table.targets[rows, column]
        curve = trade_off(chances, targets)
        is_sure = table.is_calibrated[rows, column]
        return LabelCurve(
            score=self.labels()[column],
            curve=curve,
            wishes={
                "f1": best_threshold(curve),
                "precision": threshold_for_precision(curve, 0.9),
                "recall": threshold_for_recall(curve, 0.9),
            },
            reliability=reliability(chances[is_sure], targets[is_sure], num_bins=10)
            if is_sure.any()
            else None,
            chances=chances,
            targets=targets,
        )

    def instead(self) -> Instead:
        """What was said instead of what."""
        with self._lock:
            if self._instead is None:
                table = self.table
                self._instead = label_pairs.instead(table.said, table.targets, table.known)
            return self._instead

    def together(self) -> LabelsTogether:
        """Which labels go together, and whether they are said together."""
        with self._lock:
            if self._together is None:
                table = self.table
                shown = label_pairs.together(table.known & (table.targets > 0))
                said = table.known & table.said
                self._together = LabelsTogether(
                    shown,
                    label_pairs.both_known(table.known, shown),
                    label_pairs.both_known(said, shown),
                )
            return self._together

    def calibration(self) -> Calibration:
        """Stated against observed, over all pairs."""
        table = self.table
        used = table.known & table.is_calibrated
        shown = reliability(table.chances[used], table.targets[used])
        cross = None
        if self._cross is not None:
            cross = reliability(self._cross[table.known], table.targets[table.known])
        return Calibration(shown, cross, self._why)

    def _label(self, column: int) -> LabelScore:
        table, label = self.table, self.table.labels[column]
        rows = table.known[:, column]
        chances, targets = table.chances[rows, column], table.targets[rows, column]
        yes, hits = int(table.counts.yes[column]), int(table.counts.hits[column])
        said = int(table.counts.predicted[column])
        ap = float(table.precisions[column])
        curve = trade_off(chances, targets)
        best = best_threshold(curve)
        is_sure = table.is_calibrated[rows, column]
        return LabelScore(
            id=label.id,
            name=label.name,
            pack=label.pack,
            yes=yes,
            no=int(rows.sum()) - yes,
            hits=hits,
            misses=yes - hits,
            alarms=said - hits,
            ap=ap if np.isfinite(ap) else None,
            interval=table.precision_interval(column) if np.isfinite(ap) else None,
            precision=hits / said if said else None,
            recall=hits / yes if yes else None,
            f1=2 * hits / (said + yes) if yes else None,
            threshold=float(table.thresholds[column]),
            is_chosen=bool(table.chosen[column]),
            best=best,
            best_f1=None if best is None else float(curve.f1.max()),
            ece=reliability(chances[is_sure], targets[is_sure]).ece if is_sure.any() else None,
        )


class Evaluator:
    """Comparisons of one open project, and the thresholds that people choose by them."""

    def __init__(self, live: Live, certain: Certain | None = None, others: Others | None = None):
        """Of an open project; `certain` and `others` answer filters on what they know."""
        self._live = live
        self._certain = certain
        self._others = others
        self._kept: OrderedDict[tuple[object, ...], tuple[Board, Comparison]] = OrderedDict()
        self._lock = RLock()

    # --- look --------------------------------------------------------------------------------

    def compare(
        self,
        question: Question | None = None,
        *,
        truth: Mapping[tuple[int, int], Verdict] | None = None,
    ) -> Comparison:
        """Put verdicts beside suggestions; `truth` in place of the project's own verdicts.

        Raises:
            BadInputError: an unknown split, filter or way with undecided pairs.
            NotFoundError: a filter names a label that is not there.
        """
        asked = question or Question()
        self._live.catch_up()
        with self._live.lock:
            board, version = self._live.board, self._live.learned.version
        thresholds = self.thresholds()
        key = (asked, version, tuple(sorted(thresholds.items())))
        with self._lock:
            if truth is None and key in self._kept and self._kept[key][0] is board:
                self._kept.move_to_end(key)
                return self._kept[key][1]
        made = self._compared(board, version, asked, thresholds, truth)
        if truth is None:
            with self._lock:
                self._kept[key] = (board, made)
                while len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
        return made

    def slices(self, by: str, question: Question | None = None) -> list[Slice]:
        """The samples in groups, the largest first; a sample may be in several by label.

        Args:
            by: one of the keys of `slice_keys`.
            question: what to compare.

        Raises:
            BadInputError: there is nothing of that name to slice by.
        """
        asked = question or Question()
        comparison = self.compare(asked)
        board, table = self._live.board, comparison.table
        rows = np.array([board.row_of.get(int(sample), -1) for sample in table.ids], np.int64)
        table = table.only(rows >= 0)
        rows = rows[rows >= 0]
        found: list[Slice] = []
        for name, text in self._groups(board, table, rows, by):
            conditions = parse_conditions([text])
            keep = matching(board, conditions, lambda: claims(board, self.thresholds()))[rows]
            if keep.any():
                found.append(_slice(name, text, table.only(keep)))
        return sorted(found, key=lambda one: -one.n)[:MOST_SLICES]

    def slice_keys(self) -> list[SliceKey]:
        """What there is to slice by: labels, saved slices, sources, values of the metadata."""
        board = self._live.board
        keys = [SliceKey("label", len(board.labels))] if board.labels else []
        if board.slices:
            keys.append(SliceKey("slice", len(board.slices)))
        sources = {source_of(sample) for sample in board.samples}
        if len(sources) > 1:
            keys.append(SliceKey("source", len(sources)))
        values: dict[str, set[str]] = {}
        for sample in board.samples:
            for key in sample.metadata:
                if key != "source" and (value := meta_of(sample, key)) is not None:
                    values.setdefault(key, set()).add(value)
        # One value is no slice, and a value of its own for each sample is a caption or a name.
        most = max(2, len(board.samples) // 2)
        keys += [
            SliceKey(f"meta:{key}", len(found))
            for key, found in sorted(values.items())
            if 2 <= len(found) <= most
        ]
        return keys

    def matching(self, conditions: Sequence[Condition], board: Board | None = None) -> np.ndarray:
        """Ids of the samples that match; for filters that need what the model says.

        Args:
            conditions: from `parse_conditions`.
            board: with the verdicts that count here; None: the present one.
        """
        seen = self._live.board if board is None else board
        every = np.ones(len(seen.samples), bool)
        return seen.ids[self._left(seen, conditions, self.thresholds(), every)]

    def conditions(self, filters: Sequence[str]) -> list[Condition]:
        """Filters whose labels may be named."""
        return parse_conditions(filters, id_of=self._id_of)

    def claims(self) -> Claims:
        """What is suggested now, on the board's rows and columns."""
        with self._live.lock:
            board = self._live.board
        return claims(board, self.thresholds())

    def suggested(self, ids: Sequence[int]) -> dict[int, frozenset[int]]:
        """Sample id -> ids of the labels that are suggested: at their thresholds or above."""
        with self._live.lock:
            board = self._live.board
        said = claims(board, self.thresholds()).said
        labels = np.array([label.id for label in board.labels], np.int64)
        rows = {sample: board.row_of[sample] for sample in ids if sample in board.row_of}
        return {sample: frozenset(labels[said[row]].tolist()) for sample, row in rows.items()}

    # --- thresholds --------------------------------------------------------------------------

    def thresholds(self) -> dict[int, float]:
        """Label id -> the threshold that a person chose; labels without one are at 0.5."""
        return self._live.store.thresholds()

    def set_thresholds(
        self, values: Mapping[int, float | None], *, who: str = "me", op: str | None = None
    ) -> Receipt:
        """Keep thresholds (None: back to 0.5); one undo takes all of them back.

        Raises:
            BadInputError: one is not in 0..1.
            NotFoundError: a label is not there.
        """
        receipt = self._live.store.set_thresholds(values, who=who, op=op)
        self._live.resync()
        return receipt

    def best_thresholds(self, question: Question | None = None) -> dict[int, float]:
        """Label id -> the threshold with the highest F1, for labels with a YES and a NO."""
        found = self.compare(question).labels()
        return {one.id: one.best for one in found if one.best is not None}

    # --- inside ------------------------------------------------------------------------------

    def _compared(
        self,
        board: Board,
        version: int,
        asked: Question,
        thresholds: Mapping[int, float],
        truth: Mapping[tuple[int, int], Verdict] | None,
    ) -> Comparison:
        rows = views.rows_of_split(board, asked.split) if truth is None else board.encoded
        if asked.filters:
            rows = self._left(board, self.conditions(asked.filters), thresholds, rows)
        table = judged(
            board,
            views.looked_at(board) if truth is None else truth,
            rows,
            split=asked.split if truth is None else "file",
            unknown=asked.unknown,
            thresholds=thresholds,
            version=version,
        )
        if truth is not None or asked.split != "held-back":
            return Comparison(table, None, "unseen", asked.filters)
        return Comparison(table, *self._cross_fitted(table), asked.filters)

    def _left(
        self,
        board: Board,
        conditions: Sequence[Condition],
        thresholds: Mapping[int, float],
        rows: Bool[np.ndarray, " n"],
    ) -> Bool[np.ndarray, " n"]:
        """Those of some rows that match all conditions, the ones on judged pairs last.

        Each of them counts what is left by all before it, as a slice of the evaluation does.
        """
        plain = [one for one in conditions if one.kind != JUDGED]
        told = matching(
            board, plain, lambda: claims(board, thresholds), self._certain, self._others
        )
        keep = rows & told
        for one in conditions:
            if one.kind == JUDGED:
                keep = self._judged_rows(board, one, thresholds, keep)
        return keep

    def _judged_rows(
        self,
        board: Board,
        condition: Condition,
        thresholds: Mapping[int, float],
        rows: Bool[np.ndarray, " n"],
    ) -> Bool[np.ndarray, " n"]:
        _, unknown, scope = str(condition.key).split(":")
        what = read_what(condition.values[0])
        assert what is not None  # noqa: S101  it was read when the filter was
        verdicts = views.looked_at(board)
        table = judged(
            board, verdicts, rows & board.encoded, split="", unknown=unknown, thresholds=thresholds
        )
        is_of_level = what.what in OF_LEVEL and self._certain is not None
        found = judged_pairs.rows_with(
            table,
            scope,
            what,
            cross=self._cross_fitted(table)[0] if what.what == "crossed" else None,
            board=board,
            sets=self._certain.sets(what.level) if self._certain and is_of_level else None,
        )
        keep = np.zeros(len(board.samples), bool)
        keep[[board.row_of[sample] for sample in table.ids[found].tolist()]] = True
        return keep

    def _cross_fitted(self, table: Judged) -> tuple[Float[np.ndarray, "n l"] | None, str]:
        """Probabilities of each fold from curves of the others, and why there are none.

        The shown ones were fitted on these very samples, so they look better than they are.
        """
        used = table.known & table.is_calibrated
        labels = int(used.any(axis=0).sum())
        if not labels:
            return None, "uncalibrated"
        if labels * FOLDS > MOST_FITS:
            return None, "many"
        calibrator = self._live.pipeline.calibrator
        out = np.full(table.logits.shape, np.nan, np.float32)
        for fold in range(FOLDS):
            here = table.folds == fold
            rows, columns = np.nonzero(table.known & ~here[:, None])
            lessons = Lessons(rows, columns, table.targets[rows, columns])
            state = calibrator.fit(table.logits, lessons)
            out[here] = calibrator.probabilities(state, table.logits[here])
        return out, ""

    def _groups(
        self, board: Board, table: Judged, rows: np.ndarray, by: str
    ) -> list[tuple[str, str]]:
        """Name and filter of each group."""
        if by == "label":
            yes = ((table.targets > 0) & table.known).sum(axis=0)
            order = np.argsort(-yes, kind="stable")[:MOST_SLICES]
            return [
                (table.labels[column].name, f"label:{table.labels[column].id}:yes")
                for column in order
                if yes[column] >= FEWEST_OF_LABEL
            ]
        if by not in {key.key for key in self.slice_keys()}:
            known = ", ".join(key.key for key in self.slice_keys()) or "nothing yet"
            raise BadInputError(f"there is no {by!r} to slice by; there is {known}")
        if by == "slice":
            largest = sorted(board.slices, key=lambda name: -len(board.slices[name]))
            return [(name, f"slice:{name}") for name in largest[:MOST_SLICES]]
        samples = [board.samples[row] for row in rows]
        if by == "source":
            values = Counter(source_of(sample) for sample in samples)
        else:
            key = by.partition(":")[2]
            told = (meta_of(sample, key) for sample in samples)
            values = Counter(value for value in told if value is not None)
        return [(value, f"{by}:{value}") for value, _ in values.most_common(MOST_SLICES)]

    def _id_of(self, name: str) -> int:
        board = self._live.board
        column = board.column_named.get(name)
        if column is None and name.isdecimal():
            column = board.column_of.get(int(name))
        if column is None:
            return self._live.store.find_label(name).id
        return board.labels[column].id


def _slice(name: str, text: str, table: Judged) -> Slice:
    told = evaluation(table, has_intervals=False)
    return Slice(
        name=name,
        filter=text,
        n=told.n,
        pairs=told.pairs,
        mAP=told.mAP,
        interval=table.mean_precision_interval if told.mAP is not None else None,
        CF1=told.CF1,
        OF1=told.OF1,
        ece=told.ece,
    )
