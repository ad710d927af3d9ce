"""What the experiment counts: halves that do not meet, equal numbers of examples, claims."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from backend.bench import instructions
from backend.bench._instruction_data import MOST_PHOTOS, SETS, Shown, chosen_photos
from backend.bench.claims import read_claims
from backend.numerics.exemplars import SHARES, mixed


def made(pictures: int = 60, side: int = 4, dim: int = 12) -> Shown:
    """Two labels, each with two looks that one cell of a picture has; other cells are noise."""
    draw = np.random.default_rng(0)
    looks = np.linalg.qr(draw.normal(size=(dim, dim)))[0][:4]
    labels = np.stack([looks[:2].sum(axis=0), looks[2:].sum(axis=0)]) / 2**0.5
    truth = draw.random((pictures, 2)) < 0.4
    parts = draw.normal(size=(pictures, side * side, dim))
    for row, label in zip(*np.nonzero(truth), strict=True):
        look = looks[2 * label + draw.integers(2)]
        parts[row, draw.integers(side * side)] = 8 * look + 0.5 * draw.normal(size=dim)
    parts /= np.linalg.norm(parts, axis=-1, keepdims=True)
    return Shown(
        name="made",
        names=["one", "two"],
        truth=truth,
        pooled=parts.mean(axis=1).astype(np.float32),
        parts=parts.astype(np.float16),
        grid=(side, side),
        labels=labels.astype(np.float32),
    )


def test_every_arm_is_measured_on_all_labels() -> None:
    known = made()
    found = instructions.measured(known, seed=0)
    assert found["labels"] == 2
    arms = set(found) - {"labels"}
    assert all(0 < found[arm] <= 1 for arm in arms)
    claims = read_claims(instructions.NAME)
    assert {claim["data"] for claim in claims} == set(SETS)
    assert {claim[side] for claim in claims for side in ("arm", "baseline")} <= arms
    assert instructions.measured(known, seed=0) == found


def test_the_name_is_judged_by_its_nearest_cell_on_the_half_that_is_held_out() -> None:
    """A twin with scikit-learn."""
    known = made()
    order = np.random.default_rng(3).permutation(len(known.truth))
    held = np.sort(order[len(order) // 2 :])
    parts = known.parts.astype(np.float32)
    want = [
        average_precision_score(known.truth[held, k], (parts[held] @ known.labels[k]).max(axis=1))
        for k in range(2)
    ]
    found = instructions.measured(known, seed=3)[instructions.LABEL_NAME]
    assert found == pytest.approx(np.mean(want), abs=1e-3)


def test_a_label_with_too_few_pictures_is_left_out() -> None:
    known = made()
    known.truth[:, 1] = False
    known.truth[:2, 1] = True
    assert instructions.measured(known, seed=0)["labels"] == 1


def test_at_most_so_many_photos_of_a_label_whatever_their_order() -> None:
    rows = [{"file": f"{n}.jpg", "labels": ["a"] if n % 3 else ["b", "c"]} for n in range(300)]
    chosen = chosen_photos(rows, ["a", "b"])
    told = [[name in row["labels"] for row in chosen] for name in ("a", "b")]
    assert [sum(each) for each in told] == [MOST_PHOTOS, MOST_PHOTOS]
    assert chosen_photos(rows[::-1], ["a", "b"]) == chosen


def test_a_claim_holds_only_if_it_does_on_every_seed() -> None:
    runs = {"x": [{"a": 0.5, "b": 0.4}, {"a": 0.5, "b": 0.495}]}
    claim = {"claim": "", "data": "x", "arm": "a", "baseline": "b", "reach": 0.01, "expected": True}
    told = instructions.claim_of(claim, runs)
    assert not told["holds"]
    assert told["difference"] == pytest.approx(0.0525)
    assert instructions.claim_of({**claim, "reach": 0.001}, runs)["holds"]


def test_a_crop_beside_the_name_is_the_sum_of_both_cosines() -> None:
    draw = np.random.default_rng(0)
    crops, parts = (draw.normal(size=(n, 6)).astype(np.float32) for n in (3, 9))
    name = draw.normal(size=6).astype(np.float32)
    for share in SHARES:
        told = parts @ mixed(crops, name, share).T
        want = [[share * p @ c + (1 - share) * p @ name for c in crops] for p in parts]
        np.testing.assert_allclose(told, want, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(mixed(crops, name, 1.0), crops)
