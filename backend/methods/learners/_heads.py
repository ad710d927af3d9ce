"""One logistic head per label on frozen features, drawn towards the zero-shot score.

    score = a global + b local + w . pooled + c

`global` and `local` are the zero-shot scores of the whole sample and of its parts, `pooled` the
sample's unit vector. Before any verdict a = b = slope / 2, w = 0, c = offset: the shipped average
of both scores, brought to a logit by two constants, which keeps its order. Each verdict moves the
head of its own label only; how far is a Gaussian prior around that start, one precision each for
(a, b), w and c. Unknown pairs are masked, UNSURE never gets here. A verdict that people do not
agree on counts as the share that its lesson weighs.

The objective is strictly convex and solved to a stated tolerance, so the warm start only saves
time. A head with only YES or only NO stays within reach of its prior. Labels know nothing of each
other: teaching one leaves the rest bit by bit as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from backend.contracts import State
from backend.errors import BadInputError
from backend.numerics import logistic
from backend.types import Features, Lessons


class LogisticHeads:
    """State: `mix` (L, 2), `weights` (L, D), `offset` (L,), float64.

    After heads came from elsewhere also `anchor` (L, D + 3): what each head is drawn to, a, b, w
    and c in a row.
    """

    @dataclass(frozen=True)
    class Settings:
        """The prior, in units of the encoder's score scale.

        Chosen on the validation folds of `nlupp`, on `goemotions` and on `coco_mini`: texts like a
        weight precision of 0.05 and photographs 0.3, at 0.15 neither loses a point of mAP;
        balancing gains nothing in mAP and makes the logits worse.

        Attributes:
            slope: logits per unit of the zero-shot score.
            offset: logit of a zero-shot score of 0.
            mix_precision: how firmly (a, b) is held at its start; 1 / variance.
            weight_precision: the same for w.
            offset_precision: the same for c.
            balance: 0 counts each verdict alike, 1 gives YES and NO of a label equal weight.
        """

        slope: float = 1.3
        offset: float = -3.5
        mix_precision: float = 10.0
        weight_precision: float = 0.15
        offset_precision: float = 0.1
        balance: float = 0.0

    def __init__(self, settings: Settings | None = None):
        self.settings = settings or self.Settings()

    def start(self, num_labels: int, dim: int) -> State:
        return {
            "mix": np.full((num_labels, 2), self.settings.slope / 2),
            "weights": np.zeros((num_labels, dim)),
            "offset": np.full(num_labels, self.settings.offset),
        }

    def extend(self, state: State, num_labels: int) -> State:
        have, dim = state["weights"].shape
        if num_labels < have:
            raise BadInputError(f"the state has {have} labels and cannot shrink to {num_labels}")
        fresh = self.start(num_labels - have, dim)
        if "anchor" in state:
            fresh["anchor"] = self._anchors(fresh, num_labels - have, dim)
        return {name: np.concatenate([state[name], fresh[name]]) for name in state}

    def forget(self, state: State, columns: Sequence[int]) -> State:
        """Some heads as they are before any verdict: zero-shot, or where they are anchored."""
        width = state["weights"].shape[1]
        heads = self._anchors(state, len(state["weights"]), width)[list(columns)]
        out = {name: array.copy() for name, array in state.items()}
        out["mix"][list(columns)] = heads[:, :2]
        out["weights"][list(columns)] = heads[:, 2:-1]
        out["offset"][list(columns)] = heads[:, -1]
        return out

    def anchored(self, state: State, columns: Sequence[int], heads: State) -> State:
        """Heads made elsewhere in place of the zero-shot ones; verdicts move them from there.

        Raises:
            BadInputError: the heads are of another width, or not finite.
        """
        count, width = len(columns), state["weights"].shape[1]
        shapes = {"mix": (count, 2), "weights": (count, width), "offset": (count,)}
        for name, shape in shapes.items():
            if name not in heads or heads[name].shape != shape:
                raise BadInputError(f"the heads have no {name} of the shape {shape}")
            if not np.isfinite(heads[name]).all():
                raise BadInputError(f"the heads' {name} hold numbers that are not finite")
        anchor = self._anchors(state, len(state["weights"]), width)
        anchor[list(columns)] = np.concatenate(
            [heads["mix"], heads["weights"], heads["offset"][:, None]], axis=1
        )
        return self.forget({**state, "anchor": anchor}, columns)

    def _anchors(self, state: State, num_labels: int, width: int) -> Float[np.ndarray, "l q"]:
        """What each head is drawn to."""
        if "anchor" in state:
            return state["anchor"].copy()
        return np.tile(self._prior(width).mean, (num_labels, 1))

    def learn(
        self,
        state: State,
        features: Features,
        lessons: Lessons,
        *,
        steps: int = 0,
        seed: int = 0,  # noqa: ARG002 - nothing is random
    ) -> tuple[State, int]:
        """Solve the head of each label that has lessons; `steps` is the most for each of them.

        The number returned is that of the label which took most: replaying with it as `steps`
        gives the same state.
        """
        check_scores(state, features, features.pooled.shape[1])
        prior = self._prior(features.pooled.shape[1])
        anchors = state.get("anchor")
        learned = {name: values.copy() for name, values in state.items()}
        most = 0
        # One order of lessons whatever order they came in: sums are then the same bit by bit.
        order = np.lexsort((lessons.rows, lessons.columns))
        rows, columns = lessons.rows[order], lessons.columns[order]
        targets = lessons.targets[order].astype(float)
        weights = None if lessons.weights is None else lessons.weights[order].astype(float)
        for label in np.unique(columns).tolist():
            mine = columns == label
            head = np.concatenate(
                [state["mix"][label], state["weights"][label], state["offset"][label : label + 1]]
            )
            x = _design(features, rows[mine], label)
            mean = prior.mean if anchors is None else anchors[label]
            start = (head - mean) * prior.root
            solved, done = logistic.fit(
                x / prior.root,
                x @ mean,
                targets[mine],
                _importance(targets[mine], self.settings.balance)
                * (1.0 if weights is None else weights[mine]),
                start,
                max_steps=steps or logistic.MAX_STEPS,
            )
            if done:
                head = mean + solved / prior.root
                learned["mix"][label] = head[:2]
                learned["weights"][label] = head[2:-1]
                learned["offset"][label] = head[-1]
            most = max(most, done)
        return learned, most

    def score(self, state: State, features: Features) -> Float[np.ndarray, "n l"]:
        check_scores(state, features, features.pooled.shape[1])
        scores = by_column(features.pooled, state["weights"].astype(np.float32))
        return with_zero_shot(scores, state, features)

    def _prior(self, dim: int) -> _Prior:
        set_ = self.settings
        mean = np.concatenate([[set_.slope / 2] * 2, np.zeros(dim), [set_.offset]])
        precision = np.concatenate(
            [[set_.mix_precision] * 2, np.full(dim, set_.weight_precision), [set_.offset_precision]]
        )
        return _Prior(mean, np.sqrt(precision))


_ROWS = 256


@dataclass(frozen=True)
class _Prior:
    """Mean and root of the precision of one head: a, b, w, c in a row."""

    mean: Float[np.ndarray, " q"]
    root: Float[np.ndarray, " q"]


def _design(features: Features, rows: np.ndarray, label: int) -> Float[np.ndarray, "m q"]:
    """What one label's head sees of its decided samples: global, local, pooled, 1."""
    width = features.pooled.shape[1]
    x = np.empty((len(rows), width + 3))
    x[:, 0] = features.global_scores[rows, label]
    x[:, 1] = features.local_scores[rows, label]
    x[:, 2:-1] = features.pooled[rows]
    x[:, -1] = 1
    return x


