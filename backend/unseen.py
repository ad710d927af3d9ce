"""Score pictures or texts that are in no project, as an open project scores its own samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float

from backend import learning
from backend.board import Board
from backend.lane_room import LaneRoom
from backend.learning import Learned
from backend.pipeline import Pipeline
from backend.types import Sample


def score_unseen(
    pipeline: Pipeline, board: Board, learned: Learned, room: LaneRoom, samples: Sequence[Any]
) -> Float[np.ndarray, "n l"]:
    """The score of each label, with the heads and lanes of a version; nothing is stored.

    Raises:
        BadInputError: the encoder cannot take a sample.
    """
    host, teacher = pipeline.host, pipeline.teacher
    encoded, readings = host.read(samples) if host else (pipeline.encoder.encode(samples), [])
    made = tuple(
        Sample(number, f"unseen {number}", pipeline.encoder.kind, "")
        for number in range(1, len(samples) + 1)
    )
    lanes = [lane for lane in learned.lanes if teacher is not None and lane.share > 0]
    cls = {}
    if lanes and teacher is not None:
        arrays = [dict(lane.arrays) for lane in lanes]
        values = teacher.read(room.network(), arrays, readings)
        cls = {lane.digest: value for lane, value in zip(lanes, values, strict=True)}
    plain = [reading.plain for reading in readings]
    own = replace(
        board.resized(made, board.labels),
        pooled=encoded.pooled,
        global_scores=pipeline.global_scores(encoded.pooled, board.label_vectors),
        local_scores=pipeline.local_scores(encoded.parts, board.label_vectors),
        plain=np.stack(plain) if plain else np.zeros((len(samples), 0), np.float32),
        lane_cls=cls,
        verdicts={},
    )
    return learning.score(pipeline, own, learned)[0]
