"""The abstention curve against counting pair by pair, on a board of random answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backend.abstaining import abstention, table_rows, widths
from backend.board import Board
from backend.scorecard import judged
from backend.types import Drawer, Kind, Label, LabelSets, Sample, Split, Verdict

COUNT, WIDE = 60, 4


@pytest.fixture
def case():
    """A board, the truth of every pair, decided val pairs, and sets at three levels."""
    random = np.random.default_rng(6)
    samples = tuple(
        Sample(
            number,
            f"s{number}",
            Kind.IMAGE,
            f"hash{number}",
            split=Split.VAL if number % 2 else Split.TRAIN,
        )
        for number in range(1, COUNT + 1)
    )
    labels = tuple(Label(10 + number, f"l{number}") for number in range(WIDE))
    truth = random.random((COUNT, WIDE)) < 0.4
    logits = (random.normal(size=(COUNT, WIDE)) + 2 * truth - 1).astype(np.float32)
    board = replace(
        Board.empty(3, 0),
        samples=samples,
        labels=labels,
        pooled=np.ones((COUNT, 3), np.float32),
        label_vectors=np.ones((WIDE, 3), np.float32),
        plain=np.zeros((COUNT, 0), np.float32),
        global_scores=logits,
        local_scores=logits,
        logits=logits,
        probabilities=(1 / (1 + np.exp(-logits))).astype(np.float32),
    )
    verdicts = {
        (sample.id, label.id): Verdict.YES if truth[row, column] else Verdict.NO
        for row, sample in enumerate(samples)
        for column, label in enumerate(labels)
        if random.random() < 0.8
    }
    covered = np.array([True, True, True, False])
    sets = []
    for level, margin in ((0.5, 0.2), (0.8, 1.0), (0.95, 2.0)):
        state = np.where(logits > margin, 1, np.where(logits < -margin, -1, 0)).astype(np.int8)
        state[:, ~covered] = 0
        nothing = np.full(logits.shape, np.nan, np.float32)
        sets.append(LabelSets(level, "joint", 3, 20, state, nothing, nothing, covered))
    return board, truth, verdicts, sets


def test_the_curve_is_counted_pair_by_pair(case):
    board, truth, verdicts, sets = case
    val = np.array([sample.split == Split.VAL for sample in board.samples])
    table = judged(board, verdicts, val, split="val")
    found = abstention(table, board, sets)
    for point, one in zip(found.points, sets, strict=True):
        pairs = answered = wrong = 0
        left: dict[int, int] = {}
        for (sample, label), _ in verdicts.items():
            row, column = board.row_of[sample], board.column_of[label]
            if not val[row] or not one.covered[column]:
                continue
            pairs += 1
            state = one.state[row, column]
            left.setdefault(row, 0)
            left[row] += int(state == 0)
            answered += int(state != 0)
            wrong += int(state != 0 and (state > 0) != truth[row, column])
        assert (found.pairs, found.samples) == (pairs, len(left))
        assert (point.num_answered, point.num_wrong) == (answered, wrong)
        assert point.answered == pytest.approx(answered / pairs)
        assert point.complete == pytest.approx(np.mean([n == 0 for n in left.values()]))
        assert point.undecided == pytest.approx(np.mean(list(left.values())))
        assert point.low <= point.wrong <= point.high
    answered = [point.answered for point in found.points]
    assert answered == sorted(answered, reverse=True), "a higher level answers less"
    assert [row["level"] for row in table_rows(found)] == [0.5, 0.8, 0.95]


def test_probabilities_alone_answer_the_surest_first(case):
    board, _, verdicts, sets = case
    val = np.array([sample.split == Split.VAL for sample in board.samples])
    found = abstention(judged(board, verdicts, val, split="val"), board, sets)
    pairs = [
        (abs(board.probabilities[row, column] - 0.5), board.logits[row, column] > 0, so)
        for (sample, label), verdict in verdicts.items()
        if val[row := board.row_of[sample]] and (column := board.column_of[label]) < 3
        for so in [verdict == Verdict.YES]
    ]
    pairs.sort(key=lambda pair: -pair[0])
    assert found.share[-1] == 1
    for share, wrong in zip(found.share, found.wrong, strict=True):
        surest = pairs[: round(share * len(pairs))]
        assert wrong == pytest.approx(np.mean([said != so for _, said, so in surest]))


def test_samples_of_the_drawer_are_no_part_of_it(case):
    board, _, verdicts, sets = case
    whole = board.with_drawer(Drawer(0.5))
    everybody = np.ones(COUNT, bool)
    table = judged(whole, verdicts, everybody, split="train")
    found = abstention(table, whole, sets)
    drawn = {board.samples[row].id for row in np.flatnonzero(whole.in_drawer)}
    assert 5 < len(drawn) < COUNT // 2
    pairs = sum(sample not in drawn and label != 13 for sample, label in verdicts)
    assert found.pairs == pairs
    shown = widths(whole, sets[1])
    assert shown.samples.sum() == COUNT - len(drawn)
    assert shown.mean == pytest.approx(
        np.mean([(sets[1].state[row] == 0).sum() for row in range(COUNT) if row + 1 not in drawn])
    )


def test_nothing_decided_is_an_empty_curve(case):
    board, _, _, sets = case
    found = abstention(judged(board, {}, np.ones(COUNT, bool), split="val"), board, sets)
    assert (found.samples, found.pairs, found.points, len(found.share)) == (0, 0, (), 0)
    assert abstention(judged(board, {}, np.ones(COUNT, bool), split="val"), board, []).pairs == 0
