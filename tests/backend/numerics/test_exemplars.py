"""Sets of examples against scikit-learn, a search by hand, and every set there is."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from backend.numerics.exemplars import crop_vector, fit, greedy, worth


def made(seed=0, candidates=7, samples=30):
    rng = np.random.default_rng(seed)
    fits = rng.random((candidates, samples)).astype(np.float32)
    truth = rng.random(samples) < 0.5
    truth[:candidates] = True
    return fits, np.arange(candidates), truth


def test_the_worth_of_a_set_is_the_precision_of_its_nearest_member_on_samples_of_others():
    fits, own, truth = made()
    for chosen in ([2], [2, 5], [0, 3, 6]):
        rest = np.setdiff1d(np.arange(30), chosen)
        scores = [max(fits[c, i] for c in chosen) for i in rest]
        want = average_precision_score(truth[rest], scores)
        assert worth(fits, own, truth, chosen) == pytest.approx(want, abs=1e-6)
    assert worth(fits, own, truth, []) == 0


def test_a_candidate_earns_nothing_by_finding_its_own_sample():
    fits = np.array([[1.0, 0.1, 0.5], [0.4, 1.0, 0.3]], np.float32)
    own, truth = np.array([0, 1]), np.array([True, True, False])
    # Without its own sample the first puts the other YES behind the NO, the second before it.
    assert worth(fits, own, truth, [0]) == pytest.approx(0.5)
    assert worth(fits, own, truth, [1]) == pytest.approx(1.0)
    assert greedy(fits, own, truth, k=1, least_gain=0) == [1]


def test_nothing_is_worth_anything_without_a_yes_and_a_no_to_tell_apart():
    fits, own, _truth = made()
    assert np.isnan(worth(fits, own, np.ones(30, bool), [1]))
    assert np.isnan(worth(fits, own, np.arange(30) == 1, [1]))
    assert greedy(fits, own, np.ones(30, bool), k=3, least_gain=0) == []


@pytest.mark.parametrize("seed", range(4))
def test_each_step_of_the_search_takes_the_best_of_all_sets_that_are_one_longer(seed):
    fits, own, truth = made(seed)
    chosen = greedy(fits, own, truth, k=3, least_gain=-1)
    for size in (1, 2, 3):
        before = chosen[: size - 1]
        best = max(worth(fits, own, truth, [*before, one]) for one in range(7) if one not in before)
        assert worth(fits, own, truth, chosen[:size]) == pytest.approx(best)
    everything = max(worth(fits, own, truth, each) for each in combinations(range(7), 1))
    assert worth(fits, own, truth, chosen[:1]) == pytest.approx(everything)


def test_the_search_ends_where_a_further_example_adds_too_little():
    fits, own, truth = made(1)
    chosen = greedy(fits, own, truth, k=7, least_gain=0.01)
    steps = [worth(fits, own, truth, chosen[:size]) for size in range(1, len(chosen) + 1)]
    assert len(chosen) < 7
    assert all(np.diff(steps) >= 0.01)
    rest = [one for one in range(7) if one not in chosen]
    assert all(worth(fits, own, truth, [*chosen, one]) - steps[-1] < 0.01 for one in rest)


def test_a_sample_fits_as_well_as_its_nearest_part():
    rng = np.random.default_rng(2)
    vectors, parts = rng.normal(size=(3, 5)), rng.normal(size=(9, 5))
    want = [max(part @ vector for part in parts) for vector in vectors]
    np.testing.assert_allclose(fit(vectors, parts), want, rtol=1e-6)
    assert fit(vectors, parts[:0]).tolist() == [-1, -1, -1]


def test_a_crop_is_the_mean_of_its_parts_at_unit_length():
    parts = np.array([[3, 0], [0, 4], [9, 9]], np.float32)
    np.testing.assert_allclose(crop_vector(parts, np.array([0, 1])), [0.6, 0.8], atol=1e-6)
    whole = parts.mean(axis=0)
    np.testing.assert_allclose(
        crop_vector(parts, np.zeros(0, int)), whole / np.linalg.norm(whole), atol=1e-6
    )
