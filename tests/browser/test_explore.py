"""Explore in a browser: the map, lasso, bulk verdicts and their undo, search, names as text."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backend import api
from tests.browser.waits import HOLD, ready, saved, told

LABELS = ["animal", "food", "<b onclick=alert(1)>${7*7}</b> {{x}}"]
HOSTILE = "<img src=x onerror=alert(1)> ${7*7} {{x}} the train is late"
SUBJECTS = [
    ("a {} dog barks at the cat", "the {} kitten chased a mouse", "cats and {} puppies play"),
    ("we baked {} bread and cake", "the {} soup needs salt", "she cooked {} rice for dinner"),
    ("the {} train was late", "he missed the {} bus", "the {} airplane landed in rain"),
]
WORDS = ["small", "old", "cold", "green", "quiet"]
PATIENT = 120_000
"""Milliseconds: the machine of a test may be busy with much else."""


@pytest.fixture(scope="module")
def prepared(once: api.Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of 46 texts, made once; every test works on a copy."""
    made = api.create_project("texts", labels=LABELS, encoder="words", settings=once)
    texts = [form.format(word) for forms in SUBJECTS for form in forms for word in WORDS]
    file = tmp_path_factory.mktemp("texts") / "texts.jsonl"
    file.write_text(
        "".join(
            json.dumps({"sample": f"t{i:02d}", "text": text}) + "\n"
            for i, text in enumerate([HOSTILE, *texts])
        )
    )
    assert made.add(file).imported == 46
    made.project()
    made.close()
    return made.path


@pytest.fixture
def project(prepared: Path, copied: Callable[[Path], api.Workbench]) -> api.Workbench:
    return copied(prepared)


@pytest.fixture
def explore(
    serve: Callable[..., str], open_page: Callable[..., Any], project: api.Workbench
) -> Callable[..., Any]:
    """`explore(query)`: the page, ready; `page.bench` is the project that the server has open."""
    address = serve(project)

    def go(query: str = "", **options: Any) -> Any:
        page = open_page(**options)
        page.set_default_timeout(PATIENT)
        page.goto(f"{address}/explore?project=texts{query}")
        ready(page, "explore")
        page.bench = serve.apps[-1].state.context.open("texts")  # type: ignore[attr-defined]
        return page

    return go


def map_ready(page: Any) -> Any:
    page.wait_for_selector("[data-testid=map][data-ready='1']")
    return page.locator("[data-testid=map]")


def drawn(page: Any) -> list[int]:
    """The map's picture as numbers: how many pixels have which colour."""
    return page.evaluate(
        """async () => {
            const gd = document.querySelector('.pl-map-plot');
            const picture = await Plotly.toImage(gd, {format: 'png', width: 300, height: 300});
            const image = new Image(); image.src = picture; await image.decode();
            const canvas = document.createElement('canvas'); canvas.width = canvas.height = 300;
            const pen = canvas.getContext('2d'); pen.drawImage(image, 0, 0);
            const pixels = new Uint32Array(pen.getImageData(0, 0, 300, 300).data.buffer);
            return [...new Set(pixels)].sort();
        }"""
    )


def lasso(page: Any, corners: list[tuple[float, float]]) -> None:
    """Draw with the mouse; corners in 0..1 of the map."""
    box = page.locator(".pl-map-plot").bounding_box()
    spots = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]
    page.mouse.move(*spots[0])
    page.mouse.down()
    for spot in [*spots[1:], spots[0]]:
        page.mouse.move(*spot, steps=6)
    page.mouse.up()


def shape_drawn(page: Any) -> list[tuple[float, float]]:
    """The vertices that plotly kept, read from its own layout."""
    path = page.evaluate("() => document.querySelector('.pl-map-plot')._fullLayout.shapes[0].path")
    numbers = path.replace("M", "").replace("Z", "").split("L")
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in numbers)]


