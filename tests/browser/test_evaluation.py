"""The evaluation on the Learn page as a person uses it: numbers, their samples, a threshold."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend import api
from tests.browser.label_projects import HOSTILE
from tests.browser.serving import served
from ui.app import build_app

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

THINGS = ("cat", "dog", "bread", "soup", "bus", "train", "river", "violin")
SHOTS = os.environ.get("PATCHLANE_SHOTS", "")


@pytest.fixture(scope="module")
def made(once: api.Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two hundred texts of things, mostly decided, some of them wrongly, from two places."""
    random, rows, answers = np.random.default_rng(3), [], []
    names = (*THINGS, HOSTILE)
    for number in range(200):
        about = {THINGS[number % 8], THINGS[int(random.integers(8))]}
        place = "home" if number % 3 else "town"
        rows.append(
            {
                "sample": f"{place}/t{number}",
                "text": f"{number}: a {' and a '.join(sorted(about))}",
                "metadata": {"season": ("spring", "autumn")[number % 2]},
                "split": "val" if number % 4 == 0 else "train",
            }
        )
        for name in names:
            draw = random.random()
            if draw > 0.2:
                is_so = (name in about) != (draw > 0.93)
                said = "yes" if is_so or name == HOSTILE else "no"
                answers.append({"sample": rows[-1]["sample"], "label": name, "verdict": said})
    file = tmp_path_factory.mktemp("texts") / "texts.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    bench = api.create_project("judged", labels=names, encoder="words", settings=once)
    bench.add(file)
    bench.correct(answers)
    bench.learn()
    bench.packs.pause(True)
    bench.project()  # Explore would make the map in every test
    bench.close()
    return bench.path


