"""Measure the Label page in Chromium: `python tests/browser/measure_label.py [--photos 60]`.

Prints, in milliseconds: a key until the next sample is painted, a pointer on a label until its heat
map is painted, opening another sample until its heat map is painted, and the server's CPU for the
requests behind them. "Painted" is the second animation frame after the change, so the floor is
about one frame of 16.7 ms. Everything runs on this machine, so its other load is in the figures;
CPU times are of the server process alone.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from fastapi import FastAPI
from fastapi.testclient import TestClient
from playwright.sync_api import Page

from backend import api
from tests.browser.label_projects import image_project
from tests.browser.serving import desk_page, served
from tests.browser.waits import LABEL_READY
from ui.app import build_app
from ui.context import Context
from ui.routes import items

PAINTED = """
const painted = () => new Promise(go => requestAnimationFrame(() => requestAnimationFrame(go)));
const until = async test => { while (!test()) await new Promise(go => requestAnimationFrame(go)); };
"""
NEXT = f"""async () => {{ {PAINTED}
  const sample = document.querySelector('[data-testid=sample]'), before = sample.dataset.id;
  const start = performance.now();
  const enter = {{ key: 'Enter', code: 'Enter', bubbles: true }};
  document.dispatchEvent(new KeyboardEvent('keydown', enter));
  await until(() => sample.dataset.id !== before);
  await painted();
  return performance.now() - start;
}}"""
MAP = f"""async k => {{ {PAINTED}
  const chip = document.querySelectorAll('[data-testid=chip]')[k];
  const map = document.querySelector('[data-testid=evidence]');
  const start = performance.now();
  chip.dispatchEvent(new PointerEvent('pointerover', {{ bubbles: true, pointerType: 'mouse' }}));
  await until(() => map.dataset.label === chip.dataset.label);
  await painted();
  return performance.now() - start;
}}"""
OPEN = f"""async id => {{ {PAINTED}
  const sample = document.querySelector('[data-testid=sample]');
  const map = document.querySelector('[data-testid=evidence]');
  const start = performance.now();
  window.dispatchEvent(new CustomEvent('pl:open', {{ detail: {{ sample: id }} }}));
  await until(() => sample.dataset.id === String(id));
  const chip = document.querySelector('[data-testid=chip]');
  chip.dispatchEvent(new PointerEvent('pointerover', {{ bubbles: true, pointerType: 'mouse' }}));
  await until(() => map.dataset.label === chip.dataset.label);
  await painted();
  return performance.now() - start;
}}"""


def main() -> None:
    """Make a project of photos, serve it, drive the page, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=60)
    parser.add_argument("--labels", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--server-only", action="store_true", help="CPU of the requests alone")
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="patchlane-measure-"))
    settings = replace(api.Settings.from_environ(), home=folder / "home")
    try:
        bench = image_project(
            settings, settings.data, folder, photos=asked.photos, labels=asked.labels
        )
        bench.close()
        print(f"load average before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        if not asked.server_only:
            in_browser(settings, asked.rounds, asked.photos)
        on_server(settings, asked.rounds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def in_browser(settings: api.Settings, rounds: int, photos: int) -> None:
    """Key to next painted, pointer to map painted, open to map painted."""
    app = build_app(settings, default_project="coco")
    with served(app) as base, desk_page() as page:
        start = time.perf_counter()
        page.goto(f"{base}/?project=coco")
        page.wait_for_selector(LABEL_READY, timeout=120_000)
        print(f"address to usable page: {time.perf_counter() - start:.1f} s")
        page.wait_for_timeout(3000)
        say("pointer on a label -> its map painted", [page.evaluate(MAP, k) for k in range(rounds)])
        opened = [page.evaluate(OPEN, k) for k in range(photos, photos - rounds // 2, -1)]
        say("open a sample not read ahead -> its map painted", opened)
        page.evaluate(
            "() => window.dispatchEvent(new CustomEvent('pl:open', {detail: {sample: 2}}))"
        )
        page.wait_for_timeout(2000)
        say("key -> next sample painted", [paced(page) for _ in range(rounds // 2)])


def paced(page: Page) -> float:
    """One Enter, after a moment in which a person would look."""
    page.wait_for_timeout(1000)
    return page.evaluate(NEXT)


def on_server(settings: api.Settings, rounds: int) -> None:
    """CPU of this process for each request, the backend's own work beside it."""
    context = Context(settings, "coco")
    # A served project learns on a thread of its own; that is not the request's time.
    path = context.open("coco").path
    context.close()
    context._open[path] = api.open_project("coco", settings=settings, learns=False)
    app = FastAPI()
    app.include_router(items.router(context))
    client = TestClient(app, base_url="http://127.0.0.1")
    bench = context.open("coco")
    ids = [sample.id for sample in bench.samples()]
    label = bench.labels()[0].id
    clocked(
        "item: all of a sample in one call", rounds, lambda k: get(client, f"item?sample={ids[k]}")
    )
    clocked(
        "  of that in the backend",
        rounds,
        lambda k: (bench.suggest([ids[k]]), bench.neighbours(ids[k], 8)),
    )
    clocked("evidence: one matrix", rounds, lambda k: get(client, f"evidence?sample={ids[k]}"))
    clocked("  of that in the backend", rounds, lambda k: bench.explain(ids[k]))
    size = len(get(client, f"evidence?sample={ids[0]}").content)
    print(f"  {size / 1000:.0f} kB for {len(bench.labels())} labels")
    clocked("commit: one verdict", rounds, lambda k: post(client, k, ids[k], label))
    clocked(
        "  of that in the backend",
        rounds,
        lambda k: bench.correct([{"sample": ids[k], "label": label, "verdict": "no"}]),
    )
    bare = FastAPI()
    bare.get("/pl/api/nothing")(nothing)
    idle = TestClient(bare, base_url="http://127.0.0.1")
    clocked("an empty request, for comparison", rounds, lambda _: idle.get("/pl/api/nothing"))
    context.close()


def nothing() -> dict[str, object]:
    """The least a route can do."""
    return {}


def get(client: TestClient, address: str) -> Any:
    """One answer of ours."""
    answer = client.get(f"/pl/api/{address}")
    answer.raise_for_status()
    return answer


def post(client: TestClient, k: int, sample: int, label: int) -> None:
    """One verdict."""
    rows = [{"sample": sample, "label": label, "verdict": "yes"}]
    body = {"op": f"measure-{k:04d}-{time.monotonic_ns()}", "rows": rows}
    client.post("/pl/api/commit", json=body).raise_for_status()


def clocked(what: str, rounds: int, work: Callable[[int], object]) -> None:
    """Print CPU milliseconds of this thread's process for `rounds` calls after one to warm up."""
    work(0)
    spent = []
    for k in range(1, rounds):
        start = time.process_time()
        work(k)
        spent.append(1000 * (time.process_time() - start))
    say(f"{what} (CPU)", spent)


def say(what: str, values: list[float]) -> None:
    """One line of figures."""
    ordered = sorted(values)
    high = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    print(f"{what:52} median {median(ordered):7.1f}  p95 {high:7.1f}  min {ordered[0]:7.1f} ms")


if __name__ == "__main__":
    main()
