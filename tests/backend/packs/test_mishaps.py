"""What happens to a training when its process is killed, or the cache goes while it runs."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time

import numpy as np
import pytest

from backend import api

pytestmark = pytest.mark.slow

CHILD = """
import sys, time
from pathlib import Path
from backend import api
from backend.settings import Settings

home, path = map(Path, sys.argv[1:])
bench = api.open_project(path, settings=Settings(home=home, threads=1), learns=True)
bench.packs.pause(True)
job = bench.packs.teach_soon("moods")
while True:
    (found,) = [one for one in bench.jobs.list() if one.id == job]
    if found.note.startswith("held-back") or not found.state.is_open:
        print(found.state.value, flush=True)
        time.sleep(600)
    time.sleep(0.01)
"""


def test_a_training_whose_process_is_killed_starts_again_on_the_last_version(bench, settings):
    version, logits = bench.version, bench.board.logits.copy()
    bench.close()
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(settings.home), str(bench.path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout.readline().strip() == "running"
    child.kill()
    child.wait()
    child.stdout.close()
    script = api.open_project(bench.path, settings=settings)
    assert (script.version, script.learned.lanes) == (version, ())
    np.testing.assert_array_equal(script.board.logits, logits)
    script.close()
    screen = api.open_project(bench.path, settings=settings, learns=True)
    until = time.monotonic() + 200
    while not screen.learned.lanes and time.monotonic() < until:
        time.sleep(0.05)
    assert [lane.pack for lane in screen.learned.lanes] == ["moods"]
    screen.close()


def test_the_cache_may_go_while_a_lane_is_taught(bench, lanes_count):
    def gone(_done, _total, note):
        if note == "reading the samples with verdicts" or note.startswith("held-back"):
            shutil.rmtree(bench.path / "cache" / "tokens", ignore_errors=True)
        if note == "putting the lane in place":
            for file in (bench.path / "cache" / "tokens").rglob("*"):
                if file.is_file():
                    file.write_bytes(b"damaged" * 100)

    report = bench.packs.teach("moods", progress=gone)
    assert [lane.digest for lane in bench.learned.lanes] == [report.digest]
    cls = bench.board.lane_cls[report.digest]
    np.testing.assert_allclose(np.linalg.norm(cls, axis=1), 1, atol=1e-4)
