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

Layer-wise, an image is K clouds, one for each of some layers of an encoder, each layer brought to
the labels' space by a projection of its own, and what is said of it is the mean over the layers:

    CT = 1/K sum_k CT_k,   pi_f = 1/K sum_k pi_f^k,   pi_b = 1/K sum_k pi_b^k,
    score[m] = 1/K sum_k sum_n pi_b^k[n, m] S^k[n, m]

theta and beta are the same for all layers, so that the plans are the means of the layers' plans and
keep their marginals. With one layer this is what is above, number by number.

`sinkhorn_potentials` is what the literature compares with: one entropic optimal plan that keeps
both marginals at once. What no label claims is `leftover.py`'s to say.

Everything is done on logarithms, so neither a small temperature nor a weight of zero overflows.
Source: Li et al., PatchCT, ICCV 2023 (2307.09066); Zheng and Zhou, Exploiting Chain Rule and Bayes'
Theorem to Compare Probability Distributions, NeurIPS 2021 (plans in closed form). Sinkhorn: Cuturi,
NeurIPS 2013 (1306.0895), on logarithms as in Peyre and Cuturi, Computational Optimal Transport,
2019, section 4.4.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

NEVER = np.float32(-1e30)
"""log 0: exp of it is 0 in float32, and it can be added and subtracted without becoming NaN."""

BLOCK = 4_000_000
"""Numbers (samples x parts x labels) held at once while pooling: 16 MB of float32."""

ROUNDS, TOLERANCE = 200, 1e-4
"""Of Sinkhorn: it stops when no label's share is off by more than the tolerance of that share."""

Similarity = Float[np.ndarray, "n p l"]


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
    """pi_f: each part's choice among the labels; a part's row sums to 1.

    It is 0 throughout for a sample whose labels all weigh nothing. `temperature` is t, positive.
    """
    logits = cosine / np.float32(temperature)
    logits += _log(beta)[:, None, :]
    _softmax(logits, axis=2)
    logits *= (beta.sum(axis=1) > 0)[:, None, None]
    return logits


def backward_navigator(
    cosine: Similarity, theta: Float[np.ndarray, "n p"], temperature: float
) -> Similarity:
    """pi_b: each label's choice among the parts; a label's column sums to 1.

    It is 0 throughout for a sample without parts. `temperature` is t, positive.
    """
    logits = cosine / np.float32(temperature)
    logits += _log(theta)[:, :, None]
    _softmax(logits, axis=1)
    logits *= (theta.sum(axis=1) > 0)[:, None, None]
    return logits


def forward_plan(forward: Similarity, theta: Float[np.ndarray, "n p"]) -> Similarity:
    """T_f = theta pi_f: row sums are theta, column sums are free."""
    return forward * theta[:, :, None]


def backward_plan(backward: Similarity, beta: Float[np.ndarray, "n l"]) -> Similarity:
    """T_b = beta pi_b: column sums are beta, row sums are free."""
    return backward * beta[:, None, :]


def pooled_scores(
    parts: Float[np.ndarray, "n p d"],
    labels: Float[np.ndarray, "l _"],
    theta: Float[np.ndarray, "n p"],
    temperature: float,
) -> Float[np.ndarray, "n l"]:
    """CT-pooled score of every sample and label, a block of samples and labels at a time.

    Args:
        parts: unit rows, padded to P.
        labels: unit rows.
        theta: of each part, see `part_weights`; without any a sample scores 0.
        temperature: t, positive.
    """
    has_parts = (theta.sum(axis=1) > 0)[:, None]
    return _pooled(parts, labels, _log(theta), temperature) * has_parts


def _pooled(
    parts: Float[np.ndarray, "n p d"],
    labels: Float[np.ndarray, "l _"],
    log_weights: Float[np.ndarray, "n p"],
    temperature: float,
) -> Float[np.ndarray, "n l"]:
    scores = np.zeros((len(parts), len(labels)), np.float32)
    for some, chosen in blocks(len(parts), parts.shape[1], len(labels)):
        cosine = similarity(parts[some], labels[chosen])
        logits = cosine / np.float32(temperature)
        logits += log_weights[some][:, :, None]
        logits -= logits.max(axis=1, keepdims=True, initial=NEVER)
        weights = np.exp(logits, out=logits)
        total = weights.sum(axis=1)
        cosine *= weights
        scores[some, chosen] = cosine.sum(axis=1) / np.maximum(total, 1e-30)
    return scores


