"""A comparison as tables of text, to take home: one CSV per question.

Cells are guarded against spreadsheets that run a text as a formula, as exports are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

import numpy as np

from backend.abstaining import Abstention, table_rows
from backend.errors import BadInputError
from backend.evaluating import Comparison, LabelCurve, LabelScore, Slice
from backend.judged_pairs import Figure
from backend.methods.exporters._cells import table_line
from backend.numerics.reliability import Reliability
from backend.pack_facts import CurvePoint
from backend.types import CoveragePoint, Interval

Row = Sequence[object]


def csv_of(rows: Sequence[Row]) -> str:
    """Rows as CSV, the header among them; None is an empty cell."""
    lost: Counter[str] = Counter()
    return "".join(table_line([_cell(value) for value in row], lost) for row in rows)


def table(name: str, comparison: Comparison) -> list[Row]:
    """One of `TABLES` with its header.

    Raises:
        BadInputError: there is no such table.
    """
    make = TABLES.get(name)
    if make is None:
        raise BadInputError(f"there is no table {name!r}; there are {', '.join(TABLES)}")
    return make(comparison)


def scores(comparison: Comparison) -> list[Row]:
    """Every number by the name of its definition."""
    told = comparison.evaluation()
    intervals: Mapping[str, Interval] = told.intervals
    figures = comparison.figures()
    header = ("measure", "predicted by", "value", "low", "high", "samples", "right", "wrong")
    rows: list[Row] = [header]
    rows += [
        (
            name,
            "",
            getattr(told, name),
            *intervals.get(name, ("", "")),
            *_samples(figures.get(name, {}).get("")),
        )
        for name in ("mAP", "mAP_micro", "mAP_weighted", "ece", "ece_cross_fitted")
    ]
    for way, found in told.f1.items():
        for name, value in found.items():
            ends = intervals.get(name, ("", "")) if way == "threshold" else ("", "")
            rows.append((name, way, value, *ends, *_samples(figures[name][way])))
    empty = ("",) * 5
    rows += [
        ("samples", "", told.n, *empty),
        ("pairs", "", told.pairs, *empty),
        ("split", told.split, "", *empty),
        ("undecided", told.unknown, "", *empty),
        ("version", "", told.version, *empty),
    ]
    return rows


def _samples(figure: Figure | None) -> tuple[object, object, object]:
    """How many samples are behind a figure, and how many of them are right and wrong."""
    if figure is None:
        return "", "", ""
    parts = (figure.right, figure.wrong)
    right, wrong = ("" if one is None else one.samples for one in parts)
    return figure.all.samples, right, wrong


def labels(comparison: Comparison) -> list[Row]:
    """One row per label."""
    header = (
        "label",
        "pack",
        "yes",
        "no",
        "ap",
        "ap low",
        "ap high",
        "threshold",
        "chosen",
        "precision",
        "recall",
        "f1",
        "hits",
        "misses",
        "false alarms",
        "best threshold",
        "best f1",
        "ece",
    )
    return [header, *(_label_row(one) for one in comparison.labels())]


def instead(comparison: Comparison) -> list[Row]:
    """What was said instead of what; an empty second cell: nothing was, or nothing was missed."""
    names = [label.name for label in comparison.table.labels]
    found = comparison.instead()
    rows: list[Row] = [("missed", "said instead", "samples")]
    pairs = found.pairs
    for a, b, count in zip(
        pairs.first.tolist(), pairs.second.tolist(), pairs.counts.tolist(), strict=True
    ):
        rows.append((names[a], names[b], count))
    rows += [(names[c], "", int(found.missed_alone[c])) for c in _there(found.missed_alone)]
    rows += [("", names[c], int(found.alarms_alone[c])) for c in _there(found.alarms_alone)]
    return rows


def together(comparison: Comparison) -> list[Row]:
    """Pairs of labels that samples show both of."""
    names = [label.name for label in comparison.table.labels]
    found = comparison.together()
    rows: list[Row] = [("label", "with", "both yes", "both decided", "both suggested")]
    pairs = found.shown
    for at, (a, b) in enumerate(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)):
        rows.append(
            (names[a], names[b], int(pairs.counts[at]), int(found.known[at]), int(found.said[at]))
        )
    return rows


def calibration(comparison: Comparison) -> list[Row]:
    """Stated against observed, as shown and as fitted without the sample."""
    found = comparison.calibration()
    rows: list[Row] = [
        ("probabilities", "from", "to", "pairs", "stated", "observed", "low", "high")
    ]
    rows += _bins("shown", found.shown)
    if found.cross is not None:
        rows += _bins("cross-fitted", found.cross)
    return rows


def slices(found: Sequence[Slice], by: str) -> list[Row]:
    """One row per slice."""
    header = (by, "samples", "pairs", "mAP", "low", "high", "CF1", "OF1", "ece", "filter")
    rows: list[Row] = [header]
    for one in found:
        ends = one.interval or ("", "")
        row = asdict(one)
        told = [row[name] for name in ("CF1", "OF1", "ece", "filter")]
        rows.append((one.name, one.n, one.pairs, one.mAP, *ends, *told))
    return rows


def trade_off(found: LabelCurve) -> list[Row]:
    """One label over every threshold."""
    curve = found.curve
    rows: list[Row] = [("threshold", "precision", "recall", "f1", "hits", "suggested")]
    columns = (curve.thresholds, curve.precision, curve.recall, curve.f1)
    rows += list(
        zip(
            *(column.tolist() for column in columns),
            curve.hits.tolist(),
            curve.predicted.tolist(),
            strict=True,
        )
    )
    return rows


def abstention(found: Abstention) -> list[Row]:
    """One row per level of label sets."""
    rows = table_rows(found)
    return [tuple(rows[0]), *(tuple(row.values()) for row in rows)] if rows else [("level",)]


def coverage(points: Sequence[CoveragePoint]) -> list[Row]:
    """Claimed against realised coverage over time."""
    header = ("claimed", "from", "to", "samples", "realised", "low", "high")
    rows: list[Row] = [header]
    rows += [(p.level, p.first, p.last, p.n, p.realised, p.low, p.high) for p in points]
    return rows


def learning_curve(points: Sequence[CurvePoint]) -> list[Row]:
    """Held-back mAP of each version, over all labels and of each pack."""
    packs = list(dict.fromkeys(name for point in points for name in point.packs))
    rows: list[Row] = [("version", "verdicts", "kind", "all labels", *packs)]
    for point in points:
        found = [point.packs.get(name) for name in packs]
        rows.append((point.version, point.offset, point.kind, point.mAP, *found))
    return rows


TABLES: Mapping[str, Callable[[Comparison], list[Row]]] = {
    "scores": scores,
    "labels": labels,
    "instead": instead,
    "together": together,
    "calibration": calibration,
}
"""Tables of a comparison alone; slices, a label's trade-off and the curve need a choice more."""


def _label_row(one: LabelScore) -> Row:
    return (
        one.name,
        one.pack,
        one.yes,
        one.no,
        one.ap,
        *(one.interval or ("", "")),
        one.threshold,
        "yes" if one.is_chosen else "no",
        one.precision,
        one.recall,
        one.f1,
        one.hits,
        one.misses,
        one.alarms,
        one.best,
        one.best_f1,
        one.ece,
    )


def _bins(name: str, found: Reliability) -> list[Row]:
    columns = (found.counts, found.stated, found.observed, found.low, found.high)
    cells = zip(found.edges.tolist(), *(column.tolist() for column in columns), strict=True)
    return [(name, *edges, *rest) for edges, *rest in cells]


def _there(counts: np.ndarray) -> list[int]:
    """Columns with a count, the highest first."""
    order = np.argsort(-counts, kind="stable")
    return [int(column) for column in order if counts[column]]


def _cell(value: object) -> str:
    if value is None or (isinstance(value, float) and not np.isfinite(value)):
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
