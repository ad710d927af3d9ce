"""The Data page as a person uses it: make projects, see what was skipped, edit labels, reload."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from skimage import data as photographs

from backend import api
from backend.store.project import ProjectStore
from tests.browser.serving import served
from tests.browser.waits import ready, told
from ui.app import build_app

# Encoding loads weights in a job of low priority: seconds, but minutes on a busy machine.
pytestmark = pytest.mark.timeout(900)
ENCODED = 600_000

HOSTILE = "<img src=x onerror=alert(1)>"
TEXTS = ("The soup was cold", "The bus was late", "A room with a view", "The waiter smiled")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder as people have them: photographs in folders, and three files that are none."""
    folder = tmp_path / "my photos"
    for place, name in (("pets", "chelsea"), ("drinks", "coffee"), ("people", "astronaut")):
        (folder / place).mkdir(parents=True)
        picture = Image.fromarray(getattr(photographs, name)())
        picture.thumbnail((320, 320))
        picture.save(folder / place / f"{name}.jpg")
    (folder / "drinks" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut off")
    (folder / "drinks" / "empty.png").write_bytes(b"")
    (folder / "drinks" / f"{HOSTILE}.jpg").write_bytes(b"not a picture")
    return folder


@pytest.fixture(scope="module")
def made(once: api.Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed project of texts."""
    file = tmp_path_factory.mktemp("texts") / "notes.jsonl"
    rows = [{"sample": f"n{i}", "text": text} for i, text in enumerate(TEXTS)]
    file.write_text("\n".join(json.dumps(row) for row in rows))
    bench = api.create_project("notes", labels=["food", HOSTILE], encoder="words", settings=once)
    bench.add(file)
    bench.close()
    return bench.path


@pytest.fixture
def notes(made: Path, copied: Callable[[Path], api.Workbench]) -> str:
    copied(made).close()
    return "notes"


@pytest.fixture(scope="module")
def looked_at(
    made: Path, once: api.Settings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of one server for the tests that change nothing."""
    settings = replace(once, home=tmp_path_factory.mktemp("looked-at"))
    shutil.copytree(made, settings.home / "notes")
    with served(build_app(settings, default_project="notes")) as base:
        yield base


def imported(page: Any, count: int) -> Any:
    report = page.locator("[data-testid=import-report]")
    report.wait_for(timeout=ENCODED)
    assert report.get_attribute("data-imported") == str(count)
    return report


def test_a_project_from_a_folder(
    serve: Callable[..., str], open_page: Callable[..., Any], photos: Path, settings: api.Settings
) -> None:
    page = open_page(serve() + "/data")
    ready(page, "data")
    assert page.get_by_role("heading", name="Make your first project").is_visible()
    page.get_by_test_id("import-folder").set_input_files(str(photos))
    preview = page.get_by_test_id("import-preview")
    preview.wait_for()
    assert not list(settings.home.glob("*/project*")), "a preview stores nothing"
    assert page.get_by_test_id("project-name").input_value() == "my photos"
    page.get_by_test_id("project-labels").fill(f"cat\ncup\n{HOSTILE}")
    page.get_by_test_id("import-start").click()

    report = imported(page, 3)
    assert report.get_attribute("data-skipped") == "3"
    files = page.get_by_test_id("import-problem")
    names = {files.nth(at).get_attribute("data-file") for at in range(files.count())}
    assert names == {"drinks/broken.jpg", "drinks/empty.png", f"drinks/{HOSTILE}.jpg"}
    with page.expect_download() as download:
        page.get_by_test_id("report-csv").click()
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text("utf-8"))))
    assert {row["file"] for row in rows} == names
    assert all(row["reason"] for row in rows)

    page.reload()
    ready(page, "data")
    assert "project=my+photos" in page.url
    shown = page.locator('[data-testid=project][data-project="my photos"]')
    assert "3 images, 3 labels" in shown.inner_text()
    labels = page.get_by_test_id("label-row")
    assert [labels.nth(at).get_attribute("data-label") for at in range(3)] == [
        "cat",
        "cup",
        HOSTILE,
    ]
    imported(page, 3)


