"""Arrays that took long to make, kept in a folder between runs of a bench."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

FILES = "files"
"""Name of the array that says what the others are of."""


def kept_arrays(
    path: Path, files: Sequence[str], make: Callable[[], Mapping[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """The arrays that an earlier run kept, or new ones, kept from now on.

    What is kept of other files, or cannot be read, is made anew. The file appears when it is
    whole: a run that is killed leaves none for later ones to stumble over.

    Args:
        path: an NPZ file; its name says how the arrays are made.
        files: what they are made of, in order.
        make: makes them.
    """
    held = _held(path)
    if held is None or held.get(FILES, np.zeros(0)).tolist() != list(files):
        held = dict(make())
        path.parent.mkdir(parents=True, exist_ok=True)
        written = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            with written.open("wb") as stream:
                np.savez(stream, **held, files=np.array(files, str))  # pyright: ignore
            written.replace(path)
        finally:
            written.unlink(missing_ok=True)
    held.pop(FILES, None)
    return held


def _held(path: Path) -> dict[str, np.ndarray] | None:
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, BadZipFile):
        return None
