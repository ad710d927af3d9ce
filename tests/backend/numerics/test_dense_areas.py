"""Dense areas of a plane: planted ones are found, chance is not, and a flood fill agrees."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from backend.numerics.dense_areas import SURE, WIDTH, _peaks, dense_areas

CENTRES = np.array([[0.0, 0], [4, 1], [1, 5], [6, 6]])


def planted(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Points around four places, 400 to 100 of them, and 200 anywhere; which place, -1 for none."""
    draw = np.random.default_rng(seed)
    sizes = (400, 300, 200, 100)
    around = [draw.normal(c, 0.3, (n, 2)) for c, n in zip(CENTRES, sizes, strict=True)]
    points = np.concatenate([*around, draw.uniform(-2, 8, (200, 2))])
    return points, np.repeat([0, 1, 2, 3, -1], [*sizes, 200])


def test_planted_areas_are_found_with_their_points() -> None:
    points, truth = planted()
    found = dense_areas(points, cells=40, fewest=20)
    assert len(found) == 4
    np.testing.assert_allclose(found.peaks, CENTRES, atol=0.25)
    for area in range(4):
        its = found.of == area
        assert (truth[its] == area).mean() > 0.8
        assert its[truth == area].mean() > 0.9
        assert found.sizes[area] == its.sum()
        left, right, bottom, top = found.boxes[area]
        inside = points[its]
        assert (left, right) == (inside[:, 0].min(), inside[:, 0].max())
        assert (bottom, top) == (inside[:, 1].min(), inside[:, 1].max())
    assert (found.of[truth == -1] == -1).mean() > 0.5


def test_areas_turn_shift_and_grow_with_the_plane() -> None:
    points, _ = planted(1)
    one = dense_areas(points, cells=40, fewest=20)
    other = dense_areas(100 - 3 * points[:, ::-1], cells=40, fewest=20)
    assert (one.of == other.of).mean() > 0.98  # the cells' edges lie elsewhere
    np.testing.assert_allclose(100 - 3 * one.peaks[:, ::-1], other.peaks, atol=1)


def test_more_cells_tell_apart_what_stands_closer() -> None:
    draw = np.random.default_rng(2)
    near = [draw.normal([x, 0], 0.1, (300, 2)) for x in (0, 1.2)]
    far = draw.normal([8, 8], 0.1, (300, 2))
    points = np.concatenate([*near, far])
    assert [len(dense_areas(points, cells=cells)) for cells in (24, 96)] == [2, 3]


def test_small_areas_and_those_beyond_the_number_wanted_are_left_out() -> None:
    points, _ = planted()
    assert len(dense_areas(points, cells=40, fewest=150)) == 3
    assert len(dense_areas(points, cells=40, fewest=20, most=2)) == 2


def test_a_plane_without_structure_has_hardly_any_peaks() -> None:
    """What chance piles up is a peak in fewer than one draw of ten beside the highest place."""
    draw = np.random.default_rng(3)
    extra = [
        max(0, len(dense_areas(draw.uniform(0, 1, (4000, 2)), cells=48, fewest=10)) - 1)
        for _ in range(20)
    ]
    assert np.mean(np.array(extra) > 0) <= 0.1


def test_the_root_of_a_smoothed_count_varies_as_the_formula_says() -> None:
    draw = np.random.default_rng(4)
    for often in (0.5, 5.0):
        counts = draw.poisson(often, (400, 400)).astype(float)
        root = np.sqrt(gaussian_filter(counts, WIDTH))
        assert root.var() == pytest.approx(1 / (16 * np.pi * WIDTH**2), rel=0.1)


def peaks_by_flood(height: np.ndarray, above: float) -> set[tuple[int, int]]:
    """Let the water fall: a place that comes out of it is an island until it joins a higher one."""
    island: dict[tuple[int, int], tuple[int, int]] = {}

    def root(cell: tuple[int, int]) -> tuple[int, int]:
        while island[cell] != cell:
            cell = island[cell]
        return cell

    stands = {}
    order = sorted(np.ndindex(height.shape), key=lambda cell: -height[cell])
    for cell in order:
        around = [(cell[0] + i, cell[1] + j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
        tops = sorted({root(c) for c in around if c in island}, key=lambda c: -height[c])
        island[cell] = cell if not tops else tops[0]
        for lower in tops[1:]:
            stands[lower] = height[lower] - height[cell]
            island[lower] = tops[0]
    stands[order[0]] = height[order[0]]
    return {top for top, by in stands.items() if by > above}


def test_peaks_are_those_that_a_falling_flood_leaves_standing() -> None:
    draw = np.random.default_rng(5)
    above = SURE / (4 * WIDTH * np.sqrt(np.pi))
    several = 0
    for _ in range(10):
        counts = draw.poisson(0.15, (30, 26)) * draw.integers(0, 12, (30, 26))
        height = np.sqrt(gaussian_filter(counts.astype(float), 1.2, mode="constant"))
        marks, num = _peaks(height)
        twin = peaks_by_flood(height, above)
        several += num > 3
        assert num == len(twin)
        # a mark may hold the places beside its top that the lowered plane is flat over
        assert {marks[top] for top in twin} == set(range(1, num + 1))
    assert several > 5, "the planes say something"


@pytest.mark.parametrize(("number", "areas"), [(0, 0), (1, 0), (50, 1)])
def test_points_in_one_place_are_an_area_once_they_are_many(number: int, areas: int) -> None:
    points = np.ones((number, 2))
    found = dense_areas(points, cells=24)
    assert len(found) == areas
    assert found.of.tolist() == [areas - 1] * number
    assert found.sizes.tolist() == [number] * areas
    np.testing.assert_allclose(found.peaks, points[:areas], atol=1e-6)
