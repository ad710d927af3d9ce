"""Draw one label's map over a picture, as the screen does: colour-blind-safe, opacity by mass."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

# Five stops of a perceptually even ramp from dark blue to yellow, readable with any colour vision.
STOPS = np.array(
    [[0, 32, 76], [60, 77, 110], [124, 123, 120], [187, 173, 108], [255, 233, 69]], np.float32
)
OPACITY = 0.65


def coloured(values: Float[np.ndarray, "rows cols"]) -> UInt8[np.ndarray, "rows cols 3"]:
    """Map 0..1 to colours between the stops."""
    at = np.clip(values, 0, 1) * (len(STOPS) - 1)
    low = np.minimum(at.astype(int), len(STOPS) - 2)
    share = (at - low)[..., None]
    return np.round(STOPS[low] * (1 - share) + STOPS[low + 1] * share).astype(np.uint8)


def painted(picture: Image.Image, heat: Float[np.ndarray, "rows cols"]) -> Image.Image:
    """The picture under its heat map; the heat is scaled to its own largest value."""
    scaled = heat / max(float(heat.max()), 1e-12)
    colours = Image.fromarray(coloured(scaled)).resize(picture.size, Image.Resampling.BICUBIC)
    alpha = Image.fromarray(np.round(255 * OPACITY * np.sqrt(scaled)).astype(np.uint8))
    return Image.composite(
        colours, picture.convert("RGB"), alpha.resize(picture.size, Image.Resampling.BICUBIC)
    )
