"""The files of the token cache: readings one after the other, and an index of them.

tokens/LANE/NAME.data    readings, 64-byte aligned, only ever appended to, and only by the cache
                         that began the file; a file is removed whole
tokens/LANE/NAME.index   one record of fixed size per reading, with a checksum of its own

Nothing is locked: whoever reads takes what the index lists, looks whether the data file is long
enough and compares the checksum. Whatever is damaged, cut off or gone is a reading less.
"""

from __future__ import annotations

import mmap
import os
import secrets
import struct
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from jaxtyping import UInt8

from backend.store.making import make_below

ALIGNED = 64
_PAGE = 4096
_RECORD = struct.Struct("<16sHHIIIIQQQQI")

Key = tuple[bytes, int]
"""Digest of the content hash, and the number of the view."""


class Record(NamedTuple):
    """Where one reading lies and what it is; `precision` 2 float16, 1 int8 (bytes per number)."""

    digest: bytes
    view: int
    precision: int
    blocks: int
    tokens: int
    width: int
    plain: int
    offset: int
    plain_sum: int
    tokens_sum: int
    when: int

    @property
    def plain_bytes(self) -> int:
        """Bytes of the plain numbers, at `offset`."""
        return 4 * self.plain

    @property
    def tokens_offset(self) -> int:
        """Where the scales (int8 only) and the tokens begin."""
        return self.offset + aligned(self.plain_bytes)

    @property
    def scale_bytes(self) -> int:
        """Bytes of the scales before the tokens."""
        return 4 * self.blocks * self.width if self.precision == 1 else 0

    @property
    def tokens_bytes(self) -> int:
        """Bytes of scales and tokens."""
        return self.scale_bytes + self.precision * self.blocks * self.tokens * self.width

    @property
    def size(self) -> int:
        """Bytes of the whole reading."""
        return self.tokens_offset - self.offset + self.tokens_bytes

    def packed(self) -> bytes:
        """The record as the index holds it."""
        packed = _RECORD.pack(*self, 0)[:-4]
        return packed + struct.pack("<I", zlib.crc32(packed))


