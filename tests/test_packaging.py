"""The wheel carries everything: installed alone in an empty folder, it runs.

That its demo is made and served from there is in `backend/test_demo.py`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.installing import ROOT, built_wheel, environ, installed


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the wheel was installed in."""
    return installed(wheel, tmp_path_factory.mktemp("site"))


@pytest.mark.skipif(shutil.which("git") is None, reason="git says which files are the product's")
def test_the_wheel_holds_the_files_of_the_product_and_no_others(wheel: Path) -> None:
    target = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"][
        "targets"
    ]["wheel"]
    assert set(target) == {"packages", "force-include"}, "nothing is left out on purpose"
    places = {name: name for name in target["packages"]} | target["force-include"]
    assert places == {"ui": "ui", "backend": "backend", "assets": "patchlane_assets"}
    # Also what is not committed yet, as long as git does not ignore it.
    command = ["git", "ls-files", "-co", "--exclude-standard", "--", *places]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    ours = {
        str(Path(places[file.split("/")[0]], *file.split("/")[1:]))
        for file in listed.stdout.splitlines()
        if (ROOT / file).is_file()
    }
    assert len(ours) > 400
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert held == ours


def said_by(site: Path, elsewhere: Path, *command: str | Path) -> str:
    """What a command prints that has its code from the wheel alone."""
    done = subprocess.run(
        command, cwd=elsewhere, env=environ(site), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_installed_wheel_finds_its_assets(site: Path, tmp_path: Path) -> None:
    """Dependencies come from this environment, the code only from the wheel."""
    code = (
        "import backend, sys; from backend.settings import assets_folder; "
        "from backend.recipes import load_recipe; "
        "print(backend.__file__); print(assets_folder()); print(load_recipe('default').name)"
    )
    where, assets, recipe = said_by(site, tmp_path, sys.executable, "-c", code).splitlines()
    assert Path(where).is_relative_to(site)
    assert Path(assets) == site / "patchlane_assets"
    assert recipe == "default"


def test_an_installed_wheel_has_its_command(site: Path, tmp_path: Path) -> None:
    command = (site / "bin" / "patchlane", "methods", "--shelf", "readers", "--json")
    assert '"readers/coco"' in said_by(site, tmp_path, *command)
