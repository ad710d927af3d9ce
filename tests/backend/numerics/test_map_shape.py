"""Neighbours, ground and rivals of a map, against counting by hand and SciPy."""

import numpy as np
from scipy.ndimage import convolve

from backend.numerics.map_shape import SALIENCY, YIELD, claims, saliency, smoothed, yielded

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


def test_a_claim_is_the_largest_that_any_rival_but_the_label_itself_has():
    likeness = DRAW.normal(size=(7, 3)).astype(np.float32)
    own = np.array([1, -1, 0, 2, 1])
    found = claims(likeness, own, 0.05)
    for part in range(7):
        for label, itself in enumerate(own):
            others = [k for k in range(3) if k != itself]
            best = max((likeness[part, k] - likeness[:, k].mean()) / 0.05 for k in others)
            np.testing.assert_allclose(found[part, label], max(best, 0), rtol=1e-4, atol=1e-5)


def test_without_rivals_nothing_is_claimed():
    assert not claims(np.ones((4, 0), np.float32), np.array([-1, -1]), 0.05).any()
    alone = claims(DRAW.normal(size=(4, 1)).astype(np.float32), np.array([0]), 0.05)
    assert not alone.any()
    assert claims(np.ones((4, 2), np.float32), np.zeros(0, int), 0.05).shape == (4, 0)


def test_a_map_that_yields_is_the_softmax_of_its_logits_less_a_share_of_the_claim():
    logits, claimed = DRAW.normal(size=(6, 2)), np.abs(DRAW.normal(size=(6, 2)))
    before = np.exp(logits) / np.exp(logits).sum(axis=0)
    after = np.exp(logits - YIELD * claimed)
    found = yielded(before.astype(np.float32), claimed.astype(np.float32))
    np.testing.assert_allclose(found, after / after.sum(axis=0), rtol=1e-5)
    assert not yielded(np.zeros((6, 2), np.float32), claimed.astype(np.float32)).any()


def test_a_second_label_of_the_same_vector_leaves_the_order_of_the_parts():
    one = DRAW.normal(size=9).astype(np.float32)
    logits = np.stack([one, one], axis=1) / 0.05
    before = np.exp(logits - logits.max(axis=0))
    claimed = claims(np.stack([one, one], axis=1), np.array([0, 1]), 0.05)
    after = yielded((before / before.sum(axis=0)).astype(np.float32), claimed)
    np.testing.assert_allclose(after[:, 0], after[:, 1])
    assert (np.argsort(after[:, 0]) == np.argsort(one)).all()
