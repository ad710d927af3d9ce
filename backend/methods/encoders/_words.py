"""From token vectors to word vectors, and the checks that all text encoders share."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from backend.errors import BadInputError


def unit_rows(vectors: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
    """Rows of length 1; a row of zeros becomes the first axis, since every row has to be unit."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
    rows[lengths[:, 0] < 1e-12] = np.eye(1, vectors.shape[1], dtype=np.float32)
    return rows


def sum_by_word(
    tokens: Float[np.ndarray, "t d"], owner: Int[np.ndarray, " t"], num_words: int
) -> Float[np.ndarray, "w d"]:
    """Sum of the token vectors of each word; tokens of no word (owner -1) are left out.

    The direction of a sum is that of the mean, so nothing is divided.
    """
    sums = np.zeros((num_words, tokens.shape[1]), np.float32)
    np.add.at(sums, owner[owner >= 0], tokens[owner >= 0])
    return sums


def word_rows(
    sums: Float[np.ndarray, "w d"], pooled: Float[np.ndarray, " d"]
) -> Float[np.ndarray, "w d"]:
    """Unit word vectors; a word without a token of its own takes the text's vector."""
    empty = (sums == 0).all(axis=1)
    if empty.any():
        sums = np.where(empty[:, None], pooled, sums)
    return unit_rows(sums)


def check_texts(texts: Sequence[object], encoder: str) -> list[str]:
    """The texts as a list.

    Raises:
        BadInputError: something is not a text, or one text was given in place of several.
    """
    if isinstance(texts, str):
        raise BadInputError(f"{encoder} takes a list of texts, not one text: [text]")
    checked = []
    for text in texts:
        if not isinstance(text, str):
            raise BadInputError(f"{encoder} takes texts, not {type(text).__name__}")
        checked.append(text)
    return checked


def encoder_fingerprint(family: str, facts: dict[str, object]) -> str:
    """Short hash of everything that decides an encoder's vectors."""
    text = json.dumps(facts, sort_keys=True)
    return f"{family}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