@dataclass(frozen=True)
class LayeredPlans:
    """Means over the layers of each sample.

    Attributes:
        forward, backward: the navigators.
        cosine: of parts and labels.
        scores: CT-pooled.
    """

    forward: Similarity
    backward: Similarity
    cosine: Similarity
    scores: Float[np.ndarray, "n l"]


def layers_of(parts: Float[np.ndarray, "n p w"], width: int) -> list[Float[np.ndarray, "n p d"]]:
    """The layers that lie side by side in the width of the parts, as views.

    Args:
        parts: K layers of D numbers each in a row, W = K D.
        width: D.
    """
    count = parts.shape[2] // width if width else 1
    return [parts[:, :, at * width : (at + 1) * width] for at in range(count)]


def layered_plans(
    layers: Sequence[Float[np.ndarray, "n p d"]],
    labels: Float[np.ndarray, "l _"],
    theta: Float[np.ndarray, "n p"],
    beta: Float[np.ndarray, "n l"],
    temperature: float,
) -> LayeredPlans:
    """What one layer or several say of samples and labels, a layer at a time.

    Args:
        layers: K of them, at least one; each has the parts as unit rows in the labels' space.
        labels: unit rows.
        theta: of the parts, the same for all layers.
        beta: of the labels, the same for all layers.
        temperature: t, positive.
    """
    totals: list[np.ndarray] = []
    for layer in layers:
        cosine = similarity(layer, labels)
        backward = backward_navigator(cosine, theta, temperature)
        forward = forward_navigator(cosine, beta, temperature)
        scores = np.einsum("npl,npl->nl", backward, cosine)
        told = [forward, backward, cosine, scores]
        totals = totals or [np.zeros_like(one) for one in told]
        for total, one in zip(totals, told, strict=True):
            total += one
    for total in totals:
        total /= np.float32(len(layers))
    return LayeredPlans(*totals)


def layered_scores(
    layers: Sequence[Float[np.ndarray, "n p d"]],
    labels: Float[np.ndarray, "l _"],
    theta: Float[np.ndarray, "n p"],
    temperature: float,
) -> Float[np.ndarray, "n l"]:
    """The scores of `layered_plans` without its plans, a block of samples and labels at a time."""
    total = sum(pooled_scores(layer, labels, theta, temperature) for layer in layers)
    return np.asarray(total / np.float32(len(layers)), np.float32)


