"""Projects that are opened, and removed, while others ask for them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from fastapi.testclient import TestClient

from backend import api
from backend.jobs import Ticket
from tests.ui.conftest import ORIGIN, make_notes, routes_only
from ui.context import Context

PATIENCE = 30.0


@pytest.fixture
def settings(tmp_path: Path) -> api.Settings:
    made = api.Settings.from_environ({**os.environ, "PATCHLANE_HOME": str(tmp_path / "home")})
    for name in ("one", "two"):
        api.create_project(name, labels=["a"], encoder="words", settings=made).close()
    return made


@pytest.fixture
def context(settings: api.Settings) -> Iterator[Context]:
    made = Context(settings)
    yield made
    made.close()


def beside(work: Callable[[], Any]) -> Future[Any]:
    pool = ThreadPoolExecutor(1)
    future = pool.submit(work)
    pool.shutdown(wait=False)
    return future


class Slow:
    """Opening the project "one" takes until `go_on` is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.go_on, self.times = Event(), Event(), 0
        plain = api.open_project

        def opening(path: Path, **more: Any) -> api.Workbench:
            if path.name == "one":
                self.times += 1
                self.begun.set()
                assert self.go_on.wait(PATIENCE)
            return plain(path, **more)

        monkeypatch.setattr(api, "open_project", opening)


def test_opening_a_project_holds_up_no_other(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(monkeypatch)
    first = beside(lambda: context.open("one"))
    assert slow.begun.wait(PATIENCE)
    second = beside(lambda: context.open("one"))
    assert beside(lambda: context.open("two").name).result(PATIENCE) == "two"
    assert not first.done()
    slow.go_on.set()
    assert first.result(PATIENCE) is second.result(PATIENCE)
    assert slow.times == 1, "one project is opened once"


def test_a_project_that_is_being_removed_is_not_opened_again(context: Context) -> None:
    context.open("one")
    with context.closed("one") as path:
        with pytest.raises(api.BusyError, match="one is being removed"):
            context.open("one")
        with (
            pytest.raises(api.BusyError, match="one is being removed"),
            context.closed("one"),
        ):
            pass
        assert context.open("two").name == "two"
    assert context.open("one").path == path, "it was not removed after all"


def test_removing_waits_for_whoever_is_opening_it(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(monkeypatch)
    opening = beside(lambda: context.open("one"))
    assert slow.begun.wait(PATIENCE)
    closed = Event()

    def remove() -> None:
        with context.closed("one"):
            closed.set()

    removing = beside(remove)
    assert not closed.wait(0.2)
    slow.go_on.set()
    bench = opening.result(PATIENCE)
    removing.result(PATIENCE)
    assert bench.jobs.is_closed
    assert "one" not in context.benches()


def test_a_project_is_removed_while_it_works_and_comes_back(
    settings: api.Settings, tmp_path: Path
) -> None:
    """Its page asks on, and its job goes on for a while; neither begins it anew."""
    make_notes(settings, tmp_path)
    app = routes_only(settings)
    begun, stopped = Event(), Event()
    answers: list[int] = []

    with TestClient(app, base_url=ORIGIN) as web:
        assert web.get("/pl/api/shell", params={"project": "notes"}).status_code == 200
        (context,) = (
            one.__self__ for one in app.router.on_shutdown if isinstance(one.__self__, Context)
        )
        bench = context.benches()["notes"]

        def work(ticket: Ticket) -> None:
            begun.set()
            while not bench.jobs.is_closed:
                assert not stopped.wait(0.001)
            # the page asks while the project is being closed, as it does every second
            answers.append(web.get("/pl/api/shell", params={"project": "notes"}).status_code)
            ticket.progress(1, 1)

        bench.jobs.submit("encode", "Reading", work)
        assert begun.wait(PATIENCE)
        assert web.delete("/pl/api/projects/notes").status_code == 200
        assert answers == [409]
        assert not (settings.home / "notes").exists()
        assert web.get("/pl/api/shell", params={"project": "notes"}).status_code == 404
        assert web.post("/pl/api/projects/notes/restore").status_code == 200
        assert web.get("/pl/api/shell", params={"project": "notes"}).status_code == 200
