"""Make true what follows from the operations: cells of samples and labels, and verdicts.

After an operation was added, or switched off or on, `settle` looks at the cells and pairs it
touches, and gives each the value of the last fact that is not undone. Cells go to `samples`,
`sample_names` and `labels`; a pair of which somebody says something else gets restored rows, one
per person, so that everybody who folds the log sees it (voices.py says how). Samples and labels
that are not live have no verdicts; what was said of a label that was merged into another one is
said of that one (merging.py).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from backend.errors import BadInputError
from backend.store import tables as t
from backend.store.marks import Said, pack_regions, united, unpack_regions
from backend.store.merging import Merges
from backend.store.operations import (
    DRAWER,
    KEPT,
    LABEL_DEFAULTS,
    META,
    NAME,
    REDO,
    SAMPLE_DEFAULTS,
    SLICE,
    UNDO,
    Edit,
    Operation,
    add_edits,
    begin_op,
    bump_revision,
    chunks,
    close_op,
)
from backend.store.voices import ADJUDICATION, MERGED, people_from, spoken_by, voice
from backend.types import CERTAIN, Verdict


def toggle(connection: Connection, root: Operation, *, who: str, op: str | None) -> int:
    """Switch an operation off (undo) or on again (redo); returns the place of the new row.

    Raises:
        BadInputError: nothing of the operation is left to switch.
    """
    if root.is_final:
        raise BadInputError(
            f"there is nothing left of action {root.id} to take back or bring back; the project "
            "was compacted since, or the action changed nothing"
        )
    kind = REDO if root.is_undone else UNDO
    seq = begin_op(connection, kind, who=who, op=op, target=root.seq)
    connection.execute(
        t.ops.update().where(t.ops.c.seq == root.seq).values(is_undone=not root.is_undone)
    )
    settle(connection, root.seq, acting=seq, who=who)
    if root.kind == DRAWER:  # it has no cells, but what is learned from is another now
        bump_revision(connection)
    close_op(connection, seq)
    return seq


def settle(connection: Connection, root: int, *, acting: int, who: str) -> None:
    """Make everything that follows from operation `root` true after it was added or switched.

    Args:
        connection: a write transaction.
        root: the operation whose cells and pairs are looked at.
        acting: the operation under which restored rows are logged.
        who: the person of rows that make a pair unknown again.

    Raises:
        BadInputError: two live things would have one name or key, or parents would form a circle.
    """
    cells = _effective_cells(connection, root)
    changed_labels = _apply_to_labels(connection, cells)
    _apply_to_samples(connection, cells)
    merges = Merges.of(connection)
    if changed_labels:
        check_labels(connection)
        _check_keys(connection, cells)
        _check_merge(connection, root, merges)
    if any(subject == "sample" for subject, _id, _field in cells):
        _check_sample_names(connection, root)
    given: dict[str, object] = {"root": root, "labels": _labels_beside(connection, root, merges)}
    _restore_pairs(connection, _pairs_of_op, given, merges, acting=acting, who=who)
    if cells:
        bump_revision(connection)


def settle_cells(connection: Connection, edits: Sequence[Edit]) -> None:
    """Put cells of samples that were just added as edits, so they are the newest, in place."""
    cells = {(edit.subject, edit.subject_id, edit.field): edit.value for edit in edits}
    _apply_to_samples(connection, cells)


def restore_samples(
    connection: Connection, samples: Sequence[int], *, acting: int, who: str
) -> None:
    """Bring back the verdicts of samples that are live again."""
    merges = Merges.of(connection)
    for chunk in chunks(samples):
        given: dict[str, object] = {"samples": list(chunk)}
        _restore_pairs(connection, _pairs_of_samples, given, merges, acting=acting, who=who)


def insert_names(connection: Connection, seq: int, names: Sequence[tuple[int, str]]) -> None:
    """Give samples further names (or their first); a name a sample once had is live again."""
    n = t.sample_names.c
    had: set[tuple[int, str]] = set()
    for chunk in chunks(sorted({sample for sample, _name in names})):
        wanted = sa.select(n.sample, n.name).where(n.sample.in_(chunk))
        had.update((sample, name) for sample, name in connection.execute(wanted))
    new = [
        {"sample": sample, "name": name, "basename": name.rpartition("/")[2], "is_live": True}
        for sample, name in names
        if (sample, name) not in had
    ]
    if new:
        connection.execute(t.sample_names.insert(), new)
    edits = [Edit("sample", sample, NAME + name, True) for sample, name in names]
    add_edits(connection, seq, edits)
    settle_cells(connection, edits)


# Cells ------------------------------------------------------------------------------------------

Cell = tuple[str, int, str]


def _newest_edits() -> sa.Select:
    """Each cell of an operation, with the value of its last edit that is not undone (or NULL)."""
    e = t.edits.c
    touched = (
        sa.select(e.subject, e.subject_id, e.field)
        .where(e.op == sa.bindparam("root"))
        .distinct()
        .subquery()
    )
    newest = (
        sa.select(sa.func.max(e.seq))
        .join(t.ops, t.ops.c.seq == e.op)
        .where(
            ~t.ops.c.is_undone,
            e.subject == touched.c.subject,
            e.subject_id == touched.c.subject_id,
            e.field == touched.c.field,
        )
        .correlate(touched)
        .scalar_subquery()
    )
    cells = sa.select(touched, newest.label("edit")).subquery()
    return sa.select(cells.c.subject, cells.c.subject_id, cells.c.field, e.value).outerjoin(
        t.edits, e.seq == cells.c.edit
    )


_NEWEST_EDITS = _newest_edits()


def _effective_cells(connection: Connection, root: int) -> dict[Cell, object]:
    """The value that each cell of `root` has now: that of the last edit that is not undone."""
    cells: dict[Cell, object] = {}
    for subject, subject_id, field, value in connection.execute(_NEWEST_EDITS, {"root": root}):
        cells[(subject, subject_id, field)] = (
            _default(subject, field) if value is None else json.loads(value)
        )
    return cells


def _default(subject: str, field: str) -> object:
    if field.startswith(NAME):
        return False
    if field.startswith((META, KEPT, SLICE)):
        return None
    return (LABEL_DEFAULTS if subject == "label" else SAMPLE_DEFAULTS)[field]


def _apply_to_labels(connection: Connection, cells: dict[Cell, object]) -> bool:
    by_field: dict[str, list[dict[str, object]]] = {}
    for (subject, subject_id, field), value in cells.items():
        if subject == "label" and not field.startswith(KEPT):
            column_value = json.dumps(value) if field == "aliases" else value
            by_field.setdefault(field, []).append({"b_id": subject_id, "b_value": column_value})
    for field, rows in by_field.items():
        _set_column(connection, t.labels, field, rows)
    return bool(by_field)


def _apply_to_samples(connection: Connection, cells: dict[Cell, object]) -> None:
    by_field: dict[str, list[dict[str, object]]] = {}
    names: dict[tuple[int, str], bool] = {}
    metadata: dict[int, dict[str, object]] = {}
    for (subject, subject_id, field), value in cells.items():
        if subject != "sample" or field.startswith(SLICE):
            continue
        if field.startswith(NAME):
            names[(subject_id, field.removeprefix(NAME))] = bool(value)
        elif field.startswith(META):
            metadata.setdefault(subject_id, {})[field.removeprefix(META)] = value
        else:
            by_field.setdefault(field, []).append({"b_id": subject_id, "b_value": value})
    if metadata:
        by_field["metadata"] = _merged_metadata(connection, metadata)
    for field, rows in by_field.items():
        _set_column(connection, t.samples, field, rows)
    if names:
        _apply_names(connection, names)


def _set_column(
    connection: Connection, table: sa.Table, field: str, rows: list[dict[str, object]]
) -> None:
    """One column of many rows in one statement; `rows` of "b_id" and "b_value"."""
    statement = (
        table.update()
        .where(table.c.id == sa.bindparam("b_id"))
        .values({field: sa.bindparam("b_value")})
    )
    connection.execute(statement, rows)


def _merged_metadata(
    connection: Connection, changes: dict[int, dict[str, object]]
) -> list[dict[str, object]]:
    held: dict[int, dict[str, object]] = {}
    for chunk in chunks(sorted(changes)):
        wanted = sa.select(t.samples.c.id, t.samples.c.metadata).where(t.samples.c.id.in_(chunk))
        held.update({sample: json.loads(text) for sample, text in connection.execute(wanted)})
    rows: list[dict[str, object]] = []
    for sample, changed in changes.items():
        merged = {**held[sample], **changed}
        kept = {key: value for key, value in merged.items() if value is not None}
        rows.append({"b_id": sample, "b_value": json.dumps(kept)})
    return rows


def _apply_names(connection: Connection, names: dict[tuple[int, str], bool]) -> None:
    statement = (
        t.sample_names.update()
        .where(
            t.sample_names.c.sample == sa.bindparam("b_sample"),
            t.sample_names.c.name == sa.bindparam("b_name"),
        )
        .values(is_live=sa.bindparam("b_value"))
    )
    rows = [
        {"b_sample": sample, "b_name": name, "b_value": value}
        for (sample, name), value in names.items()
    ]
    connection.execute(statement, rows)
    _name_by_first(connection, sorted({sample for sample, _name in names}))


def _name_by_first(connection: Connection, samples: Sequence[int]) -> None:
    """A sample is called by the first of its live names."""
    first = (
        sa.select(t.sample_names.c.name)
        .where(t.sample_names.c.sample == sa.bindparam("b_id"), t.sample_names.c.is_live)
        .order_by(t.sample_names.c.id)
        .limit(1)
        .scalar_subquery()
    )
    statement = (
        t.samples.update()
        .where(t.samples.c.id == sa.bindparam("b_id"))
        .values(name=sa.func.coalesce(first, t.samples.c.name))
    )
    connection.execute(statement, [{"b_id": sample} for sample in samples])


_GIVE_KEYS = ("key", "is_live")


def _check_keys(connection: Connection, cells: Collection[Cell]) -> None:
    """No label that came or got a key by an operation has that of another one.

    Only those are looked at: in older projects labels may share a key.

    Raises:
        BadInputError: with the names of both.
    """
    changed = {
        label for subject, label, field in cells if subject == "label" and field in _GIVE_KEYS
    }
    n = t.labels.c
    wanted = sa.select(n.id, n.name, n.key).where(n.is_live, n.key != "").order_by(n.id)
    keyed = list(connection.execute(wanted)) if changed else []
    for label, name, key in keyed:
        other = next((one for one in keyed if one.key == key and one.id != label), None)
        if label in changed and other is not None:
            raise BadInputError(
                f"the key {key!r} of {name!r} belongs to {other.name!r} by now; give that one "
                "another key first, then do this again"
            )


def check_labels(connection: Connection) -> None:
    """Names and aliases of live labels are one each; parents form no circle.

    Raises:
        BadInputError: with the name.
    """
    columns = (t.labels.c.id, t.labels.c.name, t.labels.c.aliases, t.labels.c.parent)
    rows = list(connection.execute(sa.select(*columns).where(t.labels.c.is_live)))
    owner: dict[str, int] = {}
    for label, name, aliases, _parent in rows:
        for called in {name, *json.loads(aliases)}:
            if owner.setdefault(called, label) != label:
                raise BadInputError(
                    f"there is a label named {called!r} already (or it is another name of one); "
                    "rename or merge that one first"
                )
    parents = {label: parent for label, _name, _aliases, parent in rows}
    for label, name, _aliases, _parent in rows:
        seen, at = {label}, parents[label]
        while at is not None:
            if at in seen:
                raise BadInputError(f"label {name!r} cannot be below itself; choose another parent")
            seen.add(at)
            at = parents.get(at)


def _check_sample_names(connection: Connection, root: int) -> None:
    """After a switch, no name may mean two live samples."""
    touched = sa.select(t.edits.c.subject_id).where(
        t.edits.c.op == root, t.edits.c.subject == "sample"
    )
    mine = sa.select(t.sample_names.c.name).where(t.sample_names.c.sample.in_(touched))
    twice = connection.execute(
        sa.select(t.sample_names.c.name)
        .join(t.samples, t.samples.c.id == t.sample_names.c.sample)
        .where(t.samples.c.is_live, t.sample_names.c.is_live, t.sample_names.c.name.in_(mine))
        .group_by(t.sample_names.c.name)
        .having(sa.func.count() > 1)
        .limit(1)
    ).scalar()
    if twice is not None:
        raise BadInputError(
            f"another sample is named {twice!r} by now; remove that one first, then do this again"
        )


def _check_merge(connection: Connection, root: int, merges: Merges) -> None:
    """A label is merged into one that is there."""
    for merge in merges.all:
        if merge.seq != root or not merge.holds:
            continue
        wanted = sa.select(t.labels.c.name).where(t.labels.c.id == merge.target)
        gone = connection.execute(wanted.where(~t.labels.c.is_live)).scalar()
        if gone is not None:
            raise BadInputError(
                f"the label {gone!r} that another one was merged into is gone; bring it back first"
            )


# Pairs ------------------------------------------------------------------------------------------


def _labels_beside(connection: Connection, root: int, merges: Merges) -> list[int]:
    """Labels that were ever one with some that came or went by an operation."""
    if not merges.all:
        return []
    e = t.edits.c
    wanted = sa.select(e.subject_id).where(e.op == root, e.subject == "label", e.field == "is_live")
    return sorted(merges.related(connection.execute(wanted).scalars()))


Pairs = Callable[[sa.ColumnElement[int]], sa.Subquery]
"""Makes the pairs (sample, home) to look at, out of what is the home of a row's label."""


