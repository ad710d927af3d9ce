"""The command line in this process, as a script uses it: words in, JSON or a sentence out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backend.__main__ import main

Call = Callable[..., Any]


def caller(capsys: pytest.CaptureFixture[str]) -> Call:
    """`call("suggest", "p")` gives the JSON document, or the exit code and the sentence."""

    def run(*words: str | Path) -> Any:
        capsys.readouterr()
        status = main([*map(str, words), "--json"])
        said = capsys.readouterr()
        return json.loads(said.out) if status == 0 else (status, said.err)

    return run


def exported(call: Call, project: str, folder: Path, *options: str) -> list[dict[str, Any]]:
    """The lines of an export as JSON lines, in a folder that is not there yet."""
    call("export", project, folder, *options)
    lines = (folder / "annotations.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]
