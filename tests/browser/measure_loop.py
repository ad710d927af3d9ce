"""Measure the loop in Chromium: `python tests/browser/measure_loop.py [--samples 10000]`.

Prints, in milliseconds, from a press on a chip to the suggestions in view being those of the next
version, painted. A project of 20 labels in four packs, all with lanes that were taught; its samples
stand for the photographs of `coco_mini` in turns. "Painted" is the second animation frame after the
change, so the floor is about one frame of 16.7 ms. Browser and server share this machine.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from playwright.sync_api import Page

from backend import api
from backend.bench._lane_data import coco, read_set
from backend.bench._lane_projects import make_repeated, opened
from backend.bench.lanes import DECIDED, LABELS, PACKS, commonest
from backend.bench.multi_lane import NAME
from backend.pipeline import Pipeline, load_encoder
from backend.recipes import load_recipe
from tests.browser.measure_label import PAINTED, say
from tests.browser.serving import desk_page, served
from tests.browser.waits import LABEL_READY
from ui.app import build_app

ANSWER = f"""async k => {{ {PAINTED}
  const version = document.querySelector('[data-testid=version]'), before = version.dataset.version;
  const chip = document.querySelectorAll('[data-testid=chip]')[k];
  const start = performance.now();
  chip.click();
  await until(() => version.dataset.version !== before || performance.now() - start > 20000);
  await painted();
  return performance.now() - start;
}}"""


def main() -> None:
    """Make the project, serve it, answer in the page, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=60)
    asked = parser.parse_args()
    given = api.Settings.from_environ()
    with tempfile.TemporaryDirectory(prefix="patchlane-measure-") as folder:
        settings = replace(given, home=Path(folder))
        recipe = load_recipe("default")
        encoder = load_encoder(recipe.default_encoder(api.Kind.IMAGE), given)
        kept = given.home / "training" / NAME
        known = read_set(coco(given.data), Pipeline(recipe, encoder), kept, print)
        path = settings.home / "many"
        make_repeated(
            path,
            settings,
            commonest(known, LABELS),
            samples=asked.samples,
            packs=PACKS,
            verdicts=min(DECIDED, asked.samples),
        )
        with opened(path, settings) as bench:
            bench.learn()
            for pack in bench.packs.list():
                bench.packs.teach(pack.name)
            bench.packs.pause(True)
        print(f"load average before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        answer_all(settings, asked.rounds, f"{asked.samples:,} x {LABELS}")


def answer_all(settings: api.Settings, rounds: int, shape: str) -> None:
    """Answer on the Label page of a running server."""
    app = build_app(settings, default_project="many")
    with served(app) as base, desk_page() as page:
        page.goto(f"{base}/?project=many")
        page.wait_for_selector(LABEL_READY, timeout=180_000)
        page.wait_for_timeout(5000)
        figures = [answered(page, number) for number in range(rounds)]
    say(f"answer -> suggestions of the next version painted, {shape}", figures[1:])


def answered(page: Page, number: int) -> float:
    """One press on another chip each time, after a moment in which a person would look."""
    page.wait_for_timeout(600)
    if number % 8 == 7:
        page.keyboard.press("Enter")
        page.wait_for_timeout(1500)
    return page.evaluate(ANSWER, 3 * number % LABELS)


if __name__ == "__main__":
    main()
