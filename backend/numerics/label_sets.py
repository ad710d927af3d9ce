"""Sets of label sets with a guarantee: those that are no further off than decided samples were.

A label set t in {0, 1}^L is at a distance A(t) from the chances of a sample. All distances here are
sums over labels, so that with r, the likelier answer to each label, they can be written

    A(t) = base + unit * (sum of costs_j over the labels j where t differs from r)

and all of them are integers (chances are put on a grid first), so that the search, the count and a
brute force agree to the last set. With n decided samples, whose own sets are at distances alpha_i,

    p(t) = (number of alpha_i >= A(t), plus 1) / (n + 1),

and { t : p(t) > 1 - level } holds the true set with a chance of at least `level`, for samples that
are exchangeable with the decided ones. It is the ball { t : A(t) <= radius }, so a label whose
cost alone is above what is left of the radius is answered alike in all sets of the ball.

Source: Maltoudoglou et al., Well-calibrated confidence measures for multi-label text classification
with a large number of labels, Pattern Recognition 122, 2022 (2312.09304), for p and the Euclidean
distance; the search over flips, the count and the certificates follow from the sum above.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

GRID = 1024
"""Steps of a chance in the Euclidean distance."""
NATS = 16
"""Steps of a likelihood distance of 1, such as one label's loss of one nat."""
POWER = 4
"""Power of a label's loss in the likelihood distance, where nothing else is said."""
LEAST_CHANCE = 1e-5
"""Chances are kept away from 0 and 1 by this before their logarithm is taken."""
UNBOUNDED = np.iinfo(np.int64).max // 4
"""The radius of everything, where too few samples are decided for a level."""
MOST_WORK = 400_000_000
"""Additions above which sets are not counted."""
EUCLIDEAN, LIKELIHOOD = "euclidean", "likelihood"
MEASURES = (LIKELIHOOD, EUCLIDEAN)


@dataclass(frozen=True)
class Flips:
    """The distances of all label sets of N samples, as what it costs to differ from the likeliest.

    Attributes:
        likely: (N, L) r, the likelier answer.
        base: (N,) int64, A(r).
        costs: (N, L) int64 >= 0, in units.
        unit: a common divisor of all costs; it keeps the count small.
    """

    likely: Bool[np.ndarray, "n l"]
    base: Int[np.ndarray, " n"]
    costs: Int[np.ndarray, "n l"]
    unit: int

    def distances(self, truth: Bool[np.ndarray, "n l"]) -> Int[np.ndarray, " n"]:
        """A of one label set per sample."""
        return self.base + self.unit * np.where(truth != self.likely, self.costs, 0).sum(axis=1)

    def budgets(self, radius: int) -> Int[np.ndarray, " n"]:
        """What flips may cost together to stay within the radius; below 0 where the ball is empty.

        One budget is worth `unit`, and costs are whole, so the remainder can be left out.
        """
        return (radius - self.base) // self.unit


