"""Three columns of certainty on the Label page, bulk acceptance with its undo, several people."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend import api
from tests.backend.certainty.conftest import LABELS, answers, decide, drawer_names, others, texts
from tests.browser.waits import ready, saved

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

READY = '[data-testid="page"][data-ready="1"]'
CERTAIN = '[data-testid="certain"]'
HOSTILE = "<img src=x onerror=alert(1)>"


def about_four_things(name: str, folder: Path, settings: api.Settings) -> api.Workbench:
    """Texts about four things without a verdict."""
    file = folder / "texts.jsonl"
    file.write_text("\n".join(json.dumps({"sample": n, "text": t}) for n, t, _ in texts()))
    bench = api.create_project(name, labels=LABELS, encoder="words", settings=settings)
    bench.add(file)
    return bench


@pytest.fixture(scope="module")
def bare(once: api.Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    bench = about_four_things("bare", tmp_path_factory.mktemp("texts"), once)
    bench.close()
    return bench.path


@pytest.fixture(scope="module")
def made(once: api.Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a drawer of 40 decided ones, 60 others learned from, 60 left."""
    bench = about_four_things("letters", tmp_path_factory.mktemp("texts"), once)
    bench.certainty.open_drawer(share=0.25)
    bench.correct(answers(others(bench)[:60]))
    decide(bench, drawer_names(bench))
    bench.learn()
    bench.close()
    return bench.path


@pytest.fixture
def letters(made: Path, copied: Callable[[Path], api.Workbench]) -> api.Workbench:
    return copied(made)


def groups(page: Any) -> dict[str, list[str]]:
    """Names of the labels in each column, as they stand."""
    return page.evaluate(
        """() => Object.fromEntries(['yes', 'undecided', 'no'].map(name => [name,
             [...document.querySelectorAll(`.group.${name} .chip`)].map(c => c.dataset.label)]))"""
    )


def test_three_columns_keys_for_the_undecided_and_enter_for_the_rest(
    letters: api.Workbench, serve: Callable[..., str], open_page: Callable[..., Any]
) -> None:
    names = {label.id: label.name for label in letters.labels()}
    left = [letters.sample(name).id for name in others(letters)[60:]]
    told = [letters.certainty.of(sample, 0.95) for sample in left]
    found = next(one for one in told if one.yes and one.undecided and one.no)
    page = open_page(f"{serve(letters)}/?sample={found.sample}&certain=95")
    page.wait_for_selector(f'{CERTAIN}[data-state="ready"][data-level="95"]')
    wanted = {
        "yes": {names[i] for i in found.yes},
        "undecided": {names[i] for i in found.undecided},
        "no": {names[i] for i in found.no},
    }
    assert {name: set(there) for name, there in groups(page).items()} == wanted
    boxes = [page.locator(f".pl-chips .group.{name}").bounding_box() for name in wanted]
    assert boxes[0]["y"] == boxes[1]["y"] == boxes[2]["y"]  # side by side
    assert boxes[0]["x"] < boxes[1]["x"] < boxes[2]["x"]
    keyed = page.locator('.chip:not([data-key=""])').evaluate_all(
        "all => all.map(chip => [chip.dataset.key, chip.dataset.label])"
    )
    assert {label for _, label in keyed} == wanted["undecided"]
    key, chosen = keyed[0]
    page.keyboard.press(key)
    page.wait_for_selector(f'.group.yes .chip[data-label="{chosen}"][data-verdict="yes"]')
    page.keyboard.press("Enter")
    page.wait_for_function(
        "name => document.querySelector('[data-testid=sample]')?.dataset.sample !== name",
        arg=found.name,
    )
    saved(page)
    bench = serve.apps[-1].state.context.open("letters")  # type: ignore[attr-defined]
    said = {names[i]: v.value for i, v in bench.verdicts([found.sample])[found.sample].items()}
    yes = wanted["yes"] | {chosen}
    assert said == {name: "yes" if name in yes else "no" for name in LABELS}
    # off again: the two groups there were before, and every label has its key
    page.get_by_test_id("certain-on").uncheck()
    page.wait_for_selector(f'{CERTAIN}[data-state="off"]')
    assert page.locator('.chip:not([data-key=""])').count() == len(LABELS)
    assert "certain" not in page.url


def test_accepting_in_bulk_tells_the_errors_first_and_is_one_undo(
    letters: api.Workbench, serve: Callable[..., str], open_page: Callable[..., Any]
) -> None:
    plan = letters.certainty.plan(0.8)
    before = letters.verdicts()
    page = open_page(f"{serve(letters)}/?certain=80")
    page.wait_for_selector(f'{CERTAIN}[data-state="ready"]')
    page.get_by_test_id("certain-accept").click()
    text = page.locator("dialog[open]").inner_text()
    for number in (plan.samples, plan.yes, plan.no):
        assert str(number) in text
    assert f"at most {-int(-plan.wrong_samples // 1)} of the {plan.samples} samples" in text
    page.locator("dialog[open] button[value=no]").click()  # a look costs nothing
    bench = serve.apps[-1].state.context.open("letters")  # type: ignore[attr-defined]
    assert bench.verdicts() == before
    page.get_by_test_id("certain-accept").click()
    page.locator("dialog[open] button[value=yes]").click()
    page.wait_for_selector(f'{CERTAIN}[data-accepted="{plan.yes + plan.no}"]')
    after = bench.verdicts()
    assert sum(map(len, after.values())) - sum(map(len, before.values())) == plan.yes + plan.no
    page.locator(".pl-toast button", has_text="Undo").click()
    until = time.monotonic() + 60
    while bench.verdicts() != before and time.monotonic() < until:
        page.wait_for_timeout(100)
    assert bench.verdicts() == before


