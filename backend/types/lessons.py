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
        weights: (M,) how far people agree on each, or how far who said so is trusted, above 0 and
            up to 1; None: all of them 1.
    """

    rows: Int[np.ndarray, " m"]
    columns: Int[np.ndarray, " m"]
    targets: Float[np.ndarray, " m"]
    weights: Float[np.ndarray, " m"] | None = None


@dataclass(frozen=True)
class Trust:
    """Whom learners believe how far; see numerics/trust.py for what it is made of.

    Attributes:
        people: name -> the share of YES that are so which the person calls YES, and the share of
            NO that are so which the person calls YES.
        anybody: the same two of all of them together, for who is not among `people`.
        often: share of YES of what they judged.
    """

    people: Mapping[str, tuple[float, float]]
    anybody: tuple[float, float]
    often: float

    def rates(self, who: str) -> tuple[float, float]:
        """The two shares of a person."""
        return self.people.get(who, self.anybody)

    def as_json(self) -> dict[str, Any]:
        """As a step of the log and a version file keep it."""
        people = {who: list(rates) for who, rates in self.people.items()}
        return {"people": people, "anybody": list(self.anybody), "often": self.often}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Trust:
        """Read what `as_json` wrote."""
        seen, wrong = told["anybody"]
        people = {who: (float(one), float(other)) for who, (one, other) in told["people"].items()}
        return cls(people, (float(seen), float(wrong)), float(told["often"]))


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
            was removed), "trust" (it was estimated anew whom to trust) or "revert" (an earlier
            version is back).
        detail: what a kind needs beside: pack, labels, digest of a lane, version to go back to,
            whom to trust.
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
