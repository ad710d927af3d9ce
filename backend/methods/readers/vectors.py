"""Vectors made elsewhere: an NPZ file with `names` (N) and `vectors` (N, D).

Shapes and types are read from the arrays' headers first, so that a file that claims too much, or
holds Python objects (pickle), is refused before anything of it is in memory.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from backend.errors import BadInputError, RefusedError
from backend.methods.readers._drafts import problem
from backend.methods.readers._lines import first_bytes
from backend.methods.readers._paths import clean_name, shown
from backend.methods.readers._settings import ReaderSettings
from backend.types import BroughtVectors, FileProblem

_MEMBERS = ("names.npy", "vectors.npy")
_BROKEN = (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error, RuntimeError)


class VectorsReader:
    """One file is the vectors of one model, called by the file's stem."""

    @dataclass(frozen=True)
    class Settings(ReaderSettings):
        """Nothing of its own."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or self.Settings()

    def accepts(self, path: Path) -> bool:
        if not path.is_file() or first_bytes(path, 4, self.settings.limits) != b"PK\3\4":
            return False
        try:
            with zipfile.ZipFile(path) as opened:
                members = opened.namelist()
        except _BROKEN:
            return path.suffix.lower() == ".npz"
        return bool(members) and all(member.endswith(".npy") for member in members)

    def read(self, path: Path) -> Iterator[BroughtVectors | FileProblem]:
        try:
            names, vectors = self._arrays(path)
        except (BadInputError, RefusedError) as error:
            yield problem(path.name, "", error)
            return
        kept: list[int] = []
        clean: dict[str, None] = {}
        for row, raw in enumerate(names):
            try:
                name = clean_name(raw)
                if name in clean:
                    raise BadInputError(f"{shown(name)} is there twice; the first is kept")
                if not np.isfinite(vectors[row]).all():
                    raise BadInputError(f"the vector of {shown(name)} holds NaN or infinity")
                if not vectors[row].any():
                    raise BadInputError(f"the vector of {shown(name)} is all zeros")
            except (BadInputError, RefusedError) as error:
                yield problem(path.name, f"row {row + 1}", error)
                continue
            clean[name] = None
            kept.append(row)
        if kept:
            yield BroughtVectors(path.stem, tuple(clean), vectors[kept])

    def _arrays(self, path: Path) -> tuple[list[str], np.ndarray]:
        try:
            with zipfile.ZipFile(path) as opened:
                missing = [m[:-4] for m in _MEMBERS if m not in opened.namelist()]
                if missing:
                    raise BadInputError(f"holds no array called {' nor '.join(missing)}")
                names = self._array(opened, "names", "US", 1)
                vectors = self._array(opened, "vectors", "fiu", 2)
        except _BROKEN as error:
            raise BadInputError(f"is broken: {error}") from error
        if len(names) != len(vectors):
            raise BadInputError(f"holds {len(names)} names for {len(vectors)} vectors")
        if names.dtype.kind == "S":
            names = np.char.decode(names, "utf-8", "replace")
        with np.errstate(over="ignore"):  # too large for float32 becomes infinity, and is named
            return [str(name) for name in names], vectors.astype(np.float32)

    def _array(self, opened: zipfile.ZipFile, what: str, kinds: str, ndim: int) -> np.ndarray:
        """One array, after its header was believed possible."""
        with opened.open(f"{what}.npy") as stream:
            version = np.lib.format.read_magic(stream)
            reader = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }.get(version)
            if reader is None:
                raise BadInputError(f"{what} is in version {version} of NumPy's format")
            shape, is_fortran, dtype = reader(stream)
            if dtype.hasobject or dtype.kind not in kinds:
                raise RefusedError(f"{what} holds {dtype}; give {_WANTED[what]}")
            if len(shape) != ndim:
                raise BadInputError(f"{what} has the shape {shape}; give {_WANTED[what]}")
            num_bytes = dtype.itemsize
            for side in shape:
                num_bytes *= side
            if num_bytes > self.settings.limits.upload_bytes:
                raise RefusedError(
                    f"{what} would take {num_bytes:,} bytes; the limit is "
                    f"{self.settings.limits.upload_bytes:,}"
                )
            data = bytearray()
            while len(data) < num_bytes and (
                chunk := stream.read(min(1 << 20, num_bytes - len(data)))
            ):
                data += chunk
            if len(data) < num_bytes:
                raise BadInputError(f"{what} ends after {len(data):,} of {num_bytes:,} bytes")
            flat = np.frombuffer(bytes(data), dtype=dtype)
            return flat.reshape(shape[::-1]).T if is_fortran else flat.reshape(shape)


_WANTED = {
    "names": "a list of texts (N), not objects",
    "vectors": "numbers, a row per name (N, D), not objects",
}
