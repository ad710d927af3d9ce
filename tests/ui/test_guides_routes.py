"""Guides over the web: what is shown, what is stored, and what is refused in a sentence."""

from __future__ import annotations

import io
import json
import os
import uuid
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.testclient import TestClient
from PIL import Image

from backend import api
from tests.ui.conftest import HOSTILE, ORIGIN
from ui.app import _say, _say_what_is_wrong
from ui.context import Context
from ui.routes import guides, items


def routes_of(settings: api.Settings, **options: Any) -> FastAPI:
    """The routes that this file asks, without Gradio's pages around them."""
    context = Context(settings, **options)
    app = FastAPI()
    app.add_exception_handler(api.PatchlaneError, _say)
    app.add_exception_handler(RequestValidationError, _say_what_is_wrong)
    for routes in (guides, items):
        app.include_router(routes.router(context))
    app.router.on_shutdown.append(context.close)
    return app


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> api.Settings:
    """A home with 24 pictures, half of them red, all decided for `red`."""
    folder = tmp_path_factory.mktemp("guides")
    settings = api.Settings.from_environ({**os.environ, "PATCHLANE_HOME": str(folder / "home")})
    (folder / "in").mkdir()
    for number in range(24):
        pixels = np.random.default_rng(number).integers(0, 90, (48, 64, 3), dtype=np.uint8)
        pixels[..., 0 if number < 12 else 2] += 150
        Image.fromarray(pixels).save(folder / "in" / f"{number:02}.png")
    bench = api.create_project("dots", labels=["red", HOSTILE], settings=settings)
    bench.add(folder / "in")
    bench.correct(
        [
            {"sample": one.id, "label": "red", "verdict": "yes" if one.name < "12" else "no"}
            for one in bench.samples()
        ]
    )
    bench.learn()  # or what is shown changes while it is asked
    bench.close()
    return settings


@pytest.fixture
def web(pictures: api.Settings) -> Iterator[TestClient]:
    with TestClient(routes_of(pictures, default_project="dots"), base_url=ORIGIN) as client:
        yield client


def do(web: TestClient, **what: Any) -> Any:
    return web.post("/pl/api/guide", json={"op": uuid.uuid4().hex, "label": 1, **what})


def undo(web: TestClient) -> Any:
    return web.post("/pl/api/undo", json={}).json()


def test_the_list_tells_how_many_verdicts_each_label_has(web: TestClient) -> None:
    rows = web.get("/pl/api/guides").json()["labels"]
    told = {row["name"]: (row["yes"], row["no"], row["unsure"]) for row in rows}
    assert told == {"red": (12, 12, 0), HOSTILE: (0, 0, 0)}


def test_a_guide_shows_crops_of_pictures_that_are_yes(web: TestClient) -> None:
    guide = web.get("/pl/api/guide", params={"label": 1}).json()
    assert guide["exemplars"]
    assert all(one["name"] < "12" for one in guide["exemplars"])
    assert all(one["name"] >= "12" for one in guide["misses"])
    for one in (*guide["exemplars"], *guide["misses"], *guide["parts"]):
        answer = web.get(one["crop"]) if one["box"] else None
        if answer is None:
            continue
        assert answer.headers["content-type"] == "image/webp"
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
        mean = np.asarray(Image.open(io.BytesIO(answer.content))).reshape(-1, 3).mean(axis=0)
        assert (mean[0] > mean[2]) == (one["name"] < "12")
        tag = {"If-None-Match": answer.headers["etag"]}
        assert web.get(one["crop"], headers=tag).status_code == 304


def test_a_label_without_verdicts_says_what_is_missing(web: TestClient) -> None:
    guide = web.get("/pl/api/guide", params={"label": 2}).json()
    assert guide["missing"] == 20
    assert guide["label"]["name"] == HOSTILE
    assert guide["exemplars"] == guide["misses"] == []


