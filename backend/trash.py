"""Projects that were removed: put aside whole, brought back, or deleted for good.

A removed project is its folder, moved to `HOME/.removed/NAME-DATE-TIME`. Nothing in it changes, so
bringing it back is one move. Only `delete` takes anything away.
"""

from __future__ import annotations

import itertools
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from backend.errors import BadInputError, NotFoundError, SaveError
from backend.settings import Settings
from backend.store.database import DATABASE

REMOVED = ".removed"
CACHE = "cache"
_NAMED = re.compile(r"(?P<name>.+)-(?P<when>\d{8}-\d{6})(?P<again>-\d+)?", re.DOTALL)


@dataclass(frozen=True)
class RemovedProject:
    """A project that was put aside.

    Attributes:
        key: which one it is; several may have had one name.
        name: what it was called.
        when: seconds since 1970, of the removal.
    """

    key: str
    name: str
    when: float


def put_aside(path: Path, settings: Settings) -> Path:
    """Move a project out of sight; gives where it is now.

    Raises:
        SaveError: it cannot be moved.
    """
    folder = settings.home / REMOVED
    stamp = f"{path.name}-{time.strftime('%Y%m%d-%H%M%S')}"
    # Two of one name within a second must not land in one another.
    names = itertools.chain([stamp], (f"{stamp}-{count}" for count in itertools.count(2)))
    aside = next(folder / name for name in names if not (folder / name).exists())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.move(path, aside)
    except OSError as error:
        raise SaveError(f"{path.name} cannot be moved to {folder}: {error.strerror}") from error
    return aside


def removed(settings: Settings) -> list[RemovedProject]:
    """What was put aside, the last removed first."""
    found = []
    folder = settings.home / REMOVED
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        named = _NAMED.fullmatch(path.name)
        if named is not None and (path / DATABASE).is_file():
            when = time.mktime(time.strptime(named["when"], "%Y%m%d-%H%M%S"))
            found.append((when, int((named["again"] or "-1")[1:]), path.name, named["name"]))
    return [RemovedProject(key, name, when) for when, _, key, name in sorted(found, reverse=True)]


def restore(name_or_key: str, settings: Settings) -> Path:
    """Bring back one by its key, or the newest of a name.

    Raises:
        NotFoundError: there is none.
        BadInputError: another project has taken the name.
        SaveError: it cannot be moved.
    """
    found = _find(name_or_key, settings)
    path = settings.home / found.name
    try:
        if _is_left_over(path):
            shutil.rmtree(path)
        if path.exists():
            raise BadInputError(
                f"a project {found.name!r} exists; rename it before restoring the old one"
            )
        shutil.move(settings.home / REMOVED / found.key, path)
    except OSError as error:
        raise SaveError(f"{found.name} cannot be moved to {path}: {error.strerror}") from error
    return path


def _is_left_over(path: Path) -> bool:
    """Whether a folder is what was left of a project's cache: nothing in it is precious."""
    is_folder = path.is_dir() and not path.is_symlink()
    return is_folder and {entry.name for entry in path.iterdir()} <= {CACHE}


def delete(key: str, settings: Settings) -> RemovedProject:
    """Delete a removed project for good: its samples, verdicts and media.

    Raises:
        NotFoundError: there is none of that key.
        SaveError: it cannot be deleted.
    """
    found = _find(key, settings, is_key=True)
    try:
        shutil.rmtree(settings.home / REMOVED / found.key)
    except OSError as error:
        raise SaveError(f"{found.name} cannot be deleted: {error.strerror}") from error
    return found


def _find(wanted: str, settings: Settings, *, is_key: bool = False) -> RemovedProject:
    """By key, or by name; only ever one of those that are listed, never a path."""
    known = removed(settings)
    for one in known:
        if one.key == wanted or (not is_key and one.name == wanted):
            return one
    told = ", ".join(one.key for one in known) or "none"
    raise NotFoundError(f"no removed project is called {wanted!r}; there are: {told}")
