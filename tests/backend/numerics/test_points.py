"""Points of a map against the docstring's formulas in loops, and the laws they keep."""

from __future__ import annotations

from math import exp, hypot

import numpy as np
import pytest

from backend.numerics.points import climbed, merged, none, points_of, signs, smoothed, spread_out


def bump(rows: int, cols: int, row: float, col: float, wide: float = 1.5) -> np.ndarray:
    down, right = np.mgrid[:rows, :cols]
    apart = (down - row) ** 2 + (right - col) ** 2
    return np.exp(-apart / (2 * wide**2)).astype(np.float32)


def test_a_label_that_is_not_there_gets_no_points():
    """Every map has a maximum: only the gate keeps an absent label without points."""
    heat = bump(12, 12, 3, 8)
    assert len(points_of(heat, probability=0.19)) == len(none()) == 0
    assert len(points_of(heat, probability=0.2)) == len(points_of(heat)) > 0


def test_the_surest_point_lies_on_the_peak_in_shares_of_the_picture():
    found = points_of(bump(10, 20, 2, 15))
    assert found.is_positive[0]
    np.testing.assert_allclose(found.xy[0], [15.5 / 20, 2.5 / 10], atol=0.02)
    cold = found.xy[~found.is_positive]
    assert np.hypot(*(cold - found.xy[0]).T).min() > 0.2


@pytest.mark.parametrize("most", [2, 7, 10, 30])
def test_half_of_the_budget_is_for_negatives(most):
    """A map where nearly all is hot leaves room for the few cold cells, and the other way."""
    hot = np.ones((12, 12), np.float32)
    hot[:3, :4] = 0
    for heat in (hot, 1 - hot, np.random.default_rng(0).random((12, 12), np.float32)):
        found = points_of(heat, most=most, apart=1.0, bandwidth=0)
        assert len(found) <= most
        assert found.is_positive.sum() <= most - most // 2
        assert (~found.is_positive).sum() <= most // 2
        assert (~found.is_positive).any()


def test_signs_are_the_rules_written_out():
    heat = np.random.default_rng(3).normal(size=(5, 7)).astype(np.float32)
    mean = sum(heat.ravel().tolist()) / 35
    deviation = (sum((v - mean) ** 2 for v in heat.ravel().tolist()) / 35) ** 0.5
    low, high = heat.min(), heat.max()
    quarter = sorted(heat.ravel().tolist())[8:10]  # the middle of the lower half lies between
    cold = max(mean - deviation / 2, 0.5 * quarter[0] + 0.5 * quarter[1])
    for row in range(5):
        for col in range(7):
            value = heat[row, col]
            told = 1 if value >= mean + deviation else -1 if value <= cold else 0
            assert signs(heat)[row, col] == told
            share = (value - low) / (high - low)
            told = 1 if share >= 0.8 else -1 if share <= 0.2 else 0
            assert signs(heat, rule="range")[row, col] == told


def test_neither_scale_nor_offset_of_a_map_matters_and_words_have_signs_too():
    heat = np.random.default_rng(4).random(30).astype(np.float32)
    for rule in ("deviation", "range"):
        np.testing.assert_array_equal(signs(7 * heat - 3, rule=rule), signs(heat, rule=rule))
    assert not signs(np.full((4, 4), 0.3, np.float32)).any()
    assert len(points_of(np.full((4, 4), 0.3, np.float32))) == 0


def test_smoothing_is_the_mean_of_neighbours():
    heat = np.random.default_rng(5).random((4, 6), np.float32)
    for row in range(4):
        for col in range(6):
            around = [
                heat[r, c]
                for r in range(max(0, row - 1), min(4, row + 2))
                for c in range(max(0, col - 1), min(6, col + 2))
            ]
            assert smoothed(heat)[row, col] == pytest.approx(np.mean(around), rel=1e-5)


def test_one_step_is_the_formula():
    draw = np.random.default_rng(6)
    heat = draw.random((5, 4), np.float32)
    start = draw.uniform(0.5, 3.5, (3, 2)).astype(np.float32)
    found = climbed(heat, start, bandwidth=1.3, temperature=0.7, steps=1)
    for k in range(3):
        over, under = np.zeros(2), 0.0
        for row in range(5):
            for col in range(4):
                g = np.array([col + 0.5, row + 0.5])
                near = exp(-(hypot(*(g - start[k])) ** 2) / 1.3**2)
                weight = near * exp(heat[row, col] / (0.7 * heat.std()))
                over += weight * g
                under += weight
        np.testing.assert_allclose(found[k], over / under, atol=1e-4)


def test_a_kernel_of_a_cell_climbs_to_the_peak_and_one_of_nothing_stays():
    """The published kernel is a pixel wide: points barely move, which is the card's pitfall."""
    heat = bump(12, 12, 6, 5)
    start = np.array([[4.0, 5.0], [7.5, 8.0]], np.float32)
    at_rest = climbed(heat, start, bandwidth=1.5, steps=60)
    np.testing.assert_allclose(at_rest, [[5.5, 6.5]] * 2, atol=0.1)
    assert len(merged(at_rest)) == 1
    np.testing.assert_array_equal(climbed(heat, start, bandwidth=0), start)
    assert np.abs(climbed(heat, start + 0.5, bandwidth=0.05) - start - 0.5).max() < 0.51


def test_points_keep_their_distance():
    heat = np.random.default_rng(8).random((9, 9), np.float32)
    cells = spread_out(heat, heat > 0.3, most=20, apart=2.5)
    where = np.stack([cells // 9, cells % 9], axis=1)
    apart = np.hypot(*(where[:, None] - where[None]).transpose(2, 0, 1))
    assert apart[~np.eye(len(cells), dtype=bool)].min() >= 2.5
    assert heat.ravel()[cells[0]] == heat.max()
    assert (np.diff(heat.ravel()[cells]) <= 0).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (40, 1), (2, 2)])
def test_any_grid_gives_points_inside_the_picture(shape):
    heat = np.random.default_rng(9).random(shape, np.float32)
    found = points_of(heat)
    assert (len(found) > 0) == (max(shape) > 2), "in a smaller one all cells have the same mean"
    assert ((found.xy >= 0) & (found.xy <= 1)).all()
