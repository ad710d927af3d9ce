"""A project of five small pictures that nothing confuses, two of which make up a third."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from backend import api

SIDE = 96
LABELS = ("red", "blue", "sky")
ALIKE = 1e-4
"""How far a picture may be from itself: it is encoded again, alone."""


def drawn() -> dict[str, np.ndarray]:
    """Three unlike squares, the first two of them side by side, and a dark one with a red corner.

    The corner is at the top and at the right, in a picture that is wider than high.
    """
    draw = np.random.default_rng(0)
    noise = draw.integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)
    stripes = np.zeros((SIDE, SIDE, 3), np.uint8)
    stripes[::8, :, 2] = stripes[1::8, :, 2] = 255
    sky = np.full((SIDE, SIDE, 3), (150, 190, 240), np.uint8)
    corner = draw.integers(0, 60, (SIDE, 128, 3), dtype=np.uint8)
    corner[4:40, 84:124, 0] += 190
    both = np.concatenate([noise, stripes], axis=1)
    return {"noise": noise, "stripes": stripes, "sky": sky, "both": both, "corner": corner}


def made_project(folder: Path, settings: api.Settings, *, name: str = "p") -> api.Workbench:
    """The open project of `folder/NAME.png`, which are written there first.

    Red is in a box of "both" and somewhere in "corner", which has no sky; "both" and "sky" are of
    the split val.
    """
    rows: dict[str, dict[str, object]] = {}
    for stem, pixels in drawn().items():
        Image.fromarray(pixels).save(folder / f"{stem}.png")
        rows[stem] = {"file": f"{stem}.png", "split": "val" if stem in ("both", "sky") else "train"}
    rows["both"] |= {"regions": [{"label": "red", "box": [0.5, 0.25, 0.25, 0.5]}]}
    rows["corner"] |= {"labels": {"red": "yes", "sky": "no"}}
    file = folder / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows.values()))
    bench = api.create_project(name, labels=LABELS, kind=api.Kind.IMAGE, settings=settings)
    report = bench.add(file)
    assert report.imported == len(rows), report.errors
    return bench
