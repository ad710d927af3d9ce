"""Small real projects for the tests of the store."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backend.settings import Settings
from backend.store.project import ProjectStore
from backend.types import Draft, Kind

Make = Callable[..., ProjectStore]


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Closed projects to copy, which takes a hundredth of the time of making one."""
    folder = tmp_path_factory.mktemp("templates")
    made: dict[str, Path] = {}
    for name, kind in (("image", Kind.IMAGE), ("text", Kind.TEXT), ("five", Kind.TEXT)):
        store = ProjectStore.create(
            folder / name, name="project", kind=kind, encoder="embedded", labels=("cat", "dog"),
            settings=Settings(),
        )  # fmt: skip
        if name == "five":
            texts = [Draft(name=f"t/{n}.txt", text=f"text number {n}") for n in range(1, 6)]
            store.take(texts, who="importer", source="import:texts.jsonl")
        store.close()
        made[name] = folder / name
    return made


@pytest.fixture
def make(tmp_path: Path, settings: Settings, templates: dict[str, Path]) -> Iterator[Make]:
    """Opens projects with the labels cat (1) and dog (2) below tmp_path; closes them at the end."""
    made: list[ProjectStore] = []

    def make_one(
        folder: str = "project", *, kind: Kind = Kind.TEXT, like: str = ""
    ) -> ProjectStore:
        shutil.copytree(templates[like or kind.value], tmp_path / folder)
        store = ProjectStore.open(tmp_path / folder, settings=settings)
        made.append(store)
        return store

    yield make_one
    for store in made:
        store.close()


@pytest.fixture
def store(make: Make) -> ProjectStore:
    """A text project with the labels cat (1) and dog (2) and five samples, 1 to 5."""
    return make(like="five")


def write_image(path: Path, *, seed: int = 0, size: tuple[int, int] = (24, 16)) -> Path:
    """A small photograph-like file (width, height) that no other seed gives."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path
