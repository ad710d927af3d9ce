"""The Learn page's requests on real projects: packs, lanes as files, versions, the curve."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from backend import api
from tests.ui.conftest import NOTES, ORIGIN, make_notes, routes_only

HERE = "/pl/api/learn"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> api.Settings:
    """A home with "notes", whose encoder has no lanes, and "letters", whose encoder has.

    "pupils" is as "letters", for the test that removes packs.
    """
    folder = tmp_path_factory.mktemp("learn")
    settings = api.Settings.from_environ({**os.environ, "PATCHLANE_HOME": str(folder / "home")})
    make_notes(settings, folder)
    file = folder / "letters.jsonl"
    texts = [f"{text}, {n}" for n in range(6) for text in NOTES]
    file.write_text(
        "\n".join(json.dumps({"sample": f"t{i}", "text": t}) for i, t in enumerate(texts)), "utf-8"
    )
    for name in ("letters", "pupils"):
        _made(name, file, settings)
    return settings


def _made(name: str, file: Path, settings: api.Settings) -> None:
    """Texts with two packs, answered in full."""
    bench = api.create_project(
        name, labels=["transport", "food"], encoder="sentence:minilm", settings=settings
    )
    bench.add(file)
    bench.add_labels(["praise", "blame"], pack="tone")
    truth = [["transport", "blame"], ["food", "blame"], ["food", "praise"], ["transport"]]
    names = [label.name for label in bench.labels()]
    for k, sample in enumerate(bench.samples()):
        bench.correct(
            [
                {"sample": sample.id, "label": n, "verdict": "yes" if n in truth[k % 4] else "no"}
                for n in names
            ]
        )
    bench.learn()
    # Nothing is taught by itself in these tests.
    bench.packs.pause(True)
    bench.close()


@pytest.fixture(scope="module")
def web(home: api.Settings) -> Iterator[TestClient]:
    """A server of that home."""
    with TestClient(routes_only(home, default_project="letters"), base_url=ORIGIN) as client:
        # A request without a project is answered for the one opened last, which may be "notes".
        client.params = {"project": "letters"}  # type: ignore[assignment]
        yield client


def state(web: TestClient, project: str = "letters") -> dict:
    return web.get(HERE, params={"project": project}).json()


def edit(web: TestClient, project: str = "letters", **change: object) -> dict:
    answer = web.post(HERE, params={"project": project}, json=change)
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(web: TestClient, project: str = "letters", **change: object) -> str:
    answer = web.post(HERE, params={"project": project}, json=change)
    assert answer.status_code in (400, 404, 422), answer.text
    return answer.json()["detail"]


def packs(told: dict) -> dict[str, list[str]]:
    return {pack["name"]: [label["name"] for label in pack["labels"]] for pack in told["packs"]}


def wait(web: TestClient, job: str, project: str = "letters") -> dict:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        jobs = web.get("/pl/api/jobs", params={"project": project}).json()["jobs"]
        found = next(row for row in jobs if row["id"] == job)
        if found["state"] not in ("queued", "running"):
            return found
        time.sleep(0.05)
    raise AssertionError("the job takes too long")


def test_teaching_a_pack_leaves_the_other_as_it_was(web: TestClient) -> None:
    assert state(web)["refusal"] == ""
    job = edit(web, action="teach", pack="tone")["made"]["job"]
    found = wait(web, job)
    assert (found["state"], found["kind"], found["key"]) == ("done", "teach", "teach:tone")
    told = state(web)
    report = told["report"]
    rows = {row["pack"]: row for row in report["packs"]}
    assert report["pack"] == "tone"
    assert report["version"] == told["version"]
    assert rows["main"]["largest_change"] == 0
    assert rows["main"]["before"] == rows["main"]["after"]
    digests = {pack["name"]: pack["digest"] for pack in told["packs"]}
    assert digests == {"main": "", "tone": rows["tone"]["digest_after"]}
    assert told["versions"]["steps"][0]["kind"] == "lane"
    assert told["versions"]["steps"][0]["pack"] == "tone"


def test_a_version_is_compared_and_taken_back_and_forth(web: TestClient) -> None:
    live = state(web)["version"]
    found = web.get(f"{HERE}/compare", params={"one": 0, "other": live}).json()
    assert found["total"] > 0
    assert {name for one in found["changes"] for name in one["gained"]} <= {
        *("transport", "food", "praise", "blame")
    }
    made = edit(web, action="revert", version=0)["made"]
    assert made == {"version": live + 1, "before": live}
    same = web.get(f"{HERE}/compare", params={"one": 0, "other": live + 1}).json()
    assert (same["total"], same["changes"]) == (0, [])
    edit(web, action="revert", version=live)
    back = web.get(f"{HERE}/compare", params={"one": live, "other": live + 2}).json()
    assert back["total"] == 0
    steps = state(web)["versions"]["steps"]
    assert [(step["kind"], step["to"]) for step in steps[:2]] == [("revert", live), ("revert", 0)]
    older = web.get(f"{HERE}/versions", params={"before": live}).json()["steps"]
    assert all(step["version"] < live for step in older)
    assert (
        "no version 999"
        in web.get(f"{HERE}/compare", params={"one": 999, "other": live}).json()["detail"]
    )


def test_the_curve_has_a_point_per_version(web: TestClient) -> None:
    points = web.get(f"{HERE}/curve").json()
    versions = {step["version"] for step in state(web)["versions"]["steps"]}
    assert {point["version"] for point in points} == versions
    assert set(points[-1]["packs"]) == {"main", "tone"}


def test_a_lane_is_taken_home_and_brought_back(web: TestClient) -> None:
    if not any(pack["digest"] for pack in state(web)["packs"]):
        wait(web, edit(web, action="teach", pack="tone")["made"]["job"])
    digest = next(p["digest"] for p in state(web)["packs"] if p["name"] == "tone")
    file = web.get(f"{HERE}/lane", params={"pack": "tone"})
    assert "letters-tone.safetensors" in file.headers["content-disposition"]
    assert "no lane" in web.get(f"{HERE}/lane", params={"pack": "main"}).json()["detail"]
    made = edit(web, action="drop", pack="tone")["made"]
    assert made["version"] == made["before"] + 1
    assert not any(pack["digest"] for pack in state(web)["packs"])
    job = web.post(f"{HERE}/lane", params={"name": "a.safetensors"}, content=file.content)
    assert wait(web, job.json()["job"])["state"] == "done"
    told = state(web)
    assert next(p["digest"] for p in told["packs"] if p["name"] == "tone") == digest
    assert told["report"]["kind"] == "import"
    before = told["version"]
    job = web.post(f"{HERE}/lane", params={"name": "b.safetensors"}, content=file.content[:900])
    failed = wait(web, job.json()["job"])
    assert failed["state"] == "failed"
    assert "b.safetensors" in failed["error"]
    assert state(web)["version"] == before


@pytest.mark.slow
def test_a_lane_file_goes_into_the_pack_that_was_asked_for_and_the_pack_can_go(
    web: TestClient,
) -> None:
    wait(web, edit(web, "pupils", action="teach", pack="tone")["made"]["job"], "pupils")
    file = web.get(f"{HERE}/lane", params={"pack": "tone", "project": "pupils"}).content
    names = packs(state(web, "pupils"))["tone"]
    edit(web, "pupils", action="remove", pack="tone")
    assert "tone" not in packs(state(web, "pupils"))
    asked = {"name": "a", "pack": " moods ", "project": "pupils"}
    job = web.post(f"{HERE}/lane", params=asked, content=file)
    assert wait(web, job.json()["job"], "pupils")["state"] == "done"
    told = state(web, "pupils")
    assert packs(told)["moods"] == names
    assert told["report"]["pack"] == "moods"
    edit(web, "pupils", action="remove", pack="moods")
    assert "no pack" in refused(web, "pupils", action="remove", pack="moods")
    web.post("/pl/api/undo", params={"project": "pupils"}, json={})
    assert packs(state(web, "pupils"))["moods"] == names


def test_packs_are_made_split_renamed_merged_and_muted(web: TestClient) -> None:
    made = edit(web, "notes", action="new", name="feelings", labels=["joy", " joy ", "anger", ""])
    assert packs(made)["feelings"] == ["joy", "anger"]
    ids = {one["name"]: one["id"] for pack in made["packs"] for one in pack["labels"]}
    split = edit(web, "notes", action="split", labels=[ids["joy"]], name="good ones")
    assert packs(split)["good ones"] == ["joy"]
    assert "already" in refused(web, "notes", action="rename", pack="feelings", name="main")
    rename = {"action": "rename", "pack": "feelings", "name": "bad ones", "op": "rename-it"}
    merge = {"action": "merge", "pack": "bad ones", "into": "good ones", "op": "merge-it"}
    for _ in range(2):  # the second time as after a lost answer
        renamed = edit(web, "notes", **rename)
        assert packs(renamed)["bad ones"] == ["anger"]
    for _ in range(2):
        merged = edit(web, "notes", **merge)
        assert packs(merged)["good ones"] == ["joy", "anger"]
    assert "no pack" in refused(web, "notes", action="merge", pack="good ones", into="nowhere")
    muted = edit(web, "notes", action="mute", pack="good ones", is_muted=True)
    assert [p["name"] for p in muted["packs"] if p["is_muted"]] == ["good ones"]
    queue = web.get("/pl/api/queue", params={"project": "notes", "picker": "order"}).json()
    assert {label["name"] for label in queue["labels"] if label["is_muted"]} == {"joy", "anger"}
    assert queue["entries"][0]["reason"] == "3 of 3 labels open"
    assert not any("joy" in entry["reason"] for entry in queue["entries"])


def test_an_encoder_without_lanes_says_so(web: TestClient) -> None:
    told = state(web, "notes")
    assert "words" in told["refusal"]
    assert refused(web, "notes", action="teach", pack="main") == told["refusal"]
    assert "nobody" in refused(web, action="teach", pack="nobody")
    assert refused(web, action="fly", pack="main")


def test_a_lane_file_that_is_too_large_is_refused(home: api.Settings) -> None:
    small = replace(home, limits=replace(home.limits, upload_bytes=1000))
    with TestClient(routes_only(small, default_project="letters"), base_url=ORIGIN) as client:
        answer = client.post(f"{HERE}/lane", content=b"x" * 1001)
        pieces = client.post(f"{HERE}/lane", content=iter([b"x" * 800, b"x" * 800]))
    assert (answer.status_code, pieces.status_code) == (413, 413)
    assert "1,000 bytes" in answer.json()["detail"]


def test_a_read_only_server_changes_nothing(home: api.Settings) -> None:
    closed = routes_only(home, default_project="letters", is_read_only=True)
    with TestClient(closed, base_url=ORIGIN) as client:
        assert client.get(HERE).json()["readOnly"] is True
        answer = client.post(HERE, json={"action": "revert", "version": 0})
    assert answer.status_code == 403


def test_teaching_by_itself_is_paused_and_goes_on(web: TestClient) -> None:
    assert state(web, "notes")["isPaused"] is False
    assert edit(web, "notes", action="pause", is_paused=True)["isPaused"] is True
    assert edit(web, "notes", action="pause", is_paused=False)["isPaused"] is False


def test_no_path_in_the_name_of_a_lane_file_is_told(web: TestClient) -> None:
    job = web.post(f"{HERE}/lane", params={"name": "../../etc/x.safetensors"}, content=b"nothing")
    assert "/" not in wait(web, job.json()["job"])["title"]
    assert Path("x.safetensors").name in wait(web, job.json()["job"])["title"]
