"""From a label's map to boxes: the hot regions that hold one of its strongest points.

With s (R, C) the map, smoothed by a mean over 3 x 3 cells, mu and sd its mean and deviation:

1. hot cells have s >= mu + sd; cells that touch by a side are one region.
2. a region counts where its peak is at least min s + 0.8 (max s - min s): a positive point in the
   sense of READ (Qian et al. 2412.17741). There is one such region at least, unless s is flat.
3. its box is the smallest one around its cells, in 0..1 of the picture.

How far such boxes lie on the true ones: `patchlane bench evidence --part crops`. Hot from the mean
or half a deviation on, half of the range, and the backward plan in place of the cosine were tried
on the mosaics of `mosaic_open` and lay less well.
"""

from __future__ import annotations

import numpy as np
import skimage  # loads what it is asked for when it is asked for it

from backend.numerics.points import FLAT, Heat, smoothed

Box = tuple[float, float, float, float]

PEAK = 0.8


def boxes_of(heat: Heat, *, deviations: float = 1.0, peak: float = PEAK) -> list[Box]:
    """Boxes x, y, width, height in 0..1 of the picture, the one with the highest peak first.

    Args:
        heat: how well each cell fits the label, on any scale.
        deviations: above the mean from which a cell is hot.
        peak: where the highest cell of a region has to lie between the map's extremes, 0..1.
    """
    smooth = smoothed(heat)
    low, high = float(smooth.min(initial=np.inf)), float(smooth.max(initial=-np.inf))
    if not high - low > FLAT:
        return []
    hot = smooth >= smooth.mean() + deviations * smooth.std()
    regions: np.ndarray = np.asarray(skimage.measure.label(hot, connectivity=1))
    rows, cols = heat.shape
    found: list[tuple[float, Box]] = []
    for number in range(1, int(regions.max()) + 1):
        top = float(smooth[regions == number].max())
        if top < low + peak * (high - low):
            continue
        down, right = np.nonzero(regions == number)
        x, y = int(right.min()), int(down.min())
        wide, tall = int(right.max()) + 1 - x, int(down.max()) + 1 - y
        found.append((top, (x / cols, y / rows, wide / cols, tall / rows)))
    return [box for _, box in sorted(found, key=lambda one: -one[0])]
