"""What "these but not those" gains over "these" alone: `python -m backend.bench.not_those`.

A person wants what has one label and not another, such as a person without a car. They point at
five samples that are so. What is not wanted they say in one of three ways: five samples that have
both labels, the first five wrong results, or that in three rounds, each of the results before it.
Told is the share of right ones among the first 25 results, none of them an example, over all pairs
of labels with enough samples and three draws of the examples. Pooled vectors of the packaged
encoder, all splits together, since nothing is learned.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Callable, Iterator, Mapping

import numpy as np
from jaxtyping import Bool, Float, Int

from backend.bench._audit_data import AuditedSet, audited_set
from backend.numerics import logistic, rocchio
from backend.settings import Settings

DATA = "coco_mini"
EXAMPLES, FIRST, DRAWS, ROUNDS = 5, 25, 3, 3
FEWEST_RIGHT, FEWEST_BOTH = 20, 10
"""Samples with the one label alone, and with both, that a pair of labels needs."""
RATIOS = (rocchio.UNLIKE, 0.1, 0.2, 0.3, 0.5, 1.0)
STRENGTHS = (0.1, 1.0, 10.0)
"""Of the logistic head: how little it is held to zero."""
ALONE = "like alone"

Rows = Int[np.ndarray, " r"]
Ranks = Callable[[Rows, Rows], Float[np.ndarray, " n"]]


def arms(vectors: Float[np.ndarray, "n d"]) -> dict[str, Ranks]:
    """Ways to score all samples, from examples of what is wanted and of what is not."""
    unit = vectors.astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    found: dict[str, Ranks] = {ALONE: lambda like, _unlike: unit @ unit[like].mean(axis=0)}
    for ratio in RATIOS:
        found[f"Rocchio, ratio {ratio:g}"] = _rocchio(unit, ratio)
    for strength in STRENGTHS:
        found[f"logistic head, strength {strength:g}"] = _head(unit, strength)
    return found


def _rocchio(unit: Float[np.ndarray, "n d"], ratio: float) -> Ranks:
    return lambda like, unlike: unit @ (unit[like].mean(axis=0) - ratio * unit[unlike].mean(axis=0))


def _head(unit: Float[np.ndarray, "n d"], strength: float) -> Ranks:
    def ranks(like: Rows, unlike: Rows) -> Float[np.ndarray, " n"]:
        rows = np.concatenate([like, unlike])
        targets = (np.arange(len(rows)) < len(like)).astype(float)
        bias = np.full((len(rows), 1), 10.0)  # nearly free
        features = np.concatenate([np.sqrt(strength) * unit[rows], bias], axis=1)
        none, every = np.zeros(len(rows)), np.ones(len(rows))
        start = np.zeros(features.shape[1])
        weights, _ = logistic.fit(features, none, targets, every, start)
        return unit @ weights[:-1]

    return ranks


def measured(one: AuditedSet) -> Iterator[dict[str, object]]:
    """A row for each way to say what is not wanted and each arm."""
    known = arms(one.vectors)
    shares: dict[tuple[str, str], list[float]] = {}
    pairs = 0
    for label, other in itertools.permutations(range(len(one.names)), 2):
        right = one.truth[:, label] & ~one.truth[:, other]
        both = np.flatnonzero(one.truth[:, label] & one.truth[:, other])
        if right.sum() < FEWEST_RIGHT or len(both) < FEWEST_BOTH:
            continue
        pairs += 1
        for draw in range(DRAWS):
            rng = np.random.default_rng([draw, label, other])
            like = rng.choice(np.flatnonzero(right), EXAMPLES, replace=False)
            drawn = rng.choice(both, EXAMPLES, replace=False)
            wrong = _wrong(known[ALONE], like, like[:0], right)
            for name, ranks in known.items():
                unlike = wrong
                for _ in range(ROUNDS - 1):
                    unlike = np.concatenate([unlike, _wrong(ranks, like, unlike, right)])
                for way, given in (
                    ("five with both labels", drawn),
                    ("first wrong results", wrong),
                    ("the same in three rounds", unlike),
                ):
                    first = _order(ranks, like, given)[:FIRST]
                    shares.setdefault((way, name), []).append(float(right[first].mean()))
    for (way, name), told in shares.items():
        facts: Mapping[str, object] = {"data": one.name, "pairs": pairs, "unlike": way}
        yield {**facts, "arm": name, f"precision at {FIRST}": round(float(np.mean(told)), 4)}


def _order(ranks: Ranks, like: Rows, unlike: Rows) -> Rows:
    """All samples but the examples, best first."""
    order = np.argsort(-ranks(like, unlike), kind="stable")
    return order[~np.isin(order, [*like, *unlike])]


def _wrong(ranks: Ranks, like: Rows, unlike: Rows, right: Bool[np.ndarray, " n"]) -> Rows:
    order = _order(ranks, like, unlike)
    return order[~right[order]][:EXAMPLES]


def main() -> int:
    """Print one JSON row per measurement."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    settings = Settings.from_environ()
    if not settings.data.is_dir():
        sys.stderr.write(f"no data packs in {settings.data}; set PATCHLANE_DATA\n")
        return 1
    for row in measured(audited_set(DATA, settings, say=lambda _: None)):
        sys.stdout.write(json.dumps(row) + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