def aligned(size: int) -> int:
    """The size filled up to where the next thing may begin."""
    return -(-size // ALIGNED) * ALIGNED


def checksum(data: UInt8[np.ndarray, " n"]) -> int:
    """64 bits that change when a page is damaged, zeroed or another one's; 9 GB a second.

    The sum of each page's words times a factor of the page's own: a CRC of all bytes would take
    longer than all else.
    """
    whole = len(data) // _PAGE * _PAGE
    sums = data[:whole].view(np.uint64).reshape(-1, _PAGE // 8).sum(axis=1, dtype=np.uint64)
    factors = np.arange(len(sums), dtype=np.uint64) * np.uint64(2) + np.uint64(3)
    rest = (zlib.crc32(data[whole:].data) << 32) | (len(data) & 0xFFFFFFFF)
    return (int((sums * factors).sum(dtype=np.uint64)) + rest) & 0xFFFFFFFFFFFFFFFF


@dataclass
class Segment:
    """One pair of files as this process knows it."""

    data: Path
    index: Path
    inodes: tuple[int, int]
    size: int = 0
    read: int = 0
    map: mmap.mmap | None = None

    def bytes_at(self, offset: int, size: int) -> UInt8[np.ndarray, " n"] | None:
        """A view into the file, or None if it is not that long, or gone."""
        if offset + size > self.size:
            return None
        if self.map is None or len(self.map) < offset + size:
            try:
                with self.data.open("rb") as stream:
                    if os.fstat(stream.fileno()).st_ino != self.inodes[0]:
                        return None
                    self.map = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
            except (OSError, ValueError):  # gone, or empty
                return None
            if len(self.map) < offset + size:
                return None
        return np.frombuffer(self.map, np.uint8, size, offset)

    def used(self) -> None:
        """Note that it was used just now: what was used longest ago goes first."""
        with suppress(OSError):
            now = time.time_ns()
            os.utime(self.data, ns=(now, now))


class Lane:
    """All readings of one lane key: the segments of one folder and what they hold."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.segments: dict[str, Segment] = {}
        self.entries: dict[Key, tuple[Segment, Record]] = {}

    def refresh(self) -> None:
        """Take in what this or another process wrote or removed."""
        found = dict(_pairs(self.folder))
        for name in [name for name in self.segments if name not in found]:
            self._drop(name)
        for name, (data, index) in found.items():
            known = self.segments.get(name)
            if known is not None and (
                known.inodes != (data.st_ino, index.st_ino)
                or index.st_size < known.read
                or data.st_size < known.size
            ):
                self._drop(name)
                known = None
            if known is None:
                base = self.folder / name
                known = Segment(
                    base.with_suffix(".data"),
                    base.with_suffix(".index"),
                    (data.st_ino, index.st_ino),
                )
                self.segments[name] = known
            known.size = data.st_size
            if index.st_size - known.read >= _RECORD.size:
                self._take_in(known)

    def forget(self, key: Key, record: Record) -> None:
        """A damaged reading counts as missing."""
        if key in self.entries and self.entries[key][1] is record:
            del self.entries[key]

    def _take_in(self, segment: Segment) -> None:
        try:
            with segment.index.open("rb") as stream:
                stream.seek(segment.read)
                new = stream.read()
        except OSError:
            return
        segment.read += len(new) // _RECORD.size * _RECORD.size
        for record in records(new):
            before = self.entries.get((record.digest, record.view))
            if before is None or before[1].when <= record.when:
                self.entries[record.digest, record.view] = (segment, record)

    def _drop(self, name: str) -> None:
        gone = self.segments.pop(name)
        self.entries = {key: one for key, one in self.entries.items() if one[0] is not gone}


def records(packed: bytes) -> Iterator[Record]:
    """The undamaged records of an index."""
    for at in range(0, len(packed) - _RECORD.size + 1, _RECORD.size):
        one = packed[at : at + _RECORD.size]
        *fields, crc = _RECORD.unpack(one)
        if zlib.crc32(one[:-4]) == crc:
            yield Record(*fields)


def _pairs(folder: Path) -> Iterator[tuple[str, tuple[os.stat_result, os.stat_result]]]:
    """Name, and the state of data and index, of each segment in a folder."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.name.endswith(".index")]
    except OSError:
        return
    for name in names:
        base = folder / name
        with suppress(OSError):  # removed meanwhile
            yield base.stem, (base.with_suffix(".data").stat(), base.stat())


class Writer:
    """The segment that this process appends to."""

    def __init__(self, folder: Path):
        make_below(folder.parents[2], folder)  # PROJECT/cache/tokens/LANE
        self.name = f"{time.time_ns():020d}-{os.getpid()}-{secrets.token_hex(3)}"
        base = folder / self.name
        self._data: BinaryIO = base.with_suffix(".data").open("xb")
        try:
            self._index: BinaryIO = base.with_suffix(".index").open("xb", buffering=0)
        except OSError:
            self._data.close()
            raise
        self.size = 0
        self._index_size = 0

    def is_whole(self) -> bool:
        """False if somebody removed or changed the files."""
        data, index = os.fstat(self._data.fileno()), os.fstat(self._index.fileno())
        is_there = data.st_nlink > 0 and index.st_nlink > 0
        return is_there and (data.st_size, index.st_size) == (self.size, self._index_size)

    def append(self, record: Record, chunks: Sequence[tuple[int, memoryview | bytes]]) -> None:
        """Write one reading; `chunks` are (offset after the start, bytes), ascending."""
        for offset, chunk in chunks:
            self._data.write(bytes(record.offset + offset - self.size))  # zeros up to there
            self._data.write(chunk)
            self.size = record.offset + offset + len(chunk)
        self._data.flush()  # before the index says so
        self._index_size += self._index.write(record.packed())

    def close(self) -> None:
        """Close the files; what was written stays."""
        with suppress(OSError):
            self._data.close()
        with suppress(OSError):
            self._index.close()
