"""Places in Chromium: point it out, accept a mask, say where a label is and where it is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend import api
from tests.browser.evidence_pictures import PICTURES, SPOT
from tests.browser.label_projects import image_project, text_project
from tests.browser.waits import HOLD, LABEL_READY, told

pytestmark = pytest.mark.slow

SAMPLE = '[data-testid="sample"]'
CHIP = '[data-testid="chip"]'
DOT = '[data-testid="dot"]'
MARK = '[data-testid="mark"]'
PANEL = '[data-testid="point-out"]'
SAYS = '[data-testid="point-says"]'
SAVED = '[data-testid="save-state"][data-state="saved"]'
TURNED = ("plain.jpg", "tall.png", "wide.png", "turned6.jpg", "turned3.jpg", "clear.png")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos, texts, and made pictures with one red spot."""
    packs = api.Settings.from_environ().data
    if not packs.is_dir():
        pytest.skip(f"no data packs in {packs}; set PATCHLANE_DATA")
    folder = tmp_path_factory.mktemp("home")
    settings = replace(api.Settings.from_environ(), home=folder)
    image_project(settings, packs, tmp_path_factory.mktemp("photos"), photos=6).close()
    text_project(settings, packs, tmp_path_factory.mktemp("texts"), texts=6).close()
    made = tmp_path_factory.mktemp("made")
    for name in TURNED:
        PICTURES[name](made / name)
    bench = api.create_project("made", labels=["red spot", "sky"], settings=settings)
    assert bench.add(made).imported == len(TURNED)
    bench.close()
    return folder


@pytest.fixture
def look(server: tuple[str, Any], open_page: Callable[..., Any]) -> Callable[..., Any]:
    """`look("coco", "2", label="person")`: a sample with a label chosen; `page.bench`."""
    base, context = server

    def start(name: str, sample: str, label: str | None = None, **options: Any) -> Any:
        page = open_page(**options)
        page.bench = context.open(name)
        page.item = page.bench.sample(int(sample) if sample.isdecimal() else sample)
        chosen = f"&label={label}" if label else ""
        page.goto(f"{base}/?project={name}&sample={page.item.id}{chosen}")
        page.wait_for_selector(LABEL_READY)
        page.wait_for_selector(f"{CHIP}[data-spread]")
        return page

    return start


def stored(page: Any, label: str) -> tuple[api.Region, ...]:
    """The marks in the log itself, after everything was saved."""
    page.wait_for_selector(SAVED, state="attached")
    pair = page.item.id, page.bench.label(label).id
    found = page.bench.store.log.current().get(pair)
    return found.regions if found else ()


def point_out(page: Any, phrase: str) -> None:
    """Ask where these words are, also where the model would rather not say."""
    page.keyboard.press("p")
    page.locator('[data-testid="point-phrase"]').fill(phrase)
    page.keyboard.press("Enter")
    page.wait_for_function(
        "s => !['', 'Looking …'].includes(document.querySelector(s).textContent)", arg=SAYS
    )
    if page.locator('[data-testid="point-anyway"]').is_visible():
        page.locator('[data-testid="point-anyway"]').click()
    page.wait_for_selector(DOT)


def verdict(page: Any, label: str) -> str | None:
    found = page.bench.verdicts([page.item.id])[page.item.id]
    said = found.get(page.bench.label(label).id)
    return said.value if said else None


def point(page: Any, *, anyway: bool = True) -> None:
    """Open the tool and wait for its points."""
    page.keyboard.press("p")
    page.wait_for_selector(f"{PANEL}:not([hidden])")
    page.wait_for_function(
        "s => !['', 'Looking …'].includes(document.querySelector(s).textContent)", arg=SAYS
    )
    if anyway and page.locator('[data-testid="point-anyway"]').is_visible():
        page.locator('[data-testid="point-anyway"]').click()
    page.wait_for_selector(DOT)


def undo(page: Any) -> None:
    page.locator(SAMPLE).focus()
    page.keyboard.press("u")
    page.wait_for_selector(SAVED, state="attached")


