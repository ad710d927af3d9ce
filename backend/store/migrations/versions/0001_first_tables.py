"""First tables, and the triggers that keep the log append-only."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=60), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("owner", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("started", sa.Float(), nullable=True),
        sa.Column("finished", sa.Float(), nullable=True),
        sa.Column("process", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
    )
    op.create_table(
        "labels",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("pack", sa.Text(), nullable=False),
        sa.Column("definition", sa.Text(), nullable=False),
        sa.Column("aliases", sa.Text(), nullable=False),
        sa.Column("parent", sa.Integer(), nullable=True),
        sa.Column("colour", sa.String(length=40), nullable=False),
        sa.Column("key", sa.String(length=20), nullable=False),
        sa.Column("is_live", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_labels")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "learn_steps",
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("from_version", sa.Integer(), nullable=False),
        sa.Column("offset", sa.Integer(), nullable=False),
        sa.Column("recipe", sa.String(length=200), nullable=False),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("split_seed", sa.Integer(), nullable=False),
        sa.Column("steps", sa.Integer(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_learn_steps")),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("token", sa.String(length=40), nullable=False),
        sa.Column("process", sa.Text(), nullable=False),
        sa.Column("expires", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
    )
    op.create_table(
        "ops",
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("who", sa.String(length=200), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("target", sa.Integer(), nullable=True),
        sa.Column("is_undone", sa.Boolean(), nullable=False),
        sa.Column("is_final", sa.Boolean(), nullable=False),
        sa.Column("last_offset", sa.Integer(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["target"], ["ops.seq"], name=op.f("fk_ops_target_ops")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_ops")),
        sa.UniqueConstraint("id", name=op.f("uq_ops_id")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("ops", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_ops_target"), ["target"], unique=False)
        batch_op.create_index(batch_op.f("ix_ops_who_seq"), ["who", "seq"], unique=False)

    op.create_table(
        "samples",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("split", sa.String(length=10), nullable=True),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("media_file", sa.Text(), nullable=True),
        sa.Column("linked_path", sa.Text(), nullable=True),
        sa.Column("media_type", sa.String(length=60), nullable=False),
        sa.Column("num_bytes", sa.Integer(), nullable=False),
        sa.Column("metadata", sa.Text(), nullable=False),
        sa.Column("is_live", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_samples")),
        sa.UniqueConstraint("content_hash", name=op.f("uq_samples_content_hash")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "settings",
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_settings")),
    )
    op.create_table(
        "brought_vectors",
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("sample", sa.Integer(), nullable=False),
        sa.Column("op", sa.Integer(), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["op"], ["ops.seq"], name=op.f("fk_brought_vectors_op_ops")),
        sa.ForeignKeyConstraint(
            ["sample"], ["samples.id"], name=op.f("fk_brought_vectors_sample_samples")
        ),
        sa.PrimaryKeyConstraint("source", "sample", "op", name=op.f("pk_brought_vectors")),
    )
    with op.batch_alter_table("brought_vectors", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_brought_vectors_op"), ["op"], unique=False)
        batch_op.create_index(batch_op.f("ix_brought_vectors_sample"), ["sample"], unique=False)

    op.create_table(
        "corrections",
        sa.Column("offset", sa.Integer(), nullable=False),
        sa.Column("op", sa.Integer(), nullable=False),
        sa.Column("sample", sa.Integer(), nullable=False),
        sa.Column("label", sa.Integer(), nullable=False),
        sa.Column("verdict", sa.String(length=10), nullable=True),
        sa.Column("who", sa.String(length=200), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("regions", sa.Text(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("is_restored", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "verdict IN ('yes', 'no', 'unsure')", name=op.f("ck_corrections_verdict")
        ),
        sa.ForeignKeyConstraint(["label"], ["labels.id"], name=op.f("fk_corrections_label_labels")),
        sa.ForeignKeyConstraint(["op"], ["ops.seq"], name=op.f("fk_corrections_op_ops")),
        sa.ForeignKeyConstraint(
            ["sample"], ["samples.id"], name=op.f("fk_corrections_sample_samples")
        ),
        sa.PrimaryKeyConstraint("offset", name=op.f("pk_corrections")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("corrections", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_corrections_label"), ["label"], unique=False)
        batch_op.create_index(batch_op.f("ix_corrections_op"), ["op"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_corrections_sample_label_offset"),
            ["sample", "label", "offset"],
            unique=False,
        )

    op.create_table(
        "edits",
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("op", sa.Integer(), nullable=False),
        sa.Column("subject", sa.String(length=10), nullable=False),
        sa.Column("subject_id", sa.Integer(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.CheckConstraint("subject IN ('sample', 'label')", name=op.f("ck_edits_subject")),
        sa.ForeignKeyConstraint(["op"], ["ops.seq"], name=op.f("fk_edits_op_ops")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_edits")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("edits", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_edits_op"), ["op"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_edits_subject_subject_id_field_seq"),
            ["subject", "subject_id", "field", "seq"],
            unique=False,
        )

    op.create_table(
        "predictions",
        sa.Column("sample", sa.Integer(), nullable=False),
        sa.Column("label", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("op", sa.Integer(), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["label"], ["labels.id"], name=op.f("fk_predictions_label_labels")),
        sa.ForeignKeyConstraint(["op"], ["ops.seq"], name=op.f("fk_predictions_op_ops")),
        sa.ForeignKeyConstraint(
            ["sample"], ["samples.id"], name=op.f("fk_predictions_sample_samples")
        ),
        sa.PrimaryKeyConstraint("sample", "label", "source", "op", name=op.f("pk_predictions")),
    )
    with op.batch_alter_table("predictions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_predictions_label"), ["label"], unique=False)
        batch_op.create_index(batch_op.f("ix_predictions_op"), ["op"], unique=False)

    op.create_table(
        "sample_names",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("sample", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("basename", sa.Text(), nullable=False),
        sa.Column("is_live", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["sample"], ["samples.id"], name=op.f("fk_sample_names_sample_samples")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sample_names")),
        sa.UniqueConstraint("sample", "name", name=op.f("uq_sample_names_sample_name")),
    )
    with op.batch_alter_table("sample_names", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sample_names_name"), ["name"], unique=False)
        batch_op.create_index(batch_op.f("ix_sample_names_basename"), ["basename"], unique=False)
    if op.get_bind().dialect.name == "sqlite":
        for statement in _append_only_triggers():
            op.execute(statement)


def _append_only_triggers() -> list[str]:
    """Refuse changes of the log, also from other programs; `compact` lifts the guard."""
    statements = []
    for table in ("corrections", "edits", "learn_steps"):
        refuse = f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        guard = "WHEN NOT EXISTS (SELECT 1 FROM settings WHERE key = 'compacting')"
        statements += [
            f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {refuse}",
            f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {guard} {refuse}",
        ]
    return statements
