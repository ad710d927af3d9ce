from __future__ import annotations

import json
import re
import signal
import subprocess
import tomllib
import urllib.request
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backend import api
from backend.demo import PHOTOS, TEXTS, make_demo
from backend.demo_pictures import Photograph, load_photographs, make_pictures
from backend.numerics.scores import mean_average_precision
from backend.settings import Settings, assets_folder
from backend.types import Verdict
from tests.installing import ROOT, built_wheel, environ, installed
from tests.started import started

DEMO = assets_folder() / "demo"
ASKED = (
    "/healthz",
    f"/explore?project={PHOTOS}",
    f"/pl/api/search?project={PHOTOS}&text=cat&k=5",
    f"/pl/api/search?project={TEXTS}&text=brakes&k=5",
)
SCRIPT = re.compile(r"/pl/static/\w+/\w+\.js")
MINUTES = 15 * 60  # the first of the slow tests makes both projects, also on a machine that is busy
PHOTO_LABELS = [
    label["name"] for label in tomllib.loads((DEMO / "photos.toml").read_text())["labels"]
]
TEXT_LABELS = [
    label["name"] for label in tomllib.loads((DEMO / "texts.toml").read_text())["labels"]
]
MESSAGES = [json.loads(line) for line in (DEMO / "texts.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def pictures():
    return list(make_pictures(load_photographs(DEMO / "photos.toml"), PHOTO_LABELS))


@dataclass(frozen=True)
class Made:
    """What an installed wheel made of `patchlane demo`.

    Attributes:
        settings: of the home that it filled.
        notes: what it said while it did.
        answers: what its server answered, by address.
    """

    settings: Settings
    notes: list[str]
    answers: dict[str, str]


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The demo, made and served once by a wheel that was installed in an empty folder."""
    folder = tmp_path_factory.mktemp("installed")
    site = installed(built_wheel(folder), folder / "site")
    home = folder / "home"
    with (
        (folder / "said").open("w") as said,
        subprocess.Popen(
            [site / "bin" / "patchlane", "demo", "--port", "0", "--no-browser"],
            cwd=folder,
            env=environ(site, PATCHLANE_HOME=str(home), PATCHLANE_THREADS="2"),
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        try:
            told = process.stdout.readline()
            assert told.startswith("Patchlane is at http://127.0.0.1:"), said_in(folder)
            address = told.split()[3].partition("/?")[0]
            answers = {path: asked(address + path) for path in ASKED}
            scripts = sorted(set(SCRIPT.findall(answers[ASKED[1]])))
            answers |= {path: asked(address + path) for path in scripts}
        finally:
            process.terminate()
    return Made(Settings(home=home, threads=2), said_in(folder).splitlines(), answers)


def said_in(folder: Path) -> str:
    return (folder / "said").read_text("utf-8")


def asked(address: str) -> str:
    with urllib.request.urlopen(address, timeout=60) as answer:
        return answer.read().decode()


def test_every_photograph_is_found_and_none_is_ours(pictures):
    listed = tomllib.loads((DEMO / "photos.toml").read_text())["pictures"]
    assert len(load_photographs(DEMO / "photos.toml")) == len(listed) >= 15
    assert not [path for path in DEMO.rglob("*") if path.suffix in {".jpg", ".png", ".webp"}]
    licences = (DEMO / "LICENSES.md").read_text()
    assert all(entry["name"] in licences for entry in listed)


def test_there_are_enough_pictures_and_each_label_is_in_many(pictures):
    assert len(pictures) >= 200
    assert len({picture.name for picture in pictures}) == len(pictures)
    shown = Counter(
        label
        for picture in pictures
        for label, verdict in picture.verdicts.items()
        if verdict is Verdict.YES
    )
    assert min(shown[label] for label in PHOTO_LABELS) >= 8
    several = [p for p in pictures if Counter(p.verdicts.values())[Verdict.YES] > 1]
    assert len(several) > 100
    assert {len(picture.sources) for picture in pictures} == {1, 2, 3, 4, 5, 6}


def test_the_same_pictures_come_out_again(pictures):
    again = make_pictures(load_photographs(DEMO / "photos.toml"), PHOTO_LABELS)
    for one, other in zip(pictures[::20], list(again)[::20], strict=True):
        assert (one.name, one.verdicts, one.boxes) == (other.name, other.verdicts, other.boxes)
        assert one.image.tobytes() == other.image.tobytes()


def test_a_box_holds_what_it_says():
    """White on black: after cropping, placing and mirroring, the boxes hold all the white."""
    places = [
        (0.1, 0.2, 0.4, 0.9),
        (0.6, 0.1, 0.9, 0.4),
        (0.3, 0.5, 0.5, 0.6),
        (0.0, 0.6, 0.3, 1.0),
    ]
    photographs = []
    for number, box in enumerate(places * 2):
        image = Image.new("RGB", (600, 400))
        image.paste("white", tuple(round(v * s) for v, s in zip(box, (600, 400) * 2, strict=True)))
        photographs.append(Photograph(f"p{number}", image, {f"spot {number}": box}))
    labels = [f"spot {number}" for number in range(len(photographs))]
    checked = 0
    for picture in make_pictures(photographs, labels, count=120):
        # Where every spot in view is large enough to be a YES, nothing white is left outside.
        if len(picture.boxes) != len(picture.sources):
            continue
        pixels = np.asarray(picture.image.convert("L"), np.float32)
        outside = np.ones(pixels.shape, bool)
        for left, top, width, height in (box for boxes in picture.boxes.values() for box in boxes):
            rows, columns = pixels.shape
            y0, y1 = round(top * rows), round((top + height) * rows)
            x0, x1 = round(left * columns), round((left + width) * columns)
            assert pixels[y0 + 6 : y1 - 6, x0 + 6 : x1 - 6].min() > 128
            outside[max(0, y0 - 6) : y1 + 6, max(0, x0 - 6) : x1 + 6] = False
        if len(picture.sources) == 1:  # a collage has white gaps
            assert pixels[outside].max(initial=0) < 128
        checked += 1
    assert checked > 60


def test_boxes_are_inside_and_belong_to_what_is_there(pictures):
    for picture in pictures:
        for label, boxes in picture.boxes.items():
            assert picture.verdicts[label] is Verdict.YES
            for left, top, width, height in boxes:
                assert min(left, top) >= -1e-6
                assert max(left + width, top + height) <= 1 + 1e-3
                assert width * height > 0.002


def test_a_cat_is_an_animal_and_an_astronaut_a_person(pictures):
    for picture in pictures:
        for kind, above in (("cat", "animal"), ("lion", "animal"), ("cheetah", "animal")):
            if picture.verdicts.get(kind) is Verdict.YES:
                assert picture.verdicts[above] is Verdict.YES
        if picture.verdicts.get("astronaut") is Verdict.YES:
            assert picture.verdicts["person"] is Verdict.YES


def test_messages_are_many_different_and_labelled():
    assert len(MESSAGES) >= 150
    assert len({message["text"] for message in MESSAGES}) == len(MESSAGES)
    assert [message["sample"] for message in MESSAGES] == sorted(
        message["sample"] for message in MESSAGES
    )
    used = Counter(label for message in MESSAGES for label in message["labels"])
    assert set(used) == set(TEXT_LABELS)
    assert min(used.values()) >= 8
    lengths = sorted(len(message["text"]) for message in MESSAGES)
    assert lengths[0] < 40
    assert lengths[-1] > 350
    assert sum(len(message["labels"]) > 1 for message in MESSAGES) > 80


@pytest.mark.slow
@pytest.mark.timeout(MINUTES)
def test_the_demo_of_an_installed_wheel_answers(demo):
    """Its page, the scripts of the page, and a search in each of its projects."""
    health, page, *found = (demo.answers[path] for path in ASKED)
    assert json.loads(health)["ok"] is True
    assert "<html" in page
    scripts = {path for path in demo.answers if SCRIPT.fullmatch(path)}
    assert {path.rpartition("/")[2] for path in scripts} >= {"explore.js", "shell.js"}
    for path in scripts:
        ours = ROOT / "ui" / "static" / path.rpartition("/")[2]
        assert demo.answers[path] == ours.read_text("utf-8")
    assert [len(json.loads(one)["hits"]) for one in found] == [5, 5]


@pytest.mark.slow
@pytest.mark.timeout(MINUTES)
def test_both_projects_are_there_with_two_in_five_decided(demo):
    settings = demo.settings
    found = {info.name: info for info in api.list_projects(settings)}
    assert set(found) == {PHOTOS, TEXTS}
    assert found[PHOTOS].samples >= 200
    assert found[TEXTS].samples >= 150
    assert list(settings.home.glob(".making-*")) == []
    assert any(PHOTOS in note for note in demo.notes)
    for name in (PHOTOS, TEXTS):
        project = api.open_project(name, settings=settings)
        info = project.info()
        assert info.encoded == info.samples
        assert info.version == 1
        decided = project.verdicts()
        assert 0.35 < len(decided) / info.samples < 0.45
        assert all(label.definition for label in project.labels())
        project.close()


@pytest.mark.slow
@pytest.mark.timeout(MINUTES)
def test_some_boxes_are_given(demo):
    project = api.open_project(PHOTOS, settings=demo.settings)
    boxes = [c for c in project.store.log.current().values() if c.regions]
    assert len(boxes) > 100
    assert {region.kind for c in boxes for region in c.regions} == {"box"}
    parents = {label.name: label.parent for label in project.labels()}
    assert parents["cat"] is not None
    assert parents["tower"] is None
    project.close()


@pytest.mark.slow
@pytest.mark.timeout(MINUTES)
@pytest.mark.parametrize("name", [PHOTOS, TEXTS])
def test_suggestions_of_open_samples_are_mostly_right(demo, pictures, name):
    """mAP on what was left open, against the truth that the demo keeps to itself."""
    truth = {p.name: p.verdicts for p in pictures} | {
        m["sample"]: {
            label: Verdict.YES if label in m["labels"] else Verdict.NO for label in TEXT_LABELS
        }
        for m in MESSAGES
    }
    project = api.open_project(name, settings=demo.settings)
    labels = [label.name for label in project.labels()]
    decided = project.verdicts()
    rows = [found for found in project.suggest() if found.sample not in decided]
    scores = np.zeros((len(rows), len(labels)), np.float32)
    targets, known = np.zeros_like(scores), np.zeros(scores.shape, bool)
    for row, found in enumerate(rows):
        for suggestion in found.suggestions:
            column = labels.index(suggestion.label)
            scores[row, column] = suggestion.score
            verdict = truth[found.name].get(suggestion.label)
            known[row, column] = verdict is not None
            targets[row, column] = verdict is Verdict.YES
    project.close()
    found = mean_average_precision(scores, targets, known)
    assert found > {PHOTOS: 0.7, TEXTS: 0.6}[name]
    assert found > 2 * targets[known].mean()


@pytest.mark.slow
@pytest.mark.timeout(MINUTES)
def test_a_second_start_builds_nothing(demo):
    settings = demo.settings
    before = {path: path.stat().st_mtime_ns for path in settings.home.rglob("*.sqlite3")}
    said: list[str] = []
    assert make_demo(settings, lambda *at: said.append(at[2])) == [PHOTOS, TEXTS]
    assert said == []
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.slow
@pytest.mark.timeout(MINUTES)
def test_a_program_is_told_in_json_where_the_demo_is(demo):
    with started(demo.settings, "demo", "--json") as process:
        told = json.loads(process.stdout.readline())
        assert set(told) == {"url", "project"}
        assert told["project"] == PHOTOS
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert out == ""


def test_an_interrupted_demo_leaves_nothing_behind(settings):
    class StopError(Exception):
        pass

    def stop(done, total, note):
        raise StopError

    with pytest.raises(StopError):
        make_demo(settings, stop)
    assert list(settings.home.iterdir()) == []


def test_a_home_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(api.SaveError, match="demo cannot be made"):
        make_demo(Settings(home=tmp_path / "file"))
