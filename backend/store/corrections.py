"""The log of corrections: append, undo, fold to the current state. Nothing is ever overwritten.

A row is a person's verdict on one pair (sample, label), with all marks on places of that pair
(marks.py). Folding is simple for every reader: the last row of each person is their word, a row
without a verdict takes it back, and the marks of the pair's last row hold; what counts where
several people spoke is said in voices.py. Undo, redo and removals are expressed as further rows,
so `since` and `current` need to know nothing about them.

A call returns after its transaction is committed and on disk. Several processes may append at the
same time; offsets grow in the order of the commits.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from backend.errors import NotFoundError
from backend.store import operations, settling
from backend.store import tables as t
from backend.store.database import Database
from backend.store.marks import (
    NewCorrection,
    NewIfStill,
    NewMark,
    Said,
    after,
    is_same_place,
    pack_regions,
    unpack_regions,
)
from backend.store.merging import Merges
from backend.store.voices import (
    ADJUDICATION,
    PERSON,
    Words,
    folded,
    is_person,
    newest_rows,
    people_from,
    shown_to,
    spoken_by,
    voice,
)
from backend.types import Correction, Receipt, Verdict

__all__ = ["ADJUDICATION", "PERSON", "CorrectionLog", "NewCorrection", "NewIfStill", "NewMark"]

MOST_NAMED = 500
"""Labels that a query names; for more it reads all that is said of the samples."""
_VERDICTS: dict[str | None, Verdict | None] = {None: None, **{one.value: one for one in Verdict}}

_SWITCHES = (operations.UNDO, operations.REDO)
_C = t.corrections.c
_ADD_ONE = t.corrections.insert().returning(t.corrections.c.offset)
_ONE_PAIR = sa.select(
    sa.exists().where(t.samples.c.id == sa.bindparam("sample"), t.samples.c.is_live),
    sa.exists().where(t.labels.c.id == sa.bindparam("label"), t.labels.c.is_live),
)


_LAST = (
    sa.select(_C.verdict, _C.regions, _C.who, _C.source)
    .where(_C.sample == sa.bindparam("sample"), _C.label == sa.bindparam("label"))
    .order_by(_C.offset.desc())
    .limit(1)
)


class CorrectionLog:
    """The corrections of one project."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(
        self,
        rows: Sequence[NewCorrection | NewMark],
        *,
        who: str,
        op: str | None = None,
        version: int = 0,
        source: str = PERSON,
        detail: dict[str, object] | None = None,
        is_blind: bool = False,
    ) -> Receipt:
        """Add verdicts and marks as one action; returns when they are on disk.

        What a row leaves open (the marks beside a verdict, the other marks beside one) is what the
        log says of its pair in this transaction, whoever wrote it. A person who takes a verdict
        back takes back as well what files said of the pair. Of the rows that are to hold only where
        a person still sees what they saw (`NewIfStill`), the others are left out; the receipt names
        the pairs that were stored.

        Args:
            rows: all of one action; undo takes them back together.
            who: the person.
            op: the action's id, so that a repeated request changes nothing: the same id gives
                the same receipt, and is refused for anything that this action did not say.
            version: the version the person saw.
            source: "person"; "adjudication" decides the pairs for everybody; or where else the
                verdicts are from.
            detail: kept with the action; what was claimed of the samples before it.
            is_blind: people see their own words alone.

        Raises:
            NotFoundError: a sample or label that does not exist (any more); nothing was added.
            BadInputError: a region that is none, or the id of another action; nothing was added.
            SaveError: nothing was saved.
        """
        with self._database.write() as connection:
            if known := operations.find_repeated(connection, op, "correct", who=who):
                _check_repeated(connection, known, rows)
                return receipt(connection, known)
            _check_pairs(connection, rows)
            rows, told = _told_now(connection, rows, who=who, source=source, is_blind=is_blind)
            name = op or operations.new_op_id()
            kept = detail if rows else None
            seq = operations.begin_op(
                connection, "correct", who=who, op=name, is_final=not rows, detail=kept
            )
            now = time.time()
            values = [
                correction_row(
                    seq,
                    row.sample,
                    row.label,
                    said,
                    who=speaker,
                    at=now,
                    version=version,
                    source=origin,
                )
                for row, said, speaker, origin in told
            ]
            offset = operations.close_op(connection, seq, added=insert_rows(connection, values))
            return Receipt(name, offset, tuple((row.sample, row.label) for row in rows))

    def undo(
        self, who: str, *, op: str | None = None, request: str | None = None
    ) -> Receipt | None:
        """Take an action back, of whatever kind; itself an action with rows of its own.

        Without `op`, the newest action of `who` that is not undone. A named action may be
        anybody's; naming an undo brings the action back (redo). Naming what is taken back already
        changes nothing and gives the receipt of the undo that did it.

        Args:
            who: the person.
            op: the action to take back.
            request: an id for this undo itself: repeated, it gives the same receipt.

        Returns:
            The receipt with the pairs whose verdict changed; None when there is nothing to undo.

        Raises:
            NotFoundError: there is no action with that id.
            BadInputError: it cannot be taken back, or `request` is the id of another action; the
                sentence says why.
        """
        with self._database.write() as connection:
            if done := operations.find_repeated(connection, request, *_SWITCHES, who=who):
                return receipt(connection, done)
            if op is None:
                root = newest_of(connection, who)
                if root is None:
                    return None
            else:
                named = operations.find_op(connection, op)
                if named is None:
                    raise NotFoundError(f"there is no action {op!r} to undo")
                root, is_done = _root_of(connection, named)
                if is_done:
                    return receipt(connection, _last_switch(connection, root))
            seq = settling.toggle(connection, root, who=who, op=request)
            added = operations.find_op(connection, seq)
            assert added is not None  # noqa: S101  inserted above, in this transaction
            return receipt(connection, added)

    def since(self, offset: int) -> list[Correction]:
        """The rows after `offset`, oldest first, those of other processes included."""
        c = t.corrections.c
        with self._database.read() as connection:
            return _corrections(connection, _select().where(c.offset > offset).order_by(c.offset))

    def current(self, upto: int | None = None) -> dict[tuple[int, int], Correction]:
        """What counts of each pair of which anything is said, by (sample, label).

        Args:
            upto: as it was when the log ended at this offset (for replay); None means now.
        """
        return self.words(upto).verdicts

    def words(self, upto: int | None = None) -> Words:
        """What each person says, and what counts; `upto` as in `current`."""
        with self._database.read() as connection:
            return current_words(connection, upto=upto)

    @property
    def people_from(self) -> int:
        """The offset after which people are told apart; see voices.py."""
        with self._database.read() as connection:
            return people_from(connection)

    def receipt(self, op: str, *kinds: str, who: str) -> Receipt | None:
        """The receipt of an action that is stored already; None of one that is not.

        Args:
            op: its id.
            kinds: what it may be; verdicts by default.
            who: the person.

        Raises:
            BadInputError: the id is that of another action.
        """
        with self._database.read() as connection:
            known = operations.find_repeated(connection, op, *(kinds or ("correct",)), who=who)
            return None if known is None else receipt(connection, known)

    def history(self, sample: int, label: int) -> list[Correction]:
        """Every row of one pair, oldest first: who said what, and what was taken back."""
        c = t.corrections.c
        with self._database.read() as connection:
            wanted = _select().where(c.sample == sample, c.label == label).order_by(c.offset)
            return _corrections(connection, wanted)

    @property
    def offset(self) -> int:
        """The offset of the last committed row; 0 for an empty log."""
        with self._database.read() as connection:
            return operations.last_offset(connection)


