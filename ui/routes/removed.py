"""What is removed: projects put aside, brought back or deleted, and the open one compacted."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter, Request

from backend import api
from ui.context import Context
from ui.routes.projects import plain_name


def router(context: Context) -> APIRouter:
    """The routes, for one server."""
    routes = APIRouter(prefix="/pl/api")

    @routes.delete("/projects/{name}")
    def remove(name: str) -> dict[str, str]:
        """Put a project aside."""
        context.writable()
        with context.closed(plain_name(name)):
            api.remove_project(name, settings=context.settings)
        return {"removed": name}

    @routes.post("/projects/{name}/restore")
    def restore(name: str) -> dict[str, str]:
        """Bring a removed project back, by its name or key."""
        context.writable()
        api.restore_project(plain_name(name), settings=context.settings)
        return {"restored": name}

    @routes.get("/removed")
    def removed(request: Request) -> dict[str, object]:
        """What can be brought back, until it is deleted for good."""
        samples, labels, is_unswept = 0, 0, False
        if context.project_name(request.query_params.get("project")) is not None:
            store = context.of(request).store
            (samples, labels), is_unswept = store.removed(), store.is_unswept
        gone = [asdict(one) for one in api.removed_projects(context.settings)]
        return {"samples": samples, "labels": labels, "unswept": is_unswept, "projects": gone}

    @routes.delete("/removed/{key}")
    def delete(key: str) -> dict[str, str]:
        """Delete a removed project for good."""
        context.writable()
        return {"deleted": api.delete_project(plain_name(key), settings=context.settings).name}

    @routes.post("/compact")
    def compact(request: Request) -> dict[str, str]:
        """Delete for good what was removed from the project."""
        context.writable()
        return {"job": context.of(request).compact_soon(who=context.user(request))}

    return routes
