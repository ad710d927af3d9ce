"""Work that takes long: one job after the other, progress, cancel, survives a tab.

A job belongs to the process, not to a page: closing a tab stops nothing. Jobs are recorded in the
project, so that after a restart the ones that were cut off are shown as interrupted. They run
at a lower priority of the operating system than the threads that answer pages.
"""

from __future__ import annotations

import logging
import os
import queue
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Protocol, runtime_checkable

from backend.errors import NotFoundError, PatchlaneError

_LOG = logging.getLogger("patchlane.jobs")
_NICENESS = 10
_KEPT = 200


class JobState(StrEnum):
    """Where a job is in its life."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"

    @property
    def is_open(self) -> bool:
        """True while the job may still do something."""
        return self in (JobState.QUEUED, JobState.RUNNING)


@dataclass(frozen=True)
class Job:
    """One job as it stands.

    Attributes:
        done, total: progress in the job's own units; total 0 means unknown.
        note: what it is doing, in words.
        error: the sentence to show if it failed.
        created, started, finished: seconds since 1970; None if not yet.
    """

    id: str
    kind: str
    title: str
    owner: str = ""
    state: JobState = JobState.QUEUED
    done: int = 0
    total: int = 0
    note: str = ""
    error: str = ""
    created: float = 0.0
    started: float | None = None
    finished: float | None = None


class Cancelled(Exception):  # noqa: N818  not an error: somebody asked for it
    """Raised inside the work of a job that should stop."""


@runtime_checkable
class Records(Protocol):
    """Where jobs are written down (`backend.store.job_records.JobRecords`)."""

    def record(self, row: Mapping[str, object]) -> None:
        """Write a job's row, new or changed."""
        ...

    def rows(self) -> list[dict[str, object]]:
        """All recorded jobs, oldest first."""
        ...

    def interrupt_dead(self) -> int:
        """Mark what was queued or running in a process that has ended."""
        ...


@runtime_checkable
class HasRecords(Protocol):
    """A project that keeps job records."""

    @property
    def job_records(self) -> Records:
        """The records."""
        ...


class Ticket:
    """What a job's work holds in its hand: it reports progress, and learns that it should stop."""

    def __init__(self, jobs: Jobs, job_id: str) -> None:
        self.id = job_id
        self._jobs = jobs
        self._stop = threading.Event()

    def progress(self, done: int, total: int, note: str = "") -> None:
        """Report progress; fits wherever a `Progress` is asked for.

        Raises:
            Cancelled: the job was cancelled; let it pass through.
        """
        if self._stop.is_set():
            raise Cancelled
        self._jobs.report(self.id, done, total, note)
        time.sleep(0)  # let a waiting page have its turn

    def stop(self) -> None:
        """Ask the job to stop at its next report of progress."""
        self._stop.set()


Work = Callable[[Ticket], object]


@dataclass
class _Entry:
    job: Job
    work: Work
    ticket: Ticket
    key: str | None
    dropped: Callable[[], object] | None
    finished: threading.Event
    result: object = None


