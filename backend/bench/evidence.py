"""What the evidence costs, and whether it is true.

`patchlane bench evidence [--part P]`. Every figure stands beside its baseline from the same run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Float

from backend import catalogue
from backend.bench import deletion, part_ways
from backend.bench._evidence_crops import crop_rows
from backend.bench._evidence_layers import layer_rows
from backend.bench._evidence_scores import score_rows
from backend.bench._evidence_words import word_rows
from backend.bench.pointing import correction_rows, pointing_rows
from backend.bench.read import mask_rows
from backend.bench.reports import Row, row
from backend.errors import NotFoundError
from backend.settings import Settings

Say = Callable[[str], None]

BATCH, PARTS, LABELS, WIDTH = 64, 196, 80, 512
REGULARISER = 1e-2
REPEATS = 5


def rows(
    settings: Settings, *, say: Say, part: str | None = None, encoder: str = "embedded"
) -> Iterator[Row]:
    """All rows, or those of one part; `encoder` is the one whose parts are compared.

    Raises:
        NotFoundError: no part has that name, or what a part needs is not there.
    """
    steps: dict[str, Callable[[], Iterator[Row]]] = {
        "transport": transport_rows,
        "crops": lambda: crop_rows(settings, say),
        "parts": lambda: part_ways.rows(settings, say=say, encoder=encoder),
        "deletion": lambda: deletion.rows(settings, say=say),
        "pointing": lambda: pointing_rows(settings, say),
        "scores": lambda: score_rows(settings, say),
        "corrections": lambda: correction_rows(settings, say),
        "masks": lambda: mask_rows(settings, say),
        "words": lambda: word_rows(settings),
        "layers": lambda: layer_rows(settings, say),
    }
    if part is not None and part not in steps:
        raise NotFoundError(f"evidence has no part {part!r}; there are {', '.join(steps)}")
    for name, step in steps.items():
        if part in (None, name):
            say(f"measuring: {name}")
            yield from step()


# --- transport -------------------------------------------------------------------------------


def transport_rows() -> Iterator[Row]:
    """Batches of plans in a second, against POT on the same clouds.

    POT is handed the finished cost matrices and solves a sample at a time, as it can; ours work
    the cosines out first.
    """
    pot = _pot()
    parts, labels = _clouds()
    shape = f"({PARTS} parts, {LABELS} labels), batch {BATCH}"
    ours = _seconds(lambda: _aligner("transport").align(parts, labels), REPEATS)
    joint = _seconds(lambda: _aligner("sinkhorn").align(parts, labels), 1)
    theirs = _seconds(lambda: _solved_by_pot(pot, parts, labels), 1)
    told = f"POT {pot.__version__} sinkhorn_log, regulariser {REGULARISER}"
    yield row(
        f"transport plans for {shape}",
        1 / ours,
        "batches/s",
        at_least=50 / theirs,
        baseline=told,
        baseline_value=1 / theirs,
    )
    yield row(
        f"Sinkhorn plans for {shape}, to 1e-4 of each share",
        1 / joint,
        "batches/s",
        baseline=told,
        baseline_value=1 / theirs,
    )


def _clouds() -> tuple[Float[np.ndarray, "n p d"], Float[np.ndarray, "l d"]]:
    """Labels anywhere; each part is near one of them, as far as it is noise (cosine 0.45)."""
    draw = np.random.default_rng(0)

    def unit(rows: np.ndarray) -> np.ndarray:
        return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)

    labels = unit(draw.normal(size=(LABELS, WIDTH)))
    noise = unit(draw.normal(size=(BATCH, PARTS, WIDTH)))
    return unit(0.5 * labels[draw.integers(LABELS, size=(BATCH, PARTS))] + noise), labels


def _aligner(name: str) -> Any:
    method = catalogue.load(f"aligners/{name}")
    return method(method.Settings(temperature=REGULARISER))


def _pot() -> ModuleType:
    """The library that is measured beside; only this bench and the tests need it."""
    try:
        return import_module("ot")
    except ImportError:
        raise NotFoundError(
            "POT is not installed, which this part measures beside: pip install POT"
        ) from None


def _solved_by_pot(
    pot: ModuleType, parts: Float[np.ndarray, "n p d"], labels: Float[np.ndarray, "l d"]
) -> list[Float[np.ndarray, "p l"]]:
    costs = 1.0 - (parts @ labels.T).astype(np.float64)
    theta, beta = np.full(PARTS, 1 / PARTS), np.full(LABELS, 1 / LABELS)
    # Not every sample converges within its 1,000 rounds; it says so each time.
    return [pot.bregman.sinkhorn_log(theta, beta, cost, REGULARISER, warn=False) for cost in costs]


def _seconds(work: Callable[[], object], repeats: int) -> float:
    """The median; one more run goes first where it is repeated."""
    taken = []
    for _ in range(repeats + (repeats > 1)):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return float(np.median(taken[-repeats:]))
