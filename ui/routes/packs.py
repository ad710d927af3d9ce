"""The Learn page's requests: packs and their lanes, versions, the curve."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field

from backend import api
from ui import present
from ui.context import Context
from ui.routes.projects import MAX_LABELS, clean_labels

SHOWN_STEPS = 200
MOST_CHANGES = 60
MOST_COMPARED = 200
MOVES = ("add labels", "move labels", "remove label")
"""What the log calls the changes that are taken back by their ids."""

Pack = Annotated[str, Field(min_length=1, max_length=200)]
Version = Annotated[int, Field(ge=0, le=2**53)]
Op = Annotated[str, Field(min_length=8, max_length=64, pattern=r"^[\w-]+$")]


class Undoable(BaseModel):
    """A change of labels' packs; `op` is an id of it, by which it is taken back."""

    op: Op | None = None


class Teach(BaseModel):
    """Train the lane of a pack now."""

    action: Literal["teach"]
    pack: Pack


class Mute(BaseModel):
    """Leave a pack's labels out of suggestions, or take them in again."""

    action: Literal["mute"]
    pack: Pack
    is_muted: bool


class Rename(Undoable):
    """Another name for a pack; nothing is trained."""

    action: Literal["rename"]
    pack: Pack
    name: Pack


class Merge(Undoable):
    """All labels of a pack go into another one, which is then taught."""

    action: Literal["merge"]
    pack: Pack
    into: Pack


class Split(Undoable):
    """Some labels leave their pack for a new one."""

    action: Literal["split"]
    labels: Annotated[list[int], Field(min_length=1, max_length=MAX_LABELS)]
    name: Pack


class New(Undoable):
    """A pack of new labels."""

    action: Literal["new"]
    name: Pack
    labels: Annotated[list[str], Field(min_length=1, max_length=MAX_LABELS)]


class Remove(Undoable):
    """A pack with all its labels goes; one undo brings them back with their verdicts."""

    action: Literal["remove"]
    pack: Pack


class Drop(BaseModel):
    """The lane of a pack goes; its labels and verdicts stay."""

    action: Literal["drop"]
    pack: Pack


class Pause(BaseModel):
    """Train lanes only when asked, or by themselves again."""

    action: Literal["pause"]
    is_paused: bool


class Revert(BaseModel):
    """Make an earlier version the live one again, as a new version."""

    action: Literal["revert"]
    version: Version


PackEdit = Annotated[
    Teach | Mute | Rename | Merge | Split | New | Remove | Drop | Pause | Revert,
    Field(discriminator="action"),
]


def router(context: Context) -> APIRouter:
    """The routes below /pl/api/learn."""
    routes = APIRouter(prefix="/pl/api/learn")
    _add_looks(routes, context)
    _add_deeds(routes, context)
    return routes


def _add_looks(routes: APIRouter, context: Context) -> None:
    @routes.get("")
    def state(request: Request) -> dict[str, object]:
        """Packs, what the last teaching changed, and the newest versions."""
        bench = context.of(request)
        return {**_state(bench), "readOnly": context.only_reads(bench)}

    @routes.get("/versions")
    def versions(request: Request, before: Annotated[int, Query(ge=1)]) -> dict[str, object]:
        """Versions older than `before`, the newest first."""
        return _versions(context.of(request).versions(), before=before)

    @routes.get("/curve")
    def curve(request: Request) -> list[dict[str, object]]:
        """Held-back mAP of the versions whose files are kept, the oldest first."""
        return [asdict(point) for point in context.of(request).packs.curve()]

    @routes.get("/compare")
    def compare(
        request: Request, one: Annotated[int, Query(ge=0)], other: Annotated[int, Query(ge=0)]
    ) -> dict[str, object]:
        """Samples whose suggested labels differ between two versions."""
        return _compare(context.of(request), one, other)

    @routes.get("/lane")
    def export(request: Request, pack: Annotated[str, Query(max_length=200)]) -> Response:
        """The lane of a pack as one safetensors file."""
        bench = context.of(request)
        with tempfile.TemporaryDirectory(prefix="patchlane-") as folder:
            content = bench.packs.export(pack, Path(folder) / "lane.safetensors").read_bytes()
        name = quote(f"{bench.name}-{pack}.safetensors", safe="")
        return Response(
            content,
            media_type="application/octet-stream",
            headers={"Content-Disposition": f"attachment; filename*=UTF-8''{name}"},
        )


def _add_deeds(routes: APIRouter, context: Context) -> None:
    @routes.post("")
    def edit(change: PackEdit, request: Request) -> dict[str, object]:
        """One change; answers with the state after it, and a job or a version where one came."""
        context.writable()
        bench = context.of(request)
        who = context.user(request)
        made = {} if _is_done(bench, change, who) else _edit(bench, change, who)
        return {**_state(bench), "readOnly": context.only_reads(bench), "made": made}

    @routes.post("/lane")
    async def take(
        request: Request,
        name: Annotated[str, Query(max_length=200)] = "",
        pack: Annotated[str, Query(max_length=200)] = "",
    ) -> Response:
        """Take a lane file in, as a job; the body is the file.

        Args:
            request: with the file.
            name: the file's, for messages.
            pack: where labels that are new go; the name in the file by default.
        """
        context.writable()
        limit = min(context.settings.limits.upload_bytes, api.MOST_LANE_FILE)
        content = await _body(request, limit)
        if content is None:
            return JSONResponse(
                {"detail": f"a lane file has at most {limit:,} bytes; this one has more"}, 413
            )
        bench, who = context.of(request), context.user(request)
        shown = Path(name).name or "the file"

        def work(ticket: api.Ticket) -> api.TeachReport:
            ticket.progress(0, 0, "putting the lane in place")
            return bench.packs.take(content, pack=pack.strip(), who=who, name=shown)

        return JSONResponse(
            {"job": bench.jobs.submit("lane", f"Importing {shown}", work, owner=who)}
        )


