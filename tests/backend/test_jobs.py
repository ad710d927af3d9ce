"""Jobs: order, progress, cancel, coalescing, failure, and what a restart says of them."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path

import pytest

from backend.errors import BadInputError, NotFoundError, PatchlaneError
from backend.jobs import Jobs, JobState, Ticket
from backend.settings import Settings
from backend.store.project import ProjectStore
from backend.types import Kind


@pytest.fixture
def jobs():
    made = Jobs()
    yield made
    made.close()


@pytest.fixture
def store(tmp_path: Path):
    made = ProjectStore.create(
        tmp_path / "p", name="p", kind=Kind.TEXT, encoder="e", settings=Settings()
    )
    yield made
    made.close()


def test_work_runs_and_its_result_and_progress_are_there(jobs: Jobs) -> None:
    def work(ticket: Ticket) -> int:
        ticket.progress(3, 4, "nearly")
        return 42

    job_id = jobs.submit("count", "Counting", work, owner="ann")
    job = jobs.wait(job_id, 10)
    assert job.state is JobState.DONE
    assert (job.done, job.total, job.note, job.owner) == (3, 4, "nearly", "ann")
    assert job.created <= (job.started or 0) <= (job.finished or 0)
    assert jobs.result(job_id) == 42
    assert jobs.list("ann") == [job]
    assert jobs.list("ben") == []


def test_one_thing_is_done_at_a_time_in_order(jobs: Jobs) -> None:
    order: list[str] = []
    begun, gate = threading.Event(), threading.Event()

    def work(name: str):
        def run(_ticket: Ticket) -> None:
            begun.set()
            gate.wait(10)
            order.append(name)

        return run

    first = [jobs.submit("w", name, work(name)) for name in "abc"]
    assert begun.wait(10)
    assert [jobs.get(job).state for job in first[1:]] == [JobState.QUEUED] * 2
    gate.set()
    for job in first:
        jobs.wait(job, 10)
    assert order == ["a", "b", "c"]


def test_the_same_key_is_one_job_while_it_is_open(jobs: Jobs) -> None:
    gate = threading.Event()
    running = jobs.submit("e", "Encode", lambda _ticket: gate.wait(10), key="encode")
    assert jobs.submit("e", "Encode", lambda _ticket: None, key="encode") == running
    assert jobs.submit("e", "Map", lambda _ticket: None, key="map") != running
    assert jobs.key(running) == "encode"
    assert jobs.key(jobs.submit("e", "Export", lambda _ticket: None)) is None
    gate.set()
    jobs.wait(running, 10)
    assert jobs.submit("e", "Encode", lambda _ticket: None, key="encode") != running


def test_a_running_job_is_cancelled_at_its_next_report(jobs: Jobs) -> None:
    started = threading.Event()

    def work(ticket: Ticket) -> None:
        for number in range(10_000):
            started.set()
            time.sleep(0.005)
            ticket.progress(number, 10_000)

    job_id = jobs.submit("w", "Long", work)
    assert started.wait(10)
    assert jobs.cancel(job_id)
    job = jobs.wait(job_id, 10)
    assert job.state is JobState.CANCELLED
    assert job.done < 9_999
    assert not jobs.cancel(job_id)


def test_a_queued_job_is_cancelled_at_once_and_never_runs(jobs: Jobs) -> None:
    gate, ran = threading.Event(), []
    running = jobs.submit("w", "First", lambda _ticket: gate.wait(10))
    queued = jobs.submit("w", "Second", lambda _ticket: ran.append(1))
    assert jobs.cancel(queued)
    assert jobs.get(queued).state is JobState.CANCELLED
    gate.set()
    jobs.wait(running, 10)
    jobs.wait(jobs.submit("w", "Third", lambda _ticket: None), 10)
    assert ran == []


def test_what_was_brought_for_a_job_is_let_go_if_its_turn_never_comes(jobs: Jobs) -> None:
    begun, gate, dropped = threading.Event(), threading.Event(), []

    def work(_ticket: Ticket) -> None:
        begun.set()
        gate.wait(10)

    def submit(name: str) -> str:
        return jobs.submit("import", name, work, dropped=lambda: dropped.append(name))

    running, cancelled, _ = (submit(name) for name in "abc")
    assert begun.wait(10)
    assert jobs.cancel(running)
    assert dropped == [], "its work is at it"
    assert jobs.cancel(cancelled)
    assert not jobs.cancel(cancelled)
    assert dropped == ["b"]
    jobs.close(timeout=0)
    assert dropped == ["b", "c"]
    gate.set()


def test_a_failure_is_said_and_the_next_job_runs(jobs: Jobs) -> None:
    def refuse(_ticket: Ticket) -> None:
        raise BadInputError("the file x is empty")

    def break_down(_ticket: Ticket) -> None:
        raise ZeroDivisionError("by zero")

    refused = jobs.wait(jobs.submit("w", "Import", refuse), 10)
    broken = jobs.wait(jobs.submit("w", "Learn", break_down), 10)
    fine = jobs.wait(jobs.submit("w", "Fine", lambda _ticket: None), 10)
    assert (refused.state, refused.error) == (JobState.FAILED, "the file x is empty")
    assert broken.state is JobState.FAILED
    assert "Learn failed" in broken.error
    assert fine.state is JobState.DONE


def test_the_version_moves_with_every_change(jobs: Jobs) -> None:
    seen = [jobs.version]

    def work(ticket: Ticket) -> None:
        seen.append(jobs.version)
        ticket.progress(1, 2)
        seen.append(jobs.version)

    jobs.wait(jobs.submit("w", "W", work), 10)
    seen.append(jobs.version)
    assert seen == sorted(set(seen))


def test_jobs_are_in_the_project_and_closing_interrupts_them(store: ProjectStore) -> None:
    jobs = Jobs(store)
    done = jobs.submit("w", "Done", lambda _ticket: None)
    jobs.wait(done, 10)
    started = threading.Event()

    def endless(ticket: Ticket) -> None:
        while True:
            started.set()
            time.sleep(0.005)
            ticket.progress(0, 0)

    running = jobs.submit("w", "Endless", endless)
    queued = jobs.submit("w", "Never", lambda _ticket: None)
    assert started.wait(10)
    jobs.close()
    again = Jobs(store)
    states = {job.id: job.state for job in again.list()}
    assert states == {
        done: JobState.DONE,
        running: JobState.INTERRUPTED,
        queued: JobState.INTERRUPTED,
    }
    with pytest.raises(PatchlaneError, match="being closed"):
        jobs.submit("w", "Late", lambda _ticket: None)
    again.close()


_KILLED = """
import os, signal, sys, time
from pathlib import Path
from backend.jobs import Jobs
from backend.settings import Settings
from backend.store.project import ProjectStore
store = ProjectStore.open(Path(sys.argv[1]), settings=Settings())
jobs = Jobs(store)
job = jobs.submit("encode", "Encoding", lambda ticket: time.sleep(60))
while jobs.get(job).state != "running":
    time.sleep(0.01)
