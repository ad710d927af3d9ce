"""Acknowledged means durable: killed processes, full disks, lost and damaged databases."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import event

from backend.errors import BadInputError, BusyError, NotFoundError, PatchlaneError, SaveError
from backend.settings import Settings
from backend.store import database as database_module
from backend.store.corrections import NewCorrection
from backend.store.project import ProjectStore
from backend.types import Draft, Verdict

YES = Verdict.YES
NUM_KILLS = 60

# One process forks the writers, so that each starts in milliseconds with the modules loaded; each
# writer is a process of its own with connections of its own, and is killed from outside.
_FORKER = """
import json, os, random, signal, sys, time
from pathlib import Path
from backend.store.corrections import CorrectionLog, NewCorrection
from backend.store.database import Database
from backend.types import Verdict

folder, seed, num_kills = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])

def write(run, end):
    database = Database(folder)
    database.migrate()
    log = CorrectionLog(database)
    choice = random.Random(seed * 1000 + run)
    number = 0
    while True:
        op = f"{run}-{number}"
        pair = choice.randrange(1, 6), choice.randrange(1, 3)
        verdict = choice.choice([*Verdict, None])
        receipt = log.append([NewCorrection(*pair, verdict)], who=f"run {run}", op=op)
        os.write(end, (json.dumps([op, receipt.offset, *pair, verdict]) + "\\n").encode())
        number += 1

chance = random.Random(seed)
for run in range(num_kills):
    ends = []
    for half in range(2):  # two at once, so that kills also hit a writer that waits for its turn
        start, end = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(start)
            try:
                write(run * 2 + half, end)
            finally:
                os._exit(1)
        os.close(end)
        ends.append((pid, start))
    for pid, start in ends:
        # a random number of rows and a random moment after, however busy this machine is
        said, wanted = b"", chance.randrange(0, 3)
        while said.count(b"\\n") < wanted:
            said += os.read(start, 65536)
        time.sleep(chance.uniform(0.0, 0.015))
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        assert os.WTERMSIG(status) == signal.SIGKILL, status
        with os.fdopen(start, "rb") as stream:
            said += stream.read()
        for line in said.split(b"\\n")[:-1]:
            print(line.decode(), flush=True)
print(json.dumps("done"))
"""


def test_every_acknowledged_correction_survives_sixty_kills(store: ProjectStore) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _FORKER, str(store.path), "20", str(NUM_KILLS // 2)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    *lines, done = ran.stdout.splitlines()
    assert json.loads(done) == "done"
    acknowledged = {offset: (op, s, k, v) for op, offset, s, k, v in map(json.loads, lines)}
    assert len(acknowledged) == len(lines), "two writers were given one offset"
    assert len(acknowledged) > NUM_KILLS, "the writers were killed before they wrote anything"
    rows = {row.offset: row for row in store.log.since(0)}
    for offset, (op, sample, label, verdict) in acknowledged.items():
        row = rows[offset]
        assert (row.op, row.sample, row.label, row.verdict) == (op, sample, label, verdict)
    # what was not acknowledged may be there as well, whole, and at most the one in flight
    extra = {row.op for offset, row in rows.items() if offset not in acknowledged}
    assert len(extra) <= NUM_KILLS
    with sqlite3.connect(store.path / "project.sqlite3") as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    receipt = store.log.append([NewCorrection(1, 1, YES)], who="after")  # and it goes on
    assert receipt.offset > max(rows)
    print(f"{NUM_KILLS} kills, {len(acknowledged)} acknowledged, {len(extra)} in flight kept")


def test_the_database_syncs_every_commit(store: ProjectStore) -> None:
    with store._database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def fill_disk(store: ProjectStore, *, room: int = 0) -> None:
    """No more than `room` pages more than now, for connections that are and will be."""
    engine = store._database.engine
    engine.dispose()
    pages = sqlite3.connect(store.path / "project.sqlite3").execute("PRAGMA page_count")
    most = pages.fetchone()[0] + room
    event.listen(engine, "connect", lambda raw, _: raw.execute(f"PRAGMA max_page_count={most}"))


def test_a_full_disk_is_said_and_loses_nothing(store: ProjectStore) -> None:
    fill_disk(store)
    acknowledged: list[str] = []

    def save_on() -> None:
        for number in range(10_000):
            op = f"{number}-" + "x" * 150
            acknowledged.append(store.log.append([NewCorrection(1, 1, YES)], who="a", op=op).op)

    with pytest.raises(SaveError, match=r"disk is full.*nothing was saved.*free some space"):
        save_on()
    assert [row.op for row in store.log.since(0)] == acknowledged
    reopened = ProjectStore.open(store.path, settings=Settings())
    assert [row.op for row in reopened.log.since(0)] == acknowledged
    reopened.log.append([NewCorrection(2, 1, YES)], who="a")  # there is space again
    reopened.close()


def test_a_full_disk_during_an_import_keeps_whole_batches(store: ProjectStore) -> None:
    fill_disk(store, room=200)
    drafts = (Draft(name=f"n{n}", text=f"{n} " + "long " * 200) for n in range(5000))
    with pytest.raises(SaveError, match="disk is full"):
        store.take(drafts, who="a", source="import:x", op="big")
    assert (store.count() - 5) % 100 == 0
    told = store.past_import("big")
    assert told is not None
    assert told.report.imported == store.count() - 5 > 0
    assert not told.is_finished
    assert all(sample.text for sample in store.samples())


def test_a_deleted_database_takes_no_corrections(store: ProjectStore) -> None:
    store.log.append([NewCorrection(1, 1, YES)], who="a")
    for file in store.path.glob("project.sqlite3*"):
        file.unlink()
    with pytest.raises(SaveError, match=r"is gone.*nothing was saved"):
        store.log.append([NewCorrection(2, 1, YES)], who="a")


def test_a_database_deleted_during_the_commit_is_not_called_saved(store: ProjectStore) -> None:
    def save_while_it_is_deleted() -> None:
        with store._database.write() as connection:
            connection.exec_driver_sql("INSERT INTO settings VALUES ('a', '1')")
            for file in store.path.glob("project.sqlite3*"):
                file.unlink()

    with pytest.raises(SaveError, match="is gone"):
        save_while_it_is_deleted()


def test_a_deleted_wal_takes_no_corrections(store: ProjectStore) -> None:
    store.log.append([NewCorrection(1, 1, YES)], who="a")
    Path(f"{store.path}/project.sqlite3-wal").unlink()
    with pytest.raises(SaveError, match="nothing was saved"):
        store.log.append([NewCorrection(2, 1, YES)], who="a")


def test_a_replaced_database_takes_no_corrections(store: ProjectStore, tmp_path: Path) -> None:
    store.log.append([NewCorrection(1, 1, YES)], who="a")
    copy = tmp_path / "copy.sqlite3"
    with sqlite3.connect(store.path / "project.sqlite3") as raw:
        raw.execute("VACUUM INTO ?", (str(copy),))
    copy.replace(store.path / "project.sqlite3")
    with pytest.raises(SaveError, match="replaced"):
        store.log.append([NewCorrection(2, 1, YES)], who="a")


def test_a_moved_folder_takes_no_corrections(store: ProjectStore) -> None:
    store.path.rename(store.path.parent / "moved")
    with pytest.raises(SaveError, match="is gone"):
        store.log.append([NewCorrection(2, 1, YES)], who="a")


_AS_NOBODY = """
import os, sys
from pathlib import Path
from backend.errors import PatchlaneError
from backend.settings import Settings
from backend.store.corrections import NewCorrection
from backend.store.project import ProjectStore
from backend.types import Kind, Verdict
folder = Path(sys.argv[1])
os.chdir("/")
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
for attempt in (
    lambda: ProjectStore.create(
        folder / "new", name="n", kind=Kind.TEXT, encoder="e", settings=Settings()
    ),
    lambda: ProjectStore.open(folder, settings=Settings()).log.append(
        [NewCorrection(1, 1, Verdict.YES)], who="a"
    ),
):
    try:
        attempt()
        print("saved")
    except PatchlaneError as error:
        print(type(error).__name__, error)
