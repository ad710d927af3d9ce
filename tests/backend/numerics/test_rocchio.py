"""The direction of relevance feedback, by hand."""

from __future__ import annotations

import numpy as np

from backend.numerics.rocchio import UNLIKE, towards


def test_it_is_the_weighted_difference_of_means_at_unit_length() -> None:
    like = np.array([[1.0, 0, 0], [0, 1.0, 0]])
    unlike = np.array([[0, 0, 1.0], [0, 1.0, 0], [0, 0, 1.0]])
    twin = np.array([1 / 2, 1 / 2 - UNLIKE / 3, -2 * UNLIKE / 3])
    np.testing.assert_allclose(towards(like, unlike), twin / np.sqrt((twin**2).sum()), atol=1e-7)


def test_with_nothing_unlike_it_is_the_mean() -> None:
    like = np.array([[0.6, 0.8], [0.8, 0.6]])
    np.testing.assert_allclose(towards(like, like[:0]), np.full(2, np.sqrt(0.5)))


def test_what_cancels_out_is_no_direction() -> None:
    like = np.array([[1.0, 0], [-1.0, 0]])
    assert towards(like, like[:0]).tolist() == [0, 0]
