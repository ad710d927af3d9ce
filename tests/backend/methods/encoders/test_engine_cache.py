"""Compiled networks on disk: the same numbers, never a wrong or a broken one, never too much."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from backend import pipeline
from backend.methods.encoders import _engine_cache
from backend.methods.encoders._engine import compile_engine
from backend.methods.encoders._engine_cache import EngineCache, key_of
from backend.methods.encoders.embedded import EmbeddedEncoder
from backend.methods.encoders.sentence import SentenceEncoder
from backend.settings import Settings

pytestmark = pytest.mark.slow

ROWS = np.random.default_rng(0).normal(size=(3, 8)).astype(np.float32)


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(8, 5), nn.GELU(), nn.Linear(5, 4))


def compiled(folder: Path, asked: list[int], **changes: Any) -> np.ndarray:
    """What an engine with the cache gives; `asked` counts how often the network was needed."""

    def load() -> nn.Module:
        asked.append(changes.get("seed", 0))
        return network(changes.get("seed", 0))

    options = {"identity": "a", **changes}
    options.pop("seed", None)
    run = compile_engine(
        load, [ROWS], **{"engine": "openvino", "device": "cpu", "cache": str(folder), **options}
    )
    return run(ROWS)[0]


def test_the_second_time_nothing_is_compiled_and_the_numbers_are_the_same(tmp_path: Path) -> None:
    asked: list[int] = []
    first, second = (compiled(tmp_path, asked) for _ in range(2))
    assert len(asked) == 1
    np.testing.assert_array_equal(second, first)
    np.testing.assert_allclose(first, network()(torch.from_numpy(ROWS)).detach(), atol=1e-5)


def test_without_a_folder_or_an_identity_nothing_is_kept(tmp_path: Path) -> None:
    asked: list[int] = []
    for changes in ({"cache": ""}, {"identity": ""}, {"engine": "torch"}):
        compiled(tmp_path, asked, **changes)
    assert len(asked) == 3
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "change",
    [{"identity": "b", "seed": 1}, {"threads": 1}, {"streams": 2}, {"dtype": "bfloat16"}],
    ids=lambda change: next(iter(change)),
)
def test_what_would_be_compiled_otherwise_is_another_file(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    asked: list[int] = []
    compiled(tmp_path, asked, threads=2)
    changed = compiled(tmp_path, asked, **{"threads": 2, **change})
    assert len(asked) == 2
    assert len(list(tmp_path.iterdir())) == 2
    truth = network(change.get("seed", 0))(torch.from_numpy(ROWS)).detach()
    np.testing.assert_allclose(changed, truth, atol=0.1 if "dtype" in change else 1e-5)


def test_a_network_whose_code_changed_is_compiled_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = key_of({"identity": "a"})
    copy = tmp_path / "room"
    copy.mkdir()
    here = Path(_engine_cache.__file__).parent
    for path in here.glob("*.py"):
        (copy / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(_engine_cache, "__file__", str(copy / "_engine_cache.py"))
    _engine_cache._code.cache_clear()
    assert key_of({"identity": "a"}) == before
    with (copy / "_minilm.py").open("a") as stream:
        stream.write("# another line\n")
    _engine_cache._code.cache_clear()
    assert key_of({"identity": "a"}) != before
    monkeypatch.undo()
    _engine_cache._code.cache_clear()


@pytest.mark.parametrize("damage", ["cut", "empty", "bit", "other"])
def test_a_damaged_file_is_compiled_anew_and_mended(tmp_path: Path, damage: str) -> None:
    asked: list[int] = []
    first = compiled(tmp_path, asked)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    turned = bytearray(whole)
    turned[len(whole) // 2] ^= 4
    said = {"cut": whole[:-7], "empty": b"", "bit": bytes(turned), "other": b"no network"}
    path.write_bytes(said[damage])
    np.testing.assert_array_equal(compiled(tmp_path, asked), first)
    np.testing.assert_array_equal(compiled(tmp_path, asked), first)
    assert len(asked) == 2
    assert path.read_bytes() != said[damage]


def test_a_whole_file_that_is_no_network_is_compiled_anew(tmp_path: Path) -> None:
    asked: list[int] = []
    first = compiled(tmp_path, asked)
    (path,) = tmp_path.iterdir()
    EngineCache(tmp_path).store(path.stem, b"whole, but not what OpenVINO wrote")
    np.testing.assert_array_equal(compiled(tmp_path, asked), first)
    np.testing.assert_array_equal(compiled(tmp_path, asked), first)
    assert len(asked) == 2


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    asked: list[int] = []
    found = [compiled(tmp_path / "file", asked) for _ in range(2)]
    np.testing.assert_array_equal(*found)
    assert len(asked) == 2


def test_the_longest_unused_goes_first_and_what_is_too_large_is_not_kept(tmp_path: Path) -> None:
    cache = EngineCache(tmp_path, most_bytes=3 * 132)
    for age, key in enumerate("abc"):
        cache.store(key, bytes(100))
        os.utime(tmp_path / f"{key}.engine", (1000 + age, 1000 + age))
    assert cache.load("a") == bytes(100)  # used just now
    cache.store("d", bytes(100))
    assert {path.stem for path in tmp_path.iterdir()} == {"a", "c", "d"}
    cache.store("e", bytes(3 * 132 - 31))
    assert cache.load("e") is None
    assert {path.stem for path in tmp_path.iterdir()} == {"a", "c", "d"}


def test_half_a_file_of_a_process_that_died_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / "old.part").write_bytes(b"half")
    os.utime(tmp_path / "old.part", (1000, 1000))
    (tmp_path / "new.part").write_bytes(b"half")
    (tmp_path / "notes.txt").write_text("not ours")
    EngineCache(tmp_path).store("a", b"engine")
    assert {path.name for path in tmp_path.iterdir()} == {"a.engine", "new.part", "notes.txt"}


def test_threads_that_store_load_and_delete_never_read_anything_wrong(tmp_path: Path) -> None:
    """Each key has one content; the limit holds two of the four, so files come and go."""
    content = {key: key.encode() * 5000 for key in "abcd"}
    cache = EngineCache(tmp_path, most_bytes=2 * 5032)
    wrong: list[object] = []

    def work(seed: int) -> None:
        draw = np.random.default_rng(seed)
        try:
            for _ in range(60):
                key = str(draw.choice(list(content)))
                if draw.random() < 0.5:
                    cache.store(key, content[key])
                elif (found := cache.load(key)) not in (None, content[key]):
                    wrong.append(found)
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    cache.store("a", content["a"])
    assert sum(path.stat().st_size for path in tmp_path.glob("*.engine")) <= cache.most_bytes
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("method", [EmbeddedEncoder, SentenceEncoder])
def test_an_encoder_read_from_the_cache_gives_the_same_bit_by_bit(
    tmp_path: Path, method: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = method.Settings(cache=str(tmp_path), threads=1, engine="openvino")
    draw = np.random.default_rng(0)
    samples = {
        EmbeddedEncoder: [draw.integers(0, 255, (90, 120, 3), dtype=np.uint8) for _ in range(2)],
        SentenceEncoder: ["A bus was late", "soup " * 300],
    }[method]
    first, read = method(settings).read(samples)
    assert len(list(tmp_path.iterdir())) == 1
    again = method(settings)
    refuse = lambda *_: pytest.fail("the network was loaded")  # noqa: E731
    monkeypatch.setattr(EmbeddedEncoder, "network", refuse)
    monkeypatch.setattr("backend.methods.encoders._minilm.load_file", refuse)
    second, reread = again.read(samples)
    np.testing.assert_array_equal(second.pooled, first.pooled)
    for one, other in zip(first.parts, second.parts, strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(read, reread, strict=True):
        np.testing.assert_array_equal(one.tokens, other.tokens)
        np.testing.assert_array_equal(one.plain, other.plain)


def test_projects_load_their_encoder_with_the_cache_of_the_settings(tmp_path: Path) -> None:
    for name in ("embedded", "sentence:minilm"):
        encoder = pipeline.load_encoder(name, Settings(cache=tmp_path / "here", threads=1))
        assert encoder.settings.cache == str(tmp_path / "here")  # type: ignore[attr-defined]
    found = Settings.from_environ({"XDG_CACHE_HOME": "/x"}).cache
    assert found == Path("/x/patchlane")
    assert Settings.from_environ({"PATCHLANE_CACHE": "~/y"}).cache == Path.home() / "y"