@pytest.mark.slow
def test_a_project_from_a_zip(
    serve: Callable[..., str], open_page: Callable[..., Any], settings: api.Settings
) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        rows = [
            {"sample": f"n{i}", "text": text, "labels": ["review"]} for i, text in enumerate(TEXTS)
        ]
        archive.writestr("reviews.jsonl", "\n".join(json.dumps(row) for row in rows))
        archive.writestr("../evil.txt", "leads out of its folder")
    page = open_page(serve() + "/data")
    ready(page, "data")
    page.get_by_test_id("import-file").set_input_files(
        {"name": "set.zip", "mimeType": "application/zip", "buffer": packed.getvalue()}
    )
    page.get_by_test_id("import-preview").wait_for()
    assert page.get_by_test_id("project-name").input_value() == "set"
    page.get_by_test_id("project-name").fill("reviews")
    page.get_by_text("More", exact=True).click()
    page.get_by_test_id("project-encoder").select_option("words")
    page.get_by_test_id("import-start").click()
    report = imported(page, len(TEXTS))
    assert "evil.txt" in report.inner_text()
    row = page.locator("[data-testid=label-row][data-label=review]")
    assert f"{len(TEXTS)} ✓" in row.inner_text()
    assert not list(settings.home.rglob("evil.txt"))


@pytest.mark.slow
def test_a_path_is_looked_at_and_taken_with_two_enters(
    serve: Callable[..., str], open_page: Callable[..., Any], notes: str, tmp_path: Path
) -> None:
    added = "One more text about dinner"
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "one.txt").write_text(added)
    page = open_page(serve(notes) + "/data")
    ready(page, "data")
    bench = serve.apps[-1].state.context.open(notes)
    page.get_by_test_id("import-path").fill(str(tmp_path / "more"))
    page.keyboard.press("Enter")
    page.get_by_test_id("import-start").wait_for()
    assert [one.text for one in bench.samples()] == list(TEXTS), "looking takes nothing in"
    page.keyboard.press("Enter")
    imported(page, 1)
    assert [one.text for one in bench.samples()] == [*TEXTS, added]
    page.wait_for_selector('[data-testid=job][data-state="idle"]')
    page.get_by_test_id("job").click()
    page.locator("#pl-jobs-list").get_by_text("Importing more").wait_for()
    page.keyboard.press("Escape")
    page.get_by_test_id("import-undo").click()
    page.locator("[data-testid=project][data-project=notes]", has_text="4 texts").wait_for()
    assert [one.text for one in bench.samples()] == list(TEXTS)


def test_labels_are_edited_with_undo_and_markup_stays_text(
    serve: Callable[..., str], open_page: Callable[..., Any], notes: str
) -> None:
    page = open_page(serve(notes) + "/data")
    ready(page, "data")
    row = lambda name: page.locator(f'[data-testid=label-row][data-label="{name}"]')  # noqa: E731
    assert row(HOSTILE).inner_text().startswith(HOSTILE)
    assert page.evaluate("document.querySelectorAll('img[src=x]').length") == 0
    page.get_by_test_id("label-add").fill("drink, view")
    page.keyboard.press("Enter")
    row("view").wait_for()
    row("drink").click()
    page.get_by_test_id("label-name").fill("beverage")
    page.get_by_test_id("label-name").press("Tab")
    row("beverage").wait_for()
    page.get_by_test_id("label-remove").click()
    row("beverage").wait_for(state="detached")
    page.get_by_test_id("undo").click()
    row("beverage").wait_for()
    page.reload()
    ready(page, "data")
    assert row("beverage").is_visible()
    assert not row("drink").is_visible()


def news(page: Any) -> None:
    """What a job's end does to the page: everything is asked for again, and drawn."""
    with page.expect_response("**/pl/api/labels*"), page.expect_response("**/pl/api/exports*"):
        page.evaluate("window.dispatchEvent(new CustomEvent('pl:job', { detail: {} }))")
    page.wait_for_load_state("networkidle")


