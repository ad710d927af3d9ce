"""Rows of CSV and TSV files: encoding, delimiter and quotes, never a line without end."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from backend.errors import BadInputError, RefusedError
from backend.methods.readers._found import has_suffix
from backend.methods.readers._lines import open_bytes, text_encoding
from backend.settings import Limits

_SLACK = 100_000
_DELIMITERS = ",;\t|"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class TableRow(NamedTuple):
    """The line a row begins on, and its cells or why there are none."""

    line: int
    cells: list[str] | BadInputError | RefusedError


def table_rows(path: Path, limits: Limits) -> Iterator[TableRow]:
    """Yield the rows that are not blank, the header first; stop where no next row can be found."""
    longest = limits.text_characters + _SLACK
    if csv.field_size_limit() < longest:
        csv.field_size_limit(longest)  # the module's own is 131,072 for the whole process
    line = 1
    try:
        with open_bytes(path, limits) as stream:
            delimiter = _delimiter(path, stream)
            text = io.TextIOWrapper(stream, text_encoding(stream.peek(4)), newline="")
            reader = csv.reader(_bounded(text, longest), delimiter=delimiter, strict=True)
            while True:
                line = reader.line_num + 1
                try:
                    cells = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    yield TableRow(line, BadInputError(f"is not CSV: {error}"))
                    continue
                if any("\0" in cell for cell in cells):
                    yield TableRow(line, BadInputError("holds zero characters: it is not CSV"))
                elif any(cells):
                    yield TableRow(line, [unescaped(cell) for cell in cells])
    except UnicodeDecodeError:
        yield TableRow(line, BadInputError("is not UTF-8 from here on; save the file as UTF-8"))
    except (BadInputError, RefusedError) as error:
        yield TableRow(line, error)


def unescaped(cell: str) -> str:
    """A cell without the apostrophe that keeps spreadsheets from running it as a formula."""
    if cell.startswith("'") and cell.lstrip("'").startswith(_FORMULA):
        return cell[1:]
    return cell


def _bounded(text: io.TextIOWrapper, longest: int) -> Iterator[str]:
    while line := text.readline(longest):
        if len(line) == longest and not line.endswith("\n"):
            raise RefusedError(f"is longer than {longest:,} characters, the limit")
        yield line


def _delimiter(path: Path, stream: io.BufferedReader) -> str:
    """The delimiter that gives the header the most cells; quoted ones do not count."""
    if has_suffix(path, ".tsv", ".tab"):
        return "\t"
    head = stream.peek(1 << 16)
    first = head.decode(text_encoding(head), errors="replace").lstrip("\r\n").splitlines()[:1]
    header = first[0] if first else ""
    return max(_DELIMITERS, key=lambda mark: len(next(csv.reader([header], delimiter=mark), [])))
