"""From samples to vectors: in a stream while they are taken in, or for those that lack them.

Decoding and the forward pass overlap: the encoder runs on a thread of its own behind a short queue.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from queue import Queue
from threading import Thread
from typing import Any

import numpy as np

from backend.board import Board
from backend.contracts import Encoder
from backend.errors import BadInputError
from backend.images import decode
from backend.pipeline import Pipeline
from backend.store.project import ProjectStore
from backend.store.vectors import VectorStore
from backend.types import Encoded, Kind, Layout, Progress, Sample

BATCH = 32
QUEUED_BATCHES = 2
PART_BATCH = 64


class StreamEncoder:
    """Takes decoded samples one by one and stores their vectors batch by batch.

    Vectors are a cache keyed by content, so those of a sample whose import is rolled back do no
    harm. Use as a context manager; leaving it waits for the last batch and raises what the encoder
    raised.

    Attributes:
        num_done: how many of the samples given so far have their vectors stored.
    """

    def __init__(self, encoder: Encoder, vectors: VectorStore):
        self._encoder = encoder
        self._vectors = vectors
        self._queue: Queue[list[tuple[str, Any]] | None] = Queue(QUEUED_BATCHES)
        self._batch: list[tuple[str, Any]] = []
        self._seen: set[str] = set()
        self._error: Exception | None = None
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
        if len(self._batch) >= BATCH:
            self._queue.put(self._batch)
            self._batch = []

    def _work(self) -> None:
        while (batch := self._queue.get()) is not None:
            if self._error is not None:
                continue  # keep emptying the queue, so that nobody waits for room in it
            hashes = [content_hash for content_hash, _ in batch]
            missing = set(self._vectors.missing(hashes, self._encoder.fingerprint))
            batch = [item for item in batch if item[0] in missing]
            self.num_done += len(hashes) - len(batch)
            if not batch:
                continue
            try:
                encoded = self._encoder.encode([sample for _, sample in batch])
                self._vectors.put(self._encoder.fingerprint, [h for h, _ in batch], encoded)
                self.num_done += len(batch)
            except Exception as error:
                self._error = error


def encode_missing(
    store: ProjectStore,
    encoder: Encoder,
    samples: Sequence[Sample],
    *,
    progress: Progress | None = None,
) -> int:
    """Encode the samples without vectors; unreadable media are left out, the rest goes on.

    Returns:
        How many samples were handed to the encoder.
    """
    hashes = [sample.content_hash for sample in samples]
    missing = set(store.vectors.missing(hashes, encoder.fingerprint))
    todo = [sample for sample in samples if sample.content_hash in missing]
    if not todo:
        return 0
    done = 0
    with StreamEncoder(encoder, store.vectors) as stream:
        for sample in todo:
            try:
                stream.accept(sample.content_hash, _content(store, encoder, sample))
                done += 1
            except (BadInputError, OSError):
                continue  # a damaged medium is shown as such where it is opened
            finally:
                if progress is not None:
                    progress(stream.num_done, len(todo), sample.name)
    if progress is not None:
        progress(len(todo), len(todo), "")
    return done


def _content(store: ProjectStore, encoder: Encoder, sample: Sample) -> Any:
    if sample.kind == Kind.TEXT:
        return sample.text or ""
    return decode(store.media.path(sample), at_least=encoder.input_size)


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


def label_vectors(vectors: VectorStore, encoder: Encoder, names: Sequence[str]) -> np.ndarray:
    """Vectors (L, D) of label names; cached, so that a project opens before its encoder loads."""
    keys = [f"label:{hashlib.sha256(name.encode()).hexdigest()}" for name in names]
    missing = set(vectors.missing(keys, encoder.fingerprint))
    new = {key: name for key, name in zip(keys, names, strict=True) if key in missing}
    if not new:
        return vectors.pooled(keys, encoder.fingerprint)
    found = encoder.encode_labels(list(new.values()))
    if not vectors.is_read_only:
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
