"""Write `docs/reference.md`: every command with its options, every method with its source.

`python docs/reference.py` after a command or a method changed; a test compares the page with what
there is.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from backend import catalogue
from backend.__main__ import parser

PAGE = Path(__file__).with_name("reference.md")


def reference() -> str:
    """The whole page, Markdown."""
    lines = [
        "# Reference",
        "",
        "Made by `python docs/reference.py`. Every command also takes `--json` (one JSON document",
        "on stdout, progress on stderr) and exits with 0, 1 (it failed, with a sentence) or 2",
        "(wrong usage). PROJECT is a folder, or a name under `PATCHLANE_HOME`.",
        "",
        "## Commands",
        "",
        *_commands(),
        "## Methods",
        "",
        "A recipe takes the default of a shelf where it says nothing else; the plain member is the",
        "simple one that others are measured against; a trial has not beaten it.",
        "",
        *_methods(),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _commands() -> Iterator[str]:
    top = parser()
    verbs = next(a for a in top._actions if isinstance(a, argparse._SubParsersAction))
    for name, verb in verbs.choices.items():
        yield f"### patchlane {name}"
        yield ""
        yield f"{_sentence(verb.description or '')}"
        yield ""
        rows = [row for action in verb._actions if (row := _option(action))]
        yield from rows
        if rows:
            yield ""


def _option(action: argparse.Action) -> str:
    if isinstance(action, argparse._HelpAction) or action.dest == "json":
        return ""
    value = action.metavar or ("|".join(map(str, action.choices)) if action.choices else "")
    if isinstance(value, tuple):
        value = " ".join(value)
    takes_one = action.nargs != 0
    if action.option_strings:
        shown = action.option_strings[0] + (f" {value or action.dest.upper()}" if takes_one else "")
    else:
        shown = str(value or action.dest)
    told = [action.help] if action.help else []
    if takes_one and action.default not in (None, [], "") and "default" not in (action.help or ""):
        told.append(f"default: {action.default}")
    return f"- `{shown}`" + (f": {'; '.join(told)}" if told else "")


def _methods() -> Iterator[str]:
    for shelf, entries in groupby(catalogue.ENTRIES, key=lambda entry: entry.shelf):
        yield f"### {shelf}"
        yield ""
        yield "| method | what | status | source |"
        yield "|---|---|---|---|"
        for each in entries:
            also = "".join(f" (also `{other}`)" for other in each.aka)
            yield f"| `{each.key}`{also} | {each.what} | {each.status} | {each.source} |"
        yield ""


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}." if text else ""


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
