"""Doubtful labels, honest abstaining and labels with parents, on texts with several labels each.

Source: Henriksson et al., Untangling the Unrestricted Web, 2024; claims in
`assets/recipes/registers.toml`. `patchlane reproduce registers`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Int8
from sklearn.metrics import average_precision_score

from backend import catalogue
from backend.bench._audit_data import AuditedSet, audited_set
from backend.bench.claims import Table, of_tables
from backend.bench.planted_errors import case_of, nearest, plant, ranked
from backend.bench.teaching import mean_ap, taught_as
from backend.cross_fit import cross_fitted, folds_of
from backend.numerics.logistic import logistic
from backend.settings import Settings
from backend.types import AuditCase, Features

Say = Callable[[str], None]

NAME = "registers"
NOISE, FIXED = 0.10, 0.05
NEIGHBOURS = 15
SAID = 0.4
"""Chance from which on a label is said; one for all, as in the paper."""
COVERAGES = np.linspace(0.5, 1.0, 11)
PARENTS: Mapping[str, Mapping[str, Sequence[str]]] = {
    "goemotions": {
        "positive": (
            "admiration", "amusement", "approval", "caring", "desire", "excitement", "gratitude",
            "joy", "love", "optimism", "pride", "relief",
        ),
        "negative": (
            "anger", "annoyance", "disappointment", "disapproval", "disgust", "embarrassment",
            "fear", "grief", "nervousness", "remorse", "sadness",
        ),
        "of two minds": ("confusion", "curiosity", "realization", "surprise"),
    },
    "nlupp": {
        "question": ("how", "how_long", "how_much", "when", "where", "why", "which", "what_time"),
        "money": (
            "account", "balance", "card", "cheque", "credit", "current", "debit", "deposit",
            "fees_interests", "limits", "loan", "mortgage", "overdraft", "pin", "refund", "savings",
        ),
    },
}  # fmt: skip
"""Groups that stand above labels: those of the GoEmotions paper, and for `nlupp` of ours."""


def reproduce(*, seeds: int, train: bool, data: Path, progress: Say) -> dict[str, Any]:  # noqa: ARG001
    """Run all arms on both packs.

    Args:
        seeds: of the planted errors and of what is fixed or left out at random.
        train: nothing is trained here but heads.
        data: folder of the data packs.
        progress: told what is being done.

    Returns:
        The report; `figures` holds the table of each pack, mean of the seeds.
    """
    settings = Settings.from_environ()
    return of_tables(
        NAME,
        "Henriksson et al. 2024",
        lambda name: measured_on(name, settings, seeds=seeds, say=progress),
    )


def measured_on(name: str, settings: Settings, *, seeds: int, say: Say) -> list[Table]:
    """The tables of a pack, one per seed."""
    whole = audited_set(name, settings, say=say)
    tables = []
    for seed in range(seeds):
        tables.append(figures(whole, seed))
        say(f"{name}, seed {seed}: {tables[-1]}")
    return tables


def figures(whole: AuditedSet, seed: int) -> Table:
    """The table of one seed: by arm, then by figure."""
    taught = np.flatnonzero(np.array(whole.splits) == "train")
    asked = np.flatnonzero(np.array(whole.splits) != "train")
    given = whole.truth.copy()
    given[taught] = plant(whole.truth[taught], NOISE, "swaps", seed)
    wrong = (given != whole.truth)[taught]
    noisy = _part(whole, taught, given, seed)
    chance = logistic(np.nan_to_num(noisy.logits))
    draw = np.random.default_rng((3, seed))
    queue = {
        "label doctor": ranked(noisy, "auditors/noise_rates"),
        "plain loss": ranked(noisy, "auditors/self_confidence"),
        "random": draw.random(wrong.shape),
    }
    out: Table = {
        arm: {"queue AP": float(average_precision_score(wrong.ravel(), strength.ravel()))}
        for arm, strength in queue.items()
    }
    # As many looks as FIXED of all YES: a person repairs what they are shown, right or wrong.
    looks = round(FIXED * int(given[taught].sum()) * 2)
    for arm, strength in queue.items():
        repaired = given[taught].astype(np.int8)
        shown = np.argsort(-strength.ravel(), kind="stable")[:looks]
        repaired.ravel()[shown] = whole.truth[taught].ravel()[shown]
        out[arm]["mAP after fixing"] = _map(whole, taught, asked, repaired)
    ambiguous, at_random = _pruned(noisy, seed)
    clean = given[taught].astype(np.int8)
    out["nothing pruned"] = {"mAP": _map(whole, taught, asked, clean)}
    out["ambiguous pruned"] = {"mAP": _map(whole, taught, asked, np.where(ambiguous, -1, clean))}
    out["random pruned"] = {"mAP": _map(whole, taught, asked, np.where(at_random, -1, clean))}
    truth = whole.truth[taught]
    out |= _abstaining(chance, truth, draw)
    out |= _parents(whole, taught, given[taught], chance, seed)
    return out


def _part(
    whole: AuditedSet,
    rows: Int[np.ndarray, " r"],
    given: Bool[np.ndarray, "n l"],
    seed: int,
) -> AuditCase:
    """The case of some rows alone."""
    part = whole.of(rows)
    return case_of(part, nearest(part.vectors, NEIGHBOURS), given[rows], seed=seed)


def _map(
    whole: AuditedSet,
    taught: Int[np.ndarray, " r"],
    asked: Int[np.ndarray, " t"],
    given: Int8[np.ndarray, "r l"],
) -> float:
    """MAP on samples that nothing was planted in, after heads learned these labels."""
    return mean_ap(taught_as(whole.features, taught, given), whole.truth, asked)


def _pruned(case: AuditCase, seed: int) -> tuple[Bool[np.ndarray, "n l"], Bool[np.ndarray, "n l"]]:
    """The pairs that the auditor finds ambiguous, and as many at random."""
    ambiguous = np.zeros(case.given.shape, bool)
    for one in catalogue.load("auditors/several_fit")().audit(case):
        ambiguous[one.rows[0], list(one.columns)] = True
    at_random = np.zeros(case.given.shape, bool)
    order = np.random.default_rng((7, seed)).permutation(ambiguous.size)
    at_random.ravel()[order[: int(ambiguous.sum())]] = True
    return ambiguous, at_random


def _abstaining(
    chance: Float[np.ndarray, "n l"], truth: Bool[np.ndarray, "n l"], draw: np.random.Generator
) -> Table:
    """Micro F1 of what is answered, mean over half to all samples answered.

    The order never looks at given labels: ranked by those, F1 rises by selecting on the answer.
    """
    inside = np.clip(chance, 1e-12, 1 - 1e-12)
    entropy = -(inside * np.log2(inside) + (1 - inside) * np.log2(1 - inside))
    said = chance >= SAID
    orders = {"doubt first": entropy.max(axis=1), "random": draw.random(len(chance))}
    out: Table = {}
    for arm, doubt in orders.items():
        order = np.argsort(doubt, kind="stable")
        values = []
        for coverage in COVERAGES:
            kept = order[: int(coverage * len(order))]
            hits = (said[kept] & truth[kept]).sum()
            values.append(2 * hits / max(1, said[kept].sum() + truth[kept].sum()))
        name = "abstain by doubt" if arm == "doubt first" else "abstain at random"
        out[name] = {"F1 over coverage": float(np.mean(values))}
    return out


def _parents(
    whole: AuditedSet,
    taught: Int[np.ndarray, " r"],
    given: Bool[np.ndarray, "r l"],
    chance: Float[np.ndarray, "r l"],
    seed: int,
) -> Table:
    """Groups by heads of their own, and repaired: at least as likely as the likeliest child."""
    below = [
        [whole.names.index(name) for name in names if name in whole.names]
        for names in PARENTS[whole.name].values()
    ]

    def of_children(values: np.ndarray) -> np.ndarray:
        return np.stack([values[:, columns].max(axis=1) for columns in below], axis=1)

    features = Features(
        whole.features.pooled[taught],
        of_children(whole.features.global_scores[taught]),
        of_children(whole.features.local_scores[taught]),
    )
    fold = folds_of([str(at) for at in range(len(taught))], seed=seed)
    logits = cross_fitted(features, of_children(given).astype(np.int8), fold)
    own = logistic(np.nan_to_num(logits, nan=-9.0))
    real = of_children(whole.truth[taught])
    children = of_children(chance >= SAID)
    out: Table = {}
    for arm, value in (("without", own), ("repaired", np.maximum(own, of_children(chance)))):
        said = value >= SAID
        hits = (said & real).sum(axis=0)
        f1 = 2 * hits / np.maximum(1, said.sum(axis=0) + real.sum(axis=0))
        out[f"parents {arm}"] = {
            "impossible": float((children & ~said).mean()),
            "macro F1 of parents": float(f1.mean()),
        }
    return out
