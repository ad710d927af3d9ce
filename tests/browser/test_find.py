"""Finding in Explore: a part of a picture, these but not those, saved slices, formulas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend import api
from tests.browser.label_projects import image_project
from tests.browser.waits import ready, saved

pytestmark = pytest.mark.slow

PATIENT = 120_000
PHOTOS = 12


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with photographs, made once."""
    packs = api.Settings.from_environ().data
    if not packs.is_dir():
        pytest.skip(f"no data packs in {packs}; set PATCHLANE_DATA")
    made = tmp_path_factory.mktemp("home")
    settings = replace(api.Settings.from_environ(), home=made)
    image_project(settings, packs, tmp_path_factory.mktemp("photos"), photos=PHOTOS).close()
    return made


@pytest.fixture
def explore(server: tuple[str, Any], open_page: Callable[..., Any]) -> Callable[..., Any]:
    """`explore(query)`: the page, ready; `page.bench` is the project that the server has open."""

    def go(query: str = "", **options: Any) -> Any:
        page = open_page(**options)
        page.set_default_timeout(PATIENT)
        page.goto(f"{server[0]}/explore?project=coco{query}")
        ready(page, "explore")
        page.bench = server[1].open("coco")
        return page

    return go


def results(page: Any, count: int) -> list[str]:
    """The first results by their place."""
    found = page.wait_for_function(
        """count => { const first = Array.from({length: count}, (_, k) =>
                document.querySelector(`[data-testid=result][data-k="${k}"][data-sample]`));
            return first.every(Boolean) && first.map(tile => tile.dataset.sample); }""",
        arg=count,
    )
    return found.json_value()


def chosen(page: Any) -> int:
    return int(page.get_by_test_id("selection").get_attribute("data-count"))


def choose(page: Any, names: list[str]) -> None:
    """Exactly these tiles of the grid."""
    if chosen(page):
        page.keyboard.press("Escape")
        page.wait_for_selector("[data-testid=selection][data-count='0']")
    for name in names:
        page.locator(f".pl-tile[data-sample='{name}']").click(modifiers=["Control"])
    page.wait_for_selector(f"[data-testid=selection][data-count='{len(names)}']")


