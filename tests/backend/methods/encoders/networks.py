"""A machine without a network, and a hub that has nothing: what the libraries say is their own."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from huggingface_hub import constants
from huggingface_hub.utils import _http

NO_NAME = "[Errno -3] Temporary failure in name resolution"


class Impatient:
    """The module `time` without waiting: the hub's library tries again for a minute."""

    def __getattr__(self, name: str) -> object:
        return getattr(time, name)

    def sleep(self, seconds: float) -> None:
        pass


def empty_caches(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Downloads are allowed, and none was made before."""
    monkeypatch.setattr(_http, "time", Impatient())
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder / "hub"))
    for name in ("HOME", "TORCH_HOME"):
        monkeypatch.setenv(name, str(folder))
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def unplug(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """No name of a host can be looked up: nothing leaves this machine."""
    empty_caches(monkeypatch, folder)

    def unknown(*_: object, **__: object) -> list:
        raise socket.gaierror(socket.EAI_AGAIN, NO_NAME.partition("] ")[2])

    monkeypatch.setattr(socket, "getaddrinfo", unknown)


@contextmanager
def hub_without_models(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[None]:
    """The hub is a server on this machine that knows no model."""

    class Nothing(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_HEAD

        def log_message(self, *_: object) -> None:
            """Not on the screen."""

    empty_caches(monkeypatch, folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Nothing)
    Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
