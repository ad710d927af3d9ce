"""Deletion curves of the shipped map on five sets with boxes, beside random parts.

A project of pictures of each set, its labels known by name only, and then taught by all labels of
`TAUGHT` other pictures; the check that a person asks for in the viewer, for one label of each of
`PICTURES`. A row's value is the mean height of the score as the parts that the map marks are
blurred first; below that of random parts it is true.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from backend import api
from backend.bench._embedded_data import read_rows
from backend.bench.reports import Row, row
from backend.errors import NotFoundError
from backend.settings import Settings

SETS = ("mosaic_open", "coco_mini", "aquarium", "bccd", "doc_gallica")
PICTURES, TAUGHT = 12, 100


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
    items = read_rows(settings.data, name)
    boxed = [each for each in items if each["boxes"]]
    # Spread over the set: neighbouring files are often alike.
    known = [boxed[at] for at in np.linspace(0, len(boxed) - 1, PICTURES).astype(int)]
    rest = [each for each in items if each not in known]
    taught = [rest[at] for at in np.linspace(0, len(rest) - 1, TAUGHT).astype(int)]
    labels = sorted({label for each in items for label in each["labels"]})
    _copied(name, settings, known, folder / "images")
    _copied(name, settings, taught, folder / "taught")
    bench = api.create_project(
        str(folder / "project"), labels=labels, settings=replace(settings, home=folder)
    )
    try:
        bench.add(folder / "images")
        yield from _checked(f"{name}, names only", bench, known, say)
        bench.add(folder / "taught")
        bench.correct(
            [
                {"sample": Path(each["file"]).name, "label": label, "verdict": _said(each, label)}
                for each in taught
                for label in labels
            ]
        )
        bench.learn()
        yield from _checked(f"{name}, {len(taught)} pictures taught", bench, known, say)
    finally:
        bench.close()


def _said(item: dict[str, Any], label: str) -> str:
    return "yes" if label in item["labels"] else "no"


def _copied(name: str, settings: Settings, items: list[dict[str, Any]], folder: Path) -> None:
    folder.mkdir()
    for each in items:
        source = settings.data / name / each["file"]
        if not source.is_file():
            raise NotFoundError(f"{source} is missing; set PATCHLANE_DATA")
        copyfile(source, folder / source.name)


def _checked(
    told: str, bench: api.Workbench, known: list[dict[str, Any]], say: Callable[[str], None]
) -> Iterator[Row]:
    """Of one label of each picture, in turns."""
    found = []
    for number, each in enumerate(known):
        here = sorted({box["label"] for box in each["boxes"]})
        found.append(api.check(bench, Path(each["file"]).name, here[number % len(here)]))
        say(f"{told}: {number + 1} of {len(known)}")
    by_map = float(np.mean([one.deletion_area["map"] for one in found]))
    seeds = np.mean([one.random_areas for one in found], axis=0)
    drawn = json.dumps([round(float(seed), 3) for seed in seeds])
    yield row(
        f"{told}: deletion of the shipped map, {len(found)} maps",
        by_map,
        "score",
        at_most=float(seeds.min()),
        baseline=f"random parts, 3 seeds {drawn}",
        baseline_value=float(seeds.mean()),
    )
    yield row(
        f"{told}: deletion of the inverted map",
        float(np.mean([one.deletion_area["inverted"] for one in found])),
        "score",
        baseline="random parts",
        baseline_value=float(seeds.mean()),
    )
    yield row(
        f"{told}: maps whose deletion lies below every seed",
        float(np.mean([one.holds for one in found])),
        "share",
    )
