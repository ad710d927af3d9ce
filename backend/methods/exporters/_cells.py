"""Lines of a CSV table: quoted after RFC 4180, and no cell that a spreadsheet runs as a formula."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def table_line(cells: Sequence[str], lost: Counter[str], *, is_formula_safe: bool = True) -> str:
    """One row of a table with its end.

    Args:
        cells: texts of any kind.
        lost: zero characters, which no table holds, are counted here and become U+FFFD.
        is_formula_safe: put an apostrophe before cells that begin like a formula.
    """
    return ",".join(_cell(cell, lost, is_formula_safe) for cell in cells) + "\n"


def _cell(text: str, lost: Counter[str], is_formula_safe: bool) -> str:
    if "\0" in text:
        lost["zero_characters"] += 1
        text = text.replace("\0", "\ufffd")
    # An apostrophe that is the text's own, before a formula, would be taken for ours.
    is_own = text.startswith("'") and text.lstrip("'").startswith(_FORMULA)
    if is_own or (is_formula_safe and text.startswith(_FORMULA)):
        text = f"'{text}"
    if any(mark in text for mark in ',"\r\n;|\t') or text != text.strip():
        return '"' + text.replace('"', '""') + '"'
    return text
