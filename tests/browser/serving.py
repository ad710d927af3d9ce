"""The app on a port of this machine, and Chromium to look at it; for tests and for measurements."""

from __future__ import annotations

import os
import random
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Page, sync_playwright

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
START_SECONDS = 60
PORTS = range(20_000, 30_000)
"""Below those that a system gives to connections, so that the one chosen stays free."""

_running: list[int] = []
_home: list[int] = []


def chromium_path() -> str:
    """Where Chromium is, or would be."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"


def is_home(url: str | None) -> bool:
    """Whether an address is of the site that one server after the other has in this process.

    Without an address, whether one that is served now or next is.
    """
    if url is None:
        return not _home or set(_running) <= set(_home)
    return bool(_home) and urlsplit(url).netloc == f"127.0.0.1:{_home[0]}"


def _bound() -> socket.socket:
    """The home port if no server has it, else any."""
    wanted = [*_home] if _home else random.sample(PORTS, 50)
    for port in [*([] if set(_running) & set(_home) else wanted), 0]:
        made = socket.socket()
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            made.bind(("127.0.0.1", port))
        except OSError:
            made.close()
            continue
        if port and not _home:
            _home.append(port)
        return made
    raise RuntimeError("no port is free")


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """Run the app on a thread; gives its address, the same one for one server after the other."""
    # A closing tab may leave a stream open; do not wait for it.
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1)
    server, at = uvicorn.Server(config), _bound()
    port = at.getsockname()[1]
    thread = threading.Thread(target=server.run, kwargs={"sockets": [at]}, daemon=True)
    thread.start()
    _running.append(port)
    until = time.monotonic() + START_SECONDS
    try:
        while not server.started:
            if not thread.is_alive() or time.monotonic() > until:
                raise RuntimeError("the server did not start")
            time.sleep(0.02)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(20)
        at.close()
        _running.remove(port)


@contextmanager
def desk_page() -> Iterator[Page]:
    """A page of 1440 x 900 in a Chromium of its own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=FLAGS)
        yield browser.new_page(viewport={"width": 1440, "height": 900})
        browser.close()
