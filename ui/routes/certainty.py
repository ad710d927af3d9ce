"""What is certain: the drawer, the sets of a sample, bulk acceptance, what came true of it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from backend import api
from ui.context import Context
from ui.replies import fresh
from ui.routes.bulk import MOST_IDS, Id

MOST_SAMPLES = 200
MOST_ASKED = 200
MOST_HISTORY = 2000
MOST_NUMBER = 2**53
"""The largest whole number that a browser holds exactly."""

Level = Annotated[float, Query(ge=0.5, le=0.999)]
Guarantee = Literal["joint", "label", "recall"]
Op = Annotated[str, Field(min_length=8, max_length=64, pattern=r"^[\w-]+$")]


class Accept(BaseModel):
    """Store everything that is certain at a level.

    Attributes:
        op: an id of the action; the same one again is answered, not stored again.
        ids: only these samples.
    """

    model_config = ConfigDict(extra="forbid")
    level: float = Field(ge=0.5, le=0.999)
    guarantee: Guarantee = "joint"
    op: Op
    ids: list[Id] | None = Field(default=None, min_length=1, max_length=MOST_IDS)


class ChangeDrawer(BaseModel):
    """Open the calibration drawer, of a share, of so many samples or for a level; or close it."""

    model_config = ConfigDict(extra="forbid")
    action: Literal["open", "close"]
    share: float | None = Field(default=None, gt=0, le=1)
    samples: int | None = Field(default=None, ge=1, lt=2**31)
    level: float | None = Field(default=None, ge=0.5, le=0.999)
    op: Op | None = None

    @model_validator(mode="after")
    def _one_size(self) -> ChangeDrawer:
        given = [each for each in (self.share, self.samples, self.level) if each is not None]
        if self.action == "open" and len(given) != 1:
            raise ValueError("give a share, a number of samples or a level")
        return self


def router(context: Context) -> APIRouter:
    """The routes below /pl/api/certainty."""
    routes = APIRouter(prefix="/pl/api/certainty")
    _add_looks(routes, context)
    _add_deeds(routes, context)
    return routes


def _add_looks(routes: APIRouter, context: Context) -> None:
    @routes.get("")
    def state(request: Request, level: Level = 0.9, guarantee: Guarantee = "joint") -> Response:
        """Drawer, what is certain of all samples, and what accepting it would do."""
        return fresh(_state(context, context.of(request), level, guarantee))

    @routes.get("/samples")
    def samples(
        request: Request,
        ids: Annotated[str, Query(max_length=4000, pattern=r"^\d{1,16}(,\d{1,16})*$")],
        level: Level = 0.9,
        guarantee: Guarantee = "joint",
        k: Annotated[int, Query(ge=0, le=1000)] = 20,
    ) -> Response:
        """Surely yes, undecided, surely no, and the likeliest label sets, of some samples."""
        bench = context.of(request)
        wanted = [int(one) for one in ids.split(",")][:MOST_SAMPLES]
        found = [bench.certainty.of(one, level, guarantee, k=k) for one in wanted]
        return fresh([_sample(one) for one in found])

    @routes.get("/ask")
    def ask(request: Request, k: Annotated[int, Query(ge=1, le=MOST_ASKED)] = 20) -> Response:
        """The next samples of the drawer to decide completely."""
        return fresh([asdict(entry) for entry in context.of(request).certainty.ask(k)])

    @routes.get("/check")
    def check(
        request: Request,
        op: Annotated[str, Query(max_length=64)],
        k: Annotated[int, Query(ge=1, le=MOST_ASKED)] = 20,
    ) -> Response:
        """Random samples of an acceptance that nobody has looked at since."""
        return fresh([asdict(entry) for entry in context.of(request).certainty.spot_check(op, k)])

    @routes.get("/history")
    def history(request: Request, groups: Annotated[int, Query(ge=1, le=100)] = 8) -> Response:
        """Claimed and realised coverage over time, and the newest samples it is of."""
        certainty = context.of(request).certainty
        points = [
            {
                "level": point.level,
                "from": point.first,
                "to": point.last,
                "n": point.n,
                "claimed": point.level,
                "realised": point.realised,
                "low": point.low,
                "high": point.high,
            }
            for point in certainty.coverage(groups)
        ]
        rows = [
            {
                "sample": row.sample,
                "when": row.when,
                "version": row.version,
                "counted": row.counted,
                "covered": list(row.covered.items()),
                "width": list(row.width.items()),
            }
            for row in certainty.history()[-MOST_HISTORY:]
        ]
        return fresh({"points": points, "rows": rows})


def _add_deeds(routes: APIRouter, context: Context) -> None:
    @routes.post("/accept")
    def accept(order: Accept, request: Request) -> Response:
        """Store what is certain and undecided, as one action."""
        context.writable()
        bench, who = context.of(request), context.user(request)
        found = bench.certainty.accept(
            order.level, order.guarantee, who=who, op=order.op, ids=order.ids
        )
        return fresh({**_acceptance(found), "offset": found.offset})

    @routes.post("/drawer")
    def drawer(change: ChangeDrawer, request: Request) -> Response:
        """Open or close the drawer; answers with the state after it."""
        context.writable()
        bench, who = context.of(request), context.user(request)
        if change.action == "close":
            bench.certainty.close_drawer(who=who, op=change.op)
        else:
            bench.certainty.open_drawer(
                share=change.share,
                samples=change.samples,
                level=change.level,
                who=who,
                op=change.op,
            )
        return fresh(_state(context, bench, change.level or 0.9, "joint"))


def _state(
    context: Context, bench: api.Workbench, level: float, guarantee: str
) -> dict[str, object]:
    sets, drawer = bench.certainty.sets(level, guarantee), bench.certainty.drawer()
    board = bench.board
    is_shown = len(sets.state) == len(board.samples)
    seen = sets.state[board.encoded & ~board.in_drawer] if is_shown else sets.state
    plan = bench.certainty.plan(level, guarantee)
    return {
        "level": level,
        "guarantee": guarantee,
        "version": sets.version,
        "isStale": sets.is_stale,
        "why": sets.why,
        "counted": sets.counted,
        "drawer": {
            "share": drawer.share,
            "members": drawer.members,
            "decided": drawer.decided,
            "counted": drawer.counted,
            "isShort": bench.certainty.is_short(level, guarantee),
            "need": [{"level": at, "more": more} for at, more in drawer.need.items()],
            "uncovered": drawer.uncovered,
        },
        "certified": float((seen != 0).mean()) if seen.size else 0.0,
        "plan": _plan(plan),
        "acceptances": [_acceptance(one) for one in bench.certainty.acceptances()],
        "readOnly": context.only_reads(bench),
    }


def _sample(found: api.SampleSets) -> dict[str, object]:
    count = found.num_sets
    return {
        "sample": found.sample,
        "name": found.name,
        "version": found.version,
        "counted": found.counted,
        "why": found.why,
        "isStale": found.is_stale,
        "inDrawer": found.in_drawer,
        "yes": found.yes,
        "undecided": found.undecided,
        "no": found.no,
        "numSets": count if count is not None and count <= MOST_NUMBER else None,
        "confidence": found.confidence,
        "credibility": found.credibility,
        "likely": [{"labels": each.labels, "p": each.p_value} for each in found.likely],
        "present": found.present,
        "absent": found.absent,
    }


def _plan(plan: api.AcceptPlan) -> dict[str, object]:
    return {
        "samples": plan.samples,
        "yes": plan.yes,
        "no": plan.no,
        "wrongSamples": plan.wrong_samples,
        "wrongVerdicts": plan.wrong_verdicts,
    }


def _acceptance(found: api.Acceptance) -> dict[str, object]:
    return {
        "op": found.op,
        "when": found.when,
        "who": found.who,
        "version": found.version,
        "level": found.plan.level,
        "guarantee": found.plan.guarantee,
        **_plan(found.plan),
        "verdicts": found.plan.yes + found.plan.no,
        "checked": found.checked,
        "wrong": found.wrong,
        "isUndone": found.is_undone,
    }
