"""Measure what the store costs: `python -m tests.backend.store.speed` prints one line per figure.

CPU time of the process, so that a busy machine does not change the meaning; outside of pytest,
whose shape checks cost several times what they check.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from backend.settings import Settings
from backend.store.corrections import NewCorrection
from backend.store.project import ProjectStore
from backend.store.vectors import VectorStore
from backend.types import Draft, Encoded, Kind, Layout, Verdict

NUM = 10_000
FIGURES: dict[str, float] = {}


@contextmanager
def cpu(what: str, *, per: int = 1) -> Iterator[None]:
    """Note CPU milliseconds of this process, divided by `per`."""
    start, wall = time.process_time(), time.perf_counter()
    yield
    FIGURES[what] = (time.process_time() - start) / per * 1000
    waited = (time.perf_counter() - wall) / per * 1000
    print(f"{what}: {FIGURES[what]:.2f} ms CPU ({waited:.2f} ms passed)", file=sys.stderr)


def measure(folder: Path) -> None:
    """10,000 texts with 20,000 verdicts on 20 labels."""
    store = ProjectStore.create(
        folder / "p",
        name="p",
        kind=Kind.TEXT,
        encoder="e",
        labels=[f"label {n}" for n in range(20)],
        settings=Settings(),
    )
    drafts = [
        Draft(
            name=f"f/{n}.txt",
            text=f"text number {n} " * 8,
            verdicts={f"label {n % 20}": Verdict.YES, f"label {(n * 7 + 1) % 20}": Verdict.NO},
        )
        for n in range(NUM)
    ]
    store.take(drafts[:100], who="a", source="import:warm")
    with cpu("take 1,000 drafts, each", per=1000):
        store.take(drafts[100:1100], who="a", source="import:x")
    store.take(drafts[1100:], who="a", source="import:x")
    store.log.append([NewCorrection(1, 1, Verdict.YES)], who="warm")
    with cpu("append one correction", per=200):
        for number in range(200):
            rows = [NewCorrection(1 + number, 3, Verdict.NO)]
            store.log.append(rows, who="a", op=f"op {number}", version=2)
    with cpu("undo one correction", per=50):
        for _ in range(50):
            store.log.undo("a")
    store.close()
    with cpu("open and read samples, labels and verdicts"):
        store = ProjectStore.open(folder / "p", settings=Settings())
        read = store.samples(), store.labels(), store.log.current()
    assert [len(one) > 0 for one in read] == [True] * 3
    with cpu("revision", per=100):
        for _ in range(100):
            assert store.revision > 0
    store.close()
    measure_vectors(folder / "v")


def measure_vectors(folder: Path) -> None:
    vectors = VectorStore(folder)
    hashes = [f"{n:064x}" for n in range(NUM)]
    pooled = np.random.default_rng(0).normal(size=(NUM, 384)).astype(np.float32)
    parts, layout = np.ones((16, 384), np.float32), Layout(grid=(4, 4))
    with cpu("store vectors of 16 parts, per sample", per=NUM):
        for at in range(0, NUM, 500):
            some = Encoded(pooled[at : at + 500], (parts,) * 500, (layout,) * 500)
            vectors.put("enc", hashes[at : at + 500], some)
    with cpu("read 10,000 pooled vectors of width 384"):
        read = vectors.pooled(hashes, "enc")
    assert np.array_equal(read, pooled)
    with cpu("find which of 10,000 are missing"):
        assert vectors.missing([*hashes, "new"], "enc") == ["new"]
    vectors.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        measure(Path(place))
    print(json.dumps(FIGURES))
