"""How good the suggestions are: the Learn page's evaluation, its tables as CSV, thresholds.

Every answer is of one question: split, filters (one per line) and what an undecided pair is. A
project may have thousands of labels: lists are asked for in pieces, matrices hold the labels with
most to say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from jaxtyping import Int
from pydantic import BaseModel, ConfigDict, Field

from backend import api
from ui.context import Context
from ui.desk import lines
from ui.replies import fresh
from ui.routes.points import Filter
from ui.tables import csv_file

MOST_ROWS = 200
MOST_PAIRS = 100
MOST_IN_MATRIX = 20
MOST_POINTS = 400
HISTOGRAM_BINS = 20
MOST_THRESHOLDS = 10_000
LEVELS = (0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.99)
"""Points of the abstention curve. Lower ones exclude every label set of many samples, and what is
excluded as a whole is left to people: the curve would turn back."""

SplitName = Annotated[str, Query(max_length=20)]
Unknown = Annotated[str, Query(max_length=20)]
Sort = Literal[
    "name", "yes", "no", "ap", "precision", "recall", "f1", "misses", "alarms", "threshold", "ece"
]
Op = Annotated[str, Field(min_length=8, max_length=64, pattern=r"^[\w-]+$")]


def _question(
    split: SplitName = "held-back", only: Filter = "", unknown: Unknown = "masked"
) -> api.Question:
    return api.Question(split, tuple(lines(only)), unknown)


Asked = Annotated[api.Question, Depends(_question)]
"""What a request compares: its split, its filters and what an undecided pair is."""


class Thresholds(BaseModel):
    """Thresholds by label id; None goes back to one half."""

    model_config = ConfigDict(extra="forbid")
    thresholds: Annotated[dict[int, float | None], Field(min_length=1, max_length=MOST_THRESHOLDS)]
    op: Op


class Best(BaseModel):
    """The threshold with the highest F1 for every label that has a YES and a NO."""

    model_config = ConfigDict(extra="forbid")
    split: str = "held-back"
    filters: list[str] = Field(default=[], max_length=200)
    unknown: str = "masked"
    op: Op


def router(context: Context) -> APIRouter:
    """The routes below /pl/api/evaluation."""
    routes = APIRouter(prefix="/pl/api/evaluation")
    _add_summary(routes, context)
    _add_labels(routes, context)
    _add_certainty(routes, context)
    _add_pairs(routes, context)
    _add_tables(routes, context)
    _add_deeds(routes, context)
    return routes


def _add_summary(routes: APIRouter, context: Context) -> None:
    @routes.get("")
    def summary(request: Request, asked: Asked) -> Response:
        """All numbers of the comparison, and how its samples are found in Explore."""
        bench = context.of(request)
        return fresh({**_summary(bench, asked), "read_only": context.only_reads(bench)})

    @routes.get("/slices")
    def slices(
        request: Request, by: Annotated[str, Query(max_length=300)], asked: Asked
    ) -> Response:
        """The samples in groups."""
        found = context.of(request).evaluator.slices(by, asked)
        return fresh({"by": by, "rows": [asdict(one) for one in found]})


def _add_labels(routes: APIRouter, context: Context) -> None:
    @routes.get("/labels")
    def labels(
        request: Request,
        asked: Asked,
        sort: Sort = "yes",
        is_rising: bool = False,
        find: Annotated[str, Query(max_length=200)] = "",
        offset: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=MOST_ROWS)] = 50,
    ) -> Response:
        """A piece of the labels in some order; what cannot be told comes last."""
        found = context.of(request).evaluator.compare(asked).labels()
        wanted = find.strip().casefold()
        found = [one for one in found if wanted in one.name.casefold()]
        known = [one for one in found if getattr(one, sort) is not None]
        known.sort(key=_key(sort), reverse=not is_rising)
        rows = [*known, *(one for one in found if getattr(one, sort) is None)]
        return fresh(
            {"total": len(rows), "rows": [asdict(one) for one in rows[offset : offset + limit]]}
        )

    @routes.get("/label")
    def label(
        request: Request, of: Annotated[int, Query(ge=0, alias="id")], asked: Asked
    ) -> Response:
        """One label over every threshold."""
        comparison = context.of(request).evaluator.compare(asked)
        return fresh(_curve(comparison.label(of)))


def _add_certainty(routes: APIRouter, context: Context) -> None:
    @routes.get("/calibration")
    def calibration(request: Request, asked: Asked) -> Response:
        """Stated against observed."""
        found = context.of(request).evaluator.compare(asked).calibration()
        return fresh(asdict(found))

    @routes.get("/certainty")
    def certainty(
        request: Request,
        asked: Asked,
        level: Annotated[float, Query(ge=0.5, le=0.999)] = 0.9,
    ) -> Response:
        """Claimed against realised coverage over time, how much is left to people, and errors."""
        bench = context.of(request)
        sets = bench.certainty.sets(level)
        return fresh(
            {
                "level": level,
                "why": sets.why,
                "counted": sets.counted,
                "is_stale": sets.is_stale,
                "drawer": asdict(bench.certainty.drawer()),
                "widths": asdict(api.widths(bench.board, sets)),
                "abstention": asdict(_abstention(bench, asked)),
                "coverage": [asdict(point) for point in bench.certainty.coverage()],
            }
        )


def _add_pairs(routes: APIRouter, context: Context) -> None:
    @routes.get("/instead")
    def instead(request: Request, asked: Asked) -> Response:
        """What was said instead of what: the most frequent pairs, and a matrix."""
        comparison = context.of(request).evaluator.compare(asked)
        found, table = comparison.instead(), comparison.table
        shown = _most(found.missed + found.alarms)
        return fresh(
            {
                "labels": [_named(table.labels[column]) for column in shown],
                "matrix": _square(found.pairs, shown, len(table.labels)),
                "missed_alone": found.missed_alone[shown].tolist(),
                "alarms_alone": found.alarms_alone[shown].tolist(),
                "missed": int(found.missed.sum()),
                "alarms": int(found.alarms.sum()),
                "total": len(found.pairs.counts),
                "rows": [
                    {
                        "missed": _named(table.labels[a]),
                        "said": _named(table.labels[b]),
                        "count": count,
                        "share": count / int(found.missed[a]),
                    }
                    for a, b, count in _first(found.pairs)
                ],
            }
        )

    @routes.get("/together")
    def together(request: Request, asked: Asked) -> Response:
        """Which labels go together: the most frequent pairs, and shares as a matrix."""
        comparison = context.of(request).evaluator.compare(asked)
        found, table = comparison.together(), comparison.table
        yes = table.counts.yes
        in_pairs = np.zeros(len(yes), np.int64)
        np.add.at(in_pairs, found.shown.first, found.shown.counts)
        np.add.at(in_pairs, found.shown.second, found.shown.counts)
        shown = _most(in_pairs)
        counts = _square(found.shown, shown, len(table.labels), is_symmetric=True)
        return fresh(
            {
                "labels": [{**_named(table.labels[c]), "yes": int(yes[c])} for c in shown],
                "matrix": counts,
                "total": len(found.shown.counts),
                "rows": [
                    {
                        "one": _named(table.labels[a]),
                        "other": _named(table.labels[b]),
                        "count": count,
                        "known": int(found.known[at]),
                        "said": int(found.said[at]),
                        "of_one": count / int(yes[a]),
                        "of_other": count / int(yes[b]),
                    }
                    for at, (a, b, count) in enumerate(_first(found.shown))
                ],
            }
        )


def _add_tables(routes: APIRouter, context: Context) -> None:
    @routes.get("/table")
    def table(
        request: Request,
        name: Annotated[str, Query(max_length=40)],
        asked: Asked,
        by: Annotated[str, Query(max_length=300)] = "label",
        of: Annotated[int, Query(ge=0, alias="id")] = 0,
    ) -> Response:
        """A table as CSV; its first line names the columns."""
        bench, tables = context.of(request), api.score_tables
        if name == "curve":
            rows = tables.learning_curve(bench.packs.curve())
        elif name == "coverage":
            rows = tables.coverage(bench.certainty.coverage())
        elif name == "abstention":
            rows = tables.abstention(_abstention(bench, asked))
        elif name == "slices":
            rows = tables.slices(bench.evaluator.slices(by, asked), by)
        elif name == "threshold":
            rows = tables.trade_off(bench.evaluator.compare(asked).label(of))
        else:
            rows = tables.table(name, bench.evaluator.compare(asked))
        return csv_file(bench, name, rows)


def _add_deeds(routes: APIRouter, context: Context) -> None:
    @routes.post("/thresholds")
    def thresholds(order: Thresholds, request: Request) -> dict[str, object]:
        """Keep thresholds, durably, as one action that can be undone."""
        context.writable()
        bench = context.of(request)
        receipt = bench.evaluator.set_thresholds(
            order.thresholds, who=context.user(request), op=order.op
        )
        return {"op": receipt.op, "changed": len(order.thresholds)}

    @routes.post("/best")
    def best(order: Best, request: Request) -> dict[str, object]:
        """Keep each label's best threshold, as one action that can be undone."""
        context.writable()
        bench = context.of(request)
        asked = api.Question(order.split, tuple(order.filters), order.unknown)
        found = bench.evaluator.best_thresholds(asked)
        if not found:
            raise api.MissingTruthError(
                "no label has both YES and NO among these samples, so no threshold is better "
                "than another"
            )
        wanted: dict[int, float | None] = dict(found)
        receipt = bench.evaluator.set_thresholds(wanted, who=context.user(request), op=order.op)
        return {"op": receipt.op, "changed": len(found)}


