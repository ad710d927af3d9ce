"""Which labels each part of a sample carries, kept small, and what a crop shows by it.

A map has one column per label: v[p, l] >= 0, how much of label l lies on part p. Kept are the K
strongest labels of each part. A crop covers the share o[p] of part p's cell, and shows of a label

    s[l] = sum_p o[p] v[p, l] / sum_p v[p, l],  0..1

the share of the label's map that it holds: 1 for the whole picture, 0 where nothing of it is, and
a label whose column is empty has no answer (NaN). `patchlane reproduce relabel` measures this
beside what ReLabel does with a classifier's logits z[p, l], pooled over the crop:

    z(crop)[l] = sum_p o[p] z[p, l] / sum_p o[p],    q = softmax of it over the sample's labels,
                                                     or the logistic of each for itself

Source: Yun et al., Re-labeling ImageNet, CVPR 2021 (2101.05022), of whose RoIAlign with one bin
this is the exact form: cells are weighted by the area that the crop covers, with no sampling and no
shift by half a cell. Other than there the softmax runs over known labels only; labels that were
not kept would otherwise all get the weight of a logit of 0. The share took the softmax's place
since a picture with several labels shows all or none of them in a crop, and they do not compete.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float16, Int16

from backend.numerics.regions import lengths_covered

Frames = Float[np.ndarray, "b 4"]


def strongest(
    values: Float[np.ndarray, "p l"], most: int
) -> tuple[Int16[np.ndarray, "p k"], Float16[np.ndarray, "p k"]]:
    """The `most` labels of each part with the largest values above 0, largest first.

    Returns:
        Their columns, -1 where a part has fewer; and their values, 0 there. Of equals the first
        column is kept. A float16 keeps three digits.
    """
    count = min(most, values.shape[1])
    columns = np.argsort(-values, axis=1, kind="stable")[:, :count]
    kept = np.take_along_axis(values, columns, axis=1).astype(np.float16)
    return np.where(kept > 0, columns, -1).astype(np.int16), np.maximum(kept, np.float16(0))


def dense(
    columns: Int16[np.ndarray, "p k"], values: Float16[np.ndarray, "p k"], num_labels: int
) -> Float[np.ndarray, "p l"]:
    """The map, 0 where nothing was kept; the inverse of `strongest` where nothing was left out."""
    out = np.zeros((len(columns), num_labels), np.float32)
    parts, places = np.nonzero(columns >= 0)
    out[parts, columns[parts, places]] = values[parts, places]
    return out


def covered(frames: Frames, grid: tuple[int, int]) -> Float[np.ndarray, "b p"]:
    """o: the share of each cell's area that lies in each crop, 0..1; cells row by row.

    Args:
        frames: x, y, width, height in 0..1 of the picture, x to the right and y down.
        grid: rows and columns of the cells that lie over the whole picture.
    """
    left, top, width, height = frames.astype(np.float64).T
    down = np.clip(lengths_covered(top, height, grid[0]) * grid[0], 0, 1)
    right = np.clip(lengths_covered(left, width, grid[1]) * grid[1], 0, 1)
    return (down[:, :, None] * right[:, None, :]).reshape(len(frames), -1).astype(np.float32)


def shown(
    values: Float[np.ndarray, "p l"], cover: Float[np.ndarray, "b p"]
) -> Float[np.ndarray, "b l"]:
    """s: the share of each label's map that each crop holds; NaN for a label without a map."""
    total = values.sum(axis=0, dtype=np.float64)
    inside = cover.astype(np.float64) @ values
    share = np.divide(inside, total, out=np.full_like(inside, np.nan), where=total > 0)
    return np.clip(share, 0, 1).astype(np.float32)


def pooled(
    logits: Float[np.ndarray, "p l"], cover: Float[np.ndarray, "b p"]
) -> Float[np.ndarray, "b l"]:
    """z(crop): the mean of the map over each crop, cells weighted by the area it covers."""
    weight = np.maximum(cover.sum(axis=1, keepdims=True), 1e-12)
    return ((cover / weight) @ logits).astype(np.float32)


def softmax(logits: Float[np.ndarray, "b l"]) -> Float[np.ndarray, "b l"]:
    """Shares of the labels of each crop, sum 1, as ReLabel makes its targets."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
    return (powers / np.maximum(powers.sum(axis=1, keepdims=True), 1e-12)).astype(np.float32)
