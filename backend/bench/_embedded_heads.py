"""Heads on frozen vectors of photographs: a linear probe and the nearest neighbours.

The probe is scikit-learn's multinomial logistic regression on standardised numbers. Its strength
is chosen on a tenth of the train photos, which it is then fitted on as well; the measured photos
choose nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

STRENGTHS = (0.0003, 0.001, 0.003, 0.01)
"""scikit-learn's C, weak to strong; each fit starts where the weaker one ended."""

FEW_STRENGTH = 0.1
"""Of the probe on few photos of each label, which are too few to hold any back."""

HELD_BACK = 0.1
ROUNDS = 200
NEIGHBOURS = 5
_CHUNK = 256


@dataclass(frozen=True)
class Photos:
    """Photographs with one label each, as numbers."""

    vectors: Float[np.ndarray, "n d"]
    labels: Int[np.ndarray, " n"]

    def some(self, rows: Sequence[int] | Int[np.ndarray, " m"]) -> Photos:
        """Some of them."""
        return Photos(self.vectors[rows], self.labels[rows])


def heads(
    train: Photos, val: Photos, few: Sequence[int], read: str = ""
) -> dict[str, Bool[np.ndarray, " m"]]:
    """Is each val photo's label right by a probe and by neighbours, of all train photos and few.

    Args:
        train: heads are fitted on them.
        val: measured on.
        few: which of the train photos are the few.
        read: what the vectors are, said in the names of the results.
    """
    some = train.some(few)
    return {
        f"linear probe{read}": chosen_probe(train, val),
        f"kNN{read}": nearest(train, val),
        f"linear probe{read}, 10 a label": probe(some, val, FEW_STRENGTH),
        f"kNN{read}, 10 a label": nearest(some, val),
    }


def chosen_probe(train: Photos, val: Photos) -> Bool[np.ndarray, " m"]:
    """Is each val photo's label right by a probe whose strength a part of train has chosen."""
    scaler = StandardScaler().fit(train.vectors)
    x, y = np.asarray(scaler.transform(train.vectors)), train.labels
    split: Any = train_test_split(
        np.arange(len(y)), test_size=HELD_BACK, random_state=0, stratify=y
    )
    kept, held = split
    # Every fit starts where the one before it ended, which saves most of the rounds.
    model: Any = LogisticRegression(max_iter=ROUNDS, warm_start=True)
    found: list[tuple[float, float, np.ndarray, np.ndarray]] = []
    for strength in STRENGTHS:
        model.set_params(C=strength).fit(x[kept], y[kept])
        right = float((model.predict(x[held]) == y[held]).mean())
        found.append((right, strength, model.coef_, model.intercept_))
    _, strength, model.coef_, model.intercept_ = max(found, key=lambda each: each[0])
    model.set_params(C=strength).fit(x, y)
    return model.predict(scaler.transform(val.vectors)) == val.labels


def probe(train: Photos, val: Photos, strength: float) -> Bool[np.ndarray, " m"]:
    """Is each val photo's label right by a probe of this strength."""
    scaler = StandardScaler().fit(train.vectors)
    model: Any = LogisticRegression(C=strength, max_iter=ROUNDS)
    model.fit(scaler.transform(train.vectors), train.labels)
    return model.predict(scaler.transform(val.vectors)) == val.labels


def nearest(train: Photos, val: Photos) -> Bool[np.ndarray, " m"]:
    """Is each val photo's label right by its five nearest train photos, weighted by cosine."""
    reference, found = _unit(train.vectors), []
    for start in range(0, len(val.labels), _CHUNK):
        similar = _unit(val.vectors[start : start + _CHUNK]) @ reference.T
        best = np.argsort(-similar, axis=1)[:, :NEIGHBOURS]
        votes = np.zeros((len(similar), int(train.labels.max()) + 1))
        weights = np.take_along_axis(similar, best, axis=1)
        np.add.at(votes, (np.arange(len(similar))[:, None], train.labels[best]), weights)
        found.append(votes.argmax(1))
    return np.concatenate(found) == val.labels


def _unit(x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
    return x / np.linalg.norm(x, axis=1, keepdims=True)
