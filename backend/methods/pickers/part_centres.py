"""What shows parts that nothing decided shows: k centres on parts instead of whole samples.

A sample's distance from what is known is the mean over its parts of how far each is from its
nearest known part: a small new thing in a common scene counts, where the vector of the whole hides
it. Parts are looked up for some candidates only, those whose wholes are farthest from what is
decided, and a few parts are kept of each known sample.

Source: Sener and Savarese, ICLR 2018 (1708.00489), with the one-sided Chamfer distance of sets of
parts in place of the distance of wholes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from backend.contracts import NO_FACTS
from backend.fingerprints import fingerprint_of
from backend.methods.pickers._openings import open_rows
from backend.types import PickFacts


class PartCentresPicker:
    """New patches or words first."""

    @dataclass(frozen=True)
    class Settings:
        """What is looked at.

        Attributes:
            num_candidates: samples whose parts are compared.
            num_known: decided samples whose parts are known, drawn by chance.
            num_parts: parts kept of each, those farthest from one another.
        """

        num_candidates: int = 256
        num_known: int = 128
        num_parts: int = 12

    def __init__(self, settings: Settings | None = None):
        self.settings = settings or self.Settings()
        self.fingerprint = fingerprint_of("pickers/part_centres", self.settings)

    def pick(
        self,
        scores: Float[np.ndarray, "n l"],  # noqa: ARG002 - the shelf's signature
        pooled: Float[np.ndarray, "n d"],
        decided: Bool[np.ndarray, "n l"],
        *,
        k: int,
        seed: int = 0,
        label_names: Sequence[str] = (),  # noqa: ARG002 - the shelf's signature
        facts: PickFacts = NO_FACTS,
    ) -> list[tuple[int, float, str]]:
        is_open = open_rows(decided, facts)
        k = min(max(0, k), int(is_open.sum()))
        vectors = np.nan_to_num(pooled)
        rng = np.random.default_rng(seed)
        touched = rng.permutation(np.flatnonzero(decided.any(axis=1)))
        order = self._by_wholes(vectors, touched, is_open, rng)
        candidates = order[: max(k, self.settings.num_candidates)]
        sets = self._parts(candidates, vectors, facts)
        known = self._parts(touched[: self.settings.num_known], vectors, facts)
        nearest = [_nearest(parts, known) for parts in sets]
        left = list(range(len(candidates)))
        picks: list[tuple[int, float, str]] = []
        while len(picks) < k:
            far = [float(np.mean(1 - nearest[at])) for at in left]
            at = left.pop(int(np.argmax(far)))
            share = float((nearest[at] < ALIKE).mean())
            reason = (
                f"{share:.0%} of its parts are unlike any part seen so far"
                if facts.parts is not None
                else f"unlike anything decided or above: {float(nearest[at].max()):.2f} alike"
            )
            picks.append((int(candidates[at]), max(far), reason))
            for other in left:
                nearest[other] = np.maximum(nearest[other], (sets[other] @ sets[at].T).max(axis=1))
        return picks

    def _by_wholes(
        self,
        vectors: Float[np.ndarray, "n d"],
        touched: np.ndarray,
        is_open: Bool[np.ndarray, " n"],
        rng: np.random.Generator,
    ) -> np.ndarray:
        """Open rows, the farthest from what is decided first."""
        rows = rng.permutation(np.flatnonzero(is_open))
        if not len(touched):
            return rows
        near = (vectors[rows] @ vectors[touched[: self.settings.num_known]].T).max(axis=1)
        return rows[np.argsort(near, kind="stable")]

    def _parts(
        self, rows: np.ndarray, vectors: Float[np.ndarray, "n d"], facts: PickFacts
    ) -> list[Float[np.ndarray, "_ d"]]:
        """A few parts of each row, far from one another; the whole where there are no parts."""
        if facts.parts is None or not len(rows):
            return [vectors[[row]] for row in rows]
        found = facts.parts([int(row) for row in rows])
        return [
            _spread(parts.astype(np.float32), self.settings.num_parts)
            if len(parts)
            else vectors[[row]]
            for row, parts in zip(rows, found, strict=True)
        ]


ALIKE = 0.6
"""Cosine below which a part is new."""


def _spread(parts: Float[np.ndarray, "p d"], most: int) -> Float[np.ndarray, "q d"]:
    """At most so many parts, each as far as can be from those before it."""
    if len(parts) <= most:
        return parts
    chosen = [int((parts @ parts.mean(axis=0)).argmax())]
    near = parts @ parts[chosen[0]]
    while len(chosen) < most:
        chosen.append(int(near.argmin()))
        near = np.maximum(near, parts @ parts[chosen[-1]])
    return parts[chosen]


def _nearest(
    parts: Float[np.ndarray, "p d"], known: Sequence[Float[np.ndarray, "_ d"]]
) -> Float[np.ndarray, " p"]:
    if not known:
        return np.full(len(parts), -1.0, np.float32)
    return (parts @ np.concatenate(known).T).max(axis=1)
