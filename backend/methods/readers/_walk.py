"""All files below a folder, links and special files named instead of followed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from backend.methods.readers._paths import name_on_disk
from backend.types import FileProblem

_IGNORED = frozenset({"thumbs.db", "desktop.ini", "__macosx"})
"""What operating systems leave behind; nobody brought it, so nobody is told."""


def is_ignored(name: str) -> bool:
    """True for hidden files and for those that operating systems leave behind."""
    return name.startswith(".") or name.lower() in _IGNORED


def walk(root: Path, *, is_following_links: bool = False) -> Iterator[Path | FileProblem]:
    """Yield plain files in order of their names, and a problem for each thing that is not one.

    With `is_following_links` a folder is entered once, however many links lead to it.
    """
    seen: set[tuple[int, int]] = set()
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        try:
            facts = folder.stat()
            if (facts.st_dev, facts.st_ino) in seen:
                continue
            seen.add((facts.st_dev, facts.st_ino))
            with os.scandir(folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            yield FileProblem(_shown(folder, root), f"cannot be opened: {error.strerror}")
            continue
        folders: list[Path] = []
        for entry in entries:
            if is_ignored(entry.name):
                continue
            path = Path(entry.path)
            reason = _reason_to_skip(entry, is_following_links=is_following_links)
            if reason:
                yield FileProblem(_shown(path, root), reason)
            elif entry.is_dir():
                folders.append(path)
            else:
                yield path
        waiting.extend(reversed(folders))


def _reason_to_skip(entry: os.DirEntry[str], *, is_following_links: bool) -> str:
    if entry.is_symlink():
        if not is_following_links:
            return "is a link; use --follow-links to take what it points to"
        if not Path(entry.path).exists():
            return "is a link that leads nowhere"
    if not entry.is_dir() and not entry.is_file():
        return "is not a plain file"
    return ""


def _shown(path: Path, root: Path) -> str:
    return name_on_disk(path, root) if path != root else path.name
