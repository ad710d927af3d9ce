"""Vectors of parts and of whole samples: a cache, keyed by (content hash, encoder fingerprint).

Its own SQLite file below `cache/`, which may be deleted at any time, also while it is open: each
call looks whether the file is still the one it knows, and begins a new one if not. A damaged file
is thrown away. Pooled vectors (float32) lie in a table apart from the parts (float16), so that
reading ten thousand of them reads nothing else.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float

from backend.errors import BadInputError, BusyError, NotFoundError, SaveError
from backend.store.database import connect_for_reading, reading_mark
from backend.store.making import make_below
from backend.types import Encoded, Layout

T = TypeVar("T")

VECTORS = "vectors.sqlite3"
_SCAN_FROM = 400  # above this many hashes one pass over the encoder's rows is quicker
_CHUNK = 500
_ATTEMPTS = 6
_MOST_IDLE = 8  # connections that are kept open for the next thread
_FREE_SHARE = 0.3  # of the file, from which on writing it anew is worth the time
_SOME_POOLED = "SELECT hash, vector FROM pooled WHERE encoder = ? AND hash IN ({marks})"
_SOME_PARTS = (
    "SELECT hash, width, layout, vectors FROM parts WHERE encoder = ? AND hash IN ({marks})"
)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS pooled (
    encoder TEXT NOT NULL, hash TEXT NOT NULL, vector BLOB NOT NULL,
    PRIMARY KEY (encoder, hash));
CREATE TABLE IF NOT EXISTS parts (
    encoder TEXT NOT NULL, hash TEXT NOT NULL, width INTEGER NOT NULL, layout TEXT NOT NULL,
    vectors BLOB NOT NULL, PRIMARY KEY (encoder, hash));
"""


@dataclass(frozen=True)
class PartsBatch:
    """Parts of some samples, in the order they were asked for; missing ones are left out."""

    hashes: tuple[str, ...]
    parts: tuple[Float[np.ndarray, "_ d"], ...]
    layouts: tuple[Layout, ...]


@dataclass(frozen=True)
class _Opened:
    """A connection, what its file was told by, and how often the store was closed before."""

    connection: sqlite3.Connection
    mark: tuple[int, ...] | None
    closings: int


