"""The viewer in Chromium: where the evidence is, how it is looked at, and that it lies exactly."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from backend import api, images
from backend.numerics import transport
from backend.types import Explanation, Layout
from tests.browser.evidence_pictures import PICTURES, SPOT, spot_of
from tests.browser.label_projects import image_project, text_project
from tests.browser.waits import LABEL_READY
from ui import present

CHIP = '[data-testid="chip"]'
SAMPLE = '[data-testid="sample"]'
EVIDENCE = '[data-testid="evidence"]'
CARD = '[data-testid="part-card"]'
CAPTION = '[data-testid="caption"]'
# The bar looks for jobs and for a newer version by itself, whatever the page does, and after news
# of one the queue asks for its forecast.
SHELL = ("/pl/api/jobs", "/pl/api/shell", "/pl/api/refresh", "/pl/api/forecast")
WORDS = 20_000


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Projects of photos, texts, made pictures, odd texts, and one with 2,000 labels."""
    packs = api.Settings.from_environ().data
    if not packs.is_dir():
        pytest.skip(f"no data packs in {packs}; set PATCHLANE_DATA")
    folder = tmp_path_factory.mktemp("home")
    settings = replace(api.Settings.from_environ(), home=folder)
    image_project(settings, packs, tmp_path_factory.mktemp("photos"), photos=6).close()
    text_project(settings, packs, tmp_path_factory.mktemp("texts"), texts=6, long=True).close()
    made = tmp_path_factory.mktemp("made")
    for name, make in PICTURES.items():
        make(made / name)
    with_pictures(settings, made).close()
    odd = tmp_path_factory.mktemp("odd") / "odd.jsonl"
    long = " ".join(f"word{k % 97}" for k in range(WORDS))
    odd.write_text("\n".join(json.dumps({"text": text}) for text in ("airport", long)), "utf-8")
    with_texts(settings, odd, "odd", ["airport"]).close()
    with_texts(settings, odd, "many", ["airport", *(f"thing {k}" for k in range(1999))]).close()
    return folder


def with_pictures(settings: api.Settings, folder: Path) -> api.Workbench:
    bench = api.create_project("made", labels=["red spot", "sky"], settings=settings)
    assert bench.add(folder).imported == len(PICTURES)
    return bench


def with_texts(settings: api.Settings, file: Path, name: str, labels: list[str]) -> api.Workbench:
    bench = api.create_project(
        name, labels=labels, kind=api.Kind.TEXT, encoder="words", settings=settings
    )
    bench.add(file)
    return bench


@pytest.fixture
def look(server: tuple[str, Any], open_page: Callable[..., Any]) -> Callable[..., Any]:
    """`look("coco", "&sample=2")`: the page with its evidence there; `page.bench` its workbench."""
    base, context = server

    def start(name: str, query: str = "&sample=2", **options: Any) -> Any:
        page = open_page(**options)
        page.bench = context.open(name)
        page.base = f"{base}/?project={name}"
        page.goto(page.base + query)
        page.wait_for_selector(LABEL_READY)
        page.wait_for_selector(f"{CHIP}[data-spread]")
        return page

    return start


def chip(page: Any, label: str) -> Any:
    return page.locator(f'{CHIP}[data-label="{label}"]')


def show(page: Any, label: str) -> None:
    chip(page, label).hover()
    page.wait_for_selector(f'{EVIDENCE}[data-label="{label}"]', state="attached")


def pixels(page: Any) -> list[int]:
    return page.locator(EVIDENCE).evaluate(
        "c => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]"
    )


def slide(page: Any, name: str, value: float) -> None:
    if page.locator('[data-testid="look"]').is_hidden():
        page.locator('[data-testid="look-open"]').click()
    page.locator(f'[data-testid="look-{name}"]').evaluate(
        "(e, v) => { e.value = v; e.dispatchEvent(new Event('input', {bubbles: true})); }", value
    )


