"""Vectors and versions: exact, keyed by content and settings, and gone without harm."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from backend.errors import BadInputError, BusyError, NotFoundError, SaveError
from backend.settings import Settings
from backend.store import tables as t
from backend.store import versions
from backend.store.corrections import NewCorrection
from backend.store.lane_files import MOST_KNOWN, LaneStore, digest_of
from backend.store.project import ProjectStore
from backend.store.vectors import VectorStore
from backend.types import Draft, Encoded, Kind, Lane, LaneReading, Layout, LearnStep, Verdict
from tests.backend.store.conftest import Make, write_image


def encoded(num: int, *, seed: int = 0, width: int = 8) -> Encoded:
    """Texts of different lengths."""
    random = np.random.default_rng(seed)
    lengths = [1 + n % 4 for n in range(num)]
    return Encoded(
        pooled=random.normal(size=(num, width)).astype(np.float32),
        parts=tuple(random.normal(size=(p, width)).astype(np.float32) for p in lengths),
        layouts=tuple(Layout(spans=tuple((3 * i, 3 * i + 2) for i in range(p))) for p in lengths),
    )


def test_vectors_come_back(tmp_path: Path) -> None:
    vectors = VectorStore(tmp_path)
    hashes = [f"h{n}" for n in range(700)]  # above and below the size where a scan begins
    said = encoded(700)
    vectors.put("enc", hashes, said)
    assert np.array_equal(vectors.pooled(hashes, "enc"), said.pooled)
    assert np.array_equal(vectors.pooled(["h5", "h3"], "enc"), said.pooled[[5, 3]])
    parts, layout = vectors.parts("h7", "enc")
    assert parts.dtype == np.float32
    assert np.array_equal(parts, said.parts[7].astype(np.float16).astype(np.float32))
    assert layout == said.layouts[7]
    wanted = [hashes[n] for n in (9, 2, 2, 600)]
    batches = list(vectors.iter_parts([*wanted, "unknown"], "enc", 3))
    assert [digest for batch in batches for digest in batch.hashes] == wanted
    assert [b.parts[0].shape for b in batches] == [(2, 8), (1, 8)]
    vectors.close()


def test_a_grid_and_its_empty_parts_come_back(tmp_path: Path) -> None:
    vectors = VectorStore(tmp_path)
    said = Encoded(
        np.ones((2, 4), np.float32),
        (np.ones((6, 4), np.float32), np.zeros((0, 4), np.float32)),
        (Layout(grid=(2, 3)), Layout(spans=())),
    )
    vectors.put("enc", ["image", "nothing"], said)
    assert vectors.parts("image", "enc")[1] == Layout(grid=(2, 3))
    parts, layout = vectors.parts("nothing", "enc")
    assert parts.shape == (0, 4)
    assert layout == Layout(spans=())
    vectors.close()


def test_encoders_do_not_mix_and_missing_ones_are_named(tmp_path: Path) -> None:
    vectors = VectorStore(tmp_path)
    vectors.put("one", ["a", "b"], encoded(2, seed=1))
    vectors.put("two", ["b"], encoded(1, seed=2, width=5))
    assert vectors.missing(["c", "a", "c", "b"], "one") == ["c"]
    assert vectors.missing(["a", "b"], "two") == ["a"]
    assert vectors.missing(["a"], "three") == ["a"]
    pooled = vectors.pooled(["a", "b"], "two")
    assert np.isnan(pooled[0]).all()
    assert np.array_equal(pooled[1], encoded(1, seed=2, width=5).pooled[0])
    assert vectors.pooled(["x", "y"], "two").shape == (2, 0)
    assert vectors.pooled([], "two").shape == (0, 0)
    with pytest.raises(NotFoundError, match="not been encoded"):
        vectors.parts("a", "two")
    with pytest.raises(BadInputError, match="got 3 hashes for 2"):
        vectors.put("one", ["a", "b", "c"], encoded(2))
    vectors.close()


def test_the_vector_file_may_go_or_break_while_it_is_open(tmp_path: Path) -> None:
    vectors = VectorStore(tmp_path)
    for harm in (
        lambda: shutil.rmtree(tmp_path / "cache"),
        lambda: vectors.file.unlink(),
        lambda: [file.unlink() for file in (tmp_path / "cache").iterdir()],
        lambda: (vectors.close(), vectors.file.write_bytes(b"no database" * 1000)),
        lambda: (vectors.close(), vectors.file.write_bytes(b"")),
    ):
        vectors.put("enc", ["a", "b"], encoded(2))
        assert vectors.missing(["a", "b"], "enc") == []
        harm()
        assert vectors.missing(["a", "b"], "enc") == ["a", "b"]
        vectors.put("enc", ["a"], encoded(1))
        assert np.array_equal(vectors.pooled(["a"], "enc"), encoded(1).pooled)
    vectors.close()


def test_connections_do_not_grow_with_the_threads_that_come_and_go(tmp_path: Path) -> None:
    vectors = VectorStore(tmp_path)
    hashes = [f"h{n}" for n in range(4)]
    vectors.put("enc", hashes, encoded(4))

    def opened() -> int:
        return _open_files().count(vectors.file)

    for _ in range(12):  # as a web server's workers, which end when they have been idle
        threads = [threading.Thread(target=vectors.parts, args=(one, "enc")) for one in hashes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert 1 <= opened() <= len(hashes)
    vectors.close()
    assert opened() == 0


def _open_files() -> list[Path]:
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        pytest.skip("the system does not list what a process has open")
    return [one.readlink() for one in folder.iterdir() if one.is_symlink()]


def test_a_closed_store_leaves_no_connection_of_work_that_went_on(tmp_path: Path) -> None:
    vectors = VectorStore(tmp_path)
    vectors.put("enc", ["a"], encoded(1))
    begun, go_on = threading.Event(), threading.Event()

    def slow(connection: sqlite3.Connection) -> int:
        begun.set()
        assert go_on.wait(30)
        return connection.execute("SELECT count(*) FROM pooled").fetchone()[0]

    found: list[int] = []
    working = threading.Thread(target=lambda: found.append(vectors._run(slow)))
    working.start()
    assert begun.wait(30)
    vectors.close()
    go_on.set()
    working.join()
    assert found == [1]
    assert vectors.file not in _open_files()


def test_a_project_that_was_moved_away_is_not_begun_again(store: ProjectStore) -> None:
    """Work that goes on while a project is removed writes nothing where it was."""
    arrays = {"w": np.ones(2, np.float32)}
    lane = Lane("p", (), "key", arrays, 0.5, digest=digest_of(arrays), maker="m")
    reading = LaneReading(np.ones((1, 2, 4), np.float16), np.ones(2, np.float32))
    moved = store.path.rename(store.path.with_name("moved"))
    for work in (
        lambda: store.vectors.put("enc", ["a"], encoded(1)),
        lambda: store.versions.restore(step(store, 1), {"w": np.ones(3, np.float32)}, {}),
        lambda: store.tokens.put("key", ["a"], [reading]),
        lambda: store.lanes.save(lane),
    ):
        with pytest.raises(SaveError):
            work()
        assert not store.path.exists()
    moved.rename(store.path)


def test_lanes_that_were_not_used_for_long_leave_the_memory(tmp_path: Path) -> None:
    lanes = LaneStore(tmp_path)
    made = []
    for number in range(MOST_KNOWN + 3):
        arrays = {"w": np.full(2, number, np.float32)}
        made.append(Lane("p", (), "key", arrays, 0.5, digest=digest_of(arrays), maker="m"))
        lanes.save(made[-1])
        assert lanes.load(made[-1].digest) is not None
        assert lanes.load(made[0].digest) is not None  # in use all the time
    held = [one.digest for one in made if lanes.load(one.digest) is lanes.load(one.digest)]
    assert held == [one.digest for one in made], "those that left are read again"
    for one in made[1:3]:
        lanes.path(one.digest).unlink()
    assert lanes.load(made[1].digest) is None
    assert len(lanes._known) == MOST_KNOWN


def test_the_cache_is_deleted_over_and_over_while_threads_use_it(tmp_path: Path) -> None:
    vectors = VectorStore(tmp_path)
    errors: list[BaseException] = []
    until = time.monotonic() + 1.5

    def use(seed: int) -> None:
        said = encoded(3, seed=seed)
        hashes = [f"{seed}-{n}" for n in range(3)]
        try:
            while time.monotonic() < until:
                if vectors.missing(hashes, "enc"):
                    vectors.put("enc", hashes, said)
                pooled = vectors.pooled(hashes, "enc")
                if pooled.size and not np.isnan(pooled).any():
                    assert np.array_equal(pooled, said.pooled)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=use, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    while time.monotonic() < until:
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)
        time.sleep(0.05)
    for thread in threads:
        thread.join()
    assert errors == []
    vectors.close()


def step(store: ProjectStore, version: int, *, recipe: str = "r1") -> LearnStep:
    return LearnStep(version, version - 1, store.log.offset, recipe, 5, 6, 70, 123.5)


def test_versions_are_numbered_and_come_back(store: ProjectStore) -> None:
    state = {"weights": np.arange(6, dtype=np.float32).reshape(2, 3), "n": np.array([3])}
    assert store.versions.latest() is None
    assert store.versions.load(1) is None
    store.versions.save(step(store, 1), state, {"labels": [1, 2]})
    loaded = store.versions.load(1)
    assert loaded is not None
    assert {name: held.tolist() for name, held in loaded[0].items()} == {
        "weights": [[0, 1, 2], [3, 4, 5]], "n": [3],
    }  # fmt: skip
    assert loaded[1] == {"labels": [1, 2]}
    for wrong in (1, 3):
        with pytest.raises(BadInputError, match="the next one is 2"):
            store.versions.save(step(store, wrong), state, {})
    store.versions.save(step(store, 2), state, {})
    assert store.versions.steps() == [step(store, 1), step(store, 2)]
    assert store.versions.latest() == step(store, 2)


@pytest.mark.parametrize("harm", ["gone", "cut", "zeros", "json", "other"])
def test_a_state_that_is_gone_or_damaged_is_recomputed_not_believed(
    store: ProjectStore, harm: str
) -> None:
    state = {"w": np.ones(1000, np.float32)}
    store.versions.save(step(store, 1), state, {"a": 1})
    file = store.versions.folder / "1.safetensors"
    content = file.read_bytes()
    if harm == "gone":
        shutil.rmtree(store.path / "cache")
    elif harm == "cut":
        file.write_bytes(content[:500])
    elif harm == "zeros":
        file.write_bytes(content[:500] + bytes(len(content) - 500))
    elif harm == "json":
        (store.versions.folder / "1.json").write_text("{")
    else:  # files of another project's version 1
        store.versions.restore(step(store, 1, recipe="another"), state, {"a": 1})
    assert store.versions.load(1) is None
    assert store.versions.latest() == step(store, 1)
    store.versions.restore(step(store, 1), state, {"a": 1})
    loaded = store.versions.load(1)
    assert loaded is not None
    assert np.array_equal(loaded[0]["w"], state["w"])


def test_a_lease_lets_one_writer_in(store: ProjectStore) -> None:
    other = ProjectStore.open(store.path, settings=Settings())
    with store.versions.lease(30):
        with pytest.raises(BusyError, match=r"^another process is learning.*for (29|30) s more"):
            other.versions.lease(30).__enter__()
        with pytest.raises(BusyError, match="not saved"):
            other.versions.save(step(store, 1), {}, {})
        store.versions.save(step(store, 1), {}, {})
    with other.versions.lease(30):
        other.versions.save(step(store, 2), {}, {})
    store.versions.save(step(store, 3), {}, {})  # nobody holds it
    other.close()


def test_a_lease_lasts_for_as_long_as_it_is_held(store: ProjectStore) -> None:
    """A step over thousands of samples takes minutes; nobody else may write versions meanwhile."""

    def expires() -> float:
        with store._database.read() as connection:
            return connection.execute(sa.select(t.leases.c.expires)).scalar_one()

    with store.versions.lease(1.0):
        first, until = expires(), time.monotonic() + 30
        while expires() == first and time.monotonic() < until:
            time.sleep(0.02)
        assert expires() > first
    with store._database.read() as connection:
        assert connection.execute(sa.select(t.leases)).first() is None


def test_the_lease_of_a_stopped_process_expires_and_it_saves_nothing(
    store: ProjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = ProjectStore.open(store.path, settings=Settings())
    monkeypatch.setattr(store.versions, "_renew", lambda *_: None)
    with store.versions.lease(0.05):
        time.sleep(0.1)
        with other.versions.lease(30):
            with pytest.raises(BusyError, match="another process is learning"):
                store.versions.save(step(store, 1), {}, {})
            other.versions.save(step(store, 1), {}, {})
    other.close()


_HOLDER = """
import os, signal, sys
from pathlib import Path
from backend.settings import Settings
from backend.store.project import ProjectStore
store = ProjectStore.open(Path(sys.argv[1]), settings=Settings())
with store.versions.lease(3600):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_lease_of_a_killed_process_is_free_at_once(store: ProjectStore) -> None:
    ran = subprocess.run([sys.executable, "-c", _HOLDER, str(store.path)], timeout=60)
    assert ran.returncode == -9
    with store.versions.lease(30):
        store.versions.save(step(store, 1), {}, {})


