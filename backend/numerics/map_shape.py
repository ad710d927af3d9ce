"""What a map of a picture is given beside the likeness of single cells.

Neighbours: a thing is rarely one cell, and the likeness of one cell is noisy, so cells are averaged
with the eight around them (weights 1, 2, 1 in both directions; a linear step, so the same whether
parts or likenesses are averaged). Ground: what looks like the rim of the picture is more often
ground than thing, so a cell weighs exp(`SALIENCY` z) in the source measure, z its distance from the
mean rim in deviations of the picture.

Rivals: where another label that was accepted fits better than it does on average, it has a claim,
and a label's map yields to the largest of the others' claims:

    c_k(n) = max(0, (S[n, k] - mean_n S[n, k]) / t),   pi[n, m] ~ pi_b[n, m] exp(-YIELD max c_k(n))

A label is no rival of itself, and one with the same vector as another changes only how flat its map
is, never where it is largest, since `YIELD` is below 1. Tried as well, on half of the train mosaics
taught and the other half measured and on other draws of the other sets: a softmax over the accepted
labels with and without a background, as the forward navigator has it (more on mosaics, less
elsewhere), claims in deviations or as shares of the mass, only what exceeds the label's own
likeness, likely labels as rivals beside the accepted ones (no better where labels are accepted).
Labels that lie on each other's places, as those of a printed page, lose by a larger `YIELD`.

How much the first two bring without any verdict, and the rivals with them:
`patchlane bench evidence --part pointing`.

Source: the rim as ground, Wei et al., Geodesic saliency using background priors, ECCV 2012.
Rivals are ours, after the forward navigator of PatchCT (2307.09066).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

SALIENCY = 0.6
YIELD = 0.3
"""How much of the largest claim a map gives way to, 0..1 without 1."""

LEAST = 3
"""Rows and columns below which every cell is rim."""


def smoothed(parts: Float[np.ndarray, "p d"], grid: tuple[int, int]) -> Float[np.ndarray, "p d"]:
    """Every cell averaged with its neighbours; beyond the edge the edge is repeated.

    Args:
        parts: of one picture, row by row, or any numbers of its cells.
        grid: rows and columns, whose product is P.
    """
    rows, columns = grid
    cells = parts.reshape(rows, columns, -1).astype(np.float32)
    for axis in (0, 1):
        last = cells.shape[axis] - 1
        before = np.take(cells, np.maximum(np.arange(last + 1) - 1, 0), axis=axis)
        after = np.take(cells, np.minimum(np.arange(last + 1) + 1, last), axis=axis)
        cells = (before + 2 * cells + after) / 4
    return cells.reshape(parts.shape)


def saliency(parts: Float[np.ndarray, "p d"], grid: tuple[int, int]) -> Float[np.ndarray, " p"]:
    """Weight of every cell, positive, by its distance from the rim; 1 where all are alike.

    Args:
        parts: unit vectors of one picture, row by row. A distance is 1 - their cosine with the mean
            of the cells on the rim.
        grid: rows and columns; with fewer than `LEAST` of either every cell is rim and weighs 1.
    """
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


def claims(
    likeness: Float[np.ndarray, "p r"], own: Int[np.ndarray, " l"], temperature: float
) -> Float[np.ndarray, "p l"]:
    """The largest claim on each part that any rival has but the label itself, in logits, 0 or more.

    Args:
        likeness: cosine of parts and rivals.
        own: of each label its number among the rivals, or -1.
        temperature: of the navigators, positive.
    """
    found = np.zeros((len(likeness), len(own)), np.float32)
    if likeness.shape[1] == 0 or not len(own):
        return found
    each = np.maximum(likeness - likeness.mean(axis=0), 0) / np.float32(temperature)
    best = each.argmax(axis=1)
    first = each[np.arange(len(each)), best]
    each[np.arange(len(each)), best] = 0
    second = each.max(axis=1)
    found[:] = np.where(best[:, None] == own, second[:, None], first[:, None])
    return found


def yielded(
    backward: Float[np.ndarray, "p l"], claimed: Float[np.ndarray, "p l"]
) -> Float[np.ndarray, "p l"]:
    """Maps that give way to claims; columns add up to what they did.

    Args:
        backward: the backward navigator pi_b of one sample.
        claimed: what others claim of each part, see `claims`, in logits.
    """
    mass = backward.sum(axis=0)
    weights = backward * np.exp(-np.float32(YIELD) * claimed)
    return weights * (mass / np.maximum(weights.sum(axis=0), 1e-30))
