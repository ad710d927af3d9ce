"""Exports kept in a project's own folder, each packed as one zip; never written elsewhere."""

from __future__ import annotations

import json
import re
import shutil
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from backend import api

FOLDER = "exports"
FORMATS = {
    "jsonl": "JSONL",
    "csv": "CSV",
    "coco": "COCO",
    "yolo": "YOLO",
    "jsonl-by-person": "JSONL by person",
    "csv-by-person": "CSV by person",
    "label-maps": "JSONL + label maps",
    "coco-boxes": "COCO + machine boxes",
}
_NAME = re.compile(r"^[a-z0-9-]+\.zip$")
# These are packed already; deflating them again costs time and gains nothing.
_PACKED = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif"})


@dataclass(frozen=True)
class Export:
    """One finished export.

    Attributes:
        lost: what the format could not hold, with counts.
        has_media: the pictures are in it.
        split: of which split its samples are; empty for all of them.
    """

    name: str
    format: str
    when: float
    bytes: int
    samples: int
    annotations: int
    lost: dict[str, int]
    has_media: bool = True
    split: str = ""


def formats_of(kind: api.Kind) -> dict[str, str]:
    """The formats that can hold samples of a kind, with their names."""
    return {
        key: name
        for key, name in FORMATS.items()
        if kind == api.Kind.IMAGE or not key.startswith(("coco", "yolo"))
    }


def check_may_export(bench: api.Workbench, who: str) -> None:
    """Refuse, to who labels blind, files that hold what others said.

    Raises:
        RefusedError: people label blind, and somebody else has said something.
    """
    if bench.people.is_hidden(who):
        raise api.RefusedError(
            "people label blind now, and an export holds what everybody said; switch it off on "
            "Learn, or export on the command line"
        )


def make_export(
    bench: api.Workbench,
    format: str,
    *,
    has_media: bool = True,
    split: str | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> Export:
    """Export the open project, pack it and remember its loss report beside it.

    Pictures go from where they lie into the zip: nothing but the zip takes room.

    Raises:
        BadInputError: the format is not one of `FORMATS`.
        SaveError: the disk is full or cannot be written.
    """
    if format not in FORMATS:
        raise api.BadInputError(f"unknown format {format!r}; known are {', '.join(FORMATS)}")
    report_progress = progress or (lambda *_: None)
    folder = bench.path / FOLDER
    stem = f"{format}-{time.strftime('%Y%m%d-%H%M%S')}-{time.time_ns() // 1000 % 1_000_000:06d}"
    work = folder / f".{stem}"
    packed = folder / f".{stem}.part"
    try:
        work.mkdir(parents=True)
        report_progress(0, 0, "writing")
        media = "borrow" if has_media else "none"
        report = bench.export(work, format=format, media=media, split=split)
        _pack(work, packed, report_progress)
        made = Export(
            name=f"{stem}.zip",
            format=format,
            when=time.time(),
            bytes=packed.stat().st_size,
            samples=report.samples,
            annotations=report.annotations,
            lost=dict(report.lost),
            has_media=has_media,
            split=split or "",
        )
        (folder / f"{stem}.json").write_text(json.dumps(made.__dict__), "utf-8")
        # The zip appears under its name only when it is whole.
        packed.rename(folder / made.name)
    except OSError as error:
        raise api.SaveError(f"the export could not be written: {error.strerror}") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
        packed.unlink(missing_ok=True)
    return made


def list_exports(bench: api.Workbench) -> list[Export]:
    """All finished exports of a project, the newest first."""
    found = []
    for file in (bench.path / FOLDER).glob("*.zip"):
        try:
            found.append(Export(**json.loads(file.with_suffix(".json").read_text("utf-8"))))
        except (OSError, ValueError, TypeError):
            # Without its report the zip is still a finished export.
            facts = file.stat()
            kind = re.sub(r"-\d{8}-\d{6}-\d{6}$", "", file.stem)
            found.append(Export(file.name, kind, facts.st_mtime, facts.st_size, 0, 0, {}))
    return sorted(found, key=lambda export: -export.when)


def find_export(bench: api.Workbench, name: str) -> Path:
    """The zip of that name.

    Raises:
        NotFoundError: the project has none.
    """
    path = bench.path / FOLDER / name
    if not _NAME.match(name) or not path.is_file():
        raise api.NotFoundError(f"{bench.name} has no export called {name!r}")
    return path


def remove_export(bench: api.Workbench, name: str) -> None:
    """Delete a zip and its report."""
    path = find_export(bench, name)
    path.unlink()
    path.with_suffix(".json").unlink(missing_ok=True)


def _pack(folder: Path, target: Path, progress: Callable[[int, int, str], None]) -> None:
    """Pack what an export wrote; its links are the exporter's own and lead to media."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    # A picture may be of a date that no zip can hold; it gets the nearest one.
    with zipfile.ZipFile(
        target, "w", zipfile.ZIP_DEFLATED, compresslevel=6, strict_timestamps=False
    ) as archive:
        for done, file in enumerate(files):
            progress(done, len(files), "packing")
            how = zipfile.ZIP_STORED if file.suffix.lower() in _PACKED else None
            archive.write(file, file.relative_to(folder).as_posix(), compress_type=how)
    progress(len(files), len(files), "")
