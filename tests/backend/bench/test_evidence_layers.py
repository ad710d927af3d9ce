"""Layer-wise plans on pictures whose blocks are known turns of the last parts."""

from __future__ import annotations

import numpy as np
import pytest

from backend.bench import _evidence_layers as layers
from backend.bench._evidence_data import Boxed
from backend.bench.pointing import Course
from backend.numerics import transport
from backend.numerics.localisation import pointing
from backend.pipeline import Pipeline
from backend.recipes import load_recipe
from backend.types import Kind, ScoreScale


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


class Host:
    """Gives tokens back as layers, the parts behind them."""

    id, kind, dim, fingerprint, input_size = "drawn", Kind.IMAGE, 6, "drawn", 1
    scale = ScoreScale(0, 1, 0, 1, temperature=0.1)
    num_layers, layer_refusal = 2, ""

    def encode(self, samples):
        raise NotImplementedError

    encode_labels = encode_texts = layers = encode

    def layers_of_reading(self, parts, reading):
        cells = unit(reading.tokens.astype(np.float32)).transpose(1, 0, 2)
        return np.concatenate([cells, parts[:, None]], axis=1)


@pytest.fixture
def known() -> Boxed:
    draw = np.random.default_rng(0)
    parts = unit(draw.normal(size=(12, 4, 6)))
    truth = np.tile([[True, False], [True, True]], (6, 1))
    rows, columns = np.nonzero(truth)
    return Boxed(
        name="drawn",
        names=["a", "b"],
        truth=truth,
        is_taught=np.zeros(12, bool),
        pooled=unit(parts.mean(axis=1)),
        parts=parts.astype(np.float16),
        grid=(2, 2),
        rows=rows,
        columns=columns,
        inside=draw.random((len(rows), 4)) < 0.5,
        labels=unit(draw.normal(size=(2, 6))),
        scale=Host.scale,
    )


def figures(known: Boxed, tokens: np.ndarray):
    course = Course(known, np.arange(6), np.arange(6, 12), np.arange(2))
    host = Host()
    pipeline = Pipeline(load_recipe("default"), host)
    return layers.figures(layers.Layered(known, tokens, host), course, pipeline)


def test_layers_that_are_the_last_parts_add_nothing(known):
    found = figures(known, np.repeat(known.parts[:, None], 3, axis=1))
    assert found[layers.ALL] == pytest.approx(found[layers.LAST], abs=1e-3)
    assert found[layers.FEW] == pytest.approx(found[layers.LAST], abs=1e-3)


def test_the_last_parts_are_judged_by_their_own_plan(known):
    found = figures(known, np.ones((12, 1, 4, 6), np.float16))
    theta = np.full((12, 4), 0.25, np.float32)
    cosine = transport.similarity(known.parts.astype(np.float32), known.labels)
    plans = transport.backward_navigator(cosine, theta, 0.1)
    at = np.flatnonzero(known.rows >= 6)
    maps = plans[known.rows[at], :, known.columns[at]]
    expected = pointing(maps, known.inside[at]).mean()
    assert found[layers.LAST]["pointing"] == pytest.approx(expected)
    # An even plan beside the last one moves no part before another.
    assert found[layers.ALL]["pointing"] == pytest.approx(expected)
    assert found[layers.ALL]["heat-map AP"] == pytest.approx(found[layers.LAST]["heat-map AP"])


def test_layers_that_say_otherwise_are_heard(known):
    """Blocks that put each label where it is outvote parts that do not."""
    tokens = np.tile(-known.parts[:, None], (1, 3, 1, 1))
    for pair, (row, column) in enumerate(zip(known.rows, known.columns, strict=True)):
        tokens[row, :, known.inside[pair]] += 8 * known.labels[column].astype(np.float16)
    found = figures(known, tokens)
    assert found[layers.ALL]["pointing"] > found[layers.LAST]["pointing"]
