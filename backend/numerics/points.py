"""From a label's map to points that a person can move: where it is, and where it is not.

Source: READ (Qian et al., Reasoning to Attend, 2412.17741), similarity as points, with four
changes: the label has to be likely at all, half of the budget is for negatives, thresholds are in
deviations of the map, and the kernel of step 4 is as wide as a cell. With s (R, C) the map of a
label, smoothed by a mean over 3 x 3 cells, mu and sd its mean and deviation over the cells:

1. gate: a label whose probability is below `gate` gets no points. Any map has a maximum, also
   that of a label that is not there.
2. sign: +1 where s >= mu + high sd, -1 where s <= mu - low sd or where s is below mu and among the
   coldest quarter (a map with one sharp peak has no cell far below its mean), else 0 (the
   "deviation" rule), or,
   with s on 0..1 between its extremes, +1 where s >= 0.8 and -1 where s <= 0.2 (the "range" rule,
   as published). A map without contrast has neither.
3. choice: positives from the hottest down, negatives from the coldest up, at most half of the
   budget each, and none nearer than `apart` cells to one already taken of its sign.
4. move (from discrete to continuous): with pi = softmax(+-s / (t sd)) over the cell centres g and
   k_p(g) = exp(-|g - p|^2 / h^2), both in units of cells,

       p' = sum_g g k_p(g) pi(g) / sum_g k_p(g) pi(g)

   which is one step of mean shift (Comaniciu and Meer 2002). Repeated, a point climbs to the
   peak next to it; points that meet within half a cell become one. As published, h is a pixel,
   and points stay where they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

Heat = Float[np.ndarray, "rows cols"]

GATE = 0.2
"""Probability below which a label gets no points."""

FLAT = 1e-6
"""Maps whose extremes are nearer than this have no contrast."""

STEPS = 8
"""Of mean shift; with a kernel of a cell, points are at rest to a hundredth of one by then."""

RULES = {"deviation": (1.0, 0.5), "range": (0.8, 0.2)}
"""By rule: what is asked of a positive, and of a negative cell."""


@dataclass(frozen=True)
class Points:
    """Points on a picture.

    Attributes:
        xy: (K, 2) right and down in 0..1 of the displayed picture.
        is_positive: (K,) whether the label is there or is not.
    """

    xy: Float[np.ndarray, "k 2"]
    is_positive: Bool[np.ndarray, " k"]

    def __len__(self) -> int:
        return len(self.xy)


def none() -> Points:
    """No points at all."""
    return Points(np.zeros((0, 2), np.float32), np.zeros(0, bool))


def points_of(
    heat: Heat,
    *,
    probability: float | None = None,
    gate: float = GATE,
    most: int = 10,
    rule: str = "deviation",
    apart: float = 1.5,
    bandwidth: float = 1.0,
) -> Points:
    """Positive and negative points of a map, positives first, surest first.

    Args:
        heat: how well each cell fits the label, on any scale.
        probability: that the label is in the picture at all; None lets every map through.
        gate: 0..1, see the module.
        most: points in all; half of them at most are positive.
        rule: "deviation" or "range".
        apart: least distance of two points of one sign, in cells.
        bandwidth: of the kernel, in cells; 0 leaves points on cell centres.
    """
    if probability is not None and probability < gate:
        return none()
    smooth = smoothed(heat)
    sign = signs(smooth, rule=rule)
    found: list[Float[np.ndarray, "k 2"]] = []
    for way, room in ((1, most - most // 2), (-1, most // 2)):
        cells = spread_out(way * smooth, sign == way, most=room, apart=apart)
        moved = climbed(way * smooth, centres(cells, heat.shape[1]), bandwidth=bandwidth)
        found.append(merged(moved))
    xy = np.concatenate(found) / np.array(heat.shape[::-1], np.float32)
    return Points(xy.astype(np.float32).reshape(-1, 2), np.arange(len(xy)) < len(found[0]))


def smoothed(heat: Heat) -> Heat:
    """Each cell's mean with its neighbours, 3 x 3, fewer at the border."""
    sums, counts = np.zeros(heat.shape, np.float64), np.zeros(heat.shape)
    padded, ones = np.pad(heat, 1), np.pad(np.ones(heat.shape), 1)
    rows, cols = heat.shape
    for down in range(3):
        for right in range(3):
            sums += padded[down : down + rows, right : right + cols]
            counts += ones[down : down + rows, right : right + cols]
    return (sums / counts).astype(np.float32)