def _summary(bench: api.Workbench, asked: api.Question) -> dict[str, object]:
    comparison = bench.evaluator.compare(asked)
    told = asdict(comparison.evaluation())
    aps = told.pop("ap")
    told.pop("ap_intervals")
    chosen = told.pop("thresholds")
    labels = bench.labels()
    return {
        "project": bench.name,
        "kind": bench.kind,
        "told": told,
        "figures": {
            name: {way: asdict(one) for way, one in by_way.items()}
            for name, by_way in comparison.figures().items()
        },
        "ranked": len(aps),
        "chosen": len(chosen),
        # to say the filters in words
        "labels": [_named(label) for label in labels] if asked.filters else [],
        "num_labels": len(labels),
        "num_verdicts": sum(map(len, bench.verdicts().values())),
        "base": base_filters(asked),
        "slice_keys": [asdict(key) for key in bench.evaluator.slice_keys()],
    }


def _abstention(bench: api.Workbench, asked: api.Question) -> api.Abstention:
    """Over the levels of `LEVELS` that anything can be certain at."""
    table = bench.evaluator.compare(asked).table
    sets = [bench.certainty.sets(level) for level in LEVELS]
    board = bench.board
    told = [one for one in sets if not one.why and len(one.state) == len(board.samples)]
    return api.abstention(table, board, told)


