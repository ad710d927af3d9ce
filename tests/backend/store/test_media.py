"""Media: stored once by content, linked media checked by hash, nothing outside is served."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from pathlib import Path

import pytest
from PIL import Image

from backend.errors import BadInputError, NotFoundError, RefusedError, SaveError
from backend.settings import Limits, Settings
from backend.store import media
from backend.store.media import MediaStore
from backend.store.project import ProjectStore
from backend.types import Draft, Kind
from tests.backend.store.conftest import Make, write_image


@pytest.fixture
def pictures(make: Make) -> ProjectStore:
    return make(kind=Kind.IMAGE)


def take(store: ProjectStore, *files: Path, link: bool = False) -> None:
    drafts = [Draft(name=file.name, path=file) for file in files]
    report = store.take(drafts, who="a", source="import:x", link=link)
    assert report.skipped == 0, report.errors


def test_a_content_is_one_file_named_by_its_hash(pictures: ProjectStore, tmp_path: Path) -> None:
    one = write_image(tmp_path / "a" / "one.png", seed=1)
    two = tmp_path / "b" / "two.png"
    two.parent.mkdir()
    two.write_bytes(one.read_bytes())
    take(pictures, one, two, write_image(tmp_path / "a" / "other.png", seed=2))
    stored = sorted(file for file in (pictures.path / "media").rglob("*") if file.is_file())
    assert len(stored) == 2
    for file in stored:
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        assert (file.stem, file.parent.name) == (digest, digest[:2])
    one.unlink()  # a copy needs its original no more
    assert pictures.media.path(pictures.find("one.png")).exists()


def test_what_is_served_has_a_type_and_a_tag_of_its_content(
    pictures: ProjectStore, tmp_path: Path
) -> None:
    take(
        pictures, write_image(tmp_path / "a.png", size=(300, 200)), write_image(tmp_path / "b.jpg")
    )
    sample = pictures.find("a.png")
    path, media_type, tag = pictures.media.served(sample)
    assert (path.read_bytes(), media_type) == ((tmp_path / "a.png").read_bytes(), "image/png")
    assert tag == sample.content_hash
    assert pictures.media.served(pictures.find("b.jpg"))[1] == "image/jpeg"
    small, small_type, small_tag = pictures.media.served(sample, 100)
    assert small_type == "image/webp"
    assert Image.open(small).size == (128, 85)
    assert small_tag != tag
    assert pictures.media.served(sample, 120)[0] == small  # few sizes, whatever is asked for
    large = pictures.media.served(sample, 10**9)[0]
    assert Image.open(large).size == (300, 200)


def test_linked_media_stay_where_they_are_and_are_checked(
    pictures: ProjectStore, tmp_path: Path
) -> None:
    file = write_image(tmp_path / "far" / "linked.png", seed=1)
    take(pictures, file, link=True)
    sample = pictures.find("linked.png")
    assert sample.is_linked
    assert pictures.media.path(sample) == file
    assert not list((pictures.path / "media").rglob("*.png"))
    before = file.stat()
    content = file.read_bytes()
    changed = bytearray(content)
    changed[-20] ^= 1
    file.write_bytes(bytes(changed))  # same size, and we pretend the same time
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(BadInputError, match=r"linked\.png has changed since it was linked"):
        pictures.media.path(sample)
    file.write_bytes(content)
    assert pictures.media.path(sample) == file
    file.unlink()
    with pytest.raises(NotFoundError, match="is gone"):
        pictures.media.served(sample)


def test_a_linked_file_that_moved_is_found_when_it_is_brought_again(
    pictures: ProjectStore, tmp_path: Path
) -> None:
    file = write_image(tmp_path / "old" / "x.png", seed=1)
    take(pictures, file, link=True)
    other = ProjectStore.open(pictures.path, settings=Settings())
    assert other.media.path(other.find("x.png")) == file
    moved = tmp_path / "new" / "x.png"
    moved.parent.mkdir()
    file.rename(moved)
    take(pictures, moved, link=True)
    for store in (pictures, other):
        assert store.media.path(store.find("x.png")) == moved
    take(pictures, moved)  # and a copy makes it precious
    moved.unlink()
    assert pictures.media.path(pictures.find("x.png")).is_relative_to(pictures.path)
    assert not pictures.find("x.png").is_linked
    other.close()


def test_a_lost_file_comes_back_when_it_is_brought_again(
    pictures: ProjectStore, tmp_path: Path
) -> None:
    file = write_image(tmp_path / "x.png")
    take(pictures, file)
    stored = pictures.media.path(pictures.find("x.png"))
    stored.unlink()
    take(pictures, file)
    assert stored.read_bytes() == file.read_bytes()


@pytest.mark.parametrize("place", ["../../secret.txt", "/etc/passwd", "ab/../../secret.txt"])
def test_a_foreign_project_cannot_point_out_of_its_folder(
    pictures: ProjectStore, tmp_path: Path, place: str
) -> None:
    take(pictures, write_image(tmp_path / "x.png"))
    with sqlite3.connect(pictures.path / "project.sqlite3") as raw:
        raw.execute("UPDATE samples SET media_file = ?", (place,))
    with pytest.raises(RefusedError, match="outside the project"):
        pictures.media.path(pictures.find("x.png"))


def test_a_foreign_link_serves_only_the_content_that_was_imported(
    pictures: ProjectStore, tmp_path: Path
) -> None:
    take(pictures, write_image(tmp_path / "x.png"))
    secret = tmp_path / "secret.txt"
    secret.write_text("not for everybody")
    with sqlite3.connect(pictures.path / "project.sqlite3") as raw:
        raw.execute("UPDATE samples SET linked_path = ?", (str(secret),))
    with pytest.raises(BadInputError, match="has changed"):
        pictures.media.path(pictures.find("x.png"))


def test_a_text_has_no_media(store: ProjectStore) -> None:
    with pytest.raises(NotFoundError, match="is a text"):
        store.media.path(store.find(1))


def test_media_that_cannot_be_written_are_said(pictures: ProjectStore, tmp_path: Path) -> None:
    (pictures.path / "media").write_text("in the way")
    draft = Draft(name="x.png", path=write_image(tmp_path / "x.png"))
    with pytest.raises(SaveError, match="could not be stored"):
        pictures.take([draft], who="a", source="import:x")
    assert pictures.count() == 0


def test_nothing_half_written_is_left(pictures: ProjectStore, tmp_path: Path) -> None:
    take(pictures, *(write_image(tmp_path / f"{n}.png", seed=n) for n in range(5)))
    files = [file for file in (pictures.path / "media").rglob("*") if file.is_file()]
    assert len(files) == 5
    assert not [file for file in files if file.name.startswith(".")]


def test_the_name_of_a_file_that_was_there_is_made_durable_as_well(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An import that was killed may have left it, before its folder was synced."""
    store = make(kind=Kind.IMAGE)
    file = write_image(tmp_path / "1.png")
    placed = store.path / "media" / str(store.media.put(file).file)
    killed = MediaStore(store.path, store._database, Limits())
    synced: set[Path] = set()
    monkeypatch.setattr(media, "_sync_folder", synced.add)
    killed.put(file)
    killed.sync()
    assert {placed.parent, placed.parent.parent} <= synced
