"""How far people agree beyond chance: Krippendorff's alpha for names of things, nothing ordered.

Source: K. Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), nominal data with
missing values. Of the units that at least two people judged, with n_uc people giving unit u the
value c, m_u = sum_c n_uc, n_c = sum_u n_uc and n = sum_c n_c:

    alpha = 1 - D_o / D_e
    D_o = sum_u sum_{c != k} n_uc n_uk / (m_u - 1) / n
    D_e = sum_{c != k} n_c n_k / (n (n - 1))

1 is perfect, 0 is chance, below 0 is worse than chance. Where everybody gives everything one value
there is nothing to tell from chance, and alpha is not defined: NaN.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int


def alpha(counts: Int[np.ndarray, "u c"]) -> float:
    """Krippendorff's alpha of units by how many people gave each value; NaN if not defined.

    Example:
        >>> alpha(np.array([[2, 0], [0, 2], [2, 0], [1, 1]]))
        0.5333333333333333
    """
    return float(alphas(counts, np.zeros(len(counts), np.int64), 1)[0])


def alphas(
    counts: Int[np.ndarray, "u c"], groups: Int[np.ndarray, " u"], num_groups: int
) -> Float[np.ndarray, " g"]:
    """The same for each group of units by itself.

    Args:
        counts: how many people gave a unit each value; units of fewer than two are passed over.
        groups: of each unit, 0 up to `num_groups` - 1.
        num_groups: how many there are, those without units included.
    """
    judged = counts.sum(axis=1)
    counts, groups = counts[judged > 1].astype(np.float64), groups[judged > 1]
    judged = judged[judged > 1]
    # sum_{c != k} n_c n_k is the square of the sum less the sum of squares
    apart = (judged**2 - (counts**2).sum(axis=1)) / np.maximum(judged - 1, 1)
    observed = np.bincount(groups, apart, num_groups)
    totals = np.zeros((num_groups, counts.shape[1]))
    np.add.at(totals, groups, counts)
    n = totals.sum(axis=1)
    expected = (n**2 - (totals**2).sum(axis=1)) / np.maximum(n - 1, 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(expected > 0, 1 - observed / expected, np.nan)
