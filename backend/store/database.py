"""One database of one project: connections, transactions, durability, errors said to a person.

SQLite in WAL mode with synchronous=FULL, because in WAL mode NORMAL can lose acknowledged rows at
a power cut. Every write is one BEGIN IMMEDIATE transaction: writers of several processes queue at
the busy timeout, so log offsets grow in the order of commits. A write checks before and after its
commit that the files it wrote to are still the ones on disk: SQLite itself would go on writing
into a deleted file and call it saved.

A folder that this process may not write to is opened for looking: SQLite is told so, since a WAL
database otherwise makes files beside itself.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.pool import QueuePool

from backend.errors import BadInputError, BusyError, NotFoundError, PatchlaneError, SaveError

DATABASE = "project.sqlite3"
HEAD = "0002"
"""Newest migration; known here so that opening a project needs no Alembic import (0.2 s)."""

BUSY_SECONDS = 20.0
_WRITTEN = (0,)  # the mark of a file that somebody has open for writing


class Database:
    """Transactions on one project's database; shared by all threads of a process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / DATABASE
        self.is_read_only = may_only_be_read(self.file)
        self.engine = _engine(self.file, is_read_only=self.is_read_only)
        self._identity: tuple[int, int] | None = None

    @contextmanager
    def read(self) -> Generator[Connection]:
        """A consistent snapshot; never waits for writers."""
        with (
            self._translated(is_write=False),
            self.engine.connect() as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def write(self) -> Generator[Connection]:
        """One durable transaction: committed when the block is left without an error.

        Raises:
            SaveError: nothing was saved; the sentence says why.
            BusyError: another process wrote for longer than the busy timeout.
        """
        if self.is_read_only:
            raise SaveError(
                f"{self.folder} can only be read here, it may not be written to; nothing was "
                "saved: make the folder and its files writable, or open a copy"
            )
        with self._translated(is_write=True), self.engine.connect() as plain:
            connection = plain.execution_options(patchlane_write=True)
            with connection.begin():
                self._check_files()
                yield connection
            self._check_files()

    def migrate(self) -> None:
        """Bring the schema up to date; quick when it is.

        Raises:
            BadInputError: a newer Patchlane made this project, or the file is no database.
        """
        with self._translated(is_write=False):
            revision = self._revision()
            if revision == HEAD:
                self._remember_file()
                return
        if revision is not None and revision > HEAD:
            raise BadInputError(
                f"{self.folder} was made by a newer Patchlane (its database has revision "
                f"{revision}, this one knows {HEAD}); update Patchlane to open it"
            )
        if self.is_read_only:
            raise SaveError(
                f"{self.folder} is a project of an older Patchlane that has to be brought up to "
                "date, and it may not be written to; make it writable, or open a copy"
            )
        from backend.store.migrating import upgrade  # noqa: PLC0415  Alembic only when needed

        with self._translated(is_write=True):
            upgrade(self.engine)
        self._remember_file()

    def vacuum(self) -> None:
        """Write the database anew without what was deleted, and empty the WAL.

        Raises:
            SaveError: it cannot be written anew; it stays as it is.
            BusyError: another program reads the WAL, where what was deleted stays until it is done.
        """
        with self._translated(is_write=True):
            raw = self.engine.raw_connection()
            try:
                raw.execute("VACUUM")
                is_busy = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            except sqlite3.Error as error:  # past SQLAlchemy, so nobody has translated it
                raise SaveError(f"{self.file} cannot be written anew ({error})") from error
            finally:
                raw.close()
        if is_busy:
            raise BusyError(f"another program is reading {self.file}-wal")

    def close(self) -> None:
        """Close every connection; the last one folds the WAL into the database file."""
        self.engine.dispose()

    def _revision(self) -> str | None:
        with self.engine.connect() as connection, connection.begin():
            if not sa.inspect(connection).has_table("alembic_version"):
                return None
            return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()

    def _remember_file(self) -> None:
        found = self.file.stat()
        self._identity = (found.st_dev, found.st_ino)

    def _check_files(self) -> None:
        """Refuse to call something saved that went into a file nobody will find again."""
        try:
            found = self.file.stat()
            Path(f"{self.file}-wal").stat()
        except OSError as error:
            raise SaveError(
                f"the database of {self.folder} is gone ({error.strerror}); nothing was saved: "
                "put the folder back and open the project again"
            ) from error
        if self._identity not in (None, (found.st_dev, found.st_ino)):
            raise SaveError(
                f"the database of {self.folder} was replaced while it was open; nothing was "
                "saved: open the project again"
            )

    @contextmanager
    def _translated(self, *, is_write: bool) -> Generator[None]:
        before = _mark_if_there(self.file) if self.is_read_only else ()
        try:
            yield
        except PatchlaneError:
            raise
        except DBAPIError as error:
            if self.is_read_only and before != _mark_if_there(self.file):
                raise BusyError(
                    f"another program wrote to {self.file} while it was read; try again"
                ) from error
            raise self._in_words(error, is_write=is_write) from error
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM):
                raise SaveError(
                    f"cannot write to {self.folder} ({error.strerror}); nothing was saved: free "
                    "some space or choose another folder, then do it again"
                ) from error
            raise

    def _in_words(self, error: DBAPIError, *, is_write: bool) -> Exception:
        code = getattr(error.orig, "sqlite_errorcode", None)
        primary = None if code is None else code & 0xFF
        done = "nothing was saved: " if is_write else ""
        if primary == sqlite3.SQLITE_FULL:
            return SaveError(
                f"the disk is full, or {self.file} may not grow; nothing was saved: free some "
                "space and do it again"
            )
        if primary == sqlite3.SQLITE_READONLY:
            return SaveError(
                f"{self.folder} cannot be written to; nothing was saved: make the folder and its "
                "files writable, or open a copy"
            )
        if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return BusyError(
                f"another program has been writing to {self.file} for {BUSY_SECONDS:.0f} s; "
                f"{done}try again"
            )
        if primary == sqlite3.SQLITE_CANTOPEN:
            if not self.file.exists():
                return NotFoundError(f"there is no database {self.file}")
            if self.is_read_only:
                return SaveError(
                    f"{self.folder} was not closed properly and may not be written to, so it "
                    "cannot be read either; open it once where it can be written, or open a copy"
                )
            return SaveError(
                f"{self.file} cannot be opened for writing; {done}make its folder writable"
            )
        if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return SaveError(
                f"{self.file} is damaged ({error.orig}); {done}put a copy of the folder back"
            )
        if primary == sqlite3.SQLITE_IOERR:
            return SaveError(f"the disk under {self.file} fails ({error.orig}); {done}check it")
        return error


