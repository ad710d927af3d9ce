"""The Label page's requests, asked as a browser asks them, on a real project of short texts."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from backend import api, encoding
from tests.ui.conftest import routes_only
from tests.ui.test_present import unpacked
from ui.app import _say
from ui.context import Context
from ui.routes import items

TEXTS = (
    "The bus to the airport was late again",
    "My suitcase did not arrive with the plane",
    "The soup was cold and the waiter rude",
    "We loved the dessert and the friendly waiter",
    "The train ticket was cheap",
    "The room had a view of the sea",
)
LABELS = ("transport", "food", "hotel", "<img src=x onerror=alert(1)>")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project is made once; each test works on a copy of its folder."""
    home = tmp_path_factory.mktemp("template")
    file = home / "texts.jsonl"
    file.write_text("\n".join(json.dumps({"text": text}) for text in TEXTS), "utf-8")
    bench = api.create_project(
        "trip",
        labels=LABELS,
        kind=api.Kind.TEXT,
        encoder="words",
        settings=replace(api.Settings.from_environ(), home=home),
    )
    bench.add(file, who="importer")
    bench.close()
    return home / "trip"


@pytest.fixture
def context(settings: api.Settings, template: Path) -> Iterator[Context]:
    shutil.copytree(template, settings.home / "trip")
    context = Context(settings, "trip")
    yield context
    context.close()


@pytest.fixture
def client(context: Context) -> TestClient:
    app = FastAPI()
    app.add_exception_handler(api.PatchlaneError, _say)
    app.include_router(items.router(context))
    return TestClient(app, base_url="http://127.0.0.1")


def ids(context: Context) -> dict[str, int]:
    return {label.name: label.id for label in context.open().labels()}


def commit(client: TestClient, *rows: tuple[int, int, str | None], op: str = "operation-1"):
    body = {
        "op": op,
        "rows": [{"sample": s, "label": label, "verdict": v} for s, label, v in rows],
        "seen_version": 0,
    }
    return client.post("/pl/api/commit", json=body)


def test_the_queue_gives_samples_with_reasons_and_all_labels(client, context):
    queue = client.get("/pl/api/queue?picker=doubt&k=4").json()
    assert queue["project"] == "trip"
    assert queue["kind"] == "text"
    assert [label["name"] for label in queue["labels"]] == list(LABELS)
    assert len(queue["entries"]) == 4
    assert (queue["samples"], queue["encoded"], queue["is_reading"]) == (6, 6, False)
    assert all(entry["reason"] for entry in queue["entries"])
    assert {entry["picker"] for entry in queue["entries"]} == {"doubt"}


def test_each_picker_on_offer_gives_a_queue_that_says_what_it_asks(client, context):
    offered = client.get("/pl/api/queue").json()["pickers"]
    assert offered[0] == "stages"
    assert set(offered) - {"order"} == {entry.key.split("/")[1] for entry in api.entries("pickers")}
    words = json.loads(Path("ui/texts/en.json").read_text(encoding="utf-8"))
    known = set(ids(context).values())
    for name in offered:
        queue = client.get(f"/pl/api/queue?picker={name}&k=3").json()
        assert {entry["picker"] for entry in queue["entries"]} == {name}
        assert all(entry["reason"] for entry in queue["entries"])
        assert all(set(entry["asks"]) <= known for entry in queue["entries"])
        assert words[f"label.picker.{name}"]
        assert words[f"label.picker.{name}.hint"]
        assert name == "order" or all(entry["asks"] for entry in queue["entries"])
    assert client.get("/pl/api/queue?picker=nonsense").status_code == 422


def test_the_forecast_says_why_it_says_nothing_yet(client):
    found = client.get("/pl/api/forecast").json()
    assert found["gain"] is None
    assert found["answers"] == 100
    assert found["text"].startswith("too few versions")


def test_what_another_model_said_is_shown_beside_ours_and_makes_a_queue(client, context, tmp_path):
    bench, food = context.open(), ids(context)["food"]
    first = bench.samples()[0]
    before = client.get(f"/pl/api/item?sample={first.id}")
    ours = float(bench.chances([first.id])[0, 1])
    theirs = 0.0 if ours > 0.5 else 1.0
    file = tmp_path / "rival.jsonl"
    for score in (0.5, theirs):  # the same name again replaces what it said
        file.write_text(json.dumps({"sample": first.name, "label": "food", "score": score}))
        bench.add(file)
    again = client.get(
        f"/pl/api/item?sample={first.id}", headers={"If-None-Match": before.headers["ETag"]}
    )
    assert again.status_code == 200
    found = again.json()["suggestions"]
    assert before.json()["suggestions"]["brought"] == {}
    expected = [theirs if label == food else None for label in found["labels"]]
    assert found["brought"] == {"rival": expected}
    queue = client.get("/pl/api/queue?picker=disagree").json()
    assert "disagree" in queue["pickers"]
    assert [entry["sample"] for entry in queue["entries"]] == [first.id]
    assert queue["entries"][0]["reason"] == f"food: rival {theirs:.2f}, here {ours:.2f}"


