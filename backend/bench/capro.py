"""Imported labels that are partly wrong, cleaned by texts, prototypes and heads.

Source: Qin et al., CAPro, NeurIPS 2023 (2310.09761); claims in `assets/recipes/capro.toml`.
`patchlane reproduce capro`. `coco_mini`: photographs with captions of people; labels are swapped
for look-alikes. `clothing_crowd`: garments with labels of a crowd, swapped in the same way, and
tags that are made up, since the pack has none; its "Not sure" answers are not made up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Int8
from sklearn.metrics import roc_auc_score

from backend import catalogue
from backend.bench._audit_data import AuditedSet, audited_set, encoded_set
from backend.bench._embedded_data import read_rows
from backend.bench.claims import Table, of_tables
from backend.bench.planted_errors import case_of, nearest
from backend.bench.teaching import mean_ap, taught_as
from backend.pipeline import load_encoder
from backend.settings import Settings
from backend.types import AuditCase

Say = Callable[[str], None]

NAME = "capro"
COCO, CROWD = "coco_mini", "clothing_crowd"
DRAWN = 800
FEWEST = 8
CONFUSED, FLIPPED = 0.30, 0.20
MISSING, WRONG = 0.30, 0.15
LOOK_ALIKES = 3
NEIGHBOURS = 15
MEASURED = 4
"""One sample in so many is measured on and never cleaned."""


def reproduce(*, seeds: int, train: bool, data: Path, progress: Say) -> dict[str, Any]:  # noqa: ARG001
    """Run all arms on both packs.

    Args:
        seeds: of the planted noise, of made-up tags and of what is measured on.
        train: nothing is trained here but heads.
        data: folder of the data packs.
        progress: told what is being done.

    Returns:
        The report; `figures` holds the table of each pack, mean of the seeds.
    """
    settings = Settings.from_environ()
    return of_tables(
        NAME,
        "Qin et al., NeurIPS 2023",
        lambda name: measured_on(name, settings, seeds=seeds, say=progress),
    )


def measured_on(name: str, settings: Settings, *, seeds: int, say: Say) -> list[Table]:
    """The tables of a pack, one per seed."""
    whole = audited_set(COCO, settings, say=say) if name == COCO else _crowd(settings, say)
    whole = _common(whole)
    reader = load_encoder("sentence:minilm", settings)
    labels = reader.encode_texts([f"a photo of {label}" for label in whole.names])
    tables = []
    for seed in range(seeds):
        texts = _captions(whole) if name == COCO else _tags(whole, seed)
        there = [at for at, text in enumerate(texts) if text]
        match = np.full(whole.truth.shape, np.nan, np.float32)
        match[there] = reader.encode_texts([texts[at] for at in there]) @ labels.T
        tables.append(figures(whole, match, seed))
        say(f"{name}, seed {seed}: {tables[-1]}")
    return tables


def figures(whole: AuditedSet, match: Float[np.ndarray, "n l"], seed: int) -> Table:
    """The table of one seed: by arm, then by figure."""
    draw = np.random.default_rng((23, seed))
    measured = draw.permutation(len(whole.truth)) % MEASURED == 0
    labelled = whole.truth.any(axis=1)
    taught, asked = np.flatnonzero(~measured), np.flatnonzero(measured & labelled)
    given = confused(whole.truth, whole.features.global_scores, draw)
    part = whole.of(taught)
    near = nearest(part.vectors, NEIGHBOURS)
    case = replace(
        case_of(part, near, given[taught], seed=seed),
        text_match=match[taught],
        imported=np.ones((len(taught), len(whole.names)), bool),
    )
    method = catalogue.load("auditors/prototypes")
    out: Table = {}
    for arm, own in (("raw texts", 1.0), ("smoothed texts", 0.5)):
        auditor = method(method.Settings(own=own))
        anchors = auditor.anchors(auditor.smoothed(case), case.given == 1)
        out[arm] = {
            "anchors right": float(part.truth[anchors].mean()),
            **_cleaned(whole, case, auditor, part.truth, taught, asked),
        }
    start = case.given.astype(np.int8)
    out["labels as they came"] = {
        "anchors right": float(part.truth[case.given == 1].mean()),
        "labels right": float(part.truth[case.given == 1].mean()),
        "mAP": _map(whole, taught, asked, start),
    }
    out["true labels"] = {"mAP": _map(whole, taught, asked, part.truth.astype(np.int8))}
    heads = replace(case, text_match=None)
    out["heads alone"] = _cleaned(whole, heads, method(), part.truth, taught, asked)
    out |= _unsure(whole, case, taught)
    return out


def confused(
    truth: Bool[np.ndarray, "n l"], scores: Float[np.ndarray, "n l"], draw: np.random.Generator
) -> Bool[np.ndarray, "n l"]:
    """Labels with the noise of a search engine: look-alikes, then anything.

    A share of the YES becomes a label whose zero-shot scores go up and down with its own; another
    share any label.
    """
    alike = np.corrcoef(scores.T)
    np.fill_diagonal(alike, -2)
    twins = np.argsort(-alike, axis=1)[:, :LOOK_ALIKES]
    given = truth.copy()
    yes = draw.permutation(np.flatnonzero(truth.ravel()))
    first = round(CONFUSED * len(yes))
    for at in yes[: first + round(FLIPPED * len(yes))].tolist():
        sample, label = divmod(at, truth.shape[1])
        choice = twins[label] if at in set(yes[:first].tolist()) else np.arange(truth.shape[1])
        free = [other for other in choice if not truth[sample, other] and not given[sample, other]]
        if free:
            given[sample, label] = False
            given[sample, draw.choice(free)] = True
    return given


def _cleaned(
    whole: AuditedSet,
    case: AuditCase,
    auditor: Any,
    truth: Bool[np.ndarray, "r l"],
    taught: Int[np.ndarray, " r"],
    asked: Int[np.ndarray, " t"],
) -> dict[str, float]:
    """What is left when every proposal is accepted, and what heads learn from it."""
    given = case.given.copy()
    for one in auditor.audit(case):
        row, column = one.rows[0], one.columns[0]
        given[row, column] = 0 if one.proposal == "relabel" else -1
        if one.proposal == "relabel":
            given[row, one.columns[1]] = 1
    return {
        "labels right": float(truth[given == 1].mean()),
        "labels kept": float((given == 1).sum() / max(1, (case.given == 1).sum())),
        "mAP": _map(whole, taught, asked, given),
    }


def _map(
    whole: AuditedSet,
    taught: Int[np.ndarray, " r"],
    asked: Int[np.ndarray, " t"],
    given: Int8[np.ndarray, "r l"],
) -> float:
    """MAP by true labels on samples that were never cleaned, after heads learned these labels."""
    return mean_ap(taught_as(whole.features, taught, given), whole.truth, asked)


def _unsure(whole: AuditedSet, case: AuditCase, taught: Int[np.ndarray, " r"]) -> Table:
    """Whether photographs that the crowd was not sure about have no label that heads are sure of.

    Nothing was planted in these; they have no labels, so that no head learned a YES from them.
    """
    doubtful = np.array([whole.rows[at].get("raw_label") in UNSURE for at in taught])
    if not doubtful.any():
        return {}
    surest = np.nan_to_num(case.logits, nan=-9.0).max(axis=1)
    zero_shot = case.whole.max(axis=1)
    return {
        "heads, photographs nobody was sure of": {"AUC": float(roc_auc_score(doubtful, -surest))},
        "zero-shot, photographs nobody was sure of": {
            "AUC": float(roc_auc_score(doubtful, -zero_shot))
        },
    }


UNSURE = ("Not sure", "Skip", "Other")


def _crowd(settings: Settings, say: Say) -> AuditedSet:
    """A fixed draw of the crowd's photographs, those nobody was sure of included."""
    rows = read_rows(settings.data, CROWD)
    order = np.random.default_rng(0).permutation(len(rows))[:DRAWN]
    rows = [rows[at] for at in np.sort(order)]
    names = sorted({label for each in rows for label in each["labels"]})
    return encoded_set(CROWD, rows, names, settings, say=say)


def _common(whole: AuditedSet) -> AuditedSet:
    """The set without labels that hardly any sample has."""
    often = np.flatnonzero(whole.truth.sum(axis=0) >= FEWEST)
    features = replace(
        whole.features,
        global_scores=whole.features.global_scores[:, often],
        local_scores=whole.features.local_scores[:, often],
    )
    names = [whole.names[column] for column in often]
    return replace(whole, names=names, features=features, truth=whole.truth[:, often])


def _captions(whole: AuditedSet) -> list[str]:
    """What people wrote below the photographs; some have none."""
    return [" ".join(each.get("captions") or ()) for each in whole.rows]


def _tags(whole: AuditedSet, seed: int) -> list[str]:
    """Made-up tags: the true labels' names, some missing, some of another label."""
    draw = np.random.default_rng((29, seed))
    out: list[str] = []
    for truth in whole.truth:
        chance = draw.random()
        there: Sequence[int] = np.flatnonzero(truth).tolist()
        if chance < MISSING or not there:
            out.append("")
        elif chance < MISSING + WRONG:
            out.append(whole.names[draw.integers(len(whole.names))])
        else:
            out.append(" ".join(whole.names[at] for at in there))
    return out
