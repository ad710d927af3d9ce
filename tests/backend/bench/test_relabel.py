"""What the experiment counts: boxes in crops, how right labels are, and claims as they come out."""

from __future__ import annotations

import numpy as np
import pytest

from backend.bench import relabel
from backend.bench._evidence_crops import iou
from backend.bench._relabel_data import CroppedSet, View, seen_of
from backend.bench.claims import read_claims
from backend.methods.learners._heads import LogisticHeads
from backend.types import Features, Lessons


def made(pictures=30, taught=20, labels=3, parts=9, dim=4):
    draw = np.random.default_rng(0)
    truth = draw.random((pictures, labels)) < 0.5
    maps = draw.random((taught, parts, labels)).astype(np.float32)

    def view(count):
        vectors = draw.normal(size=(count, dim)).astype(np.float32)
        scores = (draw.normal(size=(count, labels)).astype(np.float32) for _ in range(2))
        size = draw.uniform(0.3, 0.7, (count, 2))
        frames = np.concatenate([draw.random((count, 2)) * (1 - size), size], axis=1)
        return View(Features(vectors, *scores), frames.astype(np.float32))

    views = [view(pictures), view(taught), view(taught)]
    seen = [draw.random((taught, labels)).astype(np.float32) for _ in range(2)]
    names = [f"label {number}" for number in range(labels)]
    return CroppedSet("made", names, truth, maps, maps, 0.05, (3, 3), views, seen)


def test_a_crop_sees_the_largest_share_of_a_box_of_each_label():
    picture = {
        "width": 100,
        "height": 50,
        "boxes": [
            {"label": "cat", "xywh": [0, 0, 20, 20]},  # a quarter lies in the crop
            {"label": "cat", "xywh": [15, 10, 10, 10]},  # all of it
            {"label": "dog", "xywh": [60, 30, 10, 10]},  # nothing
            {"label": "owl", "xywh": [10, 10, 10, 40]},  # no label of this experiment
        ],
    }
    crop = np.array([[0.1, 0.2, 0.4, 0.5]], np.float32)
    np.testing.assert_allclose(seen_of([picture], ["cat", "dog"], crop), [[1, 0]], atol=1e-6)
    picture["boxes"].pop(1)
    np.testing.assert_allclose(seen_of([picture], ["cat", "dog"], crop), [[0.25, 0]], atol=1e-6)


def test_a_row_that_counts_a_third_is_the_same_as_a_third_of_a_row():
    """Three copies of every row, each counting a third, are the row once."""
    known = made()
    rows = np.arange(20)
    once = relabel._taught(known, rows, [], counted=1.0)
    tripled = relabel._taught(known, np.tile(rows, 3), [], counted=1 / 3)
    np.testing.assert_allclose(once, tripled, atol=1e-4)
    features = Features(
        *(x[rows] for x in vars(known.views[0].features).values() if x is not None and len(x))
    )
    heads = LogisticHeads()
    pairs = np.indices((20, 3)).reshape(2, -1)
    lessons = Lessons(pairs[0], pairs[1], known.truth[:20].astype(np.float32).ravel())
    state, _ = heads.learn(heads.start(3, 4), features, lessons)
    np.testing.assert_allclose(once, heads.score(state, known.views[0].features), atol=1e-6)


def test_how_right_labels_are_is_counted_over_labels_that_a_picture_shows():
    known = made()
    told = relabel.agreement(known)
    right = error = pairs = 0
    for crop in (1, 2):
        labels = known.crop_labels(crop)
        for number in range(20):
            for column in range(3):
                if not known.truth[number, column]:
                    assert labels[number, column] == 0
                    continue
                is_seen = known.seen[crop - 1][number, column] >= 0.5
                right += (labels[number, column] >= 0.5) == is_seen
                error += (labels[number, column] - is_seen) ** 2
                pairs += 1
    assert told["share of the map"]["right"] == pytest.approx(right / pairs, abs=1e-4)
    assert told["share of the map"]["error"] == pytest.approx(error / pairs, abs=1e-4)


def test_a_claim_holds_on_every_seed_or_on_their_mean():
    runs = {"s": [{"mAP a": 0.50, "mAP b": 0.48}, {"mAP a": 0.50, "mAP b": 0.505}]}
    claim = {"claim": "", "data": "s", "metric": "mAP", "arm": "a", "baseline": "b"}
    told = relabel.claim_of({**claim, "reach": 0.005, "expected": True}, runs)
    assert (told["difference"], told["holds"], told["seeds"]) == (0.0075, True, 2)
    each = relabel.claim_of({**claim, "reach": 0.0, "each_seed": True, "expected": False}, runs)
    assert not each["holds"]


def test_every_claim_of_the_recipe_names_figures_that_are_measured():
    known = made()
    arms = {f"mAP {arm}" for arm in relabel.measured(known, seed=0)}
    arms |= {f"{relabel.RIGHT} {name}" for name in relabel.agreement(known)}
    for claim in read_claims(relabel.NAME):
        assert {f"{claim['metric']} {claim[side]}" for side in ("arm", "baseline")} <= arms


def test_overlap_of_boxes():
    assert iou((0, 0, 0.5, 1), (0.25, 0, 0.5, 1)) == pytest.approx(1 / 3)
    assert iou((0, 0, 0.2, 0.2), (0.5, 0.5, 0.2, 0.2)) == 0
