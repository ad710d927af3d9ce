"""Scores of a label from the similarities of its parts, other than by transport.

Here are the two that the literature pools parts with: the best part alone, and softmax attention.
Both work in blocks of bounded memory, and each label is alone: no label's score knows of another.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from backend.numerics import transport


def best_part_scores(
    parts: Float[np.ndarray, "n p d"],
    labels: Float[np.ndarray, "l _"],
    theta: Float[np.ndarray, "n p"],
) -> Float[np.ndarray, "n l"]:
    """Max over n of S[n, m], among the parts of weight above 0; 0 where there is none.

    Source: Khattab and Zaharia, ColBERT, SIGIR 2020 (2004.12832), with one vector per query.
    """
    scores = np.zeros((len(parts), len(labels)), np.float32)
    counts = (theta > 0)[:, :, None]
    for some, chosen in transport.blocks(len(parts), parts.shape[1], len(labels)):
        cosine = transport.similarity(parts[some], labels[chosen])
        best = np.where(counts[some], cosine, transport.NEVER).max(axis=1, initial=transport.NEVER)
        scores[some, chosen] = np.where(counts[some].any(axis=1), best, 0)
    return scores


def attended_scores(
    parts: Float[np.ndarray, "n p d"],
    labels: Float[np.ndarray, "l _"],
    theta: Float[np.ndarray, "n p"],
    temperature: float,
) -> Float[np.ndarray, "n l"]:
    """Cosine of each label and what it gets when it asks the parts by softmax attention.

    The label is the query and the parts are keys and values: a_m = sum_n pi_b[n, m] part_n, and the
    score is <a_m, label_m> / |a_m|. Where transport takes the mean cosine, the length of a_m is
    divided out: parts that disagree with each other cancel, and what remains is judged.

    Source: Vaswani et al., Attention is all you need, NeurIPS 2017 (1706.03762).
    """
    scores = np.zeros((len(parts), len(labels)), np.float32)
    rows = labels.astype(np.float32, copy=False)
    # What is attended to is as wide as a part, so that a block holds the wider of the two.
    widest = max(parts.shape[1], parts.shape[2])
    for some, chosen in transport.blocks(len(parts), widest, len(labels)):
        block = parts[some].astype(np.float32, copy=False)
        cosine = transport.similarity(block, rows[chosen])
        shares = transport.backward_navigator(cosine, theta[some], temperature)
        attended = np.matmul(shares.transpose(0, 2, 1), block)
        length = np.linalg.norm(attended, axis=2)
        scores[some, chosen] = (attended * rows[chosen]).sum(axis=2) / np.maximum(length, 1e-12)
    return scores
