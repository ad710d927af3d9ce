"""Conditional transport against loops, against POT, and against its own limits."""

from __future__ import annotations

import math

import numpy as np
import ot
import pytest

from backend.numerics import transport
from tests.transport_costs import transport_cost

TAU = 0.1


def unit(array):
    return (array / np.linalg.norm(array, axis=-1, keepdims=True)).astype(np.float32)


@pytest.fixture
def case():
    """Two samples, five parts (two of the second are padding, one part weighs 0), three labels."""
    rng = np.random.default_rng(0)
    parts, labels = unit(rng.normal(size=(2, 5, 4))), unit(rng.normal(size=(3, 4)))
    real = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], bool)
    saliency = np.array([[1, 2, 0, 4, 1], [3, 1, 1, 9, 9]], np.float32)
    theta = transport.part_weights(real, saliency)
    beta = transport.label_weights(2, 3, np.array([[0.5, 0.5, 0], [1, 2, 5]], np.float32))
    return parts, labels, theta, beta


def test_weights_are_shares_of_what_is_real(case):
    _, _, theta, beta = case
    np.testing.assert_allclose(theta, [[1 / 8, 2 / 8, 0, 4 / 8, 1 / 8], [0.6, 0.2, 0.2, 0, 0]])
    np.testing.assert_allclose(beta, [[0.5, 0.5, 0], [0.125, 0.25, 0.625]])


def test_saliency_of_zero_everywhere_is_no_opinion():
    real = np.array([[True, True, False]])
    np.testing.assert_allclose(
        transport.part_weights(real, np.zeros((1, 3), np.float32)), [[0.5, 0.5, 0]]
    )


def test_navigators_plans_and_costs_equal_plain_loops(case):
    parts, labels, theta, beta = case
    cosine = transport.similarity(parts, labels)
    forward = transport.forward_navigator(cosine, beta, TAU)
    backward = transport.backward_navigator(cosine, theta, TAU)
    cost = transport_cost(cosine, theta, beta, TAU, omega=0.3)
    for b in range(2):
        ahead = back = 0.0
        for n in range(5):
            for m in range(3):
                s = [float(sum(parts[b, n] * labels[j])) for j in range(3)]
                row = sum(beta[b, j] * math.exp(s[j] / TAU) for j in range(3))
                column = sum(
                    theta[b, i] * math.exp(float(sum(parts[b, i] * labels[m])) / TAU)
                    for i in range(5)
                )
                pi_f = beta[b, m] * math.exp(s[m] / TAU) / row
                pi_b = theta[b, n] * math.exp(s[m] / TAU) / column
                assert forward[b, n, m] == pytest.approx(pi_f, abs=1e-6)
                assert backward[b, n, m] == pytest.approx(pi_b, abs=1e-6)
                ahead += theta[b, n] * pi_f * (1 - s[m])
                back += beta[b, m] * pi_b * (1 - s[m])
        assert cost.forward[b] == pytest.approx(ahead, abs=1e-6)
        assert cost.backward[b] == pytest.approx(back, abs=1e-6)
        assert cost.total[b] == pytest.approx(0.3 * ahead + 0.7 * back, abs=1e-6)


def test_cost_matrix_is_the_one_of_pot(case):
    parts, labels, _, _ = case
    expected = ot.dist(parts[0].astype(float), labels.astype(float), metric="cosine")
    np.testing.assert_allclose(1 - transport.similarity(parts, labels)[0], expected, atol=1e-6)


def test_each_plan_is_the_sinkhorn_plan_of_its_own_marginals(case):
    parts, labels, theta, beta = case
    cosine = transport.similarity(parts, labels)
    ahead = transport.forward_plan(transport.forward_navigator(cosine, beta, TAU), theta)
    back = transport.backward_plan(transport.backward_navigator(cosine, theta, TAU), beta)
    for plan in (ahead, back):
        for b in range(2):
            rows, columns = theta[b] > 0, beta[b] > 0
            own = plan[b][np.ix_(rows, columns)].astype(float)
            cost = 1 - cosine[b][np.ix_(rows, columns)].astype(float)
            optimal = ot.sinkhorn(
                own.sum(axis=1),
                own.sum(axis=0),
                cost,
                reg=TAU,
                method="sinkhorn_log",
                numItermax=20_000,
                stopThr=1e-12,
            )
            np.testing.assert_allclose(own, optimal, atol=1e-6)
    np.testing.assert_allclose(ahead.sum(axis=2), theta, atol=1e-6)
    np.testing.assert_allclose(back.sum(axis=1), beta, atol=1e-6)


