"""What projects take on disk, looked at again only where something came or went."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path, PurePath

_WRITTEN_ONCE = (PurePath("media"), PurePath("cache/thumbs"))
"""Folders of a project whose files never change: a folder that is as old as before holds the same.

They are almost all of the files of a project, and listing them would take seconds of each look.
"""
_SETTLED_NS = 2_000_000_000
"""A folder that was changed less long ago may change again without its time showing it."""


@dataclass(frozen=True)
class _Listing:
    """One folder: when it was changed, the bytes of its files, and the folders in it."""

    changed_ns: int
    num_bytes: int
    folders: tuple[str, ...]


class FolderSizes:
    """Sizes of projects; links count as nothing. Safe to ask from many threads."""

    def __init__(self) -> None:
        self._known: dict[str, _Listing] = {}

    def of(self, project: Path) -> int:
        """Bytes of all files of a project; files that come and go while it counts are a guess."""
        total, waiting = 0, [PurePath()]
        while waiting:
            inside = waiting.pop()
            is_written_once = any(inside.is_relative_to(one) for one in _WRITTEN_ONCE)
            try:
                found = self._listing(str(project / inside), is_written_once=is_written_once)
            except OSError:
                continue  # gone meanwhile, or not ours to read
            total += found.num_bytes
            waiting += [inside / name for name in found.folders]
        return total

    def _listing(self, folder: str, *, is_written_once: bool) -> _Listing:
        changed_ns = os.stat(folder).st_mtime_ns  # noqa: PTH116  (a Path each costs as much again)
        known = self._known.get(folder) if is_written_once else None
        if known is not None and known.changed_ns == changed_ns:
            return known
        found = _look(folder, changed_ns)
        if is_written_once and time.time_ns() - changed_ns > _SETTLED_NS:
            self._known[folder] = found
        return found


def _look(folder: str, changed_ns: int) -> _Listing:
    num_bytes = 0
    folders: list[str] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.name)
                elif not entry.is_symlink():
                    num_bytes += entry.stat(follow_symlinks=False).st_size
            except FileNotFoundError:
                continue
    return _Listing(changed_ns, num_bytes, tuple(folders))
