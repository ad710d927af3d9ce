"""The open project as arrays: samples are rows, labels are columns, scores and verdicts the cells.

Pure bookkeeping: no disk, no screen, no formula of a method. `resized` carries over what is known
when samples or labels come and go, so that nothing is computed twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import blake2b
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int

from backend.numerics import leftover
from backend.numerics import trust as formula
from backend.store.voices import votes_of
from backend.types import (
    Correction,
    Drawer,
    Label,
    Lessons,
    Sample,
    Split,
    Trust,
    Verdict,
)

HELD_BACK_SHARE = 5
"""One training sample in this many is held back: its verdicts calibrate and evaluate."""


def is_held_back(content_hash: str, seed: int) -> bool:
    """Whether a training sample is held back; depends on its content and the project's seed."""
    digest = blake2b(f"{seed}:{content_hash}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % HELD_BACK_SHARE == 0


def drawer_place(content_hash: str, seed: int) -> float:
    """Where a sample stands in the order of the drawer, in 0..1; the first share of it is in it.

    It depends on nothing but content and seed, and not on what decides who is held back: nobody
    and no picker can choose what comes in.
    """
    digest = blake2b(f"drawer:{seed}:{content_hash}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


@runtime_checkable
class Sight(Protocol):
    """Who may see what; `people.People` is it."""

    def board_of(self, who: str | None, board: Board | None = None) -> Board:
        """The board as one person sees it."""
        ...


@dataclass(frozen=True)
class Rows:
    """What follows from the samples alone; boards of the same samples share it."""

    samples: tuple[Sample, ...]
    split_seed: int
    drawer: Drawer | None = None

    @cached_property
    def row_of(self) -> dict[int, int]:
        """Sample id -> row."""
        return {sample.id: row for row, sample in enumerate(self.samples)}

    @cached_property
    def ids(self) -> Int[np.ndarray, " n"]:
        """Sample ids, one per row."""
        return np.array([sample.id for sample in self.samples], np.int64)

    @cached_property
    def train(self) -> Bool[np.ndarray, " n"]:
        """Training rows."""
        return np.array([sample.split == Split.TRAIN for sample in self.samples], bool)

    @cached_property
    def held_back(self) -> Bool[np.ndarray, " n"]:
        """Training rows whose verdicts are never learned from, the drawer's left out."""
        seed = self.split_seed
        kept = [is_held_back(sample.content_hash, seed) for sample in self.samples]
        return self.train & np.array(kept, bool) & ~self.in_drawer

    @cached_property
    def drawer_places(self) -> Float[np.ndarray, " n"]:
        """Each row's place in the order of the drawer; 2 for those that are not for training."""
        if self.drawer is None:
            return np.full(len(self.samples), 2.0)
        seed = self.drawer.seed
        places = [drawer_place(sample.content_hash, seed) for sample in self.samples]
        return np.where(self.train, np.array(places, float), 2.0)

    @cached_property
    def in_drawer(self) -> Bool[np.ndarray, " n"]:
        """Training rows that are decided for calibration alone."""
        return self.drawer_places < (0.0 if self.drawer is None else self.drawer.share)


@dataclass(frozen=True)
class Board:
    """Rows and columns with everything that is known about them.

    Attributes:
        pooled: (N, D), NaN rows where a sample is not encoded yet.
        label_vectors: (L, D).
        global_scores, local_scores: (N, L) zero-shot scores; NaN where not computed yet.
        logits: (N, L) of the current version; NaN where not computed yet.
        probabilities: (N, L); NaN where not calibrated.
        verdicts: (row's sample id, column's label id) -> what counts; one without a verdict on
            the whole sample has marks on places.
        said: the same pair -> each voice's word, for pairs of which several voices spoke; see
            store/voices.py.
        plain: (N, F) more numbers for heads; NaN rows where not read yet.
        lane_cls: digest of a lane -> (N, W), its CLS; NaN rows where not computed yet.
        rows: what follows from the samples; worked out again only for other samples.
        drawer: the calibration drawer; None while there is none.
        slices: name of a saved slice -> ids of the samples in it.
    """

    samples: tuple[Sample, ...]
    labels: tuple[Label, ...]
    pooled: Float[np.ndarray, "n d"]
    label_vectors: Float[np.ndarray, "l d"]
    global_scores: Float[np.ndarray, "n l"]
    local_scores: Float[np.ndarray, "n l"]
    logits: Float[np.ndarray, "n l"]
    probabilities: Float[np.ndarray, "n l"]
    split_seed: int
    verdicts: Mapping[tuple[int, int], Correction] = field(default_factory=dict)
    said: Mapping[tuple[int, int], dict[str, Correction]] = field(default_factory=dict)
    plain: Float[np.ndarray, "n f"] = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    lane_cls: Mapping[str, Float[np.ndarray, "n w"]] = field(default_factory=dict)
    rows: Rows | None = field(default=None, repr=False, compare=False)
    drawer: Drawer | None = None
    slices: Mapping[str, frozenset[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Keep the facts about rows of the board this one was made from, if they still hold."""
        own, kept = self.rows, (self.split_seed, self.drawer)
        is_same = own is not None and (own.split_seed, own.drawer) == kept
        if own is None or not is_same or own.samples is not self.samples:
            object.__setattr__(self, "rows", Rows(self.samples, *kept))

    @classmethod
    def empty(cls, dim: int, split_seed: int, *, plain_dim: int = 0) -> Board:
        """No samples and no labels yet."""
        none = np.zeros((0, 0), np.float32)
        wide = np.zeros((0, dim), np.float32)
        plain = np.zeros((0, plain_dim), np.float32)
        return cls((), (), wide, wide, none, none, none, none, split_seed, plain=plain)

    @property
    def row_of(self) -> dict[int, int]:
        """Sample id -> row."""
        return self._rows.row_of

    @cached_property
    def row_named(self) -> dict[str, int]:
        """Name -> row, for names that one sample has."""
        rows: dict[str, int] = {}
        twice: set[str] = set()
        for row, sample in enumerate(self.samples):
            for name in {sample.name, *sample.names}:
                if name in rows:
                    twice.add(name)
                rows[name] = row
        return {name: row for name, row in rows.items() if name not in twice}

    @cached_property
    def column_of(self) -> dict[int, int]:
        """Label id -> column."""
        return {label.id: column for column, label in enumerate(self.labels)}

    @cached_property
    def column_named(self) -> dict[str, int]:
        """Name -> column."""
        return {label.name: column for column, label in enumerate(self.labels)}

    @property
    def ids(self) -> Int[np.ndarray, " n"]:
        """Sample ids, one per row."""
        return self._rows.ids

    @cached_property
    def encoded(self) -> Bool[np.ndarray, " n"]:
        """Which rows have vectors."""
        return np.isfinite(self.pooled[:, :1]).all(axis=1) & (self.pooled.shape[1] > 0)

    @property
    def held_back(self) -> Bool[np.ndarray, " n"]:
        """Training rows whose verdicts are never learned from."""
        return self._rows.held_back

    @property
    def trainable(self) -> Bool[np.ndarray, " n"]:
        """Training rows whose verdicts are learned from."""
        return self._rows.train & ~self._rows.held_back & ~self._rows.in_drawer

    @property
    def in_drawer(self) -> Bool[np.ndarray, " n"]:
        """Rows of the calibration drawer: neither trained on nor held back nor picked."""
        return self._rows.in_drawer

    def drawer_order(self) -> Int[np.ndarray, " k"]:
        """Rows of the drawer in its own order, in which they are decided."""
        rows = np.flatnonzero(self._rows.in_drawer)
        return rows[np.argsort(self._rows.drawer_places[rows], kind="stable")]

    def with_drawer(self, drawer: Drawer | None) -> Board:
        """The same board with another calibration drawer."""
        return self if drawer == self.drawer else replace(self, drawer=drawer)

    @property
    def _rows(self) -> Rows:
        if self.rows is None:
            raise RuntimeError("a board always knows its rows")
        return self.rows

    @cached_property
    def decided(self) -> Bool[np.ndarray, "n l"]:
        """Cells with a verdict; UNSURE is one."""
        table = np.zeros((len(self.samples), len(self.labels)), bool)
        for (sample, label), correction in self.verdicts.items():
            if correction.verdict is None:  # marks on places decide nothing of the whole
                continue
            row, column = self.row_of.get(sample), self.column_of.get(label)
            if row is not None and column is not None:
                table[row, column] = True
        return table

    @cached_property
    def num_verdicts(self) -> int:
        """Pairs with a verdict on the whole sample."""
        return sum(correction.verdict is not None for correction in self.verdicts.values())

    def claimers(self, row: int) -> Bool[np.ndarray, " l"]:
        """The labels that claim parts of a sample: accepted ones and likely ones."""
        yes, no = (self._said(row, verdict) for verdict in (Verdict.YES, Verdict.NO))
        return leftover.claimers(np.nan_to_num(self.logits[row]), yes, no)

    def rivals(self, row: int, columns: Sequence[int]) -> tuple[list[int], Int[np.ndarray, " c"]]:
        """The accepted labels of a sample, and which of them each of some labels is; -1: none."""
        accepted = np.flatnonzero(self._said(row, Verdict.YES)).tolist()
        place = {column: number for number, column in enumerate(accepted)}
        return accepted, np.array([place.get(column, -1) for column in columns], np.int64)

    def _said(self, row: int, verdict: Verdict) -> Bool[np.ndarray, " l"]:
        """The labels that have this verdict on a sample."""
        sample = self.samples[row].id
        found = (self.verdicts.get((sample, label.id)) for label in self.labels)
        return np.array([one is not None and one.verdict == verdict for one in found], bool)

    def resized(self, samples: Sequence[Sample], labels: Sequence[Label]) -> Board:
        """The same board for other rows and columns; new cells are NaN.

        A label that was renamed is a new column: its vector and zero-shot scores belong to the
        old name.
        """
        rows = np.array([self.row_of.get(sample.id, -1) for sample in samples], np.int64)
        known = {(label.id, label.name): column for column, label in enumerate(self.labels)}
        columns = np.array([known.get((label.id, label.name), -1) for label in labels], np.int64)
        cells = {
            name: _taken(getattr(self, name), rows, columns)
            for name in ("global_scores", "local_scores", "logits", "probabilities")
        }
        width = np.arange(self.pooled.shape[1])
        return replace(
            self,
            samples=tuple(samples),
            labels=tuple(labels),
            pooled=_taken(self.pooled, rows, width),
            label_vectors=_taken(self.label_vectors, columns, width),
            plain=_taken(self.plain, rows, np.arange(self.plain.shape[1])),
            lane_cls={
                digest: _taken(cls, rows, np.arange(cls.shape[1]))
                for digest, cls in self.lane_cls.items()
            },
            **cells,
        )

    def lessons(
        self,
        verdicts: Mapping[tuple[int, int], Correction],
        columns: Mapping[int, int],
        rows: Bool[np.ndarray, " n"],
        *,
        trust: Trust | None = None,
    ) -> Lessons:
        """YES and NO verdicts on encoded rows as arrays, in a fixed order.

        What was accepted in bulk is not among them, see `Correction.is_accepted`.
        Where people differ, a verdict weighs as much as they agree on it; a tie is no lesson.
        Once it is known whom to trust, each verdict of people weighs as `weigher` says.

        Args:
            verdicts: the folded log at some offset, not necessarily the newest.
            columns: label id -> column number in the learner's state.
            rows: which rows count, e.g. `trainable` or `held_back`.
            trust: whom to trust how far; None while nothing is known of it.
        """
        row_of, weigh = self.row_of, weigher(trust)
        found = [
            (
                row_of[sample],
                columns[label],
                float(correction.verdict == Verdict.YES),
                weigh(correction),
            )
            for (sample, label), correction in verdicts.items()
            if label in columns
            and sample in row_of
            and correction.verdict in (Verdict.YES, Verdict.NO)
            and not correction.is_accepted
        ]
        found.sort()
        table = np.array(found, np.float64).reshape(-1, 4)
        # Asked of the rows with verdicts only: their number decides the cost, not that of samples.
        at = table[:, 0].astype(np.int64)
        table = table[rows[at] & self.encoded[at]]
        return Lessons(
            rows=table[:, 0].astype(np.int64),
            columns=table[:, 1].astype(np.int64),
            targets=table[:, 2].astype(np.float32),
            weights=None if (table[:, 3] == 1).all() else table[:, 3].astype(np.float32),
        )


def weigher(trust: Trust | None) -> Callable[[Correction], float]:
    """How much what counts of a pair weighs for learners, by who said it.

    Without `trust` it is how far people agree. With it, it is how much surer the verdict is than
    its opposite, after what each of them said; UNSURE says nothing either way. What was
    adjudicated, and what only files or the model say, weighs as it did.
    """
    if trust is None:
        return lambda row: row.weight
    known: dict[tuple[Verdict | None, tuple[tuple[str, Verdict], ...]], float] = {}

    def weight(row: Correction) -> float:
        votes = votes_of(row)
        if not votes or row.verdict not in (Verdict.YES, Verdict.NO):
            return row.weight
        case = (row.verdict, votes)
        if case not in known:
            said = [
                (*trust.rates(who), verdict is Verdict.YES)
                for who, verdict in votes
                if verdict is not Verdict.UNSURE
            ]
            known[case] = formula.weight(said, row.verdict is Verdict.YES, often=trust.often)
        return known[case]

    return weight


def _taken(array: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """array[rows][:, columns] with NaN where an index is -1."""
    out = np.full((len(rows), len(columns)), np.nan, np.float32)
    old_rows, old_columns = np.flatnonzero(rows >= 0), np.flatnonzero(columns >= 0)
    if len(old_rows) and len(old_columns):
        out[np.ix_(old_rows, old_columns)] = array[np.ix_(rows[old_rows], columns[old_columns])]
    return out
