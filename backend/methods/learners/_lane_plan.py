"""What a training of a lane is told and what it gives; without PyTorch, so that heads open fast."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class TrainingPlan:
    """How a lane is trained.

    Attributes:
        rate: Adam's, of selectors and prefixes; the head's is `head_rate`.
        decay: decoupled weight decay of selectors, prefixes and head.
        max_epochs: times that every sample is seen at most.
        patience: epochs without a better held-back loss after which it stops.
        batch: samples per step.
    """

    rate: float = 0.003
    head_rate: float = 0.01
    decay: float = 0.01
    max_epochs: int = 40
    patience: int = 5
    batch: int = 32


@dataclass(frozen=True)
class TrainedLane:
    """Selectors (S, W), prefixes (B', 2, K, W), and the steps that led to them."""

    selectors: Float[np.ndarray, "s w"]
    prefixes: Float[np.ndarray, "b 2 k w"]
    steps: int
