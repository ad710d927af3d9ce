"""What pickers and auditors are told of a project, and what an auditor finds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int, Int8, UInt64


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
