"""Neighbours and ground of a map, against counting by hand and SciPy."""

import numpy as np
from scipy.ndimage import convolve

from backend.numerics.map_shape import SALIENCY, saliency, smoothed

DRAW = np.random.default_rng(0)


def test_smoothing_is_a_convolution_that_repeats_the_edge():
    parts = DRAW.normal(size=(20, 3)).astype(np.float32)
    kernel = np.outer([1, 2, 1], [1, 2, 1]) / 16
    expected = [convolve(c.reshape(4, 5), kernel, mode="nearest").ravel() for c in parts.T]
    np.testing.assert_allclose(smoothed(parts, (4, 5)), np.stack(expected, 1), atol=1e-6)
    np.testing.assert_allclose(smoothed(parts[:1], (1, 1)), parts[:1])


def test_smoothing_parts_is_smoothing_their_likeness():
    parts, label = DRAW.normal(size=(12, 3)).astype(np.float32), DRAW.normal(size=3)
    one = smoothed(parts, (3, 4)) @ label
    other = smoothed((parts @ label)[:, None].astype(np.float32), (3, 4))[:, 0]
    np.testing.assert_allclose(one, other, atol=1e-6)


def test_what_differs_from_the_rim_weighs_more():
    parts = np.tile(np.array([1, 0], np.float32), (9, 1))
    parts[4] = [0, 1]
    found = saliency(parts, (3, 3))
    far = np.array([0.0] * 4 + [1.0] + [0.0] * 4)
    np.testing.assert_allclose(found, np.exp(SALIENCY * (far - 1 / 9) / far.std()), rtol=1e-5)


def test_a_picture_without_ground_or_without_difference_weighs_alike():
    assert (saliency(DRAW.normal(size=(8, 3)).astype(np.float32), (2, 4)) == 1).all()
    assert (
        saliency(np.ones((9, 2), np.float32) / np.sqrt(2).astype(np.float32), (3, 3)) == 1
    ).all()
    assert (saliency(np.zeros((9, 2), np.float32), (3, 3)) == 1).all()