"""


def test_a_folder_that_may_not_be_written_is_said(store: ProjectStore, tmp_path: Path) -> None:
    store.log.append([NewCorrection(1, 1, YES)], who="a")
    store.close()
    shared = Path(os.environ.get("TMPDIR", "/tmp")) / f"patchlane-test-{os.getpid()}"
    shutil.copytree(store.path, shared)  # pytest's own folders are closed to other users
    try:
        for path in (*shared.rglob("*"), shared):
            path.chmod(0o555 if path.is_dir() else 0o444)
        ran = subprocess.run(
            [sys.executable, "-c", _AS_NOBODY, str(shared)],
            capture_output=True,
            text=True,
            timeout=60,
        )
    finally:
        for path in (shared, *shared.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        shutil.rmtree(shared)
    assert ran.returncode == 0, ran.stderr
    created, appended = ran.stdout.splitlines()
    assert created.startswith("SaveError")
    assert "cannot be made" in created
    assert appended.startswith("SaveError")
    assert "writ" in appended


def test_a_writer_that_never_ends_is_said(
    store: ProjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "BUSY_SECONDS", 0.2)
    impatient = ProjectStore.open(store.path, settings=Settings())
    with sqlite3.connect(store.path / "project.sqlite3", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(BusyError, match="nothing was saved"):
            impatient.log.append([NewCorrection(1, 1, YES)], who="a")
        other.execute("ROLLBACK")
    impatient.log.append([NewCorrection(1, 1, YES)], who="a")
    impatient.close()


@pytest.mark.parametrize("content", [b"not a database at all, but some text" * 200, b""])
def test_a_file_that_is_no_database_is_said(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "project.sqlite3").write_bytes(content)
    with pytest.raises(PatchlaneError) as caught:
        ProjectStore.open(tmp_path / "p", settings=Settings())
    assert "project.sqlite3" in str(caught.value) or str(tmp_path / "p") in str(caught.value)


def test_damage_in_the_middle_is_said_and_not_called_saved(store: ProjectStore) -> None:
    for number in range(300):
        store.log.append([NewCorrection(1, 1, YES)], who="a", op=f"{number}")
    store.close()
    file = store.path / "project.sqlite3"
    content = bytearray(file.read_bytes())
    chance = random.Random(5)
    for at in range(4096, len(content)):  # everything but the first page
        content[at] = chance.randrange(256)
    file.write_bytes(content)

    def save() -> None:
        damaged = ProjectStore.open(store.path, settings=Settings())
        damaged.log.append([NewCorrection(1, 1, YES)], who="a")

    with pytest.raises(PatchlaneError):
        save()


def test_no_project_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="patchlane new"):
        ProjectStore.open(tmp_path, settings=Settings())
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_use_is_refused(store: ProjectStore, tmp_path: Path) -> None:
    from backend.types import Kind

    with pytest.raises(BadInputError, match="already"):
        ProjectStore.create(store.path, name="n", kind=Kind.TEXT, encoder="e", settings=Settings())
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.doc").write_text("precious")
    with pytest.raises(BadInputError, match="not empty"):
        ProjectStore.create(
            tmp_path / "mine", name="n", kind=Kind.TEXT, encoder="e", settings=Settings()
        )
