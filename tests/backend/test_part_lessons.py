"""What verdicts teach about where a label is: a function of the log, label by label."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from backend import api
from backend.numerics import map_shape
from backend.numerics.part_shift import Taught, learned_vector
from backend.part_lessons import NEWEST, PartLessons
from backend.settings import Settings
from backend.types import Layout
from tests.backend.text_projects import LABELS, made_project, numbered

THINGS, KINDS = ("cat", "soup", "train"), ("old", "new", "big")
TEXTS = [f"the {thing} is {kind}" for thing in THINGS for kind in KINDS]


@pytest.fixture
def bench(settings: Settings, tmp_path: Path) -> Iterator[api.Workbench]:
    made = made_project(numbered(TEXTS), tmp_path, settings, labels=LABELS, encoder="words")
    yield made
    made.close()


def vectors(bench: api.Workbench, lessons: PartLessons | None = None) -> np.ndarray:
    lessons = lessons or PartLessons()
    return lessons.vectors(bench.store, bench.pipeline, bench.board, range(len(LABELS)))


def say(bench: api.Workbench, label: str, verdicts: dict[int, str]) -> str:
    rows = [{"sample": f"t{i}", "label": label, "verdict": said} for i, said in verdicts.items()]
    return bench.correct(rows).op


def teaching(bench: api.Workbench) -> list[int]:
    return np.flatnonzero(bench.board.trainable).tolist()


def parts(bench: api.Workbench, row: int) -> np.ndarray:
    content = bench.board.samples[row].content_hash
    return bench.store.vectors.parts(content, bench.pipeline.encoder.fingerprint)[0]


def test_verdicts_move_their_own_label_as_the_formula_says_and_undo_moves_it_back(bench):
    own, lessons = vectors(bench), PartLessons()
    np.testing.assert_array_equal(own, bench.board.label_vectors)
    first, second, third = teaching(bench)[:3]
    say(bench, "food", {first: "unsure", third: "yes"})
    np.testing.assert_array_equal(vectors(bench, lessons), own)
    op = say(bench, "food", {second: "no"})
    moved = vectors(bench, lessons)
    column = bench.board.column_named["food"]
    expected = learned_vector(
        own[column],
        [Taught(parts(bench, third))],
        [Taught(parts(bench, second))],
        bench.pipeline.scale.temperature,
    )
    np.testing.assert_array_equal(moved[column], expected)
    assert not np.array_equal(moved[column], own[column])
    rest = [at for at in range(len(LABELS)) if at != column]
    np.testing.assert_array_equal(moved[rest], own[rest])
    np.testing.assert_array_equal(vectors(bench), moved)  # a process that starts now
    bench.undo(op=op)
    np.testing.assert_array_equal(vectors(bench, lessons), own)


def test_a_mark_says_which_word_carries_the_label_and_undo_takes_it_back(bench):
    yes, no = teaching(bench)[:2]
    say(bench, "food", {yes: "yes", no: "no"})
    plain, name = vectors(bench), f"t{yes}"
    end = len(TEXTS[yes])
    span = [end - 3, end]
    op = bench.correct([{"sample": name, "label": "food", "part": {"span": span}, "here": True}]).op
    column = bench.board.column_named["food"]
    marked = Taught(parts(bench, yes), here=np.array([len(parts(bench, yes)) - 1]))
    expected = learned_vector(
        bench.board.label_vectors[column],
        [marked],
        [Taught(parts(bench, no))],
        bench.pipeline.scale.temperature,
    )
    np.testing.assert_array_equal(vectors(bench)[column], expected)
    assert not np.array_equal(expected, plain[column])
    bench.undo(op=op)
    np.testing.assert_array_equal(vectors(bench), plain)


def test_held_back_verdicts_teach_nothing(bench):
    held = np.flatnonzero(bench.board.held_back).tolist()
    assert held
    own = vectors(bench)
    say(bench, "food", {teaching(bench)[0]: "yes", held[0]: "no"})
    np.testing.assert_array_equal(vectors(bench), own)


def test_only_the_newest_of_each_kind_are_read(bench, monkeypatch):
    monkeypatch.setattr("backend.part_lessons.NEWEST", 1)
    assert NEWEST > 1
    old, new, no = teaching(bench)[:3]
    say(bench, "animal", {old: "yes"})
    say(bench, "animal", {new: "yes", no: "no"})
    column = bench.board.column_named["animal"]
    expected = learned_vector(
        bench.board.label_vectors[column],
        [Taught(parts(bench, new))],
        [Taught(parts(bench, no))],
        bench.pipeline.scale.temperature,
    )
    np.testing.assert_array_equal(vectors(bench)[column], expected)


def test_words_are_looked_for_with_what_was_taught_of_a_label(bench):
    before = bench.explain("t1", label="food")
    yes, no = teaching(bench)[:2]
    say(bench, "food", {yes: "yes", no: "no"})
    end = len(TEXTS[yes])
    place = {"sample": f"t{yes}", "label": "food", "part": {"span": [end - 3, end]}, "here": True}
    op = bench.correct([place]).op
    column, row = bench.board.column_named["food"], bench.board.row_of[bench.sample("t1").id]
    own = vectors(bench)[[column]]
    expected = bench.pipeline.align(parts(bench, row), own).backward[0]
    found = bench.explain("t1", label="food").backward
    np.testing.assert_array_equal(found, expected)
    assert not np.array_equal(found, before.backward)
    bench.undo(op=op)
    bench.correct([{"sample": f"t{i}", "label": "food", "verdict": None} for i in (yes, no)])
    np.testing.assert_array_equal(bench.explain("t1", label="food").backward, before.backward)


def test_the_map_of_a_picture_looks_at_neighbours_and_away_from_the_ground(bench):
    draw = np.random.default_rng(0)
    cells, labels = (draw.normal(size=(n, bench.pipeline.encoder.dim)) for n in (12, 2))
    cells, labels = (
        (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32) for x in (cells, labels)
    )
    plain = bench.pipeline.align(cells, labels)
    shaped = bench.pipeline.shown(cells, labels, Layout(grid=(3, 4)))
    logits = map_shape.smoothed(cells, (3, 4)) @ labels.T / bench.pipeline.scale.temperature
    weights = np.exp(logits) * map_shape.saliency(cells, (3, 4))[:, None]
    np.testing.assert_allclose(shaped.backward[0], weights / weights.sum(axis=0), atol=1e-5)
    np.testing.assert_array_equal(shaped.similarity, plain.similarity)
    np.testing.assert_array_equal(shaped.forward, plain.forward)


def test_the_map_of_a_picture_yields_to_what_its_other_accepted_labels_claim(bench):
    draw = np.random.default_rng(1)
    cells, labels = (draw.normal(size=(n, bench.pipeline.encoder.dim)) for n in (12, 3))
    cells, labels = (
        (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32) for x in (cells, labels)
    )
    temperature, grid = bench.pipeline.scale.temperature, Layout(grid=(3, 4))
    plain = bench.pipeline.shown(cells, labels, grid)
    # The first label and a third one are accepted; the second is only asked about.
    told = bench.pipeline.shown(
        cells, labels[:2], grid, rivals=labels[[2, 0]], own=np.array([1, -1])
    )
    logits = map_shape.smoothed(cells, (3, 4)) @ labels.T / temperature
    claim = np.maximum(logits - logits.mean(axis=0), 0)
    wanted = np.stack([claim[:, 2], np.maximum(claim[:, 0], claim[:, 2])], axis=1)
    weights = plain.backward[0, :, :2] * np.exp(-map_shape.YIELD * wanted)
    np.testing.assert_allclose(told.backward[0], weights / weights.sum(axis=0), atol=1e-5)
    np.testing.assert_array_equal(told.similarity, plain.similarity[:, :, :2])
    words = bench.pipeline.shown(
        cells, labels, Layout(spans=tuple((n, n + 1) for n in range(12))),
        rivals=labels, own=np.arange(3),
    )  # fmt: skip
    np.testing.assert_array_equal(words.backward, bench.pipeline.align(cells, labels).backward)
