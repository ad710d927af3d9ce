"""The token cache gives back what was stored, or says that it is missing; never anything else."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from backend.errors import BadInputError, SaveError
from backend.store.token_cache import TokenCache
from backend.types import LaneReading

LANE = "lane-1"


def reading(seed: int, *, count: int = 9, width: int = 64, plain: int = 5) -> LaneReading:
    random = np.random.default_rng(seed)
    tokens = random.normal(size=(2, count, width)).astype(np.float16)
    return LaneReading(tokens, random.normal(size=plain).astype(np.float32))


def same(one: LaneReading | None, other: LaneReading) -> bool:
    return (
        one is not None
        and one.tokens.dtype == np.float16
        and np.array_equal(one.tokens, other.tokens)
        and np.array_equal(one.plain, other.plain)
    )


@pytest.fixture
def cache(tmp_path):
    with_cache = TokenCache(tmp_path / "tokens", budget_bytes=10_000_000)
    yield with_cache
    with_cache.close()


def files(cache: TokenCache, suffix: str) -> list[Path]:
    return sorted(cache.folder.glob(f"*/*{suffix}"))


def test_what_was_stored_comes_back_bit_by_bit_in_the_order_asked_for(cache):
    stored = {name: reading(row, count=3 + 7 * row) for row, name in enumerate("abc")}
    cache.put(LANE, list(stored), list(stored.values()))
    found = cache.get(LANE, ["c", "nosuch", "a", "b"])
    assert found[1] is None
    assert [same(found[at], stored[name]) for at, name in ((0, "c"), (2, "a"), (3, "b"))] == [
        True
    ] * 3
    assert found[0].tokens.base is not None
    assert not found[0].tokens.flags.writeable
    again = TokenCache(cache.folder, budget_bytes=10_000_000)
    assert same(again.get(LANE, ["b"])[0], stored["b"])


def test_lanes_and_views_are_apart(cache):
    cache.put(LANE, ["a"], [reading(0)])
    cache.put(LANE, ["a"], [reading(1)], view=1)
    cache.put("lane-2", ["a"], [reading(2)])
    assert same(cache.get(LANE, ["a"])[0], reading(0))
    assert same(cache.get(LANE, ["a"], view=1)[0], reading(1))
    assert same(cache.get("lane-2", ["a"])[0], reading(2))
    assert cache.missing(["b", "a", "b"], LANE) == ["b"]
    assert cache.missing(["a"], LANE, view=2) == ["a"]
    assert cache.missing(["a"], "lane-3") == ["a"]


def test_the_newest_of_a_key_counts_also_after_reopening(cache):
    cache.put(LANE, ["a"], [reading(0)])
    other = TokenCache(cache.folder, budget_bytes=10_000_000)
    other.put(LANE, ["a"], [reading(1)])
    for one in (cache, other, TokenCache(cache.folder, budget_bytes=10_000_000)):
        assert same(one.get(LANE, ["a"])[0], reading(1))


def test_batches_are_the_readings_in_order(cache):
    names = [f"s{row}" for row in range(7)]
    cache.put(LANE, names[:6], [reading(row) for row in range(6)])
    batches = list(cache.iter(LANE, names, 3))
    assert [len(batch) for batch in batches] == [3, 3, 1]
    flat = [one for batch in batches for one in batch]
    assert flat[6] is None
    assert all(same(one, reading(row)) for row, one in enumerate(flat[:6]))


def test_plain_numbers_come_alone_with_nan_where_there_are_none(cache):
    cache.put(LANE, ["a", "b"], [reading(0), reading(1)])
    rows = cache.plain(LANE, ["b", "x", "a"])
    np.testing.assert_array_equal(rows[0], reading(1).plain)
    np.testing.assert_array_equal(rows[2], reading(0).plain)
    assert np.isnan(rows[1]).all()
    assert cache.plain(LANE, ["x"]).shape == (1, 0)
    cache.put("bare", ["a"], [reading(0, plain=0)])
    assert cache.plain("bare", ["a", "x"]).shape == (2, 0)
    assert same(cache.get("bare", ["a"])[0], reading(0, plain=0))


def test_int8_is_within_half_a_step_of_each_channel(tmp_path):
    cache = TokenCache(tmp_path / "tokens", budget_bytes=10_000_000, precision="int8")
    original = reading(0, count=200, width=256)
    original.tokens[:, :, 7] = 0
    original.tokens[:, 11, 8] = 300  # one huge number spoils its own channel only
    cache.put(LANE, ["a"], [original])
    found = cache.get(LANE, ["a"])[0]
    wide = original.tokens.astype(np.float32)
    step = np.abs(wide).max(axis=1, keepdims=True) / 127
    error = np.abs(found.tokens.astype(np.float32) - wide)
    assert (error <= step * 0.501 + 1e-3 * np.abs(wide)).all()
    assert error[:, :, 9].max() > 0  # it is int8 after all
    assert (found.tokens[:, :, 7] == 0).all()
    np.testing.assert_array_equal(found.plain, original.plain)
    plain = TokenCache(tmp_path / "plain", budget_bytes=10_000_000)
    plain.put(LANE, ["a"], [original])
    assert cache.bytes < 0.55 * plain.bytes
    assert same(
        TokenCache(plain.folder, budget_bytes=1, precision="int8").get(LANE, ["a"])[0], original
    )


def test_it_keeps_to_its_budget_and_drops_what_was_used_longest_ago(tmp_path):
    one = reading(0, width=512)  # 18 kB
    cache = TokenCache(tmp_path / "tokens", budget_bytes=20 * one.tokens.nbytes)
    names = [f"s{row}" for row in range(18)]
    for row, name in enumerate(names):
        cache.put(LANE, [name], [reading(row, width=512)])
    assert cache.missing(names, LANE) == []
    for _ in range(2):
        cache.get(LANE, names[:4])
    for row in range(18, 30):
        cache.put("another lane", [f"s{row}"], [reading(row, width=512)])
        assert cache.bytes <= cache.budget_bytes
    gone = cache.missing(names, LANE)
    assert gone
    assert gone == names[4 : 4 + len(gone)]
    assert all(
        same(cache.get(LANE, [n])[0], reading(r, width=512)) for r, n in enumerate(names[:4])
    )


def test_one_big_put_keeps_to_the_budget_too(tmp_path):
    one = reading(0, width=512)
    cache = TokenCache(tmp_path / "tokens", budget_bytes=6 * one.tokens.nbytes)
    names = [f"s{row}" for row in range(40)]
    cache.put(LANE, names, [reading(row, width=512) for row in range(40)])
    assert cache.bytes <= cache.budget_bytes
    assert 3 <= 40 - len(cache.missing(names, LANE)) <= 6
    small = TokenCache(tmp_path / "small", budget_bytes=1000)
    small.put(LANE, ["a"], [one])
    assert small.missing(["a"], LANE) == ["a"]
    assert small.bytes == 0


def test_a_reading_outlives_the_file_it_lies_in(cache):
    cache.put(LANE, ["a"], [reading(0)])
    held = cache.get(LANE, ["a"])[0]
    shutil.rmtree(cache.folder)
    cache.close()
    assert same(held, reading(0))


@pytest.mark.parametrize("reopened", [False, True])
@pytest.mark.parametrize("where", ["plain", "tokens", "zeros", "cut", "empty", "index", "garbage"])
def test_a_damaged_reading_is_missing_and_can_be_stored_again(cache, where, reopened):
    stored = [reading(row, count=500) for row in range(3)]
    cache.put(LANE, list("abc"), stored)
    assert same(cache.get(LANE, ["b"])[0], stored[1])
    (data,), (index,) = files(cache, ".data"), files(cache, ".index")
    size = data.stat().st_size // 3
    record = index.stat().st_size // 3
    with data.open("r+b") as stream, index.open("r+b") as entries:
        if where == "plain":
            _flip(stream, size + 3)
        if where == "tokens":
            _flip(stream, size + 5000)
        if where == "zeros":
            stream.seek(size + 8192 - size % 4096)
            stream.write(bytes(4096))
        if where == "cut":
            stream.truncate(size + 100)
        if where == "empty":
            stream.truncate(0)
        if where == "index":
            _flip(entries, record + 20)
        if where == "garbage":
            entries.write(b"not an index at all" * 20)
    one = TokenCache(cache.folder, budget_bytes=10_000_000) if reopened else cache
    found = one.get(LANE, list("abc"))
    if where in ("plain", "tokens", "zeros") or (where == "index" and reopened):
        assert found[1] is None
        assert same(found[0], stored[0])
        assert same(found[2], stored[2])
    for row, each in enumerate(found):
        assert each is None or same(each, stored[row])
    gone = [name for name, each in zip("abc", found, strict=True) if each is None]
    assert one.missing(list("abc"), LANE) == gone
    one.put(LANE, list("abc"), stored)
    for again in (one, TokenCache(cache.folder, budget_bytes=10_000_000)):
        assert all(map(same, again.get(LANE, list("abc")), stored))


def _flip(stream, at: int) -> None:
    stream.seek(at)
    (byte,) = stream.read(1)
    stream.seek(at)
    stream.write(bytes([byte ^ 1]))


def test_two_swapped_pages_are_noticed(cache):
    cache.put(LANE, ["a"], [reading(0, count=500)])
    (data,) = files(cache, ".data")
    content = bytearray(data.read_bytes())
    content[4096:8192], content[8192:12288] = content[8192:12288], content[4096:8192]
    data.write_bytes(content)
    assert cache.get(LANE, ["a"]) == [None]


def test_the_folder_may_be_deleted_while_it_is_open(cache):
    cache.put(LANE, ["a"], [reading(0)])
    shutil.rmtree(cache.folder)
    assert cache.missing(["a"], LANE) == ["a"]
    assert cache.get(LANE, ["a"]) == [None]
    assert cache.bytes == 0
    cache.put(LANE, ["a"], [reading(1)])
    assert same(cache.get(LANE, ["a"])[0], reading(1))
    for file in files(cache, ".data"):
        file.unlink()
    assert cache.missing(["a"], LANE) == ["a"]
    cache.put(LANE, ["b"], [reading(2)])
    assert same(TokenCache(cache.folder, budget_bytes=10**7).get(LANE, ["b"])[0], reading(2))


def test_what_another_process_stores_is_seen_and_what_it_removes_too(cache):
    cache.put(LANE, ["a"], [reading(0)])
    other = TokenCache(cache.folder, budget_bytes=10_000_000)
    other.put(LANE, ["b"], [reading(1)])
    assert same(cache.get(LANE, ["b"])[0], reading(1))
    other.remove(["a"])
    assert cache.missing(["a", "b"], LANE) == ["a"]
    assert not any(reading(0).tokens.tobytes() in file.read_bytes() for file in files(cache, ""))
    cache.put(LANE, ["c"], [reading(2)])
    assert same(other.get(LANE, ["c"])[0], reading(2))


def _work(folder: Path, number: int) -> None:
    cache = TokenCache(folder, budget_bytes=1_500_000)
    for turn in range(40):
        name = f"s{(turn * 7 + number) % 25}"
        seed = int(name[1:])
        cache.put(LANE, [name], [reading(seed, width=512)])
        for at, found in enumerate(cache.get(LANE, [f"s{row}" for row in range(25)])):
            assert found is None or same(found, reading(at, width=512)), f"s{at}"
        if turn % 13 == number:
            shutil.rmtree(folder, ignore_errors=True)


def test_threads_that_store_and_delete_never_read_anything_wrong(tmp_path):
    errors = []

    def run(number: int) -> None:
        try:
            _work(tmp_path / "tokens", number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_processes_that_store_and_delete_never_read_anything_wrong(tmp_path):
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=_work, args=(tmp_path / "tokens", n)) for n in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]


def test_wrong_use_is_refused_in_a_sentence(cache, tmp_path):
    with pytest.raises(BadInputError, match=r"2 hashes for 1 readings"):
        cache.put(LANE, ["a", "b"], [reading(0)])
    with pytest.raises(BadInputError, match="float16, int8"):
        TokenCache(tmp_path, budget_bytes=1, precision="float8")
    (tmp_path / "file").write_text("in the way")
    blocked = TokenCache(tmp_path / "file" / "tokens", budget_bytes=10_000_000)
    assert blocked.missing(["a"], LANE) == ["a"]
    with pytest.raises(SaveError, match="cannot be stored"):
        blocked.put(LANE, ["a"], [reading(0)])


def test_storing_and_reading_is_quick(tmp_path):
    """Bounds with much room for a busy machine; `backend.bench` prints the times themselves."""
    cache = TokenCache(tmp_path / "tokens", budget_bytes=400_000_000)
    one = reading(0, count=145, width=512, plain=1280)  # 297 kB, as the embedded encoder gives
    names = [f"s{row}" for row in range(300)]
    start = time.process_time()
    for at in range(0, 300, 30):
        cache.put(LANE, names[at : at + 30], [one] * 30)
    stored = time.process_time() - start
    start = time.process_time()
    total = sum(found is not None for batch in cache.iter(LANE, names, 30) for found in batch)
    read = time.process_time() - start
    assert total == 300
    print(f"put {stored / 300 * 1e3:.3f} ms, get {read / 300 * 1e3:.3f} ms a sample", os.getpid())
    assert stored / 300 < 5e-3
    assert read / 300 < 5e-3
