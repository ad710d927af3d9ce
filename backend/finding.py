"""Find and map: nearest neighbours, search by text, picture or region, and the map of everything.

Holds the index and the coordinates of one open project; both are caches of the vectors and come
back when they are deleted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from threading import RLock

import numpy as np
from jaxtyping import Bool, Float, Int
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from backend import catalogue
from backend.board import Board
from backend.contracts import Encoder, Projector, State
from backend.errors import BadInputError, NotFoundError, SaveError
from backend.images import decode
from backend.numerics import rocchio
from backend.pipeline import Pipeline
from backend.store.media import write_whole
from backend.types import Hit, MapPoints, Sample

PARTS_SHOWN = 5
FEWEST_FOR_PROJECTION = 12
PLAIN = "pca"
"""The method that answers at once."""


@dataclass(frozen=True)
class Plane:
    """Fitted coordinates: the projector's state and the method that made it."""

    method: str
    state: State


class Finder:
    """Index and map over the encoded rows of a board."""

    def __init__(self, pipeline: Pipeline, cache: Path):
        self._pipeline = pipeline
        self._cache = cache
        self._index = pipeline.new_index()
        self._stored: set[int] = set()
        self._plane: Plane | None = None
        self._placed: tuple[np.ndarray, Plane | None, MapPoints] | None = None
        self._lock = RLock()

    def refresh(self, board: Board) -> None:
        """Make the index hold exactly the encoded rows of the board."""
        with self._lock:
            rows = np.flatnonzero(board.encoded)
            now = {int(i) for i in board.ids[rows]}
            gone = np.array(sorted(self._stored - now), np.int64)
            if len(gone):
                self._index.remove(gone)
            new = [int(row) for row in rows if int(board.ids[row]) not in self._stored]
            if new:
                self._index.add(board.ids[new], np.ascontiguousarray(board.pooled[new]))
            self._stored = now

    def nearest(
        self,
        board: Board,
        vector: Float[np.ndarray, " d"],
        k: int,
        *,
        leave_out: int | None = None,
        within: Int[np.ndarray, " m"] | None = None,
    ) -> list[Hit]:
        """The k most similar samples, of those of `within` if it is given, best first."""
        with self._lock:
            wanted = k + (leave_out is not None)
            if not self._stored or wanted < 1:
                return []
            ids, scores = self._index.search(vector[None].astype(np.float32), wanted, within=within)
        hits = [
            Hit(int(i), board.samples[board.row_of[int(i)]].name, float(score))
            for i, score in zip(ids[0], scores[0], strict=True)
            if int(i) in board.row_of and int(i) != leave_out
        ]
        return hits[:k]

    def like(
        self,
        board: Board,
        ids: Sequence[int],
        k: int,
        *,
        unlike: Sequence[int] = (),
        within: Int[np.ndarray, " m"] | None = None,
    ) -> list[Hit]:
        """What is like several samples and not like others; without any of these."""
        rows, others = _encoded_rows(board, ids), _encoded_rows(board, unlike)
        if not rows:
            return []
        vector = rocchio.towards(board.pooled[rows], board.pooled[others])
        given = {*ids, *unlike}
        hits = self.nearest(board, vector, k + len(rows) + len(others), within=within)
        return [hit for hit in hits if hit.sample not in given][:k]

    # --- map ---------------------------------------------------------------------------------

    def points(self, board: Board) -> MapPoints:
        """Coordinates of all encoded rows: the projector's if it has run, PCA until then."""
        rows = np.flatnonzero(board.encoded)
        if not len(rows):
            empty = np.zeros((0, 2), np.float32)
            return MapPoints(np.zeros(0, np.int64), empty, "none", 0)
        plane = self._fitted()
        with self._lock:
            vectors, old_plane, known = self._placed or (None, None, None)
            # a board keeps its vectors until samples come or go; verdicts and scores change often
            if known is not None and vectors is board.pooled and old_plane is plane:
                return known
        found = self._place(board, rows, plane)
        with self._lock:
            self._placed = (board.pooled, plane, found)
        return found

    def _place(self, board: Board, rows: Int[np.ndarray, " k"], plane: Plane | None) -> MapPoints:
        if plane is None:
            projector = self._pipeline.plain_projector()
            state = projector.fit(board.pooled[rows])
            xy, method = projector.place(state, board.pooled[rows]), PLAIN
        else:
            xy = self._pipeline.projector.place(plane.state, board.pooled[rows])
            method = plane.method
        version = _version_of(board.ids[rows], xy)
        return MapPoints(board.ids[rows], xy.astype(np.float32), method, version)

    def needs_projection(self, board: Board) -> bool:
        """Whether a projection would say more than PCA and has not been made yet."""
        rows = np.flatnonzero(board.encoded)
        says_more = self._method() != PLAIN
        return says_more and len(rows) >= FEWEST_FOR_PROJECTION and self._fitted() is None

    def project(self, board: Board, *, seed: int = 0) -> None:
        """Fit the recipe's projector on all encoded rows and keep its state as a cache.

        In a process of its own: UMAP compiles and computes for seconds without letting any other
        thread of its process run, and a page would wait for it.
        """
        rows = np.flatnonzero(board.encoded)
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            state = pool.submit(_fit, self._pipeline.projector, board.pooled[rows], seed).result()
        content = save({name: np.ascontiguousarray(a) for name, a in state.items()})
        with suppress(SaveError):  # only a cache, and the project may be one to look at
            write_whole(self._file(), content, project=self._cache.parent)
        with self._lock:
            self._plane = Plane(self._method(), state)

    def _fitted(self) -> Plane | None:
        with self._lock:
            file = self._file()
            if self._plane is None and file.is_file():
                try:
                    self._plane = Plane(self._method(), dict(load_file(file)))
                except (OSError, SafetensorError):  # cut off or damaged: it is fitted again
                    with suppress(OSError):
                        file.unlink()
            return self._plane

    def _method(self) -> str:
        """What people call the recipe's projector: `umap` of `projectors/umap_plane`."""
        key = catalogue.entry(self._pipeline.recipe.methods["projector"]).key
        return key.rpartition("/")[2].removesuffix("_plane")

    def _file(self) -> Path:
        name = f"{self._pipeline.encoder.fingerprint}-{self._pipeline.recipe.fingerprint}"
        return self._cache / "projections" / f"{name}.safetensors"


