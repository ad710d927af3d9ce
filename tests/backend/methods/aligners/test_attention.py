"""Attention reads the same map as transport and says another score."""

from __future__ import annotations

import numpy as np

from backend.methods.aligners.attention import AttentionAligner
from backend.methods.aligners.transport import TransportAligner


def unit(array):
    return (array / np.linalg.norm(array, axis=-1, keepdims=True)).astype(np.float32)


def test_the_map_is_that_of_transport_with_saliency_and_all():
    rng = np.random.default_rng(0)
    parts, labels = unit(rng.normal(size=(3, 9, 16))), unit(rng.normal(size=(4, 16)))
    saliency = rng.random((3, 9)).astype(np.float32)
    one = AttentionAligner().align(parts, labels, saliency=saliency)
    other = TransportAligner().align(parts, labels, saliency=saliency)
    np.testing.assert_allclose(one.backward, other.backward, atol=1e-6)
    assert (one.scores > other.scores).all(), "a mix of unit vectors is shorter than they are"


def test_a_label_that_fits_nothing_is_compared_with_the_mix_and_scores_above_its_best_part():
    """The failure that its line in the catalogue tells of."""
    rng = np.random.default_rng(0)
    label = unit(rng.normal(size=16))
    apart = unit(rng.normal(size=(50, 16)))
    parts = unit(apart - (apart @ label)[:, None] * label + 0.25 * label)[None]
    score = AttentionAligner().score(parts, label[None])[0, 0]
    assert (parts @ label).max() < 0.4
    assert score > 0.8
