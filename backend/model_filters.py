"""Filters on what models say of a sample: doubt, another model that differs, an earlier version.

    doubt:LABEL:LOW:HIGH         how doubtful an undecided label is, 0 (sure) to 1; LABEL is an id,
                                 or `any` for the most doubtful one
    disagree:LOW:HIGH[:SOURCE]   how far an imported model is from ours, 0 to 1, on the label where
                                 they are furthest apart; without SOURCE the one furthest away
    changed:ONE:OTHER            two versions of the model suggest other labels

Both are those that colour the map, and LOW counts as inside, HIGH does not. A label is suggested by
a version where its score is above 0, as where the Learn page compares versions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float

from backend import views
from backend.board import Board
from backend.errors import BadInputError, NotFoundError

KINDS = ("doubt", "disagree", "changed")
BANDS = {
    "doubt": ((0, 0.5), (0.5, 0.8), (0.8, 0.95), (0.95, 1.01)),
    "disagree": ((0.25, 0.5), (0.5, 0.75), (0.75, 1.01)),
}
"""What is counted in a few bands: closer than the first one is no disagreement worth a look."""
MOST_SOURCES = 20


@runtime_checkable
class Others(Protocol):
    """What is said beside the live version; `other_models.OtherModels` knows."""

    def brought(self) -> views.Brought:
        """Scores of imported models."""
        ...

    def sources(self) -> Sequence[str]:
        """Their names."""
        ...

    def changed(self, board: Board, one: int, other: int) -> Bool[np.ndarray, " n"]:
        """Which rows of the board two versions suggest other labels for."""
        ...

    def last_change(self) -> tuple[int, int] | None:
        """The version before the live one and the live one, where both are quick to have."""
        ...


def read_key(
    kind: str, text: str, id_of: Callable[[str], int] | None = None
) -> tuple[str, str] | None:
    """What comes after `doubt:`, `disagree:` or `changed:` -> key and value; None: unreadable."""
    if kind == "changed":
        versions = text.split(":")
        is_read = len(versions) == 2 and all(_is_number(version) for version in versions)
        return ("changed", text) if is_read else None
    if kind == "disagree":
        low, _, rest = text.partition(":")
        high, _, source = rest.partition(":")
        return (f"disagree:{source}", f"{low}:{high}") if _is_band(low, high) else None
    label, low, high = ("", *text.rsplit(":", 2))[-3:]
    if not label or not _is_band(low, high):
        return None
    if id_of is not None and label != "any":
        label = str(id_of(label))
    return (f"doubt:{label}", f"{low}:{high}") if label == "any" or _is_number(label) else None


def matching(
    board: Board, key: str, values: Sequence[str], others: Others | None
) -> Bool[np.ndarray, " n"]:
    """Rows that one filter finds; key and values as `read_key` gives them.

    Raises:
        NotFoundError: a label, version or imported model that is not there.
        BadInputError: nothing is known beside the live version here.
    """
    kind, _, of = key.partition(":")
    if kind == "doubt":
        return _in_bands(_doubt(board, of), values)
    if others is None:
        raise BadInputError(f"there are no other models to compare with; leave out {kind}:...")
    if kind == "disagree":
        return _in_bands(_apart(board, of, others), values)
    keep = np.zeros(len(board.samples), bool)
    for value in values:
        one, other = (int(version) for version in value.split(":"))
        keep |= others.changed(board, one, other)
    return keep


def counted(board: Board, others: Others) -> dict[str, dict[str, int]]:
    """Kind -> filter -> samples it finds, of filters that find some; kinds with nothing left out.

    Args:
        board: with the verdicts that count, or those that one person may see.
        others: what is said beside the live version.
    """
    found: dict[str, dict[str, int]] = {}
    if board.labels:
        found["doubt"] = _bands("doubt:any", _doubt(board, "any"))
    # The furthest of any model is the furthest of those of each: their scores are placed once.
    each = {source: _apart(board, source, others) for source in others.sources()}
    if each:
        apart = _bands("disagree", np.fmax.reduce(list(each.values())))
        if len(each) > 1:
            low = BANDS["disagree"][0][0]
            for source, values in list(each.items())[:MOST_SOURCES]:
                apart[f"disagree:{low}:1.01:{source}"] = int((values >= low).sum())
        found["disagree"] = apart
    if (versions := others.last_change()) is not None:
        one, other = versions
        number = int(others.changed(board, one, other).sum())
        found["changed"] = {f"changed:{one}:{other}": number}
    kept = {kind: {f: n for f, n in counts.items() if n} for kind, counts in found.items()}
    return {kind: counts for kind, counts in kept.items() if counts}


def _bands(name: str, values: Float[np.ndarray, " n"]) -> dict[str, int]:
    kind = name.partition(":")[0]
    return {
        f"{name}:{low:g}:{high:g}": int(((values >= low) & (values < high)).sum())
        for low, high in BANDS[kind]
    }


def _in_bands(values: Float[np.ndarray, " n"], bands: Sequence[str]) -> Bool[np.ndarray, " n"]:
    """Which values are in one of the bands; NaN is in none."""
    keep = np.zeros(len(values), bool)
    for band in bands:
        low, high = (float(end) for end in band.split(":"))
        keep |= (values >= low) & (values < high)
    return keep


def _doubt(board: Board, label: str) -> Float[np.ndarray, " n"]:
    column = None if label == "any" else board.column_of.get(int(label))
    if column is None and label != "any":
        raise NotFoundError(f"no label has the id {label}; reload the page")
    return _spread(board, views.colours(board, "doubt", column))


def _apart(board: Board, source: str, others: Others) -> Float[np.ndarray, " n"]:
    known = others.sources()
    if source and source not in known:
        raise NotFoundError(
            f"no scores came from {source!r}; known are {', '.join(known) or 'none'}"
        )
    told = views.colours(board, "disagree", None, brought=others.brought(), source=source or None)
    return _spread(board, told)


def _spread(board: Board, values: Float[np.ndarray, " r"]) -> Float[np.ndarray, " n"]:
    """Values of the encoded rows on all rows; NaN elsewhere."""
    out = np.full(len(board.samples), np.nan, np.float32)
    out[board.encoded] = values
    return out


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 16


def _is_band(low: str, high: str) -> bool:
    try:
        return 0 <= float(low) <= float(high) <= 2
    except ValueError:
        return False
