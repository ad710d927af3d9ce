"""Pointing and teaching by hand, on photographs one can judge."""

from __future__ import annotations

import numpy as np

from backend.bench import alignment, teaching
from backend.methods.learners.logistic import LogisticLearner
from backend.types import Features


def photographs(truth):
    """Two pictures of 40 x 20 with a cat on the left and a dog on the right, cells 2 x 4."""
    boxes = [
        {"label": "cat", "xywh": [0, 0, 10, 20]},
        {"label": "dog", "xywh": [30, 10, 10, 10]},
    ]
    items = [{"width": 40, "height": 20, "boxes": boxes}] * 2
    return alignment.Photographs(
        items=items,
        names=["cat", "dog"],
        truth=np.array(truth),
        pooled=np.zeros((2, 3), np.float32),
        parts=np.zeros((2, 8, 3), np.float32),
        grid=(2, 4),
        labels=np.zeros((2, 3), np.float32),
    )


def test_a_map_points_where_its_strongest_cell_has_its_centre():
    maps = np.zeros((2, 8, 2), np.float32)
    maps[0, 4, 0] = 1  # second row, first column: on the cat
    maps[0, 3, 1] = 1  # first row, last column: above the dog
    maps[1, 0, 0] = 1  # on the cat
    maps[1, 7, 1] = 1  # on the dog
    assert alignment._hits(maps, photographs([[True, True], [True, True]])) == 0.75
    # A label that a picture does not show is not asked for.
    assert alignment._hits(maps, photographs([[True, False], [True, True]])) == 1.0


def test_the_other_labels_box_is_no_hit():
    maps = np.zeros((2, 8, 2), np.float32)
    maps[:, 7, 0] = 1
    assert alignment._hits(maps, photographs([[True, False], [True, False]])) == 0


def test_saliency_is_what_differs_from_the_mean_cell():
    parts = np.tile(np.array([1, 0, 0], np.float32), (1, 8, 1))
    parts[0, 5] = [0, 1, 0]
    saliency = alignment._saliency(parts)
    assert saliency[0].argmax() == 5
    assert saliency[0, 0] < 0.1 * saliency[0, 5]


def test_lessons_cover_every_label_of_the_samples_shown():
    truth = np.array([[True, False], [False, False], [True, True]])
    lessons = teaching.lessons_on(truth, np.array([2, 0]))
    assert list(zip(lessons.rows, lessons.columns, lessons.targets, strict=True)) == [
        (2, 0, 1), (2, 1, 1), (0, 0, 1), (0, 1, 0),
    ]  # fmt: skip


def test_teaching_helps_on_samples_that_were_not_shown():
    rng = np.random.default_rng(0)
    pooled = rng.normal(size=(120, 6)).astype(np.float32)
    truth = pooled[:, :2] > 0.5
    noise = rng.normal(size=(2, 120, 2)).astype(np.float32)
    features = Features(pooled, noise[0], noise[1])
    learner, shown, rest = LogisticLearner(), np.arange(60), np.arange(60, 120)
    start = learner.score(learner.start(2, 6), features)
    learned = teaching.taught(learner, features, truth, shown)
    assert teaching.mean_ap(learned, truth, rest) > teaching.mean_ap(start, truth, rest) + 0.3
