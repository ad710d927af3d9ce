"""Slices that people saved: named sets of samples, kept in the log as edits of their samples.

A sample is in a slice or not, one cell of it for each slice; so two people who add to slices, to
different ones or to the same, never overwrite each other, and a sample that is removed and comes
back is in its slices again. A slice is there for as long as a live sample is in it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import TypeAlias

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from backend.errors import BadInputError, NotFoundError
from backend.store import corrections as log
from backend.store import operations, settling
from backend.store import tables as t
from backend.store.database import Database
from backend.store.naming import clean_slice, composed, shown
from backend.store.operations import SLICE, Edit
from backend.types import Receipt

SAVE, TAKE, REMOVE = "save slice", "take from slice", "remove slice"
KINDS = (SAVE, TAKE, REMOVE)
CALLED = "slice"
"""Key of the slice's name in the detail of an operation."""
SELECTION = "selection"
"""What `@selection` means in a search, and so no slice is called."""
_LISTED = 8  # how many slices an error names

_Edits: TypeAlias = Callable[[Connection], tuple[str, list[Edit]]]


class SavedSlices:
    """The saved slices of one project."""

    def __init__(self, database: Database, limit: int) -> None:
        self._database = database
        self._limit = limit

    def all(self) -> dict[str, frozenset[int]]:
        """Name -> ids of the live samples in it, ordered by name."""
        with self._database.read() as connection:
            held = _members(connection)
            live = sa.select(t.samples.c.id).where(t.samples.c.is_live)
            alive = set(connection.execute(live).scalars()) if held else set()
        found = {name: frozenset(samples & alive) for name, samples in held.items()}
        return {name: found[name] for name in sorted(found) if found[name]}

    def add(self, name: str, samples: Iterable[int], *, who: str, op: str | None = None) -> Receipt:
        """Put samples into a slice, which is made if there is none of that name.

        Args:
            name: in another case than that of the only one alike, that one is meant.
            samples: ids; those that are in it already stay.
            who: the person.
            op: the action's id; the same one again gives the same receipt.

        Raises:
            BadInputError: no sample was given, or a slice cannot be called that.
            NotFoundError: a sample is not there (any more); nothing was saved.
        """
        cleaned = clean_slice(name, self._limit)
        if cleaned.casefold() == SELECTION:
            raise BadInputError(
                f"no slice can be called {shown(cleaned)}: in a search @{SELECTION} is what is "
                "selected; choose another name"
            )
        wanted = sorted(set(samples))
        if not wanted:
            raise BadInputError(f"say which samples go into the slice {shown(cleaned)}")

        def edits(connection: Connection) -> tuple[str, list[Edit]]:
            log.check_alive(connection, t.samples, wanted, "sample")
            called = slice_called(_members(connection), cleaned) or cleaned
            return called, [Edit("sample", sample, SLICE + called, True) for sample in wanted]

        return self._change(SAVE, edits, who=who, op=op)

    def take(
        self, name: str, samples: Iterable[int], *, who: str, op: str | None = None
    ) -> Receipt:
        """Take samples out of a slice; without the last one the slice is gone.

        Raises:
            NotFoundError: there is no such slice.
            BadInputError: none of the samples is in it.
        """

        def edits(connection: Connection) -> tuple[str, list[Edit]]:
            called, inside = _found(connection, name)
            wanted = sorted(inside & set(samples))
            if not wanted:
                raise BadInputError(f"none of these samples is in the slice {shown(called)}")
            return called, [Edit("sample", sample, SLICE + called, None) for sample in wanted]

        return self._change(TAKE, edits, who=who, op=op)

    def remove(self, name: str, *, who: str, op: str | None = None) -> Receipt:
        """Forget a slice; its samples stay in the project, and one undo brings it back.

        Raises:
            NotFoundError: there is no such slice.
        """

        def edits(connection: Connection) -> tuple[str, list[Edit]]:
            called, inside = _found(connection, name)
            return called, [Edit("sample", one, SLICE + called, None) for one in sorted(inside)]

        return self._change(REMOVE, edits, who=who, op=op)

    def _change(self, kind: str, edits: _Edits, *, who: str, op: str | None) -> Receipt:
        with self._database.write() as connection:
            if known := operations.find_repeated(connection, op, kind, who=who):
                return log.receipt(connection, known)
            called, changed = edits(connection)
            seq = operations.begin_op(connection, kind, who=who, op=op, detail={CALLED: called})
            operations.add_edits(connection, seq, changed)
            settling.settle(connection, seq, acting=seq, who=who)
            operations.close_op(connection, seq)
            added = operations.find_op(connection, seq)
            assert added is not None  # noqa: S101  inserted above, in this transaction
            return log.receipt(connection, added)


def slice_called(slices: Iterable[str], wanted: str) -> str | None:
    """The slice that a person means by a name: that one, or the only one alike but for case."""
    names = list(slices)
    name = composed(wanted)
    if name in names:
        return name
    alike = [one for one in names if one.casefold() == name.casefold()]
    return alike[0] if len(alike) == 1 else None


def no_slice(slices: Iterable[str], wanted: str) -> str:
    """The sentence that says what slices there are."""
    names = sorted(slices)
    some = ", ".join(shown(name) for name in names[:_LISTED])
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    there = f"there are {some}{more}" if names else "this project has no saved slices yet"
    return f"there is no slice {shown(wanted)}; {there}"


def _found(connection: Connection, wanted: str) -> tuple[str, set[int]]:
    held = _members(connection)
    name = slice_called(held, wanted)
    if name is None:
        raise NotFoundError(no_slice(held, wanted))
    return name, held[name]


def _members(connection: Connection) -> dict[str, set[int]]:
    """Name -> ids of all samples in it, those that are removed for now as well."""
    e = t.edits.c
    # Edits by their actions, which are few: those of all samples are many.
    acts = sa.select(t.ops.c.seq).where(t.ops.c.kind.in_(KINDS), ~t.ops.c.is_undone)
    wanted = sa.select(e.field, e.subject_id, e.value).where(e.op.in_(acts)).order_by(e.seq)
    inside: dict[str, set[int]] = {}
    for field, sample, value in connection.execute(wanted):
        held = inside.setdefault(field.removeprefix(SLICE), set())
        if json.loads(value):
            held.add(sample)
        else:
            held.discard(sample)
    return {name: samples for name, samples in inside.items() if samples}
