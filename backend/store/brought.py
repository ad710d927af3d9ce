"""What other models made: their scores and their vectors, by the name of the source."""

from __future__ import annotations

import numpy as np
import sqlalchemy as sa
from jaxtyping import Float, Int
from sqlalchemy.engine import Connection

from backend.errors import NotFoundError, PatchlaneError
from backend.store import tables as t
from backend.store.database import Database
from backend.store.intake_state import ImportRun
from backend.store.naming import clean_sample_name, shown
from backend.types import BroughtVectors


class BroughtVectorStore:
    """Vectors made elsewhere, one per sample and source; brought by `ProjectStore.take`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def sources(self) -> list[str]:
        """The names of the sources."""
        v = t.brought_vectors.c
        wanted = sa.select(v.source).distinct().order_by(v.source)
        with self._database.read() as connection:
            return list(connection.execute(_valid(wanted, v.op, v.sample)).scalars())

    def get(self, source: str) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, "n d"]]:
        """Ids of samples and their vectors, as they were brought (not scaled).

        Raises:
            NotFoundError: there is no such source; the sentence lists those that there are.
        """
        v = t.brought_vectors.c
        wanted = sa.select(v.sample, v.vector).where(v.source == source).order_by(v.op)
        with self._database.read() as connection:
            rows = connection.execute(_valid(wanted, v.op, v.sample)).all()
        if not rows:
            known = ", ".join(shown(name) for name in self.sources()) or "none"
            raise NotFoundError(f"no vectors were brought as {shown(source)}; there are: {known}")
        # a source brought anew with another width replaces what it said before
        width = len(rows[-1].vector)
        newest = {row.sample: row.vector for row in rows if len(row.vector) == width}
        kept = dict(sorted(newest.items()))
        vectors = np.frombuffer(b"".join(kept.values()), dtype=np.float32)
        return np.array(list(kept), dtype=np.int64), vectors.reshape(len(kept), -1).copy()


def predictions(
    connection: Connection, source: str | None = None
) -> dict[tuple[int, int, str], float]:
    """Scores by (sample, label, source): the newest brought that is not undone."""
    p = t.predictions.c
    wanted = sa.select(p.sample, p.label, p.source, p.score).order_by(p.op)
    if source is not None:
        wanted = wanted.where(p.source == source)
    wanted = _valid(wanted, p.op, p.sample)
    wanted = wanted.join(t.labels, t.labels.c.id == p.label).where(t.labels.c.is_live)
    return {
        (sample, label, called): score
        for sample, label, called, score in connection.execute(wanted)
    }


def store_vectors(connection: Connection, run: ImportRun, brought: BroughtVectors) -> None:
    """Write the vectors of an import; those of unknown samples are reported."""
    if len(brought.names) != len(brought.vectors):
        run.refuse(
            brought.source,
            f"got {len(brought.names)} names for {len(brought.vectors)} vectors",
        )
        return
    rows: dict[int, bytes] = {}
    vectors = np.ascontiguousarray(brought.vectors, dtype=np.float32)
    for name, vector in zip(brought.names, vectors, strict=True):
        try:
            sample = run.names.resolve(clean_sample_name(name))
        except PatchlaneError as error:
            run.refuse(shown(name), str(error))
            continue
        if not np.isfinite(vector).all():
            run.refuse(name, "its vector has a number that is not finite")
            continue
        rows[sample] = vector.tobytes()
    if not rows:
        return
    v = t.brought_vectors.c
    connection.execute(
        t.brought_vectors.delete().where(
            v.source == brought.source,
            v.op == run.seq,
            v.sample == sa.bindparam("b_sample"),
        ),
        [{"b_sample": sample} for sample in rows],
    )
    connection.execute(
        t.brought_vectors.insert(),
        [
            {"source": brought.source, "sample": sample, "op": run.seq, "vector": held}
            for sample, held in rows.items()
        ],
    )
    run.annotations += len(rows)
    run.changes += len(rows)


def _valid(
    wanted: sa.Select,
    op: sa.ColumnElement[int],
    sample: sa.ColumnElement[int],
) -> sa.Select:
    """Only rows of operations that are not undone, of samples that are live."""
    return (
        wanted.join(t.ops, t.ops.c.seq == op)
        .join(t.samples, t.samples.c.id == sample)
        .where(~t.ops.c.is_undone, t.samples.c.is_live)
    )
