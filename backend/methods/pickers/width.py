"""The widest label set: samples whose decision saves the most decisions, here and on what is alike.

The width of a sample is the number of its labels that are neither surely yes nor surely no: by the
label sets where there are some, else by a margin on the chances. To it comes, from each neighbour,
the number of undecided labels that both share, times how alike the two are. That is a guess of what
will become certain there, not a promise.

Source: smallest expected prediction sets as a goal, Makili, Vega and Dormido-Canto, Incremental
Support Vector Machines for Fast Reliable Image Recognition, 2013; neighbours as in Zhu, Lafferty
and Ghahramani, Combining Active Learning and Semi-Supervised Learning, 2003.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from backend.contracts import NO_FACTS
from backend.fingerprints import fingerprint_of
from backend.methods.pickers._openings import best, open_pairs, open_rows
from backend.types import PickFacts


class WidthPicker:
    """Says about how many decisions fewer a sample leaves."""

    needs = frozenset({"undecided"})

    @dataclass(frozen=True)
    class Settings:
        """What is undecided, and what a neighbour gains.

        Attributes:
            edge: chances between it and one minus it are undecided where no label sets are.
            num_neighbours: samples that gain from a decision.
            sharpness: a neighbour gains exp(sharpness (cosine - 1)) of each label shared.
        """

        edge: float = 0.1
        num_neighbours: int = 20
        sharpness: float = 5.0

    def __init__(self, settings: Settings | None = None):
        self.settings = settings or self.Settings()
        self.fingerprint = fingerprint_of("pickers/width", self.settings)

    def pick(
        self,
        scores: Float[np.ndarray, "n l"],
        pooled: Float[np.ndarray, "n d"],
        decided: Bool[np.ndarray, "n l"],
        *,
        k: int,
        seed: int = 0,
        label_names: Sequence[str] = (),  # noqa: ARG002 - the shelf's signature
        facts: PickFacts = NO_FACTS,
    ) -> list[tuple[int, float, str]]:
        is_open = open_rows(decided, facts)
        unsure = facts.undecided
        if unsure is None:
            unsure = np.abs(2 * np.nan_to_num(scores, nan=0.0) - 1) < 1 - 2 * self.settings.edge
        unsure = unsure & open_pairs(decided, is_open)
        own = unsure.sum(axis=1)
        saved = own + self._elsewhere(unsure, np.nan_to_num(pooled))

        def reason(row: int) -> str:
            if not own[row]:
                return "nothing undecided, but not confirmed yet"
            labels = "1 label" if own[row] == 1 else f"{own[row]} labels"
            return f"{labels} undecided, about {saved[row]:.0f} fewer decisions"

        return best(saved.astype(float), is_open, k, seed, reason)

    def _elsewhere(
        self, unsure: Bool[np.ndarray, "n l"], vectors: Float[np.ndarray, "n d"]
    ) -> Float[np.ndarray, " n"]:
        """Undecided labels that neighbours share, weighted by how alike they are."""
        count = min(self.settings.num_neighbours, max(0, len(vectors) - 1))
        out = np.zeros(len(vectors))
        if not count:
            return out
        wide: Int[np.ndarray, " r"] = np.flatnonzero(unsure.any(axis=1))
        table = unsure.astype(np.float32)
        for start in range(0, len(wide), BLOCK):
            rows = wide[start : start + BLOCK]
            cosine = vectors[rows] @ vectors.T
            cosine[np.arange(len(rows)), rows] = -np.inf
            near = np.argpartition(-cosine, count - 1, axis=1)[:, :count]
            alike = np.exp(self.settings.sharpness * (np.take_along_axis(cosine, near, axis=1) - 1))
            shared = np.einsum("rl,rkl->rk", table[rows], table[near])
            out[rows] = (alike * shared).sum(axis=1)
        return out


BLOCK = 256
"""Rows compared with all others at once."""
