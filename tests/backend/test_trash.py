"""Removed projects: put aside whole, brought back, deleted for good; names are never paths."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from backend import trash
from backend.errors import BadInputError, NotFoundError, SaveError
from backend.settings import Settings
from backend.store.database import DATABASE

Make = Callable[..., Path]


@pytest.fixture
def make(settings: Settings) -> Make:
    def one(name: str, content: str = "") -> Path:
        folder = settings.home / name
        (folder / "media").mkdir(parents=True)
        (folder / DATABASE).write_text(content)
        return folder

    return one


def test_what_was_put_aside_comes_back_as_it_was(settings: Settings, make: Make) -> None:
    path = make("birds", "verdicts")
    aside = trash.put_aside(path, settings)
    assert not path.exists()
    (one,) = trash.removed(settings)
    assert (one.name, one.key) == ("birds", aside.name)
    assert trash.restore("birds", settings) == path
    assert (path / DATABASE).read_text() == "verdicts"
    assert (path / "media").is_dir()
    assert trash.removed(settings) == []


def test_several_of_one_name_stay_apart_and_the_newest_comes_back(
    settings: Settings, make: Make
) -> None:
    keys = [trash.put_aside(make("birds", str(n)), settings).name for n in range(3)]
    assert len(set(keys)) == 3
    assert [one.key for one in trash.removed(settings)] == keys[::-1]
    assert (trash.restore("birds", settings) / DATABASE).read_text() == "2"
    with pytest.raises(BadInputError, match="a project 'birds' exists"):
        trash.restore("birds", settings)
    trash.put_aside(settings.home / "birds", settings)
    assert (trash.restore(keys[0], settings) / DATABASE).read_text() == "0"


@pytest.mark.parametrize("name", ["a[1]", "*", "what?", "-20200101-000000", "x-20200101-000000"])
def test_any_name_comes_back(settings: Settings, make: Make, name: str) -> None:
    make("a1")
    trash.put_aside(settings.home / "a1", settings)
    path = make(name)
    trash.put_aside(path, settings)
    assert trash.restore(name, settings) == path
    assert [one.name for one in trash.removed(settings)] == ["a1"]


def test_deleting_needs_the_key_and_leaves_the_others(settings: Settings, make: Make) -> None:
    first = trash.put_aside(make("birds"), settings).name
    second = trash.put_aside(make("birds"), settings).name
    with pytest.raises(NotFoundError, match="no removed project is called 'birds'") as refused:
        trash.delete("birds", settings)
    assert first in str(refused.value), "the sentence lists the keys"
    assert trash.delete(first, settings).name == "birds"
    assert [one.key for one in trash.removed(settings)] == [second]
    assert not (settings.home / trash.REMOVED / first).exists()


@pytest.mark.parametrize("key", ["..", ".", "../kept", "", "/", "kept"])
def test_nothing_else_is_ever_deleted(settings: Settings, make: Make, key: str) -> None:
    kept = make("kept")
    trash.put_aside(make("birds"), settings)
    with pytest.raises(NotFoundError):
        trash.delete(key, settings)
    assert kept.is_dir()
    assert len(trash.removed(settings)) == 1


def test_what_is_left_of_a_cache_is_in_nobodys_way(settings: Settings, make: Make) -> None:
    path = make("birds", "verdicts")
    trash.put_aside(path, settings)
    (path / "cache").mkdir(parents=True)
    (path / "notes.txt").write_text("precious")
    with pytest.raises(BadInputError, match="a project 'birds' exists"):
        trash.restore("birds", settings)
    assert (path / "notes.txt").read_text() == "precious"
    (path / "notes.txt").unlink()
    (path / "cache" / "vectors.sqlite3").write_text("computed")
    trash.restore("birds", settings)
    assert (path / DATABASE).read_text() == "verdicts"
    assert not (path / "cache").exists()


def test_a_cache_that_cannot_be_removed_is_said(
    settings: Settings, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make("birds", "verdicts")
    trash.put_aside(path, settings)
    (path / "cache").mkdir(parents=True)

    def refuse(path: Path) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(trash.shutil, "rmtree", refuse)
    with pytest.raises(SaveError, match=r"birds cannot be moved to .*: Permission denied"):
        trash.restore("birds", settings)
    assert [one.name for one in trash.removed(settings)] == ["birds"]
