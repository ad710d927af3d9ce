"""The map: starts where PCA is, keeps groups apart, places twins together."""

from __future__ import annotations

import numpy as np
import pytest

from backend.methods.projectors.pca import PcaProjector
from backend.methods.projectors.umap_plane import UmapProjector

pytestmark = pytest.mark.timeout(900)  # UMAP compiles first: seconds, on a busy machine minutes


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(0)
    rows = np.repeat(np.eye(4, 12), 30, axis=0) + 0.15 * rng.normal(size=(120, 12))
    vectors = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return vectors, UmapProjector().fit(vectors, seed=3)


def test_groups_stay_on_the_side_where_pca_showed_them(fitted):
    vectors, state = fitted
    pca = PcaProjector().fit(vectors)["xy"]
    middles = [points.reshape(4, 30, 2).mean(axis=1) for points in (pca, state["xy"])]
    apart = [np.linalg.norm(m[:, None] - m[None], axis=2)[np.triu_indices(4, 1)] for m in middles]
    assert np.corrcoef(*apart)[0, 1] > 0.3


def test_neighbours_on_the_map_are_of_the_same_group(fitted):
    _, state = fitted
    gaps = ((state["xy"][:, None] - state["xy"][None]) ** 2).sum(axis=2)
    np.fill_diagonal(gaps, np.inf)
    group = np.repeat(np.arange(4), 30)
    assert (group[gaps.argmin(axis=1)] == group).mean() > 0.98


def test_a_longer_copy_of_a_fitted_vector_gets_its_place(fitted):
    vectors, state = fitted
    placed = UmapProjector().place(state, 3 * vectors[:5])
    np.testing.assert_allclose(placed, state["xy"][:5], atol=1e-4)


@pytest.mark.slow
def test_another_seed_is_another_map(fitted):
    vectors, state = fitted
    assert np.abs(UmapProjector().fit(vectors, seed=4)["xy"] - state["xy"]).max() > 1e-3