def test_in_order_leaves_out_what_is_decided(client, context):
    labels = list(ids(context).values())
    first, second = (sample.id for sample in context.open().samples()[:2])
    commit(client, *((first, label, "no") for label in labels))
    commit(client, (second, labels[0], "yes"), op="operation-2")
    entries = client.get("/pl/api/queue?picker=order").json()["entries"]
    assert first not in [entry["sample"] for entry in entries]
    assert entries[0]["sample"] == second
    assert entries[0]["reason"] == "3 of 4 labels open"
    later = client.get(f"/pl/api/queue?picker=order&after={second}&k=2").json()["entries"]
    assert [entry["sample"] for entry in later] == [second + 1, second + 2]


def test_one_call_brings_all_of_a_sample(client, context):
    bench = context.open()
    sample = bench.samples()[0]
    item = client.get(f"/pl/api/item?sample={sample.id}").json()
    assert item["text"] == TEXTS[0]
    assert item["media"] is None
    said = {s.label_id: s.score for s in bench.suggest([sample.id])[0].suggestions}
    assert dict(
        zip(item["suggestions"]["labels"], item["suggestions"]["scores"], strict=True)
    ) == pytest.approx(said, abs=1e-4)
    assert item["suggestions"]["scores"] == sorted(item["suggestions"]["scores"], reverse=True)
    assert set(item["suggestions"]["probabilities"]) == {None}
    assert [near["sample"] for near in item["neighbours"]] == [
        hit.sample for hit in bench.neighbours(sample.id, items.NEIGHBOURS)
    ]
    by_name = client.get("/pl/api/item", params={"sample": sample.name}).json()
    assert by_name["sample"] == sample.id


def test_a_neighbour_shows_what_people_said(client, context):
    label = ids(context)["transport"]
    item = client.get("/pl/api/item?sample=1").json()
    near = item["neighbours"][0]["sample"]
    commit(client, (near, label, "yes"), (near, ids(context)["food"], "no"))
    again = client.get("/pl/api/item?sample=1").json()["neighbours"][0]
    assert (again["sample"], again["yes"], again["no"]) == (near, [label], 1)


@pytest.mark.parametrize("address", ["item?sample=99", "item?sample=nobody", "evidence?sample=99"])
def test_an_unknown_sample_is_named_in_a_sentence(client, address):
    answer = client.get(f"/pl/api/{address}")
    assert answer.status_code == 404
    assert "sample" in answer.json()["detail"]


def test_a_sample_seen_again_costs_a_304_until_something_changes(client, context):
    first = client.get("/pl/api/item?sample=1")
    tag = {"If-None-Match": first.headers["etag"]}
    assert client.get("/pl/api/item?sample=1", headers=tag).status_code == 304
    assert client.get("/pl/api/item?sample=2", headers=tag).status_code == 200
    commit(client, (1, ids(context)["food"], "no"))
    changed = client.get("/pl/api/item?sample=1", headers=tag)
    assert changed.status_code == 200
    assert changed.json()["verdicts"] == {str(ids(context)["food"]): "no"}


def test_evidence_is_the_backend_s_explanation(client, context):
    answer = client.get("/pl/api/evidence?sample=2")
    header, spans, (forward, backward, similarity), spread = unpacked(answer.content)
    truth = context.open().explain(2)
    assert header["labels"] == [ids(context)[name] for name in truth.labels]
    assert [TEXTS[1][a:b] for a, b in spans] == TEXTS[1].split()
    np.testing.assert_allclose(forward.sum(axis=0), 1, atol=4e-3)
    np.testing.assert_allclose(backward.sum(axis=1), 1, atol=4e-3)
    np.testing.assert_allclose(backward, truth.backward.T, atol=1e-3)
    np.testing.assert_allclose(similarity, truth.similarity.T, atol=1e-3)
    np.testing.assert_allclose(spread, truth.spread, atol=1e-3)
    tag = {"If-None-Match": answer.headers["etag"]}
    assert client.get("/pl/api/evidence?sample=2", headers=tag).status_code == 304


