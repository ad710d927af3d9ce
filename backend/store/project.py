"""A project on disk: one folder with its database, media and cache.

PROJECT/project.sqlite3   samples, labels, the log, learn steps: precious
PROJECT/media/            the content of images, once by hash: precious
PROJECT/lanes/            trained and imported lanes, one file each
PROJECT/cache/            vectors, tokens, label maps, versions, thumbnails: all may be deleted
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import sqlalchemy as sa

from backend.errors import BadInputError, NotFoundError
from backend.settings import Settings
from backend.store import brought, claims, compaction, deeds, drawers, operations, settling
from backend.store import corrections as log
from backend.store import tables as t
from backend.store.corrections import CorrectionLog
from backend.store.database import DATABASE, Database
from backend.store.dismissals import Dismissals
from backend.store.guide_book import GuideBook
from backend.store.intake import Intake, past_import, past_imports
from backend.store.intake_state import IntakeOptions, OnContent
from backend.store.job_records import JobRecords
from backend.store.label_map_files import LabelMapFiles
from backend.store.labels import LabelBook
from backend.store.lane_files import LaneStore
from backend.store.making import PLACE, PROBE, UID, claim, give_uid, new_uid, unmake
from backend.store.media import MediaStore
from backend.store.naming import clean_label
from backend.store.operations import Edit
from backend.store.samples import find_sample, live_samples
from backend.store.saved_slices import SavedSlices
from backend.store.token_cache import TOKENS, TokenCache
from backend.store.vectors import VectorStore
from backend.store.versions import VersionStore
from backend.store.voices import PEOPLE_FROM, tell_people_apart
from backend.types import (
    BroughtVectors,
    Correction,
    Deed,
    Draft,
    Drawer,
    FileProblem,
    GoneLabel,
    ImportReport,
    Kind,
    Label,
    LearnStep,
    PastImport,
    Progress,
    Receipt,
    Sample,
)

_OWN_KEYS = frozenset(
    {
        "name",
        "kind",
        "revision",
        UID,
        PLACE,
        PROBE,
        t.COMPACTING,
        compaction.REPLAYABLE_FROM,
        compaction.UNSWEPT,
        PEOPLE_FROM,
    }
)


class ProjectStore:
    """One open project; shared by all threads of a process, beside other processes."""

    def __init__(self, path: Path, database: Database, settings: Settings) -> None:
        """Use `create` or `open`."""
        self.path = path
        self._database = database
        self._settings = settings
        if self.get("kind") is None:
            raise BadInputError(
                f"the project in {path} is not whole: making it was cut off; remove the folder "
                "and make it again"
            )
        self.name = str(self.get("name"))
        self.kind = Kind(str(self.get("kind")))
        self.uid = str(self.get(UID, ""))
        self.media = MediaStore(path, database, settings.limits)
        self.log = CorrectionLog(database)
        self.guide_book = GuideBook(database)
        self.vectors = VectorStore(path, is_read_only=database.is_read_only)
        self.tokens = TokenCache(
            path / "cache" / TOKENS,
            budget_bytes=settings.token_cache_bytes,
            precision=settings.token_precision,
        )
        self.label_maps = LabelMapFiles(path / "cache", is_read_only=database.is_read_only)
        self.versions = VersionStore(path, database)
        self.lanes = LaneStore(path)
        self.brought_vectors = brought.BroughtVectorStore(database)
        self.dismissals = Dismissals(database)
        self.saved_slices = SavedSlices(database, settings.limits.label_characters)
        self.job_records = JobRecords(database)
        self._labels = LabelBook(database, settings.limits.label_characters)
        self._made: list[Path] | None = None

    @classmethod
    def create(
        cls,
        path: Path,
        *,
        name: str,
        kind: Kind,
        encoder: str,
        recipe: str = "default",
        labels: Sequence[str] = (),
        settings: Settings,
    ) -> ProjectStore:
        """Make a project in a folder that does not exist yet or is empty.

        Raises:
            BadInputError: the folder holds something, or a label's name is none.
            SaveError: the folder cannot be made or written; nothing of it is left.
        """
        path = path.expanduser().absolute()
        cleaned = clean_label(name, settings.limits.label_characters)
        checked = [clean_label(label, settings.limits.label_characters) for label in labels]
        made = claim(path)
        database = Database(path)
        try:
            database.migrate()
            values = {"name": cleaned, "kind": kind.value, "encoder": encoder, "recipe": recipe}
            values |= {UID: new_uid(), PLACE: str(path)}
            with database.write() as connection:
                connection.execute(
                    t.settings.insert(),
                    [{"key": key, "value": json.dumps(value)} for key, value in values.items()],
                )
                tell_people_apart(connection)
            store = cls(path, database, settings)
            store._made = made
            if checked:
                # not by a person, so that a person's first undo does not empty the project
                store.add_labels(checked, who="")
        except BaseException:
            database.close()
            unmake(path, made)
            raise
        return store

    @classmethod
    def open(cls, path: Path, *, settings: Settings) -> ProjectStore:
        """Open a project; brings an older one up to date.

        Raises:
            NotFoundError: there is no project in this folder.
            BadInputError: a newer Patchlane made it.
        """
        path = path.expanduser().absolute()
        if not (path / DATABASE).is_file():
            raise NotFoundError(f"there is no project in {path}; make one with `patchlane new`")
        database = Database(path)
        database.migrate()
        if not database.is_read_only:
            give_uid(database)
        store = cls(path, database, settings)
        if not store.is_read_only and store.get(PEOPLE_FROM) is None:
            with database.write() as connection:
                tell_people_apart(connection)
        return store

    @property
    def begun(self) -> float | None:
        """When the first thing was done in it; None while nothing was."""
        with self._database.read() as connection:
            return connection.execute(sa.select(sa.func.min(t.ops.c.at))).scalar()

    @property
    def is_read_only(self) -> bool:
        """Whether the folder may not be written to: the project can be looked at."""
        return self._database.is_read_only

    # Values by key -----------------------------------------------------------------------------

    def get(self, key: str, default: object = None) -> object:
        """A value of the project (encoder, recipe, split_seed, ...), or the default."""
        with self._database.read() as connection:
            wanted = sa.select(t.settings.c.value).where(t.settings.c.key == key)
            found = connection.execute(wanted).scalar()
        return default if found is None else json.loads(found)

    def set(self, key: str, value: object) -> None:
        """Keep a value under a key; anything that JSON holds.

        Raises:
            BadInputError: the key belongs to the store.
        """
        if key in _OWN_KEYS:
            raise BadInputError(f"the key {key!r} belongs to the store; choose another one")
        packed = json.dumps(value)
        with self._database.write() as connection:
            connection.execute(t.settings.delete().where(t.settings.c.key == key))
            connection.execute(t.settings.insert().values(key=key, value=packed))

    @property
    def is_new(self) -> bool:
        """No sample was ever in it, also none that is removed now."""
        with self._database.read() as connection:
            return _is_new(connection)

    def encoder(self) -> tuple[str, dict[str, Any] | None]:
        """The encoder's id, and what is known of it unloaded; None where that is not noted."""
        keys = ("encoder", "encoder_facts")
        wanted = sa.select(t.settings.c.key, t.settings.c.value).where(t.settings.c.key.in_(keys))
        with self._database.read() as connection:
            found = {key: json.loads(value) for key, value in connection.execute(wanted)}
        return str(found.get("encoder")), found.get("encoder_facts")

    def change_encoder(self, encoder: str, facts: object) -> None:
        """Use another encoder, or another make of it; every process with this project sees it.

        Args:
            encoder: its id.
            facts: what there is to know of it without loading it; anything JSON holds.
        """
        values = {"encoder": encoder, "encoder_facts": facts}
        with self._database.write() as connection:
            connection.execute(t.settings.delete().where(t.settings.c.key.in_(values)))
            connection.execute(
                t.settings.insert(),
                [{"key": key, "value": json.dumps(value)} for key, value in values.items()],
            )
            operations.bump_revision(connection)

    def change_kind(self, kind: Kind, *, encoder: str, facts: object) -> bool:
        """Hold samples of another kind from now on; False where some are there already.

        Args:
            kind: what it is to hold.
            encoder: an encoder of that kind, which becomes the project's.
            facts: what there is to know of the encoder without loading it; anything JSON holds.
        """
        values = {"kind": kind.value, "encoder": encoder, "encoder_facts": facts}
        with self._database.write() as connection:
            if not _is_new(connection):
                return False
            connection.execute(t.settings.delete().where(t.settings.c.key.in_(values)))
            connection.execute(
                t.settings.insert(),
                [{"key": key, "value": json.dumps(value)} for key, value in values.items()],
            )
            operations.bump_revision(connection)
        self.kind = kind
        return True

    def see_kind(self) -> bool:
        """Take over the kind that another process gave it; whether it did."""
        before, self.kind = self.kind, Kind(str(self.get("kind")))
        return self.kind != before

    @property
    def revision(self) -> int:
        """Grows whenever samples or labels change, in whichever process."""
        with self._database.read() as connection:
            return operations.revision(connection)

    # Samples -----------------------------------------------------------------------------------

    def samples(self, ids: Iterable[int] | None = None) -> list[Sample]:
        """The live samples, or those of `ids` that are live, ordered by id."""
        with self._database.read() as connection:
            return live_samples(connection, ids)

    def count(self) -> int:
        """How many live samples there are."""
        with self._database.read() as connection:
            wanted = sa.select(sa.func.count()).where(t.samples.c.is_live)
            return connection.execute(wanted).scalar_one()

    def find(self, wanted: int | str) -> Sample:
        """The sample with this id, name, or unique last part of a name.

        Raises:
            NotFoundError: there is none.
            BadInputError: several have it; the sentence lists them.
        """
        with self._database.read() as connection:
            return live_samples(connection, [find_sample(connection, wanted)])[0]

    def remove_samples(self, ids: Iterable[int], *, who: str, op: str | None = None) -> Receipt:
        """Remove samples; undo brings them back with their verdicts, until `compact`.

        Raises:
            NotFoundError: one of them does not exist (any more); nothing was removed.
        """
        wanted = sorted(set(ids))
        with self._database.write() as connection:
            if known := operations.find_repeated(connection, op, "remove samples", who=who):
                return log.receipt(connection, known)
            log.check_alive(connection, t.samples, wanted, "sample")
            seq = operations.begin_op(
                connection, "remove samples", who=who, op=op, is_final=not wanted
            )
            edits = [Edit("sample", sample, "is_live", False) for sample in wanted]
            operations.add_edits(connection, seq, edits)
            settling.settle(connection, seq, acting=seq, who=who)
            operations.close_op(connection, seq)
            added = operations.find_op(connection, seq)
            assert added is not None  # noqa: S101  inserted above, in this transaction
            return log.receipt(connection, added)

    def take(
        self,
        drafts: Iterable[Draft | BroughtVectors | FileProblem],
        *,
        who: str,
        source: str,
        op: str | None = None,
        link: bool = False,
        on_conflict: str = "keep",
        unlisted: str = "unknown",
        create_labels: bool = False,
        at_least: int = 0,
        on_content: OnContent | None = None,
        predictions_source: str | None = None,
        progress: Progress | None = None,
    ) -> ImportReport:
        """Take in what a reader understood; one undo takes it all back.

        Args:
            drafts: from a reader; problems among them go to the report.
            who: the person who imports.
            source: noted on each verdict, such as "import:labels.csv"; verdicts are its word
                where their draft has no `who` of its own.
            op: the action's id; repeated after it was finished, it gives the same report.
            link: leave media where they are, checked by hash on every read.
            on_conflict: where a pair had a verdict before: "keep" it, "replace" it (what everybody
                said is taken back first), or keep "both", each the word of its own person.
            unlisted: "no" makes labels that an only_present draft does not list NO, else unknown.
            create_labels: make labels that annotations name and the project does not have.
            at_least: pixels of the longer side to decode images to, for `on_content`.
            on_content: called with each content's hash and its picture or text, once checked.
            predictions_source: what to call the model that gave scores; default: file stem of
                `source`.
            progress: called after each batch with (done, 0, note).

        Raises:
            SaveError: nothing of the current batch was saved; earlier batches are.
        """
        stem = PurePosixPath(source.removeprefix("import:")).stem or "import"
        options = IntakeOptions(
            who=who,
            source=source,
            op=op,
            link=link,
            on_conflict=on_conflict,
            unlisted=unlisted,
            create_labels=create_labels,
            at_least=at_least,
            on_content=on_content,
            predictions_source=(predictions_source or stem)[:200],
            progress=progress,
        )
        intake = Intake(self._database, self.media, self.kind, self._settings.limits, options)
        return intake.run(drafts)

    def past_imports(self, who: str, most: int = 20) -> list[PastImport]:
        """A person's imports, the newest first."""
        with self._database.read() as connection:
            return past_imports(connection, who, most)

    def past_import(self, op: str) -> PastImport | None:
        """What the import of this id brought in, also where it was cut off; None if nothing."""
        with self._database.read() as connection:
            return past_import(connection, op)

    # Labels ------------------------------------------------------------------------------------

    def labels(self) -> list[Label]:
        """The live labels, in the order they came."""
        return self._labels.all()

    def find_label(self, wanted: int | str) -> Label:
        """The label with this id, name or alias."""
        return self._labels.find(wanted)

    def add_labels(
        self, names: Sequence[str], *, pack: str = "main", who: str, op: str | None = None
    ) -> list[Label]:
        """Add labels at the end of the list; see `LabelBook.add`."""
        return self._labels.add(names, pack=pack, who=who, op=op)

    def rename_label(
        self, label: int | str | Label, new: str, *, who: str, op: str | None = None
    ) -> Receipt:
        """Call a label by another name; its verdicts stay."""
        return self._labels.rename(label, new, who=who, op=op)

    def merge_labels(
        self,
        source: int | str | Label,
        into: int | str | Label,
        *,
        who: str,
        op: str | None = None,
    ) -> Receipt:
        """Make two labels one; see `LabelBook.merge`."""
        return self._labels.merge(source, into, who=who, op=op)

    def describe_label(
        self,
        label: int | str | Label,
        *,
        definition: str | None = None,
        aliases: Sequence[str] | None = None,
        colour: str | None = None,
        key: str | None = None,
        who: str,
        op: str | None = None,
    ) -> Receipt:
        """Set a label's definition, other names, colour or key; None leaves one as it is."""
        return self._labels.describe(
            label, definition=definition, aliases=aliases, colour=colour, key=key, who=who, op=op
        )

    def set_parent(
        self,
        label: int | str | Label,
        parent: int | str | Label | None,
        *,
        who: str,
        op: str | None = None,
    ) -> Receipt:
        """Put a label below another one (None: at the top)."""
        return self._labels.set_parent(label, parent, who=who, op=op)

    def gone_labels(self, ids: Collection[int]) -> dict[int, GoneLabel]:
        """What became of labels that are not here any more."""
        return self._labels.gone(ids)

    def thresholds(self) -> dict[int, float]:
        """Label id -> the threshold a person chose."""
        return self._labels.thresholds()

    def set_thresholds(
        self, values: Mapping[int, float | None], *, who: str, op: str | None = None
    ) -> Receipt:
        """Keep thresholds of labels; see `LabelBook.set_thresholds`."""
        return self._labels.set_thresholds(values, who=who, op=op)

    def move_labels(
        self, labels: Sequence[int | str | Label], pack: str, *, who: str, op: str | None = None
    ) -> Receipt:
        """Put labels into a pack, new or old."""
        return self._labels.move(labels, pack, who=who, op=op)

    def remove_label(self, label: int | str | Label, *, who: str, op: str | None = None) -> Receipt:
        """Remove a label; undo brings it back with its verdicts, until `compact`."""
        return self._labels.remove([label], who=who, op=op)

    def remove_labels(
        self, labels: Sequence[int | str | Label], *, who: str, op: str | None = None
    ) -> Receipt:
        """Remove several labels; one undo brings all of them back."""
        return self._labels.remove(labels, who=who, op=op)

    # The calibration drawer --------------------------------------------------------------------

    def drawer(self) -> Drawer | None:
        """The drawer as it is now; None where there is none."""
        return drawers.newest(self._database)

    def set_drawer(self, drawer: Drawer | None, *, who: str, op: str | None = None) -> Receipt:
        """Open or close the calibration drawer; one undo takes it back."""
        return drawers.put(self._database, drawer, who=who, op=op)

    def noted(self, key: str, *, op: str | None = None) -> list[claims.Noted]:
        """Actions that note what was accepted in bulk, or claimed, before they were done."""
        return claims.noted(self._database, key, op=op)

    # The rest ----------------------------------------------------------------------------------

    def predictions(self, source: str | None = None) -> dict[tuple[int, int, str], float]:
        """Scores brought from other models, by (sample, label, source)."""
        with self._database.read() as connection:
            return brought.predictions(connection, source)

    def replay(self) -> Iterator[Correction | LearnStep]:
        """The log in the order it happened: each learn step after the rows it learned from."""
        rows = iter(self.log.since(0))
        row = next(rows, None)
        for step in self.versions.steps():
            while row is not None and row.offset <= step.offset:
                yield row
                row = next(rows, None)
            yield step
        while row is not None:
            yield row
            row = next(rows, None)

    def deed(self, op: str) -> Deed | None:
        """What an action was, in counts and names; of an undo, what it took back."""
        with self._database.read() as connection:
            found = operations.find_op(connection, op)
            return None if found is None else deeds.told(connection, found)

    def newest_deed(self, who: str) -> Deed | None:
        """What an undo of this person without a name would take back; None if nothing."""
        with self._database.read() as connection:
            found = log.newest_of(connection, who)
            return None if found is None else deeds.told(connection, found)

    def removed(self) -> tuple[int, int]:
        """How many samples and labels are removed, but not for good yet."""
        with self._database.read() as connection:
            return compaction.waiting(connection)

    @property
    def is_unswept(self) -> bool:
        """Whether something that is removed for good may still be on the disk: compact again."""
        with self._database.read() as connection:
            return compaction.is_unswept(connection)

    def compact(self, *, who: str = "") -> compaction.CompactReport:
        """Remove for good what was removed, and give the space back; no undo after this."""
        caches = (self.vectors, self.tokens, self.label_maps)
        return compaction.compact(self._database, self.media, caches, who=who)

    def discard(self) -> None:
        """Close a project that `create` has just made, and leave nothing of it."""
        self.close()
        if self._made is not None:
            unmake(self.path, self._made)

    def close(self) -> None:
        """Close the database and the cache."""
        self.vectors.close()
        self.tokens.close()
        self._database.close()


def _is_new(connection: sa.Connection) -> bool:
    return connection.execute(sa.select(t.samples.c.id).limit(1)).first() is None
