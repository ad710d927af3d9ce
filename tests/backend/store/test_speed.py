"""What the store may cost; the figures are printed with -s."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

REACH_MS = {
    "take 1,000 drafts, each": 1.0,
    "append one correction": 5.0,
    "undo one correction": 20.0,
    "open and read samples, labels and verdicts": 1000.0,
    "revision": 3.0,
    "store vectors of 16 parts, per sample": 2.0,
    "read 10,000 pooled vectors of width 384": 500.0,
    "find which of 10,000 are missing": 200.0,
}


def test_the_store_stays_within_its_reach() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.backend.store.speed"],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=Path(__file__).parents[3],
    )
    print(ran.stderr)
    assert ran.returncode == 0, ran.stderr
    figures = json.loads(ran.stdout)
    assert figures.keys() == REACH_MS.keys()
    over = {what: cost for what, cost in figures.items() if cost > REACH_MS[what]}
    assert over == {}
