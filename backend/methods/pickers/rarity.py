"""Labels that few verdicts speak of: samples that probably show them.

A label needs 1 / (1 + its YES verdicts); a sample is worth the sum over its undecided labels of
chance times need, each label compared with its own best chance, so that one that the model never
believes in is found too. Each pick counts as the YES verdicts it will probably bring, so that a
queue does not show one label only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from backend.contracts import NO_FACTS
from backend.fingerprints import fingerprint_of
from backend.methods.pickers._openings import answers_of, best, named, open_pairs, open_rows
from backend.types import PickFacts


class RarityPicker:
    """What is seldom seen, likeliest first."""

    @dataclass(frozen=True)
    class Settings:
        """Nothing to set."""

    def __init__(self, settings: Settings | None = None):
        self.settings = settings or self.Settings()
        self.fingerprint = fingerprint_of("pickers/rarity", self.settings)

    def pick(
        self,
        scores: Float[np.ndarray, "n l"],
        pooled: Float[np.ndarray, "n d"],  # noqa: ARG002 - the shelf's signature
        decided: Bool[np.ndarray, "n l"],
        *,
        k: int,
        seed: int = 0,
        label_names: Sequence[str] = (),
        facts: PickFacts = NO_FACTS,
    ) -> list[tuple[int, float, str]]:
        is_open = open_rows(decided, facts)
        k = min(max(0, k), int(is_open.sum()))
        pairs = open_pairs(decided, is_open)
        chances = np.where(pairs, np.nan_to_num(scores, nan=0.0), 0.0)
        top = chances.max(axis=0, initial=0)
        likely = chances / np.where(top > 0, top, 1)
        num_yes, num_no = answers_of(decided, facts)
        known = (num_yes if facts.verdicts is not None else num_no).astype(float)
        noise = np.random.default_rng(seed).random(len(scores)) * 1e-9
        picks: list[tuple[int, float, str]] = []
        for _ in range(k if scores.shape[1] else 0):
            values = np.where(is_open, likely @ (1 / (1 + known)) + noise, -np.inf)
            row = int(values.argmax())
            column = int((likely[row] / (1 + known)).argmax())
            count = int((num_yes if facts.verdicts is not None else num_no)[column])
            kind = "YES" if facts.verdicts is not None else "verdicts"
            chance = f"{scores[row, column]:.0%}" if np.isfinite(scores[row, column]) else "unknown"
            reason = f"perhaps {named(label_names, column)} ({chance}), which has {count} {kind}"
            picks.append((row, float(values[row]), reason))
            is_open[row] = False
            known = known + chances[row]
        zeros = np.zeros(len(scores))
        return picks + best(zeros, is_open, k - len(picks), seed, lambda _: "not decided yet")
