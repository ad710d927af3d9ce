"""What verdicts show of a label: examples that bring it back, near misses, and its usual parts.

A picture is searched by crops around the evidence of the label, a text by the sentence with most of
it; formulas are in numerics/exemplars.py. Candidates and the samples that they are chosen on are
training samples; the precision that is told is that of held-back ones. Pairs without a verdict take
no part: they are not NO.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from backend import catalogue
from backend.board import Board
from backend.contracts import Writer
from backend.guide_places import Material, Place, Seen, look, placed, read_parts, window
from backend.guide_words import UsualWord, count_words, usual_words
from backend.numerics import exemplars
from backend.numerics.scores import average_precision
from backend.numerics.sentences import sentence_starts, sentence_vectors
from backend.store.guide_book import Said
from backend.types import Correction, Layout, Region, Verdict

WRITER = "writers/greedy"
TYPICAL = "writers/medoids"
"""Chooses among many candidates, and where there is no NO to tell a YES from."""

MOST_EXEMPLARS = 5
MOST_CANDIDATES = 50
MOST_MISSES = 6
MOST_PARTS = 4
MOST_YES, MOST_NO = 200, 400
"""Samples of a kind that are searched: about 70 MB of parts to read."""
NEAREST_NO = 100
"""Further NO that the model takes for the label: near misses are sought among them, too."""
MOST_LATE = 100
"""Verdicts given since an edition that are compared with it."""


@dataclass(frozen=True)
class Exemplar:
    """An example of a label.

    Attributes:
        covers: YES samples, its own left out, of which it is the nearest exemplar.
        chance: of the label on its sample, 0..1.
        also: names of the other labels that people gave the sample.
        is_marked: a person said where the label is; else the map says it.
    """

    place: Place
    is_pinned: bool
    covers: int
    is_marked: bool
    chance: float = 0.0
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class NearMiss:
    """A sample that people said NO of and that is much like an exemplar.

    Attributes:
        like: number of that exemplar, from 0; -1 where there is none and the name was compared.
        fit: cosine to it.
        who, when: whose NO it is.
        absent: marks that say where it is not.
        instead: names of the labels that people gave the sample.
    """

    place: Place
    like: int
    fit: float
    who: str
    when: float
    absent: tuple[Region, ...]
    instead: tuple[str, ...] = ()


@dataclass(frozen=True)
class UsualPart:
    """A look of the strongest part of the evidence, and in what share of the samples, 0..1."""

    place: Place
    share: float


@dataclass(frozen=True)
class Found:
    """All that was found of one label.

    Attributes:
        held_out: average precision on held-back samples; None without a YES and a NO there.
        held_out_of: number of those samples.
        yes_of: YES samples that `covers` counts among.
        fits: sample id -> how well it fits its nearest exemplar.
        usual_yes, usual_no: median of those fits, exemplars left out; None where there are none.
        share: of the crops in what was searched by; the rest is the label's name.
    """

    exemplars: tuple[Exemplar, ...] = ()
    misses: tuple[NearMiss, ...] = ()
    parts: tuple[UsualPart, ...] = ()
    words: tuple[UsualWord, ...] = ()
    held_out: float | None = None
    held_out_of: int = 0
    yes_of: int = 0
    fits: Mapping[int, float] | None = None
    usual_yes: float | None = None
    usual_no: float | None = None
    share: float = 1.0


def search(
    material: Material,
    said: Mapping[int, Said],
    *,
    since: int,
    shares: Sequence[float] = exemplars.ALONE,
) -> Found:
    """Look for exemplars, near misses and usual parts of one label.

    What follows from other labels and from the model (`chance`, `also`, `instead`) is left open, so
    that a search can be kept until a verdict on this label changes.

    Args:
        material: the open project and the label.
        said: what people said of samples as exemplars, by sample id.
        since: verdicts after this log offset are looked at whatever their number.
        shares: of the crop beside the label's name in what is searched by; of several, the one
            whose examples are worth most on training samples.
    """
    board, column = material.board, material.column
    label = board.labels[column].id
    told = {
        board.row_of[sample]: row
        for (sample, each), row in board.verdicts.items()
        if each == label and sample in board.row_of
    }
    told = {row: one for row, one in told.items() if board.encoded[row]}
    yes, no = (_rows(board, told, verdict) for verdict in (Verdict.YES, Verdict.NO))
    has_label = set(yes)
    seen = _candidates(material, told, yes, no, said)
    vectors = np.stack([one.vector for one in seen]) if seen else board.label_vectors[[column]]
    rows = _searched(material, yes, no, told, since)
    queries = [exemplars.mixed(vectors, board.label_vectors[column], one) for one in shares]
    told_fits, words = _fits(material, np.concatenate(queries), rows, has_label)
    at = {row: place for place, row in enumerate(rows)}
    pinned = [place for place, one in enumerate(seen) if _is_pinned(board, one.row, said)]
    tried = []
    for share, fits in zip(shares, np.split(told_fits, len(shares)), strict=True):
        chosen, value = [], 0.0
        if seen:
            chosen, value = _chosen(
                board, seen, vectors=vectors, fits=fits, at=at, yes=yes, no=no, pinned=pinned
            )
        tried.append((value, share, chosen, fits))
    _, share, chosen, fits = max(tried, key=lambda one: one[0])  # the first of several alike
    best = fits[chosen] if chosen else fits[:1]
    own = {seen[one].row for one in chosen}
    nearest = best.max(axis=0)
    held = [row for row in (*yes, *no) if board.held_back[row] and row in at and row not in own]
    by_kind = {
        kind: np.array([nearest[at[row]] for row in of if row in at and row not in own])
        for kind, of in (("yes", yes), ("no", no))
    }
    among = [row for row in yes if row in at and row not in own]
    return Found(
        exemplars=_told(material, [seen[one] for one in chosen], best, at, among, said),
        misses=_misses(material, told, no, best, at, is_named=not chosen),
        parts=_usual_parts(material, seen),
        words=usual_words(words, sum(row in has_label for row in rows), len(rows)),
        held_out=_precision(nearest, at, held, has_label),
        held_out_of=len(held),
        yes_of=len(among),
        fits={board.samples[row].id: float(nearest[at[row]]) for row in rows},
        usual_yes=float(np.median(by_kind["yes"])) if len(by_kind["yes"]) else None,
        usual_no=float(np.median(by_kind["no"])) if len(by_kind["no"]) else None,
        share=share,
    )


# Which samples ------------------------------------------------------------------------------------


def _rows(board: Board, told: Mapping[int, Correction], verdict: Verdict) -> list[int]:
    """Training rows with a verdict, in an order that says nothing of them: that of their hashes.

    Without the calibration drawer, and without what was accepted in bulk: nobody looked at it.
    """
    may = board.trainable | board.held_back
    found = [
        row
        for row, one in told.items()
        if one.verdict == verdict and may[row] and not one.is_accepted
    ]
    return sorted(found, key=lambda row: board.samples[row].content_hash)


def _candidates(
    material: Material,
    told: Mapping[int, Correction],
    yes: Sequence[int],
    no: Sequence[int],
    said: Mapping[int, Said],
) -> list[Seen]:
    """Samples that may stand for the label: pinned ones, and the most different YES."""
    board = material.board
    refused = {sample for sample, one in said.items() if not one.is_pinned}
    pinned = [
        board.row_of[sample]
        for sample, one in said.items()
        if one.is_pinned and sample in board.row_of
    ]
    pinned = [row for row in pinned if board.encoded[row] and row not in no]
    may = [
        row
        for row in yes
        if board.trainable[row] and board.samples[row].id not in refused and row not in pinned
    ][:MOST_YES]
    if len(may) > MOST_CANDIDATES:
        method = catalogue.load(TYPICAL)
        writer: Writer = method(method.Settings(starts=1))
        nothing = np.zeros((len(may), 0), np.float32)
        picked = writer.choose(
            board.pooled[may],
            nothing,
            np.full(len(may), -1),
            np.zeros(0, bool),
            k=MOST_CANDIDATES,
        )
        may = [may[one] for one in sorted(picked)]
    rows = [*pinned, *may]
    if not rows:
        return []
    wanted = material.lessons.vectors(material.store, material.pipeline, board, [material.column])
    return [
        look(material, row, parts, layout, wanted, told.get(row), said)
        for row, parts, layout in read_parts(material, rows)
    ]


def _searched(
    material: Material,
    yes: Sequence[int],
    no: Sequence[int],
    told: Mapping[int, Correction],
    since: int,
) -> list[int]:
    """Decided rows whose fit is worked out, ascending."""
    board, kept = material.board, set[int]()
    for rows, most in ((yes, MOST_YES), (no, MOST_NO)):
        for mask in (board.trainable, board.held_back):
            kept.update([row for row in rows if mask[row]][:most])
    late = sorted((told[row].offset, row) for row in (*yes, *no) if told[row].offset > since)
    kept.update(row for _, row in late[-MOST_LATE:])
    liked = np.nan_to_num(board.logits[list(no), material.column])
    kept.update(no[place] for place in np.argsort(-liked, kind="stable")[:NEAREST_NO])
    return sorted(kept)


def _fits(
    material: Material,
    vectors: Float[np.ndarray, "c d"],
    rows: Sequence[int],
    has_label: set[int],
) -> tuple[Float[np.ndarray, "c n"], dict[str, list[float]]]:
    """How well each row fits each candidate; and of texts, each word's counts in YES and NO."""
    out = np.full((len(vectors), len(rows)), -1, np.float32)
    at = {row: place for place, row in enumerate(rows)}
    words: dict[str, list[float]] = {}
    own = material.board.label_vectors[[material.column]]
    for row, parts, layout in read_parts(material, rows):
        text = material.board.samples[row].text
        if text is not None and layout.spans:
            starts = sentence_starts(text, layout.spans)
            out[:, at[row]] = exemplars.fit(vectors, sentence_vectors(parts, starts))
            heat = material.pipeline.shown(parts, own, layout).backward[0, :, 0]
            count_words(words, text, layout.spans, heat, is_yes=row in has_label)
        else:
            out[:, at[row]] = exemplars.fit(vectors, parts)
    return out, words


