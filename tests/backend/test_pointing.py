"""What a person may ask of points, and what is said where it cannot be."""

from __future__ import annotations

import numpy as np
import pytest

from backend.errors import BadInputError
from backend.pointing import MOST_POINTS, checked, words_of


@pytest.mark.parametrize("place", [(1.2, 0.4), (0.1, -0.01), (float("nan"), 0.5)])
def test_a_point_outside_of_the_picture_is_named(place):
    with pytest.raises(BadInputError, match="point 2 lies outside of the picture"):
        checked([(0.5, 0.5, True), (*place, False)])


def test_the_edge_belongs_to_the_picture():
    found = checked([(0, 0, True), (1, 1, False)])
    assert found.xy.tolist() == [[0, 0], [1, 1]]
    assert found.is_positive.tolist() == [True, False]


def test_a_mask_needs_a_yes_and_not_thousands():
    with pytest.raises(BadInputError, match="a point that says: it is here"):
        checked([(0.5, 0.5, False)])
    with pytest.raises(BadInputError, match=f"more than {MOST_POINTS}"):
        checked([(0.5, 0.5, True)] * (MOST_POINTS + 1))


def test_words_say_yes_from_the_hottest_and_no_from_the_coldest():
    heat = np.array([0.1, 0.9, 0.2, 0.15, 0.8, 0.12, 0.11], np.float32)
    found = words_of(heat, 4)
    assert found[:2] == ((1, True), (4, True))
    assert [here for _, here in found[2:]] == [False, False]
    assert [part for part, _ in found[2:]] == [0, 6]


def test_one_word_and_equal_words_say_nothing():
    assert words_of(np.array([0.4], np.float32), 10) == ()
    assert words_of(np.full(9, 0.4, np.float32), 10) == ()
