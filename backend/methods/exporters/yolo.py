"""YOLO: a text file of boxes or polygons beside each picture, and `data.yaml`.

Source: formats.md 4.3. Writes `data.yaml`, `images/SPLIT/`, `labels/SPLIT/` and `labels.csv`. A
line is `class cx cy w h` (detection) or `class x1 y1 x2 y2 ...` (segmentation), all in 0..1. YOLO
has no form for a label of a whole image: `labels.csv` lists all that is present in each picture,
and its name; whoever trains on the text files alone sees such a picture as background, which the
report counts as `image_level`. A picture of which nothing is said has no text file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import orjson
import yaml

from backend.errors import BadInputError
from backend.methods.exporters._cells import table_line
from backend.methods.exporters._staging import (
    MediaFolder,
    MediaSettings,
    count_label_losses,
    count_region_losses,
    count_verdict_losses,
    refuse_texts,
    staged,
)
from backend.types import ExportRow, ExportSource, Region, Sample, Split, Verdict

FORMS = ("auto", "detection", "segmentation")
COLUMNS = ("file", "sample", "split", "labels")
"""Of `labels.csv`; the labels of a picture are a JSON list."""


class YoloExporter:
    """Where present labels are, for trainers that read YOLO folders."""

    @dataclass(frozen=True)
    class Settings(MediaSettings):
        """How places are written.

        Attributes:
            form: "detection" (a polygon becomes the box around it), "segmentation" (a box becomes
                four corners) or "auto": segmentation if there is any polygon.
            has_full_frames: give labels of whole images a box as large as the picture.
        """

        form: str = "auto"
        has_full_frames: bool = False

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or self.Settings()
        if self.settings.form not in FORMS:
            raise BadInputError(f"form is {', '.join(FORMS)}, not {self.settings.form!r}")

    def write(self, source: ExportSource, dest: Path) -> Mapping[str, int]:
        refuse_texts(source, "YOLO")
        lost: Counter[str] = Counter()
        used: set[int] = set()
        classes = {label.id: number for number, label in enumerate(source.labels)}
        names = {label.id: label.name for label in source.labels}
        is_segmentation = self._is_segmentation(source)
        with staged(dest, source, "yolo") as stage:
            media = {
                split: MediaFolder(
                    stage,
                    f"images/{split}",
                    source,
                    self.settings,
                    has_stems=True,
                )
                for split in Split
            }
            for split in (Split.TRAIN, Split.VAL):
                (stage / "images" / split).mkdir(parents=True)
            with (stage / "labels.csv").open("w", encoding="utf-8", newline="") as table:
                table.write(table_line(COLUMNS, lost))
                for row in source.rows():
                    _count_losses(row, len(source.labels), lost)
                    used |= {i for i, c in row.verdicts.items() if c.verdict is not None}
                    path = media[row.sample.split].add(_placed(row.sample), lost)
                    if path is None:  # what is said of it goes out all the same
                        folder = f"images/{row.sample.split}/by-content"
                        path = f"{folder}/{row.sample.content_hash[:32]}.jpg"
                    present = [i for i, c in row.verdicts.items() if c.verdict is Verdict.YES]
                    told = orjson.dumps([names[label] for label in present]).decode()
                    cells = (path, row.sample.name, str(row.sample.split), told)
                    table.write(table_line(cells, lost))
                    if any(c.verdict is not None for c in row.verdicts.values()):
                        lines = "".join(self._lines(row, classes, is_segmentation, lost))
                        _write_beside(stage, path, lines)
            (stage / "data.yaml").write_text(_described(source, stage), encoding="utf-8")
        count_label_losses(source, used, lost)
        return +lost

    def _is_segmentation(self, source: ExportSource) -> bool:
        if self.settings.form != "auto":
            return self.settings.form == "segmentation"
        return any(region.kind == "polygon" for row in source.rows() for _, region in _places(row))

    def _lines(
        self,
        row: ExportRow,
        classes: Mapping[int, int],
        is_segmentation: bool,
        lost: Counter[str],
    ) -> Iterator[str]:
        placed: set[int] = set()
        for label, region in _places(row):
            placed.add(label)
            lost["polygons"] += region.kind == "polygon" and not is_segmentation
            yield _line(classes[label], _corners(region) if is_segmentation else _box(region))
        for label, correction in row.verdicts.items():
            if correction.verdict is not Verdict.YES or label in placed:
                continue
            if self.settings.has_full_frames:
                frame = Region("box", (0.0, 0.0, 1.0, 1.0))
                yield _line(classes[label], _corners(frame) if is_segmentation else _box(frame))
            else:
                lost["image_level"] += 1


def _placed(sample: Sample) -> Sample:
    """A sample by a name without folders that trainers would take for those of the form."""
    *folders, file = sample.name.split("/")
    kept = [folder for folder in folders if folder.lower() not in ("images", "labels")]
    return replace(sample, name="/".join((*kept, file)))


def _places(row: ExportRow) -> Iterator[tuple[int, Region]]:
    """Where present labels are."""
    for label, correction in row.verdicts.items():
        if correction.verdict is Verdict.YES:
            for region in correction.regions:
                if region.is_here and region.kind != "span":
                    yield label, region


def _box(region: Region) -> list[float]:
    """Centre, width and height of a box, or of the one around a polygon."""
    if region.kind == "box":
        x, y, width, height = region.points
    else:
        xs, ys = region.points[0::2], region.points[1::2]
        x, y, width, height = min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)
    return [x + width / 2, y + height / 2, width, height]


def _corners(region: Region) -> list[float]:
    if region.kind == "polygon":
        return list(region.points)
    x, y, width, height = region.points
    return [x, y, x + width, y, x + width, y + height, x, y + height]


def _line(label: int, numbers: list[float]) -> str:
    return " ".join((str(label), *(f"{number:.12g}" for number in numbers))) + "\n"


def _write_beside(stage: Path, path: str, lines: str) -> None:
    """`images/train/a.jpg` is told of in `labels/train/a.txt`."""
    target = stage / "labels" / Path(path).relative_to("images").with_suffix(".txt")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(lines, encoding="utf-8")


def _described(source: ExportSource, stage: Path) -> str:
    """`data.yaml`; trainers ask for train and val, also where one is empty."""
    splits = [split for split in Split if (stage / "images" / split).is_dir()]
    document = {
        "path": ".",
        **{str(split): f"images/{split}" for split in splits},
        "names": {number: label.name for number, label in enumerate(source.labels)},
    }
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1 << 20)


def _count_losses(row: ExportRow, num_labels: int, lost: Counter[str]) -> None:
    count_verdict_losses(row, num_labels, lost)
    lost["names"] += sum(name != row.sample.name for name in row.sample.names)
    lost["metadata"] += bool(row.sample.metadata)
    count_region_losses(row, lost)