def test_an_encoder_without_layers_says_so_where_layers_are_asked_for(client, context):
    assert client.get("/pl/api/queue").json()["has_layers"] is False
    asked = client.get("/pl/api/evidence?sample=2&layers=1")
    header, *_ = unpacked(asked.content)
    assert asked.status_code == 200
    assert header["layers"] is False
    assert header["why"].startswith("no layers with words: static word vectors")
    plain = client.get("/pl/api/evidence?sample=2")
    assert plain.headers["etag"] != asked.headers["etag"]
    assert unpacked(plain.content)[0]["why"] == ""
    with pytest.raises(api.BadInputError, match="no layers with words"):
        context.open().explain(2, aligner="layered_transport")


def test_a_commit_is_durable_and_the_same_action_once(client, context, settings):
    label = ids(context)["food"]
    first = commit(client, (3, label, "yes"), (3, ids(context)["hotel"], "unsure"))
    assert first.status_code == 200
    assert (
        commit(client, (3, label, "yes"), (3, ids(context)["hotel"], "unsure")).json()["offset"]
        == first.json()["offset"]
    )
    context.close()
    with_another = api.open_project("trip", settings=settings)
    assert with_another.verdicts([3])[3] == {
        label: api.Verdict.YES,
        ids(Context(settings, "trip"))["hotel"]: api.Verdict.UNSURE,
    }
    assert len(with_another.store.log.since(0)) == 2
    with_another.close()


def enter(client: TestClient, *rows: tuple[int, int, str, str | None], op: str = "enter-01"):
    """What Enter sends: verdicts that follow from what the page showed."""
    names = ("sample", "label", "verdict", "seen")
    body = {"op": op, "rows": [dict(zip(names, row, strict=True)) for row in rows]}
    return client.post("/pl/api/commit", json=body).json()


@pytest.mark.parametrize("who", ["me", "ben"])
def test_enter_leaves_what_was_decided_elsewhere_and_says_so(client, context, who):
    food, hotel, transport = (ids(context)[name] for name in ("food", "hotel", "transport"))
    shown = client.get("/pl/api/item?sample=3").json()
    assert shown["verdicts"] == {}
    # meanwhile, in another tab, by a program or by another person
    context.open().correct([{"sample": 3, "label": food, "verdict": "yes"}], who=who)
    rows = ((3, food, "no", None), (3, hotel, "no", None), (3, transport, "yes", None))
    first, again = (enter(client, *rows) for _ in range(2))
    assert first == {**again, "version": first["version"]}, "a repeated request is the same action"
    assert first["kept"] == {"3": {str(food): "yes"}}
    assert first["stored"] == 2
    said = client.get("/pl/api/item?sample=3").json()["verdicts"]
    assert said == {str(food): "yes", str(hotel): "no", str(transport): "yes"}
    undone = client.post("/pl/api/undo", json={}).json()
    assert undone["verdicts"] == {"3": {str(food): "yes"}}, "one step, and nobody else's"
    # what a person chose holds whatever was said before
    assert commit(client, (3, food, "no"), op="operation-9").json()["kept"] == {}
    own = context.open().people.seen_by("me", [3])[3][food]
    assert own == api.Verdict.NO


def test_enter_on_what_is_shown_holds_and_makes_it_ones_own_word(client, context):
    food, hotel = ids(context)["food"], ids(context)["hotel"]
    context.open().correct([{"sample": 3, "label": food, "verdict": "yes"}], who="ben")
    assert client.get("/pl/api/item?sample=3").json()["borrowed"] == [food]
    told = enter(client, (3, food, "yes", "yes"), (3, hotel, "no", None))
    assert (told["stored"], told["kept"]) == (2, {})
    assert client.get("/pl/api/item?sample=3").json()["borrowed"] == []


def test_a_label_that_is_gone_costs_nothing_of_the_rest(client, context):
    labels, bench = ids(context), context.open()
    food, hotel, transport = (labels[name] for name in ("food", "hotel", "transport"))
    hostile = labels[LABELS[-1]]
    bench.remove_label(transport, who="ben")
    bench.merge_labels(food, hotel, who="ben")
    rows = ((3, transport, "yes"), (3, food, "yes"), (3, hostile, "no"))
    first, again = (commit(client, *rows).json() for _ in range(2))
    assert first == {**again, "version": first["version"]}
    assert first["gone"] == [
        {"label": transport, "name": "transport", "into": None},
        {"label": food, "name": "food", "into": {"label": hotel, "name": "hotel"}},
    ]
    assert first["stored"] == 2
    said = client.get("/pl/api/item?sample=3").json()["verdicts"]
    assert said == {str(hotel): "yes", str(hostile): "no"}
    assert client.post("/pl/api/undo", json={}).json()["verdicts"] == {"3": {}}, "one step"


