"""Builds and serves the web app: pages, routes, gate, guard; the only file that knows them all."""

from __future__ import annotations

import atexit
import json
import logging
import os
import shutil
import socket
import sys
import tempfile
import threading
import warnings
import webbrowser
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlencode

# Read by Gradio when it is imported: no telemetry, and no statistics over past events after
# every single event (a pandas group-by of milliseconds).
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", "1000000000")
os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", "100")

import gradio as gr
import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from gradio.components import Navbar

from backend import api
from ui import auth, theme
from ui.components.shell import ShellBar
from ui.context import Context, StalePageError
from ui.host import LOOPBACK_HOSTS, Guard, bound_socket, further_names, head, is_loopback, names_of
from ui.host import router as host_router
from ui.pages import data, explore, guide, label, learn
from ui.routes import (
    api_tools,
    audits,
    bulk,
    certainty,
    checks,
    evaluation,
    exports,
    finding,
    guides,
    imports,
    items,
    jobs,
    media,
    packs,
    people,
    pointing,
    points,
    projects,
    removed,
    saved_slices,
)

log = logging.getLogger("patchlane.web")

# title, address, module of `ui.pages`; the first one is at "/"
PAGES = (
    ("Label", "", label),
    ("Explore", "explore", explore),
    ("Learn", "learn", learn),
    ("Guide", "guide", guide),
    ("Data", "data", data),
)
ROUTES = (
    media,
    projects,
    removed,
    imports,
    exports,
    jobs,
    items,
    checks,
    certainty,
    audits,
    pointing,
    bulk,
    finding,
    saved_slices,
    points,
    packs,
    people,
    guides,
    evaluation,
)
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
    hosts: Sequence[str] = LOOPBACK_HOSTS,
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
    app.add_exception_handler(RequestValidationError, _say_what_is_wrong)
    app.include_router(host_router())

    @app.get("/healthz")
    def healthz() -> dict[str, object]:
        return {"ok": True, "version": api.__version__}

    for routes in ROUTES:
        app.include_router(routes.router(context))
    _mount(app, context)
    # The middleware added last runs first: host and origin before the gate.
    if users is not None:
        app.add_middleware(auth.Gate, accounts=users)
    app.add_middleware(Guard, hosts=hosts, is_read_only=read_only)
    return app


def serve(
    settings: api.Settings,
    *,
    project: str | Path | None = None,
    host: str = "127.0.0.1",
    port: int = 7860,
    auth_file: Path | None = None,
    read_only: bool = False,
    open_browser: bool = True,
    hosts: Sequence[str] = (),
    as_json: bool = False,
) -> int:
    """Serve a home until the process is stopped; prints the address.

    Args:
        settings: where the projects are.
        project: name or folder of the project shown first.
        host: address to listen on.
        port: 0 takes any free one.
        auth_file: accounts (see `ui.auth`); needed where other machines can reach the server.
        read_only: refuse every change.
        open_browser: show the page.
        hosts: further names the server is known by, for example behind a proxy; whoever comes by
            one may sit elsewhere, so the pages then name no folders of this machine.
        as_json: print {"url", "project"} as one line of JSON instead, once requests are answered,
            and nothing after it; the project is None where the last opened one is shown.

    Raises:
        RefusedError: other machines could reach the server and nobody would have to sign in.
        BadInputError: the auth file, the port or a host name cannot be used.
        NotFoundError: there is no such project.
    """
    folder = None if project is None else api.find_project(project, settings)
    is_local, hosts = is_loopback(host), further_names(hosts)
    users = auth.Accounts.from_file(auth_file) if auth_file is not None else None
    if users is None and not is_local:
        raise api.RefusedError(
            f"--host {host} lets other machines in, so people must sign in: give "
            "--auth-file FILE; `python -m ui.auth password NAME` prints a line for it"
        )
    server_socket = bound_socket(host, port)
    port = server_socket.getsockname()[1]
    app = build_app(
        settings,
        default_project=folder,
        users=users,
        read_only=read_only,
        hosts=(*names_of(host), *hosts),
        is_local=is_local and not hosts,
    )
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104
    address = f"http://{f'[{shown}]' if ':' in shown else shown}:{port}/"
    if folder is not None:
        address += f"?{urlencode({'project': folder.name})}"
    server_socket.listen()  # who reads the address and asks at once waits, and is not refused

    def open_page() -> None:
        if open_browser:
            # A browser that is not there is no reason to stop.
            threading.Timer(1.0, webbrowser.open, (address,)).start()

    def tell_program() -> None:
        _print(json.dumps({"url": address, "project": folder.name if folder else None}))
        # Who reads it has all of it; what a browser says of itself belongs elsewhere.
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        open_page()

    if not as_json:
        _print(f"Patchlane is at {address}")
        open_page()
    # A tab that stays open holds its connection; stopping does not wait for it.
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2)
    _Server(config, tell_program if as_json else None).run(sockets=[server_socket])
    return 0


