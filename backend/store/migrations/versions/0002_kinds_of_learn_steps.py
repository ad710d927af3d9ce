"""Learn steps of several kinds: a lane was trained, imported or dropped, a version is back."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Steps so far folded heads in."""
    op.add_column(
        "learn_steps",
        sa.Column("kind", sa.String(length=40), nullable=False, server_default="fold"),
    )
    op.add_column(
        "learn_steps", sa.Column("detail", sa.Text(), nullable=False, server_default="{}")
    )


def downgrade() -> None:
    """Forget what kind a step was."""
    op.drop_column("learn_steps", "detail")
    op.drop_column("learn_steps", "kind")