def test_who_writes_is_not_disturbed(
    serve: Callable[..., str], open_page: Callable[..., Any], notes: str
) -> None:
    page = open_page(serve(notes) + "/data")
    ready(page, "data")
    bench = serve.apps[-1].state.context.open(notes)
    page.locator("[data-testid=label-row][data-label=food]").click()
    name = page.get_by_test_id("label-name")
    name.fill("meal")
    name.press("Tab")
    # No wait: a person types on while the new name is saved and the list is drawn again.
    page.keyboard.type("what one eats, ")
    page.locator("[data-testid=label-row][data-label=meal]").wait_for()
    news(page)
    page.keyboard.type("usually unhurried")
    definition = page.get_by_test_id("label-definition")
    assert definition.input_value() == "what one eats, usually unhurried"
    assert page.evaluate("document.activeElement.name") == "definition"
    with page.expect_response("**/pl/api/labels*"):
        page.keyboard.press("Tab")
    assert bench.label("meal").definition == "what one eats, usually unhurried"
    assert len(bench.samples()) == len(TEXTS), "no letter of it was a key of the page"
    # What no server took stays in its field, to be sent again.
    page.expected.append("400")
    name.fill(HOSTILE)
    name.press("Tab")
    page.wait_for_selector("[data-testid=label-name][aria-invalid=true]")
    news(page)
    assert name.input_value() == HOSTILE
    assert bench.label("meal")
    # The form of a new project is left alone, too.
    page.get_by_test_id("new-project").click()
    labels = page.get_by_test_id("project-labels")
    labels.click()
    page.keyboard.type("sea, ")
    news(page)
    page.keyboard.type("snow")
    assert labels.input_value() == "sea, snow"
    page.get_by_role("radio", name="Texts").click()
    assert page.evaluate("document.activeElement.value") == "text", "the focus stays where it was"
    assert labels.input_value() == "sea, snow"


def test_what_is_done_on_a_page_stays_with_its_project(
    serve: Callable[..., str], open_page: Callable[..., Any], notes: str, settings: api.Settings
) -> None:
    page = open_page(serve(notes) + "/data")
    ready(page, "data")
    context = serve.apps[-1].state.context  # type: ignore[attr-defined]
    page.locator("[data-testid=label-row][data-label=food]").click()
    with context.closed(notes):
        api.remove_project(notes, settings=settings)
    context.adopt(api.create_project(notes, labels=["soup"], encoder="words", settings=settings))
    page.expected.append("409")
    page.get_by_test_id("label-name").fill("meal")
    page.get_by_test_id("label-name").press("Tab")
    told(page, "of an earlier project notes")
    page.wait_for_selector("[data-testid=label-name][aria-invalid=true]")
    assert [label.name for label in context.open(notes).labels()] == ["soup"]
    # Who removes a project here and brings it back means what has the name from then on.
    page.get_by_role("button", name="Remove notes").click()
    page.get_by_role("button", name="Remove", exact=True).click()
    page.get_by_role("heading", name="Make your first project").wait_for()
    with page.expect_response("**/pl/api/labels*"):
        page.locator(".pl-toast").get_by_role("button", name="Undo").click()
    page.wait_for_load_state("networkidle")
    page.locator("[data-testid=label-row][data-label=soup]").click()
    page.get_by_test_id("label-name").fill("stew")
    page.get_by_test_id("label-name").press("Tab")
    page.locator("[data-testid=label-row][data-label=stew]").wait_for()


@pytest.mark.slow
def test_an_import_that_ends_tells_nothing_of_what_failed_before(
    serve: Callable[..., str], open_page: Callable[..., Any], notes: str, tmp_path: Path
) -> None:
    def failing(_ticket: api.Ticket) -> None:
        raise api.BadInputError("it was long ago")

    page = open_page(serve(notes) + "/data?project=notes")
    bench = serve.apps[-1].state.context.open(notes)  # type: ignore[attr-defined]
    bench.jobs.wait(bench.jobs.submit("other", "Another thing", failing), 30)
    page.reload()
    ready(page, "data")
    more = tmp_path / "more.jsonl"
    more.write_text(json.dumps({"text": "The tram was full"}))
    page.evaluate(
        "window.ended = []; addEventListener('pl:job', job => ended.push(job.detail.title))"
    )
    page.get_by_test_id("import-file").set_input_files(str(more))
    page.get_by_test_id("import-start").click()
    imported(page, 1)
    page.wait_for_function(
        "ended.length && document.querySelector('[data-testid=job]').dataset.state === 'idle'"
    )
    with page.expect_response("**/pl/api/jobs*"):
        page.evaluate("dispatchEvent(new CustomEvent('pl:jobs'))")
    assert "Another thing" not in page.evaluate("ended")


