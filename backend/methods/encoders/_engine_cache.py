"""Compiled networks on disk: what OpenVINO takes seconds to compile is read in a fraction of one.

A file is named by everything that decides what is compiled and holds its own SHA-256, so a file
that was cut off or changed is compiled anew. The folder may be deleted at any time, and several
processes may use it at once: a file appears whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from uuid import uuid4

MOST_BYTES = 2**30
"""Of all files together; a MiniLM takes 90 MB, the embedded encoder's pictures 50."""
ABANDONED_SECONDS = 3600
"""A file that is half written for so long has lost its process."""
_DIGEST_BYTES = hashlib.sha256().digest_size


class EngineCache:
    """The compiled networks of one person, at most `most_bytes`; the longest unused go first."""

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES):
        self.folder, self.most_bytes = folder, most_bytes

    def load(self, key: str) -> bytes | None:
        """What was stored under the key; None if nothing is there or it is not whole."""
        path = self._path(key)
        try:
            found = path.read_bytes()
        except OSError:
            return None
        blob = memoryview(found)[_DIGEST_BYTES:]
        if not blob or hashlib.sha256(blob).digest() != found[:_DIGEST_BYTES]:
            return None
        with suppress(OSError):
            os.utime(path)
        return bytes(blob)

    def store(self, key: str, blob: bytes) -> None:
        """Keep a compiled network; silently not where the disk does not take it."""
        if len(blob) + _DIGEST_BYTES > self.most_bytes:
            return
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            part = self.folder / f"{uuid4().hex}.part"
            try:
                with part.open("wb") as stream:
                    stream.write(hashlib.sha256(blob).digest())
                    stream.write(blob)
                part.replace(self._path(key))
            finally:
                part.unlink(missing_ok=True)
            self._make_room()

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.engine"

    def _make_room(self) -> None:
        kept = 0
        for path, age, size in sorted(self._files(), key=lambda file: file[1]):
            if path.suffix == ".part":
                if age > ABANDONED_SECONDS:
                    path.unlink(missing_ok=True)
                continue
            kept += size
            if kept > self.most_bytes:
                path.unlink(missing_ok=True)

    def _files(self) -> Iterator[tuple[Path, float, int]]:
        """Each file with the seconds since its last use, and its bytes."""
        now = time.time()
        for path in self.folder.iterdir():
            if path.suffix not in (".part", ".engine"):
                continue
            with suppress(OSError):  # another process may have just removed it
                status = path.stat()
                yield path, now - status.st_mtime, status.st_size


def key_of(facts: Mapping[str, object]) -> str:
    """A name for what these facts decide, together with the code that builds networks here."""
    told = json.dumps({**facts, "code": _code()}, sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:40]


@cache
def _code() -> str:
    """Digest of the modules of this room: a network whose code changed is another network."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
