"""Which labels go together, and what was said instead: counts over pairs of labels.

In multi-label data a wrong label replaces nothing by itself, so "said instead" is read from the
sample: label `a` is YES there and was not predicted, label `b` is NO there and was. A sample with
two misses and three false alarms counts in all six cells: every cell is a set of samples that can
be looked at. Undecided pairs are neither.

Counts are sparse: of 5,000 labels few of the 25 million pairs ever happen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy  # loads what it is asked for when it is asked for it
from jaxtyping import Bool, Float, Int

Table = Bool[np.ndarray, "n l"]


@dataclass(frozen=True)
class PairCounts:
    """Samples of pairs of labels, the most frequent first.

    Attributes:
        first, second: columns.
        counts: samples in which both happen, at least 1.
    """

    first: Int[np.ndarray, " k"]
    second: Int[np.ndarray, " k"]
    counts: Int[np.ndarray, " k"]


@dataclass(frozen=True)
class Instead:
    """Misses and false alarms, by label and by pair.

    Attributes:
        pairs: `first` was missed and `second` was a false alarm of the same sample.
        missed, alarms: samples of each label, (L,).
        missed_alone: misses on samples without any false alarm: nothing was said instead.
        alarms_alone: false alarms on samples without any miss.
    """

    pairs: PairCounts
    missed: Int[np.ndarray, " l"]
    alarms: Int[np.ndarray, " l"]
    missed_alone: Int[np.ndarray, " l"]
    alarms_alone: Int[np.ndarray, " l"]


def instead(predicted: Table, targets: Float[np.ndarray, "n l"], known: Table) -> Instead:
    """Count what was said instead of what.

    Args:
        predicted: the labels that were said.
        targets: above 0 for YES.
        known: the decided pairs; the others count nowhere.
    """
    missed = known & (targets > 0) & ~predicted
    alarms = known & (targets <= 0) & predicted
    has_miss, has_alarm = missed.any(axis=1), alarms.any(axis=1)
    both = has_miss & has_alarm
    return Instead(
        _counted(missed[both], alarms[both]),
        missed.sum(axis=0),
        alarms.sum(axis=0),
        missed[~has_alarm].sum(axis=0),
        alarms[~has_miss].sum(axis=0),
    )


def together(shown: Table) -> PairCounts:
    """Samples that show both labels of a pair; each pair once, `first` < `second`."""
    counted = _counted(shown, shown)
    keep = counted.first < counted.second
    return PairCounts(counted.first[keep], counted.second[keep], counted.counts[keep])


def both_known(known: Table, pairs: PairCounts) -> Int[np.ndarray, " k"]:
    """Number of samples on which both labels of each pair are decided.

    Args:
        known: the decided pairs of sample and label.
        pairs: of labels, from `instead` or `together`.
    """
    columns = scipy.sparse.csc_array(known.astype(np.int32))
    found = [
        int((columns[:, [a]].multiply(columns[:, [b]])).sum())
        for a, b in zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)
    ]
    return np.array(found, np.int64)


def _counted(left: Table, right: Table) -> PairCounts:
    one = scipy.sparse.csr_array(left.astype(np.int32))
    other = scipy.sparse.csr_array(right.astype(np.int32))
    table = scipy.sparse.coo_array(one.T @ other)
    first, second = (np.asarray(each, np.int64) for each in table.coords)
    order = np.lexsort((second, first, -table.data))
    return PairCounts(first[order], second[order], table.data[order].astype(np.int64))
