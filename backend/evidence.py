"""Which part of a sample carries which label, with what a person needs to judge it.

What the page draws, what `explain` writes and what is checked or taken home is this one
explanation; it reads the vectors of the sample and changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from backend.board import Board
from backend.contracts import reads_layers
from backend.errors import NotFoundError
from backend.lane_room import LaneRoom
from backend.layer_room import LayerRoom
from backend.learning import Learned
from backend.numerics.leftover import unclaimed
from backend.numerics.transport import spread
from backend.part_lessons import PartLessons
from backend.pipeline import Pipeline
from backend.store.project import ProjectStore
from backend.types import Explanation, Label


def explanation(
    store: ProjectStore,
    pipeline: Pipeline,
    board: Board,
    learned: Learned,
    row: int,
    *,
    label: Label | None = None,
    room: LaneRoom | None = None,
    lessons: PartLessons | None = None,
    seen: Board | None = None,
    aligner: str | None = None,
    layers: LayerRoom | None = None,
) -> Explanation:
    """Why one row of the board has its labels.

    A label that is accepted, likely or asked about is looked for with what verdicts taught of it.
    In a picture its map is shaped as `numerics/map_shape.py` says: it yields to the other labels
    that were accepted, whether they are asked about or not. Likeness and what a part is are told of
    the parts as they are.

    Args:
        store: where the vectors of its parts are.
        pipeline: encoder and the recipe's aligner.
        board: rows, columns and scores.
        learned: the version that the board's scores are of.
        row: the sample.
        label: only this label; None for all, which also says what no label claims.
        room: where lanes look, None leaves them out.
        lessons: what verdicts taught about where labels are; None: the labels' own vectors.
        seen: the same board with the verdicts that who asks may see; None: with all.
        aligner: another one than the recipe's, by name.
        layers: where an aligner that reads them gets them; None: it is told of the parts alone.

    Raises:
        NotFoundError: the sample has no vectors yet, the project no labels, or no aligner has that
            name.
        BadInputError: the aligner reads layers and the encoder gives none.
    """
    chosen = pipeline.other_aligner(aligner)
    seen = board if seen is None else seen
    sample = board.samples[row]
    if not board.encoded[row]:
        raise NotFoundError(f"{sample.name} is not encoded yet; wait for its job or run `encode`")
    columns = list(range(len(board.labels))) if label is None else [board.column_of[label.id]]
    if not columns:
        raise NotFoundError("this project has no labels yet; add one to see where it is")
    parts, layout = store.vectors.parts(sample.content_hash, pipeline.encoder.fingerprint)
    if layers is not None and reads_layers(chosen):
        parts = layers.beside(sample, parts)
    claiming = np.flatnonzero(seen.claimers(row)).tolist() if label is None else []
    accepted, own = seen.rivals(row, columns)
    vectors, rivals = board.label_vectors[columns], board.label_vectors[accepted]
    if lessons is not None:
        taught = columns if label is not None else claiming
        at = [columns.index(column) for column in taught]
        vectors[at] = lessons.vectors(store, pipeline, board, taught)
        rivals = lessons.vectors(store, pipeline, board, accepted)
    alignment = pipeline.shown(parts, vectors, layout, rivals=rivals, own=own, aligner=chosen)
    temperature = getattr(getattr(chosen, "settings", None), "temperature", None)
    left = None
    if label is None:
        heat = temperature or pipeline.scale.temperature
        left = _left_over(alignment.similarity[:, :, claiming], heat)
    return Explanation(
        sample=sample.id,
        name=sample.name,
        labels=tuple(board.labels[column].name for column in columns),
        forward=alignment.forward[0],
        backward=alignment.backward[0],
        plan=alignment.plan[0],
        similarity=alignment.similarity[0],
        scores=np.nan_to_num(board.logits[row, columns]),
        spread=spread(alignment.backward)[0],
        layout=layout,
        version=learned.version,
        lanes={} if room is None else _looks(room, board, learned, row, columns, len(parts)),
        temperature=temperature,
        unclaimed=left,
        claimers=tuple(board.labels[column].name for column in claiming),
    )


def _left_over(
    similarity: Float[np.ndarray, "1 p l"], temperature: float
) -> Float[np.ndarray, " p"]:
    """How much of each part of one sample none of the labels that claim any claims."""
    num_parts = similarity.shape[1]
    mass = np.full((1, num_parts), 1 / num_parts, np.float32)
    return unclaimed(similarity, mass, temperature)[0]


def _looks(
    room: LaneRoom,
    board: Board,
    learned: Learned,
    row: int,
    columns: Sequence[int],
    num_parts: int,
) -> dict[str, Float[np.ndarray, " p"]]:
    """Where the lanes of some labels look on a sample, by pack."""
    asked = {board.labels[column].id: board.labels[column].pack for column in columns}
    looks: dict[str, np.ndarray] = {}
    for lane in learned.lanes:
        packs = {asked[label] for label in lane.labels if label in asked}
        if lane.share and packs:
            found = room.look(board, lane, row, num_parts)
            if found is not None:
                looks |= dict.fromkeys(packs, found)
    return looks
