"""What changed in the project database, step by step (Alembic)."""
