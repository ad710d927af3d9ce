from __future__ import annotations

import numpy as np
import pytest

from backend.contracts import lane_host, why_no_lanes
from backend.errors import BadInputError
from backend.methods.encoders.sentence import SentenceEncoder
from backend.methods.encoders.side_by_side import SideBySideEncoder
from backend.methods.encoders.static_words import StaticWordsEncoder
from backend.types import Encoded, Kind, Layout, ScoreScale


class Letters:
    """A tiny second encoder: counts of five letters; words are cut at single blanks."""

    id = "letters"
    kind = Kind.TEXT
    dim = 5
    fingerprint = "letters-1"
    scale = ScoreScale(global_mean=0.2, global_std=0.4, temperature=0.1)
    input_size = 0

    def encode_texts(self, texts):
        rows = np.array([[1 + text.count(c) for c in "aeiou"] for text in texts], np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    encode_labels = encode_texts

    def encode(self, samples):
        parts, layouts = [], []
        for text in samples:
            ends = np.cumsum([len(word) + 1 for word in text.split(" ")])
            starts = [0, *ends[:-1]]
            spans = tuple((int(a), int(b) - 1) for a, b in zip(starts, ends, strict=True))
            parts.append(self.encode_texts([text[a:b] for a, b in spans]))
            layouts.append(Layout(spans=spans))
        return Encoded(self.encode_texts(samples), tuple(parts), tuple(layouts))


@pytest.fixture(scope="module")
def both():
    words, letters = StaticWordsEncoder(), Letters()
    return SideBySideEncoder([words, letters]), words, letters


def test_its_cosine_is_the_mean_of_the_cosines(both):
    beside, words, letters = both
    texts, labels = ["my card is lost", "open the pool"], ["card", "swimming pool", "lost_stolen"]
    expected_pooled, expected_parts = 0, 0
    for one in (words, letters):
        encoded, names = one.encode(texts), one.encode_labels(labels)
        expected_pooled = expected_pooled + encoded.pooled @ names.T / 2
        expected_parts = expected_parts + encoded.parts[0] @ names.T / 2
    encoded, names = beside.encode(texts), beside.encode_labels(labels)
    np.testing.assert_allclose(encoded.pooled @ names.T, expected_pooled, atol=1e-6)
    np.testing.assert_allclose(encoded.parts[0] @ names.T, expected_parts, atol=1e-6)
    assert beside.dim == 261
    assert encoded.layouts == words.encode(texts).layouts


def test_members_that_divide_a_sample_differently_are_refused(both):
    with pytest.raises(BadInputError, match="different parts"):
        both[0].encode(["double  blank"])


def test_kinds_do_not_mix(both):
    class Pictures(Letters):
        kind = Kind.IMAGE

    with pytest.raises(BadInputError, match="images and of texts"):
        SideBySideEncoder([both[1], Pictures()])


def test_identity_is_that_of_the_members_in_their_order(both):
    beside, words, letters = both
    assert beside.id == "words+letters"
    assert beside.fingerprint == SideBySideEncoder([words, letters]).fingerprint
    assert beside.fingerprint != SideBySideEncoder([letters, words]).fingerprint


@pytest.mark.slow
def test_lanes_live_in_the_first_member_that_takes_them():
    words, sentence = StaticWordsEncoder(), SentenceEncoder(SentenceEncoder.Settings(threads=1))
    beside = SideBySideEncoder([words, sentence])
    assert lane_host(beside) is beside
    assert (beside.lane_key, beside.plain_dim) == (sentence.lane_key, 0)
    texts = ["my card is lost", "open the pool"]
    encoded, readings = beside.read(texts)
    np.testing.assert_allclose(encoded.pooled, beside.encode(texts).pooled, atol=5e-6)
    for ours, theirs in zip(readings, sentence.read(texts)[1], strict=True):
        np.testing.assert_array_equal(ours.tokens, theirs.tokens)
    np.testing.assert_array_equal(beside.frozen_stack().start, sentence.frozen_stack().start)


def test_without_a_host_it_says_why(both):
    beside, words, letters = both
    assert lane_host(beside) is lane_host(words) is lane_host(letters) is None
    assert beside.lane_refusal == why_no_lanes(words)
    assert "static word vectors come from no transformer" in beside.lane_refusal
    assert why_no_lanes(letters).startswith("no lanes with letters: ")
    with pytest.raises(BadInputError, match="no lanes with words"):
        beside.read(["a"])
