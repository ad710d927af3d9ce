"""The labels of a project: add, rename, merge, describe, arrange, remove; each can be undone."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from backend.errors import BadInputError, NotFoundError
from backend.store import corrections as log
from backend.store import operations, settling
from backend.store import tables as t
from backend.store.database import Database
from backend.store.guide_book import moved_cells
from backend.store.label_keys import check_free, clean_key
from backend.store.marks import Said, united
from backend.store.merging import Merges
from backend.store.naming import clean_label, composed, shown
from backend.store.operations import Edit
from backend.store.voices import MERGED
from backend.types import Correction, GoneLabel, Label, Receipt, Region

THRESHOLD = "threshold"
_DEFINITION_CHARACTERS = 20_000
_COLOUR_CHARACTERS = 40


class LabelBook:
    """The labels of one project and what can be done with them.

    A label is found by its id, its name or one of its other names (aliases). Names and aliases of
    live labels are one each in a project, over all packs, because files name labels without packs.
    """

    def __init__(self, database: Database, limit: int) -> None:
        self._database = database
        self._limit = limit

    def all(self) -> list[Label]:
        """The live labels, in the order they came."""
        with self._database.read() as connection:
            return live_labels(connection)

    def find(self, wanted: int | str | Label) -> Label:
        """The label with this id or name.

        Raises:
            NotFoundError: there is none; the sentence lists some that there are.
        """
        with self._database.read() as connection:
            return find_label(connection, wanted)

    def gone(self, ids: Collection[int]) -> dict[int, GoneLabel]:
        """What became of labels that are not here any more; ids that never were are left out."""
        with self._database.read() as connection:
            here = {label.id: label for label in live_labels(connection)}
            homes = Merges.of(connection).homes()
            return {
                label: GoneLabel(label, name, here.get(homes.get(label, label)))
                for label, name in _names_of(connection, set(ids) - here.keys())
            }

    def add(
        self, names: Sequence[str], *, pack: str = "main", who: str, op: str | None = None
    ) -> list[Label]:
        """Add labels at the end; the same `op` again adds nothing.

        Raises:
            BadInputError: a name is none, or is taken; nothing was added.
        """
        cleaned = [clean_label(name, self._limit) for name in names]
        pack = clean_label(pack, self._limit)
        with self._database.write() as connection:
            known = operations.find_repeated(connection, op, "add labels", who=who)
            if known is None:
                seq = operations.begin_op(connection, "add labels", who=who, op=op)
                ids = insert_labels(connection, seq, cleaned, pack=pack)
                settling.settle(connection, seq, acting=seq, who=who)
                operations.close_op(connection, seq)
            else:
                ids = list(
                    connection.execute(
                        sa.select(t.edits.c.subject_id)
                        .where(t.edits.c.op == known.seq, t.edits.c.field == "is_live")
                        .order_by(t.edits.c.seq)
                    ).scalars()
                )
            by_id = {label.id: label for label in live_labels(connection)}
            return [by_id[label] for label in ids if label in by_id]

    def rename(
        self, label: int | str | Label, new: str, *, who: str, op: str | None = None
    ) -> Receipt:
        """Call a label by another name; its verdicts stay.

        Raises:
            BadInputError: the name is none, or is taken.
        """
        name = clean_label(new, self._limit)

        def edits(_connection: Connection, found: Label) -> list[Edit]:
            kept = [alias for alias in found.aliases if alias != name]
            changed = [Edit("label", found.id, "name", name)]
            if len(kept) != len(found.aliases):
                changed.append(Edit("label", found.id, "aliases", kept))
            return changed

        return self._change("rename label", label, edits, who=who, op=op)

    def describe(
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
        """Set a label's definition, other names, colour or key; None leaves one as it is.

        Raises:
            BadInputError: a value is too long, an alias or key is taken, or the pages use the key.
        """
        changes: dict[str, object] = {}
        if definition is not None:
            if len(definition) > _DEFINITION_CHARACTERS:
                raise BadInputError(
                    f"the definition has {len(definition)} characters; "
                    f"{_DEFINITION_CHARACTERS} is the limit"
                )
            changes["definition"] = definition
        if aliases is not None:
            cleaned = [clean_label(alias, self._limit) for alias in aliases]
            changes["aliases"] = list(dict.fromkeys(cleaned))
        if colour is not None:
            if len(colour) > _COLOUR_CHARACTERS:
                raise BadInputError(
                    f"the colour {shown(colour)} is longer than {_COLOUR_CHARACTERS}"
                )
            changes["colour"] = colour
        if key is not None:
            changes["key"] = clean_key(key)

        def edits(connection: Connection, found: Label) -> list[Edit]:
            if key is not None:
                check_free(str(changes["key"]), found, live_labels(connection))
            return [Edit("label", found.id, field, value) for field, value in changes.items()]

        return self._change("describe label", label, edits, who=who, op=op)

    def set_parent(
        self,
        label: int | str | Label,
        parent: int | str | Label | None,
        *,
        who: str,
        op: str | None = None,
    ) -> Receipt:
        """Put a label below another one (None: at the top).

        Raises:
            BadInputError: the label would be below itself.
        """

        def edits(connection: Connection, found: Label) -> list[Edit]:
            above = None if parent is None else find_label(connection, parent).id
            return [Edit("label", found.id, "parent", above)]

        return self._change("set parent", label, edits, who=who, op=op)

    def move(
        self, labels: Sequence[int | str | Label], pack: str, *, who: str, op: str | None = None
    ) -> Receipt:
        """Put labels into a pack; one undo takes all of it back.

        Raises:
            BadInputError: no label was named, or the pack has no possible name.
            NotFoundError: a label is unknown.
        """
        name = clean_label(pack, self._limit)
        if not labels:
            raise BadInputError(f"say which labels go into the pack {name!r}")

        def edits(connection: Connection, _found: Label) -> list[Edit]:
            ids = [find_label(connection, label).id for label in labels]
            return [Edit("label", label, "pack", name) for label in dict.fromkeys(ids)]

        return self._change("move labels", labels[0], edits, who=who, op=op)

    def remove(
        self, labels: Sequence[int | str | Label], *, who: str, op: str | None = None
    ) -> Receipt:
        """Remove labels; one undo brings them back with their verdicts, until `compact`.

        Raises:
            BadInputError: no label was named.
            NotFoundError: a label is unknown.
        """
        if not labels:
            raise BadInputError("say which labels to remove")

        def edits(connection: Connection, _found: Label) -> list[Edit]:
            ids = [find_label(connection, label).id for label in labels]
            return [Edit("label", label, "is_live", False) for label in dict.fromkeys(ids)]

        return self._change("remove label", labels[0], edits, who=who, op=op)

    def thresholds(self) -> dict[int, float]:
        """Label id -> the threshold a person chose; labels without one are left out."""
        with self._database.read() as connection:
            found = operations.kept(connection, THRESHOLD)
            return {label: float(str(value)) for label, value in found.items()}

    def set_thresholds(
        self, values: Mapping[int, float | None], *, who: str, op: str | None = None
    ) -> Receipt:
        """Keep thresholds of labels (None: none any more); one undo takes all of them back.

        Raises:
            BadInputError: one is not in 0..1; nothing was kept.
        """
        for value in values.values():
            if value is not None and not 0 <= value <= 1:  # which is so of NaN, too
                raise BadInputError(f"a threshold is a probability from 0 to 1, not {value}")
        if not values:
            raise BadInputError("say of which labels the thresholds are")

        def edits(connection: Connection, _found: Label) -> list[Edit]:
            field = operations.KEPT + THRESHOLD
            alive = {label.id for label in live_labels(connection)}
            if gone := sorted(set(values) - alive):
                raise NotFoundError(f"there is no label {gone[0]}")
            return [Edit("label", label, field, value) for label, value in values.items()]

        return self._change("set thresholds", next(iter(values)), edits, who=who, op=op)

    def merge(
        self,
        source: int | str | Label,
        into: int | str | Label,
        *,
        who: str,
        op: str | None = None,
    ) -> Receipt:
        """Make two labels one: `source` goes, its names and verdicts are those of `into` now.

        As if all had been said of one label: where a person gave a sample both verdicts, the newer
        counts, and the marks of both stay.

        Raises:
            BadInputError: both are the same label.
        """

        def edits(connection: Connection, found: Label) -> list[Edit]:
            target = find_label(connection, into)
            if target.id == found.id:
                raise BadInputError(f"label {found.name!r} cannot be merged into itself")
            names = dict.fromkeys((*target.aliases, found.name, *found.aliases))
            return [
                Edit("label", found.id, "is_live", False),
                Edit("label", target.id, "aliases", list(names)),
                *moved_cells(connection, found.id, target.id),
            ]

        def rows(connection: Connection, found: Label) -> list[Correction]:
            target = find_label(connection, into)
            return _moved(connection, found.id, target.id)

        return self._change(operations.MERGE, source, edits, rows=rows, who=who, op=op)

    def _change(
        self,
        kind: str,
        label: int | str | Label,
        edits: Callable[[Connection, Label], list[Edit]],
        *,
        rows: Callable[[Connection, Label], list[Correction]] | None = None,
        who: str,
        op: str | None,
    ) -> Receipt:
        with self._database.write() as connection:
            if known := operations.find_repeated(connection, op, kind, who=who):
                return log.receipt(connection, known)
            found = find_label(connection, label)
            changed = edits(connection, found)
            moved = [] if rows is None else rows(connection, found)
            seq = operations.begin_op(connection, kind, who=who, op=op)
            operations.add_edits(connection, seq, changed)
            log.insert_copies(connection, seq, moved, source=MERGED)
            settling.settle(connection, seq, acting=seq, who=who)
            operations.close_op(connection, seq)
            added = operations.find_op(connection, seq)
            assert added is not None  # noqa: S101  inserted above, in this transaction
            return log.receipt(connection, added)


def live_labels(connection: Connection) -> list[Label]:
    """The live labels, in the order they came."""
    rows = list(
        connection.execute(sa.select(t.labels).where(t.labels.c.is_live).order_by(t.labels.c.id))
    )
    alive = {row.id for row in rows}
    return [
        Label(
            id=row.id,
            name=row.name,
            pack=row.pack,
            definition=row.definition,
            aliases=tuple(json.loads(row.aliases)),
            parent=row.parent if row.parent in alive else None,
            colour=row.colour,
            key=row.key,
        )
        for row in rows
    ]


def _names_of(connection: Connection, gone: Collection[int]) -> list[tuple[int, str]]:
    """Gone labels and their names; no name for one that was forgotten, by its place before others.

    Ids are given once and in order, so one below the newest was a label's.
    """
    names: dict[int, str] = {}
    c = t.labels.c
    for chunk in operations.chunks(sorted(gone)):
        wanted = sa.select(c.id, c.name).where(c.id.in_(chunk))
        names.update((label, name) for label, name in connection.execute(wanted))
    # of all that ever were: the newest may be forgotten itself
    given = sa.text("SELECT seq FROM sqlite_sequence WHERE name = :table")
    newest = connection.execute(given, {"table": t.labels.name}).scalar() or 0
    return [(label, names.get(label, "")) for label in sorted(gone) if label <= newest]


def by_name(labels: Sequence[Label]) -> dict[str, Label]:
    """Labels by name and by alias; a name wins over an alias."""
    found = {alias: label for label in labels for alias in label.aliases}
    found.update({label.name: label for label in labels})
    return found


def find_label(connection: Connection, wanted: int | str | Label) -> Label:
    """`LabelBook.find` inside a transaction.

    Raises:
        NotFoundError: there is none; lists some that there are.
    """
    labels = live_labels(connection)
    if isinstance(wanted, Label):
        wanted = wanted.id
    if isinstance(wanted, int):
        found = next((label for label in labels if label.id == wanted), None)
    else:
        found = by_name(labels).get(composed(wanted))
        if found is None and wanted.isdecimal() and len(wanted) < 19:
            found = next((label for label in labels if label.id == int(wanted)), None)
    if found is None:
        some = ", ".join(repr(label.name) for label in labels[:8])
        more = f" and {len(labels) - 8} more" if len(labels) > 8 else ""
        called = shown(wanted) if isinstance(wanted, str) else wanted
        raise NotFoundError(
            f"there is no label {called}; there are {some}{more}"
            if labels
            else f"there is no label {called}; this project has no labels yet"
        )
    return found


def insert_labels(
    connection: Connection, seq: int, names: Sequence[str], *, pack: str = "main"
) -> list[int]:
    """Rows and edits of new labels under an operation; names are checked by `settle`."""
    rows = [
        {**operations.LABEL_DEFAULTS, "name": name, "pack": pack, "aliases": "[]", "is_live": True}
        for name in names
    ]
    if not rows:
        return []
    inserted = t.labels.insert().returning(t.labels.c.id, sort_by_parameter_order=True)
    ids = list(connection.execute(inserted, rows).scalars())
    edits = [
        Edit("label", label, field, value)
        for label, name in zip(ids, names, strict=True)
        for field, value in (("is_live", True), ("name", name), ("pack", pack))
    ]
    operations.add_edits(connection, seq, edits)
    return ids


def _moved(connection: Connection, source: int, target: int) -> list[Correction]:
    """The rows that `target` takes over: all that is said of either, where that is something else.

    Of each person the later row of the log counts, whatever the clock said or a file noted of its
    time, and marks on places are those of both.
    """
    words = log.current_words(connection, labels=(source, target))
    moved: list[Correction] = []
    pairs = {*words.verdicts, *words.said}
    for sample in sorted({sample for sample, label in pairs if label == source}):
        row, own = words.verdicts.get((sample, source)), words.verdicts.get((sample, target))
        regions = _marks_of_both(row, own)
        theirs, ours = words.of((sample, source)), words.of((sample, target))
        told = [
            replace(one, label=target, regions=regions)
            for voice, one in theirs.items()
            if voice not in ours or ours[voice].offset < one.offset
        ]
        if not told and regions != (() if own is None else own.regions):
            last = list(ours.values())[-1] if ours else own or row
            assert last is not None  # noqa: S101  one of both has marks
            told = [replace(last, label=target, regions=regions)]
        moved += told
    return moved


def _marks_of_both(row: Correction | None, own: Correction | None) -> tuple[Region, ...]:
    if row is None or own is None:
        held = row or own
        return () if held is None else held.regions
    older, newer = (own, row) if own.offset < row.offset else (row, own)
    return united(Said(regions=older.regions), Said(regions=newer.regions)).regions
