"""Label errors that were planted, and who finds them: ours beside cleanlab on the same scores.

Of a set whose labels are known in full a share is turned round, in two ways. "pairs": so many of
all decided pairs, at random. "swaps": so many YES are lost, and the sample gets another label
instead, a frequent one more often: what people do who take one thing for another. Heads score every
sample without having seen it. Precision at k, k the number of planted errors: the share of planted
ones among the k strongest findings.

cleanlab gets the same scores. It has several rankings; beside ours stands the best of them on the
very errors that are measured, which nobody could choose beforehand. `python -m pip install
cleanlab` where it is missing: it is compared with and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from types import ModuleType

import numpy as np
from jaxtyping import Bool, Float, Int

from backend import catalogue
from backend.bench._audit_data import SETS, AuditedSet, audited_set
from backend.bench.reports import Row, row
from backend.cross_fit import cross_fitted, folds_of
from backend.errors import BadInputError
from backend.numerics.logistic import logistic
from backend.settings import Settings
from backend.types import AuditCase

Say = Callable[[str], None]

SHARES = (0.05, 0.10)
WAYS = ("pairs", "swaps")
SEEDS: Mapping[str, int] = {"bccd": 10, "aquarium": 5, "coco_mini": 3}
"""Draws of errors; small sets have few errors and need more of them. Others have one."""
MOST_REPEATS, SAMPLES_A_REPEAT = 3, 1500
NEIGHBOURS = 15


def rows(settings: Settings, *, say: Say, part: str | None = None) -> Iterator[Row]:
    """Precision at k of the default auditor, per set, way and share.

    Args:
        settings: where data packs and encoded samples are.
        say: told what is being done.
        part: only this set.

    Raises:
        BadInputError: an unknown set, or cleanlab is not installed.
    """
    if part is not None and part not in SETS:
        raise BadInputError(f"errors are planted in {', '.join(SETS)}, not {part!r}")
    multilabel = _cleanlab()
    for name in SETS if part is None else (part,):
        whole = audited_set(name, settings, say=say)
        near = nearest(whole.vectors, NEIGHBOURS)
        for way in WAYS:
            for share in SHARES:
                found = [
                    _measured(whole, near, plant(whole.truth, share, way, seed), multilabel, seed)
                    for seed in range(SEEDS.get(name, 1))
                ]
                mean = {key: float(np.mean([one[key] for one in found])) for key in found[0]}
                best = max(
                    (key for key in mean if key.startswith("cleanlab")), key=mean.__getitem__
                )
                say(f"{name}, {way}, {share:.0%}: {mean}")
                yield row(
                    f"planted errors found, {name}, {share:.0%} of {way}, precision at k",
                    round(mean["ours"], 4),
                    "share",
                    at_least=round(mean[best], 4),
                    baseline=f"{best}, the best of its rankings, same scores",
                    baseline_value=round(mean[best], 4),
                )


def plant(
    truth: Bool[np.ndarray, "n l"], share: float, way: str, seed: int
) -> Bool[np.ndarray, "n l"]:
    """Labels with errors.

    Args:
        truth: which sample has which label.
        share: of all pairs, or of the YES that are swapped, 0..1.
        way: "pairs" or "swaps".
        seed: of the draw.
    """
    draw = np.random.default_rng((17, seed))
    given = truth.copy()
    if way == "pairs":
        turned = draw.permutation(truth.size)[: round(share * truth.size)]
        given.ravel()[turned] ^= True
        return given
    yes = np.flatnonzero(truth.ravel())
    often = truth.mean(axis=0) + 1e-9
    for at in draw.permutation(yes)[: round(share * len(yes))].tolist():
        sample, label = divmod(at, truth.shape[1])
        given[sample, label] = False
        free = np.flatnonzero(~truth[sample] & ~given[sample])
        if len(free):
            given[sample, draw.choice(free, p=often[free] / often[free].sum())] = True
    return given


def nearest(vectors: Float[np.ndarray, "n d"], count: int) -> Int[np.ndarray, "n k"]:
    """The rows most like each, itself left out."""
    out = np.empty((len(vectors), count), np.int64)
    for start in range(0, len(vectors), 512):
        cosines = vectors[start : start + 512] @ vectors.T
        cosines[np.arange(len(cosines)), start + np.arange(len(cosines))] = -2
        best = np.argpartition(-cosines, count, axis=1)[:, :count]
        order = np.argsort(-np.take_along_axis(cosines, best, 1), axis=1, kind="stable")
        out[start : start + 512] = np.take_along_axis(best, order, 1)
    return out


def case_of(
    whole: AuditedSet,
    near: Int[np.ndarray, "n k"],
    given: Bool[np.ndarray, "n l"],
    *,
    seed: int = 0,
) -> AuditCase:
    """What an auditor sees of a set in which all pairs are decided, as the product would score it.

    Small sets are scored with several draws of the folds, since who is left out matters there.
    """
    keys = [str(at) for at in range(len(given))]
    repeats = max(1, min(MOST_REPEATS, SAMPLES_A_REPEAT // len(given)))
    logits = np.mean(
        [
            cross_fitted(
                whole.features, given.astype(np.int8), folds_of(keys, seed=repeats * seed + each)
            )
            for each in range(repeats)
        ],
        axis=0,
    )
    return AuditCase(
        vectors=whole.vectors,
        given=given.astype(np.int8),
        logits=logits.astype(np.float32),
        whole=whole.features.global_scores,
        local=whole.features.local_scores,
        names=tuple(whole.names),
        splits=tuple(whole.splits),
        neighbours=near,
        texts=tuple(str(each.get("text", "")) for each in whole.rows),
    )


def ranked(case: AuditCase, key: str) -> Float[np.ndarray, "n l"]:
    """How wrong an auditor finds each pair; nothing is left out."""
    method = catalogue.load(key)
    out = np.zeros(case.given.shape)
    for one in method(method.Settings(least=0.0)).audit(case):
        out[one.rows[0], one.columns[0]] = one.strength
    return out


def precision_at(strength: Float[np.ndarray, "n l"], wrong: Bool[np.ndarray, "n l"]) -> float:
    """The share of wrong pairs among as many of the strongest as there are wrong ones."""
    k = int(wrong.sum())
    top = np.argsort(-strength.ravel(), kind="stable")[:k]
    return float(wrong.ravel()[top].mean()) if k else float("nan")


def _measured(
    whole: AuditedSet,
    near: Int[np.ndarray, "n k"],
    given: Bool[np.ndarray, "n l"],
    multilabel: ModuleType,
    seed: int,
) -> dict[str, float]:
    case = case_of(whole, near, given, seed=seed)
    wrong = given != whole.truth
    scores = {"ours": ranked(case, "auditors/noise_rates"), **_rivals(multilabel, case, given)}
    return {name: precision_at(strength, wrong) for name, strength in scores.items()}


def _rivals(
    multilabel: ModuleType, case: AuditCase, given: Bool[np.ndarray, "n l"]
) -> dict[str, Float[np.ndarray, "n l"]]:
    """Cleanlab's rankings of pairs: each label's quality, and that after what its filter flags."""
    chance = logistic(np.nan_to_num(case.logits.astype(np.float64)))
    scorer = import_module("cleanlab.internal.multilabel_scorer")
    out = {}
    for way in ("SELF_CONFIDENCE", "NORMALIZED_MARGIN", "CONFIDENCE_WEIGHTED_ENTROPY"):
        rank = scorer.MultilabelScorer(base_scorer=scorer.ClassLabelScorer[way])
        quality = rank.get_class_label_quality_scores(given.astype(int), chance)
        out[f"cleanlab {way.lower().replace('_', ' ')}"] = 1 - np.asarray(quality)
    lists = [np.flatnonzero(each).tolist() for each in given]
    flagged = np.asarray(multilabel.filter.find_multilabel_issues_per_class(lists, chance))
    flagged = flagged if flagged.shape == given.shape else flagged.T
    out["cleanlab filter"] = out["cleanlab self confidence"] + 10.0 * flagged
    return out


def _cleanlab() -> ModuleType:
    try:
        return import_module("cleanlab.multilabel_classification")
    except ImportError as error:
        raise BadInputError(
            "planted errors are compared with cleanlab, which is not installed: "
            "pip install -c constraints.txt cleanlab"
        ) from error
