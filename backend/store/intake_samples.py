"""The contents of an import: new samples, duplicates, samples that come back, their names."""

from __future__ import annotations

import json

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from backend.store import operations, settling
from backend.store import tables as t
from backend.store.intake_state import ImportRun, Staged
from backend.store.media import StoredMedia
from backend.store.operations import META, NAME, Edit
from backend.types import Draft, Kind


class SampleIntake:
    """Writes the samples of one import, inside the transactions of its batches."""

    def __init__(self, run: ImportRun, kind: Kind) -> None:
        self._run = run
        self._kind = kind

    def store(self, connection: Connection, staged: list[Staged]) -> dict[str, int]:
        """Ids by content hash: new samples, samples that come back, and duplicates."""
        hashes = list({one.content_hash for one in staged})
        s = t.samples.c
        known = {
            row.content_hash: row
            for row in connection.execute(
                sa.select(s.id, s.content_hash, s.is_live, s.linked_path).where(
                    s.content_hash.in_(hashes)
                )
            )
        }
        back = {h: row.id for h, row in known.items() if not row.is_live}
        returned = set(back.values())
        if back:
            self._bring_back(connection, sorted(returned))
        first: dict[str, Staged] = {}
        again = [Edit("sample", row.id, "is_live", True) for row in known.values() if row.is_live]
        operations.add_edits(
            connection, self._run.seq, again
        )  # undo of the other import keeps them
        for one in staged:
            assert one.content_hash is not None  # noqa: S101  only such are handed in
            if one.content_hash in known or one.content_hash in first:
                self._run.duplicates += one.content_hash not in back
                back.pop(one.content_hash, None)
                if one.content_hash in known and known[one.content_hash].linked_path:
                    self._place_anew(connection, known[one.content_hash].id, one.media)
            else:
                first[one.content_hash] = one
        ids = {h: row.id for h, row in known.items()}
        new = self._insert_samples(connection, first)
        ids.update(new)
        self._add_names(
            connection,
            staged,
            ids,
            nameless={*new.values(), *(returned - self._run.names.first.keys())},
        )
        return ids

    def store_facts(self, connection: Connection, found: list[tuple[Draft, int]]) -> None:
        """Split and metadata, as the import says them; `keep` fills only what is empty."""
        if not found:
            return
        s = t.samples.c
        ids = sorted({sample for _draft, sample in found})
        rows = connection.execute(sa.select(s.id, s.split, s.metadata).where(s.id.in_(ids)))
        held = {sample: {"split": split, **_meta(text)} for sample, split, text in rows}
        edits: list[Edit] = []
        for draft, sample in found:
            said: dict[str, object] = {META + key: value for key, value in draft.metadata.items()}
            if draft.split is not None:
                said["split"] = draft.split.value
            for cell, value in said.items():
                before = held[sample].get(cell)
                is_kept = before is not None and self._run.options.on_conflict == "keep"
                if value is not None and value != before and not is_kept:
                    held[sample][cell] = value
                    edits.append(Edit("sample", sample, cell, value))
        if edits:
            operations.add_edits(connection, self._run.seq, edits)
            settling.settle_cells(connection, edits)
            self._run.changes += len(edits)

    def _place_anew(self, connection: Connection, sample: int, media: StoredMedia | None) -> None:
        """A linked file that is brought again: it is where it was found last, or copied now."""
        if media is not None:
            connection.execute(
                t.samples.update()
                .where(t.samples.c.id == sample)
                .values(media_file=media.file, linked_path=media.linked)
            )

    def _bring_back(self, connection: Connection, samples: list[int]) -> None:
        """Samples that were removed, and are brought again: live, with their old verdicts."""
        edits = [Edit("sample", sample, "is_live", True) for sample in samples]
        n = t.sample_names.c
        rows = connection.execute(
            sa.select(n.sample, n.name).where(n.sample.in_(samples), n.is_live).order_by(n.id)
        )
        for sample, name in list(rows):
            if self._run.names.whole.get(name, sample) != sample:
                edits.append(Edit("sample", sample, NAME + name, False))
            else:
                self._run.names.add(name, sample)
        operations.add_edits(connection, self._run.seq, edits)
        settling.settle_cells(connection, edits)
        settling.restore_samples(
            connection, samples, acting=self._run.seq, who=self._run.options.who
        )
        self._run.imported += len(samples)
        self._run.changes += len(samples)

    def _insert_samples(self, connection: Connection, first: dict[str, Staged]) -> dict[str, int]:
        if not first:
            return {}
        rows = [_sample_row(self._kind, digest, one) for digest, one in first.items()]
        inserted = connection.execute(
            t.samples.insert().returning(t.samples.c.id, t.samples.c.content_hash), rows
        )
        ids = {digest: sample for sample, digest in inserted}
        operations.add_edits(
            connection,
            self._run.seq,
            [Edit("sample", ids[digest], "is_live", True) for digest in first],
        )
        self._run.imported += len(first)
        self._run.changes += len(first)
        return ids

    def _add_names(
        self,
        connection: Connection,
        staged: list[Staged],
        ids: dict[str, int],
        *,
        nameless: set[int],
    ) -> None:
        """Keep every name; a new sample whose name is taken gets one with a number."""
        told: list[tuple[int, str]] = []
        for one in staged:
            sample = ids[one.content_hash or ""]
            for name in dict.fromkeys((one.name, *one.names)):
                owner = self._run.names.whole.get(name)
                free = name
                if owner not in (None, sample):
                    if sample not in nameless:
                        self._run.take_otherwise(
                            name, "another sample has this name; it was not added"
                        )
                        # it keeps the name it has, also when the import that gave it is undone
                        free = self._run.names.first[sample]
                    else:
                        free = self._run.names.free(name)
                        self._run.take_otherwise(
                            name, f"another sample has this name; taken in as {free}"
                        )
                self._run.changes += sample in nameless or owner is None
                self._run.names.add(free, sample)
                nameless.discard(sample)
                told.append((sample, free))
        settling.insert_names(connection, self._run.seq, list(dict.fromkeys(told)))


def _sample_row(kind: Kind, digest: str, one: Staged) -> dict[str, object]:
    media = one.media
    return {
        "name": one.name,
        "kind": kind.value,
        "content_hash": digest,
        "split": None,
        "width": 0 if media is None else media.facts.width,
        "height": 0 if media is None else media.facts.height,
        "text": one.draft.text,
        "media_file": None if media is None else media.file,
        "linked_path": None if media is None else media.linked,
        "media_type": "text/plain" if media is None else media.facts.content_type,
        "num_bytes": len((one.draft.text or "").encode()) if media is None else media.num_bytes,
        "metadata": "{}",
        "is_live": True,
    }


def _meta(packed: str) -> dict[str, object]:
    return {META + key: value for key, value in json.loads(packed).items()}
