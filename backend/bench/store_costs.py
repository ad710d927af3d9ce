"""What the store costs with 10,000 texts and 20,000 verdicts: CPU milliseconds of this process."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from backend.bench.reports import Row, row
from backend.settings import Settings
from backend.store.corrections import NewCorrection
from backend.store.project import ProjectStore
from backend.store.vectors import VectorStore
from backend.types import Draft, Encoded, Kind, Layout, Verdict

NUM = 10_000


def rows(settings: Settings) -> Iterator[Row]:
    """Take, append, undo, open, and the vectors beside them."""
    with tempfile.TemporaryDirectory(prefix="patchlane-bench-") as place:
        yield from _log_rows(Path(place) / "p", settings)
        yield from _vector_rows(Path(place) / "v")


def _log_rows(folder: Path, settings: Settings) -> Iterator[Row]:
    labels = [f"label {n}" for n in range(20)]
    store = ProjectStore.create(
        folder, name="p", kind=Kind.TEXT, encoder="e", labels=labels, settings=settings
    )
    drafts = [
        Draft(
            name=f"f/{n}.txt",
            text=f"text number {n} " * 8,
            verdicts={labels[n % 20]: Verdict.YES, labels[(n * 7 + 1) % 20]: Verdict.NO},
        )
        for n in range(NUM)
    ]
    store.take(drafts[:100], who="a", source="import:warm")
    some = drafts[100:1100]
    cost = _cpu(lambda: store.take(some, who="a", source="import:x"))
    yield row("store: take a text with two verdicts", cost / len(some), "ms CPU", at_most=1.0)
    store.take(drafts[1100:], who="a", source="import:x")

    def append() -> None:
        for number in range(200):
            store.log.append([NewCorrection(1 + number, 3, Verdict.NO)], who="b", version=2)

    yield row("store: append one correction", _cpu(append) / 200, "ms CPU", at_most=5.0)
    cost = _cpu(lambda: [store.log.undo("b") for _ in range(50)])
    yield row("store: undo one correction", cost / 50, "ms CPU")
    store.close()

    def read() -> None:
        store = ProjectStore.open(folder, settings=settings)
        assert len(store.samples()) == NUM and store.labels() and store.log.current()  # noqa: S101, PT018
        store.close()

    yield row("store: open 10,000 samples, 20,000 verdicts", _cpu(read), "ms CPU", at_most=1000.0)


def _vector_rows(folder: Path) -> Iterator[Row]:
    folder.mkdir()  # a store makes no project's folder
    vectors = VectorStore(folder)
    hashes = [f"{n:064x}" for n in range(NUM)]
    pooled = np.random.default_rng(0).normal(size=(NUM, 384)).astype(np.float32)
    parts, layout = np.ones((16, 384), np.float32), Layout(grid=(4, 4))

    def put() -> None:
        for at in range(0, NUM, 500):
            block = Encoded(pooled[at : at + 500], (parts,) * 500, (layout,) * 500)
            vectors.put("enc", hashes[at : at + 500], block)

    yield row("store: vectors of one sample with 16 parts", _cpu(put) / NUM, "ms CPU")
    cost = _cpu(lambda: vectors.pooled(hashes, "enc"))
    yield row("store: read 10,000 pooled vectors", cost, "ms CPU", at_most=500.0)
    vectors.close()


def _cpu(work: Callable[[], object]) -> float:
    """Milliseconds of CPU."""
    start = time.process_time()
    work()
    return 1000 * (time.process_time() - start)
