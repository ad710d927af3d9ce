"""Label sets with a guarantee, in the paper's distance and in ours, beside what has none.

Source: Maltoudoglou et al. 2022 (2312.09304). `patchlane reproduce lp-icp`; claims, data and how
long it takes: `assets/recipes/lp-icp.toml`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from backend.bench import claims
from backend.bench._audit_data import audited_set
from backend.bench._label_set_trials import (
    Found,
    Trial,
    by_bonferroni,
    by_mass,
    by_sets,
    by_threshold,
    trial,
)
from backend.numerics.label_sets import EUCLIDEAN
from backend.settings import Settings

Say = Callable[[str], None]

NAME = "lp-icp"
OURS, PAPER, BONFERRONI = "label sets", "Euclidean label sets", "Bonferroni"
MASS, THRESHOLD = "likeliest sets", "above one half"
LOOSE, LEVEL = 0.8, 0.9
COVERAGE, AWAY = "coverage at 90%", "away from 80%"
CERTIFIED, WRONG = "certified at 90%", "samples with an error in it"


def figures(one: Trial) -> claims.Table:
    """All arms on one split; what an arm does not have is left out."""
    table: claims.Table = {
        THRESHOLD: {COVERAGE: by_threshold(one), AWAY: by_threshold(one) - LOOSE},
        MASS: {COVERAGE: by_mass(one, LEVEL), AWAY: by_mass(one, LOOSE) - LOOSE},
        OURS: _of(by_sets(one, LEVEL), by_sets(one, LOOSE)),
        PAPER: _of(by_sets(one, LEVEL, measure=EUCLIDEAN), by_sets(one, LOOSE, measure=EUCLIDEAN)),
    }
    certified, wrong = by_bonferroni(one, LEVEL)
    table[BONFERRONI] = {CERTIFIED: certified, WRONG: wrong}
    return table


def _of(tight: Found, loose: Found) -> dict[str, float]:
    return {
        COVERAGE: tight.coverage,
        AWAY: loose.coverage - LOOSE,
        CERTIFIED: tight.certified,
        WRONG: tight.wrong,
    }


def reproduce(*, seeds: int, train: bool, data: Path, progress: Say) -> dict[str, Any]:  # noqa: ARG001
    """Run all arms on the recipe's sets.

    Args:
        seeds: of the splits.
        train: nothing beside heads is trained here.
        data: folder of the data packs.
        progress: told what is being done.

    Returns:
        The report; `figures` holds the table of each set, mean of the seeds.
    """
    settings = Settings.from_environ()
    return claims.of_tables(
        NAME,
        "Maltoudoglou et al., Pattern Recognition 122, 2022",
        lambda name: measured_on(name, settings, seeds=seeds, say=progress),
        judge=claim_of,
    )


def measured_on(name: str, settings: Settings, *, seeds: int, say: Say) -> list[claims.Table]:
    """The tables of a set, one per split."""
    whole = audited_set(name, settings, say=say)
    tables = []
    for seed in range(seeds):
        tables.append(figures(trial(whole, seed)))
        say(f"{name}, split {seed}: {tables[-1]}")
    return tables


def claim_of(claim: Mapping[str, Any], tables: Sequence[claims.Table]) -> dict[str, Any]:
    """One claim by the tables of the splits.

    Coverage away from the level is better the smaller its mean is, whichever side it is on; its
    size is taken of the mean, since each split is off by chance.
    """
    told = claims.claim_of(claim, tables)
    if claim["figure"] != AWAY:
        return told
    measured, baseline = (
        abs(float(np.mean([table[claim[side]][AWAY] for table in tables])))
        for side in ("arm", "baseline")
    )
    difference = baseline - measured
    return told | {
        "baseline": round(baseline, 4),
        "measured": round(measured, 4),
        "difference": round(difference, 4),
        "holds": bool(difference >= claim["reach"]),
    }
