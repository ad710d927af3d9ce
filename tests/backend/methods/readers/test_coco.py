"""COCO: labels of images by both conventions, regions, results, and broken references."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.reading import chosen, picture, read

CATEGORIES = [{"id": 3, "name": "night"}, {"id": 5, "name": "cup", "supercategory": "kitchen"}]


def write(path: Path, images: list, annotations: list, categories: object = CATEGORIES) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"images": images, "annotations": annotations, "categories": categories}
    path.write_text(json.dumps(document))
    return path


def image(at: int = 1, name: str = "a.png", **more: object) -> dict[str, object]:
    return {"id": at, "file_name": name, "width": 40, "height": 20, **more}


def about(category: int = 5, at: int = 1, **more: object) -> dict[str, object]:
    return {"id": 9, "image_id": at, "category_id": category, **more}


def test_both_conventions_and_boxes_and_polygons(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    path = write(
        tmp_path / "instances.json",
        [image(flickr_url="x"), image(2, "b.png"), image(3, "c.png")],
        [
            about(3),
            about(5, bbox=[10, 5, 20, 10], area=200, iscrowd=0),
            about(5, bbox=[0, 0, 40, 20], image_level=False),
            about(3, at=2, bbox=[0, 0, 40, 20]),
            about(5, at=2, segmentation=[[0, 0, 40, 0, 20, 20], [0, 0, 4, 0, 4, 2]]),
            about(5, at=2, bbox=[0, 0, 4, 2], iscrowd=1, segmentation={"counts": "x", "size": [1]}),
            about(3, at=3, bbox=[0, 0, 4, 2], score=0.25),
            about(3, at=3, image_level=True, score=0.93),
        ],
    )
    assert chosen(path) == "coco"
    drafts, problems = read("coco", path)
    mask = "image 2: the run-length mask of 'cup' is not taken, its box is"
    place = "1 prediction has a place, which is not taken; the score is"
    assert problems == {"instances.json": f"{mask} | {place}"}
    assert drafts["a.png"].path == tmp_path / "a.png"
    assert drafts["a.png"].metadata == {"flickr_url": "x"}
    assert drafts["a.png"].only_present
    assert drafts["a.png"].verdicts == {"night": "yes", "cup": "yes"}
    assert [r.region.points for r in drafts["a.png"].regions] == [
        (0.25, 0.25, 0.5, 0.5),
        (0, 0, 1, 1),
    ]
    assert drafts["b.png"].path is None
    assert drafts["b.png"].verdicts == {"night": "yes", "cup": "yes"}
    assert [(r.label, r.region.kind, r.region.points) for r in drafts["b.png"].regions] == [
        ("cup", "polygon", (0, 0, 1, 0, 0.5, 1)),
        ("cup", "polygon", (0, 0, 0.1, 0, 0.1, 0.1)),
        ("cup", "box", (0, 0, 0.1, 0.1)),
    ]
    assert drafts["c.png"].predictions == {"night": 0.93}
    assert drafts["c.png"].verdicts == {}


def test_a_mask_without_a_box_says_what_became_of_it(tmp_path: Path) -> None:
    mask = {"counts": "x", "size": [20, 40]}
    path = write(tmp_path / "a.json", [image()], [about(3, segmentation=mask)])
    drafts, problems = read("coco", path)
    assert (drafts["a.png"].verdicts, drafts["a.png"].regions) == ({"night": "yes"}, ())
    told = "image 1: the run-length mask of 'night' is not taken, the label of the whole picture is"
    assert problems == {"a.json": told}


@pytest.mark.parametrize("indent", [None, 1])
def test_annotations_may_come_first_however_many_they_are(tmp_path: Path, indent: int) -> None:
    """Tools that sort their keys write the annotations before the images."""
    long = [0.5, *[number / 7 for number in range(200)], 0.5]
    document = {
        "images": [image()],
        "annotations": [about(5, segmentation=[long], area=at) for at in range(600)],
        "categories": CATEGORIES,
    }
    path = tmp_path / "all.json"
    path.write_text(json.dumps(document, sort_keys=True, indent=indent))
    assert path.read_text().index('"images"') > 1_000_000
    assert chosen(path) == chosen(tmp_path) == "coco"
    drafts, problems = read("coco", path)
    assert problems == {}
    assert len(drafts["a.png"].regions) == 600
    # What only sounds alike is somebody else's.
    path.write_text(json.dumps({"annotations": [{"image": "a.png", "label": "x"}]}))
    assert chosen(path) != "coco"


@pytest.mark.parametrize(
    ("annotations", "media"),
    [
        ("instances_val2017.json", "a.png"),
        ("instances_val2017.json", "images/a.png"),
        ("annotations/instances_val2017.json", "val2017/a.png"),
        ("annotations/instances_val2017.json", "images/val2017/a.png"),
    ],
)
def test_images_are_found_where_coco_people_put_them(
    tmp_path: Path, annotations: str, media: str
) -> None:
    file = picture(tmp_path / media)
    path = write(tmp_path / annotations, [image()], [about()])
    for given in (path, tmp_path):
        assert chosen(given) == "coco"
        drafts, problems = read("coco", given)
        assert problems == {}
        assert list(drafts) == ["a.png"], "nobody is there twice"
        assert drafts["a.png"].path == file
        assert drafts["a.png"].split == "val"


def test_results_take_their_names_from_the_file_beside_them(tmp_path: Path) -> None:
    rows = [
        about(3, score=0.5),
        about(3, score=0.7),
        about(5, score=0.1),
        about(4, score=1),
        about(3, at=8, score=0.2),
        about(3, score="x"),
    ]
    results = tmp_path / "results.json"
    results.write_text(json.dumps(rows))
    assert chosen(results) == "coco"
    assert "needs the dataset file" in read("coco", results)[1]["results.json"]
    write(tmp_path / "instances.json", [image()], [])
    drafts, problems = read("coco", results)
    assert drafts["a.png"].predictions == {"night": 0.7, "cup": 0.1}
    assert drafts["a.png"].verdicts == {}
    told = problems["results.json"].split(" | ")
    assert len(told) == 3
    assert told[0].startswith("row 4: there is no category 4")
    assert told[1].startswith("row 5: there is no image 8")


def test_broken_references_are_named_and_the_rest_is_kept(tmp_path: Path) -> None:
    picture(tmp_path / "good.png")
    path = write(
        tmp_path / "a.json",
        [
            image(1, "good.png"),
            image(2, "../../etc/passwd"),
            image(3, "/etc/passwd"),
            image(4, "file:///x.png"),
            image(5, "..\\x.png"),
            {"file_name": "no id"},
            7,
            image([1], "list"),
            image(6, None),
        ],
        [
            about(5),
            about(99),
            about(5, at=77),
            about(5, bbox=[1, 2]),
            about({"x": 1}),
            "text",
            about(5, bbox=[100, 100, 5, 5]),
            about(5, segmentation=[[0, 0, 1, 1]]),
            about(5, bbox=[0, 0, 1, "x"]),
        ],
        [*CATEGORIES, {"id": True, "name": "x"}, None],
    )
    drafts, problems = read("coco", path)
    assert list(drafts) == ["good.png"]
    assert drafts["good.png"].verdicts == {"cup": "yes"}
    told = problems["a.json"]
    for words in (
        "image 2: the path '../../etc/passwd' leaves",
        "image 3: ",
        "image 4: ",
        "image 5: ",
        "image 6: ",
        "images entry 6: ",
        "images entry 7: ",
        "images entry 8: ",
        "there is no category 99",
        "annotations entry 3: there is no image 77",
        "categories entry 3",
        "is not x, y, width, height",
        "outside the",
        "less than three points",
        "annotations entry 6",
        "give a finite number",
    ):
        assert words in told, words


def test_json_that_is_not_json_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"images": [{"id": 1,\n "file_name": "a.png"}],\n "annotations": [NaN]}')
    assert read("coco", path)[1]["a.json"].startswith("line 3: is not JSON")
    path.write_text('{"images": [], "annotations": ' + "[" * 5000 + "]" * 5000 + "}")
    assert "is not JSON" in read("coco", path)[1]["a.json"]