def flips(
    chances: Float[np.ndarray, "n l"], measure: str = LIKELIHOOD, power: int = POWER
) -> Flips:
    """Distances for chances in 0..1.

    Args:
        chances: finite.
        measure: "euclidean", |t - chance|^2 in units of 1/1024^2, or "likelihood", the sum over
            labels of (-log of the answer's probability)^power in units of 1/16.
        power: 1 is -log of the probability of t with labels taken as independent. The larger it
            is, the more the one worst answer decides, and the more can be certain of each label:
            many small losses, which every sample has, use less of the radius up.

    Raises:
        ValueError: an unknown measure.
    """
    if measure == EUCLIDEAN:
        at = np.rint(chances * GRID).astype(np.int64)
        likely = 2 * at >= GRID
        nearest = np.where(likely, GRID - at, at)
        return Flips(likely, (nearest**2).sum(axis=1), GRID // 2 - nearest, 2 * GRID)
    if measure != LIKELIHOOD:
        raise ValueError(f"measure is one of {', '.join(MEASURES)}, not {measure!r}")
    kept = np.clip(chances.astype(np.float64), LEAST_CHANCE, 1 - LEAST_CHANCE)
    yes = np.rint(NATS * (-np.log(kept)) ** power).astype(np.int64)
    no = np.rint(NATS * (-np.log1p(-kept)) ** power).astype(np.int64)
    return Flips(yes <= no, np.minimum(yes, no).sum(axis=1), np.abs(yes - no), 1)


def rank_needed(n: int, level: float) -> int:
    """The radius is the so-many-th largest distance of n decided samples; 0: n are too few.

    p(t) > 1 - level needs at least floor((1 - level) (n + 1)) of them at A(t) or further. The
    product is rounded first: 0.05 * 20 has to be 1.
    """
    return math.floor(round((1 - level) * (n + 1), 9))


def samples_needed(level: float) -> int:
    """Decided samples from which on a level excludes anything: ceil(level / (1 - level))."""
    return math.ceil(round(level / (1 - level), 9))


def radius(decided: Int[np.ndarray, " n"], level: float) -> int:
    """The largest distance that sets at this level have; `UNBOUNDED` with too few decided samples.

    Args:
        decided: distances of the true sets of the decided samples, in any order.
        level: in 0..1, such as 0.9.
    """
    rank = rank_needed(len(decided), level)
    if rank < 1:
        return UNBOUNDED
    return int(np.sort(decided)[len(decided) - rank])


def p_values(
    decided: Int[np.ndarray, " n"], distances: Int[np.ndarray, ...]
) -> Float[np.ndarray, ...]:
    """The p of sets at some distances: the share of decided samples at least as far off.

        p = (number of decided samples with a distance of at least this one + 1) / (n + 1)

    Args:
        decided: distances of the true sets of the n decided samples, in any order.
        distances: of the sets that are asked about, in the same units.
    """
    ordered = np.sort(decided)
    at_least = len(ordered) - np.searchsorted(ordered, distances, side="left")
    return (at_least + 1) / (len(ordered) + 1)


def smoothed_p_values(
    decided: Int[np.ndarray, " n"],
    distances: Int[np.ndarray, ...],
    draws: Float[np.ndarray, ...],
) -> Float[np.ndarray, ...]:
    """The p with ties broken by draws from [0, 1): exactly uniform for exchangeable samples.

    Source: Vovk, Gammerman and Shafer, Algorithmic learning in a random world, 2005, eq. 2.20.
    """
    ordered = np.sort(decided)
    further = len(ordered) - np.searchsorted(ordered, distances, side="right")
    equal = len(ordered) - np.searchsorted(ordered, distances, side="left") - further
    return (further + draws * (equal + 1)) / (len(ordered) + 1)


def label_p_values(
    decided: Int[np.ndarray, " m"], found: Flips
) -> tuple[Float[np.ndarray, "n l"], Float[np.ndarray, "n l"]]:
    """The largest p of the sets that have a label, and of those that do not.

    The best set with the likelier answer is r itself, the best with the other one r with one flip.
    """
    same = p_values(decided, found.base)[:, None]
    other = p_values(decided, found.base[:, None] + found.unit * found.costs)
    return np.where(found.likely, same, other), np.where(found.likely, other, same)


def certificates(found: Flips, within: int) -> Int[np.ndarray, "n l"]:
    """1 surely yes, -1 surely no, 0 undecided, (N, L) int8; all of a sample hold together.

    "Surely" is: all sets of the ball agree. Where the ball is empty, since the sample is odder
    than the level allows, nothing is sure.
    """
    budget = found.budgets(within)[:, None]
    sure = (found.costs > budget) & (budget >= 0)
    return np.where(sure, np.where(found.likely, 1, -1), 0).astype(np.int8)


def confidence(
    decided: Int[np.ndarray, " m"], found: Flips
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Confidence, 1 minus the second largest p, and credibility, the largest p, of each sample."""
    next_best = found.base + found.unit * found.costs.min(axis=1, initial=UNBOUNDED // found.unit)
    return 1 - p_values(decided, next_best), p_values(decided, found.base)


def sets_within(
    costs: Int[np.ndarray, " l"], budget: int, *, most: int | None = None
) -> list[tuple[int, ...]]:
    """Every set of flips that costs at most `budget`, each as ascending columns.

    Depth first over the costs in ascending order; a branch ends at its first overflow, since all
    later flips cost as much or more, so no set outside is made.

    Args:
        costs: of one sample.
        budget: below 0 there are none.
        most: stop after so many.
    """
    if budget < 0:
        return []
    order = np.argsort(costs, kind="stable")
    ordered = costs[order].tolist()
    names = order.tolist()
    found: list[tuple[int, ...]] = [()]
    # (next place, what is left, flips so far)
    open_: list[tuple[int, int, tuple[int, ...]]] = [(0, budget, ())]
    count = len(ordered)
    while open_ and (most is None or len(found) < most):
        place, left, flipped = open_.pop()
        while place < count:
            rest = left - ordered[place]
            if rest < 0:
                break
            more = (*flipped, names[place])
            found.append(more)
            place += 1
            open_.append((place, rest, more))
            if most is not None and len(found) >= most:
                break
    return [tuple(sorted(each)) for each in found]


def best_sets(costs: Int[np.ndarray, " l"], k: int) -> list[tuple[int, tuple[int, ...]]]:
    """The k cheapest sets of flips with their costs, cheapest first, in O(k log k) after a sort.

    Best first: from a set whose dearest flip stands at place i come the one with i + 1 added and
    the one with i replaced by i + 1, neither of which is cheaper.
    """
    return list(_cheapest_first(costs, k))


def _cheapest_first(costs: Int[np.ndarray, " l"], k: int) -> Iterator[tuple[int, tuple[int, ...]]]:
    if k < 1:
        return
    yield 0, ()
    order = np.argsort(costs, kind="stable")
    ordered, names = costs[order].tolist(), order.tolist()
    # (cost, places ascending)
    heap: list[tuple[int, tuple[int, ...]]] = [(ordered[0], (0,))] if ordered else []
    while heap and k > 1:
        cost, places = heapq.heappop(heap)
        yield cost, tuple(sorted(names[place] for place in places))
        k -= 1
        last = places[-1] + 1
        if last < len(ordered):
            heapq.heappush(heap, (cost + ordered[last], (*places, last)))
            swapped = cost - ordered[last - 1] + ordered[last]
            heapq.heappush(heap, (swapped, (*places[:-1], last)))


def count_within(costs: Int[np.ndarray, " l"], budget: int) -> int | None:
    """How many sets of flips cost at most `budget`, exactly; None where counting takes too long.

    Dynamic programming over the spent budget: with another label, the number of sets that cost c
    grows by the number that cost c less that label. Labels that cost nothing double it, labels that
    cost too much leave it. Numbers beyond 64 bits are kept in several words of 62.
    """
    if budget < 0:
        return 0
    free = int((costs == 0).sum())
    mine = np.sort(costs[(costs > 0) & (costs <= budget)]).tolist()
    if sum(mine) <= budget:
        return 2 ** (free + len(mine))
    words = len(mine) // 62 + 1
    if len(mine) * (budget + 1) * words > MOST_WORK:
        return None
    table = np.zeros((words, budget + 1), np.int64)
    table[0, 0] = 1
    reach = 0
    for cost in mine:
        reach = min(budget, reach + cost)
        # the right side is copied first, so that each label counts once
        table[:, cost : reach + 1] += table[:, : reach + 1 - cost].copy()
        for word in range(words - 1):
            over = table[word] >> 62
            table[word] -= over << 62
            table[word + 1] += over
    sums = [_exact_sum(row) for row in table]
    return 2**free * sum(value << (62 * word) for word, value in enumerate(sums))


def _exact_sum(row: Int[np.ndarray, " b"]) -> int:
    """The sum of up to 2^32 numbers below 2^62, half by half, so that no half overflows."""
    low, high = row & (2**31 - 1), row >> 31
    return int(low.sum()) + (int(high.sum()) << 31)
