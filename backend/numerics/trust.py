"""Whom to trust: how often each person sees a YES that is there, and calls a NO one.

Source: A. P. Dawid and A. M. Skene, Maximum Likelihood Estimation of Observer Error-Rates Using the
EM Algorithm, Applied Statistics 28 (1979) 20-28, for the two answers YES and NO. Person k says YES
with the chance s_k where it is so and w_k where it is not, over all labels alike; of the pairs of
label g a share o_g is YES. In turns, until nothing moves, with c_u the chance that pair u is YES
and P_k the pairs that k judged:

    s_k = (sum of c_u over u in P_k where k said YES + a) / (sum of c_u over P_k + a + b)
    w_k = (sum of 1 - c_u over u in P_k where k said YES + b) / (sum of 1 - c_u over P_k + a + b)
    o_g = (sum of c_u over the pairs of g + n o) / (pairs of g + n), o = mean of c_u over all
    log(c_u / (1 - c_u)) = log(o_g / (1 - o_g)) + sum over who judged u of evidence(s_k, w_k, said)

It starts from the votes. a and b are how many of each kind everybody is thought to have got right
and wrong before anything is known of them, n draws labels of few pairs to the share of all. Pairs
that were decided keep their c_u.

What a verdict weighs in the end starts from o and not from o_g, from which the first YES of a rare
label would weigh next to nothing. How heads learn from it: `patchlane bench doubt --part people`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

ROUNDS = 50
RIGHT, WRONG = 9.0, 1.0
"""a and b: nobody is doubted for a lack of answers."""
ALIKE = 10.0
"""n: pairs."""
STILL = 1e-7
"""Change of every chance below which the estimate has settled."""
LEAST = 0.05
"""What a verdict weighs at least: who is not believed may be right, and is asked all the same."""
_RAREST = 1e-4
_SUREST = 30.0
"""Log odds beyond which more evidence changes nothing."""


@dataclass(frozen=True)
class Estimate:
    """What Dawid and Skene's estimate says of P people, U pairs and G labels.

    Attributes:
        seen: (P,) share of the YES that are so which a person calls YES.
        wrong: (P,) share of the NO that are so which a person calls YES.
        together: the same two of all of them as if they were one.
        often: (G,) share of YES of each label.
        chances: (U,) that a pair is YES.
    """

    seen: Float[np.ndarray, " p"]
    wrong: Float[np.ndarray, " p"]
    together: tuple[float, float]
    often: Float[np.ndarray, " g"]
    chances: Float[np.ndarray, " u"]


def estimated(
    pairs: Int[np.ndarray, " m"],
    people: Int[np.ndarray, " m"],
    said: Bool[np.ndarray, " m"],
    labels: Int[np.ndarray, " u"],
    *,
    num_people: int,
    num_labels: int,
    decided: Float[np.ndarray, " u"] | None = None,
    rounds: int = ROUNDS,
) -> Estimate:
    """The estimate from M answers; one of each person on a pair at most.

    Args:
        pairs: of each answer, which pair it is on.
        people: of each answer, who gave it.
        said: whether it is YES.
        labels: of each pair, which label.
        num_people: P; those without an answer get what is thought of everybody.
        num_labels: G.
        decided: 1 or 0 where a pair is known to be YES or NO, NaN elsewhere.
        rounds: the most there are.
    """
    num_pairs = len(labels)
    yes = said.astype(np.float64)
    judged = np.bincount(pairs, minlength=num_pairs)
    per_label = np.bincount(labels, minlength=num_labels)
    answers = np.bincount(people, minlength=num_people)
    is_open = np.ones(num_pairs, bool) if decided is None else np.isnan(decided)
    known = np.zeros(num_pairs) if decided is None else np.nan_to_num(decided)
    votes = (np.bincount(pairs, yes, num_pairs) + 0.5) / (judged + 1)
    chances = np.where(is_open, votes, known)
    seen = wrong = often = np.zeros(0)
    together = (0.0, 0.0)
    for _ in range(rounds):
        often = np.bincount(labels, chances, num_labels) + ALIKE * chances.mean()
        often /= per_label + ALIKE
        at = chances[pairs]
        there = np.bincount(people, at, num_people)
        hit, alarm = (np.bincount(people, part * yes, num_people) for part in (at, 1 - at))
        seen, wrong = _rates(hit, there, alarm, answers - there)
        together = _rates(hit.sum(), there.sum(), alarm.sum(), len(said) - there.sum())
        logits = log_odds(often)[labels]
        logits += np.bincount(pairs, evidence(seen[people], wrong[people], said), num_pairs)
        after = np.where(is_open, 1 / (1 + np.exp(-logits.clip(-_SUREST, _SUREST))), known)
        moved = np.abs(after - chances).max(initial=0.0)
        chances = after
        if moved < STILL:
            break
    return Estimate(seen, wrong, (float(together[0]), float(together[1])), often, chances)


def _rates(hit: Any, there: Any, alarm: Any, absent: Any) -> tuple[Any, Any]:
    """Shares of YES among answers on what is so and on what is not."""
    most = RIGHT + WRONG
    return (hit + RIGHT) / (there + most), (alarm + WRONG) / (absent + most)


def evidence(
    seen: Float[np.ndarray, " m"], wrong: Float[np.ndarray, " m"], said: Bool[np.ndarray, " m"]
) -> Float[np.ndarray, " m"]:
    """Log odds that an answer of somebody with these rates gives to YES.

        log(seen / wrong) of a YES,  log((1 - seen) / (1 - wrong)) of a NO

    Args:
        seen: s, of who answered; above 0 and below 1.
        wrong: w, of who answered; the same.
        said: whether the answer is YES.
    """
    by_yes, by_no = np.log(seen / wrong), np.log((1 - seen) / (1 - wrong))
    return np.where(said, by_yes, by_no)


def weights(
    logits: Float[np.ndarray, "*u"], is_yes: Bool[np.ndarray, "*u"]
) -> Float[np.ndarray, "*u"]:
    """How much surer a verdict is than its opposite, 0..1 and never below `LEAST`.

    Args:
        logits: log odds of YES.
        is_yes: what the verdict is. Its chance is p and that of its opposite 1 - p; this is
            p - (1 - p).
    """
    return np.maximum(LEAST, np.tanh(np.where(is_yes, logits, -logits) / 2))


def weight(said: Sequence[tuple[float, float, bool]], is_yes: bool, *, often: float) -> float:
    """The same of one pair.

    Args:
        said: seen, wrong and answer of each of those who judged it.
        is_yes: the verdict that counts.
        often: share of YES of such pairs.
    """
    seen, wrong, answers = np.array(said, np.float64).reshape(-1, 3).T
    logit = log_odds(often) + evidence(seen, wrong, answers > 0).sum()
    return float(weights(np.array([logit]), np.array([is_yes]))[0])


def log_odds(often: Any) -> Any:
    """Log odds of a share, or of an array of shares."""
    odds = np.clip(often, _RAREST, 1 - _RAREST)
    return np.log(odds) - np.log1p(-odds)
