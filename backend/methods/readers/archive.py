"""Zip and tar files, unpacked with every member looked at, never by `extractall`.

Refused by name, the rest kept: paths that leave the archive, absolute paths, links, devices and
their Windows names, encrypted members, archives in the archive, members there twice, broken
checksums, and members that unpack to very much more than they are. Bytes are counted while they
are unpacked; what an archive claims of its sizes is not believed.
"""

from __future__ import annotations

import errno
import lzma
import shutil
import stat
import tarfile
import tempfile
import weakref
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from backend.contracts import Reader
from backend.errors import BadInputError, RefusedError, SaveError
from backend.methods.readers._found import has_suffix
from backend.methods.readers._lines import first_bytes, open_bytes
from backend.methods.readers._media import plain_folder
from backend.methods.readers._paths import clean_name, shown
from backend.methods.readers._settings import ReaderSettings
from backend.methods.readers._walk import is_ignored
from backend.settings import Limits
from backend.types import BroughtVectors, Draft, FileProblem

_CHUNK = 1 << 18
_MOST_RATIO = 200
"""Photos and texts pack to 1 in 20 at best; deflate can reach 1 in 1,032."""
_SMALL = 20_000_000
"""Below this many bytes a member may be packed as tightly as it likes."""
_ARCHIVES = frozenset({".zip", ".tar", ".tgz", ".7z", ".rar", ".jar", ".bz2", ".xz", ".zst"})
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}
)
_OFFICE = "[Content_Types].xml"
Chooser = Callable[[Path], Reader]
Found = Draft | BroughtVectors | FileProblem


class ArchiveReader:
    """What is in an archive, read as the folder that it unpacks to.

    `inside` chooses the reader for that folder; without it each image and text is a sample. The
    folder is temporary: it is there for as long as somebody holds what `read` gave, since whoever
    gathers drafts opens their files after the last draft has come.
    """

    @dataclass(frozen=True)
    class Settings(ReaderSettings):
        """`scratch` is where to unpack; by default the system's temporary folder."""

        scratch: str = ""

    def __init__(self, settings: Settings | None = None, *, inside: Chooser | None = None) -> None:
        self.settings = settings or self.Settings()
        self._inside = inside

    def accepts(self, path: Path) -> bool:
        return path.is_file() and _opener(path, self.settings.limits) is not None

    def read(self, path: Path) -> Iterator[Found]:
        try:
            scratch = tempfile.mkdtemp(prefix="patchlane-", dir=self.settings.scratch or None)
        except OSError as error:
            raise SaveError(
                f"there is no room to unpack {path.name}: {error.strerror or error}"
            ) from error
        return _Unpacked(self._found(path, Path(scratch)), scratch)

    def _found(self, path: Path, scratch: Path) -> Iterator[Found]:
        try:
            root, problems = unpack(path, scratch, self.settings.limits)
        except BadInputError as error:
            yield FileProblem(path.name, str(error))
            return
        yield from problems
        if self._inside is None:
            yield from plain_folder(root, self.settings)
        else:
            yield from self._inside(root).read(root)


class _Unpacked(Iterator[Found]):
    """What is found in a folder of its own, which goes when nobody holds this any more."""

    def __init__(self, found: Iterator[Found], folder: str) -> None:
        self._found = found
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)

    def __next__(self) -> Found:
        return next(self._found)


@dataclass(frozen=True)
class _Member:
    """One entry of an archive: what to call it, why not to take it, how to read it."""

    name: str
    refusal: str
    packed: int
    open: Callable[[], IO[bytes] | None]


def unpack(path: Path, dest: Path, limits: Limits) -> tuple[Path, list[FileProblem]]:
    """Unpack an archive below `dest`, an empty folder, member by member.

    Returns:
        The folder with the files (the archive's only top folder, if it has just one), and what
        was refused with the reason. Over a limit or broken half-way, what came before is kept.

    Raises:
        BadInputError: not an archive.
        SaveError: no room to unpack.
    """
    opener = _opener(path, limits)
    if opener is None:
        raise BadInputError(f"{path.name} is not a zip or tar archive")
    problems: list[FileProblem] = []
    taken: set[str] = set()
    left = limits.upload_bytes
    try:
        for number, member in enumerate(opener(path, limits), start=1):
            if number > limits.archive_members:
                raise RefusedError(
                    f"holds more than {limits.archive_members:,} members, the limit; "
                    "the rest is left out"
                )
            if _is_ignored(member.name):
                continue
            try:
                name = _checked(member, taken)
                left -= _copy(member, dest / name, left, path.name)
            except _FullError:
                raise RefusedError(
                    f"unpacks to more than {limits.upload_bytes:,} bytes, the limit; "
                    f"{shown(member.name)} and what follows is left out"
                ) from None
            except (BadInputError, RefusedError) as error:
                problems.append(FileProblem(_printable(member.name), str(error)))
    except (BadInputError, RefusedError, OSError, ValueError, *_BROKEN) as error:
        said = str(error).removeprefix(f"{path.name} ")
        is_ours = isinstance(error, BadInputError | RefusedError)
        problems.append(
            FileProblem(path.name, said if is_ours else f"is a broken archive: {error}")
        )
    return _root(dest), problems


