"""Conditional-transport costs of whole samples, by the plans of the product, for tests alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from backend.numerics import transport


@dataclass(frozen=True)
class TransportCost:
    """Cost of each sample's plans; `total` weighs them with omega."""

    forward: Float[np.ndarray, " n"]
    backward: Float[np.ndarray, " n"]
    total: Float[np.ndarray, " n"]


def transport_cost(
    cosine: transport.Similarity,
    theta: Float[np.ndarray, "n p"],
    beta: Float[np.ndarray, "n l"],
    temperature: float,
    *,
    omega: float = 0.5,
) -> TransportCost:
    """Conditional-transport cost of each sample, 0..2; `omega`, 0..1: share of the forward cost."""
    cost = 1 - cosine
    chosen = transport.forward_navigator(cosine, beta, temperature)
    ahead = transport.forward_plan(chosen, theta)
    sought = transport.backward_navigator(cosine, theta, temperature)
    back = transport.backward_plan(sought, beta)
    forward = (ahead * cost).sum(axis=(1, 2))
    backward = (back * cost).sum(axis=(1, 2))
    return TransportCost(forward, backward, omega * forward + (1 - omega) * backward)