class VectorStore:
    """The vectors of one project."""

    def __init__(self, project: Path, *, is_read_only: bool = False) -> None:
        """Of the project in a folder; `is_read_only` where the folder may not be written to."""
        self.file = project / "cache" / VECTORS
        self.is_read_only = is_read_only
        self._lock = threading.Lock()
        self._idle: list[_Opened] = []
        self._closings = 0

    def missing(self, hashes: Sequence[str], fingerprint: str) -> list[str]:
        """The hashes that have no vectors of this encoder yet, in their order, each once."""

        def find(connection: sqlite3.Connection) -> list[str]:
            rows = connection.execute("SELECT hash FROM parts WHERE encoder = ?", (fingerprint,))
            known = {row[0] for row in rows}
            return [digest for digest in dict.fromkeys(hashes) if digest not in known]

        return self._run(find)

    def put(self, fingerprint: str, hashes: Sequence[str], encoded: Encoded) -> None:
        """Store what an encoder said; what is there already is replaced by the same.

        Raises:
            BadInputError: the numbers of hashes, vectors and layouts differ.
            SaveError: the cache cannot be written.
            BusyError: another program has been writing to it for long.
        """
        if self.is_read_only:
            raise SaveError(
                f"vectors cannot be stored in {self.file}: the project may not be written to; "
                "make its folder writable, or open a copy"
            )
        counts = {len(hashes), len(encoded.pooled), len(encoded.parts), len(encoded.layouts)}
        if len(counts) != 1:
            raise BadInputError(
                f"got {len(hashes)} hashes for {len(encoded.pooled)} pooled vectors, "
                f"{len(encoded.parts)} parts and {len(encoded.layouts)} layouts"
            )
        pooled = np.ascontiguousarray(encoded.pooled, dtype=np.float32)
        pooled_rows = [
            (fingerprint, digest, row.tobytes()) for digest, row in zip(hashes, pooled, strict=True)
        ]
        parts_rows = [
            (
                fingerprint,
                digest,
                parts.shape[1],
                _pack_layout(layout),
                np.ascontiguousarray(parts, dtype=np.float16).tobytes(),
            )
            for digest, parts, layout in zip(hashes, encoded.parts, encoded.layouts, strict=True)
        ]

        def write(connection: sqlite3.Connection) -> None:
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.executemany("INSERT OR REPLACE INTO pooled VALUES (?,?,?)", pooled_rows)
                connection.executemany(
                    "INSERT OR REPLACE INTO parts VALUES (?,?,?,?,?)", parts_rows
                )
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

        self._run(write)

    def pooled(self, hashes: Sequence[str], fingerprint: str) -> Float[np.ndarray, "n d"]:
        """One row per hash; rows of NaN where a vector is missing, width 0 if all are."""

        def read(connection: sqlite3.Connection) -> dict[str, bytes]:
            if len(hashes) > _SCAN_FROM:
                return dict(
                    connection.execute(
                        "SELECT hash, vector FROM pooled WHERE encoder = ?", (fingerprint,)
                    )
                )
            return dict(_of_hashes(connection, _SOME_POOLED, fingerprint, hashes))

        found = self._run(read)
        known = [digest for digest in hashes if digest in found]
        if not known:
            return np.empty((len(hashes), 0), dtype=np.float32)
        width = len(found[known[0]]) // 4
        rows = np.frombuffer(b"".join(found[digest] for digest in known), dtype=np.float32)
        if len(known) == len(hashes):
            return rows.reshape(-1, width).copy()
        pooled = np.full((len(hashes), width), np.nan, dtype=np.float32)
        is_known = np.fromiter((digest in found for digest in hashes), dtype=bool)
        pooled[is_known] = rows.reshape(-1, width)
        return pooled

    def parts(self, content_hash: str, fingerprint: str) -> tuple[np.ndarray, Layout]:
        """The parts (P, D) of one content and where they are.

        Raises:
            NotFoundError: it has not been encoded yet.
        """
        for batch in self.iter_parts([content_hash], fingerprint, 1):
            if batch.parts:
                return batch.parts[0], batch.layouts[0]
        raise NotFoundError("this sample has not been encoded yet; encode the project first")

    def iter_parts(
        self, hashes: Sequence[str], fingerprint: str, batch: int
    ) -> Iterator[PartsBatch]:
        """The parts of many contents, `batch` at a time."""
        for at in range(0, len(hashes), batch):
            chunk = list(hashes[at : at + batch])

            def read(
                connection: sqlite3.Connection, chunk: list[str] = chunk
            ) -> dict[str, tuple[int, str, bytes]]:
                rows = _of_hashes(connection, _SOME_PARTS, fingerprint, chunk)
                return {row[0]: (row[1], row[2], row[3]) for row in rows}

            found = self._run(read)
            known = tuple(digest for digest in chunk if digest in found)
            yield PartsBatch(
                known,
                tuple(
                    np.frombuffer(found[digest][2], dtype=np.float16)
                    .reshape(-1, found[digest][0])
                    .astype(np.float32)
                    for digest in known
                ),
                tuple(_unpack_layout(found[digest][1]) for digest in known),
            )

    def remove(self, hashes: Sequence[str]) -> None:
        """Remove the vectors of contents that are gone, of every encoder."""

        def write(connection: sqlite3.Connection) -> None:
            connection.execute("PRAGMA secure_delete=ON")  # the bytes go, not only the row
            encoders = [row[0] for row in connection.execute("SELECT DISTINCT encoder FROM pooled")]
            gone = [(encoder, digest) for encoder in encoders for digest in hashes]
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("DELETE FROM pooled WHERE encoder = ? AND hash = ?", gone)
            connection.executemany("DELETE FROM parts WHERE encoder = ? AND hash = ?", gone)
            connection.execute("COMMIT")
            connection.execute("PRAGMA secure_delete=OFF")
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            if connection.execute("PRAGMA freelist_count").fetchone()[0] > pages * _FREE_SHARE:
                connection.execute("VACUUM")

        if self.file.exists():
            self._run(write)

    def close(self) -> None:
        """Close the connections; those that are in use when their work is done."""
        with self._lock:
            idle, self._idle = self._idle, []
            self._closings += 1
        for opened in idle:
            opened.connection.close()

    def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do `work` on a connection; again on a new one if the file went away."""
        for attempt in range(_ATTEMPTS):
            try:
                return self._done(work)
            except sqlite3.DatabaseError as error:
                if self.is_read_only:
                    raise SaveError(f"{self.file} cannot be read ({error})") from error
                if _is_broken(error):
                    self._discard()
                elif not _may_be_deleted(error) or attempt == _ATTEMPTS - 1:
                    raise self._in_words(error) from error
            except OSError as error:
                if attempt == _ATTEMPTS - 1:
                    raise SaveError(
                        f"vectors cannot be stored in {self.file} ({error.strerror}): make the "
                        "folder writable"
                    ) from error
            time.sleep(0.01 * attempt)  # whoever deletes the cache may not be done yet
        raise SaveError(f"{self.file} is damaged again and again; is the disk in order?")

    def _done(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What `work` gives; its connection serves others afterwards, unless it failed."""
        opened = self._take()
        is_kept = False
        try:
            result = work(opened.connection)
            is_kept = True
        finally:
            # one that failed may be in the middle of something, or be of a file that is gone
            with self._lock:
                is_kept &= opened.closings == self._closings and len(self._idle) < _MOST_IDLE
                if is_kept:
                    self._idle.append(opened)
            if not is_kept:
                opened.connection.close()
        return result

    def _take(self) -> _Opened:
        """A connection that nobody uses, to the file that is there now.

        Threads come and go by the hundred; connections are not theirs, so that none outlives one.
        """
        while True:
            with self._lock:
                opened = self._idle.pop() if self._idle else None
            if opened is None:
                return self._open()
            if opened.mark is not None and opened.mark == self._mark():
                return opened
            opened.connection.close()

    def _open(self) -> _Opened:
        closings = self._closings
        if self.is_read_only:
            if self.file.exists():
                reading = connect_for_reading(self.file)
                return _Opened(reading, reading.mark, closings)
            # no vectors, and no place for any
            connection = sqlite3.connect(":memory:", check_same_thread=False)
            connection.executescript(_SCHEMA)
            return _Opened(connection, None, closings)
        make_below(self.file.parents[1], self.file.parent)
        connection = sqlite3.connect(
            self.file, timeout=20.0, isolation_level=None, check_same_thread=False
        )
        try:
            opened = _Opened(connection, self._mark(), closings)
            # Not WAL: its shared memory is mapped, and whoever deletes the cache while it is open
            # would have another connection cut the mapped file short, which ends the process
            # (SIGBUS).
            connection.execute("PRAGMA journal_mode=TRUNCATE")
            # never precious: without a sync per write, and a damaged file is made anew
            connection.execute("PRAGMA synchronous=OFF")
            connection.executescript(_SCHEMA)
        except BaseException:
            connection.close()
            raise
        return opened

    def _mark(self) -> tuple[int, ...] | None:
        """What tells this file from another one of its name; None where there is none."""
        try:
            if self.is_read_only:
                return reading_mark(self.file)
            found = self.file.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _discard(self) -> None:
        """Delete the file; it will be made anew."""
        for suffix in ("", "-journal", "-wal", "-shm"):
            Path(f"{self.file}{suffix}").unlink(missing_ok=True)

    def _in_words(self, error: sqlite3.DatabaseError) -> Exception:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return BusyError(f"another program is writing to {self.file}; try again")
        if code in (
            sqlite3.SQLITE_FULL,
            sqlite3.SQLITE_IOERR,
            sqlite3.SQLITE_READONLY,
            sqlite3.SQLITE_CANTOPEN,
        ):
            return SaveError(
                f"vectors cannot be stored in {self.file} ({error}): free some space or make the "
                "folder writable"
            )
        return error


