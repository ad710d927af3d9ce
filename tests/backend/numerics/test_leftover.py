"""What no label claims, against the formula written out in loops, and on collages with a label
taken away."""

from __future__ import annotations

import json
from math import exp, sqrt

import numpy as np
import pytest
from PIL import Image

from backend.numerics import transport
from backend.numerics.leftover import claimers, unclaimed


def by_loops(cosine: np.ndarray, theta: np.ndarray, temperature: float) -> list[float]:
    """The docstring's formula for one sample, one number at a time."""
    num_parts, num_labels = cosine.shape
    favour = [0.0] * num_parts
    for m in range(num_labels):
        weights = [theta[p] * exp(cosine[p, m] / temperature) for p in range(num_parts)]
        for p in range(num_parts):
            favour[p] += weights[p] / sum(weights) / num_labels
    best = [max(cosine[p]) for p in range(num_parts)]
    mu = sum(q * b for q, b in zip(favour, best, strict=True))
    sd = sqrt(sum(q * (b - mu) ** 2 for q, b in zip(favour, best, strict=True)))
    tau = mu - max(sd, temperature)
    return [
        exp(tau / temperature) / (exp(tau / temperature) + exp(b / temperature)) if w else 0.0
        for b, w in zip(best, theta, strict=True)
    ]


@pytest.mark.parametrize("temperature", [0.02, 0.1, 1.0])
@pytest.mark.parametrize(("num_parts", "num_labels"), [(1, 1), (2, 3), (9, 1), (12, 7)])
def test_it_is_the_formula(num_parts, num_labels, temperature):
    draw = np.random.default_rng(num_parts + num_labels)
    cosine = draw.uniform(-0.3, 0.6, (2, num_parts, num_labels)).astype(np.float32)
    real = np.ones((2, num_parts), bool)
    real[1, -1] = num_parts == 1
    theta = transport.part_weights(real, draw.random((2, num_parts), dtype=np.float32))
    found = unclaimed(cosine, theta, temperature)
    for n in range(2):
        expected = by_loops(cosine[n].astype(float), theta[n].astype(float), temperature)
        np.testing.assert_allclose(found[n], expected, atol=2e-4)


def test_a_part_that_fits_no_label_is_left_over_and_claimed_ones_are_not():
    cosine = np.array([[[0.6, 0.0], [0.1, 0.55], [0.02, -0.1]]], np.float32)
    left = unclaimed(cosine, np.full((1, 3), 1 / 3, np.float32), 0.05)[0]
    assert left[2] > 0.99
    assert left[:2].max() < 0.5


def test_one_part_and_identical_parts_are_claimed():
    one = unclaimed(np.full((1, 1, 2), 0.2, np.float32), np.ones((1, 1), np.float32), 0.05)
    alike = unclaimed(np.full((1, 6, 2), 0.2, np.float32), np.full((1, 6), 1 / 6, np.float32), 0.05)
    np.testing.assert_allclose(one, 1 / (1 + np.e), rtol=1e-4)
    np.testing.assert_allclose(alike, 1 / (1 + np.e), rtol=1e-4)


def test_identical_labels_change_nothing():
    draw = np.random.default_rng(5)
    cosine = draw.uniform(-0.2, 0.5, (1, 8, 2)).astype(np.float32)
    theta = np.full((1, 8), 1 / 8, np.float32)
    twice = np.concatenate([cosine, cosine], axis=2)
    np.testing.assert_allclose(
        unclaimed(cosine, theta, 0.05), unclaimed(twice, theta, 0.05), atol=1e-6
    )


def test_without_a_label_all_is_left_over():
    assert unclaimed(np.zeros((1, 3, 0), np.float32), np.full((1, 3), 1 / 3, np.float32), 0.1).all()


def test_claimers_are_the_accepted_and_the_likely_or_else_the_best_open_one():
    scores = np.array([2.0, 1.0, -1.0, -3.0], np.float32)
    yes, no = np.zeros((2, 4), bool)
    assert claimers(scores, yes, no).tolist() == [True, True, False, False]
    yes[3] = no[0] = True
    assert claimers(scores, yes, no).tolist() == [False, True, False, True]
    yes[3] = False
    no[1] = True
    assert claimers(scores, yes, no).tolist() == [False, False, True, False]
    no[:] = True
    assert not claimers(scores, yes, no).any()


def test_where_a_label_was_taken_away_is_left_over_on_real_collages(packs):
    """Of 16 collages the boxes of a hidden label are left over more than those of the kept ones.

    The area under the ROC curve over the parts; chance is 0.5.
    """
    from backend import api
    from backend.pipeline import load_encoder

    lines = (packs / "mosaic_open" / "annotations.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    rows = [row for row in rows if row["split"] == "val" and len(row["labels"]) > 1][:16]
    encoder = load_encoder("embedded", api.Settings.from_environ())
    pictures = [Image.open(packs / "mosaic_open" / row["file"]).convert("RGB") for row in rows]
    encoded = encoder.encode(pictures)
    areas = []
    for row, picture, parts, layout in zip(
        rows, pictures, encoded.parts, encoded.layouts, strict=True
    ):
        hidden, *kept = row["labels"]
        cosine = transport.similarity(parts[None], encoder.encode_labels(kept))
        theta = np.full((1, len(parts)), 1 / len(parts), np.float32)
        left = unclaimed(cosine, theta, encoder.scale.temperature)[0]
        inside = {True: np.zeros(len(parts), bool), False: np.zeros(len(parts), bool)}
        for box in row["boxes"]:
            inside[box["label"] == hidden] |= cells(box["xywh"], picture.size, layout.grid)
        inside[True] &= ~inside[False]
        if inside[True].any() and inside[False].any():
            areas.append(area_under_curve(left[inside[True]], left[inside[False]]))
    assert len(areas) >= 10
    assert np.mean(areas) > 0.75


def cells(box: list[float], size: tuple[int, int], grid: tuple[int, int]) -> np.ndarray:
    """Parts whose centre lies in a box."""
    x, y, w, h = box
    rows, cols = grid
    down = (np.arange(rows) + 0.5) / rows * size[1]
    right = (np.arange(cols) + 0.5) / cols * size[0]
    return ((y <= down) & (down < y + h))[:, None].repeat(cols, 1).ravel() & np.tile(
        (x <= right) & (right < x + w), rows
    )


def area_under_curve(high: np.ndarray, low: np.ndarray) -> float:
    return float((np.sign(high[:, None] - low[None]) + 1).mean() / 2)
