"""What each shelf promises, on one page.

A method is a class with a frozen `Settings` dataclass inside it; `Method()` uses the defaults, but
for encoders side by side, which are made of their members. It never changes its inputs, gives the
same answer for the same seed, and its `fingerprint` changes when settings or weights change, and
only then. `tests/conformance` holds every member to this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int

from backend.types import (
    Alignment,
    AuditCase,
    BroughtVectors,
    Draft,
    Encoded,
    ExportSource,
    Features,
    FileProblem,
    Finding,
    FrozenStack,
    Kind,
    LaneLessons,
    LaneReading,
    Lessons,
    PickFacts,
    ScoreScale,
)

if TYPE_CHECKING:
    from PIL.Image import Image

State = dict[str, np.ndarray]
"""What a method learned: named arrays, saved as safetensors beside a JSON of the settings."""


NO_FACTS = PickFacts()
"""Scores, vectors and what is decided are all that a picker is told."""


@runtime_checkable
class Encoder(Protocol):
    """What does it look or sound like, as numbers?

    Samples and labels live in one space of width `dim`. A batch equals its items one at a time.
    Images are stretched or padded, never cropped; padding is no part.

    An encoder that cannot read says `has_text_side = False` (ask `has_text_side` below): its
    `encode_labels` gives rows of zeros, so that every zero-shot score is 0 and labels live as
    prototypes of their verdicts alone, and its `encode_texts` raises BadInputError.
    """

    id: str
    kind: Kind
    dim: int
    fingerprint: str
    scale: ScoreScale
    input_size: int
    """Pixels of the longer side that are enough (a decoder may shrink to it); 0 for texts."""

    def encode(self, samples: Sequence[Image] | Sequence[str]) -> Encoded: ...

    def encode_labels(self, names: Sequence[str]) -> Float[np.ndarray, "l d"]: ...

    def encode_texts(self, texts: Sequence[str]) -> Float[np.ndarray, "n d"]:
        """Queries in the same space; unit rows."""
        ...


@runtime_checkable
class LaneHost(Protocol):
    """An encoder that lanes can live in: a frozen transformer whose stream can be watched.

    A lane never changes the stream, so a sample's reading is computed once and kept; `lane_key`
    names all that decides it. An encoder that cannot be a host has no such methods, or answers
    `lane_refusal` with the reason in one sentence; its labels learn by heads alone.
    """

    lane_key: str
    lane_refusal: str
    """"" for a host."""
    plain_dim: int
    """F of `LaneReading.plain`."""

    def frozen_stack(self) -> FrozenStack: ...

    def read(self, samples: Sequence[Image] | Sequence[str]) -> tuple[Encoded, list[LaneReading]]:
        """`encode`, and the readings, from the same forward pass."""
        ...


@runtime_checkable
class LayerHost(Protocol):
    """An encoder whose earlier blocks can be asked where labels are.

    Each layer has the cells of a sample in the space of labels, the last layer its parts. An
    encoder that cannot give them has no such methods, or answers `layer_refusal` in one sentence.
    """

    num_layers: int
    """K, the parts included."""
    layer_refusal: str
    """"" for a host."""

    def layers(self, samples: Sequence[Image] | Sequence[str]) -> list[Float[np.ndarray, "p k d"]]:
        """Per sample its cells in each layer, unit rows."""
        ...


def has_text_side(encoder: object) -> bool:
    """Whether an encoder brings names and queries into the space of its samples."""
    return bool(getattr(encoder, "has_text_side", True))


def lane_host(encoder: object) -> LaneHost | None:
    """The encoder as a host of lanes, or None if they cannot live in it."""
    return encoder if isinstance(encoder, LaneHost) and not encoder.lane_refusal else None


def token_owners(host: LaneHost, sample: Any) -> Int[np.ndarray, " t"] | None:
    """Which part each token of a sample's reading belongs to, -1 for none.

    None where the parts are the last tokens in their order, as in a grid behind class tokens.
    """
    ask = getattr(host, "token_owners", None)
    return None if ask is None else ask(sample)


def why_no_lanes(encoder: Encoder) -> str:
    """Why lanes cannot live in an encoder, in one sentence; "" if they can."""
    unknown = (
        f"no lanes with {encoder.id}: it shows no transformer; its labels learn by heads alone"
    )
    return getattr(encoder, "lane_refusal", unknown)


def layer_host(encoder: object) -> LayerHost | None:
    """The encoder as one that gives layers, or None if it cannot."""
    return encoder if isinstance(encoder, LayerHost) and not encoder.layer_refusal else None


def why_no_layers(encoder: Encoder) -> str:
    """Why an encoder gives no layers, in one sentence; "" if it does."""
    unknown = (
        f"no layers with {encoder.id}: nothing brings what its earlier blocks make of a part to "
        "where labels are; its maps are of its parts alone"
    )
    return getattr(encoder, "layer_refusal", unknown)


def layers_of_reading(
    host: LayerHost, parts: Float[np.ndarray, "p d"], reading: LaneReading
) -> Float[np.ndarray, "p k d"] | None:
    """The layers of a sample whose reading is there; None if they need a pass of their own."""
    ask = getattr(host, "layers_of_reading", None)
    return None if ask is None else ask(parts, reading)


def reads_layers(aligner: object) -> bool:
    """Whether an aligner takes the layers of parts, side by side in their width: (N, P, K D)."""
    return bool(getattr(aligner, "reads_layers", False))


@runtime_checkable
class Aligner(Protocol):
    """How well does each part fit each label?

    One that reads layers takes parts of one layer too, and is then told of these alone.
    """

    fingerprint: str

    def align(
        self,
        parts: Float[np.ndarray, "n p d"],
        labels: Float[np.ndarray, "l d"],
        *,
        real: Bool[np.ndarray, "n p"] | None = None,
        weights: Float[np.ndarray, " l"] | None = None,
        saliency: Float[np.ndarray, "n p"] | None = None,
    ) -> Alignment: ...

    def score(
        self,
        parts: Float[np.ndarray, "n p d"],
        labels: Float[np.ndarray, "l d"],
        *,
        real: Bool[np.ndarray, "n p"] | None = None,
        saliency: Float[np.ndarray, "n p"] | None = None,
    ) -> Float[np.ndarray, "n l"]:
        """The scores of `align` without its plans; much less memory."""
        ...


@runtime_checkable
class Learner(Protocol):
    """What do the corrections change?

    Scores are logits. `start` gives the state before any verdict: its scores are the zero-shot
    scores, brought to logits by constants that keep their order. `learn` is
    a pure function of its arguments, so replaying the log gives the live model back. Columns of
    labels without a new lesson keep their state bit by bit.
    """

    fingerprint: str

    def start(self, num_labels: int, dim: int) -> State: ...

    def extend(self, state: State, num_labels: int) -> State:
        """Add zero-shot columns at the end; the old columns' scores stay the same."""
        ...

    def learn(
        self, state: State, features: Features, lessons: Lessons, *, steps: int = 0, seed: int = 0
    ) -> tuple[State, int]:
        """Fold all lessons in, starting from `state`; `steps` 0 means until converged.

        `features` and `lessons` hold the samples with lessons on the labels that changed or all
        labels; returns the new state and the number of optimiser steps done.
        """
        ...

    def forget(self, state: State, columns: Sequence[int]) -> State:
        """Some columns as they are before any verdict; the others stay."""
        ...

    def score(self, state: State, features: Features) -> Float[np.ndarray, "n l"]: ...


