"""What is said beside the live version: by models whose scores were imported, by other versions."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from threading import RLock

import numpy as np
from jaxtyping import Bool, Float

from backend import pack_facts
from backend.board import Board
from backend.live import Live
from backend.views import Brought

KEPT = 3
"""Versions whose scores are kept: a filter asks for the same two again and again."""


class OtherModels:
    """Of one open project."""

    def __init__(self, live: Live):
        self._live = live
        self._lock = RLock()
        self._brought: tuple[object, Brought, tuple[str, ...]] | None = None
        self._scored: OrderedDict[int, tuple[Board, Float[np.ndarray, "n l"]]] = OrderedDict()
        self._last: tuple[int, tuple[int, int] | None] | None = None

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
        version = self._live.learned.version
        with self._lock:
            if self._last is None or self._last[0] != version:
                before = pack_facts.quick_before(self._live, version)
                self._last = (version, None if before is None else (before, version))
            return self._last[1]

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
            if known is not None and _is_same(known[0], board):
                self._scored.move_to_end(version)
                return known[1]
            logits = pack_facts.logits_of(self._live, board, version)
            self._scored[version] = (board, logits)
            while len(self._scored) > KEPT:
                self._scored.popitem(last=False)
            return logits


def _is_same(board: Board, other: Board) -> bool:
    """Whether two boards have the same rows with the same vectors, and the same columns."""
    return board.pooled is other.pooled and board.labels == other.labels
