"""Handles of the Label page: what leaves for the browser says the same as the backend's nouns."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.types import Explanation, Kind, Label, Layout, Sample
from ui import present


def explanation(num_parts: int, num_labels: int, *, layout: Layout | None = None) -> Explanation:
    draw = np.random.default_rng(3)
    forward, backward, similarity = draw.random((3, num_parts, num_labels), dtype=np.float32)
    return Explanation(
        sample=7,
        name="seven",
        labels=tuple(f"label {k}" for k in range(num_labels)),
        forward=forward,
        backward=backward,
        plan=0.5 * forward + 0.5 * backward,
        similarity=similarity,
        scores=draw.permutation(num_labels).astype(np.float32),
        spread=draw.random(num_labels, dtype=np.float32),
        layout=layout or Layout(grid=(1, num_parts)),
        version=4,
    )


def unpacked(body: bytes) -> tuple[dict, np.ndarray | None, list[np.ndarray], np.ndarray]:
    """Read the bytes the way evidence.js does."""
    length = int(np.frombuffer(body, "<u4", 1)[0])
    header = json.loads(body[4 : 4 + length])
    at, spans = 4 + length, None
    assert at % 4 == 0
    parts, labels = header["parts"], len(header["labels"])
    if not header["rows"]:
        spans = np.frombuffer(body, "<i4", 2 * parts, at).reshape(parts, 2)
        at += 8 * parts
    matrices = []
    for _ in range(3):
        matrices.append(np.frombuffer(body, "<f2", parts * labels, at).reshape(labels, parts))
        at += 2 * parts * labels
    spread = np.frombuffer(body, "<f2", labels, at)
    at += 2 * labels + 2 * parts * len(header["lanes"])
    at += 2 * parts  # what is left over
    if header["layers"]:
        at += 2 * 2 * parts * labels
    assert at == len(body)
    return header, spans, matrices, spread


def test_matrices_arrive_label_by_label_with_their_ids():
    found = explanation(12, 5, layout=Layout(grid=(3, 4)))
    ids = {name: 10 + k for k, name in enumerate(found.labels)}
    header, spans, (forward, backward, similarity), spread = unpacked(
        present.evidence_bytes(found, ids)
    )
    assert (header["sample"], header["version"], header["rows"], header["cols"]) == (7, 4, 3, 4)
    assert header["labels"] == [10, 11, 12, 13, 14]
    assert header["left_out"] == 0
    assert spans is None
    np.testing.assert_allclose(forward, found.forward.T, atol=1e-3)
    np.testing.assert_allclose(backward, found.backward.T, atol=1e-3)
    np.testing.assert_allclose(similarity, found.similarity.T, atol=1e-3)
    np.testing.assert_allclose(spread, found.spread, atol=1e-3)


def test_a_matrix_too_large_keeps_the_best_labels_and_the_wanted_one(monkeypatch):
    monkeypatch.setattr(present, "MATRIX_CELLS", 24)
    found = explanation(6, 9)
    ids = {name: 100 + k for k, name in enumerate(found.labels)}
    worst = int(np.argmin(found.scores))
    header, *_ = unpacked(present.evidence_bytes(found, ids, wanted=[100 + worst]))
    best = {100 + int(k) for k in np.argsort(-found.scores)[:3]}
    assert set(header["labels"]) == best | {100 + worst}
    assert header["left_out"] == 5


def test_a_label_that_is_gone_is_left_out():
    found = explanation(4, 3)
    header, _, (forward, *_), _ = unpacked(
        present.evidence_bytes(found, {"label 0": 1, "label 2": 3})
    )
    assert header["labels"] == [1, 3]
    np.testing.assert_allclose(forward, found.forward[:, [0, 2]].T, atol=1e-3)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(alphabet="ab é😀𝔘\n", max_size=20))
def test_spans_count_as_a_browser_counts(text):
    """Twin: cutting the UTF-16 form gives the same words as cutting the Python text."""
    cuts = sorted({0, len(text) // 3, len(text) // 2, len(text)})
    spans = list(pairwise(cuts))
    wide = text.encode("utf-16-le")
    for (start, end), (left, right) in zip(spans, present.utf16_spans(text, spans), strict=True):
        assert wide[2 * left : 2 * right].decode("utf-16-le") == text[start:end]


def test_spans_travel_in_browser_units():
    text = "😀 ok"
    found = explanation(2, 1, layout=Layout(spans=((0, 1), (2, 4))))
    _, spans, _, _ = unpacked(present.evidence_bytes(found, {"label 0": 1}, text=text))
    assert spans is not None
    assert spans.tolist() == [[0, 2], [3, 5]]


def test_an_address_holds_the_content_and_a_hostile_project_stays_one_value():
    sample = Sample(3, "a.jpg", Kind.IMAGE, "f" * 64, width=10, height=10)
    url = present.media_url(sample, "a&b=/?#", size=128)
    assert url == "/media/3?project=a%26b%3D%2F%3F%23&v=ffffffffffffffff&size=128"
    assert present.media_url(Sample(3, "t", Kind.TEXT, "f" * 64, text="x"), "p") is None


@pytest.mark.parametrize(
    ("name", "side", "shown", "whole"),
    [
        ("small.jpg", 1000, None, False),
        ("large.jpg", 4000, 2048, True),
        ("scan.TIFF", 500, 2048, False),
    ],
)
def test_large_pictures_come_screen_sized_first(name, side, shown, whole):
    sample = Sample(1, name, Kind.IMAGE, "a" * 64, width=side, height=side)
    first, full = present.shown_urls(sample, "p")
    assert first is not None
    assert ("size=2048" in first) == (shown == 2048)
    assert (full is not None) == whole


def test_a_long_text_is_cut_for_a_list():
    sample = Sample(1, "t", Kind.TEXT, "a" * 64, text="word " * 100)
    handle = present.sample_handle(sample, "p", reason="r", picker="doubt")
    assert handle.text is not None
    assert len(handle.text) <= present.SNIPPET
    assert handle.text.endswith("…")
    assert handle.thumb is None


def test_a_label_keeps_what_the_chips_need():
    label = Label(3, "<b>", pack="p", definition="d", aliases=("x",), parent=1, key="q")
    handle = present.label_handle(label)
    assert (handle.id, handle.name, handle.pack, handle.key, handle.aliases) == (
        3,
        "<b>",
        "p",
        "q",
        ("x",),
    )


def test_what_no_label_claims_comes_last_with_the_ids_of_those_that_claim():
    found = replace(
        explanation(4, 3),
        temperature=0.05,
        unclaimed=np.array([0.1, 0.9, 0.5, 0], np.float32),
        claimers=("label 2", "gone"),
    )
    ids = {name: 10 + k for k, name in enumerate(found.labels)}
    body = present.evidence_bytes(found, ids)
    header, *_ = unpacked(body)
    assert (header["temperature"], header["claimers"]) == (0.05, [12])
    left = np.frombuffer(body[-8:], "<f2")
    np.testing.assert_allclose(left, found.unclaimed, atol=1e-3)
    assert header["range"] == [
        float(np.float16(found.similarity.min())),
        float(np.float16(found.similarity.max())),
    ]


def test_maps_over_layers_come_behind_everything_or_the_reason_why_there_are_none():
    found = explanation(6, 3)
    layered = replace(found, forward=found.forward[::-1], backward=found.backward[:, ::-1])
    ids = {"label 0": 1, "label 2": 3}
    body = present.evidence_bytes(found, ids, layered=layered)
    header, *_ = unpacked(body)
    assert (header["layers"], header["why"]) == (True, "")
    forward, backward = np.frombuffer(body[-2 * 2 * 12 :], "<f2").reshape(2, 2, 6)
    np.testing.assert_allclose(forward, layered.forward[:, [0, 2]].T, atol=1e-3)
    np.testing.assert_allclose(backward, layered.backward[:, [0, 2]].T, atol=1e-3)
    header, *_ = unpacked(present.evidence_bytes(found, ids, layered="no layers with it: none"))
    assert (header["layers"], header["why"]) == (False, "no layers with it: none")
    assert unpacked(present.evidence_bytes(found, ids))[0]["why"] == ""


def test_where_nobody_asked_what_is_left_over_nothing_is_said_to_claim():
    header, *_ = unpacked(present.evidence_bytes(explanation(4, 1), {"label 0": 1}))
    assert header["claimers"] is None
    assert header["temperature"] is None


def test_an_animation_is_shown_as_a_still():
    sample = Sample(1, "film.gif", Kind.IMAGE, "a" * 64, width=20, height=10)
    assert present.shown_urls(sample, "p", is_still=True) == (
        present.media_url(sample, "p", size=present.SCREEN_SIZE),
        None,
    )
