"""A project in a folder that may not be written to can be looked at, and is left as it is."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from backend import api
from backend.store.project import ProjectStore
from backend.types import Draft, Kind

ROOT = Path(__file__).parents[2]
# Root may write everywhere, until this right is taken from it.
WITHOUT_RIGHTS = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
SETTING = """
import json, os, sys
from pathlib import Path
home, out = sys.argv[1], sys.argv[2]
os.environ.update(HOME=out, TMPDIR=out)
from backend import api
settings = api.Settings(home=Path(home))
said = {}
def note(name, work):
    try:
        said[name] = work()
    except api.PatchlaneError as error:
        said[name] = f"{type(error).__name__}: {error}"
"""
LOOK = """
note("list", lambda: [info.name for info in api.list_projects(settings)])
bench = api.open_project("words", settings=settings, learns=True)
note("best", lambda: [s.suggestions[0].label if s.suggestions else None for s in bench.suggest()])
note("explain", lambda: bench.explain("a").labels)
note("search", lambda: [hit.name for hit in bench.search(text="cat", k=1)])
note("map", lambda: len(bench.map().ids))
note("next", lambda: len(bench.next(5)))
note("version", lambda: bench.version)
note("learn", lambda: bench.learn().version)
note("export", lambda: bench.export(Path(out) / "taken").samples)
row = {"sample": "a", "label": "food", "verdict": "yes"}
note("correct", lambda: bench.correct([row]).offset)
note("add", lambda: [label.name for label in bench.add_labels(["new"])])
bench.close()
note("create", lambda: api.create_project("other", encoder="words", settings=settings).name)
print(json.dumps(said))
"""
THUMBNAIL = """
from backend.store.project import ProjectStore
store = ProjectStore.open(Path(home) / "pictures", settings=settings)
path, kind, _ = store.media.served(store.samples()[0], size=64)
print(json.dumps([path.stat().st_size > 50, kind, str(path).startswith(home)]))
store.close()
"""
FIN = "print(json.dumps(said))\n"
SERVE = """
from fastapi.testclient import TestClient
from ui.app import build_app
app = build_app(settings, default_project="words", read_only=True)
with TestClient(app, base_url="http://127.0.0.1") as web:
    note("page", lambda: web.get("/").status_code)
    note("item", lambda: web.get("/pl/api/item?sample=1").status_code)
    note("facets", lambda: web.get("/pl/api/facets").json()["samples"])
print(json.dumps(said))
"""


@pytest.fixture
def shared(settings: api.Settings, tmp_path: Path) -> Iterator[Path]:
    """A home with a project of texts and one with a picture; nothing in it may be written."""
    texts = tmp_path / "t.jsonl"
    texts.write_text(
        '{"sample": "a", "text": "the cat sleeps"}\n{"sample": "b", "text": "bread and soup"}\n'
    )
    bench = api.create_project(
        "words", labels=["animal", "food"], encoder="words", settings=settings
    )
    bench.add(texts)
    bench.correct([{"sample": "a", "label": "animal", "verdict": "yes"}])
    bench.learn()
    bench.close()
    picture = tmp_path / "p.png"
    Image.new("RGB", (300, 200), "red").save(picture)
    store = ProjectStore.create(
        settings.home / "pictures", name="p", kind=Kind.IMAGE, encoder="e", settings=settings
    )
    store.take([Draft("p.png", path=picture)], who="me", source="import:p")
    store.close()
    folder = tmp_path / "shared"
    shutil.copytree(settings.home, folder / "home")
    (folder / "out").mkdir()
    lock(folder / "home")
    yield folder
    unlock(folder / "home")


def lock(folder: Path) -> None:
    for path in (*folder.rglob("*"), folder):
        path.chmod(0o555 if path.is_dir() else 0o444)


def unlock(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def ask(folder: Path, code: str) -> Any:
    command = [sys.executable, "-c", SETTING + code, str(folder / "home"), str(folder / "out")]
    if os.getuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root may write everywhere, and there is no setpriv to take that right")
        command = [*WITHOUT_RIGHTS, *command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_looking_works_and_changing_is_refused_in_a_sentence(shared: Path) -> None:
    before = contents(shared / "home")
    said = ask(shared, LOOK)
    assert sorted(said["list"]) == ["p", "words"]
    assert said["best"] == ["animal", "food"]
    assert said["explain"] == ["animal", "food"]
    assert said["search"] == ["a"]
    assert (said["map"], said["next"], said["version"], said["export"]) == (2, 2, 1, 2)
    assert said["learn"] == 1, "nothing is new"
    for verb in ("correct", "add"):
        assert said[verb].startswith("SaveError"), said
        assert "nothing was saved: make the folder" in said[verb]
    assert said["create"].startswith("SaveError")
    assert contents(shared / "home") == before


@pytest.mark.slow
def test_without_its_cache_it_says_what_is_missing_or_computes(shared: Path) -> None:
    unlock(shared / "home")
    shutil.rmtree(shared / "home" / "words" / "cache")
    lock(shared / "home")
    said = ask(shared, LOOK)
    assert said["best"] == [None, None]
    assert "not encoded" in said["explain"]
    assert said["export"] == 2


def test_a_project_that_was_killed_says_so_or_opens(shared: Path) -> None:
    unlock(shared / "home")
    (shared / "home" / "words" / "project.sqlite3-wal").write_bytes(b"x" * 100)
    lock(shared / "home")
    code = 'note("open", lambda: api.open_project("words", settings=settings).name)\n'
    said = ask(shared, code + 'note("list", lambda: len(api.list_projects(settings)))\n' + FIN)
    assert "was not closed properly" in said["open"]
    assert said["list"] == 1, "the other one is listed all the same"


def test_thumbnails_are_made_elsewhere(shared: Path) -> None:
    assert ask(shared, THUMBNAIL) == [True, "image/webp", False]


@pytest.mark.slow
def test_a_read_only_server_shows_it(shared: Path) -> None:
    assert ask(shared, SERVE) == {"page": 200, "item": 200, "facets": 2}
