"""Exact neighbours by cosine: FAISS's flat inner product over unit vectors.

Source: Johnson, Douze and Jegou, Billion-scale Similarity Search with GPUs, 2017 (FAISS).
"""

from __future__ import annotations

from dataclasses import dataclass

import faiss
import numpy as np
from jaxtyping import Float, Int

from backend.errors import BadInputError
from backend.fingerprints import fingerprint_of

TIED = 1e-6
"""Cosines that FAISS says are this near may be one number."""


@dataclass(frozen=True)
class _Among:
    """What a search looks at: how many vectors, and which; no `params` means all."""

    size: int
    params: faiss.SearchParameters | None


class ExactIndex:
    """Brute force, fast; without `dim` the first vectors added decide the width.

    Vectors are brought to unit length on the way in, so the inner product is the cosine whatever
    was added. Adding an id again replaces its vector. Of equal cosines the lower id comes first,
    in whatever order they were added: copies of a sample have one order in every search.
    """

    @dataclass(frozen=True)
    class Settings:
        """Nothing to set."""

    def __init__(self, dim: int | None = None, settings: Settings | None = None):
        self.settings = settings or self.Settings()
        self.fingerprint = fingerprint_of("indexes/exact", self.settings)
        self._index = None if dim is None else faiss.IndexIDMap2(faiss.IndexFlatIP(dim))
        self._ids: set[int] = set()

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, ids: Int[np.ndarray, " n"], vectors: Float[np.ndarray, "n _"]) -> None:
        if len(ids) == 0:
            return
        if len(np.unique(ids)) != len(ids):
            raise BadInputError("an id comes twice in one call; add each sample once")
        unit = self._unit(vectors)
        if self._index is None:
            self._index = faiss.IndexIDMap2(faiss.IndexFlatIP(vectors.shape[1]))
        self.remove(ids)
        self._index.add_with_ids(unit, ids.astype(np.int64))
        self._ids.update(ids.tolist())

    def remove(self, ids: Int[np.ndarray, " n"]) -> None:
        known = np.array([i for i in ids.tolist() if i in self._ids], np.int64)
        if self._index is not None and len(known):
            self._index.remove_ids(faiss.IDSelectorBatch(known))
            self._ids.difference_update(known.tolist())

    def search(
        self,
        queries: Float[np.ndarray, "q _"],
        k: int,
        *,
        within: Int[np.ndarray, " m"] | None = None,
    ) -> tuple[Int[np.ndarray, "q k"], Float[np.ndarray, "q k"]]:
        among = self._among(within)
        k = max(0, min(k, among.size))
        if self._index is None or k == 0 or len(queries) == 0:
            return np.zeros((len(queries), k), np.int64), np.zeros((len(queries), k), np.float32)
        unit = self._unit(queries)
        # One more than asked for: it says whether the last place is shared.
        cosine, ids = self._index.search(unit, min(k + 1, among.size), params=among.params)
        for row in np.flatnonzero((cosine[:, :-1] - cosine[:, 1:] <= TIED).any(axis=1)):
            ids[row, :k], cosine[row, :k] = self._ordered(unit[row], k, among)
        return ids[:, :k], np.clip(cosine[:, :k], -1, 1)  # rounding may say 1.0000001

    def _among(self, within: Int[np.ndarray, " m"] | None) -> _Among:
        if within is None:
            return _Among(len(self), None)
        known = np.array(sorted(self._ids.intersection(within.tolist())), np.int64)
        # Python's FAISS takes this word, and keeps the selector alive as long as the parameters.
        chosen = faiss.SearchParameters(sel=faiss.IDSelectorBatch(known))  # pyright: ignore[reportCallIssue]
        return _Among(len(known), chosen)

    def _ordered(
        self, query: Float[np.ndarray, " _"], k: int, among: _Among
    ) -> tuple[Int[np.ndarray, " k"], Float[np.ndarray, " k"]]:
        """The k best, equal ones by id, wherever among them the last place is."""
        assert self._index is not None  # noqa: S101  the caller has looked
        wanted = min(2 * k, among.size)
        while True:
            found, ids = (
                each[0] for each in self._index.search(query[None], wanted, params=among.params)
            )
            if wanted == among.size or found[-1] < found[k - 1] - TIED:
                break
            wanted = min(2 * wanted, among.size)
        # FAISS adds up in another order depending on where a vector lies, so equal ones may differ
        # in the last bit: measured again, all in one way.
        exact = self._index.reconstruct_batch(ids).astype(np.float64) @ query.astype(np.float64)
        cosine = exact.astype(np.float32)
        order = np.lexsort((ids, -cosine))[:k]
        return ids[order], cosine[order]

    def _unit(self, vectors: Float[np.ndarray, "n _"]) -> Float[np.ndarray, "n _"]:
        if self._index is not None and vectors.shape[1] != self._index.d:
            raise BadInputError(
                f"got vectors {vectors.shape[1]} wide for an index {self._index.d} wide; "
                "they are of different encoders"
            )
        if not np.isfinite(vectors).all():
            raise BadInputError("a vector holds NaN or infinity; encode its sample first")
        rows = np.ascontiguousarray(vectors, np.float32)
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
