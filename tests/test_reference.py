"""The reference page says what there is: every command, option and method."""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path

from backend.usage import parser

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
    """A default alone says nothing; an action that is one of several words is told by them."""
    (verbs,) = (a for a in parser()._actions if isinstance(a, argparse._SubParsersAction))
    silent = [
        (name, action.dest)
        for name, verb in verbs.choices.items()
        for action in verb._actions
        if (action.option_strings or not action.choices)
        and (action.help or "default: ").startswith("default: ")
    ]
    assert silent == []
