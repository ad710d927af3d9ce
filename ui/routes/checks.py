"""Is the evidence true? Jobs that check a map, or look where maps and labels disagree."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from backend import api
from ui import present
from ui.context import Context
from ui.replies import fresh

Ident = Annotated[int, Field(ge=1, le=2**53)]


class Check(BaseModel):
    """Which map to check."""

    model_config = ConfigDict(extra="forbid")

    sample: Ident
    label: Ident
    by_layers: bool = False


def router(context: Context) -> APIRouter:
    """The routes below /pl/api that check evidence."""
    routes = APIRouter(prefix="/pl/api")
    _add_check(routes, context)
    _add_doubts(routes, context)
    return routes


def _add_check(routes: APIRouter, context: Context) -> None:
    @routes.post("/check")
    def check(asked: Check, request: Request) -> dict[str, str]:
        """Start the check of one map; the same map at the same version is one job."""
        bench = context.of(request)
        sample, label = bench.sample(asked.sample), bench.label(asked.label)

        def work(ticket: api.Ticket) -> api.Curves:
            aligner = present.LAYERED if asked.by_layers else None
            return api.check(bench, sample.id, label.id, aligner=aligner, progress=ticket.progress)

        key = f"check:{sample.id}:{label.id}:{bench.version}:{int(asked.by_layers)}"
        title = f"Checking {label.name}"
        return {
            "job": bench.jobs.submit("check", title, work, owner=context.user(request), key=key)
        }

    @routes.get("/check")
    def checked(request: Request, job: Annotated[str, Query(max_length=64)]) -> Response:
        """How far a check is, and what came of it."""
        bench = context.of(request)
        found, result = bench.jobs.get(job), bench.jobs.result(job)
        curves = asdict(result) if isinstance(result, api.Curves) else None
        return fresh(
            {
                "state": found.state,
                "done": found.done,
                "total": found.total,
                "error": found.error,
                "curves": curves,
            }
        )


def _add_doubts(routes: APIRouter, context: Context) -> None:
    @routes.post("/doubts")
    def look(request: Request) -> dict[str, str]:
        """Start looking where maps and labels disagree."""
        bench = context.of(request)

        def work(ticket: api.Ticket) -> list[api.Mismatch]:
            return api.doubts(bench, progress=ticket.progress)

        return {"job": bench.jobs.submit("doubts", "Comparing maps and labels", work, key="doubts")}

    @routes.get("/doubts")
    def doubts(request: Request) -> Response:
        """What the last look found, and whether one is under way."""
        bench = context.of(request)
        jobs = [job for job in bench.jobs.list() if job.kind == "doubts"]
        done = next((job for job in jobs if bench.jobs.result(job.id) is not None), None)
        result = None if done is None else bench.jobs.result(done.id)
        there = {sample.id: sample for sample in bench.samples()}
        result = _shown(bench, result, context.user(request)) if isinstance(result, list) else []
        rows = [
            {**asdict(present.sample_handle(there[one.sample], bench.name)), **asdict(one)}
            for one in result
            if one.sample in there
        ]
        newest = jobs[0] if jobs else None
        return fresh(
            {
                "project": bench.name,
                "state": newest.state if newest else None,
                "error": newest.error if newest else "",
                "when": done.finished if done else None,
                "rows": rows,
            }
        )


def _shown(bench: api.Workbench, found: list[api.Mismatch], who: str) -> list[api.Mismatch]:
    """Each tells that somebody gave its labels to its sample: blind, only what `who` gave."""
    if not bench.people.is_blind:
        return found
    seen = bench.people.board_of(who)
    ids = {label.name: label.id for label in seen.labels}
    return [
        one
        for one in found
        if all(
            (one.sample, ids.get(name)) in seen.verdicts for name in (one.label, one.other) if name
        )
    ]