def settled(page: Any) -> None:
    page.evaluate("() => new Promise(go => requestAnimationFrame(() => requestAnimationFrame(go)))")


def shot(page: Any, selector: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(page.locator(selector).screenshot())).convert("RGB"))


def test_looking_asks_the_server_nothing(look):
    """Labels, parts, sources, temperature, colours, arcs: all from what was sent once."""
    page = look("coco")
    # The server learns from the verdicts once it is asked; that news brings the evidence anew.
    page.wait_for_selector('[data-testid="version"][data-version]:not([data-version="0"])')
    page.wait_for_load_state("networkidle")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    names = page.locator(CHIP).evaluate_all("all => all.slice(0, 5).map(c => c.dataset.label)")
    for name in names:
        show(page, name)
    box = page.locator(SAMPLE).bounding_box()
    for step in range(12):
        page.mouse.move(box["x"] + box["width"] * (0.3 + step / 30), box["y"] + box["height"] / 2)
    page.locator(CARD).wait_for(state="visible")
    page.keyboard.press("e")
    page.locator('.choice[data-source="transport"]').click()
    slide(page, "temperature", 2)
    page.locator('[data-testid="look-colours-cividis"]').check()
    page.locator('[data-testid="look-arcs"]').check()
    page.locator('[data-testid="unclaimed"]').click()
    show(page, names[1])
    assert [url for url in asked if not url.split("?")[0].endswith(SHELL)] == []


def test_the_map_is_the_softmax_at_the_chosen_temperature(look):
    """Twin: the strongest part and the spread, computed from the backend's own cosines."""
    page = look("coco")
    truth = page.bench.explain(2)
    name, column = truth.labels[1], 1
    show(page, name)
    scored = pixels(page)
    slide(page, "temperature", 3)
    show(page, name)
    settled(page)
    assert pixels(page) != scored
    cosine = truth.similarity[:, column].astype(float)
    weights = np.exp((cosine - cosine.max()) / (8 * truth.temperature))
    shares = weights / weights.sum()
    entropy = -(shares * np.log(shares)).sum() / np.log(len(shares))
    page.wait_for_function(
        "([chip, told]) => Math.abs(document.querySelector(chip).dataset.spread - told) < 0.005",
        arg=[f'{CHIP}[data-label="{name}"]', entropy],
    )
    assert entropy > truth.spread[column]
    assert "Drawn at temperature" in page.locator(CAPTION).inner_text()
    slide(page, "temperature", 0)
    show(page, name)
    settled(page)
    assert pixels(page) == scored
    page.keyboard.press("Escape")
    page.keyboard.press("e")
    assert page.locator('[data-testid="look-temperature"]').is_disabled()


def test_a_part_at_another_temperature_still_says_its_best_label(look):
    page = look("coco")
    truth = page.bench.explain(2)
    slide(page, "temperature", -2)
    page.locator('[data-testid="look-open"]').click()
    page.keyboard.press("f")
    page.keyboard.press("ArrowRight")
    card = page.locator(CARD)
    card.wait_for(state="visible")
    part = int(card.get_attribute("data-part"))
    logits = truth.similarity[part].astype(float) / (truth.temperature / 4)
    shares = np.exp(logits - logits.max())
    shares /= shares.sum()
    assert card.locator(".row .name").first.inner_text() == truth.labels[shares.argmax()]
    said = card.locator(".row .num").first.inner_text()
    assert float(said.removesuffix(" %")) == pytest.approx(100 * shares.max(), abs=2)


