"""Every option of `import` changes what comes in, on a project of texts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.backend.command_line import Call, caller, exported

TEXTS = {"a": "the cat sleeps on the warm sofa", "b": "the soup needs salt and pepper"}


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Call:
    """A command line whose home holds "p": two texts, and two labels."""
    monkeypatch.setenv("PATCHLANE_HOME", str(tmp_path / "home"))
    call = caller(capsys)
    rows = [{"sample": name, "text": text} for name, text in TEXTS.items()]
    texts = written(tmp_path / "texts.jsonl", *rows)
    told = call("new", "p", "--labels", "animal,food", "--from", texts, "--encoder", "words")
    assert told["samples"] == len(TEXTS)
    return call


def written(path: Path, *rows: dict[str, object]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def said(call: Call, folder: Path) -> dict[str, dict[str, str]]:
    """What counts of each sample, as an export tells it."""
    return {row["sample"]: row["labels"] for row in exported(call, "p", folder)}


@pytest.mark.parametrize(
    ("format", "label"),
    [("auto", "animal"), ("jsonl", "animal"), ("csv", "food"), ("csv_table", "food")],
)
def test_a_format_says_which_of_the_files_of_a_folder_is_read(
    made: Call, tmp_path: Path, format: str, label: str
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    written(folder / "rows.jsonl", {"sample": "a", "labels": ["animal"]})
    (folder / "rows.csv").write_text("sample,food\na,1\n")
    assert made("import", "p", folder, "--format", format)["annotations"] == 1
    assert said(made, tmp_path / "out")["a"] == {label: "yes"}
    status, words = made("import", "p", folder, "--format", "tables")
    assert (status, "unknown format 'tables'; known are auto, " in words) == (1, True)


@pytest.mark.parametrize(
    ("options", "counts", "told"),
    [
        ((), "yes", {"me": "yes"}),
        (("--on-conflict", "keep"), "yes", {"me": "yes"}),
        (("--on-conflict", "replace"), "no", {"import:rows.jsonl": "no"}),
        (("--on-conflict", "both"), "yes", {"me": "yes", "import:rows.jsonl": "no"}),
    ],
)
def test_a_verdict_that_says_otherwise_is_kept_replaced_or_both(
    made: Call, tmp_path: Path, options: tuple[str, ...], counts: str, told: dict[str, str]
) -> None:
    ours = {"sample": "a", "label": "animal", "verdict": "yes"}
    made("correct", "p", "--from", written(tmp_path / "v.jsonl", ours))
    theirs = written(tmp_path / "rows.jsonl", {"sample": "a", "labels": {"animal": "no"}})
    made("import", "p", theirs, *options)
    assert said(made, tmp_path / "out")["a"] == {"animal": counts}
    rows = exported(made, "p", tmp_path / "each", "--format", "jsonl-by-person")
    assert {row["who"]: row["labels"]["animal"] for row in rows if row["sample"] == "a"} == told


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ((), {"animal": "yes"}),
        (("--unlisted", "unknown"), {"animal": "yes"}),
        (("--unlisted", "no"), {"animal": "yes", "food": "no"}),
    ],
)
def test_labels_that_a_file_does_not_list_are_unknown_or_absent(
    made: Call, tmp_path: Path, options: tuple[str, ...], found: dict[str, str]
) -> None:
    rows = written(tmp_path / "rows.jsonl", {"sample": "a", "labels": ["animal"]})
    made("import", "p", rows, *options)
    assert said(made, tmp_path / "out") == {"a": found, "b": {}}


def test_links_are_named_unless_they_are_to_be_followed(made: Call, tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "in", tmp_path / "elsewhere"
    for each in (folder, elsewhere):
        each.mkdir()
    (folder / "plain.txt").write_text("a dog barks at the postman")
    (elsewhere / "far.txt").write_text("the train was late again")
    (folder / "linked.txt").symlink_to(elsewhere / "far.txt")
    told = made("import", "p", folder)
    assert told["imported"] == 1
    assert [(one["file"], "--follow-links" in one["reason"]) for one in told["errors"]] == [
        ("linked.txt", True)
    ]
    told = made("import", "p", folder, "--follow-links")
    assert (told["imported"], told["errors"]) == (1, [])
    assert set(said(made, tmp_path / "out")) == {"a", "b", "plain.txt", "linked.txt"}
