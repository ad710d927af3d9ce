"""Numbered versions: their learn steps are precious rows, their states are files in the cache.

A version never changes. Its state can be computed again from the log (the step says up to which
offset, with which recipe, seeds and number of steps), so a missing or damaged file is no loss:
`load` answers None. A lease in the database decides which process writes versions.
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any, TypeVar

import numpy as np
import sqlalchemy as sa
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors
from sqlalchemy.engine import Connection

from backend.errors import BadInputError, BusyError, PatchlaneError
from backend.store import processes
from backend.store import tables as t
from backend.store.database import Database
from backend.store.media import write_whole
from backend.types import LearnStep

T = TypeVar("T")

KEPT_FILES = 50
KEPT_EVERY = 25
"""State files that are kept: of the newest 50 versions, and of every 25th."""

PATIENCE = 15.0
"""Seconds to wait for another process that is writing a version."""

_LEASE = "versions"
_HOLDER = "another process"  # who holds a lease, to people; older versions read it from the row
_RENEWALS = 4
"""How often a lease is renewed in the time that it lasts."""


def _step_of(row: Any) -> LearnStep:
    return LearnStep(
        version=row.version,
        from_version=row.from_version,
        offset=row.offset,
        recipe=row.recipe,
        seed=row.seed,
        split_seed=row.split_seed,
        steps=row.steps,
        when=row.at,
        kind=row.kind,
        detail=json.loads(row.detail),
    )


def patiently(attempt: Callable[[], T]) -> T:
    """What `attempt` gives, tried again for a while where another process has the lease.

    Raises:
        BusyError: it still has it after `PATIENCE` seconds.
    """
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return attempt()
        except BusyError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


class VersionStore:
    """The versions of one project."""

    def __init__(self, project: Path, database: Database) -> None:
        self.folder = project / "cache" / "versions"
        self._database = database
        self._held: set[str] = set()

    def save(
        self, step: LearnStep, state: Mapping[str, np.ndarray], info: Mapping[str, object]
    ) -> None:
        """Add a version: its state's file first, then its row; after this it is there.

        Raises:
            BadInputError: it is not the next version, or learned more than the log holds.
            BusyError: another process has the lease.
            SaveError: nothing was saved.
        """
        with self._database.write() as connection:
            self._check_lease(connection)
            newest = connection.execute(sa.select(sa.func.max(t.learn_steps.c.version))).scalar()
            if step.version != (newest or 0) + 1:
                raise BadInputError(
                    f"version {step.version} cannot be saved: the next one is {(newest or 0) + 1}; "
                    "learn again from the newest version"
                )
            self._write_state(step, state, info)
            connection.execute(
                t.learn_steps.insert().values(
                    version=step.version,
                    from_version=step.from_version,
                    offset=step.offset,
                    recipe=step.recipe,
                    seed=step.seed,
                    split_seed=step.split_seed,
                    steps=step.steps,
                    at=step.when,
                    kind=step.kind,
                    detail=json.dumps(dict(step.detail)),
                )
            )
        self._thin_out(step.version)

    def restore(
        self, step: LearnStep, state: Mapping[str, np.ndarray], info: Mapping[str, object]
    ) -> None:
        """Write the state's file of a version that is there already, after it was recomputed.

        Where the project may not be written to it is computed again the next time.
        """
        if self._database.is_read_only:
            return
        self._write_state(step, state, info)

    def load(self, version: int) -> tuple[dict[str, np.ndarray], dict[str, object]] | None:
        """State and info of a version; None if its file is missing or damaged (recompute it)."""
        try:
            held = json.loads((self.folder / f"{version}.json").read_text())
            content = (self.folder / f"{version}.safetensors").read_bytes()
            if hashlib.sha256(content).hexdigest() != held["sha256"]:
                return None
            if self._recipe_of(version) != held["recipe"]:
                return None
            return load_tensors(content), held["info"]
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def steps(self) -> list[LearnStep]:
        """All learn steps, oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(t.learn_steps).order_by(t.learn_steps.c.version))
            return [_step_of(row) for row in rows]

    def latest(self, recipe: str | None = None) -> LearnStep | None:
        """The newest learn step, or the newest of one recipe and encoder; None before the first."""
        newest = sa.select(t.learn_steps).order_by(t.learn_steps.c.version.desc()).limit(1)
        if recipe is not None:
            newest = newest.where(t.learn_steps.c.recipe == recipe)
        with self._database.read() as connection:
            row = connection.execute(newest).first()
        return None if row is None else _step_of(row)

    @contextmanager
    def lease(self, seconds: float = 60.0) -> Generator[None]:
        """Hold the right to write versions; freed at the end.

        It is renewed for as long as it is held, so a step may take longer than `seconds`, after
        which it is free where its process was stopped. A lease whose process was killed on this
        host is taken over at once.

        Raises:
            BusyError: another process holds it; the sentence says for how long at most.
        """
        token = uuid.uuid4().hex
        with self._database.write() as connection:
            held = connection.execute(sa.select(t.leases).where(t.leases.c.name == _LEASE)).first()
            left = 0.0 if held is None else held.expires - time.time()
            if held is not None and left > 0 and not processes.is_gone(held.process):
                raise BusyError(
                    f"{_HOLDER} is learning this project (for {left:.0f} s more at most); "
                    "try again when it is done"
                )
            connection.execute(t.leases.delete().where(t.leases.c.name == _LEASE))
            connection.execute(
                t.leases.insert().values(
                    name=_LEASE,
                    owner=_HOLDER,
                    token=token,
                    process=processes.this_process(),
                    expires=time.time() + seconds,
                )
            )
        self._held.add(token)
        done = Event()
        renewing = Thread(
            target=self._renew, args=(token, seconds, done), name="lease", daemon=True
        )
        renewing.start()
        try:
            yield
        finally:
            done.set()
            renewing.join()
            self._held.discard(token)
            # if this cannot be written the lease expires by itself
            with suppress(PatchlaneError), self._database.write() as connection:
                connection.execute(
                    t.leases.delete().where(t.leases.c.name == _LEASE, t.leases.c.token == token)
                )

    def _recipe_of(self, version: int) -> str | None:
        wanted = sa.select(t.learn_steps.c.recipe).where(t.learn_steps.c.version == version)
        with self._database.read() as connection:
            return connection.execute(wanted).scalar()

    def _renew(self, token: str, seconds: float, done: Event) -> None:
        """Make a lease longer time and again, until it is done or another one has taken it over."""
        lease = t.leases.c
        while not done.wait(seconds / _RENEWALS):
            with suppress(PatchlaneError), self._database.write() as connection:
                is_held = connection.execute(
                    t.leases.update()
                    .where(lease.name == _LEASE, lease.token == token)
                    .values(expires=time.time() + seconds)
                ).rowcount
                if not is_held:
                    return

    def _thin_out(self, newest: int) -> None:
        """Remove the state file that is neither young nor one of every so many.

        A version is made again from the nearest file before it, so every correction may make a
        version without filling the disk.
        """
        old = newest - KEPT_FILES
        if old > 0 and old % KEPT_EVERY:
            for suffix in ("safetensors", "json"):
                with suppress(OSError):
                    (self.folder / f"{old}.{suffix}").unlink()

    def _check_lease(self, connection: Connection) -> None:
        held = connection.execute(sa.select(t.leases).where(t.leases.c.name == _LEASE)).first()
        if held is None or held.token in self._held or held.expires <= time.time():
            return
        raise BusyError(
            f"{_HOLDER} is learning this project; this version was not saved: learn again when "
            "it is done"
        )

    def _write_state(
        self, step: LearnStep, state: Mapping[str, np.ndarray], info: Mapping[str, object]
    ) -> None:
        content = save_tensors({name: np.ascontiguousarray(held) for name, held in state.items()})
        beside = {
            "version": step.version,
            "recipe": step.recipe,
            "sha256": hashlib.sha256(content).hexdigest(),
            "info": dict(info),
        }
        told = json.dumps(beside).encode()
        project = self.folder.parents[1]
        write_whole(self.folder / f"{step.version}.safetensors", content, project=project)
        write_whole(self.folder / f"{step.version}.json", told, project=project)
