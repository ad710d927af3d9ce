"""From a score to a probability: one monotone logistic curve."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from backend.numerics.logistic import logistic

LEAST_SLOPE = 1e-3
"""Smallest slope, per standard deviation of the scores: flat, but never falling."""


def fit_sigmoid(
    scores: Float[np.ndarray, " m"],
    targets: Float[np.ndarray, " m"],
    *,
    prior: tuple[float, float] | None = None,
    strength: float = 0.0,
) -> tuple[float, float]:
    """Slope and offset of logistic(slope score + offset), slope > 0.

    Targets are softened as in Platt 1999, (n+ + 1) / (n+ + 2) and 1 / (n- + 2), so separable
    verdicts end at a finite slope. Without a prior and with a rising relation this is the same
    curve as scikit-learn's sigmoid calibration.

    `targets` is 1 for YES and 0 for NO, at least one of each. `prior` is the curve to be drawn to
    and `strength` the verdicts it is worth: its precision is that of so many verdicts at
    probability 1/2 on scores with the spread of these.
    """
    num_yes = targets.sum()
    num_no = len(targets) - num_yes
    soft = np.where(targets > 0, (num_yes + 1) / (num_yes + 2), 1 / (num_no + 2))
    # On standardised scores slope and offset are of one size and hardly correlated.
    mean, std = float(scores.mean()), float(scores.std()) or 1.0
    x = np.stack([(scores - mean) / std, np.ones(len(scores))], axis=1)
    centre = (
        np.zeros(2) if prior is None else np.array([prior[0] * std, prior[1] + prior[0] * mean])
    )
    precision = 0.0 if prior is None else strength / 4
    point = np.array([max(centre[0], LEAST_SLOPE), centre[1]])
    point = _newton(x, soft, point, centre, precision, free=np.array([True, True]))
    if point[0] < LEAST_SLOPE:  # the problem is convex: the bound is then where the best curve is
        point[0] = LEAST_SLOPE
        point = _newton(x, soft, point, centre, precision, free=np.array([False, True]))
    slope = point[0] / std
    return float(slope), float(point[1] - slope * mean)


def _newton(
    x: Float[np.ndarray, "m 2"],
    targets: Float[np.ndarray, " m"],
    point: Float[np.ndarray, " 2"],
    centre: Float[np.ndarray, " 2"],
    precision: float,
    *,
    free: np.ndarray,
) -> Float[np.ndarray, " 2"]:
    """Damped Newton steps on the free coordinates of one curve."""

    def objective(at: np.ndarray) -> float:
        logits = x @ at
        return float(
            (np.logaddexp(0, logits) - targets * logits).sum()
            + 0.5 * precision * ((at - centre) ** 2).sum()
        )

    for _ in range(100):
        chance = logistic(x @ point)
        gradient = (x.T @ (chance - targets) + precision * (point - centre))[free]
        if np.abs(gradient).max() < 1e-10:
            break
        hessian = (x * (chance * (1 - chance))[:, None]).T @ x + precision * np.eye(2)
        hessian = hessian[np.ix_(free, free)] + 1e-12 * np.eye(free.sum())
        move = np.zeros(2)
        move[free] = -np.linalg.solve(hessian, gradient)
        size, value = 1.0, objective(point)
        while size > 1e-8 and objective(point + size * move) > value + 1e-13 * abs(value):
            size /= 2
        point = point + size * move
    return point
