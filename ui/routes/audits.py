"""The audit: a job that looks for what is probably wrong, and what people do with its findings.

A group whose suspects all get one verdict is fixed through the bulk route; `accept` takes what that
cannot hold: relabelling, several labels of a sample, copies. Both are one action with one undo.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from backend import api
from ui import present
from ui.context import Context
from ui.replies import fresh

MOST_GROUPS = 80
MOST_SHOWN = 48
"""Suspects of a group that are sent at once; the next ones come when these are decided."""
MOST_KEYS = 10_000
JOB = "audit"

Key = Annotated[str, Field(min_length=1, max_length=4000)]


class Look(BaseModel):
    """What to look for.

    Attributes:
        pruning: also measure what leaving ambiguous verdicts out does.
    """

    model_config = ConfigDict(extra="forbid")
    pruning: bool = False


class Decision(BaseModel):
    """Findings by their keys or their groups' keys; `op` names the action, as in `Bulk`."""

    model_config = ConfigDict(extra="forbid")
    keys: list[Key] = Field(min_length=1, max_length=MOST_KEYS)
    op: str = Field(min_length=8, max_length=64, pattern=r"^[\w-]+$")


class Decided(BaseModel):
    """Said after the commit; `changed` counts verdicts, or findings that were put aside."""

    op: str
    offset: int
    changed: int


def router(context: Context) -> APIRouter:
    """The routes below /pl/api/audit."""
    routes = APIRouter(prefix="/pl/api/audit")
    _add_looks(routes, context)
    _add_decisions(routes, context)
    return routes


def _add_looks(routes: APIRouter, context: Context) -> None:
    @routes.post("")
    def look(asked: Look, request: Request) -> dict[str, str]:
        """Start an audit; one that runs already is the same job."""
        bench = context.of(request)

        def work(ticket: api.Ticket) -> api.AuditReport:
            return api.audit(bench, measures_pruning=asked.pruning, progress=ticket.progress)

        owner = context.user(request)
        return {"job": bench.jobs.submit(JOB, "Looking for errors", work, owner=owner, key=JOB)}

    @routes.get("")
    def found(request: Request) -> Response:
        """What the last audit found and is still open, and whether one is under way."""
        bench = context.of(request)
        newest, when, report = _last(bench)
        body: dict[str, Any] = {
            "project": bench.name,
            "state": newest.state if newest else None,
            "error": newest.error if newest else "",
            "when": when,
            "version": bench.version,
            "readOnly": context.only_reads(bench),
            "groups": [],
        }
        if report is not None:
            left = api.open_suspects(bench, report, who=context.user(request))
            body |= {
                "of": report.version,
                "notes": report.notes,
                "checked": report.checked,
                "dismissed": report.dismissed,
                "counts": _counts(left),
                "pruning": asdict(report.pruning) if report.pruning else None,
                "groups": [_handle(bench, group) for group in left.groups[:MOST_GROUPS]],
                "more": max(0, len(left.groups) - MOST_GROUPS),
            }
        return fresh(body)


def _add_decisions(routes: APIRouter, context: Context) -> None:
    @routes.post("/accept")
    def accept(decision: Decision, request: Request) -> Decided:
        """Do what findings propose, durably, as one action."""
        context.writable()
        bench, who = context.of(request), context.user(request)
        if (known := bench.stored(decision.op, "correct", "remove samples", who=who)) is not None:
            receipt = known[0]
        else:
            chosen = api.chosen_suspects(_open(bench, who), decision.keys)
            receipt = api.accept_suspects(bench, chosen, who=who, op=decision.op)
        return Decided(op=receipt.op, offset=receipt.offset, changed=len(receipt.pairs))

    @routes.post("/dismiss")
    def dismiss(decision: Decision, request: Request) -> Decided:
        """Put findings aside, durably, as one action."""
        context.writable()
        bench, who = context.of(request), context.user(request)
        if (known := bench.stored(decision.op, "dismiss", who=who)) is not None:
            return Decided(op=known[0].op, offset=known[0].offset, changed=0)
        chosen = api.chosen_suspects(_open(bench, who), decision.keys)
        receipt = api.dismiss_suspects(bench, chosen, who=who, op=decision.op)
        return Decided(op=receipt.op, offset=receipt.offset, changed=len(chosen))


def _last(bench: api.Workbench) -> tuple[api.Job | None, float | None, api.AuditReport | None]:
    """The newest audit, and the newest one that has a result."""
    jobs = [job for job in bench.jobs.list() if job.kind == JOB]
    for job in jobs:
        result = bench.jobs.result(job.id)
        if isinstance(result, api.AuditReport):
            return jobs[0], job.finished, result
    return (jobs[0] if jobs else None), None, None


def _open(bench: api.Workbench, who: str) -> api.AuditReport:
    _, _, report = _last(bench)
    if report is None:
        raise api.NotFoundError("there is no audit of this project yet; look for errors first")
    return api.open_suspects(bench, report, who=who)


def _counts(report: api.AuditReport) -> dict[str, int]:
    counts: dict[str, int] = dict.fromkeys(api.AUDIT_KINDS, 0)
    for one in report.suspects:
        counts[one.kind] += 1
    return counts


def _handle(bench: api.Workbench, group: api.SuspectGroup) -> dict[str, Any]:
    labels = {label.id: label.name for label in bench.labels()}
    return {
        "key": group.key,
        "kind": group.kind,
        "title": group.title,
        "proposal": group.proposal,
        "sharesPart": group.shares_part,
        "count": len(group.suspects),
        "suspects": [_suspect(bench, one, labels) for one in group.suspects[:MOST_SHOWN]],
    }


def _suspect(bench: api.Workbench, one: api.Suspect, labels: dict[int, str]) -> dict[str, Any]:
    return {
        "key": one.key,
        "labels": [{"id": label, "name": labels[label]} for label in one.labels],
        "given": one.given,
        "proposal": one.proposal,
        "strength": one.strength,
        "reason": one.reason,
        "evidence": dict(one.evidence),
        "samples": [
            asdict(present.sample_handle(sample, bench.name))
            for sample in bench.samples(one.samples)
        ],
    }
