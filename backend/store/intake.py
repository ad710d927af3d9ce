"""Take what a reader understood into the project: media, names, verdicts, scores and vectors.

Drafts are taken in batches: their media are checked and stored first, then one transaction adds
the rows. A draft that cannot be taken is reported by name with the reason, and the rest goes on.
All batches belong to one operation, so one undo takes the whole import back. Each batch commits
what came in up to it as well, so that an import that is cut off, however, is known to that point.

Where a pair had a verdict before the import, `on_conflict` decides: `keep` leaves it, `replace`
takes back what everybody said and sets the new one, `both` adds the new one as the word of the
person or file it is from, and voices.py says what counts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from PIL.Image import Image
from sqlalchemy.engine import Connection

from backend.errors import BadInputError, PatchlaneError, RefusedError, SaveError
from backend.images import ImageFacts, load
from backend.settings import Limits
from backend.store import brought, operations
from backend.store import tables as t
from backend.store.database import Database
from backend.store.intake_samples import SampleIntake
from backend.store.intake_state import ImportRun, IntakeOptions, NameIndex, Staged
from backend.store.intake_verdicts import VerdictIntake
from backend.store.labels import by_name, live_labels
from backend.store.media import MediaStore
from backend.store.naming import clean_sample_name
from backend.types import BroughtVectors, Draft, FileProblem, ImportReport, Kind, PastImport

_BATCH = 100
_KEPT_PROBLEMS = 1000  # of an import, for a repeated request and the list of imports
_UNFINISHED = "unfinished"  # key in `detail` of an import that did not come to its end (yet)


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
        self._run = ImportRun(options, limits, options.op or operations.new_op_id())
        self._samples = SampleIntake(self._run, kind)
        self._verdicts = VerdictIntake(self._run)

    def run(self, items: Iterable[Draft | BroughtVectors | FileProblem]) -> ImportReport:
        """Take everything; see the module."""
        with self._database.read() as connection:
            known = operations.find_repeated(
                connection, self._run.op, "import", who=self._run.options.who
            )
        if known is not None and "report" in known.detail and _UNFINISHED not in known.detail:
            return _unpack_report(known)
        done = 0
        for batch in _batched(items):
            self._take_batch(batch)
            done += len(batch)
            if self._run.options.progress is not None:
                self._run.options.progress(done, 0, f"{self._run.imported} samples")
        if self._run.options.unlisted == "no":
            self._deny_unlisted()
        return self._finish()

    def _take_batch(self, items: list[Draft | BroughtVectors | FileProblem]) -> None:
        staged: list[Staged] = []
        vectors: list[BroughtVectors] = []
        for item in items:
            if isinstance(item, FileProblem):
                self._run.refuse(item.file, item.reason)
            elif isinstance(item, BroughtVectors):
                vectors.append(item)
            else:
                try:
                    staged.append(self._stage(item))
                except SaveError:
                    raise
                except PatchlaneError as error:
                    self._run.refuse(item.name, str(error))
        self._media.sync()
        if not staged and not vectors:
            return
        with self._database.write() as connection:
            self._open(connection)
            staged = [self._still_stored(one) for one in staged]
            self._store(connection, staged)
            for one in vectors:
                brought.store_vectors(connection, self._run, one)
            self._run.names.revision = operations.bump_revision(connection)
            self._note(connection)

    def _stage(self, draft: Draft) -> Staged:
        name = clean_sample_name(draft.name)
        names = tuple(clean_sample_name(other) for other in draft.names)
        if draft.path is None and draft.text is None:
            return Staged(draft, name, names)
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
                    source,
                    at_least=self._run.options.at_least or 1,
                    limits=self._run.limits,
                    name=called,
                )
                pictures.append(picture)
                return facts

            media = self._media.put(draft.path, name=name, link=self._run.options.link, check=look)
            self._show(media.content_hash, pictures[0])
            return Staged(draft, name, names, media.content_hash, media)
        text = draft.text or ""
        self._check_text(name, text)
        content_hash = hashlib.sha256(text.encode()).hexdigest()
        self._show(content_hash, text)
        return Staged(draft, name, names, content_hash)

    def _show(self, content_hash: str, content: Image | str) -> None:
        if self._run.options.on_content is not None:
            self._run.options.on_content(content_hash, content)

    def _check_text(self, name: str, text: str) -> None:
        if not text.strip():
            raise BadInputError(f"the text {name} is empty")
        most = self._run.limits.text_characters
        if len(text) > most:
            raise RefusedError(f"the text {name} has {len(text)} characters; {most} is the limit")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise BadInputError(f"the text {name} is not valid Unicode") from error
        if "\0" in text:
            raise BadInputError(f"the text {name} has a NUL in it; is it really a text?")

    def _still_stored(self, staged: Staged) -> Staged:
        """Store once more what a `compact` of another process swept away just now."""
        media, path = staged.media, staged.draft.path
        if media is None or path is None or self._media.is_stored(media):
            return staged
        again = self._media.put(path, name=staged.name)
        self._media.sync()
        return Staged(staged.draft, staged.name, staged.names, again.content_hash, again)

    def _open(self, connection: Connection) -> None:
        known = operations.find_op(connection, self._run.op)
        if known is None:
            self._run.seq = operations.begin_op(
                connection,
                "import",
                who=self._run.options.who,
                op=self._run.op,
                detail={"source": self._run.options.source},
            )
        elif known.is_undone:
            raise BadInputError("this import was undone while it was running; it stopped there")
        else:
            self._run.is_resumed |= not self._run.seq
            self._run.seq = known.seq
        revision = operations.revision(connection)
        if revision != self._run.names.revision:
            self._run.names = NameIndex.load(connection)
            self._run.labels = {
                name: label.id for name, label in by_name(live_labels(connection)).items()
            }

    def _store(self, connection: Connection, staged: list[Staged]) -> None:
        ids = self._samples.store(connection, [one for one in staged if one.content_hash])
        found: list[tuple[Draft, int]] = []
        for one in staged:
            if one.content_hash is not None:
                found.append((one.draft, ids[one.content_hash]))
                continue
            try:
                found.append((one.draft, self._run.names.resolve_any((one.name, *one.names))))
            except PatchlaneError as error:
                self._run.refuse(one.name, str(error))
        self._run.matched += len(found)
        self._samples.store_facts(connection, [(d, s) for d, s in found if d.split or d.metadata])
        self._verdicts.store(connection, found)
        self._verdicts.store_scores(connection, found)

    def _deny_unlisted(self) -> None:
        samples = self._verdicts.listing_samples
        for at in range(0, len(samples), _BATCH):
            with self._database.write() as connection:
                self._open(connection)
                self._verdicts.deny_unlisted(connection, samples[at : at + _BATCH])
                self._note(connection)

    def _note(self, connection: Connection, *, is_over: bool = False) -> None:
        """Commit with a batch what has come in by now: an end of its own may never be reached."""
        detail: dict[str, object] = {
            "source": self._run.options.source,
            "report": _pack_report(self._run),
        }
        if not is_over:
            detail[_UNFINISHED] = True
        operations.close_op(connection, self._run.seq, detail=detail)

    def _finish(self) -> ImportReport:
        if self._run.seq:
            with self._database.write() as connection:
                self._note(connection, is_over=True)
                # What undo could not take back; an earlier run of this import may have brought it.
                if not self._run.changes and not self._run.is_resumed:
                    connection.execute(
                        t.ops.update().where(t.ops.c.seq == self._run.seq).values(is_final=True)
                    )
        return self._run.report()


def _batched(
    items: Iterable[Draft | BroughtVectors | FileProblem],
) -> Iterator[list[Draft | BroughtVectors | FileProblem]]:
    iterator = iter(items)
    while batch := list(islice(iterator, _BATCH)):
        yield batch


def _pack_report(run: ImportRun) -> dict[str, object]:
    first = islice(run.all_problems(), _KEPT_PROBLEMS)
    return {
        "imported": run.imported,
        "skipped": run.skipped,
        "errors": [[e.file, e.reason, e.is_taken] for e in first],
        "num_errors": len(run.problems) + len(run.unknown_labels),
        "num_taken": run.num_taken,
        "labels": run.new_labels,
        "annotations": run.annotations,
        "duplicates": run.duplicates,
        "matched": run.matched,
    }


def _unpack_report(known: operations.Operation) -> ImportReport:
    held = known.detail["report"]
    assert isinstance(held, dict)  # noqa: S101  written by _pack_report
    held = {key: value for key, value in held.items() if key not in ("num_errors", "num_taken")}
    errors = tuple(FileProblem(*one) for one in held.pop("errors"))
    return ImportReport(errors=errors, op=known.id, **held)


def past_imports(connection: Connection, who: str, most: int) -> list[PastImport]:
    """The newest imports of a person, also those that were cut off or taken back."""
    o = t.ops.c
    wanted = (
        sa.select(o.id)
        .where(o.kind == "import", o.who == who, o.detail.contains('"report"'))
        .order_by(o.seq.desc())
        .limit(most)
    )
    found = [past_import(connection, op) for op in connection.execute(wanted).scalars().all()]
    return [one for one in found if one is not None]


def past_import(connection: Connection, op: str) -> PastImport | None:
    """What an import brought in, by the id of its action; None if nothing of it is stored."""
    known = operations.find_op(connection, op)
    held: Any = None if known is None else known.detail.get("report")
    if known is None or held is None:
        return None
    report = _unpack_report(known)
    num_errors = int(held.get("num_errors", len(report.errors)))
    # An older log does not say how many; what was skipped is none of them.
    num_taken = held.get("num_taken", max(0, num_errors - report.skipped))
    seen = sum(problem.is_taken for problem in report.errors)
    unseen = num_errors - len(report.errors)
    return PastImport(
        op=op,
        source=str(known.detail.get("source", "")).removeprefix("import:"),
        when=connection.execute(sa.select(t.ops.c.at).where(t.ops.c.id == op)).scalar_one(),
        report=report,
        num_errors=num_errors,
        num_taken=min(max(int(num_taken), seen), seen + unseen),
        is_undone=known.is_undone,
        is_finished=_UNFINISHED not in known.detail,
        is_final=known.is_final,
    )
