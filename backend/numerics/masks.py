"""From points and a map to a mask, and from a mask to geometry.

A random walker with a prior (Grady, Multilabel random walker image segmentation using prior models,
CVPR 2005). Pixels are the nodes of a graph; neighbours i and j are joined by

    w_ij = exp(-beta |x_i - x_j|^2) + 1e-6

where x_i are numbers of the pixel: its colour (CIE Lab, over its deviation in this picture), and
the part features upsampled to it, on their first principal axes. With L the Laplacian of w, q in
0..1 the label's map, smoothed and between its extremes, and gamma its weight,

    (L + gamma I) p = gamma q,   p fixed to 1 on positive points and to 0 on negative ones:

p_i is the chance that a walker from i, who stops with rate gamma wherever it is and is then let in
with chance q, comes to a positive point or is let in. The mask is p >= `SURE`. With gamma 0 this
is the random walker of scikit-image (the tests compare them), which takes no prior; on train
mosaics of `mosaic_open` it had the better masks (`patchlane reproduce read`).

It works on a small copy of the picture and takes a tenth of a second. A mask lies over the whole
displayed picture, whatever its shape; geometry is in 0..1 of it.
"""

from __future__ import annotations

import numpy as np
import scipy  # this and the next load what they are asked for when they are asked for it
import skimage
from jaxtyping import Bool, Float, Int, UInt8

from backend.numerics.points import Points, smoothed

Mask = Bool[np.ndarray, "h w"]
Chances = Float[np.ndarray, "h w"]

BETA = 10.0
"""How much a difference between neighbours hinders the walker."""

GAMMA = 0.0005
"""How much the map counts at each pixel; of 0.0005 to 0.02 the best on train mosaics."""

SURE = 0.55
"""Chance from which a pixel belongs to the mask, chosen on train mosaics with `BETA`, `GAMMA`."""

AXES = 3
"""Principal axes of the part features."""

DOT = 0.35
"""Radius of a point in cells: every pixel in it has the point's sign."""

WEAKEST = 1e-6
"""Weight of neighbours that have nothing in common, so that every pixel is reached."""

SIDE, SHORTEST = 64, 24
"""Pixels of the small copy: its longer side, and what the shorter one is stretched to at least."""

SMALLEST = 0.002
"""Share of the picture below which a piece of a mask becomes no polygon."""

SLACK = 0.004
"""How far a polygon may leave the mask's edge, in 0..1 of the picture."""


def small_size(width: int, height: int) -> tuple[int, int]:
    """Width and height in pixels of the copy that the walker walks on.

    The longer side has `SIDE` pixels, and the shorter one its share of that, at least `SHORTEST`.
    """
    most = max(width, height, 1)
    return tuple(max(SHORTEST, round(SIDE * side / most)) for side in (width, height))  # pyright: ignore


def walked(
    picture: UInt8[np.ndarray, "h w 3"],
    parts: Float[np.ndarray, "rows cols d"],
    points: Points,
    *,
    heat: Float[np.ndarray, "rows cols"] | None = None,
    colour: float = 1.0,
    features: float = 1.0,
    axes: int = AXES,
    beta: float = BETA,
    gamma: float = GAMMA,
    dot: float = DOT,
) -> Chances:
    """Chance of each pixel to belong to the label.

    Args:
        picture: a small copy, RGB; its size is that of the answer.
        parts: features of the cells that lie over the whole picture.
        points: where the label is and where it is not.
        heat: the label's map; without one only the points count.
        colour: weight of colours in the difference of neighbours; 0 leaves them out.
        features: the same of the features.
        axes: of the features.
        beta: see the module; not negative.
        gamma: the same.
        dot: radius of a point, in cells.

    Raises:
        ValueError: without a map, points of one sign only: everything would be it, or nothing.
    """
    size = picture.shape[:2]
    seeds = seeded(points, size, parts.shape[:2], dot=dot)
    weight, prior = np.zeros(seeds.size), np.zeros(seeds.size)
    if heat is not None and gamma:
        weight += gamma
        prior[:] = upsampled(between(smoothed(heat))[:, :, None], size).ravel()
    elif not {1, 2} <= set(np.unique(seeds)):
        raise ValueError("a mask needs a point where the label is and one where it is not")
    numbers = np.zeros((*size, 0), np.float32)
    if colour:
        numbers = np.concatenate([numbers, colour * lab(picture)], axis=2)
    if features:
        found = upsampled(principal(parts, axes), size)
        numbers = np.concatenate([numbers, features * found], axis=2)
    system = laplacian(numbers, beta) + scipy.sparse.diags_array(weight)
    right = weight * prior
    return solved(system.tocsr(), right, seeds.ravel()).reshape(size)


