"""Label maps on disk: one safetensors file per content below PROJECT/cache/label_maps/.

A file tells in its header which fingerprint its map is of: all that decides the map. A map of
another fingerprint counts as missing and is replaced, so that there is never more than one per
content. Nothing here is precious: the folder may be deleted at any time, a damaged file counts as
missing, and where nothing can be written the map is made again the next time.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from backend.errors import SaveError
from backend.store.media import write_whole
from backend.types import LabelMap, Layout

log = logging.getLogger("patchlane.label_maps")

FOLDER = "label_maps"
_ARRAYS = {"labels": "int64", "columns": "int16", "values": "float16", "layout": "int64"}


class LabelMapFiles:
    """The label maps of one project.

    Args:
        cache: the project's cache folder.
        is_read_only: take what is there and write nothing.
    """

    def __init__(self, cache: Path, *, is_read_only: bool = False):
        self.folder = cache / FOLDER
        self.is_read_only = is_read_only

    def get(self, content_hash: str, fingerprint: str) -> LabelMap | None:
        """The map of a content; None where there is none of this fingerprint."""
        try:
            with safe_open(self._file(content_hash), "numpy") as opened:
                if (opened.metadata() or {}).get("fingerprint") != fingerprint:
                    return None
                arrays = {name: opened.get_tensor(name) for name in _ARRAYS}
        except (OSError, SafetensorError):
            return None
        return _unpacked(arrays)

    def put(self, content_hash: str, fingerprint: str, found: LabelMap) -> None:
        """Store a map; what cannot be written is only said in the log."""
        if self.is_read_only:
            return
        content = save(_packed(found), metadata={"fingerprint": fingerprint})
        try:
            write_whole(self._file(content_hash), content, project=self.folder.parents[1])
        except SaveError as error:
            log.warning("label maps are not kept: %s", error)

    def remove(self, hashes: Sequence[str]) -> None:
        """Remove the maps of contents that are gone."""
        for content_hash in hashes:
            self._file(content_hash).unlink(missing_ok=True)

    def _file(self, content_hash: str) -> Path:
        return self.folder / content_hash[:2] / f"{content_hash}.safetensors"


def _packed(found: LabelMap) -> dict[str, np.ndarray]:
    """`layout` is (2,) rows and columns of a grid, or (P, 2) spans."""
    layout = found.layout.grid if found.layout.grid is not None else found.layout.spans or ()
    shape = (2,) if found.layout.grid is not None else (-1, 2)
    return {
        "labels": np.array(found.labels, np.int64),
        "columns": np.ascontiguousarray(found.columns),
        "values": np.ascontiguousarray(found.values),
        "layout": np.array(layout, np.int64).reshape(shape),
    }


def _unpacked(arrays: dict[str, np.ndarray]) -> LabelMap | None:
    """The map, or None where the arrays are those of none."""
    labels, columns, values, where = (arrays[name] for name in _ARRAYS)
    is_one = (
        all(arrays[name].dtype == wanted for name, wanted in _ARRAYS.items())
        and labels.ndim == 1
        and columns.ndim == 2
        and columns.shape == values.shape
        and (not columns.size or (columns.min() >= -1 and columns.max() < len(labels)))
        and (where.shape == (2,) or where.shape == (len(columns), 2))
    )
    if not is_one:
        return None
    grid = (int(where[0]), int(where[1])) if where.ndim == 1 else None
    spans = None if grid else tuple((int(start), int(end)) for start, end in where)
    if grid is not None and grid[0] * grid[1] != len(columns):
        return None
    return LabelMap(tuple(labels.tolist()), columns, values, Layout(grid, spans))