def test_what_goes_to_the_label_of_a_merge_decides_nothing_that_is_said_there(client, context):
    labels, bench = ids(context), context.open()
    food, hotel, transport = (labels[name] for name in ("food", "hotel", "transport"))
    bench.merge_labels(transport, food, who="ben")
    bench.merge_labels(food, hotel, who="ben")  # and so on to the end
    commit(client, (3, hotel, "no"), op="operation-0")
    told = commit(client, (3, transport, "yes"), op="operation-1").json()
    assert told["gone"][0]["into"]["name"] == "hotel"
    assert told["kept"] == {"3": {str(hotel): "no"}}
    both = commit(client, (4, hotel, "no"), (4, food, "yes"), op="operation-2").json()
    assert (both["stored"], both["kept"]) == (1, {}), "the label itself was decided, too"
    marked = {"sample": 5, "label": food, "part": {"span": [0, 3]}, "here": True}
    body = {"op": "operation-3", "rows": [marked, {"sample": 5, "label": food, "verdict": None}]}
    assert client.post("/pl/api/commit", json=body).json()["stored"] == 1
    item = client.get("/pl/api/item?sample=5").json()
    assert item["verdicts"] == {str(hotel): "yes"}
    assert item["marks"][str(hotel)][0]["points"] == [0, 3]
    # what followed from leaving the label alone follows from nothing now
    told = enter(client, (6, food, "no", None), op="enter-09")
    assert (told["op"], told["stored"], told["kept"]) == ("enter-09", 0, {})
    assert client.get("/pl/api/item?sample=6").json()["verdicts"] == {}


def test_an_action_that_was_stored_is_answered_after_its_label_or_sample_went(client, context):
    food, bench = ids(context)["food"], context.open()
    first = commit(client, (3, food, "yes")).json()
    bench.remove_label(food, who="ben")
    again = commit(client, (3, food, "yes")).json()
    assert again["offset"] == first["offset"]
    assert [label["name"] for label in again["gone"]] == ["food"]
    bench.undo("ben")
    bench.remove_samples([3], who="ben")
    assert commit(client, (3, food, "yes")).json()["offset"] == first["offset"]
    assert enter(client, (3, food, "yes", "yes"), op="operation-1")["offset"] == first["offset"]
    assert commit(client, (3, food, "yes"), op="operation-2").status_code == 404


def test_a_label_that_another_process_removed_just_now_costs_nothing_of_the_rest(client, context):
    labels = ids(context)
    beside = api.open_project("trip", settings=context.settings)
    beside.remove_label(labels["food"], who="ben")
    beside.close()
    told = commit(client, (3, labels["food"], "yes"), (3, labels["hotel"], "yes")).json()
    assert (told["stored"], [label["name"] for label in told["gone"]]) == (1, ["food"])


def test_a_label_that_was_forgotten_costs_nothing_of_the_rest(client, context):
    bench, hotel = context.open(), ids(context)["hotel"]
    (newest,) = bench.add_labels(["newest"])
    bench.remove_label(newest.id)
    bench.compact()
    yes = {"sample": 3, "label": newest.id, "verdict": "yes", "seen": None}
    told = fill(client, 3, [hotel, newest.id], rows=[yes]).json()
    assert (told["stored"], [one["label"] for one in told["gone"]]) == (2, [newest.id])
    assert commit(client, (3, newest.id + 1, "yes"), op="operation-2").status_code == 404


def fill(client: TestClient, sample: int, *runs: list[int], op: str = "enter-01", rows=()):
    body = {"op": op, "rows": list(rows), "fills": [{"sample": sample, "labels": list(runs)}]}
    return client.post("/pl/api/commit", json=body)


def test_enter_decides_more_labels_than_an_action_has_rows(client, context):
    bench, food = context.open(), ids(context)["food"]
    names = [f"species {n}" for n in range(items.MOST_ROWS + 1)]
    bench.add_labels(names)
    new = [label.id for label in bench.labels() if label.name.startswith("species")]
    for label, verdict in ((new[7], "yes"), (new[9], "unsure")):  # not seen by the page
        bench.correct([{"sample": 3, "label": label, "verdict": verdict}], who="ben")
    yes = {"sample": 3, "label": food, "verdict": "yes", "seen": None}
    answer = fill(client, 3, [new[0], new[-1]], rows=[yes])
    assert answer.status_code == 200
    assert answer.json()["stored"] == len(new) - 2 + 1
    assert answer.json()["kept"] == {"3": {str(new[7]): "yes", str(new[9]): "unsure"}}
    said = bench.verdicts([3], who="me")[3]
    assert [said[label].value for label in new[6:11]] == ["no", "yes", "no", "unsure", "no"]
    assert set(said) == {food, *new}, "labels outside of the runs are left alone"
    assert client.post("/pl/api/undo", json={}).json()["deed"]["verdicts"] == len(new) - 1
    assert set(bench.verdicts([3], who="me")[3]) == {new[7], new[9]}


