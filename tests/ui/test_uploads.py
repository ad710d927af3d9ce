"""Batches of files: names that lead elsewhere, limits, bytes that never come."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend import api
from ui.uploads import BatchWriter, TooLargeError, Upload, Uploads


@pytest.fixture
def uploads(tmp_path: Path) -> Iterator[Uploads]:
    made = Uploads(tmp_path, limit=1000)
    yield made
    made.close()


@pytest.fixture
def upload(uploads: Uploads) -> Upload:
    return uploads.start("ann")


def batch(*files: tuple[object, bytes]) -> bytes:
    header = json.dumps([[name, len(body)] for name, body in files]).encode()
    return len(header).to_bytes(4, "big") + header + b"".join(body for _, body in files)


def send(upload: Upload, data: bytes, step: int | None = None) -> BatchWriter:
    writer = BatchWriter(upload)
    for start in range(0, len(data), step or len(data)):
        writer.feed(data[start : start + (step or len(data))])
    writer.finish()
    return writer


def stored(upload: Upload) -> dict[str, bytes]:
    return {
        file.relative_to(upload.folder).as_posix(): file.read_bytes()
        for file in upload.folder.rglob("*")
        if file.is_file()
    }


def test_files_keep_their_folders_however_the_bytes_arrive(uploads: Uploads) -> None:
    data = batch(("a/b/1.jpg", b"one"), ("a/empty.txt", b""), ("set.zip", b"PK"), ("2.jpg", b"22"))
    wanted = {
        "files/a/b/1.jpg": b"one",
        "files/a/empty.txt": b"",
        "archives/set.zip": b"PK",
        "files/2.jpg": b"22",
    }
    for step in range(1, len(data) + 1):
        upload = uploads.start("ann")
        assert send(upload, data, step).stored == 4
        assert stored(upload) == wanted


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../evil.jpg", "leads out"),
        ("a/../../evil.jpg", "leads out"),
        ("..\\evil.jpg", "leads out"),
        ("/etc/cron.d/evil", "absolute"),
        ("\\\\host\\share", "absolute"),
        ("C:\\evil.jpg", "absolute"),
        ("c:/evil.jpg", "absolute"),
        ("a//b.jpg", "empty part"),
        ("./a.jpg", "empty part"),
        ("a\x00b.jpg", "control"),
        ("a\nb.jpg", "control"),
        ("\ud800.jpg", "not valid text"),
        ("x" * 256, "longer"),
        ("d/" * 40 + "x", "deeper"),
        ("", "empty"),
        (7, "empty"),
    ],
)
def test_a_hostile_name_is_refused_and_the_rest_kept(
    upload: Upload, name: object, reason: str
) -> None:
    writer = send(upload, batch(("first.jpg", b"1"), (name, b"evil"), ("last.jpg", b"2")))
    assert stored(upload) == {"files/first.jpg": b"1", "files/last.jpg": b"2"}
    assert [reason in problem.reason for problem in writer.refused] == [True]
    writer.refused[0].file.encode()  # so that it can be told
    assert upload.problems == writer.refused


def test_a_colon_in_a_name_is_no_drive(upload: Upload) -> None:
    names = ["1: intro.txt", "a:b.txt", "notes/C: minor.txt"]
    assert send(upload, batch(*[(name, b"x") for name in names])).refused == []
    assert sorted(stored(upload)) == sorted(f"files/{name}" for name in names)


def test_a_file_the_browser_could_not_read_is_named_and_the_rest_kept(upload: Upload) -> None:
    header = json.dumps([["a.jpg", 1], ["locked.jpg", None], ["b.jpg", 1]]).encode()
    writer = send(upload, len(header).to_bytes(4, "big") + header + b"12")
    assert stored(upload) == {"files/a.jpg": b"1", "files/b.jpg": b"2"}
    assert [problem.file for problem in writer.refused] == ["locked.jpg"]
    assert "could not read it" in upload.problems[0].reason


def test_an_upload_goes_into_one_import(uploads: Uploads, upload: Upload) -> None:
    uploads.claim(upload)
    for again in (lambda: uploads.find(upload.id, "ann"), lambda: uploads.claim(upload)):
        with pytest.raises(api.BusyError, match="being imported already"):
            again()
    uploads.drop(upload)
    with pytest.raises(api.NotFoundError):
        uploads.find(upload.id, "ann")


def test_markup_and_marks_in_names_are_only_text(upload: Upload) -> None:
    names = ["<img src=x onerror=alert(1)>.jpg", "\u202egpj.exe", "${7*7}{{x}}.jpg", "'\"; --.jpg"]
    assert send(upload, batch(*[(name, b"x") for name in names])).stored == 4
    assert sorted(stored(upload)) == sorted(f"files/{name}" for name in names)


def test_the_same_name_twice_keeps_the_first(upload: Upload) -> None:
    send(upload, batch(("a.jpg", b"first")))
    writer = send(upload, batch(("a.jpg", b"second"), ("a.jpg/b.jpg", b"third")))
    assert [problem.reason for problem in writer.refused] == [
        "a file of that name came already"
    ] * 2
    assert stored(upload) == {"files/a.jpg": b"first"}


def test_too_much_is_named_before_a_byte_is_kept(upload: Upload) -> None:
    with pytest.raises(TooLargeError, match=r"film.mp4 has 1,001 bytes; the limit is 1,000"):
        send(upload, batch(("small.jpg", b"1"), ("film.mp4", b"x" * 1001)))
    send(upload, batch(("a.jpg", b"x" * 900)))
    with pytest.raises(TooLargeError, match=r"with b.jpg the upload has 1,100 bytes"):
        send(upload, batch(("b.jpg", b"x" * 200)))
    assert stored(upload) == {"files/a.jpg": b"x" * 900}


@pytest.mark.parametrize(
    "data",
    [
        b"\0\0\0\0",
        b"\xff\xff\xff\xff",
        (5).to_bytes(4, "big") + b"nope!",
        (2).to_bytes(4, "big") + b"{}x",
        batch(("a.jpg", b"abc")) + b"more than the header says",
        (13).to_bytes(4, "big") + b'[["a.jpg",-1]]'[:13],
    ],
)
def test_what_is_no_batch_is_refused(upload: Upload, data: bytes) -> None:
    with pytest.raises(api.BadInputError):
        send(upload, data)


def test_a_batch_that_ends_early_leaves_nothing_behind(upload: Upload) -> None:
    data = batch(("a.jpg", b"complete"), ("b.jpg", b"half of it"))
    with pytest.raises(api.BadInputError, match="ended early"):
        send(upload, data[:-5])
    assert stored(upload) == {"files/a.jpg": b"complete"}
    with pytest.raises(api.BadInputError, match="ended early"):
        send(upload, data[:7])


def test_another_persons_upload_is_not_there(uploads: Uploads, upload: Upload) -> None:
    assert uploads.find(upload.id, "ann") is upload
    for upload_id, owner in ((upload.id, "bob"), ("../x", "ann"), ("", "ann")):
        with pytest.raises(api.NotFoundError):
            uploads.find(upload_id, owner)


def test_what_an_import_reads(uploads: Uploads) -> None:
    def sources(*names: str) -> list[str]:
        upload = uploads.start("ann")
        send(upload, batch(*[(name, b"x") for name in names]))
        return [path.relative_to(upload.folder).as_posix() for path in upload.sources()]

    assert sources("photos/a.jpg", "photos/b.jpg") == ["files/photos"]
    assert sources("set.zip") == ["archives/set.zip"]
    assert sources("a.jpg", "b.jpg") == ["files"]
    assert sources("a.jpg", "labels.csv") == ["files"]
    assert sources("a.jsonl", "b.csv") == ["files/a.jsonl", "files/b.csv"]
    assert sources("photos/a.jpg", "set.zip") == ["files/photos", "archives/set.zip"]


def test_closing_deletes_the_files(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path, limit=10)
    upload = uploads.start("ann")
    send(upload, batch(("a.jpg", b"x")))
    uploads.close()
    assert not upload.folder.exists()
