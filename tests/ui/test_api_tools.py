"""Programs: gradio_client and an MCP client over HTTP, with and without credentials."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.requests import Request

from backend import api
from tests.ui.conftest import NOTES, TOKEN, accounts, make_notes
from ui.app import build_app
from ui.context import Context
from ui.routes.api_tools import Tools

HEADERS = {"Authorization": f"Bearer {TOKEN}"}
VERBS = {"suggest", "explain", "correct", "next", "search", "slices", "evaluate", "export"}


@pytest.fixture(scope="module")
def server(home: api.Settings) -> Iterator[tuple[str, Context]]:
    """The address, and the projects as the server has them open."""
    app = build_app(home, default_project="notes", users=accounts())
    server = uvicorn.Server(
        uvicorn.Config(
            app, host="127.0.0.1", port=0, log_level="warning", timeout_graceful_shutdown=1
        )
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 120
    while not server.started and time.monotonic() < until:
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}", app.state.context
    server.should_exit = True
    thread.join(10)


@pytest.fixture(scope="module")
def address(server: tuple[str, Context]) -> str:
    return server[0]


@pytest.fixture(scope="module")
def robot(address: str) -> Any:
    from gradio_client import Client

    return Client(address, headers=HEADERS, verbose=False)


def ask(robot: Any, verb: str, **given: object) -> Any:
    return json.loads(robot.predict(**given, api_name=f"/{verb}"))


def test_the_verbs_are_described_with_types(address: str) -> None:
    told = httpx.get(f"{address}/gradio_api/info", headers=HEADERS).json()["named_endpoints"]
    assert {name.strip("/") for name in told} == VERBS
    for verb, facts in told.items():
        assert facts["description"], verb
        assert all(p["python_type"]["type"] in ("str", "int", "bool") for p in facts["parameters"])
    correct = [p["parameter_name"] for p in told["/correct"]["parameters"]]
    assert correct == ["rows", "project", "op"], "who asks is never the caller's to say"


def test_a_program_labels(robot: Any, address: str, home: api.Settings) -> None:
    rows = ask(robot, "suggest", samples="notes0, notes1")
    assert [row["sample"] for row in rows] == ["notes0", "notes1"]
    assert rows[0]["suggestions"][0]["label"] == "transport"
    assert {"set", "coverage", "version", "encoder"} <= rows[0].keys()

    why = ask(robot, "explain", sample="notes0", label="transport", top=3)
    words = [part["text"] for part in why["labels"][0]["parts"]]
    assert len(words) == 3
    assert all(word in NOTES[0] for word in words)

    said = json.dumps(
        [
            {"sample": "notes0", "label": "transport", "verdict": "yes"},
            {"sample": "notes1", "complete": True},
        ]
    )
    first = ask(robot, "correct", rows=said, op="program-1")
    assert (first["project"], first["pairs"]) == ("notes", 4)
    assert ask(robot, "correct", rows=said, op="program-1") == first, "the same op is stored once"

    assert {row["picker"] for row in ask(robot, "next", k=2, picker="random")} == {"random"}
    assert ask(robot, "search", text="a late bus", k=1)[0]["sample"] == "notes0"
    assert ask(robot, "search", sample="notes1", k=1)[0]["sample"] == "notes1"

    (fact, *rest) = ask(robot, "search", query="transport and (Food or ~food)", k=2)
    assert (fact["sample"], fact["score"]) == ("notes0", 1.0), "its verdict is YES"
    assert fact["parts"], "and where it is"
    assert "notes1" not in {row["sample"] for row in rest}, "its verdict is NO"

    assert ask(robot, "search", like="notes0", unlike="notes1,notes2", k=9)[0]["sample"] == "notes3"
    saved = ask(robot, "slices", action="save", name="late", samples="notes0, notes3", op="slice-1")
    assert saved == [{"slice": "late", "samples": 2}]
    late = ask(robot, "search", query="@late & transport", k=9)
    assert [row["sample"] for row in late] == ["notes0", "notes3"]
    assert ask(robot, "slices", action="remove", name="late") == ask(robot, "slices") == []

    made = ask(robot, "export", format="csv")
    assert made["samples"] == len(NOTES)
    assert (home.home / "notes" / "exports" / made["name"]).is_file()
    assert made["download"].endswith(f"/{made['name']}?project=notes"), "whichever is open by then"
    downloaded = httpx.get(f"{address}{made['download']}", headers=HEADERS)
    assert downloaded.headers["content-type"] == "application/zip"
    log = api.open_project("notes", settings=home)
    assert {row.who for row in log.store.log.since(0) if row.op == "program-1"} == {"robot"}
    log.close()


@pytest.mark.parametrize(
    ("verb", "given", "sentence"),
    [
        ("suggest", {"samples": "no-such-sample"}, "no-such-sample"),
        ("suggest", {"project": "../notes"}, "no project called"),
        ("correct", {"rows": "not json"}, "rows is not JSON"),
        ("correct", {"rows": "[" * 100_000}, "rows is not JSON: maximum recursion"),
        ("suggest", {"samples": "[" * 100_000}, "samples is not a JSON list: maximum recursion"),
        (
            "correct",
            {"rows": '[{"sample": "notes0", "label": "transport", "verdict": "maybe"}]'},
            "maybe",
        ),
        ("next", {"k": 0}, "give 1 to"),
        ("export", {"format": "../../etc"}, "unknown format"),
        ("search", {"text": "a late bus", "sample": "notes0"}, "not by text and sample"),
        ("search", {"text": "a late bus", "query": "food"}, "not by text and query"),
        ("search", {"query": "food & trasnport"}, "the nearest is transport"),
        ("search", {"sample": "notes0", "region": "left"}, "a region is x,y,width,height"),
        ("search", {"text": "a late bus", "region": "0,0,1,1"}, "name one of them"),
        ("search", {"unlike": "notes0"}, "say which these are"),
        ("search", {"query": "food & @night"}, "no slice 'night' at character 8"),
        ("slices", {"action": "take", "name": "night", "samples": "notes0"}, "no slice 'night'"),
        ("slices", {"action": "empty", "name": "night"}, "there are list, save, take and remove"),
        ("evaluate", {"split": "moon"}, "moon"),
        ("evaluate", {"filters": "colour:red"}, "cannot be read"),
        ("evaluate", {"unknown": "perhaps"}, "undecided pairs can be"),
    ],
)
def test_a_refusal_is_a_sentence(
    robot: Any, verb: str, given: dict[str, object], sentence: str
) -> None:
    with pytest.raises(Exception, match=sentence):
        ask(robot, verb, **given)


def mcp(address: str, headers: dict[str, str], tool: str, given: dict[str, object]) -> Any:
    from mcp import ClientSession
    from mcp.client.streamable_http import streamablehttp_client

    async def call() -> Any:
        async with (
            streamablehttp_client(f"{address}/gradio_api/mcp/", headers=headers) as (
                read,
                write,
                _,
            ),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            tools = await session.list_tools()
            return {t.name for t in tools.tools}, await session.call_tool(tool, given)

    # Playwright's synchronous form may keep an event loop running in this thread.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, call()).result(120)


def test_an_mcp_client_uses_the_same_verbs(address: str) -> None:
    names, answer = mcp(address, HEADERS, "suggest", {"samples": "notes1"})
    assert names == VERBS
    assert not answer.isError
    rows = json.loads(answer.content[0].text)
    assert [row["sample"] for row in rows] == ["notes1"]
    assert {"transport", "food"} < {one["label"] for one in rows[0]["suggestions"]}


def test_a_verdict_over_mcp_is_stored_and_evaluated(
    server: tuple[str, Context], robot: Any, home: api.Settings, tmp_path: Path
) -> None:
    address, context = server
    make_notes(home, tmp_path, "judged")
    said = {f"judged{i}": one for i, one in enumerate(("yes", "no", "no", "yes"))}
    rows = [{"sample": name, "label": "transport", "verdict": one} for name, one in said.items()]
    given = {"rows": json.dumps(rows), "project": "judged", "op": "mcp-1"}
    _, answer = mcp(address, HEADERS, "correct", given)
    assert not answer.isError
    told = json.loads(answer.content[0].text)
    assert (told["op"], told["pairs"]) == ("mcp-1", 4)
    # Another process would find it: acknowledged is on the disk.
    stored = api.open_project("judged", settings=home)
    samples = {one.id: one.name for one in stored.samples()}
    label = stored.label("transport").id
    log = [row for row in stored.store.log.since(0) if row.op == "mcp-1"]
    stored.close()
    assert {samples[row.sample]: (row.verdict, row.who) for row in log} == {
        name: (api.Verdict(one), "robot") for name, one in said.items()
    }
    assert {row.label for row in log} == {label}

    # With all of it learned nothing makes another version between the answers.
    bench = context.open("judged")
    bench.learn()
    for given in ({"split": "train"}, {"split": "train", "filters": "label:transport:yes"}):
        expected = bench.evaluate(given["split"], filters=given.get("filters", "").split())
        _, answer = mcp(address, HEADERS, "evaluate", {"project": "judged", **given})
        assert not answer.isError
        for found in (
            json.loads(answer.content[0].text),
            ask(robot, "evaluate", project="judged", **given),
        ):
            assert found == json.loads(json.dumps(asdict(expected))), "no number is NaN here"
            promised = {"mAP", "CF1", "OF1", "ap", "coverage", "mean_set_size", "ece", "n"}
            assert promised <= found.keys()
            assert found["version"] == bench.version > 0
    whole = ask(robot, "evaluate", project="judged", split="train")
    assert whole["n"] == 4
    assert set(whole["ap"]) >= {"transport"}
    assert 0 < whole["mAP"] <= 1
    assert whole["mAP"] == pytest.approx(sum(whole["ap"].values()) / len(whole["ap"]))
    context.open("notes")  # where nothing is named the other tests mean this one


def test_without_credentials_no_tool_answers(address: str) -> None:
    call = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "suggest", "arguments": {}},
    }
    accept = {"Accept": "application/json, text/event-stream"}
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}):
        for path in ("/gradio_api/mcp/", "/gradio_api/call/suggest"):
            answer = httpx.post(f"{address}{path}", json=call, headers={**accept, **headers})
            assert answer.status_code == 401
    assert httpx.get(f"{address}/gradio_api/mcp/schema").status_code == 401


def test_a_read_only_server_takes_no_verdict_from_programs(home: api.Settings) -> None:
    tools = Tools(Context(home, "notes", is_read_only=True))
    before = {path.name for path in Path(home.home).rglob("*.zip")}
    with pytest.raises(api.RefusedError, match="read-only"):
        tools.correct("[]", request=None)  # type: ignore[arg-type]
    with pytest.raises(api.RefusedError, match="read-only"):
        tools.export(request=None)  # type: ignore[arg-type]
    assert {path.name for path in Path(home.home).rglob("*.zip")} == before


def test_names_that_are_numbers_are_names_before_they_are_ids(
    settings: api.Settings, tmp_path: Path
) -> None:
    # Each id but the first is the name of another sample, and each label's of the other.
    file = tmp_path / "numbers.jsonl"
    rows = [{"sample": str(i + 2), "text": text} for i, text in enumerate(NOTES)]
    file.write_text("\n".join(json.dumps(row) for row in rows), "utf-8")
    made = api.create_project("n", labels=["2", "1"], encoder="words", settings=settings)
    made.add(file)
    assert {one.id: one.name for one in made.samples()} == {1: "2", 2: "3", 3: "4", 4: "5"}
    assert {one.id: one.name for one in made.labels()} == {1: "2", 2: "1"}
    made.close()
    context = Context(settings, "n")
    tools: Any = Tools(context)
    asks = Request({"type": "http"})

    def names(told: str) -> list[str]:
        return [row["sample"] for row in json.loads(told)]

    def explained(**given: Any) -> tuple[str, str, str]:
        why = json.loads(tools.explain(request=asks, top=1, **given))
        (label,) = why["labels"]
        return why["sample"], label["label"], label["parts"][0]["text"]

    try:
        for asked, told in (
            ("2", ["2"]),
            ("3, 4", ["3", "4"]),
            ('["3", "2"]', ["3", "2"]),
            ("[3, 2]", ["4", "3"]),
            ('[1, "1", "2"]', ["2", "2", "2"]),
            ("1", ["2"]),
        ):
            assert names(tools.suggest(samples=asked)) == told, asked
        assert names(tools.suggest(samples=2)) == ["3"]
        assert names(tools.suggest(samples=["2", 2])) == ["2", "3"]

        queue = names(tools.next(request=asks, k=9, picker="random"))
        assert sorted(queue) == ["2", "3", "4", "5"]
        for name in queue:
            sample, label, word = explained(sample=name, label="1")
            assert (sample, label) == (name, "1")
            assert word in NOTES[int(name) - 2]
        assert explained(sample="3", label="2")[:2] == ("3", "2")
        assert explained(sample=3, label=2)[:2] == ("4", "1"), "numbers are ids"

        def found(**given: Any) -> list[str]:
            return names(tools.search(request=asks, **given))

        assert found(sample="3", k=1) == ["3"]
        assert set(found(like="2,3", k=9)) == {"4", "5"}
        assert set(found(like="[2, 3]", k=9)) == {"2", "5"}
        assert set(found(like="2", unlike="5", k=9)) == {"3", "4"}

        tools.slices(request=asks, action="save", name="some", samples="3, 4")
        assert context.open().saved_slices() == {"some": {2, 3}}

        said = json.dumps([{"sample": "3", "label": "1", "verdict": "yes"}])
        tools.correct(said, request=asks)
        assert context.open().verdicts() == {2: {2: api.Verdict.YES}}

        for wrong in ("[true]", "[null]", "[1.5]", '[["2"]]'):
            with pytest.raises(api.BadInputError, match="neither a name nor an id"):
                tools.suggest(samples=wrong)
        with pytest.raises(api.NotFoundError, match="no sample"):
            tools.suggest(samples=f"[{10**30}]")
    finally:
        context.close()
