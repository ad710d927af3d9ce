"""A picture that somebody dropped into the search box, and a box drawn on one that is here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from backend import api
from tests.backend.picture_projects import ALIKE, drawn, made_project
from tests.ui.conftest import ORIGIN, routes_only


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the files are that were imported, as their owner has them."""
    return tmp_path_factory.mktemp("pictures")


@pytest.fixture(scope="module")
def web(folder: Path) -> Iterator[TestClient]:
    settings = api.Settings.from_environ({**os.environ, "PATCHLANE_HOME": str(folder / "home")})
    made_project(folder, settings).close()
    with TestClient(routes_only(settings, default_project="p"), base_url=ORIGIN) as client:
        yield client


def sent(web: TestClient, file: Path, **query: Any) -> dict[str, Any]:
    answer = web.post(
        "/pl/api/search",
        params=query,
        content=file.read_bytes(),
        headers={"Content-Type": "image/png"},
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def told(results: dict[str, Any]) -> list[tuple[str, float]]:
    return [(hit["name"], pytest.approx(hit["score"], abs=ALIKE)) for hit in results["hits"]]


def test_a_picture_that_is_a_sample_comes_first(web: TestClient, folder: Path) -> None:
    for name in drawn():
        found = sent(web, folder / f"{name}.png")
        assert {hit["name"] for hit in found["hits"]} == {f"{each}.png" for each in drawn()}
        first, second = found["hits"][:2]
        assert (first["name"], first["score"]) == (f"{name}.png", pytest.approx(1, abs=ALIKE))
        assert second["score"] < 0.99
        rows, columns = found["grids"][first["grid"]]
        assert first["parts"]
        assert all(0 <= part < rows * columns for part in first["parts"])


def test_a_picture_is_looked_for_among_what_a_filter_leaves(web: TestClient, folder: Path) -> None:
    found = sent(web, folder / "noise.png", filter="split:val")
    assert {hit["name"] for hit in found["hits"]} == {"both.png", "sky.png"}
    assert sent(web, folder / "noise.png", k=1)["hits"][0]["name"] == "noise.png"
    assert len(sent(web, folder / "noise.png", k=1)["hits"]) == 1


def test_a_box_on_a_sample_finds_what_its_crop_alone_finds(web: TestClient, folder: Path) -> None:
    sample = sent(web, folder / "both.png", k=1)["hits"][0]["sample"]
    for name, region in (("noise", "0,0,0.5,1"), ("stripes", "0.5,0,0.5,1")):
        found = web.get("/pl/api/search", params={"sample": sample, "region": region}).json()
        alone = sent(web, folder / f"{name}.png")
        assert found["hits"][0]["name"] == f"{name}.png"
        assert told(found) == [(hit["name"], hit["score"]) for hit in alone["hits"]]


def test_a_file_that_is_no_picture_is_named_in_a_sentence(web: TestClient) -> None:
    said = web.post("/pl/api/search", content=b"hello", headers={"Content-Type": "image/png"})
    assert said.status_code == 400
    assert "image" in said.json()["detail"]
