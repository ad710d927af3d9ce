"""Explore's routes on a real project of texts: arrays, shapes, filters, searches, bulk verdicts."""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Iterator
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.testclient import TestClient

from backend import api
from tests.backend import text_projects
from ui.app import _say, _say_what_is_wrong
from ui.context import Context
from ui.routes import bulk, finding, points, saved_slices

HOSTILE = "<img src=x onerror=alert(1)> ${7*7} {{x}}"
TEXTS = [*text_projects.TEXTS[:12], HOSTILE, text_projects.TEXTS[13]]
LABELS = ["animal", "food", "<b>transport</b>"]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's folder, made once; every test works on a copy."""
    home = tmp_path_factory.mktemp("explore")
    settings = api.Settings.from_environ({**os.environ, "PATCHLANE_HOME": str(home)})
    made = api.create_project("words", labels=LABELS, encoder="words", settings=settings)
    file = home / "texts.jsonl"
    rows = [
        {"sample": f"t{i:02d}", "text": text, "split": "val" if i % 5 == 0 else "train"}
        for i, text in enumerate(TEXTS)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = made.add(file)
    assert report.imported == len(TEXTS), report.errors
    made.close()
    return made.path


@pytest.fixture
def bench(settings: api.Settings, prepared: Path) -> Iterator[api.Workbench]:
    shutil.copytree(prepared, settings.home / "words")
    made = api.open_project("words", settings=settings)
    yield made
    made.close()


@pytest.fixture
def context(settings: api.Settings, bench: api.Workbench) -> Context:
    made = Context(settings, "words")
    made._open[bench.path] = bench
    return made


@pytest.fixture
def web(context: Context) -> Iterator[TestClient]:
    app = FastAPI()
    app.add_exception_handler(api.PatchlaneError, _say)
    app.add_exception_handler(RequestValidationError, _say_what_is_wrong)
    for module in (points, finding, bulk, saved_slices):
        app.include_router(module.router(context))
    with TestClient(app) as client:
        yield client


def unpack(body: bytes) -> dict[int, tuple[float, float, float]]:
    n = struct.unpack("<I", body[8:12])[0]
    ids = np.frombuffer(body, "<u4", n, 40)
    x, y, colour = (np.frombuffer(body, "<f4", n, 40 + 4 * n * k) for k in (1, 2, 3))
    return {
        int(i): (float(a), float(b), float(c)) for i, a, b, c in zip(ids, x, y, colour, strict=True)
    }


def ids_of(bench: api.Workbench) -> dict[str, int]:
    return {sample.name: sample.id for sample in bench.samples()}


def label_of(bench: api.Workbench, name: str) -> int:
    return next(label.id for label in bench.labels() if label.name == name)


def test_points_are_the_map_with_the_colours_asked_for(
    web: TestClient, bench: api.Workbench
) -> None:
    food = label_of(bench, "food")
    answer = web.get("/pl/api/points", params={"by": "label", "label": food})
    found = unpack(answer.content)
    truth = bench.map()
    colours = bench.colours("label", label=food)
    assert found == {
        int(i): (float(xy[0]), float(xy[1]), float(c))
        for i, xy, c in zip(truth.ids, truth.xy, colours, strict=True)
    }
    again = web.get(
        "/pl/api/points",
        params={"by": "label", "label": food},
        headers={"If-None-Match": answer.headers["etag"]},
    )
    assert (again.status_code, again.content) == (304, b"")
    sample = bench.samples()[0].id
    bench.correct([{"sample": sample, "label": food, "verdict": "no"}])
    after = web.get(
        "/pl/api/points",
        params={"by": "label", "label": food},
        headers={"If-None-Match": answer.headers["etag"]},
    )
    assert after.status_code == 200


def test_the_likeliest_label_is_the_best_suggestion(web: TestClient, bench: api.Workbench) -> None:
    answer = web.get("/pl/api/points", params={"by": "best"})
    names = json.loads(answer.headers["x-pl-groups"])
    assert set(names) <= set(LABELS)
    best = {s.sample: s.suggestions[0].label for s in bench.suggest()}
    assert {i: names[int(c)] for i, (_, _, c) in unpack(answer.content).items()} == best


def test_verdict_colours_follow_the_log(web: TestClient, bench: api.Workbench) -> None:
    food = label_of(bench, "food")
    ids = ids_of(bench)
    said = {"t04": "yes", "t00": "no", "t05": "unsure"}
    bench.correct([{"sample": n, "label": food, "verdict": v} for n, v in said.items()])
    colours = unpack(web.get("/pl/api/points", params={"by": "verdict", "label": food}).content)
    assert [colours[ids[n]][2] for n in said] == [1, 0, 0.5]
    assert np.isnan(colours[ids["t10"]][2])
    share = unpack(web.get("/pl/api/points", params={"by": "decided"}).content)
    assert share[ids["t04"]][2] == pytest.approx(1 / 3)


def test_a_lasso_holds_what_ray_casting_says(web: TestClient, bench: api.Workbench) -> None:
    place = bench.map()
    (left, bottom), (right, top) = place.xy.min(axis=0), place.xy.max(axis=0)
    width, height = right - left, top - bottom
    # an arrow head with a notch, so that an even-odd mistake shows
    fx, fy = [0.0, 1.0, 0.55, 1.0], [-0.1, 0.2, 0.5, 1.1]
    x = [float(left + f * width) for f in fx]
    y = [float(bottom + f * height) for f in fy]

    def is_inside(px: float, py: float) -> bool:
        """Count the edges to the right of the point, one by one."""
        crossings = 0
        for k in range(len(x)):
            (ax, ay), (bx, by) = (x[k - 1], y[k - 1]), (x[k], y[k])
            if (ay > py) != (by > py) and px < ax + (py - ay) / (by - ay) * (bx - ax):
                crossings += 1
        return crossings % 2 == 1

    twin = {int(i) for i, (px, py) in zip(place.ids, place.xy, strict=True) if is_inside(px, py)}
    assert 0 < len(twin) < len(TEXTS)
    found = web.post("/pl/api/inside", json={"kind": "lasso", "x": x, "y": y}).json()
    assert (set(found["ids"]), found["count"]) == (twin, len(twin))
    # filters narrow it
    val = {s.id for s in bench.samples() if s.split == "val"}
    some = web.post(
        "/pl/api/inside", json={"kind": "lasso", "x": x, "y": y, "filters": ["split:val"]}
    ).json()
    assert set(some["ids"]) == twin & val


def test_a_shape_drawn_on_an_older_map_is_refused(web: TestClient) -> None:
    version = web.get("/pl/api/facets").json()["map_version"]
    shape = {"kind": "box", "x": [-9, 9], "y": [-9, 9]}
    assert web.post("/pl/api/inside", json={**shape, "map_version": version}).json()["count"] == 14
    late = web.post("/pl/api/inside", json={**shape, "map_version": version + 1})
    assert (late.status_code, "draw it again" in late.json()["detail"]) == (409, True)


def test_orders_hold_every_sample_once_and_follow_their_scores(
    web: TestClient, bench: api.Workbench
) -> None:
    food = label_of(bench, "food")

    def order(**query: Any) -> list[int]:
        return np.frombuffer(web.get("/pl/api/order", params=query).content, "<u4").tolist()

    names = {sample.id: sample.name for sample in bench.samples()}
    assert [names[i] for i in order()] == sorted(names.values())
    likely = dict(zip(bench.map().ids.tolist(), bench.colours("label", label=food), strict=True))
    ranked = order(order="label", label=food)
    assert sorted(ranked) == sorted(names)
    assert all(likely[a] >= likely[b] for a, b in pairwise(ranked))
    val = order(order="label", label=food, filter="split:val")
    assert [names[i] for i in val] == [n for n in map(names.get, ranked) if int(n[1:]) % 5 == 0]


def test_a_sample_that_takes_the_place_of_another_is_seen_at_once(
    web: TestClient, bench: api.Workbench, tmp_path: Path
) -> None:
    """As many samples as before, and nobody said anything: only what is stored has changed."""
    first = web.get("/pl/api/order")
    bench.remove_samples(["t03"])
    file = tmp_path / "more.jsonl"
    rows = [
        {"sample": "t99", "text": "a late train", "split": "test"},
        {"sample": "t00", "split": "test"},
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    assert not bench.add(file, on_conflict="replace").errors
    asked = web.get("/pl/api/order", headers={"If-None-Match": first.headers["ETag"]})
    names = {sample.id: sample.name for sample in bench.samples()}
    assert asked.status_code == 200
    shown = [names.get(i) for i in np.frombuffer(asked.content, "<u4").tolist()]
    assert shown == sorted(names.values())
    facets = web.get("/pl/api/facets").json()
    wanted: dict[str, int] = {}
    for sample in bench.samples():
        wanted[str(sample.split)] = wanted.get(str(sample.split), 0) + 1
    assert facets["splits"] == wanted
    assert facets["splits"]["test"] == 2


def test_pages_and_orders_agree_and_names_are_text(web: TestClient, bench: api.Workbench) -> None:
    page = web.get("/pl/api/page", params={"offset": 3, "limit": 4}).json()
    assert page["total"] == len(TEXTS)
    assert [card["name"] for card in page["samples"]] == ["t03", "t04", "t05", "t06"]
    card = web.get("/pl/api/page", params={"ids": ids_of(bench)["t12"], "top": 2}).json()[
        "samples"
    ][0]
    assert card["text"] == TEXTS[12]
    best = next(s for s in bench.suggest([card["id"]]))
    assert [g["label"] for g in card["top"]] == [s.label for s in best.suggestions[:2]]
    for unknown in ("999999", "9" * 20):
        ids = f"{card['id']},{unknown}"
        told = web.get("/pl/api/page", params={"ids": ids}).json()["samples"]
        assert [one["id"] for one in told] == [card["id"]]


def test_search_by_words_finds_and_marks_the_words(web: TestClient, bench: api.Workbench) -> None:
    found = web.get("/pl/api/search", params={"text": "cat", "k": 3}).json()
    first = found["hits"][0]
    assert first["name"] in ("t00", "t08")
    text = TEXTS[int(first["name"][1:])]
    assert "cat" in " ".join(text[start:end] for start, end in first["spans"])
    assert [h["score"] for h in found["hits"]] == sorted(
        (h["score"] for h in found["hits"]), reverse=True
    )


def test_a_search_looks_among_what_the_filters_leave(web: TestClient, bench: api.Workbench) -> None:
    """Whatever is asked, k=1 gives the best of the filtered and not the best of all."""
    val = {sample.id for sample in bench.samples() if str(sample.split) == "val"}
    ids = ids_of(bench)
    asked: list[dict[str, object]] = [
        {"text": "cat"},
        {"query": "food & ~animal"},
        {"sample": next(i for i in val)},
        {"sample": next(i for i in ids.values() if i not in val)},
    ]
    for one in asked:
        everything = web.get("/pl/api/search", params={**one, "k": 100}).json()["hits"]
        first = next(hit for hit in everything if hit["sample"] in val)
        (best,) = web.get("/pl/api/search", params={**one, "k": 1, "filter": "split:val"}).json()[
            "hits"
        ]
        assert best == first
    seeds = [ids["t06"], ids["t07"]]
    everything = web.post("/pl/api/search", json={"ids": seeds}, params={"k": 100}).json()["hits"]
    within = [hit for hit in everything if hit["sample"] in val]
    params = {"k": 2, "filter": "split:val"}
    found = web.post("/pl/api/search", json={"ids": seeds}, params=params).json()["hits"]
    assert [hit["sample"] for hit in found] == [hit["sample"] for hit in within[:2]]


def test_a_formula_is_a_filter_that_leaves_all_it_holds_for(
    web: TestClient, bench: api.Workbench
) -> None:
    ids = ids_of(bench)
    bench.correct([{"sample": "t00", "label": "food", "verdict": "yes"}])
    hits = bench.search(query="food & ~animal", k=100)
    likely = {hit.sample for hit in hits if hit.score > 0.5}
    assert 0 < len(likely) < len(ids)
    answer = web.get("/pl/api/order", params={"filter": "formula:food & ~animal"})
    assert set(np.frombuffer(answer.content, "<u4").tolist()) == likely
    said = web.get("/pl/api/order", params={"filter": "formula:food & anmial"})
    assert said.status_code == 400
    assert "'anmial' at character 8; the nearest is animal" in said.json()["detail"]


def test_a_match_far_down_a_text_is_shown_with_its_words() -> None:
    far = "😀 " * 300 + "a sleeping cat and more. " + "words " * 200
    at = far.index("cat")
    piece, spans = finding.excerpt(far, [(at, at + 3), (0, 1)])
    utf16 = piece.encode("utf-16-le")
    assert [utf16[2 * a : 2 * b].decode("utf-16-le") for a, b in spans] == ["cat"]
    assert len(piece) <= finding.SNIPPET + 2
    assert piece.startswith("… ")
    # at the beginning the card's own text holds it, and wide characters count double
    piece, spans = finding.excerpt("😀 the cat", [(6, 9)])
    assert (piece, spans) == ("", [(7, 10)])
    assert finding.excerpt("", []) == ("", [])
    long_word = "x" * 900
    piece, spans = finding.excerpt(long_word, [(600, 900)])
    assert (piece, spans) == ("… " + "x" * 380, [(82, 382)])


def test_search_by_a_sample_and_by_several(web: TestClient, bench: api.Workbench) -> None:
    ids = ids_of(bench)
    one = web.get("/pl/api/search", params={"sample": ids["t05"], "k": 5}).json()["hits"]
    assert (one[0]["sample"], round(one[0]["score"], 5)) == (ids["t05"], 1.0)
    trains = [ids["t06"], ids["t07"]]
    several = web.post("/pl/api/search", json={"ids": trains}, params={"k": 4}).json()["hits"]
    assert not {h["sample"] for h in several} & set(trains)
    assert several[0]["name"] in ("t09", "t10")


def test_search_by_these_but_not_those(web: TestClient, bench: api.Workbench) -> None:
    ids = ids_of(bench)
    body = {"ids": [ids["t00"], ids["t08"]], "not": [ids["t01"], ids["t12"]]}
    found = web.post("/pl/api/search", json=body, params={"k": 4}).json()["hits"]
    twin = bench.search(like=body["ids"], unlike=body["not"], k=4)
    assert [h["sample"] for h in found] == [hit.sample for hit in twin]
    assert not {h["sample"] for h in found} & {*body["ids"], *body["not"]}
    for wrong, words in (
        ({"ids": [], "not": [1]}, "1 to 1,000 samples"),
        ({"not": [1]}, "1 to 1,000 samples"),
        ({"ids": [ids["t00"]], "not": [ids["t00"]]}, "t00 cannot be both like and unlike"),
        ({"ids": [10**20]}, "1 to 1,000 samples"),
        ({"ids": [ids["t00"]], "not": [-(10**20)]}, "1 to 1,000 samples"),
        ({"query": "@selection", "selection": [10**20]}, "1 to 1,000 samples"),
    ):
        said = web.post("/pl/api/search", json=wrong)
        assert (said.status_code, words in said.json()["detail"]) == (400, True), said.text


def test_a_formula_may_speak_of_slices_the_selection_and_words(
    web: TestClient, bench: api.Workbench
) -> None:
    ids = ids_of(bench)
    chosen = [ids["t01"], ids["t06"]]
    bench.save_slice("late", ["t06", "t07"])
    body = {"query": '@late & @Selection | "heavy rain"', "selection": chosen}
    found = web.post("/pl/api/search", json=body, params={"k": 5}).json()
    assert (found["formula"], found["words"]) == (
        '(@late & @selection) | "heavy rain"',
        ["heavy rain"],
    )
    assert found["hits"][0]["name"] == "t06"
    assert found["hits"][0]["score"] == 1
    assert found["hits"][1]["score"] < 1
    plain = web.post("/pl/api/search", json={"query": "bread and butter"}, params={"k": 3}).json()
    assert (plain["formula"], len(plain["hits"])) == ("", 3)
    only = web.get("/pl/api/search", params={"query": "@late"}).json()
    assert [h["name"] for h in only["hits"]] == ["t06", "t07"]
    nothing = web.get("/pl/api/search", params={"query": "@selection"})
    assert (nothing.status_code, "nothing is selected" in nothing.json()["detail"]) == (400, True)
    unknown = web.get("/pl/api/search", params={"query": "food & @lete"})
    assert "the nearest is @late" in unknown.json()["detail"]


def test_slices_are_saved_counted_filtered_by_and_undone(
    web: TestClient, bench: api.Workbench
) -> None:
    ids = ids_of(bench)

    def ask(how: str, **body: Any) -> Any:
        return web.post(f"/pl/api/slices/{how}", json={"op": f"slices-{how}-1", **body})

    def order(only: str) -> list[int]:
        answer = web.get("/pl/api/order", params={"filter": only})
        return np.frombuffer(answer.content, "<u4").tolist()

    some = [ids["t00"], ids["t03"], ids["t05"]]
    first = ask("save", name="<b>odd</b>", ids=some).json()
    assert first == {"op": "slices-save-1", "slices": {"<b>odd</b>": 3}}
    assert ask("save", name="<b>odd</b>", ids=some).json() == first, "the same op once more"
    before = web.get("/pl/api/order", params={"filter": "slice:<b>odd</b>"})
    assert order("slice:<b>odd</b>") == some
    assert order("slice:<b>odd</b>\nsplit:val") == [ids["t00"], ids["t05"]]
    shared = web.post("/pl/api/selection", json={"ids": [ids["t01"], ids["t03"]]}).json()
    assert shared["slices"] == {"<b>odd</b>": 1}
    assert ask("take", name="<B>ODD</B>", ids=[ids["t03"], ids["t04"]]).json()["slices"] == {
        "<b>odd</b>": 2
    }
    tag = {"If-None-Match": before.headers["etag"]}
    again = web.get("/pl/api/order", params={"filter": "slice:<b>odd</b>"}, headers=tag)
    assert again.status_code == 200, "the order is another, though nothing else changed"
    assert web.get("/pl/api/facets").json()["slices"] == {"<b>odd</b>": 2}
    assert ask("remove", name="<b>odd</b>").json()["slices"] == {}
    gone = web.get("/pl/api/order", params={"filter": "slice:<b>odd</b>"})
    assert (gone.status_code, "no saved slices yet" in gone.json()["detail"]) == (404, True)
    bench.undo(op="slices-remove-1")
    assert web.get("/pl/api/facets").json()["slices"] == {"<b>odd</b>": 2}
    for wrong in ({"name": "x", "ids": []}, {"name": "x"}, {"name": "x", "ids": [1], "more": 1}):
        assert ask("save", **wrong).status_code == 422
    assert ask("save", name="x", ids=[424242], op="slices-save-2").status_code == 404
    assert ask("save", name="", ids=[ids["t00"]], op="slices-save-3").status_code == 400


def test_a_query_is_a_formula_or_words(web: TestClient, bench: api.Workbench) -> None:
    bench.correct([{"sample": "t06", "label": "food", "verdict": "yes"}])

    def ask(query: str, by: str = "query") -> Any:
        return web.get("/pl/api/search", params={by: query, "k": 5}).json()

    found = ask("food and not (animal)")
    assert found["formula"] == "food & ~animal"
    best = bench.search(query="food & ~animal", k=5)
    assert [(h["name"], h["score"]) for h in found["hits"]] == [(h.name, h.score) for h in best]
    assert "t06" in [hit.name for hit in best]
    assert ask(f'~"{LABELS[2]}"')["formula"] == f"~{LABELS[2]}"
    for words in ("bread and butter", "food", "(food)"):
        assert ask(words) == ask(words, by="text")
        assert ask(words)["formula"] == ""
    assert ask("food and animal", by="text")["formula"] == "", "words where words are asked for"


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/pl/api/search", 400, "search by text or by a sample"),
        ("/pl/api/search?text=cat&sample=1", 400, "search by text or by a sample"),
        ("/pl/api/search?text=cat&query=food", 400, "search by text or by a sample"),
        ("/pl/api/search?query=food%26anmial", 400, "'anmial' at character 6; the nearest is an"),
        ("/pl/api/search?query=(food|animal", 400, "'(' at character 1 is never closed"),
        ("/pl/api/search?sample=424242", 404, "424242"),
        ("/pl/api/search?sample=²", 404, "no sample named '²'"),
        (f"/pl/api/search?sample={'9' * 20}", 404, f"no sample named '{'9' * 20}'"),
        (f"/pl/api/search?sample={'9' * 900}", 404, "no sample named '999"),
        ("/pl/api/search?sample=1&region=left", 400, "a region is x,y,width,height in 0..1"),
        ("/pl/api/search?sample=1&region=0,0,1,1", 400, "this project holds texts"),
        ("/pl/api/points?by=label", 400, "say which label"),
        ("/pl/api/points?by=label&label=424242", 404, "424242"),
        ("/pl/api/points?box=1,2,x", 400, "four numbers"),
        ("/pl/api/order?filter=label:424242:yes", 404, "no label has the id 424242"),
        ("/pl/api/facets?project=elsewhere", 404, "elsewhere"),
    ],
)
def test_what_cannot_be_answered_is_said(
    web: TestClient, path: str, status: int, words: str
) -> None:
    answer = web.get(path)
    assert (answer.status_code, words in answer.json()["detail"]) == (status, True), answer.text