# What is told -------------------------------------------------------------------------------------


def _chosen(
    board: Board,
    seen: Sequence[Seen],
    *,
    vectors: Float[np.ndarray, "c d"],
    fits: Float[np.ndarray, "c n"],
    at: Mapping[int, int],
    yes: Sequence[int],
    no: Sequence[int],
    pinned: Sequence[int],
) -> tuple[list[int], float]:
    """The candidates that are shown, those that people pinned first, and what they are worth."""
    rows = [row for row in (*yes, *no) if board.trainable[row] and row in at]
    truth = np.isin(rows, list(yes))
    place = {row: number for number, row in enumerate(rows)}
    own = np.array([place.get(one.row, -1) for one in seen], np.int64)
    most = max(MOST_EXEMPLARS, len(pinned))
    key = WRITER if truth.any() and not truth.all() else TYPICAL
    writer: Writer = catalogue.load(key)()
    given = fits[:, [at[row] for row in rows]]
    chosen = writer.choose(vectors, given, own, truth, k=most, kept=pinned)
    return chosen, float(np.nan_to_num(exemplars.worth(given, own, truth, chosen)))


def _told(
    material: Material,
    shown: Sequence[Seen],
    best: Float[np.ndarray, "k n"],
    at: Mapping[int, int],
    among: Sequence[int],
    said: Mapping[int, Said],
) -> tuple[Exemplar, ...]:
    board = material.board
    places = [at[row] for row in among]
    nearest = best[:, places].argmax(axis=0) if places else np.zeros(0, np.int64)
    return tuple(
        Exemplar(
            place=placed(board.samples[one.row], one.region, one.heat, one.layout),
            is_pinned=_is_pinned(board, one.row, said),
            covers=int((nearest == number).sum()),
            is_marked=one.is_marked,
        )
        for number, one in enumerate(shown)
    )


