"""The calibration drawer as the log holds it: an operation each time it is opened or closed.

The newest one that is not undone counts, so undo and redo work as for everything else. It holds a
share and a seed and no samples: membership follows from their content (`board.drawer_place`).
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from backend.errors import BadInputError
from backend.store import corrections as log
from backend.store import operations
from backend.store import tables as t
from backend.store.database import Database
from backend.types import Drawer, Receipt


def newest(database: Database) -> Drawer | None:
    """The drawer as it is now; None where there is none or it is closed."""
    o = t.ops.c
    wanted = sa.select(o.detail).where(o.kind == operations.DRAWER, ~o.is_undone)
    with database.read() as connection:
        found = connection.execute(wanted.order_by(o.seq.desc()).limit(1)).scalar()
    told: Any = {} if found is None else json.loads(found)
    return Drawer(float(told["share"]), int(told["seed"])) if told else None


def put(database: Database, drawer: Drawer | None, *, who: str, op: str | None = None) -> Receipt:
    """Open a drawer, or close it (None); the same `op` again changes nothing.

    Raises:
        BadInputError: a share that is none.
    """
    if drawer is not None and not 0 < drawer.share <= 1:
        raise BadInputError(f"the share of the drawer is above 0 and at most 1, not {drawer.share}")
    with database.write() as connection:
        if known := operations.find_repeated(connection, op, operations.DRAWER, who=who):
            return log.receipt(connection, known)
        detail: dict[str, object] = {} if drawer is None else asdict(drawer)
        seq = operations.begin_op(connection, operations.DRAWER, who=who, op=op, detail=detail)
        operations.bump_revision(connection)
        operations.close_op(connection, seq)
        added = operations.find_op(connection, seq)
        assert added is not None  # noqa: S101  inserted above, in this transaction
        return log.receipt(connection, added)