def test_runs_of_labels_hold_the_living_ones_and_each_once(client, context):
    bench = context.open()
    labels = [label.id for label in bench.labels()]
    bench.remove_label(labels[1], who="ben")
    told = fill(client, 3, [labels[2], labels[3]], [labels[0], labels[2]], [900, 10**9]).json()
    assert (told["stored"], told["gone"]) == (3, [])
    assert set(bench.verdicts([3])[3]) == {labels[0], labels[2], labels[3]}
    assert fill(client, 4, [900, 901], op="enter-02").json()["stored"] == 0
    assert fill(client, 4, [4], op="enter-03").status_code == 422
    assert fill(client, 4, op="enter-04").status_code == 422


def test_enter_is_stored_while_the_board_cannot_be_read(client, context, monkeypatch):
    bench, labels = context.open(), sorted(ids(context).values())
    with monkeypatch.context() as patch:

        def full(*_):
            raise api.SaveError("the disk is full")

        patch.setattr(encoding, "filled", full)
        with pytest.raises(api.SaveError):  # as while another encoder is taken over
            bench.live.change_encoder(bench.pipeline)
        assert bench.labels() == []
        told = fill(client, 3, [labels[0], labels[-1]]).json()
        assert told["stored"] == len(labels)
    assert fill(client, 3, [labels[0], labels[-1]]).json()["offset"] == told["offset"]
    said = {pair: row.verdict for pair, row in bench.store.log.current().items()}
    assert said == {(3, label): api.Verdict.NO for label in labels}


def test_a_page_of_one_person_stores_nothing_for_another(client, context):
    row = {"sample": 3, "label": ids(context)["food"], "verdict": "yes"}
    body = {"op": "operation-1", "rows": [row], "who": "ann"}
    refused = client.post("/pl/api/commit", json=body)
    assert refused.status_code == 409, "it is tried again: nothing is lost"
    assert "this page is of ann, and me is signed in" in refused.json()["detail"]
    assert context.open().store.log.offset == 0
    assert client.post("/pl/api/commit", json={**body, "who": "me"}).json()["stored"] == 1
    assert client.post("/pl/api/undo", json={"who": "ann"}).status_code == 409
    assert client.post("/pl/api/undo", json={"who": "me"}).json()["samples"] == [3]


def test_a_page_of_a_project_stores_nothing_in_another_of_its_name(client, context, tmp_path):
    first, food = context.open(), ids(context)["food"]
    old = {"uid": first.store.uid, "project": "trip"}
    of_first = {"If-None-Match": client.get("/pl/api/item?sample=1").headers["etag"]}
    with context.closed("trip"):
        api.remove_project("trip", settings=context.settings)
    new = api.create_project(
        "trip", labels=LABELS, kind=api.Kind.TEXT, encoder="words", settings=context.settings
    )
    context.adopt(new)
    file = tmp_path / "texts.jsonl"
    file.write_text("\n".join(json.dumps({"text": text}) for text in TEXTS), "utf-8")
    new.add(file, who="importer")
    new.learn()
    assert client.get("/pl/api/item?sample=1", headers=of_first).status_code == 200
    new.correct([{"sample": 4, "label": food, "verdict": "yes"}], op="of-the-new-one")
    row = {"sample": 3, "label": food, "verdict": "yes"}
    body = {"op": "operation-1", "rows": [row]}
    refused = client.post("/pl/api/commit", params=old, json=body)
    assert refused.status_code == 409, "the page keeps it"
    assert "of an earlier project trip" in refused.json()["detail"]
    assert refused.json()["stale"] is True, "the page says that it has to be read again"
    assert client.post("/pl/api/undo", params=old, json={}).status_code == 409
    assert new.verdicts() == {4: {food: api.Verdict.YES}}
    own = {**old, "uid": new.store.uid}
    assert client.post("/pl/api/commit", params=own, json=body).json()["stored"] == 1


def test_a_part_does_not_depend_on_what_was_seen(client):
    row = {"sample": 3, "label": 1, "part": {"span": [4, 8]}, "here": True, "seen": None}
    answer = client.post("/pl/api/commit", json={"op": "operation-1", "rows": [row]})
    assert answer.status_code == 422


