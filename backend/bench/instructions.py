"""Examples found by search beside random and typical ones: which bring a label's pictures back?

Source: Chang et al., Thinking Like an Annotator, 2023 (2306.14035). `patchlane reproduce
labelling-instructions`; claims, data and how long: `assets/recipes/labelling-instructions.toml`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from backend import catalogue
from backend.bench._instruction_data import SETS, Shown, shown_set
from backend.bench.claims import compared, read_claims, report
from backend.contracts import Writer
from backend.numerics.boxes import boxes_of
from backend.numerics.exemplars import SHARES, crop_vector, fit, mixed, worth
from backend.numerics.regions import parts_of
from backend.numerics.scores import average_precision
from backend.pipeline import load_encoder
from backend.recipes import load_recipe
from backend.settings import Settings
from backend.types import Kind, Layout, Region

Say = Callable[[str], None]

NAME = "labelling-instructions"
SHOWN = 3
"""Examples that each arm may show: as many as the card of the paper compares."""
FEWEST = 4
"""Pictures of a label that exemplars are drawn from; labels with fewer are left out."""

GREEDY, WHOLE = "greedy exemplars", "greedy exemplars, whole pictures"
RANDOM, MEDOIDS = "random exemplars", "medoid exemplars"
LABEL_NAME, MEAN, SEARCHED = "name of the label", "mean of all pictures", "greedy, where searched"
MIXED = "greedy exemplars beside the name"


def reproduce(*, seeds: int, train: bool, data: Path, progress: Say) -> dict[str, Any]:  # noqa: ARG001
    """Choose exemplars on one half of each set and search the other half with them.

    Args:
        seeds: of the halves.
        train: nothing is trained here.
        data: folder of the data packs.
        progress: told what is being done.

    Returns:
        The report; `figures` holds by set the AP of each arm, mean of labels and seeds.
    """
    started = time.monotonic()
    settings = Settings.from_environ()
    encoder = load_encoder(load_recipe("default").default_encoder(Kind.IMAGE), settings)
    runs: dict[str, list[dict[str, float]]] = {}
    figures: dict[str, Any] = {}
    for pack in SETS:
        known = shown_set(pack, encoder, data, settings.home / "training" / NAME, progress)
        runs[pack] = []
        for seed in range(seeds):
            found = measured(known, seed=seed)
            progress(f"{pack}, seed {seed}: {found}")
            runs[pack].append(found)
        figures[pack] = {
            arm: round(float(np.mean([run[arm] for run in runs[pack]])), 4) for arm in runs[pack][0]
        }
    return report(
        NAME,
        "Chang et al. 2023",
        started=started,
        claims=[claim_of(each, runs) for each in read_claims(NAME)],
        figures=figures,
    )


def measured(known: Shown, *, seed: int) -> dict[str, float]:
    """Held-out AP of each arm, mean of the labels, beside the number of labels."""
    order = np.random.default_rng(seed).permutation(len(known.truth))
    given, held = np.sort(order[: len(order) // 2]), np.sort(order[len(order) // 2 :])
    found: dict[str, list[float]] = {}
    for label in range(len(known.names)):
        yes = given[known.truth[given, label]]
        if len(yes) < FEWEST or not known.truth[held, label].any():
            continue
        for arm, value in _label_arms(known, label, yes, given, held, seed=seed).items():
            found.setdefault(arm, []).append(value)
    return {
        **{arm: round(float(np.mean(values)), 4) for arm, values in found.items()},
        "labels": float(len(found.get(GREEDY, ()))),
    }


def _label_arms(
    known: Shown,
    label: int,
    yes: Int[np.ndarray, " c"],
    given: Int[np.ndarray, " n"],
    held: Int[np.ndarray, " m"],
    *,
    seed: int,
) -> dict[str, float]:
    """The arms of one label; `yes` are its pictures among those `given`."""
    own = np.searchsorted(given, yes)
    truth, wanted = known.truth[given, label], known.truth[held, label]
    crops = np.stack([_crop(known, row, label) for row in yes.tolist()])
    whole = np.stack(
        [crop_vector(_parts(known, row), np.zeros(0, np.int64)) for row in yes.tolist()]
    )
    mean = whole.mean(axis=0, keepdims=True)
    # One pass over the parts for everything that is searched by.
    queries = np.concatenate(
        [crops, whole, known.labels[[label]], mean / np.linalg.norm(mean)]
    ).astype(np.float32)
    inside, outside = _fits(known, queries, given), _fits(known, queries, held)
    count = len(yes)
    chosen = {
        GREEDY: _writer("greedy", least_gain=-1.0).choose(
            crops, inside[:count], own, truth, k=SHOWN
        ),
        RANDOM: _writer("random").choose(crops, inside[:count], own, truth, k=SHOWN, seed=seed),
        MEDOIDS: _writer("medoids").choose(crops, inside[:count], own, truth, k=SHOWN, seed=seed),
    }
    told = {arm: _held_out(outside[:count], wanted, rows) for arm, rows in chosen.items()}
    rows = _writer("greedy", least_gain=-1.0).choose(
        whole, inside[count : 2 * count], own, truth, k=SHOWN
    )
    return {
        **told,
        WHOLE: _held_out(outside[count : 2 * count], wanted, rows),
        LABEL_NAME: _held_out(outside, wanted, [2 * count]),
        MEAN: _held_out(outside, wanted, [2 * count + 1]),
        SEARCHED: worth(inside[:count], own, truth, chosen[GREEDY]),
        MIXED: _beside_the_name(known, label, crops, own, given, held),
    }


def _beside_the_name(
    known: Shown,
    label: int,
    crops: Float[np.ndarray, "c d"],
    own: Int[np.ndarray, " c"],
    given: Int[np.ndarray, " n"],
    held: Int[np.ndarray, " m"],
) -> float:
    """Crops mixed with the name, by the share that is worth most on the half that is decided."""
    truth, wanted = known.truth[given, label], known.truth[held, label]
    queries = np.concatenate([mixed(crops, known.labels[label], share) for share in SHARES])
    inside, outside = (_fits(known, queries, rows) for rows in (given, held))
    best, found = -1.0, 0.0
    for at in range(len(SHARES)):
        mine = slice(at * len(crops), (at + 1) * len(crops))
        chosen = _writer("greedy", least_gain=-1.0).choose(crops, inside[mine], own, truth, k=SHOWN)
        value = worth(inside[mine], own, truth, chosen)
        if value > best:
            best, found = value, _held_out(outside[mine], wanted, chosen)
    return found


def _writer(name: str, **settings: Any) -> Writer:
    method = catalogue.load(f"writers/{name}")
    return method(method.Settings(**settings))


def _held_out(
    fits: Float[np.ndarray, "c m"], wanted: Bool[np.ndarray, " m"], chosen: list[int]
) -> float:
    return average_precision(fits[chosen].max(axis=0), wanted.astype(np.float32))


def _parts(known: Shown, row: int) -> Float[np.ndarray, "p d"]:
    return known.parts[row].astype(np.float32)


def _crop(known: Shown, row: int, label: int) -> Float[np.ndarray, " d"]:
    """The parts around the evidence of a label, as the guide cuts them out."""
    parts = _parts(known, row)
    frames = boxes_of((parts @ known.labels[label]).reshape(known.grid))
    inside = parts_of(Region("box", frames[0]), Layout(grid=known.grid)) if frames else []
    return crop_vector(parts, np.asarray(inside, np.int64))


def _fits(
    known: Shown, queries: Float[np.ndarray, "q d"], rows: Int[np.ndarray, " n"]
) -> Float[np.ndarray, "q n"]:
    return np.stack([fit(queries, _parts(known, row)) for row in rows.tolist()], axis=1)


def claim_of(
    claim: Mapping[str, Any], runs: Mapping[str, Sequence[Mapping[str, float]]]
) -> dict[str, Any]:
    """One claim with its figures; all of this recipe are asked of each of the seeds."""
    of_set = runs[claim["data"]]
    ours, theirs = (np.array([run[claim[side]] for run in of_set]) for side in ("arm", "baseline"))
    each_seed = {**claim, "each_seed": True}
    return compared(each_seed, ours, theirs, metric="held-out AP", tells_seeds=True)
