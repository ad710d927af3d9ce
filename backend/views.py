"""What a board says to a person: suggestions, colours, the verdicts of a split.

Pure functions of a board; nothing here reads the disk or changes anything.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float, Int

from backend.board import Board
from backend.errors import BadInputError
from backend.types import SampleSuggestions, Split, Suggestion, Verdict

Brought = Mapping[tuple[int, int, str], float]
"""Scores of other models: (sample id, label id, source) -> score."""


def suggestions_of(
    board: Board, row: int, *, version: int, encoder: str, brought: Brought
) -> SampleSuggestions:
    """All labels of one sample, best first; none while it is not encoded."""
    sample, logits = board.samples[row], board.logits[row]
    sources = sorted({source for _, _, source in brought})
    order = np.argsort(-np.nan_to_num(logits, nan=-np.inf), kind="stable")
    found = []
    for column in order if board.encoded[row] else ():
        label, chance = board.labels[column], float(board.probabilities[row, column])
        correction = board.verdicts.get((sample.id, label.id))
        found.append(
            Suggestion(
                label=label.name,
                label_id=label.id,
                score=float(logits[column]),
                probability=None if np.isnan(chance) else chance,
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


def colours(board: Board, by: str, column: int | None) -> Float[np.ndarray, " n"]:
    """One number per encoded row; see `Workbench.colours`."""
    rows = np.flatnonzero(board.encoded)
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
    raise BadInputError(f"cannot colour by {by!r}; choose label (with a label), doubt or verdict")


def chances(
    board: Board, rows: Int[np.ndarray, " n"] | slice = slice(None)
) -> Float[np.ndarray, "n l"]:
    """Probabilities where calibrated, else a logistic of the score; 0 where nothing is known."""
    logits, probabilities = board.logits[rows], board.probabilities[rows]
    rough = 1 / (1 + np.exp(-np.clip(np.nan_to_num(logits, nan=-30.0), -30, 30)))
    return np.where(np.isnan(probabilities), rough, probabilities).astype(np.float32)


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


def verdicts_of(board: Board) -> dict[tuple[int, int], Verdict]:
    """Current verdicts by (sample id, label id)."""
    return {pair: c.verdict for pair, c in board.verdicts.items() if c.verdict is not None}


def rows_of_split(board: Board, split: str) -> Bool[np.ndarray, " n"]:
    """Encoded rows of "held-back", "train", "val" or "test".

    Raises:
        BadInputError: an unknown split.
    """
    if split == "held-back":
        return board.encoded & board.held_back
    if split not in {s.value for s in Split}:
        known = ", ".join(["held-back", *(s.value for s in Split)])
        raise BadInputError(f"unknown split {split!r}; known are {known}, or a file of verdicts")
    return board.encoded & np.array([s.split == split for s in board.samples], bool)
