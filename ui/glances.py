"""The projects of a home at a glance; each is opened only when its database has changed.

Every page lists them, and asks again with each new version: opening all of them would make one
verdict as dear as all projects together.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from backend import api

log = logging.getLogger("patchlane.web")

Stamp = tuple[tuple[int, int], ...]
"""Time of change and size of a database and of the changes that wait beside it."""

TRY_AGAIN = 5.0
"""Seconds until one that could not be opened is tried again: what was in the way may have gone."""


@dataclass(frozen=True)
class _Glance:
    """What was seen; where the project could not be opened, why, and when that was."""

    stamp: Stamp
    info: api.ProjectInfo | None
    why: str = ""
    when: float = 0.0

    def is_of(self, stamp: Stamp) -> bool:
        """Whether the project is known in this state of its files."""
        is_late = self.info is None and time.monotonic() - self.when >= TRY_AGAIN
        return self.stamp == stamp and not is_late


class Glances:
    """What is known of each project, for the length of a server."""

    def __init__(self, settings: api.Settings) -> None:
        self._settings = settings
        self._seen: dict[Path, _Glance] = {}
        self._lock = threading.Lock()

    def all(self, opened: Mapping[Path, api.Workbench]) -> list[api.ProjectInfo]:
        """All projects of the home, the last changed first; of those `opened` as they are now.

        One that cannot be opened is left out and logged: it must not hide the others.
        """
        found: list[api.ProjectInfo] = []
        for path in api.project_folders(self._settings):
            stamp = _stamp(path)
            bench = opened.get(path)
            info = self._glance(path, stamp) if bench is None else bench.info()
            if info is not None:
                found.append(replace(info, modified=max(when for when, _ in stamp) / 1e9))
        return sorted(found, key=lambda info: -info.modified)

    def _glance(self, path: Path, stamp: Stamp) -> api.ProjectInfo | None:
        with self._lock:
            seen = self._seen.get(path)
            if seen is None or not seen.is_of(stamp):
                # By its state before: what opening it brings up to date is looked at once more.
                seen = self._seen[path] = self._opened(path, stamp, seen)
        return seen.info

    def _opened(self, path: Path, stamp: Stamp, before: _Glance | None) -> _Glance:
        try:
            return _Glance(stamp, api.glance(path, settings=self._settings))
        except api.PatchlaneError as error:
            if before is None or before.why != str(error):
                log.warning("the project %s is left out: %s", path.name, error)
            return _Glance(stamp, None, str(error), time.monotonic())


def _stamp(path: Path) -> Stamp:
    found: list[tuple[int, int]] = [(0, 0)]
    for file in api.database_files(path):
        try:
            facts = file.stat()
        except FileNotFoundError:
            continue
        found.append((facts.st_mtime_ns, facts.st_size))
    return tuple(found)
