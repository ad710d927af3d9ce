"""Remove for good what was removed: samples, labels, their verdicts, media, and free the space.

Until this runs, undo brings everything back; after it, nothing does, and the bytes are gone from
the database file, its WAL and the folders of the project. Rows about samples and labels that are
live stay, with their offsets, and so do those of a label that was merged into one of them. Learn
steps stay as history, but a version that learned from what was removed cannot be computed again:
`replayable_from` in the settings says from which offset on replay is exact.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from backend.errors import PatchlaneError
from backend.store import operations
from backend.store import tables as t
from backend.store.database import Database
from backend.store.dismissals import DISMISS
from backend.store.guide_book import forget_samples
from backend.store.media import BEGUN, STORED, MediaStore
from backend.store.merging import Merges

REPLAYABLE_FROM = "replayable_from"
UNSWEPT = "unswept"
"""Key in `settings`: contents that are gone, of which something may still be on the disk. There
from when the rows go until the space is free, also where nothing but labels went."""
_BEGUN_SECONDS = 24 * 3600.0

log = logging.getLogger("patchlane.compaction")


@dataclass(frozen=True)
class CompactReport:
    """What is gone for good, and how many bytes that freed.

    Attributes:
        note: what could not be cleared away yet, and is when `compact` runs again; else empty.
    """

    samples: int
    labels: int
    corrections: int
    bytes_freed: int
    note: str = ""


def waiting(connection: Connection) -> tuple[int, int]:
    """How many samples and labels `compact` would remove for good."""
    dead = sa.select(sa.func.count())
    samples = connection.execute(dead.where(~t.samples.c.is_live)).scalar_one()
    labels = connection.execute(dead.select_from(_dead_labels(connection).subquery())).scalar_one()
    return samples, labels


def is_unswept(connection: Connection) -> bool:
    """Whether something of what `compact` removed may still be on the disk."""
    wanted = sa.select(t.settings.c.key).where(t.settings.c.key == UNSWEPT)
    return connection.execute(wanted).first() is not None


@runtime_checkable
class Cache(Protocol):
    """What was computed of contents."""

    def remove(self, hashes: Sequence[str]) -> None:
        """Remove what was computed of contents that are gone."""
        ...


def compact(
    database: Database, media: MediaStore, caches: Sequence[Cache], *, who: str
) -> CompactReport:
    """Remove for good what is not live; other processes may go on working meanwhile.

    The rows go first, all or none. What was computed of their contents is noted until it is gone
    as well: whatever stops that, the next time goes on with it.

    Raises:
        SaveError, BusyError: nothing was removed.
    """
    before = _size(database.folder)
    with database.write() as connection:
        s = t.samples.c
        samples = list(connection.execute(sa.select(s.id, s.content_hash).where(~s.is_live)))
        labels = list(connection.execute(_dead_labels(connection)).scalars())
        seq = operations.begin_op(connection, "compact", who=who)
        operations.close_op(connection, seq)
        connection.execute(t.settings.insert().values(key=t.COMPACTING, value="true"))
        num_rows = _remove_rows(connection)
        connection.execute(t.settings.delete().where(t.settings.c.key == t.COMPACTING))
        _retire_ops(connection)
        operations.bump_revision(connection)
        if num_rows:
            _note_replayable(connection)
        digests = _note_unswept(connection, {digest for _sample, digest in samples})
    note = ""
    try:
        media.forget(digests)
        for cache in caches:
            cache.remove(sorted(digests))
        with database.write() as connection:  # no import can commit a file while it is swept away
            _sweep(connection, media.folder)
            noted = t.settings.c.key == UNSWEPT
            connection.execute(t.settings.update().where(noted).values(value="[]"))
        database.vacuum()
        with database.write() as connection:
            connection.execute(t.settings.delete().where(noted))
    except (PatchlaneError, OSError) as error:
        note = f"not all of the space is free yet: {error}; do it again later"
        log.warning("compact of %s: %s", database.folder, note)
    freed = max(before - _size(database.folder), 0)
    return CompactReport(len(samples), len(labels), num_rows, freed, note)


def _remove_rows(connection: Connection) -> int:
    dead_samples = sa.select(t.samples.c.id).where(~t.samples.c.is_live)
    dead_labels = _dead_labels(connection)
    c, p, e, n = t.corrections.c, t.predictions.c, t.edits.c, t.sample_names.c
    removed = connection.execute(
        t.corrections.delete().where(c.sample.in_(dead_samples) | c.label.in_(dead_labels))
    ).rowcount
    connection.execute(
        t.predictions.delete().where(p.sample.in_(dead_samples) | p.label.in_(dead_labels))
    )
    connection.execute(
        t.brought_vectors.delete().where(t.brought_vectors.c.sample.in_(dead_samples))
    )
    # a merge cannot be taken back or brought back without one of its labels
    merged = sa.select(e.op).where(e.subject == "label", e.subject_id.in_(dead_labels))
    connection.execute(
        t.ops.update()
        .where(t.ops.c.kind == operations.MERGE, t.ops.c.seq.in_(merged))
        .values(is_final=True)
    )
    connection.execute(
        t.edits.delete().where(
            ((e.subject == "sample") & e.subject_id.in_(dead_samples))
            | ((e.subject == "label") & e.subject_id.in_(dead_labels))
        )
    )
    forget_samples(connection)
    connection.execute(t.sample_names.delete().where(n.sample.in_(dead_samples)))
    connection.execute(
        t.labels.update().where(t.labels.c.parent.in_(dead_labels)).values(parent=None)
    )
    connection.execute(t.samples.delete().where(~t.samples.c.is_live))
    connection.execute(t.labels.delete().where(t.labels.c.id.in_(dead_labels)))
    return removed


def _dead_labels(connection: Connection) -> sa.Select[tuple[int]]:
    """The labels that were removed. One that was merged is not: its verdicts are the other's."""
    n = t.labels.c
    homes = Merges.of(connection).homes()
    alive = set(connection.execute(sa.select(n.id).where(n.is_live)).scalars()) if homes else set()
    merged = [label for label, home in homes.items() if home in alive]
    return sa.select(n.id).where(~n.is_live, n.id.not_in(merged))