def test_refresh_tells_what_was_said_since_by_whomever(client, context):
    food = ids(context)["food"]
    item = client.get("/pl/api/item?sample=3").json()
    known = item["offset"]
    asked = f"/pl/api/refresh?since=99&ids=3&also=4,999&known={known}&hold=0"
    assert client.get(asked).json()["said"] == {}
    rows = [
        {"sample": 3, "label": food, "verdict": "yes"},
        {"sample": 3, "label": food, "part": {"span": [4, 8]}, "here": True},
        {"sample": 4, "label": food, "verdict": "unsure"},
    ]
    context.open().correct(rows, who="ben")
    told = client.get(asked).json()
    assert told["offset"] == known + 3
    assert set(told["said"]) == {"3", "4"}, "a sample that is not there is not told of"
    for sample in ("3", "4"):
        fresh = client.get(f"/pl/api/item?sample={sample}").json()
        assert fresh["offset"] == told["offset"]
        parts = ("verdicts", "others", "borrowed", "marks")
        assert told["said"][sample] == {part: fresh[part] for part in parts}
    assert told["said"]["3"]["verdicts"] == {str(food): "yes"}
    assert told["said"]["3"]["others"] == {str(food): [["ben", "yes", False]]}


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"rows": [{"sample": 1, "label": 1, "verdict": "maybe"}]}, 422),
        ({"rows": [{"sample": 1, "label": 1}]}, 422),
        ({"rows": [{"sample": "1", "label": 1, "verdict": "yes"}]}, 422),
        ({"rows": []}, 422),
        ({"rows": [{"sample": 1, "label": 1, "verdict": "no"}] * (items.MOST_ROWS + 1)}, 422),
        ({"op": "short"}, 422),
        ({"op": "../../etc/passwd"}, 422),
        ({"rows": [{"sample": 99, "label": 1, "verdict": "yes"}]}, 404),
        ({"rows": [{"sample": 1, "label": 99, "verdict": "yes"}]}, 404),
    ],
)
def test_what_is_no_verdict_is_refused_and_nothing_is_stored(client, context, change, status):
    good = {"op": "operation-1", "rows": [{"sample": 1, "label": 1, "verdict": "yes"}]}
    answer = client.post("/pl/api/commit", json={**good, **change})
    assert answer.status_code == status
    if status == 404:
        assert "99" in answer.json()["detail"]
    assert context.open().verdicts([1]).get(1, {}) == {}


def test_one_unknown_row_stores_none_of_an_action(client, context):
    labels = ids(context)
    answer = commit(client, (1, labels["food"], "yes"), (1, 99, "yes"))
    assert answer.status_code == 404
    assert context.open().verdicts([1]).get(1, {}) == {}


def test_undo_names_an_action_and_may_be_repeated(client, context):
    label = ids(context)["food"]
    commit(client, (1, label, "no"), op="operation-1")
    commit(client, (1, label, "yes"), op="operation-2")
    for _ in range(2):
        undone = client.post("/pl/api/undo", json={"op": "operation-2"}).json()
        assert undone["samples"] == [1]
        assert undone["verdicts"] == {"1": {str(label): "no"}}
    for _ in range(2):
        newest = client.post("/pl/api/undo", json={"request": "request-1"}).json()
        assert newest["verdicts"] == {"1": {}}
    assert client.post("/pl/api/undo", json={"request": "request-2"}).json()["op"] is None
    assert client.post("/pl/api/undo", json={"op": "never-heard-of"}).status_code == 404


def test_refresh_answers_within_a_second_and_brings_the_new_suggestions(client, context):
    start = time.monotonic()
    quiet = client.get("/pl/api/refresh?since=0&ids=1,2").json()
    assert quiet == {"version": 0, "offset": 0, "items": {}, "lanes": [], "said": {}}
    assert time.monotonic() - start < 15  # held for one second; the rest is a busy machine
    labels = ids(context)
    commit(client, (1, labels["transport"], "yes"), (3, labels["transport"], "no"))
    until = time.monotonic() + 30
    news = {"version": 0}
    while news["version"] == 0 and time.monotonic() < until:
        news = client.get("/pl/api/refresh?since=0&ids=1,2").json()
    assert news["version"] >= 1
    assert set(news["items"]) == {"1", "2"}
    assert news["items"]["1"]["version"] == news["version"]


@pytest.mark.parametrize("query", ["ids=1,x", "ids=-1", f"ids={'1,' * 500}1", "hold=5", "since=-1"])
def test_refresh_takes_only_a_short_list_of_ids(client, query):
    query = query if query.startswith("since") else f"since=0&{query}"
    assert client.get(f"/pl/api/refresh?{query}").status_code == 422