def test_sources_and_parts_by_keyboard_alone(look):
    page = look("coco")
    page.locator('[role="radio"][aria-checked="true"]').focus()
    page.keyboard.press("ArrowRight")
    assert page.locator(":focus").get_attribute("data-source") == "similarity"
    page.keyboard.press("ArrowLeft")
    assert page.locator(":focus").get_attribute("data-source") == "transport"
    page.locator(CHIP).first.focus()
    name = page.locator(":focus").get_attribute("data-label")
    page.wait_for_selector(f'{EVIDENCE}[data-label="{name}"]', state="attached")
    page.keyboard.press("ArrowDown")
    other = page.locator(":focus").get_attribute("data-label")
    assert other != name
    page.wait_for_selector(f'{EVIDENCE}[data-label="{other}"]', state="attached")
    page.wait_for_function(
        "name => document.querySelector('[aria-live=polite].pl-hidden').textContent.includes(name)",
        arg=other,
    )
    page.keyboard.press("f")
    page.keyboard.press("ArrowDown")
    best = page.locator(f"{CARD} .row .name").first.inner_text()
    page.wait_for_function(
        "best => document.querySelector('[aria-live=polite].pl-hidden').textContent.includes(best)",
        arg=best,
    )


@pytest.mark.slow
def test_a_link_opens_exactly_this_view_in_another_browser(look, open_page):
    page = look("coco", permissions=["clipboard-read", "clipboard-write"])
    name = page.bench.labels()[2].name
    chip(page, name).focus()
    slide(page, "temperature", -1.5)
    slide(page, "opacity", 0.85)
    page.locator('[data-testid="look-colours-cividis"]').check()
    page.keyboard.press("Escape")
    page.locator(SAMPLE).focus()
    page.keyboard.press("+")
    page.keyboard.press("+")
    page.locator('[data-testid="tool-link"]').click()
    link = page.evaluate("() => navigator.clipboard.readText()")
    assert link == page.url
    page.mouse.move(2, 2)
    page.wait_for_selector(f'{EVIDENCE}[data-label="{name}"]', state="attached")
    settled(page)
    other = open_page(link)
    other.wait_for_selector(LABEL_READY)
    other.wait_for_selector(f'{EVIDENCE}[data-label="{name}"]', state="attached")
    other.wait_for_selector(f'{SAMPLE}[data-zoom="1.56"]')
    settled(other)
    assert pixels(other) == pixels(page)
    place = "() => { const b = document.querySelector('.world').getBoundingClientRect();"
    place += " return [b.x, b.y, b.width, b.height]; }"
    assert other.evaluate(place) == pytest.approx(page.evaluate(place), abs=1)
    assert "opacity: 0.85" in other.locator(".world").get_attribute("style")
    assert other.locator('[data-testid="look-colours-cividis"]').is_checked()
    assert other.locator('[data-testid="look-temperature"]').input_value() == "-1.5"
    # A link is for looking: what its reader had chosen before comes back without it.
    other.goto(page.base + "&sample=2")
    other.wait_for_selector(LABEL_READY)
    assert other.locator('[data-testid="look-colours-viridis"]').is_checked()


@pytest.mark.slow
def test_layers_are_offered_drawn_and_survive_in_a_link_where_the_encoder_gives_them(
    look, open_page
):
    """One request when they are chosen, none while looking; their map is the backend's."""
    page = look("coco")
    choice = page.locator('.choice[data-source="layers"]')
    assert choice.is_visible()
    assert "worse in photographs of scenes" in choice.get_attribute("title")
    with page.expect_response(lambda answer: "layers=1" in answer.url):
        choice.click()
    truth = page.bench.explain(2, aligner="layered_transport")
    plain = page.bench.explain(2)
    column = int(np.abs(truth.backward - plain.backward).max(axis=0).argmax())
    name = truth.labels[column]
    chip(page, name).focus()
    page.mouse.move(2, 2)
    page.wait_for_selector(
        f'{EVIDENCE}.drawn[data-source="layers"][data-label="{name}"]', state="attached"
    )
    settled(page)
    values = page.locator(EVIDENCE).evaluate(
        "c => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]"
    )
    colours = np.array(values).reshape(-1, 4)[:, :3]
    best = int(truth.backward[:, column].argmax())
    np.testing.assert_allclose(colours[best], [253, 231, 37], atol=2)
    caption = page.locator(CAPTION).inner_text()
    assert f"{name}, Layers: better on separate things, worse on scenes" in caption
    shares = truth.backward[:, column].astype(float)
    carriers = np.exp(-(shares * np.log(shares)).sum())
    told = re.search(r"about (\d+) of", caption)
    assert told is not None
    assert int(told.group(1)) == pytest.approx(carriers, abs=1)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    show(page, truth.labels[(column + 1) % len(truth.labels)])
    page.keyboard.press("f")
    page.keyboard.press("ArrowRight")
    card = page.locator(CARD)
    card.wait_for(state="visible")
    part = int(card.get_attribute("data-part"))
    assert (
        card.locator(".row .name").first.inner_text()
        == truth.labels[int(truth.forward[part].argmax())]
    )
    assert [url for url in asked if not url.split("?")[0].endswith(SHELL)] == []
    page.keyboard.press("Escape")
    chip(page, name).focus()
    page.mouse.move(2, 2)
    page.locator('[data-testid="tool-link"]').click()
    page.wait_for_url("**source=layers**")
    settled(page)
    before = pixels(page)
    other = open_page(page.url)
    other.wait_for_selector(LABEL_READY)
    other.wait_for_selector(
        f'{EVIDENCE}.drawn[data-source="layers"][data-label="{name}"]', state="attached"
    )
    settled(other)
    assert pixels(other) == before


