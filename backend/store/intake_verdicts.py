"""The verdicts of an import, and what happens where something is said of a pair already.

A verdict on the whole sample and the marks on places come together in one row. Where the project
has marks but no verdict, an import adds its own to them, unless it replaces what is there. Whose
word a verdict is, the file says; where it names nobody, it is the file's own (`import:FILE`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from backend.errors import BadInputError
from backend.store import tables as t
from backend.store.corrections import correction_row, current_words, insert_rows
from backend.store.intake_state import ImportRun
from backend.store.labels import insert_labels, live_labels
from backend.store.marks import Said, checked_region, united
from backend.store.naming import clean_label, shown
from backend.store.voices import MOST_WHO, Words
from backend.types import Draft, FileProblem, Region, Verdict


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
        words = current_words(connection, samples=samples)
        held: dict[tuple[int, int], _Held] = {}
        rows: list[dict[str, object]] = []
        now = time.time()
        for draft, sample in told:
            who = (draft.who or self._run.options.source)[:MOST_WHO]
            at = now if draft.when is None else draft.when
            listed: set[int] = set()
            for name, said in self._told(draft):
                label = self._label(connection, name)
                if label is None:
                    continue
                if said.verdict is not None:
                    listed.add(label)
                pair = (sample, label)
                there = held.setdefault(pair, _Held.of(words, pair, self._run.op))
                added = self._rows_for(pair, there, said, who=who, at=at)
                if added:
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
        words = current_words(connection, samples=samples)
        rows: list[dict[str, object]] = []
        now = time.time()
        for sample in samples:
            if sample not in self._run.names.first:  # removed while the import ran
                continue
            for label in labels:
                if label in self._listed[sample]:
                    continue
                rows += self._rows_for(
                    (sample, label),
                    _Held.of(words, (sample, label), self._run.op),
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
        self, pair: tuple[int, int], held: _Held, said: Said, *, who: str, at: float
    ) -> list[dict[str, object]]:
        """The rows that are added for one verdict; `held` says what is there and is kept so."""
        on_conflict = self._run.options.on_conflict
        if on_conflict == "replace" and (held.sources or (held.regions and not held.verdicts)):
            is_same = {*held.verdicts.values()} == {said.verdict} - {None}
            if is_same and held.regions == said.regions:
                return []
            cleared = held.sources or {who: self._run.options.source}
            rows = [
                self._row(pair, Said(), who=voice, at=at, source=source)
                for voice, source in cleared.items()
            ]
            held.clear()
            return [*rows, self._added(pair, held, said, who=who, at=at)]
        # Others of one file are no conflict with what was there: each has a word of their own.
        if on_conflict == "keep" and (held.sources or who in held.verdicts):
            return []
        both = united(said, Said(regions=held.regions))
        if held.verdicts.get(who) == both.verdict and held.regions == both.regions:
            return []
        return [self._added(pair, held, both, who=who, at=at)]

    def _added(
        self, pair: tuple[int, int], held: _Held, said: Said, *, who: str, at: float
    ) -> dict[str, object]:
        if said.verdict is not None:
            held.verdicts[who] = said.verdict
        held.regions = said.regions
        return self._row(pair, said, who=who, at=at, source=self._run.options.source)

    def _row(
        self, pair: tuple[int, int], said: Said, *, who: str, at: float, source: str
    ) -> dict[str, object]:
        return correction_row(self._run.seq, *pair, said, who=who, at=at, version=0, source=source)

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


@dataclass
class _Held:
    """What is said of one pair while an import runs.

    Attributes:
        verdicts: by voice, those that this import added included.
        regions: the pair's marks.
        sources: voices that spoke before this import, and the source of their rows.
    """

    verdicts: dict[str, Verdict]
    regions: tuple[Region, ...]
    sources: dict[str, str]

    @classmethod
    def of(cls, words: Words, pair: tuple[int, int], op: str) -> _Held:
        """What the log says; rows of `op` are the import's own."""
        voices = words.of(pair)
        counts = words.verdicts.get(pair)
        return cls(
            {voice: row.verdict for voice, row in voices.items() if row.verdict is not None},
            () if counts is None else counts.regions,
            {row.who: row.source for row in voices.values() if row.op != op},
        )

    def clear(self) -> None:
        """Nothing is said any more."""
        self.verdicts, self.regions, self.sources = {}, (), {}
