"""Compacting removes for good what was removed, and nothing else."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

import numpy as np
import pytest

from backend.errors import BadInputError, SaveError
from backend.settings import Settings
from backend.store import vectors
from backend.store.corrections import NewCorrection
from backend.store.database import DATABASE
from backend.store.project import ProjectStore
from backend.types import BroughtVectors, Draft, Drawer, Encoded, GoneLabel, Kind, Layout, Verdict
from tests.backend.store.conftest import Make, write_image

YES, NO = Verdict.YES, Verdict.NO
SECRET = "zebra-quartz-4711"


def holding(folder: Path, words: bytes) -> list[str]:
    return [
        str(file.relative_to(folder))
        for file in folder.rglob("*")
        if file.is_file() and words in file.read_bytes()
    ]


def test_removed_texts_and_labels_are_in_no_file_any_more(store: ProjectStore) -> None:
    store.add_labels([f"label {SECRET}"], who="a")
    store.take(
        [
            Draft(
                name=f"{SECRET}.txt",
                text=f"my {SECRET} text",
                verdicts={f"label {SECRET}": YES},
                predictions={f"label {SECRET}": 0.5},
                metadata={"by": SECRET},
            ),
            BroughtVectors("net", (f"{SECRET}.txt",), np.full((1, 4), 0.123, np.float32)),
        ],
        who="b",
        source="import:x",
    )
    store.log.append([NewCorrection(1, 1, YES)], who="c")
    store.remove_label(f"label {SECRET}", who="a")
    store.remove_samples([6], who="a")
    assert holding(store.path, SECRET.encode())
    report = store.compact()
    assert (report.samples, report.labels) == (1, 1)
    assert holding(store.path, SECRET.encode()) == []
    assert holding(store.path, np.full(4, 0.123, np.float32).tobytes()) == []
    assert [(row.sample, row.label) for row in store.log.since(0)] == [(1, 1)]
    assert (store.count(), len(store.labels())) == (5, 2)


def test_removed_media_thumbnails_and_vectors_are_gone(make: Make, tmp_path: Path) -> None:
    store = make(kind=Kind.IMAGE)
    files = [write_image(tmp_path / f"{n}.png", seed=n) for n in range(3)]
    store.take([Draft(name=f.name, path=f) for f in files], who="a", source="import:x")
    hashes = [sample.content_hash for sample in store.samples()]
    marked = np.full((1, 4), 0.321, np.float32)
    store.vectors.put(
        "enc",
        hashes,
        Encoded(np.repeat(marked, 3, axis=0), (marked,) * 3, (Layout(grid=(1, 1)),) * 3),
    )
    for sample in store.samples():
        store.media.thumbnail(sample, 128)
    kept = [(s, store.media.path(s).read_bytes()) for s in store.samples()[1:]]
    gone = store.media.path(store.find(1))
    store.remove_samples([1], who="a")
    assert gone.exists()  # undo could still bring it back
    store.compact()
    assert not gone.exists()
    assert not list((store.path / "cache").rglob(f"{hashes[0]}*"))
    assert store.vectors.missing(hashes, "enc") == hashes[:1]
    assert [(s, store.media.path(s).read_bytes()) for s in store.samples()] == kept


def test_after_compacting_nothing_brings_it_back_and_the_rest_can_still_be_undone(
    store: ProjectStore,
) -> None:
    both = store.log.append([NewCorrection(1, 1, YES), NewCorrection(2, 1, YES)], who="a")
    removed = store.remove_samples([1], who="a")
    offset = store.log.offset
    store.compact()
    with pytest.raises(BadInputError, match="nothing left"):
        store.log.undo("a", op=removed.op)
    assert store.log.offset == offset
    undone = store.log.undo("a")  # of `both`, what is left of it
    assert undone is not None
    assert undone.pairs == ((2, 1),)
    assert undone.offset > offset
    assert store.log.undo("a", op=both.op) == undone
    assert store.log.current() == {}


def test_what_was_put_aside_and_the_drawer_can_still_be_undone(store: ProjectStore) -> None:
    store.log.append([NewCorrection(1, 1, YES)], who="a")
    store.set_drawer(Drawer(0.5, 7), who="a")
    store.dismissals.add(["label:1"], who="a")
    store.remove_samples([5], who="b")
    store.compact()
    store.log.undo("a")
    assert (store.dismissals.current(), store.drawer()) == (frozenset(), Drawer(0.5, 7))
    store.log.undo("a")
    assert store.drawer() is None
    assert set(store.log.current()) == {(1, 1)}, "the newest goes first"


def test_a_merge_cannot_be_undone_when_both_labels_are_gone(store: ProjectStore) -> None:
    store.log.append([NewCorrection(1, 1, YES)], who="a")
    merged = store.merge_labels("cat", "dog", who="a")
    store.remove_label("dog", who="a")
    assert store.removed() == (0, 2)
    store.compact()
    with pytest.raises(BadInputError, match="nothing left"):
        store.log.undo("a", op=merged.op)
    assert store.log.current() == {}
    assert store.labels() == []


def test_what_an_undone_import_brought_goes_too(store: ProjectStore) -> None:
    store.take(
        [Draft(name="new", text=f"new {SECRET}", verdicts={"owl": YES})],
        who="a",
        source="import:x",
        create_labels=True,
    )
    undone = store.log.undo("a")
    assert undone is not None
    store.compact()
    assert holding(store.path, SECRET.encode()) == []
    with pytest.raises(BadInputError, match="nothing left"):  # no redo either
        store.log.undo("a", op=undone.op)


def test_the_same_content_can_be_imported_anew(store: ProjectStore) -> None:
    store.log.append([NewCorrection(1, 1, YES)], who="a")
    store.remove_samples([1], who="a")
    store.compact()
    store.take([Draft(name="t/1.txt", text="text number 1")], who="b", source="import:x")
    assert store.find("t/1.txt").id == 6  # an id is never used again
    assert store.log.current() == {}


def test_a_forgotten_label_is_known_to_be_gone_also_where_it_was_the_newest(
    store: ProjectStore,
) -> None:
    (owl,) = store.add_labels(["owl"], who="a")
    for name in ("owl", "cat"):
        store.remove_label(name, who="a")
    store.compact()
    gone = store.gone_labels({1, 2, owl.id, owl.id + 1})
    assert gone == {label: GoneLabel(label, "", None) for label in (1, owl.id)}
    (new,) = store.add_labels(["owl"], who="a")
    assert new.id == owl.id + 1, "an id is never used again"


def test_replay_knows_from_where_it_is_exact(store: ProjectStore) -> None:
    assert store.get("replayable_from") is None
    store.log.append([NewCorrection(1, 1, YES)], who="a")
    store.compact()
    assert store.get("replayable_from") is None  # nothing was taken out of the log
    store.remove_samples([1], who="a")
    store.compact()
    assert store.get("replayable_from")["offset"] == store.log.offset  # type: ignore[index]


def test_another_process_may_be_open(store: ProjectStore) -> None:
    other = ProjectStore.open(store.path, settings=Settings())
    other.log.append([NewCorrection(2, 1, YES)], who="b")
    store.remove_samples([1], who="a")
    store.compact()
    assert other.count() == 4
    assert other.log.append([NewCorrection(3, 1, NO)], who="b").offset > 1
    assert set(store.log.current()) == {(2, 1), (3, 1)}
    other.close()


def test_offsets_never_go_back(store: ProjectStore) -> None:
    store.log.append([NewCorrection(1, 1, YES)], who="a")
    store.remove_samples([1], who="a")
    offset = store.log.offset
    for _ in range(2):
        store.compact()
        assert store.log.since(0) == []
        assert store.log.offset == offset
    assert store.log.append([NewCorrection(2, 1, YES)], who="a").offset == offset + 1


def holds_vectors(store: ProjectStore, hashes: list[str]) -> list[str]:
    lacking = set(store.vectors.missing(hashes, "enc"))
    return [digest for digest in hashes if digest not in lacking]


def with_vectors(store: ProjectStore) -> list[str]:
    """Vectors for all samples; their hashes."""
    hashes = [sample.content_hash for sample in store.samples()]
    some, count = np.ones((1, 4), np.float32), len(hashes)
    layouts = (Layout(grid=(1, 1)),) * count
    encoded = Encoded(np.repeat(some, count, axis=0), (some,) * count, layouts)
    store.vectors.put("enc", hashes, encoded)
    return hashes


def test_what_a_full_disk_left_in_caches_goes_the_next_time(
    store: ProjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashes = with_vectors(store)

    def full(*_: object) -> None:
        raise SaveError("the disk is full")

    store.remove_samples([1], who="a")
    with monkeypatch.context() as patch:
        patch.setattr(store.vectors, "remove", full)
        report = store.compact()
    assert report.samples == 1
    assert "the disk is full" in report.note
    assert holds_vectors(store, hashes) == hashes
    store.remove_samples([2, 3], who="a")
    with monkeypatch.context() as patch:
        patch.setattr(store.vectors, "remove", full)
        store.compact()
    # brought again meanwhile: what was computed of it is of use
    store.take([Draft(name="again", text="text number 2")], who="a", source="import:x")
    assert store.compact().note == ""
    assert holds_vectors(store, hashes) == [hashes[1], *hashes[3:]]


def test_a_disk_too_full_to_write_the_database_anew_is_a_note(
    store: ProjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.remove_samples([1], who="a")
    other = sqlite3.connect(store.path / DATABASE, isolation_level=None)
    raw = store._database.engine.raw_connection()
    raw.execute("PRAGMA busy_timeout = 20")  # of the one connection that the pool has now
    raw.close()
    plain = store._database.vacuum

    def meanwhile() -> None:
        other.execute("BEGIN IMMEDIATE")
        plain()

    monkeypatch.setattr(store._database, "vacuum", meanwhile)
    report = store.compact()
    assert (report.samples, store.count()) == (1, 4)
    assert "cannot be written anew (database is locked)" in report.note
    other.execute("ROLLBACK")
    monkeypatch.undo()
    assert store.compact().note == ""
    other.close()


def test_vectors_that_another_program_writes_are_a_note(
    store: ProjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashes = with_vectors(store)
    other = sqlite3.connect(store.vectors.file, isolation_level=None)
    monkeypatch.setattr(vectors, "_ATTEMPTS", 1)
    for opened in store.vectors._idle:
        opened.connection.execute("PRAGMA busy_timeout = 20")
    other.execute("BEGIN IMMEDIATE")
    store.remove_samples([1], who="a")
    assert "another program is writing to" in store.compact().note
    assert store.removed() == (0, 0)
    other.execute("ROLLBACK")
    other.close()
    assert store.compact().note == ""
    assert holds_vectors(store, hashes) == hashes[1:]


def test_what_is_still_on_the_disk_is_known_until_it_is_gone(
    store: ProjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> None:
        raise SaveError("the disk is full")

    assert not store.is_unswept
    store.remove_label("dog", who="a")  # which leaves nothing but the database to be swept
    with monkeypatch.context() as patch:
        patch.setattr(store._database, "vacuum", full)
        assert "the disk is full" in store.compact().note
    assert (store.removed(), store.is_unswept) == ((0, 0), True)
    digest = store.find(1).content_hash
    store.remove_samples([1], who="a")
    assert store.compact().note == ""
    assert not store.is_unswept
    assert holding(store.path, digest.encode()) == []


def test_a_reader_that_keeps_the_wal_is_a_note(store: ProjectStore) -> None:
    other = sqlite3.connect(store.path / DATABASE, isolation_level=None)
    store.remove_samples([1], who="a")
    raw = store._database.engine.raw_connection()
    raw.execute("PRAGMA busy_timeout = 20")
    raw.close()
    other.execute("BEGIN")
    other.execute("SELECT count(*) FROM samples").fetchone()
    assert "is reading" in store.compact().note
    other.execute("COMMIT")
    assert store.compact().note == ""
    other.close()


def test_only_files_of_this_store_are_swept_away(make: Make, tmp_path: Path) -> None:
    store = make(kind=Kind.IMAGE)
    file = write_image(tmp_path / "1.png")
    store.take([Draft(name="1.png", path=file)], who="a", source="import:x")
    media, elsewhere = store.path / "media", tmp_path / "elsewhere"
    named = f"{'0' * 64}.png"
    elsewhere.mkdir()
    spared = [elsewhere / named, media / "00" / ".new-abc", media / "00" / "notes.txt"]
    swept = [media / "00" / named, media / "00" / ".new-old"]
    (media / "00" / "folder").mkdir(parents=True)
    for one in (*spared, *swept):
        one.write_text("x")
    (media / "ff").symlink_to(elsewhere)
    two_days_ago = time.time() - 2 * 24 * 3600
    os.utime(swept[1], (two_days_ago, two_days_ago))
    assert store.compact().note == ""
    assert [one for one in spared if not one.exists()] == []
    assert [one for one in swept if one.exists()] == []
    assert store.media.path(store.find(1)).exists()
