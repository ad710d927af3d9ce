"""While people label blind nobody sees, on any route, what somebody else said of a sample."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from backend import api, captions
from tests.ui.conftest import ORIGIN
from tests.ui.test_points import LABELS, TEXTS, unpack
from ui.app import _say
from ui.context import Context
from ui.exports import make_export
from ui.routes import (
    audits,
    bulk,
    checks,
    exports,
    finding,
    guides,
    items,
    people,
    pointing,
    points,
)

ROUTES = (audits, bulk, checks, exports, finding, guides, items, people, pointing, points)
YES, NO = api.Verdict.YES, api.Verdict.NO


@pytest.fixture
def bench(settings: api.Settings) -> Iterator[api.Workbench]:
    made = api.create_project("words", labels=LABELS, encoder="words", settings=settings)
    file = settings.home / "texts.jsonl"
    rows = [{"sample": f"t{i:02d}", "text": text} for i, text in enumerate(TEXTS * 2)]
    for i, row in enumerate(rows[len(TEXTS) :]):
        row["text"] += f" again {i}"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    made.add(file)
    yield made
    made.close()


@pytest.fixture
def web(settings: api.Settings, bench: api.Workbench) -> Iterator[TestClient]:
    context = Context(settings, "words")
    context._open[bench.path] = bench
    app = FastAPI()
    app.add_exception_handler(api.PatchlaneError, _say)
    for module in ROUTES:
        app.include_router(module.router(context))

    @app.middleware("http")
    async def sign_in(request: Request, call_next):
        request.scope["patchlane_user"] = request.headers["x-name"]
        return await call_next(request)

    with TestClient(app, base_url=ORIGIN) as client:
        yield client


def ask(web: TestClient, who: str, path: str, body: object = None, **query: object) -> Any:
    headers, url = {"x-name": who}, f"/pl/api{path}"
    if body is None:
        found = web.get(url, headers=headers, params=query)
    else:
        found = web.post(url, headers=headers, json=body)
    assert found.status_code == 200, found.text
    kind = found.headers["content-type"]
    return found.json() if kind.startswith("application/json") else found.content


def say(bench: api.Workbench, who: str, label: str, yes: range, no: range = range(0)) -> None:
    rows = [
        {"sample": f"t{i:02d}", "label": label, "verdict": verdict}
        for verdict, numbers in (("yes", yes), ("no", no))
        for i in numbers
    ]
    bench.correct(rows, who=who)


def test_explore_shows_and_counts_ones_own_verdicts_alone(
    web: TestClient, bench: api.Workbench
) -> None:
    say(bench, "ann", "animal", range(4), range(4, 8))
    say(bench, "ben", "animal", range(2, 6))
    animal = bench.label("animal").id
    colours: dict[str, Any] = {"by": "verdict", "label": animal}
    open_ = {i: c for i, (_, _, c) in unpack(ask(web, "ben", "/points", **colours)).items()}
    ask(web, "ann", "/people/blind", {"is_blind": True})
    for who, yes, no in (("ann", 4, 4), ("ben", 4, 0), ("eve", 0, 0)):
        facts = ask(web, who, "/facets")
        [count] = [one for one in facts["labels"] if one["id"] == animal]
        assert (facts["is_blind"], count["yes"], count["no"]) == (True, yes, no)
        own = bench.verdicts(who=who)
        found = unpack(ask(web, who, "/points", **colours))
        assert {i: c for i, (_, _, c) in found.items() if not np.isnan(c)} == {
            i: float(said[animal] is YES) for i, said in own.items() if animal in said
        }
        only = f"label:{animal}:yes"
        ids = np.frombuffer(ask(web, who, "/order", filter=only), "<u4").tolist()
        assert set(ids) == {i for i, said in own.items() if said.get(animal) is YES}
        page = ask(web, who, "/page", top=3, limit=50)["samples"]
        assert {c["id"] for c in page if c["yes"]} == set(ids)
        assert {c["id"] for c in page if any(g["verdict"] for g in c["top"])} <= set(own)
        chosen = {"ids": [card["id"] for card in page]}
        [shared] = [o for o in ask(web, who, "/selection", chosen)["labels"] if o["id"] == animal]
        assert (shared["yes"], shared["no"]) == (yes, no)
        doubt = ask(web, who, "/points", by="decided")
        assert (np.array([c for *_, c in unpack(doubt).values()]) > 0).sum() == yes + no
    ask(web, "ann", "/people/blind", {"is_blind": False})
    again = {i: c for i, (_, _, c) in unpack(ask(web, "ben", "/points", **colours)).items()}
    np.testing.assert_array_equal(list(again.values()), list(open_.values()))


def test_filters_that_need_the_model_go_by_ones_own_verdicts(
    web: TestClient, bench: api.Workbench
) -> None:
    for label in LABELS:
        say(bench, "ann", label, range(10), range(10, 20))
    animal = bench.label("animal").id
    bench.people.set_blind(True)
    for text in ("misses:yes", "alarms:yes", "complete:yes", f"chance:{animal}:0:2"):
        assert ask(web, "eve", "/order", filter=text) == b"", text
    assert len(ask(web, "ann", "/order", filter="complete:yes")) == 4 * 20
    shape = {"kind": "box", "x": [-1e6, 1e6], "y": [-1e6, 1e6], "filters": ["complete:yes"]}
    assert ask(web, "eve", "/inside", shape)["count"] == 0
    assert ask(web, "ann", "/inside", shape)["count"] == 20


def test_a_formula_takes_ones_own_verdicts_for_facts(web: TestClient, bench: api.Workbench) -> None:
    say(bench, "ann", "food", range(2), range(2, 4))

    def told(who: str) -> dict[str, float]:
        hits = ask(web, who, "/search", query="food or food", k=500)["hits"]
        return {hit["name"]: hit["score"] for hit in hits}

    seen = told("eve")
    assert [seen.get(f"t{i:02d}") for i in range(4)] == [1, 1, None, None], "what counts is open"
    bench.people.set_blind(True)
    assert told("ann") == seen
    chances = bench.chances()[:, bench.board.column_named["food"]]
    assert told("eve") == pytest.approx(
        dict(zip((sample.name for sample in bench.samples()), chances.tolist(), strict=True))
    ), "nothing but what the model says"


def test_a_bulk_verdict_speaks_of_ones_own_words(web: TestClient, bench: api.Workbench) -> None:
    say(bench, "ann", "food", range(4))
    bench.people.set_blind(True)
    ids = [bench.sample(f"t{i:02d}").id for i in range(4)]
    order = {"ids": ids, "labels": [bench.label("food").id], "verdict": "no", "op": "bulk-no-1"}
    done = ask(web, "ben", "/bulk", order)
    assert (done["changed"], done["contradicted"]) == (4, 0)
    assert {v for said in bench.verdicts(ids, who="ben").values() for v in said.values()} == {NO}


def test_maps_do_not_yield_to_what_others_accepted(web: TestClient, bench: api.Workbench) -> None:
    say(bench, "ann", "food", range(1))
    sample = bench.sample("t00").id

    def claimers(who: str) -> list[int]:
        body = ask(web, who, "/evidence", sample=sample)
        size = int.from_bytes(body[:4], "little")
        return json.loads(body[4 : 4 + size])["claimers"]

    food = bench.label("food").id
    assert food in claimers("ben")
    bench.people.set_blind(True)
    assert food in claimers("ann")
    assert food not in claimers("ben")
    say(bench, "ann", "food", range(0), range(1))
    assert ask(web, "ann", "/point", sample=sample, label=food)["why"].startswith("you said no")
    assert not ask(web, "ben", "/point", sample=sample, label=food)["why"].startswith("you said")


def test_the_guide_shows_pins_and_ones_own_verdicts(web: TestClient, bench: api.Workbench) -> None:
    say(bench, "ann", "animal", range(14), range(14, 28))
    say(bench, "ben", "animal", range(2), range(27, 28))
    bench.guides.keep("animal", who="ann")
    animal = bench.label("animal").id
    whole = ask(web, "eve", "/guide", label=animal)
    assert whole["exemplars"]
    assert whole["misses"]
    pinned = next(
        i for i in range(14) if f"t{i:02d}" not in {e["name"] for e in whole["exemplars"]}
    )
    bench.guides.pin("animal", f"t{pinned:02d}", who="ann")
    bench.people.set_blind(True)
    blind = ask(web, "eve", "/guide", label=animal)
    assert [one["name"] for one in blind["exemplars"]] == [f"t{pinned:02d}"]
    assert blind["misses"] == []
    assert (blind["yes"], blind["no"]) == (whole["yes"], whole["no"])
    assert not any(f"t{i:02d}" in line for line in blind["changes"] for i in range(28))
    named = {one["name"] for one in ask(web, "ben", "/guide", label=animal)["exemplars"]}
    assert named <= {"t00", "t01", f"t{pinned:02d}"}
    file = ask(web, "eve", "/guide/file", label=animal).decode()
    assert [f"t{i:02d}" for i in range(28) if f"t{i:02d}" in file] == [f"t{pinned:02d}"]
    mine = ask(web, "ann", "/guide", label=animal)
    assert len(mine["exemplars"]) >= len(whole["exemplars"])


def test_the_audit_leaves_out_what_others_said(web: TestClient, bench: api.Workbench) -> None:
    pairs = [(s.id, (bench.label("animal").id,)) for s in bench.samples()[:2]]
    say(bench, "ann", "animal", range(2))
    say(bench, "ben", "animal", range(1))
    suspects = tuple(
        api.Suspect(f"s{sample}", "label", (sample,), labels, (YES,), 1.0, "no", {}, "why")
        for sample, labels in pairs
    )
    group = api.SuspectGroup("g", "label", "title", "no", False, suspects)
    report = api.AuditReport(bench.version, bench.offset, (group,), (), 2, 0)
    bench.jobs.wait(bench.jobs.submit("audit", "Looking", lambda ticket: report))
    bench.people.set_blind(True)

    def keys(who: str) -> list[str]:
        return [s["key"] for g in ask(web, who, "/audit")["groups"] for s in g["suspects"]]

    assert keys("ann") == ["s1", "s2"]
    assert keys("ben") == ["s1"]
    assert keys("eve") == []


def test_disputes_and_exports_wait(web: TestClient, bench: api.Workbench) -> None:
    say(bench, "ann", "animal", range(2))
    made = make_export(bench, "csv")
    bench.people.set_blind(True)
    headers = {"x-name": "ann"}
    # who is alone hides nothing from anybody
    assert web.get(f"/pl/api/exports/{made.name}", headers=headers).status_code == 200
    say(bench, "ben", "animal", range(1), range(1, 2))
    for answer in (
        web.get(f"/pl/api/exports/{made.name}", headers=headers),
        web.post("/pl/api/exports", json={"format": "csv"}, headers=headers),
    ):
        assert answer.status_code == 403
        assert "label blind" in answer.json()["detail"]
    told = ask(web, "ann", "/people/disputes")
    assert (told["total"], told["rows"], told["isBlind"]) == (1, [], True)
    bench.people.set_blind(False)
    told = ask(web, "ann", "/people/disputes")
    assert (told["total"], len(told["rows"]), told["rows"][0]["weight"]) == (1, 1, 0.0)
    assert web.get(f"/pl/api/exports/{made.name}", headers=headers).status_code == 200


def test_captions_and_counts_go_by_ones_own_verdicts(
    web: TestClient, bench: api.Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ann says yes to every sample of the largest dense area and to no other."""
    monkeypatch.setattr(captions, "FEWEST", 3)
    before = ask(web, "eve", "/captions")
    areas = captions.levels_of(bench.map().xy)[0]
    inside = {int(i) for i, area in zip(bench.map().ids, areas.of, strict=True) if area == 0}
    assert 3 <= len(inside) < len(bench.samples())
    rows = [
        {"sample": s.id, "label": "animal", "verdict": "yes" if s.id in inside else "no"}
        for s in bench.samples()
    ]
    bench.correct(rows, who="ann")
    counted = ask(web, "eve", "/facets")["counted"]
    shown = ask(web, "eve", "/captions")["levels"]
    assert "animal" in {word for one in shown[0] for word in one["says"]}
    bench.people.set_blind(True)
    assert ask(web, "eve", "/captions") == before
    assert ask(web, "ann", "/captions")["levels"] == shown
    hidden = ask(web, "eve", "/facets")["counted"]
    for text, number in hidden["doubt"].items():
        assert len(ask(web, "eve", "/order", filter=text)) == 4 * number
    assert hidden != counted, "what ann decided is still in doubt for eve"
    disputed = {"sample": "t00", "label": "food"}
    bench.correct([{**disputed, "verdict": "yes"}], who="ann")
    bench.correct([{**disputed, "verdict": "no"}], who="ben")
    assert "people" not in ask(web, "eve", "/facets")["counted"]
    assert ask(web, "eve", "/order", filter="agreement:any:disputed") == b""
    bench.people.set_blind(False)
    assert ask(web, "eve", "/facets")["counted"]["people"]["agreement:any:disputed"] == 1
