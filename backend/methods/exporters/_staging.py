"""A folder that is there completely or not at all, and the media in it.

Everything is written beside the destination and takes its place by a rename. A folder that holds
anything which no export wrote is never touched.
"""

from __future__ import annotations

import os
import re
import shutil
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import orjson

from backend import images
from backend.errors import BadInputError, PatchlaneError, RefusedError, SaveError
from backend.types import ExportRow, ExportSource, Kind, Sample, Verdict

MARKER = "patchlane-export.json"
"""Lists the files of an export, so that the next export to the same place may replace them."""

_UNPORTABLE = re.compile(r'[<>:"|?*\\\x00-\x1f\x7f-\x9f]|[. ]$|^\s')
_DEVICE = re.compile(r"(?i)^(con|prn|aux|nul|com\d|lpt\d)(\.|$)")
_COMPONENT_BYTES = 200


@contextmanager
def staged(dest: Path, source: ExportSource, form: str) -> Iterator[Path]:
    """Give a temporary folder to write to; it becomes `dest` when the block ends well.

    Raises:
        RefusedError: `dest` holds something that no export wrote.
        SaveError: it cannot be written; what was at `dest` before is still there.
    """
    dest = dest.absolute()
    _refuse_foreign(dest)
    stage = dest.parent / f".{dest.name}.{uuid.uuid4().hex[:8]}.part"
    try:
        stage.mkdir(parents=True)
        yield stage
        files = sorted(p.relative_to(stage).as_posix() for p in stage.rglob("*") if p.is_file())
        mark = {"format": form, "project": source.name, "version": source.version, "files": files}
        (stage / MARKER).write_bytes(orjson.dumps(mark, option=orjson.OPT_INDENT_2))
        _replace(dest, stage)
    except OSError as error:
        raise SaveError(f"nothing was exported to {dest}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)


@dataclass(frozen=True)
class MediaSettings:
    """What an export does with the files of its samples.

    Attributes:
        is_linking: hard links of the project's media instead of copies. That saves room; but
            whoever edits such a file edits the project's.
        is_borrowing: second names for all files where they lie, also for linked originals and on
            other disks; only for a folder that is read once and thrown away.
        has_media: put the files into the export at all.
    """

    is_linking: bool = False
    is_borrowing: bool = False
    has_media: bool = True


class MediaFolder:
    """Copies media below `stage/folder` under their samples' names, as far as disks allow.

    With `has_stems` every picture has a stem of its own and a suffix that says what it is: for
    formats that keep what is said of `a.jpg` in `a.txt`.
    """

    def __init__(
        self,
        stage: Path,
        folder: str,
        source: ExportSource,
        settings: MediaSettings,
        *,
        has_stems: bool = False,
    ):
        self._stage, self._folder, self._source = stage, folder, source
        self._settings, self._has_stems = settings, has_stems
        self._taken: set[str] = set()
        self._newest: tuple[int, str | None] | None = None

    def add(self, sample: Sample, lost: Counter[str]) -> str | None:
        """Copy one sample's file and return its path relative to the stage; None if it is gone.

        A sample that comes several times in a row is copied once. In an export without media the
        path is the sample's name, from where it was imported; with stems it is where the file
        would be, since what is said of it lies beside it.
        """
        if self._newest is None or self._newest[0] != sample.id:
            self._newest = (sample.id, self._copied(sample, lost))
        return self._newest[1]

    def _copied(self, sample: Sample, lost: Counter[str]) -> str | None:
        if not self._settings.has_media:
            lost["media_files"] += 1
            return f"{self._folder}/{self._portable(sample)}" if self._has_stems else sample.name
        try:
            origin = self._source.media(sample)
        except PatchlaneError:  # linked media are the person's own, and may be gone or changed
            origin = None
        if origin is None or not origin.is_file():
            lost["missing_media"] += 1
            return None
        name = self._portable(sample, origin)
        target = self._stage / self._folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not self._is_named_anew(sample, origin, target):
            shutil.copyfile(origin, target)
        return f"{self._folder}/{name}"

    def _is_named_anew(self, sample: Sample, origin: Path, target: Path) -> bool:
        """Whether a second name for the file does instead of a copy, and could be made."""
        if self._settings.is_borrowing:
            return _link(origin, target) or _point(origin, target)
        # A linked original is the person's own: a second name for it could be edited through.
        return self._settings.is_linking and not sample.is_linked and _link(origin, target)

    def _portable(self, sample: Sample, origin: Path | None = None) -> str:
        """The sample's name if every disk can hold it and it is free, else one by content."""
        path = PurePosixPath(sample.name)
        above = {str(parent).casefold() for parent in path.parents} - {"."}
        name = str(path)
        is_bad = (
            path.is_absolute()
            or any(_is_unportable(part) for part in path.parts)
            or name.casefold() in self._taken
            or f"{name.casefold()}/" in self._taken
            or any(one in self._taken for one in above)
            or (
                self._has_stems
                and (path.suffix.lower() not in images.SUFFIXES or _stem(name) in self._taken)
            )
        )
        if is_bad:
            suffix = "jpg" if origin is None else images.format_of(origin) or "bin"
            name = f"by-content/{sample.content_hash[:32]}.{suffix}"
            above = {"by-content"}
        self._taken.add(name.casefold())
        if self._has_stems:
            self._taken.add(_stem(name))
        # Folders are noted with a slash, so that no file may take the name of one.
        self._taken.update(f"{one}/" for one in above)
        return name


def refuse_texts(source: ExportSource, form: str) -> None:
    """Say that a format is for images.

    Raises:
        BadInputError: the project holds texts.
    """
    if source.kind is Kind.TEXT:
        raise BadInputError(
            f"{form} holds images and {source.name} holds texts; export jsonl or csv"
        )


def count_label_losses(source: ExportSource, used: set[int], lost: Counter[str]) -> None:
    """Count what is said of labels themselves and is not in a list of verdicts."""
    for label in source.labels:
        lost["unused_labels"] += label.id not in used
        lost["label_details"] += bool(
            label.definition or label.aliases or label.colour or label.key or label.pack != "main"
        )
        lost["hierarchy"] += label.parent is not None


def count_verdict_losses(row: ExportRow, num_labels: int, lost: Counter[str]) -> None:
    """Count what a format loses that holds what is present, and neither when nor who said it."""
    verdicts = Counter(c.verdict for c in row.verdicts.values())
    lost["negatives"] += verdicts[Verdict.NO]
    lost["unsure"] += verdicts[Verdict.UNSURE]
    lost["unknowns"] += num_labels - sum(n for verdict, n in verdicts.items() if verdict)
    lost["who_and_when"] += verdicts[Verdict.YES]


def count_region_losses(row: ExportRow, lost: Counter[str]) -> None:
    """Count what a format loses that holds the places of what is present, and nothing else."""
    for correction in row.verdicts.values():
        for region in correction.regions:
            if region.is_absent:
                lost["absent_regions"] += 1
            elif correction.verdict is not Verdict.YES or not region.is_here:
                lost["regions"] += 1
            else:
                lost["spans"] += region.kind == "span"


def _is_unportable(part: str) -> bool:
    try:
        num_bytes = len(part.encode())
    except UnicodeEncodeError:
        return True
    return bool(
        part in (".", "..")
        or num_bytes > _COMPONENT_BYTES
        or _UNPORTABLE.search(part)
        or _DEVICE.match(part)
    )


def _stem(name: str) -> str:
    """A name without its suffix, marked so that it is taken for no file."""
    return f"{name.casefold().rpartition('.')[0]}/."


def _link(origin: Path, target: Path) -> bool:
    try:
        os.link(origin, target)
    except OSError:  # another file system, or one without hard links
        return False
    return True


def _point(origin: Path, target: Path) -> bool:
    """Let `target` point to a file on another disk."""
    try:
        target.symlink_to(origin.absolute())
    except OSError:
        return False
    return True


def _refuse_foreign(dest: Path) -> None:
    if dest.is_symlink() or (dest.exists() and not dest.is_dir()):
        raise RefusedError(f"{dest} is not a folder; give a new or empty one")
    if not dest.is_dir() or not any(dest.iterdir()):
        return
    try:
        known = set(orjson.loads((dest / MARKER).read_bytes())["files"]) | {MARKER}
    except (OSError, ValueError, KeyError, TypeError):
        raise RefusedError(
            f"{dest} is not empty and holds no earlier export; give a new or empty folder"
        ) from None
    for path in dest.rglob("*"):
        name = path.relative_to(dest).as_posix()
        if name not in known and not (path.is_dir() and not path.is_symlink()):
            raise RefusedError(
                f"{dest} holds {name}, which the earlier export did not write; "
                "move it away or give a new folder"
            )


def _replace(dest: Path, stage: Path) -> None:
    if not dest.exists():
        stage.rename(dest)
        return
    old = stage.with_suffix(".old")
    dest.rename(old)
    try:
        stage.rename(dest)
    except OSError:
        old.rename(dest)
        raise
    shutil.rmtree(old, ignore_errors=True)
