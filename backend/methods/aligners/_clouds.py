"""What every aligner does before its formula: refuse what cannot be, and weigh parts and labels."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from backend.errors import BadInputError
from backend.numerics import transport
from backend.types import Alignment


def check_temperature(temperature: float) -> None:
    """Refuse what no softmax can be divided by.

    Raises:
        BadInputError: it is 0 or below, or no number.
    """
    if not temperature > 0:
        raise BadInputError(f"temperature is {temperature}; give one above 0")


def check(
    parts: np.ndarray,
    labels: np.ndarray,
    *,
    weights: np.ndarray | None = None,
    saliency: np.ndarray | None = None,
    is_layered: bool = False,
) -> None:
    """Refuse widths that differ and weights below 0.

    With `is_layered` the parts may be a whole number of layers wide.

    Raises:
        BadInputError: tells both widths, or the weight.
    """
    wide, width = parts.shape[2], labels.shape[1]
    if wide != width and not (is_layered and wide and width and wide % width == 0):
        what = "both with the same encoder" if not is_layered else "layers and labels alike"
        raise BadInputError(f"parts are {wide} wide and labels {width}; encode {what}")
    for name, values in (("weights", weights), ("saliency", saliency)):
        if values is not None and not (values >= 0).all():
            raise BadInputError(f"{name} has {np.min(values)}; give numbers of 0 or above")


def mask_of(parts: np.ndarray, real: Bool[np.ndarray, "n p"] | None) -> Bool[np.ndarray, "n p"]:
    """Which parts are real; all of them unless said otherwise."""
    return np.ones(parts.shape[:2], bool) if real is None else real


def part_weights(
    parts: np.ndarray,
    real: Bool[np.ndarray, "n p"] | None,
    saliency: Float[np.ndarray, "n p"] | None,
) -> Float[np.ndarray, "n p"]:
    """The share of each part, theta in `numerics/transport.py`.

    Args:
        parts: (N, P, D).
        real: parts that are not padding; None: all.
        saliency: what each part weighs, 0 or above; None: all alike.
    """
    return transport.part_weights(mask_of(parts, real), saliency)


def drawn(
    parts: Float[np.ndarray, "n p d"],
    labels: Float[np.ndarray, "l _"],
    *,
    scores: Float[np.ndarray, "n l"],
    real: Bool[np.ndarray, "n p"] | None,
    weights: Float[np.ndarray, " l"] | None,
    theta: Float[np.ndarray, "n p"],
    temperature: float,
) -> Alignment:
    """An alignment whose maps are the two softmaxes of the cosine, whatever its scores are.

    Args:
        parts: unit rows, padded to P.
        labels: unit rows.
        scores: as the aligner has them.
        real: parts that are not padding, whose forward map is 0; None: all.
        weights: of the labels, 0 or above; None: all alike.
        theta: see `part_weights`.
        temperature: of both softmaxes, positive.
    """
    cosine = transport.similarity(parts, labels)
    beta = transport.label_weights(len(parts), len(labels), weights)
    forward = transport.forward_navigator(cosine, beta, temperature)
    forward *= mask_of(parts, real)[:, :, None]
    backward = transport.backward_navigator(cosine, theta, temperature)
    return Alignment(scores=scores, forward=forward, backward=backward, similarity=cosine)