def _encoded_rows(board: Board, ids: Sequence[int]) -> list[int]:
    rows = [board.row_of[i] for i in ids if i in board.row_of]
    return [row for row in rows if board.encoded[row]]


def _fit(projector: Projector, vectors: np.ndarray, seed: int) -> State:
    return projector.fit(vectors, seed=seed)


def query_vector(
    encoder: Encoder,
    *,
    text: str | None,
    image: str | Path | bytes | None,
    region: Sequence[float] | None,
) -> Float[np.ndarray, " d"]:
    """The vector of a text, or of a picture or the region (x, y, w, h in 0..1) of one.

    Raises:
        BadInputError: an empty text, a file that is no picture, a region that is none.
    """
    if text is not None:
        if not text.strip():
            raise BadInputError("the search text is empty")
        return encoder.encode_texts([text])[0]
    picture = decode(Path(image) if isinstance(image, str) else image or b"")
    if region is not None:
        picture = picture.crop(pixel_box(region, picture.width, picture.height))
    return encoder.encode([picture]).pooled[0]


def nearest_brought(
    board: Board,
    sample: Sample,
    ids: Int[np.ndarray, " m"],
    vectors: Float[np.ndarray, "m d"],
    k: int,
    *,
    source: str,
    within: Int[np.ndarray, " n"] | None = None,
) -> list[Hit]:
    """The samples most like one by cosine of vectors that another model made, itself left out.

    Only those whose ids are in `within` are looked at; None means all.

    Raises:
        NotFoundError: the other model has no vector of the sample.
    """
    at = np.flatnonzero(ids == sample.id)
    if not len(at):
        raise NotFoundError(f"{source} brought no vector for {sample.name}")
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    similar = unit @ unit[at[0]]
    is_asked = (ids != sample.id) & (True if within is None else np.isin(ids, within))
    order = [i for i in np.argsort(-similar, kind="stable") if is_asked[i]][:k]
    return [
        Hit(int(ids[i]), board.samples[board.row_of[int(ids[i])]].name, float(similar[i]))
        for i in order
        if int(ids[i]) in board.row_of
    ]


def matching_parts(
    parts: Float[np.ndarray, "p d"], query: Float[np.ndarray, " d"]
) -> tuple[int, ...]:
    """The parts that match a query best: at most five, each close to the best one."""
    if not len(parts):
        return ()
    similarity = parts @ query
    best, middle = float(similarity.max()), float(np.median(similarity))
    near = np.flatnonzero(similarity >= best - 0.35 * (best - middle))
    order = near[np.argsort(-similarity[near], kind="stable")]
    return tuple(int(i) for i in order[:PARTS_SHOWN])


def inside(points: MapPoints, kind: str, x: Sequence[float], y: Sequence[float]) -> list[int]:
    """Ids of the points in a box (two corners) or lasso (a closed polygon), even-odd rule."""
    if not len(points.ids) or len(x) < 2 or len(x) != len(y):
        return []
    px, py = points.xy[:, 0].astype(np.float64), points.xy[:, 1].astype(np.float64)
    if kind == "box":
        keep = (px >= min(x)) & (px <= max(x)) & (py >= min(y)) & (py <= max(y))
    else:
        keep = _in_polygon(px, py, np.asarray(x, np.float64), np.asarray(y, np.float64))
    return [int(i) for i in points.ids[keep]]


def _in_polygon(
    px: np.ndarray, py: np.ndarray, x: np.ndarray, y: np.ndarray
) -> Bool[np.ndarray, " n"]:
    result = np.zeros(len(px), bool)
    for i in range(len(x)):
        j = i - 1
        crosses = (y[i] > py) != (y[j] > py)
        with np.errstate(divide="ignore", invalid="ignore"):
            at = (x[j] - x[i]) * (py - y[i]) / (y[j] - y[i]) + x[i]
        result ^= crosses & (px < at)
    return result


def _version_of(ids: np.ndarray, xy: np.ndarray) -> int:
    digest = hashlib.blake2b(ids.tobytes() + np.ascontiguousarray(xy).tobytes(), digest_size=6)
    return int.from_bytes(digest.digest(), "big")


def pixel_box(region: Sequence[float], width: int, height: int) -> tuple[int, int, int, int]:
    """x, y, w, h in 0..1 as a pixel box of at least one pixel inside the picture.

    Raises:
        BadInputError: it is no region, or nothing of the picture is in it.
    """
    if len(region) != 4 or not all(np.isfinite(region)):
        raise BadInputError("a region is four numbers: x, y, width and height in 0..1")
    left, top, w, h = map(float, region)
    if w <= 0 or h <= 0 or left >= 1 or top >= 1 or left + w <= 0 or top + h <= 0:
        raise BadInputError(f"nothing of the picture is in the region {left:g},{top:g},{w:g},{h:g}")
    x, y = int(max(left, 0.0) * width), int(max(top, 0.0) * height)
    right = min(width, max(x + 1, round((left + w) * width)))
    bottom = min(height, max(y + 1, round((top + h) * height)))
    return min(x, right - 1), min(y, bottom - 1), right, bottom