def signs(
    heat: Float[np.ndarray, "*shape"], *, rule: str = "deviation"
) -> Int[np.ndarray, "*shape"]:
    """+1 where the label is, -1 where it is not, 0 where the map does not say; also for words.

    Args:
        heat: the map, smoothed if it is to be, of any shape.
        rule: a key of `RULES`; step 2 of the module.
    """
    out = np.zeros(heat.shape, np.int8)
    if not heat.size or np.ptp(heat) < FLAT:
        return out
    low, high = float(heat.min()), float(heat.max())
    hot, cold = RULES[rule]
    if rule == "range":
        scaled = (heat - low) / (high - low)
    else:
        scaled = (heat - heat.mean()) / heat.std()
        quarter = float(np.quantile(scaled, 0.25))
        cold = max(-cold, quarter) if quarter < 0 else -cold
    out[scaled >= hot] = 1
    out[scaled <= cold] = -1
    return out


def spread_out(
    heat: Heat, allowed: Bool[np.ndarray, "rows cols"], *, most: int, apart: float
) -> Int[np.ndarray, " k"]:
    """The hottest allowed cells, hottest first, none nearer than `apart` to one before it.

    Args:
        heat: the map.
        allowed: cells that may be taken.
        most: of them at the most.
        apart: least distance of two cells' middles, in cells.

    Returns:
        Numbers of cells, counted row by row.
    """
    cols = heat.shape[1]
    taken: list[int] = []
    for cell in np.argsort(-heat.ravel(), kind="stable").tolist():
        if len(taken) == most:
            break
        if not allowed.ravel()[cell]:
            continue
        row, col = divmod(cell, cols)
        if all(np.hypot(row - k // cols, col - k % cols) >= apart for k in taken):
            taken.append(cell)
    return np.array(taken, np.int64)


def centres(cells: Int[np.ndarray, " k"], cols: int) -> Float[np.ndarray, "k 2"]:
    """Right and down of cells' middles, in cells."""
    return np.stack([cells % cols + 0.5, cells // cols + 0.5], axis=1).astype(np.float32)


def climbed(
    heat: Heat,
    start: Float[np.ndarray, "k 2"],
    *,
    bandwidth: float = 1.0,
    temperature: float = 0.5,
    steps: int = STEPS,
) -> Float[np.ndarray, "k 2"]:
    """Points moved uphill, step 4 of the module; they stay between the cell centres.

    Args:
        heat: the map.
        start: points, right and down in cells.
        bandwidth: h, in cells; 0 moves nothing.
        temperature: t, in deviations of the map; positive.
        steps: of mean shift.
    """
    if not len(start) or bandwidth <= 0 or np.ptp(heat) < FLAT:
        return start
    grid = centres(np.arange(heat.size), heat.shape[1])
    tempered = (heat.ravel() - heat.max()) / (temperature * heat.std())
    at = start.astype(np.float64)
    for _ in range(steps):
        near = ((at[:, None] - grid[None]) ** 2).sum(axis=2) / bandwidth**2
        logits = tempered[None] - near
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        at = weights @ grid / weights.sum(axis=1, keepdims=True)
    return at.astype(np.float32)


def merged(xy: Float[np.ndarray, "k 2"], *, within: float = 0.5) -> Float[np.ndarray, "m 2"]:
    """Points that met become the first of them, in order.

    Args:
        xy: points, in any unit.
        within: distance below which two have met, in that unit.
    """
    kept: list[np.ndarray] = []
    for point in xy:
        if all(np.hypot(*(point - other)) >= within for other in kept):
            kept.append(point)
    return np.array(kept, np.float32).reshape(-1, 2)