def is_inside(x: float, y: float, corners: list[tuple[float, float]]) -> bool:
    """Count the edges to the right of the point, one by one."""
    crossings = 0
    for (ax, ay), (bx, by) in zip(corners, [*corners[1:], corners[0]], strict=True):
        if (ay > y) != (by > y) and x < ax + (y - ay) / (by - ay) * (bx - ax):
            crossings += 1
    return crossings % 2 == 1


def places_on_screen(page: Any) -> dict[int, tuple[float, float]]:
    """Where plotly put the point of each sample, by id."""
    found = page.evaluate(
        """async () => {
            const gd = document.querySelector('.pl-map-plot');
            const box = gd.getBoundingClientRect(), {xaxis, yaxis} = gd._fullLayout;
            const answer = await fetch('/pl/api/points?project=texts&by=doubt');
            const buffer = await answer.arrayBuffer();
            const n = new DataView(buffer).getUint32(8, true);
            const ids = new Uint32Array(buffer, 40, n);
            const [x, y] = [1, 2].map(c => new Float32Array(buffer, 40 + 4 * n * c, n));
            return Array.from(ids, (id, k) => [id, box.left + xaxis._offset + xaxis.d2p(x[k]),
                                               box.top + yaxis._offset + yaxis.d2p(y[k])]);
        }"""
    )
    return {sample: (x, y) for sample, x, y in found}


def first_results(page: Any, count: int) -> list[str]:
    """The first results, by their place: a tile says nothing until its card is there."""
    found = page.wait_for_function(
        """count => { const first = Array.from({length: count}, (_, k) =>
                document.querySelector(`[data-testid=result][data-k="${k}"][data-sample]`));
            return first.every(Boolean) && first.map(tile => tile.dataset.sample); }""",
        arg=count,
    )
    return found.json_value()


def test_lasso_then_yes_to_all_and_one_undo(explore: Callable[..., Any]) -> None:
    page = explore("&colour=doubt")
    shown = map_ready(page)
    assert shown.get_attribute("data-count") == "46"
    assert shown.get_attribute("data-method") == "umap"
    lasso(page, [(0.16, 0.03), (0.97, 0.03), (0.97, 0.55), (0.6, 0.45), (0.4, 0.7), (0.2, 0.5)])
    page.wait_for_selector("[data-testid=selection]:not([data-count='0'])")
    count = int(page.locator("[data-testid=selection]").get_attribute("data-count"))
    corners = shape_drawn(page)
    place = page.bench.map()
    twin = [
        int(i) for i, (x, y) in zip(place.ids, place.xy, strict=True) if is_inside(x, y, corners)
    ]
    assert 0 < len(twin) < 46
    assert count == len(twin)

    assert page.locator("[data-testid=bulk-yes]").is_disabled()
    page.locator(".pl-shared-row[data-label=food]").click()
    assert f"{count} of {count} verdicts would change" in page.locator(".pl-forecast").inner_text()
    page.locator("[data-testid=bulk-yes]").click()
    page.wait_for_selector(f".pl-shared-row[data-label=food] .pl-verdict.yes:text('{count}')")
    saved(page)
    food = page.bench.label("food").id
    said = {i: row[food] for i, row in page.bench.verdicts().items() if food in row}
    assert said == dict.fromkeys(twin, "yes")

    page.locator("[data-testid=undo]").click()
    page.wait_for_selector(".pl-shared-row[data-label=food] .pl-verdict", state="detached")
    assert page.bench.verdicts() == {}