@pytest.fixture(scope="module")
def looked_at(
    made: Path, once: api.Settings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of one server for the tests that change nothing."""
    settings = replace(once, home=tmp_path_factory.mktemp("looked-at"))
    shutil.copytree(made, settings.home / "judged")
    with served(build_app(settings, default_project="judged")) as base:
        yield base


@pytest.fixture
def judged(made: Path, copied: Callable[[Path], api.Workbench]) -> api.Workbench:
    return copied(made)


def ready(page: Any, part: str = "labels") -> None:
    """The evaluation is in view and its part is drawn."""
    page.wait_for_selector('[data-testid=page][data-page=learn][data-ready="1"]')
    page.get_by_test_id("evaluation").scroll_into_view_if_needed()
    page.wait_for_selector(f"[data-testid=evaluation][data-shown={part}]:not([aria-busy])")


def part(page: Any, name: str) -> None:
    page.get_by_test_id(f"eval-tab-{name}").click()
    page.wait_for_selector(f"[data-testid=evaluation][data-shown={name}]:not([aria-busy])")


def shot(page: Any, name: str) -> None:
    """A picture for a person to look at, where a folder is named."""
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / f"{name}.png"))


def grid_count(page: Any) -> int:
    """How many samples Explore shows."""
    page.wait_for_selector('[data-testid=page][data-page=explore][data-ready="1"]')
    shown = page.locator('[data-scope="all"] .pl-num').inner_text()
    return int(shown.replace(",", ""))


def test_every_number_opens_its_samples(looked_at: str, open_page: Callable[..., Any]) -> None:
    page = open_page(looked_at + "/learn?split=val#evaluation")
    ready(page)
    told = page.get_by_test_id("eval-how").inner_text()
    assert "samples: 50" in told
    assert "without a verdict are left out" in told, "the choice is named"
    rows = page.get_by_test_id("eval-label")
    assert rows.count() == len(THINGS) + 1
    hostile = page.locator(f"[data-testid=eval-label][data-label={json.dumps(HOSTILE)}]")
    assert hostile.locator("th").inner_text() == HOSTILE
    assert hostile.locator("td").nth(2).inner_text() == "–", "only YES: no ranking to judge"
    assert page.locator("img[src=x]").count() == 0
    links = page.locator("[data-testid=eval-labels] [data-testid=eval-link]")
    found = [(link.get_attribute("href"), link.get_attribute("data-count")) for link in links.all()]
    cells = page.locator("[data-testid=eval-label][data-label=soup] td")
    yes, no, misses, alarms = (int(cells.nth(k).inner_text()) for k in (0, 1, 6, 7))
    # AP of all that are decided, precision of what is suggested, recall of what is there.
    figures = [
        (cells.nth(k).get_by_test_id("eval-figure").get_attribute("href"), number)
        for k, number in ((2, yes + no), (3, yes - misses + alarms), (4, yes))
    ]
    summary = page.locator("[data-testid=f1-row] td")
    assert summary.count() == 21
    assert summary.locator("> [data-testid=eval-behind]").count() == 21, "each number is a link"
    assert page.locator(".pl-eval-tile [data-testid=eval-behind]").count() >= 6
    op = page.locator("[data-testid=f1-row][data-measure=OP] [data-way=threshold]")
    for link in op.get_by_test_id("eval-behind").all():
        assert link.get_attribute("data-count") != "0"
        figures.append((link.get_attribute("href"), int(link.get_attribute("data-count"))))
    assert len(figures) == 6, "all, right and wrong suggestions"
    part(page, "instead")
    links = page.locator("[data-testid=eval-instead] [data-testid=eval-link]")
    found += [(one.get_attribute("href"), one.get_attribute("data-count")) for one in links.all()]
    part(page, "together")
    links = page.locator("[data-testid=eval-together] [data-testid=eval-link]")
    found += [(one.get_attribute("href"), one.get_attribute("data-count")) for one in links.all()]
    assert len(found) > 40
    base = page.url.split("/learn")[0]
    for href, count in [*figures, *found[:: len(found) // 3], found[-1]]:
        page.goto(base + href)
        assert grid_count(page) == int(count)
        assert page.locator(".pl-x-chips .pl-chip").count() > 1
        assert "?" not in page.locator(".pl-x-chips").inner_text(), "every filter is said in words"
    page.get_by_test_id("evaluate-slice").click()
    page.wait_for_selector("[data-testid=evaluation][data-shown=labels]")
    assert page.get_by_test_id("evaluation").get_attribute("data-n") == found[-1][1], page.url


def test_figures_and_points_of_charts_open_by_key(
    looked_at: str, open_page: Callable[..., Any]
) -> None:
    page = open_page(looked_at + "/learn?split=val&part=slices&by=source#evaluation")
    ready(page, "slices")
    wrong = page.locator("[data-testid=f1-row][data-measure=OR] [data-way='top-3'] a").last
    count = int(wrong.get_attribute("data-count"))
    assert wrong.inner_text() == f"{count} missed"
    wrong.press("Enter")
    assert grid_count(page) == count
    assert "among the top 3" in page.locator(".pl-x-chips").inner_text()
    page.go_back()
    ready(page, "slices")
    chart = page.locator("[data-testid=chart-slices][data-drawn]")
    chart.wait_for()
    chart.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("[data-testid=chart-slices][data-at='0']")
    page.keyboard.press("ArrowLeft")  # round to the last, the largest slice
    page.wait_for_selector("[data-testid=chart-slices]:not([data-at='0'])")
    first = page.get_by_test_id("slice-row").first
    count = int(first.get_by_test_id("eval-link").get_attribute("data-count"))
    page.keyboard.press("Enter")
    assert grid_count(page) == count


def test_a_threshold_is_chosen_on_its_curve_kept_and_undone(
    serve: Callable[..., str], open_page: Callable[..., Any], judged: api.Workbench
) -> None:
    page = open_page(serve(judged) + "/learn?split=val#evaluation")
    ready(page)
    row = page.locator("[data-testid=eval-label][data-label=soup]")
    before = row.inner_text()
    row.locator("button").click()
    page.get_by_test_id("wish-recall").click()
    for name in ("threshold", "pr", "spread"):
        page.wait_for_selector(f"[data-testid=chart-{name}][data-drawn] .main-svg")
    told = page.get_by_test_id("threshold-told").inner_text()
    recall = float(told.split("recall ")[1].split(",")[0])
    assert recall >= 0.9
    page.get_by_test_id("threshold-keep").click()
    page.wait_for_selector("[data-testid=eval-label][data-label=soup] .pl-eval-chosen")
    assert row.locator("td").nth(4).inner_text() == f"{recall:.3f}"
    assert "label=" in page.url
    page.locator(".pl-toast").get_by_role("button", name="Undo").click()
    page.wait_for_selector("[data-testid=eval-label][data-label=soup] td .pl-dim >> text=0.50")
    page.wait_for_function(
        "was => document.querySelector('[data-testid=eval-label][data-label=soup]').innerText"
        " === was",
        arg=before,
    )
    page.get_by_test_id("best-all").click()
    page.get_by_role("button", name="Keep them").click()
    page.wait_for_function("() => document.querySelectorAll('.pl-eval-chosen').length > 5")
    shown = page.locator("[data-testid=f1-row][data-measure=OF1] td").first.inner_text()
    assert float(shown.split()[0]) > 0


def test_slices_filters_and_tables(looked_at: str, open_page: Callable[..., Any]) -> None:
    page = open_page(looked_at + "/learn?split=val&part=slices#evaluation")
    ready(page, "slices")
    page.get_by_test_id("slice-by").select_option("meta:season")
    autumn = page.locator("[data-testid=slice-row][data-slice=autumn]")
    autumn.wait_for(state="detached")  # val samples have even numbers: all of spring
    spring = page.locator("[data-testid=slice-row][data-slice=spring]")
    spring.wait_for()
    page.get_by_test_id("slice-by").select_option("source")
    town = page.locator("[data-testid=slice-row][data-slice=town]")
    town.wait_for()
    count = town.get_by_test_id("eval-link").get_attribute("data-count")
    town.get_by_test_id("slice-only").click()
    page.wait_for_selector(f'[data-testid=evaluation][data-n="{count}"]:not([aria-busy])')
    assert "town" in page.get_by_test_id("eval-filter").inner_text()
    part(page, "labels")
    with page.expect_download() as download:
        page.get_by_test_id("csv-labels").click()
    with Path(download.value.path()).open(encoding="utf-8-sig", newline="") as file:
        table = {row["label"]: row for row in csv.DictReader(file)}
    assert set(THINGS) < set(table)
    assert sum(int(row["yes"]) for row in table.values()) > 0
    page.get_by_test_id("eval-unknown").select_option("no")
    page.wait_for_function(
        "() => document.querySelector('[data-testid=eval-how]').textContent.includes('as no')"
    )
    page.get_by_test_id("eval-filter").click()
    page.wait_for_selector('[data-testid=evaluation][data-n="50"]:not([aria-busy])')
    assert "unknown=no" in page.url
    assert "filter=" not in page.url


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_evaluation_fits_desk_and_phone(
    looked_at: str, open_page: Callable[..., Any], scheme: str
) -> None:
    soup = 1 + THINGS.index("soup")
    page = open_page(color_scheme=scheme)
    for name, width, height in (("desk", 1440, 900), ("phone", 390, 844)):
        page.set_viewport_size({"width": width, "height": height})
        page.goto(f"{looked_at}/healthz")  # then anew, as on a screen of that size
        page.goto(f"{looked_at}/learn?label={soup}#evaluation")
        for tab in ("labels", "instead", "together", "calibration", "slices", "certainty"):
            if tab == "labels":
                ready(page)
                page.wait_for_selector("[data-testid=chart-pr][data-drawn]")
            else:
                part(page, tab)
            page.wait_for_function(
                """() => ['html', '[data-testid=page]'].every(each => {
                    const node = document.querySelector(each);
                    return node.scrollWidth === node.clientWidth;
                })"""
            )
            cut = page.evaluate(
                """() => [...document.querySelectorAll('#evaluation *')].filter(node => {
                    const box = node.getBoundingClientRect();
                    return box.width > 1 && (box.right > innerWidth + 1 || box.left < -1)
                        && !node.closest('.pl-table-scroll, .js-plotly-plot');
                }).map(node => node.outerHTML.slice(0, 100))"""
            )
            assert cut == []
            page.get_by_test_id("evaluation").evaluate("node => node.scrollIntoView()")
            shot(page, f"{name}-{scheme}-{tab}")
            if tab == "labels":
                page.locator(".pl-eval-label").evaluate("node => node.scrollIntoView()")
                shot(page, f"{name}-{scheme}-label")
            else:
                page.locator(".pl-eval-part").evaluate("node => node.scrollIntoView()")
                shot(page, f"{name}-{scheme}-{tab}-part")


def test_thousands_of_labels_come_in_pieces(
    serve: Callable[..., str],
    open_page: Callable[..., Any],
    settings: api.Settings,
    tmp_path: Path,
) -> None:
    file = tmp_path / "texts.jsonl"
    rows = [{"sample": f"t{i}", "text": f"{i} {THINGS[i % 8]}", "split": "val"} for i in range(32)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    names = [*THINGS, *(f"label {number}" for number in range(5_000 - len(THINGS)))]
    bench = api.create_project("many", labels=names, encoder="words", settings=settings)
    bench.add(file)
    bench.correct(
        [
            {"sample": f"t{i}", "label": name, "verdict": "yes" if i % 8 == k else "no"}
            for i in range(32)
            for k, name in enumerate(THINGS)
        ]
    )
    page = open_page(serve(bench) + "/learn?split=val&unknown=no#evaluation")
    ready(page)
    assert page.get_by_test_id("eval-label").count() == 25
    assert page.get_by_test_id("eval-place").inner_text() == "1 – 25 of 5,000"
    page.get_by_test_id("eval-after").click()
    page.wait_for_function(
        "() => document.querySelector('[data-testid=eval-place]').textContent.startsWith('26')"
    )
    page.get_by_test_id("eval-find").fill("label 4321")
    page.wait_for_selector('[data-testid=eval-label][data-label="label 4321"]')
    page.wait_for_function(
        "() => document.querySelectorAll('[data-testid=eval-label]').length === 1"
    )
    for tab in ("instead", "together", "calibration", "slices"):
        part(page, tab)
    assert page.locator("[data-testid=evaluation] *").count() < 3_000


def test_nothing_decided_says_what_to_do(
    serve: Callable[..., str],
    open_page: Callable[..., Any],
    settings: api.Settings,
) -> None:
    bench = api.create_project("none", labels=["cat"], encoder="words", settings=settings)
    page = open_page(serve(bench) + "/learn#evaluation")
    page.wait_for_selector("[data-testid=eval-none]:not([hidden])")
    assert "no verdicts yet" in page.get_by_test_id("eval-none").inner_text()
