"""Undo on every page: it says what it takes back, and one U too many costs nobody a folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backend import api
from tests.browser.waits import ready, saved

pytestmark = pytest.mark.slow

TEXTS = ("The soup was cold", "The bus was late", "A room with a view", "The waiter smiled")
HOSTILE = "<img src=x onerror=alert(1)> {names}"


@pytest.fixture
def notes(settings: api.Settings, tmp_path: Path) -> api.Workbench:
    """An open project of texts that one person brought in."""
    file = tmp_path / "notes.jsonl"
    file.write_text(
        "\n".join(json.dumps({"sample": f"n{i}", "text": t}) for i, t in enumerate(TEXTS))
    )
    bench = api.create_project(
        "notes", labels=["food", "bus", HOSTILE], encoder="words", settings=settings
    )
    bench.add(file)
    return bench


def toast(page: Any, words: str) -> Any:
    found = page.locator(".pl-toast", has_text=words)
    found.wait_for()
    return found


def test_one_u_too_many_on_the_label_page_asks_before_an_import_goes(
    serve: Callable[..., str], open_page: Callable[..., Any], notes: api.Workbench
) -> None:
    page = open_page(serve(notes) + "/?project=notes")
    page.expected.append("404")  # the sample in view is asked for when it is gone
    ready(page, "label")
    bench = serve.apps[-1].state.context.open("notes")
    page.keyboard.press("1")
    saved(page)
    assert sum(map(len, bench.verdicts().values())) == 1
    page.keyboard.press("u")
    page.wait_for_function("() => !document.querySelector('.chip[data-verdict=yes]')")
    page.keyboard.press("u")
    asked = toast(page, "Further back is only the import of notes.jsonl (4 samples)")
    assert len(bench.samples()) == 4
    asked.get_by_role("button", name="Take it back").click()
    gone = toast(page, "Taken back: the import of notes.jsonl (4 samples).")
    page.get_by_text("This project has no samples yet").wait_for()
    assert bench.samples() == []
    gone.get_by_role("button", name="Bring it back").click()
    back = toast(page, "Brought back: the import of notes.jsonl (4 samples).")
    page.wait_for_selector("[data-testid=sample][data-sample]")
    page.wait_for_selector("[data-testid=queue-item]")
    assert page.locator("[data-testid=queue-item]").count() == 4
    assert len(bench.samples()) == 4
    assert back.get_by_role("button", name="Undo").is_visible()


def test_the_data_page_says_what_was_taken_back_and_when_there_is_nothing(
    serve: Callable[..., str], open_page: Callable[..., Any], notes: api.Workbench
) -> None:
    page = open_page(serve(notes) + "/data?project=notes")
    ready(page, "data")
    bench = serve.apps[-1].state.context.open("notes")

    def labels() -> list[str]:
        return [label.name for label in bench.labels()]

    row = page.locator("[data-testid=label-row][data-label=bus]")
    row.click()
    page.get_by_test_id("label-remove").click()
    row.wait_for(state="detached")
    assert labels() == ["food", HOSTILE]
    page.get_by_test_id("undo").click()
    done = toast(page, "Taken back: the removal of bus.")
    row.wait_for()
    assert labels() == ["food", "bus", HOSTILE]
    done.get_by_role("button", name="Bring it back").click()
    toast(page, "Brought back: the removal of bus.")
    row.wait_for(state="detached")
    assert labels() == ["food", HOSTILE]
    page.get_by_test_id("undo").click()
    row.wait_for()
    # what was brought in another day does not go by a key
    page.get_by_test_id("undo").click()
    asked = toast(page, "Further back is only the import of notes.jsonl (4 samples).")
    assert len(bench.samples()) == 4
    asked.get_by_role("button", name="Take it back").click()
    toast(page, "Taken back: the import of notes.jsonl (4 samples).")
    page.locator("[data-testid=project][data-project=notes]", has_text="0 texts").wait_for()
    page.get_by_test_id("undo").click()
    toast(page, "There is nothing of yours to take back.")
    assert bench.samples() == []
    assert labels() == ["food", "bus", HOSTILE], "the labels were there before anybody did anything"


def test_each_offer_to_undo_takes_back_what_it_stands_beside(
    serve: Callable[..., str], open_page: Callable[..., Any], notes: api.Workbench
) -> None:
    page = open_page(serve(notes) + "/data?project=notes")
    ready(page, "data")
    bench = serve.apps[-1].state.context.open("notes")
    row = lambda name: page.locator(f"[data-testid=label-row][data-label={name}]")  # noqa: E731
    row("bus").click()
    page.get_by_test_id("label-remove").click()
    removed = toast(page, "bus was removed with its verdicts.")
    row("food").click()
    page.get_by_test_id("label-name").fill("meal")
    page.get_by_test_id("label-name").press("Tab")
    toast(page, "Renamed to meal.")
    removed.get_by_role("button", name="Undo").click()
    toast(page, "Taken back: the removal of bus.")
    row("bus").wait_for()
    assert [label.name for label in bench.labels()] == ["meal", "bus", HOSTILE]


def test_explore_tells_how_much_and_names_are_text(
    serve: Callable[..., str], open_page: Callable[..., Any], notes: api.Workbench
) -> None:
    labels = {label.name: label.id for label in notes.labels()}
    rows = [{"sample": f"n{i}", "label": labels["food"], "verdict": "yes"} for i in range(3)]
    notes.rename_label("food", "meal")
    notes.describe_label(HOSTILE, definition="hostile")
    notes.correct(rows)
    page = open_page(serve(notes) + "/explore?project=notes")
    ready(page, "explore")
    for words in (
        "Taken back: verdicts on 3 samples.",
        f"Taken back: what was written about {HOSTILE}.",
        "Taken back: the new name of food.",
        "Further back is only the import of notes.jsonl (4 samples).",
    ):
        page.get_by_test_id("undo").click()
        toast(page, words)
    assert page.evaluate("document.querySelectorAll('img[src=x]').length") == 0
