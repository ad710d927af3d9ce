"""Sentences of a text as runs of its parts: what can be quoted, and one vector for each.

A sentence ends where a line break stands between two parts, or a full stop, a question or
exclamation mark, an ellipsis or such a sign of another script, followed by a blank where the script
has blanks ("p.m." ends none). A run of `LONGEST` parts ends all the same, so that a text without
signs can be quoted, too.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import regex
from jaxtyping import Float, Int

LONGEST = 32
"""Parts, which are words except in very long texts."""
MOST_QUOTED = 300
"""Characters of a quotation."""

_SIGN = r"[\p{Sentence_Terminal}…]"
_END = regex.compile(rf"\n|{_SIGN}[\p{{Pe}}\p{{Pf}}\"']*\s|[。！？｡]")
_LAST = regex.compile(rf"{_SIGN}")


def sentence_starts(text: str, spans: Sequence[tuple[int, int]]) -> Int[np.ndarray, " s"]:
    """The first part of each sentence, ascending; none for a text without parts."""
    if not spans:
        return np.zeros(0, np.int64)
    starts = [0]
    for at in range(1, len(spans)):
        is_end = _END.search(text, spans[at - 1][1], spans[at][0]) is not None
        if is_end or at - starts[-1] >= LONGEST:
            starts.append(at)
    return np.array(starts, np.int64)


def sentence_vectors(
    parts: Float[np.ndarray, "p d"], starts: Int[np.ndarray, " s"]
) -> Float[np.ndarray, "s d"]:
    """The mean of the parts of each sentence, at unit length."""
    sums = np.add.reduceat(parts, starts, axis=0)
    norms = np.linalg.norm(sums, axis=1, keepdims=True)
    return (sums / np.maximum(norms, 1e-12)).astype(np.float32)


def sentence_span(
    text: str, spans: Sequence[tuple[int, int]], starts: Int[np.ndarray, " s"], number: int
) -> tuple[int, int]:
    """Where a sentence is in its text, with the sign that ends it; at most `MOST_QUOTED` long."""
    last = int(starts[number + 1]) - 1 if number + 1 < len(starts) else len(spans) - 1
    begin, end = spans[int(starts[number])][0], spans[last][1]
    if _LAST.match(text, end):
        end += 1
    return begin, min(end, begin + MOST_QUOTED)
