"""What a project says when it is asked: suggestions, reasons, results, figures."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Float16, Int, Int16

from backend.types.samples import Verdict
from backend.types.vectors import Layout

Interval = tuple[float, float]
"""Low and high end."""


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

    def as_row(self, suggested: Collection[int]) -> dict[str, object]:
        """Plain values for programs; what is not known yet is None.

        Args:
            suggested: ids of the labels at their thresholds or above.
        """
        return {
            "sample": self.name,
            "suggestions": [
                {
                    "label": one.label,
                    "score": one.score,
                    "probability": one.probability,
                    "p_value": one.p_value,
                    "in_set": one.in_set,
                    "suggested": one.label_id in suggested,
                }
                for one in self.suggestions
            ],
            "set": self.set,
            "coverage": self.coverage,
            "version": self.version,
            "encoder": self.encoder,
        }


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
    """Two coordinates per sample; `method` is pca at once, the recipe's when its job is done."""

    ids: Int[np.ndarray, " n"]
    xy: Float[np.ndarray, "n 2"]
    method: str
    version: int
