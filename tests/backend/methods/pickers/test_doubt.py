"""The queue of doubt: what comes first, what is spread out, and what it says."""

from __future__ import annotations

import numpy as np
import pytest

from backend.methods.pickers import doubt
from backend.methods.pickers.doubt import DoubtPicker

NAMES = ["cat", "dog", "boat"]


def unit(array):
    return (array / np.linalg.norm(array, axis=-1, keepdims=True)).astype(np.float32)


def groups(sizes, seed=0, noise=0.1):
    """Samples in as many directions as sizes, that many in each."""
    rng = np.random.default_rng(seed)
    centres = np.eye(len(sizes), 12)
    return unit(np.repeat(centres, sizes, axis=0) + noise * rng.normal(size=(sum(sizes), 12)))


def nothing(count):
    return np.zeros((count, 3), bool)


def test_before_any_verdict_each_group_is_shown_once_the_largest_first():
    pooled = groups([40, 20, 10, 5])
    scores = np.full((75, 3), 0.5, np.float32)  # doubt is the same everywhere and must not matter
    picks = DoubtPicker().pick(scores, pooled, nothing(75), k=4)
    group = np.repeat([0, 1, 2, 3], [40, 20, 10, 5])
    assert [group[row] for row, _, _ in picks] == [0, 1, 2, 3]
    assert picks[0][2].startswith("typical, stands for about 5")
    assert all("typical" in reason for _, _, reason in picks)


def test_the_sample_in_doubt_comes_first_and_names_its_labels():
    pooled = groups([20, 20])
    scores = np.full((40, 3), 0.02, np.float32)
    scores[7] = [0.48, 0.01, 0.55]
    decided = nothing(40)
    decided[[0, 1, 20, 21]] = True
    row, _, reason = DoubtPicker().pick(scores, pooled, decided, k=1, label_names=NAMES)[0]
    assert row == 7
    assert reason == "unsure about cat: 48%, boat: 55%"
    assert DoubtPicker().pick(scores, pooled, decided, k=1)[0][2] == (
        "unsure about label 1: 48%, label 3: 55%"
    )


def test_a_decided_label_is_beyond_doubt():
    pooled = groups([20, 20])
    scores = np.full((40, 3), 0.02, np.float32)
    scores[7, 0], scores[9, 1] = 0.5, 0.4
    decided = nothing(40)
    decided[[0, 1, 20, 21]] = True
    decided[7, 0] = True
    row, _, reason = DoubtPicker().pick(scores, pooled, decided, k=1, label_names=NAMES)[0]
    assert (row, reason) == (9, "unsure about dog: 40%")


def test_what_nothing_labelled_resembles_is_found_and_said():
    pooled = groups([30, 30])
    scores = np.full((60, 3), 0.01, np.float32)
    decided = nothing(60)
    decided[:5] = True  # only the first group
    row, _, reason = DoubtPicker().pick(scores, pooled, decided, k=1)[0]
    assert row >= 30
    assert reason.startswith("unlike anything labelled so far, stands for about 50%")


def test_of_two_twins_in_doubt_only_one_comes_early():
    pooled = groups([10, 10, 10])
    pooled[1] = pooled[0]
    scores = np.full((30, 3), 0.1, np.float32)
    scores[[0, 1], 0], scores[12, 0] = 0.5, 0.4
    decided = nothing(30)
    decided[[5, 15, 25]] = True
    by_doubt_alone = DoubtPicker(DoubtPicker.Settings(doubt_share=1.0))
    rows = [row for row, _, _ in by_doubt_alone.pick(scores, pooled, decided, k=2)]
    assert rows == [0, 12]


@pytest.mark.parametrize("has_verdicts", [True, False])
def test_working_out_few_at_once_gives_the_same_queue(monkeypatch, has_verdicts):
    rng = np.random.default_rng(3)
    pooled = unit(rng.normal(size=(300, 6)))
    scores = rng.random((300, 3)).astype(np.float32)
    decided = (rng.random((300, 3)) < 0.2) & has_verdicts
    monkeypatch.setattr(doubt, "FEW", 300)  # every sample again at every step
    plain = DoubtPicker().pick(scores, pooled, decided, k=60, label_names=NAMES)
    monkeypatch.setattr(doubt, "FEW", 5)
    lazy = DoubtPicker().pick(scores, pooled, decided, k=60, label_names=NAMES)
    assert [row for row, _, _ in lazy] == [row for row, _, _ in plain]
    assert [reason for _, _, reason in lazy] == [reason for _, _, reason in plain]
