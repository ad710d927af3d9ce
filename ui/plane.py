"""The map's points as the browser asks for them: a window of them, an image of all of them.

Points are kept in one random order. The first k points of a window are then a fair sample of it,
and a point that was shown never vanishes when a person zooms in.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from PIL import Image

MAGIC = b"PLP2"
"""First four bytes of `pack`; the browser refuses anything else."""

HEADER = struct.Struct("<4sIIII4fI")
"""Magic, points that match, points that follow, map version, 1 for UMAP (0 for PCA), bounds."""

SHOWN_AT_MOST = 50_000


@dataclass(frozen=True)
class Plane:
    """All points of one version of a project's map, in random order.

    Attributes:
        ids: (N,) sample ids.
        xy: (N, 2) coordinates.
        order: (N,) position of each point in the arrays the map came with.
    """

    ids: Int[np.ndarray, " n"]
    xy: Float[np.ndarray, "n 2"]
    order: Int[np.ndarray, " n"]
    method: str
    version: int

    @classmethod
    def from_points(
        cls,
        ids: Int[np.ndarray, " n"],
        xy: Float[np.ndarray, "n 2"],
        *,
        method: str,
        version: int,
    ) -> Plane:
        """Shuffle the points; the same points always come in the same order."""
        order = np.random.default_rng(0).permutation(len(ids))
        return cls(ids[order].astype("<u4"), xy[order].astype("<f4"), order, method, version)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Left, right, bottom, top, with a margin; never empty."""
        if not len(self.ids):
            return (-1.0, 1.0, -1.0, 1.0)
        low, high = self.xy.min(axis=0), self.xy.max(axis=0)
        margin = np.maximum(0.04 * (high - low), 1e-3)
        left, bottom = low - margin
        right, top = high + margin
        return (float(left), float(right), float(bottom), float(top))

    def window(
        self,
        box: tuple[float, float, float, float] | None,
        keep: Bool[np.ndarray, " n"] | None = None,
    ) -> Int[np.ndarray, " k"]:
        """Rows of the points inside `box` (left, right, bottom, top) that `keep` allows."""
        hit = np.ones(len(self.ids), bool) if keep is None else keep.copy()
        if box is not None:
            left, right, bottom, top = box
            x, y = self.xy[:, 0], self.xy[:, 1]
            hit &= (x >= left) & (x <= right) & (y >= bottom) & (y <= top)
        return np.flatnonzero(hit)

    def pack(
        self,
        colours: Float[np.ndarray, " n"],
        *,
        rows: Int[np.ndarray, " k"],
        limit: int = SHOWN_AT_MOST,
    ) -> bytes:
        """Header, then ids (uint32), x, y and colours (float32) of at most `limit` of `rows`.

        `colours` are in this plane's order.
        """
        shown = rows[: max(0, limit)]
        header = HEADER.pack(
            MAGIC,
            len(rows),
            len(shown),
            self.version,
            int(self.method == "umap"),
            *self.bounds,
            len(self.ids),
        )
        columns = (self.xy[shown, 0], self.xy[shown, 1], colours[shown].astype("<f4"))
        return b"".join([header, self.ids[shown].tobytes(), *(c.tobytes() for c in columns)])

    def density(self, size: int = 512) -> bytes:
        """A PNG of where everything is: grey, more opaque where more points are (log scale)."""
        left, right, bottom, top = self.bounds
        column = ((self.xy[:, 0] - left) / (right - left) * size).astype(int).clip(0, size - 1)
        row = ((top - self.xy[:, 1]) / (top - bottom) * size).astype(int).clip(0, size - 1)
        counts = np.bincount(row * size + column, minlength=size * size).reshape(size, size)
        alpha = np.log1p(counts) / max(float(np.log1p(counts.max(initial=0))), 1e-9)
        grey = np.full((size, size), 128, np.uint8)
        picture = np.dstack([grey, grey, grey, (200 * alpha).astype(np.uint8)])
        out = io.BytesIO()
        Image.fromarray(picture).save(out, "PNG", compress_level=1)
        return out.getvalue()
