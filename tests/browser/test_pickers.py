"""Choosing what to look at next, in Chromium: the reason of each sample, and what it asks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from backend import api
from tests.browser.label_projects import image_project
from tests.browser.serving import served
from tests.browser.waits import LABEL_READY
from ui.app import build_app

pytestmark = pytest.mark.slow

ITEM = '[data-testid="queue-item"]'
WAITING = f"{ITEM}:not(.done):not([aria-current])"
PICKER = ".pl-queue select"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Any]]:
    packs = api.Settings.from_environ().data
    if not packs.is_dir():
        pytest.skip(f"no data packs in {packs}; set PATCHLANE_DATA")
    settings = replace(api.Settings.from_environ(), home=tmp_path_factory.mktemp("home"))
    image_project(settings, packs, tmp_path_factory.mktemp("photos"), photos=36).close()
    with served(build_app(settings, default_project="coco")) as base:
        yield base, lambda: api.open_project("coco", settings=settings)


def test_a_person_chooses_how_the_queue_is_made_and_reads_why(
    server: tuple[str, Any], open_page: Callable[..., Any]
) -> None:
    page = open_page(f"{server[0]}/?project=coco")
    page.wait_for_selector(LABEL_READY)
    assert page.locator(PICKER).input_value() == "stages"
    assert page.locator(f"{PICKER} option").count() == 13
    reasons = page.locator(ITEM).evaluate_all("items => items.map(item => item.dataset.reason)")
    assert all(re.match(r"asks: |typical|unlike|not decided", reason) for reason in reasons)
    # The chips of the sample in view carry the mark of what is asked.
    first = page.locator(f"{ITEM}[aria-current]")
    asked = page.locator('[data-testid="chip"][data-asked]')
    assert 1 <= asked.count() <= 3
    reason = first.get_attribute("data-reason")
    if reason.startswith("asks: "):
        names = asked.evaluate_all("chips => chips.map(chip => chip.dataset.label)")
        assert all(name[:20] in reason for name in names)
    for name, words in (
        ("rarity", r"perhaps .+ \(\d+%\), which has \d+ YES"),
        ("margin", r"nearest to 50%: .+: \d+%"),
        ("part_centres", r"\d+% of its parts are unlike any part seen so far"),
        ("random", "picked at random"),
    ):
        page.locator(PICKER).select_option(name)
        page.wait_for_function(
            "([where, words]) => { const all = [...document.querySelectorAll(where)];"
            " return all.length && all.every(each => RegExp(words).test(each.dataset.reason)); }",
            arg=[WAITING, words],
        )
        assert f"picker={name}" in page.url
    page.reload()
    page.wait_for_selector(LABEL_READY)
    assert page.locator(PICKER).input_value() == "random"


def test_what_more_answers_will_bring_is_said_once_there_are_versions(
    server: tuple[str, Any], open_page: Callable[..., Any]
) -> None:
    bench = server[1]()
    rows = [{"sample": sample.id} for sample in bench.samples()]
    labels = bench.labels()[:6]
    for start in range(0, len(rows), 5):
        bench.correct(
            [
                {**row, "label": label.id, "verdict": "yes" if (row["sample"] + at) % 3 else "no"}
                for row in rows[start : start + 5]
                for at, label in enumerate(labels)
            ]
        )
        bench.learn()
    expected = bench.forecast()
    bench.close()
    assert expected.gain is not None
    page = open_page(f"{server[0]}/?project=coco")
    page.wait_for_selector(LABEL_READY)
    told = page.locator('[data-testid="forecast"]')
    told.wait_for()
    assert told.inner_text().startswith("the next 100 answers will bring about")
