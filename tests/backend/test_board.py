"""Rows and columns: nothing known is lost, nothing unknown is invented."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backend.board import HELD_BACK_SHARE, Board, is_held_back
from backend.types import Correction, Kind, Label, Region, Sample, Split, Verdict


def sample(number: int, split: Split = Split.TRAIN) -> Sample:
    return Sample(number, f"{number}.jpg", Kind.IMAGE, f"hash{number}", split)


def label(number: int, name: str = "") -> Label:
    return Label(number, name or f"label{number}")


def said(number: int, about: int, verdict: Verdict, offset: int = 1) -> Correction:
    return Correction(offset, number, about, verdict, "ann", 0.0, "op")


@pytest.fixture
def board() -> Board:
    made = Board.empty(2, 0).resized([sample(1), sample(2)], [label(7), label(8)])
    made.pooled[:] = [[1, 0], [0, 1]]
    made.logits[:] = [[1, 2], [3, 4]]
    return made


def test_cells_follow_their_sample_and_label(board: Board) -> None:
    after = board.resized([sample(2), sample(3)], [label(8), label(9), label(7)])
    assert after.logits[0].tolist()[0::2] == [4, 3]
    assert np.isnan(after.logits[0, 1])
    assert np.isnan(after.logits[1]).all()
    assert after.pooled[0].tolist() == [0, 1]
    assert after.encoded.tolist() == [True, False]


def test_a_renamed_label_is_scored_anew(board: Board) -> None:
    after = board.resized(board.samples, [label(7, "other name"), label(8)])
    assert np.isnan(after.logits[:, 0]).all()
    assert after.logits[:, 1].tolist() == [2, 4]


def test_unsure_is_decided_but_no_lesson(board: Board) -> None:
    verdicts = {
        (1, 7): said(1, 7, Verdict.UNSURE),
        (2, 7): said(2, 7, Verdict.NO),
        (2, 8): said(2, 8, Verdict.YES),
        (2, 99): said(2, 99, Verdict.YES),
        (99, 8): said(99, 8, Verdict.YES),
    }
    full = replace(board, verdicts=verdicts)
    assert full.decided.tolist() == [[True, False], [True, True]]
    lessons = full.lessons(verdicts, {7: 0, 8: 1}, np.array([True, True]))
    rows = list(zip(lessons.rows, lessons.columns, lessons.targets, strict=True))
    assert rows == [(1, 0, 0.0), (1, 1, 1.0)]


def test_samples_that_are_not_encoded_teach_nothing(board: Board) -> None:
    bare = board.resized([sample(1), sample(3)], board.labels)
    verdicts = {(3, 7): said(3, 7, Verdict.YES), (1, 7): said(1, 7, Verdict.NO)}
    lessons = bare.lessons(verdicts, {7: 0}, np.array([True, True]))
    assert lessons.rows.tolist() == [0]


def test_held_back_is_a_fixed_share_of_training_samples_only() -> None:
    many = [sample(i) for i in range(4000)] + [sample(i, Split.VAL) for i in range(4000, 4500)]
    board = Board.empty(2, 3).resized(many, [])
    share = board.held_back[:4000].mean()
    assert abs(share - 1 / HELD_BACK_SHARE) < 0.02
    assert not board.held_back[4000:].any()
    assert not board.trainable[4000:].any()
    assert (board.held_back[:4000] ^ board.trainable[:4000]).all()


def test_the_split_is_decided_by_content_and_seed() -> None:
    drawn = [[is_held_back(f"hash{i}", seed) for i in range(200)] for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]


def test_marks_on_places_decide_no_sample(board: Board) -> None:
    left, right = Region("box", (0, 0, 0.5, 1)), Region("box", (0.5, 0, 0.5, 1), Verdict.NO)

    def marked(number: int, about: int, verdict: Verdict | None, *regions: Region) -> Correction:
        return Correction(1, number, about, verdict, "ann", 0.0, "op", regions=regions)

    verdicts = {
        (2, 8): marked(2, 8, Verdict.YES, left, right),
        (1, 7): marked(1, 7, None, right),
        (2, 7): marked(2, 7, Verdict.NO, left, right),
        (1, 8): marked(1, 8, Verdict.NO, left),
        (1, 99): marked(1, 99, None, left),
    }
    full = replace(board, verdicts=verdicts)
    assert full.decided.tolist() == [[False, True], [True, True]]


def test_rivals_are_the_labels_accepted_here_and_each_knows_itself_among_them(board: Board) -> None:
    verdicts = {
        (1, 7): said(1, 7, Verdict.YES),
        (2, 7): said(2, 7, Verdict.NO),
        (2, 8): said(2, 8, Verdict.YES),
    }
    full = replace(board, verdicts=verdicts)
    for row, accepted, own in ((0, [0], [-1, 0]), (1, [1], [0, -1])):
        found = full.rivals(row, [1, 0])
        assert (found[0], found[1].tolist()) == (accepted, own)
    assert board.rivals(0, [])[0] == []
