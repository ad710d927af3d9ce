"""The product's own commands as a program starts them, in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from backend.settings import Settings


@contextmanager
def started(settings: Settings, *words: str) -> Iterator[Any]:
    """A server that a command starts on a free port; killed where a test left it running."""
    command = [sys.executable, "-m", "backend", *words, "--port", "0", "--no-browser"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PATCHLANE_HOME": str(settings.home)},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()
