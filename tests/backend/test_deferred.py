"""An encoder that is not loaded yet tells what the project noted of it, and loads when needed."""

from __future__ import annotations

import json

import numpy as np
import pytest

from backend.contracts import Encoder, LaneHost, lane_host, why_no_lanes
from backend.errors import BadInputError
from backend.pipeline import DeferredEncoder, EncoderFacts, load_encoder
from backend.settings import Settings

LANE_FACTS = ("lane_key", "lane_refusal", "plain_dim", "has_text_side")


@pytest.fixture(scope="module")
def members() -> dict[str, Encoder]:
    settings = Settings(threads=1)
    return {name: load_encoder(name, settings) for name in ("sentence:minilm", "words")}


def never() -> Encoder:
    raise AssertionError("it was loaded")


@pytest.mark.parametrize("name", ["sentence:minilm", "words"])
def test_lane_facts_are_told_without_loading(members, name) -> None:
    facts = EncoderFacts.from_json(json.loads(json.dumps(EncoderFacts.of(members[name]).as_json())))
    deferred = DeferredEncoder(facts, never)
    assert isinstance(deferred, LaneHost)
    for fact in LANE_FACTS[:3]:
        assert getattr(deferred, fact) == getattr(members[name], fact)
    assert (lane_host(deferred) is None) == (name == "words")
    assert why_no_lanes(deferred) == why_no_lanes(members[name])


@pytest.mark.parametrize("name", ["sentence:minilm", "words"])
def test_a_project_that_noted_nothing_of_lanes_asks_the_encoder(members, name) -> None:
    noted = EncoderFacts.of(members[name]).as_json()
    old = {key: value for key, value in noted.items() if key not in LANE_FACTS}
    deferred = DeferredEncoder(EncoderFacts.from_json(old), lambda: members[name])
    assert deferred.has_text_side
    for fact in LANE_FACTS[:3]:
        assert getattr(deferred, fact) == getattr(members[name], fact)


def test_it_reads_as_the_encoder_does(members) -> None:
    encoder = members["sentence:minilm"]
    deferred = DeferredEncoder(EncoderFacts.of(encoder), lambda: encoder)
    (ours,), (theirs,) = deferred.read(["a text"])[1], encoder.read(["a text"])[1]
    np.testing.assert_array_equal(ours.tokens, theirs.tokens)
    np.testing.assert_array_equal(deferred.frozen_stack().start, encoder.frozen_stack().start)
    words = DeferredEncoder(EncoderFacts.of(members["words"]), lambda: members["words"])
    with pytest.raises(BadInputError, match="no lanes with words"):
        words.read(["a text"])
