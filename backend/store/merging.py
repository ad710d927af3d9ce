"""Which labels were merged into which, and when: two labels that were made one are one label.

While a merge holds, all that was ever said of the label that went is said of the one it went into,
in the order of the log. So taking back a verdict on the one that went, or bringing a merge back
after more was said of it, changes the one that people see. The rows a merge copied when it was made
are for readers of the log; what follows from them is worked out from the originals for as long as
those are there, which is until `compact`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from backend.store import tables as t
from backend.store.operations import MERGE


@dataclass(frozen=True)
class Merge:
    """One merge of a label into another.

    Attributes:
        seq: its place among the operations.
        source, target: ids of labels.
        switched: places of the operations that took it back and brought it back, in turn.
    """

    seq: int
    source: int
    target: int
    switched: tuple[int, ...] = ()

    def held_at(self, seq: int) -> bool:
        """Whether it held when an operation was made."""
        return self.seq < seq and bisect_left(self.switched, seq) % 2 == 0

    @property
    def holds(self) -> bool:
        """Whether it holds now."""
        return len(self.switched) % 2 == 0


@dataclass(frozen=True)
class Merges:
    """All merges of one project whose labels are still in it, oldest first."""

    all: tuple[Merge, ...] = ()
    seqs: frozenset[int] = field(default_factory=frozenset)

    @classmethod
    def of(cls, connection: Connection) -> Merges:
        """Read them, by the edits of the labels that are there: those of samples are far more."""
        e, gone = t.edits.c, t.edits.alias()
        went = sa.and_(
            gone.c.subject == "label",
            gone.c.subject_id.in_(sa.select(t.labels.c.id)),
            gone.c.field == "is_live",
        )
        found = connection.execute(
            sa.select(t.ops.c.seq, gone.c.subject_id, e.subject_id)
            .join(gone, gone.c.op == t.ops.c.seq)
            .join(t.edits, e.op == t.ops.c.seq)
            .where(went, t.ops.c.kind == MERGE, e.field == "aliases")
            .order_by(t.ops.c.seq)
        ).all()
        if not found:
            return cls()
        switched: dict[int, list[int]] = {}
        of_them = t.ops.c.target.in_([seq for seq, _source, _target in found])
        for seq, root in connection.execute(
            sa.select(t.ops.c.seq, t.ops.c.target).where(of_them).order_by(t.ops.c.seq)
        ):
            switched.setdefault(root, []).append(seq)
        merges = tuple(
            Merge(seq, source, target, tuple(switched.get(seq, ())))
            for seq, source, target in found
        )
        return cls(merges, frozenset(merge.seq for merge in merges))

    def homes(self, seq: int | None = None) -> dict[int, int]:
        """Label that was merged away -> the one that stands for it now, or stood at `seq`."""
        holding = (one for one in self.all if (one.holds if seq is None else one.held_at(seq)))
        into = {merge.source: merge.target for merge in holding}  # the last one made counts
        homes: dict[int, int] = {}
        for label in into:
            at, seen = label, {label}
            while at in into and into[at] not in seen:
                at = into[at]
                seen.add(at)
            homes[label] = at
        return homes

    def related(self, labels: Iterable[int]) -> set[int]:
        """Labels, and all that were ever one with one of them."""
        found = set(labels)
        while more := {
            label
            for merge in self.all
            for label in (merge.source, merge.target)
            if found & {merge.source, merge.target} and label not in found
        }:
            found |= more
        return found
