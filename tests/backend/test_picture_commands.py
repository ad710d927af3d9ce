"""What the command line does with pictures: find, explain, export, and import by link.

One home for all, with one project of five pictures; tests change nothing in it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from backend import api
from backend.heatmap import painted
from tests.backend.command_line import Call, caller
from tests.backend.picture_projects import ALIKE, LABELS, SIDE, drawn, made_project


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the files are that were imported, as their owner has them."""
    return tmp_path_factory.mktemp("pictures")


@pytest.fixture(scope="module")
def home(folder: Path) -> Iterator[api.Workbench]:
    """The project, open; the command line opens it beside."""
    settings = api.Settings.from_environ({**os.environ, "PATCHLANE_HOME": str(folder / "home")})
    bench = made_project(folder, settings)
    yield bench
    bench.close()


@pytest.fixture
def call(
    home: api.Workbench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> Call:
    monkeypatch.setenv("PATCHLANE_HOME", str(home.path.parent))
    return caller(capsys)


# --- search -------------------------------------------------------------------------------------


def test_a_picture_that_is_a_sample_is_nearest_to_itself(call: Call, folder: Path) -> None:
    for name in drawn():
        found = call("search", "p", "--image", folder / f"{name}.png")["results"]
        assert {hit["sample"] for hit in found} == {f"{each}.png" for each in drawn()}
        assert found[0]["sample"] == f"{name}.png"
        assert found[0]["score"] == pytest.approx(1, abs=ALIKE)
        assert found[1]["score"] < 0.99


def test_a_region_of_a_picture_finds_what_is_in_it(
    call: Call, folder: Path, tmp_path: Path
) -> None:
    for name, region in (("noise", "0,0,0.5,1"), ("stripes", "0.5,0,0.5,1")):
        alone = call("search", "p", "--image", folder / f"{name}.png")["results"]
        for where in (("--image", folder / "both.png"), ("--sample", "both.png")):
            found = call("search", "p", *where, "--region", region)["results"]
            assert [hit["sample"] for hit in found] == [hit["sample"] for hit in alone]
            assert [hit["score"] for hit in found] == pytest.approx(
                [hit["score"] for hit in alone], abs=ALIKE
            )
    # As it is displayed: the file lies on its side, and says so.
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = Image.open(folder / "both.png").transpose(Image.Transpose.ROTATE_90)
    lying.save(tmp_path / "lying.png", exif=exif)
    found = call("search", "p", "--image", tmp_path / "lying.png", "--region", region)["results"]
    assert found[0]["sample"] == "stripes.png"
    assert found[0]["score"] == pytest.approx(1, abs=ALIKE)


def test_a_region_may_hold_one_corner_alone(call: Call, folder: Path, tmp_path: Path) -> None:
    """x and y, width and height are not each other."""
    pixels = drawn()["corner"]
    Image.fromarray(pixels[0:48, 64:128]).save(tmp_path / "cut.png")
    alone = call("search", "p", "--image", tmp_path / "cut.png")["results"]
    found = call("search", "p", "--image", folder / "corner.png", "--region", "0.5,0,0.5,0.5")
    assert [hit["sample"] for hit in found["results"]] == [hit["sample"] for hit in alone]
    assert [hit["score"] for hit in found["results"]] == pytest.approx(
        [hit["score"] for hit in alone], abs=ALIKE
    )


# --- explain ------------------------------------------------------------------------------------


@pytest.mark.parametrize("label", [None, "sky"])
def test_arrays_of_an_explanation_are_those_of_the_python_call(
    call: Call, home: api.Workbench, tmp_path: Path, label: str | None
) -> None:
    only = () if label is None else ("--label", label)
    call("explain", "p", "corner.png", *only, "--out", tmp_path / "f.npz")
    told = home.explain("corner.png", label=label)
    labels = list(LABELS) if label is None else [label]
    with np.load(tmp_path / "f.npz", allow_pickle=False) as file:
        held = dict(file)
    assert set(held) == {"plan", "forward", "backward", "similarity", "labels", "score", "grid"}
    assert held["labels"].tolist() == labels
    assert held["grid"].shape == (2,)
    assert tuple(held["grid"]) == told.layout.grid
    num_parts = held["grid"].prod()
    for name in ("plan", "forward", "backward", "similarity"):
        assert held[name].shape == (num_parts, len(labels))
        np.testing.assert_allclose(held[name], getattr(told, name), atol=1e-6)
    np.testing.assert_allclose(held["score"], told.scores, atol=1e-5)
    np.testing.assert_allclose(held["forward"].sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(held["backward"].sum(axis=0), 1, atol=1e-5)
    assert held["plan"].sum() == pytest.approx(1, abs=1e-5)


def by_cell(picture: Path, grid: tuple[int, int]) -> np.ndarray:
    """How green the cells of a picture are on average, row by row; the ramp is green where hot."""
    green = np.asarray(Image.open(picture).convert("RGB"), np.float32)[..., 1]
    rows = (np.array_split(row, grid[1], axis=1) for row in np.array_split(green, grid[0], axis=0))
    return np.array([[cell.mean() for cell in row] for row in rows])


@pytest.mark.parametrize("label", [None, "red", "blue"])
def test_the_picture_of_an_explanation_is_hot_where_its_map_is(
    call: Call, home: api.Workbench, folder: Path, tmp_path: Path, label: str | None
) -> None:
    only = () if label is None else ("--label", label)
    call("explain", "p", "corner.png", *only, "--out", tmp_path / "f.png")
    assert Image.open(tmp_path / "f.png").size == Image.open(folder / "corner.png").size
    told = home.explain("corner.png", label=label)
    grid = told.layout.grid
    assert grid is not None
    heat = told.backward[:, told.scores.argmax()].reshape(grid)
    added = by_cell(tmp_path / "f.png", grid) - by_cell(folder / "corner.png", grid)
    assert added.argmax() == heat.argmax()
    assert np.corrcoef(added.ravel(), heat.ravel())[0, 1] > 0.9
    row, column = np.divmod(added.argmax(), grid[1])
    is_corner = row < grid[0] / 2 and column > grid[1] / 2
    assert is_corner == (label is not None), "both colours are up there at the right, sky is not"


def test_the_heat_of_a_grid_that_is_no_square_lies_over_its_cells(tmp_path: Path) -> None:
    heat = np.array([[0.0, 0.1, 0.3], [1.0, 0.0, 0.6]], np.float32)
    painted(Image.new("RGB", (90, 80)), heat).save(tmp_path / "f.png")
    assert Image.open(tmp_path / "f.png").size == (90, 80)
    shown = by_cell(tmp_path / "f.png", (2, 3))
    assert shown.argmax() == heat.argmax()
    assert np.corrcoef(shown.ravel(), heat.ravel())[0, 1] > 0.9


# --- export and import --------------------------------------------------------------------------


@pytest.mark.parametrize("media", ["copy", "link", "none"])
def test_coco_goes_out_with_the_media_and_the_split_asked_for(
    call: Call, home: api.Workbench, tmp_path: Path, media: str
) -> None:
    out = tmp_path / "out"
    told = call("export", "p", out, "--format", "coco", "--media", media, "--split", "val")
    assert (told["samples"], told["annotations"]) == (2, 2), "a verdict and its place"
    held = json.loads((out / "annotations.json").read_text())
    names = {image["id"]: image["file_name"] for image in held["images"]}
    place = "" if media == "none" else "images/"
    assert sorted(names.values()) == [f"{place}both.png", f"{place}sky.png"]
    (drawn_box,) = held["annotations"]
    assert names[drawn_box["image_id"]] == f"{place}both.png"
    assert drawn_box["bbox"] == pytest.approx([SIDE, 24, SIDE / 2, 48])
    (category,) = [one for one in held["categories"] if one["id"] == drawn_box["category_id"]]
    assert category["name"] == "red"
    _check_media(home, out, {} if media == "none" else {"both": "images", "sky": "images"}, media)


def test_yolo_goes_out_with_the_media_and_the_split_asked_for(
    call: Call, home: api.Workbench, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert call("export", "p", out, "--format", "yolo", "--split", "val")["samples"] == 2
    described = yaml.safe_load((out / "data.yaml").read_text())
    assert described["names"] == {0: "red", 1: "blue", 2: "sky"}
    (line,) = (out / "labels" / "val" / "both.txt").read_text().splitlines()
    assert [float(number) for number in line.split()] == [0, 0.625, 0.5, 0.25, 0.5]
    _check_media(home, out, {"both": "images/val", "sky": "images/val"}, "copy")
    bare = tmp_path / "bare"
    call("export", "p", bare, "--format", "yolo", "--media", "none", "--split", "train")
    _check_media(home, bare, {}, "none")
    assert not list(bare.rglob("both.txt"))
    assert (bare / "labels" / "train" / "corner.txt").read_text() == "", "red somewhere, no box"


def _check_media(home: api.Workbench, out: Path, places: dict[str, str], media: str) -> None:
    """The pictures in an export are these and no others, copied or under a second name."""
    assert {path.relative_to(out).as_posix() for path in out.rglob("*.png")} == {
        f"{place}/{name}.png" for name, place in places.items()
    }
    for name, place in places.items():
        ours = home.store.media.path(home.sample(f"{name}.png"))
        theirs = out / place / f"{name}.png"
        assert theirs.read_bytes() == ours.read_bytes()
        assert theirs.samefile(ours) == (media == "link")


@pytest.mark.parametrize("option", [None, "--copy", "--link"])
def test_pictures_are_copied_or_left_where_they_are(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str | None
) -> None:
    monkeypatch.setenv("PATCHLANE_HOME", str(tmp_path / "home"))
    call("new", "q", "--labels", "red")
    file = tmp_path / "far.png"
    Image.new("RGB", (8, 8), (200, 30, 30)).save(file)
    assert call("import", "q", file, *([option] if option else []))["imported"] == 1
    with pytest.raises(SystemExit) as both:
        call("import", "q", file, "--copy", "--link")
    assert both.value.code == 2
    bench = api.open_project("q")
    (sample,) = bench.samples()
    assert sample.is_linked == (option == "--link")
    path = bench.store.media.path(sample)
    bench.close()
    assert path.samefile(file) == (option == "--link")
    assert path.is_relative_to(tmp_path / "home") == (option != "--link")
    assert path.read_bytes() == file.read_bytes()