def test_a_box_on_the_picture_is_searched_for_and_is_in_the_address(
    explore: Callable[..., Any],
) -> None:
    page = explore("&view=grid")
    first = page.bench.samples()[0]
    page.locator(f".pl-tile[data-sample='{first.name}']").click()
    shot, button = page.get_by_test_id("look-shot"), page.get_by_test_id("search-part")
    shot.wait_for()
    assert button.inner_text() == "Part of it"
    # where the picture itself lies within its frame
    frame = shot.bounding_box()
    fit = min(frame["width"] / first.width, frame["height"] / first.height)
    width, height = fit * first.width, fit * first.height
    left = frame["x"] + (frame["width"] - width) / 2
    top = frame["y"] + (frame["height"] - height) / 2
    page.mouse.move(left + 0.25 * width, top + 0.2 * height)
    page.mouse.down()
    page.mouse.move(left + 0.75 * width, top + 0.8 * height, steps=5)
    page.mouse.up()
    assert button.inner_text() == "Search for this part"
    button.click()
    page.wait_for_url("**region=*")
    told = page.evaluate("new URLSearchParams(location.search).get('region')")
    region = [float(part) for part in told.split(",")]
    assert region == pytest.approx([0.25, 0.2, 0.5, 0.6], abs=0.02)
    twin = page.bench.search(sample=first.id, region=region, k=4)
    assert results(page, 4) == [hit.name for hit in twin]
    outline = page.locator("[data-testid=result][data-k='0'] .pl-tile-parts path")
    outline.first.wait_for(state="attached")
    # the address opens on the same, with the box on the picture
    page.goto(page.url)
    ready(page, "explore")
    assert results(page, 4) == [hit.name for hit in twin]
    page.locator(".pl-glance-shot path.over").wait_for(state="attached")
    assert page.get_by_test_id("search-part").inner_text() == "Search for this part"
    # with keys alone: a box, moved and sized, then taken
    page.get_by_test_id("look-shot").focus()
    page.keyboard.press("Escape")
    for key in ("ArrowLeft", "ArrowLeft", "Shift+ArrowRight", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    page.wait_for_url("**region=0.355*")
    assert "region=0.355%2C0.395%2C0.27%2C0.25" in page.url
    twin = page.bench.search(sample=first.id, region=[0.355, 0.395, 0.27, 0.25], k=3)
    page.wait_for_selector(".pl-find:not(.is-busy)")
    assert results(page, 3) == [hit.name for hit in twin]


def test_a_finger_draws_a_box_once_it_was_asked_to(explore: Callable[..., Any]) -> None:
    page = explore("&view=grid", viewport={"width": 390, "height": 844}, has_touch=True)
    first = page.bench.samples()[0]
    # by the mouse but for the box: on a busy machine a tap may last as long as a long press
    page.locator(f".pl-tile[data-sample='{first.name}']").click()
    page.locator("[role=tab][data-view=selection]").click()
    shot, button = page.get_by_test_id("look-shot"), page.get_by_test_id("search-part")
    shot.wait_for()
    # whole, where the box is drawn: not its middle, cut off above and below
    assert shot.locator("img").bounding_box() == shot.bounding_box()
    assert shot.evaluate("node => getComputedStyle(node).touchAction") == "auto"
    button.click()
    assert shot.evaluate("node => getComputedStyle(node).touchAction") == "none"
    box = shot.bounding_box()
    touch = page.context.new_cdp_session(page)
    middle = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    away = {"x": middle["x"] + 60, "y": middle["y"] + 50}
    for kind, points in (("touchStart", [middle]), ("touchMove", [away]), ("touchEnd", [])):
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    page.locator("[data-testid=search-part]:text-is('Search for this part')").wait_for()
    button.click()
    page.wait_for_url("**region=*")
    told = page.evaluate("new URLSearchParams(location.search).get('region')")
    assert [float(part) for part in told.split(",")][:2] == pytest.approx([0.5, 0.5], abs=0.02)
    page.wait_for_selector("[data-testid=page][data-view=grid]")


def test_these_but_not_those(explore: Callable[..., Any]) -> None:
    page = explore("&view=grid")
    names = [sample.name for sample in page.bench.samples()]
    choose(page, names[:2])
    page.get_by_test_id("selection-like").click()
    plain = [hit.name for hit in page.bench.search(like=names[:2], k=5)]
    assert results(page, 5) == plain
    # of the results two are wrong: put aside, and the search is done again without them
    choose(page, plain[:2])
    page.get_by_test_id("selection-unlike").click()
    page.wait_for_url("**not=*")
    page.wait_for_selector("[data-testid=unlike][data-count='2']")
    page.wait_for_selector(".pl-find:not(.is-busy)")
    twin = [hit.name for hit in page.bench.search(like=names[:2], unlike=plain[:2], k=5)]
    assert results(page, 5) == twin
    assert chosen(page) == 0
    # the address holds both sets
    page.goto(page.url)
    ready(page, "explore")
    assert results(page, 5) == twin
    choose(page, twin[2:3])
    assert "put aside" in page.get_by_test_id("selection-like").get_attribute("title")
    page.get_by_test_id("unlike").click()
    assert page.get_by_test_id("unlike").count() == 0
    assert "put aside" not in page.get_by_test_id("selection-like").get_attribute("title")


def test_a_selection_becomes_a_slice_that_filters_and_is_taken_back(
    explore: Callable[..., Any],
) -> None:
    page = explore("&view=grid")
    bench = page.bench
    names = [sample.name for sample in bench.samples()]
    ids = [sample.id for sample in bench.samples()]
    hostile = "<img src=x onerror=alert(1)>"
    choose(page, names[:3])
    page.get_by_test_id("selection-slice").click()
    page.get_by_test_id("slice-name").fill(hostile)
    page.keyboard.press("Enter")
    page.locator(".pl-toast", has_text="3 samples").wait_for()
    saved(page)
    assert bench.saved_slices() == {hostile: frozenset(ids[:3])}
    page.locator(f'[data-filter="slice:{hostile}"]').click()
    page.wait_for_selector("[data-scope=all] .pl-num:text-is('3')")
    assert page.locator("img[src=x]").count() == 0
    # one of them is taken out again
    choose(page, names[1:2])
    page.locator(".pl-shared").wait_for()
    page.get_by_test_id("selection-slice").click()
    page.locator("[data-how=take]").click()
    page.wait_for_selector("[data-scope=all] .pl-num:text-is('2')")
    assert bench.saved_slices() == {hostile: frozenset([ids[0], ids[2]])}
    # forgotten, with the filter; undo brings the slice back
    page.get_by_test_id("slice-these").click()
    page.locator("[data-how=remove]").click()
    page.wait_for_selector(f"[data-scope=all] .pl-num:text-is('{PHOTOS}')")
    assert bench.saved_slices() == {}
    page.locator(".pl-toast button", has_text="Undo").last.click()
    page.locator(f'[data-filter="slice:{hostile}"]').wait_for()
    assert bench.saved_slices() == {hostile: frozenset([ids[0], ids[2]])}
    bench.remove_slice(hostile)


def test_results_become_a_slice_and_formulas_speak_of_it(explore: Callable[..., Any]) -> None:
    page = explore("&query=a+street&view=grid")
    bench = page.bench
    found = results(page, 3)
    choose(page, found[:2])
    box, line = page.get_by_test_id("explore-search"), page.get_by_test_id("search-line")
    box.fill('@selection & ~"a red bus"')
    page.keyboard.press("Enter")
    page.locator("[data-testid=search-line] b", has_text="@selection").wait_for()
    assert "Words, no label: “a red bus”." in line.inner_text()
    assert set(results(page, 2)) == set(found[:2])
    page.wait_for_selector("[data-scope=results] .pl-num:text-is('2')")
    page.get_by_test_id("slice-these").click()
    page.get_by_test_id("slice-name").fill("streets")
    page.get_by_test_id("slice-save").click()
    page.locator(".pl-toast", has_text="streets").wait_for()
    ids = {bench.sample(name).id for name in found[:2]}
    assert bench.saved_slices() == {"streets": frozenset(ids)}
    box.fill("@streets")
    page.keyboard.press("Enter")
    page.wait_for_url("**query=%40streets*")
    page.wait_for_selector(".pl-find:not(.is-busy)")
    assert set(results(page, 2)) == set(found[:2])
    # what is not there is said where it was asked
    page.expected.append("400")
    box.fill("@strets")
    page.keyboard.press("Enter")
    page.locator(".pl-find-line.is-refusal").wait_for()
    assert "no slice 'strets' at character 1; the nearest is @streets" in line.inner_text()
    bench.remove_slice("streets")
