"""What no label claims: parts that fit every label of a sample worse than claimed parts do.

A sample's labels are those a person accepted or the model believes in (`claimers`). Each claims
parts by its backward navigator (see transport.py); the labels together favour part p with the mass

    q[p] = 1/L sum_m pi_b[p, m],    and the part fits its best label with    b[p] = max_m S[p, m].

A typical claimed part fits with mean  mu = sum_p q[p] b[p]  and deviation
sd = sqrt(sum_p q[p] (b[p] - mu)^2). A background label that fits everything with
tau = mu - max(sd, t) competes with the best label for each part, on the temperature t of the maps:

    u[p] = exp(tau/t) / (exp(tau/t) + exp(b[p]/t)) = 1 / (1 + exp((b[p] - tau)/t)),  0..1

The share of the sample that is left over is sum_p theta[p] u[p]. It is a hint, not a proof: a plain
background is left over too. That tau lies at least t below the mean keeps a sample of one part, or
of parts that all fit alike, claimed. On collages of `mosaic_open` the deviation as the step told
complete from incomplete label sets best (0, 0.5, 1, 1.5 and 2 deviations were tried); all known
labels as claimers, in place of the sample's own, told nearly nothing, since of a hundred labels one
always fits. Source: the background target is ours; the navigators are PatchCT's (2307.09066).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from backend.numerics import transport


def claimers(
    scores: Float[np.ndarray, " l"],
    accepted: Bool[np.ndarray, " l"],
    rejected: Bool[np.ndarray, " l"],
) -> Bool[np.ndarray, " l"]:
    """Which labels claim parts: the accepted, and undecided ones whose logit `scores` are above 0.

    Where that is none, the best-scored label that was not rejected; none at all if all were.
    """
    chosen = accepted | (~rejected & (scores > 0))
    open_ = np.flatnonzero(~rejected)
    if not chosen.any() and len(open_):
        chosen[open_[np.argmax(scores[open_])]] = True
    return chosen


def unclaimed(
    cosine: transport.Similarity, theta: Float[np.ndarray, "n p"], temperature: float
) -> Float[np.ndarray, "n p"]:
    """u: how much each part is left over, 0..1; `cosine` holds the columns of claiming labels only.

    Without any claiming label everything is left over; parts of weight 0 (padding) are not.
    """
    real = theta > 0
    if cosine.shape[2] == 0:
        return real.astype(np.float32)
    claimed = transport.backward_navigator(cosine, theta, temperature).mean(axis=2)
    best = cosine.max(axis=2)
    typical = (claimed * best).sum(axis=1, keepdims=True)
    deviation = np.sqrt((claimed * (best - typical) ** 2).sum(axis=1, keepdims=True))
    threshold = typical - np.maximum(deviation, np.float32(temperature))
    # Beyond 80 steps of the temperature exp would overflow, and the answer is 0 or 1 anyway.
    steps = np.clip((best - threshold) / np.float32(temperature), -80, 80)
    return (real / (1 + np.exp(steps))).astype(np.float32)
