"""Lines and documents of text files, plain or gzipped, never more of them than the limits."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import orjson

from backend.errors import BadInputError, RefusedError
from backend.settings import Limits

_BYTES_PER_CHARACTER = 12
"""A character outside the basic plane is 12 bytes as a JSON escape."""
_SLACK = 1_000_000


class CountedBytes(io.RawIOBase):
    """A byte stream that stops with a sentence once more was read than allowed (gzip bombs)."""

    def __init__(self, stream: io.BufferedReader | gzip.GzipFile, limit: int, name: str) -> None:
        self._stream, self._left, self._limit, self._name = stream, limit, limit, name

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: memoryview | bytearray) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Fill the buffer from the stream below.

        Raises:
            RefusedError: the limit is passed.
            BadInputError: the compressed data is broken.
        """
        try:
            # read1 hands over what a broken stream gave before it broke.
            data = self._stream.read1(len(buffer))
        except (OSError, EOFError, zlib.error) as error:
            raise BadInputError(f"{self._name} is broken or truncated: {error}") from error
        self._left -= len(data)
        if self._left < 0:
            raise RefusedError(f"{self._name} holds more than {self._limit:,} bytes, the limit")
        buffer[: len(data)] = data
        return len(data)


def open_bytes(path: Path, limits: Limits) -> io.BufferedReader:
    """A plain or gzipped file as bytes, at most `limits.upload_bytes` of them.

    Raises:
        BadInputError: the file cannot be read.
    """
    try:
        with ExitStack() as stack:
            stream: io.BufferedReader | gzip.GzipFile = stack.enter_context(path.open("rb"))
            if stream.read(2) == b"\x1f\x8b":
                stack.pop_all().close()
                stream = stack.enter_context(gzip.open(path, "rb"))
            else:
                stream.seek(0)
            stack.pop_all()
    except OSError as error:
        raise BadInputError(f"{path.name} cannot be read: {error.strerror or error}") from error
    return io.BufferedReader(CountedBytes(stream, limits.upload_bytes, path.name), 1 << 18)


def json_lines(path: Path, limits: Limits) -> Iterator[tuple[int, object | BadInputError]]:
    """Yield (line number, value) for each line that is not blank; broken lines as the error.

    Stops after the first error that leaves no next line (broken gzip, too many bytes).
    """
    longest = limits.text_characters * _BYTES_PER_CHARACTER + _SLACK
    number = 0
    try:
        with open_bytes(path, limits) as stream:
            while line := stream.readline(longest + 1):
                number += 1
                if len(line) > longest:
                    yield number, RefusedError(f"is longer than {longest:,} bytes, the limit")
                    while (rest := stream.readline(longest)) and not rest.endswith(b"\n"):
                        pass
                    continue
                line = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
                if line.strip():
                    yield number, parse_json(line)
    except (BadInputError, RefusedError) as error:
        yield number + 1, error


def parse_json(data: bytes) -> object | BadInputError:
    """The value of a JSON text; NaN, Infinity, deep nesting and half characters are errors."""
    try:
        return orjson.loads(data)
    except (orjson.JSONDecodeError, RecursionError) as error:
        return BadInputError(f"is not JSON: {error}")


def read_json(path: Path, limits: Limits) -> object:
    """A whole JSON document.

    Raises:
        BadInputError: not JSON, with the line.
        RefusedError: over the byte limit.
    """
    with open_bytes(path, limits) as stream:
        data = stream.read().removeprefix(codecs.BOM_UTF8)
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise BadInputError(f"line {error.lineno}: is not JSON: {error.msg}") from error
    except RecursionError as error:
        raise BadInputError("is not JSON: nested too deep") from error


def first_bytes(path: Path, num_bytes: int, limits: Limits) -> bytes:
    """The beginning of a plain or gzipped file; nothing if it cannot be read."""
    try:
        with open_bytes(path, limits) as stream:
            return stream.read(num_bytes)
    except (BadInputError, RefusedError):
        return b""


def read_text(path: Path, limits: Limits) -> str:
    """A text file: UTF-8, or UTF-16 with its mark.

    Raises:
        BadInputError: empty, binary or in another encoding.
        RefusedError: over the limit of characters.
    """
    try:
        size = path.stat().st_size
        if size > limits.text_characters * 4 + 3:
            raise RefusedError(
                f"has {size:,} bytes; the limit of a text is {limits.text_characters:,} characters"
            )
        data = path.read_bytes()
    except OSError as error:
        raise BadInputError(f"cannot be read: {error.strerror or error}") from error
    text = decode_text(data)
    if len(text) > limits.text_characters:
        raise RefusedError(f"has {len(text):,} characters; the limit is {limits.text_characters:,}")
    if not text.strip():
        raise BadInputError("is empty")
    return text


def decode_text(data: bytes) -> str:
    """UTF-8 with or without its mark, or UTF-16 with its mark.

    Raises:
        BadInputError: neither, or binary.
    """
    encoding = text_encoding(data)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise BadInputError(
            f"is not UTF-8 text (byte {error.start:,}); save it as UTF-8"
        ) from error
    if "\0" in text:
        raise BadInputError("holds zero characters: it is not a text")
    return text


def text_encoding(head: bytes) -> str:
    """The codec of a text by its first bytes."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return "utf-8-sig"
