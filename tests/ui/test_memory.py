"""What the server keeps instead of working it out again: listings, sizes, counts."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from backend import api
from tests.ui.conftest import NOTES, ORIGIN, make_notes, routes_only
from ui import desk, folder_sizes, glances
from ui.folder_sizes import FolderSizes
from ui.memo import Memo


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with three projects, made once."""
    folder = tmp_path_factory.mktemp("prepared")
    settings = api.Settings.from_environ({**os.environ, "PATCHLANE_HOME": str(folder / "home")})
    for name in ("first", "notes", "other"):
        make_notes(settings, folder, name)
    return settings.home


@pytest.fixture
def mine(prepared: Path, settings: api.Settings) -> Iterator[TestClient]:
    """A server of a copy of that home."""
    shutil.copytree(prepared, settings.home)
    with TestClient(routes_only(settings, default_project="notes"), base_url=ORIGIN) as client:
        yield client


def commit(client: TestClient, op: str, verdict: str = "yes") -> None:
    rows = [{"sample": 1, "label": 1, "verdict": verdict}]
    answer = client.post("/pl/api/commit", json={"op": op, "rows": rows})
    assert answer.status_code == 200, answer.text


def test_the_bar_opens_no_project_that_did_not_change(
    mine: TestClient, settings: api.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told() -> dict[str, tuple[int, int]]:
        rows = mine.get("/pl/api/shell").json()["projects"]
        return {row["name"]: (row["samples"], row["verdicts"]) for row in rows}

    opened: list[str] = []
    glance = api.glance

    def counted(path: Path, *, settings: api.Settings) -> api.ProjectInfo:
        opened.append(path.name)
        return glance(path, settings=settings)

    monkeypatch.setattr(glances.api, "glance", counted)
    many = len(NOTES)
    assert told() == {"first": (many, 0), "notes": (many, 0), "other": (many, 0)}
    opened.clear()
    for number in range(5):
        commit(mine, f"operation-{number}", "yes" if number % 2 else "no")
        assert told()["notes"] == (many, 1), "what is open is told as it is"
    assert opened == []
    # Somebody else, by the command line
    bench = api.open_project("other", settings=settings)
    bench.correct([{"sample": 1, "label": 1, "verdict": "yes"}])
    bench.close()
    assert told()["other"] == (many, 1)
    assert set(opened) == {"other"}
    shutil.rmtree(settings.home / "first")
    assert set(told()) == {"notes", "other"}


def test_a_project_that_cannot_be_opened_hides_no_other_and_is_named_once(
    mine: TestClient, settings: api.Settings, caplog: pytest.LogCaptureFixture
) -> None:
    (settings.home / "first" / "project.sqlite3").write_bytes(b"no database" * 1000)
    for _ in range(3):
        rows = mine.get("/pl/api/projects").json()
        assert {row["name"] for row in rows} == {"notes", "other"}
    assert len([said for said in caplog.messages if "first is left out" in said]) == 1


def test_a_project_that_could_not_be_opened_once_comes_back(
    mine: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing in it has changed since; whatever was in the way has gone."""
    glance, reasons = api.glance, ["is locked", "is locked", "is locked by another"]

    def busy(path: Path, *, settings: api.Settings) -> api.ProjectInfo:
        if path.name == "first" and reasons:
            raise api.BusyError(reasons.pop(0))
        return glance(path, settings=settings)

    monkeypatch.setattr(glances.api, "glance", busy)

    def told(pause: float) -> set[str]:
        monkeypatch.setattr(glances, "TRY_AGAIN", pause)
        return {row["name"] for row in mine.get("/pl/api/projects").json()}

    assert told(1e9) == told(1e9) == {"notes", "other"}
    assert len(reasons) == 2, "not tried with every request"
    assert [told(0), told(0)] == [{"notes", "other"}] * 2
    assert told(0) == {"first", "notes", "other"}
    said = [message for message in caplog.messages if "first is left out" in message]
    assert [message.split(": ")[1] for message in said] == ["is locked", "is locked by another"]


def counted_by_hand(project: Path) -> int:
    return sum(p.stat().st_size for p in project.rglob("*") if p.is_file() and not p.is_symlink())


def test_sizes_are_exact_and_media_are_listed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "p"
    for at in range(20):
        for folder in ("media", "cache/thumbs/320", "cache/versions"):
            file = project / folder / f"{at % 5}" / f"{at}"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"x" * (at + 1))
    (project / "project.sqlite3").write_bytes(b"x" * 1000)
    (project / "media" / "link").symlink_to(project / "project.sqlite3")
    for folder in [project, *(p for p in project.rglob("*") if p.is_dir())]:
        os.utime(folder, (1_000_000, 1_000_000))
    looked: list[str] = []
    look = folder_sizes._look

    def counted(folder: str, changed_ns: int) -> object:
        looked.append(Path(folder).relative_to(project).as_posix())
        return look(folder, changed_ns)

    monkeypatch.setattr(folder_sizes, "_look", counted)
    sizes = FolderSizes()
    assert sizes.of(project) == counted_by_hand(project)
    looked.clear()
    with (project / "project.sqlite3").open("ab") as database:
        database.write(b"grows in place")
    with (project / "cache" / "versions" / "0" / "0").open("ab") as version:
        version.write(b"as this does")
    assert sizes.of(project) == counted_by_hand(project)
    assert [one for one in looked if one.startswith(("media", "cache/thumbs"))] == []
    # something comes and something goes
    (project / "media" / "0" / "new").write_bytes(b"y" * 77)
    (project / "cache" / "thumbs" / "320" / "1" / "1").unlink()
    for _ in range(2):
        assert sizes.of(project) == counted_by_hand(project)
    # within the time that a file system may give both changes
    (project / "media" / "0" / "newer").write_bytes(b"z" * 5)
    os.utime(project / "media" / "0", ns=(time.time_ns(), time.time_ns()))
    stamp = (project / "media" / "0").stat().st_mtime_ns
    assert sizes.of(project) == counted_by_hand(project)
    (project / "media" / "0" / "newest").write_bytes(b"z" * 6)
    os.utime(project / "media" / "0", ns=(stamp, stamp))
    assert sizes.of(project) == counted_by_hand(project)
    assert sizes.of(tmp_path / "gone") == 0


def test_a_memo_keeps_the_newest_answer_of_each_slot() -> None:
    memo, made = Memo(most=2), []

    def ask(slot: str, stamp: int) -> int:
        def make() -> int:
            made.append((slot, stamp))
            return 10 * stamp

        return memo.get(slot, stamp, make)

    assert [ask("a", 1), ask("a", 1), ask("a", 2), ask("b", 2), ask("a", 2)] == [10, 10, 20, 20, 20]
    assert made == [("a", 1), ("a", 2), ("b", 2)]
    ask("c", 1)  # the slot asked for the longest ago goes
    ask("a", 2)
    ask("b", 2)
    assert made[3:] == [("c", 1), ("b", 2)]
    memo.clear()
    ask("a", 2)
    assert made[5:] == [("a", 2)]


def test_who_asks_for_the_same_at_once_waits_for_one_answer() -> None:
    memo, made = Memo(), []
    barrier = threading.Barrier(4)

    def make() -> object:
        made.append(1)
        time.sleep(0.05)
        return object()

    answers: list[object] = []

    def ask() -> None:
        barrier.wait()
        answers.append(memo.get("slot", 1, make))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(made), len({id(answer) for answer in answers})) == (1, 1)


def test_all_routes_of_explore_count_once_per_state_of_the_log(
    mine: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[int] = []
    take = desk.Census.take

    def counted(*given: object) -> object:
        taken.append(1)
        return take(*given)

    monkeypatch.setattr(desk.Census, "take", counted)

    def ask() -> None:
        for answer in (
            mine.get("/pl/api/facets"),
            mine.get("/pl/api/page", params={"order": "name"}),
            mine.post("/pl/api/selection", json={"ids": [1, 2]}),
        ):
            assert answer.status_code == 200, answer.text

    ask()
    ask()
    assert len(taken) == 1
    commit(mine, "operation-1")
    ask()
    assert len(taken) == 2