class Jobs:
    """The jobs of one process on one project."""

    def __init__(self, store: HasRecords | None = None) -> None:
        """Read the recorded jobs, and mark those that an ended process left behind.

        Args:
            store: the project that keeps the records; None keeps them in memory only.
        """
        self._records = None if store is None else store.job_records
        self._lock = threading.Condition()
        self._entries: dict[str, _Entry] = {}
        self._waiting: queue.SimpleQueue[_Entry | None] = queue.SimpleQueue()
        self._worker: threading.Thread | None = None
        self._version = 0
        self._is_closed = False
        if self._records is not None:
            self._records.interrupt_dead()

    @property
    def version(self) -> int:
        """Grows with every change of any job of this process."""
        return self._version

    @property
    def is_closed(self) -> bool:
        """True once the project is being closed: what still runs is interrupted."""
        return self._is_closed

    def submit(
        self,
        kind: str,
        title: str,
        work: Work,
        *,
        owner: str = "",
        key: str | None = None,
        dropped: Callable[[], object] | None = None,
    ) -> str:
        """Queue work; returns the job's id.

        Args:
            kind: a word, such as "encode".
            title: what a person reads.
            work: called with a ticket in a worker thread; what it returns is the job's result.
            owner: the person, for `list`.
            key: while a job with the same key is queued or running, that one is returned.
            dropped: called instead of `work` where the job ends before its turn comes, to let go
                of what was brought for it; raises nothing.

        Raises:
            PatchlaneError: the project is being closed.
        """
        with self._lock:
            if self._is_closed:
                raise PatchlaneError("the project is being closed; open it again")
            if key is not None:
                for known in self._entries.values():
                    if known.key == key and known.job.state.is_open:
                        return known.job.id
            job = Job(secrets.token_hex(8), kind, title, owner=owner, created=time.time())
            entry = _Entry(job, work, Ticket(self, job.id), key, dropped, threading.Event())
            self._entries[job.id] = entry
            self._forget_old()
            self._version += 1
            if self._worker is None:
                self._worker = threading.Thread(target=self._work_off, name="jobs", daemon=True)
                self._worker.start()
        self._record(job)
        self._waiting.put(entry)
        return job.id

    def get(self, job_id: str) -> Job:
        """The job as it stands.

        Raises:
            NotFoundError: there is no such job.
        """
        for job in self.list():
            if job.id == job_id:
                return job
        raise NotFoundError(f"there is no job {job_id!r} (any more)")

    def list(self, owner: str | None = None) -> list[Job]:
        """Jobs of this process and recorded ones, newest first."""
        recorded = {} if self._records is None else _jobs_from(self._records.rows())
        with self._lock:
            own = {job_id: entry.job for job_id, entry in self._entries.items()}
        found = sorted({**recorded, **own}.values(), key=lambda job: job.created, reverse=True)
        return [job for job in found if owner is None or job.owner == owner]

    def key(self, job_id: str) -> str | None:
        """What a job of this process was submitted for, as `submit` was told; None without one."""
        with self._lock:
            entry = self._entries.get(job_id)
            return None if entry is None else entry.key

    def result(self, job_id: str) -> object:
        """What the work of a job that is done returned; None otherwise."""
        with self._lock:
            entry = self._entries.get(job_id)
            return None if entry is None else entry.result

    def cancel(self, job_id: str) -> bool:
        """Ask a job to stop; True if it was still open. A running one stops at its next report."""
        with self._lock:
            entry = self._entries.get(job_id)
            if entry is None or not entry.job.state.is_open:
                return False
            entry.ticket.stop()
        self._drop(entry, JobState.CANCELLED)
        return True

    def wait(self, job_id: str, timeout: float | None = None) -> Job:
        """The job once it has ended, or as it stands when the time is over."""
        with self._lock:
            entry = self._entries.get(job_id)
        if entry is None:
            return self.get(job_id)
        entry.finished.wait(timeout)
        return entry.job

    def close(self, timeout: float = 10.0) -> None:
        """Stop: queued and running jobs become interrupted; waits for the worker."""
        with self._lock:
            self._is_closed = True
            open_entries = [one for one in self._entries.values() if one.job.state.is_open]
        for entry in open_entries:
            entry.ticket.stop()
            self._drop(entry, JobState.INTERRUPTED)
        self._waiting.put(None)
        if self._worker is not None:
            self._worker.join(timeout)

    def report(self, job_id: str, done: int, total: int, note: str) -> None:
        """Take a ticket's progress; kept in memory, only changes of state are recorded."""
        with self._lock:
            entry = self._entries[job_id]
            if entry.job.state is JobState.RUNNING:
                entry.job = replace(entry.job, done=done, total=total, note=note)
                self._version += 1

    def _work_off(self) -> None:
        _step_back()
        while (entry := self._waiting.get()) is not None:
            with self._lock:
                if entry.job.state is not JobState.QUEUED:
                    continue
                entry.job = replace(entry.job, state=JobState.RUNNING, started=time.time())
                self._version += 1
            self._record(entry.job)
            try:
                entry.result = entry.work(entry.ticket)
            except Cancelled:
                self._end(entry, JobState.INTERRUPTED if self._is_closed else JobState.CANCELLED)
            except PatchlaneError as error:
                self._end(entry, JobState.FAILED, str(error))
            except Exception as error:  # a fault of ours must not stop the other jobs
                _LOG.exception("the job %r failed", entry.job.title)
                self._end(entry, JobState.FAILED, f"{entry.job.title} failed: {error!r}")
            else:
                self._end(entry, JobState.DONE)

    def _drop(self, entry: _Entry, state: JobState) -> None:
        """End a job whose turn has not come; one that runs stops at its next report."""
        dropped = entry.dropped
        if self._end(entry, state, only=JobState.QUEUED) and dropped is not None:
            dropped()

    def _end(
        self,
        entry: _Entry,
        state: JobState,
        error: str = "",
        *,
        only: JobState = JobState.RUNNING,
    ) -> bool:
        with self._lock:
            if entry.job.state is not only:
                return False
            entry.job = replace(entry.job, state=state, error=error, finished=time.time())
            # They may hold hundreds of megabytes, such as a file that was brought.
            entry.work, entry.dropped = _done, None
            self._version += 1
        self._record(entry.job)
        entry.finished.set()
        return True

    def _record(self, job: Job) -> None:
        if self._records is None:
            return
        try:
            self._records.record({**asdict(job), "state": job.state.value})
        except PatchlaneError as error:
            # the job itself matters more than its row
            _LOG.warning("the job %r could not be recorded: %s", job.title, error)

    def _forget_old(self) -> None:
        ended = [job for job, one in self._entries.items() if not one.job.state.is_open]
        for job in ended[: max(0, len(self._entries) - _KEPT)]:
            del self._entries[job]


def _done(_ticket: Ticket) -> None:
    """In place of the work of a job that has ended."""


def _jobs_from(rows: list[dict[str, object]]) -> dict[str, Job]:
    jobs = [Job(**{**row, "state": JobState(str(row["state"]))}) for row in rows]  # type: ignore[arg-type]
    return {job.id: job for job in jobs}


def _step_back() -> None:
    """Run this thread, and the threads it starts, after those that answer pages."""
    thread = threading.get_native_id()
    try:
        own = os.getpriority(os.PRIO_PROCESS, thread)  # the process may stand back already
        os.setpriority(os.PRIO_PROCESS, thread, max(own, _NICENESS))
    except (AttributeError, OSError):
        return  # only Linux has a priority per thread