def blocks(num_samples: int, num_parts: int, num_labels: int) -> Iterator[tuple[slice, slice]]:
    """Samples and labels of which `BLOCK` similarities are held at once.

    A text of 20,000 words under 2,000 labels is one sample of ten times that.
    """
    wide = max(1, min(num_labels, BLOCK // max(1, num_parts)))
    deep = max(1, BLOCK // max(1, num_parts * wide))
    for start in range(0, num_samples, deep):
        for first in range(0, num_labels, wide):
            yield slice(start, start + deep), slice(first, first + wide)


@dataclass(frozen=True)
class Potentials:
    """Logarithms of u (N, P) and v (N, L): the plan is u[n] exp(S[n, m] / t) v[m]."""

    parts: Float[np.ndarray, "n p"]
    labels: Float[np.ndarray, "n l"]


def sinkhorn_potentials(
    cosine: Similarity,
    theta: Float[np.ndarray, "n p"],
    beta: Float[np.ndarray, "n l"],
    temperature: float,
) -> Potentials:
    """Of the entropic optimal plan of each sample; parts and labels of weight 0 get log 0.

    The plan keeps theta exactly, and beta to `TOLERANCE` or as near as `ROUNDS` came. Each sample
    stops on its own, so that a batch equals its items one at a time.

    Args:
        cosine: of parts and labels.
        theta: row sums of the plan, of each sample 1 in all; 0 for padding.
        beta: its column sums, the same.
        temperature: t, positive: the weight of the plan's entropy.
    """
    log_u = np.full(theta.shape, NEVER, np.float32)
    log_v = np.full(beta.shape, NEVER, np.float32)
    for sample in range(len(cosine)):
        rows, columns = theta[sample] > 0, beta[sample] > 0
        if rows.any() and columns.any():
            kernel = cosine[sample] / np.float32(temperature)
            if not (np.all(rows) and np.all(columns)):
                kernel = kernel[np.ix_(rows, columns)]
            found = _scaled(kernel, theta[sample, rows], beta[sample, columns])
            log_u[sample, rows], log_v[sample, columns] = found
    return Potentials(log_u, log_v)


def sinkhorn_navigators(
    cosine: Similarity, potentials: Potentials, temperature: float
) -> tuple[Similarity, Similarity]:
    """Forward and backward conditionals of the plan: plan / theta and plan / beta.

    A part or label of weight 0 is told what it would get, as by the closed-form navigators.
    """
    forward = cosine / np.float32(temperature)
    forward += potentials.labels[:, None, :]
    _softmax(forward, axis=2)
    forward *= np.any(potentials.labels > NEVER, axis=1)[:, None, None]
    backward = cosine / np.float32(temperature)
    backward += potentials.parts[:, :, None]
    _softmax(backward, axis=1)
    backward *= np.any(potentials.parts > NEVER, axis=1)[:, None, None]
    return forward, backward


def sinkhorn_scores(
    parts: Float[np.ndarray, "n p d"],
    labels: Float[np.ndarray, "l _"],
    theta: Float[np.ndarray, "n p"],
    temperature: float,
) -> Float[np.ndarray, "n l"]:
    """Mean cosine of each label under the optimal plan, labels of equal weight.

    Samples are worked out one at a time, in memory for one of them.

    Args:
        parts: unit rows, padded to P.
        labels: unit rows.
        theta: of each part, see `part_weights`; without any a sample scores 0.
        temperature: t, positive.
    """
    scores = np.zeros((len(parts), len(labels)), np.float32)
    for row in range(len(parts) if len(labels) else 0):
        one = slice(row, row + 1)
        if not theta[one].any():
            continue
        cosine = similarity(parts[one], labels)
        beta = label_weights(1, len(labels))
        log_u = sinkhorn_potentials(cosine, theta[one], beta, temperature).parts
        del cosine
        scores[one] = _pooled(parts[one], labels, log_u, temperature)
    return scores


def _scaled(
    kernel: Float[np.ndarray, "p l"], theta: Float[np.ndarray, " p"], beta: Float[np.ndarray, " l"]
) -> tuple[Float[np.ndarray, " p"], Float[np.ndarray, " l"]]:
    """Scale rows and columns of exp(kernel) in turn until both marginals hold."""
    log_theta, log_beta = np.log(theta), np.log(beta)
    log_v = log_beta.copy()
    for _ in range(ROUNDS):
        log_u = log_theta - _log_sum_exp(kernel, log_v, axis=1)
        log_columns = _log_sum_exp(kernel, log_u, axis=0)
        off = np.abs(np.expm1(np.clip(log_v + log_columns - log_beta, -80, 80))).max()
        if off <= TOLERANCE:
            break
        log_v = log_beta - log_columns
    else:
        log_u = log_theta - _log_sum_exp(kernel, log_v, axis=1)
    return log_u, log_v


def _log_sum_exp(
    kernel: Float[np.ndarray, "p l"], added: Float[np.ndarray, " _"], *, axis: int
) -> Float[np.ndarray, " _"]:
    """Logarithm of the sum over one axis, some rows of the other at a time."""
    out = np.empty(kernel.shape[1 - axis], np.float32)
    step = max(1, BLOCK // max(1, kernel.shape[axis]))
    for start in range(0, len(out), step):
        some = slice(start, start + step)
        block = kernel[some] + added if axis else kernel[:, some] + added[:, None]
        best = block.max(axis=axis)
        block -= best[:, None] if axis else best
        out[some] = best + np.log(np.exp(block, out=block).sum(axis=axis))
    return out


def spread(
    backward: Similarity, real: Bool[np.ndarray, "n p"] | None = None
) -> Float[np.ndarray, "n l"]:
    """Entropy of each label's map over log P: 0 one part, 1 everywhere.

    Args:
        backward: maps whose columns sum to 1.
        real: parts that are not padding, which P counts; None: all.
    """
    num = np.full(len(backward), backward.shape[1]) if real is None else real.sum(axis=1)
    entropy = -(backward * _log(backward)).sum(axis=1)
    return (entropy / np.log(np.maximum(num, 2))[:, None]).astype(np.float32)


def _log(weights: Float[np.ndarray, "*_"]) -> Float[np.ndarray, "*_"]:
    return np.log(weights, out=np.full(weights.shape, NEVER, np.float32), where=weights > 0)


def _softmax(logits: Similarity, *, axis: int) -> None:
    """In place: the largest map, 20,000 words by 2,000 labels, is 160 MB."""
    if logits.shape[axis]:
        logits -= logits.max(axis=axis, keepdims=True)
        np.exp(logits, out=logits)
        logits /= logits.sum(axis=axis, keepdims=True)
