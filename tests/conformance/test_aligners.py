"""What every aligner promises."""

from __future__ import annotations

import numpy as np
import pytest

from backend import catalogue
from backend.errors import BadInputError

KEYS = [line.key for line in catalogue.entries("aligners")]


def unit(array):
    return (array / np.linalg.norm(array, axis=-1, keepdims=True)).astype(np.float32)


@pytest.fixture
def cloud():
    rng = np.random.default_rng(3)
    return unit(rng.normal(size=(4, 6, 8))), unit(rng.normal(size=(5, 8)))


@pytest.fixture(params=KEYS)
def aligner(request):
    return catalogue.load(request.param)()


def test_permuting_labels_permutes_scores_and_maps(aligner, cloud):
    parts, labels = cloud
    order = np.array([3, 0, 4, 1, 2])
    one, other = aligner.align(parts, labels), aligner.align(parts, labels[order])
    np.testing.assert_allclose(other.scores, one.scores[:, order], atol=1e-6)
    np.testing.assert_allclose(other.forward, one.forward[:, :, order], atol=1e-6)
    np.testing.assert_allclose(other.backward, one.backward[:, :, order], atol=1e-6)


def test_permuting_parts_permutes_maps_and_keeps_scores(aligner, cloud):
    parts, labels = cloud
    order = np.array([5, 2, 0, 1, 4, 3])
    one, other = aligner.align(parts, labels), aligner.align(parts[:, order], labels)
    np.testing.assert_allclose(other.scores, one.scores, atol=1e-6)
    np.testing.assert_allclose(other.backward, one.backward[:, order], atol=1e-6)


def test_marginals_of_navigators_and_plan(aligner, cloud):
    parts, labels = cloud
    real = np.array([[1] * 6, [1] * 4 + [0] * 2, [1] + [0] * 5, [0] * 6], bool)
    found = aligner.align(parts, labels, real=real)
    np.testing.assert_allclose(found.forward.sum(axis=2), real.astype(float), atol=1e-6)
    has_parts = real.any(axis=1)
    np.testing.assert_allclose(
        found.backward.sum(axis=1), np.repeat(has_parts[:, None], 5, 1), atol=1e-6
    )
    assert not found.backward[~real].any()
    np.testing.assert_allclose(found.plan.sum(axis=(1, 2))[has_parts], 1, atol=1e-6)


def test_padding_changes_no_score(aligner, cloud):
    parts, labels = cloud
    wild = np.concatenate([parts, 50 * np.ones((4, 3, 8), np.float32)], axis=1)
    real = np.concatenate([np.ones((4, 6), bool), np.zeros((4, 3), bool)], axis=1)
    np.testing.assert_allclose(
        aligner.score(wild, labels, real=real), aligner.score(parts, labels), atol=1e-5
    )


def test_score_equals_the_scores_of_align_and_a_batch_its_items(aligner, cloud):
    parts, labels = cloud
    saliency = np.random.default_rng(0).random((4, 6)).astype(np.float32)
    for kind in (None, saliency):
        scores = aligner.score(parts, labels, saliency=kind)
        np.testing.assert_allclose(
            scores, aligner.align(parts, labels, saliency=kind).scores, atol=1e-6
        )
        single = [
            aligner.score(
                parts[i : i + 1], labels, saliency=None if kind is None else kind[i : i + 1]
            )
            for i in range(4)
        ]
        np.testing.assert_allclose(np.concatenate(single), scores, atol=1e-6)


def test_a_label_that_is_a_part_is_found_there(aligner, cloud):
    parts, _ = cloud
    found = aligner.align(parts, parts[0, 2:4])
    assert found.backward[0, :, 0].argmax() == 2
    assert found.backward[0, :, 1].argmax() == 3
    assert found.forward[0, 2].argmax() == 0


def test_a_sample_without_parts_scores_zero(aligner, cloud):
    _, labels = cloud
    none = np.zeros((2, 0, 8), np.float32)
    np.testing.assert_array_equal(aligner.score(none, labels), np.zeros((2, 5)))
    assert aligner.align(none, labels).forward.shape == (2, 0, 5)
    assert aligner.score(np.ones((2, 3, 8), np.float32), labels[:0]).shape == (2, 0)


def test_inputs_are_not_changed(aligner, cloud):
    parts, labels = cloud
    before = parts.copy(), labels.copy()
    aligner.align(parts, labels)
    aligner.score(parts, labels)
    np.testing.assert_array_equal(parts, before[0])
    np.testing.assert_array_equal(labels, before[1])


def test_other_width_is_refused_with_both_numbers(aligner, cloud):
    parts, labels = cloud
    for call in (aligner.align, aligner.score):
        with pytest.raises(BadInputError, match=r"8 wide and labels 7"):
            call(parts, labels[:, :7])
