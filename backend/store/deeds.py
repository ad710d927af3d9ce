"""Tell a person what an action was: undo says what it takes back before and after it does.

Counts come from the facts an operation holds, so they are those of the action itself, whatever
happened since. Reads only.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from backend.store import operations, saved_slices
from backend.store import tables as t
from backend.store.operations import Operation
from backend.types import Deed

MOST_NAMES = 3
"""Names that a sentence holds; how many more there are follows from the counts."""
_SOURCE = "import:"


def told(connection: Connection, op: Operation) -> Deed:
    """What an operation did; of an undo or redo, what the action it switches did."""
    if op.target is not None:
        root = operations.find_op(connection, op.target)
        assert root is not None  # noqa: S101  the database holds the reference
        op = root
    c, e = t.corrections.c, t.edits.c
    said = (c.op == op.seq) & ~c.is_restored
    pairs = sa.select(
        sa.func.count(), sa.func.count(c.sample.distinct()), sa.func.count(c.label.distinct())
    ).where(said)
    verdicts, samples, labels = connection.execute(pairs).one()
    if op.kind != "correct":
        cells = sa.select(e.subject, sa.func.count(e.subject_id.distinct())).where(e.op == op.seq)
        edited = dict(connection.execute(cells.group_by(e.subject)).tuples().all())
        samples, labels = edited.get("sample", 0), edited.get("label", 0)
    if "report" in op.detail:  # an import also notes samples and labels that were there before
        report: Any = op.detail["report"]
        samples, labels = int(report["imported"]), int(report["labels"])
    return Deed(
        op=op.id,
        kind=op.kind,
        who=op.who,
        samples=samples,
        labels=labels,
        verdicts=verdicts,
        names=_names(connection, op),
    )


def _names(connection: Connection, op: Operation) -> tuple[str, ...]:
    """What it was about: an import's source, a slice, else the first samples or labels."""
    if op.kind == "import":
        return (str(op.detail.get("source", "")).removeprefix(_SOURCE),)
    if op.kind in saved_slices.KINDS:
        return (str(op.detail.get(saved_slices.CALLED, "")),)
    c, e = t.corrections.c, t.edits.c
    if op.kind == "correct":
        about, table = sa.select(c.sample).where(c.op == op.seq, ~c.is_restored), t.samples
    else:
        subject = "sample" if op.kind == "remove samples" else "label"
        about = sa.select(e.subject_id).where(e.op == op.seq, e.subject == subject)
        table = t.samples if subject == "sample" else t.labels
    wanted = sa.select(table.c.name).where(table.c.id.in_(about)).order_by(table.c.id)
    return tuple(connection.execute(wanted.limit(MOST_NAMES)).scalars())
