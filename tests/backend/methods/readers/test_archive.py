"""Archives: every hostile member is refused by name, and the rest is kept."""

from __future__ import annotations

import io
import stat
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from backend import catalogue
from backend.errors import BadInputError, SaveError
from backend.methods.readers.archive import ArchiveReader, unpack
from backend.settings import Limits
from backend.types import Draft
from tests.reading import chosen, picture, read


@pytest.fixture
def png(tmp_path: Path) -> bytes:
    return picture(tmp_path / "seed" / "a.png").read_bytes()


def special(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


def test_a_zip_is_the_folder_in_it(tmp_path: Path, png: bytes) -> None:
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w") as out:
        out.writestr("photos/a.png", png)
        out.writestr("photos/b/ä.png", png)
        out.writestr("photos/.DS_Store", b"x")
        out.writestr("__MACOSX/photos/._a.png", b"x")
        out.writestr("photos/n.txt", "a text")
    drafts, problems = read("archive", path)
    assert set(drafts) == {"a.png", "b/ä.png", "n.txt"}, "the only top folder is no part of names"
    assert problems == {}
    assert chosen(path) == "archive"


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_hostile_members_are_refused_by_name(tmp_path: Path, png: bytes) -> None:
    path = tmp_path / "evil.zip"
    with zipfile.ZipFile(path, "w") as out:
        out.writestr("good.png", png)
        for name in (
            "../up.png",
            "a/../../up.png",
            "/abs.png",
            "..\\win.png",
            "C:\\w.png",
            "C:/w.png",
            "CON.png",
            "sub/nul",
            "twice.png",
            "twice.png",
            "x" * 300,
        ):
            out.writestr(name, png)
        out.writestr(special("link.png", stat.S_IFLNK | 0o777), "/etc/passwd")
        out.writestr(special("device", stat.S_IFCHR | 0o666), "")
        out.writestr(special("pipe", stat.S_IFIFO | 0o666), "")
        out.writestr("inner.zip", b"PK\x05\x06" + b"\0" * 18)
        out.writestr("masked.jpg", b"PK\x03\x04" + b"\0" * 40)
        out.writestr("twice.png/below.png", png)
        out.writestr("nested/inner.tar", b"x")
    dest = tmp_path / "dest"
    dest.mkdir()
    root, problems = unpack(path, dest, Limits())
    assert root == dest
    assert {p.relative_to(dest).as_posix() for p in dest.rglob("*") if p.is_file()} == {
        "good.png",
        "twice.png",
    }
    reasons = {one.file: one.reason for one in problems}
    assert "leaves its folder" in reasons["../up.png"]
    assert "leaves its folder" in reasons["a/../../up.png"]
    assert "leaves its folder" in reasons["..\\win.png"]
    for name in ("/abs.png", "C:\\w.png", "C:/w.png"):
        assert "is absolute" in reasons[name]
    assert "name of a device" in reasons["CON.png"]
    assert "name of a device" in reasons["sub/nul"]
    assert reasons["twice.png"] == "is in the archive twice; the first is kept"
    assert reasons["twice.png/below.png"] == reasons["twice.png"]
    assert reasons["link.png"] == "is a link"
    assert reasons["device"] == reasons["pipe"] == "is a device or a pipe"
    for name in ("inner.zip", "masked.jpg", "nested/inner.tar"):
        assert reasons[name] == "is an archive in the archive; unpack it first"
    assert any("cannot be unpacked" in reason for reason in reasons.values()), "the long name"
    assert not (tmp_path / "up.png").exists()


def test_a_member_that_unpacks_to_very_much_more_is_refused(tmp_path: Path, png: bytes) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("bomb.txt", bytes(30_000_000))
        out.writestr("good.png", png)
        out.writestr("small.txt", "a" * 1_000_000)
    drafts, problems = read("archive", path)
    assert set(drafts) == {"good.png", "small.txt"}
    assert "looks like a zip bomb" in problems["bomb.txt"]


def test_the_sum_is_counted_while_unpacking_not_believed(tmp_path: Path, png: bytes) -> None:
    path = tmp_path / "lies.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("good.png", png)
        out.writestr("lies.txt", "a" * 50_000)
        out.writestr("later.png", png)
    drafts, problems = read("archive", path, limits=Limits(upload_bytes=20_000))
    assert set(drafts) == {"good.png"}
    assert problems["lies.zip"] == (
        "unpacks to more than 20,000 bytes, the limit; 'lies.txt' and what follows is left out"
    )
    data = path.read_bytes()
    path.write_bytes(data.replace(struct.pack("<I", 50_000), struct.pack("<I", 500)))
    drafts, problems = read("archive", path)
    assert {"good.png", "later.png"} <= set(drafts)
    assert "is broken" in problems["lies.txt"], "it holds more than it claims"


def test_too_many_members(tmp_path: Path) -> None:
    path = tmp_path / "many.zip"
    with zipfile.ZipFile(path, "w") as out:
        for at in range(9):
            out.writestr(f"{at}.txt", f"text {at}")
    drafts, problems = read("archive", path, limits=Limits(archive_members=4))
    assert len(drafts) == 4
    assert problems["many.zip"] == "holds more than 4 members, the limit; the rest is left out"


def test_a_wrong_checksum_and_an_encrypted_member(tmp_path: Path, png: bytes) -> None:
    path = tmp_path / "damaged.zip"
    with zipfile.ZipFile(path, "w") as out:
        out.writestr("good.txt", "good text")
        out.writestr("flipped.txt", "flipped text")
        out.writestr("secret.txt", "secret text")
    data = bytearray(path.read_bytes().replace(b"flipped text", b"flopped text"))
    at = data.index(b"PK\x01\x02", data.index(b"secret text"))
    for _ in range(2):  # the third entry of the central directory
        at = data.index(b"PK\x01\x02", at + 1)
    data[at + 8] |= 1
    path.write_bytes(data)
    drafts, problems = read("archive", path)
    assert set(drafts) == {"good.txt"}
    assert "is broken: Bad CRC-32" in problems["flipped.txt"]
    assert problems["secret.txt"] == "is encrypted; unpack it with its password first"


def test_a_truncated_zip_is_named(tmp_path: Path, png: bytes) -> None:
    path = tmp_path / "cut.zip"
    with zipfile.ZipFile(path, "w") as out:
        out.writestr("a.png", png)
    path.write_bytes(path.read_bytes()[:-30])
    assert chosen(path) == "archive"
    drafts, problems = read("archive", path)
    assert drafts == {}
    assert "is a broken archive" in problems["cut.zip"]


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_tar_members_are_looked_at_as_well(tmp_path: Path, png: bytes, mode: str) -> None:
    path = tmp_path / ("a.tar" if mode == "w" else "a.tar.gz")
    with tarfile.open(path, mode) as out:

        def add(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> None:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, link
            info.size = len(png) if kind == tarfile.REGTYPE else 0
            out.addfile(info, io.BytesIO(png))

        add("./ok/a.png")
        add("../up.png")
        add("/abs.png")
        add("soft.png", tarfile.SYMTYPE, "/etc/passwd")
        add("hard.png", tarfile.LNKTYPE, "./ok/a.png")
        add("dev", tarfile.CHRTYPE)
        add("b.png")
    assert chosen(path) == "archive"
    drafts, problems = read("archive", path)
    assert set(drafts) == {"ok/a.png", "b.png"}
    assert set(problems) == {"../up.png", "/abs.png", "soft.png", "hard.png", "dev"}
    assert problems["soft.png"] == problems["dev"] == "is a link, a device or a pipe"


def test_a_gzip_bomb_in_a_tar_stops_at_the_limit(tmp_path: Path, png: bytes) -> None:
    path = tmp_path / "bomb.tar.gz"
    with tarfile.open(path, "w:gz") as out:
        for name, data in (("a.png", png), ("zeros.txt", bytes(3_000_000)), ("b.png", png)):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            out.addfile(info, io.BytesIO(data))
    drafts, problems = read("archive", path, limits=Limits(upload_bytes=1_000_000))
    assert set(drafts) == {"a.png"}
    assert "the limit" in problems["bomb.tar.gz"]


def test_the_reader_for_what_is_inside_is_given_from_above(tmp_path: Path, png: bytes) -> None:
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w") as out:
        out.writestr("set/images/a.png", png)
        out.writestr("set/annotations.jsonl", '{"file": "images/a.png", "labels": ["red"]}\n')
    method = catalogue.load("readers/jsonl")
    found = []
    for draft in ArchiveReader(inside=lambda root: method()).read(path):
        assert draft.path.read_bytes() == png, "media are there while the drafts are taken"
        found.append(draft)
    assert [(d.name, dict(d.verdicts)) for d in found] == [("images/a.png", {"red": "yes"})]
    assert not found[0].path.exists(), "and gone afterwards"


def test_spreadsheets_and_numpy_files_are_no_archives_to_unpack(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "t.xlsx", "w") as out:
        out.writestr("[Content_Types].xml", "<x/>")
        out.writestr("xl/workbook.xml", "<x/>")
    np.savez(tmp_path / "v.npz", names=np.array(["a"]), vectors=np.ones((1, 2)))
    assert chosen(tmp_path / "t.xlsx") == "none"
    assert chosen(tmp_path / "v.npz") == "vectors"
    with pytest.raises(BadInputError, match=r"t\.xlsx is not a zip or tar archive"):
        unpack(tmp_path / "t.xlsx", tmp_path / "out", Limits())


def test_what_was_unpacked_stays_until_nobody_holds_what_was_read(
    tmp_path: Path, png: bytes
) -> None:
    """Drafts are gathered before their files are opened; the last one comes, then all are read."""
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w") as out:
        out.writestr("a.png", png)
        out.writestr("b.png", png)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    held = ArchiveReader(ArchiveReader.Settings(scratch=str(scratch))).read(path)
    files = [draft.path for draft in held if isinstance(draft, Draft)]
    assert [file.read_bytes() for file in files if file] == [png, png]
    assert len(list(scratch.iterdir())) == 1
    del held
    assert list(scratch.iterdir()) == []


def test_no_room_to_unpack_is_said(tmp_path: Path) -> None:
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w") as out:
        out.writestr("a.txt", "a text")
    reader = ArchiveReader(ArchiveReader.Settings(scratch=str(tmp_path / "absent")))
    with pytest.raises(SaveError, match=r"no room to unpack photos\.zip"):
        next(reader.read(path))
