"""YOLO: where people put things, what lines mean, and files that are broken or mean harm."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reading import chosen, picture, read

YAML = "path: ../datasets/roads\ntrain: images/train\nval: images/val\nnames: {0: cup, 1: no}\n"


def folder(root: Path, lines: str | bytes | None, *, description: str = YAML) -> Path:
    """One picture of the training split with its text file."""
    picture(root / "images" / "train" / "a.png")
    (root / "data.yaml").write_text(description)
    if lines is not None:
        file = root / "labels" / "train" / "a.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(lines if isinstance(lines, bytes) else lines.encode())
    return root


def marks(root: Path) -> tuple[list[tuple], dict[str, str]]:
    drafts, problems = read("yolo", root)
    (draft,) = drafts.values()
    found = [
        (r.label, r.region.kind, [round(p, 9) for p in r.region.points]) for r in draft.regions
    ]
    return found, problems


def test_boxes_and_polygons_and_a_label_called_no(tmp_path: Path) -> None:
    folder(tmp_path, "1 0.5 0.5 0.25 0.5\n\n0 0 0 1 0 0.5 1\n0 0.1 0.2 0.5 0.2 0.5 0.6 0.1 0.6\n")
    assert chosen(tmp_path) == chosen(tmp_path / "data.yaml") == "yolo"
    assert marks(tmp_path) == (
        [
            ("no", "box", [0.375, 0.25, 0.25, 0.5]),
            ("cup", "polygon", [0, 0, 1, 0, 0.5, 1]),
            ("cup", "box", [0.1, 0.2, 0.4, 0.4]),
        ],
        {},
    )
    drafts, _ = read("yolo", tmp_path / "data.yaml")
    draft = drafts["images/train/a.png"]
    assert draft.path == tmp_path / "images" / "train" / "a.png"
    assert (draft.split, draft.only_present) == ("train", True)
    assert draft.verdicts == {"no": "yes", "cup": "yes"}


def test_background_is_said_and_silence_is_not(tmp_path: Path) -> None:
    folder(tmp_path, "")
    picture(tmp_path / "images" / "val" / "b.png")
    drafts, problems = read("yolo", tmp_path)
    assert problems == {}
    assert {name: (d.only_present, d.verdicts) for name, d in drafts.items()} == {
        "images/train/a.png": (True, {}),
        "images/val/b.png": (False, {}),
    }


def test_a_confidence_makes_it_a_prediction(tmp_path: Path) -> None:
    folder(tmp_path, "0 .5 .5 .2 .2 0.25\n0 .1 .1 .2 .2 0.75\n1 0 0 1 0 .5 1 0.5\n")
    (draft,) = read("yolo", tmp_path)[0].values()
    assert (draft.predictions, draft.verdicts, draft.regions) == ({"cup": 0.75, "no": 0.5}, {}, ())


def test_keypoints_are_boxes_with_more_behind_them(tmp_path: Path) -> None:
    folder(tmp_path, f"0 .5 .5 .2 .2{' .5 .5 2' * 17}\n", description=f"{YAML}kpt_shape: [17, 3]\n")
    assert marks(tmp_path) == ([("cup", "box", [0.4, 0.4, 0.2, 0.2])], {})


@pytest.mark.parametrize(
    ("image", "label", "split", "train"),
    [
        ("images/train/a.png", "labels/train/a.txt", "train", "images/train"),
        ("train/images/a.png", "train/labels/a.txt", "train", "../train/images"),
        ("valid/images/a.png", "valid/labels/a.txt", "val", "../train/images"),
        ("images/a.png", "labels/a.txt", "train", "./images"),
        ("images/a.png", "labels/a.txt", "train", "list.txt"),
        ("images/images/a.png", "images/labels/a.txt", None, "elsewhere"),
        ("deep/a.png", "deep/a.txt", "train", "[other, deep]"),
        ("images/train/images/a.png", "labels/train/images/a.txt", "train", "images/train"),
    ],
)
def test_files_are_found_where_people_put_them(
    tmp_path: Path, image: str, label: str, split: str | None, train: str
) -> None:
    picture(tmp_path / image)
    (tmp_path / label).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / label).write_text("1 .5 .5 1 1\n")
    (tmp_path / "list.txt").write_text("./images/a.png\n\n")
    (tmp_path / "data.yaml").write_text(f"train: {train}\nval: x\nnc: 2\nnames: [cup, plate]\n")
    drafts, problems = read("yolo", tmp_path)
    assert problems == {}
    assert drafts[image].split == split
    assert drafts[image].verdicts == {"plate": "yes"}


def test_names_may_be_in_a_list_of_lines(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.png")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text("1 .5 .5 1 1")
    (tmp_path / "classes.txt").write_text("cup\nplate\n")
    assert chosen(tmp_path) == "yolo"
    drafts, problems = read("yolo", tmp_path)
    assert (drafts["images/a.png"].verdicts, problems) == ({"plate": "yes"}, {})


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("7 .5 .5 1 1", "class '7' has no name"),
        ("-1 .5 .5 1 1", "class '-1' has no name"),
        ("0.5 .5 .5 1 1", "class '0.5' has no name"),
        ("x .5 .5 1 1", "'x' is not a finite number"),
        ("0 .5 .5 nan 1", "'nan' is not a finite number"),
        ("0 .5 .5 1e400 1", "'1e400' is not a finite number"),
        ("0 320 240 64 48", "is not in 0..1"),
        ("0 .5 .5 0 1", "is not x, y, width, height"),
        ("0 1.8 1.8 .2 .2", "is outside the picture"),
        ("0 .5", "has less than three points"),
        ("0", "has less than three points"),
        ("0 .1 .1 .2 .2", ""),
    ],
)
def test_a_bad_line_is_named_and_the_rest_is_kept(tmp_path: Path, line: str, words: str) -> None:
    folder(tmp_path, f"{line}\n1 .5 .5 .5 .5\n")
    found, problems = marks(tmp_path)
    assert found[-1] == ("no", "box", [0.25, 0.25, 0.5, 0.5])
    if words:
        assert len(found) == 1
        assert f"line 1: the {words}" in problems["labels/train/a.txt"] or (
            words in problems["labels/train/a.txt"] and "line 1: " in problems["labels/train/a.txt"]
        )
    else:
        assert problems == {}


def test_boxes_over_the_edge_are_cut(tmp_path: Path) -> None:
    folder(tmp_path, "0 0.9 0.5 0.4 1\n0 -0.5 0 1.5 0 0.5 1\n")
    assert marks(tmp_path)[0] == [
        ("cup", "box", [0.7, 0, 0.3, 1]),
        ("cup", "polygon", [0, 0, 1, 0, 0.5, 1]),
    ]


def test_binary_and_huge_text_files_are_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder(tmp_path, b"\x00\x01\xff" * 9)
    found, problems = marks(tmp_path)
    assert found == []
    assert "labels/train/a.txt" in problems
    monkeypatch.setattr("backend.methods.readers.yolo._MOST_LINES", 20)
    folder(tmp_path, "0 .5 .5 1 1\n" * 2)
    assert "the limit is 20" in marks(tmp_path)[1]["labels/train/a.txt"]


@pytest.mark.parametrize(
    ("description", "words"),
    [
        ("train: x\nnames: !!python/object/apply:os.system ['touch pwned']\n", ""),
        ("train: x\nnames: {0: {a: b}}\n", "give a name"),
        ("train: x\nnames: {zero: cup}\n", "where a class number is expected"),
        (f"train: x\nnames: [{'n' * 201}]\n", "the limit is 200"),
        ("train: /etc\nnames: [cup]\n", "is absolute"),
        ("train: a/../../b\nnames: [cup]\n", "leaves its folder"),
        ("train: https://example.org/x.zip\nnames: [cup]\n", ""),
        ("train: gone.txt\nnames: [cup]\n", "there is no 'gone.txt' beside it"),
    ],
)
def test_descriptions_that_are_broken_or_mean_harm(
    tmp_path: Path, description: str, words: str
) -> None:
    folder(tmp_path, None, description=description)
    drafts, problems = read("yolo", tmp_path)
    assert words in problems.get("data.yaml", "")
    assert not (tmp_path / "pwned").exists()
    if "names: [cup]" in description:
        assert list(drafts) == ["images/train/a.png"]


def test_what_is_not_a_description_is_left_to_other_readers(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    bomb = "a: &a [x,x]\n" + "".join(f"b{n}: &b{n} [*a,*a]\n" for n in range(9))
    for text in (bomb, "names: [a]\n", "- names\n", ": : :", "{" * 10_000, "train: x\n", "\x00"):
        (tmp_path / "data.yaml").write_text(text)
        assert chosen(tmp_path) == "folder"


def test_links_and_files_without_a_picture_are_named(tmp_path: Path) -> None:
    folder(tmp_path, "0 .5 .5 1 1\n")
    (tmp_path / "labels" / "train" / "gone.txt").write_text("0 .5 .5 1 1\n")
    secret = tmp_path.parent / "secret.txt"
    secret.write_text("1 .5 .5 1 1\n")
    picture(tmp_path / "images" / "train" / "b.png")
    (tmp_path / "labels" / "train" / "b.txt").symlink_to(secret)
    drafts, problems = read("yolo", tmp_path)
    assert problems["labels/train/gone.txt"] == "there is no picture of this name"
    assert "is a link" in problems["labels/train/b.txt"]
    assert drafts["images/train/b.png"].verdicts == {}


def test_a_table_that_names_other_files_says_nothing_of_ours(tmp_path: Path) -> None:
    folder(tmp_path, "0 .5 .5 1 1\n")
    table = tmp_path / "labels.csv"
    table.write_text(
        "file,sample,split,labels\n"
        '../../etc/passwd,x,train,"[""cup""]"\n'
        './.,x,train,"[""cup""]"\n'
        'images/gone.jpg,x,train,"[""cup""]"\n'
        'images/train/a.png,../../b,train,"[""cup""]"\n'
        "images/train/a.png,b,train,cup\n"
    )
    drafts, problems = read("yolo", tmp_path)
    assert "line 2: the path '../../etc/passwd' leaves" in problems["labels.csv"]
    assert "line 3: names no file" in problems["labels.csv"]
    assert {name: draft.path for name, draft in drafts.items()} == {"x": None}
    assert "leaves its folder" in problems["images/train/a.png"]
    assert "line 6: the labels 'cup' are not a JSON list" in problems["labels.csv"]
    table.write_text("name,id\na,b\n")  # of somebody else
    drafts, problems = read("yolo", tmp_path)
    assert (list(drafts), problems) == (["images/train/a.png"], {})