def base_filters(asked: api.Question) -> list[str]:
    """The filters that find the samples of a comparison in Explore."""
    split = "held-back:yes" if asked.split == "held-back" else f"split:{asked.split}"
    complete = ["complete:yes"] if asked.unknown == "complete" else []
    return [split, *complete, *asked.filters]


def _key(sort: Sort) -> Callable[[api.LabelScore], Any]:
    if sort == "name":
        return lambda one: one.name.casefold()
    return lambda one: getattr(one, sort)


def _named(label: api.Label) -> dict[str, object]:
    return {"id": label.id, "name": label.name}


def _most(counts: Int[np.ndarray, " l"]) -> Int[np.ndarray, " k"]:
    """The columns with the highest counts, those with none left out."""
    order = np.argsort(-counts, kind="stable")[:MOST_IN_MATRIX]
    return order[counts[order] > 0]


def _first(pairs: Any) -> list[tuple[int, int, int]]:
    columns = (pairs.first, pairs.second, pairs.counts)
    return list(zip(*(column[:MOST_PAIRS].tolist() for column in columns), strict=True))


def _square(
    pairs: Any, shown: Int[np.ndarray, " k"], num_labels: int, *, is_symmetric: bool = False
) -> list[list[int]]:
    """Counts of the pairs between some columns."""
    place = np.full(num_labels, -1, np.int64)
    place[shown] = np.arange(len(shown))
    table = np.zeros((len(shown), len(shown)), np.int64)
    first, second = place[pairs.first], place[pairs.second]
    inside = (first >= 0) & (second >= 0)
    table[first[inside], second[inside]] = pairs.counts[inside]
    return (table + table.T if is_symmetric else table).tolist()


def _curve(found: api.LabelCurve) -> dict[str, object]:
    curve = found.curve
    num = len(curve.thresholds)
    at = np.unique(np.linspace(0, num - 1, min(num, MOST_POINTS)).astype(int))
    yes_bins, no_bins = found.spread(HISTOGRAM_BINS)
    return {
        "score": asdict(found.score),
        "thresholds": curve.thresholds[at],
        "precision": curve.precision[at],
        "recall": curve.recall[at],
        "f1": curve.f1[at],
        "hits": curve.hits[at],
        "predicted": curve.predicted[at],
        "yes": curve.num_yes,
        "no": curve.num_no,
        "wishes": found.wishes,
        "reliability": None if found.reliability is None else asdict(found.reliability),
        "bins": np.linspace(0, 1, HISTOGRAM_BINS + 1),
        "yes_bins": yes_bins,
        "no_bins": no_bins,
    }
