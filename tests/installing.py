"""Patchlane as somebody else gets it: a wheel, installed alone in an empty folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def built_wheel(folder: Path) -> Path:
    """Build the wheel of this checkout into a folder."""
    _run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)], ROOT)
    (built,) = folder.glob("*.whl")
    return built


def installed(wheel: Path, site: Path) -> Path:
    """Install a wheel into a folder of its own; what it depends on comes from this environment."""
    alone = ["--no-deps", "--no-index", "--no-compile", "--quiet", "--disable-pip-version-check"]
    _run([sys.executable, "-m", "pip", "install", *alone, "--target", str(site), str(wheel)], None)
    return site


def environ(site: Path, **more: str) -> dict[str, str]:
    """Variables for a process that finds Patchlane in `site` and nowhere else."""
    return {**os.environ, "PYTHONPATH": str(site), **more}


def _run(command: list[str], folder: Path | None) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
