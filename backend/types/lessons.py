"""Verdicts as learners take them, and one run of a learner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from backend.types.lanes import LaneReading


@dataclass(frozen=True)
class Lessons:
    """Verdicts as a learner takes them: M known (row, column) pairs; everything else is masked.

    UNSURE verdicts are not in here: they are neither YES nor NO.

    Attributes:
        rows, columns: (M,) indices into the samples and labels of `Features`.
        targets: (M,), 1 for YES and 0 for NO.
        weights: (M,) how far people agree on each, above 0 and up to 1; None: all of them 1.
    """

    rows: Int[np.ndarray, " m"]
    columns: Int[np.ndarray, " m"]
    targets: Float[np.ndarray, " m"]
    weights: Float[np.ndarray, " m"] | None = None


@dataclass(frozen=True)
class LaneLessons:
    """Verdicts as a lane is trained on them: N samples, the L labels of its pack.

    Attributes:
        readings: of the N samples.
        base: (N, L) zero-shot logits, what the lane starts from.
        targets: (N, L), 1 for YES, 0 for NO and where masked.
        known: (N, L), False where masked.
        weights: (N, L) as in `Lessons`, 1 where masked; None: all of them 1.
    """

    readings: Sequence[LaneReading]
    base: Float[np.ndarray, "n l"]
    targets: Float[np.ndarray, "n l"]
    known: Bool[np.ndarray, "n l"]
    weights: Float[np.ndarray, "n l"] | None = None

    def __len__(self) -> int:
        return len(self.readings)


@dataclass(frozen=True)
class LearnStep:
    """One run of the learner, a row of the same log; replaying the rows gives the model back.

    Attributes:
        offset: corrections up to and including this log offset were learned from.
        version: the version the step made, `from_version` the one it started from.
        recipe: fingerprint of learner, recipe and encoder.
        split_seed: seed of the held-back split.
        steps: optimiser steps done (time limits and pauses only decide this number).
        kind: "fold" (heads of changed labels), "lane" (a lane was trained), "import" (a lane came
            from a file), "back" (a lane that was lost was put back from its file), "drop" (a lane
            was removed) or "revert" (an earlier version is back).
        detail: what a kind needs beside: pack, labels, digest of a lane, version to go back to.
    """

    version: int
    from_version: int
    offset: int
    recipe: str
    seed: int
    split_seed: int
    steps: int
    when: float
    kind: str = "fold"
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class LearnReport:
    """One learn: `changed` counts the samples whose suggested labels changed."""

    version: int
    from_version: int
    corrections: int
    steps: int
    seconds: float
    changed: int
