"""The trials of label sets on made sets whose answers are known, their rows and their claims."""

from __future__ import annotations

import numpy as np
import pytest

from backend.bench import doubt, lp_icp
from backend.bench._label_set_trials import Trial, by_bonferroni, by_mass, by_sets, by_threshold
from backend.bench.claims import read_claims
from backend.bench.reports import BENCHES, EXPERIMENTS
from backend.errors import NotFoundError
from backend.settings import Settings


def drawn(seed, *, labels=4, count=120, sharpness=2.5, lie=1.0):
    """Chances that are true (`lie` 1) or as sure as `lie` times the truth, half of it decided."""
    rng = np.random.default_rng(seed)
    logits = sharpness * rng.normal(size=(2 * count, labels))
    truth = rng.random(logits.shape) < 1 / (1 + np.exp(-logits))
    chances = (1 / (1 + np.exp(-lie * logits))).astype(np.float32)
    return Trial(chances[:count], truth[:count], chances[count:], truth[count:], seed)


def test_label_sets_cover_as_promised_where_believing_the_chances_does_not():
    trials = [drawn(seed, lie=4.0) for seed in range(16)]
    ours = np.mean([by_sets(one, 0.8).coverage for one in trials])
    smoothed = np.mean([by_sets(one, 0.8).smoothed for one in trials])
    believed = np.mean([by_mass(one, 0.8) for one in trials])
    assert ours == pytest.approx(0.8, abs=0.03)
    assert smoothed == pytest.approx(0.8, abs=0.03)
    assert believed < 0.7


def test_believing_chances_that_are_true_covers_the_level():
    trials = [drawn(seed) for seed in range(6)]
    assert np.mean([by_mass(one, 0.8) for one in trials]) > 0.78


def test_bonferroni_certifies_nothing_with_few_decided_samples_and_errs_rarely_with_many():
    few = drawn(0, count=30)
    assert by_bonferroni(few, 0.9) == (0.0, 0.0)
    many = [drawn(seed, count=400) for seed in range(6)]
    certified, wrong = np.mean([by_bonferroni(one, 0.9) for one in many], axis=0)
    assert certified > 0
    assert wrong < 0.12


def test_a_threshold_is_right_as_often_as_it_is():
    one = drawn(0)
    assert by_threshold(one) == np.mean(
        [
            (chances >= 0.5).tolist() == truth.tolist()
            for chances, truth in zip(one.measured, one.truth, strict=True)
        ]
    )


def test_rows_say_what_was_measured_and_whether_it_is_enough():
    trials = [drawn(seed) for seed in range(4)]
    rows = [*doubt._coverage_of("made", trials, 0.9), *doubt._certified_of("made", trials)]
    by_name = {row.name.split(": ", 1)[1].split(",")[0]: row for row in rows}
    assert by_name["coverage"].ok
    assert by_name["coverage"].value == pytest.approx(
        np.mean([by_sets(one, 0.9).coverage for one in trials])
    )
    assert by_name["mean coverage with smoothed p-values"].reach == 0.01 + 1 / 121
    certified = next(row for row in rows if row.name.endswith("labels certified"))
    assert certified.ok == (certified.value > certified.baseline_value)


def test_the_search_is_compared_with_every_set(monkeypatch):
    monkeypatch.setattr(doubt, "SEARCHED", 2)
    monkeypatch.setattr(doubt, "SMALL", 8)
    one = drawn(3, labels=doubt.SMALL, count=40)
    rows = list(doubt._small_rows(one))
    assert rows[0].value == 1.0
    assert rows[0].ok


def test_a_search_that_loses_a_set_is_found_out(monkeypatch):
    monkeypatch.setattr(doubt, "SEARCHED", 2)
    monkeypatch.setattr(doubt, "SMALL", 8)
    whole = doubt.label_sets.sets_within
    monkeypatch.setattr(
        doubt.label_sets, "sets_within", lambda costs, budget: whole(costs, budget)[1:]
    )
    rows = list(doubt._small_rows(drawn(3, labels=doubt.SMALL, count=40)))
    assert not rows[0].ok


def test_unknown_parts_are_refused_and_both_are_reached_by_name():
    with pytest.raises(NotFoundError, match="coverage, search, recompute, errors"):
        list(doubt.rows(Settings.from_environ(), say=print, part="mood"))
    assert BENCHES["doubt"] == "backend.bench.doubt"
    assert EXPERIMENTS["lp-icp"] == "backend.bench.lp_icp"


def test_claims_name_arms_and_figures_that_there_are():
    tables = [lp_icp.figures(drawn(seed, count=30, labels=4)) for seed in range(2)]
    for claim in read_claims(lp_icp.NAME):
        told = lp_icp.claim_of(claim, tables)
        assert told["holds"] == (told["difference"] >= claim["reach"])
        sign = -1 if claim["figure"] == lp_icp.AWAY else 1
        assert told["difference"] == pytest.approx(
            sign * (told["measured"] - told["baseline"]), abs=2e-4
        )
