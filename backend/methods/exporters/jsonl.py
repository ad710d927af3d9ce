"""Patchlane's own JSON lines: every verdict and region, nothing of them lost.

Source: formats.md 4.0. Writes `annotations.jsonl`, one sample per line, images in `media/`, and
`labels.txt` with one name per line as `--labels` takes it. On request also `label_maps.npz`, where
the labels are in each sample; it is machine-made and described in `_label_maps.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson

from backend.methods.exporters._label_maps import LabelMapTable
from backend.methods.exporters._staging import (
    MediaFolder,
    MediaSettings,
    count_label_losses,
    staged,
)
from backend.types import Correction, ExportRow, ExportSource, Kind, Region


class JsonlExporter:
    """All that the log says of each sample now."""

    @dataclass(frozen=True)
    class Settings(MediaSettings):
        """What is written beside the lines.

        Attributes:
            has_label_maps: also write where the labels are, part by part.
        """

        has_label_maps: bool = False

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or self.Settings()

    def write(self, source: ExportSource, dest: Path) -> Mapping[str, int]:
        lost: Counter[str] = Counter()
        used: set[int] = set()
        names = {label.id: label.name for label in source.labels}
        maps = LabelMapTable(source.labels) if self.settings.has_label_maps else None
        with staged(dest, source, "jsonl") as stage:
            media = MediaFolder(stage, "media", source, self.settings)
            with (stage / "annotations.jsonl").open("wb") as out:
                for row in source.rows():
                    fields = _fields(row, names, lost)
                    if source.kind is Kind.IMAGE:
                        path = media.add(row.sample, lost)
                        fields = {"sample": fields["sample"], "image": path, **fields}
                    if maps is not None:
                        _add_map(maps, source, row, lost)
                    used |= row.verdicts.keys()
                    out.write(orjson.dumps(fields) + b"\n")
            if maps is not None:
                maps.save(stage)
            lines = (label.name for label in source.labels if label.name.isprintable())
            (stage / "labels.txt").write_text("".join(f"{n}\n" for n in lines), encoding="utf-8")
        count_label_losses(source, used, lost)
        return +lost


def _add_map(maps: LabelMapTable, source: ExportSource, row: ExportRow, lost: Counter[str]) -> None:
    found = source.label_map(row.sample)
    if found is None:
        lost["missing_label_maps"] += 1
    else:
        maps.add(row.sample.name, found)


def _fields(row: ExportRow, names: Mapping[int, str], lost: Counter[str]) -> dict[str, object]:
    sample = row.sample
    said = [c for c in row.verdicts.values() if not c.is_blank]
    fields: dict[str, object] = {"sample": sample.name}
    if sample.text is not None:
        fields["text"] = sample.text
    fields["split"] = str(sample.split)
    # null: a place shows the label, and still nothing is said of the whole sample
    fields["labels"] = {
        names[c.label]: None if c.verdict is None else str(c.verdict)
        for c in said
        if c.verdict is not None or any(region.is_here for region in c.regions)
    }
    regions = [_region(c, region, names) for c in said for region in c.regions]
    others = [name for name in sample.names if name != sample.name]
    if said:
        newest = max(said, key=lambda c: c.when)
        fields |= {"who": newest.who, "when": newest.when}
        shared = sum((c.who, c.when) == (newest.who, newest.when) for c in said)
        lost["who_and_when"] += len(said) - shared
    for key, value in (("regions", regions), ("names", others), ("metadata", sample.metadata)):
        if value:
            fields[key] = dict(value) if isinstance(value, Mapping) else value
    return fields


def _region(correction: Correction, region: Region, names: Mapping[int, str]) -> dict[str, object]:
    points: list[object] = list(region.points)
    if region.kind == "polygon":
        points = [list(region.points[i : i + 2]) for i in range(0, len(points), 2)]
    elif region.kind == "span":
        points = [int(point) for point in region.points]
    return {
        "label": names[correction.label],
        "verdict": str(region.verdict),
        region.kind: points,
    }
