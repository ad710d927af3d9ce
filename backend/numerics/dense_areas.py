"""Where points on a plane stand densely: the peaks of their smoothed number, and what lies around.

Points are counted in square cells and the counts smoothed by a Gaussian of `WIDTH` cells, so how
fine the areas are is how many cells there are. Where f points a cell are expected, the smoothed
count has the variance f / (4 pi WIDTH^2), and its square root has one that is everywhere the same:

    var sqrt(f^) = 1 / (16 pi WIDTH^2)

A peak is one that stands `SURE` such deviations above the pass to any higher one; the others are
drawn by chance. Every cell belongs to the peak that one climbs to from it, where it holds at least
`RIM` of that peak's height; points elsewhere are in no area.

Source: the square root of a Poisson count, Bartlett, The square root transformation in analysis of
variance, 1936; peaks by their height above the pass, Vincent, Morphological grayscale
reconstruction, 1993; basins, Vincent and Soille, Watersheds in digital spaces, 1991; both as
scikit-image has them.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, sqrt

import numpy as np
import scipy  # this and the next load what they are asked for when they are asked for it
import skimage
from jaxtyping import Float, Int

WIDTH = 3.0
"""Deviation of the Gaussian, in cells: wide enough for the grid not to be seen."""
SURE = 3.5
RIM = 0.15


@dataclass(frozen=True)
class Areas:
    """A areas of a plane with N points, the one with most points first.

    Attributes:
        of: (N,) which area each point is in; -1 in none.
        peaks: (A, 2) where each is densest.
        boxes: (A, 4) left, right, bottom, top of its points.
        sizes: (A,) how many points it has.
    """

    of: Int[np.ndarray, " n"]
    peaks: Float[np.ndarray, "a 2"]
    boxes: Float[np.ndarray, "a 4"]
    sizes: Int[np.ndarray, " a"]

    def __len__(self) -> int:
        return len(self.sizes)


def dense_areas(
    xy: Float[np.ndarray, "n 2"], *, cells: int, fewest: int = 1, most: int = 1000
) -> Areas:
    """Find where points stand densely.

    Args:
        xy: finite places; the unit is theirs.
        cells: on the longer side of the plane; twice as many find areas of half the size.
        fewest: points of an area; smaller ones are none.
        most: areas; the smallest are left out.
    """
    if not len(xy):
        return Areas(np.zeros(0, np.int64), np.zeros((0, 2)), np.zeros((0, 4)), np.zeros(0, int))
    places = xy.astype(np.float64)
    low = places.min(axis=0)
    side = max(float((places.max(axis=0) - low).max()), 1e-9) / cells
    # A margin on every side, so that what lies at the edge is smoothed like all else.
    margin = int(4 * WIDTH)
    at = ((places - low) / side).astype(np.int64).clip(0, cells - 1) + margin
    shape = (int(at[:, 0].max()) + 1 + margin, int(at[:, 1].max()) + 1 + margin)
    flat = at[:, 0] * shape[1] + at[:, 1]
    counts = np.bincount(flat, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)
    height = np.sqrt(scipy.ndimage.gaussian_filter(counts, WIDTH, mode="constant"))
    peaks, num = _peaks(height)
    basins = skimage.segmentation.watershed(-height, peaks, mask=height > 0)
    tops = np.zeros(num + 1)
    np.maximum.at(tops, basins.ravel(), height.ravel())
    tops[0] = np.inf
    basins[height < sqrt(RIM) * tops[basins]] = 0
    start = low + side * (0.5 - margin)
    return _areas(places, basins.ravel()[flat], peaks, (start, side), fewest=fewest, most=most)


def _peaks(height: Float[np.ndarray, "r c"]) -> tuple[Int[np.ndarray, "r c"], int]:
    """Which peak each cell is the top of, from 1, 0 for none; and how many there are."""
    above = SURE / (4 * WIDTH * sqrt(pi))
    lowered = skimage.morphology.reconstruction(height - above, height)
    # Lowered so far a peak that stands out is one flat top; rounding keeps it flat.
    flat = skimage.morphology.local_maxima(np.round(lowered, 9), connectivity=2)
    numbers, num = scipy.ndimage.label(flat, structure=np.ones((3, 3)))
    peaks = np.zeros(height.shape, np.int64)
    found = 0
    for top in scipy.ndimage.maximum_position(height, numbers, range(1, num + 1)):
        if height[top] > above:
            found += 1
            peaks[top] = found
    return peaks, found


def _areas(
    places: Float[np.ndarray, "n 2"],
    basin: Int[np.ndarray, " n"],
    peaks: Int[np.ndarray, "r c"],
    grid: tuple[Float[np.ndarray, " 2"], float],
    *,
    fewest: int,
    most: int,
) -> Areas:
    """The basins that hold enough points, as areas; `grid` is the first cell's middle and side."""
    start, side = grid
    num = int(peaks.max(initial=0))
    sizes = np.bincount(basin, minlength=num + 1)[1:]
    kept = np.flatnonzero(sizes >= max(1, fewest))
    kept = kept[np.argsort(-sizes[kept], kind="stable")][:most]
    number = np.full(num + 1, -1, np.int64)
    number[kept + 1] = np.arange(len(kept))
    of = number[basin]
    tops = np.argwhere(peaks)[np.argsort(peaks[peaks > 0])][kept]
    boxes = np.tile(np.array([np.inf, -np.inf]), (len(kept), 2))
    inside = np.flatnonzero(of >= 0)
    for axis in (0, 1):
        np.minimum.at(boxes[:, 2 * axis], of[inside], places[inside, axis])
        np.maximum.at(boxes[:, 2 * axis + 1], of[inside], places[inside, axis])
    return Areas(of, start + side * tops, boxes, sizes[kept])
