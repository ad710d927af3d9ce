"""What every test may rely on: no network, a home of its own, the data packs if there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Compiled networks, for all processes of this run and the next: named by their code and weights.
os.environ.setdefault(
    "PATCHLANE_CACHE", str(Path(__file__).parents[1] / ".pytest_cache" / "engines")
)

from backend.settings import Settings


@pytest.hookimpl(trylast=True)  # after the files were shuffled
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests first: few in a file, and long; a worker that got one last ended alone."""
    items.sort(key=lambda item: "browser" not in item.path.parts)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with a home that belongs to this test."""
    return Settings.from_environ({**os.environ, "PATCHLANE_HOME": str(tmp_path / "home")})


@pytest.fixture
def packs() -> Path:
    """The folder of data packs; skips with a sentence where they are absent."""
    folder = Settings.from_environ().data
    if not folder.is_dir():
        pytest.skip(f"no data packs in {folder}; set PATCHLANE_DATA")
    return folder
