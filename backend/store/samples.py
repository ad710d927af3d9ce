"""Reading the samples of a project, and finding one by what a person or a file calls it."""

from __future__ import annotations

import json
from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from backend.errors import BadInputError, NotFoundError
from backend.store import tables as t
from backend.store.naming import basename, composed, shown
from backend.store.operations import chunks
from backend.types import Kind, Sample, Split

_LISTED = 8  # how many candidates an error names


def live_samples(connection: Connection, ids: Iterable[int] | None = None) -> list[Sample]:
    """The live samples, or those of `ids` that are live, ordered by id."""
    s, n = t.samples.c, t.sample_names.c
    columns = (s.id, s.name, s.kind, s.content_hash, s.split, s.width, s.height, s.text)
    wanted = sa.select(*columns, s.linked_path, s.metadata).where(s.is_live)
    named = sa.select(n.sample, n.name).where(n.is_live)
    rows: list[sa.Row] = []
    names: dict[int, list[str]] = {}
    for chunk in [None] if ids is None else chunks(sorted(set(ids))):
        some, some_names = wanted, named
        if chunk is not None:
            some, some_names = wanted.where(s.id.in_(chunk)), named.where(n.sample.in_(chunk))
        rows += connection.execute(some.order_by(s.id))
        for sample, name in connection.execute(some_names.order_by(n.id)):
            names.setdefault(sample, []).append(name)
    kinds = {kind.value: kind for kind in Kind}
    return [
        Sample(
            id=sample,
            name=name,
            kind=kinds[kind],
            content_hash=content_hash,
            split=Split.TRAIN if split is None else Split(split),
            names=tuple(names.get(sample, (name,))),
            width=width,
            height=height,
            text=text,
            is_linked=linked is not None,
            metadata={} if held == "{}" else json.loads(held),
        )
        for sample, name, kind, content_hash, split, width, height, text, linked, held in rows
    ]


def find_sample(connection: Connection, wanted: int | str) -> int:
    """The id of the sample with this id, name or unique last part of a name.

    Raises:
        NotFoundError: there is none.
        BadInputError: several have it; the sentence lists them.
    """
    if isinstance(wanted, int):
        if _is_live(connection, wanted):
            return wanted
        raise NotFoundError(f"there is no sample {wanted} in this project (any more)")
    n = t.sample_names.c
    wanted = composed(wanted)
    found = _named(connection, n.name == wanted) or (
        _named(connection, n.basename == wanted) if basename(wanted) == wanted else {}
    )
    if len(found) == 1:
        return next(iter(found))
    if found:
        raise BadInputError(ambiguous(wanted, list(found.values())))
    # No id is longer, and SQLite's numbers are not much longer.
    if wanted.isdecimal() and len(wanted) < 19 and _is_live(connection, int(wanted)):
        return int(wanted)
    raise NotFoundError(f"there is no sample named {shown(wanted)}; give its name or its id")


def ambiguous(wanted: str, names: list[str]) -> str:
    """The sentence that lists what a short name could mean."""
    listed = ", ".join(shown(name) for name in names[:_LISTED])
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"{shown(wanted)} could be {listed}{more}; give the whole name or the id"


def _named(connection: Connection, condition: sa.ColumnElement[bool]) -> dict[int, str]:
    n = t.sample_names.c
    rows = connection.execute(
        sa.select(n.sample, n.name)
        .join(t.samples, t.samples.c.id == n.sample)
        .where(condition, n.is_live, t.samples.c.is_live)
        .order_by(n.id)
    )
    found: dict[int, str] = {}
    for sample, name in rows:
        found.setdefault(sample, name)
    return found


def _is_live(connection: Connection, sample: int) -> bool:
    if sample.bit_length() > 63:  # no number of SQLite's
        return False
    wanted = sa.select(t.samples.c.id).where(t.samples.c.id == sample, t.samples.c.is_live)
    return connection.execute(wanted).first() is not None
