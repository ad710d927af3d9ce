"""Run the packaged Alembic migrations on a project's database, in one transaction."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy.engine import Engine

MIGRATIONS = Path(__file__).parent / "migrations"


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Migrate; two processes that open a project at once wait for each other."""
    with engine.connect() as plain:
        connection = plain.execution_options(patchlane_write=True)
        with connection.begin():
            config = configuration()
            config.attributes["connection"] = connection
            command.upgrade(config, revision)


def configuration() -> Config:
    """Alembic's settings, without an ini file."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config
