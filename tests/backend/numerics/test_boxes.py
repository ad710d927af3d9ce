"""Boxes lie around what is hot, against maps whose answer can be read off."""

from __future__ import annotations

import numpy as np

from backend.numerics.boxes import boxes_of


def blob(rows, cols, *places, size=3):
    heat = np.zeros((rows, cols), np.float32)
    for down, right in places:
        heat[down : down + size, right : right + size] = 1
    return heat


def test_one_thing_gets_the_box_around_it():
    (box,) = boxes_of(blob(10, 20, (2, 12), size=4))
    x, y, width, height = box
    # Smoothing may move an edge by a cell, never more.
    np.testing.assert_allclose([x * 20, y * 10], [12, 2], atol=1)
    np.testing.assert_allclose([(x + width) * 20, (y + height) * 10], [16, 6], atol=1)
    assert x <= 14 / 20 <= x + width
    assert y <= 4 / 10 <= y + height


def test_two_things_get_a_box_each_and_a_weak_third_none():
    heat = blob(12, 12, (1, 1), (8, 8))
    heat[1:4, 8:11] = 0.5
    heat[8:11, 8:11] = 1.1
    first, second = boxes_of(heat)
    assert first[0] > 0.5  # the higher peak comes first
    assert second[0] < 0.5


def test_the_scale_of_a_map_does_not_matter():
    heat = blob(9, 9, (3, 4)) + np.random.default_rng(0).normal(0, 0.05, (9, 9))
    heat = heat.astype(np.float32)
    assert boxes_of(heat) == boxes_of((0.01 * heat - 3).astype(np.float32))
    assert boxes_of(heat)


def test_a_flat_map_and_a_single_cell_have_no_box():
    assert boxes_of(np.full((5, 5), 0.7, np.float32)) == []
    assert boxes_of(np.ones((1, 1), np.float32)) == []


def test_boxes_stay_inside_the_picture():
    for seed in range(20):
        heat = np.random.default_rng(seed).normal(size=(7, 3)).astype(np.float32)
        found = boxes_of(heat)
        assert found, "what is not flat has one at least"
        for x, y, width, height in found:
            assert 0 <= x < x + width <= 1 + 1e-9
            assert 0 <= y < y + height <= 1 + 1e-9
