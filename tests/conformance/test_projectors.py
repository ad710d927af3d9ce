"""What every projector promises."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from safetensors.numpy import load, save

from backend import catalogue
from backend.errors import BadInputError

KEYS = [line.key for line in catalogue.entries("projectors")]
pytestmark = pytest.mark.timeout(900)  # UMAP compiles first: seconds, on a busy machine minutes
CENTRES = np.eye(3, 10)


def samples(count, seed):
    """Three groups in ten dimensions; unit rows."""
    rng = np.random.default_rng(seed)
    rows = CENTRES[np.arange(count) % 3] + 0.1 * rng.normal(size=(count, 10))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@cache  # fitting UMAP once compiles for seconds
def fitted(key):
    projector = catalogue.load(key)()
    return projector, projector.fit(samples(60, 0), seed=1)


@pytest.fixture(params=KEYS)
def projector_and_state(request):
    return fitted(request.param)


def test_one_finite_point_per_item(projector_and_state):
    _, state = projector_and_state
    assert state["xy"].shape == (60, 2)
    assert np.isfinite(state["xy"]).all()
    assert state["xy"].dtype == np.float32


def test_groups_stay_together(projector_and_state):
    projector, state = projector_and_state
    for points, count in ((state["xy"], 60), (projector.place(state, samples(30, 9)), 30)):
        middles = np.stack([state["xy"][g::3].mean(axis=0) for g in range(3)])
        nearest = ((points[:, None] - middles) ** 2).sum(axis=2).argmin(axis=1)
        assert (nearest == np.arange(count) % 3).mean() > 0.95


def test_place_never_moves_what_was_fitted_and_agrees_with_it(projector_and_state):
    projector, state = projector_and_state
    before = {name: value.copy() for name, value in state.items()}
    projector.place(state, samples(30, 9))
    for name in state:
        np.testing.assert_array_equal(state[name], before[name])
    np.testing.assert_allclose(projector.place(state, samples(60, 0)), state["xy"], atol=1e-5)


def test_a_placed_item_does_not_depend_on_the_others(projector_and_state):
    projector, state = projector_and_state
    new = samples(30, 9)
    np.testing.assert_allclose(
        projector.place(state, new)[7:8], projector.place(state, new[7:8]), atol=1e-5
    )
    assert projector.place(state, new[:0]).shape == (0, 2)


@pytest.mark.parametrize("key", KEYS)
def test_same_seed_same_answer_and_inputs_unchanged(key):
    projector, state = fitted(key)
    vectors = samples(60, 0)
    again = projector.fit(vectors, seed=1)
    np.testing.assert_array_equal(again["xy"], state["xy"])
    np.testing.assert_array_equal(vectors, samples(60, 0))


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("count", [0, 1, 2, 3, 13, 17])
def test_few_or_equal_items_get_finite_points_too(key, count):
    projector = catalogue.load(key)()
    for vectors in (samples(count, 0), np.repeat(samples(1, 0), count, axis=0)):
        state = projector.fit(vectors)
        assert state["xy"].shape == (count, 2)
        assert np.isfinite(state["xy"]).all()
        if count:
            assert np.isfinite(projector.place(state, samples(2, 5))).all()


def test_save_then_load_gives_the_same_places(projector_and_state):
    projector, state = projector_and_state
    new = samples(30, 9)
    np.testing.assert_array_equal(
        projector.place(load(save(state)), new), projector.place(state, new)
    )


def test_other_width_is_refused_with_both_numbers(projector_and_state):
    projector, state = projector_and_state
    with pytest.raises(BadInputError, match=r"9 wide for a map of vectors 10"):
        projector.place(state, samples(3, 0)[:, :9])
