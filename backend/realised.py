"""Claimed against realised: what was certain when a sample got its first verdict, and what is so.

A claim is kept with the action that gave the first verdict: per sample the distance of its
likeliest label set and what each flip costs, and the radius of each level. So whether the set that
was decided in the end had been excluded is a matter of adding up, whatever became of the model.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool

from backend.board import Board
from backend.drawer import answer_of
from backend.numerics.label_sets import Flips
from backend.store.claims import Noted
from backend.store.voices import MERGED
from backend.types import CoveragePoint, Realised


def packed(flips: Flips, samples: Sequence[int]) -> dict[str, object]:
    """The distances of some samples as JSON holds them; `unpacked` by `of_claims`."""
    signed = np.where(flips.likely, flips.costs, -flips.costs).astype("<i8")
    return {
        str(sample): [int(flips.base[at]), base64.b64encode(signed[at].tobytes()).decode()]
        for at, sample in enumerate(samples)
    }


def of_claims(board: Board, claims: Sequence[Noted]) -> list[Realised]:
    """What became of claims, for samples that are decided completely by now; oldest first."""
    found: dict[int, Realised] = {}
    for noted in claims:
        if noted.is_undone:
            continue
        for sample, (base, costs) in noted.told["samples"].items():
            realised = _realised(board, int(sample), noted.told, base, costs)
            if realised is not None:
                found.setdefault(realised.sample, realised)
    return sorted(found.values(), key=lambda one: one.when)


def coverage(rows: Sequence[Realised], levels: Sequence[float], groups: int) -> list[CoveragePoint]:
    """Realised coverage in so many equal groups over time, per level."""
    parts = [part for part in np.array_split(np.arange(len(rows)), max(1, groups)) if len(part)]
    points = []
    for level in levels:
        for part in parts:
            mine = [rows[at] for at in part if level in rows[at].covered]
            if not mine:
                continue
            inside = sum(one.covered[level] for one in mine)
            low, high = binomial_interval(inside, len(mine))
            points.append(
                CoveragePoint(
                    level=level,
                    first=mine[0].when,
                    last=mine[-1].when,
                    n=len(mine),
                    realised=inside / len(mine),
                    low=low,
                    high=high,
                )
            )
    return points


def binomial_interval(inside: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """The interval of Clopper and Pearson for a share."""
    from scipy.special import betaincinv  # noqa: PLC0415  half a second that no other verb needs

    tail = (1 - confidence) / 2
    low = 0.0 if inside == 0 else float(betaincinv(inside, n - inside + 1, tail))
    high = 1.0 if inside == n else float(betaincinv(inside + 1, n - inside, 1 - tail))
    return low, high


def _realised(
    board: Board, sample: int, claim: Mapping[str, Any], base: int, costs_packed: str
) -> Realised | None:
    """What became of the claim on one sample; None while it is open."""
    row = board.row_of.get(sample)
    if row is None:
        return None
    # Of what became of a label that is gone or was merged since, the claim says nothing: some set
    # of the others with any answer for it has to be left, which the claim holds at least as often.
    claimed = [int(label) for label in claim["labels"]]
    kept = _as_claimed(board, sample, claimed)
    labels = [label for label, is_kept in zip(claimed, kept.tolist(), strict=True) if is_kept]
    answers = [answer_of(board, board.samples[row], label) for label in labels]
    if not labels or any(one not in (0, 1) for one in answers):
        return None
    signed = np.frombuffer(base64.b64decode(costs_packed), "<i8").astype(np.int64)[kept]
    likely, costs = signed >= 0, np.abs(signed)
    unit, has = int(claim["unit"]), np.array(answers, bool)
    distance = base + unit * int(costs[has != likely].sum())
    radii = {float(level): int(within) for level, within in claim["radii"].items()}
    last = max(board.verdicts[sample, label].when for label in labels)
    return Realised(
        sample=sample,
        when=last,
        version=int(claim["version"]),
        counted=int(claim["counted"]),
        covered={level: distance <= within for level, within in radii.items()},
        width={
            level: int(((costs <= (within - base) // unit) | (within < base)).sum())
            for level, within in radii.items()
        },
    )


def _as_claimed(board: Board, sample: int, labels: Sequence[int]) -> Bool[np.ndarray, " l"]:
    """Which labels are still there, and what counts of them was not said of a merged one.

    A merge that was undone leaves rows of its own that say what was said before.
    """
    there = np.array([label in board.column_of for label in labels], bool)
    said = [board.verdicts.get((sample, label)) for label in labels]
    is_moved = np.array([one is not None and one.source == MERGED for one in said], bool)
    return there if there.all() else there & ~is_moved
