"""What verdicts taught about where a label is, worked out when a map is asked for.

A label's vector is a pure function of the newest verdicts and marks on it, so that undo, replay and
another process all have the same, and nothing of it is stored. It is kept in memory until one of
those verdicts changes; heads, scores and suggestions know nothing of it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock

import numpy as np
from jaxtyping import Float

from backend.board import Board
from backend.numerics.part_shift import Taught, learned_vector
from backend.numerics.regions import marked_parts
from backend.pipeline import Pipeline
from backend.store.project import ProjectStore
from backend.types import Correction, Layout, Verdict

NEWEST = 24
"""Samples with a YES, and as many with a NO, that a label is taught by: 5 MB of parts to read."""

KEPT = 512
"""Labels whose vectors stay in memory."""


class PartLessons:
    """Label vectors of one open project, moved towards the parts that carry them."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, int], tuple[tuple[int, ...], np.ndarray]] = (
            OrderedDict()
        )
        self._lock = Lock()

    def vectors(
        self, store: ProjectStore, pipeline: Pipeline, board: Board, columns: Sequence[int]
    ) -> Float[np.ndarray, "l d"]:
        """Vectors of some of the board's labels; the labels' own where nothing was taught.

        Verdicts on held-back samples teach nothing, so that what is measured on them is honest.
        """
        out = board.label_vectors[list(columns)].copy()
        chosen = _newest(board, columns)
        for place, column in enumerate(columns):
            rows = chosen.get(board.labels[column].id, ())
            if any(row.verdict == Verdict.YES for row in rows):
                out[place] = self._vector(store, pipeline, board, column, rows)
        return out

    def _vector(
        self,
        store: ProjectStore,
        pipeline: Pipeline,
        board: Board,
        column: int,
        rows: Sequence[Correction],
    ) -> Float[np.ndarray, " d"]:
        place = (pipeline.encoder.fingerprint, board.labels[column].id)
        said = tuple(row.offset for row in rows)
        own = board.label_vectors[column]
        with self._lock:
            known = self._known.get(place)
            if known is not None and known[0] == said:
                self._known.move_to_end(place)
                return known[1]
        found = _taught(store, pipeline, board, own, rows)
        with self._lock:
            self._known[place] = said, found
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
        return found


def _newest(board: Board, columns: Sequence[int]) -> dict[int, list[Correction]]:
    """Per label its newest verdicts on samples that may teach, at most `NEWEST` of a kind."""
    asked = {board.labels[column].id for column in columns}
    row_of, may_teach = board.row_of, board.trainable
    found: dict[int, list[Correction]] = {}
    for (sample, label), row in board.verdicts.items():
        if label not in asked or row.verdict not in (Verdict.YES, Verdict.NO):
            continue
        if row.is_accepted:  # nobody looked at it
            continue
        if sample in row_of and may_teach[row_of[sample]]:
            found.setdefault(label, []).append(row)
    for label, rows in found.items():
        rows.sort(key=lambda row: -row.offset)
        kinds = [[row for row in rows if row.verdict == kind] for kind in (Verdict.YES, Verdict.NO)]
        found[label] = [row for kind in kinds for row in kind[:NEWEST]]
    return found


def _taught(
    store: ProjectStore,
    pipeline: Pipeline,
    board: Board,
    own: Float[np.ndarray, " d"],
    rows: Sequence[Correction],
) -> Float[np.ndarray, " d"]:
    hashes = [board.samples[board.row_of[row.sample]].content_hash for row in rows]
    parts: dict[str, tuple[np.ndarray, Layout]] = {}
    for batch in store.vectors.iter_parts(hashes, pipeline.encoder.fingerprint, len(hashes)):
        found = zip(batch.parts, batch.layouts, strict=True)
        parts |= dict(zip(batch.hashes, found, strict=True))
    told: dict[Verdict | None, list[Taught]] = {Verdict.YES: [], Verdict.NO: []}
    for digest, row in zip(hashes, rows, strict=True):
        if digest in parts and len(parts[digest][0]):
            vectors, layout = parts[digest]
            # "It is here" on a sample that does not have the label says nothing.
            marks = marked_parts(row.regions, layout) if row.verdict == Verdict.YES else ()
            told[row.verdict].append(Taught(vectors, *marks))
    return learned_vector(own, told[Verdict.YES], told[Verdict.NO], pipeline.scale.temperature)
