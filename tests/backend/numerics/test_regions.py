"""Parts of a region against one look at each cell, and the newest mark on a part."""

from __future__ import annotations

import numpy as np
import pytest

from backend.numerics.regions import cells_covered, marked_parts, parts_of
from backend.types import Layout, Region, Verdict

YES, NO, UNSURE = Verdict.YES, Verdict.NO, Verdict.UNSURE
HALVES = ((0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 0.5, 1.0))


def is_in(points: tuple[float, ...], x: float, y: float) -> bool:
    """Even-odd rule, one edge after the other."""
    corners = list(zip(points[0::2], points[1::2], strict=True))
    crossed = 0
    for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
        if (y0 > y) != (y1 > y) and x < x0 + (y - y0) / (y1 - y0) * (x1 - x0):
            crossed += 1
    return crossed % 2 == 1


def outline(region: Region) -> tuple[float, ...]:
    if region.kind == "polygon":
        return region.points
    x, y, w, h = region.points
    return (x, y, x + w, y, x + w, y + h, x, y + h)


def check(region: Region, rows: int, columns: int) -> None:
    """Cells whose centre is in; else one that no other has clearly more of, by a fine lattice."""
    shape, found = outline(region), parts_of(region, Layout(grid=(rows, columns))).tolist()
    cells = [(r, c) for r in range(rows) for c in range(columns)]
    inside = [
        r * columns + c for r, c in cells if is_in(shape, (c + 0.5) / columns, (r + 0.5) / rows)
    ]
    if inside:
        assert found == inside
        return
    fine = [(k + 0.5) / 24 for k in range(24)]
    shares = [
        np.mean([is_in(shape, (c + u) / columns, (r + v) / rows) for u in fine for v in fine])
        for r, c in cells
    ]
    (best,) = found
    assert shares[best] >= max(shares) - 0.03


@pytest.mark.parametrize("grid", [(1, 1), (4, 4), (3, 7)])
def test_boxes_and_polygons_are_the_cells_that_a_look_at_each_finds(grid: tuple[int, int]) -> None:
    rng = np.random.default_rng(7)
    for _ in range(40):
        x, y = rng.uniform(0, 0.8, 2)
        box = Region("box", (x, y, *(rng.uniform(0.02, 1) * (1 - np.array([x, y])))))
        corners = rng.uniform(0, 1, 2 * rng.integers(3, 8))
        for region in (box, Region("polygon", tuple(corners))):
            check(region, *grid)


def test_what_holds_no_centre_is_the_cell_it_covers_most_of() -> None:
    rng = np.random.default_rng(3)
    for _ in range(15):
        x, y = rng.uniform(0, 0.92, 2)  # a third of a cell of a 4 x 4 grid, anywhere
        check(Region("box", (x, y, 0.08, 0.08)), 4, 4)
        check(Region("polygon", (x, y, x + 0.08, y, x, y + 0.08)), 4, 4)


def test_a_line_and_a_point_still_are_somewhere() -> None:
    line = Region("polygon", (0.3, 0.3, 0.4, 0.4, 0.35, 0.35))
    assert parts_of(line, Layout(grid=(2, 2))).tolist() == [0]
    hair = Region("box", (1.0, 1.0, 1e-12, 1e-12))
    assert parts_of(hair, Layout(grid=(2, 2))).tolist() == [3]


def test_cells_covered_sum_to_the_area() -> None:
    box = Region("box", (0.1, 0.2, 0.33, 0.41))
    assert cells_covered(box, 5, 3).sum() / 15 == pytest.approx(0.33 * 0.41)
    triangle = Region("polygon", (0.1, 0.1, 0.9, 0.1, 0.1, 0.7))
    assert cells_covered(triangle, 5, 3).sum() / 15 == pytest.approx(0.24, abs=0.01)


def test_two_halves_of_a_picture_share_no_cell_and_leave_none_out() -> None:
    for columns in (1, 2, 3, 4, 7):
        found = [parts_of(Region("box", half), Layout(grid=(2, columns))) for half in HALVES]
        if columns > 1:
            assert sorted(np.concatenate(found).tolist()) == list(range(2 * columns))


def test_words_that_overlap_a_span() -> None:
    words = Layout(spans=((0, 3), (4, 9), (10, 12)))
    for span, parts in (
        ((0, 3), [0]), ((2, 5), [0, 1]), ((3, 4), []), ((5, 6), [1]), ((0, 99), [0, 1, 2]),
    ):  # fmt: skip
        assert parts_of(Region("span", span), words).tolist() == parts


def test_a_place_of_the_other_kind_is_nowhere() -> None:
    assert parts_of(Region("span", (0, 3)), Layout(grid=(2, 2))).tolist() == []
    assert parts_of(Region("box", HALVES[0]), Layout(spans=((0, 3),))).tolist() == []


def test_the_newest_mark_on_a_part_counts() -> None:
    left, right = (Region("box", half) for half in HALVES)
    whole_no = Region("box", (0.0, 0.0, 1.0, 1.0), NO)
    grid = Layout(grid=(1, 4))

    def told(*regions: Region) -> list[list[int]]:
        return [parts.tolist() for parts in marked_parts(regions, grid)]

    assert told() == [[], []]
    assert told(whole_no, left) == [[0, 1], [2, 3]]
    assert told(left, whole_no) == [[], [0, 1, 2, 3]]
    unsure = Region("box", HALVES[0], UNSURE)
    assert told(whole_no, right, unsure) == [[2, 3], []]
