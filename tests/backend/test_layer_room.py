"""Maps over the layers of a real encoder, in a project of pictures and in one of texts."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from backend import api, layer_room
from backend.__main__ import main
from backend.contracts import layer_host
from backend.errors import BadInputError, NotFoundError
from backend.methods.aligners.layered_transport import LayeredTransportAligner
from backend.numerics import map_shape
from backend.settings import Settings, assets_folder

LAYERED = "layered_transport"


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> Settings:
    return Settings(home=tmp_path_factory.mktemp("home"), engine="torch", threads=1)


@pytest.fixture(scope="module")
def bench(tmp_path_factory, settings) -> Iterator[api.Workbench]:
    """Three pictures with a red square somewhere, one accepted as red."""
    folder = tmp_path_factory.mktemp("pictures")
    draw = np.random.default_rng(0)
    for number in range(3):
        pixels = draw.integers(0, 60, (96, 128, 3), dtype=np.uint8)
        pixels[10 + 10 * number : 50 + 10 * number, 20 * number : 20 * number + 40, 0] += 190
        Image.fromarray(pixels).save(folder / f"{number}.png")
    opened = api.create_project("pictures", labels=["red", "blue", "sky"], settings=settings)
    opened.add(folder)
    opened.correct([{"sample": "0.png", "label": "red", "verdict": "yes"}])
    yield opened
    opened.close()


def layers_of(bench: api.Workbench, name: str) -> np.ndarray:
    """(P, K, D), read again by the encoder itself."""
    host = layer_host(bench.pipeline.encoder)
    assert host is not None
    media = bench.store.media.path(bench.sample(name))
    return host.layers([Image.open(media).convert("RGB")])[0]


def test_the_map_is_the_mean_over_the_layers_shaped_as_every_map(bench):
    found = bench.explain("1.png", aligner=LAYERED)
    layers = layers_of(bench, "1.png")
    labels = bench.board.label_vectors
    saliency = map_shape.saliency(layers[:, -1], (12, 12))
    maps, likeness = [], []
    for k in range(layers.shape[1]):
        cosine = layers[:, k].astype(float) @ labels.T
        likeness.append(cosine)
        smooth = map_shape.smoothed(layers[:, k], (12, 12)).astype(float) @ labels.T
        weights = saliency[:, None] * np.exp(smooth / found.temperature)
        maps.append(weights / weights.sum(axis=0))
    np.testing.assert_allclose(found.backward, np.mean(maps, axis=0), atol=1e-3)
    np.testing.assert_allclose(found.similarity, np.mean(likeness, axis=0), atol=3e-3)
    plain = bench.explain("1.png")
    assert np.abs(found.backward - plain.backward).max() > 1e-3
    np.testing.assert_array_equal(found.scores, plain.scores)
    np.testing.assert_allclose(found.backward.sum(axis=0), 1, atol=1e-5)


def test_layers_come_from_what_lanes_read_or_the_picture_is_read_again(bench, monkeypatch):
    encoder, sample = bench.pipeline.encoder, bench.sample("2.png")
    told = bench.explain("2.png", aligner=LAYERED).backward
    parts, _ = bench.store.vectors.parts(sample.content_hash, encoder.fingerprint)
    room = layer_room.LayerRoom(bench.store, bench.pipeline)
    read: list[int] = []
    ask = type(encoder).layers

    def counted(self, samples):
        read.append(len(samples))
        return ask(self, samples)

    monkeypatch.setattr(type(encoder), "layers", counted)
    from_tokens = room.beside(sample, parts)
    assert read == []
    bench.store.tokens.remove([sample.content_hash])
    again = layer_room.LayerRoom(bench.store, bench.pipeline)
    np.testing.assert_allclose(again.beside(sample, parts), from_tokens, atol=2e-3)
    assert read == [1]
    np.testing.assert_array_equal(again.beside(sample, parts)[:, -parts.shape[1] :], parts)
    assert read == [1], "the newest stay in memory"
    monkeypatch.setattr(layer_room, "KEPT_BYTES", 1)
    for name in ("0.png", "2.png"):
        one = bench.sample(name)
        own, _ = bench.store.vectors.parts(one.content_hash, encoder.fingerprint)
        again.beside(one, own)
    assert read == [1, 1, 1], "and older ones are read again"
    np.testing.assert_allclose(bench.explain("2.png", aligner=LAYERED).backward, told, atol=1e-4)


def test_any_aligner_of_the_shelf_is_chosen_by_name_and_an_unknown_one_lists_them(bench):
    plain = bench.explain("0.png", label="sky")
    named = bench.explain("0.png", label="sky", aligner="aligners/transport")
    np.testing.assert_array_equal(named.backward, plain.backward)
    joint = bench.explain("0.png", aligner="sinkhorn")
    assert np.abs(joint.backward - bench.explain("0.png").backward).max() > 1e-4
    with pytest.raises(NotFoundError, match="aligners/layered_transport, aligners/cosine"):
        bench.explain("0.png", aligner="encoders/words")


def test_a_check_takes_the_parts_of_the_map_that_is_asked_for(bench):
    ours = api.check(bench, "1.png", "red", steps=2, aligner=LAYERED)
    plain = api.check(bench, "1.png", "red", steps=2)
    assert ours.deletion["map"][0] == pytest.approx(plain.deletion["map"][0], abs=1e-4)
    assert not np.allclose(ours.deletion["map"], plain.deletion["map"])


def test_a_recipe_may_take_it_and_scores_rest_on_the_last_parts(bench, settings, tmp_path):
    text = (assets_folder() / "recipes" / "default.toml").read_text()
    recipe = tmp_path / "layers.toml"
    recipe.write_text(text.replace("aligners/transport", f"aligners/{LAYERED}"))
    other = api.create_project(
        "layered", labels=["red", "blue", "sky"], recipe=str(recipe), settings=settings
    )
    try:
        media = bench.store.media.path(bench.sample("1.png"))
        other.add(media)
        assert isinstance(other.pipeline.aligner, LayeredTransportAligner)
        name = other.samples()[0].name
        ours, theirs = other.suggest([name])[0], bench.suggest(["1.png"])[0]
        for one, two in zip(ours.suggestions, theirs.suggestions, strict=True):
            assert one.label == two.label
        chosen = bench.explain("1.png", aligner=LAYERED)
        np.testing.assert_allclose(other.explain(name).backward, chosen.backward, atol=1e-4)
    finally:
        other.close()


def test_an_encoder_without_layers_refuses_in_a_sentence(tmp_path, settings, monkeypatch, capsys):
    file = tmp_path / "texts.jsonl"
    file.write_text(json.dumps({"text": "the soup was cold"}) + "\n", "utf-8")
    texts = api.create_project(
        "texts", labels=["food"], kind=api.Kind.TEXT, encoder="words", settings=settings
    )
    texts.add(file)
    try:
        assert texts.layer_refusal.startswith("no layers with words: static word vectors")
        with pytest.raises(BadInputError, match="no layers with words: static word vectors"):
            texts.explain(texts.samples()[0].id, aligner=LAYERED)
    finally:
        texts.close()
    monkeypatch.setenv("PATCHLANE_HOME", str(settings.home))
    assert main(["explain", "texts", "1", "--aligner", LAYERED]) == 1
    said = capsys.readouterr().err
    assert "no layers with words" in said
    assert said.strip().count("\n") == 0