@pytest.mark.slow
def test_what_was_chosen_for_an_import_stays_chosen(
    serve: Callable[..., str], open_page: Callable[..., Any], notes: str, tmp_path: Path
) -> None:
    rows = [{"sample": f"n{i}", "labels": ["food"]} for i in range(2)]
    file = tmp_path / "labels.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    page = open_page(serve(notes) + "/data")
    ready(page, "data")
    bench = serve.apps[-1].state.context.open(notes)
    page.get_by_test_id("import-path").fill(str(file))
    page.keyboard.press("Enter")
    start = page.get_by_test_id("import-start")
    start.wait_for()
    assert start.inner_text() == "Import 2 annotations"
    page.get_by_text("How to read it").click()
    page.locator("select[name=unlisted]").select_option("no")
    page.locator("input[name=create_labels]").uncheck()
    news(page)
    assert page.locator("select[name=unlisted]").input_value() == "no"
    # Another way to read it: looked at again, and the rest is as it was chosen.
    with page.expect_response("**/pl/api/imports/preview*") as looked:
        page.locator("select[name=format]").select_option("jsonl")
    assert looked.value.request.post_data_json["format"] == "jsonl"
    start.wait_for()
    assert page.locator("select[name=unlisted]").input_value() == "no"
    assert not page.locator("input[name=create_labels]").is_checked()
    with page.expect_request(lambda sent: sent.url.split("?")[0].endswith("/imports")) as sent:
        start.click()
    told = sent.value.post_data_json
    assert (told["unlisted"], told["create_labels"], told["format"]) == ("no", False, "jsonl")
    imported(page, 0)
    said = bench.verdicts(["n0"])[bench.sample("n0").id]
    assert {bench.label(label).name: str(v) for label, v in said.items()} == {
        "food": "yes",
        HOSTILE: "no",
    }


DROP = """([name, isBroken]) => {
    const entry = (called, file) => {
        return { webkitGetAsEntry: () => ({ isFile: true, name: called, file }) };
    };
    const items = [entry(name, done => done(new File(['A text that was dropped'], name)))];
    const broken = (done, fail) => fail(new DOMException('no', 'NotReadableError'));
    if (isBroken) items.unshift(entry('broken.txt', broken));
    const event = new Event('drop', { bubbles: true, cancelable: true });
    const dataTransfer = { types: ['Files'], items, files: [] };
    Object.defineProperty(event, 'dataTransfer', { value: dataTransfer });
    document.body.dispatchEvent(event);
}"""
PASTE = """text => {
    const clipboardData = new DataTransfer();
    clipboardData.setData('text/plain', text);
    document.body.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true }));
}"""


def held(page: Any, address: str) -> Callable[[int], None]:
    """What is posted to an address waits, until it is let go by its number."""
    waiting: list[Any] = []

    def hold(route: Any) -> None:
        if route.request.method == "POST":
            waiting.append(route)
        else:
            route.continue_()

    def let_go(number: int) -> None:
        while len(waiting) < number:
            page.wait_for_timeout(20)
        waiting[number - 1].continue_()

    page.route(re.compile(rf"/pl/api/{address}(\?|$)"), hold)
    return let_go


def step(page: Any, name: str) -> Any:
    card = page.locator(f"[data-step={name}]")
    card.wait_for()
    return card


