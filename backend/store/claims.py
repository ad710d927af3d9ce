"""What was claimed when somebody acted: noted with the action, read later to see what came true.

An action's `detail` holds `accepted` (a bulk acceptance and what it expected) or `claim` (what was
certain of samples that got their first verdict). Reads only; the log itself writes both.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from backend.store import tables as t
from backend.store.database import Database

ACCEPTED, CLAIM = "accepted", "claim"


@dataclass(frozen=True)
class Noted:
    """One action that holds a note.

    Attributes:
        told: the note.
        pairs: (sample, label, verdict) that the action stored; read for acceptances only.
    """

    op: str
    who: str
    when: float
    offset: int
    is_undone: bool
    told: Any
    pairs: tuple[tuple[int, int, str | None], ...] = ()


def noted(database: Database, key: str, *, op: str | None = None) -> list[Noted]:
    """The actions with such a note, oldest first, or the one with this id."""
    o, c = t.ops.c, t.corrections.c
    columns = (o.seq, o.id, o.who, o.at, o.last_offset, o.is_undone, o.detail)
    wanted = sa.select(*columns).where(o.kind == "correct", o.detail.like(f'{{"{key}": %'))
    if op is not None:
        wanted = wanted.where(o.id == op)
    found = []
    with database.read() as connection:
        for seq, name, who, when, offset, is_undone, detail in connection.execute(
            wanted.order_by(o.seq)
        ).all():
            pairs: tuple[tuple[int, int, str | None], ...] = ()
            if key == ACCEPTED:
                rows = sa.select(c.sample, c.label, c.verdict).where(c.op == seq, ~c.is_restored)
                found_rows = connection.execute(rows.order_by(c.offset))
                pairs = tuple((sample, label, verdict) for sample, label, verdict in found_rows)
            told = json.loads(detail)[key]
            found.append(Noted(name, who, when, offset, bool(is_undone), told, pairs))
    return found
