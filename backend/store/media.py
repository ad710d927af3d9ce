"""Media on disk, each content once, under the hash of its bytes; thumbnails beside, in the cache.

A file is written to a temporary name, synced and renamed, so a name in `media/` always holds the
whole content. Linked media stay where they are: each read compares their hash with the one they
had when they were linked (remembered until the file changes on disk).
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import sqlalchemy as sa

from backend.errors import BadInputError, NotFoundError, PatchlaneError, RefusedError, SaveError
from backend.images import ImageFacts, check_image, thumbnail
from backend.settings import Limits
from backend.store import tables as t
from backend.store.database import Database
from backend.store.making import make_below
from backend.types import Sample

Check = Callable[[Path | bytes, str], ImageFacts]
"""Looks at an image, or raises; called with its bytes (or path, if large) and its name."""

THUMBNAIL_SIZES = (64, 128, 256, 512, 1024)
_IN_MEMORY = 64_000_000  # bytes up to which a file is read once and checked in memory
_BLOCK = 1 << 20
STORED = re.compile(r"[0-9a-f]{2}/[0-9a-f]{64}\.[a-z0-9]+")
"""Where the content of an image lies below `media/`."""
BEGUN = ".new-"
"""How the name of a file begins that is not whole yet."""


@dataclass(frozen=True)
class StoredMedia:
    """One content that is safely on disk: below `media/` (file) or where it was (linked)."""

    content_hash: str
    facts: ImageFacts
    num_bytes: int
    file: str | None
    linked: str | None


class MediaStore:
    """The media of one project."""

    def __init__(self, project: Path, database: Database, limits: Limits) -> None:
        self.folder = project / "media"
        self._thumbs = project / "cache" / "thumbs"
        # Thumbnails of a project that may not be written to; gone when the store is.
        self._spare = tempfile.TemporaryDirectory() if database.is_read_only else None
        self._database = database
        self._limits = limits
        self._lock = threading.Lock()
        self._places: dict[int, tuple[str | None, str | None, str]] = {}
        self._verified: dict[str, tuple[int, ...]] = {}
        self._unsynced: set[Path] = set()

    def put(
        self, source: Path, *, name: str = "", link: bool = False, check: Check | None = None
    ) -> StoredMedia:
        """Check an image and store its content (or remember where it is, with `link`).

        Call `sync` before telling anybody that it is stored.

        Raises:
            BadInputError: it is no image that can be read.
            RefusedError: it is over a limit.
            SaveError: it could not be written.
        """
        called = name or source.name
        look = check or (lambda found, at: check_image(found, self._limits, name=at))
        try:
            size = source.stat().st_size
            if size > self._limits.upload_bytes:
                raise RefusedError(
                    f"{called} has {size} bytes; {self._limits.upload_bytes} is the limit"
                )
            content = source.read_bytes() if size <= _IN_MEMORY else None
        except OSError as error:
            raise BadInputError(f"{called} cannot be read: {error.strerror}") from error
        facts = look(source if content is None else content, called)
        digest = _hash_file(source) if content is None else hashlib.sha256(content).hexdigest()
        if link:
            return StoredMedia(digest, facts, size, None, str(source.resolve()))
        file = f"{digest[:2]}/{digest}.{facts.format}"
        target = self.folder / file
        if not target.exists():
            self._write(target, source, content, digest)
        with self._lock:
            # Also where it was there: whoever wrote it may not have come to make its name durable.
            self._unsynced |= {target.parent, self.folder, self.folder.parent}
        return StoredMedia(digest, facts, size, file, None)

    def sync(self) -> None:
        """Make the names of everything that `put` wrote durable."""
        with self._lock:
            folders, self._unsynced = self._unsynced, set()
        for folder in folders:
            _sync_folder(folder)

    def is_stored(self, media: StoredMedia) -> bool:
        """True while the content is still where `put` left it."""
        return media.file is None or (self.folder / media.file).exists()

    def path(self, sample: Sample) -> Path:
        """The file with the sample's content.

        Raises:
            NotFoundError: the file is gone, or the sample is a text.
            BadInputError: a linked file has changed since it was linked.
        """
        file, linked, _type = self._place(sample)
        if linked is not None:
            try:
                self._verify(Path(linked), sample)
            except PatchlaneError:
                # brought again from another place, perhaps by another process
                self._places.pop(sample.id, None)
                file, linked, _type = self._place(sample)
                if linked is not None:
                    self._verify(Path(linked), sample)
            if linked is not None:
                return Path(linked)
        if file is None:
            raise NotFoundError(f"{sample.name} is a text; it has no media file")
        return self.folder / file

    def media_type(self, sample: Sample) -> str:
        """What a browser is told the content is, such as image/jpeg."""
        return self._place(sample)[2]

    def served(self, sample: Sample, size: int | None = None) -> tuple[Path, str, str]:
        """File, media type and ETag for a browser: the content, or a thumbnail of it."""
        if size is None:
            return self.path(sample), self.media_type(sample), sample.content_hash
        path = self.thumbnail(sample, size)
        return path, "image/webp", f"{sample.content_hash}-{path.parent.parent.name}"

    def thumbnail(self, sample: Sample, size: int) -> Path:
        """A WebP whose longer side is at least `size` pixels, or the whole image if smaller.

        Made when first asked for; sizes are rounded up to one of THUMBNAIL_SIZES.
        """
        rounded = next((known for known in THUMBNAIL_SIZES if known >= size), THUMBNAIL_SIZES[-1])
        digest = sample.content_hash
        target = self._thumbs / str(rounded) / digest[:2] / f"{digest}.webp"
        home: Path | None = self.folder.parent
        if not target.exists() and self._spare is not None:
            target, home = Path(self._spare.name) / target.relative_to(self._thumbs), None
        if not target.exists():
            content = thumbnail(self.path(sample), rounded, limits=self._limits)
            write_whole(target, content, project=home)
        return target

    def forget(self, digests: set[str]) -> None:
        """Remove the thumbnails of contents that are gone."""
        for folder in self._thumbs.glob("*/*"):
            for file in folder.glob("*.webp"):
                if file.stem in digests:
                    file.unlink(missing_ok=True)
        with self._lock:
            self._places.clear()

    def _place(self, sample: Sample) -> tuple[str | None, str | None, str]:
        found = self._places.get(sample.id)
        if found is not None:
            return found
        s = t.samples.c
        with self._database.read() as connection:
            row = connection.execute(
                sa.select(s.media_file, s.linked_path, s.media_type).where(
                    s.id == sample.id, s.content_hash == sample.content_hash
                )
            ).first()
        if row is None:
            raise NotFoundError(f"there is no sample {sample.name} in this project (any more)")
        file, linked, media_type = row
        # a project folder may come from anywhere: never follow a path out of it
        if file is not None and not STORED.fullmatch(file):
            raise RefusedError(f"the media of {sample.name} lie outside the project; refused")
        self._places[sample.id] = (file, linked, media_type)
        return file, linked, media_type

    def _verify(self, linked: Path, sample: Sample) -> None:
        try:
            found = linked.stat()
        except OSError as error:
            raise NotFoundError(
                f"the linked file {linked} is gone; put it back or remove {sample.name}"
            ) from error
        mark = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        if self._verified.get(sample.content_hash) == mark:
            return
        if _hash_file(linked) != sample.content_hash:
            raise BadInputError(
                f"the linked file {linked} has changed since it was linked; put the old one back, "
                f"or remove {sample.name} and import the new one"
            )
        self._verified[sample.content_hash] = mark

    def _write(self, target: Path, source: Path, content: bytes | None, digest: str) -> None:
        try:
            with _whole(target, project=self.folder.parent, is_synced=True) as stream:
                if content is None:
                    _copy_checked(source, stream, digest)
                else:
                    stream.write(content)
        except OSError as error:
            raise SaveError(
                f"{source.name} could not be stored in {self.folder} ({error.strerror}): free some "
                "space or make the folder writable, then import it again"
            ) from error


def write_whole(
    target: Path, content: bytes, *, project: Path | None = None, is_precious: bool = False
) -> None:
    """Write a file so that readers see all of it or nothing.

    A precious one is on the disk when this returns; a cache file need not survive a power cut.
    Folders are made on the way, but never the one of a `project`.

    Raises:
        SaveError: it could not be written.
    """
    try:
        with _whole(target, project=project, is_synced=is_precious) as stream:
            stream.write(content)
        if is_precious:
            _sync_folder(target.parent)
    except OSError as error:
        raise SaveError(f"{target} could not be written ({error.strerror})") from error


@contextmanager
def _whole(target: Path, *, project: Path | None, is_synced: bool) -> Generator[BinaryIO]:
    """A file under another name, which takes the target's once the block is left without an error.

    With `is_synced` its content is on the disk by then; that its name is takes `_sync_folder`.
    """
    if project is None:
        target.parent.mkdir(parents=True, exist_ok=True)
    else:
        make_below(project, target.parent)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=BEGUN)
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
            if is_synced:
                stream.flush()
                os.fsync(stream.fileno())
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _hash_file(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _copy_checked(source: Path, stream: BinaryIO, digest: str) -> None:
    """Copy a large file; it must still have the content that was checked."""
    seen = hashlib.sha256()
    with source.open("rb") as original:
        while block := original.read(_BLOCK):
            seen.update(block)
            stream.write(block)
    if seen.hexdigest() != digest:
        raise BadInputError(f"{source.name} changed while it was read; import it again")


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
