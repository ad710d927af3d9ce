"""How ways of making parts are measured: against counting by hand, scikit-learn and the product."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import average_precision_score

from backend.bench import part_ways
from backend.errors import BadInputError
from backend.methods.encoders.embedded import EmbeddedEncoder
from backend.types import Encoded, Kind, Layout, ScoreScale

GRID = (2, 3)
NAMES = ["cat", "dog"]
SHOWN = (["cat"], ["dog"], ["cat", "dog"]) * 4
VECTORS = np.eye(4, dtype=np.float32)[:2]


class PaletteEncoder:
    """Cells are read from a picture's pixels, 2 x 3 of them: red is cat, green is dog."""

    id, kind, dim, fingerprint, input_size = "palette", Kind.IMAGE, 4, "palette", 6
    scale = ScoreScale(0, 1, 0, 1, 0.1)

    def encode(self, pictures):
        parts = [np.asarray(each, np.float32).reshape(6, 3) / 255 for each in pictures]
        parts = [np.pad(cells, ((0, 0), (0, 1))) for cells in parts]
        pooled = np.stack([cells.mean(axis=0) for cells in parts])
        return Encoded(pooled, tuple(parts), tuple(Layout(grid=GRID) for _ in parts))

    def encode_labels(self, names):
        return np.stack([VECTORS[NAMES.index(name)] for name in names])

    def encode_texts(self, texts):
        return self.encode_labels(texts)


@pytest.fixture
def pack(tmp_path):
    """Twelve pictures of 30 x 20, cells of 10 x 10; the last two are of another split."""
    draw = np.random.default_rng(3)
    folder = tmp_path / "made" / "images"
    folder.mkdir(parents=True)
    rows, cells = [], []
    for number, labels in enumerate(SHOWN):
        pixels = draw.integers(0, 256, (2, 3, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
        boxes = [{"label": "cat", "xywh": [0, 0, 20, 10]}] if "cat" in labels else []
        boxes += [{"label": "dog", "xywh": [20, 0, 10, 20]}] if "dog" in labels else []
        rows.append({
            "file": f"images/{number}.png", "width": 30, "height": 20, "labels": labels,
            "boxes": boxes, "split": "val" if number < 10 else "train",
        })  # fmt: skip
        cells.append(pixels.reshape(6, 3) / 255)
    (tmp_path / "made" / "annotations.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in rows)
    )
    return tmp_path, np.stack(cells)[:10]


def test_figures_are_those_counted_by_hand(pack, monkeypatch):
    data, cells = pack
    monkeypatch.setattr(part_ways, "SETS", {"made": "val"})
    found = part_ways._measured(PaletteEncoder(), data, "made", str)
    inside = {"cat": [0, 1], "dog": [2, 5]}
    shown = SHOWN[:10]
    hits, orders = [], []
    for picture, labels in enumerate(shown):
        for label in labels:
            heat = cells[picture][:, NAMES.index(label)]
            truth = np.isin(np.arange(6), inside[label])
            hits.append(int(heat.argmax()) in inside[label])
            orders.append(average_precision_score(truth, heat))
    assert found.pointing == pytest.approx(np.mean(hits))
    assert found.heatmap_ap == pytest.approx(np.mean(orders), abs=1e-6)
    likeness = cells[:, :, :2]
    weights = np.exp(likeness / 0.1)
    local = (weights * likeness).sum(axis=1) / weights.sum(axis=1)
    whole = likeness.mean(axis=1)
    score = (local - local.mean()) / local.std() + (whole - whole.mean()) / whole.std()
    truth = np.array([[label in labels for label in NAMES] for labels in shown])
    each = [average_precision_score(truth[:, k], score[:, k]) for k in range(2)]
    assert found.mean_precision == pytest.approx(np.mean(each), abs=1e-6)


def test_a_score_of_one_value_is_not_divided_by_nothing():
    np.testing.assert_allclose(part_ways._standard(np.full((3, 2), 0.4)), 0, atol=1e-3)
    np.testing.assert_allclose(part_ways._standard(np.array([1.0, 3.0])), [-1, 1])


@pytest.mark.slow
def test_an_encoder_of_another_size_reads_a_grid_of_that_size_and_learned_nothing(settings):
    shipped = EmbeddedEncoder(EmbeddedEncoder.Settings(threads=1))
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8))
    with part_ways._resized(shipped, 320, settings) as small:
        folder = small.folder
        found = small.encode([picture])
        assert found.layouts[0].grid == (10, 10)
        assert found.parts[0].shape == (100, shipped.dim)
        assert small.fingerprint != shipped.fingerprint
        np.testing.assert_array_equal(
            small.encode_labels(["cat"]), shipped.encode_labels(["cat"])
        )  # the same text side
    assert not folder.exists()
    with part_ways._resized(shipped, shipped.input_size, settings) as same:
        plain, learned = same.encode([picture]), shipped.encode([picture])
        assert plain.layouts[0].grid == learned.layouts[0].grid
        assert np.abs(plain.parts[0] - learned.parts[0]).max() > 0.01


def test_every_way_stands_beside_the_encoder_as_it_is_named(settings, monkeypatch):
    told = {"plain": 0.5, "a way": 0.6}

    def measured(encoder, data, pack, say):
        value = told[encoder] + (pack == "mosaic_open") / 10
        return part_ways.Figures(value, value / 2, value / 4)

    monkeypatch.setattr(part_ways, "load_encoder", lambda name, _: "plain")
    monkeypatch.setattr(part_ways, "has_text_side", lambda _: True)
    monkeypatch.setattr(part_ways, "_sizes", lambda _: iter([("larger", "a way")]))
    monkeypatch.setattr(part_ways, "_measured", measured)
    found = list(part_ways.rows(settings, say=str))
    assert [(row.name, row.unit) for row in found[:3]] == [
        ("coco_mini mAP, larger", "mAP"),
        ("coco_mini pointing, larger", "pointing"),
        ("coco_mini heat-map AP, larger", "heat-map AP"),
    ]
    assert [row.value for row in found] == pytest.approx([0.6, 0.3, 0.15, 0.7, 0.35, 0.175])
    assert [row.baseline_value for row in found] == pytest.approx(
        [0.5, 0.25, 0.125, 0.6, 0.3, 0.15]
    )


def test_an_encoder_with_one_way_or_without_words_is_refused_by_name(settings, monkeypatch):
    with pytest.raises(BadInputError, match="words makes its parts in one way"):
        list(part_ways.rows(settings, say=str, encoder="words"))
    monkeypatch.setattr(part_ways, "has_text_side", lambda _: False)
    with pytest.raises(BadInputError, match="embedded has no text side"):
        list(part_ways.rows(settings, say=str, encoder="embedded"))
