"""Folders of images and texts: names, what is passed over, what is named and why."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from backend.settings import Limits
from tests.reading import chosen, picture, read


def test_images_and_texts_are_named_relative_to_the_folder(tmp_path: Path) -> None:
    picture(tmp_path / "b.png")
    picture(tmp_path / "birds" / "wren" / "1.jpg")
    (tmp_path / "note.txt").write_bytes(b"\xef\xbb\xbfcaf\xc3\xa9 <b>au lait</b>")
    (tmp_path / "wide.txt").write_bytes("breit \u202e".encode("utf-16"))
    drafts, problems = read("folder", tmp_path)
    assert list(drafts) == ["b.png", "note.txt", "wide.txt", "birds/wren/1.jpg"]
    assert drafts["birds/wren/1.jpg"].path == tmp_path / "birds" / "wren" / "1.jpg"
    assert drafts["note.txt"].text == "café <b>au lait</b>"
    assert drafts["wide.txt"].text == "breit \u202e"
    assert all(draft.verdicts == {} for draft in drafts.values()), "a folder says nothing of labels"
    assert problems == {}
    assert chosen(tmp_path) == "folder"


def test_one_file_alone_is_a_folder_of_one(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.webp")
    assert list(read("folder", path)[0]) == ["a.webp"]
    assert chosen(path) == "folder"


def test_what_nobody_brought_is_passed_over_and_the_rest_is_named(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    for name in (
        ".hidden.png",
        ".DS_Store",
        "Thumbs.db",
        "desktop.ini",
        ".git/x.png",
        "__MACOSX/a.png",
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    (tmp_path / "notes.docx").write_bytes(b"PK\3\4....")
    (tmp_path / "icon.svg").write_text("<svg onload='alert(1)'/>")
    (tmp_path / "no_suffix").write_bytes((tmp_path / "a.png").read_bytes())
    drafts, problems = read("folder", tmp_path)
    assert set(drafts) == {"a.png", "no_suffix"}, "what a file is, its bytes decide"
    assert problems == {
        "icon.svg": "is not an image or a .txt file",
        "notes.docx": "is not an image or a .txt file",
    }


def test_broken_images_and_texts_are_named_and_the_rest_is_kept(tmp_path: Path) -> None:
    good = picture(tmp_path / "good.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(good[: len(good) // 2])
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "html.jpg").write_text("<html><script>alert(1)</script></html>")
    (tmp_path / "void.txt").write_text(" \n")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    (tmp_path / "binary.txt").write_bytes(b"a\0b")
    (tmp_path / "long.txt").write_text("x" * 101)
    picture(tmp_path / "large.png", size=(60, 60))
    drafts, problems = read("folder", tmp_path, limits=Limits(text_characters=100, pixels=3599))
    assert set(drafts) == {"good.jpg"}
    assert set(problems) == {
        "cut.jpg",
        "empty.png",
        "html.jpg",
        "void.txt",
        "latin.txt",
        "binary.txt",
        "long.txt",
        "large.png",
    }
    assert "broken or truncated" in problems["cut.jpg"]
    assert problems["empty.png"] == "empty.png is empty (0 bytes)"
    assert "markup" in problems["html.jpg"]
    assert problems["void.txt"] == "void.txt is empty"
    assert "not UTF-8 text (byte 3)" in problems["latin.txt"]
    assert "zero characters" in problems["binary.txt"]
    assert problems["long.txt"] == "long.txt has 101 characters; the limit is 100"
    assert "60 x 60 = 3,600 pixels; the limit is 3,599" in problems["large.png"]


def test_without_decoding_only_the_first_bytes_are_looked_at(tmp_path: Path) -> None:
    good = picture(tmp_path / "a.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(good[: len(good) // 2])
    (tmp_path / "fake.jpg").write_text("text")
    drafts, problems = read("folder", tmp_path, is_decoding=False)
    assert set(drafts) == {"a.jpg", "cut.jpg"}
    assert set(problems) == {"fake.jpg"}


def test_links_are_named_or_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    picture(outside / "x.png")
    root = tmp_path / "root"
    picture(root / "real.png")
    (root / "to_file.png").symlink_to(outside / "x.png")
    (root / "to_folder").symlink_to(outside)
    (root / "nowhere.png").symlink_to(tmp_path / "absent.png")
    (root / "circle").symlink_to(root)
    drafts, problems = read("folder", root)
    assert set(drafts) == {"real.png"}
    assert set(problems) == {"to_file.png", "to_folder", "nowhere.png", "circle"}
    assert set(problems.values()) == {"is a link; use --follow-links to take what it points to"}
    drafts, problems = read("folder", root, is_following_links=True)
    assert set(drafts) == {"real.png", "to_file.png", "to_folder/x.png"}, "and the circle ends"
    assert problems == {"nowhere.png": "is a link that leads nowhere"}


@pytest.mark.timeout(20)
def test_pipes_are_named_and_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    picture(tmp_path / "a.png")
    drafts, problems = read("folder", tmp_path)
    assert set(drafts) == {"a.png"}
    assert problems == {"pipe.jpg": "is not a plain file"}


def test_hostile_file_names_are_text(tmp_path: Path) -> None:
    names = [
        "<img src=x onerror=alert(1)>.png",
        "a\nb.png",
        "\u202egnp.png",
        "=1+1.png",
        "日本.png",
        "back\\slash.png",
    ]
    for at, name in enumerate(names):
        picture(tmp_path / name, (at, 0, 0))
    (tmp_path / os.fsdecode(b"latin\xe9.png")).write_bytes((tmp_path / names[0]).read_bytes())
    drafts, problems = read("folder", tmp_path)
    assert problems == {}
    assert set(drafts) == {*names[:-1], "back/slash.png", "latin%E9.png"}
    for name in drafts:
        name.encode()
