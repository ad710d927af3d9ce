"""Recipes and encoder ids say what they mean, and refuse what they do not know by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend import catalogue
from backend.errors import BadInputError, NotFoundError
from backend.pipeline import kind_of_encoder
from backend.recipes import EncoderName, load_recipe, parse_encoder_id
from backend.types import Kind


def test_the_default_recipe_names_methods_that_exist() -> None:
    recipe = load_recipe("default")
    for key in recipe.methods.values():
        assert catalogue.load(key).__name__ == catalogue.entry(key).name


def test_members_of_an_encoder_id() -> None:
    assert parse_encoder_id("sentence:minilm+words") == [
        EncoderName("encoders/sentence", "minilm"),
        EncoderName("encoders/static_words"),
    ]
    assert parse_encoder_id("open_clip:ViT-B-32/laion2b") == [
        EncoderName("encoders/clip", "ViT-B-32/laion2b")
    ]


def test_an_unknown_encoder_lists_what_is_available_offline() -> None:
    with pytest.raises(BadInputError, match=r"unknown encoder 'resnet'.*offline: embedded"):
        parse_encoder_id("resnet")


def test_every_family_of_encoder_ids_is_a_line_of_the_catalogue() -> None:
    found = {}
    for entry in catalogue.entries("encoders"):
        (member,) = parse_encoder_id(entry.family) if entry.family else [None]
        if member is not None:
            assert member.key == entry.key
            assert kind_of_encoder(entry.family) == catalogue.load(entry.key).kind
        found[entry.key] = entry.family
    assert [key for key, family in found.items() if not family] == ["encoders/side_by_side"]


def test_images_and_texts_are_not_mixed() -> None:
    assert kind_of_encoder("embedded") == Kind.IMAGE
    with pytest.raises(BadInputError, match="mixes"):
        kind_of_encoder("embedded+words")


def test_an_unknown_recipe_lists_the_known_ones() -> None:
    with pytest.raises(NotFoundError, match=r"'nosuch'.*default"):
        load_recipe("nosuch")


def test_a_broken_recipe_file_is_refused_by_name(tmp_path: Path) -> None:
    broken = tmp_path / "mine.toml"
    broken.write_text("[methods\n")
    with pytest.raises(BadInputError, match=r"mine\.toml is not TOML"):
        load_recipe(str(broken))
    broken.write_text('[methods]\naligner = "aligners/cosine"\n')
    with pytest.raises(BadInputError, match="learner"):
        load_recipe(str(broken))


def test_the_fingerprint_is_of_the_choice_not_of_the_name(tmp_path: Path) -> None:
    recipe = load_recipe("default")
    copy = tmp_path / "copy.toml"
    text = Path("assets/recipes/default.toml").read_text()
    copy.write_text(text)
    assert load_recipe(str(copy)).fingerprint == recipe.fingerprint
    copy.write_text(text.replace("aligners/transport", "aligners/cosine"))
    assert load_recipe(str(copy)).fingerprint != recipe.fingerprint


def test_a_path_in_an_encoder_id_may_hold_a_plus() -> None:
    assert parse_encoder_id("open_clip:ViT-B-32/data/a+b/w.pt+words") == [
        EncoderName("encoders/clip", "ViT-B-32/data/a+b/w.pt"),
        EncoderName("encoders/static_words"),
    ]


def test_settings_behind_a_question_mark_are_taken_off_a_models_name():
    (member,) = parse_encoder_id("open_clip:ViT-B-32/a?b/w.pt?parts=self&artefacts=replaced")
    assert member.model == "ViT-B-32/a?b/w.pt"
    assert member.options == (("parts", "self"), ("artefacts", "replaced"))
    assert parse_encoder_id("open_clip:ViT-B-32/a?b/w.pt")[0].options == ()
