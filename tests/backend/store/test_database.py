"""Schema, migrations, and the triggers that keep the log append-only."""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from backend.errors import BadInputError, BusyError, SaveError
from backend.settings import Settings
from backend.store import database, making, tables
from backend.store.corrections import NewCorrection
from backend.store.database import HEAD, Database
from backend.store.migrating import configuration, upgrade
from backend.store.project import ProjectStore
from backend.types import Kind, LearnStep, Verdict


def test_head_is_the_newest_migration_and_there_is_one_line_of_them() -> None:
    script = ScriptDirectory.from_config(configuration())
    assert script.get_heads() == [HEAD]


def test_migrating_from_the_first_revision_gives_the_models(tmp_path: Path) -> None:
    database = Database(tmp_path)
    first = ScriptDirectory.from_config(configuration()).get_base()
    assert first is not None
    upgrade(database.engine, first)
    with database.engine.connect() as connection, connection.begin():
        for key, value in (("name", "old"), ("kind", "text")):
            said = {"key": key, "value": json.dumps(value)}
            connection.execute(sa.text("INSERT INTO settings VALUES (:key, :value)"), said)
    database.close()
    store = ProjectStore.open(tmp_path, settings=Settings())
    assert store.name == "old"
    with store._database.engine.connect() as connection, connection.begin():
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, tables.metadata) == []
        guards = set(
            connection.execute(
                sa.text("SELECT name FROM sqlite_master WHERE type = 'trigger'")
            ).scalars()
        )
    assert len(guards) == 6
    store.close()


def test_a_project_of_a_newer_patchlane_is_refused(store: ProjectStore) -> None:
    store.close()
    with sqlite3.connect(store.path / "project.sqlite3") as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(BadInputError, match=r"newer Patchlane.*9999"):
        ProjectStore.open(store.path, settings=Settings())


def test_several_openers_of_a_new_database_migrate_once(tmp_path: Path) -> None:
    errors: list[BaseException] = []

    def open_it() -> None:
        try:
            Database(tmp_path).migrate()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with sqlite3.connect(tmp_path / "project.sqlite3") as raw:
        assert raw.execute("SELECT version_num FROM alembic_version").fetchall() == [(HEAD,)]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE corrections SET verdict = 'no'",
        "DELETE FROM corrections",
        "UPDATE edits SET value = 'null'",
        "DELETE FROM edits",
        "UPDATE learn_steps SET seed = 5",
        "DELETE FROM learn_steps",
    ],
)
def test_no_program_can_change_the_log(store: ProjectStore, statement: str) -> None:
    store.log.append([NewCorrection(1, 1, Verdict.YES)], who="a")
    store.versions.save(LearnStep(1, 0, 1, "r", 0, 0, 1, 0.0), {}, {})
    raw = sqlite3.connect(store.path / "project.sqlite3")
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        raw.execute(statement)
    raw.close()


def test_a_verdict_is_one_of_three(store: ProjectStore) -> None:
    raw = sqlite3.connect(store.path / "project.sqlite3")
    store.log.append([NewCorrection(1, 1, Verdict.YES)], who="a")
    with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
        raw.execute(
            "INSERT INTO corrections (op, sample, label, verdict, who, at, version, source,"
            " is_restored) VALUES (1, 1, 1, 'maybe', 'x', 0, 0, 's', 0)"
        )
    raw.close()


def test_the_schema_is_one_that_postgresql_has_too() -> None:
    dialect = postgresql.dialect()
    for table in tables.metadata.sorted_tables:
        made = str(CreateTable(table).compile(dialect=dialect))  # raises for a type of SQLite alone
        lines = [line.split()[0].strip('"') for line in made.splitlines()[2:] if line.strip()]
        assert {column.name for column in table.columns} <= set(lines)
        for index in table.indexes:
            assert f"ON {table.name} " in str(CreateIndex(index).compile(dialect=dialect))


def test_values_are_kept_and_those_of_the_store_are_not_overwritten(store: ProjectStore) -> None:
    store.set("split_seed", 7)
    store.set("encoder", {"id": "words", "more": [1, None]})
    assert store.get("split_seed") == 7
    assert store.get("nothing", "default") == "default"
    with pytest.raises(BadInputError, match="'kind'"):
        store.set("kind", "image")
    reopened = ProjectStore.open(store.path, settings=Settings())
    assert reopened.get("encoder") == {"id": "words", "more": [1, None]}
    assert (reopened.name, reopened.kind) == ("project", Kind.TEXT)
    reopened.close()


