"""What a board says to a person: suggestions, colours, the verdicts of a split.

Pure functions of a board; nothing here reads the disk or changes anything.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from backend.board import Board
from backend.errors import BadInputError
from backend.numerics import logistic
from backend.types import Correction, SampleSuggestions, Split, Suggestion, Verdict

Brought = Mapping[tuple[int, int, str], float]
"""Scores of other models: (sample id, label id, source) -> score."""

SPLITS = ("held-back", *(split.value for split in Split))
"""Whose verdicts a comparison may take for the truth."""

APART = 0.25
"""Chances that are closer than this are no disagreement worth a look."""


def suggestions_of(
    board: Board,
    row: int,
    *,
    version: int,
    encoder: str,
    brought: Brought,
    sources: Sequence[str],
) -> SampleSuggestions:
    """All labels of one sample, best first; none while it is not encoded.

    Args:
        board: as who asks may see it.
        row: of the sample.
        version: the board's.
        encoder: by the name people use.
        brought: scores of other models; of each label those of this sample are looked up.
        sources: their names.
    """
    sample, logits = board.samples[row], board.logits[row]
    order = np.argsort(-np.nan_to_num(logits, nan=-np.inf), kind="stable").tolist()
    scores, chances_ = logits.tolist(), board.probabilities[row].tolist()
    found = []
    for column in order if board.encoded[row] else ():
        label, chance = board.labels[column], chances_[column]
        correction = board.verdicts.get((sample.id, label.id))
        found.append(
            Suggestion(
                label=label.name,
                label_id=label.id,
                score=scores[column],
                probability=None if math.isnan(chance) else chance,
                verdict=correction.verdict if correction else None,
                brought={
                    source: brought[sample.id, label.id, source]
                    for source in sources
                    if (sample.id, label.id, source) in brought
                },
            )
        )
    return SampleSuggestions(
        sample=sample.id,
        name=sample.name,
        suggestions=tuple(found),
        version=version,
        encoder=encoder,
    )


def colours(
    board: Board,
    by: str,
    column: int | None,
    *,
    brought: Brought | None = None,
    source: str | None = None,
) -> Float[np.ndarray, " n"]:
    """One number per encoded row; see `Workbench.colours`.

    Raises:
        BadInputError: an unknown `by`, or one that lacks its label or source.
    """
    rows = np.flatnonzero(board.encoded)
    if by == "brought" and column is not None and source is not None:
        return brought_chances(board, brought or {}, source)[rows, column]
    if by == "disagree":
        gaps = _gaps(board, brought or {}, source)[rows]
        if column is not None:
            return gaps[:, column]
        none = np.isnan(gaps).all(axis=1)
        return np.where(none, np.nan, np.nan_to_num(gaps, nan=0.0).max(axis=1, initial=0.0))
    if by == "verdict":
        return _verdict_colours(board, rows, column)
    known = chances(board, rows)
    if by == "label" and column is not None:
        return known[:, column]
    if by == "doubt":
        doubt = np.where(board.decided[rows], 0.0, 1 - np.abs(2 * known - 1)).astype(np.float32)
        if column is not None:
            return doubt[:, column]
        return doubt.max(axis=1, initial=0.0)
    raise BadInputError(
        f"cannot colour by {by!r}; choose label (with a label), doubt, verdict, "
        "brought (with a label and a source) or disagree"
    )


def chances(
    board: Board,
    rows: Int[np.ndarray, " n"] | slice = slice(None),
    columns: Int[np.ndarray, " l"] | slice = slice(None),
) -> Float[np.ndarray, "n l"]:
    """Probabilities where calibrated, else a logistic of the score; 0 where nothing is known."""
    logits, probabilities = board.logits[rows][:, columns], board.probabilities[rows][:, columns]
    rough = logistic.chance(np.nan_to_num(logits, nan=-30.0))
    return np.where(np.isnan(probabilities), rough, probabilities).astype(np.float32)


def brought_chances(board: Board, brought: Brought, source: str) -> Float[np.ndarray, "n l"]:
    """What another model says of each sample and label as 0..1; NaN where it says nothing.

    Models give probabilities or logits. One score outside of 0..1 tells that all are logits.
    """
    out = np.full((len(board.samples), len(board.labels)), np.nan, np.float32)
    for (sample, label, called), score in brought.items():
        if called == source and sample in board.row_of and label in board.column_of:
            out[board.row_of[sample], board.column_of[label]] = score
    known = out[~np.isnan(out)]
    if len(known) and (known.min() < 0 or known.max() > 1):
        out = logistic.chance(out)
    return out


def disagreements(
    board: Board, brought: Brought, rows: Int[np.ndarray, " n"], k: int
) -> list[tuple[int, str, float]]:
    """Rows where another model says something else on an undecided label, furthest apart first.

    Returns:
        Row, reason in words, and how far apart the two are (0..1).
    """
    found: dict[int, tuple[int, str, float]] = {}
    ours = chances(board)
    for source in sorted({called for _, _, called in brought}):
        theirs = brought_chances(board, brought, source)
        gaps = np.nan_to_num(np.where(board.decided, 0.0, np.abs(theirs - ours)), nan=0.0)
        if not gaps.shape[1]:
            continue
        columns = gaps.argmax(axis=1)
        for row in rows:
            column, gap = columns[row], float(gaps[row, columns[row]])
            if gap >= APART and gap > found.get(int(row), (0, "", 0.0))[2]:
                said = f"{board.labels[column].name}: {source} {theirs[row, column]:.2f}, "
                found[int(row)] = (int(row), f"{said}here {ours[row, column]:.2f}", gap)
    return sorted(found.values(), key=lambda each: -each[2])[:k]


def _gaps(board: Board, brought: Brought, source: str | None) -> Float[np.ndarray, "n l"]:
    """How far apart our chances and those of a source are; of several the one furthest away."""
    gaps = np.full((len(board.samples), len(board.labels)), np.nan, np.float32)
    ours = chances(board)
    for called in [source] if source else sorted({called for _, _, called in brought}):
        gaps = np.fmax(gaps, np.abs(brought_chances(board, brought, called) - ours))
    return gaps


def _verdict_colours(board: Board, rows: np.ndarray, column: int | None) -> np.ndarray:
    if column is None:
        decided = board.decided[rows]
        return decided.mean(axis=1).astype(np.float32) if decided.shape[1] else np.zeros(len(rows))
    values = {Verdict.YES: 1.0, Verdict.NO: 0.0, Verdict.UNSURE: 0.5}
    label = board.labels[column].id
    out = np.full(len(rows), np.nan, np.float32)
    for at, row in enumerate(rows):
        correction = board.verdicts.get((board.samples[row].id, label))
        if correction is not None and correction.verdict is not None:
            out[at] = values[correction.verdict]
    return out


def looked_at(board: Board) -> dict[tuple[int, int], Verdict]:
    """Current verdicts by (sample id, label id), those accepted in bulk left out."""
    return {
        pair: c.verdict
        for pair, c in board.verdicts.items()
        if c.verdict is not None and not c.is_accepted
    }


def verdicts_by_sample(
    board: Board, ids: Collection[int] | None = None
) -> dict[int, dict[int, Verdict]]:
    """What counts, sample id -> label id -> verdict, of all samples or of some."""
    out: dict[int, dict[int, Verdict]] = {sample: {} for sample in ids or ()}
    for (sample, label), correction in cells(board, ids):
        if correction.verdict is not None:
            out.setdefault(sample, {})[label] = correction.verdict
    return out


def cells(
    board: Board, ids: Collection[int] | None = None
) -> Iterator[tuple[tuple[int, int], Correction]]:
    """Pairs (sample id, label id) with what counts of them, of all samples or of some.

    Looks at whatever is fewer: all pairs of these samples, or all of which something is said.
    """
    if ids is not None and len(ids) * len(board.labels) < len(board.verdicts):
        for sample in ids:
            for label in board.labels:
                found = board.verdicts.get((sample, label.id))
                if found is not None:
                    yield (sample, label.id), found
        return
    wanted = None if ids is None else set(ids)
    for pair, found in board.verdicts.items():
        if wanted is None or pair[0] in wanted:
            yield pair, found


def rows_of_split(board: Board, split: str) -> Bool[np.ndarray, " n"]:
    """Encoded rows of "held-back", "train", "val" or "test".

    Raises:
        BadInputError: an unknown split.
    """
    if split == "held-back":
        return board.encoded & board.held_back
    if split not in SPLITS:
        known = ", ".join(SPLITS)
        raise BadInputError(f"unknown split {split!r}; known are {known}, or a file of verdicts")
    return board.encoded & np.array([s.split == split for s in board.samples], bool)
