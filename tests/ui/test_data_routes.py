"""The Data page's requests on a real project: import, labels, exports, media, projects."""

from __future__ import annotations

import ast
import csv
import io
import json
import os
import shutil
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from backend import api
from backend.store.database import Database
from backend.store.project import ProjectStore
from tests.ui.conftest import HOSTILE, NOTES, ORIGIN, make_notes, routes_only
from tests.ui.test_uploads import batch
from ui.routes.imports import in_words_of_the_page, problems_csv
from ui.uploads import FOLDER


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the projects "notes" and "other", made once."""
    folder = tmp_path_factory.mktemp("prepared")
    home = folder / "home"
    settings = api.Settings.from_environ({**os.environ, "PATCHLANE_HOME": str(home)})
    make_notes(settings, folder, "other")
    make_notes(settings, folder, "notes")
    return home


@pytest.fixture
def filled(prepared: Path, settings: api.Settings) -> api.Settings:
    """Settings of a copy of that home."""
    shutil.copytree(prepared, settings.home)
    return settings


@pytest.fixture
def mine(filled: api.Settings) -> Iterator[TestClient]:
    """A server of that copy."""
    with TestClient(routes_only(filled, default_project="notes"), base_url=ORIGIN) as client:
        yield client


def wait(client: TestClient, job: str, project: str = "notes") -> dict[str, object]:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        jobs = client.get("/pl/api/jobs", params={"project": project}).json()["jobs"]
        found = next(row for row in jobs if row["id"] == job)
        if found["state"] not in ("queued", "running"):
            return found
        time.sleep(0.02)
    raise AssertionError("the job takes too long")


def send(client: TestClient, *files: tuple[object, bytes]) -> str:
    upload = client.post("/pl/api/uploads").json()["id"]
    answer = client.post(f"/pl/api/uploads/{upload}", content=batch(*files))
    assert answer.status_code == 200, answer.text
    return upload


def take(client: TestClient, **source: object) -> dict[str, object]:
    started = client.post("/pl/api/imports", json=source)
    assert started.status_code == 200, started.text
    assert wait(client, started.json()["job"])["state"] == "done"
    return next(r for r in client.get("/pl/api/imports").json() if r["id"] == started.json()["id"])


ROWS = [
    {"sample": "new-1", "text": "A tram stopped", "labels": ["transport", "<b>city</b>"]},
    {"sample": "new-2", "text": "Rice with tomatoes", "labels": {"food": "yes"}},
    {"sample": "new-3"},
]
LINES = "\n".join(json.dumps(row) for row in ROWS).encode()


def test_preview_stores_nothing_and_an_import_reports_everything(mine: TestClient) -> None:
    upload = send(mine, ("more.jsonl", LINES), ("../evil.jsonl", LINES))
    seen = mine.post("/pl/api/imports/preview", json={"upload": upload}).json()
    assert (seen["kind"], seen["samples"], seen["formats"]) == ("text", 2, ["jsonl"])
    assert seen["labels"] == ["transport", "<b>city</b>", "food"]
    assert [row["text"] for row in seen["first"]] == ["A tram stopped", "Rice with tomatoes"]
    assert "../evil.jsonl" in {row["file"] for row in seen["problems"]}
    assert mine.get("/pl/api/shell").json()["project"]["samples"] == len(NOTES)

    record = take(mine, upload=upload, create_labels=True)
    report = record["report"]
    assert report["imported"] == 2
    assert report["skipped"] == len(report["errors"]) == report["problems"]
    assert "../evil.jsonl" in {row["file"] for row in report["errors"]}
    told = mine.get("/pl/api/shell").json()["project"]
    assert (told["samples"], told["encoded"]) == (len(NOTES) + 2, len(NOTES) + 2)
    assert "<b>city</b>" in {label["name"] for label in mine.get("/pl/api/labels").json()}

    table = mine.get(f"/pl/api/imports/{record['id']}/report.csv")
    assert "attachment" in table.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert {row["file"] for row in rows} == {row["file"] for row in report["errors"]}

    for op in record["ops"]:
        undone = mine.post("/pl/api/undo", json={"op": op})
        assert undone.status_code == 200, undone.text
    assert mine.get("/pl/api/shell").json()["project"]["samples"] == len(NOTES)


def test_an_empty_project_takes_the_kind_of_what_is_sent_to_it(mine: TestClient) -> None:
    made = mine.post("/pl/api/projects", json={"name": "empty", "kind": "image", "labels": ["sea"]})
    assert made.status_code == 200, made.text
    before = mine.get("/pl/api/shell").json()["project"]
    assert (before["name"], before["kind"], before["takesAny"]) == ("empty", "image", True)
    started = mine.post("/pl/api/imports", json={"upload": send(mine, ("more.jsonl", LINES))})
    assert wait(mine, started.json()["job"], "empty")["state"] == "done"
    after = mine.get("/pl/api/shell").json()["project"]
    assert (after["kind"], after["takesAny"], after["samples"]) == ("text", False, 2)
    assert not mine.get("/pl/api/shell", params={"project": "notes"}).json()["project"]["takesAny"]


@pytest.mark.parametrize(
    "page",
    ["shell", "queue", "audit", "certainty", "evaluation", "learn", "people", "facets"],
)
def test_pages_know_that_a_disk_takes_nothing(
    mine: TestClient, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told() -> bool:
        answer = mine.get(f"/pl/api/{page}")
        assert answer.status_code == 200, answer.text
        return next(answer.json()[key] for key in ("readOnly", "read_only") if key in answer.json())

    assert not told()
    monkeypatch.setattr(ProjectStore, "is_read_only", property(lambda _: True))
    assert told()
    assert mine.get("/pl/api/shell").json()["canMake"], "another project may lie elsewhere"


def test_a_preview_counts_all_that_is_wrong(mine: TestClient) -> None:
    lines = b"\n".join(b"not json" for _ in range(250))
    upload = send(mine, ("bad.jsonl", lines), ("../evil.jsonl", LINES))
    seen = mine.post("/pl/api/imports/preview", json={"upload": upload}).json()
    assert seen["numProblems"] == 251
    assert len(seen["problems"]) == 200


def test_what_came_in_otherwise_is_not_called_skipped(mine: TestClient) -> None:
    row = json.dumps({"sample": "notes0", "text": "Another text by a name that is taken"})
    record = take(mine, upload=send(mine, ("more.jsonl", f"{row}\nnot json".encode())))
    report = record["report"]
    assert (report["imported"], report["skipped"]) == (1, 1)
    assert [row["file"] for row in report["errors"]] == ["more.jsonl"]
    assert report["problems"] == 1
    assert report["otherwise"] == [
        {"file": "notes0", "reason": "another sample has this name; taken in as notes0 (2)"}
    ]
    assert report["numOtherwise"] == 1
    text = mine.get(f"/pl/api/imports/{record['id']}/report.csv").text
    assert [row["file"] for row in csv.DictReader(io.StringIO(text))] == ["more.jsonl", "notes0"]


def test_a_report_outlives_the_server(filled: api.Settings) -> None:
    app = {"default_project": "notes"}
    lines = LINES + b"\n" + b"\n".join(b"not json" for _ in range(1100))
    with TestClient(routes_only(filled, **app), base_url=ORIGIN) as client:
        before = take(client, upload=send(client, ("more.jsonl", lines)), create_labels=True)
        old = client.get("/pl/api/imports").json()
        assert [row["title"] for row in old] == ["more.jsonl", "notes.jsonl"], "not twice"
    with TestClient(routes_only(filled, **app), base_url=ORIGIN) as client:
        after, made = client.get("/pl/api/imports").json()
        assert before["report"].pop("numKept") == 1101
        assert after["report"].pop("numKept") == 1000
        assert after["report"] == before["report"]
        assert after["report"]["problems"] == 1101
        assert (after["title"], after["ops"], after["undone"]) == (
            "more.jsonl",
            before["ops"],
            False,
        )
        assert made["report"]["imported"] == len(NOTES), "what the command line brought in"
        table = client.get(f"/pl/api/imports/{after['id']}/report.csv").text
        rows = list(csv.DictReader(io.StringIO(table)))
        assert len(rows) == 1001, "the log keeps the first thousand, and that there were more"
        assert rows[-1]["reason"] == "101 more problems were not kept, only their number"
        assert client.post("/pl/api/undo", json={"op": after["ops"][0]}).status_code == 200
        assert [row["undone"] for row in client.get("/pl/api/imports").json()] == [True, False]


def after_a_hundred(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    """Something happens in each import when it has read its first hundred rows."""
    add = api.Workbench.add

    def add_and_more(*args: Any, progress: Any, **options: Any) -> api.ImportReport:
        def told(done: int, *rest: Any) -> None:
            if done == 100:
                happens()
            progress(done, *rest)

        return add(*args, progress=told, **options)

    monkeypatch.setattr(api.Workbench, "add", add_and_more)


MANY = "\n".join(json.dumps({"sample": f"m{n}", "text": f"many {n}"}) for n in range(250)).encode()


def test_a_file_that_cannot_be_read_is_named_and_the_others_come_in(mine: TestClient) -> None:
    bad = b"price,weight\n1,2\n"
    record = take(mine, upload=send(mine, ("a.csv", bad), ("b.jsonl", LINES)), create_labels=True)
    report = record["report"]
    assert (report["imported"], report["skipped"], record["error"]) == (2, 2, "")
    (told,) = [row for row in report["errors"] if row["file"] == "a.csv"]
    assert "none of the formats" in told["reason"]
    assert "--" not in told["reason"]
    assert len(record["ops"]) == 1, "nothing of the first one is there to undo"
    assert mine.post("/pl/api/undo", json={"op": record["ops"][0]}).status_code == 200


def test_where_no_file_can_be_read_the_import_failed(mine: TestClient) -> None:
    upload = send(mine, ("a.csv", b"price,weight\n1,2\n"))
    started = mine.post("/pl/api/imports", json={"upload": upload}).json()
    job = wait(mine, started["job"])
    assert job["state"] == "failed"
    assert "choose how to read it" in job["error"]
    record = mine.get("/pl/api/imports").json()[0]
    assert [row["file"] for row in record["report"]["errors"]] == ["a.csv"]
    assert record["ops"] == []


@pytest.mark.parametrize(
    ("ending", "words"),
    [("cancel", "It was cancelled"), ("fault", "by zero"), ("full disk", "disk is full")],
)
def test_an_import_that_is_cut_off_says_what_came_in_and_can_be_undone(
    filled: api.Settings,
    ending: str,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def stop() -> None:
        if ending == "fault":
            raise ZeroDivisionError("by zero")
        if ending == "full disk":
            raise api.SaveError("the disk is full")
        (job,) = client.get("/pl/api/jobs").json()["jobs"]
        client.post(f"/pl/api/jobs/{job['id']}/cancel")

    after_a_hundred(monkeypatch, stop)
    app = {"default_project": "notes"}
    one = json.dumps({"sample": "one", "text": "The first file"}).encode()
    with TestClient(routes_only(filled, **app), base_url=ORIGIN) as client:
        upload = send(client, ("a.jsonl", one), ("b.jsonl", MANY))
        started = client.post("/pl/api/imports", json={"upload": upload}).json()
        state = wait(client, started["job"])["state"]
        assert state == ("cancelled" if ending == "cancel" else "failed")
        told = client.get("/pl/api/imports").json()[0]
        assert told["report"]["imported"] == 101
        assert words in told["error"]
        assert "undo takes it back" in told["error"]
        assert len(told["ops"]) == 2
        shell = client.get("/pl/api/shell").json()["project"]
        assert (shell["samples"], shell["encoded"]) == (len(NOTES) + 101, len(NOTES) + 101)
        assert ("ZeroDivisionError" in caplog.text) == (ending == "fault")
        assert client.post("/pl/api/imports", json={"upload": upload}).status_code == 404
    with TestClient(routes_only(filled, **app), base_url=ORIGIN) as client:
        second, first, _ = client.get("/pl/api/imports").json()
        assert (second["title"], second["report"]["imported"]) == ("b.jsonl", 100)
        assert "did not come to its end" in second["error"]
        assert (first["title"], first["error"]) == ("a.jsonl", "")
        for op in told["ops"]:
            assert client.post("/pl/api/undo", json={"op": op}).status_code == 200
        assert client.get("/pl/api/shell").json()["project"]["samples"] == len(NOTES)


def test_an_import_that_is_undone_while_it_runs_stops_there(
    mine: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    after_a_hundred(monkeypatch, lambda: mine.post("/pl/api/undo", json={}))
    upload = send(mine, ("a.jsonl", MANY), ("b.jsonl", LINES))
    started = mine.post("/pl/api/imports", json={"upload": upload}).json()
    assert wait(mine, started["job"])["state"] == "failed"
    told = mine.get("/pl/api/imports").json()[0]
    assert "undone while it was running" in told["error"]
    assert mine.get("/pl/api/shell").json()["project"]["samples"] == len(NOTES)


def test_a_new_project_has_no_imports_of_one_that_had_its_name(mine: TestClient) -> None:
    record = take(mine, upload=send(mine, ("more.jsonl", LINES)), create_labels=True)
    assert mine.delete("/pl/api/projects/notes").status_code == 200
    new = {"name": "notes", "kind": "text", "encoder": "words"}
    assert mine.post("/pl/api/projects", json=new).status_code == 200
    asked = {"project": "notes"}
    assert mine.get("/pl/api/imports", params=asked).json() == []
    report = mine.get(f"/pl/api/imports/{record['id']}/report.csv", params=asked)
    assert report.status_code == 404
    # the earlier one still has its own, once it is back
    assert mine.delete("/pl/api/projects/notes").status_code == 200
    (key,) = [
        one["key"]
        for one in mine.get("/pl/api/removed").json()["projects"]
        if one["name"] == "notes"
    ][1:]
    restored = mine.post(f"/pl/api/projects/{key}/restore")
    assert restored.status_code == 200, restored.text
    told = mine.get("/pl/api/imports", params=asked).json()
    assert [one["title"] for one in told] == ["more.jsonl", "notes.jsonl"]


def test_an_import_that_was_cancelled_before_its_turn_is_none(
    mine: TestClient, filled: api.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    add, is_free = api.Workbench.add, Event()

    def wait_and_add(*args: Any, **options: Any) -> Any:
        is_free.wait(60)
        return add(*args, **options)

    monkeypatch.setattr(api.Workbench, "add", wait_and_add)
    first, second = (
        mine.post("/pl/api/imports", json={"upload": send(mine, (f"{n}.jsonl", LINES))}).json()
        for n in "ab"
    )
    assert mine.post(f"/pl/api/jobs/{second['job']}/cancel").status_code == 200
    is_free.set()
    wait(mine, first["job"])
    told = [one["title"] for one in mine.get("/pl/api/imports").json()]
    assert ("a.jsonl" in told, "b.jsonl" in told) == (True, False)
    assert list((filled.home / FOLDER).iterdir()) == [], "nobody needs what was sent any more"


def test_a_file_of_no_format_asks_for_one_in_words_of_the_page(mine: TestClient) -> None:
    upload = send(mine, ("what.json", b'{"rows": []}'))
    seen = mine.post("/pl/api/imports/preview", json={"upload": upload}).json()
    (told,) = seen["problems"]
    assert "choose how to read it" in told["reason"]
    assert "--" not in told["reason"]
    assert {"auto", "coco", "csv_table"} <= set(seen["choices"])
    named = {"upload": upload, "format": "coco"}
    seen = mine.post("/pl/api/imports/preview", json=named).json()
    assert seen["formats"] == ["coco"]
    named["format"] = "whatever"
    (told,) = mine.post("/pl/api/imports/preview", json=named).json()["problems"]
    assert "unknown format 'whatever'" in told["reason"]


def test_a_named_format_is_that_of_an_archives_files(mine: TestClient) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.csv", "sample,text,labels\nz,A bus,transport\n")
        archive.writestr("b.jsonl", json.dumps({"sample": "y", "text": "A tram"}))
    upload = send(mine, ("set.zip", packed.getvalue()))
    for format, name in (("auto", "y"), ("csv_table", "z")):
        source = {"upload": upload, "format": format}
        seen = mine.post("/pl/api/imports/preview", json=source).json()
        assert [row["name"] for row in seen["first"]] == [name]
    assert take(mine, upload=upload, format="csv_table")["report"]["annotations"] == 1


def test_links_are_followed_when_asked_to(mine: TestClient, tmp_path: Path) -> None:
    (tmp_path / "real.txt").write_text("A text behind a link")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link.txt").symlink_to(tmp_path / "real.txt")
    source = {"path": str(tmp_path / "in")}
    seen = mine.post("/pl/api/imports/preview", json=source).json()
    assert [row["reason"] for row in seen["problems"]] == [
        'is a link; tick "Follow links" to take what it points to'
    ]
    source["follow_links"] = True
    assert mine.post("/pl/api/imports/preview", json=source).json()["samples"] == 1
    assert take(mine, **source)["report"]["imported"] == 1


def test_no_reason_names_an_option_of_the_command_line() -> None:
    """Every text of the rooms that imports go through, as the page would show it."""
    backend = Path(api.__file__).parent
    rooms = [backend / "intake.py", *(backend / "methods" / "readers").glob("*.py")]
    rooms += (backend / "store").glob("intake*.py")
    for room in rooms:
        tree = ast.parse(room.read_text("utf-8"))
        documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
        about = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, documented) and ast.get_docstring(node)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert id(node) in about or "--" not in in_words_of_the_page(node.value), room


def test_a_table_of_reasons_holds_no_formula() -> None:
    text = problems_csv([api.FileProblem("=cmd|' /C calc'!A0", "@SUM(1)\n, and a comma")])
    assert list(csv.reader(io.StringIO(text)))[1] == [
        "'=cmd|' /C calc'!A0",
        "'@SUM(1)\n, and a comma",
    ]


def test_an_archive_that_leads_out_is_refused_by_name(mine: TestClient) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("good.txt", "A quiet text")
        archive.writestr("../../evil.txt", "A text that leads out")
    upload = send(mine, ("set.zip", packed.getvalue()))
    report = take(mine, upload=upload)["report"]
    assert report["imported"] == 1
    assert any("evil.txt" in row["file"] for row in report["errors"])


def test_an_upload_over_the_limit_is_refused_with_the_limit_and_logged(
    settings: api.Settings, caplog: pytest.LogCaptureFixture
) -> None:
    small = replace(settings, limits=replace(settings.limits, upload_bytes=100))
    with TestClient(routes_only(small), base_url=ORIGIN) as client:
        upload = client.post("/pl/api/uploads").json()["id"]
        answer = client.post(f"/pl/api/uploads/{upload}", content=batch(("big.jpg", b"x" * 101)))
    assert answer.status_code == 413
    assert answer.json()["detail"] == "big.jpg has 101 bytes; the limit is 100"
    assert "upload refused: 'big.jpg has 101 bytes; the limit is 100'" in caplog.text


def test_a_path_of_the_server(mine: TestClient, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "one.txt").write_text("Only one text")
    report = take(mine, path=str(tmp_path / "in"))["report"]
    assert (report["imported"], report["skipped"]) == (1, 0)
    for path, status, words in (
        ("relative/x", 400, "whole path"),
        ("", 400, "whole path"),
        ("~nobody-of-this-name/photos", 400, "whole path"),
        (str(tmp_path / "absent"), 404, "there is nothing at"),
        (f"/{'x' * 300}", 400, "cannot be opened: File name too long"),
    ):
        for route in ("/pl/api/imports/preview", "/pl/api/imports"):
            answer = mine.post(route, json={"path": path})
            assert answer.status_code == status, answer.text
            assert words in answer.json()["detail"]


def test_paths_of_the_server_are_closed_to_others(
    filled: api.Settings,
) -> None:
    with TestClient(routes_only(filled, is_local=False), base_url=ORIGIN) as client:
        for route in ("/pl/api/imports/preview", "/pl/api/imports"):
            answer = client.post(route, json={"path": "/etc"})
            assert answer.status_code == 403
            assert "on the server's own machine" in answer.json()["detail"]


def test_labels_are_edited_and_taken_back(mine: TestClient) -> None:
    def edit(**change: object) -> dict[str, dict[str, object]]:
        answer = mine.post("/pl/api/labels", json=change)
        assert answer.status_code == 200, answer.text
        return {row["name"]: row for row in answer.json()}

    labels = edit(action="add", names=[" hotel ", "hotel", "", "room"])
    assert list(labels) == ["transport", "food", HOSTILE, "hotel", "room"]
    food, room, hotel = (labels[name]["id"] for name in ("food", "room", "hotel"))
    row = {"sample": 1, "label": room, "verdict": "yes"}
    mine.post("/pl/api/commit", json={"op": "operation-1", "rows": [row]})
    labels = edit(
        action="describe",
        label=food,
        definition="What one eats",
        aliases=["meal"],
        colour="#00ff00",
        key="f2"[1],
    )
    assert {k: labels["food"][k] for k in ("definition", "aliases", "colour", "key")} == {
        "definition": "What one eats",
        "aliases": ["meal"],
        "colour": "#00ff00",
        "key": "2",
    }
    assert edit(action="parent", label=room, parent=hotel)["room"]["parent"] == hotel
    assert "suite" in edit(action="rename", label=room, name=" suite ")
    labels = edit(action="merge", label=room, into=hotel)
    assert "suite" not in labels
    assert labels["hotel"]["yes"] == 1
    assert "hotel" not in edit(action="remove", label=hotel)
    mine.post("/pl/api/undo", json={})
    mine.post("/pl/api/undo", json={})
    names = {row["name"]: row for row in mine.get("/pl/api/labels").json()}
    assert names["suite"]["yes"] == 1
    assert "hotel" in names


def test_one_edit_of_labels_is_taken_back_whatever_came_after_it(mine: TestClient) -> None:
    def edit(**change: object) -> set[str]:
        answer = mine.post("/pl/api/labels", json=change)
        assert answer.status_code == 200, answer.text
        return {row["name"] for row in answer.json()}

    def names() -> set[str]:
        return {row["name"] for row in mine.get("/pl/api/labels").json()}

    gone = {"action": "remove", "label": 1, "op": "removal-of-transport"}
    assert edit(**gone) == {"food", HOSTILE}
    assert edit(action="rename", label=2, name="meal", op="another-name-of-food") == {
        "meal",
        HOSTILE,
    }
    # A browser that lost the answer asks again: it is the same action.
    assert edit(**gone) == {"meal", HOSTILE}
    done = mine.post("/pl/api/undo", json={"op": "removal-of-transport"}).json()
    assert done["deed"]["kind"] == "remove label"
    assert names() == {"transport", "meal", HOSTILE}, "the new name of the other label stays"
    assert mine.post("/pl/api/undo", json={}).json()["deed"]["kind"] == "rename label"
    assert names() == {"transport", "food", HOSTILE}
    refused = mine.post("/pl/api/labels", json={**gone, "op": "a b"})
    assert refused.status_code == 422


@pytest.mark.parametrize(
    "change",
    [
        {"action": "add", "names": ["x" * 201]},
        {"action": "describe", "label": 1, "colour": "red; background: url(//evil)"},
        {"action": "describe", "label": 1, "key": "ab"},
        {"action": "describe", "label": 1, "key": "C"},
        {"action": "rename", "label": 999, "name": "x"},
        {"action": "merge", "label": 1, "into": 1},
        {"action": "explode", "label": 1},
    ],
)
def test_a_label_edit_that_makes_no_sense_is_refused(
    mine: TestClient, change: dict[str, object]
) -> None:
    before = mine.get("/pl/api/labels").json()
    answer = mine.post("/pl/api/labels", json=change)
    assert 400 <= answer.status_code < 500, answer.text
    assert mine.get("/pl/api/labels").json() == before


def test_projects_are_made_removed_and_brought_back(mine: TestClient) -> None:
    new = {
        "name": "trip 2026",
        "kind": "text",
        "labels": ["sea", " sea ", "snow"],
        "encoder": "words",
    }
    made = mine.post("/pl/api/projects", json=new)
    assert made.status_code == 200, made.text
    assert (made.json()["name"], made.json()["labels"]) == ("trip 2026", 2)
    assert mine.post("/pl/api/projects", json=new).status_code == 400, "the name is taken"
    assert mine.get("/pl/api/shell").json()["project"]["name"] == "trip 2026", "last opened"
    rows = {row["name"]: row for row in mine.get("/pl/api/projects").json()}
    assert set(rows) == {"notes", "other", "trip 2026"}
    assert rows["notes"]["bytes"] > 0
    assert mine.delete("/pl/api/projects/trip 2026").status_code == 200
    gone = mine.get("/pl/api/shell", params={"project": "trip 2026"})
    assert gone.status_code == 404
    assert mine.post("/pl/api/projects/trip 2026/restore").status_code == 200
    assert len(mine.get("/pl/api/projects").json()) == 3


def test_what_was_removed_is_listed_and_deleted_for_good(
    mine: TestClient, settings: api.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine.post("/pl/api/labels", json={"action": "remove", "label": 1})
    removed = mine.get("/pl/api/removed").json()
    assert removed == {"samples": 0, "labels": 1, "unswept": False, "projects": []}
    with monkeypatch.context() as patch:

        def full(_: Database) -> None:
            raise api.SaveError("the disk is full")

        patch.setattr(Database, "vacuum", full)
        job = wait(mine, mine.post("/pl/api/compact").json()["job"])
    assert (job["state"], "do it again later" in str(job["note"])) == ("done", True)
    left = {**removed, "labels": 0, "unswept": True}
    assert mine.get("/pl/api/removed").json() == left
    job = wait(mine, mine.post("/pl/api/compact").json()["job"])
    assert (job["state"], job["note"]) == ("done", "")
    assert mine.get("/pl/api/removed").json() == {**left, "unswept": False}
    assert mine.post("/pl/api/undo", json={}).json()["deed"]["kind"] != "remove label"
    assert mine.delete("/pl/api/projects/other").status_code == 200
    (gone,) = mine.get("/pl/api/removed").json()["projects"]
    assert gone["name"] == "other"
    for key in ("notes", "..%2Fnotes", "other"):
        assert mine.delete(f"/pl/api/removed/{key}").status_code in (400, 404)
    assert mine.delete(f"/pl/api/removed/{gone['key']}").json() == {"deleted": "other"}
    assert mine.get("/pl/api/removed").json()["projects"] == []
    assert (settings.home / "notes").is_dir()


def test_a_read_only_server_deletes_nothing(filled: api.Settings) -> None:
    with TestClient(
        routes_only(filled, default_project="notes", is_read_only=True), base_url=ORIGIN
    ) as client:
        assert client.post("/pl/api/compact").status_code == 403
        assert client.delete("/pl/api/removed/x").status_code == 403


def test_a_project_that_lies_elsewhere_is_not_moved(
    prepared: Path, settings: api.Settings, tmp_path: Path
) -> None:
    shutil.copytree(prepared / "notes", tmp_path / "elsewhere" / "notes")
    app = routes_only(settings, default_project=tmp_path / "elsewhere" / "notes")
    with TestClient(app, base_url=ORIGIN) as client:
        answer = client.delete("/pl/api/projects/notes")
        assert answer.status_code == 403
        assert "outside of the projects here" in answer.json()["detail"]
        assert client.get("/pl/api/shell").json()["project"]["samples"] == len(NOTES)


def test_a_request_names_no_encoder_file(mine: TestClient) -> None:
    new = {"name": "x", "kind": "text", "encoder": "sentence:/etc"}
    for route in ("/pl/api/projects", "/pl/api/encoder"):
        answer = mine.post(route, json=new)
        assert answer.status_code == 400
        assert "patchlane new --encoder" in answer.json()["detail"]


def test_samples_are_read_again_on_demand(mine: TestClient) -> None:
    job = mine.post("/pl/api/encoder", json={"encoder": "words"}).json()["job"]
    assert wait(mine, job)["state"] == "done"
    told = mine.get("/pl/api/shell").json()["project"]
    assert (told["encoder"], told["encoded"]) == ("words", len(NOTES))
    job = mine.post("/pl/api/encoder", json={"encoder": "embedded"}).json()["job"]
    assert wait(mine, job)["state"] == "failed", "an encoder of images reads no texts"


@pytest.mark.parametrize("name", ["..", "../up", "a/b", ".hidden", "a\\b", "a\nb", " ", "x" * 101])
def test_a_projects_name_is_never_a_path(mine: TestClient, name: str) -> None:
    answer = mine.post("/pl/api/projects", json={"name": name, "kind": "text", "encoder": "words"})
    assert answer.status_code in (400, 422)
    assert mine.get("/pl/api/shell", params={"project": name}).status_code in (404, 400, 200)
    if name.strip():
        assert mine.get("/pl/api/shell", params={"project": name}).status_code == 404


def test_a_request_for_another_projects_file_is_refused_and_logged(
    mine: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    assert mine.get("/media/other1").status_code == 404
    forged = {"project": "a\nforged line"}
    assert mine.get("/media/1", params=forged).status_code == 404
    first, second = caplog.messages[-2:]
    assert first.startswith("GET '/media/other1': NotFoundError")
    assert "\n" not in second


def test_a_request_reaches_no_folder_that_is_no_project(
    mine: TestClient, settings: api.Settings
) -> None:
    for name in ("../home/notes", str(settings.home / "notes"), ".removed", "notes/../other"):
        assert mine.get("/media/1", params={"project": name}).status_code == 404


def test_media_are_text_and_cached_by_content(mine: TestClient) -> None:
    answer = mine.get("/media/1")
    assert answer.text == NOTES[0]
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert answer.headers["cache-control"].endswith("must-revalidate")
    tag = answer.headers["etag"]
    assert mine.get("/media/1", headers={"If-None-Match": tag}).status_code == 304
    named = mine.get("/media/1", params={"v": tag.strip('"')[:16]})
    assert named.headers["cache-control"].endswith("immutable")
    assert (
        mine.get("/media/1", params={"v": "another"})
        .headers["cache-control"]
        .endswith("must-revalidate")
    )
    assert mine.get("/media/notes1").text == NOTES[1]
    assert mine.get("/media/other1").status_code == 404, "a sample of another project"
    for sample in ("999", "..%2Fnotes.sqlite3", "../../etc/passwd"):
        assert mine.get(f"/media/{sample}").status_code == 404


def test_an_export_is_packed_and_says_what_it_lost(
    mine: TestClient, settings: api.Settings
) -> None:
    rows = [{"sample": 1, "label": 1, "verdict": "yes"}, {"sample": 1, "label": 2, "verdict": "no"}]
    mine.post("/pl/api/commit", json={"op": "operation-1", "rows": rows})
    job = mine.post("/pl/api/exports", json={"format": "jsonl"}).json()["job"]
    assert wait(mine, job)["state"] == "done"
    told = mine.get("/pl/api/exports").json()
    by_person = {"jsonl-by-person", "csv-by-person"}
    assert set(told["formats"]) == {"jsonl", "csv", "label-maps"} | by_person, "COCO holds no texts"
    export = told["exports"][0]
    assert (export["format"], export["samples"]) == ("jsonl", len(NOTES))
    answer = mine.get(f"/pl/api/exports/{export['name']}")
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        text = "".join(
            archive.read(name).decode() for name in archive.namelist() if name.endswith(".jsonl")
        )
    first = next(row for row in map(json.loads, text.splitlines()) if row["sample"] == "notes0")
    assert first["labels"] == {"transport": "yes", "food": "no"}
    left = [path.name for path in (settings.home / "notes" / "exports").iterdir()]
    assert sorted(left) == sorted([export["name"], export["name"].replace(".zip", ".json")])
    for name in ("..%2Fproject.zip", "x.zip", export["name"].replace(".zip", ".json")):
        assert mine.get(f"/pl/api/exports/{name}").status_code == 404
    other = mine.get(f"/pl/api/exports/{export['name']}", params={"project": "other"})
    assert other.status_code == 404
    gone = mine.delete(f"/pl/api/exports/{export['name']}", params={"project": "notes"})
    assert gone.status_code == 200
    assert mine.get("/pl/api/exports").json()["exports"] == []
    assert mine.post("/pl/api/exports", json={"format": "../x"}).status_code == 400


@pytest.fixture
def pictures(filled: api.Settings, tmp_path: Path) -> Iterator[TestClient]:
    """A server with a project of three pictures, one of them linked, of two splits."""
    rows = []
    for number in range(3):
        Image.new("RGB", (8, 8), (number * 80, 0, 0)).save(tmp_path / f"{number}.png")
        rows.append({"file": f"{number}.png", "split": "val" if number == 2 else "train"})
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows[1:])))
    bench = api.create_project("pictures", labels=["red"], settings=filled)
    bench.add(tmp_path / "rows.jsonl", encode=False)
    bench.add(tmp_path / "0.png", link=True, encode=False)
    bench.correct([{"sample": "2.png", "label": "red", "verdict": "yes"}])
    bench.close()
    with TestClient(routes_only(filled, default_project="pictures"), base_url=ORIGIN) as client:
        yield client


def packed(client: TestClient, **wanted: object) -> tuple[dict[str, object], zipfile.ZipFile]:
    started = client.post("/pl/api/exports", json=wanted)
    assert started.status_code == 200, started.text
    assert wait(client, started.json()["job"], "pictures")["state"] == "done"
    export = client.get("/pl/api/exports").json()["exports"][0]
    content = client.get(f"/pl/api/exports/{export['name']}").content
    return export, zipfile.ZipFile(io.BytesIO(content))


def test_pictures_go_from_where_they_lie_into_the_zip(
    pictures: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "copyfile", lambda *_: pytest.fail("a picture was copied"))
    for format in ("jsonl", "coco", "yolo", "csv"):
        export, archive = packed(pictures, format=format)
        held = {Path(n).name: archive.read(n) for n in archive.namelist() if n.endswith(".png")}
        assert held == {f"{n}.png": (tmp_path / f"{n}.png").read_bytes() for n in range(3)}
        assert (export["samples"], export["has_media"], export["split"]) == (3, True, "")
        pictures.delete(f"/pl/api/exports/{export['name']}")


def test_a_linked_picture_of_no_date_is_packed(pictures: TestClient, tmp_path: Path) -> None:
    """A zip knows years from 1980 to 2107 only."""
    for when in (0, 5_000_000_000):
        os.utime(tmp_path / "0.png", (when, when))
        export, archive = packed(pictures, format="jsonl")
        assert archive.read("media/0.png") == (tmp_path / "0.png").read_bytes()
        pictures.delete(f"/pl/api/exports/{export['name']}")


def test_an_export_may_leave_out_pictures_and_splits(pictures: TestClient) -> None:
    told = pictures.get("/pl/api/exports").json()
    assert told["splits"] == {"train": 2, "val": 1}
    export, archive = packed(pictures, format="jsonl", media=False, split="val")
    assert [n for n in archive.namelist() if n.endswith(".png")] == []
    lines = archive.read("annotations.jsonl").decode().splitlines()
    assert [json.loads(line)["image"] for line in lines] == ["2.png"]
    assert (export["samples"], export["annotations"]) == (1, 1)
    assert (export["has_media"], export["split"]) == (False, "val")
    assert export["lost"]["media_files"] == 1
    assert pictures.post("/pl/api/exports", json={"format": "csv", "split": "x"}).status_code == 422


def test_jobs_are_asked_for_cheaply(mine: TestClient) -> None:
    answer = mine.get("/pl/api/jobs")
    tag = answer.headers["etag"]
    assert mine.get("/pl/api/jobs", headers={"If-None-Match": tag}).status_code == 304
    job = mine.post("/pl/api/exports", json={"format": "csv"}).json()["job"]
    assert mine.get("/pl/api/jobs", headers={"If-None-Match": tag}).status_code == 200
    wait(mine, job)
    assert mine.post("/pl/api/jobs/no-such-job/cancel").status_code == 404
    other = mine.post(f"/pl/api/jobs/{job}/cancel", params={"project": "other"})
    assert other.status_code == 404


def test_an_empty_home_says_what_to_do(settings: api.Settings) -> None:
    with TestClient(routes_only(settings), base_url=ORIGIN) as client:
        assert client.get("/pl/api/shell").json()["project"] is None
        assert client.get("/pl/api/jobs").json() == {"jobs": []}
        answer = client.get("/pl/api/labels")
    assert answer.status_code == 404
    assert "make one on the Data page" in answer.json()["detail"]
