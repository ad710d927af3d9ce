"""Axes against scikit-learn's PCA, places between neighbours by hand."""

from __future__ import annotations

import numpy as np
from sklearn.decomposition import PCA

from backend.numerics.projection import (
    between_neighbours,
    nearest_neighbours,
    principal_axes,
)


def test_axes_equal_sklearn_up_to_sign_and_the_sign_is_fixed():
    rng = np.random.default_rng(0)
    vectors = (rng.normal(size=(80, 6)) * [5, 3, 1, 1, 1, 1]).astype(np.float32)
    mean, axes = principal_axes(vectors)
    expected = PCA(2, svd_solver="full").fit(vectors)
    np.testing.assert_allclose(np.abs(axes.T), np.abs(expected.components_), atol=1e-4)
    np.testing.assert_allclose(mean, expected.mean_, atol=1e-5)
    assert (axes[np.abs(axes).argmax(axis=0), [0, 1]] > 0).all()
    np.testing.assert_allclose(principal_axes(vectors[::-1])[1], axes, atol=1e-4)


def test_fewer_than_two_dimensions_leave_the_second_axis_empty():
    mean, axes = principal_axes(np.array([[1.0], [3.0]], np.float32))
    np.testing.assert_allclose(mean, [2])
    np.testing.assert_allclose(axes, [[1, 0]])


def test_a_place_is_the_mean_of_near_ones_weighted_by_squared_distance():
    known = np.array([[0, 0], [3, 0], [100, 0]], np.float32)
    places = np.array([[0, 0], [1, 1], [50, 50]], np.float32)
    # Distances 1 and 2 to the two nearest: weights 1 and 1/4.
    found = between_neighbours(known, places, np.array([[1, 0]], np.float32), num_neighbours=2)
    np.testing.assert_allclose(found, [[0.2, 0.2]], atol=1e-6)


def test_a_known_vector_gets_its_own_place_and_blocks_do_not_matter():
    rng = np.random.default_rng(1)
    known = rng.normal(size=(700, 5)).astype(np.float32)
    places = rng.normal(size=(700, 2)).astype(np.float32)
    np.testing.assert_array_equal(
        between_neighbours(known, places, known, num_neighbours=4), places
    )
    new = rng.normal(size=(300, 5)).astype(np.float32)
    whole = between_neighbours(known, places, new, num_neighbours=4)
    one = between_neighbours(known, places, new[280:281], num_neighbours=4)
    np.testing.assert_allclose(whole[280:281], one, atol=1e-5)


def test_nearest_neighbours_equal_brute_force_and_begin_with_oneself():
    rng = np.random.default_rng(2)
    unit = rng.normal(size=(600, 7))
    unit = (unit / np.linalg.norm(unit, axis=1, keepdims=True)).astype(np.float32)
    unit[300] = unit[5]  # a twin is second, not first
    ids, distances = nearest_neighbours(unit, 4)
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, 2)
    np.testing.assert_array_equal(
        np.sort(ids, axis=1), np.sort((-cosine).argsort(axis=1)[:, :4], axis=1)
    )
    np.testing.assert_array_equal(ids[:, 0], np.arange(600))
    assert (ids[5, 1], ids[300, 1]) == (300, 5)
    np.testing.assert_allclose(distances[:, 0], 0)
    np.testing.assert_allclose(
        distances[:, 3], 1 - np.take_along_axis(cosine, ids[:, 3:], axis=1)[:, 0], atol=1e-6
    )
    assert (np.diff(distances, axis=1) >= 0).all()
