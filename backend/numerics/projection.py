"""Points in a plane: the two directions of most variance, and places between known neighbours."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from scipy.linalg import eigh


def principal_axes(
    vectors: Float[np.ndarray, "n d"],
) -> tuple[Float[np.ndarray, " d"], Float[np.ndarray, "d 2"]]:
    """Mean and the two axes of most variance; each axis points where its largest entry is positive.

    Where there are fewer than two dimensions the axes that are missing are 0, as both are without
    any point; a single point, or equal ones, lie at 0 whatever the axes are.
    """
    num, width = vectors.shape
    axes = np.zeros((width, 2), np.float32)
    if num == 0:
        return np.zeros(width, np.float32), axes
    mean = vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
    centred = vectors - mean
    first = max(0, width - 2)
    # The spectrum of the D x D covariance: N may be large, D is a few hundred.
    _, found = eigh((centred.T @ centred).astype(np.float64), subset_by_index=(first, width - 1))
    found = found[:, ::-1]
    # An eigenvector's sign is arbitrary; fixed, the map does not flip from one run to the next.
    signs = np.sign(found[np.abs(found).argmax(axis=0), np.arange(found.shape[1])])
    axes[:, : found.shape[1]] = found * signs
    return mean, axes


def nearest_neighbours(
    unit: Float[np.ndarray, "n d"], k: int
) -> tuple[Int[np.ndarray, "n k"], Float[np.ndarray, "n k"]]:
    """The k nearest of each row by cosine, itself first, and how far each is.

    Args:
        unit: rows of length 1.
        k: from 1 to N.

    Returns:
        Rows, nearest first; and 1 - cosine of each, 0..2, that of the row itself 0.
    """
    ids = np.empty((len(unit), k), np.int64)
    distances = np.empty((len(unit), k), np.float32)
    for start in range(0, len(unit), 256):  # 256 x 10,000 cosines: 10 MB
        cosine = unit[start : start + 256] @ unit.T
        own = np.arange(len(cosine))
        cosine[own, start + own] = 2  # first even among twins
        near = np.argpartition(-cosine, k - 1, axis=1)[:, :k]
        found = np.take_along_axis(cosine, near, axis=1)
        order = np.argsort(-found, axis=1, kind="stable")
        ids[start : start + 256] = np.take_along_axis(near, order, axis=1)
        distances[start : start + 256] = np.take_along_axis(1 - found, order, axis=1)
    return ids, np.maximum(distances, 0)


def between_neighbours(
    known: Float[np.ndarray, "n d"],
    places: Float[np.ndarray, "n 2"],
    vectors: Float[np.ndarray, "m d"],
    *,
    num_neighbours: int,
) -> Float[np.ndarray, "m 2"]:
    """Mean of the nearest known points' places, weighted by 1 / squared distance.

    A vector that equals a known one gets its place exactly.

    Args:
        known: vectors that have a place.
        places: of those vectors in the plane, in any unit.
        vectors: those that get one.
        num_neighbours: that are asked, or all known ones where they are fewer.

    Source: Shepard, A two-dimensional interpolation function for irregularly-spaced data, 1968.
    """
    result = np.empty((len(vectors), 2), np.float32)
    lengths = (known**2).sum(axis=1)
    count = min(num_neighbours, len(known))
    for start in range(0, len(vectors), 256):  # 256 x 10,000 distances: 10 MB
        block = vectors[start : start + 256]
        distance = lengths - 2 * block @ known.T + (block**2).sum(axis=1, keepdims=True)
        near = np.argpartition(distance, count - 1, axis=1)[:, :count]
        gap = ((block[:, None] - known[near]) ** 2).sum(axis=2)  # exact: 0 for the same vector
        weight = np.where(gap.min(axis=1, keepdims=True) == 0, gap == 0, 1 / np.maximum(gap, 1e-20))
        weight = weight / weight.sum(axis=1, keepdims=True)
        result[start : start + 256] = (weight[:, :, None] * places[near]).sum(axis=1)
    return result
