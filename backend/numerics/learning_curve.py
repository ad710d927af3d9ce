"""What will the next answers bring? A learning curve, continued.

    quality(n) = a + b log(1 + n),  fitted to the newest points by least squares
    gain(n, m) = b log((1 + n + m) / (1 + n)),  never below 0

n answers so far, m more. The newest points count most, since the slope changes as labels fill up.
How far such a forecast is off is measured on the curve itself: at each earlier point one is made
from what was known then, and compared with what came.

Source: learning curves are close to straight in the logarithm over the range of a few hundred to
a few thousand answers; Figueroa et al., Predicting sample size required for classification
performance, 2012, fit a power law, which needs more points than a project has at first.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

NEWEST = 6
"""Points that the slope is fitted to."""

LEAST = 3
"""Points without which nothing is said."""

Points = Float[np.ndarray, " j"]


def gain(answers: Points, quality: Points, ahead: float) -> float | None:
    """Expected rise of the quality with `ahead` more answers; None with too few points.

    Args:
        answers: given at each point, ascending.
        quality: at each point, 0..1.
        ahead: answers from the last point on.
    """
    if len(answers) < LEAST or answers[-1] <= answers[0]:
        return None
    x = np.log1p(answers[-NEWEST:])
    if x[-1] - x[0] < 1e-9:
        return None
    slope = float(np.polyfit(x, quality[-NEWEST:], 1)[0])
    return max(0.0, slope * float(np.log((1 + answers[-1] + ahead) / (1 + answers[-1]))))


def error(answers: Points, quality: Points, ahead: float) -> tuple[float | None, int]:
    """Mean distance of earlier forecasts from what came, and how many could be compared.

    What came is read off the straight line between the points around it.
    """
    off: list[float] = []
    for at in range(LEAST, len(answers)):
        then = answers[at - 1] + ahead
        expected = gain(answers[:at], quality[:at], ahead)
        if expected is None or then > answers[-1]:
            continue
        came = float(np.interp(then, answers, quality)) - float(quality[at - 1])
        off.append(abs(expected - came))
    return (float(np.mean(off)), len(off)) if off else (None, 0)