def middle(page: Any, selector: str) -> tuple[float, float]:
    box = page.locator(selector).first.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_a_point_is_dragged_and_the_mask_is_kept_exported_and_taken_back(look, tmp_path):
    page = look("coco", "2", "person")
    before = stored(page, "person")
    point(page)
    page.wait_for_selector('.pl-marks:not([data-mask="0"]) .mask path', state="attached")
    first = page.locator(".pl-marks .mask path").first.get_attribute("d")
    dot = f"{DOT}[data-here=true]"
    was = [float(page.locator(dot).first.get_attribute(f"data-{axis}")) for axis in "xy"]
    photo = page.locator(".photo").bounding_box()
    x, y = middle(page, dot)
    to = photo["x"] + 0.8 * photo["width"], photo["y"] + 0.75 * photo["height"]
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(*to, steps=4)
    page.mouse.up()
    now = [float(page.locator(dot).first.get_attribute(f"data-{axis}")) for axis in "xy"]
    assert now != was
    np.testing.assert_allclose(now, [0.8, 0.75], atol=0.01)
    page.wait_for_function(
        "d => document.querySelector('.pl-marks .mask path').getAttribute('d') !== d", arg=first
    )
    page.locator('[data-testid="point-mask"]').click()
    page.wait_for_selector(f'{MARK}[data-kind="polygon"]')
    marks = stored(page, "person")
    kept = [mark for mark in marks if mark not in before]
    assert kept
    assert {mark.kind for mark in kept} == {"polygon"}
    assert all(mark.is_here and 0 <= min(mark.points) <= max(mark.points) <= 1 for mark in kept)
    assert verdict(page, "person") == "yes"
    page.bench.export(tmp_path / "coco", format="coco")
    written = [
        each
        for file in (tmp_path / "coco").glob("**/*.json")
        for each in json.loads(file.read_text("utf-8")).get("annotations", [])
    ]
    assert sum(bool(each.get("segmentation")) for each in written) >= len(kept)
    undo(page)
    page.wait_for_selector(f'{MARK}[data-kind="polygon"]', state="detached")
    assert stored(page, "person") == before


def test_points_are_set_turned_and_removed_by_keyboard_alone(look):
    page = look("coco", "3", "person")
    point(page)
    count = page.locator(DOT).count()
    page.keyboard.press("f")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+H")
    assert page.locator(DOT).count() == count + 1
    added = page.locator(DOT).last
    assert added.get_attribute("data-here") == "false"
    added.focus()
    x = float(added.get_attribute("data-x"))
    page.keyboard.press("Shift+ArrowRight")
    assert float(added.get_attribute("data-x")) == pytest.approx(x + 0.05, abs=1e-3)
    page.keyboard.press("Space")
    assert page.locator(DOT).last.get_attribute("data-here") == "true"
    for _ in range(80):
        page.keyboard.press("ArrowRight")
    assert float(page.locator(DOT).last.get_attribute("data-x")) == 1
    page.keyboard.press("Delete")
    assert page.locator(DOT).count() == count
    page.keyboard.press("Escape")
    page.wait_for_selector(PANEL, state="hidden")
    assert page.locator(DOT).count() == 0
    assert stored(page, "person") == ()


def test_a_click_beside_the_picture_adds_no_point(look):
    page = look("made", "tall.png", "red spot")
    point(page)
    count = page.locator(DOT).count()
    box = page.locator(SAMPLE).bounding_box()
    page.mouse.click(box["x"] + box["width"] - 12, box["y"] + box["height"] / 2)
    assert page.locator(DOT).count() == count
    said = page.request.post(
        f"{page.url.split('/?')[0]}/pl/api/mask?project=made",
        data={
            "sample": page.item.id,
            "label": page.bench.label("sky").id,
            "points": [{"x": 1.2, "y": 0.4, "here": True}],
        },
        headers={"Origin": page.url.split("/?")[0]},
    )
    assert said.status == 400
    assert "point 1 lies outside of the picture: (1.2, 0.4)" in said.json()["detail"]


