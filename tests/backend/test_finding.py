"""Who is inside a drawn shape, against one point at a time; regions; projections on disk."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from backend import finding
from backend.errors import BadInputError
from backend.finding import Finder, inside, matching_parts, pixel_box
from backend.pipeline import Pipeline
from backend.settings import Settings
from backend.types import MapPoints
from tests.backend.text_projects import LABELS, TEXTS, made_project, numbered


def winding(px: float, py: float, x: list[float], y: list[float]) -> bool:
    """A twin by the winding number: the angle that the outline turns around the point."""
    turn = 0.0
    for i in range(len(x)):
        a = np.arctan2(y[i - 1] - py, x[i - 1] - px)
        b = np.arctan2(y[i] - py, x[i] - px)
        turn += (b - a + np.pi) % (2 * np.pi) - np.pi
    return abs(turn) > np.pi


def points(n: int, seed: int) -> MapPoints:
    xy = np.random.default_rng(seed).uniform(-1, 1, (n, 2)).astype(np.float32)
    return MapPoints(np.arange(100, 100 + n), xy, "pca", 1)


def test_a_lasso_selects_what_a_winding_number_says_is_inside() -> None:
    cloud = points(400, 0)
    angle = np.linspace(0, 2 * np.pi, 23, endpoint=False)
    radius = 0.5 + 0.25 * np.sin(3 * angle)
    x, y = (radius * np.cos(angle)).tolist(), (radius * np.sin(angle)).tolist()
    expected = [
        int(i) for i, p in zip(cloud.ids, cloud.xy, strict=True) if winding(p[0], p[1], x, y)
    ]
    assert 50 < len(expected) < 250
    assert inside(cloud, "lasso", x, y) == expected


def test_a_box_takes_corners_in_any_order() -> None:
    cloud = points(300, 1)
    keep = (np.abs(cloud.xy[:, 0]) <= 0.5) & (cloud.xy[:, 1] >= 0) & (cloud.xy[:, 1] <= 0.25)
    assert inside(cloud, "box", [0.5, -0.5], [0.25, 0.0]) == cloud.ids[keep].tolist()


def test_nothing_is_inside_a_shape_without_area_or_with_broken_geometry() -> None:
    cloud = points(10, 2)
    assert inside(cloud, "lasso", [0.0], [0.0]) == []
    assert inside(cloud, "lasso", [0.0, 1.0, 2.0], [0.0]) == []


def test_matching_parts_lead_with_the_best_and_leave_the_rest_out() -> None:
    query = np.array([1.0, 0.0], np.float32)
    parts = np.array([[0.1, 0], [0.95, 0], [0.12, 0], [0.9, 0], [0.11, 0]], np.float32)
    assert matching_parts(parts, query) == (1, 3)
    assert matching_parts(parts[:0], query) == ()


def test_a_region_is_what_of_it_lies_in_the_picture() -> None:
    assert pixel_box([0.2, 0.4, 0.3, 0.1], 10, 10) == (2, 4, 5, 5)
    assert pixel_box([-0.5, 0.8, 1.0, 5.0], 10, 20) == (0, 16, 5, 20)
    assert pixel_box([0.99, 0.99, 0.001, 0.001], 10, 10) == (9, 9, 10, 10)


@pytest.mark.parametrize(
    "region", [[0, 0, 0, 1], [0, 0, 1, -0.1], [1, 0, 1, 1], [0, -1, 1, 1], [0, 0, np.nan, 1], [0]]
)
def test_a_region_without_a_pixel_is_refused(region: list[float]) -> None:
    with pytest.raises(BadInputError, match=r"nothing of the picture is in the region|four num"):
        pixel_box(region, 10, 10)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The projector of the map that comes first, here: UMAP compiles for half a minute."""

    def pool(workers: int, **_: object) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(workers)

    monkeypatch.setattr(finding, "ProcessPoolExecutor", pool)
    monkeypatch.setattr(Pipeline, "projector", property(Pipeline.plain_projector))


@pytest.mark.usefixtures("quick")
def test_a_damaged_projection_is_fitted_again(settings: Settings, tmp_path: Path) -> None:
    bench = made_project(numbered(TEXTS), tmp_path, settings, labels=LABELS, encoder="words")
    bench.project()
    (file,) = (bench.path / "cache" / "projections").iterdir()
    content = file.read_bytes()
    for harmed in (content[:-9], b"", bytes(len(content))):
        file.write_bytes(harmed)
        finder = Finder(bench.pipeline, bench.path / "cache")
        assert finder.points(bench.board).method == "pca"
        assert not file.exists()
        finder.project(bench.board)
        assert file.read_bytes() == content
        fresh = Finder(bench.pipeline, bench.path / "cache")
        assert fresh.points(bench.board).method == "umap"
    bench.close()


@pytest.mark.usefixtures("quick")
def test_projections_that_are_written_at_once_leave_one_that_is_whole(
    settings: Settings, tmp_path: Path
) -> None:
    bench = made_project(numbered(TEXTS), tmp_path, settings, labels=LABELS, encoder="words")
    finders = [Finder(bench.pipeline, bench.path / "cache") for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(finder.project, bench.board) for finder in finders]:
            done.result()
    (file,) = (bench.path / "cache" / "projections").iterdir()
    assert file.suffix == ".safetensors"
    fresh = Finder(bench.pipeline, bench.path / "cache")
    assert fresh.points(bench.board).method == "umap"
    bench.close()
