"""The routes of the audit: a job, its findings, and decisions that are one action each."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from backend import api
from tests.backend.test_auditing import IS_ANIMAL, ROWS, WRONG, project
from ui.app import _say
from ui.context import Context
from ui.routes import audits, bulk

ORIGIN = "http://127.0.0.1"


def app_of(settings: api.Settings, **options: Any) -> FastAPI:
    context = Context(settings, "words", **options)
    app = FastAPI()
    app.add_exception_handler(api.PatchlaneError, _say)
    for routes in (audits, bulk):
        app.include_router(routes.router(context))
    app.router.on_shutdown.append(context.close)
    app.state.context = context
    return app


@pytest.fixture
def home(settings: api.Settings, tmp_path: Path) -> api.Settings:
    settings = replace(settings, home=tmp_path / "home")
    rows = [{"sample": f"t{at}", "text": text} for at, text in enumerate(ROWS)]
    bench = project(settings, tmp_path, "words", rows)
    said = [yes ^ (at in WRONG) for at, yes in enumerate(IS_ANIMAL)]
    bench.correct(
        [
            {"sample": f"t{at}", "label": "animal", "verdict": "yes" if yes else "no"}
            for at, yes in enumerate(said)
        ]
    )
    bench.close()
    return settings


@pytest.fixture
def web(home: api.Settings) -> Iterator[TestClient]:
    with TestClient(app_of(home), base_url=ORIGIN) as client:
        yield client


def audited(web: TestClient) -> dict[str, Any]:
    assert web.post("/pl/api/audit", json={}).status_code == 200
    end = time.monotonic() + 120
    while time.monotonic() < end:
        state = web.get("/pl/api/audit").json()
        if state["when"] is not None or state["error"]:
            assert not state["error"]
            return state
        time.sleep(0.05)
    raise AssertionError("the audit did not end")


def suspects(state: dict[str, Any]) -> set[str]:
    return {one["samples"][0]["name"] for group in state["groups"] for one in group["suspects"]}


def test_before_any_audit_there_is_nothing_to_decide(web: TestClient) -> None:
    state = web.get("/pl/api/audit").json()
    assert (state["state"], state["when"], state["groups"]) == (None, None, [])
    said = web.post("/pl/api/audit/accept", json={"keys": ["label:1"], "op": "decision-1"})
    assert said.status_code == 404
    assert "look for errors first" in said.json()["detail"]


def test_a_group_goes_through_the_bulk_route_and_is_gone(web: TestClient) -> None:
    state = audited(web)
    assert {f"t{at}" for at in WRONG} <= suspects(state)
    group = next(g for g in state["groups"] if g["proposal"] == "yes")
    ids = [one["samples"][0]["sample"] for one in group["suspects"]]
    label = group["suspects"][0]["labels"][0]["id"]
    order = {"ids": ids, "labels": [label], "verdict": "yes", "op": "the-fix-1"}
    assert web.post("/pl/api/bulk", json=order).json()["changed"] == len(ids)
    left = web.get("/pl/api/audit").json()
    assert group["key"] not in {each["key"] for each in left["groups"]}


def test_accept_and_dismiss_answer_the_same_action_once(web: TestClient) -> None:
    state = audited(web)
    group = state["groups"][0]
    decision = {"keys": [group["key"]], "op": "decision-2"}
    first = web.post("/pl/api/audit/accept", json=decision).json()
    assert first["changed"] == group["count"]
    assert web.post("/pl/api/audit/accept", json=decision).json() == first
    other = web.get("/pl/api/audit").json()["groups"][0]
    putting = {"keys": [other["suspects"][0]["key"]], "op": "decision-3"}
    assert web.post("/pl/api/audit/dismiss", json=putting).json()["changed"] == 1
    assert web.post("/pl/api/audit/dismiss", json=putting).status_code == 200
    for verb, used in (("dismiss", decision), ("accept", putting)):
        assert web.post(f"/pl/api/audit/{verb}", json=used).status_code == 400
    assert putting["keys"][0] not in {
        one["key"] for each in web.get("/pl/api/audit").json()["groups"] for one in each["suspects"]
    }


def test_a_server_for_looking_audits_but_changes_nothing(home: api.Settings) -> None:
    with TestClient(app_of(home, is_read_only=True), base_url=ORIGIN) as web:
        state = audited(web)
        assert state["readOnly"]
        decision = {"keys": [state["groups"][0]["key"]], "op": "decision-4"}
        for verb in ("accept", "dismiss"):
            said = web.post(f"/pl/api/audit/{verb}", json=decision)
            assert said.status_code == 403


def test_what_is_no_decision_is_refused(web: TestClient) -> None:
    for wrong in ({"keys": [], "op": "decision-5"}, {"keys": ["x"], "op": "?"}, {"keys": ["x"]}):
        assert web.post("/pl/api/audit/accept", json=wrong).status_code == 422