def test_a_new_label_is_text_and_is_scored_at_once(client, context):
    name = "<script>alert(1)</script> ${x}"
    made = client.post("/pl/api/label", json={"name": f"  {name} "}).json()
    assert made["labels"][-1]["name"] == name
    again = client.post("/pl/api/label", json={"name": name}).json()
    assert again["label"] == made["label"]
    assert len(again["labels"]) == len(LABELS) + 1
    item = client.get("/pl/api/item?sample=1").json()
    assert made["label"] in item["suggestions"]["labels"]


def test_a_new_label_is_answered_though_its_scores_have_to_wait(client, context, monkeypatch):
    context.open()

    def full(*_):
        raise api.SaveError("the disk is full")

    monkeypatch.setattr(encoding, "filled", full)
    first, again = (client.post("/pl/api/label", json={"name": "weather"}) for _ in range(2))
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json()["label"] == again.json()["label"]
    assert context.open().store.find_label("weather").id == first.json()["label"]


def test_a_label_name_over_the_limit_is_refused_with_the_limit(client):
    answer = client.post("/pl/api/label", json={"name": "x" * 201})
    assert answer.status_code == 400
    assert "200" in answer.json()["detail"]


def test_a_read_only_server_writes_nothing(settings, context):
    closed = Context(settings, "trip", is_read_only=True)
    app = FastAPI()
    app.add_exception_handler(api.PatchlaneError, _say)
    app.include_router(items.router(closed))
    client = TestClient(app, base_url="http://127.0.0.1")
    assert commit(client, (1, 1, "yes")).status_code == 403
    assert client.post("/pl/api/undo", json={}).status_code == 403
    assert client.post("/pl/api/label", json={"name": "x"}).status_code == 403
    assert client.get("/pl/api/item?sample=1").json()["verdicts"] == {}
    closed.close()


def test_undo_says_what_it_takes_back_and_asks_before_an_import_goes(client, context, tmp_path):
    file = tmp_path / "more.jsonl"
    file.write_text('{"text": "One more text about a ferry"}\n{"text": "Breakfast was included"}')
    context.open().add(file, who="me")
    label = ids(context)["food"]
    commit(client, (1, label, "yes"), op="operation-1")
    one = client.post("/pl/api/undo", json={"spares_imports": True}).json()
    assert one["deed"] | {"op": ""} == {
        "op": "",
        "kind": "correct",
        "who": "me",
        "samples": 1,
        "labels": 1,
        "verdicts": 1,
        "names": [context.open().sample(1).name],
    }
    again = {"spares_imports": True, "request": "request-1"}
    for _ in range(2):
        asked = client.post("/pl/api/undo", json=again).json()
        assert (asked["op"], asked["samples"]) == (None, [])
        assert (asked["asks"]["kind"], asked["asks"]["samples"]) == ("import", 2)
        assert asked["asks"]["names"] == ["more.jsonl"]
    assert len(context.open().samples()) == len(TEXTS) + 2
    named = client.post("/pl/api/undo", json={"op": asked["asks"]["op"], "spares_imports": True})
    assert named.json()["deed"]["kind"] == "import"
    assert len(context.open().samples()) == len(TEXTS)
    back = client.post("/pl/api/undo", json={"op": named.json()["op"]}).json()
    assert back["deed"]["kind"] == "import", "the way back tells of the same action"
    assert len(context.open().samples()) == len(TEXTS) + 2
    # a program that names nothing and spares nothing takes the newest action back, as ever
    assert client.post("/pl/api/undo", json={}).json()["deed"]["kind"] == "import"
    assert len(context.open().samples()) == len(TEXTS)


def test_an_undo_whose_answer_was_lost_is_answered_and_asks_for_nothing(client, context, tmp_path):
    file = tmp_path / "more.jsonl"
    file.write_text('{"text": "One more text about a ferry"}')
    context.open().add(file, who="me")
    commit(client, (1, ids(context)["food"], "yes"), op="operation-1")
    body = {"spares_imports": True, "request": "request-1"}
    first, second = (client.post("/pl/api/undo", json=body).json() for _ in range(2))
    assert first == second
    assert first["deed"]["kind"] == "correct"


