"""COCO JSON: what is present, with its boxes and polygons.

Source: formats.md 4.2. Writes `annotations.json` and `images/`; on request also
`machine_boxes.json`, a results file: boxes that were found where a person accepted a label and drew
none, each with a score and `"machine_made": true`. They are never among the annotations, and what
reads a results file takes them for predictions. A label of the whole image is an
annotation without `bbox` and with `"image_level": true`; tools that insist on a box get the whole
frame with `has_full_frames`. COCO says only what is present: absent and unsure verdicts are
counted as lost, of whole images (`negatives`, `unsure`) and of places (`absent_regions`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson

from backend.methods.exporters._staging import (
    MediaFolder,
    MediaSettings,
    count_label_losses,
    count_region_losses,
    count_verdict_losses,
    refuse_texts,
    staged,
)
from backend.types import ExportRow, ExportSource, Region, Sample, Verdict

MACHINE_BOXES = "machine_boxes.json"


class CocoExporter:
    """Present labels of images, their boxes and polygons."""

    @dataclass(frozen=True)
    class Settings(MediaSettings):
        """How labels of whole images look, and what is written beside the annotations.

        Attributes:
            has_full_frames: give labels of whole images a box as large as the picture.
            has_machine_boxes: also write where accepted labels seem to be.
        """

        has_full_frames: bool = False
        has_machine_boxes: bool = False

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or self.Settings()

    def write(self, source: ExportSource, dest: Path) -> Mapping[str, int]:
        refuse_texts(source, "COCO")
        lost: Counter[str] = Counter()
        used: set[int] = set()
        names = {label.id: label.name for label in source.labels}
        images: list[dict[str, object]] = []
        annotations: list[dict[str, object]] = []
        found: list[dict[str, object]] = []
        with staged(dest, source, "coco") as stage:
            media = MediaFolder(stage, "images", source, self.settings)
            for row in source.rows():
                images.append(_image(row.sample, media.add(row.sample, lost)))
                used |= {i for i, c in row.verdicts.items() if c.verdict is not None}
                for annotation in self._annotations(row):
                    annotations.append({"id": len(annotations) + 1, **annotation})
                if self.settings.has_machine_boxes:
                    found += _machine_boxes(source, row, lost)
                count_verdict_losses(row, len(source.labels), lost)
                count_region_losses(row, lost)
            if self.settings.has_machine_boxes:
                (stage / MACHINE_BOXES).write_bytes(orjson.dumps(found))
            document = {
                "info": {"description": source.name, "version": str(source.version)},
                "licenses": [],
                "images": images,
                "categories": [
                    {
                        "id": label.id,
                        "name": label.name,
                        "supercategory": names.get(label.parent or 0, ""),
                    }
                    for label in source.labels
                ],
                "annotations": annotations,
            }
            (stage / "annotations.json").write_bytes(orjson.dumps(document))
        count_label_losses(source, used, lost)
        return +lost

    def _annotations(self, row: ExportRow) -> Iterator[dict[str, object]]:
        width, height = row.sample.width, row.sample.height
        for label, correction in row.verdicts.items():
            if correction.verdict is not Verdict.YES:
                continue
            about = {"image_id": row.sample.id, "category_id": label}
            regions = [r for r in correction.regions if r.kind != "span" and r.is_here]
            for region in regions:
                yield {**about, **_geometry(region, width, height), "iscrowd": 0}
            if not regions:
                frame: dict[str, object] = (
                    {"bbox": [0, 0, width, height], "area": width * height, "iscrowd": 0}
                    if self.settings.has_full_frames
                    else {}
                )
                yield {**about, "image_level": True, **frame}


def _machine_boxes(
    source: ExportSource, row: ExportRow, lost: Counter[str]
) -> list[dict[str, object]]:
    """Rows of a results file for the accepted labels that a person drew nothing for."""
    wanted = [
        label
        for label, correction in row.verdicts.items()
        if correction.verdict is Verdict.YES
        and not any(region.kind != "span" and region.is_here for region in correction.regions)
    ]
    sample = row.sample
    found = source.boxes(sample, wanted) if wanted else ()
    lost["labels_without_a_machine_box"] += len(set(wanted) - {box.label for box in found})
    return [
        {
            "image_id": sample.id,
            "category_id": box.label,
            "bbox": _geometry(box.region, sample.width, sample.height)["bbox"],
            "score": round(box.score, 4),
            "machine_made": True,
        }
        for box in found
    ]


def _image(sample: Sample, path: str | None) -> dict[str, object]:
    others = [name for name in sample.names if name != sample.name]
    return {
        "id": sample.id,
        "file_name": path or sample.name,
        "width": sample.width,
        "height": sample.height,
        # COCO allows keys of one's own; these bring names, split and metadata back.
        "sample": sample.name,
        "split": str(sample.split),
        **({"names": others} if others else {}),
        **({"metadata": dict(sample.metadata)} if sample.metadata else {}),
    }


def _geometry(region: Region, width: int, height: int) -> dict[str, object]:
    """Pixels; `image_level` false keeps a box as large as the picture a box."""
    if region.kind == "box":
        x, y, w, h = region.points
        box = [x * width, y * height, w * width, h * height]
        return {"bbox": box, "area": box[2] * box[3], "segmentation": [], "image_level": False}
    xs = [x * width for x in region.points[0::2]]
    ys = [y * height for y in region.points[1::2]]
    crossed = sum(
        x * ys[(i + 1) % len(ys)] - xs[(i + 1) % len(xs)] * y
        for i, (x, y) in enumerate(zip(xs, ys, strict=True))
    )
    return {
        "bbox": [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)],
        "area": abs(crossed) / 2,
        "segmentation": [[value for point in zip(xs, ys, strict=True) for value in point]],
        "image_level": False,
    }