def solved(system: scipy.sparse.csr_array, right: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """Solve `system` p = `right` with p = 1 where `seeds` is 1 and p = 0 where it is 2.

    Args:
        system: (K, K), of K pixels row by row; positive definite on the pixels without a seed.
        right: (K,).
        seeds: (K,), 0 where p is asked for.

    Returns:
        p (K,) in 0..1.
    """
    out = (seeds == 1).astype(np.float64)
    free = np.flatnonzero(seeds == 0)
    if len(free):
        known = np.flatnonzero(seeds)
        moved = right[free] - system[free][:, known] @ out[known]
        inner = system[free][:, free].tocsc()
        out[free] = scipy.sparse.linalg.spsolve(inner, moved)
    return np.clip(out, 0, 1).astype(np.float32)


def laplacian(numbers: Float[np.ndarray, "h w c"], beta: float) -> scipy.sparse.csr_array:
    """Of the grid of pixels, four neighbours each, weighted as the module says.

    Args:
        numbers: x, the C numbers of each pixel.
        beta: how much their squared distance hinders the walker, not negative.

    Returns:
        L (h w, h w), pixels row by row; every row sums to 0.
    """
    height, width, _ = numbers.shape
    node = np.arange(height * width).reshape(height, width)
    one = np.concatenate([node[:, :-1].ravel(), node[:-1].ravel()])
    other = np.concatenate([node[:, 1:].ravel(), node[1:].ravel()])
    flat = numbers.reshape(len(node.ravel()), -1).astype(np.float64)
    weight = np.exp(-beta * ((flat[one] - flat[other]) ** 2).sum(axis=1)) + WEAKEST
    joined = scipy.sparse.coo_array(
        (np.r_[weight, weight], (np.r_[one, other], np.r_[other, one])), shape=(node.size,) * 2
    )
    return (scipy.sparse.diags_array(joined.sum(axis=1)) - joined).tocsr()


def between(heat: Float[np.ndarray, "rows cols"]) -> Float[np.ndarray, "rows cols"]:
    """A map on 0..1 between its extremes; one half everywhere where it has no contrast."""
    low, high = float(heat.min()), float(heat.max())
    if high - low < 1e-6:
        return np.full(heat.shape, 0.5, np.float32)
    return ((heat - low) / (high - low)).astype(np.float32)


def seeded(
    points: Points, size: tuple[int, int], grid: tuple[int, int], *, dot: float = DOT
) -> Int[np.ndarray, "h w"]:
    """1 on the pixels of positive points, 2 on those of negative ones, else 0.

    A pixel belongs to the nearest point within `dot` cells, and the pixel under a point to it.

    Args:
        points: in 0..1 of the picture.
        size: height and width of the answer, in pixels.
        grid: rows and columns of the cells over the whole picture.
        dot: radius of a point, in cells.
    """
    (height, width), (rows, cols) = size, grid
    right = (np.arange(width) + 0.5) / width * cols
    down = (np.arange(height) + 0.5) / height * rows
    if not len(points):
        return np.zeros(size, np.int64)
    inside = np.clip(points.xy.astype(np.float64), 0, 1)
    apart = np.hypot(
        right[None, :, None] - inside[:, 0] * cols, down[:, None, None] - inside[:, 1] * rows
    )
    kind = np.where(points.is_positive, 1, 2)
    seeds = np.where(apart.min(axis=2) <= dot, kind[apart.argmin(axis=2)], 0)
    columns = np.minimum(width - 1, (inside[:, 0] * width).astype(int))
    lines = np.minimum(height - 1, (inside[:, 1] * height).astype(int))
    seeds[lines, columns] = kind
    return seeds


def lab(picture: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, "h w 3"]:
    """CIE Lab, each number minus its mean, all over their common deviation."""
    found = skimage.color.rgb2lab(picture).astype(np.float64)
    found -= found.mean(axis=(0, 1))
    return (found / max(float(found.std()), 1.0)).astype(np.float32)


def principal(
    parts: Float[np.ndarray, "rows cols d"], axes: int
) -> Float[np.ndarray, "rows cols k"]:
    """Coordinates of the cells on their first principal axes; the first has deviation 1."""
    rows, cols, width = parts.shape
    flat = parts.reshape(-1, width).astype(np.float64)
    left, length, _ = np.linalg.svd(flat - flat.mean(axis=0), full_matrices=False)
    first = max(float(length[0]) / np.sqrt(len(flat)), 1e-9)
    return (left * length / first)[:, :axes].reshape(rows, cols, -1).astype(np.float32)


def upsampled(
    cells: Float[np.ndarray, "rows cols k"], size: tuple[int, int]
) -> Float[np.ndarray, "h w k"]:
    """Numbers of cells at every pixel, straight lines between the cells' middles (bilinear).

    Args:
        cells: k numbers of each cell.
        size: height and width of the answer, in pixels.
    """
    found = cells
    for axis, count in enumerate(size):
        have = cells.shape[axis]
        at = np.clip((np.arange(count) + 0.5) / count * have - 0.5, 0, have - 1)
        low = np.minimum(at.astype(int), max(have - 2, 0))
        share = (at - low).reshape([-1 if k == axis else 1 for k in range(3)])
        high = np.minimum(low + 1, have - 1)
        found = (1 - share) * np.take(found, low, axis) + share * np.take(found, high, axis)
    return found.astype(np.float32)


def polygons(
    mask: Mask, *, smallest: float = SMALLEST, slack: float = SLACK
) -> list[Float[np.ndarray, "k 2"]]:
    """Outlines of the pieces of a mask, largest first, in 0..1; holes are filled.

    Args:
        mask: over the whole picture.
        smallest: share of the picture below which a piece is left out, the largest never.
        slack: how far an outline may leave the edge of the mask (Douglas and Peucker).
    """
    height, width = mask.shape
    pieces = np.asarray(skimage.measure.label(mask, connectivity=1))
    areas = np.bincount(pieces.ravel())[1:]
    found = []
    for number in np.argsort(-areas, kind="stable").tolist():
        if areas[number] < smallest * mask.size and found:
            continue
        # A border of nothing, so that outlines are closed; 0.5 lies between two pixels' middles.
        piece = np.pad(pieces == number + 1, 1).astype(np.float32)
        outlines = skimage.measure.find_contours(piece, 0.5)
        outline = max(outlines, key=area)
        edge = (outline[:, ::-1] - 0.5) / np.array([width, height])
        simple = skimage.measure.approximate_polygon(np.clip(edge, 0, 1), slack)
        if len(simple) > 3:
            found.append(simple[:-1].astype(np.float32))
    return found


def area(outline: Float[np.ndarray, "k 2"]) -> float:
    """Area inside a closed outline, in squares of its unit, by the shoelace formula."""
    x, y = outline[:, 0], outline[:, 1]
    return 0.5 * abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))))


def box(mask: Mask) -> tuple[float, float, float, float] | None:
    """The box (x, y, w, h) in 0..1 around a mask; None where it is empty."""
    down, right = np.nonzero(mask)
    if not len(down):
        return None
    height, width = mask.shape
    left, top = right.min() / width, down.min() / height
    return (
        float(left),
        float(top),
        float((right.max() + 1) / width - left),
        float((down.max() + 1) / height - top),
    )
