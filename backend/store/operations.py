"""What a person did, as rows that are only ever added: operations, their edits, and undo.

The law: the state of a project is the fold of its operations that are not undone, in the order
they were made. An operation holds base facts: verdict rows (`corrections`) and edits (`edits`: one
cell of one sample or label, a name, whether it is live). Undo and redo switch an operation off and
on and write rows of their own; nothing is changed or deleted. So taking back an early action never
takes back what somebody did later on the same thing.

What follows from the operations is brought up to date by `settling.py`.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from backend.errors import BadInputError
from backend.store import tables as t

T = TypeVar("T")

UNDO, REDO = "undo", "redo"
MERGE = "merge labels"
"""Kind of an operation that makes two labels one; see merging.py."""
DRAWER = "drawer"
"""Kind of an operation that opens or closes the calibration drawer; all of it is in `detail`."""
_REVISION = "revision"  # key in `settings`
NAME, META = "name:", "metadata:"
"""Prefixes of a sample's edits: one more name, one key of its metadata (null: without it)."""
SLICE = "slice:"
"""Prefix of a sample's edits that put it into a saved slice (null: out of it); see saved_slices."""
KEPT = "kept:"
"""Prefix of a label's edits that have no column: read where they are by `kept` (null: without)."""

LABEL_DEFAULTS: dict[str, object] = {
    "is_live": False,
    "name": "",
    "pack": "main",
    "definition": "",
    "aliases": [],
    "parent": None,
    "colour": "",
    "key": "",
}
SAMPLE_DEFAULTS: dict[str, object] = {"is_live": False, "split": None}

_CHUNK = 500  # ids in one IN (...), well below SQLite's limit of variables


@dataclass(frozen=True)
class Edit:
    """One cell that an operation sets; `subject` is "sample" or "label"."""

    subject: str
    subject_id: int
    field: str
    value: object


@dataclass(frozen=True)
class Operation:
    """One row of `ops`."""

    seq: int
    id: str
    kind: str
    who: str
    target: int | None
    is_undone: bool
    is_final: bool
    last_offset: int
    detail: dict[str, object]


_O = t.ops.c
_OP = sa.select(
    _O.seq, _O.id, _O.kind, _O.who, _O.target, _O.is_undone, _O.is_final, _O.last_offset, _O.detail
)
# built once: building a statement costs several times what running it does
_OP_BY_SEQ = _OP.where(_O.seq == sa.bindparam("wanted"))
_OP_BY_ID = _OP.where(_O.id == sa.bindparam("wanted"))
_ADD_OP = t.ops.insert().returning(_O.seq)
_CLOSE_OP = (
    t.ops.update()
    .where(_O.seq == sa.bindparam("wanted"))
    .values(last_offset=sa.bindparam("offset"))
)
_NEWEST_ROW = sa.select(sa.func.max(t.corrections.c.offset))
_NEWEST_OP = sa.select(_O.last_offset).where(_O.last_offset > 0).order_by(_O.seq.desc()).limit(1)


def chunks(ids: Sequence[T]) -> Iterable[Sequence[T]]:
    """Pieces that fit into one IN (...)."""
    return (ids[at : at + _CHUNK] for at in range(0, len(ids), _CHUNK))


def new_op_id() -> str:
    """An id that no other operation has."""
    return uuid.uuid4().hex


def find_op(connection: Connection, op: str | int) -> Operation | None:
    """The operation with this id (text) or place (number)."""
    wanted = _OP_BY_SEQ if isinstance(op, int) else _OP_BY_ID
    row = connection.execute(wanted, {"wanted": op}).first()
    return None if row is None else Operation(*row[:-1], detail=json.loads(row[-1]))


def find_repeated(
    connection: Connection, op: str | None, *kinds: str, who: str
) -> Operation | None:
    """The action of this id that is stored already, where it is asked for again.

    Raises:
        BadInputError: the id is that of another action.
    """
    known = None if op is None else find_op(connection, op)
    if known is not None and (known.kind not in kinds or known.who != who):
        raise used_otherwise(known, f"{known.kind!r} by {known.who}")
    return known


def used_otherwise(known: Operation, what: str) -> BadInputError:
    """What to say where the id of an action comes with something else than that action."""
    return BadInputError(
        f"the action id {known.id!r} was used before, for {what}; nothing was saved: give each "
        "action an id of its own"
    )


def begin_op(
    connection: Connection,
    kind: str,
    *,
    who: str,
    op: str | None = None,
    target: int | None = None,
    is_final: bool = False,
    detail: dict[str, object] | None = None,
) -> int:
    """Add an operation; returns its place. Call `close_op` when its rows are written.

    A final operation (one that changes nothing) is never undone.
    """
    values = {
        "id": op or new_op_id(),
        "kind": kind,
        "who": who,
        "at": time.time(),
        "target": target,
        "is_undone": False,
        "is_final": is_final,
        "last_offset": 0,
        "detail": json.dumps(detail or {}),
    }
    return connection.execute(_ADD_OP, values).scalar_one()


def close_op(
    connection: Connection, seq: int, *, added: int = 0, detail: dict[str, object] | None = None
) -> int:
    """Note the log offset the operation ended at (`added` where it is known), and return it."""
    offset = added or last_offset(connection)
    connection.execute(_CLOSE_OP, {"wanted": seq, "offset": offset})
    if detail is not None:
        kept = {"detail": json.dumps(detail)}
        connection.execute(t.ops.update().where(_O.seq == seq).values(kept))
    return offset


def last_offset(connection: Connection) -> int:
    """The offset of the newest row of the log that was ever written."""
    newest = connection.execute(_NEWEST_ROW).scalar()
    # compact may have removed the last rows; the operations remember how far the log had come
    closed = connection.execute(_NEWEST_OP).scalar()
    return max(newest or 0, closed or 0)


def add_edits(connection: Connection, seq: int, edits: Iterable[Edit]) -> None:
    """Write the cells that an operation sets."""
    rows = [
        {
            "op": seq,
            "subject": edit.subject,
            "subject_id": edit.subject_id,
            "field": edit.field,
            "value": json.dumps(edit.value),
        }
        for edit in edits
    ]
    if rows:
        connection.execute(t.edits.insert(), rows)


def kept(connection: Connection, field: str) -> dict[int, object]:
    """Label id -> what is kept of it under a field: the last edit that is not undone."""
    e = t.edits.c
    wanted = (
        sa.select(e.subject_id, e.value)
        .join(t.ops, t.ops.c.seq == e.op)
        .join(t.labels, t.labels.c.id == e.subject_id)
        .where(e.subject == "label", e.field == KEPT + field)
        .where(~t.ops.c.is_undone, t.labels.c.is_live)
        .order_by(e.seq)
    )
    newest = {label: json.loads(value) for label, value in connection.execute(wanted)}
    return {label: value for label, value in newest.items() if value is not None}


def revision(connection: Connection) -> int:
    """Grows whenever samples or labels change."""
    found = connection.execute(
        sa.select(t.settings.c.value).where(t.settings.c.key == _REVISION)
    ).scalar()
    return 0 if found is None else int(found)


def bump_revision(connection: Connection) -> int:
    """Say that samples or labels changed; returns the new revision."""
    new = revision(connection) + 1
    changed = connection.execute(
        t.settings.update().where(t.settings.c.key == _REVISION).values(value=str(new))
    ).rowcount
    if not changed:
        connection.execute(t.settings.insert().values(key=_REVISION, value=str(new)))
    return new
