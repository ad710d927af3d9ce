"""The two demo projects: photographs and collages of them, and messages to a bicycle service.

Both are made by the same calls that a person's script would use: import a folder, import lines of
JSON, learn. Two samples in five come decided, so that suggestions, maps and neighbours mean
something at first sight; the rest is open. A project appears only when it is finished, so a demo
that was interrupted is made again, and one that is there is left alone.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import tomllib
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path

from backend import api
from backend.demo_pictures import QUALITY, load_photographs, make_pictures
from backend.types import Kind, Progress, Verdict

PHOTOS, TEXTS = "demo-photos", "demo-texts"
WHO = "demo"
CYCLE, DECIDED = 5, (0, 2)
"""Samples number 0 and 2 of every five are decided."""


def make_demo(
    settings: api.Settings,
    progress: Progress | None = None,
    *,
    leave_out: Collection[str] = (),
) -> list[str]:
    """Make the demo projects that are not there yet; returns both names.

    Args:
        settings: whose home gets the projects.
        progress: called with (done, total, note).
        leave_out: names of photographs that are not used.

    Raises:
        SaveError: the home cannot be written.
    """
    report = progress or (lambda *_: None)
    if not api.project_path(PHOTOS, settings).exists():
        photos = partial(write_photos, leave_out=leave_out)
        _make(PHOTOS, Kind.IMAGE, photos, settings, report)
    if not api.project_path(TEXTS, settings).exists():
        _make(TEXTS, Kind.TEXT, write_texts, settings, report)
    return [PHOTOS, TEXTS]


def _make(
    name: str,
    kind: Kind,
    prepare: Callable[[Path], list[dict[str, str]]],
    settings: api.Settings,
    report: Progress,
) -> None:
    """Build a project aside and put it in its place when it is whole."""
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=".making-", dir=settings.home))
    except OSError as error:
        raise api.SaveError(f"the demo cannot be made in {settings.home}: {error}") from error
    try:
        report(0, 1, f"{name}: gathering samples")
        source = aside / "source"
        source.mkdir()
        labels = prepare(source)
        project = api.create_project(
            aside / name, labels=[label["name"] for label in labels], kind=kind, settings=settings
        )
        try:
            for label in labels:
                project.describe_label(label["name"], definition=label["definition"], who=WHO)
                if "parent" in label:
                    project.set_parent(label["name"], label["parent"], who=WHO)
            project.add(
                source,
                format="jsonl",
                who=WHO,
                progress=lambda done, total, note: report(done, total, f"{name}: {note}"),
            )
            report(0, 1, f"{name}: learning from what is decided")
            project.learn()
        finally:
            project.close()
        (aside / name).rename(api.project_path(name, settings))
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def write_photos(folder: Path, *, leave_out: Collection[str] = ()) -> list[dict[str, str]]:
    """Write the demo's pictures with a line of JSON each; returns the labels.

    Raises:
        NotFoundError: none of the photographs is on this machine.
    """
    listing = api.assets_folder() / "demo" / "photos.toml"
    labels = tomllib.loads(listing.read_text(encoding="utf-8"))["labels"]
    rows = []
    photographs = [one for one in load_photographs(listing) if one.name not in leave_out]
    if not photographs:
        raise api.NotFoundError(
            "none of the demo's photographs is on this machine; install Patchlane again, "
            "it brings the packages that carry them"
        )
    pictures = make_pictures(photographs, [label["name"] for label in labels])
    for number, picture in enumerate(pictures):
        path = folder / picture.name
        path.parent.mkdir(exist_ok=True)
        picture.image.save(path, quality=QUALITY)
        row: dict[str, object] = {"sample": picture.name, "image": picture.name}
        if _is_decided(number):
            row["labels"] = picture.verdicts
        if _is_decided(number) and len(picture.sources) > 1:
            row["regions"] = [
                {"label": label, "box": box}
                for label, boxes in picture.boxes.items()
                for box in boxes
            ]
        rows.append(row | {"metadata": {"photographs": ", ".join(picture.sources)}})
    _write_lines(folder / "samples.jsonl", rows)
    return labels


def write_texts(folder: Path) -> list[dict[str, str]]:
    """Write the demo's messages as lines of JSON; returns the labels."""
    assets = api.assets_folder() / "demo"
    labels = tomllib.loads((assets / "texts.toml").read_text(encoding="utf-8"))["labels"]
    rows = []
    lines = (assets / "texts.jsonl").read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        message = json.loads(line)
        said = {
            label["name"]: Verdict.YES if label["name"] in message["labels"] else Verdict.NO
            for label in labels
        }
        row = {"sample": message["sample"], "text": message["text"]}
        rows.append(row | ({"labels": said} if _is_decided(number) else {}))
    _write_lines(folder / "samples.jsonl", rows)
    return labels


def _is_decided(number: int) -> bool:
    return number % CYCLE in DECIDED


def _write_lines(path: Path, rows: list[Mapping[str, object]] | list[dict[str, object]]) -> None:
    lines = (json.dumps(row, ensure_ascii=False) for row in rows)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
