"""The transport aligner: faithful maps, label weights, memory and time."""

from __future__ import annotations

import tracemalloc

import numpy as np

from backend.methods.aligners.transport import TransportAligner


def unit(array):
    return (array / np.linalg.norm(array, axis=-1, keepdims=True)).astype(np.float32)


def test_taking_away_the_parts_of_a_map_lowers_the_score():
    rng = np.random.default_rng(0)
    parts, labels = unit(rng.normal(size=(40, 25, 16))), unit(rng.normal(size=(3, 16)))
    aligner = TransportAligner()
    found = aligner.align(parts, labels)
    for label in range(3):
        real = np.ones((40, 25), bool)
        np.put_along_axis(real, found.backward[:, :, label].argsort(axis=1)[:, -3:], False, axis=1)
        assert (aligner.score(parts, labels, real=real) < found.scores)[:, label].all()


def test_only_accepted_labels_are_offered_to_the_parts():
    rng = np.random.default_rng(0)
    parts, labels = unit(rng.normal(size=(2, 9, 16))), unit(rng.normal(size=(4, 16)))
    accepted = np.array([0, 1, 0, 1], np.float32)
    some, everything = (
        TransportAligner().align(parts, labels, weights=weights) for weights in (accepted, None)
    )
    assert not some.forward[:, :, [0, 2]].any()
    np.testing.assert_allclose(some.forward.sum(axis=2), 1, atol=1e-6)
    np.testing.assert_array_equal(some.backward, everything.backward)
    np.testing.assert_array_equal(some.scores, everything.scores)


def test_half_precision_parts_as_they_are_stored_score_the_same():
    rng = np.random.default_rng(0)
    parts, labels = unit(rng.normal(size=(5, 30, 64))), unit(rng.normal(size=(6, 64)))
    stored = parts.astype(np.float16)
    scores = TransportAligner().score(stored, labels)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, TransportAligner().score(parts, labels), atol=2e-3)


def test_thousands_of_samples_take_little_memory():
    rng = np.random.default_rng(0)
    parts = rng.normal(size=(50, 144, 384)).astype(np.float32)
    parts /= np.linalg.norm(parts, axis=2, keepdims=True)
    labels = unit(rng.normal(size=(20, 384)))
    aligner = TransportAligner()
    tracemalloc.start()
    aligner.score(np.repeat(parts, 60, axis=0), labels)  # 3,000 samples, 9 blocks
    repeated = 3000 * 144 * 384 * 4
    peak = tracemalloc.get_traced_memory()[1] - repeated
    tracemalloc.stop()
    assert peak < 100e6