class _ReadingConnection(sqlite3.Connection):
    """A connection that knows of which state of the file it is."""

    mark: tuple[int, ...] = ()


def may_only_be_read(file: Path) -> bool:
    """Whether a database that is there cannot be written: its file, its folder, the disk."""
    return file.exists() and not (os.access(file, os.W_OK) and os.access(file.parent, os.W_OK))


def reading_mark(file: Path) -> tuple[int, ...]:
    """By what a connection for reading knows that it still reads what is there.

    Beside a live writer it follows that writer by itself. Where nobody had the file open SQLite was
    told that it will stay as it is, so it may serve only for as long as it does.

    Raises:
        OSError: there is no such file.
    """
    if not _is_closed(file):
        return _WRITTEN
    found = file.stat()
    return 1, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _is_closed(file: Path) -> bool:
    """Whether nobody has a database open, as far as its files tell."""
    try:
        has_wal = Path(f"{file}-wal").stat().st_size > 0
    except OSError:
        return True
    return not has_wal and not Path(f"{file}-shm").exists()


def connect_for_reading(file: Path) -> _ReadingConnection:
    """A connection to a database that may not be written to; see `reading_mark`."""
    mark = _mark_if_there(file)  # before it is opened: what changes meanwhile is seen next time
    # Where nobody has it open SQLite may not make its two files, and needs to be told that the
    # file will stay as it is; beside a live writer it reads that writer's.
    uri = f"{file.absolute().as_uri()}?mode=ro{'' if mark == _WRITTEN else '&immutable=1'}"
    connection = sqlite3.connect(
        uri,
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        factory=_ReadingConnection,
    )
    connection.mark = mark
    return connection


def _engine(file: Path, *, is_read_only: bool) -> Engine:
    if is_read_only:
        reading = sa.create_engine(
            "sqlite://",
            creator=lambda: connect_for_reading(file),
            poolclass=QueuePool,
            pool_size=8,
            max_overflow=24,
        )
        event.listen(reading, "begin", _on_begin)
        event.listen(reading, "checkout", lambda held, *_: _check_mark(file, held))
        return reading
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(file)),
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
        pool_size=8,
        max_overflow=24,
    )
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    return engine


def _mark_if_there(file: Path) -> tuple[int, ...]:
    try:
        return reading_mark(file)
    except OSError:
        return ()


def _check_mark(file: Path, connection: _ReadingConnection) -> None:
    """A connection to a file that changed since is thrown away; the pool opens another one."""
    if connection.mark != _mark_if_there(file):
        raise DisconnectionError(f"{file} was written to")


def _on_connect(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")


def _on_begin(connection: Connection) -> None:
    is_write = connection.get_execution_options().get("patchlane_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_write else "BEGIN")
