"""The Guide page and the guide beside the label, as a person uses them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backend import api
from tests.browser.label_projects import HOSTILE
from tests.browser.waits import HOLD, ready

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

TRAVEL = ("bus", "train", "tram", "ferry", "taxi", "plane")
FOOD = ("soup", "bread", "salad", "pizza", "rice", "cake")
WAYS = ("The {} was late again", "We waited for the {} in the rain", "My {} cost too much")


@pytest.fixture(scope="module")
def made(once: api.Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts on travel (YES) and food (NO), all decided; another label is markup."""
    rows = [way.format(thing) for thing in (*TRAVEL, *FOOD) for way in WAYS]
    file = tmp_path_factory.mktemp("texts") / "letters.jsonl"
    file.write_text("\n".join(json.dumps({"text": text}) for text in rows), "utf-8")
    bench = api.create_project(
        "letters", labels=["travel", HOSTILE], encoder="words", settings=once
    )
    bench.add(file)
    bench.correct(
        [
            {
                "sample": one.id,
                "label": "travel",
                "verdict": "yes" if any(word in (one.text or "") for word in TRAVEL) else "no",
            }
            for one in bench.samples()
        ],
        who="import:annotations",
    )
    bench.learn()
    bench.close()
    return bench.path


@pytest.fixture
def letters(made: Path, copied: Callable[[Path], api.Workbench]) -> api.Workbench:
    return copied(made)


def shown(page: Any) -> list[str]:
    return page.get_by_test_id("exemplar").evaluate_all("all => all.map(e => e.dataset.sample)")


def guide_of(page: Any, label: str) -> Any:
    return page.locator(f'[data-testid=guide][data-label="{label}"]')


def test_a_guide_is_read_pinned_refused_written_and_each_undone(
    serve: Callable[..., str], open_page: Callable[..., Any], letters: api.Workbench
) -> None:
    page = open_page(serve(letters) + "/guide")
    ready(page, "guide")
    card = guide_of(page, "travel")
    card.wait_for()
    assert card.get_attribute("data-state") == "ready"
    first = shown(page)
    assert first
    assert page.get_by_test_id("near-miss").count() > 1
    assert page.get_by_test_id("usual-word").count() > 1
    assert "average precision" in page.get_by_test_id("guide-held-out").inner_text()

    page.locator(f'[data-testid=guide-refuse][data-sample="{first[0]}"]').click()
    page.locator(f'[data-testid=exemplar][data-sample="{first[0]}"]').wait_for(state="detached")
    page.keyboard.press("u")
    page.locator(f'[data-testid=exemplar][data-sample="{first[0]}"]').wait_for()
    assert shown(page) == first

    page.locator(f'[data-testid=guide-pin][data-sample="{first[-1]}"]').click()
    page.locator('[data-testid=exemplar][data-pinned="true"]').wait_for()
    assert shown(page)[0] == first[-1]
    page.keyboard.press("u")
    page.locator('[data-testid=exemplar][data-pinned="true"]').wait_for(state="detached")

    page.get_by_test_id("guide-edit-definition").click()
    page.get_by_test_id("guide-text-definition").fill(f"Ways to get there. {HOSTILE}")
    page.get_by_test_id("guide-save-definition").click()
    page.wait_for_function(
        "text => document.querySelector('[data-testid=guide-definition]')?.textContent === text",
        arg=f"Ways to get there. {HOSTILE}",
    )
    page.get_by_test_id("guide-edit-notes").click()
    page.get_by_test_id("guide-text-notes").fill("# Trams\n**are** travel")
    page.get_by_test_id("guide-save-notes").click()
    page.wait_for_function(
        "document.querySelector('[data-testid=guide-notes]')?.textContent === "
        "'# Trams\\n**are** travel'"
    )
    page.reload()
    ready(page, "guide")
    assert page.get_by_test_id("guide-definition").inner_text() == f"Ways to get there. {HOSTILE}"
    assert page.get_by_test_id("guide-notes").inner_text() == "# Trams\n**are** travel"


