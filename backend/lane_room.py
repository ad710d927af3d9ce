"""Where lanes get what they read: readings from the token cache, CLS and plain numbers of rows.

Everything kept here is a cache: readings can be made again from the media, CLS and plain numbers
from readings. Only the lanes themselves are precious; they lie in `PROJECT/lanes`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from threading import Lock
from typing import Any

import numpy as np

from backend import encoding, localising
from backend.board import Board
from backend.contracts import LaneHost, LaneTeacher, State, token_owners, why_no_lanes
from backend.errors import BadInputError
from backend.images import FIRST_SMALL_CROP
from backend.pipeline import Pipeline
from backend.store.project import ProjectStore
from backend.types import (
    Correction,
    Encoded,
    Kind,
    Lane,
    LaneLessons,
    LaneReading,
    Layout,
    Progress,
    Trust,
)

BATCH = 64


class LaneRoom:
    """The lanes' side of one open project; safe to use from several threads."""

    def __init__(self, store: ProjectStore, pipeline: Pipeline, *, device: str = "cpu"):
        self._store = store
        self._pipeline = pipeline
        self._device = device
        self._network: Any = None
        self._lock = Lock()

    @property
    def refusal(self) -> str:
        """Why there are no lanes in this project, in one sentence; "" if there are."""
        if self._pipeline.host is None:
            return why_no_lanes(self._pipeline.encoder)
        if self._pipeline.teacher is None:
            return f"the recipe {self._pipeline.recipe.name} learns by heads alone"
        return ""

    def network(self) -> Any:
        """The frozen blocks as the learner wants them; reads the encoder's weights once.

        Raises:
            BadInputError: there are no lanes with this encoder or recipe.
        """
        host, teacher = self._both()
        with self._lock:
            if self._network is None:
                self._network = teacher.network(host.frozen_stack(), device=self._device)
            return self._network

    def readings(
        self,
        board: Board,
        rows: Sequence[int],
        *,
        view: int = 0,
        progress: Progress | None = None,
    ) -> list[LaneReading | None]:
        """What lanes read of these rows; made again where it is gone, None where it cannot be.

        Args:
            board: has the rows.
            rows: which.
            view: 0 the sample as it is, of a picture also another fixed way to look at it.
            progress: called with (done, total, name).
        """
        host, _ = self._both()
        samples = [board.samples[row] for row in rows]
        hashes = [sample.content_hash for sample in samples]
        missing = set(
            encoding.unread(
                self._store.vectors,
                self._store.tokens,
                self._pipeline.encoder,
                host,
                hashes,
                view,
            )
        )
        if missing:
            lacking = [sample for sample in samples if sample.content_hash in missing]
            encoding.read_missing(
                self._store,
                self._pipeline.encoder,
                lacking,
                self._store.tokens,
                view=view,
                progress=progress,
            )
        return self._store.tokens.get(host.lane_key, hashes, view)

    def filled(
        self,
        board: Board,
        lanes: Iterable[Lane],
        *,
        rows: Sequence[int] | None = None,
        is_reading: bool = True,
        progress: Progress | None = None,
    ) -> Board:
        """The board with the CLS of these lanes, and of no others, in these rows (default: all).

        Args:
            board: has the rows.
            lanes: those in use.
            rows: which rows are needed.
            is_reading: False takes what is stored or can be had from cached readings only.
            progress: called with (done, total, note).
        """
        kept = {lane.digest: lane for lane in lanes}
        cls = {digest: board.lane_cls[digest] for digest in kept if digest in board.lane_cls}
        if self._pipeline.teacher is None:  # nobody reads plain numbers there either
            return replace(board, lane_cls=cls)
        board = replace(board, lane_cls=cls, plain=self._plain(board))
        if not kept:
            return board
        asked = np.arange(len(board.samples)) if rows is None else np.asarray(rows, np.int64)
        asked = asked[board.encoded[asked]]
        width = next(iter(kept.values())).arrays["selectors"].shape[-1]
        found: dict[str, np.ndarray] = {}
        for digest in kept:
            known = cls.get(digest)
            if known is None:
                known = np.full((len(board.samples), width), np.nan, np.float32)
            lacking = asked[~np.isfinite(known[asked, 0])]
            # Copied only where something is added: it is large, and corrections wait for it.
            found[digest] = known.copy() if len(lacking) else known
            if len(lacking):
                hashes = [board.samples[row].content_hash for row in lacking]
                stored = self._store.vectors.pooled(hashes, _key(digest))
                if stored.shape[1] == width:
                    found[digest][lacking] = stored
        self._compute(board, kept, found, asked, is_reading=is_reading, progress=progress)
        return replace(board, lane_cls=found)

    def _compute(
        self,
        board: Board,
        lanes: Mapping[str, Lane],
        found: dict[str, np.ndarray],
        asked: np.ndarray,
        *,
        is_reading: bool,
        progress: Progress | None,
    ) -> None:
        """Fill what is still missing in `found`, in place, and store it."""
        missing = {
            digest: asked[~np.isfinite(found[digest][asked, 0])]
            for digest in lanes
            if not np.isfinite(found[digest][asked, 0]).all()
        }
        if not missing:
            return
        host, teacher = self._both()
        rows = np.unique(np.concatenate(list(missing.values())))
        for at in range(0, len(rows), BATCH):
            some = rows[at : at + BATCH].tolist()
            if is_reading:
                readings = self.readings(board, some)
            else:
                hashes = [board.samples[row].content_hash for row in some]
                readings = self._store.tokens.get(host.lane_key, hashes)
            have = [(row, one) for row, one in zip(some, readings, strict=True) if one is not None]
            if have:
                digests = list(missing)
                arrays = [dict(lanes[digest].arrays) for digest in digests]
                values = teacher.read(self.network(), arrays, [one for _, one in have])
                at_rows = [row for row, _ in have]
                for digest, value in zip(digests, values, strict=True):
                    found[digest][at_rows] = value
                    self._keep(_key(digest), board, at_rows, value)
            if progress is not None:
                progress(min(at + BATCH, len(rows)), len(rows), "reading samples with lanes")

    def lessons(
        self,
        board: Board,
        labels: Sequence[int],
        verdicts: Mapping[tuple[int, int], Correction],
        base: np.ndarray,
        *,
        trust: Trust | None = None,
        progress: Progress | None = None,
    ) -> tuple[LaneLessons, LaneLessons]:
        """Verdicts on some labels with readings: what is learned from, and what is held back.

        What is learned from is there once for each fixed view that the learner wants. A small crop
        is taught with what the label's map says that it shows, and starts from its own zero-shot
        logits.

        Args:
            board: rows and columns.
            labels: ids, the columns of the lessons.
            verdicts: the folded log.
            base: (N, L) zero-shot logits of the whole board for these labels.
            trust: whom to trust how far, as in `Board.lessons`.
            progress: of readings that have to be made again.
        """
        _, teacher = self._both()
        views = encoding.views_of(
            self._pipeline.encoder.kind, teacher.views, is_small=teacher.has_crop_labels
        )
        of_rows = partial(
            self._lessons, board, labels, verdicts, base=base, trust=trust, progress=progress
        )
        seen = [of_rows(board.trainable, view=view) for view in views]
        held = of_rows(board.held_back)
        if len(seen) == 1:
            return seen[0], held
        taught = LaneLessons(
            readings=[reading for one in seen for reading in one.readings],
            base=np.concatenate([one.base for one in seen]),
            targets=np.concatenate([one.targets for one in seen]),
            known=np.concatenate([one.known for one in seen]),
            weights=None
            if all(one.weights is None for one in seen)
            else np.concatenate(
                [np.ones_like(o.targets) if o.weights is None else o.weights for o in seen]
            ),
        )
        return taught, held

    def _lessons(
        self,
        board: Board,
        labels: Sequence[int],
        verdicts: Mapping[tuple[int, int], Correction],
        rows: np.ndarray,
        base: np.ndarray,
        *,
        view: int = 0,
        trust: Trust | None = None,
        progress: Progress | None = None,
    ) -> LaneLessons:
        """Those of some rows, seen in one way."""
        columns = {label: column for column, label in enumerate(labels)}
        known = board.lessons(verdicts, columns, rows, trust=trust)
        used = np.unique(known.rows)
        readings = self.readings(board, used.tolist(), view=view, progress=progress)
        place = {int(row): i for i, row in enumerate(used)}
        targets = np.zeros((len(used), len(labels)), np.float32)
        is_known = np.zeros((len(used), len(labels)), bool)
        at = np.array([place[int(row)] for row in known.rows], np.int64)
        targets[at, known.columns] = known.targets
        is_known[at, known.columns] = True
        weights = None
        if known.weights is not None:
            weights = np.ones_like(targets)
            weights[at, known.columns] = known.weights
        have = [i for i, one in enumerate(readings) if one is not None]
        used, targets, is_known = used[have], targets[have], is_known[have]
        weights = None if weights is None else weights[have]
        start = base[used]
        if view >= FIRST_SMALL_CROP and len(used):
            at_columns = [board.column_of[label] for label in labels]
            shares = localising.view_labels(
                self._store, self._pipeline, board, used.tolist(), at_columns, view=view
            )
            is_known &= ~np.isnan(shares)
            targets *= np.nan_to_num(shares)
            start = localising.view_logits(
                self._store, self._pipeline, board, used.tolist(), at_columns, view=view
            )
        there = [one for one in readings if one is not None]
        return LaneLessons(there, start, targets, is_known, weights)

    def train(
        self,
        taught: LaneLessons,
        held: LaneLessons,
        *,
        start: Lane | None,
        steps: int,
        seed: int,
        threads: int,
        on_epoch: Callable[[int, int, float], bool] = lambda *_: True,
    ) -> tuple[State, int]:
        """Arrays of a new lane, and the steps that made them."""
        _, teacher = self._both()
        return teacher.teach(
            self.network(),
            taught,
            held if len(held) else None,
            start=None if start is None else dict(start.arrays),
            steps=steps,
            seed=seed,
            threads=threads,
            on_epoch=on_epoch,
        )

    def look(self, board: Board, lane: Lane, row: int, num_parts: int) -> np.ndarray | None:
        """Where a lane looks on a row, over its parts; sums to 1, None without a reading.

        What goes to class and other special tokens belongs to no part and is left out.
        """
        reading = self.readings(board, [row])[0]
        if reading is None or not num_parts:
            return None
        host, teacher = self._both()
        flow, _ = teacher.look(self.network(), dict(lane.arrays), reading)
        sample = board.samples[row]
        owners = token_owners(host, sample.text or "") if sample.kind == Kind.TEXT else None
        if owners is None:
            found = flow[len(flow) - num_parts :]
        elif len(owners) != len(flow):
            return None
        else:
            at = np.flatnonzero((owners >= 0) & (owners < num_parts))
            found = np.bincount(owners[at], flow[at], minlength=num_parts)
        if len(found) != num_parts:
            return None
        return (found / max(float(found.sum()), 1e-12)).astype(np.float32)

    def _plain(self, board: Board) -> np.ndarray:
        """The plain numbers of all rows that have been read."""
        host, _ = self._both()
        if not host.plain_dim:
            return np.zeros((len(board.samples), 0), np.float32)
        lacking = np.flatnonzero(~np.isfinite(board.plain[:, 0]) & board.encoded)
        if not len(lacking):
            return board.plain
        plain = board.plain.copy()
        hashes = [board.samples[row].content_hash for row in lacking]
        key = f"plain:{host.lane_key}"
        stored = self._store.vectors.pooled(hashes, key)
        if stored.shape[1] == plain.shape[1]:
            plain[lacking] = stored
        still = [int(row) for row in lacking if not np.isfinite(plain[row, 0])]
        read = self._store.tokens.plain(
            host.lane_key, [board.samples[row].content_hash for row in still]
        )
        if still and read.shape[1] == plain.shape[1]:
            plain[still] = read
            have = np.isfinite(read[:, 0])
            self._keep(
                key, board, [row for row, ok in zip(still, have, strict=True) if ok], read[have]
            )
        return plain

    def _keep(self, key: str, board: Board, rows: Sequence[int], values: np.ndarray) -> None:
        if self._store.is_read_only or not len(rows):
            return
        no_parts = (np.zeros((0, values.shape[1]), np.float32),) * len(rows)
        encoded = Encoded(np.asarray(values, np.float32), no_parts, (Layout(spans=()),) * len(rows))
        self._store.vectors.put(key, [board.samples[row].content_hash for row in rows], encoded)

    def _both(self) -> tuple[LaneHost, LaneTeacher]:
        host, teacher = self._pipeline.host, self._pipeline.teacher
        if host is None or teacher is None:
            raise BadInputError(self.refusal)
        return host, teacher


def _key(digest: str) -> str:
    """Under which a lane's CLS lies among the vectors."""
    return f"lane:{digest}"