def test_at_small_temperature_the_cost_bounds_optimal_transport_from_below_and_meets_it():
    rng = np.random.default_rng(1)
    parts = unit(rng.normal(size=(1, 6, 5)))
    theta = np.full((1, 6), 1 / 6, np.float32)
    shuffled = parts[0, rng.permutation(6)]
    for labels, is_same in ((shuffled, True), (unit(rng.normal(size=(6, 5))), False)):
        cosine = transport.similarity(parts, labels)
        cost = transport_cost(cosine, theta, theta, 0.002)
        optimal = ot.emd2(theta[0].astype(float), theta[0].astype(float), 1.0 - cosine[0])
        nearest = (1 - cosine[0]).min(axis=1).mean()
        assert cost.forward[0] == pytest.approx(nearest, abs=1e-4)
        assert cost.total[0] <= optimal + 1e-4
        if is_same:
            assert cost.total[0] == pytest.approx(optimal, abs=1e-4)
        else:
            assert cost.total[0] < optimal - 1e-2


def test_a_label_of_weight_zero_and_a_sample_without_weights_are_skipped(case):
    parts, labels, theta, _ = case
    cosine = transport.similarity(parts, labels)
    beta = transport.label_weights(2, 3, np.array([[1, 1, 0], [0, 0, 0]], np.float32))
    forward = transport.forward_navigator(cosine, beta, TAU)
    only = transport.forward_navigator(cosine[:, :, :2], np.full((2, 2), 0.5, np.float32), TAU)
    np.testing.assert_allclose(forward[0, :, :2], only[0], atol=1e-6)
    assert not forward[0, :, 2].any()
    assert not forward[1].any()
    cost = transport_cost(cosine, theta, beta, TAU)
    assert cost.total[1] == 0
    assert cost.total[0] > 0


def test_uniform_backward_map_points_where_cosine_points_and_saliency_may_not():
    rng = np.random.default_rng(2)
    parts, labels = unit(rng.normal(size=(50, 30, 8))), unit(rng.normal(size=(10, 8)))
    cosine = transport.similarity(parts, labels)
    uniform = transport.part_weights(np.ones((50, 30), bool))
    same = transport.backward_navigator(cosine, uniform, 0.05)
    np.testing.assert_array_equal(same.argmax(axis=1), cosine.argmax(axis=1))
    # The same order of parts, not only the same winner.
    np.testing.assert_array_equal(same.argsort(axis=1), cosine.argsort(axis=1))
    salient = transport.part_weights(
        np.ones((50, 30), bool), rng.random((50, 30)).astype(np.float32) ** 8
    )
    other = transport.backward_navigator(cosine, salient, 0.05)
    assert (other.argmax(axis=1) != cosine.argmax(axis=1)).mean() > 0.2


def test_pooled_score_is_one_minus_the_backward_cost_of_the_label(case):
    parts, labels, theta, _ = case
    scores = transport.pooled_scores(parts, labels, theta, TAU)
    cosine = transport.similarity(parts, labels)
    for m in range(3):
        only = transport.label_weights(2, 3, np.eye(3, dtype=np.float32)[m])
        cost = transport_cost(cosine, theta, only, TAU, omega=0.0)
        np.testing.assert_allclose(scores[:, m], 1 - cost.total, atol=1e-6)


def test_pooled_score_goes_from_best_part_to_mean_part(case):
    parts, labels, _, _ = case
    uniform = np.full((2, 5), 0.2, np.float32)
    cosine = transport.similarity(parts, labels)
    np.testing.assert_allclose(
        transport.pooled_scores(parts, labels, uniform, 1e-4), cosine.max(axis=1), atol=1e-4
    )
    np.testing.assert_allclose(
        transport.pooled_scores(parts, labels, uniform, 1e4), cosine.mean(axis=1), atol=1e-4
    )