def current_words(
    connection: Connection,
    *,
    upto: int | None = None,
    samples: Sequence[int] | None = None,
    labels: Sequence[int] | None = None,
) -> Words:
    """`CorrectionLog.words` inside a transaction, of all samples and labels or of some."""
    c = t.corrections.c
    start = people_from(connection)
    found: list[Correction] = []
    for chunk in [None] if samples is None else operations.chunks(samples):
        newest = newest_rows(start)
        if upto is not None:
            newest = newest.where(c.offset <= upto)
        if chunk is not None:
            newest = newest.where(c.sample.in_(chunk))
        if labels is not None:
            newest = newest.where(c.label.in_(labels))
        found += _corrections(connection, _select().where(c.offset.in_(newest)).order_by(c.offset))
    return folded(found, start=start)


def correction_row(
    seq: int,
    sample: int,
    label: int,
    said: Said,
    *,
    who: str,
    at: float,
    version: int,
    source: str,
) -> dict[str, object]:
    """One row for the table; its regions are checked."""
    return {
        "op": seq,
        "sample": sample,
        "label": label,
        "verdict": None if said.verdict is None else said.verdict.value,
        "who": who,
        "at": at,
        "version": version,
        "regions": pack_regions(said.regions),
        "source": source,
        "is_restored": False,
    }


