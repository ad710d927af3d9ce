"""Files on their way in: sent in batches to a folder of their own, until imported or given up.

A batch is one request: four bytes with the length of a header, the header (JSON, a list of
`[name, size]`), then the files' bytes one after another. So nothing is parsed or held in memory,
sizes are known before the bytes come, and names keep their folders. A size of null is a file that
the browser could not read: no bytes come, and it is reported with the others that were refused.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from backend import api

FOLDER = ".uploads"
IDLE_SECONDS = 24 * 3600
HEADER_BYTES = 4_000_000
NAME_BYTES = 255
PATH_BYTES = 1000
MAX_DEPTH = 32
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")
TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".npz")
_DRIVE = re.compile(r"[A-Za-z]:[/\\]")


class TooLargeError(api.RefusedError):
    """More than the limit; names the file and both sizes."""


@dataclass
class Upload:
    """One person's files before they are imported, and what became of them.

    Attributes:
        problems: files that were refused by their name, each with the reason.
        is_claimed: an import has it, and nobody else may take or delete it.
    """

    id: str
    owner: str
    folder: Path
    limit: int
    received: int = 0
    files: int = 0
    is_claimed: bool = False
    touched: float = field(default_factory=time.monotonic)
    problems: list[api.FileProblem] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def sources(self) -> list[Path]:
        """What an import reads: the one file or folder that came, or each kind by itself."""
        archives = sorted((self.folder / "archives").iterdir())
        top = sorted((self.folder / "files").iterdir())
        if len(top) == 1:
            return [*top, *archives]
        if not top:
            return archives
        if all(path.is_file() and path.suffix.lower() in TABLES for path in top):
            return [*top, *archives]
        return [self.folder / "files", *archives]

    def discard(self) -> None:
        """Delete the files; what became of them stays known."""
        shutil.rmtree(self.folder, ignore_errors=True)


class Uploads:
    """All uploads of one server, below the home."""

    def __init__(self, home: Path, limit: int) -> None:
        self._root = home / FOLDER
        self._limit = limit
        self._uploads: dict[str, Upload] = {}
        self._lock = threading.Lock()

    def start(self, owner: str) -> Upload:
        """A new empty upload; those that nobody touched for a day are deleted."""
        self._sweep()
        upload_id = secrets.token_urlsafe(12)
        folder = self._root / upload_id
        for part in ("files", "archives"):
            (folder / part).mkdir(parents=True, mode=0o700)
        upload = Upload(upload_id, owner, folder, self._limit)
        with self._lock:
            self._uploads[upload_id] = upload
        return upload

    def find(self, upload_id: str, owner: str) -> Upload:
        """An upload of `owner` that no import has yet.

        Raises:
            NotFoundError: there is none, or it is another person's.
            BusyError: it is being imported.
        """
        with self._lock:
            upload = self._uploads.get(upload_id)
        if upload is None or upload.owner != owner:
            raise api.NotFoundError("that upload is gone; choose the files again")
        if upload.is_claimed:
            raise api.BusyError("these files are being imported already")
        upload.touched = time.monotonic()
        return upload

    def claim(self, upload: Upload) -> None:
        """Keep an upload for one import, which drops it in the end.

        Raises:
            BusyError: another import has it.
        """
        with upload.lock:
            if upload.is_claimed:
                raise api.BusyError("these files are being imported already")
            upload.is_claimed = True

    def drop(self, upload: Upload) -> None:
        """Give an upload up."""
        with self._lock:
            self._uploads.pop(upload.id, None)
        upload.discard()

    def close(self) -> None:
        """Delete all; called when the server stops."""
        with self._lock:
            uploads, self._uploads = list(self._uploads.values()), {}
        for upload in uploads:
            upload.discard()

    def _sweep(self) -> None:
        idle = time.monotonic() - IDLE_SECONDS
        with self._lock:
            uploads = self._uploads.values()
            old = [one for one in uploads if one.touched < idle and not one.is_claimed]
            known = {upload.folder for upload in self._uploads.values()}
        for upload in old:
            self.drop(upload)
        if self._root.is_dir():
            for folder in self._root.iterdir():
                # Left by a server that was killed; one that runs touches its folders daily.
                if folder not in known and time.time() - folder.stat().st_mtime > IDLE_SECONDS:
                    shutil.rmtree(folder, ignore_errors=True)


def staged_path(upload: Upload, name: object) -> Path:
    """Where a file of that name goes: below the upload's folder, whatever the name says.

    Raises:
        RefusedError: the name leads elsewhere or cannot be a file's name; says why.
    """
    if not isinstance(name, str) or not name or len(name) > PATH_BYTES:
        raise api.RefusedError(f"the name is empty or longer than {PATH_BYTES} bytes")
    parts = name.replace("\\", "/").split("/")
    try:
        sizes = [len(part.encode()) for part in parts]
    except UnicodeEncodeError:
        raise api.RefusedError("the name is not valid text") from None
    if name.startswith(("/", "\\")) or _DRIVE.match(name):
        raise api.RefusedError("the name is an absolute path")
    if ".." in parts:
        raise api.RefusedError("the name leads out of its folder")
    if any(part in ("", ".") for part in parts):
        raise api.RefusedError("the name has an empty part")
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in name):
        raise api.RefusedError("the name holds control characters")
    if len(parts) > MAX_DEPTH or max(sizes) > NAME_BYTES or sum(sizes) > PATH_BYTES:
        raise api.RefusedError(
            f"the name is longer than {PATH_BYTES} bytes or deeper than {MAX_DEPTH} folders"
        )
    is_archive = len(parts) == 1 and name.lower().endswith(ARCHIVES)
    return upload.folder.joinpath("archives" if is_archive else "files", *parts)


class BatchWriter:
    """Takes a batch as its bytes arrive and writes each file to its place."""

    def __init__(self, upload: Upload) -> None:
        self._upload = upload
        self._start = b""
        self._rest: Iterator[tuple[Path | None, int]] | None = None
        self._left = 0
        self._file: BinaryIO | None = None
        self._path: Path | None = None
        self.stored = 0
        self.refused: list[api.FileProblem] = []

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes.

        Raises:
            BadInputError: this is no batch.
            TooLargeError: the upload would be over its limit.
            SaveError: the disk is full or cannot be written.
        """
        try:
            self._feed(chunk)
        except OSError as error:
            self.abort()
            raise api.SaveError(
                f"the upload could not be kept: {error.strerror}; nothing was imported"
            ) from error

    def finish(self) -> None:
        """Say that all bytes came.

        Raises:
            BadInputError: some are missing.
        """
        if self._rest is None or self._left or self._next():
            self.abort()
            raise api.BadInputError("the upload ended early; send the batch again")

    def abort(self) -> None:
        """Drop the file that is not complete."""
        if self._file is not None and self._path is not None:
            self._file.close()
            self._path.unlink(missing_ok=True)
            self._file = None

    def _feed(self, chunk: bytes) -> None:
        view = memoryview(chunk)
        if self._rest is None:
            self._start += chunk
            length = int.from_bytes(self._start[:4], "big") if len(self._start) >= 4 else 0
            if length > HEADER_BYTES:
                raise api.BadInputError("the batch's header is too long")
            if len(self._start) < 4 + length or length == 0:
                if len(self._start) >= 4 and length == 0:
                    raise api.BadInputError("the batch has no header")
                return
            self._rest = iter(self._plan(self._start[4 : 4 + length]))
            view = memoryview(self._start)[4 + length :]
            self._next()
        while view:
            if not self._left and not self._next():
                raise api.BadInputError("the batch holds more bytes than its header says")
            taken = view[: self._left]
            if self._file is not None:
                self._file.write(taken)
            self._left -= len(taken)
            view = view[len(taken) :]
            if not self._left:
                self._close()

    def _plan(self, header: bytes) -> list[tuple[Path | None, int]]:
        """Where each file goes; None for those that are refused by name."""
        try:
            rows = [(row[0], row[1]) for row in json.loads(header)]
            if not all(_is_size(size) for _, size in rows):
                raise ValueError
        except (ValueError, TypeError, IndexError, KeyError, RecursionError):
            raise api.BadInputError("the batch's header is not a list of [name, size]") from None
        for name in (name for name, size in rows if size is None):
            self._refuse(str(name), "the browser could not read it; may you open it?")
        rows = [(name, size) for name, size in rows if size is not None]
        upload, limit = self._upload, self._upload.limit
        for name, size in rows:
            if size > limit:
                raise TooLargeError(f"{name} has {size:,} bytes; the limit is {limit:,}")
        with upload.lock:
            received = upload.received + sum(size for _, size in rows)
            if received > limit:
                raise TooLargeError(
                    f"with {rows[-1][0]} the upload has {received:,} bytes; the limit is {limit:,}"
                )
            upload.received = received
        plan: list[tuple[Path | None, int]] = []
        for name, size in rows:
            try:
                plan.append((staged_path(upload, name), size))
            except api.RefusedError as error:
                self._refuse(str(name), str(error))
                plan.append((None, size))
        return plan

    def _refuse(self, name: str, reason: str) -> None:
        readable = name[:PATH_BYTES].encode("utf-8", "replace").decode()
        problem = api.FileProblem(readable, reason)
        self.refused.append(problem)
        with self._upload.lock:
            self._upload.problems.append(problem)

    def _next(self) -> bool:
        """Begin the next file that has bytes; False at the end."""
        for path, size in self._rest or ():
            if path is not None:
                self._open(path)
            self._left = size
            if size:
                return True
            self._close()
        return False

    def _open(self, path: Path) -> None:
        name = path.relative_to(self._upload.folder).as_posix().split("/", 1)[1]
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = path.open("xb")
        except (FileExistsError, NotADirectoryError):
            self._refuse(name, "a file of that name came already")
            return
        self._path = path

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
            self.stored += 1
            with self._upload.lock:
                self._upload.files += 1


def _is_size(size: object) -> bool:
    return size is None or (isinstance(size, int) and size >= 0)
