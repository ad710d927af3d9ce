"""What the server is working on. Polled: browsers allow few open connections to one host."""

from __future__ import annotations

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from backend import api
from ui.context import ALONE, Context

SHOWN = 20


def router(context: Context) -> APIRouter:
    """The routes of jobs."""
    routes = APIRouter(prefix="/pl/api")

    @routes.get("/jobs")
    def jobs(request: Request) -> Response:
        if context.project_name(request.query_params.get("project")) is None:
            return Response(b'{"jobs":[]}', media_type="application/json")
        bench = context.of(request)
        which = f"{bench.name.encode().hex()}-{bench.store.uid}"
        tag = f'"{which}-{bench.jobs.version}-{bench.version}-{bench.offset}"'
        headers = {"ETag": tag, "Cache-Control": "no-store"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        mine = [job for job in bench.jobs.list() if job.owner in ("", context.user(request))]
        body = {
            "version": bench.version,
            "offset": bench.offset,
            "jobs": [
                {**_row(job), "key": bench.jobs.key(job.id)}
                for job in sorted(mine, key=lambda job: -job.created)[:SHOWN]
            ],
        }
        return Response(orjson.dumps(body), media_type="application/json", headers=headers)

    @routes.post("/jobs/{job_id}/cancel")
    def cancel(job_id: str, request: Request) -> dict[str, bool]:
        bench = context.of(request)
        user = context.user(request)
        for job in bench.jobs.list():
            if job.id == job_id and job.owner in ("", user, ALONE):
                return {"cancelled": bool(bench.jobs.cancel(job_id))}
        raise api.NotFoundError("that job is not yours, or it is gone")

    return routes


def _row(job: api.Job) -> dict[str, object]:
    return {
        "id": job.id,
        "kind": job.kind,
        "title": job.title,
        "state": job.state,
        "done": job.done,
        "total": job.total,
        "note": job.note,
        "error": job.error,
    }