@pytest.mark.slow
def test_removing_a_selection_asks_first_and_u_brings_it_back(explore: Callable[..., Any]) -> None:
    page = explore("&colour=doubt")
    map_ready(page)
    lasso(page, [(0.16, 0.03), (0.97, 0.03), (0.97, 0.55), (0.6, 0.45), (0.4, 0.7), (0.2, 0.5)])
    page.wait_for_selector("[data-testid=selection]:not([data-count='0'])")
    count = int(page.locator("[data-testid=selection]").get_attribute("data-count"))
    page.locator("[data-testid=remove-samples]").click()
    dialog = page.locator("dialog.pl-dialog[open]")
    assert f"({count})" in dialog.inner_text()
    dialog.locator("button[value=no]").click()
    assert len(page.bench.samples()) == 46, "nothing happens without a yes"

    page.locator("[data-testid=remove-samples]").click()
    dialog.locator("button[value=yes]").click()
    page.wait_for_selector(f"[data-testid=map][data-count='{46 - count}']")
    page.wait_for_selector("[data-testid=selection][data-count='0']")
    assert len(page.bench.samples()) == 46 - count

    page.keyboard.press("u")
    page.wait_for_selector("[data-testid=map][data-count='46']")
    assert len(page.bench.samples()) == 46


@pytest.mark.slow
def test_colours_change_the_picture_and_the_legend_says_why(explore: Callable[..., Any]) -> None:
    page = explore("&colour=doubt")
    shown = map_ready(page)
    before = drawn(page)
    page.locator(".pl-facet[data-label=food] button").first.click()
    page.wait_for_selector("[data-testid=map][data-colour=label]")
    page.wait_for_function("() => document.querySelector('.pl-legend').innerText.includes('food')")
    assert drawn(page) != before
    assert "colour=label" in page.url
    # a label that is markup stays text, everywhere on the page
    assert page.locator(f".pl-facet-word:text-is('{LABELS[2]}')").count() == 1
    assert page.locator("b[onclick]").count() == 0
    # dark draws other colours without losing a point
    light = drawn(page)
    page.evaluate("() => document.body.classList.toggle('dark')")
    page.wait_for_timeout(500)
    assert drawn(page) != light
    assert shown.get_attribute("data-count") == "46"


def test_search_shows_results_and_opens_one(explore: Callable[..., Any]) -> None:
    page = explore()
    page.locator("[data-testid=search-box]").fill("bread")
    page.keyboard.press("Enter")
    results = page.locator("[data-testid=result]")
    best = [hit.name for hit in page.bench.search(text="bread", k=5)]
    assert first_results(page, 5) == best
    assert "query=bread" in page.url
    assert results.first.locator("mark").count() > 0
    # a search for markup, and a text that is markup
    page.locator("[data-testid=explore-search]").fill(HOSTILE)
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-testid=result][data-sample=t00]")
    assert "<img src=x onerror=alert(1)>" in page.locator("[data-sample=t00]").inner_text()
    assert page.locator("img[src=x]").count() == 0
    # looking at it shows it, opening it leads to Label
    page.locator("[data-testid=result][data-sample=t00]").click()
    page.locator(".pl-glance-text").wait_for()
    page.locator("[data-testid=result][data-sample=t00]").dblclick()
    page.wait_for_url("**/?*sample=*")


@pytest.mark.slow
def test_an_address_with_a_query_opens_on_its_results(explore: Callable[..., Any]) -> None:
    page = explore("&query=fresh+bread")
    best = [hit.name for hit in page.bench.search(text="fresh bread", k=3)]
    assert first_results(page, 3) == best
    assert page.locator("[data-testid=search-box]").input_value() == "fresh bread"