def insert_copies(
    connection: Connection, seq: int, rows: Sequence[Correction], *, source: str
) -> None:
    """Add rows that say what others said before, under another operation.

    Whose word a row is stays: its source says that it was decided for all, or is the model's.
    """
    copies = [
        correction_row(
            seq,
            row.sample,
            row.label,
            Said(row.verdict, row.regions),
            who=row.who,
            at=row.when,
            version=row.version,
            source=row.source if row.source == ADJUDICATION or row.is_accepted else source,
        )
        for row in rows
    ]
    if copies:
        connection.execute(t.corrections.insert(), copies)


New = NewCorrection | NewMark
Told = tuple[New, Said, str, str]
"""A row, what is said of its pair after it, by whom, and the source."""


def _told_now(
    connection: Connection, rows: Sequence[New], *, who: str, source: str, is_blind: bool
) -> tuple[Sequence[New], list[Told]]:
    """The rows that hold, and what is said of each pair after each of them."""
    if len(rows) == 1 and (said := _told_at_once(connection, rows[0], who=who, source=source)):
        return rows, [(rows[0], said, who, source)]  # the hot path: one chip
    samples = sorted({row.sample for row in rows})
    labels = sorted({row.label for row in rows})
    named = labels if len(labels) <= MOST_NAMED else None
    words = current_words(connection, samples=samples, labels=named) if rows else Words()
    standing = [row for row in rows if _holds(row, words, who=who, is_blind=is_blind)]
    return standing, _told(words, standing, who=who, source=source)


def _holds(row: New, words: Words, *, who: str, is_blind: bool) -> bool:
    """Whether a row is to be stored: always, or while the person still sees what they saw."""
    if not isinstance(row, NewIfStill):
        return True
    pair = (row.sample, row.label)
    now = shown_to(who, words.of(pair), words.verdicts.get(pair), is_blind=is_blind)
    return now is row.seen


def _told(words: Words, rows: Sequence[New], *, who: str, source: str) -> list[Told]:
    """What is said of each pair after each row, one row after the other."""
    own = voice(who, source)
    held: dict[tuple[int, int], Said] = {}
    told: list[Told] = []
    for row in rows:
        pair = (row.sample, row.label)
        voices = words.of(pair)
        if pair not in held:
            regions = words.verdicts[pair].regions if pair in words.verdicts else ()
            held[pair] = Said(voices[own].verdict if own in voices else None, regions)
        held[pair] = after(held[pair], row)
        if isinstance(row, NewCorrection) and row.verdict is None and source == PERSON:
            told += [
                (row, held[pair], each.who, each.source)
                for other, each in voices.items()
                if other and not is_person(other)
            ]
        told.append((row, held[pair], who, source))
    return told


def _told_at_once(
    connection: Connection, row: NewCorrection | NewMark, *, who: str, source: str
) -> Said | None:
    """What is said after one row where the last row of its pair tells enough; else None."""
    if isinstance(row, NewIfStill) or (isinstance(row, NewCorrection) and row.verdict is None):
        return None
    last = connection.execute(_LAST, {"sample": row.sample, "label": row.label}).first()
    if last is None:
        return after(Said(), row)
    if isinstance(row, NewMark) and (last.who, last.source) != (who, source):
        return None  # what follows from the mark depends on the person's own verdict
    verdict = _VERDICTS[last.verdict]
    return after(Said(verdict, unpack_regions(last.regions, verdict)), row)


def _select() -> sa.Select:
    c = t.corrections.c
    columns = (c.offset, c.sample, c.label, c.verdict, c.who, c.at, t.ops.c.id)
    more = (c.version, c.regions, c.source, t.ops.c.who.label("by"))
    return sa.select(*columns, *more).join(t.ops, t.ops.c.seq == c.op)


def _corrections(connection: Connection, wanted: sa.Select) -> list[Correction]:
    return [
        Correction(
            offset,
            sample,
            label,
            _VERDICTS[verdict],
            spoken_by(who, source, by),
            at,
            op,
            version,
            unpack_regions(regions, _VERDICTS[verdict]),
            source,
        )
        for offset, sample, label, verdict, who, at, op, version, regions, source, by in (
            connection.execute(wanted)
        )
    ]


def insert_rows(connection: Connection, rows: Sequence[dict[str, object]]) -> int:
    """Add rows to the log in one go; returns the offset of the last, 0 if there are none."""
    if not rows:
        return 0
    if len(rows) == 1:  # the hot path: one chip, one row
        return connection.execute(_ADD_ONE, rows[0]).scalar_one()
    connection.execute(t.corrections.insert(), rows)
    return connection.execute(sa.select(sa.func.max(t.corrections.c.offset))).scalar_one()


