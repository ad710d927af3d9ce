"""The Learn page as a person uses it: a pack taught by labelling, proof, and the way back."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend import api
from backend.methods.learners.lanes import LanesLearner
from tests.browser.label_projects import image_project
from tests.browser.waits import ready, saved

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

TOPICS = {
    "transport": ("bus", "train", "tram", "ferry", "taxi"),
    "food": ("soup", "bread", "salad", "pizza", "rice"),
}
TONES = {"praise": "was lovely", "blame": "was awful"}


@pytest.fixture(scope="module")
def made(once: api.Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts about transport and food, with verdicts on two packs; nothing is taught by itself."""
    rows = [
        (f"The {thing} {said} on day {day}", topic, tone)
        for topic, things in TOPICS.items()
        for thing in things
        for tone, said in TONES.items()
        for day in (1, 2)
    ]
    file = tmp_path_factory.mktemp("texts") / "letters.jsonl"
    file.write_text("\n".join(json.dumps({"text": text}) for text, _, _ in rows), "utf-8")
    bench = api.create_project(
        "letters", labels=list(TOPICS), encoder="sentence:minilm", settings=once
    )
    bench.add(file)
    bench.add_labels(list(TONES), pack="tone")
    for sample in bench.samples():
        _, topic, tone = next(row for row in rows if row[0] == sample.text)
        bench.correct(
            [
                {"sample": sample.id, "label": name, "verdict": "yes" if hit else "no"}
                for name, hit in [
                    *((name, name == topic) for name in TOPICS),
                    *((name, name == tone) for name in TONES),
                ]
            ]
        )
    bench.learn()
    bench.packs.pause(True)
    bench.close()
    return bench.path


@pytest.fixture
def letters(made: Path, copied: Callable[[Path], api.Workbench]) -> api.Workbench:
    return copied(made)


def suggested(serve: Callable[..., str], sample: int) -> tuple[int, dict[str, float]]:
    """The live version and its suggestions, once all verdicts are learned."""
    bench, until = serve_bench(serve), time.monotonic() + 60
    while bench.learned.offset < bench.offset and time.monotonic() < until:
        bench.refresh(bench.version, timeout=0.2)
    # Nobody makes a step while this is held, so the scores are those of the version.
    with bench.live.learning():
        found = bench.suggest([sample])[0].suggestions
        return bench.version, {one.label: one.score for one in found}


def wait_version(page: Any, at_least: int) -> None:
    """Wait until the page itself has heard of a version; nothing is pressed."""
    page.wait_for_function(
        "v => Number(document.querySelector('[data-testid=version]').dataset.version) >= v",
        arg=at_least,
    )
    page.wait_for_timeout(500)  # what is drawn follows in the next frames


def test_verdicts_change_suggestions_and_going_back_takes_that_back(
    serve: Callable[..., str],
    open_page: Callable[..., Any],
    settings: api.Settings,
    packs: Path,
    tmp_path: Path,
) -> None:
    bench = image_project(settings, packs, tmp_path, photos=16, labels=4)
    # A lane taught in between would be one more version than the verdicts make.
    bench.packs.pause(True)
    base = serve(bench)
    page = open_page(base + "/learn")
    ready(page, "learn")
    page.get_by_test_id("pack-new").click()
    page.get_by_test_id("ask-name").fill("mine")
    page.get_by_test_id("ask-labels").fill("indoors, outdoors")
    page.get_by_test_id("ask-yes").click()
    page.locator("[data-testid=pack][data-pack=mine]").wait_for()

    watched = serve_bench(serve).samples()[-1].id
    # Somebody else looks at a sample all the while, and presses nothing.
    other = open_page(f"{base}/?sample={watched}")
    ready(other, "label")
    chip = "[data-testid=chip][data-label=outdoors]"
    before, first = suggested(serve, watched)
    wait_version(other, before)
    at_first = other.locator(chip).get_attribute("title")
    page.goto(base + "/?picker=order")
    ready(page, "label")
    for _ in range(10):
        now = page.get_by_test_id("sample").get_attribute("data-id")
        page.keyboard.press(page.locator(chip).get_attribute("data-key"))
        page.locator(f"{chip}[data-verdict=yes]").wait_for()
        page.keyboard.press("Enter")
        page.wait_for_function(
            "id => document.querySelector('[data-testid=sample]')?.dataset.id !== id", arg=now
        )
    # The last verdicts are on their way while the next sample is shown already.
    saved(page)
    live, learned = suggested(serve, watched)
    assert learned["outdoors"] > first["outdoors"]
    wait_version(other, live)
    assert other.locator(chip).get_attribute("title") != at_first

    page.goto(base + "/learn")
    ready(page, "learn")
    wait_version(page, live)
    back = page.locator(f'[data-testid=version-row][data-version="{before}"]')
    if not back.is_visible():
        page.locator(".pl-versions summary").first.click()
    back.get_by_test_id("version-revert").click()
    row = '[data-testid=version-row][data-version="{}"][aria-current=true]'
    page.locator(row.format(live + 1)).wait_for()
    assert suggested(serve, watched) == (live + 1, pytest.approx(first, abs=1e-5))
    wait_version(other, live + 1)
    assert other.locator(chip).get_attribute("title") == at_first
    page.locator(".pl-toast").get_by_role("button", name="Undo").click()
    page.locator(row.format(live + 2)).wait_for()
    assert suggested(serve, watched) == (live + 2, pytest.approx(learned, abs=1e-5))


