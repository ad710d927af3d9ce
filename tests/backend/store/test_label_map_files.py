"""Label maps on disk: what was put is found under its fingerprint, and a bad file is no map."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backend.store.label_map_files import LabelMapFiles
from backend.types import LabelMap, Layout

HASH = "ab" * 32


def made(layout: Layout) -> LabelMap:
    columns = np.array([[1, 0], [0, -1], [-1, -1], [1, -1], [0, 1], [1, 0]], np.int16)
    values = np.where(columns >= 0, 0.25, 0).astype(np.float16)
    return LabelMap((7, 9), columns, values, layout)


@pytest.mark.parametrize(
    "layout", [Layout(grid=(2, 3)), Layout(spans=tuple((n, n + 1) for n in range(6)))]
)
def test_a_map_comes_back_as_it_was_under_its_fingerprint_alone(tmp_path: Path, layout) -> None:
    files = LabelMapFiles(tmp_path)
    files.put(HASH, "one", made(layout))
    found = files.get(HASH, "one")
    assert found is not None
    assert (found.labels, found.layout) == ((7, 9), layout)
    np.testing.assert_array_equal(found.columns, made(layout).columns)
    np.testing.assert_array_equal(found.values, made(layout).values)
    np.testing.assert_array_equal(found.of(9), np.float32([0.25, 0, 0, 0.25, 0.25, 0.25]))
    assert not found.of(8).any()
    assert files.get(HASH, "other") is None
    assert files.get("cd" * 32, "one") is None


def test_another_fingerprint_takes_the_place_of_the_earlier_one(tmp_path: Path) -> None:
    files = LabelMapFiles(tmp_path)
    for fingerprint in ("one", "two"):
        files.put(HASH, fingerprint, made(Layout(grid=(2, 3))))
    assert files.get(HASH, "one") is None
    assert files.get(HASH, "two") is not None
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1


def test_a_damaged_file_and_one_of_another_shape_are_no_maps(tmp_path: Path) -> None:
    files = LabelMapFiles(tmp_path)
    files.put(HASH, "one", made(Layout(grid=(2, 3))))
    (file,) = (path for path in tmp_path.rglob("*") if path.is_file())
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert files.get(HASH, "one") is None
    files.put(HASH, "one", made(Layout(grid=(2, 2))))  # six parts in four cells
    assert files.get(HASH, "one") is None


def test_maps_of_contents_that_are_gone_go_and_a_reader_writes_nothing(tmp_path: Path) -> None:
    LabelMapFiles(tmp_path).put(HASH, "one", made(Layout(grid=(2, 3))))
    reader = LabelMapFiles(tmp_path, is_read_only=True)
    reader.put("cd" * 32, "one", made(Layout(grid=(2, 3))))
    assert reader.get("cd" * 32, "one") is None
    assert reader.get(HASH, "one") is not None
    LabelMapFiles(tmp_path).remove([HASH, "ef" * 32])
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