@pytest.mark.slow
def test_a_formula_is_answered_by_algebra_and_says_so(explore: Callable[..., Any]) -> None:
    page = explore("&query=food%20%26%20~animal")
    line, box = page.get_by_test_id("search-line"), page.get_by_test_id("explore-search")
    by_query = [hit.name for hit in page.bench.search(query="food & ~animal", k=4)]
    assert first_results(page, 4) == by_query
    assert line.inner_text().startswith("Understood as food & ~animal, most probable first")
    assert (page.get_by_test_id("search-box").input_value(), box.input_value()) == (
        "food & ~animal",
        "food & ~animal",
    )
    # a label that is markup stays text
    box.fill(f'Animal and not "{LABELS[2]}"')
    page.keyboard.press("Enter")
    page.locator("[data-testid=search-line] b", has_text="<b onclick").wait_for()
    assert f'animal & ~"{LABELS[2]}"' in line.inner_text()
    assert page.locator("b[onclick]").count() == 0
    # what cannot be read is said where it was asked, and the words can be searched for all the same
    page.expected.append("400")
    box.fill("food & anmial")
    page.keyboard.press("Enter")
    page.locator(".pl-find-line.is-refusal").wait_for()
    assert "no label 'anmial' at character 8; the nearest is animal" in line.inner_text()
    assert page.locator("[data-scope=results]").count() == 0
    page.get_by_test_id("search-as-words").click()
    page.wait_for_selector("[data-scope=results]")
    assert first_results(page, 4) == [
        hit.name for hit in page.bench.search(text="food & anmial", k=4)
    ]
    assert ("as=words" in page.url, line.is_visible()) == (True, False)
    # words that hold an "and" are words
    box.fill("bread and butter")
    page.keyboard.press("Enter")
    page.wait_for_url("**query=bread+and+butter*")
    page.wait_for_selector(".pl-find:not(.is-busy)")
    best = [hit.name for hit in page.bench.search(text="bread and butter", k=4)]
    assert first_results(page, 4) == best
    assert ("as=words" in page.url, line.is_visible()) == (False, False)


@pytest.mark.slow
def test_a_filter_may_be_chosen_while_the_page_starts(
    explore: Callable[..., Any], open_page: Callable[..., Any]
) -> None:
    address = explore().url
    page = open_page()
    order, points = "/pl/api/order", "/pl/api/points"
    page.add_init_script(f"({HOLD})({[order, points]})")
    page.goto(address)
    page.wait_for_function("what => asked.includes(what)", arg=order)
    choice = page.locator("[data-filter]:not([disabled])").first
    matching = choice.locator(".pl-num").inner_text()
    assert matching != "46", "which would be all"
    choice.click()
    page.wait_for_function("what => asked.filter(each => each === what).length === 2", arg=order)
    page.evaluate("what => letGo(what)", order)
    page.evaluate("what => letGo(what)", points)
    ready(page, "explore")
    map_ready(page)
    assert page.locator("[data-scope=all] .pl-num").inner_text() == matching


@pytest.mark.slow
def test_a_formula_becomes_a_filter_of_all_it_holds_for(explore: Callable[..., Any]) -> None:
    page = explore("&query=food%20%26%20~animal")
    first_results(page, 1)
    likely = [hit for hit in page.bench.search(query="food & ~animal", k=100) if hit.score > 0.5]
    page.get_by_test_id("search-as-filter").click()
    page.wait_for_selector(f"[data-scope=all]:has-text('{len(likely)}')")
    assert page.locator(".pl-x-chips").inner_text().startswith("food & ~animal")
    assert page.locator("[data-scope=results]").count() == 0


@pytest.mark.slow
def test_an_address_with_labels_that_are_gone_opens_all_the_same(
    explore: Callable[..., Any],
) -> None:
    page = explore("&filter=label%3A4242%3Ayes,split%3Atrain&colour=label:4242&order=label")
    map_ready(page)
    told(page, "no label has the id 4242")
    page.wait_for_function("() => !location.search.includes('4242')")
    assert page.locator(".pl-x-chips .pl-chip").count() == 1
    assert "split%253Atrain" in page.url
    page.expected.append("404")


@pytest.mark.slow
def test_a_search_that_fails_shows_nothing_of_the_one_before(explore: Callable[..., Any]) -> None:
    page = explore("&query=fresh+bread")
    first_results(page, 3)
    page.route("**/pl/api/search?*", lambda route: route.fulfill(status=503, json={"detail": "no"}))
    page.expected.append("503")
    page.locator("[data-testid=explore-search]").fill("a cat")
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-scope=results]", state="detached")
    assert page.locator("[data-testid=result]").count() == 0


