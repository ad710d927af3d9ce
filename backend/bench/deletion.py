"""Deletion curves of the shipped map on five sets with boxes, beside random parts.

A project of each set's first pictures with their labels known by name only; the check that a person
asks for in the viewer, for one label of each picture. A row's value is the mean height of the
score as the parts that the map marks are blurred first; below that of random parts it is true.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory

import numpy as np

from backend import api
from backend.bench._embedded_data import read_rows
from backend.bench.reports import Row, row
from backend.errors import NotFoundError
from backend.settings import Settings

SETS = ("mosaic_open", "coco_mini", "aquarium", "bccd", "doc_gallica")
PICTURES = 12


def rows(settings: Settings, *, say: Callable[[str], None]) -> Iterator[Row]:
    """Per set the map against the best of three seeds, and the inverted map.

    Raises:
        NotFoundError: a data pack is missing.
    """
    for name in SETS:
        with TemporaryDirectory(prefix="patchlane-deletion-") as folder:
            yield from _of_set(name, settings, Path(folder), say)


def _of_set(
    name: str, settings: Settings, folder: Path, say: Callable[[str], None]
) -> Iterator[Row]:
    known = [each for each in read_rows(settings.data, name) if each["boxes"]]
    # Spread over the set: neighbouring files are often alike.
    known = [known[at] for at in np.linspace(0, len(known) - 1, PICTURES).astype(int)]
    labels = sorted({label for each in read_rows(settings.data, name) for label in each["labels"]})
    (folder / "images").mkdir()
    for each in known:
        source = settings.data / name / each["file"]
        if not source.is_file():
            raise NotFoundError(f"{source} is missing; set PATCHLANE_DATA")
        copyfile(source, folder / "images" / source.name)
    bench = api.create_project(
        str(folder / "project"), labels=labels, settings=replace(settings, home=folder)
    )
    try:
        bench.add(folder / "images")
        found = []
        for number, each in enumerate(known):
            here = sorted({box["label"] for box in each["boxes"]})
            label = here[number % len(here)]
            found.append(api.check(bench, Path(each["file"]).name, label))
            say(f"{name}: {number + 1} of {len(known)}")
    finally:
        bench.close()
    by_map = float(np.mean([one.deletion_area["map"] for one in found]))
    seeds = np.mean([one.random_areas for one in found], axis=0)
    told = json.dumps([round(float(seed), 3) for seed in seeds])
    yield row(
        f"{name}: deletion of the shipped map, {len(found)} maps",
        by_map,
        "score",
        at_most=float(seeds.min()),
        baseline=f"random parts, 3 seeds {told}",
        baseline_value=float(seeds.mean()),
    )
    yield row(
        f"{name}: deletion of the inverted map",
        float(np.mean([one.deletion_area["inverted"] for one in found])),
        "score",
        baseline="random parts",
        baseline_value=float(seeds.mean()),
    )
    yield row(
        f"{name}: maps whose deletion lies below every seed",
        float(np.mean([one.holds for one in found])),
        "share",
    )