@pytest.mark.slow
def test_nothing_that_was_sent_is_lost_by_a_paste_or_a_drop(
    serve: Callable[..., str], open_page: Callable[..., Any], notes: str, tmp_path: Path
) -> None:
    page = open_page(serve(notes) + "/data")
    ready(page, "data")
    asked: list[tuple[str, str]] = []
    page.on("request", lambda sent: asked.append((sent.method, sent.url)))
    (tmp_path / "one.txt").write_text("One text of two")
    (tmp_path / "two.txt").write_text("Two texts of two")
    page.get_by_test_id("import-file").set_input_files([tmp_path / "one.txt", tmp_path / "two.txt"])
    page.get_by_test_id("import-preview").wait_for()
    page.evaluate(PASTE, "wren\nrobin")
    assert page.get_by_test_id("import-preview").get_attribute("data-samples") == "2"
    let_go = held(page, "imports")
    page.get_by_test_id("import-start").click()
    step(page, "starting")
    page.evaluate(DROP, ["late.txt", False])
    page.evaluate(PASTE, "a text that comes late")
    let_go(1)
    imported(page, 2)
    assert [url for method, url in asked if method == "DELETE"] == []
    assert len([url for method, url in asked if url.split("?")[0].endswith("/uploads")]) == 1


@pytest.mark.slow
def test_files_that_cannot_be_read_are_named_and_the_rest_is_sent(
    serve: Callable[..., str], open_page: Callable[..., Any], notes: str, tmp_path: Path
) -> None:
    page = open_page(serve(notes) + "/data")
    ready(page, "data")
    page.evaluate(DROP, ["fine.txt", True])
    preview = page.get_by_test_id("import-preview")
    preview.wait_for()
    assert preview.get_attribute("data-samples") == "1"
    problem = page.get_by_test_id("import-problem")
    assert problem.get_attribute("data-file") == "broken.txt"
    assert "the browser could not read it" in problem.inner_text()
    preview.get_by_role("button", name="Cancel").click()
    # One that goes while it is waiting to be sent.
    for name in ("gone.txt", "here.txt"):
        (tmp_path / name).write_text(f"A text called {name}")
    let_go = held(page, "uploads")
    page.get_by_test_id("import-file").set_input_files(
        [tmp_path / "gone.txt", tmp_path / "here.txt"]
    )
    step(page, "sending")
    (tmp_path / "gone.txt").unlink()
    let_go(1)
    preview.wait_for()
    assert problem.get_attribute("data-file") == "gone.txt"
    page.get_by_test_id("import-start").click()
    report = imported(page, 1)
    assert report.get_attribute("data-skipped") == "1"


@pytest.mark.slow
def test_who_looks_at_a_large_folder_can_stop(
    serve: Callable[..., str], open_page: Callable[..., Any], notes: str, tmp_path: Path
) -> None:
    (tmp_path / "one.txt").write_text("One text")
    page = open_page(serve(notes) + "/data")
    ready(page, "data")
    let_go = held(page, "imports/preview")
    page.get_by_test_id("import-path").fill(str(tmp_path))
    page.keyboard.press("Enter")
    step(page, "looking").get_by_test_id("import-cancel").click()
    page.get_by_test_id("import-path").wait_for()
    page.get_by_test_id("import-path").press("Enter")
    step(page, "looking")
    let_go(2)
    preview = page.get_by_test_id("import-preview")
    preview.wait_for()
    # In another way: what was seen before is still there, and how.
    page.get_by_text("How to read it").click()
    page.locator("select[name=format]").select_option("jsonl")
    step(page, "looking").get_by_test_id("import-cancel").click()
    preview.wait_for()
    assert preview.get_attribute("data-samples") == "1"
    assert page.locator("select[name=format]").input_value() == "auto"


@pytest.mark.slow
def test_a_thousand_labels_are_drawn_as_they_are_looked_at(
    serve: Callable[..., str], open_page: Callable[..., Any], settings: api.Settings
) -> None:
    names = [f"label {number:04d}" for number in range(1000)]
    api.create_project("many", labels=names, encoder="words", settings=settings).close()
    page = open_page(serve("many") + "/data")
    ready(page, "data")
    bench = serve.apps[-1].state.context.open("many")
    rows = page.get_by_test_id("label-row")
    assert rows.count() == 200
    page.get_by_test_id("label-more").click()
    assert rows.count() == 400
    rows.first.click()
    parent = page.locator("select[name=parent]")
    assert parent.locator("option").count() == 1
    parent.focus()
    assert parent.locator("option").count() == 1000, "none, and all but itself"
    with page.expect_response("**/pl/api/labels*"):
        parent.select_option(label="label 0999")
    assert bench.label("label 0000").parent == bench.label("label 0999").id
    page.get_by_label("Find a label").fill("099")
    assert rows.count() == 11
    page.get_by_label("Find a label").fill("")
    assert rows.count() == 201, "what is open stays, however far below"


