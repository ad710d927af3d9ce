"""The reference page says what there is: every command, option and method."""

from __future__ import annotations

import importlib.util
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def written_anew() -> str:
    spec = importlib.util.spec_from_file_location("reference", DOCS / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.reference()


def test_the_reference_page_is_that_of_the_code() -> None:
    page = (DOCS / "reference.md").read_text(encoding="utf-8")
    assert page == written_anew(), "run `python docs/reference.py`"


def test_every_option_says_what_it_is() -> None:
    silent = [
        line for line in written_anew().splitlines() if line.startswith("- `") and ": " not in line
    ]
    assert silent == []
