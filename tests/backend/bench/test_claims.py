"""Claims against figures that were put there, and the report of an experiment by its recipe."""

from __future__ import annotations

import numpy as np
import pytest

from backend.bench import claims
from backend.bench.reports import EXPERIMENTS

CLAIM = {"claim": "c", "data": "d", "arm": "a", "baseline": "b", "figure": "f", "expected": True}
TABLES = [{"a": {"f": value}, "b": {"f": 0.5}} for value in (0.58, 0.64)]


def test_a_claim_holds_by_the_mean_of_the_seeds():
    held = claims.claim_of({**CLAIM, "reach": 0.1}, TABLES)
    assert (held["holds"], held["difference"], held["spread"]) == (True, 0.11, 0.03)
    assert not claims.claim_of({**CLAIM, "reach": 0.12}, TABLES)["holds"]


def test_where_each_seed_is_asked_the_worst_one_decides():
    asked = {**CLAIM, "each_seed": True}
    assert claims.claim_of({**asked, "reach": 0.07}, TABLES)["holds"]
    assert not claims.claim_of({**asked, "reach": 0.1}, TABLES)["holds"]


def test_differences_are_told_seed_by_seed_where_that_is_asked():
    ours, theirs = np.array([0.58, 0.64]), np.array([0.5, 0.7])
    told = claims.compared({**CLAIM, "reach": 0.0}, ours, theirs, metric="m", tells_seeds=True)
    assert told["of_each_seed"] == [0.08, -0.06]
    assert "of_each_seed" not in claims.compared({**CLAIM, "reach": 0.0}, ours, theirs, metric="m")


def test_a_report_measures_each_set_of_the_recipe_once(monkeypatch):
    asked = [{**CLAIM, "data": data, "reach": 0.1} for data in ("x", "y", "x")]
    monkeypatch.setattr(claims, "read_claims", lambda name: asked if name == "made" else [])
    measured = []
    told = claims.of_tables("made", "own", lambda data: measured.append(data) or TABLES)
    assert measured == ["x", "y"]
    assert [one["data"] for one in told["claims"]] == ["x", "y", "x"]
    assert told["figures"] == {data: {"a": {"f": 0.61}, "b": {"f": 0.5}} for data in "xy"}
    assert set(told) == {"name", "source", "seconds", "claims", "figures"}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_has_claims_with_a_verdict_to_expect(name):
    found = claims.read_claims(name)
    assert found
    assert all(isinstance(one["expected"], bool) for one in found)
