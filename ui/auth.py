"""One gate in front of everything: pages, routes, files, Gradio's own API, MCP.

Gradio's own `auth=` leaves MCP tools, heartbeats and cancelling open, so it is not used; Gradio
is told who asks through `auth_dependency`.

The file of `--auth-file` holds one account a line, `#` starts a comment:

    ann:scrypt$16384$8$1$SALT$HASH     signs in with a password
    robot:token$SHA256                 a program with `Authorization: Bearer TOKEN`
    bob:secret words                   a password as it is; said in the log, better hashed

`python -m ui.auth password ann` and `python -m ui.auth token robot` print such lines.
"""

from __future__ import annotations

import argparse
import getpass
import hashlib
import hmac
import logging
import secrets
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from backend import api

log = logging.getLogger("patchlane.web")

COOKIE = "patchlane_session"
LIFETIME = 14 * 24 * 3600
TRIES = 5
LOCKED_SECONDS = 300
MAX_LOGIN_BYTES = 10_000
OPEN_PATHS = ("/healthz",)
COST = (2**14, 8, 1)

LOGIN_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sign in - Patchlane</title>
<style>
:root{color-scheme:light dark}
body{font:16px/24px system-ui,sans-serif;max-width:20rem;margin:15vh auto;padding:0 16px}
h1{font-size:20px}label{display:block;margin:12px 0}
input,button{font:inherit;width:100%;padding:8px;box-sizing:border-box}
[role=alert]{border-left:4px solid #b3371d;padding-left:12px}
</style><h1>Sign in to Patchlane</h1><!--said--><form method="post" action="/login">
<input type="hidden" name="next" value="/">
<label>Name<input name="name" autocomplete="username" required autofocus></label>
<label>Password<input name="password" type="password" autocomplete="current-password" required>
</label><button>Sign in</button></form></html>"""


def hash_password(password: str, salt: bytes | None = None) -> str:
    """A line's right side: scrypt with its cost and salt beside it."""
    salt = secrets.token_bytes(16) if salt is None else salt
    n, r, p = COST
    digest = hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p)
    return f"scrypt${n}${r}${p}${salt.hex()}${digest.hex()}"


def hash_token(token: str) -> str:
    """A line's right side for a program; tokens are long and random, so one hash is enough."""
    return f"token${hashlib.sha256(token.encode()).hexdigest()}"


def _is_password(password: str, stored: str) -> bool:
    _, n, r, p, salt, digest = stored.split("$")
    got = hashlib.scrypt(password.encode(), salt=bytes.fromhex(salt), n=int(n), r=int(r), p=int(p))
    return hmac.compare_digest(got.hex(), digest)


