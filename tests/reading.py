"""Small things that tests of readers share: pictures on disk, and what a reader said."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from backend import catalogue
from backend.contracts import Reader
from backend.types import Draft, FileProblem


def picture(path: Path, colour: tuple[int, int, int] = (200, 30, 30), size=(40, 20)) -> Path:
    """Write a one-colour picture; the format follows the name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def reader(key: str, **settings: object) -> Reader:
    """A reader of the catalogue with some settings changed."""
    method = catalogue.load(f"readers/{key}")
    return method(method.Settings(**settings))


def chosen(path: Path) -> str:
    """The key of the first reader of the catalogue that accepts a path."""
    for line in catalogue.entries("readers"):
        if catalogue.load(line.key)().accepts(path):
            return line.key.split("/")[1]
    return "none"


def read(key: str, path: Path, **settings: object) -> tuple[dict[str, Draft], dict[str, str]]:
    """Drafts by name, and reasons by the file they are about (several are joined)."""
    drafts: dict[str, Draft] = {}
    problems: dict[str, str] = {}
    for one in reader(key, **settings).read(path):
        if isinstance(one, FileProblem):
            problems[one.file] = " | ".join(filter(None, (problems.get(one.file), one.reason)))
        elif isinstance(one, Draft):
            assert one.name not in drafts, "one draft per sample"
            drafts[one.name] = one
    return drafts, problems
