"""Label maps of an open project, and how they are taken home."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from backend import api
from backend.methods.readers.coco import CocoReader
from backend.methods.readers.jsonl import JsonlReader
from backend.numerics import map_shape
from backend.part_lessons import PartLessons
from backend.settings import Settings
from backend.types import Draft, FileProblem, Verdict


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """Four pictures with a red square somewhere; three are accepted as red, one has a drawn box."""
    folder = tmp_path_factory.mktemp("pictures")
    draw = np.random.default_rng(0)
    for number in range(4):
        pixels = draw.integers(0, 60, (96, 128, 3), dtype=np.uint8)
        pixels[10 + 10 * number : 50 + 10 * number, 20 * number : 20 * number + 40, 0] += 190
        Image.fromarray(pixels).save(folder / f"{number}.png")
    settings = Settings(home=tmp_path_factory.mktemp("home"), threads=1)
    opened = api.create_project("pictures", labels=["red", "blue"], settings=settings)
    opened.add(folder)
    answers = [{"sample": f"{n}.png", "label": "red", "verdict": "yes"} for n in range(3)]
    answers[2]["regions"] = [{"box": [0.1, 0.2, 0.3, 0.4]}]
    opened.correct([*answers, {"sample": "0.png", "label": "blue", "verdict": "no"}])
    yield opened
    opened.close()


def test_a_map_is_that_of_the_viewer_kept_small(bench):
    told = bench.explain("0.png")
    found = bench.label_map("0.png")
    red, blue = (bench.label(name).id for name in ("red", "blue"))
    assert found.labels == (red,)  # blue was rejected
    assert found.layout == told.layout
    np.testing.assert_allclose(found.of(red), told.backward[:, 0], atol=2e-4)
    assert not found.of(blue).any()


def test_a_map_yields_to_a_second_accepted_label_wherever_it_is_shown_and_undo_takes_it_back(bench):
    red, blue = (bench.label(name).id for name in ("red", "blue"))
    alone = bench.explain("1.png", label="red").backward[:, 0]
    bench.correct([{"sample": "1.png", "label": "blue", "verdict": "yes"}])
    try:
        told = bench.explain("1.png")
        single = [bench.explain("1.png", label=name).backward[:, 0] for name in ("red", "blue")]
        np.testing.assert_allclose(told.backward.T, single, rtol=1e-5)
        kept = bench.label_map("1.png")
        for place, label in enumerate((red, blue)):
            np.testing.assert_allclose(kept.of(label), told.backward[:, place], atol=2e-4)
        # Between two parts that are equally red, the one that is less blue gains.
        row = bench.board.row_of[bench.sample("1.png").id]
        parts, layout = bench.store.vectors.parts(
            bench.board.samples[row].content_hash, bench.pipeline.encoder.fingerprint
        )
        taught = PartLessons().vectors(bench.store, bench.pipeline, bench.board, [1])[0]
        likeness = map_shape.smoothed(parts, layout.grid) @ taught
        claim = np.maximum(likeness - likeness.mean(), 0) / bench.pipeline.scale.temperature
        ratio = np.log(told.backward[:, 0] / alone)
        np.testing.assert_allclose(
            ratio - ratio.max(), -map_shape.YIELD * (claim - claim.min()), atol=2e-3
        )
    finally:
        bench.undo()
    np.testing.assert_array_equal(bench.explain("1.png", label="red").backward[:, 0], alone)


def test_a_map_is_kept_until_what_it_follows_from_changes(bench):
    first = bench.label_map("3.png")
    content = bench.sample("3.png").content_hash
    (file,) = (bench.path / "cache" / "label_maps").rglob(f"{content}.safetensors")
    stamp = file.stat().st_mtime_ns
    bench.label_map("3.png")
    assert file.stat().st_mtime_ns == stamp
    assert len(first.labels) == 1  # the likelier one
    (other,) = {label.id for label in bench.labels()} - set(first.labels)
    bench.correct([{"sample": "3.png", "label": bench.label(other).name, "verdict": "yes"}])
    try:
        changed = bench.label_map("3.png")
        assert other in changed.labels
        assert file.stat().st_mtime_ns != stamp
    finally:
        bench.undo()
    file.unlink()  # a cache: what is gone is made again
    assert bench.label_map("3.png").labels == first.labels


def test_label_maps_are_exported_beside_the_verdicts_that_a_person_gave(bench, tmp_path):
    report = bench.export(tmp_path / "out", format="label-maps")
    assert report.files == (
        "annotations.jsonl",
        "label_maps.npz",
        "labels.txt",
        "media",
        "patchlane-export.json",
    )
    with np.load(tmp_path / "out" / "label_maps.npz", allow_pickle=False) as held:
        arrays = {name: held[name] for name in held.files}
    assert arrays["labels"].tolist() == ["red", "blue"]
    told = bench.explain("1.png", label="red")
    number = arrays["names"].tolist().index("1.png")
    parts = slice(arrays["first"][number], arrays["first"][number + 1])
    assert tuple(arrays["grid"][number]) == told.layout.grid
    is_red = arrays["columns"][parts] == 0
    heat = np.where(is_red, arrays["values"][parts], 0).sum(axis=1)
    np.testing.assert_allclose(heat, told.backward[:, 0], atol=2e-4)
    plain = bench.export(tmp_path / "plain", format="jsonl")
    assert "label_maps.npz" not in plain.files
    lines = (tmp_path / "out" / "annotations.jsonl").read_text()
    assert lines == (tmp_path / "plain" / "annotations.jsonl").read_text()
    drafts = [one for one in JsonlReader().read(tmp_path / "out") if isinstance(one, Draft)]
    assert len(drafts) == 4


def test_machine_boxes_are_apart_from_what_a_person_drew_and_read_as_predictions(bench, tmp_path):
    report = bench.export(tmp_path / "out", format="coco-boxes")
    assert report.lost["negatives"] == 1
    rows = json.loads((tmp_path / "out" / "machine_boxes.json").read_text())
    held = json.loads((tmp_path / "out" / "annotations.json").read_text())
    drawn = {
        (row["image_id"], row["category_id"]) for row in held["annotations"] if row.get("bbox")
    }
    found = {(row["image_id"], row["category_id"]) for row in rows}
    red = bench.label("red").id
    assert drawn == {(bench.sample("2.png").id, red)}
    assert found == {(bench.sample(f"{n}.png").id, red) for n in (0, 1)}
    for row in rows:
        assert row["machine_made"] is True
        assert 0 < row["score"] <= 1
        x, y, width, height = row["bbox"]
        assert 0 <= x < x + width <= 128
        assert 0 <= y < y + height <= 96
    bench.export(tmp_path / "plain", format="coco")
    assert (tmp_path / "out" / "annotations.json").read_bytes() == (
        tmp_path / "plain" / "annotations.json"
    ).read_bytes()
    *told, places = CocoReader().read(tmp_path / "out" / "machine_boxes.json")
    assert isinstance(places, FileProblem)
    assert places.reason == "2 predictions have a place, which is not taken; the score is"
    assert {one.name for one in told} == {"0.png", "1.png"}
    assert all(one.predictions.keys() == {"red"} and not one.verdicts for one in told)
    again = [one for one in CocoReader().read(tmp_path / "out") if isinstance(one, Draft)]
    assert sorted(one.name for one in again if one.verdicts.get("red") is Verdict.YES) == [
        "0.png",
        "1.png",
        "2.png",
    ]
    assert not any(one.predictions for one in again)


def test_a_box_of_a_map_lies_on_what_is_red(bench, tmp_path):
    """The score of a box is the share of the label's map in it, worked out from `explain`."""
    bench.export(tmp_path / "out", format="coco-boxes")
    rows = json.loads((tmp_path / "out" / "machine_boxes.json").read_text())
    sample = bench.sample("1.png")
    told = bench.explain("1.png", label="red")
    grid = told.layout.grid
    heat = told.backward[:, 0].reshape(grid)
    own = [row for row in rows if row["image_id"] == sample.id]
    assert own
    for row in own:
        x, y, width, height = row["bbox"]
        left, top = round(x / 128 * grid[1]), round(y / 96 * grid[0])
        right, down = round((x + width) / 128 * grid[1]), round((y + height) / 96 * grid[0])
        assert row["score"] == pytest.approx(heat[top:down, left:right].sum(), abs=2e-3)