@pytest.mark.slow
def test_an_export_is_downloaded_and_a_project_removed_and_brought_back(
    serve: Callable[..., str], open_page: Callable[..., Any], notes: str
) -> None:
    page = open_page(serve(notes) + "/data")
    ready(page, "data")
    page.locator("[data-testid=export][data-format=jsonl]").click()
    made = page.get_by_test_id("export-row").first
    made.wait_for()
    with page.expect_download() as download:
        made.get_by_role("link").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert any(name.endswith(".jsonl") for name in archive.namelist())
    page.get_by_role("button", name="Remove notes").click()
    page.get_by_role("button", name="Remove", exact=True).click()
    page.get_by_role("heading", name="Make your first project").wait_for()
    page.locator(".pl-toast").get_by_role("button", name="Undo").click()
    page.locator("[data-testid=project][data-project=notes]").wait_for()


@pytest.mark.slow
def test_what_was_removed_can_come_back_or_go_for_good(
    serve: Callable[..., str],
    open_page: Callable[..., Any],
    notes: str,
    settings: api.Settings,
    tmp_path: Path,
) -> None:
    other = api.create_project("other [1]", labels=["x"], encoder="words", settings=settings)
    other.close()
    bench = api.open_project(notes, settings=settings)
    bench.remove_samples([1, 2])
    bench.close()
    page = open_page(serve(notes) + "/data?project=notes")
    ready(page, "data")
    inside = page.get_by_test_id("removed-inside")
    assert (inside.get_attribute("data-samples"), inside.get_attribute("data-labels")) == ("2", "0")
    # of the project: undo brings it back, and the row goes
    page.get_by_test_id("undo").click()
    inside.wait_for(state="detached")
    page.locator("[data-testid=project][data-project=notes]", has_text="4 texts").wait_for()
    page.locator(".pl-toast").get_by_role("button", name="Bring it back").click()
    inside.wait_for()
    inside.get_by_role("button", name="Delete for good").click()
    page.get_by_role("button", name="Cancel").click()
    assert inside.is_visible()
    inside.get_by_role("button", name="Delete for good").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete for good").click()
    inside.wait_for(state="detached")
    words = TEXTS[0].encode()
    found = [
        f for f in (settings.home / "notes").rglob("*") if f.is_file() if words in f.read_bytes()
    ]
    assert found == []
    # another project, long after its toast is gone
    page.get_by_role("button", name="Remove other [1]").click()
    page.get_by_role("button", name="Remove", exact=True).click()
    row = page.get_by_test_id("removed-project")
    row.wait_for()
    page.reload()
    ready(page, "data")
    row.get_by_role("button", name="Bring other [1] back").click()
    page.locator('[data-testid=project][data-project="other [1]"]').wait_for()
    row.wait_for(state="detached")
    page.get_by_role("button", name="Remove other [1]").click()
    page.get_by_role("button", name="Remove", exact=True).click()
    row.get_by_role("button", name="Delete other [1] for good").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete for good").click()
    row.wait_for(state="detached")
    assert list((settings.home / ".removed").iterdir()) == []


@pytest.mark.slow
def test_keys_theme_and_search(
    serve: Callable[..., str], open_page: Callable[..., Any], notes: str
) -> None:
    page = open_page(serve(notes) + "/data")
    ready(page, "data")
    page.locator("body").click(position={"x": 400, "y": 700})
    page.keyboard.press("?")
    page.get_by_role("dialog").get_by_text("undo your last action").wait_for()
    page.keyboard.press("/")
    assert page.get_by_role("dialog").is_visible(), "keys belong to the dialog while it is open"
    page.keyboard.press("Escape")
    before = page.evaluate("document.body.classList.contains('dark')")
    page.get_by_role("button", name="Light or dark").click()
    assert page.evaluate("document.body.classList.contains('dark')") is not before
    page.reload()
    ready(page, "data")
    page.wait_for_function(
        "dark => document.body.classList.contains('dark') === dark", arg=not before
    )
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.dataset.testid") == "search-box"
    page.keyboard.type("cold soup")
    page.keyboard.press("Enter")
    page.wait_for_url("**/explore?project=notes&query=cold+soup")


