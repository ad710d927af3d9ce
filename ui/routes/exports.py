"""Taking labels home over the web: make an export, see what was lost, download it."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import FileResponse, Response

from backend import api
from ui.context import Context
from ui.exports import (
    FORMATS,
    check_may_export,
    find_export,
    formats_of,
    list_exports,
    make_export,
    remove_export,
)


class Wanted(BaseModel):
    """Which format, and what goes into it: the pictures, the samples of one split."""

    format: str
    media: bool = True
    split: api.Split | None = None


def router(context: Context) -> APIRouter:
    """The routes of exports."""
    routes = APIRouter(prefix="/pl/api")

    @routes.get("/exports")
    def exports(request: Request) -> dict[str, object]:
        bench = context.of(request)
        rows = [asdict(export) for export in list_exports(bench)]
        counts = Counter(str(sample.split) for sample in bench.samples())
        return {"formats": formats_of(bench.kind), "exports": rows, "splits": counts}

    @routes.post("/exports")
    def start(wanted: Wanted, request: Request) -> dict[str, str]:
        context.writable()
        bench = context.of(request)
        check_may_export(bench, context.user(request))
        if wanted.format not in FORMATS:
            raise api.BadInputError(f"unknown format {wanted.format!r}")

        def work(ticket: api.Ticket) -> None:
            make_export(
                bench,
                wanted.format,
                has_media=wanted.media,
                split=wanted.split,
                progress=ticket.progress,
            )

        title = f"Exporting {FORMATS[wanted.format]}"
        return {"job": bench.jobs.submit("export", title, work, owner=context.user(request))}

    @routes.get("/exports/{name}")
    def download(name: str, request: Request) -> Response:
        bench = context.of(request)
        path = find_export(bench, name)
        check_may_export(bench, context.user(request))
        return FileResponse(path, media_type="application/zip", filename=f"{bench.name}-{name}")

    @routes.delete("/exports/{name}")
    def remove(name: str, request: Request) -> dict[str, str]:
        context.writable()
        remove_export(context.of(request), name)
        return {"removed": name}

    return routes
