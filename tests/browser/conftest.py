"""One Chromium for all browser tests; a page that fails on errors and on foreign requests."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from playwright.sync_api import Error as PlaywrightError

from backend.api import Settings, open_project
from tests.browser.serving import FLAGS, chromium_path, is_home, served


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder drives Chromium."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


KEEP_TOASTS = "addEventListener('pl:toast', told => (window.toasts ??= []).push(told.detail.text))"
"""A message goes after seconds, which a busy machine may need for less."""

LOADED = 20_000
"""Milliseconds in which a page that a test leaves has loaded."""

PAGE_OPTIONS = {"viewport", "color_scheme"}
"""Options of a context that a page can be given later."""


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """The browser, started once; pages of this machine share a process."""
    executable = chromium_path()
    if not Path(executable).exists():
        pytest.skip("no Chromium here: apt-get install chromium, or set CHROMIUM")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable, args=[*FLAGS, "--process-per-site"]
        )
        yield browser
        browser.close()


class _Blank(BaseHTTPRequestHandler):
    """A page with nothing on it, of the site that the app is on."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>kept open</title>")

    def log_message(self, *said: Any) -> None:
        """Nothing on stderr."""


@pytest.fixture(scope="session")
def warm(chromium: Any) -> Iterator[Warm]:
    """A context for the servers of one address: scripts stay compiled, as a person's do.

    A page in a new context reads and compiles Gradio's scripts anew, 3.5 CPU seconds instead of
    1.1. A page that is kept open keeps the process of the site. No two addresses may share it,
    since Chromium gives a function compiled for the one to the other, with the address of the one
    in it; so one server after the other has the same (`served`).
    """
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Blank)
    Thread(target=server.serve_forever, daemon=True).start()
    context = chromium.new_context()
    keeper = context.new_page()
    keeper.goto(f"http://127.0.0.1:{server.server_port}/")
    yield Warm(context, keeper)
    context.close()
    server.shutdown()
    server.server_close()


class Warm:
    """The shared context; `forget` leaves nothing of a test in it but scripts and pictures."""

    def __init__(self, context: Any, keeper: Any):
        self.context, self._keeper = context, keeper
        self._devtools = context.new_cdp_session(keeper)

    def forget(self, origins: set[str]) -> None:
        """Close a test's pages and wipe what they stored.

        None is closed in the middle of loading: the next page of this process may wait for ever
        for a script that the one before was about to get.
        """
        for page in self.context.pages:
            if page is not self._keeper:
                with suppress(PlaywrightError):  # whatever a test made of it
                    page.wait_for_load_state("load", timeout=LOADED)
                page.close()
        self.context.clear_cookies()
        for origin in origins:
            self._devtools.send(
                "Storage.clearDataForOrigin",
                {"origin": origin, "storageTypes": "cookies,local_storage,indexeddb"},
            )


@pytest.fixture
def open_page(chromium: Any, warm: Warm) -> Iterator[Callable[..., Any]]:
    """`open_page(url, **context options)`: a page that knows nothing of any other.

    The first page of a test is one of the `warm` context, where its server has that address.

    The test fails on any console error, page error or request off 127.0.0.1, but for messages
    that hold one of the strings a test puts into `page.expected` (a 403 that it provokes).
    """
    contexts: list[Any] = []
    pages: list[Any] = []
    origins: set[str] = set()
    strayed: list[str] = []

    def moved(frame: Any) -> None:
        origins.add(_origin(frame.url))
        if frame.parent_frame is None and not is_home(frame.url) and frame.url != "about:blank":
            strayed.append(f"a warm page went to {frame.url}, which has another address")

    def opened(url: str | None, options: dict[str, Any]) -> Any:
        if pages or not is_home(url) or options.keys() - PAGE_OPTIONS:
            contexts.append(chromium.new_context(**options))
            return contexts[-1].new_page()
        page = warm.context.new_page()
        page.set_viewport_size(options["viewport"])
        if "color_scheme" in options:
            page.emulate_media(color_scheme=options["color_scheme"])
        page.on("framenavigated", moved)
        return page

    def make(url: str | None = None, **options: Any) -> Any:
        page = opened(url, {"viewport": {"width": 1440, "height": 900}, **options})
        # Generous: the machine may be busy with other work, and a wait ends when it is met.
        page.set_default_timeout(120_000)
        page.problems, page.expected = [], []
        page.add_init_script(KEEP_TOASTS)
        page.on(
            "console",
            lambda said: page.problems.append(said.text) if said.type == "error" else None,
        )
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith(("http://127.0.0.1:", "data:", "blob:"))
                else page.problems.append(f"foreign request {request.url}")
            ),
        )
        pages.append(page)
        if url is not None:
            page.goto(url)
        return page

    yield make
    problems = [
        problem
        for page in pages
        for problem in page.problems
        if not any(part in problem for part in page.expected)
    ]
    for context in contexts:
        context.close()
    warm.forget(origins)
    assert not problems, problems
    assert not strayed, strayed


def _origin(url: str) -> str:
    return "/".join(url.split("/")[:3])


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Settings of a home where a file makes its project once; see `copied`."""
    home = str(tmp_path_factory.mktemp("once"))
    return Settings.from_environ({**os.environ, "PATCHLANE_HOME": home})


@pytest.fixture
def copied(settings: Settings) -> Callable[[Path], Any]:
    """`copied(folder)`: a copy of a closed project, open, in this test's home.

    Copying takes a hundredth of the time of making one.
    """

    def copy(made: Path) -> Any:
        shutil.copytree(made, settings.home / made.name)
        return open_project(made.name, settings=settings)

    return copy


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[tuple[str, Any]]:
    """One server for all tests of a file, of the folder `home` that the file makes.

    Its address, where the project coco is open, and its context.
    """
    from ui.app import build_app

    app = build_app(replace(Settings.from_environ(), home=home), default_project="coco")
    with served(app) as base:
        yield base, app.state.context


@pytest.fixture
def page(open_page: Callable[..., Any]) -> Any:
    """A desk-sized page."""
    return open_page()


@pytest.fixture
def serve(settings: Any) -> Iterator[Callable[..., str]]:
    """`serve(project=None, **build_app options)`: the app in a thread; gives its address.

    `project` is a name, a folder or an open project (it is closed first, the server opens it).
    The app is at `serve.apps[-1]`, its context at `serve.apps[-1].state.context`.
    """
    from ui.app import build_app

    apps: list[Any] = []

    def start(project: Any = None, **options: Any) -> str:
        if hasattr(project, "close"):
            name, path = project.name, project.path
            project.close()
            project = name if path.parent == settings.home else path
        app = build_app(settings, default_project=project, **options)
        apps.append(app)
        return running.enter_context(served(app))

    start.apps = apps  # type: ignore[attr-defined]
    with ExitStack() as running:
        yield start