def test_an_encoder_without_layers_offers_none_and_a_link_to_them_shows_transport(look):
    page = look("talk", "&sample=2&source=layers")
    assert page.locator('.choice[data-source="layers"]').is_hidden()
    name = page.bench.labels()[0].name
    show(page, name)
    assert page.locator(EVIDENCE).get_attribute("data-source") == "transport"
    assert page.locator('[data-testid="look-temperature"]').is_enabled()


@pytest.mark.slow
@pytest.mark.parametrize(
    "query",
    ["source=x&temperature=abc&opacity=-9&colours=<b>&view=1,2", "source=lane&temperature=1e99"],
)
def test_a_damaged_link_shows_the_sample_all_the_same(look, query):
    page = look("coco", f"&sample=2&{query}")
    show(page, page.bench.labels()[0].name)
    assert page.locator('[role="radio"][aria-checked="true"]').get_attribute("data-source") in (
        "transport",
        "lane",
    )
    assert 0.1 <= float(page.locator('[data-testid="look-opacity"]').input_value()) <= 1


@pytest.mark.parametrize("name", ["coco", "talk"])
def test_what_is_shown_is_saved_as_a_png_with_its_caption(look, name):
    page = look(name)
    label = page.bench.labels()[1].name
    chip(page, label).focus()
    page.mouse.move(2, 2)
    page.wait_for_selector(f'{EVIDENCE}[data-label="{label}"]', state="attached")
    with page.expect_download() as told:
        page.locator('[data-testid="tool-save"]').click()
    saved = told.value
    assert re.fullmatch(r"[\w.-]+\.png", saved.suggested_filename)
    assert saved.suggested_filename.endswith("-transport.png")
    picture = Image.open(saved.path()).convert("RGB")
    if name == "talk":
        assert picture.width == 752
        return
    sample = page.bench.sample(2)
    assert picture.width == max(480, sample.width)
    left = (picture.width - sample.width) // 2
    assert picture.height > sample.height + 20  # the caption below it
    mapped = np.asarray(picture)[: sample.height, left:].astype(int)
    plain = np.asarray(images.decode(page.bench.media(2)[0])).astype(int)
    truth = page.bench.explain(2)
    rows, cols = truth.layout.grid
    part = int(truth.backward[:, list(truth.labels).index(label)].argmax())
    y, x = (part // cols + 0.5) / rows, (part % cols + 0.5) / cols
    at = int(y * sample.height), int(x * sample.width)
    # Strongest part: the last colour of viridis at 65 % over the picture.
    np.testing.assert_allclose(
        mapped[at], 0.65 * np.array([253, 231, 37]) + 0.35 * plain[at], atol=6
    )


def test_a_rejected_label_says_so_on_its_map_and_in_words(look):
    page = look("coco", "&sample=3")
    name = page.bench.labels()[4].name
    before = page.bench.verdicts([3]).get(3, {}).get(page.bench.label(name).id)
    if before is not api.Verdict.NO:
        chip(page, name).click(modifiers=["Shift"])
    page.wait_for_selector(f'{CHIP}[data-label="{name}"][data-verdict="no"]')
    show(page, name)
    assert "You said no" in page.locator(CAPTION).inner_text()
    assert page.locator(".world.rejected").count() == 1
    chip(page, name).click(modifiers=["Shift"])
    page.wait_for_selector(f'{CHIP}[data-label="{name}"][data-verdict="unknown"]')
    assert page.locator(".world.rejected").count() == 0


def test_what_no_label_claims_is_told_and_drawn(look):
    page = look("coco")
    truth = page.bench.explain(2)
    button = page.locator('[data-testid="unclaimed"]')
    assert float(button.get_attribute("data-share")) == pytest.approx(
        float(truth.unclaimed.mean()), abs=0.002
    )
    for name in truth.claimers[:4]:
        assert name in button.get_attribute("title")
    button.click()
    page.wait_for_selector(f'{EVIDENCE}[data-source="unclaimed"].drawn', state="attached")
    drawn = np.array(pixels(page)).reshape(-1, 4)[:, 1]  # green of viridis rises all the way
    order = truth.unclaimed.argsort()
    assert drawn[order[-1]] > drawn[order[0]]
    assert "Unclaimed" in page.locator(CAPTION).inner_text()
    page.keyboard.press("Escape")
    page.wait_for_selector(f'{EVIDENCE}:not([data-source="unclaimed"])', state="attached")


def test_arcs_lead_from_the_chip_to_the_strongest_parts(look):
    page = look("coco")
    page.locator('[data-testid="look-open"]').click()
    page.locator('[data-testid="look-arcs"]').check()
    page.locator('[data-testid="look-open"]').click()
    truth = page.bench.explain(2)
    name = truth.labels[0]
    show(page, name)
    page.wait_for_selector('[data-testid="arcs"]:not([data-count="0"])', state="attached")
    ends = page.locator('[data-testid="arcs"] path[d]').first.evaluate(
        "line => [0, line.getTotalLength()].map(at => line.getPointAtLength(at))"
        ".map(p => [p.x, p.y])"
    )
    frame = page.locator('[data-testid="arcs"]').bounding_box()
    start, end = ([x + frame["x"], y + frame["y"]] for x, y in ends)
    box = chip(page, name).bounding_box()
    assert abs(start[1] - (box["y"] + box["height"] / 2)) < 2
    world = page.locator(".world").bounding_box()
    rows, cols = truth.layout.grid
    part = int(truth.backward[:, 0].argmax())
    assert end[0] == pytest.approx(world["x"] + world["width"] * (part % cols + 0.5) / cols, abs=1)
    assert end[1] == pytest.approx(
        world["y"] + world["height"] * (part // cols + 0.5) / rows, abs=1
    )
    page.keyboard.press("e")
    show(page, name)
    page.wait_for_selector('[data-testid="arcs"][data-count="0"]', state="attached")


@pytest.mark.slow
@pytest.mark.parametrize("name", PICTURES)
def test_the_map_lies_exactly_over_what_is_shown(look, name):
    """The part under the pointer at the spot on the screen is the part the encoder saw it in."""
    server_side = look_up = None
    page = look("made", f"&sample={name}")
    path = page.bench.media(page.bench.sample(name).id)[0]
    server_side = spot_of(np.asarray(images.decode(path)))
    assert server_side == pytest.approx(SPOT, abs=0.03)  # the encoder saw it upright
    page.wait_for_function("() => document.querySelector('.photo').complete")
    page.mouse.move(2, 2)
    for frame in range(2):  # an animation would have moved on
        page.wait_for_timeout(100 * frame)
        settled(page)
        look_up = spot_of(shot(page, ".world"))
        assert look_up == pytest.approx(server_side, abs=0.04)
    show(page, "red spot")
    heat, photo, world = (
        page.locator(selector).bounding_box() for selector in (EVIDENCE, ".photo", ".world")
    )
    for box in (heat, photo):
        for side, value in world.items():
            assert box[side] == pytest.approx(value, abs=0.6), side
    sample = page.bench.sample(name)
    assert world["width"] / world["height"] == pytest.approx(sample.width / sample.height, rel=0.05)
    page.mouse.move(
        world["x"] + world["width"] * look_up[0], world["y"] + world["height"] * look_up[1]
    )
    page.locator(CARD).wait_for(state="visible")
    rows, cols = page.bench.explain(sample.id).layout.grid
    expected = int(server_side[1] * rows) * cols + int(server_side[0] * cols)
    assert int(page.locator(CARD).get_attribute("data-part")) == expected


def test_one_word_and_one_label_are_drawn_and_say_how_well_they_fit(look):
    page = look("odd", "&sample=1")
    show(page, "airport")
    word = page.locator(f'{EVIDENCE} [data-p="0"]')
    assert word.get_attribute("data-h") == "12"
    word.hover()
    card = page.locator(CARD)
    card.wait_for(state="visible")
    truth = page.bench.explain(1)
    assert card.locator(".num").first.inner_text() == f"{truth.similarity[0, 0]:.2f}"
    page.keyboard.press("e")
    show(page, "airport")
    assert word.get_attribute("data-h") is not None  # one value only: still something is drawn
    assert page.locator('[data-testid="unclaimed"]').is_hidden()


def test_twenty_thousand_words_are_passages_and_the_page_says_so(look):
    page = look("odd")
    note = page.locator('[data-testid="long-text"]')
    assert "20,000 words" in note.inner_text()
    parts = page.locator(f"{EVIDENCE} [data-p]").count()
    assert 1000 < parts <= 2048
    show(page, "airport")
    page.locator(SAMPLE).focus()
    page.mouse.move(2, 2)
    page.keyboard.press("ArrowRight")
    page.locator(CARD).wait_for(state="visible")
    assert page.locator(EVIDENCE).inner_text().split()[-1] == f"word{(WORDS - 1) % 97}"


def test_two_thousand_labels_stay_quick_and_are_found_by_typing(look):
    page = look("many", "&sample=1&label=thing%201500")
    page.wait_for_selector(f'{EVIDENCE}[data-label="thing 1500"]', state="attached")
    assert chip(page, "thing 1500").is_visible()
    assert page.locator(CHIP).count() < 100
    page.keyboard.press("l")
    drawn = page.evaluate(
        """async () => {
          const input = document.querySelector('[data-testid=label-find]'), all = [];
          for (const text of ['t', 'th', 'thing 19', 'thing 1987']) {
            input.value = text;
            input.dispatchEvent(new Event('input', { bubbles: true }));
            await new Promise(go => requestAnimationFrame(go));
            all.push(document.querySelectorAll('[data-testid=chip]').length);
          }
          return all;
        }"""
    )
    assert drawn[-1] == 1
    assert max(drawn) < 300, "of all that is found the first are drawn: quick, however many"
    page.keyboard.press("Escape")
    page.get_by_role("button", name=re.compile("Show .* more")).first.click()
    assert 200 < page.locator(CHIP).count() < 300


def test_identical_labels_have_one_map(look):
    page = look("coco", "&sample=4")
    bench = page.bench
    twins = sorted(label.name for label in bench.labels())[:2]

    # Two names with one vector cannot be asked of an encoder, so the answer is made identical.
    def answer(route: Any) -> None:
        body = bytearray(route.fetch().body())
        length = int.from_bytes(body[:4], "little")
        header = json.loads(body[4 : 4 + length])
        ids = [bench.label(name).id for name in twins]
        one, other = (header["labels"].index(each) for each in ids)
        size = 2 * header["parts"]
        for matrix in range(3):
            start = 4 + length + matrix * size * len(header["labels"])
            body[start + other * size : start + (other + 1) * size] = body[
                start + one * size : start + (one + 1) * size
            ]
        route.fulfill(body=bytes(body), content_type="application/octet-stream")

    page.route("**/pl/api/evidence*", answer)
    page.goto(page.base + "&sample=4")
    page.wait_for_selector(f"{CHIP}[data-spread]")
    maps = []
    for name in twins:
        show(page, name)
        maps.append(pixels(page))
    assert maps[0] == maps[1]


def test_a_tap_on_a_phone_says_what_a_part_is(look):
    page = look("coco", viewport={"width": 390, "height": 844}, has_touch=True)
    box = page.locator(".world").bounding_box()
    page.touchscreen.tap(box["x"] + 0.3 * box["width"], box["y"] + 0.3 * box["height"])
    card = page.locator(CARD)
    card.wait_for(state="visible")
    rows, cols = page.bench.explain(2).layout.grid
    assert int(card.get_attribute("data-part")) == int(0.3 * rows) * cols + int(0.3 * cols)
    page.locator('[data-testid="look-open"]').tap()
    panel = page.locator('[data-testid="look"]').bounding_box()
    assert panel["x"] >= 0
    assert panel["x"] + panel["width"] <= 390


def test_words_are_looked_at_in_the_same_ways(look):
    page = look("talk")
    truth = page.bench.explain(2)
    name = truth.labels[0]
    show(page, name)
    shades = "() => [...document.querySelectorAll('[data-p]')].map(w => w.dataset.h ?? '0').join()"
    scored = page.evaluate(shades)
    slide(page, "temperature", 2)
    show(page, name)
    settled(page)
    assert page.evaluate(shades) != scored
    page.locator('[data-testid="look-colours-blue"]').check()
    page.locator('[data-testid="look-arcs"]').check()
    page.locator('[data-testid="look-open"]').click()
    page.locator(f'[data-p="{truth.similarity[:, 0].argmax()}"]').scroll_into_view_if_needed()
    show(page, name)
    page.wait_for_selector('[data-testid="arcs"]:not([data-count="0"])', state="attached")
    assert page.locator(LABEL_READY).get_attribute("data-colours") == "blue"


@pytest.mark.parametrize("step", [-2, 1, 3])
def test_a_method_with_weights_of_its_own_keeps_them_at_another_temperature(look, step):
    """Twin: parts that weigh differently, at another temperature, computed with numpy."""
    page = look("coco")
    draw = np.random.default_rng(8)
    cosine = draw.uniform(0, 0.3, (1, 9, 2)).astype(np.float32)
    theta = transport.part_weights(np.ones((1, 9), bool), draw.random((1, 9), dtype=np.float32))
    backward = transport.backward_navigator(cosine, theta, 0.1)[0]
    found = Explanation(
        sample=1,
        name="one",
        labels=("a", "b"),
        forward=np.full((9, 2), 0.5, np.float32),
        backward=backward,
        plan=backward,
        similarity=cosine[0],
        scores=np.zeros(2, np.float32),
        spread=np.ones(2, np.float32),
        layout=Layout(grid=(3, 3)),
        version=1,
        temperature=0.1,
    )
    drawn = page.evaluate(
        """async ([bytes, step]) => {
          const all = performance.getEntriesByType('resource').map(entry => entry.name);
          const { Evidence } = await import(all.find(name => name.includes('/evidence.js')));
          const evidence = new Evidence(new Uint8Array(bytes).buffer);
          evidence.setStep(step);
          return [...evidence.map('transport', 2).values];
        }""",
        [list(present.evidence_bytes(found, {"a": 1, "b": 2})), step],
    )
    weights = backward[:, 1].astype(float) ** (2.0**-step)
    np.testing.assert_allclose(drawn, weights / weights.sum(), atol=2e-3)