@runtime_checkable
class LaneTeacher(Protocol):
    """A learner that has lanes beside its heads.

    `network` is whatever the learner makes of a host's blocks; it is handed back as it is.
    """

    shares: Sequence[float]
    """What `Lane.share` may be; the first of equals is taken."""

    @property
    def views(self) -> int:
        """In how many fixed ways each taught sample is read, 1 for as it is."""
        ...

    @property
    def has_crop_labels(self) -> bool:
        """Whether these are small crops, each taught with what a label's map says it shows."""
        ...

    @property
    def maker(self) -> str:
        """Names the shape of the lanes; lanes of another shape are refused."""
        ...

    def network(self, stack: FrozenStack, *, device: str = "cpu") -> Any: ...

    def teach(
        self,
        network: Any,
        taught: LaneLessons,
        held: LaneLessons | None,
        *,
        start: State | None,
        steps: int = 0,
        seed: int = 0,
        threads: int = 1,
        on_epoch: Callable[[int, int, float], bool] = ...,
    ) -> tuple[State, int]:
        """Train one lane; the same arguments and `steps` give the same arrays."""
        ...

    def read(
        self, network: Any, lanes: Sequence[State], readings: Sequence[LaneReading]
    ) -> Float[np.ndarray, "t n w"]:
        """What each lane says of each sample; unit rows."""
        ...

    def look(
        self, network: Any, lane: State, reading: LaneReading
    ) -> tuple[Float[np.ndarray, " p"], Float[np.ndarray, "s p"]]:
        """Where a lane looks on one sample: over its tokens, and that of each selector."""
        ...

    def check_lane(self, network: Any, arrays: State) -> None:
        """Raise BadInputError unless these are arrays of a lane of this learner."""
        ...

    def anchored(self, state: State, columns: Sequence[int], heads: State) -> State:
        """Heads that came from elsewhere, in the order of `columns`; verdicts move them."""
        ...

    def without_lane(self, state: State, columns: Sequence[int]) -> State:
        """The state with what the heads of some columns took from a lane set to nothing."""
        ...


@runtime_checkable
class Calibrator(Protocol):
    """How sure are we, honestly?

    Per label and monotone: order within a label is never reversed. Labels with too few held-back
    verdicts get NaN ("not enough verdicts yet").
    """

    fingerprint: str

    def fit(self, scores: Float[np.ndarray, "n l"], lessons: Lessons) -> State: ...

    def probabilities(
        self, state: State, scores: Float[np.ndarray, "n l"]
    ) -> Float[np.ndarray, "n l"]: ...


