"""What people said of the guide of each label: notes, exemplars kept or refused, editions.

Each is one cell of the label (an edit whose field begins with `GUIDE`), so undo and redo treat it
as they treat a label's name: the newest edit that is not undone counts. It is one of the cells
without a column (`KEPT`), read from the edits. An exemplar's cell has the sample's id in its name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from backend.store import corrections as log
from backend.store import operations, settling
from backend.store import tables as t
from backend.store.corrections import check_alive, current_words
from backend.store.database import Database
from backend.store.marks import checked_region
from backend.store.naming import checked_text
from backend.store.operations import KEPT, Edit
from backend.types import Correction, Receipt, Region, Verdict

GUIDE = f"{KEPT}guide:"
NOTES, EXEMPLAR, EDITION = f"{GUIDE}notes", f"{GUIDE}exemplar:", f"{GUIDE}edition"
MOST_NOTES = 20_000
"""Characters, as many as a definition may have."""


@dataclass(frozen=True)
class Said:
    """A person's word on one sample as an exemplar of a label.

    Attributes:
        is_pinned: shown always; else it is refused and shown never.
        region: where it is cut out; None leaves that to the evidence.
    """

    is_pinned: bool
    region: Region | None = None


@dataclass(frozen=True)
class Edition:
    """A guide as it was when a person kept it; what changed later is told against it.

    Attributes:
        number: 1 for the first of a label.
        offset: of the log at that time.
        version: the learned version of that time.
        when: seconds since 1970.
        exemplars: sample ids in their order, each with the probability of the label then.
    """

    number: int
    offset: int
    version: int
    when: float
    who: str
    definition: str
    notes: str
    exemplars: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class GuideSaid:
    """All that people said of one label's guide."""

    notes: str = ""
    exemplars: Mapping[int, Said] = field(default_factory=dict)
    edition: Edition | None = None


