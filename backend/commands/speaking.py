"""What every command needs: its project, lines for the person, results as plain JSON.

Nothing in these rooms writes to the screen except through `say`, which goes to stderr.
"""

from __future__ import annotations

import json
import math
import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from backend import api
from backend.errors import BadInputError, NotFoundError, SaveError, readable

_NAME_FILES = frozenset({".txt", ".csv", ".tsv", ".json", ".jsonl", ".names"})
"""Endings of what was meant as a file of names, though none is there."""


def say(text: str) -> None:
    """A line for the person, beside the result."""
    print(readable(text), file=sys.stderr, flush=True)


def progress(done: int, total: int, note: str) -> None:
    """Every fiftieth step and the last one, on stderr."""
    if total and (done % 50 == 0 or done == total):
        say(f"  {done}/{total} {note}")


@contextmanager
def project(args: Namespace) -> Iterator[api.Workbench]:
    """The project a command names, closed afterwards."""
    workbench = api.open_project(args.project)
    try:
        yield workbench
    finally:
        workbench.close()


def as_json(value: Any) -> Any:
    """Dataclasses, arrays and paths as plain JSON values; NaN becomes null."""
    if is_dataclass(value) and not isinstance(value, type):
        return {name: as_json(item) for name, item in asdict(value).items()}
    if isinstance(value, Mapping):
        return {str(name): as_json(item) for name, item in value.items()}
    if isinstance(value, np.ndarray):
        return as_json(value.tolist())
    if isinstance(value, list | tuple | set):
        return [as_json(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value) if isinstance(value, Path) else value


def is_file(path: Path) -> bool:
    """Whether there is a file, also where the text is longer than a file's name may be."""
    try:
        return path.is_file()
    except OSError:
        return False


def json_lines(path: Path) -> Iterator[Mapping[str, object]]:
    """Objects of a JSONL file, one per line.

    Raises:
        NotFoundError: no such file.
        BadInputError: names the line that is not a JSON object.
    """
    if not is_file(path):
        raise NotFoundError(f"there is no file {path}")
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            raise BadInputError(f"{path.name} line {number} is not JSON: {error}") from error
        if not isinstance(row, dict):
            raise BadInputError(f"{path.name} line {number} is not a JSON object")
        yield row


def _lines(path: Path) -> Iterator[str]:
    """Lines of a UTF-8 file, with the mark that some programs put before the first or without.

    Raises:
        BadInputError: it is not UTF-8, or cannot be read.
    """
    try:
        with path.open(encoding="utf-8-sig") as lines:
            yield from lines
    except UnicodeDecodeError as error:
        raise BadInputError(f"{path.name} is not UTF-8; save the file as UTF-8") from error
    except OSError as error:
        raise BadInputError(f"{path} cannot be read: {error.strerror or error}") from error


@contextmanager
def written(dest: str | Path) -> Iterator[Path]:
    """Where a person asked a result to be written, as a path; what fails in the block is said.

    Raises:
        SaveError: it could not be written there.
    """
    try:
        yield Path(dest)
    except OSError as error:
        raise SaveError(f"{dest} could not be written: {error.strerror or error}") from error


def names_in(given: str | None) -> list[str]:
    """A file with one name per line, or names with commas between them.

    Raises:
        BadInputError: the file is not UTF-8, or cannot be read.
        NotFoundError: a file was meant, and there is none.
    """
    if not given:
        return []
    path = Path(given)
    is_there = is_file(path)
    if not is_there and "," not in given and path.suffix.lower() in _NAME_FILES:
        raise NotFoundError(f"there is no file {given}; labels are a file or a,b,c")
    names = _lines(path) if is_there else given.split(",")
    return [name.strip() for name in names if name.strip()]


def exactly(values: Sequence[str], count: int, usage: str) -> Sequence[str]:
    """The values of an action, when there are as many as it takes.

    Args:
        values: as they were given.
        count: how many it takes.
        usage: what to say instead.

    Raises:
        BadInputError: there are more or fewer.
    """
    if len(values) != count:
        raise BadInputError(f"say: patchlane {usage}")
    return values
