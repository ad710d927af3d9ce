"""The rows of the deletion bench, worked out by hand from the checks that it really ran."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from backend import api
from backend.bench import deletion
from backend.errors import NotFoundError

LABELS = (["red", "sky"], ["sky"], ["red"], ["sky"], ["red", "sky"])


@pytest.fixture
def made(settings, tmp_path, monkeypatch):
    """A pack of five pictures, the third without boxes: a red square, the sky above it."""
    folder = tmp_path / "data" / "made" / "images"
    folder.mkdir(parents=True)
    draw = np.random.default_rng(0)
    rows = []
    for number, labels in enumerate(LABELS):
        pixels = draw.integers(60, 90, (96, 96, 3), dtype=np.uint8)
        pixels[:40, :, 2] += 120
        pixels[50:90, 10 + 8 * number : 50 + 8 * number] = (220, 20, 30)
        Image.fromarray(pixels).save(folder / f"{number}.png")
        boxes = [{"label": label, "xywh": [0, 0, 96, 40]} for label in labels if number != 2]
        file = f"images/{number}.png"
        rows.append({"file": file, "width": 96, "height": 96, "labels": labels, "boxes": boxes})
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "data" / "made" / "annotations.jsonl").write_text(lines)
    monkeypatch.setattr(deletion, "SETS", ("made",))
    monkeypatch.setattr(deletion, "PICTURES", 2)
    monkeypatch.setattr(deletion, "TAUGHT", 2)
    return replace(settings, data=tmp_path / "data", threads=1)


@pytest.mark.slow
def test_rows_are_the_means_of_the_checks_of_pictures_spread_over_the_set(made, monkeypatch):
    real, ran, said = api.check, [], []

    def check(bench, sample, label):
        assert {each.name for each in bench.labels()} == {"red", "sky"}
        ran.append((sample, label, real(bench, sample, label, steps=3)))
        said.append([str(one) for of in bench.verdicts().values() for one in of.values()])
        return ran[-1][2]

    monkeypatch.setattr(deletion.api, "check", check)
    rows = list(deletion.rows(made, say=str))
    # Of the four with boxes the first and the last; the labels of a picture take turns.
    asked = [("0.png", "red"), ("4.png", "sky")]
    assert [(sample, label) for sample, label, _ in ran] == asked + asked
    assert said[:2] == [[], []], "labels are known by name only"
    # Of the three others the first and the last, each label of theirs.
    assert said[2] == said[3]
    assert sorted(said[2]) == ["no", "no", "yes", "yes"]
    assert len(rows) == 6
    for at, told in enumerate(("names only", "2 pictures taught")):
        assert all(told in row.name for row in rows[3 * at : 3 * at + 3])
        are_means_of(rows[3 * at : 3 * at + 3], [one for _, _, one in ran[2 * at : 2 * at + 2]])


def are_means_of(rows, found):
    of_map, inverted, holds = rows

    def height(gone, curve):
        return np.trapezoid(curve, gone) / (gone[-1] - gone[0])

    by_map = [height(one.gone, one.deletion["map"]) for one in found]
    turned = [height(one.gone, one.deletion["inverted"]) for one in found]
    drawn = np.array([one.random_areas for one in found])
    assert drawn.shape == (2, 3)
    assert of_map.value == pytest.approx(np.mean(by_map))
    assert of_map.baseline_value == pytest.approx(drawn.mean())
    # Below the best of the three seeds, each the mean of all pictures.
    assert of_map.reach == pytest.approx(drawn.mean(axis=0).min())
    assert of_map.ok == (of_map.value <= of_map.reach)
    assert str(round(float(drawn.mean(axis=0)[1]), 3)) in of_map.baseline
    assert "2 maps" in of_map.name
    assert inverted.value == pytest.approx(np.mean(turned))
    assert inverted.reach is None
    below = np.mean([one < row.min() for one, row in zip(by_map, drawn, strict=True)])
    assert holds.value == pytest.approx(below)


def test_a_picture_that_is_missing_is_named(made):
    (made.data / "made" / "images" / "4.png").unlink()
    with pytest.raises(NotFoundError, match=r"4\.png is missing; set PATCHLANE_DATA"):
        list(deletion.rows(made, say=str))
