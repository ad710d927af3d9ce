"""Conditional transport between the parts of a sample and a set of labels.

Parts are a cloud with weights `theta` (N, P), labels a cloud with weights `beta` (N, L); the cost
of moving part n to label m is 1 - cosine. Two navigators say who goes where, each a softmax:

    forward  pi_f[n, m] ~ beta[m]  exp(S[n, m] / t), rows sum to 1: what is this part?
    backward pi_b[n, m] ~ theta[n] exp(S[n, m] / t), columns sum to 1: where is this label?

The plans are T_f = theta pi_f and T_b = beta pi_b, each of mass 1. T_f keeps only the parts'
weights and T_b only the labels', so a part of the background may stay unused by T_b, which optimal
transport (both marginals kept) does not allow. With the marginals it does have, each plan is
the entropic optimal one at regularisation t. A label's CT-pooled score is minus its backward cost,
up to a constant: sum_n pi_b[n, m] S[n, m]; towards the best part for small t, towards the
mean part for large t.

Everything is done on logarithms, so neither a small temperature nor a weight of zero overflows.
Source: Li et al., PatchCT, ICCV 2023 (2307.09066); Zheng and Zhou, Exploiting Chain Rule and Bayes'
Theorem to Compare Probability Distributions, NeurIPS 2021 (plans in closed form).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

NEVER = np.float32(-1e30)
"""log 0: exp of it is 0 in float32, and it can be added and subtracted without becoming NaN."""

BLOCK = 4_000_000
"""Numbers (samples x parts x labels) held at once while pooling: 16 MB of float32."""

Similarity = Float[np.ndarray, "n p l"]


@dataclass(frozen=True)
class TransportCost:
    """Cost of each sample's plans; `total` weighs them with omega."""

    forward: Float[np.ndarray, " n"]
    backward: Float[np.ndarray, " n"]
    total: Float[np.ndarray, " n"]


def part_weights(
    real: Bool[np.ndarray, "n p"], saliency: Float[np.ndarray, "n p"] | None = None
) -> Float[np.ndarray, "n p"]:
    """theta: the share of each real part, uniform or by saliency; padding gets 0.

    A sample whose saliency is 0 everywhere has no opinion and gets uniform weights; a sample
    without real parts gets 0 everywhere.
    """
    uniform = real.astype(np.float32)
    weights = uniform if saliency is None else np.where(real, saliency, 0).astype(np.float32)
    total = weights.sum(axis=1, keepdims=True)
    weights = np.where(total > 0, weights, uniform)
    total = weights.sum(axis=1, keepdims=True)
    return weights / np.where(total > 0, total, 1)


def label_weights(
    num_samples: int, num_labels: int, weights: Float[np.ndarray, "*_"] | None = None
) -> Float[np.ndarray, "n l"]:
    """beta: the share of each label; `weights` (L,) for all samples or (N, L), None is uniform.

    A row whose weights are all 0 (nothing known of the sample) stays 0 and is skipped everywhere.
    """
    raw = np.ones((num_samples, num_labels)) if weights is None else np.asarray(weights)
    raw = np.broadcast_to(raw, (num_samples, num_labels)).astype(np.float32)
    total = raw.sum(axis=1, keepdims=True)
    return raw / np.where(total > 0, total, 1)


def similarity(parts: Float[np.ndarray, "n p d"], labels: Float[np.ndarray, "l _"]) -> Similarity:
    """Cosine of every part and label; rows are unit vectors already."""
    flat = parts.reshape(-1, parts.shape[2]).astype(np.float32, copy=False)
    return (flat @ labels.T.astype(np.float32, copy=False)).reshape(*parts.shape[:2], len(labels))


def forward_navigator(
    cosine: Similarity, beta: Float[np.ndarray, "n l"], temperature: float
) -> Similarity:
    """pi_f: each part's choice among the labels; rows sum to 1, or 0 where beta is 0."""
    logits = cosine / np.float32(temperature) + _log(beta)[:, None, :]
    return _softmax(logits, axis=2) * (beta.sum(axis=1) > 0)[:, None, None]


def backward_navigator(
    cosine: Similarity, theta: Float[np.ndarray, "n p"], temperature: float
) -> Similarity:
    """pi_b: each label's choice among the parts; columns sum to 1, or 0 where theta is 0."""
    logits = cosine / np.float32(temperature) + _log(theta)[:, :, None]
    return _softmax(logits, axis=1) * (theta.sum(axis=1) > 0)[:, None, None]


def forward_plan(forward: Similarity, theta: Float[np.ndarray, "n p"]) -> Similarity:
    """T_f = theta pi_f: row sums are theta, column sums are free."""
    return forward * theta[:, :, None]


def backward_plan(backward: Similarity, beta: Float[np.ndarray, "n l"]) -> Similarity:
    """T_b = beta pi_b: column sums are beta, row sums are free."""
    return backward * beta[:, None, :]


def transport_cost(
    cosine: Similarity,
    theta: Float[np.ndarray, "n p"],
    beta: Float[np.ndarray, "n l"],
    temperature: float,
    *,
    omega: float = 0.5,
) -> TransportCost:
    """Conditional-transport cost of each sample, 0..2; `omega`, 0..1: share of the forward cost."""
    cost = 1 - cosine
    ahead = forward_plan(forward_navigator(cosine, beta, temperature), theta)
    back = backward_plan(backward_navigator(cosine, theta, temperature), beta)
    forward = (ahead * cost).sum(axis=(1, 2))
    backward = (back * cost).sum(axis=(1, 2))
    return TransportCost(forward, backward, omega * forward + (1 - omega) * backward)


def pooled_scores(
    parts: Float[np.ndarray, "n p d"],
    labels: Float[np.ndarray, "l _"],
    theta: Float[np.ndarray, "n p"],
    temperature: float,
) -> Float[np.ndarray, "n l"]:
    """CT-pooled score of every sample and label, a block of samples at a time."""
    scores = np.empty((len(parts), len(labels)), np.float32)
    step = max(1, BLOCK // max(1, parts.shape[1] * len(labels)))
    for start in range(0, len(parts), step):
        block = slice(start, start + step)
        cosine = similarity(parts[block], labels)
        logits = cosine / np.float32(temperature)
        logits += _log(theta[block])[:, :, None]
        logits -= logits.max(axis=1, keepdims=True, initial=NEVER)
        weights = np.exp(logits, out=logits)
        total = weights.sum(axis=1)
        cosine *= weights
        scores[block] = cosine.sum(axis=1) / np.maximum(total, 1e-30)
        scores[block] *= (theta[block].sum(axis=1) > 0)[:, None]
    return scores


def spread(
    backward: Similarity, real: Bool[np.ndarray, "n p"] | None = None
) -> Float[np.ndarray, "n l"]:
    """Entropy of each label's map over log P: 0 one part, 1 everywhere."""
    num = np.full(len(backward), backward.shape[1]) if real is None else real.sum(axis=1)
    entropy = -(backward * _log(backward)).sum(axis=1)
    return (entropy / np.log(np.maximum(num, 2))[:, None]).astype(np.float32)


def _log(weights: Float[np.ndarray, "*_"]) -> Float[np.ndarray, "*_"]:
    return np.log(weights, out=np.full(weights.shape, NEVER, np.float32), where=weights > 0)


def _softmax(logits: Similarity, *, axis: int) -> Similarity:
    if logits.shape[axis] == 0:
        return logits
    weights = np.exp(logits - logits.max(axis=axis, keepdims=True))
    return weights / weights.sum(axis=axis, keepdims=True)
