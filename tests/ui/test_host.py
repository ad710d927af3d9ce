"""What the host adds around Gradio: names, origins, headers, static files, read-only."""

from __future__ import annotations

import gzip
import json
import re
import socket
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from backend import api
from tests.ui.conftest import ORIGIN
from ui import host
from ui.app import build_app, serve
from ui.components.esm import ASSET_VERSION, STATIC, TEXTS

EVIL = "https://evil.example"


@pytest.mark.parametrize("name", ["evil.example", "127.0.0.1.evil.example", "", "patchlane:80"])
def test_a_name_that_is_not_ours_is_refused(web: TestClient, name: str) -> None:
    assert web.get("/healthz", headers={"Host": name}).status_code == 421


@pytest.mark.parametrize("name", ["127.0.0.1:7860", "localhost", "LocalHost:1", "[::1]:7860"])
def test_this_machines_names_are_ours(web: TestClient, name: str) -> None:
    assert web.get("/healthz", headers={"Host": name}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": EVIL},
        {"Origin": "null"},
        {"Origin": "http://localhost:9999"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/pl/api/labels"),
        ("POST", "/gradio_api/call/correct"),
        ("POST", "/gradio_api/mcp/"),
        ("POST", "/gradio_api/component_server"),
        ("DELETE", "/pl/api/projects/notes"),
    ],
)
def test_other_origins_change_nothing(
    web: TestClient, headers: dict[str, str], method: str, path: str
) -> None:
    body = json.dumps({"action": "add", "names": ["from evil"]})
    answer = web.request(
        method, path, content=body, headers={"Content-Type": "text/plain", **headers}
    )
    assert answer.status_code == 403
    assert all(label["name"] != "from evil" for label in web.get("/pl/api/labels").json())


def test_headers_keep_the_page_to_this_host(web: TestClient) -> None:
    answer = web.get("/", headers={"Origin": EVIL})
    policy = answer.headers["content-security-policy"]
    assert "connect-src 'self' data: blob:" in policy
    assert "frame-ancestors 'self'" in policy
    assert "object-src 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert "access-control-allow-origin" not in answer.headers


def test_an_answer_says_of_which_project_it_is(web: TestClient, app: FastAPI) -> None:
    uid = app.state.context.open("notes").store.uid
    asked = web.get("/pl/api/labels", params={"project": "notes"})
    assert asked.headers["x-pl-project"] == uid
    assert "x-pl-project" not in web.get("/healthz").headers


def test_gradios_reflected_origins_are_taken_off(home: api.Settings) -> None:
    app = build_app(home, hosts=("labels.example.org",))
    with TestClient(app, base_url="http://labels.example.org") as client:
        answer = client.get("/config", headers={"Origin": EVIL})
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file=http://example.org/x",
        "/gradio_api/file=https%3A//example.org/x",
        "/gradio_api/file=HTTP://example.org/x",
        "/gradio_api/file/https://example.org/x",
        "/gradio_api/proxy=https://example.org/x",
    ],
)
def test_the_server_fetches_nothing_for_a_caller(web: TestClient, path: str) -> None:
    assert web.get(path).status_code == 403


def test_gradio_serves_no_file_of_the_machine(web: TestClient, home: api.Settings) -> None:
    secret = home.home / "notes" / "project.sqlite3"
    for path in ("/etc/passwd", secret, f"{home.home}/.gradio/../notes/project.sqlite3"):
        assert web.get(f"/gradio_api/file={path}").status_code in (403, 404)


def test_gradios_own_upload_is_closed(web: TestClient) -> None:
    answer = web.post("/gradio_api/upload", files={"files": ("x.html", b"<script>1</script>")})
    assert answer.status_code == 403


def test_static_files_are_kept_for_ever_under_their_hash(web: TestClient) -> None:
    address = f"/pl/static/{ASSET_VERSION}/base.js"
    answer = web.get(address, headers={"Accept-Encoding": "gzip"})
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.content == (STATIC / "base.js").read_bytes()
    assert web.get(address, headers={"Accept-Encoding": "identity"}).content == answer.content
    assert web.get("/pl/static/000000000000/base.js").status_code == 404
    for name in ("..%2Fapp.py", "../app.py", "%2e%2e/app.py", "nothing.js", ""):
        assert web.get(f"/pl/static/{ASSET_VERSION}/{name}").status_code == 404


def test_words_are_served_as_a_module(web: TestClient) -> None:
    body = web.get(f"/pl/static/{ASSET_VERSION}/texts.js").text
    words = json.loads(body.removeprefix("export const texts = ").rstrip(";\n"))
    assert words["en"] == json.loads((TEXTS / "en.json").read_text("utf-8"))


