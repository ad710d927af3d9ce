"""Label maps of samples, and what crops of a picture show by them.

The map is the one that the viewer shows, by the same alignment (`Pipeline.shown`) with what
verdicts taught of each label: the backward plan of each label that a sample carries. It is a
cache; nothing here is precious.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from backend import encoding
from backend.board import Board
from backend.errors import NotFoundError
from backend.images import view_frame
from backend.numerics import label_maps, map_shape
from backend.numerics.boxes import boxes_of
from backend.part_lessons import PartLessons
from backend.pipeline import Pipeline
from backend.store.project import ProjectStore
from backend.types import Features, LabelMap, Layout, MachineBox, Region

KEPT = 5
"""Labels that are kept of each part, as many as ReLabel keeps."""

BATCH = 64


def label_map(
    store: ProjectStore, pipeline: Pipeline, lessons: PartLessons, board: Board, row: int
) -> LabelMap:
    """The labels of a sample, accepted and likely ones, over its parts; kept below `cache/`.

    Args:
        store: holds parts and maps.
        pipeline: whose alignment is shown.
        lessons: what verdicts taught about where labels are.
        board: has the row, its verdicts and logits.
        row: of an encoded sample.

    Raises:
        NotFoundError: the sample is not encoded yet.
    """
    sample = board.samples[row]
    if not board.encoded[row]:
        raise NotFoundError(f"{sample.name} is not encoded yet; wait for its job or run `encode`")
    columns = np.flatnonzero(board.claimers(row))
    labels = [board.labels[column] for column in columns]
    parts, layout = store.vectors.parts(sample.content_hash, pipeline.encoder.fingerprint)
    vectors = lessons.vectors(store, pipeline, board, columns.tolist())
    accepted, own = board.rivals(row, columns.tolist())
    rivals = vectors[np.searchsorted(columns, accepted)]  # whoever is accepted claims
    told = [pipeline.fingerprint, KEPT, map_shape.YIELD, own.tolist()]
    told.append([[label.id, label.name] for label in labels])
    digest = hashlib.sha256(json.dumps(told).encode() + np.ascontiguousarray(vectors).tobytes())
    fingerprint = digest.hexdigest()[:16]
    known = store.label_maps.get(sample.content_hash, fingerprint)
    if known is not None:
        return known
    values = where(pipeline, parts, vectors, layout, rivals=rivals, own=own)
    kept = label_maps.strongest(values, KEPT)
    found = LabelMap(tuple(label.id for label in labels), *kept, layout)
    store.label_maps.put(sample.content_hash, fingerprint, found)
    return found


def map_where_encoded(
    store: ProjectStore, pipeline: Pipeline, lessons: PartLessons, board: Board, row: int
) -> LabelMap | None:
    """The label map of a row, None while it has no vectors."""
    if not board.encoded[row]:
        return None
    return label_map(store, pipeline, lessons, board, row)


def machine_boxes(
    store: ProjectStore,
    pipeline: Pipeline,
    lessons: PartLessons,
    board: Board,
    row: int,
    labels: Sequence[int],
) -> list[MachineBox]:
    """Where some labels seem to be in a picture; none without vectors or where nothing stands out.

    Args:
        store: holds the parts.
        pipeline: whose alignment is shown.
        lessons: what verdicts taught about where labels are.
        board: has the row.
        row: a sample.
        labels: ids; that they are there at all is taken as given.
    """
    sample = board.samples[row]
    columns = [board.column_of[label] for label in labels if label in board.column_of]
    if not board.encoded[row] or not columns:
        return []
    parts, layout = store.vectors.parts(sample.content_hash, pipeline.encoder.fingerprint)
    if layout.grid is None:
        return []
    vectors = lessons.vectors(store, pipeline, board, columns)
    accepted, own = board.rivals(row, columns)
    rivals = lessons.vectors(store, pipeline, board, accepted)
    alignment = pipeline.shown(parts, vectors, layout, rivals=rivals, own=own)
    found: list[MachineBox] = []
    for place, column in enumerate(columns):
        frames = boxes_of(alignment.similarity[0, :, place].reshape(layout.grid))
        if not frames:
            continue
        cover = label_maps.covered(np.array(frames, np.float32), layout.grid)
        shares = label_maps.shown(alignment.backward[0, :, [place]].reshape(-1, 1), cover)
        found += [
            MachineBox(board.labels[column].id, Region("box", frame), float(share))
            for frame, share in zip(frames, shares[:, 0], strict=True)
        ]
    return found


def view_labels(
    store: ProjectStore,
    pipeline: Pipeline,
    board: Board,
    rows: Sequence[int],
    columns: Sequence[int],
    *,
    view: int,
) -> Float[np.ndarray, "n l"]:
    """How much of each label's map a fixed view of each picture holds, 0..1, NaN where unknown.

    Each label for itself, whatever else the picture carries: it follows from parts and names
    alone, so that a replay finds the same.

    Args:
        store: holds the parts.
        pipeline: whose alignment is shown.
        board: has rows and columns.
        rows: encoded samples.
        columns: the labels.
        view: see `images.view_frame`.
    """
    out = np.full((len(rows), len(columns)), np.nan, np.float32)
    labels = board.label_vectors[list(columns)]
    numbers = _places(board, rows)
    for batch in store.vectors.iter_parts(list(numbers), pipeline.encoder.fingerprint, BATCH):
        for found in zip(batch.hashes, batch.parts, batch.layouts, strict=True):
            content_hash, parts, layout = found
            at = numbers[content_hash]
            sample = board.samples[rows[at[0]]]
            frame = view_frame((sample.width, sample.height), content_hash, view)
            if layout.grid is not None:
                cover = label_maps.covered(np.array([frame], np.float32), layout.grid)
                out[at] = label_maps.shown(where(pipeline, parts, labels, layout), cover)
    return out


def view_logits(
    store: ProjectStore,
    pipeline: Pipeline,
    board: Board,
    rows: Sequence[int],
    columns: Sequence[int],
    *,
    view: int,
) -> Float[np.ndarray, "n l"]:
    """Zero-shot logits of a fixed view of each sample, whose vectors are stored."""
    key = encoding.view_key(pipeline.encoder, view)
    labels = board.label_vectors[list(columns)]
    numbers = _places(board, rows)
    pooled = store.vectors.pooled([board.samples[row].content_hash for row in rows], key)
    local = np.zeros((len(rows), len(columns)), np.float32)
    for batch in store.vectors.iter_parts(list(numbers), key, BATCH):
        scores = pipeline.local_scores(batch.parts, labels)
        for content_hash, score in zip(batch.hashes, scores, strict=True):
            local[numbers[content_hash]] = score
    features = Features(pooled, pipeline.global_scores(pooled, labels), local)
    state = pipeline.learner.start(len(columns), pipeline.encoder.dim)
    return pipeline.learner.score(state, features)


def where(
    pipeline: Pipeline,
    parts: Float[np.ndarray, "p d"],
    labels: Float[np.ndarray, "l d"],
    layout: Layout,
    *,
    rivals: Float[np.ndarray, "r d"] | None = None,
    own: Int[np.ndarray, " l"] | None = None,
) -> Float[np.ndarray, "p l"]:
    """The share of each label's map that lies on each part; columns add up to 1.

    `rivals` and `own` are those of `Pipeline.shown`; without them each map is for itself.
    """
    if not len(labels):
        return np.zeros((len(parts), 0), np.float32)
    return pipeline.shown(parts, labels, layout, rivals=rivals, own=own).backward[0]


def _places(board: Board, rows: Sequence[int]) -> dict[str, list[int]]:
    """Which of some rows have a content."""
    found: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        found.setdefault(board.samples[row].content_hash, []).append(place)
    return found