async def _body(request: Request, limit: int) -> bytes | None:
    """The request's body, or None as soon as it is known to be larger than `limit`."""
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limit:
        return None
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > limit:
            return None
    return bytes(content)


def _is_done(bench: api.Workbench, change: PackEdit, who: str) -> bool:
    """Whether the same request did it before, and its answer was lost."""
    op = change.op if isinstance(change, Undoable) else None
    return op is not None and bench.stored(op, *MOVES, who=who) is not None


def _edit(bench: api.Workbench, change: PackEdit, who: str) -> dict[str, object]:
    """Do it; says which job or version came of it."""
    packs = bench.packs
    match change:
        case Teach(pack=pack):
            return {"job": _teach(bench, pack)}
        case Mute(pack=pack, is_muted=is_muted):
            packs.mute(pack, is_muted)
        case Rename(pack=pack, name=name):
            _rename(bench, pack, name.strip(), who, change.op)
        case Merge(pack=pack, into=into):
            if into not in {label.pack for label in bench.labels()}:
                raise api.NotFoundError(f"there is no pack {into!r}")
            packs.rename(pack, into, who=who, op=change.op)
            return {} if bench.live.room.refusal else {"job": _teach(bench, into)}
        case Split(labels=labels, name=name):
            packs.move(labels, name.strip(), who=who, op=change.op)
        case New(name=name, labels=labels):
            bench.add_labels(clean_labels(labels), pack=name.strip(), who=who, op=change.op)
        case Remove(pack=pack):
            packs.remove(pack, who=who, op=change.op)
        case Drop(pack=pack):
            before = bench.version
            return {"version": packs.drop(pack), "before": before}
        case Pause(is_paused=is_paused):
            packs.pause(is_paused)
        case Revert(version=version):
            before = bench.version
            return {"version": packs.revert(version), "before": before}
    return {}


def _rename(bench: api.Workbench, pack: str, name: str, who: str, op: str | None) -> None:
    if name in {label.pack for label in bench.labels()} - {pack}:
        raise api.BadInputError(f"there is a pack {name!r} already; merge into it")
    bench.packs.rename(pack, name, who=who, op=op)


def _teach(bench: api.Workbench, pack: str) -> str:
    """Start the job, or say at once why it cannot start."""
    if bench.live.room.refusal:
        raise api.BadInputError(bench.live.room.refusal)
    if pack not in {label.pack for label in bench.labels()}:
        raise api.NotFoundError(f"there is no pack {pack!r}")
    return bench.packs.teach_soon(pack)


def _state(bench: api.Workbench) -> dict[str, object]:
    ids = {label.name: label.id for label in bench.labels()}
    packs = [
        {**asdict(info), "labels": [{"id": ids.get(name), "name": name} for name in info.labels]}
        for info in bench.packs.list()
    ]
    told = bench.packs.last_report()
    return {
        "project": bench.name,
        "kind": bench.kind,
        "version": bench.version,
        "refusal": bench.live.room.refusal,
        "isPaused": bench.packs.is_paused,
        "firstVerdicts": api.FIRST_VERDICTS,
        "packs": packs,
        "report": None if told is None else asdict(told),
        "versions": _versions(bench.versions()),
    }


def _versions(steps: Sequence[api.LearnStep], *, before: int | None = None) -> dict[str, object]:
    """The newest versions below `before`, each with the corrections it added."""
    rows = []
    last = 0
    for step in steps:
        if before is None or step.version < before:
            rows.append(
                {
                    "version": step.version,
                    "from": step.from_version,
                    "kind": step.kind,
                    "when": step.when,
                    "verdicts": step.offset,
                    "added": max(0, step.offset - last),
                    "pack": str(step.detail.get("pack", "")),
                    "to": step.detail.get("to"),
                }
            )
        last = step.offset
    return {"steps": rows[::-1][:SHOWN_STEPS], "more": max(0, len(rows) - SHOWN_STEPS)}


def _compare(bench: api.Workbench, one: int, other: int) -> dict[str, object]:
    changes = bench.packs.compare(one, other, most=MOST_COMPARED)
    shown = changes[:MOST_CHANGES]
    samples = {sample.id: sample for sample in bench.samples([each.sample for each in shown])}
    return {
        "one": one,
        "other": other,
        "total": len(changes),
        "isAll": len(changes) < MOST_COMPARED,
        "changes": [
            {
                **asdict(present.sample_handle(samples[each.sample], bench.name)),
                "gained": each.gained,
                "lost": each.lost,
                "largest": round(each.largest, 3),
            }
            for each in shown
            if each.sample in samples
        ],
    }