def test_a_part_is_marked_learned_from_and_taken_back(look):
    page = look("coco", "4", "person")
    was = verdict(page, "person")
    page.keyboard.press("f")
    page.keyboard.press("ArrowLeft")
    part = page.bench.layout(page.item.id).grid
    page.keyboard.press("h")
    page.wait_for_selector(f'{MARK}[data-here="true"]')
    (mark,) = stored(page, "person")
    assert mark.kind == "box"
    np.testing.assert_allclose(mark.points[2:], [1 / part[1], 1 / part[0]], atol=1e-6)
    assert verdict(page, "person") == "yes"
    # folded in: the version that comes has learned from the log up to the mark
    page.wait_for_function(
        "() => Number(document.querySelector('[data-testid=\"version\"]')?.dataset.version) > 0"
    )
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+H")
    page.wait_for_selector(f'{MARK}[data-here="false"]')
    assert [m.is_here for m in stored(page, "person")] == [True, False]
    # said again, it is taken away
    page.keyboard.press("Shift+H")
    page.wait_for_selector(f'{MARK}[data-here="false"]', state="detached")
    assert [m.is_here for m in stored(page, "person")] == [True]
    undo(page)
    page.wait_for_selector(f'{MARK}[data-here="false"]')
    undo(page)
    undo(page)
    page.wait_for_function("s => !document.querySelector(s)", arg=MARK)
    assert stored(page, "person") == ()
    assert verdict(page, "person") == was
    page.reload()
    page.wait_for_selector(LABEL_READY)
    assert page.locator(MARK).count() == 0


def test_a_click_asks_and_marks_outlive_a_reload_and_enter(look):
    page = look("coco", "5", "person")
    page.locator(SAMPLE).click()
    page.locator('[data-testid="mark-absent"]').click()
    page.wait_for_selector(f'{MARK}[data-here="false"]')
    (mark,) = stored(page, "person")
    assert mark.is_absent
    at = page.locator(MARK).first.get_attribute("data-points")
    page.reload()
    page.wait_for_selector(LABEL_READY)
    page.wait_for_selector(MARK)
    assert page.locator(MARK).first.get_attribute("data-points") == at
    page.keyboard.press("Enter")
    page.wait_for_function("id => !location.search.includes(`sample=${id}&`)", arg=page.item.id)
    assert stored(page, "person") == (mark,)


def test_a_box_by_hand_with_mouse_and_keys(look):
    page = look("made", "plain.jpg", "red spot")
    page.keyboard.press("b")
    photo = page.locator(".photo").bounding_box()
    at = lambda x, y: (photo["x"] + x * photo["width"], photo["y"] + y * photo["height"])  # noqa: E731
    page.mouse.move(*at(0.6, 0.1))
    page.mouse.down()
    page.mouse.move(*at(0.8, 0.3), steps=3)
    page.mouse.up()
    page.wait_for_selector(MARK)
    (mark,) = stored(page, "red spot")
    np.testing.assert_allclose(mark.points, [0.6, 0.1, 0.2, 0.2], atol=0.01)
    page.keyboard.press("b")
    for key in ("Enter", "ArrowRight", "Shift+ArrowDown", "Enter"):
        page.keyboard.press(key)
    page.wait_for_function("s => document.querySelectorAll(s).length === 2", arg=MARK)
    # it began as the part under the pointer, where the first box was begun
    rows, cols = page.bench.layout(page.item.id).grid
    x, y = int(0.6 * cols) / cols, int(0.1 * rows) / rows
    told = (x + 0.02, y, 1 / cols, 1 / rows + 0.02)
    assert stored(page, "red spot")[1].points == pytest.approx(told, abs=1e-4)
    undo(page)
    undo(page)
    assert stored(page, "red spot") == ()


