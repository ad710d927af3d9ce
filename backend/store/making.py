"""A new project's folder: claimed by one maker, and gone again when the making fails; its identity.

The `uid` is given once: a project that is made again under an old name, in an old folder, is
another one. Older projects, which have none, get theirs when they are opened; so does the copy of a
folder, while the project it was copied from is where it was when it was opened last. One that was
moved stays itself, and so does one that is seen under another path.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import uuid
from contextlib import closing, suppress
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from backend.errors import BadInputError, PatchlaneError, SaveError
from backend.store import tables as t
from backend.store.database import DATABASE, Database, connect_for_reading

UID, PLACE = "uid", "place"
"""Keys in `settings`: which project it is, and the folder in which it is that one."""
PROBE = "probe"
"""Key in `settings`: what is written through one path and looked for through another."""


def new_uid() -> str:
    """An identity that no other project has."""
    return uuid.uuid4().hex


def give_uid(database: Database) -> None:
    """Give a project its identity, if it has none or is the copy of one that is still there."""
    with database.read() as connection:
        noted = _noted(connection)
    uid, place = noted
    if uid is not None and place is not None and _is_file_of(place, database.file):
        return
    if uid is not None and (place is None or _value_in(place, UID) != uid):
        # it is known which one it is: where it is now can be noted another time
        with suppress(PatchlaneError):
            _note(database, noted, uid)
    elif uid is None or place is None or not _is_seen_in(place, database):
        _note(database, noted, new_uid())


def _note(database: Database, before: tuple[str | None, str | None], uid: str) -> None:
    """Write down which project this is and where, unless somebody else was quicker."""
    with database.write() as connection:
        if _noted(connection) != before:
            return
        connection.execute(t.settings.delete().where(t.settings.c.key.in_((UID, PLACE))))
        values = {UID: uid, PLACE: str(database.folder)}
        connection.execute(
            t.settings.insert(),
            [{"key": key, "value": json.dumps(value)} for key, value in values.items()],
        )


def _is_seen_in(place: str, database: Database) -> bool:
    """Whether the database in another folder is this one, e.g. through another mount."""
    token, is_probe = uuid.uuid4().hex, t.settings.c.key == PROBE
    with database.write() as connection:
        connection.execute(t.settings.delete().where(is_probe))
        connection.execute(t.settings.insert().values(key=PROBE, value=json.dumps(token)))
    found = _value_in(place, PROBE)
    with database.write() as connection:
        connection.execute(t.settings.delete().where(is_probe))
    return found == token


def _noted(connection: Connection) -> tuple[str | None, str | None]:
    """The identity of a project, and the folder that it was in when that was last looked at."""
    key = t.settings.c.key
    wanted = sa.select(key, t.settings.c.value).where(key.in_((UID, PLACE)))
    found = {name: json.loads(value) for name, value in connection.execute(wanted)}
    return found.get(UID), found.get(PLACE)


def _is_file_of(place: str, file: Path) -> bool:
    try:
        return (Path(place) / DATABASE).samefile(file)
    except OSError:
        return False


def _value_in(place: str, key: str) -> object:
    """What the project in a folder keeps under a key; None where nothing can be read."""
    file = Path(place) / DATABASE
    try:
        if not file.is_file():
            return None
        with closing(connect_for_reading(file)) as connection:
            wanted = "SELECT value FROM settings WHERE key = ?"
            found = connection.execute(wanted, (key,)).fetchone()
            return None if found is None else json.loads(found[0])
    except (OSError, sqlite3.Error, ValueError):
        return None


def claim(path: Path) -> list[Path]:
    """Make the folder and its empty database, which of two makers at once only one can.

    Returns:
        The folders that were made, innermost first; for `unmake`.

    Raises:
        BadInputError: the folder holds something already.
        SaveError: it cannot be made or written.
    """
    if (path / DATABASE).exists():
        raise BadInputError(f"there is a project in {path} already; open it instead")
    made = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
        if next(path.iterdir(), None) is not None:
            raise BadInputError(f"{path} is not empty; choose a new folder for the project")
        os.close(os.open(path / DATABASE, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except FileExistsError as error:
        raise BadInputError(
            f"{path} was taken just now; open the project there, or choose another name"
        ) from error
    except OSError as error:
        _remove_empty(made)
        raise SaveError(
            f"the folder {path} cannot be made ({error.strerror}); choose another place"
        ) from error
    return made


def make_below(project: Path, folder: Path) -> None:
    """Make a folder inside a project that is there.

    A project that was moved away while something was still at work is not begun again.

    Raises:
        OSError: it cannot be made, or the project is gone.
    """
    at = project
    for part in folder.relative_to(project).parts:
        at /= part
        at.mkdir(exist_ok=True)


def unmake(path: Path, made: list[Path]) -> None:
    """Leave nothing of a project that `claim` began; a folder that was there before stays."""
    for entry in path.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)
    _remove_empty(made)


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with suppress(OSError):  # somebody else has put something in
            folder.rmdir()