def _pairs_of_op(home: sa.ColumnElement[int]) -> sa.Subquery:
    """The pairs an operation could have changed: its verdicts, and all of what came or went."""
    c, e = t.corrections.c, t.edits.c
    root = sa.bindparam("root")
    changed = sa.select(e.subject_id).where(e.op == root, e.field == "is_live")
    pairs = sa.select(c.sample, home.label("home"))
    return sa.union(
        pairs.where(c.op == root, ~c.is_restored),
        pairs.where(c.sample.in_(changed.where(e.subject == "sample"))),
        pairs.where(c.label.in_(changed.where(e.subject == "label"))),
        pairs.where(c.label.in_(sa.bindparam("labels", expanding=True))),
    ).subquery()


def _pairs_of_samples(home: sa.ColumnElement[int]) -> sa.Subquery:
    c = t.corrections.c
    wanted = sa.select(c.sample, home.label("home")).distinct()
    return wanted.where(c.sample.in_(sa.bindparam("samples", expanding=True))).subquery()


def _rows_of(pairs: Pairs, homes: Mapping[int, int]) -> sa.Select:
    """All rows of some pairs, in the order of the log, and what they count for.

    Args:
        pairs: which ones.
        homes: label that was merged away -> the one that stands for it; its rows come with that
            one's.
    """
    c = t.corrections.c
    home = sa.case(dict(homes), value=c.label, else_=c.label) if homes else c.label
    wanted = pairs(home)
    is_valid = sa.and_(~c.is_restored, ~t.ops.c.is_undone)
    is_live = sa.and_(t.samples.c.is_live, t.labels.c.is_live)
    return (
        sa.select(
            c.sample,
            home.label("home"),
            c.label,
            c.op,
            c.offset,
            c.verdict,
            c.regions,
            c.who,
            c.at,
            c.version,
            c.source,
            t.ops.c.who.label("by"),
            is_valid.label("is_valid"),
            is_live.label("is_live"),
        )
        .join(wanted, sa.and_(wanted.c.sample == c.sample, wanted.c.home == home))
        .join(t.ops, t.ops.c.seq == c.op)
        .join(t.samples, t.samples.c.id == c.sample)
        .join(t.labels, t.labels.c.id == home)
        .order_by(c.sample, home, c.offset)
    )