def _retire_ops(connection: Connection) -> None:
    """Operations with nothing left cannot be undone or redone any more.

    The drawer and dismissals are in the operations themselves, so all of them is left.
    """
    seq, kind = t.ops.c.seq, t.ops.c.kind
    left = [
        sa.exists().where(table.c.op == seq)
        for table in (t.corrections, t.edits, t.predictions, t.brought_vectors)
    ]
    connection.execute(
        t.ops.update()
        .where(t.ops.c.target.is_(None), ~sa.or_(*left))
        .where(kind.not_in((operations.DRAWER, DISMISS)))
        .values(is_final=True)
    )
    # reports of imports name files that are gone
    connection.execute(t.ops.update().where(t.ops.c.is_final, kind == "import").values(detail="{}"))


def _note_unswept(connection: Connection, digests: set[str]) -> set[str]:
    """Note contents whose caches have to go, with those that are left of before; gives them all."""
    key, s = t.settings.c.key, t.samples.c
    left = connection.execute(sa.select(t.settings.c.value).where(key == UNSWEPT)).scalar()
    wanted = digests | set(json.loads(left) if left else ())
    for chunk in operations.chunks(sorted(wanted)):  # what was brought again meanwhile stays
        there = sa.select(s.content_hash).where(s.content_hash.in_(chunk))
        wanted -= set(connection.execute(there).scalars())
    connection.execute(t.settings.delete().where(key == UNSWEPT))
    value = json.dumps(sorted(wanted))
    connection.execute(t.settings.insert().values(key=UNSWEPT, value=value))
    return wanted


def _note_replayable(connection: Connection) -> None:
    value = json.dumps({"offset": operations.last_offset(connection), "when": time.time()})
    connection.execute(t.settings.delete().where(t.settings.c.key == REPLAYABLE_FROM))
    connection.execute(t.settings.insert().values(key=REPLAYABLE_FROM, value=value))


def _sweep(connection: Connection, folder: Path) -> None:
    """Delete media that no sample has: files that this store named, in folders of its own.

    A file that somebody is just writing is left alone; one that was being written a day ago was
    left behind. What else lies there, or behind a link, is not ours.
    """
    wanted = sa.select(t.samples.c.media_file).where(t.samples.c.media_file.is_not(None))
    known = set(connection.execute(wanted).scalars())
    for inner in [] if folder.is_symlink() else folder.glob("[0-9a-f][0-9a-f]"):
        if inner.is_symlink() or not inner.is_dir():
            continue
        for file in inner.iterdir():
            name = f"{inner.name}/{file.name}"
            is_ours = STORED.fullmatch(name) is not None and name not in known
            if (is_ours or _was_left_behind(file)) and not file.is_dir():
                file.unlink(missing_ok=True)


def _was_left_behind(file: Path) -> bool:
    """Whether it is a file that was begun long ago and never got its name."""
    if not file.name.startswith(BEGUN):
        return False
    try:
        return file.lstat().st_mtime < time.time() - _BEGUN_SECONDS
    except OSError:
        return False


def _size(folder: Path) -> int:
    """Bytes of all files; one that goes meanwhile has none."""
    total = 0
    for file in folder.rglob("*"):
        with suppress(OSError):
            total += file.stat().st_size if file.is_file() else 0
    return total
