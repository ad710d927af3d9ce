"""Encoders side by side: unit vectors one after the other, so that cosines are averaged.

k unit vectors over sqrt(k) make one unit vector, and the cosine of two such is the mean of the k
cosines. MiniLM beside static words beat each alone, and TF-IDF, in every pilot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from backend.contracts import Encoder, LaneHost, lane_host, token_owners, why_no_lanes
from backend.errors import BadInputError
from backend.methods.encoders._frozen import no_layers
from backend.methods.encoders._words import encoder_fingerprint
from backend.types import Encoded, FrozenStack, LaneReading, ScoreScale

SCALES = {
    "sentence:minilm+words": ScoreScale(
        global_mean=0.098, global_std=0.1063, local_mean=0.1185, local_std=0.1325, temperature=0.05
    ),
}
"""Measured by `python -m backend.bench.text_scales`; other combinations derive theirs."""


class SideBySideEncoder:
    """Two or more encoders of one kind whose parts are in the same places."""

    @dataclass(frozen=True)
    class Settings:
        """Nothing to choose: the members bring their own settings."""

    def __init__(self, encoders: Sequence[Encoder]):
        if not encoders:
            raise BadInputError("no encoders to put side by side")
        kinds = {encoder.kind for encoder in encoders}
        if len(kinds) > 1:
            raise BadInputError(
                f"{' + '.join(encoder.id for encoder in encoders)} mixes encoders of images and "
                "of texts; choose one kind"
            )
        self.encoders = tuple(encoders)
        self.kind = kinds.pop()
        self.id = "+".join(encoder.id for encoder in encoders)
        self.dim = sum(encoder.dim for encoder in encoders)
        self.input_size = max(encoder.input_size for encoder in encoders)
        self.scale = SCALES.get(self.id) or _scale_of_means([one.scale for one in encoders])
        self.layer_refusal = no_layers(self.id, "encoders side by side have no blocks in common")
        self.fingerprint = encoder_fingerprint(
            "beside", {"members": [encoder.fingerprint for encoder in encoders]}
        )
        hosts = [lane_host(one) for one in encoders]
        self._host_row = next((row for row, host in enumerate(hosts) if host is not None), 0)
        self._host = hosts[self._host_row]
        self.lane_key = self._host.lane_key if self._host is not None else ""
        self.plain_dim = self._host.plain_dim if self._host is not None else 0
        self.lane_refusal = "" if self._host is not None else why_no_lanes(encoders[0])

    def encode(self, samples: Sequence[Any]) -> Encoded:
        """The members' vectors of each sample and of each part, joined.

        Raises:
            BadInputError: the members divide a sample into different parts.
        """
        return self._joined([encoder.encode(samples) for encoder in self.encoders])

    def read(self, samples: Sequence[Any]) -> tuple[Encoded, list[LaneReading]]:
        """`encode`, and the readings of the first member that lanes can live in.

        Raises:
            BadInputError: as `encode`, or lanes can live in no member.
        """
        own, readings = self._lane_host().read(samples)
        each = [
            own if row == self._host_row else encoder.encode(samples)
            for row, encoder in enumerate(self.encoders)
        ]
        return self._joined(each), readings

    def token_owners(self, sample: Any) -> Int[np.ndarray, " t"] | None:
        """As the member says that lanes live in."""
        return token_owners(self._lane_host(), sample)

    def frozen_stack(self) -> FrozenStack:
        """The blocks of the first member that lanes can live in.

        Raises:
            BadInputError: lanes can live in no member.
        """
        return self._lane_host().frozen_stack()

    def _lane_host(self) -> LaneHost:
        if self._host is None:
            raise BadInputError(self.lane_refusal)
        return self._host

    def _joined(self, each: Sequence[Encoded]) -> Encoded:
        for other in each[1:]:
            if other.layouts != each[0].layouts:
                raise BadInputError(
                    f"the encoders of {self.id} divide a sample into different parts and cannot "
                    "stand side by side; use one of them"
                )
        parts = zip(*(encoded.parts for encoded in each), strict=True)
        return Encoded(
            _join([encoded.pooled for encoded in each]),
            tuple(_join(rows) for rows in parts),
            each[0].layouts,
        )

    def encode_labels(self, names: Sequence[str]) -> Float[np.ndarray, "l d"]:
        return _join([encoder.encode_labels(names) for encoder in self.encoders])

    def encode_texts(self, texts: Sequence[str]) -> Float[np.ndarray, "n d"]:
        return _join([encoder.encode_texts(texts) for encoder in self.encoders])


def _join(rows: Sequence[Float[np.ndarray, "n _"]]) -> Float[np.ndarray, "n d"]:
    return (np.concatenate(rows, axis=1) / np.sqrt(len(rows))).astype(np.float32)


def _scale_of_means(scales: Sequence[ScoreScale]) -> ScoreScale:
    """The scale of a mean of scores: means are averaged, and so are the deviations.

    Averaged deviations are those of scores that rise and fall together; independent scores would
    have smaller ones, so this errs to the careful side.
    """
    mean = np.mean(
        [(s.global_mean, s.global_std, s.local_mean, s.local_std, s.temperature) for s in scales],
        axis=0,
    )
    return ScoreScale(*(float(value) for value in mean))