class Accounts:
    """Who may sign in, who is signed in, and who tried too often.

    Sessions live in memory: after a restart people sign in again.
    """

    def __init__(
        self, passwords: Mapping[str, str] | None = None, tokens: Mapping[str, str] | None = None
    ) -> None:
        """Take hashed passwords by name, and names by hashed token."""
        self._passwords = dict(passwords or {})
        self._tokens = dict(tokens or {})
        self._sessions: dict[str, tuple[str, float]] = {}
        self._failures: dict[str, list[float]] = {}
        self._lock = threading.Lock()
        self._nobody = hash_password(secrets.token_hex(8))

    @classmethod
    def from_file(cls, path: Path) -> Accounts:
        """Read an auth file.

        Raises:
            BadInputError: it cannot be read, holds no account, or a line is not understood.
        """
        try:
            lines = path.read_text("utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise api.BadInputError(f"{path} cannot be read as an auth file: {error}") from error
        passwords: dict[str, str] = {}
        tokens: dict[str, str] = {}
        for number, line in enumerate(lines, 1):
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            name, colon, secret = (part.strip() for part in line.partition(":"))
            if not colon or not name or not secret:
                raise api.BadInputError(
                    f"{path} line {number} is not NAME:SECRET; "
                    "`python -m ui.auth password NAME` prints such a line"
                )
            if secret.startswith("token$"):
                tokens[secret] = name
            elif secret.startswith("scrypt$"):
                _check_hash(path, number, secret)
                passwords[name] = secret
            else:
                log.warning(
                    "%s line %d holds a password as it is; `python -m ui.auth password %s` "
                    "prints a line that hides it",
                    path.name,
                    number,
                    name,
                )
                passwords[name] = hash_password(secret)
        if not passwords and not tokens:
            raise api.BadInputError(f"{path} holds no account; give lines NAME:SECRET")
        return cls(passwords, tokens)

    def sign_in(self, name: str, password: str, peer: str) -> str | None:
        """A new session's token; None if the name or password is wrong.

        Raises:
            RefusedError: too many wrong passwords for this name or from this address.
        """
        now = time.monotonic()
        # Both keys: guessing one name from many addresses, and many names from one.
        doors = (f"name {name[:100]}", f"address {peer}")
        with self._lock:
            for door in doors:
                recent = [t for t in self._failures.get(door, []) if t > now - LOCKED_SECONDS]
                self._failures[door] = recent
                if len(recent) >= TRIES:
                    log.warning("sign-in refused for %r from %s: too many tries", name, peer)
                    raise api.RefusedError(
                        f"too many wrong passwords; try again in {LOCKED_SECONDS // 60} minutes"
                    )
        is_right = _is_password(password, self._passwords.get(name, self._nobody))
        with self._lock:
            if not is_right or name not in self._passwords:
                for door in doors:
                    self._failures.setdefault(door, []).append(now)
                log.warning("wrong password for %r from %s", name, peer)
                return None
            for door in doors:
                self._failures.pop(door, None)
            token = secrets.token_urlsafe(32)
            self._sessions[hash_token(token)] = (name, now + LIFETIME)
        log.info("%r signed in from %s", name, peer)
        return token

    def sign_out(self, token: str) -> None:
        """End a session."""
        with self._lock:
            self._sessions.pop(hash_token(token), None)

    def who(self, request: Request) -> str | None:
        """The name behind a request's cookie or bearer token."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self._tokens.get(hash_token(token.strip()))
        with self._lock:
            found = self._sessions.get(hash_token(request.cookies.get(COOKIE, "")))
        return found[0] if found and found[1] > time.monotonic() else None


def _check_hash(path: Path, number: int, secret: str) -> None:
    try:
        _is_password("", secret)
    except ValueError as error:
        raise api.BadInputError(
            f"{path} line {number} holds a hash that is not complete; make the line again"
        ) from error


class Gate:
    """Lets nobody past without a session or a token, except to sign in."""

    def __init__(self, app: ASGIApp, *, accounts: Accounts) -> None:
        self._app = app
        self._accounts = accounts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or hand on one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        path = request.url.path
        if path == "/login":
            await (await self._login(request))(scope, receive, send)
            return
        if path == "/logout" and request.method == "POST":
            self._accounts.sign_out(request.cookies.get(COOKIE, ""))
            answer: Response = RedirectResponse("/login", 303)
            answer.delete_cookie(COOKIE)
            await answer(scope, receive, send)
            return
        name = self._accounts.who(request)
        if name is None and path not in OPEN_PATHS:
            await _ask_to_sign_in(request)(scope, receive, send)
            return
        scope["patchlane_user"] = name
        await self._app(scope, receive, send)

    async def _login(self, request: Request) -> Response:
        if request.method != "POST":
            return _login_page(request.query_params.get("next", "/"))
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_LOGIN_BYTES:
                return _login_page("/", "That is too long.", 413)
        form = parse_qs(body.decode("utf-8", "replace"))
        after = _own_address(form.get("next", ["/"])[0])
        name, password = (form.get(key, [""])[0] for key in ("name", "password"))
        peer = request.client.host if request.client else ""
        try:
            # scrypt is slow on purpose; the event loop must not wait for it.
            token = await run_in_threadpool(self._accounts.sign_in, name, password, peer)
        except api.RefusedError as error:
            page = _login_page(after, f"{str(error)[:1].upper()}{str(error)[1:]}.", 429)
            page.headers["Retry-After"] = str(LOCKED_SECONDS)
            return page
        if token is None:
            return _login_page(after, "Wrong name or password.", 403)
        answer = RedirectResponse(after, 303)
        answer.set_cookie(
            COOKIE,
            token,
            max_age=LIFETIME,
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )
        return answer


def _own_address(asked: str) -> str:
    """A path of this server, whatever was asked for: no redirect leaves it."""
    parts = urlsplit(asked)
    is_ours = not parts.scheme and not parts.netloc and asked.startswith("/")
    if not is_ours or asked.startswith("//") or "\\" in asked or not asked.isprintable():
        return "/"
    return asked


def _login_page(after: str, said: str = "", status: int = 200) -> HTMLResponse:
    page = LOGIN_PAGE.replace('value="/"', f'value="{_escaped(_own_address(after))}"')
    if said:
        page = page.replace("<!--said-->", f'<p role="alert">{said}</p>')
    return HTMLResponse(page, status, headers={"Cache-Control": "no-store"})


def _escaped(text: str) -> str:
    return (
        text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    )


def _ask_to_sign_in(request: Request) -> Response:
    if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
        query = f"?{request.url.query}" if request.url.query else ""
        wanted = f"{request.url.path}{query}"
        after = "" if wanted == "/" else f"?{urlencode({'next': wanted})}"
        return RedirectResponse(f"/login{after}", 303)
    return JSONResponse({"detail": "sign in first"}, 401, headers={"WWW-Authenticate": "Bearer"})


def signed_in(request: Any) -> str | None:
    """The signed-in name, from any request object that Gradio or Starlette hands out."""
    return getattr(request, "request", request).scope.get("patchlane_user")


def main(arguments: list[str] | None = None) -> int:
    """Print a line for an auth file."""
    parser = argparse.ArgumentParser(prog="python -m ui.auth", description=main.__doc__)
    parser.add_argument("kind", choices=("password", "token"))
    parser.add_argument("name")
    given = parser.parse_args(arguments)
    if ":" in given.name or not given.name.strip():
        sys.stderr.write("a name is not empty and holds no colon\n")
        return 2
    if given.kind == "token":
        token = secrets.token_urlsafe(32)
        sys.stderr.write(f"The token, shown only now: {token}\n")
        sys.stdout.write(f"{given.name}:{hash_token(token)}\n")
        return 0
    typed = getpass.getpass("Password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip()
    if not typed:
        sys.stderr.write("an empty password opens the door to everybody; give one\n")
        return 1
    sys.stdout.write(f"{given.name}:{hash_password(typed)}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
