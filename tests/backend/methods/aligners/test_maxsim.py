"""The best part speaks for the label."""

from __future__ import annotations

import numpy as np

from backend.methods.aligners.maxsim import MaxsimAligner
from backend.numerics import pooling, transport


def unit(array):
    return (array / np.linalg.norm(array, axis=-1, keepdims=True)).astype(np.float32)


def test_taking_away_any_part_but_the_best_changes_no_score():
    rng = np.random.default_rng(0)
    parts, labels = unit(rng.normal(size=(5, 9, 16))), unit(rng.normal(size=(1, 16)))
    aligner = MaxsimAligner()
    scores = aligner.score(parts, labels)
    best = (parts @ labels[0]).argmax(axis=1)
    for part in range(9):
        real = np.ones((5, 9), bool)
        real[:, part] = False
        less = aligner.score(parts, labels, real=real)[:, 0]
        np.testing.assert_array_equal(less < scores[:, 0], best == part)


def test_a_part_of_saliency_zero_has_no_vote_and_is_in_no_map():
    rng = np.random.default_rng(0)
    parts, labels = unit(rng.normal(size=(1, 4, 8))), unit(rng.normal(size=(2, 8)))
    parts[0, 1] = labels[0]
    saliency = np.array([[1, 0, 0.1, 3]], np.float32)
    found = MaxsimAligner().align(parts, labels, saliency=saliency)
    assert found.scores[0, 0] < 0.999
    assert not found.backward[0, 1].any()


def test_blocks_change_no_score(monkeypatch):
    rng = np.random.default_rng(0)
    parts, labels = unit(rng.normal(size=(5, 9, 16))), unit(rng.normal(size=(7, 16)))
    theta = transport.part_weights(np.ones((5, 9), bool))

    def both():
        return (
            pooling.best_part_scores(parts, labels, theta),
            pooling.attended_scores(parts, labels, theta, 0.05),
        )

    whole = both()
    monkeypatch.setattr(transport, "BLOCK", 2 * 9)
    for one, other in zip(both(), whole, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
