"""The joint plan, and how it fails where conditional transport does not."""

from __future__ import annotations

import numpy as np

from backend.methods.aligners.sinkhorn import SinkhornAligner
from backend.methods.aligners.transport import TransportAligner


def unit(array):
    return (array / np.linalg.norm(array, axis=-1, keepdims=True)).astype(np.float32)


def scene():
    """Two parts are a dog, ten are grass; one label is dog, the other is nowhere."""
    rng = np.random.default_rng(0)
    dog, cat, grass = unit(rng.normal(size=(3, 32)))
    parts = unit(np.stack([dog] * 2 + [grass] * 10) + 0.1 * rng.normal(size=(12, 32)))
    return parts[None], np.stack([dog, cat])


def test_background_is_shipped_to_labels_where_conditional_transport_leaves_it():
    parts, labels = scene()
    joint, conditional = (
        SinkhornAligner().align(parts, labels),
        TransportAligner().align(parts, labels),
    )
    on_dog = slice(0, 2)
    assert conditional.backward[0, on_dog, 0].sum() > 0.99
    # Half of the twelve parts have to be dog, so four of six are grass.
    assert joint.backward[0, on_dog, 0].sum() < 0.4


def test_with_one_label_every_part_counts_alike():
    parts, labels = scene()
    found = SinkhornAligner().align(parts, labels[:1])
    np.testing.assert_allclose(found.backward, 1 / 12, atol=1e-5)
    np.testing.assert_allclose(found.scores, (parts @ labels[:1].T).mean(axis=1), atol=1e-5)


def test_labels_left_out_of_the_drawing_change_maps_and_no_score():
    parts, labels = scene()
    aligner = SinkhornAligner()
    some = aligner.align(parts, labels, weights=np.array([1, 0], np.float32))
    np.testing.assert_allclose(some.scores, aligner.score(parts, labels), atol=1e-6)
    assert not some.forward[:, :, 1].any()
    np.testing.assert_allclose(some.backward.sum(axis=1), 1, atol=1e-6)