def test_what_is_being_written_stays_until_it_is_saved_or_cancelled(
    serve: Callable[..., str], open_page: Callable[..., Any], letters: api.Workbench
) -> None:
    page = open_page(serve(letters) + "/guide")
    ready(page, "guide")
    guide_of(page, "travel").wait_for()
    for what in ("definition", "notes"):
        page.get_by_test_id(f"guide-edit-{what}").click()
        page.get_by_test_id(f"guide-text-{what}").fill(f"half of the {what}")
    notes = page.get_by_test_id("guide-text-notes")
    notes.press("Escape")
    page.get_by_test_id("guide-save-definition").click()
    page.get_by_test_id("guide-definition").wait_for()
    assert notes.input_value() == "half of the notes"
    page.get_by_test_id("guide-pin").last.click()
    page.locator('[data-testid=exemplar][data-pinned="true"]').wait_for()
    assert notes.input_value() == "half of the notes"
    page.locator(f'[data-testid=guide-label][data-label="{HOSTILE}"]').click()
    guide_of(page, HOSTILE).wait_for()
    assert notes.count() == 0, "it is of the other label"
    page.locator("[data-testid=guide-label][data-label=travel]").click()
    guide_of(page, "travel").wait_for()
    assert notes.input_value() == "half of the notes"
    leaving = "dispatchEvent(new Event('beforeunload', { cancelable: true }))"
    assert page.evaluate(leaving) is False, "who leaves the page is asked"
    page.get_by_test_id("guide-edit-notes").or_(page.get_by_role("button", name="Cancel")).click()
    assert page.get_by_test_id("guide-notes").is_visible()
    assert page.evaluate(leaving) is True


def test_what_was_written_goes_to_the_label_that_it_was_written_for(
    serve: Callable[..., str], open_page: Callable[..., Any], letters: api.Workbench
) -> None:
    page = open_page(serve(letters) + "/guide")
    ready(page, "guide")
    bench = serve.apps[-1].state.context.open("letters")  # type: ignore[attr-defined]
    guide_of(page, "travel").wait_for()
    page.get_by_test_id("guide-edit-definition").click()
    page.get_by_test_id("guide-text-definition").fill("Ways to get there")
    page.evaluate(HOLD, ["/pl/api/guide"])
    page.locator(f'[data-testid=guide-label][data-label="{HOSTILE}"]').click()
    page.get_by_test_id("guide-save-definition").click()  # the other guide is on its way
    with page.expect_response(lambda told: told.request.method == "POST"):
        page.evaluate("letGo('/pl/api/guide')")
    guide_of(page, HOSTILE).wait_for()
    assert bench.label("travel").definition == "Ways to get there"
    assert bench.label(HOSTILE).definition == ""


def test_an_edition_tells_what_changed_and_it_can_be_taken_home(
    serve: Callable[..., str], open_page: Callable[..., Any], letters: api.Workbench
) -> None:
    base = serve(letters)
    page = open_page(base + "/guide?label=travel")
    ready(page, "guide")
    guide_of(page, "travel").wait_for()
    example = shown(page)[0]
    page.get_by_test_id("guide-keep").click()
    page.get_by_role("heading", name="Changed since edition 1").wait_for()
    with page.expect_download() as got:
        page.get_by_test_id("guide-html").click()
    assert got.value.suggested_filename == "guide.html"
    assert "travel" in Path(got.value.path()).read_text("utf-8")

    bench = serve.apps[-1].state.context.open("letters")  # type: ignore[attr-defined]
    bench.correct([{"sample": example, "label": "travel", "verdict": "no"}], who="ann")
    page.reload()
    ready(page, "guide")
    page.get_by_test_id("guide-changes").wait_for()
    assert (
        f"{example} was YES and is NO now (ann)."
        in page.get_by_test_id("guide-changes").inner_text()
    )


def test_a_label_without_evidence_says_so_and_its_name_is_text(
    serve: Callable[..., str], open_page: Callable[..., Any], letters: api.Workbench
) -> None:
    page = open_page(serve(letters) + "/guide")
    ready(page, "guide")
    guide_of(page, "travel").wait_for()
    page.get_by_test_id("guide-label").nth(1).click()
    page.get_by_test_id("guide-missing").wait_for()
    assert page.locator(".pl-guide h2").inner_text() == HOSTILE
    assert "0 of 20 verdicts" in page.get_by_test_id("guide-missing").inner_text()
    assert page.locator(".pl-guide img").count() == 0


def test_g_opens_the_guide_beside_the_label_and_follows_it(
    serve: Callable[..., str], open_page: Callable[..., Any], letters: api.Workbench
) -> None:
    base = serve(letters)
    page = open_page(base + "/?label=travel&picker=order&sample=1")
    ready(page, "label")
    page.keyboard.press("g")
    panel = page.get_by_test_id("guide-panel")
    guide_of(page, "travel").wait_for()
    assert panel.is_visible()
    assert page.get_by_test_id("exemplar").count() > 0
    page.get_by_test_id("guide-pin-this").click()
    page.locator('[data-testid=exemplar][data-pinned="true"]').wait_for()
    page.keyboard.press("u")
    page.locator('[data-testid=exemplar][data-pinned="true"]').wait_for(state="detached")
    # Another label is chosen by its key: its guide is there.
    page.keyboard.press("2")
    page.get_by_test_id("guide-missing").wait_for()
    page.keyboard.press("g")
    panel.wait_for(state="hidden")
