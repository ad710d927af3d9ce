"""What is typical of a group of samples against all others: log-odds with an informative prior.

Of the n samples of a group y have a label (or a word), of the others y' of n'. A prior worth `a`
samples says that both have it as often as all samples together, which keeps what is rare or was
seen in few samples from standing out by chance:

    d = log((y + a q) / (n - y + a (1 - q))) - log((y' + a q) / (n' - y' + a (1 - q)))
    z = d / sqrt(var),  q = (y + y') / (n + n')

var is the sum of the inverses of the four numbers. z is how many deviations the odds in the group
are above those elsewhere. Samples either have a label or not, so both terms of each odds count,
where the source, with words drawn from a text, may leave the large one out. y may be a sum of
probabilities.

Source: Monroe, Colaresi and Quinn, Fightin' words, Political Analysis 16 (2008), eq. 15 to 22.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

PRIOR = 10.0
"""Samples that the prior is worth."""


def typicality(
    having: Float[np.ndarray, "g w"],
    sizes: Float[np.ndarray, " g"],
    all_having: Float[np.ndarray, " w"],
    all_size: float,
) -> Float[np.ndarray, "g w"]:
    """How typical each of W things is of each of G groups, in deviations; 0 where nothing is known.

    Args:
        having: samples of each group that have each thing, or sums of their probabilities.
        sizes: samples of each group.
        all_having: the same over all samples, those of the groups included.
        all_size: all samples.
    """
    if all_size <= 0:
        return np.zeros(having.shape)
    prior = PRIOR * all_having / all_size
    inside = _counts(having, sizes[:, None], prior)
    outside = _counts(all_having - having, all_size - sizes[:, None], prior)
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = np.log(inside[0] / inside[1]) - np.log(outside[0] / outside[1])
        spread = np.sqrt(sum(1 / count for count in (*inside, *outside)))
        return np.nan_to_num(apart / spread, nan=0.0, posinf=0.0, neginf=0.0)


def _counts(
    having: Float[np.ndarray, "g w"],
    sizes: Float[np.ndarray, "g 1"],
    prior: Float[np.ndarray, " w"],
) -> tuple[Float[np.ndarray, "g w"], Float[np.ndarray, "g w"]]:
    """Samples with and without each thing, the prior's among them; sums of chances may round."""
    return np.maximum(having, 0) + prior, np.maximum(sizes - having, 0) + PRIOR - prior
