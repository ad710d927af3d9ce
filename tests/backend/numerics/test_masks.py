"""Masks against scikit-image's random walker, closed forms, and geometry that can be judged."""

from __future__ import annotations

import numpy as np
import pytest
import skimage

from backend.numerics import masks
from backend.numerics.points import Points, points_of


def halves(height: int = 20, width: int = 30, cut: int = 12) -> np.ndarray:
    """Red left of the cut, blue right of it."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[:, :cut, 0] = 200
    picture[:, cut:, 2] = 200
    return picture


def at(*places: tuple[float, float, bool]) -> Points:
    return Points(
        np.array([place[:2] for place in places], np.float32).reshape(-1, 2),
        np.array([place[2] for place in places], bool),
    )


NO_PARTS = np.zeros((4, 6, 8), np.float32)
BOTH = at((0.1, 0.5, True), (0.9, 0.5, False))


def test_without_a_prior_it_is_the_random_walker_of_scikit_image():
    draw = np.random.default_rng(0)
    picture = draw.integers(0, 255, (14, 18, 3), np.uint8)
    parts = draw.normal(size=(4, 6, 8)).astype(np.float32)
    points = at((0.2, 0.3, True), (0.8, 0.1, False), (0.6, 0.9, True))
    mine = masks.walked(picture, parts, points, beta=0.2, gamma=0)
    seeds = masks.seeded(points, (14, 18), (4, 6))
    data = np.concatenate(
        [masks.lab(picture), masks.upsampled(masks.principal(parts, 3), (14, 18))], axis=2
    ).astype(np.float64)
    # Theirs divides by the deviation of all numbers and the root of their count, and adds 1e-10.
    scale = 10 * data.std() * np.sqrt(6)
    theirs = skimage.segmentation.random_walker(
        data, seeds, beta=0.2 * scale, mode="bf", channel_axis=2, return_full_prob=True
    )[0]
    np.testing.assert_allclose(mine, theirs, atol=2e-3)


def test_a_sharp_edge_is_the_edge_of_the_mask():
    mask = masks.walked(halves(), NO_PARTS, BOTH) >= masks.SURE
    np.testing.assert_array_equal(mask, np.arange(30)[None] < np.full((20, 1), 12))


def test_part_features_divide_what_has_one_colour():
    parts = np.zeros((4, 6, 8), np.float32)
    parts[:, :3, 0], parts[:, 3:, 1] = 1, 1
    grey = np.full((20, 30, 3), 128, np.uint8)
    mask = masks.walked(grey, parts, at((0.1, 0.1, True), (0.9, 0.9, False))) >= 0.5
    truth = np.arange(30)[None] < np.full((20, 1), 15)
    assert (mask == truth).mean() > 0.95


def test_with_a_strong_prior_the_map_decides_and_points_still_hold():
    heat = np.zeros((4, 6), np.float32)
    heat[:, 4:] = 1
    grey = np.full((20, 30, 3), 128, np.uint8)
    found = masks.walked(grey, NO_PARTS, at((0.05, 0.05, True)), heat=heat, gamma=1e4)
    prior = masks.upsampled(masks.between(masks.smoothed(heat))[:, :, None], (20, 30))[..., 0]
    free = masks.seeded(at((0.05, 0.05, True)), (20, 30), (4, 6)) == 0
    np.testing.assert_allclose(found[free], prior[free], atol=1e-3)
    assert (found[~free] == 1).all()


def test_the_system_is_the_docstring_written_out():
    """A 2 x 3 picture, solved as dense equations."""
    draw = np.random.default_rng(2)
    picture = draw.integers(0, 255, (2, 3, 3), np.uint8)
    heat = draw.random((2, 3), np.float32)
    points = at((0.01, 0.01, True))
    found = masks.walked(
        picture, NO_PARTS[:2, :3], points, heat=heat, features=0, beta=0.7, gamma=0.2, dot=0.1
    )
    x = masks.lab(picture).reshape(6, 3).astype(float)
    prior = masks.between(masks.smoothed(heat)).ravel()
    system, right = np.zeros((6, 6)), 0.2 * prior
    for i in range(6):
        for j in range(6):
            if abs(i // 3 - j // 3) + abs(i % 3 - j % 3) == 1:
                w = np.exp(-0.7 * ((x[i] - x[j]) ** 2).sum()) + 1e-6
                system[i, i] += w
                system[i, j] -= w
        system[i, i] += 0.2
    system[0], right[0] = np.eye(6)[0], 1.0
    np.testing.assert_allclose(found.ravel(), np.linalg.solve(system, right), atol=1e-4)


def test_points_of_one_sign_make_no_mask_without_a_map():
    with pytest.raises(ValueError, match="a point where the label is and one where it is not"):
        masks.walked(halves(), NO_PARTS, at((0.1, 0.5, True)))


def test_a_picture_turned_gives_the_mask_turned():
    draw = np.random.default_rng(3)
    picture = draw.integers(0, 255, (12, 12, 3), np.uint8)
    parts = draw.normal(size=(4, 4, 8)).astype(np.float32)
    heat = draw.random((4, 4), np.float32)
    points = points_of(heat, apart=1.0)
    turned = Points(points.xy[:, ::-1].copy(), points.is_positive)
    flip = lambda a: np.ascontiguousarray(a.swapaxes(0, 1))  # noqa: E731
    one = masks.walked(picture, parts, points, heat=heat)
    other = masks.walked(flip(picture), flip(parts), turned, heat=flip(heat))
    np.testing.assert_allclose(other, one.T, atol=1e-3)


def test_outlines_cover_the_mask():
    """Drawn again, the polygons are the mask; the box is its hull; small crumbs are left out."""
    mask = np.zeros((60, 80), bool)
    mask[10:30, 20:50] = True
    mask[40:58, 5:25] = True
    mask[0, 79] = True
    found = masks.polygons(mask)
    assert len(found) == 2
    assert masks.area(found[0]) == pytest.approx(600 / 4800, rel=0.03)
    again = np.zeros_like(mask)
    for outline in found:
        again |= skimage.draw.polygon2mask((60, 80), outline[:, ::-1] * [60, 80] - 0.5)
    mask[0, 79] = False
    assert (again != mask).mean() < 0.01
    assert masks.box(mask) == pytest.approx((5 / 80, 10 / 60, 45 / 80, 48 / 60))
    assert masks.box(np.zeros((3, 3), bool)) is None
    assert masks.polygons(np.zeros((3, 3), bool)) == []


def test_a_mask_of_everything_is_the_whole_picture():
    (outline,) = masks.polygons(np.ones((10, 20), bool))
    assert masks.area(outline) == pytest.approx(1, abs=0.02)
    assert outline.min() >= 0
    assert outline.max() <= 1
    assert masks.box(np.ones((10, 20), bool)) == (0, 0, 1, 1)


@pytest.mark.parametrize(
    ("size", "small"), [((400, 10), (64, 24)), ((30, 1200), (24, 64)), ((100, 100), (64, 64))]
)
def test_long_pictures_are_stretched_so_that_cells_have_pixels(size, small):
    assert masks.small_size(*size) == small
