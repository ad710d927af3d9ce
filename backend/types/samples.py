"""What is labelled, and what people say of it: rows of the log and their nouns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """What the samples of a project are."""

    IMAGE = "image"
    TEXT = "text"


class Verdict(StrEnum):
    """A person's answer on (sample, label). No verdict is unknown, never NO."""

    YES = "yes"
    NO = "no"
    UNSURE = "unsure"


class Split(StrEnum):
    """The part of the data a sample belongs to; nothing is learned from val or test."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"


@dataclass(frozen=True)
class Region:
    """A box, polygon or span on a sample: geometry, never a part's number.

    Attributes:
        kind: "box" (x, y, w, h), "polygon" (x0, y0, x1, y1, ...) or "span" (start, end).
        points: box and polygon in 0..1 of the displayed picture; a span in characters.
        verdict: on the label in this place: YES it is here, NO it is not here; UNSURE as files
            say it, which nothing learns from.
    """

    kind: str
    points: tuple[float, ...]
    verdict: Verdict = Verdict.YES

    @property
    def is_here(self) -> bool:
        """The label is in this place."""
        return self.verdict is Verdict.YES

    @property
    def is_absent(self) -> bool:
        """The label is not in this place, wherever else it is."""
        return self.verdict is Verdict.NO


@dataclass(frozen=True)
class Sample:
    """One image or text."""

    id: int
    name: str
    kind: Kind
    content_hash: str
    split: Split = Split.TRAIN
    names: tuple[str, ...] = ()
    width: int = 0
    height: int = 0
    text: str | None = None
    is_linked: bool = False
    metadata: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Label:
    """One thing a sample can show."""

    id: int
    name: str
    pack: str = "main"
    definition: str = ""
    aliases: tuple[str, ...] = ()
    parent: int | None = None
    colour: str = ""
    key: str = ""


CERTAIN = "certain:"
"""The source of verdicts that were accepted in bulk begins so; the level follows."""


@dataclass(frozen=True)
class Correction:
    """All that a person says of (sample, label), one row of the append-only log.

    Attributes:
        offset: position in the log, 1 for the first row.
        verdict: on the whole sample; None says nothing of it (the pair is unknown again).
        op: rows of one action share it; undo names it.
        version: the version the person saw.
        regions: verdicts on places in the sample, oldest first; they do not depend on `verdict`.
            Those that say "here" sleep while it is NO.
        who: the person, or `import:FILE` where a file named nobody.
        weight: of what counts of a pair, how far people agree, 0..1; see store/voices.py. A tie
            has no verdict and the weight 0.
        votes: of what counts of a pair by the votes of several people, who gave which verdict, by
            name; empty otherwise.
    """

    offset: int
    sample: int
    label: int
    verdict: Verdict | None
    who: str
    when: float
    op: str
    version: int = 0
    regions: tuple[Region, ...] = ()
    source: str = "person"
    weight: float = 1.0
    votes: tuple[tuple[str, Verdict], ...] = ()

    @property
    def is_blank(self) -> bool:
        """It says nothing, neither of the whole sample nor of a place in it."""
        return self.verdict is None and not self.regions

    @property
    def is_accepted(self) -> bool:
        """A person took over what label sets said in bulk, without a look at it.

        Nothing is learned from it, calibrated by it or measured on it: that would be a model that
        agrees with itself.
        """
        return self.source.startswith(CERTAIN)


@dataclass(frozen=True)
class Receipt:
    """Said after the commit: the log offset the rows ended at and the action's id."""

    op: str
    offset: int
    pairs: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class GoneLabel:
    """A label that was here and is not any more.

    Attributes:
        name: empty where `compact` forgot it.
        into: the label that it was merged into, or that this one was in turn; None: it was removed.
    """

    id: int
    name: str
    into: Label | None = None


@dataclass(frozen=True)
class Deed:
    """One action of the log as it is told to a person, before or after it is taken back.

    Attributes:
        op: its id; undo takes it.
        kind: what was done: "correct", "import", "remove samples", "add labels", ...
        who: the person.
        samples: how many came, went or got verdicts.
        labels: how many came, went, were changed or got verdicts.
        verdicts: how many were stored.
        names: the source of an import, else the first few samples or labels it was about.
    """

    op: str
    kind: str
    who: str
    samples: int
    labels: int
    verdicts: int
    names: tuple[str, ...]
