"""Where captions of photographs put the names of things.

A bare name and its definition are read apart from how people write of what they see. So a label is
also drawn to the captions that hold its name: their mean, weighted by how close each is to the name
as it is said so far, which of several senses decides once more. The captions are no part of what
ships, their weighted means are, one for each noun that enough of them hold.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from jaxtyping import Float, Float16
from safetensors import safe_open
from safetensors.numpy import save_file

from backend.methods.encoders._dictionary import forms
from backend.methods.encoders._packaged import check_shipped, sha256_of
from backend.methods.encoders._words import unit_rows

FILE = "captioned-nouns.safetensors"
_NOUNS, _VECTORS = "nouns", "vectors"


class CaptionedNouns:
    """Label vectors drawn to captions that hold the label's name; read when first asked.

    Attributes:
        share: of the captions' vector, the rest is the label's own.
    """

    def __init__(self, folder: Path, constants: Mapping[str, Any]):
        self._path = folder / str(constants["file"])
        self.sha256, self.share = str(constants["sha256"]), float(constants["share"])
        self._lock = Lock()
        self._rows: dict[str, int] = {}
        self._vectors: Float16[np.ndarray, "m d"] | None = None

    def drawn(
        self, names: Sequence[str], labels: Float[np.ndarray, "l d"]
    ) -> Float[np.ndarray, "l d"]:
        """`draw` by what ships.

        Raises:
            NotFoundError, RefusedError: the file is missing or is not the one that was shipped.
        """
        vectors = self._loaded()
        return draw(names, labels, self._rows, vectors, self.share)

    def _loaded(self) -> Float16[np.ndarray, "m d"]:
        with self._lock:
            vectors = self._vectors
            if vectors is None:
                check_shipped(self._path, self.sha256)
                with safe_open(self._path, "numpy") as stored:
                    nouns = json.loads((stored.metadata() or {})[_NOUNS])
                    vectors = np.asarray(stored.get_tensor(_VECTORS))
                self._rows = {noun: row for row, noun in enumerate(nouns)}
                self._vectors = vectors
            return vectors


def draw(
    names: Sequence[str],
    labels: Float[np.ndarray, "l d"],
    rows: Mapping[str, int],
    vectors: Float[np.ndarray, "m d"] | Float16[np.ndarray, "m d"],
    share: float,
) -> Float[np.ndarray, "l d"]:
    """Labels drawn to where captions lie that hold them, unit rows.

    Args:
        names: of the labels; one that is no noun of the captions, nor a plural, stays as it is.
        labels: their unit vectors.
        rows: noun -> row of `vectors`.
        vectors: unit vector of each noun among captions.
        share: of that vector, the rest is the label's own.
    """
    found = labels.copy()
    for at, name in enumerate(names):
        held = (rows.get(form) for form in forms(" ".join(name.lower().split())))
        row = next((row for row in held if row is not None), None)
        if row is not None:
            found[at] = (1 - share) * labels[at] + share * vectors[row].astype(np.float32)
    return unit_rows(found)


def write_captioned_nouns(
    folder: Path, vectors: Mapping[str, Float[np.ndarray, " d"]], *, share: float
) -> dict[str, Any]:
    """Write one unit vector for each noun; returns the constants."""
    nouns = sorted(vectors)
    rows = unit_rows(np.stack([vectors[noun] for noun in nouns])).astype(np.float16)
    path = folder / FILE
    save_file({_VECTORS: rows}, path, metadata={_NOUNS: json.dumps(nouns)})
    path.chmod(0o644)  # safetensors keeps new files to their owner
    return {"file": FILE, "sha256": sha256_of(path), "share": share, "nouns": len(nouns)}
