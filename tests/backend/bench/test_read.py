"""The experiment on a made picture whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from backend.bench import read
from backend.numerics import masks


@pytest.fixture
def gallery() -> read.Gallery:
    """Pictures of one red tile on grey; the parts in it point along the label's vector."""
    row = {
        "width": 120,
        "height": 60,
        "boxes": [
            {"label": "red", "xywh": [10, 10, 50, 40]},
            {"label": "sea", "xywh": [100, 0, 9, 9]},
        ],
    }
    pixels = np.full((60, 120, 3), 150, np.uint8)
    pixels[10:50, 10:60] = (210, 20, 30)
    parts = np.zeros((12, 12, 3), np.float32)
    parts[..., 2] = 1
    parts[2:10, 1:6] = (1, 0, 0)
    present = {"red": read.boxes_of(row, "red")}
    scores = {"red": 3.0, "sea": -1.0, "sun": -2.0, "sand": -1.5}
    shown = read.Shown(read.small(Image.fromarray(pixels)), parts, present, scores)
    vectors = {
        name: np.eye(3, dtype=np.float32)[k % 2 if name != "red" else 0]
        for k, name in enumerate(("red", "sea", "sun", "sand"))
    }
    return read.Gallery("made", [shown] * 6, np.array([False] * 3 + [True] * 3), vectors)


def test_the_truth_is_the_box_in_shares_of_the_picture(gallery):
    truth = gallery.shown[0].present["red"]
    assert truth.mean() == pytest.approx(50 * 40 / (120 * 60), abs=0.01)
    assert masks.box(truth) == pytest.approx((10 / 120, 10 / 60, 50 / 120, 40 / 60), abs=0.02)


def test_a_tile_that_can_be_seen_is_drawn(gallery):
    table = read.figures(gallery, {}, 0)
    assert table[read.POINTS]["mask IoU"] > 0.9
    assert table[read.POINTS]["positive hits"] == table[read.POINTS]["negative hits"] == 1
    assert table[read.ONE]["mask IoU"] > 0.9
    share = table[read.RANDOM]["positive hits"]
    assert share == pytest.approx(gallery.shown[0].present["red"].mean())
    assert table[read.RANDOM]["negative hits"] == 1 - share


def test_the_gate_is_asked_of_labels_that_are_not_there(gallery):
    table = read.figures(gallery, {}, 0)
    assert table[read.POINTS]["masks of absent labels"] == 0
    assert table[read.POINTS]["masks of present labels"] == 1
    assert table[read.UNGATED]["masks of absent labels"] == 1


def test_the_threshold_is_the_best_one_of_the_chosen_pictures(gallery):
    table = read.figures(gallery, {}, 0)
    scaled = read.heat_of(gallery.heat(0, "red"))
    truth = gallery.shown[0].present["red"]
    each = [read.overlap(scaled >= t, truth) for t in read.THRESHOLDS]
    assert table[read.THRESHOLD]["mask IoU"] == pytest.approx(max(each))


def test_overlap_of_nothing_with_nothing_is_whole():
    empty, one = np.zeros((2, 2), bool), np.eye(2, dtype=bool)
    assert read.overlap(empty, empty) == 1
    assert read.overlap(one, ~one) == 0
    assert read.overlap(one, np.ones((2, 2), bool)) == 0.5
