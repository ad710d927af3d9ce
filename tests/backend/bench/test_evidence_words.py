"""Pointing of words on three texts whose words are known directions."""

from __future__ import annotations

import numpy as np
import pytest

from backend.bench import _evidence_words as words


@pytest.fixture
def known() -> words.Spoken:
    """Three words each; the label is said by axis 2, and its name lies on axis 0 instead."""
    eye = np.eye(4, dtype=np.float32)
    texts = [eye[[0, 2, 3]], eye[[0, 2, 1]], eye[[0, 1, 3]], eye[[3, 0, 2]]]
    said = np.array([False, True, False])
    inside = {(0, 0): said, (1, 0): said, (3, 0): np.array([False, False, True])}
    return words.Spoken(
        names=["a"],
        parts=texts,
        truth=np.array([[True], [True], [False], [True]]),
        inside=inside,
        is_taught=np.array([True, True, True, False]),
        labels=eye[:1],
        temperature=0.1,
    )


def test_only_texts_that_taught_nothing_are_pointed_at(known):
    assert list(words.measured(known)) == [(3, 0)]


def test_marks_turn_a_label_to_the_word_that_says_it(known, monkeypatch):
    monkeypatch.setattr("backend.numerics.part_shift.CAUTION", 0.01)
    found = words.pointing_of(known, 0)
    assert found[words.OWN] == 0  # the name's own axis
    assert found[words.MARKS] == 1


def test_what_is_taught_is_so_many_of_each_kind(known, monkeypatch):
    seen = []

    def told(label, yes, no, _):
        seen.append((yes, no))
        return label

    monkeypatch.setattr(words, "NEWEST", 1)
    monkeypatch.setattr(words, "learned_vector", told)
    words.pointing_of(known, 0)
    assert [len(of) for of in seen[0]] == [1, 1]
    assert np.array_equal(seen[0][1][0].parts, known.parts[2])
    assert seen[0][0][0].here is None  # verdicts alone
    assert seen[1][0][0].here.tolist() == [1]
