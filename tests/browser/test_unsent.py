"""What a browser keeps unsent belongs to one person: another who signs in never sends it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend import api
from tests.browser.label_projects import text_project
from tests.browser.serving import served
from tests.browser.test_label import CHIP, SAMPLE, kept_here
from tests.browser.waits import LABEL_READY, saved

pytestmark = pytest.mark.slow

WORD = "right horse"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    packs = api.Settings.from_environ().data
    if not packs.is_dir():
        pytest.skip(f"no data packs in {packs}; set PATCHLANE_DATA")
    folder = tmp_path_factory.mktemp("home")
    settings = replace(api.Settings.from_environ(), home=folder)
    text_project(settings, packs, tmp_path_factory.mktemp("texts"), texts=6).close()
    return folder


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[tuple[str, Any]]:
    """Ann and Ben have to sign in here."""
    from ui.app import build_app
    from ui.auth import Accounts, hash_password

    users = Accounts({name: hash_password(WORD) for name in ("ann", "ben")}, {})
    settings = replace(api.Settings.from_environ(), home=home)
    app = build_app(settings, default_project="talk", users=users)
    with served(app) as base:
        yield base, app.state.context


def sign_in(page: Any, address: str, name: str) -> None:
    """Whoever was signed in on this browser is not any more."""
    origin = address.partition("/?")[0]
    answer = page.context.request.post(
        f"{origin}/login",
        form={"name": name, "password": WORD, "next": "/"},
        headers={"Origin": origin},
        max_redirects=0,
    )
    assert answer.status == 303
    page.goto(address)
    page.wait_for_selector(LABEL_READY)


def who_said(bench: Any, sample: int) -> list[tuple[str, str]]:
    return [
        (row.who, row.verdict.value) for pair, row in bench.board.verdicts.items()
        if pair[0] == sample and row.verdict is not None
    ]  # fmt: skip


def test_the_next_person_on_a_browser_never_sends_what_another_left(server, open_page):
    base, context = server
    page, bench = open_page(), context.open("talk")
    page.expected.append("503")
    sample = bench.samples()[0].id
    address = f"{base}/?project=talk&sample={sample}"
    broken, asked = [True], []
    page.route(
        "**/pl/api/commit*",
        lambda route: route.fulfill(status=503, body="{}") if broken else route.continue_(),
    )
    page.on("request", lambda told: asked.append(told.url) if "/commit" in told.url else None)
    sign_in(page, address, "ann")
    page.keyboard.press("1")
    page.wait_for_selector('[data-testid="save-state"][data-state="offline"]')
    assert kept_here(page) == 1
    assert asked
    assert all(f"uid={bench.store.uid}" in url for url in asked), "it says of which project it is"
    page.expected.append("409")
    left = page
    page = page.context.new_page()  # the one of ann stays open, and tries on
    sign_in(page, address, "ben")
    with page.context.expect_event("response", lambda told: told.status == 409):
        broken.clear()
    left.wait_for_selector('[data-testid="save-state"][data-state="stale"]')
    saved(page)
    page.wait_for_load_state("networkidle")
    assert page.locator(f'{CHIP}[data-key="1"]').get_attribute("data-verdict") == "unknown"
    assert page.locator('[data-testid="unsent"]').count() == 0, "it is known whose it is"
    assert who_said(bench, sample) == []
    assert kept_here(page) == 1

    sign_in(page, address, "ann")
    saved(page)
    page.wait_for_selector(f'{CHIP}[data-key="1"][data-verdict="yes"]')
    assert who_said(bench, sample) == [("ann", "yes")]
    assert kept_here(page) == 0


def test_whose_work_from_before_it_is_asks_the_person(server, open_page):
    base, context = server
    page, bench = open_page(), context.open("talk")
    sample, label = bench.samples()[1].id, bench.labels()[0].id
    address = f"{base}/?project=talk&sample={sample}"
    sign_in(page, address, "ben")
    page.evaluate(
        """([sample, label]) => localStorage.setItem(
          `patchlane-outbox:talk:${Date.now().toString(36)}-000000-earlier-1`,
          JSON.stringify({kind: 'commit', op: 'earlier-1', rows: [{sample, label, verdict: 'yes'}],
            before: [[label, null]]}))""",
        [sample, label],
    )
    page.reload()
    asked = page.get_by_test_id("unsent")
    asked.get_by_role("button", name="Later").click()
    page.wait_for_selector('[data-testid="save-state"][data-state="waiting"]')
    assert who_said(bench, sample) == []
    sign_in(page, address, "ann")
    assert "Actions on talk that were never sent: 1" in asked.inner_text()
    asked.get_by_role("button", name="Send as ann").click()
    saved(page)
    assert who_said(bench, sample) == [("ann", "yes")]
    assert kept_here(page) == 0
    assert page.locator(f"{SAMPLE}[data-id='{sample}']").count() == 1
