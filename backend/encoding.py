"""From samples to vectors: in a stream while they are taken in, or for those that lack them.

Decoding and the forward pass overlap: the encoder runs on a thread of its own behind a short queue.
Where lanes are wanted, the same forward pass gives what they read of a sample (`LaneReading`),
which goes to the token cache.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from queue import Queue
from threading import Thread
from typing import Any

import numpy as np
from PIL import Image

from backend.board import Board
from backend.contracts import Encoder, LaneHost, lane_host, why_no_lanes
from backend.errors import BadInputError, PatchlaneError, SaveError
from backend.images import (
    FIRST_CROP,
    FIRST_SMALL_CROP,
    SMALLEST_CROP,
    SMALLEST_SMALL_CROP,
    decode,
    fixed_view,
)
from backend.pipeline import Pipeline
from backend.store.project import ProjectStore
from backend.store.token_cache import TokenCache
from backend.store.vectors import VectorStore
from backend.types import Encoded, Kind, LaneReading, Layout, Progress, Sample

BATCH, FIRST_BATCH = 32, 8
"""Samples that are encoded together; fewer at first, so that the encoder is not kept waiting."""

QUEUED_BATCHES = 2
PART_BATCH = 64
FIRST_PIECE = 4
PIECE_BYTES = 64_000_000
NUM_VIEWS = {Kind.IMAGE: 4, Kind.TEXT: 1}
"""In how many fixed ways a sample can be read for training, itself and large crops included."""

log = logging.getLogger("patchlane.encoding")


class StreamEncoder:
    """Takes decoded samples one by one and stores their vectors batch by batch.

    Vectors are a cache keyed by content, so those of a sample whose import is rolled back do no
    harm. Use as a context manager; leaving it waits for the last batch and raises what the encoder
    raised.

    Attributes:
        num_done: how many of the samples given so far have their vectors stored.
    """

    def __init__(
        self,
        encoder: Encoder,
        vectors: VectorStore,
        tokens: TokenCache | None = None,
        *,
        view: int | None = None,
    ):
        """Store vectors, and what lanes read.

        Args:
            encoder: makes both.
            vectors: where vectors are kept.
            tokens: where readings are kept, if lanes can live in the encoder; beside vectors this
                is a convenience, and where it cannot be written, vectors still are.
            view: store readings alone, of samples seen in this way.
        """
        self._encoder = encoder
        self._vectors = vectors
        self._tokens = tokens
        self._view = view
        self._queue: Queue[list[tuple[str, Any]] | None] = Queue(QUEUED_BATCHES)
        self._batch: list[tuple[str, Any]] = []
        self._seen: set[str] = set()
        self._error: Exception | None = None
        self._piece = FIRST_PIECE
        self._size = FIRST_BATCH
        self.num_done = 0
        self._thread = Thread(target=self._work, name="encode", daemon=True)

    def __enter__(self) -> StreamEncoder:
        self._thread.start()
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if self._batch:
            self._queue.put(self._batch)
        self._queue.put(None)
        self._thread.join()
        if self._error is not None and error is None:
            raise self._error

    def accept(self, content_hash: str, sample: Any) -> None:
        """Queue one decoded image or text; each content once."""
        if content_hash in self._seen:
            return
        self._seen.add(content_hash)
        self._batch.append((content_hash, sample))
        if len(self._batch) >= self._size:
            self._queue.put(self._batch)
            self._batch, self._size = [], min(BATCH, 2 * self._size)

    def _work(self) -> None:
        while (batch := self._queue.get()) is not None:
            if self._error is not None:
                continue  # keep emptying the queue, so that nobody waits for room in it
            try:
                host = None if self._tokens is None else lane_host(self._encoder)
                missing = set(self._missing(host, [content_hash for content_hash, _ in batch]))
                new = [item for item in batch if item[0] in missing]
                self.num_done += len(batch) - len(new)
                if host is None:
                    self._encode(new)
                else:
                    self._read(host, new)
            except Exception as error:
                self._error = error

    def _missing(self, host: LaneHost | None, hashes: list[str]) -> list[str]:
        if host is not None and self._tokens is not None and self._view is not None:
            return unread(self._vectors, self._tokens, self._encoder, host, hashes, self._view)
        return self._vectors.missing(hashes, self._encoder.fingerprint)

    def _encode(self, batch: list[tuple[str, Any]]) -> None:
        if batch:
            encoded = self._encoder.encode([sample for _, sample in batch])
            self._vectors.put(self._encoder.fingerprint, [h for h, _ in batch], encoded)
            self.num_done += len(batch)

    def _read(self, host: LaneHost, batch: list[tuple[str, Any]]) -> None:
        """As `_encode`, in pieces whose readings fit into memory (28 MB each of a large tower)."""
        while batch:
            piece, batch = batch[: self._piece], batch[self._piece :]
            hashes = [content_hash for content_hash, _ in piece]
            encoded, readings = host.read([sample for _, sample in piece])
            self._keep(host, hashes, encoded, readings)
            self.num_done += len(piece)
            largest = max(reading.tokens.nbytes for reading in readings)
            self._piece = min(BATCH, max(1, PIECE_BYTES // largest))

    def _keep(
        self, host: LaneHost, hashes: list[str], encoded: Encoded, readings: list[LaneReading]
    ) -> None:
        if self._view is None:
            self._vectors.put(self._encoder.fingerprint, hashes, encoded)
        elif self._view >= FIRST_SMALL_CROP:
            self._vectors.put(view_key(self._encoder, self._view), hashes, encoded)
        if self._tokens is None:
            return
        try:
            self._tokens.put(host.lane_key, hashes, readings, self._view or 0)
        except SaveError as error:
            if self._view is not None:
                raise
            log.warning("%s", error)
            self._tokens = None


def encode_once(encoder: Encoder, kind: Kind, *, for_lanes: bool) -> None:
    """Encode a sample that is thrown away, the way an import does, so that the engine is compiled.

    Args:
        encoder: of samples of the kind.
        kind: pictures or texts.
        for_lanes: whether an import keeps what lanes read; that is an engine of its own.
    """
    samples = [Image.new("RGB", (8, 8))] if kind == Kind.IMAGE else ["a"]
    host = lane_host(encoder) if for_lanes else None
    if host is None:
        encoder.encode(samples)
    else:
        host.read(samples)


def encode_missing(
    store: ProjectStore,
    encoder: Encoder,
    samples: Sequence[Sample],
    *,
    tokens: TokenCache | None = None,
    progress: Progress | None = None,
) -> int:
    """Encode the samples without vectors; unreadable media are logged, the rest goes on.

    Args:
        store: holds the media and the vectors.
        encoder: makes them.
        samples: those that may lack vectors.
        tokens: where lanes are wanted, what they read is kept here from the same forward pass.
        progress: called with (done, total, name).

    Returns:
        How many samples were handed to the encoder.
    """
    hashes = [sample.content_hash for sample in samples]
    missing = set(store.vectors.missing(hashes, encoder.fingerprint))
    todo = [sample for sample in samples if sample.content_hash in missing]
    stream = StreamEncoder(encoder, store.vectors, tokens)
    return _through(stream, todo, lambda one: content(store, encoder, one), progress)


def read_missing(
    store: ProjectStore,
    encoder: Encoder,
    samples: Sequence[Sample],
    tokens: TokenCache,
    *,
    view: int = 0,
    progress: Progress | None = None,
) -> int:
    """Read the samples without a reading: evicted, damaged, or never seen in this way.

    Args:
        store: holds the media.
        encoder: one that lanes can live in.
        samples: those that may lack a reading.
        tokens: where readings are kept.
        view: 0 the sample as it is; of a picture also one of `views_of`, of small crops vectors
            are kept as well.
        progress: called with (done, total, name).

    Returns:
        How many samples were handed to the encoder.

    Raises:
        BadInputError: lanes cannot live in the encoder, or a sample has no such view.
        SaveError: the token cache cannot be written.
    """
    host = lane_host(encoder)
    if host is None:
        raise BadInputError(why_no_lanes(encoder))
    most = NUM_VIEWS[encoder.kind]
    if view not in views_of(encoder.kind, most) + views_of(encoder.kind, most, is_small=True):
        raise BadInputError(f"a sample of kind {encoder.kind} has no view {view}")
    hashes = [one.content_hash for one in samples]
    missing = set(unread(store.vectors, tokens, encoder, host, hashes, view))
    todo = [one for one in samples if one.content_hash in missing]
    stream = StreamEncoder(encoder, store.vectors, tokens, view=view)
    return _through(stream, todo, lambda one: content(store, encoder, one, view), progress)


def views_of(kind: Kind, count: int, *, is_small: bool = False) -> tuple[int, ...]:
    """Numbers of the ways in which a sample is looked at for training, as it is first.

    Args:
        kind: a text is looked at in one way.
        count: how many are wanted; fewer where there are no more.
        is_small: small crops in place of the mirror image and large crops.
    """
    further = min(count, NUM_VIEWS[kind]) - 1
    first = FIRST_SMALL_CROP if is_small else 1
    return (0, *range(first, first + further))


def view_key(encoder: Encoder, view: int) -> str:
    """Under which the vectors of samples seen in a way are kept."""
    return f"{encoder.fingerprint}:view {view}" if view else encoder.fingerprint


def unread(
    vectors: VectorStore,
    tokens: TokenCache,
    encoder: Encoder,
    host: LaneHost,
    hashes: Sequence[str],
    view: int,
) -> list[str]:
    """The contents without a reading in a view, or of a small crop without vectors."""
    missing = set(tokens.missing(hashes, host.lane_key, view))
    if view >= FIRST_SMALL_CROP:
        missing |= set(vectors.missing(list(hashes), view_key(encoder, view)))
    return [one for one in dict.fromkeys(hashes) if one in missing]


def _through(
    stream: StreamEncoder,
    samples: Sequence[Sample],
    content: Callable[[Sample], Any],
    progress: Progress | None,
) -> int:
    """Send samples through a stream; a damaged medium is logged and left out."""
    if not samples:
        return 0
    done = 0
    with stream:
        for sample in samples:
            try:
                stream.accept(sample.content_hash, content(sample))
                done += 1
            except (PatchlaneError, OSError) as error:
                log.warning("%s cannot be read and gets no vectors: %s", sample.name, error)
            finally:
                if progress is not None:
                    progress(stream.num_done, len(samples), sample.name)
    if progress is not None:
        progress(len(samples), len(samples), "")
    return done


def content(store: ProjectStore, encoder: Encoder, sample: Sample, view: int = 0) -> Any:
    """What an encoder is given of a sample: its text, or its picture in one of the fixed views.

    Raises:
        BadInputError: the medium cannot be read.
    """
    if sample.kind == Kind.TEXT:
        return sample.text or ""
    least = SMALLEST_SMALL_CROP if view >= FIRST_SMALL_CROP else SMALLEST_CROP
    size = round(encoder.input_size / (least if view >= FIRST_CROP else 1))
    picture = decode(store.media.path(sample), at_least=size)
    return fixed_view(picture, sample.content_hash, view)


def filled(board: Board, pipeline: Pipeline, vectors: VectorStore) -> Board:
    """The board with vectors and zero-shot scores wherever it had none and they are to be had."""
    fingerprint = pipeline.encoder.fingerprint
    pooled, labels = board.pooled.copy(), board.label_vectors.copy()
    lacking = np.flatnonzero(~board.encoded)
    if len(lacking):
        hashes = [board.samples[row].content_hash for row in lacking]
        found = vectors.pooled(hashes, fingerprint)
        if found.shape[1]:
            pooled[lacking] = found
    unnamed = np.flatnonzero(~np.isfinite(labels).all(axis=1))
    # Without a sample to compare them with, nobody waits for the encoder to read names.
    if len(unnamed) and np.isfinite(pooled).all(axis=1).any():
        names = [board.labels[column].name for column in unnamed]
        labels[unnamed] = label_vectors(vectors, pipeline.encoder, names)
    board = replace(board, pooled=pooled, label_vectors=labels)
    return _with_zero_shot_scores(board, pipeline, vectors)


def label_vectors(
    vectors: VectorStore, encoder: Encoder, names: Sequence[str], *, stores: bool = True
) -> np.ndarray:
    """Vectors (L, D) of label names; cached, so that a project opens before its encoder loads.

    Without `stores` what is not in the cache yet does not come there.
    """
    keys = [f"label:{hashlib.sha256(name.encode()).hexdigest()}" for name in names]
    missing = set(vectors.missing(keys, encoder.fingerprint))
    new = {key: name for key, name in zip(keys, names, strict=True) if key in missing}
    if not new:
        return vectors.pooled(keys, encoder.fingerprint)
    found = encoder.encode_labels(list(new.values()))
    if stores and not vectors.is_read_only:
        no_parts = tuple(np.zeros((0, encoder.dim), np.float32) for _ in new)
        encoded = Encoded(found, no_parts, tuple(Layout(spans=()) for _ in new))
        vectors.put(encoder.fingerprint, list(new), encoded)
    row_of = {key: row for row, key in enumerate(new)}
    stored = vectors.pooled(keys, encoder.fingerprint)
    rows = [found[row_of[key]] if key in row_of else stored[at] for at, key in enumerate(keys)]
    return np.stack(rows)


def _with_zero_shot_scores(board: Board, pipeline: Pipeline, vectors: VectorStore) -> Board:
    whole, local = board.global_scores.copy(), board.local_scores.copy()
    missing = ~np.isfinite(local) & board.encoded[:, None]
    columns, rows = np.flatnonzero(missing.any(axis=0)), np.flatnonzero(missing.any(axis=1))
    if not len(rows):
        return board
    labels = board.label_vectors[columns]
    whole[np.ix_(rows, columns)] = pipeline.global_scores(board.pooled[rows], labels)
    rows_of: dict[str, list[int]] = {}
    for row in rows:
        rows_of.setdefault(board.samples[row].content_hash, []).append(int(row))
    for batch in vectors.iter_parts(list(rows_of), pipeline.encoder.fingerprint, PART_BATCH):
        if batch.parts:
            scores = pipeline.local_scores(batch.parts, labels)
            for digest, score in zip(batch.hashes, scores, strict=True):
                local[np.ix_(np.array(rows_of[digest]), columns)] = score
    return replace(board, global_scores=whole, local_scores=local)
