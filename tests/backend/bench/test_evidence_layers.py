"""Layer-wise plans on pictures whose blocks are known turns of the last parts."""

from __future__ import annotations

import numpy as np
import pytest

from backend.bench import _evidence_layers as layers
from backend.bench._evidence_data import Boxed
from backend.bench.pointing import Course
from backend.numerics import transport
from backend.types import ScoreScale


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


@pytest.fixture
def known() -> Boxed:
    draw = np.random.default_rng(0)
    parts = unit(draw.normal(size=(12, 4, 6)))
    truth = np.tile([[True, False], [True, True]], (6, 1))
    rows, columns = np.nonzero(truth)
    return Boxed(
        name="drawn",
        names=["a", "b"],
        truth=truth,
        is_taught=np.zeros(12, bool),
        pooled=unit(parts.mean(axis=1)),
        parts=parts.astype(np.float16),
        grid=(2, 2),
        rows=rows,
        columns=columns,
        inside=draw.random((len(rows), 4)) < 0.5,
        labels=unit(draw.normal(size=(2, 6))),
        scale=ScoreScale(0, 1, 0, 1, temperature=0.1),
    )


def course_of(known: Boxed) -> Course:
    return Course(known, np.arange(6), np.arange(6, 12), np.arange(2))


def test_a_block_that_is_the_last_parts_turned_is_turned_back(known):
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(6, 6)))
    tokens = 100 * known.parts.astype(np.float32)[:, None] @ turn  # large: the ridge is then none
    (back,) = layers.projected(tokens.astype(np.float16), known.parts, range(6))
    np.testing.assert_allclose(back, turn.T / 100, atol=2e-5)


def test_layers_that_are_the_last_parts_add_nothing(known):
    tokens = np.repeat(100 * known.parts[:, None], 3, axis=1)
    found = layers.figures(layers.Layered(known, tokens), course_of(known))
    assert found[layers.ALL] == pytest.approx(found[layers.LAST], abs=1e-3)


def test_the_mean_is_that_of_the_plans_and_of_their_scores(known):
    """One block whose cells all look alike: half of each map is even."""
    tokens = np.ones((12, 1, 4, 6), np.float16)
    found = layers.figures(layers.Layered(known, tokens), course_of(known))
    theta = np.full((1, 4), 0.25, np.float32)
    last = transport.backward_navigator(
        transport.similarity(known.parts[6:7].astype(np.float32), known.labels), theta, 0.1
    )
    plan, score = layers.told(known.parts[6].astype(np.float32), known.labels, 0.1)
    np.testing.assert_allclose(plan, last[0], atol=1e-6)
    expected = transport.pooled_scores(
        known.parts[6:7].astype(np.float32), known.labels, theta, 0.1
    )
    np.testing.assert_allclose(score, expected[0], atol=1e-5)
    # An even plan beside the last one moves no part before another.
    assert found[layers.ALL]["pointing"] == pytest.approx(found[layers.LAST]["pointing"])
    assert found[layers.ALL]["heat-map AP"] == pytest.approx(found[layers.LAST]["heat-map AP"])
