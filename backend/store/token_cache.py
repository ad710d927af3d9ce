"""What lanes read of the samples, kept so that learning need not run the encoder again.

A memory-mapped cache below PROJECT/cache/tokens/, keyed by (content hash, lane key, view). It holds
at most `budget_bytes`; above it the files that were used longest ago go. Deleting it loses nothing,
also while it is open; a damaged reading counts as missing. Several processes and threads may use
it; two that store the same reading store it twice, and both are right.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from backend.errors import BadInputError, SaveError
from backend.numerics.halves import quantised, restored
from backend.store.token_segments import (
    ALIGNED,
    Key,
    Lane,
    Record,
    Segment,
    Writer,
    aligned,
    checksum,
    records,
)
from backend.types import LaneReading

TOKENS = "tokens"
PRECISIONS = {"float16": 2, "int8": 1}
_FORMAT = 1
_MOST_SEGMENT_BYTES = 64 * 2**20
_SEGMENTS = 16  # at least this many fill the budget, so that little goes at a time
_MOST_SEGMENTS = 512
_ATTEMPTS = 6


class TokenCache:
    """The readings of one project.

    Args:
        folder: where they lie; made when something is stored.
        budget_bytes: the most it may hold, over all lane keys.
        precision: of what is stored from now on, "float16" or "int8" (one scale per block and
            channel, half the bytes); readings of either kind are read.
    """

    def __init__(self, folder: Path, *, budget_bytes: int, precision: str = "float16"):
        if precision not in PRECISIONS:
            raise BadInputError(
                f"token precision is {precision!r}; known are {', '.join(PRECISIONS)}"
            )
        self.folder = folder
        self.budget_bytes = budget_bytes
        self._precision = PRECISIONS[precision]
        self._segment_bytes = min(_MOST_SEGMENT_BYTES, budget_bytes // _SEGMENTS)
        self._lock = threading.RLock()
        self._lanes: dict[str, Lane] = {}
        self._writers: dict[str, Writer] = {}
        self._known_bytes: int | None = None

    def missing(self, hashes: Sequence[str], lane_key: str, view: int = 0) -> list[str]:
        """The hashes without a reading, in their order, each once."""
        with self._lock:
            entries = self._refreshed(lane_key).entries
            return [one for one in dict.fromkeys(hashes) if _key(one, view) not in entries]

    def put(
        self, lane_key: str, hashes: Sequence[str], readings: Sequence[LaneReading], view: int = 0
    ) -> None:
        """Store readings; what is there already is replaced.

        Raises:
            BadInputError: the numbers of hashes and readings differ.
            SaveError: the cache cannot be written.
        """
        if len(hashes) != len(readings):
            raise BadInputError(f"got {len(hashes)} hashes for {len(readings)} readings")
        packed = [
            self._packed(_key(one, view), reading)
            for one, reading in zip(hashes, readings, strict=True)
        ]
        with self._lock:
            for record, chunks in packed:
                if record.size <= self.budget_bytes:
                    self._append(lane_key, record, chunks)
            self._keep_to_budget()

    def get(self, lane_key: str, hashes: Sequence[str], view: int = 0) -> list[LaneReading | None]:
        """The readings in the order asked for; None where one is missing or damaged.

        Tokens stored as float16 are views into the files: not to be written to, and valid as long
        as they are held, even when the file is removed.
        """
        keys = [_key(one, view) for one in hashes]
        with self._lock:
            lane = self._refreshed(lane_key)
            found = [lane.entries.get(key) for key in keys]
            raw = [one and one[0].bytes_at(one[1].offset, one[1].size) for one in found]
            _note_use(found)
        readings: list[LaneReading | None] = []
        for key, one, data in zip(keys, found, raw, strict=True):
            reading = None if one is None or data is None else _unpacked(one[1], data)
            if one is not None and reading is None:
                with self._lock:
                    lane.forget(key, one[1])
            readings.append(reading)
        return readings

    def iter(
        self, lane_key: str, hashes: Sequence[str], batch: int, view: int = 0
    ) -> Iterator[list[LaneReading | None]]:
        """`get`, `batch` hashes at a time."""
        for at in range(0, len(hashes), batch):
            yield self.get(lane_key, hashes[at : at + batch], view)

    def plain(
        self, lane_key: str, hashes: Sequence[str], view: int = 0
    ) -> Float[np.ndarray, "n f"]:
        """The plain numbers (N, F); rows of NaN where a reading is missing, F = 0 if all are."""
        with self._lock:
            lane = self._refreshed(lane_key)
            found = [lane.entries.get(_key(one, view)) for one in hashes]
            raw = [one and one[0].bytes_at(one[1].offset, one[1].plain_bytes) for one in found]
        width = max((one[1].plain for one in found if one is not None), default=0)
        rows = np.full((len(hashes), width), np.nan, np.float32)
        for row, (one, data) in enumerate(zip(found, raw, strict=True)):
            if one is not None and data is not None and checksum(data) == one[1].plain_sum:
                rows[row] = data.view(np.float32)
        return rows

    @property
    def bytes(self) -> int:
        """What the files take now."""
        return sum(size for _used, size, _data in self._files())

    def remove(self, hashes: Sequence[str]) -> None:
        """Remove the readings of contents that are gone, with the files they lie in."""
        gone = {_key(one, 0)[0] for one in hashes}
        with self._lock:
            self._close_writers()
            for index in self.folder.glob("*/*.index"):
                with suppress(OSError):
                    if any(record.digest in gone for record in records(index.read_bytes())):
                        _unlink(index)
            self._known_bytes = None

    def close(self) -> None:
        """Let go of the files; arrays that were given out stay valid."""
        with self._lock:
            self._close_writers()
            self._lanes.clear()

    def _lane(self, lane_key: str) -> Lane:
        if lane_key not in self._lanes:
            name = hashlib.blake2b(f"{_FORMAT}:{lane_key}".encode(), digest_size=12).hexdigest()
            self._lanes[lane_key] = Lane(self.folder / name)
        return self._lanes[lane_key]

    def _refreshed(self, lane_key: str) -> Lane:
        lane = self._lane(lane_key)
        lane.refresh()
        return lane

    def _packed(self, key: Key, reading: LaneReading) -> tuple[Record, list[_Chunk]]:
        """The record, at offset 0, and the bytes of a reading."""
        plain = np.ascontiguousarray(reading.plain, np.float32)
        tokens = np.ascontiguousarray(reading.tokens, np.float16)
        scale = np.zeros((0, 0), np.float32)
        if self._precision == 1:
            tokens, scale = quantised(tokens)
        both = (_bytes_of(scale), _bytes_of(tokens))
        blocks, count, width = tokens.shape
        record = Record(
            *key,
            self._precision,
            blocks,
            count,
            width,
            len(plain),
            0,
            plain_sum=checksum(_bytes_of(plain)),
            tokens_sum=sum(checksum(part) for part in both) & _MOST,
            when=time.time_ns(),
        )
        start = record.tokens_offset
        chunks = [(0, _bytes_of(plain)), (start, both[0]), (start + record.scale_bytes, both[1])]
        return record, [(offset, data.data) for offset, data in chunks if len(data)]

    def _append(self, lane_key: str, record: Record, chunks: list[_Chunk]) -> None:
        for attempt in range(_ATTEMPTS):
            try:
                writer = self._writer(lane_key)
                writer.append(record._replace(offset=aligned(writer.size)), chunks)
            except OSError as error:
                self._close_writers()
                is_deleted = isinstance(error, FileNotFoundError | FileExistsError)
                if not is_deleted or attempt == _ATTEMPTS - 1:
                    raise SaveError(
                        f"readings for lanes cannot be stored in {self.folder} ({error.strerror}): "
                        "free some space or make the folder writable"
                    ) from error
                time.sleep(0.01 * attempt)  # whoever deletes the cache may not be done yet
            else:
                break
        if self._known_bytes is not None:
            self._known_bytes += record.size + ALIGNED

    def _writer(self, lane_key: str) -> Writer:
        writer = self._writers.get(lane_key)
        if writer is not None and (writer.size >= self._segment_bytes or not writer.is_whole()):
            self._writers.pop(lane_key).close()
            self._known_bytes = None  # others write as well
            writer = None
        if writer is None:
            writer = self._writers[lane_key] = Writer(self._lane(lane_key).folder)
        return writer

    def _close_writers(self) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def _keep_to_budget(self) -> None:
        """Remove the segments that were used longest ago, of any lane key and process."""
        if self._known_bytes is not None and self._known_bytes <= self.budget_bytes:
            return
        files = sorted(self._files())
        total = sum(size for _used, size, _index in files)
        for number, (_used, size, index) in enumerate(files):
            if total <= self.budget_bytes and len(files) - number <= _MOST_SEGMENTS:
                break
            _unlink(index)
            total -= size
        self._known_bytes = total

    def _files(self) -> Iterator[tuple[int, int, Path]]:
        """Last use, bytes and index of each segment of any lane key."""
        for lane in _listed(self.folder):
            for index in (path for path in _listed(lane) if path.suffix == ".index"):
                with suppress(OSError):
                    data = index.with_suffix(".data").stat()
                    yield data.st_mtime_ns, data.st_size + index.stat().st_size, index


def _listed(folder: Path) -> list[Path]:
    """What is in a folder; nothing where it is gone meanwhile, where `Path.glob` would raise."""
    try:
        return list(folder.iterdir())
    except OSError:
        return []


_Chunk = tuple[int, memoryview]
_MOST = 0xFFFFFFFFFFFFFFFF


def _key(content_hash: str, view: int) -> Key:
    return hashlib.blake2b(content_hash.encode(), digest_size=16).digest(), view


def _bytes_of(values: np.ndarray) -> UInt8[np.ndarray, " n"]:
    return values.reshape(-1).view(np.uint8)


def _note_use(found: Sequence[tuple[Segment, Record] | None]) -> None:
    for segment in {id(one[0]): one[0] for one in found if one is not None}.values():
        segment.used()


def _unpacked(record: Record, data: UInt8[np.ndarray, " n"]) -> LaneReading | None:
    """The reading, or None if its bytes are not those that were stored."""
    plain, rest = data[: record.plain_bytes], data[record.tokens_offset - record.offset :]
    scale, numbers = rest[: record.scale_bytes], rest[record.scale_bytes :]
    if checksum(plain) != record.plain_sum:
        return None
    if (checksum(scale) + checksum(numbers)) & _MOST != record.tokens_sum:
        return None
    shape = (record.blocks, record.tokens, record.width)
    if record.precision == 1:
        scales = scale.view(np.float32).reshape(record.blocks, record.width)
        tokens = restored(numbers.view(np.int8).reshape(shape), scales)
    else:
        tokens = numbers.view(np.float16).reshape(shape)
    return LaneReading(tokens, plain.view(np.float32).copy())


def _unlink(index: Path) -> None:
    for file in (index, index.with_suffix(".data")):
        with suppress(OSError):
            file.unlink()
