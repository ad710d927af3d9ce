"""Is the evidence true? The Check button, and the list of where map and label disagree."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from shutil import copyfile
from typing import Any

import pytest

from backend import api
from tests.browser.serving import served
from tests.browser.waits import LABEL_READY
from ui.app import build_app

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

LEARN_READY = '[data-testid="page"][data-page="learn"][data-ready]'
SHOTS = Path("/tmp/patchlane-shots")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[api.Workbench]:
    """Two mosaics; in one the sunflower is marked where it is, in the other where it is not."""
    settings = api.Settings.from_environ()
    pack = settings.data / "mosaic_open"
    if not pack.is_dir():
        pytest.skip(f"no data packs in {settings.data}; set PATCHLANE_DATA")
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(3):
        copyfile(pack / "images" / f"train_000{number}.jpg", folder / f"{number}.jpg")
    home = tmp_path_factory.mktemp("home")
    bench = api.create_project(
        "tiles",
        labels=["sunflower", "<b>grapefruit</b>"],
        settings=replace(settings, home=home, threads=1),
    )
    bench.add(folder)
    elsewhere = {"box": [0.6, 0.6, 0.4, 0.4]}
    bench.correct(
        [{"sample": "0.jpg", "label": "sunflower", "verdict": "yes", "regions": [elsewhere]}]
    )
    yield bench
    bench.close()


@pytest.fixture(scope="module")
def server(bench: api.Workbench) -> Iterator[tuple[str, Any]]:
    """The address, and the project as the server has it: it folds verdicts in by itself."""
    home = bench.path.parent
    app = build_app(replace(api.Settings.from_environ(), home=home), default_project="tiles")
    with served(app) as base:
        yield base, app.state.context


def test_check_draws_both_curves_and_says_what_they_mean(
    server: tuple[str, Any], open_page: Callable[..., Any]
) -> None:
    base, context = server
    page = open_page(f"{base}/?sample=0.jpg&label=sunflower")
    page.wait_for_selector(LABEL_READY)
    context.open("tiles").refresh(0, timeout=120)
    page.click('[data-testid="tool-check"]')
    page.wait_for_selector('[data-testid="check"][data-ready]', timeout=600_000)
    expected = api.check(context.open("tiles"), "0.jpg", "sunflower")
    assert page.inner_text('[data-testid="check-verdict"]') == expected.verdict
    assert page.get_attribute('[data-testid="check"]', "data-holds") == str(expected.holds).lower()
    drawn = page.evaluate(
        "[...document.querySelectorAll('.pl-check-plot')].map(p => p.data.map(d => [...d.y]))"
    )
    for lines, curves in zip(drawn, (expected.deletion, expected.insertion), strict=True):
        for line, name in zip(lines, ("map", "random", "inverted"), strict=True):
            assert line == pytest.approx(curves[name].tolist(), abs=1e-3)
    shoot(page, "check")
    page.keyboard.press("Escape")
    page.wait_for_selector('[data-testid="check"]', state="detached")


def test_disagreements_are_listed_and_open_that_very_view(
    server: tuple[str, Any], open_page: Callable[..., Any]
) -> None:
    page = open_page(f"{server[0]}/learn#doubts")
    page.wait_for_selector(LEARN_READY)
    page.click('[data-testid="doubts-look"]')
    entry = page.wait_for_selector('[data-testid="doubt"][data-kind="outside"]')
    assert entry.get_attribute("data-sample") == "0.jpg"
    assert "outside the marked object" in entry.inner_text()
    painted = page.evaluate(
        "c => { const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        " return [c.width, c.height, new Set(d).size]; }",
        entry.query_selector("canvas"),
    )
    assert painted[:2] == [12, 12]
    assert painted[2] > 20, "a map has more than a few colours"
    shoot(page, "doubts")
    entry.click()
    page.wait_for_selector(LABEL_READY)
    page.wait_for_selector('[data-testid="evidence"][data-label="sunflower"]')
    shown = page.get_attribute('[data-testid="sample"]', "data-sample")
    assert (shown, page.get_attribute('[data-testid="evidence"]', "data-source")) == (
        "0.jpg",
        "transport",
    )


def shoot(page: Any, name: str) -> None:
    """Pictures to look at, where the folder for them is there."""
    if not SHOTS.is_dir():
        return
    for theme in ("light", "dark"):
        page.evaluate(f"document.body.classList.toggle('dark', {str(theme == 'dark').lower()})")
        for width, height in ((1440, 900), (390, 844)):
            page.set_viewport_size({"width": width, "height": height})
            page.wait_for_timeout(400)
            page.screenshot(path=SHOTS / f"{name}-{theme}-{width}.png")
    page.evaluate("document.body.classList.remove('dark')")
    page.set_viewport_size({"width": 1440, "height": 900})
