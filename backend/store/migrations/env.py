"""Alembic's entry: migrates over the connection that `migrating.upgrade` hands in."""

from __future__ import annotations

from alembic import context

from backend.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    render_as_batch=True,
)
context.run_migrations()
