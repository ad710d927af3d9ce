"""Projects for the benches of lanes: many samples that repeat the readings of real photographs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from backend import api
from backend.bench._lane_data import ReadSet
from backend.settings import Settings
from backend.types import Encoded, Layout

BATCH = 256
PARTS = 4
"""Parts of each sample: zero-shot scores need some, and nothing that is measured needs more."""


@contextmanager
def opened(path: Path, settings: Settings, *, learns: bool = False) -> Iterator[api.Workbench]:
    """A project, closed again."""
    bench = api.open_project(path, settings=settings, learns=learns)
    try:
        yield bench
    finally:
        bench.close()


def make_repeated(
    path: Path, settings: Settings, known: ReadSet, *, samples: int, packs: int, verdicts: int
) -> None:
    """A project of `samples` tiny pictures that stand for the photographs of `known` in turns.

    Vectors, plain numbers and tokens are those of the photographs; only the parts are made up. The
    labels lie in `packs` packs, and the first `verdicts` samples are labelled in full, truly.
    """
    folder = path.parent / f"{path.name}-pictures"
    folder.mkdir()
    for number in range(samples):
        colour = (number % 256, number // 256 % 256, 7 + number // 65536)
        Image.new("RGB", (4, 4), colour).save(folder / f"{number:06d}.png")
    bench = api.create_project(path, settings=settings)
    try:
        bench.add(folder, encode=False)
        each = -(-len(known.names) // packs)
        for at in range(0, len(known.names), each):
            bench.add_labels(known.names[at : at + each], pack=f"pack {at // each + 1}")
        _store(bench, known)
        rows = [
            {"sample": sample.id, "label": name, "verdict": "yes" if shown else "no"}
            for number, sample in enumerate(bench.samples()[:verdicts])
            for name, shown in zip(known.names, known.truth[number % len(known.truth)], strict=True)
        ]
        if rows:
            bench.correct(rows)
    finally:
        bench.close()


def _store(bench: api.Workbench, known: ReadSet) -> None:
    """Vectors and readings of all samples."""
    host = bench.pipeline.host
    draw = np.random.default_rng(1)
    samples = bench.samples()
    for at in range(0, len(samples), BATCH):
        some = samples[at : at + BATCH]
        rows = np.arange(at, at + len(some)) % len(known.truth)
        parts = draw.standard_normal((len(some), PARTS, known.pooled.shape[1])).astype(np.float32)
        parts = parts * 0.5 / np.sqrt(parts.shape[2]) + known.pooled[rows][:, None]
        parts /= np.linalg.norm(parts, axis=2, keepdims=True)
        layouts = (Layout(grid=(2, 2)),) * len(some)
        hashes = [sample.content_hash for sample in some]
        bench.store.vectors.put(
            bench.pipeline.encoder.fingerprint,
            hashes,
            Encoded(known.pooled[rows], tuple(parts), layouts),
        )
        if host is not None:
            bench.store.tokens.put(host.lane_key, hashes, known.readings(rows))
    bench.live.resync()
