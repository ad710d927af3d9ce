"""What is said beside the live version: by models whose scores were imported, by other versions."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from backend import pack_facts
from backend.board import Board
from backend.live import Live
from backend.types import Label
from backend.views import Brought

KEPT = 3
"""Versions whose scores are kept: a filter asks for the same two again and again."""


class OtherModels:
    """Of one open project."""

    def __init__(self, live: Live):
        self._live = live
        self._lock = Lock()
        self._brought: tuple[object, Brought, tuple[str, ...]] | None = None
        self._scored: OrderedDict[int, _Scored] = OrderedDict()
        self._last: tuple[int, int] | None = None

    def brought(self) -> Brought:
        """Scores of imported models, read anew when an import may have changed them."""
        return self._read()[1]

    def sources(self) -> Sequence[str]:
        """Their names."""
        return self._read()[2]

    def changed(self, board: Board, one: int, other: int) -> Bool[np.ndarray, " n"]:
        """Which rows of the board two versions suggest other labels for.

        Raises:
            NotFoundError: there is no such version, or it cannot be made again.
        """
        cells = pack_facts.changed_cells(self._logits(board, one), self._logits(board, other))
        return np.asarray(cells.any(axis=1))

    def last_change(self) -> tuple[int, int] | None:
        """The version before the live one and the live one; None where a file would be missing.

        Making a version again may take long, and nobody asked for it here.
        """
        version, known = self._live.learned.version, self._last
        if known is None or known[1] != version:
            before = pack_facts.quick_before(self._live, version)
            known = None if before is None else (before, version)
            # What was not there may come: samples are read for a lane, a file is made again.
            self._last = known
        return known

    def _read(self) -> tuple[object, Brought, tuple[str, ...]]:
        known = self._brought
        if known is None or known[0] != self._live.stamp:
            stamp, scores = self._live.stamp, self._live.store.predictions()
            known = (stamp, scores, tuple(sorted({source for _, _, source in scores})))
            self._brought = known
        return known

    def _logits(self, board: Board, version: int) -> Float[np.ndarray, "n l"]:
        """A version never changes, but the rows and columns that it is asked of do."""
        if version == self._live.learned.version:
            return board.logits
        with self._lock:
            known = self._scored.get(version)
            if known is not None and known.is_of(board):
                self._scored.move_to_end(version)
                return known.logits
        # Making a version again may take long: nobody waits who asks for something else.
        logits = pack_facts.logits_of(self._live, board, version)
        with self._lock:
            self._scored[version] = _Scored(board.pooled, board.labels, logits)
            self._scored.move_to_end(version)
            while len(self._scored) > KEPT:
                self._scored.popitem(last=False)
        return logits


class _Scored(NamedTuple):
    """What a version says of a board's rows and columns; the rest of the board is let go."""

    pooled: Float[np.ndarray, "n d"]
    labels: tuple[Label, ...]
    logits: Float[np.ndarray, "n l"]

    def is_of(self, board: Board) -> bool:
        """Whether the board has the same rows with the same vectors, and the same columns."""
        return self.pooled is board.pooled and self.labels == board.labels
