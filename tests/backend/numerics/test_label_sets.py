"""Label sets with a guarantee, against all sets there are."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest

from backend.numerics import label_sets as ls

LABELS = 8
ALL = np.array(list(itertools.product((False, True), repeat=LABELS)))


@pytest.fixture(params=ls.MEASURES)
def measure(request):
    return request.param


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def drawn(rng, count, labels=LABELS, sharpness=2.0):
    """Chances, and label sets drawn by them."""
    chances = 1 / (1 + np.exp(-sharpness * rng.normal(size=(count, labels)) - 0.5))
    return chances.astype(np.float32), rng.random((count, labels)) < chances


def all_distances(chances, measure):
    """Of every label set of one sample, each by its own definition."""
    found = np.zeros(len(ALL))
    for number, one in enumerate(ALL):
        for label, chance in enumerate(chances.tolist()):
            if measure == ls.EUCLIDEAN:
                found[number] += (ls.GRID * one[label] - round(chance * ls.GRID)) ** 2
            else:
                loss = -np.log(chance if one[label] else 1 - chance)
                found[number] += np.rint(ls.NATS * loss**ls.POWER)
    return found.astype(np.int64)


def test_distances_are_those_of_every_set_by_its_definition(rng, measure):
    chances, _ = drawn(rng, 5)
    found = ls.flips(chances, measure)
    for row in range(5):
        repeated = ls.Flips(
            *(np.repeat(a[row : row + 1], len(ALL), 0) for a in (found.likely, found.base)),
            np.repeat(found.costs[row : row + 1], len(ALL), 0),
            found.unit,
        )
        np.testing.assert_array_equal(repeated.distances(ALL), all_distances(chances[row], measure))


@pytest.mark.parametrize("power", [1, 2, 8])
def test_the_likelihood_of_a_set_is_the_sum_of_powers_of_its_losses(rng, power):
    chances, truth = drawn(rng, 50)
    losses = -np.log(np.where(truth, chances.astype(float), 1 - chances.astype(float)))
    found = ls.flips(chances, power=power).distances(truth) / ls.NATS
    np.testing.assert_allclose(found, (losses**power).sum(axis=1), atol=LABELS / ls.NATS)


def test_a_euclidean_distance_is_the_square_of_the_norm(rng):
    chances, truth = drawn(rng, 50)
    found = ls.flips(chances, ls.EUCLIDEAN).distances(truth) / ls.GRID**2
    np.testing.assert_allclose(found, ((truth - chances) ** 2).sum(axis=1), atol=LABELS / ls.GRID)


@pytest.mark.parametrize("level", [0.6, 0.8, 0.9])
def test_search_count_certificates_and_p_values_are_those_of_brute_force(rng, measure, level):
    known, truth = drawn(rng, 60)
    decided = ls.flips(known, measure).distances(truth)
    chances, _ = drawn(rng, 40)
    found = ls.flips(chances, measure)
    within = ls.radius(decided, level)
    sure = ls.certificates(found, within)
    present, absent = ls.label_p_values(decided, found)
    confidence, credibility = ls.confidence(decided, found)
    sizes = set()
    for row in range(len(chances)):
        distances = all_distances(chances[row], measure)
        p = np.array([(1 + (decided >= d).sum()) / (len(decided) + 1) for d in distances])
        ball = p > round(1 - level, 9)
        budget = int(found.budgets(within)[row])
        flipped = ls.sets_within(found.costs[row], budget)
        assert len(set(flipped)) == len(flipped) == ball.sum()
        mine = {tuple(np.flatnonzero(one != found.likely[row])) for one in ALL[ball]}
        assert set(flipped) == mine
        assert ls.count_within(found.costs[row], budget) == ball.sum()
        agreed = [
            0 if not ball.any() or len(set(column)) > 1 else (1 if column[0] else -1)
            for column in ALL[ball].T
        ] or [0] * LABELS
        np.testing.assert_array_equal(sure[row], agreed)
        for label in range(LABELS):
            assert present[row, label] == pytest.approx(p[ALL[:, label]].max())
            assert absent[row, label] == pytest.approx(p[~ALL[:, label]].max())
        first, second = np.sort(p)[::-1][:2]
        assert (credibility[row], confidence[row]) == pytest.approx((first, 1 - second))
        best = ls.best_sets(found.costs[row], 20)
        cheapest = np.sort(distances)[:20]
        np.testing.assert_array_equal(
            [found.base[row] + found.unit * cost for cost, _ in best], cheapest
        )
        assert len({columns for _, columns in best}) == 20
        for cost, columns in best:
            assert cost == found.costs[row][list(columns)].sum()
        sizes.add(int(ball.sum()))
    assert len(sizes) > 5


def test_best_sets_end_where_there_are_no_more():
    assert sorted(columns for _, columns in ls.best_sets(np.array([3, 0, 5]), 99)) == sorted(
        tuple(c) for n in range(4) for c in itertools.combinations(range(3), n)
    )
    assert ls.best_sets(np.zeros(0, np.int64), 4) == [(0, ())]
    assert ls.best_sets(np.array([1, 2]), 0) == []


def test_search_stops_when_told_to(rng):
    costs = np.arange(20)
    assert len(ls.sets_within(costs, 60, most=100)) == 100
    assert ls.sets_within(costs, -1) == []
    assert ls.count_within(costs, -1) == 0


def test_counts_are_exact_beyond_64_bits():
    """Equal costs give a sum of binomials; beside them labels that are free and too dear."""
    from math import comb

    costs = np.array([7] * 150 + [0] * 3 + [10_000] * 4)
    for flips_ in (0, 1, 70, 140):
        expected = 8 * sum(comb(150, k) for k in range(flips_ + 1))
        assert ls.count_within(costs, 7 * flips_ + 3) == expected
    assert ls.count_within(costs, 7 * 150) == 8 * 2**150
    assert ls.count_within(np.arange(1, 5001) * 997, 2_000_000_000) is None


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95, 0.99])
def test_rank_and_need_are_exact_at_the_edge(level):
    out = 1 - Fraction(str(level))
    for n in range(250):
        expected = int(out * (n + 1))
        assert ls.rank_needed(n, level) == expected
        assert (n >= ls.samples_needed(level)) == (expected >= 1)


def test_too_few_decided_samples_leave_everything_undecided(rng, measure):
    chances, truth = drawn(rng, 18)
    decided = ls.flips(chances, measure).distances(truth)
    found = ls.flips(chances, measure)
    for few in (0, 1, 18):
        assert ls.radius(decided[:few], 0.95) == ls.UNBOUNDED
        assert not ls.certificates(found, ls.radius(decided[:few], 0.95)).any()
        assert ls.p_values(decided[:few], found.base).min() > 0.05
    assert ls.radius(np.append(decided, 0), 0.95) == decided.max()


def test_a_ball_that_is_empty_makes_nothing_certain():
    found = ls.flips(np.array([[0.5, 0.01, 0.99]]), ls.EUCLIDEAN)
    assert found.budgets(0)[0] < 0
    assert not ls.certificates(found, 0).any()


def test_smoothed_p_values_are_uniform_where_plain_ones_have_ties(rng):
    distances = rng.integers(0, 4, (4000, 20))
    draws = rng.random((4000, 1))
    smooth = np.concatenate(
        [
            ls.smoothed_p_values(row[1:], row[:1], draw)
            for row, draw in zip(distances, draws, strict=True)
        ]
    )
    plain = np.concatenate([ls.p_values(row[1:], row[:1]) for row in distances])
    for level in (0.1, 0.3, 0.5, 0.8):
        assert np.mean(smooth <= level) == pytest.approx(level, abs=0.03)
        assert np.mean(plain <= level) < level
    assert (smooth <= plain).all()


def test_p_values_of_the_norm_are_those_of_mulaconf(rng):
    """The package of the paper's laboratory, which scores the whole powerset."""
    from mulaconf.icp_predictor import InductiveConformalPredictor

    known, truth = drawn(rng, 70)
    chances, _ = drawn(rng, 30)
    known, chances = (np.rint(a * ls.GRID).astype(np.float32) / ls.GRID for a in (known, chances))
    theirs = InductiveConformalPredictor(known, truth.astype(np.float32), measure="norm")
    theirs.calibrate(known, truth.astype(np.float32))
    regions = theirs.predict(chances)
    decided = ls.flips(known, ls.EUCLIDEAN).distances(truth)
    found = ls.flips(chances, ls.EUCLIDEAN)
    sets = regions.combinations.numpy().astype(bool)
    flipped = sets[None] != found.likely[:, None]
    distances = found.base[:, None] + found.unit * (flipped * found.costs[:, None]).sum(axis=2)
    ours = ls.p_values(decided, distances)
    # theirs are float32 roots of sums: a tie may fall to either side
    ties = (distances[:, :, None] == decided).any(axis=2)
    np.testing.assert_allclose(ours[~ties], regions.p_values.numpy()[~ties], atol=1e-6)
    assert ties.mean() < 0.05


def test_5000_labels_are_no_trouble(rng, measure):
    chances, truth = drawn(rng, 40, labels=5000, sharpness=6.0)
    found = ls.flips(chances, measure)
    decided = found.distances(truth)
    sure = ls.certificates(found, ls.radius(decided, 0.9))
    assert sure.shape == (40, 5000)
    assert len(ls.best_sets(found.costs[0], 100)) == 100
