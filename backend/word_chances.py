"""The chance of words that are no label: that of a label which somebody has made of them just now.

So it is on one scale with the chances of labels that nothing was learned of yet. Kept for the last
few words, since the parts of all samples are read for it; in memory only, since whoever may only
look at a project can search it as well.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from threading import Lock
from typing import TypeVar

import numpy as np
from jaxtyping import Float

from backend import encoding, learning, views
from backend.board import Board
from backend.contracts import has_text_side
from backend.errors import BadInputError
from backend.pipeline import Pipeline
from backend.store.vectors import VectorStore
from backend.types import Label

K = TypeVar("K")
V = TypeVar("V")

KEPT = 16
"""Words whose vectors and chances are kept, the latter one number a sample."""


class WordChances:
    """Chances of words over the samples of one open project."""

    def __init__(self, vectors: VectorStore):
        self._vectors = vectors
        self._kept: OrderedDict[str, tuple[np.ndarray, Float[np.ndarray, " n"]]] = OrderedDict()
        self._read: OrderedDict[tuple[str, str], Float[np.ndarray, " d"]] = OrderedDict()
        self._lock = Lock()

    def of(
        self, board: Board, pipeline: Pipeline, words: Sequence[str]
    ) -> Float[np.ndarray, "n w"]:
        """A column for each text; NaN where a sample is not encoded.

        Raises:
            BadInputError: the encoder reads no words.
        """
        if not has_text_side(pipeline.encoder):
            raise BadInputError(
                f"{pipeline.encoder.id} reads no words; write names of labels, without quotes"
            )
        with self._lock:
            # A board keeps its vectors until samples come or go, or another encoder is chosen.
            known = {
                text: column
                for text, (pooled, column) in self._kept.items()
                if pooled is board.pooled
            }
        new = [text for text in dict.fromkeys(words) if text not in known]
        if new:
            made = self.vectors(pipeline, new)
            found = _as_new_labels(board, pipeline, self._vectors, new, made)
            known.update(zip(new, found.T, strict=True))
        with self._lock:
            _keep(self._kept, {text: (board.pooled, known[text]) for text in words})
        return np.stack([known[text] for text in words], axis=1)

    def vectors(self, pipeline: Pipeline, words: Sequence[str]) -> Float[np.ndarray, "w d"]:
        """The vectors of words, as a label of that name has them."""
        if not words:
            return np.zeros((0, pipeline.encoder.dim), np.float32)
        encoder = pipeline.encoder
        with self._lock:
            known = {
                text: self._read[encoder.fingerprint, text]
                for text in words
                if (encoder.fingerprint, text) in self._read
            }
        new = [text for text in dict.fromkeys(words) if text not in known]
        if new:
            found = encoding.label_vectors(self._vectors, encoder, new, stores=False)
            known.update(zip(new, found, strict=True))
        with self._lock:
            _keep(self._read, {(encoder.fingerprint, text): known[text] for text in words})
        return np.stack([known[text] for text in words])


def _keep(kept: OrderedDict[K, V], new: Mapping[K, V]) -> None:
    """Take these in as the newest; the oldest go."""
    for key, value in new.items():
        kept[key] = value
        kept.move_to_end(key)
    while len(kept) > KEPT:
        kept.popitem(last=False)


def _as_new_labels(
    board: Board,
    pipeline: Pipeline,
    vectors: VectorStore,
    words: Sequence[str],
    label_vectors: Float[np.ndarray, "w d"],
) -> Float[np.ndarray, "n w"]:
    unknown = np.full((len(board.samples), len(words)), np.nan, np.float32)
    made = tuple(Label(-number, text) for number, text in enumerate(words, 1))
    own = replace(
        board,
        labels=made,
        label_vectors=label_vectors,
        global_scores=unknown,
        local_scores=unknown,
        logits=unknown,
        probabilities=unknown,
        verdicts={},
        said={},
    )
    own = encoding.filled(own, pipeline, vectors)
    logits = learning.zero_shot_logits(pipeline, own, tuple(label.id for label in made))
    logits = np.where(own.encoded[:, None], logits, np.nan).astype(np.float32)
    chances = views.chances(replace(own, logits=logits))
    return np.where(own.encoded[:, None], chances, np.nan)
