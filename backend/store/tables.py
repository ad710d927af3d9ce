"""The tables of a project's database, in plain types.

What a person did is in three append-only tables: `ops` (one row per action), `corrections` (its
verdicts) and `edits` (everything else it changed, one cell of a sample or label per row). The
tables `samples`, `sample_names` and `labels` hold what follows from the ops that are not undone,
so that reading is quick; `settling.py` keeps them true.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

settings = Table(
    "settings",
    metadata,
    Column("key", String(200), primary_key=True),
    Column("value", Text, nullable=False),
)

ops = Table(
    "ops",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("id", String(200), nullable=False, unique=True),
    Column("kind", String(40), nullable=False),
    Column("who", String(200), nullable=False),
    Column("at", Float, nullable=False),
    Column("target", Integer, ForeignKey("ops.seq"), nullable=True),
    Column("is_undone", Boolean, nullable=False),
    Column("is_final", Boolean, nullable=False),
    Column("last_offset", Integer, nullable=False),
    Column("detail", Text, nullable=False),
    Index(None, "who", "seq"),
    Index(None, "target"),
    sqlite_autoincrement=True,
)

samples = Table(
    "samples",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("kind", String(10), nullable=False),
    Column("content_hash", String(64), nullable=False, unique=True),
    Column("split", String(10), nullable=True),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("text", Text, nullable=True),
    Column("media_file", Text, nullable=True),
    Column("linked_path", Text, nullable=True),
    Column("media_type", String(60), nullable=False),
    Column("num_bytes", Integer, nullable=False),
    Column("metadata", Text, nullable=False),
    Column("is_live", Boolean, nullable=False),
    sqlite_autoincrement=True,
)

sample_names = Table(
    "sample_names",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("sample", Integer, ForeignKey("samples.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("basename", Text, nullable=False),
    Column("is_live", Boolean, nullable=False),
    UniqueConstraint("sample", "name"),
    Index(None, "name"),
    Index(None, "basename"),
)

labels = Table(
    "labels",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("pack", Text, nullable=False),
    Column("definition", Text, nullable=False),
    Column("aliases", Text, nullable=False),
    Column("parent", Integer, nullable=True),
    Column("colour", String(40), nullable=False),
    Column("key", String(20), nullable=False),
    Column("is_live", Boolean, nullable=False),
    sqlite_autoincrement=True,
)

corrections = Table(
    "corrections",
    metadata,
    Column("offset", Integer, primary_key=True),
    Column("op", Integer, ForeignKey("ops.seq"), nullable=False),
    Column("sample", Integer, ForeignKey("samples.id"), nullable=False),
    Column("label", Integer, ForeignKey("labels.id"), nullable=False),
    Column("verdict", String(10), nullable=True),
    Column("who", String(200), nullable=False),
    Column("at", Float, nullable=False),
    Column("version", Integer, nullable=False),
    Column("regions", Text, nullable=True),
    Column("source", Text, nullable=False),
    Column("is_restored", Boolean, nullable=False),
    CheckConstraint("verdict IN ('yes', 'no', 'unsure')", name="verdict"),
    Index(None, "sample", "label", "offset"),
    Index(None, "label"),
    Index(None, "op"),
    sqlite_autoincrement=True,
)

edits = Table(
    "edits",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("op", Integer, ForeignKey("ops.seq"), nullable=False),
    Column("subject", String(10), nullable=False),
    Column("subject_id", Integer, nullable=False),
    Column("field", Text, nullable=False),
    Column("value", Text, nullable=False),
    CheckConstraint("subject IN ('sample', 'label')", name="subject"),
    Index(None, "subject", "subject_id", "field", "seq"),
    Index(None, "op"),
    sqlite_autoincrement=True,
)

learn_steps = Table(
    "learn_steps",
    metadata,
    Column("version", Integer, primary_key=True),
    Column("from_version", Integer, nullable=False),
    Column("offset", Integer, nullable=False),
    Column("recipe", String(200), nullable=False),
    Column("seed", Integer, nullable=False),
    Column("split_seed", Integer, nullable=False),
    Column("steps", Integer, nullable=False),
    Column("at", Float, nullable=False),
    Column("kind", String(40), nullable=False, server_default="fold"),
    Column("detail", Text, nullable=False, server_default="{}"),
)

leases = Table(
    "leases",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("owner", Text, nullable=False),
    Column("token", String(40), nullable=False),
    Column("process", Text, nullable=False),
    Column("expires", Float, nullable=False),
)

predictions = Table(
    "predictions",
    metadata,
    Column("sample", Integer, ForeignKey("samples.id"), primary_key=True),
    Column("label", Integer, ForeignKey("labels.id"), primary_key=True),
    Column("source", String(200), primary_key=True),
    Column("op", Integer, ForeignKey("ops.seq"), primary_key=True),
    Column("score", Float, nullable=False),
    Index(None, "op"),
    Index(None, "label"),
)

brought_vectors = Table(
    "brought_vectors",
    metadata,
    Column("source", String(200), primary_key=True),
    Column("sample", Integer, ForeignKey("samples.id"), primary_key=True),
    Column("op", Integer, ForeignKey("ops.seq"), primary_key=True),
    Column("vector", LargeBinary, nullable=False),
    Index(None, "op"),
    Index(None, "sample"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("kind", String(60), nullable=False),
    Column("title", Text, nullable=False),
    Column("owner", String(200), nullable=False),
    Column("state", String(20), nullable=False),
    Column("done", Integer, nullable=False),
    Column("total", Integer, nullable=False),
    Column("note", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("created", Float, nullable=False),
    Column("started", Float, nullable=True),
    Column("finished", Float, nullable=True),
    Column("process", Text, nullable=False),
)

COMPACTING = "compacting"
"""Triggers refuse changes of corrections, edits and learn_steps, except DELETE while `settings`
has a row with this key, which only the one transaction of `compact` puts there."""
