"""The queue of an open project: what pickers are told, what samples ask, what answers bring."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from backend import api, catalogue, picking
from backend.errors import NotFoundError
from backend.settings import Settings

WORDS = {
    "animal": ["cat", "dog", "rabbit", "horse", "kitten", "sheep"],
    "food": ["bread", "soup", "rice", "cake", "cheese", "salad"],
    "transport": ["train", "bus", "tram", "bicycle", "airplane", "taxi"],
}
NAMES = list(WORDS)
PICKERS = [entry.key.split("/")[1] for entry in catalogue.entries("pickers")]


def texts() -> list[tuple[str, set[str]]]:
    """60 texts of one or two kinds."""
    rng = np.random.default_rng(0)
    found = []
    for number in range(60):
        kinds = {NAMES[number % 3]} | ({NAMES[int(rng.integers(3))]} if number % 2 else set())
        words = [WORDS[kind][int(rng.integers(6))] for kind in sorted(kinds)]
        found.append((f"{' and the '.join(words)} number {number} of today", kinds))
    return found


@pytest.fixture
def bench(settings: Settings, tmp_path: Path) -> Iterator[api.Workbench]:
    path = tmp_path / "texts.jsonl"
    rows = [{"sample": f"t{i}", "text": text} for i, (text, _) in enumerate(texts())]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = api.create_project("words", labels=NAMES, encoder="words", settings=settings)
    made.add(path)
    yield made
    made.close()


def decide(bench: api.Workbench, numbers: range, labels: list[str] = NAMES) -> None:
    truth = [kinds for _, kinds in texts()]
    bench.correct(
        [
            {"sample": f"t{i}", "label": name, "verdict": "yes" if name in truth[i] else "no"}
            for i in numbers
            for name in labels
        ]
    )


@pytest.mark.parametrize("name", PICKERS)
def test_every_picker_gives_open_samples_with_a_reason_and_questions(bench, name):
    decide(bench, range(20))
    decide(bench, range(20, 24), NAMES[:2])
    bench.learn()
    entries = bench.next(100, picker=name)
    assert {entry.name for entry in entries} == {f"t{i}" for i in range(20, 60)}
    assert all(entry.reason and entry.picker == name for entry in entries)
    by_name = {entry.name: entry for entry in entries}
    for i in range(20, 24):
        assert by_name[f"t{i}"].labels == (NAMES[2],)  # the others are decided
    assert all(1 <= len(entry.labels) <= 3 for entry in entries)


def test_the_default_is_the_policy_and_an_unknown_picker_is_named(bench):
    assert {entry.picker for entry in bench.next(3)} == {"stages"}
    assert bench.next(3)[0].reason.startswith("typical")
    with pytest.raises(NotFoundError, match="nonsense"):
        bench.next(3, picker="nonsense")


def test_parts_come_from_the_store(bench):
    decide(bench, range(20))
    entries = bench.next(10, picker="part_centres")
    assert len(entries) == 10
    for entry in entries:
        assert "of its parts are unlike any part seen so far" in entry.reason


def test_a_person_against_the_model_is_told(bench):
    decide(bench, range(30))
    truth = texts()[40][1]
    wrong = next(name for name in NAMES if name in truth)
    bench.correct([{"sample": "t40", "label": wrong, "verdict": "no"}])
    bench.learn()
    by_name = {entry.name: entry for entry in bench.next(40, picker="disagreement")}
    assert by_name["t40"].score > 0
    assert all(" by " in e.reason or "a person said" in e.reason for e in by_name.values())


def test_a_picker_of_any_name_is_told_what_it_needs(bench, monkeypatch):
    decide(bench, range(20))

    class Asking:
        fingerprint = "asking"

        def __init__(self, *needs):
            self.needs = frozenset(needs)

        def pick(self, scores, pooled, decided, *, k, seed=0, label_names=(), facts=None):
            self.facts = facts
            return []

    certain = SimpleNamespace(why="", state=np.zeros((60, 3), int))
    monkeypatch.setattr(bench.certainty, "sets", lambda: certain)
    for needs in ((), ("opinions",), ("undecided",), ("opinions", "undecided")):
        method = Asking(*needs)
        monkeypatch.setattr(bench.pipeline, "other_picker", lambda _key, it=method: it)
        assert bench.next(5, picker="anything") == []
        assert bool(method.facts.opinions) == ("opinions" in needs)
        assert (method.facts.undecided is not None) == ("undecided" in needs)


def test_rows_that_a_table_excludes_are_not_in_the_queue(bench):
    board = bench.board
    rows = np.arange(len(board.samples))
    excluded = rows % 2 == 0
    table = picking.Table(board, rows, range(3), excluded)
    method = catalogue.load("pickers/doubt")()
    entries = picking.queue(table, method, "pickers/doubt", k=100, seed=0)
    assert {entry.name for entry in entries} == {f"t{i}" for i in range(1, 60, 2)}


def test_another_order_is_a_disagreement_and_another_scale_is_not(bench):
    board = bench.board
    table = picking.Table(board, np.arange(60), range(3))
    own = table.chances
    same = picking._at_ranks(own, 100 * own - 7)
    np.testing.assert_allclose(same, own)
    turned = picking._at_ranks(own, -own)
    assert turned[own[:, 0].argmax(), 0] == own[:, 0].min()
    some = own.copy()
    some[:5] = np.nan
    assert np.isnan(picking._at_ranks(own, some)[:5]).all()


def test_neighbours_say_the_weighted_share_of_yes_as_written_out(bench):
    decide(bench, range(20))
    board = bench.board
    table = picking.Table(board, np.arange(60), range(3))
    said, vectors = table.verdicts(), board.pooled
    told = picking._neighbours(table)
    for row in (5, 33):
        near = sorted(
            (j for j in range(20) if j != row), key=lambda j: -(vectors[row] @ vectors[j])
        )
        near = near[: picking.NEIGHBOURS]
        weight = np.exp(picking.SHARP * (vectors[near] @ vectors[row] - 1))
        expected = (weight[:, None] * said[near]).sum(axis=0) / weight.sum()
        np.testing.assert_allclose(told[row], expected, rtol=1e-4)
    nobody = picking.Table(board, np.arange(40, 60), range(3))
    assert np.isnan(picking._neighbours(nobody)).all()


def test_the_forecast_needs_versions_and_then_says_what_comes(bench):
    assert bench.forecast().gain is None
    assert "too few versions" in bench.forecast().text
    for start in range(0, 48, 8):
        decide(bench, range(start, start + 8))
        bench.learn()
    told = bench.forecast()
    assert told.gain is not None
    assert told.gain >= 0
    assert told.text.startswith("the next 100 answers will bring about")
    # By definition: of the held-back mAP of these versions, over rows of the log.
    points = [(p.offset, p.mAP) for p in bench.packs.curve() if p.mAP is not None]
    offsets = np.array([p[0] for p in points], float)
    again = picking.forecast(offsets, np.array([p[1] for p in points]))
    assert told == again


def test_a_curve_is_looked_at_from_the_newest_in_growing_steps():
    offsets = list(range(1, 400))
    kept = [offsets[at] for at in picking.spaced(offsets)]
    assert kept[-1] == 399
    assert len(kept) == picking.POINTS
    assert all(b / a >= picking.RATIO for a, b in pairwise(kept))
    assert picking.spaced([]) == []


def test_it_may_stop_where_little_comes_and_forecasts_were_no_better():
    answers = np.array([100.0, 200, 400, 800, 1600, 3200])
    flat = np.array([0.50, 0.60, 0.70, 0.701, 0.702, 0.701])
    assert picking.forecast(answers, flat).text.endswith("you may stop here")
    early = answers / 10  # a hundred more are worth a lot here
    assert "stop" not in picking.forecast(early, 0.1 * np.log(early)).text
