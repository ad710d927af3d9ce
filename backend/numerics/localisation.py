"""Does a map lie where its label is: pointing game, average precision over parts, overlap of masks.

A map is one number per part of one sample for one label; truth is which parts lie on the label. M
maps are judged at once, one a row; padding takes no part. A map that is equal everywhere says
nothing, and chance is what it gets: its first part is not taken for an answer.

Sources: pointing game, Zhang et al., Top-down Neural Attention by Excitation Backprop, ECCV 2016
(1608.00507), on parts instead of pixels and without their margin of 15 pixels.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from backend.numerics.regions import lengths_covered
from backend.numerics.scores import average_precision

Maps = Float[np.ndarray, "m p"]
Inside = Bool[np.ndarray, "m p"]


def cells_on_boxes(
    boxes: Float[np.ndarray, "b 4"], grid: tuple[int, int]
) -> Bool[np.ndarray, " p"]:
    """Cells of a grid, row by row, that lie on any of some boxes.

    A cell lies on a box that holds its centre. A box too small to hold any centre has the one cell
    that it covers most of, so that every box can be pointed at.

    Args:
        boxes: x, y, width, height in 0..1 of the picture, x to the right and y down.
        grid: rows and columns of the cells that lie over the whole picture.
    """
    rows, columns = grid
    found = np.zeros((rows, columns), bool)
    y, x = (np.arange(rows) + 0.5) / rows, (np.arange(columns) + 0.5) / columns
    for left, top, width, height in boxes:
        on = np.outer((y >= top) & (y <= top + height), (x >= left) & (x <= left + width))
        if not on.any():
            down = lengths_covered(top, height, rows)
            across = lengths_covered(left, width, columns)
            on.flat[int(np.outer(down, across).argmax())] = True
        found |= on
    return found.reshape(-1)


def pointing(maps: Maps, inside: Inside) -> Float[np.ndarray, " m"]:
    """1 where the largest part of a map lies on its label, 0 where it does not.

    Parts that are equally large share: the answer is the share of them that lies on it.
    """
    best = maps == maps.max(axis=1, keepdims=True)
    return (best & inside).sum(axis=1) / np.maximum(best.sum(axis=1), 1)


def map_average_precisions(maps: Maps, inside: Inside) -> Float[np.ndarray, " m"]:
    """Average precision of each map's order of the parts; NaN where no or every part is on it."""
    out = np.full(len(maps), np.nan)
    for row, (values, truth) in enumerate(zip(maps, inside, strict=True)):
        if truth.any() and not truth.all():
            out[row] = average_precision(values, truth.astype(np.float32))
    return out


def mask_iou(
    masks: Bool[np.ndarray, "m h w"], truth: Bool[np.ndarray, "m h w"]
) -> Float[np.ndarray, " m"]:
    """Pixels in both a mask and its truth over pixels in either, 0..1; 1 where both are empty."""
    union = (masks | truth).sum(axis=(1, 2))
    both = (masks & truth).sum(axis=(1, 2))
    return np.where(union > 0, both / np.maximum(union, 1), 1.0)