@runtime_checkable
class SetCalibrator(Protocol):
    """What is certain, at a level, of samples that are exchangeable with the decided ones?

    `truth` is 1 for YES, 0 for NO and -1 for UNSURE. Nothing is certain with fewer than `needed`
    decided samples.
    """

    fingerprint: str
    promise: str
    """What holds with a chance of `level`, in words."""

    def fit(self, chances: Float[np.ndarray, "n l"], truth: Int[np.ndarray, "n l"]) -> State:
        """Learn from decided samples; `chances`, 0..1, are of a model that did not."""
        ...

    def certificates(
        self, state: State, chances: Float[np.ndarray, "n l"], level: float
    ) -> Int[np.ndarray, "n l"]:
        """1 surely yes, -1 surely no, 0 undecided."""
        ...

    def p_values(
        self, state: State, chances: Float[np.ndarray, "n l"]
    ) -> tuple[Float[np.ndarray, "n l"], Float[np.ndarray, "n l"]]:
        """Of "has the label" and of "has it not"; NaN where the promise gives none."""
        ...

    def needed(self, level: float) -> int:
        """Decided samples from which on anything can be certain."""
        ...


def needed_facts(picker: object) -> frozenset[str]:
    """Facts that take work to gather and that a picker asks for by its `needs`.

    They are "opinions" and "undecided", as in `PickFacts`; the others are always there.
    """
    return getattr(picker, "needs", frozenset())


@runtime_checkable
class Picker(Protocol):
    """What should a person look at next?

    One that lives by what takes work to gather says so, see `needed_facts`.
    """

    fingerprint: str

    def pick(
        self,
        scores: Float[np.ndarray, "n l"],
        pooled: Float[np.ndarray, "n d"],
        decided: Bool[np.ndarray, "n l"],
        *,
        k: int,
        seed: int = 0,
        label_names: Sequence[str] = (),
        facts: PickFacts = NO_FACTS,
    ) -> list[tuple[int, float, str]]:
        """At most k distinct (row, score, reason).

        Never a row whose labels are all decided, nor one that `facts` exclude; all others come
        sooner or later. `scores` are probabilities where calibrated, else a logistic of the score.
        A picker that lacks a fact it lives by does without and says so.
        """
        ...


@runtime_checkable
class Auditor(Protocol):
    """Which labels are probably wrong?

    Findings come strongest first, each of a kind the auditor names in `kind`. Nothing is said of a
    pair without a verdict, and an order of samples changes no strength.
    """

    fingerprint: str
    kind: str

    def audit(self, case: AuditCase, *, seed: int = 0) -> list[Finding]: ...


@runtime_checkable
class Index(Protocol):
    """What is like this? Exact members equal brute force; a stored vector finds itself at 1."""

    fingerprint: str

    def __len__(self) -> int: ...

    def add(self, ids: Int[np.ndarray, " n"], vectors: Float[np.ndarray, "n d"]) -> None: ...

    def remove(self, ids: Int[np.ndarray, " n"]) -> None: ...

    def search(
        self,
        queries: Float[np.ndarray, "q d"],
        k: int,
        *,
        within: Int[np.ndarray, " m"] | None = None,
    ) -> tuple[Int[np.ndarray, "q k"], Float[np.ndarray, "q k"]]:
        """Ids and cosine similarities, best first; fewer columns if fewer are stored.

        Only the ids of `within` are looked at; None means all, and ids not stored are passed over.
        """
        ...


@runtime_checkable
class Projector(Protocol):
    """Where does it sit on the map? `place` never moves the points that `fit` saw."""

    fingerprint: str

    def fit(self, vectors: Float[np.ndarray, "n d"], *, seed: int = 0) -> State: ...

    def place(
        self, state: State, vectors: Float[np.ndarray, "n d"]
    ) -> Float[np.ndarray, "n 2"]: ...


@runtime_checkable
class Writer(Protocol):
    """How do we say it in words, and by which examples?"""

    fingerprint: str

    def choose(
        self,
        vectors: Float[np.ndarray, "c d"],
        fits: Float[np.ndarray, "c n"],
        own: Int[np.ndarray, " c"],
        truth: Bool[np.ndarray, " n"],
        *,
        k: int,
        kept: Sequence[int] = (),
        seed: int = 0,
    ) -> list[int]:
        """At most k of C candidates that tell what a label is, best first, none of them twice.

        `vectors` are the candidates, unit rows; `fits` says how well each of N decided samples
        fits each of them, `truth` which of these show the label, `own` which of them a candidate is
        from, -1 for none. Those of `kept` come first, whatever they bring.
        """
        ...


@runtime_checkable
class Reader(Protocol):
    """What did they bring?"""

    def accepts(self, path: Path) -> bool:
        """True if this reader is the right one for `path`; looks at content, not only the name."""
        ...

    def read(self, path: Path) -> Iterator[Draft | BroughtVectors | FileProblem]:
        """Yield what was understood, and each thing that was not with the reason; never stop."""
        ...


@runtime_checkable
class Exporter(Protocol):
    """How do they take it home?"""

    def write(self, source: ExportSource, dest: Path) -> Mapping[str, int]:
        """Write below `dest`; returns counts of what the format cannot hold."""
        ...
