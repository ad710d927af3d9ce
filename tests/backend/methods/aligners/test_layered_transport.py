"""Layer-wise transport: one layer is transport, several are the mean of what each says alone."""

import numpy as np
import pytest

from backend.errors import BadInputError
from backend.methods.aligners.layered_transport import LayeredTransportAligner
from backend.methods.aligners.transport import TransportAligner

N, P, K, D, L = 4, 6, 3, 8, 5


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


@pytest.fixture
def cloud():
    draw = np.random.default_rng(5)
    layers = unit(draw.normal(size=(K, N, P, D)))
    saliency = draw.random((N, P)).astype(np.float32)
    saliency[1, 2] = 0
    real = np.ones((N, P), bool)
    real[2, 4:] = False
    return layers, unit(draw.normal(size=(L, D))), saliency, real


def beside(layers):
    """(K, N, P, D) -> (N, P, K D)."""
    return np.concatenate(list(layers), axis=2)


def test_one_layer_is_transport_number_by_number(cloud):
    layers, labels, saliency, real = cloud
    weights = np.array([1, 0, 2, 1, 1], np.float32)
    plain, layered = TransportAligner(), LayeredTransportAligner()
    for given in ({}, {"saliency": saliency}, {"saliency": saliency, "real": real}):
        one = plain.align(layers[0], labels, weights=weights, **given)
        other = layered.align(layers[0], labels, weights=weights, **given)
        for name in ("scores", "forward", "backward", "similarity"):
            np.testing.assert_array_equal(getattr(other, name), getattr(one, name), err_msg=name)
        np.testing.assert_array_equal(
            layered.score(layers[0], labels, **given), plain.score(layers[0], labels, **given)
        )


def test_several_layers_are_what_a_brute_force_twin_says_in_float64(cloud):
    layers, labels, saliency, real = cloud
    aligner = LayeredTransportAligner(LayeredTransportAligner.Settings(temperature=0.2))
    found = aligner.align(beside(layers), labels, real=real, saliency=saliency)
    for n in range(N):
        theta = (saliency[n] * real[n]).astype(np.float64)
        theta /= theta.sum()
        forward, backward = np.zeros((P, L)), np.zeros((P, L))
        scores, likeness = np.zeros(L), np.zeros((P, L))
        for k in range(K):
            near = np.array([[p.astype(float) @ m for m in labels] for p in layers[k, n]])
            for p in range(P):
                shares = np.array([np.exp(near[p, m] / 0.2) for m in range(L)]) * real[n, p]
                forward[p] += shares / max(shares.sum(), 1e-30) / K
            for m in range(L):
                shares = np.array([theta[p] * np.exp(near[p, m] / 0.2) for p in range(P)])
                shares /= shares.sum()
                backward[:, m] += shares / K
                scores[m] += sum(shares * near[:, m]) / K
            likeness += near / K
        np.testing.assert_allclose(found.forward[n], forward, atol=1e-5)
        np.testing.assert_allclose(found.backward[n], backward, atol=1e-5)
        np.testing.assert_allclose(found.similarity[n], likeness, atol=1e-5)
        np.testing.assert_allclose(found.scores[n], scores, atol=1e-5)
    score = aligner.score(beside(layers), labels, real=real, saliency=saliency)
    np.testing.assert_allclose(score, found.scores, atol=1e-6)


def test_marginals_hold_over_layers(cloud):
    layers, labels, _, real = cloud
    found = LayeredTransportAligner().align(beside(layers), labels, real=real)
    np.testing.assert_allclose(found.forward.sum(axis=2), real.astype(float), atol=1e-6)
    np.testing.assert_allclose(found.backward.sum(axis=1), 1, atol=1e-6)
    assert not found.backward[~real].any()
    np.testing.assert_allclose(found.plan.sum(axis=(1, 2)), 1, atol=1e-6)


def test_the_order_of_layers_says_nothing_and_the_same_layer_twice_adds_nothing(cloud):
    layers, labels, *_ = cloud
    aligner = LayeredTransportAligner()
    one, other = (aligner.align(beside(each), labels) for each in (layers, layers[[2, 0, 1]]))
    np.testing.assert_allclose(other.backward, one.backward, atol=1e-6)
    np.testing.assert_allclose(other.scores, one.scores, atol=1e-6)
    twice = aligner.align(beside(layers[[0, 0]]), labels)
    np.testing.assert_allclose(twice.backward, TransportAligner().align(layers[0], labels).backward)


def test_the_last_layers_alone_may_count(cloud):
    layers, labels, *_ = cloud
    last_two = LayeredTransportAligner(LayeredTransportAligner.Settings(last=2))
    ours = last_two.align(beside(layers), labels)
    theirs = LayeredTransportAligner().align(beside(layers[1:]), labels)
    np.testing.assert_array_equal(ours.backward, theirs.backward)
    np.testing.assert_array_equal(
        last_two.score(layers[0], labels), TransportAligner().score(layers[0], labels)
    )
    assert last_two.fingerprint != LayeredTransportAligner().fingerprint
    with pytest.raises(BadInputError, match="last is -1"):
        LayeredTransportAligner(LayeredTransportAligner.Settings(last=-1))


def test_a_width_that_is_no_number_of_layers_is_refused_with_both(cloud):
    layers, labels, *_ = cloud
    wide = beside(layers)
    with pytest.raises(BadInputError, match="parts are 23 wide and labels 8"):
        LayeredTransportAligner().align(wide[:, :, :-1], labels)
    with pytest.raises(BadInputError, match="parts are 24 wide and labels 8"):
        TransportAligner().align(wide, labels)
