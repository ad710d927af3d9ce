"""Measure hovering in Chromium: `python tests/browser/measure_evidence.py [--rows 32 --labels 80]`.

Prints, in milliseconds, for a pointer that moves from part to part and from label to label: the
script time (handlers and frame callbacks of the move) and the time until it is painted (a message
posted in the next frame's callback, so the floor is what is left of one frame of 16.7 ms), and how
many requests the moves made. The page and the packing are the real ones; the matrix is drawn by
chance, since no embedded encoder makes a grid of 32 x 32. `measure()` gives the same figures to
callers. Everything runs on this machine, so its other load is in the figures.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
from PIL import Image
from playwright.sync_api import Page, Route

from backend import api
from backend.numerics import transport
from backend.types import Explanation, Layout
from tests.browser.serving import desk_page, served
from tests.browser.waits import LABEL_READY
from ui import present
from ui.app import build_app

# The bar and the watch for a newer version ask by themselves, whatever the pointer does.
BY_ITSELF = ("/pl/api/jobs", "/pl/api/shell", "/pl/api/refresh")
# Frame callbacks are timed where they are asked for; a message arrives after the frame is painted.
TIMED = """
const rounds = [];
const frame = window.requestAnimationFrame.bind(window);
let script = 0;
const timed = work => {
  const from = performance.now();
  work();
  script += performance.now() - from;
};
window.requestAnimationFrame = work => frame(at => timed(() => work(at)));
const after = () => new Promise(go => {
  const channel = new MessageChannel();
  channel.port1.onmessage = () => go(performance.now());
  frame(() => channel.port2.postMessage(0));
});
const once = async (node, name, options) => {
  await after();
  await new Promise(go => setTimeout(go, 20 + 15 * Math.random()));
  script = 0;
  const from = performance.now();
  const event = new PointerEvent(name, { bubbles: true, pointerType: 'mouse', ...options });
  timed(() => node.dispatchEvent(event));
  const painted = await after();
  rounds.push([script, painted - from]);
};
"""
PARTS = f"""async ({{ rows, rounds: wanted }}) => {{ {TIMED}
  const world = document.querySelector('.world').getBoundingClientRect();
  const stage = document.querySelector('[data-testid=sample]');
  const card = document.querySelector('[data-testid=part-card]');
  const seen = new Set();
  for (let k = 0; k < wanted; k++) {{
    const across = (11 * k % rows + 0.5) / rows, down = (7 * k % rows + 0.5) / rows;
    const clientX = world.x + world.width * across, clientY = world.y + world.height * down;
    await once(stage, 'pointermove', {{ clientX, clientY }});
    seen.add(card.dataset.part);
  }}
  window.requestAnimationFrame = frame;
  return {{ rounds, changes: seen.size }};
}}"""
LABELS = f"""async ({{ rounds: wanted }}) => {{ {TIMED}
  const chips = document.querySelectorAll('[data-testid=chip]');
  const map = document.querySelector('[data-testid=evidence]');
  const seen = new Set();
  for (let k = 0; k < wanted; k++) {{
    await once(chips[k % chips.length], 'pointerover', {{}});
    seen.add(map.dataset.label);
  }}
  window.requestAnimationFrame = frame;
  return {{ rounds, changes: seen.size }};
}}"""


@dataclass(frozen=True)
class Hovering:
    """Milliseconds of each move, and the requests that all moves made."""

    what: str
    script: tuple[float, ...]
    painted: tuple[float, ...]
    num_requests: int

    def __str__(self) -> str:
        worst = max(self.script)
        return (
            f"{self.what:28} script median {median(self.script):5.1f} p95 {p95(self.script):5.1f} "
            f"most {worst:5.1f} ms   painted median {median(self.painted):5.1f} "
            f"p95 {p95(self.painted):5.1f} ms   {self.num_requests} requests"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=32, help="rows and columns of the grid")
    parser.add_argument("--labels", type=int, default=80)
    parser.add_argument("--rounds", type=int, default=120)
    asked = parser.parse_args()
    print(f"load average before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for line in measure(rows=asked.rows, labels=asked.labels, rounds=asked.rounds):
        print(line)


def measure(*, rows: int = 32, labels: int = 80, rounds: int = 120) -> list[Hovering]:
    """Hover parts and labels of one picture, at the scores' temperature and at another one."""
    folder = Path(tempfile.mkdtemp(prefix="patchlane-hover-"))
    settings = replace(api.Settings.from_environ(), home=folder / "home")
    try:
        make_project(settings, folder, labels)
        return in_browser(settings, rows, rounds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def make_project(settings: api.Settings, folder: Path, labels: int) -> None:
    """One picture and as many labels as asked for."""
    source = folder / "pictures"
    source.mkdir(parents=True)
    noise = np.random.default_rng(1).integers(0, 255, (48, 64, 3), np.uint8)
    Image.fromarray(noise).resize((1280, 960)).save(source / "one.jpg")
    names = [f"label {k}" for k in range(labels)]
    bench = api.create_project("hover", labels=names, settings=settings)
    bench.add(source)
    bench.close()


def drawn(settings: api.Settings, rows: int) -> bytes:
    """The answer of the evidence route with a grid of `rows` x `rows`."""
    bench = api.open_project("hover", settings=settings)
    ids = {label.name: label.id for label in bench.labels()}
    real = bench.explain(1)
    bench.close()
    num_parts = rows * rows
    draw = np.random.default_rng(2)
    cosine = draw.normal(0.1, 0.1, (1, num_parts, len(ids))).astype(np.float32)
    theta = np.full((1, num_parts), 1 / num_parts, np.float32)
    backward = transport.backward_navigator(cosine, theta, 0.05)
    beta = transport.label_weights(1, len(ids))
    forward = transport.forward_navigator(cosine, beta, 0.05)[0]
    explanation = Explanation(
        sample=1,
        name=real.name,
        labels=tuple(ids),
        forward=forward,
        backward=backward[0],
        plan=forward,
        similarity=cosine[0],
        scores=np.zeros(len(ids), np.float32),
        spread=transport.spread(backward)[0],
        layout=Layout(grid=(rows, rows)),
        version=real.version,
        temperature=0.05,
        unclaimed=draw.random(num_parts, dtype=np.float32),
        claimers=tuple(ids)[:1],
    )
    return present.evidence_bytes(explanation, ids)


def in_browser(settings: api.Settings, rows: int, rounds: int) -> list[Hovering]:
    """Serve the project, put the drawn matrix in the answer's place, and move the pointer."""
    body = drawn(settings, rows)

    def answer(route: Route) -> None:
        route.fulfill(body=body, content_type="application/octet-stream")

    app = build_app(settings, default_project="hover")
    with served(app) as base, desk_page() as page:
        page.route("**/pl/api/evidence*", answer)
        page.goto(f"{base}/?project=hover&sample=1")
        page.wait_for_selector(LABEL_READY, timeout=120_000)
        page.wait_for_selector("[data-testid=chip][data-spread]")
        page.wait_for_timeout(1500)
        return hovered(page, rows, rounds)


def hovered(page: Page, rows: int, rounds: int) -> list[Hovering]:
    """Parts and labels, first at the temperature of the scores, then at another with arcs."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    options = {"rows": rows, "rounds": rounds}
    size = f"{rows} x {rows} parts"
    found = []
    for suffix in ("", ", soft, arcs"):
        for what, script in ((size, PARTS), ("labels", LABELS)):
            asked.clear()
            told = page.evaluate(script, options)
            if told["changes"] < min(20, rounds // 2):
                raise RuntimeError(
                    f"the pointer moved, but the page showed {told['changes']} states"
                )
            found.append(result(f"{what}{suffix}", told["rounds"], asked))
        page.locator("[data-testid=look-open]").click()
        page.locator("[data-testid=look-arcs]").check()
        page.locator("[data-testid=look-temperature]").evaluate(
            "e => { e.value = 1; e.dispatchEvent(new Event('input', {bubbles: true})); }"
        )
        page.locator("[data-testid=look-open]").click()
        page.wait_for_timeout(500)
    return found


def result(what: str, rounds: list[list[float]], asked: list[str]) -> Hovering:
    """The figures of one kind of move; its first two warm the page up."""
    kept: Any = rounds[2:]
    ours = [url for url in asked if not url.split("?")[0].endswith(BY_ITSELF)]
    return Hovering(what, tuple(s for s, _ in kept), tuple(p for _, p in kept), len(ours))


def p95(values: tuple[float, ...]) -> float:
    """The value that 95 % stay below."""
    return sorted(values)[min(len(values) - 1, int(0.95 * len(values)))]


if __name__ == "__main__":
    main()
