"""The label maps of many samples as one NPZ of plain arrays, read without pickle.

    names    (N,)     names of the samples, as `sample` in annotations.jsonl
    labels   (L,)     names of the labels
    first    (N + 1,) the parts of sample n are the rows first[n] to first[n + 1] of what follows
    grid     (N, 2)   rows and columns of a picture's parts, row by row over all that is displayed;
                      0, 0 for a text
    spans    (S, 2)   where each part of a text is, in characters; no rows for pictures
    columns  (S, K)   indices into `labels` of the strongest labels of each part, -1 for none
    values   (S, K)   float16, how much of the label lies on the part; 0 where the column is -1.
                      The values of a label on a sample add up to 1, less what was not kept

S is the number of parts of all samples. Labels are those that a person accepted and those that the
model thinks likely: maps are machine-made, whatever was decided on the label.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from backend.types import Label, LabelMap

FILE = "label_maps.npz"


class LabelMapTable:
    """Takes map after map; `labels` are those of the project."""

    def __init__(self, labels: Sequence[Label]):
        self._place = {label.id: place for place, label in enumerate(labels)}
        self._labels = [label.name for label in labels]
        self._names: list[str] = []
        self._maps: list[LabelMap] = []

    def add(self, name: str, found: LabelMap) -> None:
        """One sample."""
        self._names.append(name)
        self._maps.append(found)

    def save(self, folder: Path) -> None:
        """Write `label_maps.npz` into a folder."""
        most = max((found.columns.shape[1] for found in self._maps), default=0)
        counts = [len(found.columns) for found in self._maps]
        columns = np.full((sum(counts), most), -1, np.int32)
        values = np.zeros((sum(counts), most), np.float16)
        first = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64)
        for at, found in zip(first, self._maps, strict=False):
            rows = slice(at, at + len(found.columns)), slice(found.columns.shape[1])
            # The last place is for columns of -1, and for labels that went meanwhile.
            places = np.array([*(self._place.get(label, -1) for label in found.labels), -1])
            columns[rows] = places[found.columns]
            values[rows] = np.where(columns[rows] >= 0, found.values, 0)
        spans = [span for found in self._maps for span in found.layout.spans or ()]
        with (folder / FILE).open("wb") as out:
            np.savez_compressed(
                out,
                names=np.array(self._names, np.str_),
                labels=np.array(self._labels, np.str_),
                first=first,
                grid=np.array([x.layout.grid or (0, 0) for x in self._maps], np.int32).reshape(
                    -1, 2
                ),
                spans=np.array(spans, np.int64).reshape(-1, 2),
                columns=columns,
                values=values,
            )