_WITHOUT_MERGES: Mapping[Pairs, sa.Select] = {
    pairs: _rows_of(pairs, {}) for pairs in (_pairs_of_op, _pairs_of_samples)
}


def _restore_pairs(
    connection: Connection,
    pairs: Pairs,
    given: dict[str, object],
    merges: Merges,
    *,
    acting: int,
    who: str,
) -> None:
    """Log a row for each person who says something else of a pair than their last row."""
    start, homes = people_from(connection), merges.homes()
    wanted = _rows_of(pairs, homes) if homes else _WITHOUT_MERGES[pairs]
    moment = time.time()
    restored: list[dict[str, object]] = []
    for (sample, home), group in groupby(connection.execute(wanted, given), lambda row: row[:2]):
        rows = list(group)
        facts = _facts(rows, merges) if rows[0].is_live else []
        then = _Told.together(facts, start, merges)
        for label in sorted({home, *(row.label for row in rows)}):
            own = [row for row in rows if row.label == label]
            # nothing is said of a label that was merged away
            told, said = (then, facts) if label == home else (_Told({}, None), [])
            now = _Told.by(own, start)
            added = _differences(now, told, said, own, moment, who=who, home=home)
            shared = {"op": acting, "sample": sample, "label": label, "is_restored": True}
            restored += [{**shared, **one} for one in added]
    if restored:
        connection.execute(t.corrections.insert(), restored)