class _Server(uvicorn.Server):
    """A server that says when it answers requests."""

    def __init__(self, config: uvicorn.Config, on_up: Callable[[], None] | None) -> None:
        super().__init__(config)
        self._on_up = on_up

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self._on_up is not None:
            self._on_up()


def _print(line: str) -> None:
    """A line on stdout, at once also where a program reads it through a pipe."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _mount(app: FastAPI, context: Context) -> None:
    """Put the Gradio pages at `/`, after our own routes, which therefore win."""
    settings = context.settings
    # Gradio's own cache would be a folder that all users of the machine share.
    cache = settings.home / ".gradio"
    try:
        cache.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:  # a home to look at only
        cache = Path(tempfile.mkdtemp(prefix="patchlane-"))
        atexit.register(shutil.rmtree, cache, ignore_errors=True)
    os.environ["GRADIO_TEMP_DIR"] = str(cache)
    demo = gr.Blocks(title="Patchlane", analytics_enabled=False, delete_cache=(3600, 86400))
    for title, address, module in PAGES:
        with demo.route(title, address) if address else demo:
            Navbar(visible=False)
            ShellBar({"page": title.lower()})
            module.build(context)
            if not address:
                api_tools.register(context)
    demo.queue(api_open=False, default_concurrency_limit=8, max_size=500)
    with warnings.catch_warnings():
        # Said of every app with several pages, also where rendering on the server is off.
        warnings.filterwarnings("ignore", message="SSR mode is not supported")
        _mount_pages(app, demo, context)


def _mount_pages(app: FastAPI, demo: gr.Blocks, context: Context) -> None:
    gr.mount_gradio_app(
        app,
        demo,
        path="/",
        theme=theme.THEME,
        head=head(),
        auth_dependency=auth.signed_in if context.accounts is not None else None,
        mcp_server=True,
        ssr_mode=False,
        pwa=False,
        run_history=False,
        enable_monitoring=False,
        footer_links=[],
        max_file_size="1mb",
    )


def _say(request: Request, error: Exception) -> JSONResponse:
    """A mendable error as one sentence, with the status its kind has.

    What is refused is logged, and so is what is not there: somebody may be trying the files of
    another project.
    """
    status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 400)
    if status >= 500 or isinstance(error, api.RefusedError | api.NotFoundError):
        # As Python writes it: an address or a name may hold line breaks.
        asked = f"{request.method} {str(request.url.path)!r}"
        log.warning("%s: %s: %r", asked, type(error).__name__, str(error))
    # What a page of another project or person keeps is not sent again until it is read anew.
    more = {"stale": True} if isinstance(error, StalePageError) else {}
    return JSONResponse({"detail": str(error), **more}, status)


def _say_what_is_wrong(_request: Request, error: Exception) -> JSONResponse:
    """The first thing that a request's fields get wrong, as one sentence."""
    found = error.errors() if isinstance(error, RequestValidationError) else []
    first = found[0] if found else {"loc": (), "msg": str(error)}
    # The first step says body, query or path, and a JSON error counts characters.
    where = ".".join(str(step) for step in first["loc"][1:])
    what = str(first["msg"])
    if first.get("type") == "json_invalid":
        where, what = "", f"it is no JSON ({first.get('ctx', {}).get('error', what)})"
    what = what[:1].lower() + what[1:]
    subject = f"{where}: {what}" if where else what
    return JSONResponse(
        {"detail": f"the request was not understood and nothing was done: {subject[:500]}"}, 422
    )