@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_pooling_in_blocks_changes_nothing(monkeypatch, at_once):
    rng = np.random.default_rng(4)
    parts, labels = unit(rng.normal(size=(7, 5, 4))), unit(rng.normal(size=(3, 4)))
    theta = transport.part_weights(np.ones((7, 5), bool), rng.random((7, 5)).astype(np.float32))
    whole = transport.pooled_scores(parts, labels, theta, TAU)
    monkeypatch.setattr(transport, "BLOCK", at_once * 5 * 3)
    np.testing.assert_allclose(transport.pooled_scores(parts, labels, theta, TAU), whole, atol=1e-6)


def test_tiny_temperature_stays_finite(case):
    parts, labels, theta, beta = case
    cosine = transport.similarity(parts, labels)
    for tau in (1e-4, 1e-3):
        assert np.isfinite(transport.forward_navigator(cosine, beta, tau)).all()
        back = transport.backward_navigator(cosine, theta, tau)
        assert np.isfinite(back).all()
        assert not back[theta == 0].any()
        assert np.isfinite(transport.pooled_scores(parts, labels, theta, tau)).all()


def test_spread_is_zero_for_one_part_and_one_for_all():
    maps = np.zeros((1, 4, 2), np.float32)
    maps[0, 2, 0] = 1
    maps[0, :, 1] = 0.25
    np.testing.assert_allclose(transport.spread(maps), [[0, 1]], atol=1e-6)
    half = np.zeros((1, 4, 1), np.float32)
    half[0, :2] = 0.5
    real = np.array([[True, True, False, False]])
    np.testing.assert_allclose(transport.spread(half, real), [[1]], atol=1e-6)


@pytest.mark.parametrize("tau", [0.05, 0.2, 1.0])
def test_the_sinkhorn_plan_is_the_one_of_pot_and_keeps_its_marginals(case, monkeypatch, tau):
    monkeypatch.setattr(transport, "ROUNDS", 20_000)
    monkeypatch.setattr(transport, "TOLERANCE", 1e-6)
    parts, labels, theta, beta = case
    cosine = transport.similarity(parts, labels)
    found = transport.sinkhorn_potentials(cosine, theta, beta, tau)
    forward, backward = transport.sinkhorn_navigators(cosine, found, tau)
    for b in range(2):
        rows, columns = theta[b] > 0, beta[b] > 0
        plan = ot.bregman.sinkhorn_log(
            theta[b, rows] / theta[b].sum(dtype=float),
            beta[b, columns] / beta[b].sum(dtype=float),
            1 - cosine[b][np.ix_(rows, columns)].astype(float),
            tau,
            numItermax=50_000,
            stopThr=1e-10,
        )
        inside = np.ix_(rows, columns)
        np.testing.assert_allclose((theta[b][:, None] * forward[b])[inside], plan, atol=1e-5)
        np.testing.assert_allclose((beta[b] * backward[b])[inside], plan, atol=1e-5)


def test_sinkhorn_stops_early_when_it_is_asked_for_less(case, monkeypatch):
    parts, labels, theta, beta = case
    cosine = transport.similarity(parts, labels)
    monkeypatch.setattr(transport, "ROUNDS", 3)
    found = transport.sinkhorn_potentials(cosine, theta, beta, 0.01)
    plan = theta[:, :, None] * transport.sinkhorn_navigators(cosine, found, 0.01)[0]
    # The parts' shares are kept even then; it is the labels' that are off.
    np.testing.assert_allclose(plan.sum(axis=2), theta * beta.any(axis=1)[:, None], atol=1e-6)
    assert np.abs(plan.sum(axis=1) - beta).max() > 1e-4


def test_sinkhorn_in_blocks_changes_nothing(case, monkeypatch):
    parts, labels, theta, _ = case
    whole = transport.sinkhorn_scores(parts, labels, theta, TAU)
    monkeypatch.setattr(transport, "BLOCK", 2 * 5)
    np.testing.assert_allclose(
        transport.sinkhorn_scores(parts, labels, theta, TAU), whole, atol=1e-6
    )
