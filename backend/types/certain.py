"""What is certain: the calibration drawer, label sets, and what was accepted by them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int


@dataclass(frozen=True)
class Drawer:
    """The calibration drawer: which training samples are decided for calibration alone.

    Attributes:
        share: of the training samples, in 0..1; a larger one holds all of a smaller one.
        seed: of the draw.
    """

    share: float
    seed: int = 0

    def holds(self, other: Drawer | None) -> bool:
        """Whether all of another drawer is in this one."""
        return other is None or (other.seed == self.seed and other.share <= self.share)


@dataclass(frozen=True)
class DrawerReport:
    """How far the calibration drawer is decided.

    Attributes:
        share: of the training samples; 0 while there is no drawer.
        members: samples in it.
        decided: members whose every label is decided.
        counted: members that calibrate: the first ones in the drawer's order, on `labels`.
        labels: names of the labels that these are decided on.
        uncovered: the other labels; nothing is ever certain of them.
        need: level -> how many more have to be decided before it makes anything certain.
    """

    share: float
    members: int
    decided: int
    counted: int
    labels: tuple[str, ...]
    uncovered: tuple[str, ...]
    need: Mapping[float, int]


@dataclass(frozen=True)
class LabelSets:
    """What is certain of the N samples of a project at one level; L labels.

    Attributes:
        guarantee: "joint", "label" or "recall"; what each promises is in its method's words.
        version: the version whose scores it is of.
        counted: decided samples of the drawer that it rests on.
        state: 1 surely yes, -1 surely no, 0 undecided.
        present, absent: p-values of having the label and of not having it; NaN where there is none.
        covered: labels that the drawer is decided on.
        why: one sentence where nothing can be certain, else "".
        is_stale: there are verdicts that the version has not learned from yet.
    """

    level: float
    guarantee: str
    version: int
    counted: int
    state: Int[np.ndarray, "n l"]
    present: Float[np.ndarray, "n l"]
    absent: Float[np.ndarray, "n l"]
    covered: Bool[np.ndarray, " l"]
    why: str = ""
    is_stale: bool = False

    @property
    def width(self) -> Int[np.ndarray, " n"]:
        """How many labels of each sample are left undecided."""
        return (self.state == 0).sum(axis=1)


@dataclass(frozen=True)
class LikelySet:
    """One label set that a sample may have, by label ids, with its p-value."""

    labels: tuple[int, ...]
    p_value: float


@dataclass(frozen=True)
class SampleSets:
    """What is certain of one sample; label ids, the surest first, undecided ones likeliest first.

    Attributes:
        num_sets: label sets that cannot be excluded; None where there are too many to count.
        confidence: 1 minus the second largest p-value of a set.
        credibility: the largest one; a small one says that the sample is odd.
        likely: the sets with the largest p-values, best first.
    """

    sample: int
    name: str
    level: float
    guarantee: str
    version: int
    counted: int
    why: str
    is_stale: bool
    in_drawer: bool
    yes: tuple[int, ...] = ()
    undecided: tuple[int, ...] = ()
    no: tuple[int, ...] = ()
    num_sets: int | None = None
    confidence: float | None = None
    credibility: float | None = None
    likely: tuple[LikelySet, ...] = ()
    present: Mapping[int, float] = field(default_factory=dict)
    absent: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class AcceptPlan:
    """What accepting everything certain would store, and how much of it would be wrong.

    Attributes:
        samples: that would get a verdict.
        yes, no: verdicts.
        wrong_samples: with a wrong verdict among them, at most, on average; None where the
            guarantee is not of whole samples.
        wrong_verdicts: that are expected, as it went with the drawer's own samples.
    """

    level: float
    guarantee: str
    samples: int
    yes: int
    no: int
    wrong_samples: float | None
    wrong_verdicts: float


@dataclass(frozen=True)
class Acceptance:
    """What was accepted in bulk once, what was expected then, and what was found since.

    Attributes:
        checked: verdicts of it that a person decided again since.
        wrong: those among them that were decided otherwise.
        is_undone: it was taken back.
    """

    op: str
    when: float
    who: str
    version: int
    plan: AcceptPlan
    checked: int = 0
    wrong: int = 0
    is_undone: bool = False
    offset: int = 0


@dataclass(frozen=True)
class Realised:
    """Whether the label set of a sample, decided later, was among those that were claimed.

    Attributes:
        when: of its last verdict.
        version: seen at its first verdict; the claim is of that moment.
        covered: level -> whether its set was not excluded.
        width: level -> labels that were left undecided.
    """

    sample: int
    when: float
    version: int
    counted: int
    covered: Mapping[float, bool]
    width: Mapping[float, int]


@dataclass(frozen=True)
class CoveragePoint:
    """Claimed and realised coverage of some samples; `low` and `high` hold it with 95 %."""

    level: float
    first: float
    last: float
    n: int
    realised: float
    low: float
    high: float
