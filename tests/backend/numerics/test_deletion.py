from __future__ import annotations

import numpy as np
import pytest

from backend.numerics.deletion import area, deletion_counts, orders


def test_counts_go_evenly_from_nothing_to_all_but_what_has_to_stay():
    assert deletion_counts(16, fewest_left=0, steps=4).tolist() == [0, 4, 8, 12, 16]
    assert deletion_counts(3, fewest_left=1, steps=8).tolist() == [0, 1, 2]


def test_the_largest_go_first_then_last_and_random_orders_are_drawn_from_their_seed():
    found = orders(np.array([0.1, 0.7, 0.2], np.float32), seeds=3)
    assert found["map"][0].tolist() == [1, 2, 0]
    assert found["inverted"][0].tolist() == [0, 2, 1]
    assert [sorted(order) for order in found["random"]] == [[0, 1, 2]] * 3
    again = orders(np.array([0.5, 0.2, 0.3], np.float32), seeds=3)["random"]
    assert all((a == b).all() for a, b in zip(found["random"], again, strict=True))


def test_an_area_is_the_mean_height():
    shares = np.array([0.0, 0.25, 1.0])
    assert area(shares, np.array([2.0, 2.0, 2.0])) == pytest.approx(2.0)
    assert area(shares, 3 * shares + 1) == pytest.approx(2.5)
    # From 0 to 0.75 instead of 1: a text keeps its last word.
    assert area(np.array([0.0, 0.75]), np.array([0.0, 4.0])) == pytest.approx(2.0)