@pytest.mark.slow
def test_what_is_looked_at_covers_nothing_of_the_selection(explore: Callable[..., Any]) -> None:
    page = explore()
    map_ready(page)
    page.locator("[data-testid=tile][data-sample=t01]").click(modifiers=["Control"])
    page.wait_for_selector("[data-testid=selection][data-count='1']")
    page.locator(".pl-glance h2", has_text="t01").wait_for()
    looked, chosen = (
        page.locator(css).bounding_box() for css in (".pl-glance", "[data-testid=selection]")
    )
    assert looked["y"] + looked["height"] <= chosen["y"]


@pytest.mark.slow
def test_pruning_a_selection_keeps_the_place_and_escape_can_be_taken_back(
    explore: Callable[..., Any],
) -> None:
    page = explore()
    map_ready(page)
    page.locator(".pl-grid").focus()
    page.keyboard.press("Control+a")
    page.wait_for_selector("[data-testid=selection][data-count='46']")
    page.locator("[data-scope=chosen]").click()
    page.wait_for_function("() => document.querySelector('.pl-grid').scrollHeight > 900")
    page.locator(".pl-grid").evaluate("grid => { grid.scrollTop = 500; }")
    tile = page.locator("[data-testid=tile][data-k='20'][data-sample]")
    tile.wait_for()
    name = tile.get_attribute("data-sample")
    before = page.locator(".pl-grid").evaluate("grid => grid.scrollTop")
    tile.click(modifiers=["Control"])
    page.wait_for_selector("[data-testid=selection][data-count='45']")
    assert page.locator(".pl-grid").evaluate("grid => grid.scrollTop") == before
    # the tile is still there to be chosen again
    assert tile.get_attribute("data-sample") == name
    assert tile.get_attribute("aria-selected") == "false"
    page.keyboard.press("Escape")
    page.wait_for_selector("[data-testid=selection][data-count='0']")
    page.locator(".pl-toast button", has_text="Select again").click()
    page.wait_for_selector("[data-testid=selection][data-count='45']")


@pytest.mark.slow
def test_verdicts_that_find_no_server_arrive_when_it_is_back(explore: Callable[..., Any]) -> None:
    page = explore()
    map_ready(page)
    page.expected.append("ERR_")
    page.locator("[data-testid=tile][data-sample=t01]").click(modifiers=["Control"])
    page.wait_for_selector("[data-testid=selection][data-count='1']")
    page.locator(".pl-shared-row[data-label=food] input").check()
    page.route("**/pl/api/bulk*", lambda route: route.abort())
    page.get_by_test_id("bulk-yes").click()
    page.wait_for_selector("[data-testid=save-state][data-state=offline]")
    assert page.bench.verdicts() == {}
    page.unroute("**/pl/api/bulk*")
    page.locator(".pl-toast", has_text="food on 1 samples").wait_for()
    saved(page)
    assert page.bench.verdicts() == {
        page.bench.sample("t01").id: {page.bench.label("food").id: api.Verdict.YES}
    }


@pytest.mark.slow
def test_no_to_all_stores_no_and_nothing_else(explore: Callable[..., Any]) -> None:
    page = explore()
    map_ready(page)
    known = page.bench.verdicts()
    label = page.bench.labels()[0]
    page.locator(".pl-grid").focus()
    page.keyboard.press("Control+a")
    page.wait_for_selector("[data-testid=selection][data-count='46']")
    page.locator(f'.pl-shared-row[data-label="{label.name}"] input').check()
    page.get_by_test_id("bulk-no").click()
    page.locator(".pl-toast", has_text=f"{label.name} on 46 samples").wait_for()
    after = page.bench.verdicts()
    assert {said.get(label.id) for said in after.values()} == {api.Verdict.NO}
    assert len(after) == 46
    for sample, said in known.items():
        rest = {key: verdict for key, verdict in said.items() if key != label.id}
        assert {key: v for key, v in after[sample].items() if key != label.id} == rest


