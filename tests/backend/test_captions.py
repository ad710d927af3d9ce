"""Captions of the map: what is planted is said, what is the same everywhere is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backend import captions
from backend.board import Board
from backend.captions import Caption, Captions
from backend.types import Correction, Kind, Label, MapPoints, Sample, Verdict

PLACES = np.array([[0.0, 0], [6, 0], [0, 6], [6, 6]])
NAMES = ("wren", "robin", "outdoors", "<b>crow</b>")
EACH = 120
SUBJECTS = ("the soup was cold", "my train is late", "please pay the bill", "nothing of note")


def plane(board: Board) -> MapPoints:
    """Four dense areas of `EACH` samples, in the order of the samples."""
    draw = np.random.default_rng(0)
    xy = np.concatenate([draw.normal(place, 0.5, (EACH, 2)) for place in PLACES])
    return MapPoints(board.ids, xy.astype(np.float32), "umap", 1)


def area(number: int) -> slice:
    return slice(EACH * number, EACH * (number + 1))


@pytest.fixture
def board() -> Board:
    """Wrens in area 0, robins in area 1, crows in none, outdoors everywhere; area 3 is like all."""
    samples = [
        Sample(i + 10, f"{i}.txt", Kind.TEXT, f"hash{i}", text=f"{SUBJECTS[i // EACH]} {i}")
        for i in range(4 * EACH)
    ]
    labels = [Label(7 + k, name) for k, name in enumerate(NAMES)]
    made = Board.empty(2, 0).resized(samples, labels)
    made.pooled[:] = 1
    made.logits[:] = [-4, -4, 2, -4]
    made.logits[area(0), 0] = 2
    made.logits[area(1), 1] = 1
    return made


def told(levels: list[list[Caption]], number: int) -> Caption | None:
    """The coarsest caption of an area."""
    x, y = PLACES[number]
    return next((one for one in levels[0] if np.hypot(one.x - x, one.y - y) < 1), None)


def test_labels_that_stand_out_are_said_and_those_of_everywhere_are_not(board: Board) -> None:
    levels = Captions().of(plane(board), replace(board, samples=wordless(board)))
    assert [(told(levels, k) or no_caption()).says for k in range(4)] == [
        ("wren",),
        ("robin",),
        (),
        (),
    ]
    found = told(levels, 0)
    assert found is not None
    assert not found.is_words
    assert found.size == pytest.approx(EACH, abs=8)
    left, right, bottom, top = found.box
    assert left < found.x < right
    assert bottom < found.y < top


def wordless(board: Board) -> tuple[Sample, ...]:
    return tuple(replace(sample, text=None) for sample in board.samples)


def no_caption() -> Caption:
    return Caption((), False, 0, 0, 0, (0, 0, 0, 0))


def said(board: Board, rows: range, label: int, verdict: Verdict) -> Board:
    given = {
        (sample, label): Correction(1, sample, label, verdict, "ann", 0.0, "op")
        for sample in (board.samples[row].id for row in rows)
    }
    return replace(board, verdicts={**board.verdicts, **given})


def test_verdicts_count_before_chances_and_unsure_leaves_them(board: Board) -> None:
    board = replace(board, samples=wordless(board))
    points, captions = plane(board), Captions()
    crows = said(board, range(3 * EACH, 4 * EACH), 10, Verdict.YES)
    assert (told(captions.of(points, crows), 3) or no_caption()).says == ("<b>crow</b>",)
    # who sees none of these verdicts is told what the model says, as before
    assert told(captions.of(points, board), 3) is None
    unsure = said(board, range(EACH), 7, Verdict.UNSURE)
    assert captions.of(points, unsure) == captions.of(points, board)
    no_wrens = said(board, range(EACH), 7, Verdict.NO)
    assert told(captions.of(points, no_wrens), 0) is None


def test_texts_of_which_no_label_is_typical_are_told_by_their_words(board: Board) -> None:
    levels = Captions().of(plane(board), board)
    assert [(told(levels, k) or no_caption()).is_words for k in range(4)] == [
        False,
        False,
        True,
        True,
    ]
    words = {word for k in (2, 3) for word in (told(levels, k) or no_caption()).says}
    assert words <= {"please", "pay", "bill", "nothing", "of", "note"}
    assert len(words) >= 4
    assert not any(word.isdigit() for word in words)


def test_shares_are_those_of_counting_one_by_one(board: Board) -> None:
    """Sums over chunks of drawn rows are the plain sums over the members of each area."""
    board = said(board, range(40, 60), 8, Verdict.YES)
    points = plane(board)
    levels = captions.levels_of(points.xy)
    rows = captions._rows(points, board)
    counted = captions._labels_counted(board, rows, levels)
    for level, areas in enumerate(levels):
        twin = np.zeros((len(areas), len(NAMES)))
        for row, where in enumerate(areas.of):
            if where >= 0:
                known = 1 / (1 + np.exp(-board.logits[row]))
                known[1] = 1 if 40 <= row < 60 else known[1]
                twin[where] += known
        np.testing.assert_allclose(counted.inside[level], twin, rtol=1e-4)
        assert counted.sizes[level].tolist() == areas.sizes.tolist()
    np.testing.assert_allclose(counted.total[2], 4 * EACH / (1 + np.exp(-2)), rtol=1e-4)


def test_large_projects_are_told_by_samples_drawn_at_random(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(captions, "MOST_COUNTED", 200)
    monkeypatch.setattr(captions, "MOST_READ", 200)
    monkeypatch.setattr(captions, "CHUNK", 64)
    levels = Captions().of(plane(board), board)
    assert [(told(levels, k) or no_caption()).says for k in (0, 1)] == [("wren",), ("robin",)]
    assert (told(levels, 0) or no_caption()).size == pytest.approx(EACH, abs=8)


def test_samples_that_are_gone_and_empty_planes_are_no_harm(board: Board) -> None:
    points = plane(board)
    fewer = board.resized(board.samples[EACH:], board.labels)
    assert told(Captions().of(points, fewer), 1) is not None
    nothing = Board.empty(2, 0)
    none = MapPoints(np.zeros(0, np.int64), np.zeros((0, 2), np.float32), "none", 0)
    assert Captions().of(none, nothing) == [[]]
    assert Captions().of(points, board.resized(board.samples, []))[0] != []


def test_finer_levels_are_finer_and_only_there_where_they_say_more() -> None:
    draw = np.random.default_rng(1)
    centres = draw.uniform(0, 40, (30, 2))
    xy = np.concatenate([draw.normal(c, 0.25, (200, 2)) for c in centres])
    levels = captions.levels_of(xy)
    numbers = [len(areas) for areas in levels]
    assert numbers == sorted(set(numbers))
    assert captions.WANTED <= numbers[0] < 30
    assert len(captions.levels_of(draw.normal(0, 1, (500, 2)))) == 1