def _misses(
    material: Material,
    told: Mapping[int, Correction],
    no: Sequence[int],
    best: Float[np.ndarray, "k n"],
    at: Mapping[int, int],
    *,
    is_named: bool,
) -> tuple[NearMiss, ...]:
    """The NO that fit an exemplar best, each once, with what people said of it."""
    board = material.board
    rows = [row for row in no if row in at]
    order = sorted(rows, key=lambda row: -best[:, at[row]].max())[:MOST_MISSES]
    own = material.board.label_vectors[[material.column]]
    found = []
    for row, parts, layout in read_parts(material, order):
        column = best[:, at[row]]
        region, heat = _likest(material, row, parts, layout, own)
        found.append(
            NearMiss(
                place=placed(board.samples[row], region, heat, layout),
                like=-1 if is_named else int(column.argmax()),
                fit=float(column.max()),
                who=told[row].who,
                when=told[row].when,
                absent=tuple(one for one in told[row].regions if one.is_absent),
            )
        )
    return tuple(found)


def _likest(
    material: Material,
    row: int,
    parts: Float[np.ndarray, "p d"],
    layout: Layout,
    own: Float[np.ndarray, "1 d"],
) -> tuple[Region | None, Float[np.ndarray, " p"]]:
    """What in a near miss is most like the label: by its map, as a person would be shown it."""
    looked = look(material, row, parts, layout, own, None, {})
    return looked.region, looked.heat


def _precision(
    nearest: Float[np.ndarray, " n"], at: Mapping[int, int], held: Sequence[int], yes: set[int]
) -> float | None:
    targets = np.array([row in yes for row in held], np.float32)
    if not targets.any() or targets.all():
        return None
    return average_precision(nearest[[at[row] for row in held]], targets)


def _usual_parts(material: Material, seen: Sequence[Seen]) -> tuple[UsualPart, ...]:
    """The looks of the strongest cells of candidates, one crop for each group of them."""
    shown = [one for one in seen if one.layout.grid is not None]
    if len(shown) < 2:
        return ()
    vectors = np.stack([one.peak_vector for one in shown])
    nothing = np.zeros((len(shown), 0), np.float32)
    picked = catalogue.load(TYPICAL)().choose(
        vectors, nothing, np.full(len(shown), -1), np.zeros(0, bool), k=min(MOST_PARTS, len(shown))
    )
    nearest = (vectors @ vectors[picked].T).argmax(axis=1)
    found = []
    for number, one in enumerate(picked):
        grid = shown[one].layout.grid or (1, 1)
        sample = material.board.samples[shown[one].row]
        place = Place(sample.id, sample.name, Region("box", window(shown[one].peak, grid)))
        found.append(UsualPart(place, float((nearest == number).mean())))
    return tuple(sorted(found, key=lambda part: -part.share))


def _is_pinned(board: Board, row: int, said: Mapping[int, Said]) -> bool:
    one = said.get(board.samples[row].id)
    return one is not None and one.is_pinned
