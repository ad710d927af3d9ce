"""The audit on the Learn page: a group is fixed with one click and one undo, and what is put aside
stays aside."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend import api
from tests.backend.test_auditing import IS_ANIMAL, ROWS, WRONG
from tests.browser.serving import served
from tests.browser.test_checks import shoot
from ui.app import build_app

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

LEARN_READY = '[data-testid="page"][data-page="learn"][data-ready]'
DONE = '[data-testid="audit"][data-state="done"]'
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Any]]:
    """Texts on two labels, one of them with a hostile name; four verdicts are turned round."""
    settings = replace(api.Settings.from_environ(), home=tmp_path / "home", threads=1)
    bench = api.create_project(
        "words", labels=["animal", HOSTILE], encoder="words", settings=settings
    )
    file = tmp_path / "texts.jsonl"
    rows = [{"sample": f"t{at}", "text": text} for at, text in enumerate(ROWS)]
    rows.append({"sample": "copy", "text": ROWS[9].upper()})
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    assert bench.add(file).imported == len(rows)
    said = [yes ^ (at in WRONG) for at, yes in enumerate(IS_ANIMAL)]
    bench.correct(
        [
            {"sample": f"t{at}", "label": label, "verdict": "yes" if yes else "no"}
            for at, yes in enumerate(said)
            for label in ("animal", HOSTILE)
        ]
    )
    bench.close()
    app = build_app(settings, default_project="words")
    with served(app) as base:
        yield base, app.state.context


def verdicts(context: Any, label: str) -> dict[str, str]:
    bench = context.open("words")
    wanted = bench.label(label).id
    return {
        bench.sample(sample).name: str(said[wanted])
        for sample, said in bench.verdicts().items()
        if wanted in said
    }


def test_a_group_is_fixed_with_one_click_and_undone_with_one(
    server: tuple[str, Any], open_page: Callable[..., Any]
) -> None:
    base, context = server
    page = open_page(f"{base}/learn#audit")
    page.wait_for_selector(LEARN_READY)
    page.check('[data-testid="audit-pruning"]')
    page.click('[data-testid="audit-look"]')
    page.wait_for_selector(DONE)
    found = page.query_selector_all('[data-testid="suspect"][data-label="animal"]')
    assert {f"t{at}" for at in WRONG} <= {one.get_attribute("data-sample") for one in found}
    assert page.query_selector('[data-testid="audit-group"][data-kind="duplicate"]')
    shoot(page, "audit")

    group = '[data-testid="audit-group"][data-kind="label"][data-proposal="yes"]'
    article = page.wait_for_selector(f'{group}:has([data-label="animal"])')
    names = [
        one.get_attribute("data-sample")
        for one in article.query_selector_all('[data-testid="suspect"]')
    ]
    told = article.query_selector('[data-testid="audit-forecast"]').inner_text()
    assert told == f"animal: NO becomes YES on {len(names)} samples"
    before = verdicts(context, "animal")
    article.query_selector('[data-testid="audit-fix"]').click()
    page.wait_for_function(
        "name => ![...document.querySelectorAll('[data-testid=suspect][data-label=animal]')]"
        ".some(one => one.dataset.sample === name)",
        arg=names[0],
    )
    after = verdicts(context, "animal")
    assert {name for name in before if before[name] != after[name]} == set(names)
    assert all(after[name] == "yes" for name in names)

    page.click('[data-testid="undo"]')
    page.wait_for_selector(
        f'[data-testid="suspect"][data-label="animal"][data-sample="{names[0]}"]'
    )
    assert verdicts(context, "animal") == before


def test_what_is_put_aside_stays_aside_and_comes_back_by_undo(
    server: tuple[str, Any], open_page: Callable[..., Any]
) -> None:
    base, context = server
    page = open_page(f"{base}/learn")
    page.wait_for_selector(LEARN_READY)
    page.click('[data-testid="audit-look"]')
    page.wait_for_selector(DONE)
    before = verdicts(context, "animal")
    group = '[data-testid="audit-group"][data-kind="label"]:has([data-label="animal"])'
    article = page.locator(group).first
    cards = article.locator('[data-testid="suspect"]')
    name = cards.first.get_attribute("data-sample")
    for at in range(1, cards.count()):
        cards.nth(at).locator("input").uncheck()
    article.locator('[data-testid="audit-dismiss"]').click()
    one = f'[data-testid="suspect"][data-label="animal"][data-sample="{name}"]'
    page.wait_for_selector(one, state="detached")
    assert len(context.open("words").store.dismissals.current()) == 1
    page.reload()
    page.wait_for_selector(DONE)
    assert page.query_selector(one) is None
    page.click('[data-testid="undo"]')
    page.wait_for_selector(one)
    assert verdicts(context, "animal") == before