def test_a_click_on_the_map_shows_the_sample_and_the_keyboard_reaches_all(
    explore: Callable[..., Any],
) -> None:
    page = explore()
    map_ready(page)
    places = places_on_screen(page)
    beside = places[page.bench.sample("t20").id]
    spot = (beside[0] + 3, beside[1] - 4)
    apart = {sample: math.dist(place, spot) for sample, place in places.items()}
    first, second = sorted(apart, key=apart.__getitem__)[:2]
    assert apart[second] - apart[first] > 1, "one point is nearest, and no rounding decides which"
    other = max(places, key=apart.__getitem__)
    page.mouse.move(*(at - 30 for at in places[other]))
    page.mouse.move(*places[other], steps=5)
    page.locator(".pl-hover", has_text=page.bench.sample(other).name).wait_for()
    page.mouse.move(*(at + 1 for at in places[other]))
    page.mouse.click(*spot)  # at once: plotly may still hold the other one for hovered over
    page.locator(".pl-glance").wait_for()
    near = page.bench.sample(first)
    assert page.locator(".pl-glance h2").inner_text() == near.name
    assert page.locator(".pl-glance-text").inner_text() == near.text
    assert page.locator("[data-testid=open]").get_attribute("href").endswith(f"sample={near.id}")
    # the grid is the list beside the map: arrows walk it, space selects, Enter opens
    page.locator(".pl-grid").focus()
    page.keyboard.press("Home")
    page.keyboard.press("Space")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Shift+ArrowDown")
    page.wait_for_selector("[data-testid=selection]:not([data-count='0'])")
    page.keyboard.press("Control+a")
    page.wait_for_selector("[data-testid=selection][data-count='46']")
    page.keyboard.press("Escape")
    page.wait_for_selector("[data-testid=selection][data-count='0']")
    page.locator(".pl-grid").focus()
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/?*sample={page.bench.sample('t00').id}*")


@pytest.mark.slow
@pytest.mark.parametrize("size", [(390, 844), (1440, 900)], ids=["phone", "desk"])
def test_nothing_but_lists_scrolls(explore: Callable[..., Any], size: tuple[int, int]) -> None:
    page = explore(viewport={"width": size[0], "height": size[1]})
    map_ready(page)
    for view in ("map", "grid", "selection", "facets"):
        if size[0] < 760:
            page.locator(f"[role=tab][data-view={view}]").click()
        outside = page.evaluate(
            """() => { const e = document.scrollingElement;
                return [e.scrollWidth - innerWidth, e.scrollHeight - innerHeight]; }"""
        )
        assert outside[0] <= 0, view
        assert outside[1] <= 0, view
        hidden = page.evaluate(
            """() => [...document.querySelectorAll('.pl-explore button, .pl-explore select')]
                .filter(n => !n.closest('ul, .pl-facet-more, .pl-x-selection, .pl-legend'))
                .filter(n => {
                    const b = n.getBoundingClientRect();
                    const isOut = b.right > innerWidth + 1 || b.bottom > innerHeight + 1;
                    return b.width && (isOut || b.left < -1);
                })
                .map(n => n.outerHTML.slice(0, 80))"""
        )
        assert hidden == [], view


CAPTIONS = """() => [...document.querySelectorAll('[data-testid=map-caption].is-shown')]
    .map(node => { const {left, right, top, bottom} = node.getBoundingClientRect();
        return {says: node.textContent, left, right, top, bottom}; })"""


def captions_shown(page: Any) -> list[dict[str, Any]]:
    page.wait_for_selector("[data-testid=map-caption].is-shown")
    return page.evaluate(CAPTIONS)


def view(page: Any) -> list[float]:
    return page.evaluate(
        """() => { const {xaxis, yaxis} = document.querySelector('.pl-map-plot')._fullLayout;
            return [...xaxis.range, ...yaxis.range]; }"""
    )


