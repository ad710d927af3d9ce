"""Look the installation over: versions, devices, encoders, disk, database, and what is wrong."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from backend.errors import PatchlaneError
from backend.recipes import OFFLINE_ENCODERS
from backend.settings import Settings, assets_folder
from backend.shipped import WEIGHTS

PACKAGES = (
    "gradio",
    "torch",
    "open_clip_torch",
    "faiss-cpu",
    "faiss-gpu-cu12",
    "openvino",
    "umap-learn",
    "plotly",
    "sentence-transformers",
    "sqlalchemy",
)
LEAST_FREE_BYTES = 1_000_000_000


def examine() -> dict[str, Any]:
    """Everything worth a look; `exit` is 1 when something is wrong."""
    settings = Settings.from_environ()
    problems: list[str] = []
    result: dict[str, Any] = {
        "versions": _versions(),
        "devices": _devices(problems),
        "encoders": _encoders(problems),
        "database": _database(settings, problems),
        "disk": _disk(settings, problems),
        "problems": problems,
    }
    result["exit"] = 1 if problems else 0
    return result


def _versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {"python": platform.python_version(), "system": sys.platform}
    for name in ("patchlane", *PACKAGES):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def _devices(problems: list[str]) -> dict[str, Any]:
    try:
        import torch  # noqa: PLC0415  heavy, and the doctor must answer without it
    except ImportError:
        problems.append("torch cannot be imported; install Patchlane again with its constraints")
        return {"cpu": os.cpu_count(), "cuda": []}
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {"cpu": os.cpu_count(), "cuda": names}


def _encoders(problems: list[str]) -> dict[str, str]:
    state = {}
    for name, weights in WEIGHTS.items():
        try:
            for package in weights:
                package.locate_folder()
            state[name] = "ready"
        except PatchlaneError as error:
            state[name] = str(error)
            problems.append(f"encoder {name}: {error}")
    if not (assets_folder() / "encoder").is_dir():
        problems.append("assets/encoder is missing; install Patchlane again")
    state["available offline"] = ", ".join(OFFLINE_ENCODERS)
    return state


def _database(settings: Settings, problems: list[str]) -> dict[str, Any]:
    home = settings.home
    try:
        home.mkdir(parents=True, exist_ok=True)
        probe = home / ".doctor"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        problems.append(f"{home} cannot be written: {error.strerror}")
    return {"home": str(home), "sqlite": sqlite3.sqlite_version}


def _disk(settings: Settings, problems: list[str]) -> dict[str, int]:
    place = settings.home if settings.home.is_dir() else settings.home.anchor
    usage = shutil.disk_usage(place)
    if usage.free < LEAST_FREE_BYTES:
        problems.append(f"only {usage.free // 1_000_000} MB are free at {place}")
    return {"free_bytes": usage.free, "total_bytes": usage.total}
