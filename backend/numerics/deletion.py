"""Is a map what a score rests on? Parts are taken away in its order, and the score is asked again.

Deletion takes the largest parts first, insertion begins with nothing and gives the largest parts
back first. What is left after k parts of an order are gone is what an insertion in the reverse
order has after P - k, so that one walk gives a point of both curves.

Source: Petsiuk et al., RISE, BMVC 2018 (1806.07421); areas here are mean heights.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

STEPS = 8


def deletion_counts(
    num_parts: int, *, fewest_left: int, steps: int = STEPS
) -> Int[np.ndarray, " k"]:
    """How many parts are gone at each point of a curve: from 0 to all but `fewest_left`.

    Args:
        num_parts: P, of the sample.
        fewest_left: parts that stay at the end; with P or more of them nothing is taken away.
        steps: between the points, evenly spread; of few parts equal points are one.
    """
    last = max(num_parts - fewest_left, 0)
    return np.unique(np.round(np.linspace(0, last, steps + 1)).astype(np.int64))


def orders(map_: Float[np.ndarray, " p"], *, seeds: int) -> dict[str, list[Int[np.ndarray, " p"]]]:
    """The orders in which parts go, each a permutation of the part numbers, by their kind.

    Args:
        map_: how much each part of one sample counts, on any scale.
        seeds: how many random orders there are, drawn from seeds 0, 1, ...

    Returns:
        "map", the largest first and equals by number; "inverted", the same backwards; "random".
    """
    by_map = np.argsort(-map_, kind="stable")
    draws = [np.random.default_rng(seed).permutation(len(map_)) for seed in range(seeds)]
    return {"map": [by_map], "inverted": [by_map[::-1]], "random": draws}


def area(shares: Float[np.ndarray, " k"], scores: Float[np.ndarray, " k"]) -> float:
    """Mean height of a curve over its own span, by trapezoids.

    Args:
        shares: of parts that are gone, 0..1, ascending.
        scores: at each of them. Where all shares are one, the mean of the scores is the height.
    """
    span = shares.max() - shares.min()
    return float(np.trapezoid(scores, shares) / span) if span else float(scores.mean())
