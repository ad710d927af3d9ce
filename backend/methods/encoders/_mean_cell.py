"""A trunk's mean cell as numbers for linear heads: centred, turned, half whitened, length 1.

A mean cell is 1,280 numbers above 0 with a large common part, of which heads would learn little
more than from its first principal axes; these also keep a head's solve and a project's memory
small. Axes are scaled by 1 / (singular value + that of the 31st axis), which whitens the first few
only. Chosen on `coco_mini` and `mosaic_open` val, half labelled, heads on [pooled, plain]: mAP
0.523 and 0.746 with all 1,280 numbers, 0.524 and 0.754 with these 256, 0.511 and 0.725 with the
pooled vector alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from safetensors.numpy import load_file, save_file

from backend.methods.encoders._packaged import check_shipped, sha256_of
from backend.methods.encoders._words import unit_rows

FILE = "mean-cell.safetensors"
AXES = 256
_WHITENED = 30


class MeanCellProjection:
    """Mean cells (N, C) to plain numbers (N, F)."""

    def __init__(self, folder: Path, constants: dict[str, Any]):
        self._path = folder / str(constants["file"])
        self.sha256 = str(constants["sha256"])
        self.dim = int(constants["axes"])
        self._arrays: dict[str, np.ndarray] | None = None

    def __call__(self, cells: Float[np.ndarray, "n c"]) -> Float[np.ndarray, "n f"]:
        """Raises NotFoundError or RefusedError if the file is missing or not the pinned one."""
        if self._arrays is None:
            check_shipped(self._path, self.sha256)
            self._arrays = {
                name: array.astype(np.float32) for name, array in load_file(self._path).items()
            }
        centred = unit_rows(cells) - self._arrays["mean"]
        # No matrix product: for these few rows BLAS wakes its threads, which then wait in a spin
        # for the cores that the network runs on (8 ms CPU a picture on 2 busy cores, here 0.1).
        return unit_rows(np.vecdot(centred[:, None], self._arrays["axes"][None]))


def fit_mean_cells(cells: Float[np.ndarray, "n c"], folder: Path) -> dict[str, Any]:
    """Fit the axes on the mean cells of many photographs and write them; returns the constants."""
    unit = unit_rows(cells)
    mean = unit.mean(axis=0)
    _, sizes, axes = np.linalg.svd(unit - mean, full_matrices=False)
    scaled = axes[:AXES] / (sizes[:AXES] + sizes[_WHITENED])[:, None]
    scaled /= np.linalg.norm(scaled, axis=1).max()
    path = folder / FILE
    save_file({"mean": mean.astype(np.float32), "axes": scaled.astype(np.float16)}, path)
    path.chmod(0o644)  # safetensors keeps new files to their owner
    return {"file": FILE, "sha256": sha256_of(path), "axes": len(scaled), "photos": len(cells)}
