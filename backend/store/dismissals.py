"""What an audit found and a person put aside: it stays put aside, and one undo brings it back.

A dismissal is an operation like any other; the keys of the findings are its detail, so nothing has
to be settled when it is switched off or on.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import sqlalchemy as sa

from backend.store import corrections, operations
from backend.store import tables as t
from backend.store.database import Database
from backend.types import Receipt

DISMISS = "dismiss"
_KEYS = "keys"


class Dismissals:
    """The dismissals of one project."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, keys: Sequence[str], *, who: str, op: str | None = None) -> Receipt:
        """Put findings aside as one action; returns when it is on disk.

        Args:
            keys: of findings; any text.
            who: the person.
            op: the action's id; the same one again gives the same receipt.

        Raises:
            SaveError: nothing was saved.
        """
        wanted = sorted(set(keys))
        with self._database.write() as connection:
            if known := operations.find_repeated(connection, op, DISMISS, who=who):
                return corrections.receipt(connection, known)
            seq = operations.begin_op(
                connection, DISMISS, who=who, op=op, is_final=not wanted, detail={_KEYS: wanted}
            )
            operations.close_op(connection, seq)
            added = operations.find_op(connection, seq)
            assert added is not None  # noqa: S101  inserted above, in this transaction
            return corrections.receipt(connection, added)

    def current(self) -> frozenset[str]:
        """What is put aside now."""
        wanted = sa.select(t.ops.c.detail).where(t.ops.c.kind == DISMISS, ~t.ops.c.is_undone)
        with self._database.read() as connection:
            found = [json.loads(detail) for detail in connection.execute(wanted).scalars()]
        return frozenset(key for detail in found for key in detail.get(_KEYS, ()))
