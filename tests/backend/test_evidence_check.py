"""The checks of evidence, against texts and pictures that were altered by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from backend import api, evidence_check
from backend.evidence_check import most_alike

TEXT = "my card was stolen at the airport yesterday evening"


@pytest.fixture
def settings(tmp_path):
    return replace(api.Settings.from_environ(), home=tmp_path / "home", threads=1)


@pytest.fixture
def texts(settings, tmp_path):
    (tmp_path / "texts.csv").write_text(f"text\n{TEXT}\nlovely\nairport airport\n")
    bench = api.create_project(
        "texts", labels=["airport", "card"], kind=api.Kind.TEXT, encoder="words", settings=settings
    )
    bench.add(tmp_path / "texts.csv")
    yield bench
    bench.close()


@pytest.fixture
def pictures(settings, tmp_path):
    """Three flowers on the left half of a plain ground."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    cells = settings.data / "mosaic_open" / "images" / "train_0000.jpg"
    if not cells.is_file():
        pytest.skip("no data packs")
    # Its lower left tile is a sunflower.
    flower = np.asarray(Image.open(cells).crop((6, 115, 70, 159)).resize((96, 192)))
    for number in range(3):
        pixels = np.full((192, 192, 3), 90 + 40 * number, np.uint8)
        pixels[:, :96] = flower
        Image.fromarray(pixels).save(folder / f"{number}.png")
    bench = api.create_project("pictures", labels=["sunflower", "flower"], settings=settings)
    bench.add(folder)
    yield bench
    bench.close()


def test_deletion_of_words_is_the_score_of_the_text_without_them(texts, settings, tmp_path):
    sample = texts.samples()[0]
    found = api.check(texts, sample.id, "airport")
    words = TEXT.split()
    order = np.argsort(-texts.explain(sample.id, label="airport").backward[:, 0], kind="stable")
    lines, counts = [], np.round(found.gone * len(words)).astype(int)
    for gone in counts:
        left = [word for place, word in enumerate(words) if place not in order[:gone]]
        lines.append(" ".join(left))
    (tmp_path / "left.csv").write_text("text\n" + "\n".join(lines) + "\n")
    other = api.create_project(
        "left", labels=["airport", "card"], kind=api.Kind.TEXT, encoder="words", settings=settings
    )
    other.add(tmp_path / "left.csv")
    by_text = {s.text: other.suggest([s.id])[0].suggestions for s in other.samples()}
    other.close()
    expected = [
        next(one.score for one in by_text[line] if one.label == "airport") for line in lines
    ]
    np.testing.assert_allclose(found.deletion["map"], expected, atol=1e-3)  # stored in float16
    assert counts[-1] == len(words) - 1, "one word stays"
    # The largest word alone is where insertion begins.
    assert found.shown[0] == pytest.approx(1 / len(words))
    assert found.insertion["map"][0] == pytest.approx(found.deletion["inverted"][-1])
    assert found.holds
    assert found.deletion_area["map"] < min(found.random_areas)
    assert found.deletion_area["inverted"] > found.deletion_area["map"]
    assert "rests on what the map marks" in found.verdict


def test_what_was_learned_decides_the_score_that_is_checked(texts):
    sample = texts.samples()[0].id
    before = api.check(texts, sample, "card").deletion["map"][0]
    rows = [(1, "card", "yes"), (2, "card", "no"), (3, "card", "no")]
    texts.correct([{"sample": s, "label": n, "verdict": v} for s, n, v in rows])
    texts.learn()
    after = api.check(texts, sample, "card").deletion["map"][0]
    shown = next(s.score for s in texts.suggest([sample])[0].suggestions if s.label == "card")
    assert after == pytest.approx(shown, abs=1e-4)
    assert after != pytest.approx(before, abs=1e-3)


def test_one_word_cannot_be_checked(texts):
    with pytest.raises(api.BadInputError, match="one part only"):
        api.check(texts, texts.samples()[1].id, "card")


def test_a_picture_is_read_again_with_cells_blurred(pictures):
    found = api.check(pictures, "0.png", "sunflower", steps=3)
    scores = {s.label: s.score for s in pictures.suggest(["0.png"])[0].suggestions}
    assert found.deletion["map"][0] == pytest.approx(scores["sunflower"], abs=1e-3)
    for curve in found.deletion.values():
        assert curve[0] == pytest.approx(found.deletion["map"][0])
        assert curve[-1] == pytest.approx(found.deletion["map"][-1])
    assert found.holds
    assert found.deletion["map"][-1] < found.deletion["map"][0]


