"""Words that usually carry a label, counted over the texts that people decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

MOST_WORDS = 8
OFTENER = 1.5
"""A usual word stands that much oftener in texts with the label than in others."""
LONGEST_WORD = 40
"""Characters; what is longer is several words of a very long text."""


@dataclass(frozen=True)
class UsualWord:
    """A word that carries the label; in how many of the samples with and without it it stands."""

    word: str
    in_yes: float
    in_no: float


def count_words(
    words: dict[str, list[float]],
    text: str,
    spans: Sequence[tuple[int, int]],
    heat: Float[np.ndarray, " p"],
    *,
    is_yes: bool,
) -> None:
    """Add one text to the counts: [texts with YES, texts with NO, evidence in texts with YES]."""
    carried: dict[str, float] = {}
    for (start, end), mass in zip(spans, heat, strict=True):
        word = text[start:end].casefold()
        if len(word) <= LONGEST_WORD:  # several words together are none
            carried[word] = carried.get(word, 0.0) + float(mass)
    for word, mass in carried.items():
        counts = words.setdefault(word, [0.0, 0.0, 0.0])
        counts[0 if is_yes else 1] += 1
        counts[2] += mass if is_yes else 0.0


def usual_words(
    words: Mapping[str, list[float]], num_yes: int, num_texts: int
) -> tuple[UsualWord, ...]:
    """Words that carry the label and that texts without it seldom have.

    Ranked by the evidence they hold times how much oftener they stand in texts with the label.
    """
    all_yes, all_no = max(num_yes, 1), max(num_texts - num_yes, 1)
    ranked = [
        (mass * (in_yes / all_yes - in_no / all_no), word, in_yes / all_yes, in_no / all_no)
        for word, (in_yes, in_no, mass) in words.items()
        if in_yes > 1 and in_yes / all_yes > OFTENER * in_no / all_no
    ]
    ranked.sort(key=lambda each: (-each[0], each[1]))
    return tuple(UsualWord(*each[1:]) for each in ranked[:MOST_WORDS])
