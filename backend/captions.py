"""What stands where on the map, in a few words: captions of its dense areas, coarse to fine.

An area is captioned with the labels that are typical of its samples against all others: what people
decided where they have, else the chance that the model gives. Texts of which no label is typical
are captioned with their words. Nothing is made up: an area of which nothing is typical has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
import scipy  # loads what it is asked for when it is asked for it
from jaxtyping import Float, Int

from backend import views
from backend.board import Board
from backend.numerics.dense_areas import Areas, dense_areas
from backend.numerics.typical import typicality
from backend.numerics.words import word_spans
from backend.types import MapPoints, Verdict

CELLS = (24, 34, 48, 68, 96, 136, 192, 272)
"""Cells along the map: the coarsest level has some of these, each finer one twice as many."""
LEVELS = 3
WANTED = 6
"""Areas that the coarsest level should have: some of them will carry no caption."""
FEWEST, SMALLEST = 10, 0.002
"""Samples that an area needs, and which share of all of them."""
MOST_AREAS = 200
SURE = 3.0
"""Deviations by which the odds in an area are above those elsewhere."""
LABELS_OFTENER, WORDS_OFTENER = 1.5, 3.0
"""How much oftener it stands there: words that stand everywhere say little, often as they may."""
LABEL_SHARE, WORD_SHARE = 0.25, 0.12
"""Share of an area that has what is said of it."""
BESIDE = 0.6
"""What else is said of an area is that much as typical as what is said first."""
MOST_LABELS, MOST_WORDS = 2, 3
MOST_COUNTED, MOST_READ = 200_000, 10_000
"""Samples and texts, drawn at random, from which shares are taken in larger projects."""
CHUNK = 16_384
READ_CHARACTERS = 1_000
RAREST, LONGEST = 3, 40
"""Texts in which a word stands at least, and its bytes at most; one byte alone is no word."""


@dataclass(frozen=True)
class Caption:
    """What is typical of one dense area.

    Attributes:
        says: labels, or words of texts where `is_words`; the most typical first.
        x, y: where the area is densest, in the map's units.
        size: samples in it.
        box: left, right, bottom, top of them.
    """

    says: tuple[str, ...]
    is_words: bool
    x: float
    y: float
    size: int
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class _Counted:
    """How many samples have each of W things, in all and in the areas of each level.

    Attributes:
        names: (W,) of the things.
        inside: per level (A, W), samples or sums of chances.
        sizes: per level (A,) samples that were counted.
        total: (W,) over all `size` samples.
    """

    names: Sequence[str]
    inside: Sequence[Float[np.ndarray, "a w"]]
    sizes: Sequence[Float[np.ndarray, " a"]]
    total: Float[np.ndarray, " w"]
    size: int

    def typical(
        self, level: int, *, share: float, oftener: float, most: int
    ) -> list[tuple[str, ...]]:
        """What is typical of each area of a level; () where nothing is."""
        inside, sizes = self.inside[level], np.maximum(self.sizes[level], 1)
        sure = typicality(inside, sizes, self.total, float(self.size))
        here = inside / sizes[:, None]
        there = (self.total - inside) / np.maximum(self.size - sizes, 1)[:, None]
        sure[(here < share) | (here < oftener * there) | (sure < SURE)] = 0
        said = []
        for row in sure:
            order = np.argsort(-row, kind="stable")[:most]
            kept = [k for k in order.tolist() if row[k] > 0 and row[k] >= BESIDE * row[order[0]]]
            said.append(tuple(self.names[k] for k in kept))
        return said


@dataclass(frozen=True)
class _Words:
    """Words of texts drawn from the map: (K, W) which text has which, and whose texts they are."""

    names: Sequence[str]
    has: Any
    at: Int[np.ndarray, " k"]


class Captions:
    """Captions of one project's map; areas and words are kept for as long as the map stays."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._levels: tuple[MapPoints, list[Areas]] | None = None
        self._words: tuple[MapPoints, _Words] | None = None

    def of(self, points: MapPoints, board: Board) -> list[list[Caption]]:
        """One list per level, coarse to fine, the largest area first in each.

        Args:
            points: the map.
            board: with the verdicts that count, or those that one person may see.
        """
        with self._lock:
            if self._levels is None or self._levels[0] is not points:
                self._levels = (points, levels_of(points.xy))
            levels = self._levels[1]
            rows = _rows(points, board)
            labels = _labels_counted(board, rows, levels)
            words: _Counted | None = None
            found: list[list[Caption]] = []
            for level, areas in enumerate(levels):
                said = labels.typical(
                    level, share=LABEL_SHARE, oftener=LABELS_OFTENER, most=MOST_LABELS
                )
                other: list[tuple[str, ...]] = [()] * len(areas)
                if not all(said) and any(board.samples[row].text for row in rows[:1]):
                    words = words or self._words_counted(points, board, rows)
                    other = words.typical(
                        level, share=WORD_SHARE, oftener=WORDS_OFTENER, most=MOST_WORDS
                    )
                found.append(_captions(areas, said, other))
            return found

    def _words_counted(
        self, points: MapPoints, board: Board, rows: Int[np.ndarray, " n"]
    ) -> _Counted:
        if self._words is None or self._words[0] is not points:
            at = _drawn(len(rows), MOST_READ)
            at = at[rows[at] >= 0]
            self._words = (points, _read([board.samples[row].text or "" for row in rows[at]], at))
        words, levels = self._words[1], self._levels[1] if self._levels else []
        picks = [_members(areas.of[words.at], len(areas)) for areas in levels]
        return _Counted(
            words.names,
            [np.asarray((pick @ words.has).toarray(), float) for pick in picks],
            [np.asarray(pick.sum(axis=1), float).ravel() for pick in picks],
            np.asarray(words.has.sum(axis=0), float).ravel(),
            len(words.at),
        )


