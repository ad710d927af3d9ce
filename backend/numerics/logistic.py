"""Regularised logistic regression by truncated Newton steps, from any starting point.

    minimise over u:  sum_i s_i log(1 + exp(-y_i (z_i + x_i u))) + |u|^2 / 2,   y = -1 or 1

The penalty makes the Hessian at least the identity, so the distance to the one solution is at most
the length of the gradient: two runs that start anywhere and end with a gradient below TOLERANCE
are at most twice TOLERANCE apart. Other priors are brought to this form by scaling columns.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

TOLERANCE = 1e-8
"""Length of the gradient at which a solution counts as found."""

MAX_STEPS = 100
"""Newton steps; ten are usual, the rest is for hostile features."""

Vector = Float[np.ndarray, " q"]


def logistic(logits: Float[np.ndarray, "*s"]) -> Float[np.ndarray, "*s"]:
    """1 / (1 + exp(-x)) in 0..1, as half a tangent: no large number overflows, NaN stays NaN."""
    return 0.5 * (1 + np.tanh(0.5 * logits))


def chance(logits: Float[np.ndarray, "*s"]) -> Float[np.ndarray, "*s"]:
    """1 / (1 + exp(-x)) of logits cut to -30..30; NaN stays NaN.

    Unlike half a tangent it keeps small chances apart in single precision, where 1 + tanh(-9) is 0
    already: what is ranked by chances goes by this.
    """
    return 1 / (1 + np.exp(-np.clip(logits, -30, 30)))


def fit(
    features: Float[np.ndarray, "m q"],
    offsets: Float[np.ndarray, " m"],
    targets: Float[np.ndarray, " m"],
    weights: Float[np.ndarray, " m"],
    start: Vector,
    *,
    max_steps: int = MAX_STEPS,
) -> tuple[Vector, int]:
    """The solution and the number of Newton steps done; `start` itself where it is solved.

    Args:
        features: x, one row per verdict.
        offsets: z, the logit that holds when u is 0.
        targets: 1 for YES and 0 for NO; shares between are taken too.
        weights: s, how much each row counts; not negative.
        start: u to begin from.
        max_steps: the search ends after so many, solved or not.
    """
    point = start
    # The Hessian is only needed roughly, and single precision halves the time of its products;
    # the gradient, which decides where the solution is, stays in double precision.
    light = features.astype(np.float32)
    for step in range(max_steps):
        logits = offsets + features @ point
        chance = logistic(logits)
        gradient = features.T @ (weights * (chance - targets)) + point
        length = float(np.linalg.norm(gradient))
        if length <= TOLERANCE:
            return point, step
        curve = weights * chance * (1 - chance)
        share = min(0.1, max(length, 1e-3))
        move = _conjugate_gradient(light, curve, gradient, length * share)
        shift, value = features @ move, _objective(logits, targets, weights, point)
        slope, size = float(gradient @ move), 1.0
        # Far from the solution a full step can overshoot; halve until it goes down.
        while size > 1e-6 and _objective(
            logits + size * shift, targets, weights, point + size * move
        ) > value + 1e-4 * size * slope + 1e-12 * abs(value):
            size /= 2
        point = point + size * move
    return point, max_steps


def _conjugate_gradient(
    features: Float[np.ndarray, "m q"],
    curve: Float[np.ndarray, " m"],
    gradient: Vector,
    enough: float,
) -> Vector:
    """Solve (X' C X + I) move = -gradient until the residual is at most `enough`."""
    curve = curve.astype(np.float32)
    residual = -gradient.astype(np.float32)
    move = np.zeros_like(residual)
    direction = residual
    norm = float(residual @ residual)
    for _ in range(2 * len(gradient)):
        if norm <= enough * enough:
            break
        product = features.T @ (curve * (features @ direction)) + direction
        size = norm / float(direction @ product)
        move = move + size * direction
        residual = residual - size * product
        before, norm = norm, float(residual @ residual)
        direction = residual + (norm / before) * direction
    return move.astype(np.float64)


def _objective(
    logits: Float[np.ndarray, " m"],
    targets: Float[np.ndarray, " m"],
    weights: Float[np.ndarray, " m"],
    point: Vector,
) -> float:
    loss = np.logaddexp(0, logits) - targets * logits
    return float(weights @ loss + 0.5 * (point @ point))