@pytest.mark.parametrize("name", TURNED)
def test_marks_lie_exactly_over_what_is_shown(look, name):
    """A box around the spot in the log is around the red pixels on the screen."""
    page = look("made", name, "red spot")
    label = page.bench.label("red spot").id
    box = [SPOT[0] - 0.09, SPOT[1] - 0.09, 0.18, 0.18]
    page.bench.correct(
        [{"sample": page.item.id, "label": label, "part": {"box": box}, "here": True}], who="me"
    )
    page.reload()
    page.wait_for_selector(MARK)
    photo = page.locator(".photo").bounding_box()
    drawn = page.locator(".pl-marks .saved .over").first.bounding_box()
    shown = [
        (drawn["x"] - photo["x"]) / photo["width"],
        (drawn["y"] - photo["y"]) / photo["height"],
        drawn["width"] / photo["width"],
        drawn["height"] / photo["height"],
    ]
    edge = 6 / min(photo["width"], photo["height"])  # the line itself is some pixels wide
    np.testing.assert_allclose(shown, box, atol=edge + 0.01)
    page.bench.correct(
        [{"sample": page.item.id, "label": label, "verdict": None, "regions": []}], who="me"
    )


def test_any_words_are_pointed_out_and_become_a_label_when_kept(look):
    page = look("made", "turned6.jpg")
    point_out(page, "a red dot")
    page.locator('[data-testid="point-parts"]').click()
    page.wait_for_selector(MARK)
    assert stored(page, "a red dot")


def test_what_was_pointed_out_stays_on_its_sample_though_another_came(look):
    page = look("made", "turned3.jpg")
    page.evaluate(HOLD, ["/pl/api/label"])
    point_out(page, "a spot of red")
    page.locator('[data-testid="point-parts"]').click()
    page.wait_for_function("asked.includes('/pl/api/label')")
    page.locator(f'[data-testid="queue-item"]:not([data-id="{page.item.id}"])').first.click()
    other = page.wait_for_selector(f'[data-testid="sample"]:not([data-id="{page.item.id}"])')
    page.evaluate("letGo('/pl/api/label')")
    told(page, "a spot of red")
    assert stored(page, "a spot of red")
    assert verdict(page, "a spot of red") == "yes"
    page.item = page.bench.sample(int(other.get_attribute("data-id")))
    assert stored(page, "a spot of red") == ()


def test_a_rejected_label_is_not_pointed_out_by_itself(look):
    page = look("made", "wide.png", "sky")
    page.bench.correct([{"sample": page.item.id, "label": "sky", "verdict": "no"}], who="me")
    page.reload()
    page.wait_for_selector(LABEL_READY)
    page.keyboard.press("p")
    page.wait_for_function("s => document.querySelector(s).textContent.includes('no to')", arg=SAYS)
    assert page.locator(DOT).count() == 0


def test_words_are_marked_and_pointed_out(look):
    page = look("talk", "2")
    label = page.bench.labels()[0].name
    page.goto(page.url + f"&label={label}")
    page.wait_for_selector(LABEL_READY)
    page.wait_for_selector(f"{CHIP}[data-spread]")
    page.keyboard.press("f")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("h")
    page.wait_for_selector("[data-mark=here]")
    (mark,) = stored(page, label)
    text = page.item.text
    word = page.locator("[data-mark=here]").first.inner_text()
    assert text[int(mark.points[0]) : int(mark.points[1])] == word
    page.keyboard.press("p")
    page.wait_for_selector(f"{PANEL}:not([hidden])")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Escape")
    undo(page)
    page.wait_for_function("() => !document.querySelector('[data-mark]')")
    assert stored(page, label) == ()


def test_on_a_phone_a_tap_asks_and_the_tool_fits(look):
    phone = {"width": 390, "height": 844}
    page = look("coco", "6", "person", viewport=phone, has_touch=True, is_mobile=True)
    page.locator(SAMPLE).tap()
    page.locator('[data-testid="mark-here"]').tap()
    page.wait_for_selector(f'{MARK}[data-here="true"]')
    assert len(stored(page, "person")) == 1
    page.locator('[data-testid="tool-point"]').tap()
    page.wait_for_selector(f"{PANEL}:not([hidden])")
    box = page.locator(PANEL).bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
