"""Pointing, average precision over parts and overlap, against counting by hand and scikit-learn."""

import numpy as np
from sklearn.metrics import average_precision_score

from backend.numerics.localisation import (
    cells_on_boxes,
    map_average_precisions,
    mask_iou,
    pointing,
)


def test_cells_are_those_whose_centre_a_box_holds():
    on = cells_on_boxes(np.array([[0.0, 0.0, 0.5, 0.25], [0.5, 0.5, 0.5, 0.5]]), (4, 4))
    assert on.reshape(4, 4).tolist() == [
        [True, True, False, False],
        [False] * 4,
        [False, False, True, True],
        [False, False, True, True],
    ]


def test_cells_equal_a_walk_over_every_centre_and_box():
    draw = np.random.default_rng(0)
    for _ in range(50):
        rows, columns = draw.integers(1, 9, 2).tolist()
        boxes = np.concatenate([draw.random((3, 2)) * 0.6, 0.3 + draw.random((3, 2)) * 0.1], axis=1)
        boxes[:, 2:] += 1 / min(rows, columns)  # every box holds a centre
        expected = [
            any(
                x <= (across + 0.5) / columns <= x + w and y <= (down + 0.5) / rows <= y + h
                for x, y, w, h in boxes
            )
            for down in range(rows)
            for across in range(columns)
        ]
        assert cells_on_boxes(boxes, (rows, columns)).tolist() == expected


def test_a_box_between_the_centres_has_the_cell_it_covers_most_of():
    # Of 2 x 2 cells: from x 0.3 to 0.55 and y 0.6 to 0.7, most of it in the lower left one.
    on = cells_on_boxes(np.array([[0.3, 0.6, 0.25, 0.1]]), (2, 2))
    assert on.tolist() == [False, False, True, False]
    assert not cells_on_boxes(np.zeros((0, 4)), (2, 2)).any()


def test_pointing_asks_the_largest_part_and_shares_among_equals():
    maps = np.array([[0.1, 0.9, 0.0], [0.9, 0.1, 0.0], [0.5, 0.5, 0.5]])
    inside = np.array([[False, True, True]] * 3)
    np.testing.assert_allclose(pointing(maps, inside), [1, 0, 2 / 3])


def test_average_precision_over_parts_is_scikit_learns():
    draw = np.random.default_rng(1)
    maps, inside = draw.random((20, 30)), draw.random((20, 30)) < 0.3
    inside[0], inside[1] = False, True
    found = map_average_precisions(maps, inside)
    assert np.isnan(found[:2]).all()
    expected = [average_precision_score(t, m) for m, t in zip(maps[2:], inside[2:], strict=True)]
    np.testing.assert_allclose(found[2:], expected, atol=1e-12)


def test_overlap_is_that_of_the_sets_of_pixels():
    draw = np.random.default_rng(2)
    masks, truth = draw.random((6, 4, 5)) < 0.4, draw.random((6, 4, 5)) < 0.4
    masks[0], truth[0] = False, False
    sets = [
        (set(np.flatnonzero(a).tolist()), set(np.flatnonzero(b).tolist()))
        for a, b in zip(masks, truth, strict=True)
    ]
    expected = [len(a & b) / len(a | b) if a | b else 1.0 for a, b in sets]
    np.testing.assert_allclose(mask_iou(masks, truth), expected)
