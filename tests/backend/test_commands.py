"""The verbs of the command line, as a script would use them: JSON out, exit codes, sentences."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from backend.__main__ import main, parser
from backend.store.intake import Intake
from tests.backend.command_line import Call, caller, exported

TEXTS = {
    "a": "the cat sleeps on the warm sofa",
    "b": "a dog barks at the postman",
    "c": "we baked bread and cake in the kitchen",
    "d": "the soup needs salt and pepper",
    "e": "the train to the airport was late again",
    "f": "cats and dogs can live together",
}

VERDICT = {"sample": "a", "label": "animal", "verdict": "yes"}


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Call:
    """A command line with a home that belongs to this test."""
    monkeypatch.setenv("PATCHLANE_HOME", str(tmp_path / "home"))
    return caller(capsys)


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    path = tmp_path / "texts.jsonl"
    rows = [{"sample": name, "text": text, "metadata": {}} for name, text in TEXTS.items()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def made(call: Call, texts: Path) -> Call:
    result = call("new", "p", "--labels", "animal,food", "--from", texts, "--encoder", "words")
    assert result["samples"] == len(TEXTS)
    assert result["kind"] == "text"
    return call


def verdicts(path: Path, *rows: dict[str, object]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_the_loop_from_the_shell(made: Call, tmp_path: Path) -> None:
    before = {row["sample"]: row for row in made("suggest", "p")["suggestions"]}
    assert before["d"]["suggestions"][0]["label"] == "food"
    assert before["d"]["suggestions"][0]["probability"] is None
    assert set(before["d"]) == {"sample", "suggestions", "set", "coverage", "version", "encoder"}
    stored = made(
        "correct",
        "p",
        "--from",
        verdicts(
            tmp_path / "v.jsonl",
            {"sample": "a", "label": "animal", "verdict": "yes"},
            {"sample": "c", "label": "animal", "verdict": "no"},
            {"sample": "f", "label": "animal", "verdict": "yes"},
            {"sample": "d", "complete": True},
        ),
    )
    assert stored["stored"] == 5
    learned = made("learn", "p", "--until", "30")
    assert (learned["version"], learned["from_version"]) == (1, 0)
    assert set(learned) >= {"version", "from_version", "corrections", "steps", "seconds", "changed"}
    assert [step["version"] for step in made("versions", "p")["versions"]] == [1]
    told = made("next", "p", "-k", "2")
    row = told["next"][0]
    assert set(row) == {"sample", "picker", "reason", "score"}
    assert row["picker"] == "stages"
    assert set(told["asks"]) == {each["sample"] for each in told["next"]}
    assert all(told["asks"].values())
    assert set(told["forecast"]) == {"answers", "gain", "error", "compared", "text"}
    assert learned["forecast"]["answers"] == 100
    assert made("next", "p", "--picker", "rarity")["next"][0]["reason"].startswith("perhaps ")
    truth = verdicts(
        tmp_path / "truth.jsonl",
        {"sample": "b", "label": "animal", "verdict": "yes"},
        {"sample": "e", "label": "animal", "verdict": "no"},
    )
    report = made("evaluate", "p", "--split", truth)
    assert report["n"] == 2
    assert report["mAP"] == 1.0
    assert set(report) >= {"mAP", "CF1", "OF1", "ap", "coverage", "mean_set_size", "ece", "n"}


def test_the_truth_is_a_split_or_else_a_file_of_any_name(
    made: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [{"sample": name, "label": "animal", "verdict": "yes"} for name in "ab"]
    rows += [{"sample": name, "label": "animal", "verdict": "no"} for name in "cde"]
    # A file may be called like a split, or like nothing that is a file's name elsewhere.
    for name in ("truth", ".truth", "train", "truth.jsonl"):
        verdicts(tmp_path / name, *rows)
    for name in ("truth", ".truth", "./train", "truth.jsonl", str(tmp_path / "truth")):
        report = made("evaluate", "p", "--split", name)
        assert (report["split"], report["n"], report["pairs"]) == ("file", 5, 5), name
    made("correct", "p", "--from", verdicts(tmp_path / "mine", VERDICT))
    report = made("evaluate", "p", "--split", "train")
    assert (report["split"], report["n"]) == ("train", 1), "no file takes the place of a split"
    for name, sentence in (
        ("moon", "unknown split 'moon'; known are held-back, train, val, test, or a file"),
        ("moon.jsonl", "there is no file moon.jsonl"),
        ("there/moon", "there is no file there/moon"),
        ("x" * 300, "unknown split 'xxx"),
        ("x" * 300 + ".jsonl", "there is no file xxx"),
    ):
        status, said = made("evaluate", "p", "--split", name)
        assert (status, sentence in said) == (1, True), said


def test_evaluation_by_slice_and_as_tables(made: Call, tmp_path: Path) -> None:
    told = {"a": "yes", "b": "yes", "c": "no", "d": "no", "e": "no", "f": "yes"}
    truth = verdicts(
        tmp_path / "truth.jsonl",
        *({"sample": name, "label": "animal", "verdict": said} for name, said in told.items()),
    )
    made("correct", "p", "--from", truth)
    report = made("evaluate", "p", "--split", "train", "--by", "label", "--out", tmp_path / "out")
    assert (report["n"], report["pairs"], report["unknown"]) == (6, 6, "masked")
    assert set(report["f1"]) == {"threshold", "top-3", "best-threshold"}
    assert report["CF1"] == report["f1"]["threshold"]["CF1"]
    assert [(one["name"], one["n"]) for one in report["slices"]] == [("animal", 3)]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == report["written"]
    assert "labels.csv" in report["written"]
    assert "slices.csv" in report["written"]
    whole = made("evaluate", "p", "--split", "train", "--unknown", "no")
    assert (whole["pairs"], whole["unknown"]) == (12, "no")
    sliced = made("evaluate", "p", "--split", "train", "--filter", "label:animal:yes")
    assert (sliced["n"], sliced["slice"], sliced["mAP"]) == (3, ["label:animal:yes"], None)
    status, said = made("evaluate", "p", "--split", "train", "--filter", "colour:red")
    assert (status, "'colour:red' cannot be read" in said) == (1, True)


def test_a_threshold_decides_what_is_suggested(made: Call) -> None:
    def said(sample: str) -> dict[str, bool]:
        (row,) = made("suggest", "p", "--ids", sample)["suggestions"]
        return {one["label"]: one["suggested"] for one in row["suggestions"]}

    before = made("suggest", "p", "--ids", "d")["suggestions"][0]["suggestions"]
    assert said("d") == {one["label"]: one["score"] > 0 for one in before}
    made("labels", "p", "threshold", "food", "0")
    assert said("d")["food"]
    made("labels", "p", "threshold", "food", "1")
    assert not said("d")["food"]


def test_thresholds_are_set_and_undone(made: Call) -> None:
    found = made("labels", "p", "threshold", "food", "0.3")["labels"]
    assert {row["name"]: row["threshold"] for row in found} == {"animal": None, "food": 0.3}
    for value, words in (("high", "from 0 to 1 or none"), ("1.5", "from 0 to 1, not 1.5")):
        status, said = made("labels", "p", "threshold", "food", value)
        assert (status, words in said) == (1, True)
    assert made("undo", "p")["action"]["kind"] == "set thresholds"
    assert [row["threshold"] for row in made("labels", "p")["labels"]] == [None, None]


def test_a_list_of_labels_may_be_longer_than_a_file_name(made: Call) -> None:
    names = [f"a label with number {number}" for number in range(30)]
    made("labels", "p", "add", ",".join(names))
    listed = [row["name"] for row in made("labels", "p", "list")["labels"]]
    assert listed[-30:] == names


def test_explain_writes_what_the_contract_says(made: Call, tmp_path: Path) -> None:
    made("explain", "p", "d", "--out", tmp_path / "d.npz")
    with np.load(tmp_path / "d.npz") as held:
        num_parts = len(held["spans"])
        assert held["plan"].shape == held["forward"].shape == (num_parts, 2)
        assert held["plan"].sum() == pytest.approx(1, abs=1e-5)
        assert held["labels"].tolist() == ["animal", "food"]
        assert held["labels"].dtype.kind == "U"
        assert held["score"].shape == (2,)
    made("explain", "p", "a", "b", "--out", tmp_path / "several")
    assert sorted(p.name for p in (tmp_path / "several").iterdir()) == ["a.npz", "b.npz"]
    status, said = made("explain", "p", "d", "--out", tmp_path / "d.png")
    assert status == 1
    assert "a text has no picture" in said


def test_search_and_out_files(made: Call, tmp_path: Path) -> None:
    hits = made("search", "p", "--text", "kitten", "-k", "2")["results"]
    assert {hit["sample"] for hit in hits} == {"a", "f"}
    assert set(hits[0]) == {"sample", "score", "parts"}
    said = ({"label": "animal", "verdict": "yes"}, {"label": "food", "verdict": "no"})
    made(
        "correct",
        "p",
        "--from",
        verdicts(tmp_path / "v.jsonl", *({"sample": "b"} | r for r in said)),
    )
    best, *rest = made("search", "p", "--query", "animal and not food", "-k", "4")["results"]
    assert (best["sample"], best["score"], 0 < len(best["parts"]) < 4) == ("b", 1.0, True)
    assert [hit["score"] for hit in rest] == sorted((hit["score"] for hit in rest), reverse=True)
    assert (len(rest), all(0 < hit["score"] < 1 for hit in rest)) == (3, True)
    made("suggest", "p", "--ids", "a", "--out", tmp_path / "s.jsonl")
    (line,) = (tmp_path / "s.jsonl").read_text().splitlines()
    assert json.loads(line)["sample"] == "a"


def test_search_by_these_but_not_those(made: Call) -> None:
    like, unlike = ("--like", "a", "f"), ("--unlike", "b")
    hits = made("search", "p", *like, *unlike)["results"]
    assert {hit["sample"] for hit in hits} == set("cde")
    assert hits != made("search", "p", *like)["results"]
    status, said = made("search", "p", *unlike, "--text", "cat")
    assert (status, "is like others; say which these are" in said) == (1, True)
    status, said = made("search", "p", *like, "--unlike", "f")
    assert (status, "f cannot be both like and unlike" in said) == (1, True)


def test_slices_are_saved_listed_used_and_removed(made: Call, tmp_path: Path) -> None:
    truth = verdicts(tmp_path / "v.jsonl", VERDICT, VERDICT | {"sample": "c", "verdict": "no"})
    made("correct", "p", "--from", truth)
    assert made("slices", "p") == {"slices": []}
    made("slices", "p", "save", "Pets", "a", "b")
    made("slices", "p", "save", "decided", "--filter", "label:animal:yes")
    made("slices", "p", "save", "decided", "--filter", "label:animal:no")
    made("slices", "p", "save", "likely", "--query", "@pets | @decided", "-k", "9")
    told = made("slices", "p", "take", "likely", "c")["slices"]
    sizes = {row["slice"]: row["samples"] for row in told}
    assert sizes == {"Pets": 2, "decided": 2, "likely": 2}
    hits = made("search", "p", "--query", '@likely & ~"the postman"')["results"]
    assert {hit["sample"] for hit in hits} == {"a", "b"}
    report = made("evaluate", "p", "--split", "train", "--filter", "slice:pets", "--by", "slice")
    assert (report["n"], report["slice"]) == (1, ["slice:pets"])
    assert made("slices", "p", "remove", "likely")["slices"] == told[:2]
    assert made("undo", "p")["action"]["names"] == ["likely"]
    assert made("slices", "p", "list")["slices"] == told
    for words, sentence in (
        (("save", "x"), "say which samples"),
        (("save", "x", "a", "--query", "animal"), "say which samples"),
        (("save", "x", "--filter", "label:food:yes"), "no sample is like that"),
        (("save",), "slices PROJECT save NAME"),
        (("remove", "Pets", "a"), "to take samples out"),
        (("remove", "pest"), "there are 'Pets', 'decided', 'likely'"),
        (("list", "Pets"), "slices PROJECT list"),
    ):
        status, said = made("slices", "p", *words)
        assert (status, sentence in said) == (1, True), said


def test_labels_are_edited(made: Call) -> None:
    names = [label["name"] for label in made("labels", "p", "add", "travel,<b>bold</b>")["labels"]]
    assert names == ["animal", "food", "travel", "<b>bold</b>"]
    made("labels", "p", "rename", "travel", "journey")
    made("labels", "p", "describe", "journey", "going somewhere")
    made("labels", "p", "remove", "<b>bold</b>")
    found = made("labels", "p")["labels"]
    assert [(label["name"], label["definition"]) for label in found] == [
        ("animal", ""),
        ("food", ""),
        ("journey", "going somewhere"),
    ]
    status, said = made("labels", "p", "rename", "journey")
    assert (status, "labels PROJECT rename OLD NEW" in said) == (1, True)


def test_a_merge_moves_what_was_said_of_the_first_label_to_the_second(
    made: Call, tmp_path: Path
) -> None:
    made("labels", "p", "add", "pet")
    rows = (("a", "pet", "yes"), ("b", "animal", "no"), ("d", "food", "yes"))
    told = [dict(zip(("sample", "label", "verdict"), row, strict=True)) for row in rows]
    made("correct", "p", "--from", verdicts(tmp_path / "v.jsonl", *told))
    left = made("labels", "p", "merge", "pet", "animal")["labels"]
    assert [label["name"] for label in left] == ["animal", "food"]
    said = {row["sample"]: row["labels"] for row in exported(made, "p", tmp_path / "out")}
    assert {name: labels for name, labels in said.items() if labels} == {
        "a": {"animal": "yes"},
        "b": {"animal": "no"},
        "d": {"food": "yes"},
    }


def test_the_second_label_is_the_parent_of_the_first(made: Call) -> None:
    made("labels", "p", "add", "cat")
    told = {
        label["name"]: label for label in made("labels", "p", "parent", "cat", "animal")["labels"]
    }
    assert {name: label["parent"] for name, label in told.items()} == {
        "animal": None,
        "food": None,
        "cat": told["animal"]["id"],
    }
    status, said = made("labels", "p", "parent", "animal", "cat")
    assert (status, "'animal' cannot be below itself" in said) == (1, True)


def test_a_project_takes_its_labels_from_the_lines_of_a_file(call: Call, tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("ice cream\n\n  naïve, or not\n猫\n", encoding="utf-8")
    assert call("new", "p", "--labels", names, "--encoder", "words")["samples"] == 0
    found = [label["name"] for label in call("labels", "p")["labels"]]
    assert found == ["ice cream", "naïve, or not", "猫"]


def test_what_goes_out_comes_in_again(made: Call, tmp_path: Path) -> None:
    made(
        "correct",
        "p",
        "--from",
        verdicts(
            tmp_path / "v.jsonl",
            {"sample": "a", "label": "animal", "verdict": "yes"},
            {"sample": "b", "label": "food", "verdict": "unsure"},
            {"sample": "c", "label": "animal", "verdict": "no"},
        ),
    )
    report = made("export", "p", tmp_path / "out")
    assert report["samples"] == len(TEXTS)
    lost = made("export", "p", tmp_path / "table", "--format", "csv")["lost"]
    assert lost["who_and_when"] == 3, "counts by what they count"
    again = made("new", "q", "--from", tmp_path / "out", "--encoder", "words")
    assert again["samples"] == len(TEXTS)
    first, second = (
        {row["sample"]: row["labels"] for row in exported(made, project, tmp_path / project)}
        for project in "pq"
    )
    assert first == second
    assert first["a"] == {"animal": "yes"}
    assert first["b"] == {"food": "unsure"}


def test_failures_are_one_sentence_and_exit_1(made: Call, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"sample": "a"\n')
    for words, sentence in (
        (("suggest", "nosuch"), "there is no project 'nosuch'; there are: p"),
        (("correct", "p", "--from", broken), "broken.jsonl line 1 is not JSON"),
        (("correct", "p", "--from", tmp_path / "none"), "there is no file"),
        (("import", "p", tmp_path / "none"), "there is nothing at"),
        (("import", "p", tmp_path / ("x" * 300)), "cannot be opened: File name too long"),
        (("new", "x", "--encoder", "resnet"), "unknown encoder 'resnet'"),
        (("new", "p"), "there is a project in"),
        (("evaluate", "p"), "there is nothing to evaluate"),
        (("methods", "--shelf", "drawer"), "no shelf is called 'drawer'"),
        (("search", "p"), "say what to search for"),
    ):
        status, said = made(*words)
        assert status == 1, words
        assert sentence in said
        assert said.strip().count("\n") == 0, said
    with pytest.raises(SystemExit) as usage:
        main(["suggest"])
    assert usage.value.code == 2


def test_bad_files_and_values_are_one_sentence(made: Call, tmp_path: Path) -> None:
    latin = tmp_path / "latin.txt"
    latin.write_bytes("b\xfccher".encode("latin-1"))
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    (tmp_path / "nothing").mkdir()
    nowhere = tmp_path / "no" / "folder"
    for words, sentence in (
        (("correct", "p", "--from", latin), "latin.txt is not UTF-8"),
        (("correct", "p", "--from", empty), "empty.jsonl holds no verdicts"),
        (("evaluate", "p", "--split", latin), "latin.txt is not UTF-8"),
        (("new", "q", "--labels", latin), "latin.txt is not UTF-8"),
        (("new", "q", "--labels", "none.txt"), "there is no file none.txt"),
        (("labels", "p", "add"), "say: patchlane labels PROJECT add"),
        (("labels", "p", "list", "x"), "say: patchlane labels PROJECT list"),
        (("versions", "p", "list", "x"), "say: patchlane versions PROJECT list"),
        (("packs", "p", "list", "x"), "say: patchlane packs PROJECT list"),
        (("suggest", "p", "--out", nowhere / "a.jsonl"), "a.jsonl could not be written: No such"),
        (("explain", "p", "a", "--out", nowhere / "a.npz"), "a.npz could not be written: No such"),
        (("explain", "p", "a", "b", "--out", empty), "empty.jsonl could not be written"),
        (("explain", "p", "a", "b", "--out", "x.npz"), "several samples go into a folder"),
        (("search", "p", "--text", "x", "--sample", "a"), "not by text and sample"),
        (("search", "p", "--text", "x", "--query", "animal"), "not by text and query"),
        (("search", "p", "--query", "animal & fod"), "'fod' at character 10; the nearest is food"),
        (("search", "p", "--query", "(animal | food"), "'(' at character 1 is never closed"),
        (
            ("search", "p", "--text", "x", "--region", "0,0,1,1"),
            "a part of an image or of a sample",
        ),
        (("import", "p", tmp_path / "nothing"), "nothing came in; nothing: holds no pictures"),
        (("import", "p", empty), "nothing came in; empty.jsonl: holds no pictures"),
        (("new", "q", "--from", tmp_path / "nothing"), "no project was made; nothing: holds no"),
        (("new", "q", "--encoder", "words", "--from", tmp_path / "none"), "there is nothing at"),
        (("serve", "nosuch", "--no-browser"), "there is no project 'nosuch'; there are: p"),
    ):
        status, said = made(*words)
        assert status == 1, words
        assert sentence in said
        assert said.strip().count("\n") == 0, said
    assert [one["name"] for one in made("projects")["projects"]] == ["p"]
    (tmp_path / "file").touch()
    made("correct", "p", "--from", verdicts(tmp_path / "v.jsonl", VERDICT))
    status, said = made("evaluate", "p", "--split", "train", "--out", tmp_path / "file")
    assert (status, "file could not be written: File exists" in said) == (1, True), said


def test_a_new_project_whose_import_is_stopped_keeps_what_came_in(
    call: Call, texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = Intake._take_batch

    def take_and_stop(intake: Intake, items: list[Any]) -> None:
        take(intake, items)
        raise KeyboardInterrupt

    monkeypatch.setattr(Intake, "_take_batch", take_and_stop)
    status, said = call("new", "q", "--from", texts, "--encoder", "words")
    assert (status, said.strip()) == (1, "patchlane: stopped")
    (left,) = call("projects")["projects"]
    assert (left["name"], left["samples"]) == ("q", len(TEXTS))


def test_an_import_fails_where_nothing_of_it_is_in_the_project(made: Call, tmp_path: Path) -> None:
    """The same file again changes nothing and is no failure, though a line of it cannot come in."""
    rows = tmp_path / "rows.csv"
    rows.write_text("file,animal\na,1\nz,1\n")
    for stored in (1, 0):
        told = made("import", "p", rows)
        assert (told["annotations"], told["matched"], told["skipped"]) == (stored, 1, 1)
    rows.write_text("file,animal\nz,1\n")
    assert made("import", "p", rows)[0] == 1


def test_names_command_no_terminal(
    made: Call, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """Escapes and marks of direction are told, not sent; other letters stay as they are."""
    rows = tmp_path / "rows.jsonl"
    name = "naïve 猫 \u202egnp \x1b[31m"
    rows.write_text(json.dumps({"sample": name, "text": "a text", "labels": [name]}))
    assert made("import", "p", rows, "--create-labels")["imported"] == 1
    for words in (
        ("suggest", "p"),
        ("import", "p", str(rows)),
        ("suggest", "p", "--ids", name + "x"),
    ):
        main(words)
        said = "".join(capsys.readouterr())
        assert "naïve 猫 \\u202egnp \\x1b[31m" in said or words[0] == "import"
        assert not {"\x1b", "\u202e"} & set(said)
    assert made("suggest", "p", "--ids", name)["suggestions"][0]["sample"] == name


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("search", "p", "--text", "x", "-k", "0"), "say a whole number above 0, not '0'"),
        (("next", "p", "-k", "-3"), "say a whole number above 0, not '-3'"),
        (("undo", "p", "--who", " "), "say who in 1 to 100 printable characters"),
        (("undo", "p", "--who", "a\nb"), "say who in 1 to 100 printable characters"),
    ],
)
def test_counts_and_people_are_checked(
    words: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(SystemExit) as usage:
        main(words)
    assert usage.value.code == 2
    assert sentence in capsys.readouterr().err


def test_files_of_names_and_verdicts_may_begin_with_a_mark(made: Call, tmp_path: Path) -> None:
    """Some programs write U+FEFF before UTF-8; it belongs to no name."""
    names = tmp_path / "names.txt"
    names.write_text("storm\nhail\n", encoding="utf-8-sig")
    found = made("labels", "p", "add", names, "sleet,fog")["labels"]
    assert [label["name"] for label in found][-4:] == ["storm", "hail", "sleet", "fog"]
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps(VERDICT) + "\n", encoding="utf-8-sig")
    assert made("correct", "p", "--from", rows)["stored"] == 1


def test_methods_lists_the_catalogue(call: Call) -> None:
    found = call("methods", "--shelf", "aligners")["methods"]
    names = {entry["key"].removeprefix("aligners/") for entry in found}
    layered = "layered_transport"
    assert names == {"attention", "cosine", layered, "maxsim", "sinkhorn", "transport"}
    assert all("; " in entry["what"] or ": " in entry["what"] for entry in found), "how it fails"


def test_doctor_says_what_is_there(call: Call) -> None:
    found = call("doctor")
    if isinstance(found, tuple):
        pytest.fail(found[1])
    assert set(found) >= {"versions", "devices", "encoders", "database", "problems"}
    assert found["encoders"]["words"] == "ready"


def test_a_reader_that_stops_early_is_no_error() -> None:
    command = [sys.executable, "-m", "backend", "methods", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()  # before anything was written
        said = process.stderr.read()
        assert process.wait() == 0
    assert said == b""


def test_every_promised_verb_is_there() -> None:
    (verbs,) = (action.choices for action in parser()._actions if action.choices)
    promised = "demo new serve import labels suggest explain correct learn next search evaluate"
    promised += " versions export methods reproduce bench doctor"
    assert set(promised.split()) <= set(verbs or ())


def test_samples_are_removed_brought_back_and_forgotten_for_good(
    made: Call, tmp_path: Path
) -> None:
    def names() -> set[str]:
        return {row["sample"] for row in made("suggest", "p")["suggestions"]}

    secret = TEXTS["a"].encode()
    folder = tmp_path / "home" / "p"
    said = verdicts(tmp_path / "v.jsonl", {"sample": "a", "label": "animal", "verdict": "yes"})
    made("correct", "p", "--from", said)
    assert made("remove", "p", "a", "b")["removed"] == 2
    assert names() == set(TEXTS) - {"a", "b"}
    done = made("undo", "p")
    assert (done["action"]["kind"], done["action"]["samples"]) == ("remove samples", 2)
    assert names() == set(TEXTS)
    assert made("undo", "p", done["op"])["action"]["names"] == ["a", "b"]
    assert names() == set(TEXTS) - {"a", "b"}
    assert any(secret in file.read_bytes() for file in folder.rglob("*") if file.is_file())
    report = made("compact", "p")
    assert (report["samples"], report["labels"], report["corrections"]) == (2, 0, 4)
    assert not any(secret in file.read_bytes() for file in folder.rglob("*") if file.is_file())
    status, words = made("undo", "p", "--who", "nobody")
    assert (status, words) == (1, "patchlane: there is nothing of 'nobody' to take back\n")


def test_audit_finds_accepts_and_dismisses_by_key(made: Call, tmp_path: Path) -> None:
    more = tmp_path / "more.jsonl"
    rows = [{"sample": f"{name}2", "text": f"  {TEXTS[name].upper()}."} for name in "ab"]
    more.write_text("".join(json.dumps(row) + "\n" for row in rows))
    made("import", "p", more)
    found = made("audit", "p")
    assert any("no label has a YES or NO yet" in note for note in found["notes"])
    assert found["counts"] == {"label": 0, "duplicate": 2, "ambiguous": 0, "import": 0}
    copies = {row["sample"]: row for row in found["suspects"]}
    assert copies["a"]["copies"] == ["a2"]
    assert copies["a"]["reason"].startswith("2 copies, 100% alike")
    assert len(made("audit", "p", "-k", "1")["suspects"]) == 1

    left = made("audit", "p", "--kind", "duplicate", "--dismiss", copies["b"]["key"])
    assert left["dismissed"]["findings"] == 1
    assert [row["sample"] for row in left["suspects"]] == ["a"]
    left = made("audit", "p", "--accept", copies["a"]["group"])
    assert left["accepted"]["findings"] == 1
    assert left["suspects"] == []
    assert left["dismissed_before"] == 1
    made("undo", "p")
    assert [row["sample"] for row in made("audit", "p")["suspects"]] == ["a"]
    made("undo", "p")
    assert made("audit", "p")["counts"]["duplicate"] == 2
    status, said = made("audit", "p", "--accept", "label:1:2:yes")
    assert status == 1
    assert "no finding 'label:1:2:yes'" in said


def test_encode_says_what_it_could_not_read(
    call: Call, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(2):
        Image.new("RGB", (32, 32), (90 * number, 9, 9)).save(folder / f"{number}.png")
    call("new", "pictures", "--from", folder)
    project = tmp_path / "home" / "pictures"
    shutil.rmtree(project / "cache")
    damaged = next(file for file in (project / "media").rglob("*") if file.is_file())
    damaged.write_bytes(b"no picture")
    assert main(["encode", "pictures", "--json"]) == 0
    said = capsys.readouterr()
    told = json.loads(said.out)
    assert (told["encoded"], told["unreadable"]) == (1, 1)
    assert re.search(r"1 of 2 samples cannot be read: [01]\.png", said.err)


def test_projects_are_removed_restored_and_deleted(made: Call) -> None:
    gone = made("projects", "remove", "p")
    assert gone["projects"] == []
    assert [one["name"] for one in gone["removed"]] == ["p"]
    (back,) = made("projects", "restore", "p")["projects"]
    assert (back["name"], back["samples"], back["encoded"]) == ("p", len(TEXTS), None)
    key = made("projects", "remove", "p")["removed"][0]["key"]
    assert made("projects", "delete", "p")[0] == 1, "by its key only"
    assert made("projects", "delete", key)["removed"] == []
    status, words = made("projects", "delete")
    assert (status, words) == (1, "patchlane: say: patchlane projects delete NAME\n")


def test_a_second_process_learns_while_the_first_is_open(made: Call, tmp_path: Path) -> None:
    from backend import api

    first = api.open_project("p")
    first.correct([{"sample": "a", "label": "animal", "verdict": "yes"}])
    first.correct([{"sample": "c", "label": "animal", "verdict": "no"}])
    first.correct([{"sample": "b", "label": "animal", "verdict": "yes"}])
    done = subprocess.run(
        [sys.executable, "-m", "backend", "learn", "p", "--json"],
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ),
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["version"] == 1
    first.correct([{"sample": "d", "label": "animal", "verdict": "no"}])
    report = first.learn()
    assert (report.version, report.from_version) == (2, 1)
    first.close()


@pytest.mark.parametrize("wrong", ["soon", "0", "-3", "nan", "inf"])
def test_learn_until_takes_converged_or_seconds(wrong: str, capsys: pytest.CaptureFixture) -> None:
    assert parser().parse_args(["learn", "p", "--until", "converged"]).until is None
    assert parser().parse_args(["learn", "p", "--until", "2.5"]).until == 2.5
    with pytest.raises(SystemExit) as stopped:
        parser().parse_args(["learn", "p", f"--until={wrong}"])
    assert stopped.value.code == 2
    assert "say converged or a number of seconds" in capsys.readouterr().err


def test_versions_are_compared_and_brought_back(made: Call, tmp_path: Path) -> None:
    def scores() -> dict[str, float]:
        (told,) = made("suggest", "p", "--ids", "a")["suggestions"]
        return {each["label"]: each["score"] for each in told["suggestions"]}

    for number, sample in enumerate("abef"):
        row = {"sample": sample, "label": "food", "verdict": "yes"}
        made("correct", "p", "--from", verdicts(tmp_path / f"{number}.jsonl", row))
        made("learn", "p")
        if number == 0:
            first = scores()
    assert scores()["food"] > first["food"]
    changes = made("versions", "p", "diff", "1", "4")["changed"]
    assert changes, "three more YES suggest food where nothing did"
    assert all(change["gained"] == ["food"] for change in changes)
    back = made("versions", "p", "revert", "1")
    assert [step["kind"] for step in back["versions"]] == ["fold"] * 4 + ["revert"]
    assert scores() == first
    out = made("versions", "p", "export", "4", tmp_path / "v4.safetensors")
    assert Path(out["file"]).stat().st_size > 0
    status, said = made("versions", "p", "revert", "nine")
    assert status == 1
    assert "'nine'" in said


def test_packs_are_told_moved_and_muted(made: Call) -> None:
    told = made("packs", "p")
    assert "heads alone" in told["lanes"]
    assert [pack["labels"] for pack in told["packs"]] == [["animal", "food"]]
    made("packs", "p", "move", "food", "kitchen")
    made("packs", "p", "mute", "kitchen")
    told = {pack["name"]: pack["is_muted"] for pack in made("packs", "p")["packs"]}
    assert told == {"main": False, "kitchen": True}
    status, said = made("packs", "p", "teach", "main")
    assert status == 1
    assert "heads alone" in said


def test_a_guide_is_told_kept_and_written(made: Call, tmp_path: Path) -> None:
    rows = [{"sample": name, "label": "animal", "verdict": "yes"} for name in "abf"]
    made("correct", "p", "--from", verdicts(tmp_path / "v.jsonl", *rows))
    (told,) = made("guide", "p", "animal")["guides"]
    assert (told["label"], told["yes"], told["missing"], told["edition"]) == ("animal", 3, 17, None)
    assert [each["label"] for each in made("guide", "p")["guides"]] == ["animal", "food"]
    (kept,) = made("guide", "p", "animal", "--keep", "--who", "ann")["guides"]
    assert (kept["edition"]["number"], kept["edition"]["who"], kept["changes"]) == (1, "ann", [])
    page = tmp_path / "out" / "guide.html"
    assert made("guide", "p", "--out", page) == {"written": str(page), "labels": 2, "pictures": 0}
    assert "Not enough evidence: 3 of 20 verdicts" in page.read_text("utf-8")
    status, said = made("guide", "p", "--out", tmp_path / "guide.pdf")
    assert status == 1
    assert "a guide is written as .html or .md, not 'guide.pdf'" in said
    status, said = made("guide", "p", "boats")
    assert status == 1
    assert "there is no label 'boats'" in said


def test_contradictory_rows_of_one_file_are_named_and_the_last_counts(
    made: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        {"sample": "a", "label": "animal", "verdict": word} for word in ("yes", "unsure", "no")
    ] + [{"sample": "b", "label": "animal", "verdict": "yes"}] * 2
    file = verdicts(tmp_path / "both.jsonl", *rows)
    capsys.readouterr()
    assert made("correct", "p", "--from", file)["contradicted"] == 1
    (told,) = made("guide", "p", "animal")["guides"]
    assert (told["yes"], told["no"], told["unsure"]) == (1, 1, 0)
    status = main(["correct", "p", "--from", str(file)])
    assert status == 0
    said = capsys.readouterr().err
    assert "1 pair has different verdicts in this file, and the last one counts" in said
    assert "'animal' on 'a': yes, then unsure, then no" in said


def test_the_drawer_and_what_is_certain_are_told_and_accepted(made: Call, tmp_path: Path) -> None:
    told = made("certain", "p")
    assert "no calibration drawer" in told["why"]
    assert told["certified"] == 0
    status, sentence = made("drawer", "p", "open")
    assert status == 1
    assert "90% needs 9 decided samples, and half of the 6 training samples are too few" in sentence
    status, sentence = made("drawer", "p", "open", "--level", "0.8", "--share", "1")
    assert status == 1
    told = made("drawer", "p", "open", "--share", "1")
    assert (told["members"], told["counted"]) == (len(TEXTS), 0)
    assert told["need"]["0.8"] == 4
    assert [row["sample"] for row in told["next"]] == [
        row["sample"] for row in made("drawer", "p")["next"]
    ]
    status, sentence = made("certain", "p", "--accept", "--level", "0.8")
    assert status == 1
    assert "4 more decided samples" in sentence
    status, sentence = made("certain", "p", "--level", "1.5")
    assert status == 1
    assert "between 0.5 and 0.999" in sentence
    rows = [{"sample": name, "complete": True} for name in TEXTS]
    made("correct", "p", "--from", verdicts(tmp_path / "all.jsonl", *rows))
    told = made("drawer", "p")
    assert (told["decided"], told["counted"], told["next"]) == (len(TEXTS), len(TEXTS), [])
    told = made("certain", "p", "--level", "0.8")
    assert (told["why"], told["counted"]) == ("", len(TEXTS))
    assert made("drawer", "p", "close")["members"] == 0
