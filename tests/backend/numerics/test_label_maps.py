"""Kept maps are what they were, and a crop's labels equal the sums over its area, done slowly."""

from __future__ import annotations

import numpy as np
import pytest

from backend.numerics import label_maps

GRID = (3, 5)
FINE = 40
"""Points per cell side of the slow twin."""


@pytest.fixture
def values():
    """An asymmetric map: rows and columns cannot be swapped unseen."""
    draw = np.random.default_rng(3)
    made = draw.random((GRID[0] * GRID[1], 4)).astype(np.float32)
    made[:, 2] = 0
    made[7, 0] = 9.0  # second row, third column
    return made


def frames(count=30):
    draw = np.random.default_rng(5)
    size = draw.uniform(0.05, 1, (count, 2))
    return np.concatenate([draw.random((count, 2)) * (1 - size), size], axis=1).astype(np.float32)


def slow_cover(frame):
    """The share of the points of each cell, a fine lattice of them, that lie in the crop."""
    x, y, width, height = frame
    rows, cols = GRID
    out = np.zeros(rows * cols)
    for row in range(rows):
        for col in range(cols):
            inside = 0
            for down in (row + (np.arange(FINE) + 0.5) / FINE) / rows:
                for right in (col + (np.arange(FINE) + 0.5) / FINE) / cols:
                    inside += x <= right <= x + width and y <= down <= y + height
            out[row * cols + col] = inside / FINE**2
    return out


def test_what_a_crop_covers_equals_counting_points():
    given = frames(4)
    cover = label_maps.covered(given, GRID)
    for frame, row in zip(given, cover, strict=True):
        np.testing.assert_allclose(row, slow_cover(frame), atol=2.5 / FINE)


def test_the_covered_cells_add_up_to_the_area_of_the_crop():
    given = frames()
    area = given[:, 2] * given[:, 3]
    cells = GRID[0] * GRID[1]
    np.testing.assert_allclose(label_maps.covered(given, GRID).sum(1) / cells, area, atol=1e-5)


def test_x_runs_along_columns_and_y_along_rows():
    third_of_fifth = np.array([[2 / 5, 1 / 3, 1 / 5, 1 / 3]], np.float32)
    wanted = np.zeros((1, 15), np.float32)
    wanted[0, 7] = 1
    np.testing.assert_allclose(label_maps.covered(third_of_fifth, GRID), wanted, atol=1e-6)


def test_what_a_crop_shows_equals_sums_over_cells(values):
    cover = label_maps.covered(frames(), GRID)
    found = label_maps.shown(values, cover)
    for crop in range(len(cover)):
        for label in (0, 1, 3):
            inside = sum(cover[crop, p] * values[p, label] for p in range(15))
            assert found[crop, label] == pytest.approx(inside / values[:, label].sum(), abs=1e-5)
    assert np.isnan(found[:, 2]).all()


def test_the_whole_picture_shows_all_and_two_halves_share_it(values):
    whole, left, right = np.array([[0, 0, 1, 1], [0, 0, 0.37, 1], [0.37, 0, 0.63, 1]], np.float32)
    shares = label_maps.shown(values, label_maps.covered(np.stack([whole, left, right]), GRID))
    np.testing.assert_allclose(shares[0, [0, 1, 3]], 1, atol=1e-6)
    np.testing.assert_allclose((shares[1] + shares[2])[[0, 1, 3]], 1, atol=1e-5)


def test_pooling_equals_the_weighted_mean_and_softmax_adds_up(values):
    cover = label_maps.covered(frames(), GRID)
    found = label_maps.pooled(values, cover)
    for crop in range(len(cover)):
        for label in range(4):
            slow = sum(cover[crop, p] * values[p, label] for p in range(15)) / cover[crop].sum()
            assert found[crop, label] == pytest.approx(slow, abs=1e-5)
    shares = label_maps.softmax(found)
    np.testing.assert_allclose(shares.sum(1), 1, atol=1e-6)
    np.testing.assert_allclose(
        np.log(shares[:, 0] / shares[:, 3]), found[:, 0] - found[:, 3], atol=1e-4
    )


def test_a_whole_cell_pools_to_its_own_value(values):
    """No mix of neighbours and no shift by half a cell, as sampled pooling has it."""
    frame = np.array([[2 / 5, 1 / 3, 1 / 5, 1 / 3]], np.float32)
    np.testing.assert_allclose(
        label_maps.pooled(values, label_maps.covered(frame, GRID))[0], values[7], atol=1e-4
    )


def test_what_is_kept_is_the_strongest_of_each_part(values):
    columns, kept = label_maps.strongest(values, 2)
    for part in range(15):
        best = sorted(range(4), key=lambda label: -values[part, label])[:2]
        assert columns[part].tolist() == best
        np.testing.assert_allclose(kept[part], values[part, best], rtol=1e-3)


def test_nothing_is_lost_where_all_labels_are_kept(values):
    columns, kept = label_maps.strongest(values, 9)
    assert columns.shape == (15, 4)
    assert (columns == -1).sum() == 15  # the label without a map
    np.testing.assert_allclose(label_maps.dense(columns, kept, 4), values, rtol=1e-3)


def test_no_labels_and_no_parts_are_no_trouble():
    columns, kept = label_maps.strongest(np.zeros((15, 0), np.float32), 5)
    assert label_maps.dense(columns, kept, 3).tolist() == np.zeros((15, 3)).tolist()
    nothing = label_maps.shown(np.zeros((15, 0), np.float32), label_maps.covered(frames(2), GRID))
    assert nothing.shape == (2, 0)
