"""The requests about what is certain, on a real project of texts."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from backend import api
from tests.ui.conftest import NOTES, ORIGIN
from ui.app import _say
from ui.context import Context
from ui.routes import certainty, items

HERE = "/pl/api/certainty"
LABELS = ("transport", "food")
COUNT = 80


def truth(number: int) -> dict[str, str]:
    """Every fourth note is about the same; two of them about transport, two about food."""
    is_transport = number % 4 in (0, 3)
    return {"transport": "yes" if is_transport else "no", "food": "no" if is_transport else "yes"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> api.Settings:
    folder = tmp_path_factory.mktemp("certainty")
    settings = api.Settings.from_environ({**os.environ, "PATCHLANE_HOME": str(folder / "home")})
    file = folder / "notes.jsonl"
    rows = [{"sample": f"n{at}", "text": f"{NOTES[at % 4]}, {at}"} for at in range(COUNT)]
    file.write_text("\n".join(json.dumps(row) for row in rows), "utf-8")
    bench = api.create_project("notes", labels=LABELS, encoder="words", settings=settings)
    bench.add(file)
    bench.close()
    return settings


def served(settings: api.Settings, **options: object) -> FastAPI:
    context = Context(settings, **options)  # pyright: ignore[reportArgumentType]
    app = FastAPI()
    app.add_exception_handler(api.PatchlaneError, _say)
    for routes in (certainty, items):
        app.include_router(routes.router(context))
    app.router.on_shutdown.append(context.close)
    app.state.context = context
    return app


@pytest.fixture(scope="module")
def web(home: api.Settings) -> Iterator[TestClient]:
    with TestClient(served(home), base_url=ORIGIN) as client:
        yield client


def test_the_whole_way_from_an_empty_drawer_to_an_undone_acceptance(web: TestClient) -> None:
    state = web.get(HERE).json()
    assert state["drawer"]["share"] == 0
    assert "no calibration drawer" in state["why"]
    assert state["plan"]["samples"] == 0
    assert web.get(f"{HERE}/ask").json() == []
    refused = web.post(f"{HERE}/accept", json={"level": 0.9, "op": "accept-0001"})
    assert refused.status_code == 400
    assert "nothing can be accepted" in refused.json()["detail"]

    state = web.post(f"{HERE}/drawer", json={"action": "open", "samples": 2}).json()
    assert state["drawer"]["isShort"]
    assert "open a larger one" in state["why"]
    state = web.post(f"{HERE}/drawer", json={"action": "open", "level": 0.9}).json()
    assert not state["drawer"]["isShort"]
    assert state["drawer"]["members"] > 8
    assert {each["level"]: each["more"] for each in state["drawer"]["need"]}[0.9] == 9
    bench = web.app.state.context.open("notes")  # pyright: ignore[reportAttributeAccessIssue]
    asked = web.get(f"{HERE}/ask", params={"k": 200}).json()
    assert len(asked) == state["drawer"]["members"]
    inside = {entry["sample"] for entry in asked}
    others = [sample.id for sample in bench.samples() if sample.id not in inside][:30]
    rows = [
        {"sample": sample, "label": label, "verdict": verdict}
        for sample in [*(entry["sample"] for entry in asked), *others]
        for label, verdict in truth(int(bench.sample(sample).name[1:])).items()
    ]
    bench.correct(rows)
    bench.learn()

    state = web.get(HERE, params={"level": 0.8}).json()
    assert state["why"] == ""
    assert state["counted"] == len(inside)
    assert not state["isStale"]
    assert state["certified"] > 0.5
    assert state["plan"]["yes"] > 0
    left = [s.id for s in bench.samples() if s.id not in inside and s.id not in others]
    ids = ",".join(map(str, [left[0], asked[0]["sample"]]))
    one, drawn = web.get(f"{HERE}/samples", params={"ids": ids, "level": 0.8}).json()
    ids_of = {label.name: label.id for label in bench.labels()}
    assert sorted((*one["yes"], *one["undecided"], *one["no"])) == sorted(ids_of.values())
    assert len(one["likely"]) == 4
    assert one["numSets"] <= 4
    assert set(one["present"]) == {str(i) for i in ids_of.values()}
    assert drawn["inDrawer"]
    assert drawn["yes"] == []

    order = {"level": 0.8, "op": "accept-0002"}
    done = web.post(f"{HERE}/accept", json=order).json()
    assert done["verdicts"] == state["plan"]["yes"] + state["plan"]["no"]
    assert web.post(f"{HERE}/accept", json=order).json() == done
    after = web.get(HERE, params={"level": 0.8}).json()
    assert [each["op"] for each in after["acceptances"]] == ["accept-0002"]
    check = web.get(f"{HERE}/check", params={"op": "accept-0002", "k": 3}).json()
    assert len(check) == 3
    assert not {entry["sample"] for entry in check} & inside
    bench.undo(op="accept-0002")
    assert web.get(HERE).json()["acceptances"][0]["isUndone"]

    fresh = left[:6]
    for sample in fresh:
        said = truth(int(bench.sample(sample).name[1:]))
        bench.correct([{"sample": sample, "label": n, "verdict": v} for n, v in said.items()])
    history = web.get(f"{HERE}/history", params={"groups": 1}).json()
    assert [row["sample"] for row in history["rows"]] == fresh
    point = next(p for p in history["points"] if p["level"] == 0.8)
    assert (point["n"], point["claimed"]) == (6, 0.8)
    assert point["low"] <= point["realised"] <= point["high"]

    closed = web.post(f"{HERE}/drawer", json={"action": "close"}).json()
    assert closed["drawer"]["members"] == 0


@pytest.mark.parametrize(
    ("way", "given"),
    [
        ("get", {"level": 2}),
        ("get", {"guarantee": "mood"}),
        ("drawer", {"action": "open"}),
        ("drawer", {"action": "open", "share": 0.1, "samples": 3}),
        ("drawer", {"action": "open", "share": 0}),
        ("drawer", {"action": "open", "level": 0.9, "samples": 3}),
        ("drawer", {"action": "open", "level": 1}),
        ("accept", {"level": 0.9, "op": "no"}),
        ("accept", {"level": 0.2, "op": "accept-0003"}),
        ("samples", {"ids": "1;2"}),
        ("samples", {"ids": ""}),
    ],
)
def test_a_request_that_is_none_is_refused(
    web: TestClient, way: str, given: dict[str, object]
) -> None:
    if way in ("get", "samples"):
        where = HERE if way == "get" else f"{HERE}/samples"
        assert web.get(where, params=given).status_code == 422  # pyright: ignore
    else:
        assert web.post(f"{HERE}/{way}", json=given).status_code == 422
    assert web.get(f"{HERE}/samples", params={"ids": "99999"}).status_code == 404
    assert web.get(f"{HERE}/check", params={"op": "none-of-mine"}).status_code == 404


def test_nothing_is_changed_where_it_may_only_be_looked_at(
    home: api.Settings, tmp_path: Path
) -> None:
    with TestClient(served(home, is_read_only=True), base_url=ORIGIN) as client:
        for way, given in (
            ("drawer", {"action": "open", "share": 0.2}),
            ("accept", {"level": 0.9, "op": "accept-0004"}),
        ):
            assert client.post(f"{HERE}/{way}", json=given).status_code == 403
        assert client.get(HERE).json()["readOnly"]
