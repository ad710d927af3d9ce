"""What every index promises; exact ones equal brute force."""

from __future__ import annotations

import numpy as np
import pytest

from backend import catalogue
from backend.errors import BadInputError

KEYS = [line.key for line in catalogue.entries("indexes")]


@pytest.fixture(params=KEYS)
def index(request):
    return catalogue.load(request.param)()


@pytest.fixture
def stored():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(200, 16)).astype(np.float32)  # not unit: the index sees to it
    return rng.permutation(1000)[:200].astype(np.int64), vectors


def brute_force(ids, vectors, query, k):
    cosine = vectors @ query / np.linalg.norm(vectors, axis=1) / np.linalg.norm(query)
    order = cosine.argsort()[::-1][:k]
    return ids[order], cosine[order]


def test_equals_brute_force(index, stored):
    ids, vectors = stored
    index.add(ids, vectors)
    queries = np.random.default_rng(1).normal(size=(7, 16)).astype(np.float32)
    found, cosine = index.search(queries, 9)
    for row, query in enumerate(queries):
        expected_ids, expected = brute_force(ids, vectors, query, 9)
        np.testing.assert_array_equal(found[row], expected_ids)
        np.testing.assert_allclose(cosine[row], expected, atol=1e-6)


@pytest.mark.parametrize("k", [1, 9, 30, 60])
def test_within_is_a_search_of_those_alone(index, stored, k):
    ids, vectors = stored
    index.add(ids, vectors)
    among = np.random.default_rng(2).permutation(200)[:40]
    queries = np.random.default_rng(1).normal(size=(7, 16)).astype(np.float32)
    within = np.concatenate([ids[among], [-3, 5_000]])  # and some that are not stored
    found, cosine = index.search(queries, k, within=within)
    assert found.shape == (7, min(k, 40))
    for row, query in enumerate(queries):
        expected_ids, expected = brute_force(ids[among], vectors[among], query, k)
        np.testing.assert_array_equal(found[row], expected_ids)
        np.testing.assert_allclose(cosine[row], expected, atol=1e-6)
    assert index.search(queries, k, within=np.zeros(0, np.int64))[0].shape == (7, 0)


def test_a_stored_vector_finds_itself_at_distance_zero(index, stored):
    ids, vectors = stored
    index.add(ids, vectors)
    found, cosine = index.search(vectors, 1)
    np.testing.assert_array_equal(found[:, 0], ids)
    np.testing.assert_allclose(1 - cosine[:, 0], 0, atol=1e-6)
    assert cosine.max() <= 1


def test_removed_means_gone(index, stored):
    ids, vectors = stored
    index.add(ids, vectors)
    index.remove(ids[:150])
    index.remove(np.array([-5]))  # an id that never was is no error
    assert len(index) == 50
    found, _ = index.search(vectors, 200)
    assert found.shape == (200, 50)
    assert set(found.ravel()) == set(ids[150:])


def test_adding_again_replaces(index, stored):
    ids, vectors = stored
    index.add(ids, vectors)
    index.add(ids[:1], vectors[1:2])
    assert len(index) == 200
    found, cosine = index.search(vectors[1:2], 2)
    assert set(found[0]) == {ids[0], ids[1]}
    np.testing.assert_allclose(cosine, 1, atol=1e-6)
    everything, cosine = index.search(vectors[:1], 200)
    assert sorted(everything[0]) == sorted(ids)  # each id once
    assert cosine[0, 0] < 0.99  # the old vector is gone


@pytest.mark.parametrize("seed", range(5))
def test_of_equal_ones_the_lower_id_comes_first_however_they_were_added(index, seed):
    """Eight copies each of 5 vectors: wherever k cuts, the order is the one that a sort gives."""
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(5, 33)).astype(np.float32)
    ids = random.permutation(400)[:40].astype(np.int64)
    of = np.arange(40) % 5
    index.add(ids, vectors[of])
    index.remove(ids[:7])
    index.add(ids[:7], vectors[of[:7]])  # now they lie elsewhere
    query = random.normal(size=(1, 33)).astype(np.float32)
    cosine = (vectors @ query[0] / np.linalg.norm(vectors, axis=1))[of]
    order = sorted(range(40), key=lambda at: (-cosine[at], ids[at]))
    for k in (1, 3, 8, 11, 39, 40, 50):
        assert index.search(query, k)[0][0].tolist() == ids[order][:k].tolist()
        few = [at for at in order if ids[at] % 2]
        odd = index.search(query, k, within=ids[ids % 2 == 1])[0][0]
        assert odd.tolist() == ids[few][:k].tolist()


def test_fewer_columns_if_fewer_are_stored(index, stored):
    ids, vectors = stored
    assert len(index) == 0
    assert index.search(vectors[:3], 5)[0].shape == (3, 0)
    index.add(ids[:2], vectors[:2])
    assert index.search(vectors[:3], 5)[1].shape == (3, 2)
    assert index.search(vectors[:0], 5)[0].shape == (0, 2)


def test_inputs_are_not_changed(index, stored):
    ids, vectors = stored
    before = ids.copy(), vectors.copy()
    index.add(ids, vectors)
    index.search(vectors, 3)
    np.testing.assert_array_equal(ids, before[0])
    np.testing.assert_array_equal(vectors, before[1])


def test_other_width_is_refused_with_both_numbers(index, stored):
    ids, vectors = stored
    index.add(ids, vectors)
    for call in (
        lambda: index.add(ids[:1], vectors[:1, :5]),
        lambda: index.search(vectors[:1, :5], 1),
    ):
        with pytest.raises(BadInputError, match=r"5 wide for an index 16 wide"):
            call()
    assert len(index) == 200


def test_vectors_that_are_no_numbers_and_double_ids_are_refused(index, stored):
    ids, vectors = stored
    vectors[0, 0] = np.nan
    with pytest.raises(BadInputError, match="NaN"):
        index.add(ids, vectors)
    with pytest.raises(BadInputError, match="twice"):
        index.add(np.array([3, 3]), vectors[1:3])
    assert len(index) == 0