def serve_bench(serve: Callable[..., str]) -> api.Workbench:
    """The open project of the running server."""
    return serve.apps[-1].state.context.open()  # type: ignore[attr-defined]


def test_teaching_a_pack_shows_that_the_other_did_not_change(
    serve: Callable[..., str], open_page: Callable[..., Any], letters: api.Workbench
) -> None:
    base = serve(letters)
    page = open_page(base + "/learn")
    ready(page, "learn")
    card = page.locator("[data-testid=pack][data-pack=tone]")
    main = page.locator("[data-testid=pack][data-pack=main]")
    at_first = serve_bench(serve).version
    assert card.get_attribute("data-version") == str(at_first)
    card.get_by_test_id("teach").click()
    report = page.get_by_test_id("teach-report")
    report.wait_for()
    assert report.get_attribute("data-pack") == "tone"
    other = report.locator("[data-testid=report-row][data-pack=main]")
    assert other.get_attribute("data-change") == "0"
    assert other.locator("td").last.inner_text().split()[0] == "0"
    before, after = other.locator("td").nth(1), other.locator("td").nth(2)
    assert before.inner_text() == after.inner_text() != ""
    assert "suggestion of the other packs: 0" in report.inner_text()
    digest = card.get_attribute("data-digest")
    assert len(digest) == 64
    assert digest[:8] in report.inner_text()
    live = page.locator("[data-testid=version-row][aria-current=true]")
    assert live.get_attribute("data-kind") == "lane"
    told = serve_bench(serve).version
    assert told > at_first
    for pack in (card, main):  # its figures are of the version that is live now
        assert pack.get_attribute("data-version") == str(told)

    old = page.locator("[data-testid=version-row]:not([aria-current])").first
    old.get_by_test_id("version-compare").click()
    page.wait_for_function("() => document.querySelector('[data-testid=changes]').dataset.pair")
    with page.expect_download() as download:
        card.get_by_test_id("pack-menu").click()
        page.get_by_test_id("lane-export").click()
    assert download.value.suggested_filename == "letters-tone.safetensors"
    page.get_by_test_id("lane-file").set_input_files(
        {"name": "torn.safetensors", "mimeType": "", "buffer": b"not a lane"}
    )
    page.locator(".pl-toast.error", has_text="torn.safetensors").wait_for()
    page.get_by_test_id("lane-file").set_input_files(download.value.path())
    field = page.get_by_test_id("ask-name")
    assert field.input_value() == "tone"  # the file says so itself
    assert "praise" in page.locator(".pl-ask").inner_text()
    page.get_by_role("button", name="Cancel").click()
    assert live.get_attribute("data-kind") == "lane"


