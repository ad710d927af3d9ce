"""What lanes are taught on: verdicts with readings, once for each fixed view."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from backend import api, learning
from backend.board import is_held_back
from backend.errors import BadInputError
from backend.images import fixed_view, view_frame
from backend.methods._torch import choose_device
from backend.methods.learners import _lane_network
from backend.methods.learners.lanes import LanesLearner
from backend.settings import Settings
from backend.types import Features


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """Twelve pictures, red ones and blue ones, with every verdict given."""
    folder = tmp_path_factory.mktemp("pictures")
    draw = np.random.default_rng(0)
    for number in range(12):
        pixels = draw.integers(0, 90, (64, 80, 3), dtype=np.uint8)
        pixels[:, : 10 + 3 * number, 0 if number % 2 else 2] += 150
        Image.fromarray(pixels).save(folder / f"{number}.png")
    settings = Settings(home=tmp_path_factory.mktemp("home"), threads=1)
    opened = api.create_project("pictures", labels=["red", "blue"], settings=settings)
    opened.add(folder)
    opened.correct(
        [
            {
                "sample": f"{number}.png",
                "label": label,
                "verdict": "yes" if (label == "red") == bool(number % 2) else "no",
            }
            for number in range(12)
            for label in ("red", "blue")
        ]
    )
    yield opened
    opened.close()


def seen_in(bench, monkeypatch, views, **settings):
    pipeline = bench.pipeline
    teacher = LanesLearner(replace(pipeline.learner.settings, views=views, **settings))
    monkeypatch.setattr(pipeline, "teacher", teacher)
    labels = tuple(label.id for label in bench.labels())
    base = learning.zero_shot_logits(pipeline, bench.board, labels)
    return bench.live.room.lessons(bench.board, labels, bench.store.log.current(), base)


def test_each_taught_picture_is_there_once_for_each_view_with_the_same_verdicts(bench, monkeypatch):
    plain, held_plain = seen_in(bench, monkeypatch, 1)
    taught, held = seen_in(bench, monkeypatch, 3)
    num = len(plain)
    assert len(taught) == 3 * num
    for name in ("base", "targets", "known"):
        np.testing.assert_array_equal(getattr(taught, name), np.tile(getattr(plain, name), (3, 1)))
    np.testing.assert_array_equal(taught.readings[0].tokens, plain.readings[0].tokens)
    assert len(held) == len(held_plain)  # what is held back is looked at as it is


def test_a_view_is_read_of_the_picture_seen_that_way(bench, monkeypatch):
    taught, _ = seen_in(bench, monkeypatch, 3)
    board = bench.board
    samples = [board.samples[row] for row in np.flatnonzero(board.trainable)]
    num = len(samples)
    picture = Image.open(bench.store.media.path(samples[2])).convert("RGB")
    for view in (1, 2):
        wanted = bench.pipeline.host.read([fixed_view(picture, samples[2].content_hash, view)])[1]
        found = taught.readings[view * num + 2].tokens.astype(np.float32)
        np.testing.assert_allclose(found, wanted[0].tokens.astype(np.float32), atol=0.03)
    mirrored, itself = taught.readings[num + 2].tokens, taught.readings[2].tokens
    assert np.abs(mirrored.astype(np.float32) - itself.astype(np.float32)).max() > 0.1


def test_what_is_held_back_is_never_taught(bench, monkeypatch):
    taught, held = seen_in(bench, monkeypatch, 2)
    seed = bench.board.split_seed
    kept = sum(is_held_back(sample.content_hash, seed) for sample in bench.samples())
    assert (len(taught) // 2, len(held)) == (12 - kept, kept)


def test_a_small_crop_is_taught_with_the_share_of_the_map_that_it_shows(bench, monkeypatch):
    """Against sums over the map that the viewer shows, worked out here cell by cell."""
    taught, held = seen_in(bench, monkeypatch, 3, has_crop_labels=True)
    plain, _ = seen_in(bench, monkeypatch, 1)
    board, num = bench.board, len(plain)
    rows = np.flatnonzero(board.trainable)
    np.testing.assert_array_equal(taught.targets[:num], plain.targets)
    assert taught.known.all()
    shares = []
    for number, row in enumerate(rows):
        sample = board.samples[row]
        parts, layout = bench.store.vectors.parts(
            sample.content_hash, bench.pipeline.encoder.fingerprint
        )
        told = bench.pipeline.shown(parts, bench.board.label_vectors, layout)
        for view, place in ((4, num + number), (5, 2 * num + number)):
            x, y, width, height = view_frame((80, 64), sample.content_hash, view)
            for column in range(2):
                heat = told.backward[0, :, column].reshape(layout.grid)
                inside = 0.0
                for down, right in np.ndindex(heat.shape):
                    rows_, cols = heat.shape
                    high = min(y + height, (down + 1) / rows_) - max(y, down / rows_)
                    wide = min(x + width, (right + 1) / cols) - max(x, right / cols)
                    share = max(high, 0) * max(wide, 0) * rows_ * cols
                    inside += share * heat[down, right]
                wanted = inside / heat.sum() * plain.targets[number, column]
                assert taught.targets[place, column] == pytest.approx(wanted, abs=1e-4)
                shares.append(wanted)
    assert 0.05 < np.max(shares) < 0.95  # it is neither the verdict nor nothing
    assert not (held.targets % 1).any()  # what is held back keeps its verdicts


def test_a_small_crop_starts_from_its_own_zero_shot_logits(bench, monkeypatch):
    taught, _ = seen_in(bench, monkeypatch, 2, has_crop_labels=True)
    board, pipeline = bench.board, bench.pipeline
    rows = np.flatnonzero(board.trainable)
    sample = board.samples[rows[1]]
    picture = Image.open(bench.store.media.path(sample)).convert("RGB")
    encoded = pipeline.encoder.encode([fixed_view(picture, sample.content_hash, 4)])
    scores = (
        pipeline.global_scores(encoded.pooled, board.label_vectors),
        pipeline.local_scores(encoded.parts, board.label_vectors),
    )
    start = pipeline.learner.start(2, pipeline.encoder.dim)
    wanted = pipeline.learner.score(start, Features(encoded.pooled, *scores))
    np.testing.assert_allclose(taught.base[len(rows) + 1], wanted[0], atol=0.02)
    assert np.abs(taught.base[len(rows) :] - taught.base[: len(rows)]).max() > 0.1


def test_what_is_unknown_of_a_picture_is_unknown_of_its_crops(bench, monkeypatch):
    known = {
        pair: row
        for pair, row in bench.store.log.current().items()
        if pair[1] == bench.labels()[0].id
    }
    monkeypatch.setattr(bench.store.log, "current", lambda: known)
    taught, _ = seen_in(bench, monkeypatch, 2, has_crop_labels=True)
    assert taught.known[:, 0].all()
    assert not taught.known[:, 1].any()
    assert not taught.targets[:, 1].any()


def test_lanes_run_where_the_settings_say_and_auto_is_cuda_where_there_is_one(bench, monkeypatch):
    """Only the choice is played: nothing runs on the device that is found."""
    assert bench.settings.device == "auto"
    for is_there, wanted in ((False, "cpu"), (True, "cuda")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda is_there=is_there: is_there)
        assert choose_device("auto") == wanted
        assert choose_device("cpu") == "cpu"
    # A device that holds no numbers takes the place of CUDA.
    monkeypatch.setattr(_lane_network, "choose_device", {"auto": "meta"}.__getitem__)
    monkeypatch.setattr(bench.live.room, "_network", None)
    assert bench.live.room.network().device.type == "meta"


@pytest.mark.parametrize("encoder", ["embedded", "sentence:minilm"])
def test_a_recipe_of_plain_heads_opens_and_learns_and_says_that_it_has_no_lanes(tmp_path, encoder):
    """Both encoders could hold lanes: it is the recipe that has none."""
    recipe = tmp_path / "plain.toml"
    default = Path("assets/recipes/default.toml").read_text("utf-8")
    recipe.write_text(default.replace("learners/lanes", "learners/logistic"), "utf-8")
    settings = Settings(home=tmp_path / "home", threads=1)
    made = api.create_project(
        "plain", labels=["warm"], encoder=encoder, recipe=str(recipe), settings=settings
    )
    taken = tmp_path / "taken"
    taken.mkdir()
    if encoder == "embedded":
        for number in range(4):
            Image.new("RGB", (48, 48), (60 * number, 40, 40)).save(taken / f"{number}.png")
    else:
        texts = [{"sample": f"{n}", "text": f"the soup is {n} degrees warm"} for n in range(4)]
        lines = "\n".join(json.dumps(text) for text in texts)
        (taken / "texts.jsonl").write_text(lines, "utf-8")
    assert made.add(taken).imported == 4
    names = [sample.name for sample in made.samples()]
    made.correct([{"sample": name, "label": "warm", "verdict": "yes"} for name in names[:3]])
    assert made.learn().version == 1
    told = [each.suggestions[0].score for each in made.suggest(names)]
    made.close()
    again = api.open_project("plain", settings=settings)
    assert again.version == 1
    np.testing.assert_allclose([s.suggestions[0].score for s in again.suggest(names)], told)
    assert again.explain(names[3], label="warm", with_lanes=True).labels == ("warm",)
    with pytest.raises(BadInputError, match="recipe plain learns by heads alone"):
        again.packs.teach("main")
    again.close()
