from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image

from ui.plane import HEADER, Plane


@pytest.fixture
def plane() -> Plane:
    rng = np.random.default_rng(1)
    ids = np.arange(100, 100 + 3 * 400, 3)
    xy = rng.normal(size=(400, 2)).astype(np.float32)
    return Plane.from_points(ids, xy, method="umap", version=7)


def read(body: bytes) -> dict[str, object]:
    """An independent reader of what the browser gets: words of four bytes, little end first."""
    words = struct.unpack("<4s4I4fI", body[:40])
    n = words[2]
    columns = [body[40 + 4 * n * k : 40 + 4 * n * (k + 1)] for k in range(4)]
    assert len(body) == 40 + 16 * n
    return {
        "magic": words[0],
        "matching": words[1],
        "version": words[3],
        "umap": words[4],
        "total": words[9],
        "ids": list(struct.unpack(f"<{n}I", columns[0])),
        "x": struct.unpack(f"<{n}f", columns[1]),
        "y": struct.unpack(f"<{n}f", columns[2]),
        "colours": struct.unpack(f"<{n}f", columns[3]),
    }


def test_every_point_travels_with_its_own_place_and_colour() -> None:
    ids = np.array([5, 9, 2], np.int64)
    xy = np.array([[0.5, 1], [0.25, 2], [-4, 3]], np.float32)
    made = Plane.from_points(ids, xy, method="pca", version=3)
    colours = {5: 0.1, 9: 0.2, 2: 0.3}
    sent = read(
        made.pack(np.array([colours[int(i)] for i in made.ids], np.float32), rows=made.window(None))
    )
    assert sent["magic"] == b"PLP2"
    assert (sent["matching"], sent["total"], sent["version"], sent["umap"]) == (3, 3, 3, 0)
    found = {
        i: (x, y, round(c, 6))
        for i, x, y, c in zip(sent["ids"], sent["x"], sent["y"], sent["colours"], strict=True)
    }
    assert found == {5: (0.5, 1, 0.1), 9: (0.25, 2, 0.2), 2: (-4, 3, 0.3)}
    assert made.ids.tolist() == ids[made.order].tolist()


def test_zooming_in_never_makes_a_shown_point_vanish(plane: Plane) -> None:
    colours = np.zeros(400, np.float32)
    wide, near = (-2.0, 2.0, -2.0, 2.0), (-0.7, 1.1, -0.4, 0.9)
    shown = {
        box: set(read(plane.pack(colours, rows=plane.window(box), limit=60))["ids"])
        for box in (wide, near)
    }
    place = dict(zip(plane.ids.tolist(), plane.xy.tolist(), strict=True))
    inside = {
        i
        for i in shown[wide]
        if near[0] <= place[i][0] <= near[1] and near[2] <= place[i][1] <= near[3]
    }
    assert len(inside) > 5
    assert inside <= shown[near]
    assert len(shown[near]) == 60


def test_a_window_holds_exactly_the_points_in_it_that_match(plane: Plane) -> None:
    keep = plane.ids % 2 == 0
    rows = plane.window((-1, 0.5, -0.25, 2), keep)
    twin = [
        row
        for row, (i, (x, y)) in enumerate(zip(plane.ids, plane.xy, strict=True))
        if i % 2 == 0 and -1 <= x <= 0.5 and -0.25 <= y <= 2
    ]
    assert rows.tolist() == twin
    sent = read(plane.pack(np.zeros(400, np.float32), rows=rows, limit=3))
    assert (sent["matching"], len(sent["ids"]), sent["total"]) == (len(twin), 3, 400)


def test_the_density_is_most_opaque_where_most_points_are() -> None:
    xy = np.vstack([np.tile([[0.9, 0.9]], (50, 1)), [[0, 0], [1, 0], [0, 1], [1, 1]]])
    made = Plane.from_points(np.arange(54), xy.astype(np.float32), method="pca", version=1)
    picture = np.asarray(Image.open(io.BytesIO(made.density(64))))
    row, column = np.unravel_index(picture[..., 3].argmax(), (64, 64))
    left, right, bottom, top = made.bounds
    assert column == int((0.9 - left) / (right - left) * 64)
    assert row == int((top - 0.9) / (top - bottom) * 64)
    assert (picture[..., 3] > 0).sum() == 5


def test_no_points_and_one_point_still_have_a_window() -> None:
    none = Plane.from_points(
        np.zeros(0, int), np.zeros((0, 2), np.float32), method="none", version=0
    )
    assert none.bounds == (-1, 1, -1, 1)
    assert len(none.pack(np.zeros(0, np.float32), rows=none.window(None))) == HEADER.size
    one = Plane.from_points(np.array([4]), np.array([[2, 3]], np.float32), method="pca", version=0)
    left, right, bottom, top = one.bounds
    assert left < 2 < right
    assert bottom < 3 < top
    assert Image.open(io.BytesIO(one.density())).size == (512, 512)
