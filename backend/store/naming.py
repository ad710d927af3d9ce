"""What a sample or label may be called. Names are text, never markup and never a path to open.

Right-to-left marks, tabs, HTML and emoji are kept as they are: screens show names as text. Only
what would break lines and files apart is refused: line ends, NUL, and text that is not valid
Unicode. Names are stored in Unicode's composed form (NFC), so that two spellings of one accent
are one name.
"""

from __future__ import annotations

import re
import unicodedata

from backend.errors import BadInputError, RefusedError

SAMPLE_NAME_CHARACTERS = 1000
_BREAKS = ("\n", "\r", "\0", "\u2028", "\u2029")
_SEPARATORS = re.compile(r"[/\\]")
_DRIVE = re.compile(r"[A-Za-z]:[/\\]")


def clean_label(name: str, limit: int) -> str:
    """The label's name as it is stored.

    Raises:
        BadInputError: empty, too long, with a line end or NUL, or not valid Unicode.
    """
    return _clean(name, limit, "label")


def clean_slice(name: str, limit: int) -> str:
    """The name of a saved slice as it is stored.

    Raises:
        BadInputError: as for a label.
    """
    return _clean(name, limit, "slice")


def clean_sample_name(name: str) -> str:
    """The sample's name as it is stored: a relative path with forward slashes.

    Raises:
        BadInputError: empty, too long, or with a line end or NUL.
        RefusedError: an absolute path, or one that leads out of its folder.
    """
    # file names that are not UTF-8 arrive with lone surrogates; show them with a replacement mark
    readable = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    cleaned = _clean(readable, SAMPLE_NAME_CHARACTERS, "sample")
    parts = _SEPARATORS.split(cleaned)
    if ".." in parts or parts[0] == "" or _DRIVE.match(cleaned):
        raise RefusedError(
            f"{shown(cleaned)} leads out of the imported folder; only names below it are taken"
        )
    return "/".join(part for part in cleaned.split("/") if part not in ("", "."))


def checked_text(text: str, limit: int, what: str) -> str:
    """What a person wrote at length, as it is; lines and marks of any kind may be in it.

    Raises:
        BadInputError: too long, with NUL in it, or not valid Unicode.
    """
    if len(text) > limit:
        raise BadInputError(f"the {what} has {len(text):,} characters; {limit:,} is the limit")
    if "\0" in text:
        raise BadInputError(f"the {what} has NUL in it")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadInputError(f"the {what} is not valid Unicode") from error
    return text


def basename(name: str) -> str:
    """The last part of a sample's name."""
    return name.rpartition("/")[2]


def shown(text: str, most: int = 80) -> str:
    """A name inside an error: in quotes, cut, control characters escaped."""
    return repr(text if len(text) <= most else text[: most - 3] + "...")


def composed(name: str) -> str:
    """A name in the form in which names are stored: NFC, without space around it."""
    return unicodedata.normalize("NFC", name).strip()


def _clean(name: str, limit: int, what: str) -> str:
    cleaned = composed(name)
    if not cleaned:
        raise BadInputError(f"a {what}'s name is empty; give it at least one character")
    if len(cleaned) > limit:
        raise BadInputError(
            f"the {what} name {shown(cleaned)} has {len(cleaned)} characters; {limit} is the limit"
        )
    if any(mark in cleaned for mark in _BREAKS):
        raise BadInputError(f"the {what} name {shown(cleaned)} has a line end or NUL in it")
    try:
        cleaned.encode()
    except UnicodeEncodeError as error:
        raise BadInputError(f"the {what} name {shown(cleaned)} is not valid Unicode") from error
    return cleaned
