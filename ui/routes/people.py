"""Several people: how far they agree, where they differ, who decides it, and labelling blind."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from backend import api
from ui import present
from ui.context import Context
from ui.tables import csv_file

MOST_LABELS = 200
"""Labels of a table; those with the most disputes come first."""
MOST_DECISIONS = 500
MOST_DISPUTES = 100_000
"""Rows of the table of disputes to take home."""

Ident = Annotated[int, Field(ge=1, le=2**53)]


class Decision(BaseModel):
    """One pair, decided for everybody; None takes an adjudication back."""

    model_config = ConfigDict(extra="forbid")

    sample: Ident
    label: Ident
    verdict: api.Verdict | None


class Decisions(BaseModel):
    """One action of who adjudicates; the same `op` again is the same action."""

    model_config = ConfigDict(extra="forbid")

    op: str = Field(pattern=r"^[A-Za-z0-9_.-]{8,64}$")
    rows: list[Decision] = Field(min_length=1, max_length=MOST_DECISIONS)


class Blind(BaseModel):
    """Whether people see what others said while they label."""

    model_config = ConfigDict(extra="forbid")

    is_blind: bool


def router(context: Context) -> APIRouter:
    """The routes below /pl/api/people."""
    routes = APIRouter(prefix="/pl/api/people")
    _add_tables(routes, context)
    _add_disputes(routes, context)
    _add_deeds(routes, context)
    return routes


def _add_tables(routes: APIRouter, context: Context) -> None:
    @routes.get("")
    def table(
        request: Request,
        files: bool = False,
        find: Annotated[str, Query(max_length=200)] = "",
    ) -> dict[str, object]:
        """The agreement table; `find` narrows its labels to those with this in their name."""
        return _table(context.of(request), context, with_files=files, find=find)

    @routes.get("/csv")
    def csv(
        request: Request, name: Literal["people", "labels", "disputes"], files: bool = False
    ) -> Response:
        """A table as CSV: each person, each label that two judged, or each word of a dispute."""
        bench = context.of(request)
        if name == "disputes":
            return csv_file(bench, name, _all_disputes(bench))
        found = bench.people.agreement(with_files=files)
        rows = _people_rows(found) if name == "people" else _label_rows(found)
        return csv_file(bench, name, rows)


def _add_disputes(routes: APIRouter, context: Context) -> None:
    @routes.get("/disputes")
    def disputes(
        request: Request,
        k: Annotated[int, Query(ge=1, le=100)] = 20,
        skip: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
        label: Annotated[int | None, Query(ge=1)] = None,
    ) -> dict[str, object]:
        """Where people differ and nobody decided, ties first; blind, only how many."""
        bench = context.of(request)
        found, total = bench.people.disputes(k, label=label, skip=skip)
        if bench.people.is_blind:
            found = []
        by_id = {sample.id: sample for sample in bench.samples([one.sample for one in found])}
        return {
            "project": bench.name,
            "total": total,
            "isBlind": bench.people.is_blind,
            "rows": [
                {
                    **present.dispute_handle(one),
                    "thumb": present.media_url(by_id[one.sample], bench.name, size=128),
                    "text": present.sample_handle(by_id[one.sample], bench.name).text,
                }
                for one in found
            ],
        }


def _add_deeds(routes: APIRouter, context: Context) -> None:
    @routes.post("/adjudicate")
    def adjudicate(request: Request, body: Decisions) -> dict[str, object]:
        """Decide pairs for everybody, durably, as one action with one undo."""
        context.writable()
        bench = context.of(request)
        receipt = bench.people.adjudicate(
            [(row.sample, row.label, row.verdict) for row in body.rows],
            who=context.user(request),
            op=body.op,
        )
        return {"op": receipt.op, "offset": receipt.offset}

    @routes.post("/blind")
    def blind(request: Request, body: Blind) -> dict[str, object]:
        """Hide what others said while people label, or show it; gives the table."""
        context.writable()
        bench = context.of(request)
        bench.people.set_blind(body.is_blind)
        return _table(bench, context, with_files=False, find="")


def _people_rows(found: api.Agreement) -> list[tuple[object, ...]]:
    shares = ("others agree", "sees a yes", "calls a no yes")
    header = ("who", "verdicts", "also judged by others", *shares)
    rows = ((o.who, o.verdicts, o.shared, o.agreeing, o.seen, o.wrong) for o in found.people)
    return [header, *rows]


def _label_rows(found: api.Agreement) -> list[tuple[object, ...]]:
    header = ("label", "alpha", "judged twice", "all agree", "in dispute")
    labels = (one for one in found.labels if one.pairs)
    return [header, *((o.label, o.alpha, o.pairs, o.agreed, o.disputed) for o in labels)]


def _all_disputes(bench: api.Workbench) -> list[tuple[object, ...]]:
    if bench.people.is_blind:
        raise api.RefusedError(
            "people label blind now, and disputes tell what everybody said; switch it off first"
        )
    return _dispute_rows(bench.people.disputes(MOST_DISPUTES)[0])


def _dispute_rows(found: list[api.Dispute]) -> list[tuple[object, ...]]:
    return [
        ("sample", "label", "counts", "weight", "who", "verdict"),
        *(
            (one.name, one.label, one.verdict or "tie", one.weight, word.who, word.verdict)
            for one in found
            for word in one.words
        ),
    ]


def _table(
    bench: api.Workbench, context: Context, *, with_files: bool, find: str
) -> dict[str, object]:
    found = bench.people.agreement(with_files=with_files)
    wanted = find.strip().lower()
    labels = [one for one in found.labels if one.pairs and wanted in one.label.lower()]
    return {
        "project": bench.name,
        "alpha": found.alpha,
        "why": found.why,
        "pairs": found.pairs,
        "agreed": found.agreed,
        "disputed": found.disputed,
        "tied": found.tied,
        "adjudicated": found.adjudicated,
        "isBlind": bench.people.is_blind,
        "readOnly": context.only_reads(bench),
        "isTrusting": found.is_trusting,
        "people": [
            {
                "who": o.who,
                "verdicts": o.verdicts,
                "shared": o.shared,
                "agreeing": o.agreeing,
                "seen": o.seen,
                "wrong": o.wrong,
                "isKnown": o.is_known,
            }
            for o in found.people
        ],
        "labels": [
            {
                "id": one.label_id,
                "label": one.label,
                "pairs": one.pairs,
                "agreed": one.agreed,
                "disputed": one.disputed,
                "alpha": one.alpha,
            }
            for one in labels[:MOST_LABELS]
        ],
        "more": max(0, len(labels) - MOST_LABELS),
    }