def test_a_drawer_sample_says_that_it_measures_the_model(
    letters: api.Workbench, serve: Callable[..., str], open_page: Callable[..., Any]
) -> None:
    inside = letters.sample(drawer_names(letters)[0]).id
    page = open_page(f"{serve(letters)}/?sample={inside}&certain=90")
    page.wait_for_selector(f'{CERTAIN}[data-state="drawer"]')
    assert "this one measures the model" in page.get_by_test_id("certain-told").inner_text()
    assert page.locator('.chip[data-sure="yes"], .chip[data-sure="no"]').count() == 0
    # also while nobody asked what is certain
    page.get_by_test_id("certain-on").uncheck()
    page.wait_for_selector(f'{CERTAIN}[data-state="drawer"]')


def test_without_a_drawer_it_says_what_is_missing_and_opens_one(
    bare: Path,
    copied: Callable[[Path], api.Workbench],
    serve: Callable[..., str],
    open_page: Callable[..., Any],
) -> None:
    page = open_page(f"{serve(copied(bare))}/?certain=95")
    page.wait_for_selector(f'{CERTAIN}[data-state="wanting"]')
    assert "no calibration drawer yet" in page.get_by_test_id("certain-told").inner_text()
    assert page.get_by_test_id("certain-accept").is_hidden()
    page.get_by_test_id("certain-drawer").click()
    page.wait_for_selector(f'{CERTAIN}[data-state="drawer"]')  # the first one to decide
    assert page.locator(".pl-queue .picker").input_value() == "drawer"
    opened = serve.apps[-1].state.context.open("bare")  # type: ignore[attr-defined]
    assert opened.certainty.drawer().members >= 19, "as many as 95 % needs"
    # One that holds too few is made larger, whatever of it is decided.
    opened.certainty.open_drawer(samples=3)
    outside = next(s.id for s in opened.samples() if s.name not in drawer_names(opened))
    page.goto(f"{page.url.split('?')[0]}?sample={outside}&certain=95")
    page.wait_for_selector(f'{CERTAIN}[data-state="wanting"]')
    assert "open a larger one" in page.get_by_test_id("certain-told").inner_text()
    assert page.get_by_test_id("certain-drawer").inner_text() == "Open a larger drawer"
    page.get_by_test_id("certain-drawer").click()
    page.wait_for_selector(f'{CERTAIN}[data-state="drawer"]')
    assert opened.certainty.drawer().members >= 19


def test_people_differ_one_decides_and_takes_it_back(
    letters: api.Workbench, serve: Callable[..., str], open_page: Callable[..., Any]
) -> None:
    name = others(letters)[60]
    row = {"sample": name, "label": "apple"}
    letters.correct([{**row, "verdict": "yes"}], who="ann")
    letters.correct([{**row, "verdict": "no"}], who=HOSTILE)
    sample = letters.sample(name).id
    base = serve(letters)
    page = open_page(f"{base}/?sample={sample}")
    page.wait_for_selector(READY)
    note = page.locator('.chip[data-label="apple"] [data-testid="said"]')
    assert note.inner_text() == f"ann ✓ · {HOSTILE} ✕"
    assert page.locator('.chip[data-label="apple"]').get_attribute("data-verdict") == "unknown"
    page.goto(f"{base}/learn")
    dispute = page.get_by_test_id("dispute")
    dispute.wait_for()
    assert dispute.get_attribute("data-label") == "apple"
    assert HOSTILE in dispute.inner_text()
    dispute.locator('[data-say="yes"]').click()
    page.wait_for_selector('[data-testid="people"][data-disputes="0"]')
    bench = serve.apps[-1].state.context.open("letters")  # type: ignore[attr-defined]
    apple = bench.label("apple").id
    assert bench.verdicts([sample])[sample][apple] is api.Verdict.YES
    page.keyboard.press("u")  # the toast that offers it has its own time
    page.wait_for_selector('[data-testid="people"][data-disputes="1"]')
    assert apple not in bench.verdicts([sample])[sample]
    page.get_by_test_id("people-blind").check()
    until = time.monotonic() + 60
    while not bench.people.is_blind and time.monotonic() < until:
        page.wait_for_timeout(100)
    page.goto(f"{base}/?sample={sample}")
    page.wait_for_selector(READY)
    assert page.get_by_test_id("blind").is_visible()
    assert page.locator('.chip[data-label="apple"] [data-testid="said"]').inner_text() == ""
    # Explore counts what "me" said and nothing of the others; the disputes wait.
    own = bench.verdicts(who="me")
    yes = sum(said.get(apple) is api.Verdict.YES for said in own.values())
    page.goto(f"{base}/explore")
    ready(page, "explore")
    assert page.get_by_test_id("blind").is_visible()
    shown = page.locator('.pl-facet[data-label="apple"] .pl-facet-name .pl-num').inner_text()
    assert shown == str(yes)
    page.goto(f"{base}/learn")
    page.wait_for_selector('[data-testid="people"][data-disputes="1"]')
    assert page.get_by_test_id("dispute").count() == 0
    assert page.get_by_test_id("people-csv-disputes").is_hidden()
    assert page.get_by_test_id("people-csv-labels").is_visible()