def test_pin_and_refuse_are_each_one_step_of_undo(web: TestClient) -> None:
    before = web.get("/pl/api/guide", params={"label": 1}).json()
    first = before["exemplars"][0]["sample"]
    answer = do(web, do="refuse", sample=first).json()["guide"]
    assert [one["sample"] for one in answer["refused"]] == [first]
    assert first not in [one["sample"] for one in answer["exemplars"]]
    other = answer["exemplars"][-1]["sample"]
    answer = do(web, do="pin", sample=other).json()["guide"]
    assert answer["exemplars"][0]["sample"] == other
    assert answer["exemplars"][0]["is_pinned"]
    assert undo(web)["deed"]["kind"] == "pin exemplar"
    assert undo(web)["deed"]["kind"] == "refuse exemplar"
    assert web.get("/pl/api/guide", params={"label": 1}).json() == before


def test_the_same_action_again_is_the_same(web: TestClient) -> None:
    op = uuid.uuid4().hex
    for text in ("once", "twice"):
        answer = web.post(
            "/pl/api/guide", json={"op": op, "label": 1, "do": "notes", "text": text}
        ).json()
        assert (answer["op"], answer["guide"]["notes"]) == (op, "once")
    undo(web)


def test_what_is_written_comes_back_as_it_was_typed(web: TestClient) -> None:
    for what in ("definition", "notes"):
        guide = do(web, do=what, text=f"{HOSTILE}\n**b**").json()["guide"]
        told = guide["notes"] if what == "notes" else guide["label"]["definition"]
        assert told == f"{HOSTILE}\n**b**"
        undo(web)


def test_an_edition_is_kept_and_nothing_has_changed_since(web: TestClient) -> None:
    assert web.get("/pl/api/guide", params={"label": 1}).json()["changes"] is None
    guide = do(web, do="keep").json()["guide"]
    assert (guide["edition"]["number"], guide["changes"]) == (1, [])
    sample = guide["exemplars"][0]
    row = {"sample": sample["sample"], "label": 1, "verdict": "no"}
    web.post("/pl/api/commit", json={"op": uuid.uuid4().hex, "rows": [row]})
    changes = web.get("/pl/api/guide", params={"label": 1}).json()["changes"]
    assert f"{sample['name']} was YES and is NO now (me)." in changes
    undo(web)
    undo(web)


@pytest.mark.parametrize(
    ("what", "status", "words"),
    [
        ({"do": "pin"}, 400, "say which sample to pin"),
        ({"do": "pin", "sample": 999}, 404, "no sample"),
        ({"do": "notes"}, 400, "the new notes is missing"),
        ({"do": "notes", "text": "a" * 20_001}, 400, "20,000 is the limit"),
        ({"do": "definition", "text": "a\x00"}, 400, "NUL"),
        ({"do": "dance"}, 422, "not understood"),
        ({"do": "keep", "label": 77}, 404, "no label"),
    ],
)
def test_bad_requests_get_one_sentence(web: TestClient, what, status, words) -> None:
    answer = do(web, **what)
    assert answer.status_code == status
    assert words in answer.json()["detail"]


@pytest.mark.parametrize("box", [{"w": 0}, {"x": -0.1}, {"h": 1.5}, {"x": "nan"}])
def test_a_box_that_is_none_is_refused(web: TestClient, box: dict[str, object]) -> None:
    asked = {"sample": 1, "x": 0.1, "y": 0.1, "w": 0.2, "h": 0.2, **box}
    assert web.get("/pl/api/crop", params=asked).status_code == 422


def test_a_read_only_server_shows_guides_and_takes_no_change(pictures: api.Settings) -> None:
    app = routes_of(pictures, default_project="dots", is_read_only=True)
    with TestClient(app, base_url=ORIGIN) as web:
        assert web.get("/pl/api/guide", params={"label": 1}).status_code == 200
        assert do(web, do="keep").status_code == 403


def test_a_guide_is_taken_home_as_html_and_as_markdown_with_pictures(web: TestClient) -> None:
    page = web.get("/pl/api/guide/file", params={"label": 1})
    assert page.headers["content-disposition"] == 'attachment; filename="guide.html"'
    assert page.text.count("data:image/jpeg;base64,") >= 2
    both = web.get("/pl/api/guide/file", params={"format": "md"})
    with zipfile.ZipFile(io.BytesIO(both.content)) as packed:
        names = packed.namelist()
        text = packed.read("guide.md").decode()
    assert names[0] == "guide.md"
    assert all(name.startswith("guide_pictures/") for name in names[1:])
    assert len(names) > 2
    assert "<img src=x" not in text
    assert json.loads(web.get("/pl/api/guides").text)["labels"]
