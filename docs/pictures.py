"""Take the README's pictures from the demo projects: `python docs/pictures.py`.

Makes the demo in a temporary home, serves it on this machine, drives Debian's Chromium through each
page and writes `docs/pictures/*.png`. Needs the test tools (`make install`) and Chromium.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import uvicorn
from PIL import Image
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))

from backend import api
from backend.demo import make_demo
from backend.settings import Settings
from ui.app import build_app

OUT = Path(__file__).parent / "pictures"
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync")
DESK = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
SAMPLE = "collage/2-018.jpg"
SHOTS = (
    ("label-light", f"/?project=demo-photos&sample={SAMPLE}", DESK, "light"),
    ("label-dark", f"/?project=demo-photos&sample={SAMPLE}", DESK, "dark"),
    ("label-phone", f"/?project=demo-photos&sample={SAMPLE}", PHONE, "light"),
    ("label-texts", "/?project=demo-texts", DESK, "light"),
    ("explore-light", "/explore?project=demo-photos", DESK, "light"),
    ("explore-dark", "/explore?project=demo-texts", DESK, "dark"),
    ("guide-light", "/guide?project=demo-photos&label=cat", DESK, "light"),
    ("learn-light", "/learn?project=demo-photos", DESK, "light"),
    ("data-light", "/data?project=demo-photos", DESK, "light"),
)
UNLICENSED = ("motorcycle", "moon", "lion", "cheetah", "eiffel")
"""Photographs that `assets/demo/LICENSES.md` knows no licence of: not in what is published."""
COLOURS = 128
"""Enough for a screenshot; a quarter of the bytes."""


def main() -> None:
    """Serve the demo, take every picture, stop."""
    OUT.mkdir(exist_ok=True)
    with TemporaryDirectory() as folder:
        settings = replace(Settings.from_environ(), home=Path(folder))
        make_demo(settings, leave_out=UNLICENSED)
        forget_unseen(settings)
        app = build_app(settings, default_project="demo-photos")
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            thread.join(0.05)
        port = server.servers[0].sockets[0].getsockname()[1]
        try:
            take(f"http://127.0.0.1:{port}")
        finally:
            server.should_exit = True
            thread.join(10)


def forget_unseen(settings: Settings) -> None:
    """Remove the labels of the photographs that were left out, for good."""
    project = api.open_project("demo-photos", settings=settings)
    verdicts = project.verdicts().values()
    seen = {label for said in verdicts for label, v in said.items() if v is api.Verdict.YES}
    for label in project.labels():
        if label.id not in seen:
            project.remove_label(label.id, who="demo")
    project.compact()
    project.learn()
    project.close()


def take(address: str) -> None:
    """All pictures of one server."""
    executable = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(FLAGS))
        for name, path, size, scheme in SHOTS:
            options: dict[str, Any] = {"viewport": size, "color_scheme": scheme}
            page = browser.new_page(**options)
            mark = "&" if "?" in path else "?"
            page.goto(f"{address}{path}{mark}__theme={scheme}")
            page.wait_for_selector("[data-testid=page][data-ready]", timeout=60_000)
            settle(page)
            shrink(page.screenshot(), OUT / f"{name}.png")
            page.close()
            sys.stdout.write(f"{name}\n")
        browser.close()


def shrink(shot: bytes, path: Path) -> None:
    """Keep a screenshot with few colours."""
    picture = Image.open(BytesIO(shot)).convert("RGB")
    picture.quantize(COLOURS, Image.Quantize.MEDIANCUT).save(path, optimize=True)


def settle(page: Any) -> None:
    """Point at something, so that the picture shows what a person sees while working."""
    chip = page.locator("[data-testid=chip]").first
    if chip.count():
        chip.hover()
    if page.locator("[data-testid=map]").count():
        page.wait_for_selector("[data-testid=map][data-method=umap]", timeout=120_000)
    page.wait_for_timeout(1500)  # thumbnails and the last paint


if __name__ == "__main__":
    main()
