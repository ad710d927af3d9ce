"""One Chromium for all browser tests; a page that fails on errors and on foreign requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.browser.serving import FLAGS, chromium_path, served


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder drives Chromium."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """The browser, started once."""
    executable = chromium_path()
    if not Path(executable).exists():
        pytest.skip("no Chromium here: apt-get install chromium, or set CHROMIUM")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Any) -> Iterator[Callable[..., Any]]:
    """`open_page(url, **context options)`: a page in a context of its own.

    The test fails on any console error, page error or request off 127.0.0.1, but for messages
    that hold one of the strings a test puts into `page.expected` (a 403 that it provokes).
    """
    contexts: list[Any] = []
    pages: list[Any] = []

    def make(url: str | None = None, **options: Any) -> Any:
        options.setdefault("viewport", {"width": 1440, "height": 900})
        context = chromium.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        # Generous: the machine may be busy with other work, and a wait ends when it is met.
        page.set_default_timeout(120_000)
        page.problems, page.expected = [], []
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
    assert not problems, problems


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