@pytest.mark.slow
def test_captions_say_what_stands_where_and_can_be_zoomed_to_and_turned_off(
    explore: Callable[..., Any], project: api.Workbench
) -> None:
    label = project.labels()[2]  # a name that is markup
    area = project.map().xy[:, 0] > float(sorted(project.map().xy[:, 0])[30])
    said = [
        {"sample": int(i), "label": label.id, "verdict": "yes" if inside else "no"}
        for i, inside in zip(project.map().ids, area, strict=True)
    ]
    project.correct(said)
    page = explore()
    map_ready(page)
    found = {", ".join(one.says): one for one in page.bench.captions()[0]}
    shown = captions_shown(page)
    assert {one["says"] for one in shown} <= set(found)
    assert any(label.name in one["says"] for one in shown)
    assert page.locator("b[onclick]").count() == 0
    for k, one in enumerate(shown):
        for other in shown[:k]:
            beside = one["right"] <= other["left"] or other["right"] <= one["left"]
            assert beside or one["bottom"] <= other["top"] or other["bottom"] <= one["top"]

    # a shape may begin on a caption, as on any other place of the map
    one = shown[0]
    middle = ((one["left"] + one["right"]) / 2, (one["top"] + one["bottom"]) / 2)
    box = page.locator(".pl-map-plot").bounding_box()
    at = ((middle[0] - box["x"]) / box["width"], (middle[1] - box["y"]) / box["height"])
    lasso(page, [at, (at[0], at[1] + 0.3), (at[0] - 0.3, at[1] + 0.3), (at[0] - 0.3, at[1])])
    page.wait_for_function("() => document.querySelector('.pl-map-plot')._fullLayout.shapes.length")

    page.mouse.click(*middle)
    area_of = found[one["says"]].box
    page.wait_for_function(
        "x => document.querySelector('.pl-map-plot')._fullLayout.xaxis.range[0] > x",
        arg=area_of[0] - 0.5 * (area_of[1] - area_of[0]) - 0.01,
    )
    left, right, bottom, top = view(page)
    assert left < area_of[0] <= area_of[1] < right
    assert bottom < area_of[2] <= area_of[3] < top

    page.keyboard.press("0")
    assert captions_shown(page) == shown, "the same view has the same captions"
    page.keyboard.press("c")
    assert page.locator(".pl-map-captions").is_hidden()
    page.reload()
    ready(page, "explore")
    map_ready(page)
    assert not page.locator(".pl-x-captions input").is_checked()
    page.wait_for_timeout(800)
    assert page.locator(".pl-map-captions").is_hidden()
    page.locator(".pl-x-captions input").check()
    assert captions_shown(page) == shown


@pytest.mark.slow
def test_facets_by_pack_and_doubt_filter_and_stay_in_the_address(
    explore: Callable[..., Any], project: api.Workbench
) -> None:
    project.add_labels(["calm", "loud"], pack="moods")
    page = explore()
    heads = page.locator(".pl-facet-pack button")
    assert [text.split("\n")[0] for text in heads.all_inner_texts()] == ["main", "moods"]
    heads.nth(0).click()
    assert page.locator(".pl-facet").evaluate_all("rows => rows.map(r => r.dataset.label)") == [
        "calm",
        "loud",
    ]
    page.reload()
    ready(page, "explore")
    assert heads.nth(0).get_attribute("aria-expanded") == "false", "it is remembered"
    heads.nth(0).click()
    assert page.locator(".pl-facet").count() == 5

    [(text, number), *_] = page.bench.counted()["doubt"].items()
    chip = page.locator(f"[data-filter='{text}']")
    assert chip.locator("b").inner_text() == str(number)
    chip.click()
    page.wait_for_selector(f"[data-scope=all] .pl-num:text-is('{number}')")
    assert page.locator(".pl-chip").inner_text().startswith("doubt ")
    page.reload()
    ready(page, "explore")
    assert page.locator(f"[data-filter='{text}'][aria-pressed=true]").count() == 1
    page.wait_for_selector(f"[data-scope=all] .pl-num:text-is('{number}')")
