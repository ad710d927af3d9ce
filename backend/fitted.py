"""A version fitted to the calibration drawer: what is certain of rows of the board by that.

Nothing is kept and nothing stored here; `certainty.py` fits anew when the version or the drawer
changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from backend import views
from backend.board import Board
from backend.contracts import SetCalibrator, State
from backend.drawer import Decided
from backend.learning import Learned
from backend.numerics import label_sets
from backend.types import LabelSets, LikelySet

FOLDS = 20
"""Parts that the drawer's samples are left out in, to see how often what is certain is wrong."""


@dataclass(frozen=True)
class Fitted:
    """What follows from one version and one state of the drawer.

    Attributes:
        board, learned: the version, and rows and columns as they were then.
        decided: the samples of the drawer that calibrate, and on which labels.
        states: guarantee -> its method, fitted.
        is_stale: there are verdicts that the version has not learned from yet.
        flaw: one sentence where the drawer cannot calibrate this version at all, else "".
    """

    board: Board
    learned: Learned
    decided: Decided
    states: Mapping[str, State]
    is_stale: bool
    flaw: str

    def chances(self, rows: Int[np.ndarray, " k"]) -> Float[np.ndarray, "k c"]:
        """Of the covered labels."""
        return views.chances(self.board, rows)[:, self.decided.columns]

    def why(self, method: SetCalibrator, level: float) -> str:
        """One sentence where nothing can be certain at a level, else ""."""
        if self.flaw:
            return self.flaw
        needed, held = method.needed(level), int(self.board.in_drawer.sum())
        more = needed - len(self.decided.rows)
        if more <= 0:
            return ""
        if held < needed:
            return (
                f"{level:.0%} needs {needed} decided samples, and the calibration drawer holds "
                f"{held or 'none'}; open a larger one"
            )
        samples = "sample" if more == 1 else "samples"
        return f"{level:.0%} needs {more} more decided {samples} of the calibration drawer"

    def sets(
        self,
        rows: Int[np.ndarray, " k"],
        level: float,
        guarantee: str,
        method: SetCalibrator,
    ) -> LabelSets:
        """What is certain of some rows, in their order; nothing of those of the drawer."""
        board, columns = self.board, self.decided.columns
        shape = (len(rows), len(board.labels))
        state = np.zeros(shape, np.int8)
        present, absent = np.full(shape, np.nan, np.float32), np.full(shape, np.nan, np.float32)
        why = self.why(method, level)
        usable = np.flatnonzero(board.encoded[rows] & ~board.in_drawer[rows])
        if not self.flaw and len(columns) and len(usable):
            chances, own = self.chances(rows[usable]), self.states[guarantee]
            cells = np.ix_(usable, columns)
            present[cells], absent[cells] = method.p_values(own, chances)
            if not why:
                state[cells] = method.certificates(own, chances, level)
        covered = np.zeros(len(board.labels), bool)
        covered[columns] = True
        return LabelSets(
            level=level,
            guarantee=guarantee,
            version=self.learned.version,
            counted=len(self.decided.rows),
            state=state,
            present=present,
            absent=absent,
            covered=covered,
            why=why,
            is_stale=self.is_stale,
        )

    def likely(
        self,
        row: int,
        ids: Int[np.ndarray, " l"],
        level: float,
        k: int,
        powerset: Any,
    ) -> dict[str, Any]:
        """The fields of a sample's sets that only joint sets have.

        Args:
            row: the sample.
            ids: of all labels, in the order of the board's columns.
            level: what cannot be excluded at it is counted.
            k: the most sets to name.
            powerset: the method of joint sets; it has distances beside what its shelf promises.
        """
        state, columns = self.states["joint"], self.decided.columns
        flips = powerset.flips(state, self.chances(np.array([row])))
        costs, likely = flips.costs[0], flips.likely[0]
        best = label_sets.best_sets(costs, k)
        distances = flips.base[0] + flips.unit * np.array([cost for cost, _ in best], np.int64)
        found = []
        for p_value, (_, flipped) in zip(
            label_sets.p_values(state["distances"], distances).tolist(), best, strict=True
        ):
            has = likely.copy()
            has[list(flipped)] ^= True
            found.append(LikelySet(tuple(ids[columns[has]].tolist()), p_value))
        within = powerset.radius(state, level)
        confidence, credibility = label_sets.confidence(state["distances"], flips)
        return {
            "num_sets": label_sets.count_within(costs, int(flips.budgets(within)[0])),
            "confidence": float(confidence[0]),
            "credibility": float(credibility[0]),
            "likely": tuple(found),
        }

    def wrong_share(self, method: SetCalibrator, level: float) -> float:
        """How much of what is certain is wrong, 0..1, as seen on the drawer's own samples.

        They are left out in turns. With half a mistake in one more, so that none among few is not
        called none.
        """
        decided = self.decided
        chances = self.chances(decided.rows)
        everyone = np.arange(len(decided.rows))
        wrong = said = 0
        for part in np.array_split(everyone, min(FOLDS, len(everyone))):
            rest = np.setdiff1d(everyone, part)
            state = method.fit(chances[rest], decided.truth[rest])
            sure = method.certificates(state, chances[part], level)
            truth = decided.truth[part]
            known = (sure != 0) & (truth >= 0)
            said += int(known.sum())
            wrong += int((known & ((sure > 0) != (truth > 0))).sum())
        return (wrong + 0.5) / (said + 1)
