"""Names and paths that a file claims: made clean, or refused. Nothing outside the root is opened.

Path checks are written once here, because a reader that forgets one hands out the server's files.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from backend.errors import BadInputError, RefusedError

_NAME_CHARACTERS = 4096
_ADDRESS = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+:")
_DRIVE = re.compile(r"^[A-Za-z]:")


def shown(text: object) -> str:
    """A foreign value for an error sentence: quoted, on one line, not longer than a line."""
    value = ascii(text) if not isinstance(text, str) or not text.isprintable() else repr(text)
    return value if len(value) <= 120 else f"{value[:100]}... ({len(value):,} characters)"


def clean_name(raw: object) -> str:
    """A sample's name as a file gives it: relative, forward slashes, no way up.

    Raises:
        BadInputError: not a name.
        RefusedError: absolute, leaving its folder, or an address.
    """
    if isinstance(raw, int) and not isinstance(raw, bool):
        raw = str(raw)
    if not isinstance(raw, str) or not raw.strip():
        raise BadInputError(f"the sample's name is {shown(raw)}; give a text")
    if len(raw) > _NAME_CHARACTERS:
        raise RefusedError(
            f"a sample's name has {len(raw):,} characters; the limit is {_NAME_CHARACTERS:,}"
        )
    if "\0" in raw:
        raise RefusedError(f"the name {shown(raw)} holds a zero character")
    name = raw.replace("\\", "/")
    if name.startswith("/") or _DRIVE.match(name):
        raise RefusedError(f"the path {shown(raw)} is absolute; give it relative to the file")
    if ".." in name.split("/"):
        raise RefusedError(f"the path {shown(raw)} leaves its folder")
    return name


def media_name(raw: object, root: Path) -> str:
    """The path of a media file relative to `root`, as an annotation file gives it.

    An absolute path is taken if it lies below `root` by its text, else refused.

    Raises:
        BadInputError: not a path.
        RefusedError: an address, an absolute path elsewhere, or leaving the folder.
    """
    if isinstance(raw, str) and _ADDRESS.match(raw) and not _DRIVE.match(raw):
        raise RefusedError(f"{shown(raw)} is an address; only files below the folder are taken")
    if isinstance(raw, str) and raw.startswith("/") and ".." not in raw.split("/"):
        for above in (root.absolute(), root.resolve()):
            if raw.startswith(f"{above}/"):
                raw = raw[len(f"{above}/") :]
                break
    name = clean_name(raw)
    # "./a//b.jpg" and "a/b.jpg" are one file, and must be one sample.
    return str(PurePosixPath(name))


def find_media(root: Path, name: str, *, is_following_links: bool = False) -> Path | None:
    """The file of a clean name below `root`; None if there is none (the project may have it).

    Raises:
        RefusedError: it is reached through a link, or is not a plain file.
    """
    path = root / name
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116  (Path.stat would follow as well; this is hot)
    except (OSError, ValueError):
        if path.is_symlink():
            raise RefusedError(f"{name} is a link that leads nowhere") from None
        return None
    if not is_following_links and os.path.realpath(path) != os.path.join(  # noqa: PTH118
        os.path.realpath(root), *name.split("/")
    ):
        raise RefusedError(f"{name} is a link; use --follow-links to take what it points to")
    if stat.S_ISDIR(mode):
        return None
    if not stat.S_ISREG(mode):
        raise RefusedError(f"{name} is not a plain file")
    return path


def name_on_disk(path: Path, root: Path) -> str:
    """The relative name of a file that was found on disk, always valid unicode."""
    relative = path.relative_to(root).as_posix()
    try:
        relative.encode()
    except UnicodeEncodeError:
        # Bytes that are no UTF-8 cannot be stored as text; percent signs keep names distinct.
        return quote(os.fsencode(relative), safe="/ !#$&'()*+,;=@[]^_`{}~")
    return relative
