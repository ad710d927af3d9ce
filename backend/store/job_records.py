"""Jobs as rows, so that a restart can say which ones it cut off."""

from __future__ import annotations

import time
from collections.abc import Mapping

import sqlalchemy as sa

from backend.store import processes
from backend.store import tables as t
from backend.store.database import Database

_KEPT = 200
_AT = "@"
"""Between the process of a job and the number of the database file that it works on."""


class JobRecords:
    """The recorded jobs of one project, those of other processes included."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, row: Mapping[str, object]) -> None:
        """Write a job's row, new or changed; rows beyond the newest 200 go.

        Nothing is recorded in a project that may not be written to.
        """
        if self._database.is_read_only:
            return
        values = {**row, "process": f"{processes.this_process()}{_AT}{self._place()}"}
        j = t.jobs.c
        with self._database.write() as connection:
            connection.execute(t.jobs.delete().where(j.id == values["id"]))
            connection.execute(t.jobs.insert().values(values))
            kept = sa.select(j.id).order_by(j.created.desc()).limit(_KEPT).subquery()
            connection.execute(t.jobs.delete().where(j.id.not_in(sa.select(kept.c.id))))

    def rows(self) -> list[dict[str, object]]:
        """All recorded jobs, oldest first."""
        with self._database.read() as connection:
            found = connection.execute(sa.select(t.jobs).order_by(t.jobs.c.created, t.jobs.c.id))
            return [
                {name: value for name, value in row.items() if name != "process"}
                for row in found.mappings()
            ]

    def interrupt_dead(self) -> int:
        """Mark what was queued or running in a process that has ended; returns how many."""
        if self._database.is_read_only:
            return 0
        j = t.jobs.c
        open_jobs = sa.select(j.id, j.process).where(j.state.in_(("queued", "running")))
        with self._database.write() as connection:
            dead = [job for job, process in connection.execute(open_jobs) if self._is_gone(process)]
            for job in dead:
                connection.execute(
                    t.jobs.update()
                    .where(j.id == job)
                    .values(state="interrupted", finished=time.time())
                )
            return len(dead)

    def _is_gone(self, told: str) -> bool:
        """Whether a job's process has ended, or works on the project that this one is a copy of."""
        process, _, place = told.partition(_AT)
        return (bool(place) and place != self._place()) or processes.is_gone(process)

    def _place(self) -> str:
        """What tells this database file from a copy of it."""
        try:
            return str(self._database.file.stat().st_ino)
        except OSError:
            return ""  # none, or another kind of database; a job without a place runs anywhere
