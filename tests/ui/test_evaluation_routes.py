"""The evaluation as the Learn page asks for it: numbers, the samples behind them, tables."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from backend import api
from tests.ui.conftest import HOSTILE, ORIGIN
from ui.app import _say, _say_what_is_wrong
from ui.context import Context
from ui.routes import evaluation, items, packs, points

HERE = "/pl/api/evaluation"
THINGS = ("cat", "dog", "bread", "soup", "bus")
NAMES = (*THINGS, HOSTILE, "=1+cmd")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> api.Settings:
    """A home with "words": texts of things, mostly decided, from two places; and "blank".

    "sure" is decided completely and has a calibration drawer.
    """
    folder = tmp_path_factory.mktemp("evaluation")
    settings = api.Settings.from_environ({**os.environ, "PATCHLANE_HOME": str(folder / "home")})
    random, rows, answers = np.random.default_rng(3), [], []
    for number in range(90):
        about = {THINGS[number % 5], THINGS[int(random.integers(5))]}
        rows.append(
            {
                "sample": f"{'home' if number % 3 else 'town'}/t{number}",
                "text": f"{number}: {' and '.join(sorted(about))}",
                "split": "val" if number % 2 else "train",
            }
        )
        for name in NAMES:
            draw = random.random()
            if draw > 0.2:
                is_so = (name in about) != (draw > 0.9)
                said = "yes" if is_so or name == HOSTILE else "no"
                answers.append({"sample": rows[-1]["sample"], "label": name, "verdict": said})
    file = folder / "texts.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    whole = [
        {**row, "label": thing, "verdict": "yes" if thing in row["text"] else "no"}
        for row in rows
        for thing in NAMES
    ]
    for row in whole:
        row.pop("text")
        row.pop("split")
    for name in ("words", "blank", "sure"):
        bench = api.create_project(name, labels=NAMES, encoder="words", settings=settings)
        bench.add(file)
        if name == "sure":
            bench.certainty.open_drawer(share=0.5)
        if name != "blank":
            bench.correct(answers if name == "words" else whole)
            bench.learn()
        bench.close()
    return settings


def client(home: api.Settings, **options: bool) -> TestClient:
    context = Context(home, default_project="words", **options)
    app = FastAPI()
    app.add_exception_handler(api.PatchlaneError, _say)
    app.add_exception_handler(Exception, _say_what_is_wrong)
    for routes in (evaluation, items, packs, points):
        app.include_router(routes.router(context))
    app.router.on_shutdown.append(context.close)
    return TestClient(app, base_url=ORIGIN)


@pytest.fixture(scope="module")
def web(home: api.Settings) -> Iterator[TestClient]:
    with client(home) as found:
        found.params = {"project": "words"}  # type: ignore[assignment]
        yield found


def asked(web: TestClient, path: str = "", **query: object) -> dict:
    answer = web.get(HERE + path, params={"project": "words", "split": "val", **query})
    assert answer.status_code == 200, answer.text
    return answer.json()


def samples(web: TestClient, *filters: str, project: str = "words") -> int:
    """How many samples Explore shows for these filters."""
    answer = web.get("/pl/api/order", params={"project": project, "filter": "\n".join(filters)})
    assert answer.status_code == 200, answer.text
    return len(answer.content) // 4


@pytest.mark.parametrize("unknown", ["masked", "no", "complete"])
def test_a_number_is_the_samples_that_explore_shows_for_it(web: TestClient, unknown: str) -> None:
    told = asked(web, unknown=unknown)
    base, no = told["base"], ["no", "unknown"] if unknown == "no" else ["no"]
    assert told["told"]["unknown"] == unknown
    rows = asked(web, "/labels", unknown=unknown)["rows"]
    assert {row["name"] for row in rows} == set(NAMES)
    for row in rows:
        yes, said = f"label:{row['id']}:yes", f"said:{row['id']}"
        is_no = [f"label:{row['id']}:{state}" for state in no]
        assert row["yes"] == samples(web, *base, yes)
        assert row["no"] == samples(web, *base, *is_no)
        assert row["misses"] == samples(web, *base, yes, f"{said}:no")
        assert row["alarms"] == samples(web, *base, *is_no, f"{said}:yes")
    found = asked(web, "/instead", unknown=unknown)
    for pair in found["rows"]:
        a, b = pair["missed"]["id"], pair["said"]["id"]
        filters = (f"label:{a}:yes", f"said:{a}:no", f"said:{b}:yes")
        assert pair["count"] == samples(
            web, *base, *filters, *(f"label:{b}:{state}" for state in no)
        )
    assert found["rows"] or unknown == "complete"
    for one in asked(web, "/slices", unknown=unknown, by="source")["rows"]:
        assert one["n"] == samples(web, *base, one["filter"])


def test_each_figure_of_the_summary_opens_as_many_samples_as_it_says(web: TestClient) -> None:
    for query in ({}, {"unknown": "no"}, {"filter": "source:town"}):
        told = asked(web, **query)
        assert set(told["figures"]) == {
            *("mAP", "mAP_micro", "mAP_weighted", "ece"),
            *told["told"]["f1"]["threshold"],
        }
        numbers = set()
        for by_way in told["figures"].values():
            for figure in by_way.values():
                for behind in filter(None, figure.values()):
                    assert samples(web, *told["base"], behind["filter"]) == behind["samples"]
                    numbers.add(behind["samples"])
        assert len(numbers) > 5, "they are not all the same samples"
    # Another filter in Explore narrows the same pairs.
    one = told["figures"]["OP"]["threshold"]["wrong"]["filter"]
    town, home = (samples(web, "split:val", f"source:{name}", one) for name in ("town", "home"))
    assert town + home == samples(web, "split:val", one)


def test_a_matrix_holds_the_counts_of_its_pairs(web: TestClient) -> None:
    for path, one, other in (("/instead", "missed", "said"), ("/together", "one", "other")):
        found = asked(web, path)
        place = {label["id"]: k for k, label in enumerate(found["labels"])}
        table = np.array(found["matrix"])
        assert table.shape == (len(place), len(place))
        for pair in found["rows"]:
            assert table[place[pair[one]["id"]], place[pair[other]["id"]]] == pair["count"]
        assert table.sum() == sum(p["count"] for p in found["rows"]) * (2 if one == "one" else 1)
    for pair in asked(web, "/together")["rows"]:
        a, b = pair["one"]["id"], pair["other"]["id"]
        assert pair["count"] == samples(web, "split:val", f"label:{a}:yes", f"label:{b}:yes")
        decided = [f"label:{c}:{state}" for c in (a, b) for state in ("yes", "no")]
        assert pair["known"] == samples(web, "split:val", *decided)
        said = (f"said:{a}:yes", f"said:{b}:yes")
        assert pair["said"] == samples(web, "split:val", *decided, *said)


def test_labels_come_in_pieces_in_the_order_asked_for(web: TestClient) -> None:
    whole = asked(web, "/labels", sort="ap")
    values = [row["ap"] for row in whole["rows"]]
    known = [value for value in values if value is not None]
    assert known == sorted(known, reverse=True)
    assert values == [*known, *[None] * (len(values) - len(known))]
    assert None in values, "a label with only YES has no AP and comes last"
    rising = [row["ap"] for row in asked(web, "/labels", sort="ap", is_rising=True)["rows"]]
    assert rising[: len(known)] == sorted(known)
    piece = asked(web, "/labels", sort="ap", offset=2, limit=3)
    assert piece["rows"] == whole["rows"][2:5]
    assert piece["total"] == len(NAMES)
    assert [row["name"] for row in asked(web, "/labels", find="SOU")["rows"]] == ["soup"]


def test_a_slice_asks_the_same_of_fewer_samples(web: TestClient) -> None:
    whole, town = asked(web), asked(web, filter="source:town")
    assert 0 < town["told"]["n"] < whole["told"]["n"]
    assert town["told"]["slice"] == ["source:town"]
    assert town["base"] == ["split:val", "source:town"]
    rows = {row["name"]: row for row in asked(web, "/slices", by="source")["rows"]}
    assert rows["town"]["n"] == town["told"]["n"] == samples(web, "split:val", "source:town")
    assert rows["town"]["mAP"] == town["told"]["mAP"]
    nothing = asked(web, filter="source:moon")
    assert (nothing["told"]["n"], nothing["told"]["mAP"]) == (0, None)


def test_tables_are_csv_that_runs_nothing(web: TestClient) -> None:
    label = asked(web, "/labels", find="cat")["rows"][0]["id"]
    for name, more in (
        *((name, {}) for name in ("scores", "labels", "instead", "together", "calibration")),
        ("curve", {}),
        ("slices", {"by": "source"}),
        ("threshold", {"id": label}),
    ):
        query = {"project": "words", "split": "val", "name": name, **more}
        answer = web.get(f"{HERE}/table", params=query)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].startswith("text/csv")
        assert f"words-{name}.csv" in answer.headers["content-disposition"]
        rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
        assert len(rows) > 1, name
        assert len({len(row) for row in rows}) == 1
        assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@"))]
    query = {"project": "words", "name": "moon"}
    assert "no table 'moon'" in web.get(f"{HERE}/table", params=query).json()["detail"]


def test_a_threshold_is_kept_and_taken_back_on_the_page(web: TestClient) -> None:
    row = asked(web, "/labels", find="cat")["rows"][0]
    curve = asked(web, "/label", id=row["id"])
    assert curve["score"] == row
    order = {"thresholds": {row["id"]: 0.9}, "op": "op-threshold-1"}
    assert web.post(f"{HERE}/thresholds", json=order).json()["changed"] == 1
    assert web.post(f"{HERE}/thresholds", json=order).status_code == 200  # repeated, done once
    after = asked(web, "/labels", find="cat")["rows"][0]
    assert (after["threshold"], after["is_chosen"]) == (0.9, True)
    hits = int(np.array(curve["hits"])[np.array(curve["thresholds"]) >= 0.9].max(initial=0))
    assert after["hits"] == hits
    said = f"said:{row['id']}:yes"
    assert samples(web, "split:val", f"label:{row['id']}:yes", said) == hits
    taken = web.post("/pl/api/undo", json={}).json()
    assert taken["deed"]["kind"] == "set thresholds"
    assert taken["deed"]["names"] == ["cat"]
    assert asked(web, "/labels", find="cat")["rows"][0] == row
    best = web.post(f"{HERE}/best", json={"split": "val", "op": "op-best-of-all"}).json()
    rows = asked(web, "/labels")["rows"]
    assert best["changed"] == sum(one["is_chosen"] for one in rows) > 2
    for one in rows:
        if one["is_chosen"]:
            assert one["threshold"] == one["best"]
            assert one["f1"] == pytest.approx(one["best_f1"])
    web.post("/pl/api/undo", json={})
    assert not any(one["is_chosen"] for one in asked(web, "/labels")["rows"])


def test_what_cannot_be_asked_is_said(web: TestClient) -> None:
    for path, query, words in (
        ("", {"split": "moon"}, "unknown split 'moon'"),
        ("", {"unknown": "perhaps"}, "undecided pairs can be"),
        ("", {"filter": "colour:red"}, "'colour:red' cannot be read"),
        ("/slices", {"by": "meta:moon"}, "no 'meta:moon' to slice by"),
        ("/label", {"id": 999}, "there is no label 999"),
    ):
        answer = web.get(HERE + path, params={"project": "words", **query})
        assert answer.status_code in (400, 404)
        assert words in answer.json()["detail"]
    bad = web.post(f"{HERE}/thresholds", json={"thresholds": {1: 1.5}, "op": "op-too-high"})
    assert (bad.status_code, "from 0 to 1" in bad.json()["detail"]) == (400, True)
    none = web.post(
        f"{HERE}/best", params={"project": "blank"}, json={"split": "val", "op": "op-best-none"}
    )
    assert (none.status_code, "no threshold is better" in none.json()["detail"]) == (409, True)


def test_a_project_without_verdicts_has_an_empty_evaluation(web: TestClient) -> None:
    def get(path: str, **query: object) -> dict:
        answer = web.get(HERE + path, params={"project": "blank", **query})
        assert answer.status_code == 200, answer.text
        return answer.json()

    told = get("")
    assert (told["told"]["n"], told["num_verdicts"]) == (0, 0)
    assert all(row["ap"] is None and row["yes"] == 0 for row in get("/labels")["rows"])
    for path in ("/instead", "/together"):
        assert (get(path)["rows"], get(path)["matrix"]) == ([], [])
    assert get("/calibration")["shown"]["counts"] == []
    assert get("/slices", by="label")["rows"] == []
    label = get("/labels")["rows"][0]["id"]
    assert get("/label", id=label)["thresholds"] == []
    table = web.get(f"{HERE}/table", params={"project": "blank", "name": "instead"})
    assert table.content.decode("utf-8-sig") == "missed,said instead,samples\n"


def test_certainty_is_told_with_what_it_buys(web: TestClient) -> None:
    def get(project: str, level: float) -> dict:
        query = {"project": project, "split": "val", "level": level}
        answer = web.get(f"{HERE}/certainty", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    nothing = get("words", 0.9)
    assert "no calibration drawer" in nothing["why"]
    assert (nothing["abstention"]["points"], nothing["coverage"]) == ([], [])
    found = get("sure", 0.8)
    assert (found["why"], found["level"]) == ("", 0.8)
    assert found["counted"] > 10
    points = {point["level"]: point for point in found["abstention"]["points"]}
    assert 0.8 in points
    assert found["abstention"]["pairs"] == 45 * len(NAMES)
    for point in points.values():
        share = point["num_answered"] / found["abstention"]["pairs"]
        assert point["answered"] == pytest.approx(share)
        assert point["low"] <= point["num_wrong"] / point["num_answered"] <= point["high"]
    assert sum(found["widths"]["samples"]) == 90 - found["drawer"]["members"]
    # The sentence links what it counts: the drawer's samples, and those with a label left.
    assert samples(web, "drawer:counted", project="sure") == found["counted"]
    widths = get("sure", 0.95)["widths"]
    left = [samples(web, f"width:0.95:{n}", project="sure") for n in widths["undecided"]]
    assert left == widths["samples"]
    some = [shown for n, shown in zip(widths["undecided"], left, strict=True) if n]
    assert samples(web, "width:0.95:1+", project="sure") == sum(some)
    total = sum(n * shown for n, shown in zip(widths["undecided"], left, strict=True))
    assert widths["mean"] == pytest.approx(total / sum(left))
    query = {"project": "sure", "split": "val", "name": "abstention"}
    table = web.get(f"{HERE}/table", params=query).content.decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(table)))
    assert [float(row["level"]) for row in rows] == sorted(points)
    for row in rows:
        assert int(row["pairs answered"]) == points[float(row["level"])]["num_answered"]
    table = web.get(f"{HERE}/table", params={"project": "sure", "name": "coverage"})
    assert table.content.decode("utf-8-sig").startswith("claimed,from,to,samples,realised")


def test_a_read_only_server_keeps_no_threshold(home: api.Settings) -> None:
    with client(home, is_read_only=True) as web:
        assert web.get(HERE, params={"split": "val"}).json()["read_only"]
        order = {"thresholds": {1: 0.4}, "op": "op-read-only-1"}
        assert web.post(f"{HERE}/thresholds", json=order).status_code == 403
        assert web.post(f"{HERE}/best", json={"op": "op-read-only-2"}).status_code == 403
