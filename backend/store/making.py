"""A new project's folder: claimed by one maker, and gone again when the making fails; its identity.

The `uid` is given once: a project that is made again under an old name, in an old folder, is
another one. Older projects, which have none, get theirs when they are opened.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from contextlib import suppress
from pathlib import Path

import sqlalchemy as sa

from backend.errors import BadInputError, SaveError
from backend.store import tables as t
from backend.store.database import DATABASE, Database


def new_uid() -> str:
    """An identity that no other project has."""
    return uuid.uuid4().hex


def give_uid(database: Database) -> None:
    """Give a project its identity, if it has none."""
    wanted = sa.select(t.settings.c.value).where(t.settings.c.key == "uid")
    with database.read() as connection:
        if connection.execute(wanted).scalar() is not None:
            return
    with database.write() as connection:
        if connection.execute(wanted).scalar() is None:  # nobody else was quicker
            value = json.dumps(new_uid())
            connection.execute(t.settings.insert().values(key="uid", value=value))


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
