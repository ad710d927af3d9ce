"""The nouns of Patchlane, one class each, and the letters of the shapes.

Letters: N samples, P parts, D width, L labels, K neighbours, M corrections. Arrays between rooms
are NumPy float32 unless said; tensors stay inside a method. A noun that a screen shows is the
same object the backend works with: there is no second copy for the screen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float16, Int, Int8, Int16, UInt64

CERTAIN = "certain:"
"""The source of verdicts that were accepted in bulk begins so; the level follows."""

Progress = Callable[[int, int, str], None]
"""Called with (done, total, note); raises to cancel."""
Interval = tuple[float, float]
"""Low and high end."""


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
class Layout:
    """Where the parts of one sample are: a grid for images, character spans for texts."""

    grid: tuple[int, int] | None = None
    spans: tuple[tuple[int, int], ...] | None = None


@dataclass(frozen=True)
class Encoded:
    """What an encoder says of N samples.

    Attributes:
        pooled: (N, D), unit rows, in the joint space of samples and labels.
        parts: per sample (P, D), unit rows; images of one encoder share P, texts do not.
        layouts: per sample, where its parts are.
    """

    pooled: Float[np.ndarray, "n d"]
    parts: tuple[Float[np.ndarray, "_ d"], ...]
    layouts: tuple[Layout, ...]


@dataclass(frozen=True)
class Linear:
    """A linear map as plain arrays: y = x @ weight.T + bias; weight (out, in), bias (out,)."""

    weight: Float[np.ndarray, "o i"]
    bias: Float[np.ndarray, " o"]


@dataclass(frozen=True)
class Norm:
    """A layer norm over the last axis; weight and bias (W,)."""

    weight: Float[np.ndarray, " w"]
    bias: Float[np.ndarray, " w"]
    epsilon: float = 1e-5


@dataclass(frozen=True)
class FrozenBlock:
    """One frozen transformer block, float32.

    Pre-norm: x + out(attention(norm1(x))), then x + down(act(up(norm2(x)))). Post-norm: norm1 and
    norm2 come after the sums. Gains on a branch (layer scale) are folded into `out` and `down`.
    """

    norm1: Norm
    query: Linear
    key: Linear
    value: Linear
    out: Linear
    norm2: Norm
    up: Linear
    down: Linear


@dataclass(frozen=True)
class FrozenStack:
    """The transformer that lanes live in; what a lane needs beside the tokens of a sample.

    Attributes:
        heads: attention heads; they divide the width W.
        start: (W,) what a lane's own CLS token is before the first block: the pretrained class
            token as the first block would get it, without a position.
        final_norm: norm after the last block; None where there is none (post-norm).
        activation: "gelu", "gelu_tanh", "quick_gelu" or "relu".
    """

    blocks: tuple[FrozenBlock, ...]
    heads: int
    start: Float[np.ndarray, " w"]
    final_norm: Norm | None
    is_post_norm: bool = False
    activation: str = "gelu"

    @property
    def width(self) -> int:
        """W."""
        return len(self.start)


@dataclass(frozen=True)
class LaneReading:
    """What lanes and their heads read of one sample; computed once, with the frozen stream.

    Attributes:
        tokens: (B, T, W) float16: what the attention of each of the B blocks gets, CLS included
            (post-norm: the block's input; pre-norm: norm1 of it).
        plain: (F,) float32, more numbers for a linear head that are not in the joint space, F may
            be 0 (a CNN trunk's mean cell, scaled to length 1).
    """

    tokens: Float16[np.ndarray, "b t w"]
    plain: Float[np.ndarray, " f"]


@dataclass(frozen=True)
class ScoreScale:
    """Constants, stored with an encoder, that bring its global and part scores to one scale.

    A score on the scale is (cosine - mean) / std; never statistics of the open project, so that
    a batch equals its items one at a time. The shipped score is the mean of both; a deviation
    above or below that of the scores makes one of them count less or more.

    Attributes:
        temperature: of the transport between parts and labels; positive.
    """

    global_mean: float = 0.0
    global_std: float = 1.0
    local_mean: float = 0.0
    local_std: float = 1.0
    temperature: float = 0.05


@dataclass(frozen=True)
class Alignment:
    """How well the parts of N samples fit L labels.

    Attributes:
        scores: (N, L), higher is better.
        forward: (N, P, L), rows sum to 1 over labels: what is this part? Rows of padding are 0.
        backward: (N, P, L), columns sum to 1 over parts: where is this label?
        similarity: (N, P, L), cosine of part and label.
    """

    scores: Float[np.ndarray, "n l"]
    forward: Float[np.ndarray, "n p l"]
    backward: Float[np.ndarray, "n p l"]
    similarity: Float[np.ndarray, "n p l"]

    @property
    def plan(self) -> Float[np.ndarray, "n p l"]:
        """Half the forward plus half the backward plan; sums to 1 per sample.

        Labels are weighted uniformly, and so are the real parts of a sample.
        """
        mass = np.maximum(self.forward.sum(axis=(1, 2), keepdims=True), 1e-12)
        return 0.5 * self.forward / mass + 0.5 * self.backward / self.backward.shape[2]


@dataclass(frozen=True)
class Features:
    """What a learner sees of N samples and L labels; scores are on the encoder's fixed scale.

    Attributes:
        pooled: (N, D) unit rows.
        global_scores: (N, L) zero-shot score of the whole sample.
        local_scores: (N, L) zero-shot transport score of its parts.
        plain: (N, F) more numbers for heads, F may be 0; rows of zeros where they are missing.
        lane_cls: per lane (N, W), its CLS times the lane's share; zeros where missing.
        lane_of: (L,) index into `lane_cls` of the lane that serves a label, or -1.
    """

    pooled: Float[np.ndarray, "n d"]
    global_scores: Float[np.ndarray, "n l"]
    local_scores: Float[np.ndarray, "n l"]
    plain: Float[np.ndarray, "n f"] | None = None
    lane_cls: tuple[Float[np.ndarray, "n w"], ...] = ()
    lane_of: Int[np.ndarray, " l"] | None = None


@dataclass(frozen=True)
class Lane:
    """The pathway of one label pack through a frozen encoder; it knows nothing of other lanes.

    Attributes:
        pack: name of the pack it was trained for.
        labels: ids of the labels it serves.
        lane_key: what it reads, see `LaneHost`.
        arrays: what the learner trained, float32.
        share: factor of its CLS for the heads; 0 where held-back verdicts saw no gain.
        digest: SHA-256 of the arrays.
        maker: fingerprint of the learner's lane settings.
    """

    pack: str
    labels: tuple[int, ...]
    lane_key: str
    arrays: Mapping[str, np.ndarray]
    share: float
    digest: str
    maker: str


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
class Suggestion:
    """A score for (sample, label); probability is None until calibrated.

    Attributes:
        brought: scores that other models gave, by the name they were imported under.
        p_value: of "the sample has the label"; None until label sets exist, as `in_set`.
        in_set: whether that cannot be excluded at the level of the sample's `coverage`.
    """

    label: str
    label_id: int
    score: float
    probability: float | None = None
    verdict: Verdict | None = None
    brought: Mapping[str, float] = field(default_factory=dict)
    p_value: float | None = None
    in_set: bool | None = None


@dataclass(frozen=True)
class SampleSuggestions:
    """All suggestions of one sample, best first, with the version that made them.

    Attributes:
        set: the labels that cannot be excluded; all that the sample has are among them with a
            chance of `coverage`. Both None until label sets exist.
    """

    sample: int
    name: str
    suggestions: tuple[Suggestion, ...]
    version: int
    encoder: str
    set: tuple[str, ...] | None = None
    coverage: float | None = None


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


@dataclass(frozen=True)
class Explanation:
    """Why: which part carries which label, for one sample.

    Attributes:
        forward, backward, plan, similarity: (P, L), as in `Alignment`.
        scores: (L,) shipped score of each label.
        spread: (L,) entropy of a label's map over log P: 0 one part, 1 everywhere.
        layout: grid (rows, cols over the whole displayed picture) or character spans.
        lanes: pack -> (P,) where the lane of that pack looked, sum 1; packs without one are absent.
        temperature: of the softmax behind the navigators; None for an aligner without one.
        unclaimed: (P,) how much each part is left over by the labels of the sample, 0..1; see
            numerics/leftover.py. None where only one label was asked about.
        claimers: the labels that claim parts there: accepted ones and likely ones.
    """

    sample: int
    name: str
    labels: tuple[str, ...]
    forward: Float[np.ndarray, "p l"]
    backward: Float[np.ndarray, "p l"]
    plan: Float[np.ndarray, "p l"]
    similarity: Float[np.ndarray, "p l"]
    scores: Float[np.ndarray, " l"]
    spread: Float[np.ndarray, " l"]
    layout: Layout
    version: int
    lanes: Mapping[str, Float[np.ndarray, " p"]] = field(default_factory=dict)
    temperature: float | None = None
    unclaimed: Float[np.ndarray, " p"] | None = None
    claimers: tuple[str, ...] = ()


@dataclass(frozen=True)
class LabelMap:
    """Where the labels of one sample are: the strongest few of each part, kept small.

    Attributes:
        labels: ids of the labels that were looked for: accepted ones and likely ones.
        columns: (P, K) indices into `labels`, -1 where a part has fewer; strongest first.
        values: (P, K) how much of the label lies on the part; before labels were left out, the
            values of a label added up to 1. 0 where the column is -1.
        layout: grid (rows, cols over the whole displayed picture) or character spans.
    """

    labels: tuple[int, ...]
    columns: Int16[np.ndarray, "p k"]
    values: Float16[np.ndarray, "p k"]
    layout: Layout

    def of(self, label: int) -> Float[np.ndarray, " p"]:
        """How much of one label lies on each part; zeros for a label without a map."""
        column = self.labels.index(label) if label in self.labels else -2
        return np.where(self.columns == column, self.values, 0).sum(axis=1, dtype=np.float32)


@dataclass(frozen=True)
class Hit:
    """One result of a search; `parts` are the indices of the parts that matched."""

    sample: int
    name: str
    score: float
    parts: tuple[int, ...] = ()


@dataclass(frozen=True)
class PickFacts:
    """What a picker may know beside scores, vectors and what is decided; any of it may be missing.

    Attributes:
        excluded: (N,) rows that are never picked, such as those of the calibration drawer.
        verdicts: (N, L) 1 for YES, 0 for NO, NaN for UNSURE and for no verdict.
        undecided: (N, L) what is not certain by the label sets.
        opinions: who else has a say on each pair, in words that go behind "by": (N, L) chances,
            NaN where one says nothing.
        parts: vectors of the parts of some rows, (P, D) each.
    """

    excluded: Bool[np.ndarray, " n"] | None = None
    verdicts: Float[np.ndarray, "n l"] | None = None
    undecided: Bool[np.ndarray, "n l"] | None = None
    opinions: Mapping[str, Float[np.ndarray, "n l"]] = field(default_factory=dict)
    parts: Callable[[Sequence[int]], Sequence[Float[np.ndarray, "_ d"]]] | None = None


@dataclass(frozen=True)
class QueueEntry:
    """What to look at next, and why, in words.

    Attributes:
        labels: names of the few labels that the sample asks about; an answer on others teaches
            less. See `numerics/questions.py`.
    """

    sample: int
    name: str
    picker: str
    reason: str
    score: float
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Forecast:
    """What the next answers will probably bring.

    Attributes:
        answers: verdicts on (sample, label) pairs from now, as the queue asks for them.
        gain: expected rise of the mAP on held-back verdicts, 0..1; None while too little is known.
        error: how far earlier forecasts of this project were off on average, 0..1; None before
            any could be compared with what came.
        compared: how many could.
        text: the same in a sentence.
    """

    answers: int
    gain: float | None
    error: float | None
    compared: int
    text: str


@dataclass(frozen=True)
class AuditCase:
    """What an auditor sees of N encoded samples and L labels.

    Attributes:
        vectors: (N, D) unit rows.
        given: (N, L) 1 YES, 0 NO, -1 no verdict or UNSURE.
        logits: (N, L) of heads that never saw a verdict on the sample; NaN where there are none.
        whole, local: (N, L) zero-shot scores of the sample and of its parts; no verdict in them.
        names: of the labels.
        splits: "train", "val" or "test".
        texts: of the samples, or what came beside them (captions, tags); "" where nothing did.
        text_match: (N, L) how well that text fits each label, higher is better; NaN without text.
        hashes: perceptual hashes of pictures; None for texts.
        imported: (N, L) the verdict came from a file.
        known_as: how many names a sample has: the same bytes were brought so often.
        neighbours: (N, K) the nearest rows by `vectors`, nearest first, never the row itself.
    """

    vectors: Float[np.ndarray, "n d"]
    given: Int8[np.ndarray, "n l"]
    logits: Float[np.ndarray, "n l"]
    whole: Float[np.ndarray, "n l"]
    local: Float[np.ndarray, "n l"]
    names: tuple[str, ...]
    splits: tuple[str, ...]
    neighbours: Int[np.ndarray, "n k"]
    texts: tuple[str, ...] = ()
    text_match: Float[np.ndarray, "n l"] | None = None
    hashes: UInt64[np.ndarray, " n"] | None = None
    imported: Bool[np.ndarray, "n l"] | None = None
    known_as: tuple[int, ...] = ()


@dataclass(frozen=True)
class Finding:
    """One thing that an auditor would have looked at.

    Attributes:
        kind: "label", "duplicate", "ambiguous" or "import".
        rows: the samples it is about; more than one only of duplicates.
        columns: the labels it is about; the first is the one in doubt.
        strength: 0..1, higher is worse.
        proposal: "yes", "no", "unsure", "drop" (no verdict), "relabel" (the first label is NO and
            the second YES), "remove" (all but the first row), or "" where a person has to see.
        evidence: what it rests on, by name; told side by side.
        reason: the same in a sentence.
    """

    kind: str
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    strength: float
    proposal: str
    evidence: Mapping[str, float]
    reason: str


@dataclass(frozen=True)
class Receipt:
    """Said after the commit: the log offset the rows ended at and the action's id."""

    op: str
    offset: int
    pairs: tuple[tuple[int, int], ...]


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


@dataclass(frozen=True)
class FileProblem:
    """One thing an import skipped or an export could not hold, and why."""

    file: str
    reason: str


@dataclass(frozen=True)
class ImportReport:
    """What came in: new samples, what was skipped and why, labels and annotations stored."""

    imported: int
    skipped: int
    errors: tuple[FileProblem, ...]
    labels: int
    annotations: int
    duplicates: int = 0
    op: str = ""


@dataclass(frozen=True)
class ExportReport:
    """What was written, and the counts of what the format cannot hold (`lost`)."""

    files: tuple[str, ...]
    samples: int
    annotations: int
    lost: Mapping[str, int]


@dataclass(frozen=True)
class LearnReport:
    """One learn: `changed` counts the samples whose suggested labels changed."""

    version: int
    from_version: int
    corrections: int
    steps: int
    seconds: float
    changed: int


@dataclass(frozen=True)
class Evaluation:
    """Quality on decided (sample, label) pairs; `unknown` says what became of all others.

    Attributes:
        mAP: mean of `ap`: labels with a YES and a NO count alike (macro).
        CF1: F1 of mean precision and mean recall of the labels, at their thresholds.
        OF1: F1 over all pairs, at the labels' thresholds.
        ap: label -> average precision.
        coverage, mean_set_size: of label sets; None without any.
        ece: calibration error of probabilities. Those of held-back samples were fitted on them.
        n: samples with a pair that counts.
        pairs: pairs that count.
        unknown: "masked": a pair without a verdict is left out; "no": on samples with a verdict it
            is NO; "complete": only samples decided on all labels count. UNSURE is left out always.
        mAP_micro: AP of one ranking of all pairs by probability.
        mAP_weighted: mean of `ap` weighted by the labels' YES.
        f1: "threshold", "top-3" (the three labels with the highest probability) and
            "best-threshold" (each label's best one, chosen on other samples) -> CF1, CF1_mean (mean
            of the labels' F1), OF1, and the precisions and recalls they are made of.
        intervals, ap_intervals: 95 %, by bootstrap over samples, `resamples` of them.
        ece_cross_fitted: calibration error of curves fitted without the sample itself.
        thresholds: label -> the threshold that a person chose; all others are at 0.5.
    """

    mAP: float | None
    CF1: float | None
    OF1: float | None
    ap: Mapping[str, float]
    coverage: float | None
    mean_set_size: float | None
    ece: float | None
    n: int
    split: str = "held-back"
    pairs: int = 0
    unknown: str = "masked"
    slice: tuple[str, ...] = ()
    version: int = 0
    mAP_micro: float | None = None
    mAP_weighted: float | None = None
    f1: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    ap_intervals: Mapping[str, Interval] = field(default_factory=dict)
    resamples: int = 0
    ece_cross_fitted: float | None = None
    thresholds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class MapPoints:
    """Two coordinates per sample; `method` says pca (at once) or umap (when its job is done)."""

    ids: Int[np.ndarray, " n"]
    xy: Float[np.ndarray, "n 2"]
    method: str
    version: int


@dataclass(frozen=True)
class RegionVerdict:
    """A verdict on a region of a sample, by label name (as files hold it).

    `verdict` is what counts; the region gets it when it is stored.
    """

    label: str
    verdict: Verdict
    region: Region


@dataclass(frozen=True)
class Draft:
    """What a reader understood of one sample or of an annotation for one; nothing is stored yet.

    Attributes:
        name: path relative to the imported root, forward slashes; or a sample's name.
        path: media file on disk to take in; None for texts and for annotations of samples that
            are in the project already.
        text: the text itself; None for images.
        verdicts: by label name; absent labels are unknown, also where a region shows them.
        predictions: by label name, scores that another model gave.
        only_present: the source lists only what is present (`--unlisted no` turns the rest to NO).
        names: further names of the same sample.
    """

    name: str
    path: Path | None = None
    text: str | None = None
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    regions: tuple[RegionVerdict, ...] = ()
    predictions: Mapping[str, float] = field(default_factory=dict)
    split: Split | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)
    who: str = ""
    when: float | None = None
    only_present: bool = False
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class BroughtVectors:
    """One vector per sample that another model made, searched beside ours.

    Attributes:
        source: what to call the model, by default the file's stem.
        names: (N,) names of samples, in the order of the rows.
        vectors: (N, D) finite rows, not scaled.
    """

    source: str
    names: tuple[str, ...]
    vectors: Float[np.ndarray, "n d"]


@dataclass(frozen=True)
class ExportRow:
    """One sample with its current verdicts by label id."""

    sample: Sample
    verdicts: Mapping[int, Correction]


@dataclass(frozen=True)
class MachineBox:
    """Where a label seems to be; nobody drew it.

    Attributes:
        region: a box.
        score: the share of the label's map that lies in it, 0..1.
    """

    label: int
    region: Region
    score: float


def no_label_map(_sample: Sample) -> LabelMap | None:
    """Of a project without maps."""
    return None


def no_boxes(_sample: Sample, _labels: Sequence[int]) -> Sequence[MachineBox]:
    """Of a project without maps."""
    return ()


@dataclass(frozen=True)
class ExportSource:
    """What an exporter may see of a project: the log's current state, not the screen's.

    Attributes:
        label_map: where the labels of a sample are; None while it is not encoded.
        boxes: where some labels of a sample seem to be; none for a label that is nowhere.
    """

    name: str
    kind: Kind
    labels: tuple[Label, ...]
    rows: Callable[[], Iterator[ExportRow]]
    media: Callable[[Sample], Path]
    version: int
    label_map: Callable[[Sample], LabelMap | None] = no_label_map
    boxes: Callable[[Sample, Sequence[int]], Sequence[MachineBox]] = no_boxes
