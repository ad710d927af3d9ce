"""A home with one small project of texts, and the whole app asked as a browser asks it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from backend import api
from ui.app import ROUTES, _say, build_app
from ui.auth import Accounts, hash_password, hash_token
from ui.context import Context

ORIGIN = "http://127.0.0.1"
TOKEN = "a-token-of-the-tests"
NOTES = (
    "The bus to the airport was late again",
    "The soup was cold and the waiter rude",
    "We loved the dessert and the friendly waiter",
    "The train ticket was cheap",
)
HOSTILE = "<img src=x onerror=alert(1)>"


def make_notes(settings: api.Settings, folder: Path, name: str = "notes") -> None:
    """A closed project of texts with the static word vectors, which load in no time."""
    file = folder / f"{name}.jsonl"
    rows = [{"sample": f"{name}{i}", "text": text} for i, text in enumerate(NOTES)]
    file.write_text("\n".join(json.dumps(row) for row in rows), "utf-8")
    bench = api.create_project(
        name, labels=["transport", "food", HOSTILE], encoder="words", settings=settings
    )
    assert bench.add(file).imported == len(NOTES)
    bench.close()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> api.Settings:
    """Settings of a home that the tests of one file share; holds the project "notes"."""
    folder = tmp_path_factory.mktemp("web")
    settings = api.Settings.from_environ({**os.environ, "PATCHLANE_HOME": str(folder / "home")})
    make_notes(settings, folder)
    return settings


@pytest.fixture(scope="module")
def app(home: api.Settings) -> FastAPI:
    """The whole app for one person."""
    return build_app(home, default_project="notes")


@pytest.fixture(scope="module")
def web(app: FastAPI) -> Iterator[TestClient]:
    """A browser without cookies, on the machine itself."""
    with TestClient(app, base_url=ORIGIN, follow_redirects=False) as client:
        yield client


def routes_only(settings: api.Settings, **options: Any) -> FastAPI:
    """Our own routes without Gradio's pages around them, which take seconds to build."""
    context = Context(settings, **options)
    app = FastAPI()
    app.state.context = context
    app.add_exception_handler(api.PatchlaneError, _say)
    for routes in ROUTES:
        app.include_router(routes.router(context))
    app.router.on_shutdown.append(context.close)
    return app


def accounts() -> Accounts:
    """Ann with a password, a robot with a token."""
    return Accounts({"ann": hash_password("right horse")}, {hash_token(TOKEN): "robot"})