_BROKEN = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
)


class _FullError(Exception):
    """The archive's limit is reached; a signal between two functions here."""


def _is_ignored(name: str) -> bool:
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    return ".." not in parts and any(is_ignored(part) for part in parts)


def _checked(member: _Member, taken: set[str]) -> str:
    """The clean name of a member that may be unpacked."""
    if member.refusal:
        raise RefusedError(member.refusal)
    name = str(PurePosixPath(clean_name(member.name)))
    path = PurePosixPath(name)
    for part in path.parts:
        if part.split(".")[0].strip().lower() in _DEVICES:
            raise RefusedError(f"{shown(part)} is the name of a device")
    if path.suffix.lower() in _ARCHIVES:
        raise RefusedError("is an archive in the archive; unpack it first")
    # A file called like a folder of another member would fail half-way, so it counts as twice.
    if name in taken or any(str(above) in taken for above in path.parents):
        raise RefusedError("is in the archive twice; the first is kept")
    taken.add(name)
    return name


def _copy(member: _Member, target: Path, left: int, archive: str) -> int:
    """Unpack one member and return its bytes; a refused one leaves nothing behind."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as out:
            try:
                return _pour(member, out, left)
            except BaseException:
                target.unlink()
                raise
    except (*_BROKEN, RuntimeError) as error:
        raise BadInputError(f"is broken: {error}") from error
    except FileExistsError:
        raise RefusedError("is in the archive twice; the first is kept") from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise SaveError(f"{archive} cannot be unpacked: the disk is full") from error
        raise BadInputError(f"cannot be unpacked: {error.strerror or error}") from error


def _pour(member: _Member, out: IO[bytes], left: int) -> int:
    stream = member.open()
    if stream is None:
        raise BadInputError("cannot be read")
    num_bytes = 0
    with stream:
        while chunk := stream.read(_CHUNK):
            if num_bytes == 0 and chunk.startswith(b"PK\3\4") and not member.name.endswith(".npz"):
                raise RefusedError("is an archive in the archive; unpack it first")
            num_bytes += len(chunk)
            if num_bytes > _SMALL and num_bytes > member.packed * _MOST_RATIO:
                raise RefusedError(
                    f"unpacks to more than {_MOST_RATIO} times its size; it looks like a zip bomb"
                )
            if num_bytes > left:
                raise _FullError
            out.write(chunk)
    return num_bytes


def _root(dest: Path) -> Path:
    inside = list(dest.iterdir())
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else dest


def _printable(name: str) -> str:
    return name if name.isprintable() and len(name) < 300 else shown(name)


def _opener(path: Path, limits: Limits) -> Callable[[Path, Limits], Iterator[_Member]] | None:
    """How to list the members of a file; None if it is no archive of the kinds taken."""
    head = first_bytes(path, 512, limits)
    if head.startswith((b"PK\3\4", b"PK\5\6")):
        try:
            with zipfile.ZipFile(path) as opened:
                names = opened.namelist()
        except Exception:  # a broken zip is still ours to name
            return _zip_members
        # Spreadsheets and NumPy's files are zips too, and not meant to be unpacked.
        is_other = _OFFICE in names or (names and all(name.endswith(".npy") for name in names))
        return None if is_other else _zip_members
    if head[257:262] == b"ustar" or (has_suffix(path, ".tar", ".tgz") and len(head) == 512):
        return _tar_members
    return None


def _zip_members(path: Path, limits: Limits) -> Iterator[_Member]:  # noqa: ARG001
    with zipfile.ZipFile(path) as opened:
        for info in opened.infolist():
            mode = info.external_attr >> 16
            if info.is_dir() and not stat.S_ISLNK(mode):
                continue
            yield _Member(
                _zip_name(info),
                _refusal(mode, is_encrypted=bool(info.flag_bits & 1)),
                info.compress_size,
                lambda info=info: opened.open(info),
            )


def _zip_name(info: zipfile.ZipInfo) -> str:
    """The name as it was meant: many tools write UTF-8 without saying so."""
    name = info.orig_filename
    if not info.flag_bits & 0x800 and not name.isascii():
        try:
            return name.encode("cp437").decode("utf-8")
        except UnicodeError:
            return name
    return name


def _refusal(mode: int, *, is_encrypted: bool) -> str:
    if stat.S_IFMT(mode) == stat.S_IFLNK:
        return "is a link"
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a device or a pipe"
    return "is encrypted; unpack it with its password first" if is_encrypted else ""


def _tar_members(path: Path, limits: Limits) -> Iterator[_Member]:
    # As a stream through the counter: skipping over a member must not unpack without end either.
    with open_bytes(path, limits) as stream, tarfile.open(fileobj=stream, mode="r|") as opened:
        for info in opened:
            if info.isdir():
                continue
            refusal = "" if info.isreg() else "is a link, a device or a pipe"
            yield _Member(info.name, refusal, info.size, lambda info=info: opened.extractfile(info))