def levels_of(xy: Float[np.ndarray, "n 2"]) -> list[Areas]:
    """Dense areas at up to three levels, each of them half as wide as those of the level before.

    The first is the coarsest of `CELLS` that has enough areas, or the one with most of them.
    """
    fewest = max(FEWEST, round(SMALLEST * len(xy)))
    found: list[Areas] = []
    for cells in CELLS:
        found.append(dense_areas(xy, cells=cells, fewest=fewest, most=MOST_AREAS))
        if len(found[-1]) >= WANTED:
            break
    first = max(range(len(found)), key=lambda k: (len(found[k]), -k))
    levels = [found[first]]
    for cells in CELLS[first + 2 :: 2][: LEVELS - 1]:
        finer = dense_areas(xy, cells=cells, fewest=fewest, most=MOST_AREAS)
        if len(finer) <= len(levels[-1]):
            break
        levels.append(finer)
    return levels


def _rows(points: MapPoints, board: Board) -> Int[np.ndarray, " n"]:
    """The board's row of each point; -1 where a sample is not there any more."""
    order = np.argsort(board.ids, kind="stable")
    if not len(order):
        return np.full(len(points.ids), -1, np.int64)
    at = order[np.searchsorted(board.ids, points.ids, sorter=order).clip(0, len(order) - 1)]
    return np.where(board.ids[at] == points.ids, at, -1)


def _labels_counted(board: Board, rows: Int[np.ndarray, " n"], levels: Sequence[Areas]) -> _Counted:
    """Sums of what is known of each label over all samples and areas; UNSURE leaves the chance."""
    at = _drawn(len(rows), MOST_COUNTED)
    at = at[rows[at] >= 0]
    drawn = rows[at]
    members = [_members(areas.of[at], len(areas)) for areas in levels]
    inside = [np.zeros((len(areas), len(board.labels))) for areas in levels]
    total = np.zeros(len(board.labels))
    place = np.full(len(board.samples), -1, np.int64)
    place[drawn] = np.arange(len(drawn))
    cells = _decided(board, place)
    for start in range(0, len(drawn), CHUNK):
        known = views.chances(board, drawn[start : start + CHUNK])
        first, last = np.searchsorted(cells[0], [start, start + len(known)])
        known[cells[0][first:last] - start, cells[1][first:last]] = cells[2][first:last]
        total += known.sum(axis=0, dtype=np.float64)
        for sums, member in zip(inside, members, strict=True):
            sums += member[:, start : start + len(known)] @ known
    return _Counted(
        [label.name for label in board.labels],
        inside,
        [np.asarray(member.sum(axis=1), float).ravel() for member in members],
        total,
        len(drawn),
    )


def _decided(
    board: Board, place: Int[np.ndarray, " n"]
) -> tuple[Int[np.ndarray, " m"], Int[np.ndarray, " m"], Float[np.ndarray, " m"]]:
    """Places, columns and values (1 YES, 0 NO) of the verdicts on some rows, by place.

    Args:
        board: has the verdicts.
        place: of each row; -1 where it is left out.
    """
    found = [
        (int(place[row]), column, float(correction.verdict == Verdict.YES))
        for (sample, label), correction in board.verdicts.items()
        if correction.verdict in (Verdict.YES, Verdict.NO)
        and (row := board.row_of.get(sample)) is not None
        and (column := board.column_of.get(label)) is not None
        and place[row] >= 0
    ]
    table = np.array(sorted(found), np.float64).reshape(-1, 3)
    return table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2]


def _read(texts: Sequence[str], at: Int[np.ndarray, " k"]) -> _Words:
    """Which of the texts has which word; words of few texts and what is no word are left out."""
    column_of: dict[str, int] = {}
    rows: list[int] = []
    columns: list[int] = []
    for row, text in enumerate(texts):
        text = text[:READ_CHARACTERS]
        words = {text[start:end].casefold() for start, end in word_spans(text)}
        for word in sorted(words):
            if any(letter.isalpha() for letter in word) and 1 < len(word.encode()) <= LONGEST:
                rows.append(row)
                columns.append(column_of.setdefault(word, len(column_of)))
    shape = (len(texts), len(column_of))
    has = scipy.sparse.csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape)
    kept = np.flatnonzero(np.asarray(has.sum(axis=0)).ravel() >= RAREST)
    names = list(column_of)
    return _Words([names[column] for column in kept], has[:, kept], at)


def _members(of: Int[np.ndarray, " k"], num: int) -> Any:
    """(A, K) sparse: 1 where a sample is in an area."""
    inside = np.flatnonzero(of >= 0)
    ones = np.ones(len(inside), np.float32)
    return scipy.sparse.csr_matrix((ones, (of[inside], inside)), (num, len(of)))


def _drawn(num: int, most: int) -> Int[np.ndarray, " k"]:
    """Which of `num` points are looked at: all, or as many as that, drawn once and for all."""
    if num <= most:
        return np.arange(num)
    return np.sort(np.random.default_rng(0).choice(num, most, replace=False))


def _captions(
    areas: Areas, labels: Sequence[tuple[str, ...]], words: Sequence[tuple[str, ...]]
) -> list[Caption]:
    """The areas of which something is typical."""
    found = []
    for one, says in enumerate(labels):
        if says or words[one]:
            left, right, bottom, top = areas.boxes[one].tolist()
            found.append(
                Caption(
                    says=says or words[one],
                    is_words=not says,
                    x=float(areas.peaks[one, 0]),
                    y=float(areas.peaks[one, 1]),
                    size=int(areas.sizes[one]),
                    box=(left, right, bottom, top),
                )
            )
    return found
