"""From the cells of a block of the parts transformer to where names of labels are.

The transformer brings its last tokens there and nothing else of it, so each block has a ridge
projection of its own: the linear map that brings its cells nearest to the parts, fitted on training
pictures without labels. `python -m backend.bench.embedded_layers` fits those that ship.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float16
from safetensors.numpy import load_file, save_file

from backend.methods.encoders._packaged import check_shipped, sha256_of
from backend.methods.encoders._words import unit_rows

FILE = "layer-projections.safetensors"
RIDGE = 1.0


class LayerProjections:
    """Tokens of the blocks to layers beside the parts."""

    def __init__(self, folder: Path, constants: dict[str, Any]):
        self._path = folder / str(constants["file"])
        self.sha256 = str(constants["sha256"])
        self.num_blocks = int(constants["blocks"])
        self._maps: Float[np.ndarray, "b w d"] | None = None

    def __call__(
        self, parts: Float[np.ndarray, "p d"], tokens: Float16[np.ndarray, "b t w"]
    ) -> Float[np.ndarray, "p k d"]:
        """Cells of each block, unit rows, and behind them the parts as they are.

        Args:
            parts: of the picture.
            tokens: what the attention of each block gets; the parts' are the last of them.

        Raises:
            NotFoundError, RefusedError: the file is missing or not the pinned one.
        """
        found = np.empty((len(parts), self.num_blocks + 1, parts.shape[1]), np.float32)
        cells = tokens[:, tokens.shape[1] - len(parts) :].astype(np.float32)
        for at, (block, by) in enumerate(zip(cells, self._loaded(), strict=True)):
            found[:, at] = unit_rows(block @ by)
        found[:, -1] = parts
        return found

    def _loaded(self) -> Float[np.ndarray, "b w d"]:
        if self._maps is None:
            check_shipped(self._path, self.sha256)
            self._maps = load_file(self._path)["maps"].astype(np.float32)
        return self._maps


def fit_projections(
    pictures: Iterable[tuple[Float[np.ndarray, "p d"], Float16[np.ndarray, "b t w"]]],
) -> Float[np.ndarray, "b w d"]:
    """Per block the ridge map from its cells to the parts, of pictures that come one by one.

    Args:
        pictures: parts and tokens of each.
    """
    gram: Any = 0.0
    both: Any = 0.0
    for parts, tokens in pictures:
        cells = tokens[:, tokens.shape[1] - len(parts) :].astype(np.float32)
        turned = cells.transpose(0, 2, 1)
        gram = gram + (turned @ cells).astype(np.float64)
        both = both + (turned @ parts.astype(np.float32)).astype(np.float64)
    return np.linalg.solve(gram + RIDGE * np.eye(gram.shape[-1]), both).astype(np.float32)


def write_projections(
    folder: Path, maps: Float[np.ndarray, "b w d"], *, pictures: int
) -> dict[str, Any]:
    """Write them in half precision; returns the constants that name them."""
    path = folder / FILE
    save_file({"maps": maps.astype(np.float16)}, path)
    path.chmod(0o644)  # safetensors keeps new files to their owner
    return {"file": FILE, "sha256": sha256_of(path), "blocks": len(maps), "pictures": pictures}
