"""Pictures with boxes that are made up, for the benches of the evidence."""

from __future__ import annotations

import numpy as np
import pytest

from backend.bench._evidence_data import Boxed
from backend.types import ScoreScale


@pytest.fixture
def boxed() -> Boxed:
    """Forty pictures of nine cells; a third of the cells, on the boxes, are near their label."""
    draw = np.random.default_rng(0)

    def unit(*shape: int) -> np.ndarray:
        rows = draw.normal(size=shape)
        return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)

    labels = unit(3, 8)
    truth = draw.random((40, 3)) < 0.5
    parts = 0.9 * unit(40, 9, 8)
    pairs = [(row, column) for row, column in zip(*np.nonzero(truth), strict=True)]
    inside = np.zeros((len(pairs), 9), bool)
    for number, (row, column) in enumerate(pairs):
        inside[number, 3 * column : 3 * column + 3] = True
        parts[row, 3 * column : 3 * column + 3] += labels[column]
    parts = parts / np.linalg.norm(parts, axis=2, keepdims=True)
    pooled = parts.mean(axis=1)
    return Boxed(
        name="made",
        names=["a", "b", "c"],
        truth=truth,
        is_taught=np.zeros(40, bool),
        pooled=pooled / np.linalg.norm(pooled, axis=1, keepdims=True),
        parts=parts.astype(np.float16),
        grid=(3, 3),
        rows=np.array([row for row, _ in pairs]),
        columns=np.array([column for _, column in pairs]),
        inside=inside,
        labels=labels,
        scale=ScoreScale(0.1, 0.3, 0.2, 0.25, 0.1),
    )