def _importance(targets: Float[np.ndarray, " m"], balance: float) -> Float[np.ndarray, " m"]:
    """Weight of each verdict; a label with one kind of verdict only counts them as they are."""
    num_yes = float(targets.sum())
    num_no = len(targets) - num_yes
    if balance == 0 or num_yes == 0 or num_no == 0:
        return np.ones(len(targets))
    half = len(targets) / 2
    return np.where(targets > 0, half / num_yes, half / num_no) ** balance


def by_column(
    x: Float[np.ndarray, "n d"], weights: Float[np.ndarray, "l d"]
) -> Float[np.ndarray, "n l"]:
    """`x @ weights.T`, each column as if it were alone.

    In one product the last bit of a column depends on how many others there are; a label that is
    scored again after a correction would then differ from the same label scored with all others.
    Blocks of rows that stay in the processor's cache make it as quick.
    """
    out = np.empty((len(weights), len(x)), np.float32)
    for start in range(0, len(x), _ROWS):
        rows = slice(start, start + _ROWS)
        for column, own in enumerate(weights):
            np.dot(x[rows], own, out=out[column, rows])
    return out.T


def with_zero_shot(
    scores: Float[np.ndarray, "n l"], state: State, features: Features
) -> Float[np.ndarray, "n l"]:
    """`w . x`, which is overwritten, plus what the heads make of the zero-shot scores."""
    mix = state["mix"].astype(np.float32)
    scores += mix[:, 0] * features.global_scores
    scores += mix[:, 1] * features.local_scores
    scores += state["offset"].astype(np.float32)
    return scores


def check_scores(state: State, features: Features, width_seen: int) -> None:
    """Refuse features that are not those of a state; `width_seen` is what its heads read.

    Raises:
        BadInputError: of another encoder, or with other labels.
    """
    num_labels, width = state["weights"].shape
    if width_seen != width:
        raise BadInputError(
            f"vectors are {width_seen} wide and the learned state {width}; "
            "it belongs to another encoder"
        )
    if features.global_scores.shape[1] != num_labels:
        raise BadInputError(
            f"got scores of {features.global_scores.shape[1]} labels for a state of {num_labels}; "
            "extend the state first"
        )