def test_a_chosen_threshold_is_shown_on_the_chips(
    letters: api.Workbench, serve: Callable[..., str], open_page: Callable[..., Any]
) -> None:
    name = others(letters)[60]
    sample = letters.sample(name).id
    told = {one.label: one.probability for one in letters.suggest([sample])[0].suggestions}
    apple, river = told["apple"], told["river"]
    assert apple is not None
    assert river is not None
    letters.evaluator.set_thresholds(
        {letters.label("apple").id: apple / 2, letters.label("river").id: (1 + river) / 2}
    )
    page = open_page(f"{serve(letters)}/?sample={sample}")
    page.wait_for_selector(READY)
    chip = page.locator('.chip[data-label="apple"]')
    assert chip.get_attribute("data-suggested") == "true"
    assert float(chip.get_attribute("data-threshold")) == pytest.approx(apple / 2)
    assert chip.locator(".limit").is_visible()
    assert page.locator('.chip[data-label="river"]').get_attribute("data-suggested") == "false"
    assert page.locator('.chip[data-label="engine"]').get_attribute("data-threshold") is None


def test_the_cells_of_certainty_open_their_samples(
    letters: api.Workbench, serve: Callable[..., str], open_page: Callable[..., Any]
) -> None:
    decide(letters, others(letters)[60:75])
    letters.learn()
    base = serve(letters)
    bench = serve.apps[-1].state.context.open("letters")  # type: ignore[attr-defined]
    page = open_page(f"{base}/learn?part=certainty#evaluation")
    page.wait_for_selector('[data-testid="evaluation"][data-shown="certainty"]')
    cells = page.locator('[data-testid="abstention-row"][data-level="0.8"] td')
    links = cells.locator("a").evaluate_all("all => all.map(a => a.getAttribute('href'))")
    assert links
    assert (
        page.locator('[data-testid="coverage-row"] td a').count()
        == 4 * page.get_by_test_id("coverage-row").count()
    )
    told = page.get_by_test_id("certainty-told").locator("a")
    sets = bench.certainty.sets(0.9)
    left = int(((sets.width > 0) & ~bench.board.in_drawer).sum())
    for link, number, words in (
        (told.first, sets.counted, "calibrates what is certain"),
        (told.last, left, "a label undecided at 90 %"),
    ):
        link.click()
        page.wait_for_selector('[data-testid="page"][data-page="explore"][data-ready="1"]')
        shown = page.locator('[data-scope="all"] .pl-num')
        assert int(shown.inner_text().replace(",", "")) == number > 0
        assert words in page.locator(".pl-x-chips").inner_text()
        page.go_back()
        page.wait_for_selector('[data-testid="evaluation"][data-shown="certainty"]')
    page.locator('[data-testid="coverage-row"][data-level="0.9"] td a').first.click()
    ready(page, "explore")
    point = next(p for p in bench.certainty.coverage() if p.level == 0.9)
    page.wait_for_function(
        "n => document.querySelectorAll('[data-testid=tile]').length === n", arg=point.n
    )
    assert "claim at 90 % came true" in page.locator("body").inner_text()


def test_how_far_people_are_trusted_is_told_and_fits_desk_and_phone(
    letters: api.Workbench, serve: Callable[..., str], open_page: Callable[..., Any]
) -> None:
    random = np.random.default_rng(4)
    rows = answers(others(letters)[60:100])
    for who, wrong in (("ann", 0.02), ("bob", 0.05), (HOSTILE, 0.4)):
        flips = random.random(len(rows)) < wrong
        said = [
            {**row, "verdict": "no" if row["verdict"] == "yes" else "yes"} if flip else row
            for row, flip in zip(rows, flips.tolist(), strict=True)
        ]
        letters.correct(said, who=who)
    letters.learn()
    found = letters.people.agreement()
    assert found.is_trusting
    page = open_page(f"{serve(letters)}/learn")
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 900})
        page.reload()
        page.wait_for_selector("[data-testid=person]")
        for one in found.people:
            cells = page.locator(f"[data-testid=person][data-who={json.dumps(one.who)}] td")
            told = [cells.nth(k).inner_text() for k in (4, 5)]
            assert told == [f"{100 * share:.1f} %" for share in (one.seen, one.wrong)]
        wide = page.locator(".pl-people-tables .pl-table-scroll").evaluate_all(
            "all => all.map(node => node.scrollWidth - node.clientWidth)"
        )
        assert wide == [0, 0], f"no column is cut off at {width} pixels"