def test_marks_are_committed_one_by_one_told_and_undone(
    client: TestClient, context: Context
) -> None:
    label = ids(context)["food"]

    def send(op: str, *rows: dict) -> int:
        rows = tuple({"sample": 3, "label": label, **row} for row in rows)
        body = {"op": op, "rows": rows, "seen_version": 0}
        return client.post("/pl/api/commit", json=body).status_code

    def marks() -> tuple[dict, dict]:
        item = client.get("/pl/api/item", params={"sample": 3}).json()
        return item["verdicts"], item["marks"]

    soup, rude = {"span": [4, 8]}, {"span": [33, 37]}
    no = [{"kind": "span", "points": [33, 37], "verdict": "no"}]
    assert marks() == ({}, {})
    assert send("operation-1", {"part": rude, "here": False}) == 200
    assert marks() == ({}, {str(label): no})
    assert send("operation-2", {"part": soup, "here": True}) == 200
    both = [*no, {"kind": "span", "points": [4, 8], "verdict": "yes"}]
    assert marks() == ({str(label): "yes"}, {str(label): both})
    assert send("operation-3", {"verdict": "no"}) == 200  # a chip: the marks stay
    assert marks() == ({str(label): "no"}, {str(label): both})
    assert send("operation-4", {"part": rude, "here": None}) == 200
    assert marks() == ({str(label): "no"}, {str(label): both[1:]})
    for expected in (both, both, no):
        answer = client.post("/pl/api/undo", json={}).json()
        assert answer["marks"] == {"3": {str(label): expected}} == {"3": marks()[1]}
    assert answer["verdicts"] == {"3": {}}
    assert client.post("/pl/api/undo", json={}).json()["marks"] == {"3": {}}
    assert client.post("/pl/api/undo", json={}).json()["marks"] == {}


@pytest.mark.parametrize(
    ("row", "status"),
    [
        ({"part": {"span": [4, 8]}}, 422),  # here or not?
        ({"here": True}, 422),
        ({"verdict": "yes", "part": {"span": [4, 8]}, "here": True}, 422),
        ({"part": {"circle": [4, 8]}, "here": True}, 422),
        ({"part": {"span": ["4", 8]}, "here": True}, 422),
        ({"part": {"span": [8, 4]}, "here": True}, 400),
        ({"part": {"span": [4, 800]}, "here": True}, 400),
        ({"part": {"box": [0, 0, 1, 1]}, "here": True}, 400),  # on a text
        ({"part": {}, "here": True}, 400),
    ],
)
def test_a_place_that_is_none_is_refused(
    client: TestClient, context: Context, row: dict, status: int
) -> None:
    rows = [{"sample": 3, "label": ids(context)["food"], **row}]
    answer = client.post("/pl/api/commit", json={"op": "operation-1", "rows": rows})
    assert answer.status_code == status
    assert context.open().store.log.offset == 0


def test_a_number_in_an_address_is_an_id_and_a_name_is_said_as_one(
    settings: api.Settings, tmp_path: Path
) -> None:
    # Ids 1 to 6 are called 3 to 8: every number from 3 to 6 could be either.
    file = tmp_path / "numbers.jsonl"
    rows = [{"sample": str(i + 3), "text": text} for i, text in enumerate(TEXTS)]
    file.write_text("\n".join(json.dumps(row) for row in rows), "utf-8")
    made = api.create_project("n", labels=LABELS, encoder="words", settings=settings)
    made.add(file)
    made.close()
    with TestClient(routes_only(settings, default_project="n")) as web:

        def item(**query: str) -> tuple[int, str]:
            told = web.get("/pl/api/item", params=query).json()
            return told["sample"], told["name"]

        def best(**query: str) -> tuple[int, str]:
            (hit,) = web.get("/pl/api/search", params={"k": "1", **query}).json()["hits"]
            return hit["sample"], hit["name"]

        for ask in (item, best):
            assert ask(sample="3") == (3, "5")
            assert ask(name="3") == (1, "3")
            assert ask(name="8") == (6, "8")
            assert ask(name="1") == (1, "3"), "nothing is called so, and there is such an id"
        assert web.get("/media/3").text == TEXTS[2]
        assert web.get("/media/", params={"name": "3"}).text == TEXTS[0]

        # A page that is open elsewhere asks for an id; the sample called so is never its answer.
        web.app.state.context.open().remove_samples([3])
        for address in ("/pl/api/item?sample=3", "/pl/api/search?sample=3", "/media/3"):
            answer = web.get(address)
            assert answer.status_code == 404, address
            assert answer.json()["detail"].endswith("in an address that is name=3")
        for address in ("/pl/api/item?sample=99", "/media/99"):
            assert "name=" not in web.get(address).json()["detail"]
        for wrong in ("", "?sample=1&name=3"):
            answer = web.get(f"/pl/api/item{wrong}")
            assert answer.status_code == 400
            assert "?sample=ID or ?name=NAME" in answer.json()["detail"]
