"""Claims of a recipe: what is asked, what was measured on each seed, and whether it holds.

A claim names two arms and a figure. Where an experiment gives a table of figures per seed,
`of_tables` is all that `patchlane reproduce` needs beside it; others judge their claims with
`compared`.
"""

from __future__ import annotations

import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from backend.settings import assets_folder

Table = dict[str, dict[str, float]]
"""What one seed measured: by arm, then by figure."""


def read_claims(name: str) -> list[dict[str, Any]]:
    """The claims of a recipe: what is measured, what is asked, what is expected."""
    path = assets_folder() / "recipes" / f"{name}.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))["claims"]


def report(
    name: str,
    source: str,
    *,
    started: float,
    claims: Sequence[Mapping[str, Any]],
    figures: Mapping[str, Any],
) -> dict[str, Any]:
    """The report of an experiment.

    Args:
        name: of the recipe.
        source: who claims it.
        started: `time.monotonic()` at the beginning.
        claims: as they were judged.
        figures: everything that was measured, in the experiment's own shape.
    """
    return {
        "name": name,
        "source": source,
        "seconds": round(time.monotonic() - started, 1),
        "claims": list(claims),
        "figures": dict(figures),
    }


def of_tables(
    name: str,
    source: str,
    measured: Callable[[str], Sequence[Table]],
    *,
    judge: Callable[[Mapping[str, Any], Sequence[Table]], dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """The report of an experiment that measures a table per seed on each of its sets.

    Args:
        name: of the recipe, whose claims say which sets there are.
        source: who claims it.
        measured: the tables of a set, one per seed.
        judge: of one claim by the tables of its set; by default `claim_of`.

    Returns:
        The report; `figures` holds the table of each set, mean of the seeds.
    """
    started = time.monotonic()
    claims, judge = read_claims(name), judge or claim_of
    runs = {data: measured(data) for data in dict.fromkeys(each["data"] for each in claims)}
    return report(
        name,
        source,
        started=started,
        claims=[judge(each, runs[each["data"]]) for each in claims],
        figures={data: mean_of(tables) for data, tables in runs.items()},
    )


def claim_of(claim: Mapping[str, Any], tables: Sequence[Table]) -> dict[str, Any]:
    """One claim by the tables of the seeds; `figure` is what it is about."""
    figure = claim["figure"]
    ours, theirs = (
        np.array([table[claim[side]][figure] for table in tables]) for side in ("arm", "baseline")
    )
    return compared(claim, ours, theirs, metric=figure)


def compared(
    claim: Mapping[str, Any],
    ours: Float[np.ndarray, " s"],
    theirs: Float[np.ndarray, " s"],
    *,
    metric: str,
    tells_seeds: bool = False,
) -> dict[str, Any]:
    """One claim with its figures: what the arm and its baseline had on each of the seeds.

    It holds where the arm is better by at least `reach`: on the mean of the seeds, or on every one
    of them where the claim says `each_seed`.

    Args:
        claim: of a recipe.
        ours: of the arm, per seed.
        theirs: of the baseline, on the same seeds.
        metric: what they are figures of.
        tells_seeds: say the difference on each seed, too.
    """
    apart = ours - theirs
    least = apart.min() if claim.get("each_seed") else apart.mean()
    each = {"of_each_seed": [round(float(value), 4) for value in apart]} if tells_seeds else {}
    return {
        "claim": claim["claim"],
        "data": claim["data"],
        "metric": metric,
        "arm": claim["arm"],
        "baseline_arm": claim["baseline"],
        "baseline": round(float(theirs.mean()), 4),
        "measured": round(float(ours.mean()), 4),
        "difference": round(float(apart.mean()), 4),
        **each,
        "spread": round(float(apart.std()), 4),
        "seeds": len(apart),
        "holds": bool(least >= claim["reach"]),
        "expected": claim["expected"],
    }


def mean_of(tables: Sequence[Table]) -> Table:
    """The table, mean of the seeds."""
    return {
        arm: {
            name: round(float(np.mean([table[arm][name] for table in tables])), 4)
            for name in tables[0][arm]
        }
        for arm in tables[0]
    }
