"""All samples of a project as columns, to count and to filter: verdicts, splits, sources.

Built from what the workbench says, once per state of the log; the routes of Explore ask it which
samples match and in which order they come.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

from backend.api import (
    CODES,
    STATES,
    Condition,
    Label,
    NotFoundError,
    Sample,
    Verdict,
    parse_conditions,
    source_of,
)

__all__ = ["CODES", "COUNTED", "Census", "Condition", "parse_conditions", "ranked"]

COUNTED = ("split", "source", "label")
"""Kinds of filters that are answered here; the others need what the model says."""

MAX_SOURCES = 50


@dataclass(frozen=True)
class Census:
    """N samples in the order of their ids, L labels.

    Attributes:
        table: (N, L) codes of `CODES`.
    """

    ids: Int[np.ndarray, " n"]
    names: tuple[str, ...]
    splits: tuple[str, ...]
    sources: tuple[str, ...]
    labels: tuple[Label, ...]
    table: Int[np.ndarray, "n l"]

    @classmethod
    def take(
        cls,
        samples: Sequence[Sample],
        labels: Sequence[Label],
        verdicts: Mapping[int, Mapping[int, Verdict]],
    ) -> Census:
        """Count them once."""
        samples = sorted(samples, key=lambda sample: sample.id)
        row_of = {sample.id: row for row, sample in enumerate(samples)}
        column_of = {label.id: column for column, label in enumerate(labels)}
        table = np.zeros((len(samples), len(labels)), np.int8)
        for sample, by_label in verdicts.items():
            row = row_of.get(sample)
            if row is None:
                continue
            for label, verdict in by_label.items():
                if label in column_of:
                    table[row, column_of[label]] = CODES[verdict]
        return cls(
            np.array([sample.id for sample in samples], np.int64),
            tuple(sample.name for sample in samples),
            tuple(str(sample.split) for sample in samples),
            tuple(source_of(sample) for sample in samples),
            tuple(labels),
            table,
        )

    @cached_property
    def by_name(self) -> Int[np.ndarray, " n"]:
        """Rows in the order of names."""
        return np.array(sorted(range(len(self.names)), key=self.names.__getitem__), np.int64)

    def rows(self, ids: Sequence[int] | Int[np.ndarray, " k"]) -> Int[np.ndarray, " k"]:
        """Row of each sample id; ids that are not there (any more) are left out."""
        asked = np.asarray(ids, np.int64)
        if not len(self.ids) or not len(asked):
            return np.zeros(0, np.int64)
        at = np.searchsorted(self.ids, asked).clip(0, len(self.ids) - 1)
        return at[self.ids[at] == asked]

    def counts(self, rows: Int[np.ndarray, " k"] | None = None) -> Int[np.ndarray, "l 4"]:
        """How many samples are unknown, yes, no, unsure, per label."""
        table = self.table if rows is None else self.table[rows]
        return np.stack([(table == code).sum(axis=0) for code in range(len(STATES))], axis=1)

    def splits_counted(self) -> dict[str, int]:
        """Samples per split."""
        return _counted(self.splits)

    def sources_counted(self) -> dict[str, int]:
        """Samples per source, most frequent first; {} where the import said nothing about it."""
        found = _counted(self.sources)
        return found if len(found) > 1 else {}

    def keep(self, conditions: Sequence[Condition]) -> Bool[np.ndarray, " n"]:
        """Which samples match all conditions.

        Raises:
            NotFoundError: a condition names a label that is not there.
        """
        keep = np.ones(len(self.ids), bool)
        for condition in conditions:
            keep &= self._matches(condition)
        return keep

    def _matches(self, condition: Condition) -> Bool[np.ndarray, " n"]:
        if condition.key == "split":
            return np.isin(np.array(self.splits, object), condition.values)
        if condition.key == "source":
            return np.isin(np.array(self.sources, object), condition.values)
        codes = [STATES.index(value) for value in condition.values]
        column = next((c for c, label in enumerate(self.labels) if label.id == condition.key), None)
        if column is None:
            raise NotFoundError(f"no label has the id {condition.key}; reload the page")
        return np.isin(self.table[:, column], codes)


def ranked(
    ids: Int[np.ndarray, " n"], scores: Float[np.ndarray, " n"], *, unknown: float = -math.inf
) -> Int[np.ndarray, " n"]:
    """Ids by falling score, ties by id; NaN counts as `unknown`."""
    filled = np.where(np.isnan(scores), unknown, scores)
    return ids[np.lexsort((ids, -filled))]


def _counted(values: Sequence[str]) -> dict[str, int]:
    names, numbers = np.unique(np.array(values or [""], object).astype(str), return_counts=True)
    pairs = sorted(zip(names.tolist(), numbers.tolist(), strict=True), key=lambda p: (-p[1], p[0]))
    return dict(pairs[:MAX_SOURCES]) if len(values) else {}