time.sleep(0.05)
while not any(row["state"] == "running" for row in store.job_records.rows()):
    time.sleep(0.01)
print(job, flush=True)
if sys.argv[2] == "die":
    os.kill(os.getpid(), signal.SIGKILL)
sys.stdin.readline()
os._exit(0)
"""


def test_a_restart_marks_what_a_killed_process_left(store: ProjectStore) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _KILLED, str(store.path), "die"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    jobs = Jobs(store)
    (job,) = jobs.list()
    assert job.id == ran.stdout.strip()
    assert (job.state, job.title) == (JobState.INTERRUPTED, "Encoding")
    assert job.finished is not None
    jobs.close()


def test_a_job_of_another_living_process_goes_on(store: ProjectStore) -> None:
    other = subprocess.Popen(
        [sys.executable, "-c", _KILLED, str(store.path), "live"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert other.stdout is not None
    job_id = other.stdout.readline().strip()
    jobs = Jobs(store)  # such as `patchlane learn` beside a server
    assert jobs.get(job_id).state is JobState.RUNNING
    jobs.close()
    other.communicate("\n", timeout=30)


def test_in_a_copy_of_an_open_project_its_jobs_are_interrupted(
    store: ProjectStore, tmp_path: Path
) -> None:
    """The process that runs them lives, and works on the project that was copied."""
    begun, go_on = threading.Event(), threading.Event()
    jobs = Jobs(store)

    def work(_ticket: Ticket) -> None:
        begun.set()
        assert go_on.wait(30)

    job = jobs.submit("teach", "Teaching", work)
    assert begun.wait(30)
    shutil.copytree(store.path, tmp_path / "copy")
    copy = ProjectStore.open(tmp_path / "copy", settings=Settings())
    there, here = Jobs(copy), Jobs(store)
    assert [one.state for one in there.list()] == [JobState.INTERRUPTED]
    assert here.get(job).state is JobState.RUNNING
    go_on.set()
    for each in (there, here, jobs):
        each.close()
    copy.close()


def test_what_a_job_worked_on_is_let_go_when_it_ends(jobs: Jobs) -> None:
    class Content:
        """Of a file that was brought."""

    def submitted() -> tuple[str, weakref.ref[Content]]:
        content = Content()
        job = jobs.submit("import", "Importing", lambda _ticket: content.__class__.__name__)
        return job, weakref.ref(content)

    job, content = submitted()
    jobs.wait(job, 10)
    assert jobs.result(job) == "Content"
    gc.collect()
    assert content() is None


def test_an_unknown_job_is_said(jobs: Jobs) -> None:
    with pytest.raises(NotFoundError, match="'nothing'"):
        jobs.get("nothing")
    assert not jobs.cancel("nothing")


@pytest.mark.skipif(not hasattr(os, "setpriority"), reason="no priority per thread here")
def test_workers_and_their_threads_stand_behind_the_page(jobs: Jobs) -> None:
    here = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    def work(_ticket: Ticket) -> tuple[int, int]:
        below: list[int] = []

        def inner() -> None:
            below.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

        thread = threading.Thread(target=inner)
        thread.start()
        thread.join()
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id()), below[0]

    job = jobs.submit("w", "Nice", work)
    jobs.wait(job, 10)
    own, below = jobs.result(job)  # type: ignore[misc]
    assert own == below == min(here + 10, 19) or own > here
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == here
