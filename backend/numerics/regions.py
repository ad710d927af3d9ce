"""Which parts a region on a sample is: looked up from geometry, for any grid and any words.

A region belongs to no encoder. A cell of a grid is in it if the cell's centre is; a region too
small or thin to hold any centre is the one cell that it covers most of. A word is in a span if
they overlap. Polygons follow the even-odd rule, and what lies on their edge is in them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int
from skimage.draw import polygon2mask

from backend.types import Layout, Region

FINE = 32
"""Samples per side of a cell with which the overlap of a polygon without a centre is measured."""


def parts_of(region: Region, layout: Layout) -> Int[np.ndarray, " k"]:
    """The parts of a sample in a region, ascending; none where region and sample do not fit.

    Args:
        region: box or polygon in 0..1 of the displayed picture, or a span of characters.
        layout: of the sample's parts.
    """
    if region.kind == "span":
        return _words_in(region, layout.spans or ())
    if layout.grid is None:
        return np.zeros(0, np.int64)
    rows, columns = layout.grid
    inside = cells_inside(region, rows, columns)
    if inside.any():
        return np.flatnonzero(inside)
    overlap = cells_covered(region, rows, columns)
    best = int(overlap.argmax())
    return np.array([best] if overlap.flat[best] > 0 else [_cell_at(region, rows, columns)])


def marked_parts(
    regions: Sequence[Region], layout: Layout
) -> tuple[Int[np.ndarray, " h"], Int[np.ndarray, " a"]]:
    """Parts that marks say show a label, and parts that they say do not, both ascending.

    Where two marks speak of one part the newer one counts, the later in `regions`; one that is
    unsure makes its parts unknown again.
    """
    rows, columns = layout.grid or (1, len(layout.spans or ()))
    count = rows * columns
    said = np.zeros(count, np.int8)
    for region in regions:
        said[parts_of(region, layout)] = 1 if region.is_here else -1 if region.is_absent else 0
    return np.flatnonzero(said > 0), np.flatnonzero(said < 0)


def cells_inside(region: Region, rows: int, columns: int) -> Bool[np.ndarray, "rows columns"]:
    """Cells whose centre is in a box or polygon; a centre on the left or upper edge is."""
    if region.kind == "box":
        x, y, width, height = region.points
        across = (np.arange(columns) + 0.5) / columns
        down = (np.arange(rows) + 0.5) / rows
        return np.outer((y <= down) & (down < y + height), (x <= across) & (across < x + width))
    # The centre of cell (r, c) lies at (r + 0.5, c + 0.5); skimage's pixels at (r, c).
    return polygon2mask((rows, columns), _corners(region, rows, columns) - 0.5)


def cells_covered(region: Region, rows: int, columns: int) -> Float[np.ndarray, "rows columns"]:
    """How much of each cell a box or polygon covers, 0..1; a polygon to about 1 / FINE."""
    if region.kind == "box":
        x, y, width, height = region.points
        down, across = lengths_covered(y, height, rows), lengths_covered(x, width, columns)
        return np.outer(down * rows, across * columns)
    corners = _corners(region, rows, columns)
    low = np.clip(np.floor(corners.min(axis=0)).astype(int), 0, (rows - 1, columns - 1))
    high = np.clip(np.ceil(corners.max(axis=0)).astype(int), low + 1, (rows, columns))
    tall, wide = high - low
    fine = polygon2mask((tall * FINE, wide * FINE), (corners - low) * FINE - 0.5)
    out = np.zeros((rows, columns))
    out[low[0] : high[0], low[1] : high[1]] = fine.reshape(tall, FINE, wide, FINE).mean((1, 3))
    return out


def lengths_covered(
    start: float | Float[np.ndarray, " b"], length: float | Float[np.ndarray, " b"], count: int
) -> Float[np.ndarray, "*b count"]:
    """How much of each of `count` equal pieces of 0..1 a stretch covers, or each of some.

    At most 1 / `count`. Nothing is rounded to a whole piece: of pieces that are covered alike but
    for their last digit, figures were measured with the one that this finds largest.
    """
    edges = np.arange(count + 1) / count
    begin, end = np.asarray(start)[..., None], np.asarray(start + length)[..., None]
    return np.clip(np.minimum(edges[1:], end) - np.maximum(edges[:-1], begin), 0, None)


def _corners(region: Region, rows: int, columns: int) -> Float[np.ndarray, "corners 2"]:
    """Corners as (row, column) with a cell's side as the unit."""
    points = np.asarray(region.points, np.float64).reshape(-1, 2)
    return points[:, ::-1] * (rows, columns)


def _cell_at(region: Region, rows: int, columns: int) -> int:
    """The cell of a polygon too thin to measure: where the middle of its corners lies."""
    points = np.asarray(region.points, np.float64)
    x, y = (
        (points[0] + points[2] / 2, points[1] + points[3] / 2)
        if region.kind == "box"
        else points.reshape(-1, 2).mean(axis=0)
    )
    row, column = min(int(y * rows), rows - 1), min(int(x * columns), columns - 1)
    return row * columns + column


def _words_in(region: Region, spans: Sequence[tuple[int, int]]) -> Int[np.ndarray, " k"]:
    start, end = region.points
    edges = np.asarray(spans, np.float64).reshape(-1, 2)
    return np.flatnonzero((edges[:, 0] < end) & (start < edges[:, 1]))
