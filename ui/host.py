"""The host around Gradio: host names, origins, headers, static files under a content hash.

Pure ASGI, because `BaseHTTPMiddleware` buffers the event streams that Gradio answers with.
"""

from __future__ import annotations

import gzip
import json
import logging
import mimetypes
import re
import socket
from collections.abc import Iterable
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import unquote, urlsplit

import plotly
from fastapi import APIRouter, HTTPException, Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend import api
from ui.components.esm import ASSET_VERSION, STATIC, STATIC_URL, TEXTS

log = logging.getLogger("patchlane.web")

LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "[::1]")
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
FOREVER = "public, max-age=31536000, immutable"
# gr.HTML builds its templates with `new Function` and Gradio's page has inline scripts and styles;
# everything else stays on this origin, so a page can neither load from nor leak to another host.
CSP = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "media-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self' data: blob:",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'self'",
    )
)
# Posts that only ask (a picture to search by, a lasso's outline): allowed where nothing is written.
ASKING_POSTS = ("/pl/api/search", "/pl/api/inside", "/pl/api/selection", "/pl/api/mask")
# Gradio writes what is uploaded here to disk; Patchlane's own pages never use it.
GRADIO_UPLOAD = "/gradio_api/upload"
PROJECT_HEADER = "X-Pl-Project"
PLOTLY_FILE = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
PLOTLY_URL = f"/pl/vendor/plotly-{plotly.__version__}.min.js"


def is_loopback(host: str) -> bool:
    """True if only this machine can reach a server bound to `host`."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def names_of(host: str) -> tuple[str, ...]:
    """The host names that a server bound to `host` answers to.

    Bound to all addresses it cannot know its names, so it takes this machine's own.
    """
    if host in ("0.0.0.0", "::"):  # noqa: S104
        name = socket.gethostname()
        found = {name, socket.getfqdn(), *_addresses(name)}
        return (*LOOPBACK_HOSTS, *sorted(found))
    return (*LOOPBACK_HOSTS, f"[{host}]" if ":" in host else host)


def further_names(names: Iterable[str]) -> tuple[str, ...]:
    """The names given with `--allow-host`.

    Raises:
        BadInputError: one is no plain host name.
    """
    found = tuple(names)
    for name in found:
        if not re.fullmatch(r"[\w-]+(\.[\w-]+)*|\[[0-9a-fA-F:.]+\]", name):
            raise api.BadInputError(
                f"--allow-host {name!r} is no host name; give it without http://, port and path, "
                "such as labels.example.org"
            )
    return found


def _addresses(name: str) -> set[str]:
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(name, None)}
    except OSError:
        return set()
    return {f"[{address}]" if ":" in address else address for address in found}


def bound_socket(host: str, port: int) -> socket.socket:
    """A listening socket, so that a taken port is said before anything heavy is loaded.

    Raises:
        BadInputError: the port is taken, or the host is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host.strip("[]"), port))
    except (OSError, OverflowError) as error:
        made.close()
        raise api.BadInputError(
            f"cannot serve on {host}:{port}: {error}; choose another --port, 0 for any free one"
        ) from error
    return made