def test_plotly_comes_from_the_installed_package(web: TestClient) -> None:
    answer = web.get(host.PLOTLY_URL, headers={"Accept-Encoding": "gzip"})
    assert answer.content == host.PLOTLY_FILE.read_bytes()
    assert len(gzip.compress(answer.content, 1)) < len(answer.content)


def test_pages_hold_no_data_and_name_no_other_host(web: TestClient) -> None:
    for path in ("/", "/data", "/?project=notes"):
        page = web.get(path).text
        assert "alert(1)" not in page
        assert "waiter" not in page
        addresses = re.findall(r"(?:src|href)=[\"'](https?:)?//[^\"']*", page)
        assert addresses == [], path


def test_every_page_answers(web: TestClient) -> None:
    for path in ("/", "/explore", "/data"):
        assert web.get(path).status_code == 200


@pytest.fixture(scope="module")
def read_only(home: api.Settings) -> Iterator[TestClient]:
    app = build_app(home, default_project="notes", read_only=True)
    with TestClient(app, base_url=ORIGIN) as client:
        yield client


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/pl/api/projects"),
        ("DELETE", "/pl/api/projects/notes"),
        ("POST", "/pl/api/projects/notes/restore"),
        ("POST", "/pl/api/labels"),
        ("POST", "/pl/api/uploads"),
        ("POST", "/pl/api/imports"),
        ("POST", "/pl/api/imports/preview"),
        ("POST", "/pl/api/exports"),
        ("POST", "/pl/api/commit"),
        ("POST", "/pl/api/undo"),
        ("POST", "/pl/api/bulk"),
        ("POST", "/pl/api/jobs/1/cancel"),
    ],
)
def test_a_read_only_server_changes_nothing(read_only: TestClient, method: str, path: str) -> None:
    answer = read_only.request(method, path, json={})
    assert answer.status_code == 403
    assert "read-only" in answer.json()["detail"]


def test_a_read_only_server_shows_everything(read_only: TestClient) -> None:
    assert read_only.get("/pl/api/shell").json()["readOnly"] is True
    assert len(read_only.get("/pl/api/labels").json()) == 3


def test_serving_others_needs_people_to_sign_in(settings: api.Settings) -> None:
    for address in ("0.0.0.0", "192.0.2.1", "::", "labels.example.org"):
        with pytest.raises(api.RefusedError, match="--auth-file"):
            serve(settings, host=address, port=0, open_browser=False)


def test_a_taken_port_is_said_in_a_sentence(settings: api.Settings) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(api.BadInputError, match="choose another --port"):
            serve(settings, port=taken.getsockname()[1], open_browser=False)


def test_names_of_a_host() -> None:
    assert host.names_of("127.0.0.1")[:3] == host.LOOPBACK_HOSTS
    assert "[fe80::1]" in host.names_of("fe80::1")
    assert socket.gethostname() in host.names_of("0.0.0.0")
    assert [host.is_loopback(h) for h in ("127.9.9.9", "::1", "localhost", "0.0.0.0", "x.org")] == [
        True,
        True,
        True,
        False,
        False,
    ]


def test_further_names_are_answered_and_bad_ones_refused(home: api.Settings) -> None:
    names = host.further_names(["labels.example.org", "[fe80::1]", "machine_1"])
    with TestClient(build_app(home, hosts=names), base_url="http://labels.example.org") as client:
        assert (
            client.get("/healthz", headers={"Host": "labels.example.org:8443"}).status_code == 200
        )
        refused = client.get("/healthz", headers={"Host": "other.example.org"})
    assert refused.status_code == 421
    assert "--allow-host" in refused.json()["detail"]
    for bad in ("http://labels.example.org", "labels.example.org:80", "*", "a/b", ""):
        with pytest.raises(api.BadInputError, match="no host name"):
            host.further_names([bad])


def test_a_server_with_further_names_shows_no_folders(
    settings: api.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, object] = {}

    def note(_settings: api.Settings, **options: object) -> object:
        seen.update(options)
        raise api.BadInputError("far enough")

    monkeypatch.setattr("ui.app.build_app", note)
    for hosts, is_local in (((), True), (("labels.example.org",), False)):
        with pytest.raises(api.BadInputError, match="far enough"):
            serve(settings, port=0, open_browser=False, hosts=hosts)
        assert seen["is_local"] is is_local
        assert set(hosts) <= set(seen["hosts"])  # type: ignore[arg-type]
