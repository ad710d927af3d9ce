"""Projects for the Label page's browser tests and its measurements, made from the data packs."""

from __future__ import annotations

import json
from pathlib import Path

from backend import api

HOSTILE = "<img src=x onerror=alert(1)> ${alert(1)} {{x}}"


def image_project(
    settings: api.Settings, packs: Path, folder: Path, *, photos: int = 12, labels: int = 20
) -> api.Workbench:
    """Photos of coco_mini with its most common labels, every third one decided."""
    rows = [
        json.loads(line)
        for line in (packs / "coco_mini" / "annotations.jsonl").read_text("utf-8").splitlines()
    ][:photos]
    counts: dict[str, int] = {}
    for row in rows:
        for name in row["labels"]:
            counts[name] = counts.get(name, 0) + 1
    names = sorted(counts, key=lambda name: (-counts[name], name))[: labels - 1]
    source = folder / "coco"
    source.mkdir(parents=True)
    for row in rows:
        photo = packs / "coco_mini" / row["file"]
        (source / photo.name).write_bytes(photo.read_bytes())
    bench = api.create_project("coco", labels=[*names, HOSTILE], settings=settings)
    bench.add(source)
    known = {label.name: label.id for label in bench.labels()}
    answers = [
        {
            "sample": Path(row["file"]).name,
            "label": known[name],
            "verdict": "yes" if name in row["labels"] else "no",
        }
        for row in rows[::3]
        for name in names
    ]
    bench.correct(answers, who="import:annotations")
    return bench


def text_project(
    settings: api.Settings, packs: Path, folder: Path, *, texts: int = 12, long: bool = False
) -> api.Workbench:
    """Texts of nlupp with its labels; `long` puts ninety of them into each sample."""
    rows = [
        json.loads(line)
        for line in (packs / "nlupp" / "data.jsonl").read_text("utf-8").splitlines()
    ]
    each = 90 if long else 1
    found = [rows[each * k : each * (k + 1)] for k in range(texts)]
    names = sorted({name for group in found for row in group for name in row["labels"]})[:30]
    file = folder / ("long.jsonl" if long else "texts.jsonl")
    file.write_text(
        "\n".join(json.dumps({"text": " ".join(row["text"] for row in group)}) for group in found),
        "utf-8",
    )
    bench = api.create_project(
        "talk", labels=names, kind=api.Kind.TEXT, encoder="words", settings=settings
    )
    bench.add(file)
    return bench
