"""The lazy queue against one that works every value out again at every step."""

from __future__ import annotations

import numpy as np
import pytest

from backend.methods.pickers._covering import Covering


def unit(array):
    return (array / np.linalg.norm(array, axis=-1, keepdims=True)).astype(np.float32)


def taken_by_hand(covering, worth, vectors, is_open, touched, *, k, seed):
    """(row, value, share of anchors it is first to resemble) in order: nothing is remembered."""
    anchors = np.sort(np.random.default_rng(seed).permutation(len(vectors))[: covering.num_anchors])
    near = np.exp(covering.sharpness * (vectors @ vectors[anchors].T - 1))
    covered = near[touched].max(axis=0, initial=0)
    first = np.maximum(near - covered, 0).mean(axis=1)
    spread = (1 - covering.worth_share) / (first.max() or 1.0)
    found = []
    for _ in range(min(k, is_open.sum())):
        gains = np.maximum(near - covered, 0).mean(axis=1)
        rows = [row for row, _, _ in found]
        twins = np.maximum(vectors @ vectors[rows].T, 0).max(axis=1, initial=0) ** 4
        values = (covering.worth_share * worth + spread * gains) * (1 - twins)
        values[~is_open] = values[rows] = -np.inf
        row = int(values.argmax())
        found.append((row, values[row], (near[row] - covered > 0.2).mean()))
        covered = np.maximum(covered, near[row])
    return found


@pytest.mark.parametrize("few", [3, 256])
@pytest.mark.parametrize("worth_share", [0.0, 0.4, 1.0])
def test_it_takes_what_is_best_at_every_step(few, worth_share):
    draw = np.random.default_rng(0)
    vectors, worth = unit(draw.normal(size=(60, 5))), draw.random(60)
    is_open, touched = draw.random(60) < 0.8, draw.random(60) < 0.1
    covering = Covering(worth_share, 5.0, 30, few)
    found = list(covering.take(worth, vectors, is_open, touched, k=20, seed=1))
    expected = taken_by_hand(covering, worth, vectors, is_open, touched, k=20, seed=1)
    assert [one.row for one in found] == [row for row, _, _ in expected]
    assert [one.value for one in found] == pytest.approx([v for _, v, _ in expected], abs=1e-5)
    assert [one.share for one in found] == pytest.approx([x for _, _, x in expected])


def test_it_goes_on_where_nothing_is_left_to_cover():
    """All anchors are taken and no worth is known: all that is left is worth 0, and the same."""
    vectors = unit(np.random.default_rng(0).normal(size=(40, 5)))
    covering = Covering(0.0, 5.0, num_anchors=4, few=4)
    nothing = np.zeros(40, bool)
    found = list(covering.take(np.zeros(40), vectors, ~nothing, nothing, k=40, seed=0))
    assert sorted(one.row for one in found) == list(range(40))
