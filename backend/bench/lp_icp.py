"""Label sets with a guarantee, in the paper's distance and in ours, beside what has none.

Source: Maltoudoglou et al. 2022 (2312.09304). `patchlane reproduce lp-icp`; claims, data and how
long it takes: `assets/recipes/lp-icp.toml`.
"""

from __future__ import annotations

import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

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
from backend.settings import Settings, assets_folder

Say = Callable[[str], None]
Table = dict[str, dict[str, float]]

NAME = "lp-icp"
OURS, PAPER, BONFERRONI = "label sets", "Euclidean label sets", "Bonferroni"
MASS, THRESHOLD = "likeliest sets", "above one half"
LOOSE, LEVEL = 0.8, 0.9
COVERAGE, AWAY = "coverage at 90%", "away from 80%"
CERTIFIED, WRONG = "certified at 90%", "samples with an error in it"


def figures(one: Trial) -> Table:
    """All arms on one split; what an arm does not have is left out."""
    table: Table = {
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
        The promised report; `figures` holds the table of each set, mean of the seeds.
    """
    started = time.monotonic()
    settings = Settings.from_environ()
    path = assets_folder() / "recipes" / f"{NAME}.toml"
    claims = tomllib.loads(path.read_text(encoding="utf-8"))["claims"]
    runs: dict[str, list[Table]] = {}
    for name in dict.fromkeys(each["data"] for each in claims):
        whole = audited_set(name, settings, say=progress)
        runs[name] = []
        for seed in range(seeds):
            runs[name].append(figures(trial(whole, seed)))
            progress(f"{name}, split {seed}: {runs[name][-1]}")
    return {
        "name": NAME,
        "source": "Maltoudoglou et al., Pattern Recognition 122, 2022",
        "seconds": round(time.monotonic() - started, 1),
        "claims": [claim_of(each, runs[each["data"]]) for each in claims],
        "figures": {name: mean_of(tables) for name, tables in runs.items()},
    }


def claim_of(claim: dict[str, Any], tables: list[Table]) -> dict[str, Any]:
    """One claim: holds where the arm is better by at least `reach`, as the mean over the seeds.

    Coverage away from the level is better the smaller its mean is, whichever side it is on; its
    size is taken of the mean, since each split is off by chance.
    """
    figure = claim["figure"]
    ours = np.array([table[claim["arm"]][figure] for table in tables])
    theirs = np.array([table[claim["baseline"]][figure] for table in tables])
    measured, baseline = float(ours.mean()), float(theirs.mean())
    difference = measured - baseline
    if figure == AWAY:
        measured, baseline = abs(measured), abs(baseline)
        difference = baseline - measured
    return {
        "claim": claim["claim"],
        "data": claim["data"],
        "metric": figure,
        "arm": claim["arm"],
        "baseline_arm": claim["baseline"],
        "baseline": round(baseline, 4),
        "measured": round(measured, 4),
        "difference": round(difference, 4),
        "spread": round(float((ours - theirs).std()), 4),
        "seeds": len(tables),
        "holds": bool(difference >= claim["reach"]),
        "expected": claim["expected"],
    }


def mean_of(tables: list[Table]) -> Table:
    """The table, mean of the seeds."""
    return {
        arm: {
            name: round(float(np.mean([table[arm][name] for table in tables])), 4)
            for name in tables[0][arm]
        }
        for arm in tables[0]
    }