class GuideBook:
    """The guides of one project, as far as people wrote them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, label: int) -> GuideSaid:
        """What was said of one label."""
        with self._database.read() as connection:
            return _said(_cells(connection, label))

    def write_notes(self, label: int, notes: str, *, who: str, op: str | None = None) -> Receipt:
        """Set the free notes of a guide.

        Raises:
            BadInputError: they are too long, or no text.
        """
        told = checked_text(notes, MOST_NOTES, "text of the notes")
        return self._change("write guide", label, [(NOTES, told)], who=who, op=op)

    def say(
        self,
        label: int,
        sample: int,
        said: Said | None,
        *,
        who: str,
        op: str | None = None,
    ) -> Receipt:
        """Pin or refuse an exemplar, or with None leave it to the search again.

        Raises:
            NotFoundError: there is no such sample or label (any more); nothing was stored.
            BadInputError: the region is none.
        """
        value: dict[str, Any] | None = None
        kind = "release exemplar"
        if said is not None:
            kind = "pin exemplar" if said.is_pinned else "refuse exemplar"
            value = {"pinned": said.is_pinned, "region": _packed(said.region)}
        cell = (f"{EXEMPLAR}{sample}", value)
        return self._change(kind, label, [cell], who=who, op=op, sample=sample)

    def keep(
        self,
        label: int,
        *,
        version: int,
        definition: str,
        exemplars: Sequence[tuple[int, float]],
        when: float,
        who: str,
        op: str | None = None,
    ) -> Receipt:
        """Keep the guide as it is now, as the next edition; one undo goes back to the one before.

        Args:
            label: whose guide.
            version: the learned version.
            definition: the label's.
            exemplars: sample ids in order, each with the probability of the label.
            when: seconds since 1970.
            who: the person.
            op: the action's id; the same id again changes nothing.
        """
        with self._database.read() as connection:
            before = _said(_cells(connection, label))
            offset = operations.last_offset(connection)
        number = 1 if before.edition is None else before.edition.number + 1
        edition = Edition(
            number, offset, version, when, who, definition, before.notes, tuple(exemplars)
        )
        return self._change("keep guide", label, [(EDITION, asdict(edition))], who=who, op=op)

    def verdicts(self, label: int, *, upto: int | None = None) -> dict[int, Correction]:
        """What was said of a label when the log ended at an offset, by sample; None: now."""
        with self._database.read() as connection:
            found = current_words(connection, upto=upto, labels=(label,)).verdicts
        return {sample: row for (sample, _), row in found.items() if row.verdict is not None}

    def _change(
        self,
        kind: str,
        label: int,
        cells: Sequence[tuple[str, object]],
        *,
        who: str,
        op: str | None,
        sample: int | None = None,
    ) -> Receipt:
        with self._database.write() as connection:
            if known := operations.find_repeated(connection, op, kind, who=who):
                return log.receipt(connection, known)
            check_alive(connection, t.labels, [label], "label")
            if sample is not None:
                check_alive(connection, t.samples, [sample], "sample")
            seq = operations.begin_op(connection, kind, who=who, op=op)
            edits = [Edit("label", label, field, value) for field, value in cells]
            operations.add_edits(connection, seq, edits)
            settling.settle(connection, seq, acting=seq, who=who)
            operations.close_op(connection, seq)
            added = operations.find_op(connection, seq)
            assert added is not None  # noqa: S101  inserted above, in this transaction
            return log.receipt(connection, added)


def moved_cells(connection: Connection, source: int, target: int) -> list[Edit]:
    """What a label takes over of the guide of another that is merged into it.

    Notes of both are kept, one below the other; where both speak of a sample the target's counts,
    and its edition stays its own.
    """
    from_cells, own = _cells(connection, source), _cells(connection, target)
    moved: list[Edit] = []
    for name, value in from_cells.items():
        if value is None or name == EDITION:
            continue
        if name == NOTES:
            both = [text for text in (own.get(NOTES), value) if text]
            value = "\n\n".join(map(str, both))[:MOST_NOTES]
        elif own.get(name) is not None:
            continue
        moved.append(Edit("label", target, name, value))
    return moved


def forget_samples(connection: Connection) -> None:
    """Remove for good what was said of exemplars whose sample is not live; for `compact`."""
    dead = sa.select(EXEMPLAR + sa.cast(t.samples.c.id, sa.String)).where(~t.samples.c.is_live)
    connection.execute(
        t.edits.delete().where(t.edits.c.subject == "label", t.edits.c.field.in_(dead))
    )


def _cells(connection: Connection, label: int) -> dict[str, Any]:
    """The value of each cell of a label's guide: that of its last edit that is not undone."""
    e = t.edits.c
    rows = connection.execute(
        sa.select(e.field, e.value)
        .join(t.ops, t.ops.c.seq == e.op)
        .where(
            e.subject == "label",
            e.subject_id == label,
            e.field.startswith(GUIDE, autoescape=True),
            ~t.ops.c.is_undone,
        )
        .order_by(e.seq)
    )
    return {name: json.loads(value) for name, value in rows}


def _said(cells: Mapping[str, Any]) -> GuideSaid:
    exemplars = {
        int(name.removeprefix(EXEMPLAR)): Said(bool(value["pinned"]), _unpacked(value["region"]))
        for name, value in cells.items()
        if name.startswith(EXEMPLAR) and value is not None
    }
    kept = cells.get(EDITION)
    if kept is not None:
        pairs = tuple((int(sample), float(chance)) for sample, chance in kept["exemplars"])
        kept = Edition(**{**kept, "exemplars": pairs})
    return GuideSaid(str(cells.get(NOTES) or ""), exemplars, kept)


def _packed(region: Region | None) -> list[Any] | None:
    if region is None:
        return None
    checked = checked_region(region)
    return [checked.kind, list(checked.points)]


def _unpacked(packed: Sequence[Any] | None) -> Region | None:
    if packed is None:
        return None
    kind, points = packed
    return Region(str(kind), tuple(points), Verdict.YES)
