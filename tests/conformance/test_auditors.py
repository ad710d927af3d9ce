"""What every auditor promises."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from backend import catalogue
from backend.types import AuditCase

KEYS = [line.key for line in catalogue.entries("auditors")]
KINDS = {"label", "duplicate", "ambiguous", "import"}
PROPOSALS = {"yes", "no", "unsure", "drop", "relabel", "remove", ""}


def nearest(vectors: np.ndarray, k: int) -> np.ndarray:
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -2)
    return np.argsort(-cosines, axis=1, kind="stable")[:, :k]


def world(seed: int = 0, count: int = 60) -> AuditCase:
    """Labels that vectors show, some turned round, some open, some samples copied."""
    rng = np.random.default_rng(seed)
    axes = np.eye(8)[:4]
    truth = rng.random((count, 4)) < 0.4
    vectors = truth @ axes + rng.normal(scale=0.25, size=(count, 8))
    vectors[1] = vectors[0]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    logits = (8 * (vectors @ axes.T) - 3).astype(np.float32)
    given = np.where(rng.random(truth.shape) < 0.1, ~truth, truth).astype(np.int8)
    given[rng.random(given.shape) < 0.2] = -1
    logits[:, 3] = np.nan  # nobody could judge this one
    hashes = rng.integers(2**63, size=count).astype(np.uint64)
    hashes[1] = hashes[0]
    vectors = vectors.astype(np.float32)
    return AuditCase(
        vectors=vectors,
        given=given,
        logits=logits,
        whole=logits.copy(),
        local=np.nan_to_num(logits) + rng.normal(size=given.shape).astype(np.float32),
        names=("cat", "dog", "boat", "tree"),
        splits=tuple("test" if row % 5 == 0 else "train" for row in range(count)),
        neighbours=nearest(vectors, 9),
        texts=tuple(f"words about sample {row // 2} and more of it" for row in range(count)),
        text_match=np.where(
            rng.random((count, 1)) < 0.2, np.nan, truth + rng.normal(scale=0.3, size=given.shape)
        ).astype(np.float32),
        hashes=hashes,
        imported=rng.random(given.shape) < 0.7,
        known_as=tuple(1 + (row == 7) for row in range(count)),
    )


@pytest.fixture(params=KEYS)
def auditor(request):
    return catalogue.load(request.param)()


def test_findings_are_of_the_named_kind_and_strongest_first(auditor):
    case = world()
    found = auditor.audit(case)
    assert found, "the world has something for everybody"
    assert auditor.kind in KINDS
    strengths = [one.strength for one in found]
    assert strengths == sorted(strengths, reverse=True)
    for one in found:
        assert one.kind == auditor.kind
        assert 0 <= one.strength <= 1
        assert one.proposal in PROPOSALS
        assert len(set(one.rows)) == len(one.rows) >= 1
        assert set(one.rows) <= set(range(60))
        assert set(one.columns) <= set(range(4))
        assert one.reason.strip()
        assert all(np.isfinite(value) for value in one.evidence.values())
        json.dumps(asdict(one))


def test_nothing_is_said_of_a_label_without_a_verdict(auditor):
    case = world()
    for one in auditor.audit(case):
        if one.kind in ("label", "import"):
            assert case.given[one.rows[0], one.columns[0]] >= 0
        if one.kind == "ambiguous":
            assert (case.given[one.rows[0]] >= 0).any()
    silent = replace(case, given=np.full_like(case.given, -1))
    assert [one for one in auditor.audit(silent) if one.kind != "duplicate"] == []


def test_the_order_of_samples_changes_no_strength(auditor):
    case = world()
    order = np.random.default_rng(5).permutation(60)
    place = np.argsort(order)
    assert case.imported is not None
    assert case.text_match is not None
    assert case.hashes is not None
    moved = replace(
        case,
        vectors=case.vectors[order],
        given=case.given[order],
        logits=case.logits[order],
        whole=case.whole[order],
        local=case.local[order],
        splits=tuple(case.splits[at] for at in order),
        neighbours=place[case.neighbours[order]],
        texts=tuple(case.texts[at] for at in order),
        text_match=case.text_match[order],
        hashes=case.hashes[order],
        imported=case.imported[order],
        known_as=tuple(case.known_as[at] for at in order),
    )

    def told(found, back):
        return {
            (frozenset(back[row] for row in one.rows), one.columns[:1]): one.strength
            for one in found
        }

    here = told(auditor.audit(case), np.arange(60))
    there = told(auditor.audit(moved), order)
    assert here.keys() == there.keys()
    assert all(there[key] == pytest.approx(value, abs=1e-6) for key, value in here.items())


def test_same_answer_twice_and_inputs_unchanged(auditor):
    case = world()
    arrays = {name: value for name, value in vars(case).items() if isinstance(value, np.ndarray)}
    before = {name: value.copy() for name, value in arrays.items()}
    assert auditor.audit(case) == auditor.audit(case)
    for name, value in before.items():
        np.testing.assert_array_equal(arrays[name], value)


def test_empty_cases_do_no_harm(auditor):
    none = np.zeros((0, 0), np.float32)
    empty = AuditCase(
        vectors=np.zeros((0, 8), np.float32),
        given=none.astype(np.int8),
        logits=none,
        whole=none,
        local=none,
        names=(),
        splits=(),
        neighbours=none.astype(np.int64),
    )
    assert auditor.audit(empty) == []
    case = world()
    alone = replace(
        case,
        vectors=case.vectors[:1],
        given=case.given[:1],
        logits=case.logits[:1],
        whole=case.whole[:1],
        local=case.local[:1],
        splits=case.splits[:1],
        neighbours=np.zeros((1, 0), np.int64),
        texts=case.texts[:1],
        text_match=None,
        hashes=None,
        imported=None,
        known_as=(1,),
    )
    assert isinstance(auditor.audit(alone), list)
