"""What benches keep between runs is of the files that are asked for, whole, or made anew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backend.bench._kept import kept_arrays


def test_arrays_are_made_once_and_anew_for_other_files(tmp_path: Path) -> None:
    path, made = tmp_path / "deep" / "kept.npz", []

    def make(value: float) -> dict[str, np.ndarray]:
        made.append(value)
        return {"values": np.full(3, value)}

    for files, value, wanted in (
        (["a", "b"], 1.0, 1.0),
        (["a", "b"], 2.0, 1.0),
        (["b", "a"], 3.0, 3.0),
        ([], 4.0, 4.0),
        ([], 5.0, 4.0),
    ):
        held = kept_arrays(path, files, lambda value=value: make(value))
        assert list(held) == ["values"]
        np.testing.assert_array_equal(held["values"], np.full(3, wanted))
    assert made == [1.0, 3.0, 4.0]


def test_a_run_that_is_killed_leaves_nothing_that_breaks_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "kept.npz"

    def killed(stream: object, **arrays: np.ndarray) -> None:
        stream.write(b"PK half of it")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", killed)
        with pytest.raises(KeyboardInterrupt):
            kept_arrays(path, ["a"], lambda: {"values": np.zeros(2)})
    assert list(tmp_path.iterdir()) == []
    path.write_bytes(b"PK half of it")  # as older runs left it
    held = kept_arrays(path, ["a"], lambda: {"values": np.ones(2)})
    np.testing.assert_array_equal(held["values"], np.ones(2))