def _of_hashes(
    connection: sqlite3.Connection, statement: str, fingerprint: str, hashes: Sequence[str]
) -> Iterator[tuple[Any, ...]]:
    for at in range(0, len(hashes), _CHUNK):
        chunk = hashes[at : at + _CHUNK]
        marks = ",".join("?" * len(chunk))
        yield from connection.execute(statement.format(marks=marks), (fingerprint, *chunk))


def _is_broken(error: sqlite3.DatabaseError) -> bool:
    """True if the file is damaged or of another make."""
    code = getattr(error, "sqlite_errorcode", 0)
    return (
        code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
        or "no such table" in str(error)
        or "no such column" in str(error)
    )


def _may_be_deleted(error: sqlite3.DatabaseError) -> bool:
    """True for what SQLite says when its files are deleted under it; or the disk is bad."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_BUSY,  # a new file that another thread is just giving its tables
    )


def _pack_layout(layout: Layout) -> str:
    return json.dumps({"grid": layout.grid, "spans": layout.spans})


def _unpack_layout(packed: str) -> Layout:
    held = json.loads(packed)
    grid, spans = held["grid"], held["spans"]
    return Layout(
        grid=None if grid is None else (grid[0], grid[1]),
        spans=None if spans is None else tuple((start, end) for start, end in spans),
    )
