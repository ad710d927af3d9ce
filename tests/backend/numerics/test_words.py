from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.numerics.words import MOST_WORDS, readable_name, word_spans, words_of_tokens


def words(text: str) -> list[str]:
    return [text[start:end] for start, end in word_spans(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It doesn't work!! The e-bike.", ["It", "doesn't", "work", "The", "e-bike"]),
        ("3.50€ at 10:30, or $5", ["3.50", "€", "at", "10:30", "or", "$", "5"]),
        ("user_name <b>x</b>", ["user_name", "b", "x", "b"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("私は猫が", ["私", "は", "猫", "が"]),
        ("cafe\u0301 l’été", ["cafe\u0301", "l’été"]),
        ("ok 👩\u200d👧 😡👍🏽", ["ok", "👩\u200d👧", "😡", "👍🏽"]),
        ("مرحبا بالعالم", ["مرحبا", "بالعالم"]),
        ("'quoted' end-", ["quoted", "end"]),
        ("?!", ["?!"]),
        ("  ", ["  "]),
        ("", [""]),
    ],
)
def test_words_are_what_a_person_would_count(text, expected):
    assert words(text) == expected


@given(st.text(max_size=80))
def test_any_text_has_words_in_order_that_lose_no_letter(text):
    spans = word_spans(text)
    assert spans
    assert all(start <= end for start, end in spans)
    assert all(a[1] <= b[0] for a, b in pairwise(spans))
    inside = {at for start, end in spans for at in range(start, end)}
    assert all(at in inside for at, letter in enumerate(text) if letter.isalpha())


def test_a_very_long_text_gets_parts_of_several_words():
    text = "word " * 5000
    spans = word_spans(text)
    assert len(spans) <= MOST_WORDS
    assert spans[0] == (0, 14)
    assert spans[-1][1] == len(text) - 1


def test_tokens_go_to_the_word_they_share_most_characters_with():
    spans = [(0, 5), (6, 10)]
    tokens = [(0, 3), (3, 7), (5, 6), (5, 10), (12, 13)]
    np.testing.assert_array_equal(words_of_tokens(tokens, spans), [0, 0, -1, 1, -1])


def test_label_names_are_read_as_words():
    assert readable_name("lost_or__stolen ") == "lost or stolen"
