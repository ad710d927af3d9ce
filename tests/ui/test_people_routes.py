"""People on the web: signed-in names give verdicts, the tables, adjudication, labelling blind."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from backend import api
from tests.ui.conftest import HOSTILE, NOTES, ORIGIN
from ui.app import _say
from ui.context import Context
from ui.routes import items, packs, people

NAMES = ("ann", "ben", HOSTILE)


@pytest.fixture
def context(settings: api.Settings) -> Iterator[Context]:
    bench = api.create_project(
        "notes", labels=["transport", "food"], encoder="words", settings=settings
    )
    file = settings.home / "notes.jsonl"
    file.write_text("".join(f'{{"text": "{text}"}}\n' for text in NOTES), "utf-8")
    bench.add(file)
    bench.close()
    context = Context(settings, "notes")
    yield context
    context.close()


@pytest.fixture
def web(context: Context) -> TestClient:
    """The routes with whoever the header names signed in, as the gate does it."""
    app = FastAPI()
    app.add_exception_handler(api.PatchlaneError, _say)
    app.include_router(items.router(context))
    app.include_router(people.router(context))
    app.include_router(packs.router(context))

    @app.middleware("http")
    async def sign_in(request: Request, call_next):
        request.scope["patchlane_user"] = request.headers["x-name"]
        return await call_next(request)

    return TestClient(app, base_url=ORIGIN)


def ask(web: TestClient, who: str, path: str, json: object = None):
    headers = {"x-name": who}
    if json is None:
        return web.get(f"/pl/api{path}", headers=headers)
    return web.post(f"/pl/api{path}", json=json, headers=headers)


def say(web: TestClient, who: str, *verdicts: tuple[int, int, str | None]) -> str:
    op = f"op-{who[:3].strip('<')}-{abs(hash((who, verdicts)))}"[:60]
    rows = [{"sample": s, "label": n, "verdict": v} for s, n, v in verdicts]
    found = ask(web, who, "/commit", {"op": op, "rows": rows})
    assert found.status_code == 200, found.text
    return op


def test_each_sees_their_own_word_and_who_said_otherwise(web: TestClient) -> None:
    ann, ben, eve = NAMES
    say(web, ann, (1, 1, "yes"), (1, 2, "no"))
    say(web, ben, (1, 1, "no"))
    first = ask(web, ann, "/item?sample=1").json()
    assert first["verdicts"] == {"1": "yes", "2": "no"}
    assert (first["others"], first["borrowed"]) == ({"1": [[ben, "no", False]]}, [])
    second = ask(web, ben, "/item?sample=1").json()
    assert second["verdicts"] == {"1": "no", "2": "no"}
    assert second["others"] == {"1": [[ann, "yes", False]], "2": [[ann, "no", False]]}
    assert second["borrowed"] == [2]
    third = ask(web, eve, "/item?sample=1").json()
    assert third["verdicts"] == {"2": "no"}  # a tie on the other one
    say(web, eve, (1, 1, "yes"))
    assert ask(web, ben, "/item?sample=1").json()["others"]["1"] == [
        [ann, "yes", False],
        [HOSTILE, "yes", False],
    ]


def test_an_item_is_not_kept_for_another_person(web: TestClient, context: Context) -> None:
    say(web, "ann", (1, 1, "yes"))
    bench = context.open("notes")
    while bench.learned.offset < bench.offset:  # a newer version is another answer
        bench.refresh(bench.version, timeout=0.2)
    tag = ask(web, "ann", "/item?sample=1").headers["etag"]
    headers = {"x-name": "ann", "if-none-match": tag}
    assert web.get("/pl/api/item?sample=1", headers=headers).status_code == 304
    headers["x-name"] = "ben"
    assert web.get("/pl/api/item?sample=1", headers=headers).status_code == 200


def test_blind_hides_what_others_said_and_asks_everybody(web: TestClient) -> None:
    say(web, "ann", *((sample, label, "yes") for sample in range(1, 5) for label in (1, 2)))
    assert ask(web, "ben", "/queue?picker=order").json()["entries"] == []
    assert ask(web, "ann", "/people/blind", {"is_blind": True}).json()["isBlind"] is True
    queue = ask(web, "ben", "/queue?picker=order").json()
    assert (len(queue["entries"]), queue["is_blind"]) == (4, True)
    item = ask(web, "ben", "/item?sample=1").json()
    assert (item["verdicts"], item["others"], item["borrowed"]) == ({}, {}, [])
    assert all(near["yes"] == [] for near in item["neighbours"])
    assert ask(web, "ann", "/item?sample=1").json()["verdicts"] == {"1": "yes", "2": "yes"}
    assert ask(web, "ann", "/queue?picker=order").json()["entries"] == []


def test_the_tables_and_adjudication_with_its_undo(web: TestClient) -> None:
    for who, verdict in zip(NAMES, ("yes", "no", "no"), strict=True):
        say(web, who, (1, 1, verdict), (2, 1, "yes"), (3, 1, "no"))
    say(web, "ann", (4, 2, "yes"))
    say(web, "ben", (4, 2, "no"))
    table = ask(web, "ann", "/people").json()
    assert (table["pairs"], table["agreed"], table["disputed"], table["tied"]) == (4, 2, 2, 1)
    assert {row["who"]: row["verdicts"] for row in table["people"]} == {
        "ann": 4, "ben": 4, HOSTILE: 3,
    }  # fmt: skip
    assert [row["label"] for row in table["labels"]] == ["food", "transport"]
    assert [row["label"] for row in ask(web, "ann", "/people?find=FOO").json()["labels"]] == [
        "food"
    ]
    found = ask(web, "ann", "/people/disputes").json()
    told = [(row["sample"], row["labelId"], row["verdict"]) for row in found["rows"]]
    assert (found["total"], told) == (2, [(4, 2, None), (1, 1, "no")])
    assert found["rows"][1]["words"][2]["who"] == HOSTILE
    decision = {"op": "decide-it-1", "rows": [{"sample": 1, "label": 1, "verdict": "yes"}]}
    for _ in range(2):  # a lost answer, asked for again
        assert ask(web, "ben", "/people/adjudicate", decision).status_code == 200
    assert ask(web, "ann", "/people").json()["adjudicated"] == 1
    assert ask(web, "ann", "/people/disputes").json()["total"] == 1
    assert ["ben", "yes", True] in ask(web, "ann", "/item?sample=1").json()["others"]["1"]
    undone = ask(web, "ben", "/undo", {"op": "decide-it-1"}).json()
    assert undone["verdicts"]["1"]["1"] == "no"
    assert ask(web, "ann", "/people/disputes").json()["total"] == 2


def test_the_table_tells_how_far_each_is_trusted(
    web: TestClient, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.trusting.FEWEST", 4)
    ann, ben, eve = NAMES
    before = ask(web, ann, "/people").json()
    assert (before["isTrusting"], before["people"]) == (False, [])
    for who in NAMES:
        says = {1: "yes", 2: "no", 3: "no", 4: "yes"}
        if who == eve:
            says = {1: "no", 2: "yes", 3: "no", 4: "no"}
        say(web, who, *((sample, 1, verdict) for sample, verdict in says.items()))
    bench = context.open("notes")
    bench.learn()
    trust = bench.learned.trust
    assert trust is not None
    for is_blind in (False, True):
        ask(web, ann, "/people/blind", {"is_blind": is_blind})
        table = ask(web, ann, "/people").json()
        assert table["isTrusting"]
        told = {row["who"]: (row["seen"], row["wrong"]) for row in table["people"]}
        assert told == trust.people
        assert told[eve][0] < told[ann][0] == told[ben][0]
    versions = ask(web, ann, "/learn/versions?before=99").json()["steps"]
    assert versions[0]["kind"] == "trust"
    assert HOSTILE not in json.dumps(versions)
    rows = ask(web, ann, "/people/csv?name=people").content.decode("utf-8-sig")
    shares = {row["who"]: (row["sees a yes"], row["calls a no yes"])
              for row in csv.DictReader(io.StringIO(rows))}  # fmt: skip
    assert shares == {who: (str(one), str(two)) for who, (one, two) in trust.people.items()}


def test_every_table_is_a_csv(web: TestClient) -> None:
    ann, ben, eve = NAMES
    say(web, ann, (1, 1, "yes"), (1, 2, "no"))
    say(web, ben, (1, 1, "no"), (1, 2, "no"))
    say(web, eve, (2, 1, "unsure"))

    def table(name: str) -> list[list[str]]:
        found = ask(web, ann, f"/people/csv?name={name}")
        assert found.headers["content-type"].startswith("text/csv")
        assert f"notes-{name}.csv" in found.headers["content-disposition"]
        return list(csv.reader(io.StringIO(found.content.decode("utf-8-sig"))))

    assert table("people")[1:] == [
        ["ann", "2", "2", "0.5", "", ""],
        ["ben", "2", "2", "0.5", "", ""],
        [HOSTILE, "1", "0", "", "", ""],
    ]
    told = {row[0]: row[2:] for row in table("labels")[1:]}
    assert told == {"transport": ["1", "0", "1"], "food": ["1", "1", "0"]}
    assert [row[1:] for row in table("disputes")] == [
        ["label", "counts", "weight", "who", "verdict"],
        ["transport", "tie", "0", "ann", "yes"],
        ["transport", "tie", "0", "ben", "no"],
    ]
    ask(web, ann, "/people/blind", {"is_blind": True})
    assert ask(web, ann, "/people/csv?name=disputes").status_code == 403
    assert ask(web, ann, "/people/csv?name=nothing").status_code == 422


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/people/adjudicate", {"op": "decide-it-2", "rows": []}, 422),
        (
            "/people/adjudicate",
            {"op": "x", "rows": [{"sample": 1, "label": 1, "verdict": "no"}]},
            422,
        ),
        (
            "/people/adjudicate",
            {"op": "decide-it-3", "rows": [{"sample": 99, "label": 1, "verdict": "no"}]},
            404,
        ),
        ("/people/blind", {"is_blind": "perhaps"}, 422),
    ],
)
def test_bad_requests_change_nothing(
    web: TestClient, context: Context, path: str, body: dict, status: int
) -> None:
    bench = context.open("notes")
    before = bench.store.log.offset
    assert ask(web, "ann", path, body).status_code == status
    assert bench.store.log.offset == before


def test_a_read_only_server_refuses(web: TestClient, context: Context) -> None:
    context.is_read_only = True
    decision = {"op": "decide-it-4", "rows": [{"sample": 1, "label": 1, "verdict": "no"}]}
    assert ask(web, "ann", "/people/adjudicate", decision).status_code == 403
    assert ask(web, "ann", "/people/blind", {"is_blind": True}).status_code == 403
    assert ask(web, "ann", "/people").json()["readOnly"] is True
