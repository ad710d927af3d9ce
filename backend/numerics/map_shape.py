"""What a map of a picture is given beside the likeness of single cells.

Neighbours: a thing is rarely one cell, and the likeness of one cell is noisy, so cells are averaged
with the eight around them (weights 1, 2, 1 in both directions; a linear step, so the same whether
parts or likenesses are averaged). Ground: what looks like the rim of the picture is more often
ground than thing, so a cell weighs exp(`SALIENCY` z) in the source measure, z its distance from the
mean rim in deviations of the picture.

How much both bring without any verdict: `patchlane bench evidence --part pointing`, "untaught".

Source: the rim as ground, Wei et al., Geodesic saliency using background priors, ECCV 2012.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

SALIENCY = 0.6
LEAST = 3
"""Rows and columns below which every cell is rim."""


def smoothed(parts: Float[np.ndarray, "p d"], grid: tuple[int, int]) -> Float[np.ndarray, "p d"]:
    """Every cell averaged with its neighbours; beyond the edge the edge is repeated."""
    rows, columns = grid
    cells = parts.reshape(rows, columns, -1).astype(np.float32)
    for axis in (0, 1):
        last = cells.shape[axis] - 1
        before = np.take(cells, np.maximum(np.arange(last + 1) - 1, 0), axis=axis)
        after = np.take(cells, np.minimum(np.arange(last + 1) + 1, last), axis=axis)
        cells = (before + 2 * cells + after) / 4
    return cells.reshape(parts.shape)


def saliency(parts: Float[np.ndarray, "p d"], grid: tuple[int, int]) -> Float[np.ndarray, " p"]:
    """Weight of every cell, positive, by its distance from the rim; 1 where all are alike."""
    rows, columns = grid
    if min(rows, columns) < LEAST:
        return np.ones(len(parts), np.float32)
    is_rim = np.ones((rows, columns), bool)
    is_rim[1:-1, 1:-1] = False
    cells = parts.astype(np.float32, copy=False)
    ground = cells[is_rim.reshape(-1)].mean(axis=0)
    far = 1 - cells @ ground / max(float(np.linalg.norm(ground)), 1e-9)
    spread = float(far.std())
    if spread < 1e-6:
        return np.ones(len(parts), np.float32)
    return np.exp(SALIENCY * (far - far.mean()) / spread).astype(np.float32)