def check_alive(connection: Connection, table: sa.Table, ids: Sequence[int], called: str) -> None:
    """Refuse ids that are not there.

    Raises:
        NotFoundError: with the first of them.
    """
    for chunk in operations.chunks(ids):
        alive = connection.execute(
            sa.select(table.c.id).where(table.c.id.in_(chunk), table.c.is_live)
        ).scalars()
        if missing := set(chunk) - set(alive):
            raise NotFoundError(
                f"there is no {called} {min(missing)} in this project (any more); nothing was saved"
            )


def _check_pairs(connection: Connection, rows: Sequence[NewCorrection | NewMark]) -> None:
    if len(rows) == 1:
        found = connection.execute(_ONE_PAIR, {"sample": rows[0].sample, "label": rows[0].label})
        if all(found.one()):
            return
    check_alive(connection, t.samples, sorted({row.sample for row in rows}), "sample")
    check_alive(connection, t.labels, sorted({row.label for row in rows}), "label")


def _check_repeated(
    connection: Connection, known: operations.Operation, rows: Sequence[NewCorrection | NewMark]
) -> None:
    """Refuse rows that are not those of an action that is stored already.

    Fewer are well: what the action decided meanwhile is not asked for again. Nor is what a label
    or sample that went since was to get.

    Raises:
        BadInputError: names a sample and label.
    """
    # a label may have been merged meanwhile, and whoever asks again may know it or not
    homes = Merges.of(connection).homes()
    stored: dict[tuple[int, int], list[Said]] = {}
    wanted = sa.select(_C.sample, _C.label, _C.verdict, _C.regions).order_by(_C.offset)
    for sample, label, told, regions in connection.execute(wanted.where(_C.op == known.seq)):
        said = Said(_VERDICTS[told], unpack_regions(regions, _VERDICTS[told]))
        home = homes.get(int(label), int(label))
        stored.setdefault((sample, home), []).append(said)
    for (sample, label), row in {(row.sample, row.label): row for row in rows}.items():
        home = homes.get(label, label)
        found = stored.get((sample, home))
        if found is None and isinstance(row, NewIfStill):
            continue  # something else was said of it by then
        if found is not None and any(_is_said(row, said) for said in found):
            continue
        if found or all(connection.execute(_ONE_PAIR, {"sample": sample, "label": home}).one()):
            raise operations.used_otherwise(
                known, f"something else than this on label {label} of sample {sample}"
            )


def _is_said(row: NewCorrection | NewMark, said: Said) -> bool:
    """Whether what was stored of a pair is what the last row on it says."""
    if isinstance(row, NewMark):
        same = {one.verdict for one in said.regions if is_same_place(one, row.region)}
        return not same if row.is_gone else row.region.verdict in same
    has_marks = row.regions is None or (
        len(row.regions) == len(said.regions)
        and all(any(is_same_place(one, two) for two in said.regions) for one in row.regions)
    )
    return has_marks and row.verdict is said.verdict


def receipt(connection: Connection, op: operations.Operation) -> Receipt:
    """What an operation answers, also when it is asked for again."""
    c = t.corrections.c
    wanted = sa.select(c.sample, c.label, c.source).where(c.op == op.seq).order_by(c.offset)
    rows = connection.execute(wanted).all()
    if op.kind == "correct":  # what files said is taken back beside a person's own row, the last
        rows = [row for row in rows if row.source == rows[-1].source]
    return Receipt(op.id, op.last_offset, tuple((row.sample, row.label) for row in rows))


def newest_of(connection: Connection, who: str) -> operations.Operation | None:
    """The action that an undo of this person without a name takes back."""
    o = t.ops.c
    seq = connection.execute(
        sa.select(sa.func.max(o.seq)).where(
            o.who == who, ~o.is_undone, ~o.is_final, o.target.is_(None)
        )
    ).scalar()
    return None if seq is None else operations.find_op(connection, seq)


def _root_of(
    connection: Connection, named: operations.Operation
) -> tuple[operations.Operation, bool]:
    """The action that switching `named` would switch, and whether that is so already."""
    if named.target is None:
        return named, named.is_undone
    root = operations.find_op(connection, named.target)
    assert root is not None  # noqa: S101  the database holds the reference
    return root, root.is_undone == (named.kind == operations.REDO)


def _last_switch(connection: Connection, root: operations.Operation) -> operations.Operation:
    o = t.ops.c
    seq = connection.execute(sa.select(sa.func.max(o.seq)).where(o.target == root.seq)).scalar()
    found = operations.find_op(connection, seq or root.seq)
    assert found is not None  # noqa: S101  it exists: the root itself does
    return found