class Guard:
    """Refuses foreign host names and origins, and writes where the server is read-only.

    Answers say in `PROJECT_HEADER` of which project they are (its uid), so that a page can say it
    of what is done on it later: another project may have the name by then.
    """

    def __init__(
        self, app: ASGIApp, *, hosts: Iterable[str] = LOOPBACK_HOSTS, is_read_only: bool = False
    ) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)
        self._is_read_only = is_read_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or hand on one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            # Neither we nor Gradio speak WebSocket; an origin check there would be one more door.
            await send({"type": "websocket.close", "code": 1008})
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                _add_headers(headers)
                if uid := scope.get("patchlane_project"):
                    headers[PROJECT_HEADER] = uid
            await send(message)

        refusal = self._refusal(scope)
        if refusal is not None:
            status, sentence = refusal
            log.warning("refused %s %s: %s", scope["method"], scope["path"], sentence)
            answer = JSONResponse({"detail": sentence}, status)
            await answer(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "").lower()
        path = unquote(scope["path"])
        # A name we do not serve means DNS rebinding: a page that points its own name at us.
        if re.sub(r":\d+$", "", host) not in self._hosts:
            return 421, "this server does not answer to that host name; see --allow-host"
        # Gradio would fetch any public URL named here on the caller's behalf.
        if re.match(r"/gradio_api/(file[=/]\s*https?:|proxy=)", path, re.IGNORECASE):
            return 403, "this server fetches nothing from other hosts"
        if scope["method"] in SAFE_METHODS:
            return None
        origin = headers.get("origin")
        is_foreign = origin is not None and urlsplit(origin).netloc.lower() != host
        if is_foreign or headers.get("sec-fetch-site") in ("cross-site", "same-site"):
            return 403, "a page of another origin may not do this"
        if path == GRADIO_UPLOAD:
            return 403, "bring files in on the Data page"
        is_ours = path.startswith("/pl/") and path not in ASKING_POSTS
        if self._is_read_only and is_ours:
            return 403, "this server is read-only; nothing can be changed here"
        return None


def _add_headers(headers: MutableHeaders) -> None:
    headers.setdefault("Content-Security-Policy", CSP)
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Referrer-Policy"] = "same-origin"
    headers["Cross-Origin-Opener-Policy"] = "same-origin"
    headers["Cross-Origin-Resource-Policy"] = "same-origin"
    # Gradio reflects any Origin when the host is not localhost.
    for name in ("access-control-allow-origin", "access-control-allow-credentials"):
        if name in headers:
            del headers[name]


@cache
def _asset(name: str) -> tuple[bytes, bytes, str] | None:
    """One static file, plain and gzipped, and its type; None if there is none of that name."""
    if name == "texts.js":
        words = {file.stem: json.loads(file.read_text("utf-8")) for file in TEXTS.glob("*.json")}
        body = f"export const texts = {json.dumps(words, ensure_ascii=False)};\n".encode()
    else:
        path = STATIC / name
        if path.parent != STATIC or not path.is_file():
            return None
        body = path.read_bytes()
    kind = {".js": "text/javascript", ".css": "text/css"}.get(Path(name).suffix)
    kind = kind or mimetypes.guess_type(name)[0] or "application/octet-stream"
    return body, gzip.compress(body, 6, mtime=0), kind


@cache
def _plotly() -> tuple[bytes, bytes]:
    body = PLOTLY_FILE.read_bytes()
    return body, gzip.compress(body, 6, mtime=0)


def _packed(request: Request, body: bytes, small: bytes, kind: str) -> Response:
    headers = {"Cache-Control": FOREVER, "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(small, media_type=kind, headers={**headers, "Content-Encoding": "gzip"})
    return Response(body, media_type=kind, headers=headers)


def router() -> APIRouter:
    """Static files and plotly.js; the address holds the content's hash or version."""
    routes = APIRouter()

    @routes.get(STATIC_URL + "/{version}/{name}")
    def static_file(version: str, name: str, request: Request) -> Response:
        found = _asset(name)
        if found is None or version != ASSET_VERSION:
            raise HTTPException(404, "no such file in this version; reload the page")
        return _packed(request, *found)

    @routes.get(PLOTLY_URL)
    def plotly_file(request: Request) -> Response:
        return _packed(request, *_plotly(), "text/javascript")

    return routes


def head() -> str:
    """Constant tags for every page: where plotly.js is, and the styles (base.css first)."""
    styles = sorted(STATIC.glob("*.css"), key=lambda file: (file.name != "base.css", file.name))
    links = "".join(
        f'<link rel="stylesheet" href="{STATIC_URL}/{ASSET_VERSION}/{file.name}">'
        for file in styles
    )
    viewport = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    return f'{viewport}<meta name="pl-plotly" content="{PLOTLY_URL}">{links}'
