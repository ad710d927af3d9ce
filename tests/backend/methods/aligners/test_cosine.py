"""The plain aligner: a score by hand, and maps that know nothing of saliency."""

from __future__ import annotations

import numpy as np

from backend.methods.aligners.cosine import CosineAligner


def unit(array):
    return (array / np.linalg.norm(array, axis=-1, keepdims=True)).astype(np.float32)


def test_the_score_is_the_cosine_of_the_weighted_mean_part():
    rng = np.random.default_rng(0)
    parts, labels = unit(rng.normal(size=(3, 6, 5))), unit(rng.normal(size=(4, 5)))
    saliency = rng.random((3, 6)).astype(np.float32)
    scores = CosineAligner().score(parts, labels, saliency=saliency)
    for sample in range(3):
        mean = sum(
            weight * part for weight, part in zip(saliency[sample], parts[sample], strict=True)
        )
        expected = labels @ (mean / np.linalg.norm(mean))
        np.testing.assert_allclose(scores[sample], expected, atol=1e-6)


def test_saliency_moves_the_score_and_not_the_map():
    rng = np.random.default_rng(0)
    parts, labels = unit(rng.normal(size=(3, 6, 5))), unit(rng.normal(size=(4, 5)))
    saliency = rng.random((3, 6)).astype(np.float32)
    plain, salient = (CosineAligner().align(parts, labels, saliency=s) for s in (None, saliency))
    np.testing.assert_array_equal(plain.backward, salient.backward)
    np.testing.assert_array_equal(plain.backward.argsort(axis=1), plain.similarity.argsort(axis=1))
    assert np.abs(plain.scores - salient.scores).max() > 1e-2
