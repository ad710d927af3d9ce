"""What to look at next: tell a picker what a board knows, and say what its samples ask.

The calibration of what is certain, held-back samples and the queue do not mix: whoever calls says
which rows are never picked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int

from backend import views
from backend.board import Board
from backend.contracts import Picker
from backend.numerics import learning_curve, questions
from backend.types import Forecast, PickFacts, QueueEntry, Verdict

Parts = Callable[[Sequence[int]], Sequence[np.ndarray]]

AHEAD = 100
"""Answers that a forecast looks ahead."""

NEIGHBOURS = 15
"""Decided samples that have a say on one that is like them."""

FEWEST = 3
"""Of them, verdicts on a label without which they say nothing of it."""

SHARP = 10.0
"""A neighbour counts exp(SHARP (cosine - 1))."""

MOST_COMPARED = 20_000_000
"""Pairs of samples that are compared for neighbours; beyond, the newest decided ones are taken."""


@dataclass(frozen=True)
class Table:
    """The part of a board that a picker sees: rows that may be looked at, labels not muted.

    Attributes:
        rows, columns: into the board.
        excluded: (N,) of these rows, never picked.
        opinions: who else has a say, as in `PickFacts`; of these rows and columns.
        answered: (samples, labels) of the board, what counts as decided; default: by anybody.
    """

    board: Board
    rows: Int[np.ndarray, " n"]
    columns: Sequence[int]
    excluded: Bool[np.ndarray, " n"] | None = None
    undecided: Bool[np.ndarray, "n l"] | None = None
    opinions: Mapping[str, Float[np.ndarray, "n l"]] = field(default_factory=dict)
    answered: Bool[np.ndarray, "m c"] | None = None

    @property
    def chances(self) -> Float[np.ndarray, "n l"]:
        """As people see them, where calibrated."""
        return views.chances(self.board, self.rows)[:, self.columns]

    @property
    def decided(self) -> Bool[np.ndarray, "n l"]:
        """Pairs with a verdict, UNSURE included."""
        decided = self.board.decided if self.answered is None else self.answered
        return decided[self.rows][:, self.columns]

    @property
    def names(self) -> list[str]:
        """Of the labels."""
        return [self.board.labels[column].name for column in self.columns]

    def verdicts(self) -> Float[np.ndarray, "n l"]:
        """1 YES, 0 NO, NaN otherwise."""
        said = np.full((len(self.board.samples), len(self.board.labels)), np.nan, np.float32)
        worth = {Verdict.YES: 1.0, Verdict.NO: 0.0}
        for (sample, label), correction in self.board.verdicts.items():
            row, column = self.board.row_of.get(sample), self.board.column_of.get(label)
            verdict = correction.verdict
            if row is not None and column is not None and verdict is not None:
                said[row, column] = worth.get(verdict, np.nan)
        return said[self.rows][:, self.columns]


def queue(
    table: Table,
    method: Picker,
    name: str,
    *,
    k: int,
    seed: int,
    parts: Parts | None = None,
) -> list[QueueEntry]:
    """At most k samples, each with the reason and the labels that it asks about."""
    chances, decided, said = table.chances, table.decided, table.verdicts()
    facts = PickFacts(
        excluded=table.excluded,
        verdicts=said,
        undecided=table.undecided,
        opinions=table.opinions,
        parts=parts,
    )
    names = table.names
    pooled = table.board.pooled[table.rows]
    found = method.pick(chances, pooled, decided, k=k, seed=seed, label_names=names, facts=facts)
    num_yes, num_no = (said == 1).sum(axis=0), (decided & (said != 1)).sum(axis=0)
    is_open = ~decided if table.excluded is None else ~decided & ~table.excluded[:, None]
    answers = questions.answered(num_yes, num_no)
    worth = questions.values(chances, is_open, answers, seed=seed)
    asked = questions.asked(worth)
    samples = [table.board.samples[row] for row in table.rows]
    return [
        QueueEntry(
            sample=samples[row].id,
            name=samples[row].name,
            picker=name.rsplit("/", maxsplit=1)[-1],
            reason=reason,
            score=float(score),
            labels=tuple(
                names[column]
                for column in np.argsort(-worth[row], kind="stable").tolist()
                if asked[row, column]
            ),
        )
        for row, score, reason in found
    ]


def opinions(
    table: Table, brought: views.Brought, *, lanes: Float[np.ndarray, "m c"] | None = None
) -> dict[str, Float[np.ndarray, "n l"]]:
    """Who else has a say on each pair: parts, whole, neighbours, lanes, models that were brought.

    Zero-shot scores and what lanes say become chances by rank: a pair stands among its label's
    samples where the model's own chance of that rank is, so that only another order is a
    disagreement, not another scale.

    Args:
        table: what is picked from.
        brought: scores of other models.
        lanes: of the whole board, what lanes add to its logits; NaN where none has a say.
    """
    board, rows, columns = table.board, table.rows, list(table.columns)
    own = table.chances
    found = {
        "where its parts fit": _at_ranks(own, board.local_scores[rows][:, columns]),
        "the look of the whole": _at_ranks(own, board.global_scores[rows][:, columns]),
        "samples like it": _neighbours(table),
    }
    if lanes is not None and not np.isnan(lanes).all():
        found["its lane"] = _at_ranks(own, lanes[rows][:, columns])
    for source in sorted({called for _, _, called in brought}):
        found[source] = views.brought_chances(board, brought, source)[rows][:, columns]
    return found


def _at_ranks(
    own: Float[np.ndarray, "n l"], scores: Float[np.ndarray, "n l"]
) -> Float[np.ndarray, "n l"]:
    """Each column of `own` in the order of `scores`; NaN where there is no score."""
    out = np.full(own.shape, np.nan, np.float32)
    for column in range(own.shape[1]):
        known = np.flatnonzero(np.isfinite(scores[:, column]))
        order = known[np.argsort(scores[known, column], kind="stable")]
        out[order, column] = np.sort(own[known, column])
    return out


def _neighbours(table: Table) -> Float[np.ndarray, "n l"]:
    """The share of YES among the decided samples that are most like each one; NaN with too few."""
    said, vectors = table.verdicts(), np.nan_to_num(table.board.pooled[table.rows])
    known = np.flatnonzero((~np.isnan(said)).any(axis=1))
    known = known[-max(1, MOST_COMPARED // max(1, len(vectors))) :]
    out = np.full(said.shape, np.nan, np.float32)
    if not len(known):
        return out
    is_yes, is_told = np.nan_to_num(said[known], nan=0.0), ~np.isnan(said[known])
    at_of = {int(row): at for at, row in enumerate(known)}
    count = min(NEIGHBOURS, len(known))
    decided = vectors[known]
    for row, vector in enumerate(vectors):
        cosine = decided @ vector
        if row in at_of:
            cosine[at_of[row]] = -np.inf  # nobody is a neighbour of itself
        near = np.argpartition(-cosine, count - 1)[:count]
        weight = np.exp(SHARP * (cosine[near] - 1))[:, None] * is_told[near]
        enough = is_told[near].sum(axis=0) >= FEWEST
        share = (weight * is_yes[near]).sum(axis=0) / np.maximum(weight.sum(axis=0), 1e-12)
        out[row, enough] = share[enough]
    return out


def spaced(offsets: Sequence[int]) -> list[int]:
    """Which of these log offsets, ascending, a learning curve looks at.

    The newest, and before it some that are a `RATIO` apart, so that a project that learned after
    every single verdict does not look at the last few of them only.
    """
    kept: list[int] = []
    for at in range(len(offsets) - 1, -1, -1):
        if not kept or offsets[at] * RATIO <= offsets[kept[-1]]:
            kept.append(at)
        if len(kept) == POINTS:
            break
    return kept[::-1]


RATIO, POINTS = 1.15, 14
"""Between two points of a curve, and how many of them; each costs the scores of a version."""


def forecast(
    answers: Float[np.ndarray, " j"], quality: Float[np.ndarray, " j"], *, ahead: int = AHEAD
) -> Forecast:
    """What the next answers will bring, from held-back quality after so many answers."""
    gain = learning_curve.gain(answers, quality, ahead)
    error, compared = learning_curve.error(answers, quality, ahead)
    if gain is None:
        text = "too few versions with held-back verdicts to say what more answers would bring"
    else:
        text = f"the next {ahead} answers will bring about {100 * gain:.1f} points of mAP"
        if error is not None:
            text += f" (such forecasts were off by {100 * error:.1f})"
        if error is not None and gain < error and gain < STOP:
            text += "; you may stop here"
    return Forecast(answers=ahead, gain=gain, error=error, compared=compared, text=text)


STOP = 0.005
"""Expected gain below which more answers are hardly worth their time, half a point of mAP."""
