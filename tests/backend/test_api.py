"""Projects are made whole or not at all, and without waiting for an encoder."""

from __future__ import annotations

from pathlib import Path
from threading import Event

import pytest

from backend import api, live
from backend.methods.encoders._packaged import PackagedWeights
from backend.shipped import WEIGHTS


def test_an_encoder_that_cannot_be_loaded_leaves_nothing(
    settings: api.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = PackagedWeights("no_such_module", "no-such", "1.0", "MIT", "", {"a": "0"})
    monkeypatch.setitem(WEIGHTS, "words", (gone,))
    for encoder, kind, error in (
        ("nonsense", None, api.BadInputError),
        ("open_clip:ViT-B-32/no_such.pt", None, api.PatchlaneError),
        ("sentence:no/such-model", None, api.OfflineError),
        ("words", None, api.NotFoundError),
    ):
        with pytest.raises(error):
            api.create_project("birds", encoder=encoder, kind=kind, settings=settings)
        assert not (settings.home / "birds").exists(), encoder
    assert api.list_projects(settings) == []


def test_a_failure_after_the_folder_was_made_leaves_nothing(
    settings: api.Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*_: object) -> None:
        raise api.SaveError("the disk is full")

    monkeypatch.setattr(live.Live, "load", fail)
    deep, empty = tmp_path / "a" / "b" / "birds", tmp_path / "empty"
    empty.mkdir()
    for path in (deep, empty):
        with pytest.raises(api.SaveError):
            api.create_project(path, encoder="words", settings=settings)
    assert not (tmp_path / "a").exists()
    assert list(empty.iterdir()) == [], "a folder that was there before stays, empty"
    monkeypatch.undo()
    with pytest.raises(api.BadInputError, match="label"):
        api.create_project(deep, labels=["a", "x" * 1000], encoder="words", settings=settings)
    assert not (tmp_path / "a").exists()
    api.create_project(deep, labels=["wren"], encoder="words", settings=settings).close()


def test_a_project_that_is_there_already_is_left_alone(settings: api.Settings) -> None:
    api.create_project("birds", labels=["wren"], encoder="words", settings=settings).close()
    with pytest.raises(api.BadInputError, match="already"):
        api.create_project("birds", labels=["robin"], encoder="words", settings=settings)
    again = api.open_project("birds", settings=settings)
    assert [label.name for label in again.labels()] == ["wren"]
    again.close()


def test_making_a_project_does_not_wait_for_its_encoder(
    settings: api.Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    may_load = Event()
    real = live.load_encoder

    def slowly(encoder: str, chosen: api.Settings) -> object:
        assert may_load.wait(30)
        return real(encoder, chosen)

    monkeypatch.setattr(live, "load_encoder", slowly)
    monkeypatch.setattr(api, "load_encoder", slowly)
    labels = ["animal", "food"]
    bench = api.create_project(
        "words", labels=labels, encoder="words", settings=settings, learns=True
    )
    assert [label.name for label in bench.labels()] == labels
    bench.add_labels(["transport"])
    may_load.set()
    texts = tmp_path / "t.jsonl"
    texts.write_text('{"sample": "a", "text": "the cat sleeps"}\n')
    bench.add(texts)
    best = bench.suggest()[0].suggestions[0]
    assert best.label == "animal", "the names of the labels were read when they were needed"
    bench.close()