def test_a_project_made_again_in_an_old_folder_is_another_one(
    tmp_path: Path, settings: Settings
) -> None:
    def made() -> ProjectStore:
        return ProjectStore.create(
            tmp_path / "birds", name="birds", kind=Kind.TEXT, encoder="words", settings=settings
        )

    first = made()
    uid = first.uid
    assert first.begun is None
    first.add_labels(["wren"], who="ann")
    assert first.begun is not None
    first.close()
    again = ProjectStore.open(tmp_path / "birds", settings=settings)
    assert again.uid == uid
    # one from before projects had an identity gets it once
    with again._database.write() as connection:
        connection.execute(tables.settings.delete().where(tables.settings.c.key == "uid"))
    again.close()
    given = []
    for _ in range(2):
        store = ProjectStore.open(tmp_path / "birds", settings=settings)
        given.append(store.uid)
        store.close()
    assert given[0] == given[1] != ""
    shutil.rmtree(tmp_path / "birds")
    other = made()
    assert other.uid not in (uid, given[0])
    other.close()


def test_a_copy_is_a_project_of_its_own_and_one_that_was_moved_stays_itself(
    store: ProjectStore, settings: Settings, tmp_path: Path
) -> None:
    def uid_of(path: Path) -> str:
        opened = ProjectStore.open(path, settings=settings)
        opened.close()
        return opened.uid

    first, moved, copy = store.path, tmp_path / "moved", tmp_path / "copy"
    store.close()
    shutil.copytree(first, copy)
    of_copy = uid_of(copy)  # the copy is the first that is opened
    assert of_copy != store.uid
    assert (uid_of(first), uid_of(copy)) == (store.uid, of_copy)
    first.rename(moved)
    assert uid_of(moved) == store.uid
    shutil.copytree(moved, first)  # back where it was, while it is elsewhere
    assert uid_of(first) not in (store.uid, of_copy)
    assert uid_of(moved) == store.uid
    (tmp_path / "link").symlink_to(copy)
    assert uid_of(tmp_path / "link") == of_copy, "another way to the same folder"


def test_one_that_is_seen_through_another_mount_stays_itself(
    store: ProjectStore, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same database has another device number there, as of a union file system."""
    store.close()
    link = tmp_path / "mount"
    link.symlink_to(store.path)
    monkeypatch.setattr(making, "_is_file_of", lambda _place, _file: False)
    again = ProjectStore.open(link, settings=settings)
    again.close()
    assert again.uid == store.uid
    assert again.get(making.PROBE) is None


def test_one_that_was_moved_opens_though_its_place_cannot_be_noted(
    store: ProjectStore, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_full(*_args: object) -> None:
        raise SaveError("the disk is full")

    store.close()
    store.path.rename(tmp_path / "moved")
    monkeypatch.setattr(making, "_note", is_full)
    moved = ProjectStore.open(tmp_path / "moved", settings=settings)
    moved.close()
    assert moved.uid == store.uid


def test_a_viewer_sees_what_the_owner_writes_afterwards(
    store: ProjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It opened the file while nobody had it, when SQLite is told that it will stay as it is."""
    store.close()
    with monkeypatch.context() as patch:
        patch.setattr(database, "may_only_be_read", lambda _file: True)
        viewer = ProjectStore.open(store.path, settings=Settings())

    def seen() -> list[list[str]]:
        """By two connections of the pool, held at once."""
        names = []
        with viewer._database.read() as one, viewer._database.read() as two:
            for connection in (one, two):
                wanted = sa.select(tables.labels.c.name).order_by(tables.labels.c.id)
                names.append(list(connection.execute(wanted).scalars()))
        return names

    assert seen() == [["cat", "dog"]] * 2
    owner = ProjectStore.open(store.path, settings=Settings())
    owner.add_labels(["owl"], who="a")
    assert seen() == [["cat", "dog", "owl"]] * 2, "while the owner has it open"
    owner.add_labels([f"label {number}" for number in range(2000)], who="a")
    owner.close()  # which folds the log into the file
    assert [len(names) for names in seen()] == [2003, 2003]
    assert viewer.count() == 5
    viewer.close()


def test_a_read_that_the_owner_cut_across_says_so_and_not_that_it_is_damaged(
    store: ProjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.close()
    with monkeypatch.context() as patch:
        patch.setattr(database, "may_only_be_read", lambda _file: True)
        viewer = ProjectStore.open(store.path, settings=Settings())
    damaged = sqlite3.DatabaseError("database disk image is malformed")
    damaged.sqlite_errorcode = sqlite3.SQLITE_CORRUPT

    def reads(*, is_written: bool) -> None:
        with viewer._database.read():
            if is_written:
                ProjectStore.open(store.path, settings=Settings()).add_labels(["owl"], who="a")
            raise sa.exc.DatabaseError("SELECT", {}, damaged)

    with pytest.raises(SaveError, match="is damaged"):
        reads(is_written=False)
    with pytest.raises(BusyError, match="while it was read; try again"):
        reads(is_written=True)
    viewer.close()
