"""The wheel carries everything: installed alone in an empty folder, it runs."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    dest = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(dest)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (built,) = dest.glob("*.whl")
    return built


def test_the_wheel_carries_assets_screens_and_migrations(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for part in (
        "patchlane_assets/recipes/default.toml",
        "patchlane_assets/encoder/",
        "patchlane_assets/demo/",
        "ui/static/base.js",
        "ui/texts/en.json",
        "backend/store/migrations/",
    ):
        assert any(name.startswith(part) for name in names), part
    assert not any(name.startswith(("tests/", "assets/", "docs/")) for name in names)


def test_an_installed_wheel_finds_its_assets(wheel: Path, tmp_path: Path) -> None:
    """Dependencies come from this environment, the code only from the wheel."""
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    code = (
        "import backend, sys; from backend.settings import assets_folder; "
        "from backend.recipes import load_recipe; "
        "print(backend.__file__); print(assets_folder()); print(load_recipe('default').name)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    where, assets, recipe = done.stdout.splitlines()
    assert Path(where).is_relative_to(site)
    assert Path(assets) == site / "patchlane_assets"
    assert recipe == "default"