def test_nothing_precious_is_in_the_cache(make: Make, tmp_path: Path) -> None:
    store = make(kind=Kind.IMAGE)
    files = [write_image(tmp_path / f"{n}.png", seed=n) for n in range(3)]
    store.take([Draft(name=f.name, path=f) for f in files], who="a", source="import:x")
    store.log.append([NewCorrection(1, 1, Verdict.YES)], who="a")
    hashes = [sample.content_hash for sample in store.samples()]
    store.vectors.put("enc", hashes, encoded(3))
    store.versions.save(step(store, 1), {"w": np.ones(3, np.float32)}, {})
    thumbnail = store.media.thumbnail(store.find(1), 128).read_bytes()
    before = (store.samples(), store.labels(), store.log.since(0), store.versions.steps())

    shutil.rmtree(store.path / "cache")  # while it is open

    assert (store.samples(), store.labels(), store.log.since(0), store.versions.steps()) == before
    assert store.vectors.missing(hashes, "enc") == hashes
    assert store.versions.load(1) is None
    assert store.media.thumbnail(store.find(1), 128).read_bytes() == thumbnail
    store.vectors.put("enc", hashes, encoded(3))
    store.log.append([NewCorrection(2, 1, Verdict.NO)], who="a")
    shutil.rmtree(store.path / "cache")
    store.close()
    again = ProjectStore.open(store.path, settings=Settings())
    assert again.samples() == before[0]
    assert len(again.log.since(0)) == 2
    again.close()


def test_another_process_is_waited_for_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(versions.time, "sleep", lambda _seconds: asked.append("slept"))

    def attempt() -> int:
        asked.append("asked")
        if asked.count("asked") < 3:
            raise BusyError("another process is learning this project")
        return 7

    assert versions.patiently(attempt) == 7
    assert asked == ["asked", "slept", "asked", "slept", "asked"]
    asked.clear()
    monkeypatch.setattr(versions, "PATIENCE", -1.0)
    with pytest.raises(BusyError):
        versions.patiently(attempt)
    assert asked == ["asked"]
