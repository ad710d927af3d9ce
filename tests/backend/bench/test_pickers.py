"""The simulated person: what counts as an answer, and what each way of asking asks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backend.bench import pickers
from backend.bench._labelling import (
    Course,
    Labelling,
    Point,
    full_quality,
    labelled,
    reached,
)
from backend.types import Features


@pytest.fixture(scope="module")
def small():
    """Five labels, each a direction of its own; names say a little."""
    rng = np.random.default_rng(0)

    def part(count):
        truth = rng.random((count, 5)) < np.array([0.4, 0.3, 0.2, 0.1, 0.08])
        vectors = truth @ np.eye(5, 16) + 0.6 * rng.normal(size=(count, 16))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        hint = (truth + rng.normal(size=truth.shape)).astype(np.float32)
        return Features(vectors.astype(np.float32), hint, hint), truth

    pool, test = part(160), part(200)
    names = [f"label {i}" for i in range(5)]
    return Course("small", names, pool[0], pool[1], test[0], test[1])


def test_an_answer_is_a_pair_and_nothing_else_is_learned(small):
    run = Labelling(small)
    pairs = np.zeros_like(run.known)
    pairs[3, 1] = pairs[3, 2] = pairs[8, 1] = True
    run.answer(pairs)
    run.answer(pairs)  # answered again: no new answer, no sample opened
    assert run.point().answers == 3
    assert run.opened == 2
    assert np.nansum(run.verdicts == small.truth) == 3
    assert np.isnan(run.verdicts).sum() == run.known.size - 3
    untouched = run.state["weights"][[0, 3, 4]]
    assert not untouched.any()
    assert run.state["weights"][1].any()


def test_each_way_asks_about_as_many_pairs_as_it_says(small):
    run = Labelling(small)
    run.answer(np.arange(160)[:, None] < 6 + np.zeros(5))
    for ask in (pickers.few_of("stages"), pickers.few_of("random"), pickers.random_pairs):
        pairs = ask(run, 20, 1)
        assert not (pairs & run.known).any()
        assert 20 <= pairs.sum() <= 22
    whole = pickers.whole_of("doubt")(run, 20, 1)
    assert whole.sum() == 20
    assert set(whole.sum(axis=1)) == {0, 5}
    few = pickers.few_of("stages")(run, 20, 1)
    assert few.sum(axis=1).max() <= 3


def test_small_text_is_asked_in_the_same_unit(small):
    pytest.importorskip("small_text")
    run = Labelling(small)
    (ask,) = pickers.peers().values()
    first = ask(run, 20, 1)
    run.answer(first)
    pairs = ask(run, 20, 2)
    assert first.sum() == pairs.sum() == 20
    assert not (pairs & run.known).any()


def test_where_it_is_reached_is_read_off_between_rounds():
    points = [Point(0, 0, 0.2), Point(100, 10, 0.4), Point(200, 30, 0.6)]
    assert reached(points, 0.5) == (150, 20)
    assert reached(points, 0.1) == (0, 0)
    assert reached(points, 0.9) == (200, 30)


def test_the_rows_say_what_was_measured(small):
    told: list[str] = []
    rows = list(pickers.of_course(small, told.append, seeds=1))
    by_name = {(row.name, row.baseline): row for row in rows}
    default = by_name["small: answers to 90 % of full mAP, default", "whole samples at random"]
    assert default.reach == pytest.approx(default.baseline_value / 2)
    assert default.ok == (default.value <= default.reach)
    full = full_quality(small)
    points = labelled(small, pickers.few_of("stages"), until=0.9 * full, seed=0)
    assert default.value == pytest.approx(reached(points, 0.9 * full)[0])
    assert 0 < default.value < small.truth.size


def test_a_set_whose_names_are_enough_is_labelled_as_if_they_said_nothing(small):
    strange = small.strange()
    assert not strange.pool.global_scores.any()
    assert not strange.test.local_scores.any()
    assert strange.pool.pooled is small.pool.pooled


@pytest.mark.slow
def test_where_names_are_enough_what_answers_add_to_them_is_counted(small):
    def well_named(features, truth):
        hint = (2.0 * truth + 0.8 * np.random.default_rng(1).normal(size=truth.shape)).astype(
            np.float32
        )
        return replace(features, global_scores=hint, local_scores=hint)

    known = replace(
        small,
        pool=well_named(small.pool, small.truth),
        test=well_named(small.test, small.test_truth),
    )
    full, start = full_quality(known), Labelling(known).quality()
    assert 0.9 * full < start < full
    rows = list(pickers.of_course(known, str, seeds=1))
    by_name = {(row.name, row.baseline): row for row in rows}
    told = "small: answers to 90 % of what all answers add to names, default"
    default = by_name[told, "whole samples at random"]
    until = start + 0.9 * (full - start)
    points = labelled(known, pickers.few_of("stages"), until=until, seed=0)
    assert default.value == pytest.approx(reached(points, until)[0])
    nameless = "small, names unknown: answers to 90 % of full mAP, default"
    assert by_name[nameless, "whole samples at random"].value > 0
    assert not any("names unknown" in row.name and "entropy" in row.name for row in rows)
