"""Which files of what was given hold annotations, and their rows."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from backend.errors import BadInputError, RefusedError
from backend.methods.readers._lines import first_bytes, json_lines, read_json
from backend.methods.readers._walk import is_ignored
from backend.settings import Limits

_HEAD = 4_000_000
"""Bytes that are looked at to tell what a JSON file is; its first object has to fit in."""


class Row(NamedTuple):
    """One value of a file: its number from 1, how to call its place, and the value or error."""

    number: int
    where: str
    value: object


def annotation_files(
    path: Path, is_ours: Callable[[Path], bool], *, folders: tuple[str, ...] = ("",)
) -> list[Path]:
    """The given file, or all files of ours directly in the given folder (or its named ones)."""
    if not path.is_dir():
        return [path]
    found: list[Path] = []
    for folder in folders:
        below = path / folder
        if below.is_dir() and not (folder and below.is_symlink()):
            # A folder may hold a hundred thousand pictures that are none of ours: no `Path`, no
            # further question to the disk for what the name or its kind rules out.
            with os.scandir(below) as entries:
                plain = [
                    entry.name
                    for entry in entries
                    if not is_ignored(entry.name) and entry.is_file(follow_symlinks=False)
                ]
            found += [file for name in sorted(plain) if is_ours(file := below / name)]
    return found


def nested_files(root: Path, name: str, is_ours: Callable[[Path], bool]) -> list[Path]:
    """Files of this name in folders below; what they name lies in their own folder.

    So image folders of several splits come, each with its `metadata.jsonl` (formats.md 4.8).
    """
    found: list[Path] = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(one for one in folders if not is_ignored(one))
        file = Path(folder, name)
        if name in names and folder != str(root) and not file.is_symlink() and is_ours(file):
            found.append(file)
    return found


def has_suffix(path: Path, *suffixes: str) -> bool:
    """True if the name ends so, with or without a further .gz."""
    return path.name.lower().removesuffix(".gz").endswith(suffixes)


def is_jsonl(path: Path) -> bool:
    """True for names of JSON lines."""
    return has_suffix(path, ".jsonl", ".ndjson")


def json_rows(path: Path, limits: Limits) -> Iterator[Row]:
    """The objects of JSON lines, or of a JSON list; what is broken as the error in its place."""
    if is_jsonl(path):
        for number, value in json_lines(path, limits):
            yield Row(number, f"line {number}", value)
        return
    try:
        document = read_json(path, limits)
    except (BadInputError, RefusedError) as error:
        yield Row(1, "", error)
        return
    rows = document if isinstance(document, list) else [document]
    for number, value in enumerate(rows, start=1):
        yield Row(number, f"row {number}", value)


def first_row(path: Path, limits: Limits) -> Mapping[str, object] | None:
    """The first object of JSON lines (past broken ones) or of a JSON list; None if none.

    Looks at the head of the file only: lists can be very long.
    """
    text = first_bytes(path, _HEAD, limits).decode("utf-8-sig", errors="replace").lstrip()
    text = text.removeprefix("[").lstrip()
    for start in (text, *text.splitlines()[1:20]):
        try:
            value, _ = json.JSONDecoder().raw_decode(start)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            return value
    return None
