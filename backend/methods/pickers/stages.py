"""The default policy: typical and diverse first, then what each label doubts most.

A sample is worth its questions (`numerics/questions.py`): the few labels on it that have few
answers and doubt it more than other samples. Before any verdict only what a sample stands for
counts (`_covering.py`); with a answers per label the questions weigh a / (a + halfway), so the
queue moves from the one to the other by itself, label by label as new ones come.

Chosen by `patchlane bench pickers`.

Source: doubt, Lewis and Gale 1994; typical first, Hacohen, Dekel and Weinshall, ICML 2022
(2202.02794); labels in turn, of our own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from backend.contracts import NO_FACTS
from backend.fingerprints import fingerprint_of
from backend.methods.pickers._covering import Covering
from backend.methods.pickers._openings import answers_of, named, open_pairs, open_rows, touched_rows
from backend.numerics.questions import MOST, NEAR, answered, asked, values
from backend.types import PickFacts


class StagesPicker:
    """Each entry asks about a few labels; the reason names them."""

    @dataclass(frozen=True)
    class Settings:
        """When the queue moves on, and what it asks.

        Attributes:
            halfway: answers per label at which questions weigh as much as what a sample stands for.
            most: labels that a sample asks about.
            near: share of the sample's best question below which a label is not asked about.
            sharpness: of the resemblance exp(sharpness (cosine - 1)); larger: only near ones count.
            num_anchors: samples drawn to measure what is covered.
        """

        halfway: float = 1.0
        most: int = MOST
        near: float = NEAR
        sharpness: float = 5.0
        num_anchors: int = 256

    def __init__(self, settings: Settings | None = None):
        self.settings = settings or self.Settings()
        self.fingerprint = fingerprint_of("pickers/stages", self.settings)

    def pick(
        self,
        scores: Float[np.ndarray, "n l"],
        pooled: Float[np.ndarray, "n d"],
        decided: Bool[np.ndarray, "n l"],
        *,
        k: int,
        seed: int = 0,
        label_names: Sequence[str] = (),
        facts: PickFacts = NO_FACTS,
    ) -> list[tuple[int, float, str]]:
        is_open = open_rows(decided, facts)
        set_, touched = self.settings, touched_rows(decided)
        pairs = open_pairs(decided, is_open)
        num_yes, num_no = answers_of(decided, facts)
        answers = answered(num_yes, num_no)
        worth = values(scores, pairs, answers, seed=seed)
        is_asked = asked(worth, most=set_.most, near=set_.near)
        total = np.where(is_asked, worth, 0.0).sum(axis=1)
        per_label = float(decided.sum()) / max(1, decided.shape[1])
        covering = Covering(
            per_label / (per_label + set_.halfway), set_.sharpness, set_.num_anchors
        )
        scaled = total / (float(total.max(initial=0)) or 1.0)

        def reason(row: int) -> str:
            return question(scores[row], worth[row], is_asked[row], label_names)

        return covering.queue(scaled, pooled, is_open, touched, k=k, seed=seed, reason=reason)


def question(
    chances: Float[np.ndarray, " l"],
    worth: Float[np.ndarray, " l"],
    is_asked: Bool[np.ndarray, " l"],
    names: Sequence[str],
) -> str:
    """What a sample asks, the best label first: "dog 48%, cat 12%?"."""
    columns = [int(c) for c in np.argsort(-worth, kind="stable") if is_asked[c]][:TOLD]
    parts = [f"{named(names, c)} {np.nan_to_num(chances[c]):.0%}" for c in columns]
    return "asks: " + ", ".join(parts) + "?"


TOLD = 3
"""Labels named in a reason."""