def test_placements_and_doubts_come_from_the_regions_of_the_log(pictures):
    left = {"box": [0, 0, 0.5, 1]}
    right = {"box": [0.5, 0, 0.5, 1]}
    say = {"label": "sunflower", "verdict": "yes"}
    pictures.correct(
        [
            {"sample": "0.png", **say, "regions": [left]},
            {"sample": "1.png", **say, "regions": [right]},
        ]
    )
    good, bad = api.placements(pictures)
    assert (good.name, good.pointing, bad.pointing) == ("0.png", 1.0, 0.0)
    assert good.mass > 0.5 > bad.mass
    assert good.mass + bad.mass == pytest.approx(1, abs=0.35)
    kinds = {(each.kind, each.name) for each in api.doubts(pictures)}
    assert ("outside", "1.png") in kinds
    assert ("outside", "0.png") not in kinds
    assert not any(kind == "background" for kind, _ in kinds), "two samples are too few"


def test_two_labels_with_one_evidence_are_named(texts):
    """Two labels with one vector have one map; the two of the fixture rest on other words."""
    first, second, _ = (sample.id for sample in texts.samples())
    rows = [(s, n) for s in (first, second) for n in ("airport", "card")]
    texts.correct([{"sample": s, "label": n, "verdict": "yes"} for s, n in rows])
    assert not [each for each in api.doubts(texts) if each.kind == "same"]
    vectors = np.repeat(texts.board.label_vectors[:1], 2, axis=0)
    texts.live.board = replace(texts.board, label_vectors=vectors)
    (found,) = [each for each in api.doubts(texts) if each.kind == "same"]
    assert (found.name, {found.label, found.other}) == (
        texts.sample(first).name,
        {"airport", "card"},
    )
    assert found.strength == pytest.approx(1)
    word = texts.explain(first).layout.spans[int(np.argmax(found.map))]
    assert TEXT[slice(*word)] == "airport"


def test_two_maps_that_share_most_against_each_pair():
    maps = np.random.default_rng(1).dirichlet(np.ones(7), size=5).T
    shared = {
        (i, j): sum(min(a, b) for a, b in zip(maps[:, i], maps[:, j], strict=True))
        for i in range(5)
        for j in range(i)
    }
    one, two, share = most_alike(maps)
    best = max(shared, key=shared.__getitem__)
    assert ({one, two}, share) == (set(best), pytest.approx(shared[best]))


def test_what_is_compared_is_told_as_far_as_it_is_compared(texts, monkeypatch):
    """Neither samples beyond the most that are looked at, nor labels that were removed."""
    texts.add_labels(["gone"])
    names = ("airport", "card", "gone")
    rows = [{"sample": s.id, "label": n, "verdict": "yes"} for s in texts.samples() for n in names]
    texts.correct(rows)
    texts.remove_label("gone")
    monkeypatch.setattr(evidence_check, "MOST_SAMPLES", 2)
    told = []
    api.doubts(texts, progress=lambda *step: told.append(step))
    assert told == [(n, 2, "comparing maps of labels") for n in (1, 2)]
    texts.remove_label("card")
    texts.remove_label("airport")
    assert api.doubts(texts) == []


def test_a_background_that_carries_a_label_is_a_shortcut(pictures):
    """The flower itself is called background: marked where it is not, in all three."""
    say = {"label": "sunflower", "verdict": "yes", "regions": [{"box": [0.5, 0, 0.5, 1]}]}
    pictures.correct([{"sample": f"{n}.png", **say} for n in range(3)])
    found = [each for each in api.doubts(pictures) if each.kind == "background"]
    assert {each.name for each in found} == {"0.png", "1.png", "2.png"}
    grid = found[0].grid
    drawn = np.array(found[0].map).reshape(grid)
    assert drawn[:, : grid[1] // 2].max() == 255
    assert drawn[:, grid[1] // 2 :].max() == 0, "what is on the object is not drawn"


def test_a_concave_mark_is_what_lies_in_it(settings, tmp_path):
    """An L: its bounding box is the whole picture, and the larger part of that is not marked."""
    pixels = np.random.default_rng(0).integers(0, 255, (96, 96, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "noise.png")
    bench = api.create_project("noise", labels=["sunflower"], settings=settings)
    bench.add(tmp_path / "noise.png")
    ell = [0, 0, 0.3, 0, 0.3, 0.7, 1, 0.7, 1, 1, 0, 1]
    say = {"sample": "noise.png", "label": "sunflower", "verdict": "yes"}
    bench.correct([{**say, "regions": [{"polygon": ell, "here": True}]}])
    shown = bench.explain("noise.png", label="sunflower")
    rows, columns = shown.layout.grid
    heat = shown.backward[:, 0].reshape(rows, columns)
    wanted = sum(
        float(heat[row, column])
        for row in range(rows)
        for column in range(columns)
        if (column + 0.5) / columns < 0.3 or (row + 0.5) / rows > 0.7
    )
    (found,) = api.placements(bench)
    assert found.mass == pytest.approx(wanted, abs=1e-4)
    assert found.mass < 0.9
    # What a newer mark says is not there, is not.
    part = {"box": [0, 0, 1, 1]}
    bench.correct([{"sample": "noise.png", "label": "sunflower", "part": part, "here": False}])
    assert api.placements(bench) == []
    bench.close()
