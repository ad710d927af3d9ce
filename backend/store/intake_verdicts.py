"""The verdicts of an import, and what happens where something is said of a pair already.

A verdict on the whole sample and the marks on places come together in one row. Where the project
has marks but no verdict, an import adds its own to them, unless it replaces what is there.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from backend.errors import BadInputError
from backend.store import tables as t
from backend.store.corrections import correction_row, current_rows, insert_rows
from backend.store.intake_state import ImportRun
from backend.store.labels import insert_labels, live_labels
from backend.store.marks import Said, checked_region, united
from backend.store.naming import clean_label, shown
from backend.types import Correction, Draft, FileProblem, Region, Verdict


class VerdictIntake:
    """Writes what an import says about labels, inside the transactions of its batches."""

    def __init__(self, run: ImportRun) -> None:
        self._run = run
        self._listed: dict[int, set[int]] = {}
        self._listed_by: dict[int, str] = {}

    def store(self, connection: Connection, found: list[tuple[Draft, int]]) -> None:
        """The verdicts of some drafts, each with the id of its sample."""
        told = [(d, s) for d, s in found if d.verdicts or d.regions or d.only_present]
        if not told:
            return
        samples = sorted({sample for _draft, sample in told})
        held = {p: _held(row) for p, row in current_rows(connection, samples=samples).items()}
        rows: list[dict[str, object]] = []
        now = time.time()
        for draft, sample in told:
            who = (draft.who or self._run.options.who)[:200]
            at = now if draft.when is None else draft.when
            listed: set[int] = set()
            for name, said in self._told(draft):
                label = self._label(connection, name)
                if label is None:
                    continue
                if said.verdict is not None:
                    listed.add(label)
                pair = (sample, label)
                added = self._rows_for(pair, held.get(pair), said, who=who, at=at)
                if added:
                    held[pair] = (said, who)
                    rows += added
                    self._run.annotations += 1
            if draft.only_present:
                self._listed.setdefault(sample, set()).update(listed)
                self._listed_by[sample] = who
        insert_rows(connection, rows)
        self._run.changes += len(rows)

    def store_scores(self, connection: Connection, found: list[tuple[Draft, int]]) -> None:
        """The scores that another model gave; never verdicts."""
        rows: dict[tuple[int, int], float] = {}
        for draft, sample in found:
            for name, score in draft.predictions.items():
                if not np.isfinite(score):
                    self._run.problems.append(
                        FileProblem(draft.name, f"the score for {shown(name)} is not a number")
                    )
                    continue
                label = self._label(connection, name)
                if label is not None:
                    rows[(sample, label)] = float(score)
        if not rows:
            return
        p = t.predictions.c
        keys = [{"b_sample": sample, "b_label": label} for sample, label in rows]
        source = self._run.options.predictions_source
        connection.execute(
            t.predictions.delete().where(
                p.sample == sa.bindparam("b_sample"),
                p.label == sa.bindparam("b_label"),
                p.source == source,
                p.op == self._run.seq,
            ),
            keys,
        )
        connection.execute(
            t.predictions.insert(),
            [
                {
                    "sample": sample,
                    "label": label,
                    "source": source,
                    "op": self._run.seq,
                    "score": s,
                }
                for (sample, label), s in rows.items()
            ],
        )
        self._run.annotations += len(rows)
        self._run.changes += len(rows)

    @property
    def listing_samples(self) -> list[int]:
        """Samples of which the import said that it lists only what is present."""
        return sorted(self._listed)

    def deny_unlisted(self, connection: Connection, samples: Sequence[int]) -> None:
        """NO for each label that a file which lists what is present does not list."""
        labels = [label.id for label in live_labels(connection)]
        held = current_rows(connection, samples=samples)
        rows: list[dict[str, object]] = []
        now = time.time()
        for sample in samples:
            if sample not in self._run.names.first:  # removed while the import ran
                continue
            for label in labels:
                if label in self._listed[sample]:
                    continue
                old = held.get((sample, label))
                rows += self._rows_for(
                    (sample, label),
                    None if old is None else _held(old),
                    Said(Verdict.NO),
                    who=self._listed_by[sample],
                    at=now,
                )
        insert_rows(connection, rows)
        self._run.changes += len(rows)
        self._run.annotations += sum(row["verdict"] is not None for row in rows)

    def _told(self, draft: Draft) -> Iterator[tuple[str, Said]]:
        """Label name and all that is said of it; a region that is none is reported."""
        regions: dict[str, list[Region]] = {}
        for one in draft.regions:
            try:
                region = checked_region(replace(one.region, verdict=one.verdict))
            except BadInputError as error:
                self._run.problems.append(FileProblem(draft.name, f"{error}; it was not stored"))
            else:
                regions.setdefault(one.label, []).append(region)
        for name in dict.fromkeys((*draft.verdicts, *regions)):
            yield name, Said(draft.verdicts.get(name), tuple(regions.get(name, ())))

    def _rows_for(
        self,
        pair: tuple[int, int],
        held: tuple[Said, str] | None,
        said: Said,
        *,
        who: str,
        at: float,
    ) -> list[dict[str, object]]:
        if held is None:
            return [self._row(pair, said, who=who, at=at)]
        on_conflict = self._run.options.on_conflict
        is_same = held[0] == said
        if on_conflict == "replace":
            clear = self._row(pair, Said(), who=who, at=at)
            return [] if is_same else [clear, self._row(pair, said, who=who, at=at)]
        if held[0].verdict is None:  # only marks: what comes does not speak against them
            both = united(said, held[0])
            return [] if both == held[0] else [self._row(pair, both, who=who, at=at)]
        if on_conflict == "keep" or (is_same and held[1] == who):
            return []
        return [self._row(pair, said, who=who, at=at)]

    def _row(self, pair: tuple[int, int], said: Said, *, who: str, at: float) -> dict[str, object]:
        return correction_row(
            self._run.seq,
            *pair,
            said,
            who=who,
            at=at,
            version=0,
            source=self._run.options.source,
        )

    def _label(self, connection: Connection, name: str) -> int | None:
        """The label an annotation names; made if asked for, else counted as unknown."""
        try:
            cleaned = clean_label(name, self._run.limits.label_characters)
        except BadInputError as error:
            if shown(name) not in self._run.unknown_labels:
                self._run.problems.append(FileProblem(shown(name), str(error)))
            self._run.unknown_labels[shown(name)] += 1
            return None
        known = self._run.labels.get(cleaned)
        if known is not None:
            return known
        if not self._run.options.create_labels:
            self._run.unknown_labels[cleaned] += 1
            return None
        label = insert_labels(connection, self._run.seq, [cleaned])[0]
        self._run.labels[cleaned] = label
        self._run.new_labels += 1
        self._run.changes += 1
        return label


def _held(row: Correction) -> tuple[Said, str]:
    """What the project says of a pair, and whose word that is."""
    return Said(row.verdict, row.regions), row.who
