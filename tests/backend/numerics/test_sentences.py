"""Sentences of texts that a person can check by reading them."""

from __future__ import annotations

import numpy as np
import pytest

from backend.numerics.sentences import (
    LONGEST,
    MOST_QUOTED,
    sentence_span,
    sentence_starts,
    sentence_vectors,
)
from backend.numerics.words import word_spans


def quoted(text: str) -> list[str]:
    spans = word_spans(text)
    starts = sentence_starts(text, spans)
    found = [sentence_span(text, spans, starts, number) for number in range(len(starts))]
    return [text[begin:end] for begin, end in found]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One bus. Two trains!", ["One bus.", "Two trains!"]),
        ("Between 12:45 p.m. and 3.50 euros, e.g.this", None),
        ("He said: “Stop!” Then he left", ["He said: “Stop!", "Then he left"]),
        ("first line\nsecond line", ["first line", "second line"]),
        ("猫は寝る。犬は走る。", ["猫は寝る。", "犬は走る。"]),
        ("no sign at all", ["no sign at all"]),
    ],
)
def test_a_text_is_cut_where_a_reader_would_cut_it(text, sentences):
    if sentences is None:  # a number and "p.m." inside hold together
        assert quoted(text)[0].startswith("Between 12:45 p.m")
    else:
        assert quoted(text) == sentences


def test_a_text_of_twenty_thousand_words_without_a_sign_can_be_quoted():
    text = " ".join(f"word{n}" for n in range(20_000))
    found = quoted(text)
    assert len(found) > 20
    assert all(0 < len(one) <= MOST_QUOTED for one in found)
    spans = word_spans(text)
    assert np.diff(sentence_starts(text, spans)).max() == LONGEST


def test_a_blank_text_has_one_sentence_and_no_parts_have_none():
    assert quoted("") == [""]
    assert sentence_starts("text", ()).tolist() == []


def test_a_sentence_is_the_mean_of_its_parts_at_unit_length():
    parts = np.random.default_rng(0).normal(size=(7, 4)).astype(np.float32)
    found = sentence_vectors(parts, np.array([0, 3, 4]))
    for row, (begin, end) in enumerate(((0, 3), (3, 4), (4, 7))):
        mean = parts[begin:end].mean(axis=0)
        np.testing.assert_allclose(found[row], mean / np.linalg.norm(mean), rtol=1e-5)
