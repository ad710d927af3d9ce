"""Take what a reader understood into the project: media, names, verdicts, scores and vectors.

Drafts are taken in batches: their media are checked and stored first, then one transaction adds
the rows. A draft that cannot be taken is reported by name with the reason, and the rest goes on.
All batches belong to one operation, so one undo takes the whole import back.

Where a pair has a verdict already, `on_conflict` decides: `keep` leaves it, `replace` takes it
back and sets the new one, `both` adds the new one under its own person beside the old one. In
each case the newest row of the log is what counts for everybody who folds it.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import sqlalchemy as sa
from PIL.Image import Image
from sqlalchemy.engine import Connection

from backend.errors import BadInputError, PatchlaneError, RefusedError, SaveError
from backend.images import ImageFacts, load
from backend.settings import Limits
from backend.store import operations
from backend.store import tables as t
from backend.store.corrections import (
    NewCorrection,
    checked_region,
    correction_row,
    current_rows,
    pack_regions,
)
from backend.store.database import Database
from backend.store.labels import by_name, insert_labels, live_labels
from backend.store.media import MediaStore, StoredMedia
from backend.store.naming import basename, clean_label, clean_sample_name, shown
from backend.store.operations import META, NAME, Edit
from backend.store.samples import ambiguous
from backend.types import (
    BroughtVectors,
    Draft,
    FileProblem,
    ImportReport,
    Kind,
    Progress,
    Region,
    Verdict,
)

_BATCH = 100
_KEPT_PROBLEMS = 1000  # of a finished import, for a repeated request

OnContent = Callable[[str, "Image | str"], None]


@dataclass(frozen=True)
class IntakeOptions:
    """How an import is taken; see `ProjectStore.take`."""

    who: str
    source: str
    op: str | None = None
    link: bool = False
    on_conflict: str = "keep"
    unlisted: str = "unknown"
    create_labels: bool = False
    at_least: int = 0
    on_content: OnContent | None = None
    predictions_source: str = ""
    progress: Progress | None = None

    def __post_init__(self) -> None:
        if self.on_conflict not in ("keep", "replace", "both"):
            raise BadInputError(
                f"on_conflict is keep, replace or both, not {shown(self.on_conflict)}"
            )
        if self.unlisted not in ("unknown", "no"):
            raise BadInputError(f"unlisted is unknown or no, not {shown(self.unlisted)}")


@dataclass(frozen=True)
class _Staged:
    """A draft whose content is checked and, for images, on disk."""

    draft: Draft
    name: str
    names: tuple[str, ...]
    content_hash: str | None = None
    media: StoredMedia | None = None


@dataclass
class _Names:
    """Live names of live samples, as they were at `revision`."""

    revision: int = -1
    whole: dict[str, int] = field(default_factory=dict)
    last: dict[str, set[int]] = field(default_factory=dict)
    first: dict[int, str] = field(default_factory=dict)

    def add(self, name: str, sample: int) -> None:
        self.first.setdefault(sample, name)
        self.whole.setdefault(name, sample)
        self.last.setdefault(basename(name), set()).add(sample)


class Intake:
    """One import."""

    def __init__(
        self,
        database: Database,
        media: MediaStore,
        kind: Kind,
        limits: Limits,
        options: IntakeOptions,
    ) -> None:
        self._database = database
        self._media = media
        self._kind = kind
        self._limits = limits
        self._options = options
        self._op = options.op or operations.new_op_id()
        self._seq = 0
        self._names = _Names()
        self._labels: dict[str, int] = {}
        self._listed: dict[int, set[int]] = {}
        self._listed_by: dict[int, str] = {}
        self._unknown_labels: Counter[str] = Counter()
        self._problems: list[FileProblem] = []
        self._imported = self._skipped = self._duplicates = 0
        self._new_labels = self._annotations = self._changes = 0

    def run(self, items: Iterable[Draft | BroughtVectors | FileProblem]) -> ImportReport:
        """Take everything; see the module."""
        with self._database.read() as connection:
            known = operations.find_op(connection, self._op)
        if known is not None and "report" in known.detail:
            return _unpack_report(known)
        done = 0
        for batch in _batched(items):
            self._take_batch(batch)
            done += len(batch)
            if self._options.progress is not None:
                self._options.progress(done, 0, f"{self._imported} samples")
        if self._options.unlisted == "no":
            self._deny_unlisted()
        return self._finish()

    # Stage: check and store content, outside of any transaction --------------------------------

    def _take_batch(self, items: list[Draft | BroughtVectors | FileProblem]) -> None:
        staged: list[_Staged] = []
        vectors: list[BroughtVectors] = []
        for item in items:
            if isinstance(item, FileProblem):
                self._refuse(item.file, item.reason)
            elif isinstance(item, BroughtVectors):
                vectors.append(item)
            else:
                try:
                    staged.append(self._stage(item))
                except SaveError:
                    raise
                except PatchlaneError as error:
                    self._refuse(item.name, str(error))
        self._media.sync()
        if not staged and not vectors:
            return
        with self._database.write() as connection:
            self._open(connection)
            staged = [self._still_stored(one) for one in staged]
            self._store(connection, staged)
            for brought in vectors:
                self._store_vectors(connection, brought)
            self._names.revision = operations.bump_revision(connection)
            operations.close_op(connection, self._seq)

    def _stage(self, draft: Draft) -> _Staged:
        name = clean_sample_name(draft.name)
        names = tuple(clean_sample_name(other) for other in draft.names)
        if draft.path is None and draft.text is None:
            return _Staged(draft, name, names)
        wanted = Kind.IMAGE if draft.path is not None else Kind.TEXT
        if wanted is not self._kind:
            raise BadInputError(
                f"{name} is {'an image' if wanted is Kind.IMAGE else 'a text'}, but this project "
                f"holds {self._kind.value}s; make a project of its own for it"
            )
        if draft.path is not None:
            pictures: list[Image] = []

            def look(source: Path | bytes, called: str) -> ImageFacts:
                picture, facts = load(
                    source, at_least=self._options.at_least or 1, limits=self._limits, name=called
                )
                pictures.append(picture)
                return facts

            media = self._media.put(draft.path, name=name, link=self._options.link, check=look)
            self._show(media.content_hash, pictures[0])
            return _Staged(draft, name, names, media.content_hash, media)
        text = draft.text or ""
        self._check_text(name, text)
        content_hash = hashlib.sha256(text.encode()).hexdigest()
        self._show(content_hash, text)
        return _Staged(draft, name, names, content_hash)

    def _show(self, content_hash: str, content: Image | str) -> None:
        if self._options.on_content is not None:
            self._options.on_content(content_hash, content)

    def _check_text(self, name: str, text: str) -> None:
        if not text.strip():
            raise BadInputError(f"the text {name} is empty")
        if len(text) > self._limits.text_characters:
            raise RefusedError(
                f"the text {name} has {len(text)} characters; {self._limits.text_characters} is "
                "the limit"
            )
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise BadInputError(f"the text {name} is not valid Unicode") from error
        if "\0" in text:
            raise BadInputError(f"the text {name} has a NUL in it; is it really a text?")

    def _still_stored(self, staged: _Staged) -> _Staged:
        """Store once more what a `compact` of another process swept away just now."""
        media, path = staged.media, staged.draft.path
        if media is None or path is None or self._media.is_stored(media):
            return staged
        again = self._media.put(path, name=staged.name)
        self._media.sync()
        return _Staged(staged.draft, staged.name, staged.names, again.content_hash, again)

    def _refuse(self, file: str, reason: str) -> None:
        self._skipped += 1
        self._problems.append(FileProblem(file, reason))

    # Store: rows, in one transaction per batch -------------------------------------------------

    def _open(self, connection: Connection) -> None:
        known = operations.find_op(connection, self._op)
        if known is None:
            self._seq = operations.begin_op(
                connection,
                "import",
                who=self._options.who,
                op=self._op,
                detail={"source": self._options.source},
            )
        elif known.is_undone:
            raise BadInputError("this import was undone while it was running; it stopped there")
        else:
            self._seq = known.seq
        revision = operations.revision(connection)
        if revision != self._names.revision:
            self._names = _load_names(connection)
            self._labels = {
                name: label.id for name, label in by_name(live_labels(connection)).items()
            }

    def _store(self, connection: Connection, staged: list[_Staged]) -> None:
        ids = self._store_contents(connection, [one for one in staged if one.content_hash])
        found: list[tuple[Draft, int]] = []
        for one in staged:
            if one.content_hash is not None:
                found.append((one.draft, ids[one.content_hash]))
                continue
            try:
                found.append((one.draft, self._resolve_any((one.name, *one.names))))
            except PatchlaneError as error:
                self._refuse(one.name, str(error))
        self._store_facts(connection, [(d, s) for d, s in found if d.split or d.metadata])
        self._store_verdicts(connection, found)
        self._store_predictions(connection, found)

    def _store_contents(self, connection: Connection, staged: list[_Staged]) -> dict[str, int]:
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
        first: dict[str, _Staged] = {}
        again = [Edit("sample", row.id, "is_live", True) for row in known.values() if row.is_live]
        operations.add_edits(connection, self._seq, again)  # undo of the other import keeps them
        for one in staged:
            assert one.content_hash is not None  # noqa: S101  only such are handed in
            if one.content_hash in known or one.content_hash in first:
                self._duplicates += one.content_hash not in back
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
            nameless={*new.values(), *(returned - self._names.first.keys())},
        )
        return ids

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
            if self._names.whole.get(name, sample) != sample:
                edits.append(Edit("sample", sample, NAME + name, False))
            else:
                self._names.add(name, sample)
        operations.add_edits(connection, self._seq, edits)
        operations.settle_cells(connection, edits)
        operations.restore_samples(connection, samples, acting=self._seq, who=self._options.who)
        self._imported += len(samples)
        self._changes += len(samples)

    def _insert_samples(self, connection: Connection, first: dict[str, _Staged]) -> dict[str, int]:
        if not first:
            return {}
        rows = [_sample_row(self._kind, digest, one) for digest, one in first.items()]
        inserted = connection.execute(
            t.samples.insert().returning(t.samples.c.id, t.samples.c.content_hash), rows
        )
        ids = {digest: sample for sample, digest in inserted}
        operations.add_edits(
            connection,
            self._seq,
            [Edit("sample", ids[digest], "is_live", True) for digest in first],
        )
        self._imported += len(first)
        self._changes += len(first)
        return ids

    def _add_names(
        self,
        connection: Connection,
        staged: list[_Staged],
        ids: dict[str, int],
        *,
        nameless: set[int],
    ) -> None:
        """Keep every name; a new sample whose name is taken gets one with a number."""
        told: list[tuple[int, str]] = []
        for one in staged:
            sample = ids[one.content_hash or ""]
            for name in dict.fromkeys((one.name, *one.names)):
                owner = self._names.whole.get(name)
                free = name
                if owner not in (None, sample):
                    if sample not in nameless:
                        self._problems.append(
                            FileProblem(name, "another sample has this name; it was not added")
                        )
                        # it keeps the name it has, also when the import that gave it is undone
                        free = self._names.first[sample]
                    else:
                        free = self._free_name(name)
                        self._problems.append(
                            FileProblem(name, f"another sample has this name; taken in as {free}")
                        )
                self._changes += sample in nameless or owner is None
                self._names.add(free, sample)
                nameless.discard(sample)
                told.append((sample, free))
        operations.insert_names(connection, self._seq, list(dict.fromkeys(told)))

    def _free_name(self, name: str) -> str:
        stem, dot, suffix = name.rpartition(".")
        if not dot or "/" in suffix:
            stem, dot, suffix = name, "", ""
        number = 2
        while f"{stem} ({number}){dot}{suffix}" in self._names.whole:
            number += 1
        return f"{stem} ({number}){dot}{suffix}"

    def _resolve_any(self, names: tuple[str, ...]) -> int:
        for name in names[1:]:
            if names[0] not in self._names.whole and name in self._names.whole:
                return self._names.whole[name]
        return self._resolve(names[0])

    def _resolve(self, name: str) -> int:
        """The sample that an annotation names."""
        sample = self._names.whole.get(name)
        if sample is not None:
            return sample
        several = self._names.last.get(name, set())
        if len(several) == 1:
            return next(iter(several))
        if several:
            names = [n for n, sample in self._names.whole.items() if sample in several]
            raise BadInputError(ambiguous(name, sorted(names)))
        if name.isdecimal() and int(name) in self._names.first:
            return int(name)
        raise BadInputError("no sample of this project has this name; import its file first")

    def _store_facts(self, connection: Connection, found: list[tuple[Draft, int]]) -> None:
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
                is_kept = before is not None and self._options.on_conflict == "keep"
                if value is not None and value != before and not is_kept:
                    held[sample][cell] = value
                    edits.append(Edit("sample", sample, cell, value))
        if edits:
            operations.add_edits(connection, self._seq, edits)
            operations.settle_cells(connection, edits)
            self._changes += len(edits)

    # Verdicts ----------------------------------------------------------------------------------

    def _store_verdicts(self, connection: Connection, found: list[tuple[Draft, int]]) -> None:
        told = [(d, s) for d, s in found if d.verdicts or d.regions or d.only_present]
        if not told:
            return
        held = {
            pair: (row.verdict, row.regions, row.who)
            for pair, row in current_rows(
                connection, samples=sorted({sample for _draft, sample in told})
            ).items()
        }
        rows: list[dict[str, object]] = []
        now = time.time()
        for draft, sample in told:
            who = (draft.who or self._options.who)[:200]
            at = now if draft.when is None else draft.when
            listed: set[int] = set()
            for name, verdict, regions in self._told(draft):
                label = self._label(connection, name)
                if label is None:
                    continue
                listed.add(label)
                pair = (sample, label)
                new = (verdict, regions, who)
                added = self._rows_for(pair, held.get(pair), new, at=at)
                if added:
                    held[pair] = new
                    rows += added
                    self._annotations += 1
            if draft.only_present:
                self._listed.setdefault(sample, set()).update(listed)
                self._listed_by[sample] = who
        if rows:
            connection.execute(t.corrections.insert(), rows)
            self._changes += len(rows)

    def _told(self, draft: Draft) -> Iterator[tuple[str, Verdict, tuple[Region, ...]]]:
        """Label name, verdict and regions; what one row of the log cannot hold is reported."""
        verdicts = dict(draft.verdicts)
        regions: dict[str, list[Region]] = {}
        for one in draft.regions:
            if one.label not in verdicts and one.verdict is Verdict.YES:
                verdicts[one.label] = Verdict.YES  # a part shows it, so the whole does
            if verdicts.get(one.label) is not one.verdict:
                self._problems.append(
                    FileProblem(
                        draft.name,
                        f"a {one.verdict.value} on a region for {shown(one.label)} says nothing "
                        "of the whole sample; that region was not stored",
                    )
                )
                continue
            try:
                regions.setdefault(one.label, []).append(checked_region(one.region))
            except BadInputError as error:
                self._problems.append(FileProblem(draft.name, f"{error}; it was not stored"))
        for name, verdict in verdicts.items():
            yield name, verdict, tuple(regions.get(name, ()))

    def _rows_for(
        self,
        pair: tuple[int, int],
        held: tuple[Verdict | None, tuple[Region, ...], str] | None,
        new: tuple[Verdict, tuple[Region, ...], str],
        *,
        at: float,
    ) -> list[dict[str, object]]:
        verdict, regions, who = new
        row = self._row(pair, verdict, regions, who=who, at=at)
        if held is None:
            return [row]
        is_same = held[:2] == (verdict, regions)
        if self._options.on_conflict == "keep":
            return []
        if self._options.on_conflict == "both":
            return [] if is_same and held[2] == who else [row]
        return [] if is_same else [self._row(pair, None, (), who=who, at=at), row]

    def _row(
        self,
        pair: tuple[int, int],
        verdict: Verdict | None,
        regions: tuple[Region, ...],
        *,
        who: str,
        at: float,
    ) -> dict[str, object]:
        return correction_row(
            self._seq,
            NewCorrection(pair[0], pair[1], verdict),
            pack_regions(regions),
            who=who,
            at=at,
            version=0,
            source=self._options.source,
        )

    def _label(self, connection: Connection, name: str) -> int | None:
        """The label an annotation names; made if asked for, else counted as unknown."""
        try:
            cleaned = clean_label(name, self._limits.label_characters)
        except BadInputError as error:
            if shown(name) not in self._unknown_labels:
                self._problems.append(FileProblem(shown(name), str(error)))
            self._unknown_labels[shown(name)] += 1
            return None
        known = self._labels.get(cleaned)
        if known is not None:
            return known
        if not self._options.create_labels:
            self._unknown_labels[cleaned] += 1
            return None
        label = insert_labels(connection, self._seq, [cleaned])[0]
        self._labels[cleaned] = label
        self._new_labels += 1
        self._changes += 1
        return label

    def _deny_unlisted(self) -> None:
        """NO for each label that a file which lists what is present does not list."""
        samples = sorted(self._listed)
        for at in range(0, len(samples), _BATCH):
            some = samples[at : at + _BATCH]
            with self._database.write() as connection:
                self._open(connection)
                labels = [label.id for label in live_labels(connection)]
                alive = self._names.first
                held = current_rows(connection, samples=some)
                rows: list[dict[str, object]] = []
                now = time.time()
                for sample in some:
                    if sample not in alive:
                        continue
                    for label in labels:
                        if label in self._listed[sample]:
                            continue
                        pair = (sample, label)
                        old = held.get(pair)
                        rows += self._rows_for(
                            pair,
                            None if old is None else (old.verdict, old.regions, old.who),
                            (Verdict.NO, (), self._listed_by[sample]),
                            at=now,
                        )
                if rows:
                    connection.execute(t.corrections.insert(), rows)
                    self._changes += len(rows)
                    self._annotations += sum(row["verdict"] is not None for row in rows)
                operations.close_op(connection, self._seq)

    # What other models made --------------------------------------------------------------------

    def _store_predictions(self, connection: Connection, found: list[tuple[Draft, int]]) -> None:
        rows: dict[tuple[int, int], float] = {}
        for draft, sample in found:
            for name, score in draft.predictions.items():
                if not np.isfinite(score):
                    self._problems.append(
                        FileProblem(draft.name, f"the score for {shown(name)} is not a number")
                    )
                    continue
                label = self._label(connection, name)
                if label is not None:
                    rows[(sample, label)] = float(score)
        if not rows:
            return
        p = t.predictions.c
        keys = [{"b_sample": sample, "b_label": label} for sample, label in rows]
        source = self._options.predictions_source
        connection.execute(
            t.predictions.delete().where(
                p.sample == sa.bindparam("b_sample"),
                p.label == sa.bindparam("b_label"),
                p.source == source,
                p.op == self._seq,
            ),
            keys,
        )
        connection.execute(
            t.predictions.insert(),
            [
                {"sample": sample, "label": label, "source": source, "op": self._seq, "score": s}
                for (sample, label), s in rows.items()
            ],
        )
        self._annotations += len(rows)
        self._changes += len(rows)

    def _store_vectors(self, connection: Connection, brought: BroughtVectors) -> None:
        if len(brought.names) != len(brought.vectors):
            self._refuse(
                brought.source,
                f"got {len(brought.names)} names for {len(brought.vectors)} vectors",
            )
            return
        rows: dict[int, bytes] = {}
        vectors = np.ascontiguousarray(brought.vectors, dtype=np.float32)
        for name, vector in zip(brought.names, vectors, strict=True):
            try:
                sample = self._resolve(clean_sample_name(name))
            except PatchlaneError as error:
                self._refuse(shown(name), str(error))
                continue
            if not np.isfinite(vector).all():
                self._refuse(name, "its vector has a number that is not finite")
                continue
            rows[sample] = vector.tobytes()
        if not rows:
            return
        v = t.brought_vectors.c
        connection.execute(
            t.brought_vectors.delete().where(
                v.source == brought.source,
                v.op == self._seq,
                v.sample == sa.bindparam("b_sample"),
            ),
            [{"b_sample": sample} for sample in rows],
        )
        connection.execute(
            t.brought_vectors.insert(),
            [
                {"source": brought.source, "sample": sample, "op": self._seq, "vector": held}
                for sample, held in rows.items()
            ],
        )
        self._annotations += len(rows)
        self._changes += len(rows)

    def _finish(self) -> ImportReport:
        for name, count in self._unknown_labels.items():
            told = "annotation" if count == 1 else "annotations"
            self._problems.append(
                FileProblem(
                    name,
                    f"no label has this name: {count} {told} not stored; create labels with "
                    "--create-labels, or add it first",
                )
            )
        report = ImportReport(
            imported=self._imported,
            skipped=self._skipped,
            errors=tuple(self._problems),
            labels=self._new_labels,
            annotations=self._annotations,
            duplicates=self._duplicates,
            op=self._op,
        )
        if self._seq:
            with self._database.write() as connection:
                detail = {"source": self._options.source, "report": _pack_report(report)}
                operations.close_op(connection, self._seq, detail=detail)
                if not self._changes:  # nothing that an undo could take back
                    connection.execute(
                        t.ops.update().where(t.ops.c.seq == self._seq).values(is_final=True)
                    )
        return report


def _batched(
    items: Iterable[Draft | BroughtVectors | FileProblem],
) -> Iterator[list[Draft | BroughtVectors | FileProblem]]:
    iterator = iter(items)
    while batch := list(islice(iterator, _BATCH)):
        yield batch


def _load_names(connection: Connection) -> _Names:
    n = t.sample_names.c
    names = _Names(operations.revision(connection))
    rows = connection.execute(
        sa.select(n.name, n.sample)
        .join(t.samples, t.samples.c.id == n.sample)
        .where(n.is_live, t.samples.c.is_live)
        .order_by(n.id)
    )
    for name, sample in rows:
        names.add(name, sample)
    return names


def _sample_row(kind: Kind, digest: str, one: _Staged) -> dict[str, object]:
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


def _pack_report(report: ImportReport) -> dict[str, object]:
    return {
        "imported": report.imported,
        "skipped": report.skipped,
        "errors": [[one.file, one.reason] for one in report.errors[:_KEPT_PROBLEMS]],
        "labels": report.labels,
        "annotations": report.annotations,
        "duplicates": report.duplicates,
    }


def _unpack_report(known: operations.Operation) -> ImportReport:
    held = known.detail["report"]
    assert isinstance(held, dict)  # noqa: S101  written by _pack_report
    errors = tuple(FileProblem(file, reason) for file, reason in held.pop("errors"))
    return ImportReport(errors=errors, op=known.id, **held)
