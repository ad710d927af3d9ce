"""What exporters write, to the letter, as other people's tools will read it."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from backend import catalogue
from backend.errors import BadInputError
from backend.types import (
    Correction,
    ExportRow,
    ExportSource,
    Kind,
    Label,
    Region,
    Sample,
    Split,
    Verdict,
)
from tests.reading import picture

BOX = Region("box", (0.25, 0.5, 0.5, 0.25))
POLYGON = Region("polygon", (0.0, 0.0, 1.0, 0.0, 0.5, 1.0))


@pytest.fixture
def source(tmp_path: Path) -> ExportSource:
    """One picture of 40 x 20 with a verdict of each kind, a box and a polygon."""
    media = picture(tmp_path / "media" / "aa.png", size=(40, 20))
    sample = Sample(
        7,
        "trip/7.png",
        Kind.IMAGE,
        "aa",
        Split.VAL,
        ("trip/7.png", "copy.png"),
        40,
        20,
        metadata={"caption": "Wet road"},
    )
    labels = (
        Label(1, "=night"),
        Label(2, "rain, heavy", parent=1),
        Label(3, "fog"),
        Label(4, "split"),
        Label(5, "never"),
    )

    def said(label: int, verdict: Verdict, *regions: Region) -> Correction:
        return Correction(label, 7, label, verdict, "ann", 100.0 + label, "op", regions=regions)

    verdicts = {
        1: said(1, Verdict.YES),
        2: said(2, Verdict.YES, BOX, POLYGON),
        3: said(3, Verdict.UNSURE),
        4: said(4, Verdict.NO),
    }
    return ExportSource(
        "roads",
        Kind.IMAGE,
        labels,
        lambda: iter([ExportRow(sample, verdicts)]),
        lambda _sample: media,
        12,
    )


def write(key: str, source: ExportSource, dest: Path, **settings: object) -> dict[str, int]:
    method = catalogue.load(f"exporters/{key}")
    return dict(method(method.Settings(**settings)).write(source, dest))


def test_jsonl(source: ExportSource, tmp_path: Path) -> None:
    lost = write("jsonl", source, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "annotations.jsonl").read_text()) == {
        "sample": "trip/7.png",
        "image": "media/trip/7.png",
        "split": "val",
        "labels": {"=night": "yes", "rain, heavy": "yes", "fog": "unsure", "split": "no"},
        "who": "ann",
        "when": 104.0,
        "regions": [
            {"label": "rain, heavy", "verdict": "yes", "box": [0.25, 0.5, 0.5, 0.25]},
            {"label": "rain, heavy", "verdict": "yes", "polygon": [[0, 0], [1, 0], [0.5, 1]]},
        ],
        "names": ["copy.png"],
        "metadata": {"caption": "Wet road"},
    }
    assert (tmp_path / "out" / "labels.txt").read_text().splitlines()[1] == "rain, heavy"
    assert lost == {"who_and_when": 3, "unused_labels": 1, "hierarchy": 1}


def test_wide_and_long_tables(source: ExportSource, tmp_path: Path) -> None:
    lost = write("csv_table", source, tmp_path / "wide")
    assert (tmp_path / "wide" / "table.csv").read_text() == (
        'sample,image,split,\'=night,"rain, heavy",fog,label:split,never\n'
        "trip/7.png,media/trip/7.png,val,1,1,unsure,0,\n"
    )
    assert lost == {
        "regions": 2,
        "who_and_when": 4,
        "names": 1,
        "metadata": 1,
        "unused_labels": 1,
        "hierarchy": 1,
    }
    write("csv_table", source, tmp_path / "long", is_long=True, is_formula_safe=False)
    with (tmp_path / "long" / "table.csv").open(newline="") as rows:
        assert list(csv.reader(rows)) == [
            ["sample", "image", "split", "label", "verdict"],
            *(
                ["trip/7.png", "media/trip/7.png", "val", *cells]
                for cells in (
                    ["=night", "1"],
                    ["rain, heavy", "1"],
                    ["fog", "unsure"],
                    ["split", "0"],
                )
            ),
        ]


def test_coco(source: ExportSource, tmp_path: Path) -> None:
    lost = write("coco", source, tmp_path / "out")
    document = json.loads((tmp_path / "out" / "annotations.json").read_text())
    assert document["images"] == [
        {
            "id": 7,
            "file_name": "images/trip/7.png",
            "width": 40,
            "height": 20,
            "sample": "trip/7.png",
            "split": "val",
            "names": ["copy.png"],
            "metadata": {"caption": "Wet road"},
        }
    ]
    assert document["categories"][1] == {"id": 2, "name": "rain, heavy", "supercategory": "=night"}
    about = {"image_id": 7}
    assert document["annotations"] == [
        {"id": 1, **about, "category_id": 1, "image_level": True},
        {
            "id": 2,
            **about,
            "category_id": 2,
            "bbox": [10, 10, 20, 5],
            "area": 100,
            "segmentation": [],
            "image_level": False,
            "iscrowd": 0,
        },
        {
            "id": 3,
            **about,
            "category_id": 2,
            "bbox": [0, 0, 40, 20],
            "area": 400,
            "segmentation": [[0, 0, 40, 0, 20, 20]],
            "image_level": False,
            "iscrowd": 0,
        },
    ]
    assert lost == {
        "negatives": 1,
        "unsure": 1,
        "unknowns": 1,
        "who_and_when": 2,
        "unused_labels": 1,
        "hierarchy": 1,
    }
    write("coco", source, tmp_path / "framed", has_full_frames=True)
    document = json.loads((tmp_path / "framed" / "annotations.json").read_text())
    assert document["annotations"][0]["bbox"] == [0, 0, 40, 20]


def test_coco_holds_no_texts(tmp_path: Path) -> None:
    texts = ExportSource("notes", Kind.TEXT, (), lambda: iter(()), lambda _s: tmp_path, 1)
    with pytest.raises(BadInputError, match="COCO holds images and notes holds texts"):
        write("coco", texts, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_yolo(source: ExportSource, tmp_path: Path) -> None:
    lost = write("yolo", source, tmp_path / "seg")
    told = tmp_path / "seg" / "labels" / "val" / "trip" / "7.txt"
    assert told.read_text() == (
        "1 0.25 0.5 0.75 0.5 0.75 0.75 0.25 0.75\n1 0 0 1 0 0.5 1\n"  # a polygon: all are
    )
    assert (tmp_path / "seg" / "images" / "val" / "trip" / "7.png").is_file()
    assert (tmp_path / "seg" / "labels.csv").read_text() == (
        "file,sample,split,labels\n"
        'images/val/trip/7.png,trip/7.png,val,"[""=night"",""rain, heavy""]"\n'
    )
    assert (tmp_path / "seg" / "data.yaml").read_text() == (
        "path: .\ntrain: images/train\nval: images/val\n"
        "names:\n  0: =night\n  1: rain, heavy\n  2: fog\n  3: split\n  4: never\n"
    )
    rest = {
        "image_level": 1,  # =night: whoever trains on the text files alone does not see it
        "negatives": 1,
        "unsure": 1,
        "unknowns": 1,
        "who_and_when": 2,
        "names": 1,
        "metadata": 1,
        "unused_labels": 1,
        "hierarchy": 1,
    }
    assert lost == rest
    lost = write("yolo", source, tmp_path / "box", form="detection", has_full_frames=True)
    told = tmp_path / "box" / "labels" / "val" / "trip" / "7.txt"
    assert told.read_text() == "1 0.5 0.625 0.5 0.25\n1 0.5 0.5 1 1\n0 0.5 0.5 1 1\n"
    assert lost == {k: n for k, n in rest.items() if k != "image_level"} | {"polygons": 1}


def test_yolo_trainers_find_the_labels_of_a_picture_from_a_folder_called_images(
    source: ExportSource, tmp_path: Path
) -> None:
    (row,) = source.rows()
    named = replace(row, sample=replace(row.sample, name="images/labels/7.png"))
    write("yolo", replace(source, rows=lambda: iter([named])), tmp_path / "out")
    (shown,) = (tmp_path / "out" / "images" / "val").rglob("*.png")
    # what they do: the last /images/ of the path becomes /labels/
    before, after = shown.as_posix().rsplit("/images/", 1)
    assert Path(f"{before}/labels/{after}").with_suffix(".txt").is_file()
