"""What every aligner promises."""

from __future__ import annotations

import tracemalloc

import numpy as np
import ot
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


def test_labels_that_are_the_parts_are_found_there(aligner, cloud):
    parts, _ = cloud
    found = aligner.align(parts[:1], parts[0])
    np.testing.assert_array_equal(found.backward[0].argmax(axis=0), np.arange(6))
    np.testing.assert_array_equal(found.forward[0].argmax(axis=1), np.arange(6))


def cosines(parts, labels):
    return parts.astype(np.float64) @ labels.astype(np.float64).T


def pooled(part, label, theta, t):
    shares = [w * np.exp((p @ label - 1) / t) for p, w in zip(part, theta, strict=True)]
    mean = sum(s * (p @ label) for p, s in zip(part, shares, strict=True))
    return mean / sum(shares)


def attended(part, label, theta, t):
    shares = [w * np.exp((p @ label - 1) / t) for p, w in zip(part, theta, strict=True)]
    mix = sum(s * p for p, s in zip(part, shares, strict=True))
    return mix @ label / np.sqrt(mix @ mix)


def of_the_mean(part, label, theta, t):
    mean = sum(w * p for p, w in zip(part, theta, strict=True))
    return mean @ label / np.sqrt(mean @ mean)


def best(part, label, theta, t):
    return max(p @ label for p, w in zip(part, theta, strict=True) if w > 0)


def each_label(rule):
    def scores(part, labels, theta, t):
        return [rule(part, label, theta, t) for label in labels]

    return scores


def by_pot(part, labels, theta, t):
    seen = theta > 0
    share = np.full(len(labels), 1 / len(labels))
    cost = 1 - part[seen] @ labels.T
    plan = ot.bregman.sinkhorn_log(theta[seen], share, cost, t, numItermax=50_000, stopThr=1e-13)
    return (plan * (1 - cost)).sum(axis=0) / plan.sum(axis=0)


TWINS = {
    "aligners/transport": each_label(pooled),
    "aligners/layered_transport": each_label(pooled),  # of one layer; of several: its own file
    "aligners/cosine": each_label(of_the_mean),
    "aligners/maxsim": each_label(best),
    "aligners/attention": each_label(attended),
    "aligners/sinkhorn": by_pot,
}


@pytest.mark.parametrize("key", KEYS)
def test_the_score_is_what_a_brute_force_twin_says_in_float64(key, cloud):
    parts, labels = cloud
    aligner = catalogue.load(key)()
    saliency = np.random.default_rng(2).random((4, 6)).astype(np.float32)
    saliency[1, 2] = 0
    real = np.ones((4, 6), bool)
    real[2, 4:] = False
    scores = aligner.score(parts, labels, real=real, saliency=saliency)
    for row in range(4):
        theta = (saliency[row] * real[row]).astype(np.float64)
        twin = TWINS[key](
            parts[row].astype(np.float64),
            labels.astype(np.float64),
            theta / theta.sum(),
            aligner.settings.temperature,
        )
        np.testing.assert_allclose(scores[row], twin, atol=1e-4 if "sinkhorn" in key else 1e-5)


def test_one_part_is_its_cosine_and_one_label_takes_everything(aligner, cloud):
    parts, labels = cloud
    found = aligner.align(parts[:, :1], labels)
    np.testing.assert_allclose(found.scores, cosines(parts[:, 0], labels), atol=1e-5)
    np.testing.assert_allclose(found.backward, 1, atol=1e-6)
    alone = aligner.align(parts, labels[:1])
    np.testing.assert_allclose(alone.forward, 1, atol=1e-6)
    np.testing.assert_allclose(alone.backward.sum(axis=1), 1, atol=1e-6)


def test_identical_labels_score_and_look_alike_and_share_what_the_parts_give(aligner, cloud):
    parts, labels = cloud
    found = aligner.align(parts, labels[[0, 1, 0, 2]])
    np.testing.assert_allclose(found.scores[:, 0], found.scores[:, 2], atol=1e-6)
    np.testing.assert_allclose(found.forward[:, :, 0], found.forward[:, :, 2], atol=1e-6)
    np.testing.assert_allclose(found.backward[:, :, 0], found.backward[:, :, 2], atol=1e-6)


def test_without_labels_there_are_empty_maps(aligner, cloud):
    parts, labels = cloud
    found = aligner.align(parts, labels[:0])
    assert found.scores.shape == (4, 0)
    assert found.backward.shape == found.forward.shape == found.plan.shape == (4, 6, 0)


@pytest.mark.parametrize("key", KEYS)
def test_20_000_words_under_many_labels_take_bounded_memory(key):
    """Independent labels come in blocks; a joint plan holds one matrix of similarities."""
    rng = np.random.default_rng(0)
    num_labels = 300 if key == "aligners/sinkhorn" else 2000
    parts, labels = unit(rng.normal(size=(1, 20_000, 16))), unit(rng.normal(size=(num_labels, 16)))
    aligner = catalogue.load(key)()
    tracemalloc.start()
    scores = aligner.score(parts, labels)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 110e6
    some = [0, num_labels - 1]
    if key != "aligners/sinkhorn":  # whose scores depend on the other labels
        np.testing.assert_allclose(scores[:, some], aligner.score(parts, labels[some]), atol=1e-5)
    assert (np.abs(scores) <= 1 + 1e-5).all()


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
