"""Builds and serves the web app: pages, routes, gate, guard; the only file that knows them all."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

# Read by Gradio when it is imported: no telemetry, and no statistics over past events after
# every single event (a pandas group-by of milliseconds).
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", "1000000000")
os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", "100")

import gradio as gr
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from gradio.components import Navbar

from backend import api
from ui import auth, host, theme
from ui.components.shell import ShellBar
from ui.context import Context

log = logging.getLogger("patchlane.web")

# title, address, module of `ui.pages`
PAGES = (("Label", "", "label"), ("Explore", "explore", "explore"), ("Data", "data", "data"))
ROUTES = ("media", "projects", "imports", "jobs", "items", "points")
STATUS = {
    api.NotFoundError: 404,
    api.RefusedError: 403,
    api.BadInputError: 400,
    api.BusyError: 409,
    api.MissingTruthError: 409,
    api.OfflineError: 503,
    api.SaveError: 507,
}


def build_app(
    settings: api.Settings,
    *,
    default_project: str | Path | None = None,
    users: auth.Accounts | None = None,
    read_only: bool = False,
    hosts: Sequence[str] = host.LOOPBACK_HOSTS,
    is_local: bool = True,
) -> FastAPI:
    """The whole web app of one home.

    Args:
        settings: where the projects are.
        default_project: name or folder of the project shown first.
        users: who may sign in; None leaves the gate out (one person on their own machine).
        read_only: refuse every change.
        hosts: host names the server answers to, without ports.
        is_local: only this machine reaches the server, so the Data page may name its folders.
    """
    context = Context(settings, default_project, users, read_only, is_local)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        context.close()

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.state.context = context
    app.add_exception_handler(api.PatchlaneError, _say)
    app.include_router(host.router())

    @app.get("/healthz")
    def healthz() -> dict[str, object]:
        return {"ok": True, "version": api.__version__}

    for name in ROUTES:
        if find_spec(f"ui.routes.{name}") is not None:
            app.include_router(import_module(f"ui.routes.{name}").router(context))
    _mount(app, context)
    # The middleware added last runs first: host and origin before the gate.
    if users is not None:
        app.add_middleware(auth.Gate, accounts=users)
    app.add_middleware(host.Guard, hosts=hosts, is_read_only=read_only)
    return app


def _mount(app: FastAPI, context: Context) -> None:
    """Put the Gradio pages at `/`, after our own routes, which therefore win."""
    settings = context.settings
    # Gradio's own cache would be a folder that all users of the machine share.
    cache = settings.home / "gradio"
    cache.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.environ["GRADIO_TEMP_DIR"] = str(cache)
    demo: gr.Blocks | None = None
    for title, address, module in PAGES:
        if find_spec(f"ui.pages.{module}") is None:
            continue
        build: Callable[[Context], None] = import_module(f"ui.pages.{module}").build
        page = (
            gr.Blocks(title="Patchlane", analytics_enabled=False, delete_cache=(3600, 86400))
            if demo is None
            else demo.route(title, address)
        )
        with page:
            Navbar(visible=False)
            ShellBar({"page": module})
            build(context)
            if demo is None and find_spec("ui.routes.api_tools") is not None:
                import_module("ui.routes.api_tools").register(context)
        demo = demo or page
    if demo is None:
        raise RuntimeError("no page is installed")
    demo.queue(api_open=False, default_concurrency_limit=8, max_size=500)
    gr.mount_gradio_app(
        app,
        demo,
        path="/",
        theme=theme.THEME,
        head=host.head(),
        auth_dependency=auth.signed_in if context.accounts is not None else None,
        mcp_server=find_spec("ui.routes.api_tools") is not None,
        ssr_mode=False,
        pwa=False,
        run_history=False,
        enable_monitoring=False,
        footer_links=[],
        max_file_size="1mb",
    )


def _say(_request: Request, error: Exception) -> JSONResponse:
    """A mendable error as one sentence, with the status its kind has."""
    status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 400)
    if status >= 500 or isinstance(error, api.RefusedError):
        log.warning("%s: %s", type(error).__name__, error)
    return JSONResponse({"detail": str(error)}, status)