def test_the_lanes_map_is_painted_for_labels_of_its_pack_only(
    serve: Callable[..., str],
    open_page: Callable[..., Any],
    settings: api.Settings,
    packs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(LanesLearner, "shares", (1.0,))  # so few verdicts earn a lane no say
    bench = image_project(settings, packs, tmp_path, photos=8, labels=3)
    bench.packs.pause(True)
    bench.add_labels(["indoors"], pack="rooms")
    bench.packs.teach("main", until=1)
    base = serve(bench)
    bench = serve_bench(serve)
    sample, label = bench.samples()[0].id, bench.labels()[0]
    look = bench.explain(sample, with_lanes=True).lanes["main"]
    page = open_page(f"{base}/?sample={sample}")
    ready(page, "label")
    page.locator(".pl-tools .choice[data-source=lane]").click()
    page.locator(f'[data-testid=chip][data-label="{label.name}"]').hover()
    page.wait_for_selector(
        f'[data-testid=evidence].drawn[data-source=lane][data-label="{label.name}"]'
    )
    assert "Lane" in page.get_by_test_id("caption").inner_text()
    painted = page.get_by_test_id("evidence").evaluate(
        "c => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]"
    )
    # How opaque a cell is says how much of the lane's look it has (viewer.js).
    wanted = 70 + 185 * np.sqrt(look / look.max())
    np.testing.assert_allclose(painted[3::4], wanted, atol=6)
    assert np.ptp(wanted) > 50, "a map of one shade would show nothing"

    page.locator("[data-testid=chip][data-label=indoors]").hover()
    page.get_by_test_id("caption").get_by_text("indoors: its pack has no lane").wait_for()
    page.locator("[data-testid=evidence]:not(.drawn)").wait_for(state="attached")
    for width in (390, 360):
        page.set_viewport_size({"width": width, "height": 844})
        assert sticking_out(page, ".pl-tools, .pl-tools *") == []


def test_the_learn_page_fits_a_phone(
    serve: Callable[..., str], open_page: Callable[..., Any], letters: api.Workbench
) -> None:
    page = open_page(serve(letters) + "/learn", viewport={"width": 390, "height": 844})
    ready(page, "learn")
    card = page.locator("[data-testid=pack][data-pack=tone]")
    card.get_by_test_id("teach").click()
    page.get_by_test_id("teach-report").wait_for()
    page.get_by_test_id("version-compare").last.click()
    page.wait_for_function("() => document.querySelector('[data-testid=changes]').dataset.pair")
    assert page.get_by_test_id("curve").count() == 1
    for width in (390, 360):
        page.set_viewport_size({"width": width, "height": 844})
        # The chart takes its new width a moment after the window has.
        page.wait_for_function(
            """() => ['html', '[data-testid=page]'].every(each => {
                const node = document.querySelector(each);
                return node.scrollWidth === node.clientWidth;
            })""",
            timeout=20_000,
        )
        assert sticking_out(page, ".pl-page *") == []
        card.get_by_test_id("pack-menu").click()
        page.get_by_test_id("pack-split").click()
        page.get_by_test_id("ask-name").wait_for()
        assert sticking_out(page, "dialog[open], dialog[open] *") == []
        page.keyboard.press("Escape")
        page.get_by_test_id("ask-name").wait_for(state="detached")


def sticking_out(page: Any, selector: str) -> list[str]:
    """What is cut by a side of the window and by no list that can be moved under it."""
    return page.evaluate(
        """selector => [...document.querySelectorAll(selector)].filter(node => {
            const box = node.getBoundingClientRect();
            return box.width > 1 && (box.right > innerWidth + 1 || box.left < -1)
                && !node.closest('.pl-table-scroll, .js-plotly-plot');
        }).map(node => node.outerHTML.slice(0, 100))""",
        selector,
    )


def test_a_card_shows_the_job_that_teaches_it_and_cancels_it(
    serve: Callable[..., str], open_page: Callable[..., Any], letters: api.Workbench
) -> None:
    page = open_page(serve(letters) + "/learn")
    ready(page, "learn")
    gate = threading.Event()
    # Named as a job that teaches the other pack would be, and in front of the one that is asked.
    serve_bench(serve).jobs.submit("other", "Teaching main", lambda _ticket: gate.wait(60))
    card = page.locator("[data-testid=pack][data-pack=tone]")
    card.get_by_test_id("teach").click()
    cancel = card.get_by_test_id("teach-cancel")
    cancel.wait_for()
    assert not card.get_by_test_id("teach").is_visible()
    other = page.locator("[data-testid=pack][data-pack=main]")
    assert not other.get_by_test_id("teach-cancel").is_visible()
    cancel.click()
    card.get_by_test_id("teach").wait_for()
    gate.set()
    assert not any(pack.digest for pack in serve_bench(serve).packs.list())


def test_a_muted_pack_is_folded_away_where_labels_are_given(
    serve: Callable[..., str], open_page: Callable[..., Any], letters: api.Workbench
) -> None:
    base = serve(letters)
    page = open_page(base + "/learn")
    ready(page, "learn")
    page.locator("[data-testid=pack][data-pack=tone]").get_by_test_id("pack-menu").click()
    page.get_by_test_id("pack-mute").click()
    page.locator("[data-testid=pack][data-pack=tone].muted").wait_for()
    page.goto(f"{base}/?sample={serve_bench(serve).samples()[0].id}")
    ready(page, "label")
    chips = page.get_by_test_id("chip")
    assert {chips.nth(k).get_attribute("data-label") for k in range(chips.count())} == {*TOPICS}
    page.get_by_test_id("muted-fold").click()
    assert chips.count() == 4


def test_new_labels_extend_the_pack_used_last_or_make_one(
    serve: Callable[..., str], open_page: Callable[..., Any], letters: api.Workbench
) -> None:
    base = serve(letters)
    page = open_page(f"{base}/?sample={letters_first(serve)}")
    ready(page, "label")
    page.keyboard.press("n")
    assert page.get_by_test_id("pack-choice").input_value() == "tone"
    page.get_by_test_id("label-find").fill("urgent")
    page.get_by_test_id("pack-choice").select_option(label="new pack ...")
    page.get_by_test_id("pack-name").fill("needs")
    page.keyboard.press("Enter")
    page.locator("[data-testid=chip][data-label=urgent]").wait_for()
    page.goto(base + "/data")
    ready(page, "data")
    page.get_by_test_id("label-add").fill("calm, loud")
    assert page.get_by_test_id("pack-choice").input_value() == "needs"
    page.get_by_test_id("label-add").press("Enter")
    page.locator("[data-testid=label-row][data-label=loud]").wait_for()
    packs = {label.name: label.pack for label in serve_bench(serve).labels()}
    assert packs["urgent"] == packs["calm"] == packs["loud"] == "needs"


def test_what_was_asked_for_stays_when_refused_and_undo_takes_back_what_it_names(
    serve: Callable[..., str], open_page: Callable[..., Any], letters: api.Workbench
) -> None:
    page = open_page(serve(letters) + "/learn")
    ready(page, "learn")
    bench, before = serve_bench(serve), letters_first(serve)
    page.get_by_test_id("pack-new").click()
    page.get_by_test_id("ask-name").fill("needs")
    page.get_by_test_id("ask-labels").fill("urgent, food")
    page.expected.append("400")
    page.get_by_test_id("ask-yes").click()
    refused = page.get_by_test_id("ask-error")
    refused.wait_for()
    assert "food" in refused.inner_text()
    assert page.get_by_test_id("ask-labels").input_value() == "urgent, food"
    page.get_by_test_id("ask-labels").fill("urgent")
    page.get_by_test_id("ask-yes").click()
    page.locator("[data-testid=pack][data-pack=needs]").wait_for()
    bench.correct([{"sample": before, "label": "praise", "verdict": "unsure"}])
    page.locator(".pl-toast").get_by_role("button", name="Undo").click()
    page.locator("[data-testid=pack][data-pack=needs]").wait_for(state="detached")
    assert "urgent" not in [label.name for label in bench.labels()]
    praise = bench.label("praise").id
    assert bench.verdicts([before])[before][praise] == "unsure", "nobody took that back"


def letters_first(serve: Callable[..., str]) -> int:
    """The first sample of the served project."""
    return serve_bench(serve).samples()[0].id