@pytest.mark.parametrize(
    "size", [(1440, 900), (390, 844), (360, 740)], ids=["desk", "phone", "small phone"]
)
def test_the_window_is_filled_and_nothing_sticks_out(
    looked_at: str, open_page: Callable[..., Any], size: tuple[int, int]
) -> None:
    width, height = size
    page = open_page(looked_at + "/data", viewport={"width": width, "height": height})
    ready(page, "data")
    box = page.get_by_test_id("page").bounding_box()
    assert box["x"] == 0
    assert (box["width"], box["y"] + box["height"]) == (width, height)
    scrolls = "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
    assert page.evaluate(scrolls) == [width, height], "the page itself never scrolls"
    # hidden while the labels are few
    page.locator(".pl-data-labels > .pl-input").evaluate("field => { field.hidden = false; }")
    sticking_out = page.evaluate(
        """() => [...document.querySelectorAll('.pl-shell *, .pl-page *')].filter(node => {
            const box = node.getBoundingClientRect();
            return box.width > 1 && box.right > innerWidth + 1;
        }).map(node => node.outerHTML.slice(0, 100))"""
    )
    assert sticking_out == []
    for testid in ("search-box", "save-state", "version", "undo", "job"):
        assert page.get_by_test_id(testid).is_visible(), testid


@pytest.mark.slow
@pytest.mark.parametrize("name", ["label", "explore", "learn", "data"])
def test_the_bar_fits_a_phone_and_a_finger(
    looked_at: str, open_page: Callable[..., Any], name: str
) -> None:
    page = open_page(viewport={"width": 390, "height": 844})
    page.goto(f"{looked_at}/{name.replace('label', '')}")
    ready(page, name)
    said = "kept => window.dispatchEvent(new CustomEvent('pl:saved', { detail: kept }))"
    for width in (390, 360):
        page.set_viewport_size({"width": width, "height": 740})
        for kept in ({"state": "saved", "pending": 0}, {"state": "offline", "pending": 123}):
            page.evaluate(said, kept)
            wrong = page.evaluate(
                """() => [...document.querySelectorAll('.pl-bar *')].filter(node => {
                    const box = node.getBoundingClientRect();
                    if (box.width <= 1) return false;
                    const isSmall = node.matches('a, button, input, select')
                        && (box.width < 40 || box.height < 40);
                    const isCut = node.matches('a, button, span') && node.clientWidth
                        && node.scrollWidth > node.clientWidth;
                    const bar = document.querySelector('.pl-bar').getBoundingClientRect();
                    const isOut = box.right > innerWidth || box.left < 0 || box.bottom > bar.bottom;
                    return isSmall || isCut || isOut;
                }).map(node => node.outerHTML.slice(0, 100))"""
            )
            assert wrong == [], (width, kept)
        words = page.get_by_test_id("save-state").inner_text()
        assert words == "Offline, 123", "what asks for care is said in words"


def test_nothing_can_be_changed_on_a_read_only_server(
    serve: Callable[..., str], open_page: Callable[..., Any], notes: str
) -> None:
    page = open_page(serve(notes, read_only=True) + "/data")
    ready(page, "data")
    assert page.get_by_text("This server is read-only").is_visible()
    for testid in ("new-project", "import-file", "label-add", "export"):
        assert not page.get_by_test_id(testid).first.is_visible()


@pytest.mark.slow
def test_a_project_that_cannot_be_written_to_says_so_of_itself(
    serve: Callable[..., str],
    open_page: Callable[..., Any],
    notes: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ProjectStore, "is_read_only", property(lambda _: True))
    page = open_page(serve(notes) + "/data")
    ready(page, "data")
    assert page.get_by_text("notes can only be looked at").is_visible()
    assert not page.get_by_text("This server is read-only").is_visible()
    assert page.get_by_test_id("new-project").first.is_visible()
