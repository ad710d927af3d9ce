"""Words of a text as character spans: the parts that every text encoder agrees on.

Encoders cut texts into tokens of their own; putting two of them side by side, drawing evidence and
storing a span a person marked all need one division that belongs to none of them. Refuses nothing:
any string has at least one word, the whole string if need be.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import regex
from jaxtyping import Int

Spans = tuple[tuple[int, int], ...]

MOST_WORDS = 2048
"""A text with more words gets parts of several words each, so that a hostile or very long text
costs at most 2048 part vectors."""

# Letters and digits with their marks hold together, also over an apostrophe, hyphen or decimal
# point ("doesn't", "e-bike", "3.50"). Scripts written without blanks have no such edge: a Han
# character is a word (as in BERT's tokenizer), kana and Thai-like scripts go by runs of at most 4.
# An emoji or other symbol says something too; plain punctuation does not, unless there is nothing
# else.
_WORD = regex.compile(
    r"""
    \p{Han}\p{M}*
  | (?:[\p{Hiragana}\p{Katakana}ー]\p{M}*){1,4}
  | (?:[\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]\p{M}*){1,4}
  | (?:(?![\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}])
       [\p{L}\p{N}_][\p{M}\u200c\u200d]*
       (?:['’.,:\-‐‑](?=\p{N})(?<=\p{N}.)|['’\-‐‑](?=\p{L})(?<=[\p{L}\p{M}\p{N}].))?
    )+
  | (?=[\p{So}\p{Sk}\p{Sc}]|\p{Emoji_Presentation})\X
    """,
    regex.VERBOSE,
)
_ANYTHING = regex.compile(r"\S+")


def word_spans(text: str, *, most: int = MOST_WORDS) -> Spans:
    """Give the words of a text as (start, end) character positions, in order, never empty.

    Punctuation alone is no word, except where a text holds nothing else; a blank or empty text is
    one word from its start to its end. Over `most` words, neighbours are taken together.
    """
    spans = [match.span() for match in _WORD.finditer(text)]
    spans = spans or [match.span() for match in _ANYTHING.finditer(text)]
    spans = spans or [(0, len(text))]
    if len(spans) > most:
        together = -(-len(spans) // most)
        spans = [
            (spans[at][0], spans[min(at + together, len(spans)) - 1][1])
            for at in range(0, len(spans), together)
        ]
    return tuple(spans)


def words_of_tokens(
    tokens: Sequence[tuple[int, int]], words: Sequence[tuple[int, int]]
) -> Int[np.ndarray, " t"]:
    """The word each token belongs to, by most shared characters; -1 where it shares none.

    Both lists are in order. A token that spans two words goes to the one it covers more of, the
    first if equal.
    """
    owner = np.full(len(tokens), -1, np.int64)
    first = 0
    for index, (start, end) in enumerate(tokens):
        while first < len(words) and words[first][1] <= start:
            first += 1
        best = 0
        for word in range(first, len(words)):
            if words[word][0] >= end:
                break
            shared = min(end, words[word][1]) - max(start, words[word][0])
            if shared > best:
                best, owner[index] = shared, word
    return owner


def readable_name(name: str) -> str:
    """A label's name as a person would say it: underscores and double blanks become one blank."""
    return " ".join(name.replace("_", " ").split())