def _facts(rows: Sequence[sa.Row], merges: Merges) -> list[sa.Row]:
    """The rows that people wrote and did not take back; what a merge copied is not among them."""
    return [row for row in rows if row.is_valid and row.op not in merges.seqs]


def _differences(
    now: _Told,
    then: _Told,
    said: Sequence[sa.Row],
    rows: Sequence[sa.Row],
    moment: float,
    *,
    who: str,
    home: int,
) -> list[dict[str, object]]:
    """What has to be said so that `then` is what is said, where it is `now`.

    Args:
        now: what is said.
        then: what has to be.
        said: the rows that `then` is of.
        rows: those that `now` is of.
        moment: of words that are taken back.
        who: the person of rows that only change marks.
        home: the label of these words, where some may be of one that was merged into it.
    """
    added = [_taken_back(row, moment) for one, row in now.voices.items() if one not in then.voices]
    added += [
        _again(row, home)
        for one, row in then.voices.items()
        if one not in now.voices or _said(now.voices[one]) != _said(row)
    ]
    if not added and now.regions != then.regions:
        row = ([*then.voices.values()] or said or rows)[-1]
        added = [_again(row, home) if said else {**_taken_back(row, moment), "who": who}]
    return [{"regions": then.regions, **one} for one in added]


@dataclass(frozen=True)
class _Told:
    """What is said of one pair: each voice's row, and the marks."""

    voices: dict[str, sa.Row]
    regions: str | None

    @classmethod
    def by(cls, rows: Sequence[sa.Row], start: int) -> _Told:
        """Fold rows as `voices.Words` does, without reading their marks."""
        voices: dict[str, sa.Row] = {}
        for row in rows:
            speaker = voice(_who(row), row.source)
            if row.offset <= start:
                voices.clear()
            voices.pop(speaker, None)
            if row.verdict is not None:
                voices[speaker] = row
        return cls(voices, rows[-1].regions if rows else None)

    @classmethod
    def together(cls, rows: Sequence[sa.Row], start: int, merges: Merges) -> _Told:
        """Fold rows of labels that are one now, as if all had been said of one label.

        A row has all marks of its pair, those of labels merged into it by then included; marks that
        no later row has taken over stay beside it.
        """
        told = cls.by(rows, start)
        if len({row.label for row in rows}) < 2:
            return told
        held: dict[int, sa.Row] = {}
        for row in rows:
            homes = merges.homes(row.op)
            held = {
                label: one
                for label, one in held.items()
                if label != row.label and homes.get(label) != row.label
            }
            held[row.label] = row
        both = Said()
        for row in held.values():
            verdict = None if row.verdict is None else Verdict(row.verdict)
            both = united(both, Said(regions=unpack_regions(row.regions, verdict)))
        return replace(told, regions=pack_regions(both.regions))


def _who(row: sa.Row) -> str:
    return spoken_by(row.who, row.source, row.by)


def _said(row: sa.Row) -> tuple[str, str]:
    """What tells two words of one voice apart; whoever adjudicates says so by name."""
    return row.verdict, row.who if row.source == ADJUDICATION else ""


def _again(row: sa.Row, home: int) -> dict[str, object]:
    """What a row says, once more; of `home`, if its label was merged into that one."""
    is_own = home == row.label or row.source == ADJUDICATION
    source = row.source if is_own or row.source.startswith(CERTAIN) else MERGED
    told = {"verdict": row.verdict, "at": row.at, "version": row.version, "source": source}
    return {**told, "who": _who(row)}


def _taken_back(row: sa.Row, moment: float) -> dict[str, object]:
    """The word of a row's voice, taken back."""
    who = _who(row)
    is_by_name = voice(who, row.source) == who
    source = "undo" if is_by_name else row.source
    return {"verdict": None, "at": moment, "version": 0, "source": source, "who": who}
