"""A direction towards some examples and away from others: relevance feedback by their means.

    q = mean(like) - UNLIKE mean(unlike),    scaled to unit length

With nothing unlike it is the mean of what is alike. The query that feedback usually starts from is
missing here, the examples are all that was said.

Source: J. J. Rocchio, Relevance feedback in information retrieval, in The SMART Retrieval System,
1971. Its usual weights, 0.75 and 0.15, are a ratio of 0.2. `python -m backend.bench.not_those`
measures others, and logistic heads, which lose.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

UNLIKE = 0.05
"""What is unlike mostly shows the wanted thing, too: more than this takes that away as well."""


def towards(
    like: Float[np.ndarray, "p d"], unlike: Float[np.ndarray, "n d"]
) -> Float[np.ndarray, " d"]:
    """The direction, of unit length; 0 where the examples cancel out.

    Args:
        like: unit vectors, at least one.
        unlike: unit vectors; none is fine.
    """
    found = like.mean(axis=0)
    if len(unlike):
        found = found - np.float32(UNLIKE) * unlike.mean(axis=0)
    return found / max(float(np.linalg.norm(found)), 1e-12)
