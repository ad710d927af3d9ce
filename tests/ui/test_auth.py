"""Sign-in: passwords, sessions, tokens, throttling, and that nothing at all is open without."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from backend import api
from tests.ui.conftest import ORIGIN, TOKEN, accounts
from ui import auth
from ui.app import build_app
from ui.auth import Accounts

RIGHT = {"name": "ann", "password": "right horse"}


@pytest.fixture(scope="module")
def gated(home: api.Settings) -> Iterator[TestClient]:
    app = build_app(home, default_project="notes", users=accounts())
    with TestClient(app, base_url=ORIGIN, follow_redirects=False) as client:
        yield client


@pytest.fixture(autouse=True)
def _signed_out(gated: TestClient) -> Iterator[None]:
    yield
    gated.cookies.clear()


# Gradio's own sign-in leaves most of these open (measured: design notes, safety).
CLOSED = [
    ("GET", "/"),
    ("GET", "/data"),
    ("GET", "/config"),
    ("GET", "/theme.css"),
    ("GET", "/manifest.json"),
    ("GET", "/gradio_api/info"),
    ("GET", "/gradio_api/openapi.json"),
    ("GET", "/gradio_api/app_id"),
    ("GET", "/gradio_api/startup-events"),
    ("GET", "/gradio_api/heartbeat/abc"),
    ("GET", "/gradio_api/queue/status"),
    ("GET", "/gradio_api/queue/data"),
    ("GET", "/gradio_api/file=/etc/passwd"),
    ("GET", "/gradio_api/stream/a/b/c/playlist.m3u8"),
    ("GET", "/gradio_api/mcp/"),
    ("GET", "/gradio_api/mcp/schema"),
    ("POST", "/gradio_api/mcp/"),
    ("POST", "/gradio_api/call/suggest"),
    ("POST", "/gradio_api/run/suggest"),
    ("POST", "/gradio_api/queue/join"),
    ("POST", "/gradio_api/cancel"),
    ("POST", "/gradio_api/reset"),
    ("POST", "/gradio_api/component_server"),
    ("GET", "/pl/static/x/base.js"),
    ("GET", "/pl/api/shell"),
    ("GET", "/pl/api/projects"),
    ("GET", "/pl/api/labels"),
    ("GET", "/pl/api/jobs"),
    ("GET", "/pl/api/exports"),
    ("POST", "/pl/api/uploads"),
    ("POST", "/pl/api/imports"),
    ("POST", "/pl/api/labels"),
    ("DELETE", "/pl/api/projects/notes"),
    ("GET", "/media/1"),
    ("GET", "/nothing-here"),
]


@pytest.mark.parametrize(("method", "path"), CLOSED)
def test_nothing_is_open_without_signing_in(gated: TestClient, method: str, path: str) -> None:
    assert gated.request(method, path).status_code == 401
    wrong = {"Authorization": "Bearer no-such-token"}
    assert gated.request(method, path, headers=wrong).status_code == 401


def test_a_page_is_answered_with_the_way_in(gated: TestClient) -> None:
    answer = gated.get("/data?project=notes", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.headers["location"]) == (
        303,
        "/login?next=%2Fdata%3Fproject%3Dnotes",
    )
    page = gated.get(answer.headers["location"])
    assert 'name="next" value="/data?project=notes"' in page.text


def test_health_tells_without_signing_in(gated: TestClient) -> None:
    assert gated.get("/healthz").json() == {"ok": True, "version": api.__version__}


def test_signing_in_and_out(gated: TestClient) -> None:
    answer = gated.post("/login", data={**RIGHT, "next": "/data"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/data")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert gated.get("/pl/api/shell").json()["user"] == "ann"
    assert gated.get("/config").json()["username"] == "ann"
    kept = dict(gated.cookies)
    assert gated.post("/logout").status_code == 303
    gated.cookies.update(kept)
    assert gated.get("/pl/api/shell").status_code == 401, "a closed session must not live on"


def test_a_token_is_enough_for_programs(gated: TestClient) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert gated.get("/pl/api/shell", headers=headers).json()["user"] == "robot"


@pytest.mark.parametrize(
    "asked", ["https://evil.example/", "//evil.example", "/\\evil.example", "evil", "/a\r\nb"]
)
def test_signing_in_never_leads_elsewhere(gated: TestClient, asked: str) -> None:
    answer = gated.post("/login", data={**RIGHT, "next": asked})
    assert answer.headers["location"] == "/"


def test_the_way_in_shows_hostile_addresses_as_text(gated: TestClient) -> None:
    page = gated.get("/login", params={"next": '/"><script>alert(1)</script>'})
    assert "<script" not in page.text


def test_five_wrong_passwords_close_the_door(caplog: pytest.LogCaptureFixture) -> None:
    people = accounts()
    with caplog.at_level(logging.WARNING, "patchlane.web"):
        for _ in range(5):
            assert people.sign_in("ann", "wrong", "10.0.0.1") is None
    assert caplog.text.count("wrong password for 'ann' from 10.0.0.1") == 5
    for peer in ("10.0.0.1", "10.0.0.2"):
        with pytest.raises(api.RefusedError, match="too many wrong passwords"):
            people.sign_in("ann", "right horse", peer)
    with pytest.raises(api.RefusedError, match="too many"):
        people.sign_in("bob", "x", "10.0.0.1")


def test_the_door_opens_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    people = accounts()
    for _ in range(5):
        people.sign_in("ann", "wrong", "10.0.0.1")
    later = auth.time.monotonic() + auth.LOCKED_SECONDS + 1
    monkeypatch.setattr(auth.time, "monotonic", lambda: later)
    token = people.sign_in("ann", "right horse", "10.0.0.1")
    scope = {"type": "http", "headers": [(b"cookie", f"{auth.COOKIE}={token}".encode())]}
    assert people.who(auth.Request(scope)) == "ann"


def test_the_closed_door_says_so(home: api.Settings) -> None:
    app = build_app(home, users=accounts())
    with TestClient(app, base_url=ORIGIN, follow_redirects=False) as client:
        for _ in range(5):
            wrong = client.post("/login", data={"name": "ann", "password": "no"})
            assert wrong.status_code == 403
            assert "Wrong name or password." in wrong.text
        closed = client.post("/login", data=RIGHT)
        assert closed.status_code == 429
        assert "Too many wrong passwords; try again in 5 minutes." in closed.text
        assert client.post("/login", data={"name": "x" * 20_000}).status_code == 413


def test_an_auth_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "people"
    file.write_text(
        f"# who may come in\nann:{auth.hash_password('a:b c')}\nbob:plain words\n\n"
        f"robot:{auth.hash_token(TOKEN)}\n"
    )
    with caplog.at_level(logging.WARNING, "patchlane.web"):
        people = Accounts.from_file(file)
    assert "line 3 holds a password as it is" in caplog.text
    assert "plain words" not in caplog.text
    assert people.sign_in("ann", "a:b c", "p")
    assert people.sign_in("bob", "plain words", "p")
    assert people.sign_in("robot", TOKEN, "q") is None, "a token is no password"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no account"),
        ("ann", "line 1 is not NAME:SECRET"),
        ("ann:scrypt$1$2", "line 1 holds a hash that is not complete"),
    ],
)
def test_a_broken_auth_file_is_refused(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "people"
    file.write_text(text)
    with pytest.raises(api.BadInputError, match=said):
        Accounts.from_file(file)
    with pytest.raises(api.BadInputError, match="cannot be read"):
        Accounts.from_file(tmp_path / "absent")


def test_the_command_prints_lines_that_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("pass word\n"))
    assert auth.main(["password", "ann"]) == 0
    assert auth.main(["token", "robot"]) == 0
    printed = capsys.readouterr()
    file = tmp_path / "people"
    file.write_text(printed.out)
    people = Accounts.from_file(file)
    assert "pass word" not in printed.out
    assert people.sign_in("ann", "pass word", "p")
    token = printed.err.split()[-1]
    scope = {"type": "http", "headers": [(b"authorization", f"Bearer {token}".encode())]}
    assert people.who(auth.Request(scope)) == "robot"
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    assert auth.main(["password", "ann"]) == 1
    assert auth.main(["password", "a:b"]) == 2