def test_a_picture_for_texts_and_too_much_are_refused(
    web: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = web.post("/pl/api/search", content=b"\x89PNG", headers={"Content-Type": "image/png"})
    assert (said.status_code, "holds texts" in said.json()["detail"]) == (400, True)
    assert web.post("/pl/api/search", content=b"").status_code == 400
    monkeypatch.setattr(finding, "IMAGE_BYTES", 1000)
    large = web.post("/pl/api/search", content=b"x" * 1001, headers={"Content-Type": "image/png"})
    assert large.status_code == 403


# --- bulk ---------------------------------------------------------------------------------------


def test_one_bulk_verdict_is_one_action_and_one_undo(web: TestClient, bench: api.Workbench) -> None:
    ids, food = ids_of(bench), label_of(bench, "food")
    bench.correct([{"sample": "t04", "label": food, "verdict": "yes"}])
    bench.correct([{"sample": "t05", "label": food, "verdict": "no"}])
    before = bench.verdicts()
    chosen = [ids[n] for n in ("t04", "t05", "t09", "t11")]
    forecast = web.post("/pl/api/selection", json={"ids": chosen}).json()
    row = next(label for label in forecast["labels"] if label["id"] == food)
    assert (row["yes"], row["no"], row["unsure"], row["unknown"]) == (1, 1, 0, 2)
    order = {"ids": chosen, "labels": [food], "verdict": "yes", "op": "bulk-0001"}
    done = web.post("/pl/api/bulk", json=order).json()
    assert (done["changed"], done["contradicted"], done["unchanged"]) == (3, 1, 1)
    assert web.post("/pl/api/bulk", json=order).json() == done, "said again, not done again"
    after = bench.verdicts()
    assert [after[i][food] for i in chosen] == ["yes"] * 4
    assert bench.undo("me") is not None
    assert bench.verdicts() == before


def test_a_bulk_verdict_under_the_id_of_another_action_is_refused(
    web: TestClient, bench: api.Workbench
) -> None:
    ids, food = ids_of(bench), label_of(bench, "food")
    bench.save_slice("night", ["t04"], op="used-0001")
    bench.correct([{"sample": "t05", "label": food, "verdict": "no"}], who="ben", op="used-0002")
    for op in ("used-0001", "used-0002"):
        order = {"ids": [ids["t09"]], "labels": [food], "verdict": "yes", "op": op}
        said = web.post("/pl/api/bulk", json=order)
        assert (said.status_code, "was used before" in said.json()["detail"]) == (400, True)


def test_verdicts_that_say_otherwise_can_stay(web: TestClient, bench: api.Workbench) -> None:
    ids, food = ids_of(bench), label_of(bench, "food")
    bench.correct([{"sample": "t05", "label": food, "verdict": "no"}])
    order = {"ids": [ids["t05"], ids["t09"]], "labels": [food], "verdict": "yes", "op": "bulk-0002"}
    done = web.post("/pl/api/bulk", json={**order, "replace": False}).json()
    assert (done["changed"], done["contradicted"]) == (1, 0)
    now = bench.verdicts()
    assert (now[ids["t05"]][food], now[ids["t09"]][food]) == ("no", "yes")
    back = {**order, "verdict": None, "op": "bulk-0003"}
    assert web.post("/pl/api/bulk", json=back).json()["changed"] == 2
    assert not any(bench.verdicts().get(i, {}).get(food) for i in order["ids"])


def test_a_bulk_verdict_on_something_that_is_not_there_stores_nothing(
    web: TestClient, bench: api.Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids, food = ids_of(bench), label_of(bench, "food")
    order = {"ids": [ids["t05"], 424242], "labels": [food], "verdict": "yes", "op": "bulk-0004"}
    assert web.post("/pl/api/bulk", json=order).status_code == 404
    assert (
        web.post("/pl/api/bulk", json={**order, "ids": [ids["t05"]], "labels": [77]}).status_code
        == 404
    )
    for wrong, said in (
        ({"verdict": "maybe"}, "verdict: input should be 'yes', 'no' or 'unsure'"),
        ({"ids": []}, "ids: list should have at least 1 item"),
        ({"ids": ["<b>"]}, "ids.0: input should be a valid integer"),
        ({"op": "../../etc"}, "op: string should match pattern"),
    ):
        answer = web.post("/pl/api/bulk", json={**order, **wrong})
        assert answer.status_code == 422
        assert answer.json()["detail"].startswith("the request was not understood and nothing")
        assert said in answer.json()["detail"]
    broken = web.post("/pl/api/bulk", content=b"{", headers={"Content-Type": "application/json"})
    assert "is no JSON" in broken.json()["detail"]
    assert "by: input should be 'best'" in web.get("/pl/api/points?by=x").json()["detail"]
    monkeypatch.setattr(bulk, "MOST_PAIRS", 1)
    many = web.post("/pl/api/bulk", json={**order, "ids": [ids["t05"], ids["t06"]]})
    assert (many.status_code, "at most 1" in many.json()["detail"]) == (400, True)
    assert bench.verdicts() == {}


def test_removed_samples_come_back_with_their_verdicts(
    web: TestClient, bench: api.Workbench
) -> None:
    ids, food = ids_of(bench), label_of(bench, "food")
    bench.correct([{"sample": "t05", "label": food, "verdict": "no"}])
    before = bench.verdicts()
    order = {"ids": [ids["t05"], ids["t09"], ids["t09"]], "op": "remove-01"}
    done = web.post("/pl/api/remove", json=order)
    assert done.json() == {"op": "remove-01", "removed": 2}
    assert web.post("/pl/api/remove", json=order).json() == done.json()
    assert web.get("/pl/api/facets").json()["samples"] == len(TEXTS) - 2
    assert not {ids["t05"], ids["t09"]} & {sample.id for sample in bench.samples()}
    gone = web.post("/pl/api/remove", json={**order, "op": "remove-02"})
    assert (gone.status_code, "any more" in gone.json()["detail"]) == (404, True)
    assert bench.undo("me") is not None
    assert ids_of(bench) == ids
    assert bench.verdicts() == before


def test_a_page_of_an_earlier_project_of_the_name_changes_nothing(
    web: TestClient, bench: api.Workbench
) -> None:
    uid, sample = web.get("/pl/api/facets").json()["uid"], bench.samples()[0].id
    orders = {
        "bulk": {"ids": [sample], "labels": [1], "verdict": "yes", "op": "bulk-0006"},
        "slices/save": {"name": "night", "ids": [sample], "op": "slice-0006"},
        "remove": {"ids": [sample], "op": "remove-06"},
    }
    for what, order in orders.items():
        said = web.post(f"/pl/api/{what}", params={"uid": "of-another"}, json=order)
        assert (said.status_code, "reload the page" in said.json()["detail"]) == (409, True)
    assert (bench.verdicts(), bench.saved_slices(), len(bench.samples())) == ({}, {}, len(TEXTS))
    for what, order in orders.items():
        assert web.post(f"/pl/api/{what}", params={"uid": uid}, json=order).status_code == 200


def test_a_read_only_server_stores_nothing(
    web: TestClient, context: Context, bench: api.Workbench
) -> None:
    context.is_read_only = True
    order = {
        "ids": [bench.samples()[0].id],
        "labels": [label_of(bench, "food")],
        "verdict": "yes",
        "op": "bulk-0005",
    }
    assert web.post("/pl/api/bulk", json=order).status_code == 403
    removal = {"ids": order["ids"], "op": "remove-03"}
    assert web.post("/pl/api/remove", json=removal).status_code == 403
    assert bench.verdicts() == {}
    assert web.get("/pl/api/facets").json()["read_only"] is True


def test_another_model_s_scores_colour_the_map_and_its_vectors_find(
    web: TestClient, bench: api.Workbench, tmp_path: Path
) -> None:
    rows = [{"sample": f"t{i:02d}", "label": "animal", "score": i / 13} for i in range(14)]
    (tmp_path / "rival.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    bench.add(tmp_path / "rival.jsonl")
    names = np.array([row["sample"] for row in rows])
    angles = np.linspace(0, 1.5, 14)
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    np.savez(tmp_path / "line.npz", names=names, vectors=vectors)
    bench.add(tmp_path / "line.npz")
    facts = web.get("/pl/api/facets").json()
    assert facts["brought"] == {"predictions": ["rival"], "vectors": ["line"]}

    animal = bench.labels()[0].id
    drawn = unpack(web.get(f"/pl/api/points?by=brought&label={animal}&source=rival").content)
    by_id = {sample: colour for sample, (_, _, colour) in drawn.items()}
    said = {sample.id: int(sample.name[1:]) / 13 for sample in bench.samples()}
    assert by_id == pytest.approx(said)
    order = np.frombuffer(web.get("/pl/api/order?order=disagree").content, "<u4")
    apart = {
        i: abs(said[i] - chance) for i, chance in zip(said, bench.chances()[:, 0], strict=True)
    }
    assert order.tolist() == sorted(apart, key=lambda i: -apart[i])

    hits = web.get("/pl/api/search?sample=t05&vectors=line&k=3").json()["hits"]
    assert hits[0]["name"] == "t05"
    assert {hit["name"] for hit in hits[1:]} == {"t04", "t06"}
    for query, status in (
        ("by=brought&source=rival", 400),
        (f"by=brought&label={animal}", 400),
        (f"by=brought&label={animal}&source=nobody", 404),
    ):
        assert web.get(f"/pl/api/points?{query}").status_code == status
    assert web.get("/pl/api/search?text=cat&vectors=line").status_code == 400


def test_captions_come_once_for_a_state_of_the_map(web: TestClient, bench: api.Workbench) -> None:
    answer = web.get("/pl/api/captions")
    assert answer.headers["content-type"] == "application/json"
    told = answer.json()
    assert told["map_version"] == web.get("/pl/api/facets").json()["map_version"]
    assert told["levels"] == [
        [{**asdict(one), "says": list(one.says), "box": list(one.box)} for one in level]
        for level in bench.captions()
    ]
    tag = {"If-None-Match": answer.headers["etag"]}
    assert web.get("/pl/api/captions", headers=tag).status_code == 304
    bench.correct([{"sample": "t00", "label": "food", "verdict": "no"}])
    assert web.get("/pl/api/captions", headers=tag).status_code == 200


def test_facets_count_what_their_filters_find(
    web: TestClient, bench: api.Workbench, tmp_path: Path
) -> None:
    rows = [{"sample": f"t{i:02d}", "label": "animal", "score": i / 13} for i in range(14)]
    (tmp_path / "rival.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    bench.add(tmp_path / "rival.jsonl")
    said = [{"sample": f"t{i:02d}", "label": "food", "verdict": "yes"} for i in range(6)]
    bench.correct(said)
    bench.learn()
    for who, verdict in (("ann", "yes"), ("ben", "no")):
        row = {"sample": "t09", "label": "animal", "verdict": verdict}
        bench.correct([row], who=who)
    counted = web.get("/pl/api/facets").json()["counted"]
    assert set(counted) == {"doubt", "disagree", "changed", "people"}
    for counts in counted.values():
        for text, number in counts.items():
            ids = np.frombuffer(web.get("/pl/api/order", params={"filter": text}).content, "<u4")
            assert len(ids) == number > 0, text
    # an order that follows what the model says is another one once it says something else
    text = next(iter(counted["doubt"]))
    before = web.get("/pl/api/order", params={"filter": text})
    bench.correct([{"sample": "t13", "label": "food", "verdict": "no"}])
    bench.learn()
    tag = {"If-None-Match": before.headers["etag"]}
    assert web.get("/pl/api/order", params={"filter": text}, headers=tag).status_code == 200
    wrong = web.get("/pl/api/order", params={"filter": "changed:1:99"})
    assert (wrong.status_code, "no version 99" in wrong.json()["detail"]) == (404, True)


def test_what_is_read_meanwhile_is_counted_and_ranked_before_anything_is_learned(
    web: TestClient, context: Context, settings: api.Settings, tmp_path: Path
) -> None:
    file = tmp_path / "texts.jsonl"
    file.write_text("".join(json.dumps({"sample": text, "text": text}) + "\n" for text in TEXTS))
    made = api.create_project("late", labels=LABELS, encoder="words", settings=settings)
    made.add(file, encode=False)
    context._open[made.path] = made
    late = {"project": "late"}
    asked = ({"order": "doubt"}, {"order": "name", "filter": "doubt:any:0:2"})
    before = [web.get("/pl/api/order", params={**late, **one}) for one in asked]
    assert [len(answer.content) // 4 for answer in before] == [len(TEXTS), 0]
    assert web.get("/pl/api/facets", params=late).json()["counted"] == {}
    assert made.encode() == len(TEXTS)
    facets = web.get("/pl/api/facets", params=late).json()
    assert sum(facets["counted"]["doubt"].values()) == len(TEXTS)
    assert facets["version"] == 0
    after = [
        web.get(
            "/pl/api/order",
            params={**late, **one},
            headers={"If-None-Match": answer.headers["etag"]},
        )
        for one, answer in zip(asked, before, strict=True)
    ]
    assert [answer.status_code for answer in after] == [200, 200]
    assert [len(answer.content) // 4 for answer in after] == [len(TEXTS)] * 2
    # the order of names is as it was, whatever was read
    plain = web.get("/pl/api/order", params=late).headers["etag"]
    made.live.resync()
    tag = {"If-None-Match": plain}
    assert web.get("/pl/api/order", params=late, headers=tag).status_code == 304
    made.close()


def test_what_a_browser_keeps_of_a_project_is_not_of_another(
    web: TestClient, settings: api.Settings, tmp_path: Path
) -> None:
    file = tmp_path / "texts.jsonl"
    file.write_text('{"sample": "a", "text": "a cat"}\n{"sample": "b", "text": "a bus"}\n')
    for name in ("one", "other"):
        made = api.create_project(name, labels=LABELS, encoder="words", settings=settings)
        made.add(file)
        made.close()
    for path in ("order", "points", "captions", "density"):
        tags = {
            web.get(f"/pl/api/{path}", params={"project": name}).headers["etag"]
            for name in ("one", "other")
        }
        assert len(tags) == 2, path
