"""JSON lines: our own form, what people have, and what is refused with its line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from backend.settings import Limits
from backend.types import Region, RegionVerdict, Split, Verdict
from tests.reading import chosen, picture, read


def write(path: Path, *rows: object) -> Path:
    path.write_text(
        "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows),
        encoding="utf-8",
    )
    return path


def test_our_own_form_says_everything(tmp_path: Path) -> None:
    picture(tmp_path / "media" / "7.png")
    path = write(
        tmp_path / "annotations.jsonl",
        {
            "sample": "7.jpg",
            "image": "media/7.png",
            "split": "val",
            "labels": {"night": "yes", "rain": "no", "fog": "unsure"},
            "who": "ann",
            "when": "2026-01-02T03:04:05+00:00",
            "names": ["copy of 7.jpg"],
            "regions": [
                {"label": "night", "verdict": "yes", "box": [0.19, 0.15, 0.3, 0.4]},
                {"label": "rain", "verdict": "no", "polygon": [[0, 0], [1, 0], [0.5, 1]]},
            ],
            "metadata": {"caption": "Wet road"},
        },
    )
    drafts, problems = read("jsonl", path)
    draft = drafts["7.jpg"]
    assert problems == {}
    assert draft.path == tmp_path / "media" / "7.png"
    assert draft.verdicts == {"night": Verdict.YES, "rain": Verdict.NO, "fog": Verdict.UNSURE}
    assert (draft.split, draft.who, draft.when) == (Split.VAL, "ann", 1767323045.0)
    assert draft.names == ("copy of 7.jpg",)
    assert draft.metadata == {"caption": "Wet road"}
    assert draft.regions == (
        RegionVerdict("night", Verdict.YES, Region("box", (0.19, 0.15, 0.3, 0.4))),
        RegionVerdict("rain", Verdict.NO, Region("polygon", (0, 0, 1, 0, 0.5, 1))),
    )
    assert not draft.only_present


def test_lists_of_labels_say_what_is_present(tmp_path: Path) -> None:
    path = write(
        tmp_path / "data.jsonl",
        {"text": "one", "labels": ["a", {"label": "b"}, {"label": "c", "verdict": "no"}]},
        {"text": "two", "labels": []},
        {"text": "three", "label": "d"},
        {"text": "four"},
        {"id": 17, "text": "five", "labels": {"a": True, "b": 0, "c": None}},
    )
    drafts, problems = read("jsonl", path)
    assert problems == {}
    assert list(drafts) == [*(f"data.jsonl:{n}" for n in range(1, 5)), "17"]
    assert drafts["data.jsonl:1"].verdicts == {"a": "yes", "b": "yes", "c": "no"}
    assert drafts["data.jsonl:1"].only_present
    assert drafts["data.jsonl:2"].only_present, "an empty list says that nothing is present"
    assert drafts["data.jsonl:3"].verdicts == {"d": "yes"}
    assert not drafts["data.jsonl:4"].only_present
    assert drafts["17"].verdicts == {"a": "yes", "b": "no"}


def test_only_what_was_accepted_carries_labels(tmp_path: Path) -> None:
    options = [{"id": "night", "text": "Night!"}, {"id": "rain", "text": "rain"}]
    numbered = [{"id": 1, "text": "fog"}, {"id": 2, "text": "snow"}]
    asked = {"start": 0, "end": 3, "label": "PLACE", "token_start": 0, "token_end": 0}
    path = write(
        tmp_path / "tasks.jsonl",
        {"id": "choice", "text": "x", "options": options, "accept": ["rain"], "answer": "accept"},
        {"id": "none", "text": "x", "options": options, "accept": [], "answer": "accept"},
        {"id": "numbers", "text": "x", "options": numbered, "accept": [2], "answer": "accept"},
        {"id": "binary", "text": "x", "label": "X", "answer": "accept", "_annotator_id": "ann"},
        {"id": "span", "text": "Oslo now", "spans": [asked], "answer": "accept"},
        {"id": "rejected", "text": "x", "label": "X", "answer": "reject", "meta": {"n": 1}},
        {"id": "no-span", "text": "Oslo now", "spans": [asked], "answer": "reject"},
        {"id": "passed", "text": "x", "options": options, "accept": ["rain"], "answer": "ignore"},
        {"id": "open", "text": "x", "options": options, "accept": ["night"]},
        {"id": "wrong", "text": "x", "options": options, "accept": ["hail"], "answer": "accept"},
        {"id": "nothing", "text": "x", "answer": "reject"},
        {"id": "quiz", "text": "x", "label": "X", "answer": "Oslo"},
    )
    drafts, problems = read("jsonl", path)
    taken = {name: dict(draft.verdicts) for name, draft in drafts.items() if draft.verdicts}
    assert taken == {
        "choice": {"rain": "yes"},
        "numbers": {"snow": "yes"},
        "binary": {"X": "yes"},
        "span": {"PLACE": "yes"},
        "quiz": {"X": "yes"},
    }
    assert len(drafts) == 12, "every text comes in"
    present = {name for name, draft in drafts.items() if draft.only_present}
    assert present == {"choice", "none", "numbers", "binary", "span", "wrong", "quiz"}
    assert [r.region.points for r in drafts["span"].regions] == [(0, 3)]
    assert drafts["no-span"].regions == ()
    assert drafts["binary"].who == "ann"
    assert drafts["rejected"].metadata == {"answer": "reject", "meta": {"n": 1}}
    assert drafts["quiz"].metadata == {"answer": "Oslo"}
    assert problems["tasks.jsonl"].split(" | ") == [
        "line 6: its answer is reject, so these labels of it are not taken: 'X'",
        "line 7: its answer is reject, so these labels of it are not taken: 'PLACE'",
        "line 8: its answer is ignore, so these labels of it are not taken: 'rain'",
        "line 9: it has no answer, so these labels of it are not taken: 'night'",
        "line 10: the accepted 'hail' is none of its options",
    ]


@pytest.mark.parametrize(
    ("accepted", "named"),
    [([["x"], "x", ["x"]], "['x'], 'x'"), ([{"id": "n"}], "{'id': 'n'}"), ({"a": []}, "{'a': []}")],
)
def test_an_answer_that_is_no_name_stops_no_other_row(
    tmp_path: Path, accepted: object, named: str
) -> None:
    path = write(
        tmp_path / "tasks.jsonl",
        {"id": "odd", "text": "x", "answer": "reject", "accept": accepted},
        {"id": "next", "text": "y", "label": "X", "answer": "accept"},
    )
    drafts, problems = read("jsonl", path)
    assert {name: dict(draft.verdicts) for name, draft in drafts.items()} == {
        "odd": {},
        "next": {"X": "yes"},
    }
    told = "line 1: its answer is reject, so these labels of it are not taken: "
    assert problems == {"tasks.jsonl": told + named}


def test_shapes_in_pixels_are_regions_of_accepted_pictures(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", size=(40, 20))
    corners = [[10, 5], [10, 15], [30, 15], [30, 5]]
    rect = {"label": "cup", "type": "rect", "points": corners}
    spans = [
        {**rect, "x": 10, "y": 5, "width": 20, "height": 10, "center": [20, 10]},
        {"label": "cup", "type": "polygon", "points": [[0, 0], [40, 0], [20, 20]]},
        rect,
    ]
    row = {"image": "a.png", "width": 40, "height": 20, "answer": "accept", "spans": spans}
    drafts, problems = read("jsonl", write(tmp_path / "shapes.jsonl", row))
    assert problems == {}
    found = drafts["a.png"].regions
    assert [(r.label, r.verdict, r.region.kind, r.region.points) for r in found] == [
        ("cup", "yes", "box", (0.25, 0.25, 0.5, 0.5)),
        ("cup", "yes", "polygon", (0, 0, 1, 0, 0.5, 1)),
        ("cup", "yes", "box", (0.25, 0.25, 0.5, 0.5)),
    ]


def test_image_folders_of_several_splits_come_with_their_labels(tmp_path: Path) -> None:
    """The same file name in each split is another picture; names are relative to the folder."""
    for split, label in (("train", "night"), ("val", "rain")):
        picture(tmp_path / "data" / split / "a" / "7.png")
        write(
            tmp_path / "data" / split / "metadata.jsonl",
            {"file_name": "a/7.png", "labels": [label]},
            {"file_name": "../../../etc/passwd", "labels": [label]},
            "not json",
        )
    picture(tmp_path / "data" / "train" / "alone.png")
    write(tmp_path / "data" / "train" / "other.jsonl", {"file_name": "a/7.png", "labels": ["no"]})
    assert chosen(tmp_path) == "jsonl"
    drafts, problems = read("jsonl", tmp_path)
    assert {name: set(draft.verdicts) for name, draft in drafts.items()} == {
        "data/train/a/7.png": {"night"},
        "data/val/a/7.png": {"rain"},
        "data/train/alone.png": set(),
    }
    assert drafts["data/val/a/7.png"].path == tmp_path / "data" / "val" / "a" / "7.png"
    assert [drafts[f"data/{split}/a/7.png"].split for split in ("train", "val")] == ["train", "val"]
    assert set(problems) == {"data/train/metadata.jsonl", "data/val/metadata.jsonl"}
    for told in problems.values():
        assert "line 2: the path" in told
        assert "leaves its folder" in told
        assert "line 3: is not JSON" in told


def test_rows_of_correct_are_verdicts_on_samples_that_are_there(tmp_path: Path) -> None:
    path = write(tmp_path / "c.jsonl", {"sample": "7.jpg", "label": "a", "verdict": "unsure"})
    draft = read("jsonl", path)[0]["7.jpg"]
    assert (draft.path, draft.text, draft.verdicts) == (None, None, {"a": "unsure"})
    assert chosen(path) == "jsonl"


def test_pixel_boxes_become_regions_and_make_their_label_present(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", size=(40, 20))
    boxes = [
        {"label": "cup", "xywh": [10, 5, 20, 10]},
        {"label": "cup", "xywh": [-4, 0, 8, 30], "crowd": True},
        {"label": "far", "xywh": [50, 5, 5, 5]},
        {"label": "flat", "xywh": [1, 1, 0, 5]},
        {"label": "nan", "xywh": [1, 1, "x", 5]},
    ]
    path = write(
        tmp_path / "annotations.jsonl",
        {"file": "a.png", "labels": ["plate"], "boxes": boxes[:1], "width": 80, "height": 20},
        {"sample": "same", "file": "a.png", "boxes": boxes},
        {"sample": "elsewhere", "boxes": boxes[:1]},
    )
    drafts, problems = read("jsonl", path)
    assert drafts["a.png"].regions[0].region.points == (10 / 80, 0.25, 20 / 80, 0.5)
    assert drafts["a.png"].verdicts == {"plate": "yes", "cup": "yes"}
    points = [r.region.points for r in drafts["same"].regions]
    assert points == [(0.25, 0.25, 0.5, 0.5), (0, 0, 0.1, 1)], "the file's size; cut to the picture"
    assert drafts["same"].only_present
    reason = problems["annotations.jsonl"]
    assert "line 2: the box [50.0, 5.0, 5.0, 5.0] is outside the picture" in reason.replace(
        "[50, 5, 5, 5]", "[50.0, 5.0, 5.0, 5.0]"
    )
    assert reason.count("line 2") == 3
    assert "line 3: the box is in pixels and the picture's size is not known" in reason


def test_spans_are_characters_of_the_text(tmp_path: Path) -> None:
    spans = [
        {"label": "day", "start": 3, "end": 10},
        {"label": "late", "start": 9, "end": 99},
        {"label": "empty", "start": 4, "end": 4},
        {"label": "half", "start": 0.5, "end": 2},
        {"label": "none"},
    ]
    path = write(tmp_path / "d.jsonl", {"text": "on 🌧 Tuesday", "labels": ["x"], "spans": spans})
    drafts, problems = read("jsonl", path)
    (region,) = drafts["d.jsonl:1"].regions
    assert (region.label, region.region) == ("day", Region("span", (3.0, 10.0)))
    assert drafts["d.jsonl:1"].verdicts == {"x": "yes", "day": "yes"}
    assert problems["d.jsonl"].count("line 1") == 4


@pytest.mark.parametrize(
    ("claimed", "words"),
    [
        ("../../etc/passwd", "leaves its folder"),
        ("images/../../x.png", "leaves its folder"),
        ("/etc/passwd", "is absolute"),
        ("file:///etc/passwd", "is an address"),
        ("http://example.org/x.png", "is an address"),
        ("data:image/png;base64,AAAA", "is an address"),
        ("..\\..\\x.png", "leaves its folder"),
        ("C:\\x.png", "is absolute"),
        ("\\\\server\\x.png", "is absolute"),
        ("a\0b.png", "zero character"),
        ("x" * 5000, "the limit is 4,096"),
        ("linked.png", "is a link; use --follow-links"),
        ("linked/secret.png", "is a link; use --follow-links"),
        ("text.png", "not an image that is taken"),
        ("empty.png", "is empty (0 bytes)"),
        ({"a": 1}, "give a text"),
    ],
)
def test_paths_that_lead_elsewhere_are_refused_with_their_line(
    tmp_path: Path, claimed: object, words: str
) -> None:
    outside = picture(tmp_path / "outside" / "secret.png")
    root = tmp_path / "root"
    picture(root / "good.png")
    (root / "linked.png").symlink_to(outside)
    (root / "linked").symlink_to(outside.parent)
    (root / "text.png").write_text("just a text")
    (root / "empty.png").write_bytes(b"")
    path = write(root / "a.jsonl", {"file": "good.png"}, {"file": claimed, "labels": ["x"]})
    drafts, problems = read("jsonl", path)
    assert set(drafts) == {"good.png"}
    assert list(problems) == ["a.jsonl"]
    assert problems["a.jsonl"].startswith("line 2: ")
    assert words in problems["a.jsonl"]


def test_paths_are_found_however_they_are_written(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.png")
    for claimed in (
        "images/a.png",
        "./images/a.png",
        "images\\a.png",
        "images//a.png",
        str(tmp_path / "images" / "a.png"),
    ):
        path = write(tmp_path / "a.jsonl", {"file": claimed})
        drafts, problems = read("jsonl", path)
        assert (list(drafts), problems) == (["images/a.png"], {}), claimed
        assert drafts["images/a.png"].path == tmp_path / "images" / "a.png"


def test_hostile_sample_names_are_refused(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.jsonl",
        *(
            {"sample": name, "text": "x"}
            for name in ("../../x", "/x", "a/../../b", " ", ["a"], True, "<b>fine</b>")
        ),
    )
    drafts, problems = read("jsonl", path)
    assert set(drafts) == {"<b>fine</b>"}
    assert problems["a.jsonl"].count("line ") == 6


def test_broken_lines_are_named_and_the_rest_is_kept(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.jsonl",
        '\ufeff{"text": "with a mark"}',
        '{"text": "cut',
        '{"text": "nan", "score": NaN}',
        '{"text": "infinite", "x": Infinity}',
        "[" * 5000 + "]" * 5000,
        '{"text": "half \\ud83d"}',
        "[1, 2]",
        "",
        '{"labels": ["no sample"]}',
        '{"text": "   "}',
        '{"text": "fine", "split": "holdout", "labels": {"a": "maybe", "": "yes", "b": "no"}}',
        '{"text": "long label", "labels": ["' + "x" * 201 + '"]}',
        '{"text": "metadata", "metadata": 3}',
        '{"text": "last"}',
    )
    drafts, problems = read("jsonl", path)
    assert [d.text for d in drafts.values()] == ["with a mark", "fine", "long label", "last"]
    assert drafts["a.jsonl:11"].verdicts == {"b": "no"}
    told = problems["a.jsonl"].split(" | ")
    assert [one.split(":")[0] for one in told] == [
        *(f"line {n}" for n in (2, 3, 4, 5, 6, 7, 9, 10, 11, 11, 11, 12, 13))
    ]
    assert "is not JSON" in told[0]
    assert "has 201 characters; the limit is 200" in told[-2]
    assert all(len(one) < 300 for one in told), "what is wrong is shown in short"


def test_lines_texts_and_files_have_limits(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", {"text": "a" * 11}, {"text": "b" * 1_000_500}, {"text": "c"})
    drafts, problems = read("jsonl", path, limits=Limits(text_characters=10))
    assert [d.text for d in drafts.values()] == ["c"]
    assert "line 1: the text has 11 characters; the limit is 10" in problems["a.jsonl"]
    assert "line 2: is longer than 1,000,120 bytes, the limit" in problems["a.jsonl"]
    drafts, problems = read("jsonl", path, limits=Limits(upload_bytes=1000))
    assert "a.jsonl holds more than 1,000 bytes" in problems["a.jsonl"]


def test_gzip_is_read_and_its_bombs_and_breaks_are_named(tmp_path: Path) -> None:
    rows = "".join(json.dumps({"text": f"t{n}"}) + "\n" for n in range(1500)).encode()
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(rows))
    assert chosen(path) == "jsonl"
    assert len(read("jsonl", path)[0]) == 1500
    path.write_bytes(gzip.compress(rows)[:-500])
    drafts, problems = read("jsonl", path)
    assert len(drafts) > 100
    assert "is broken or truncated" in problems["a.jsonl.gz"]
    path.write_bytes(gzip.compress(rows + b" " * 3_000_000))
    drafts, problems = read("jsonl", path, limits=Limits(upload_bytes=1_000_000))
    assert len(drafts) == 1500
    assert "the limit" in problems["a.jsonl.gz"]


def test_a_json_list_is_read_like_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps([{"text": "one", "labels": ["a"]}, 7, {"text": "two"}], indent=1))
    drafts, problems = read("jsonl", path)
    assert [d.text for d in drafts.values()] == ["one", "two"]
    assert problems["a.json"].startswith("row 2: ")
    path.write_text('[{"text": "one"},\n {"text": nope}]')
    assert read("jsonl", path)[1]["a.json"].startswith("line 2: is not JSON")


def test_a_folder_with_annotations_keeps_images_that_nobody_mentioned(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.png")
    picture(tmp_path / "images" / "b.png", (0, 0, 9))
    (tmp_path / "LICENCE").write_text("free")
    (tmp_path / "link.png").symlink_to(tmp_path / "images" / "a.png")
    write(tmp_path / "annotations.jsonl", {"file": "images/a.png", "labels": ["x"], "by": "me"})
    assert chosen(tmp_path) == "jsonl"
    drafts, problems = read("jsonl", tmp_path)
    assert {name: dict(d.verdicts) for name, d in drafts.items()} == {
        "images/a.png": {"x": "yes"},
        "images/b.png": {},
    }
    assert drafts["images/a.png"].metadata == {"by": "me"}, "unknown fields survive"
    assert set(problems) == {"link.png"}
