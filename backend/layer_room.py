"""Where layer-wise maps get what the blocks of an encoder say of a sample.

A project keeps the parts of a sample, not what earlier blocks made of them: that is several times
as much, and is asked for of the few samples that somebody looks at. So the layers come from what
lanes read of the sample, where the encoder can tell them from it, or else the sample is read again;
the newest stay in memory.
"""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

import numpy as np
from jaxtyping import Float, Float16

from backend import encoding
from backend.contracts import lane_host, layer_host, layers_of_reading, why_no_layers
from backend.errors import BadInputError, PatchlaneError
from backend.pipeline import Pipeline
from backend.store.project import ProjectStore
from backend.types import Sample

KEPT_BYTES = 64_000_000
"""Of layers in memory: those of 57 pictures by the embedded encoder, of 3 by a large tower."""


class LayerRoom:
    """The layers' side of one open project; safe to use from several threads."""

    def __init__(self, store: ProjectStore, pipeline: Pipeline):
        self._store = store
        self._pipeline = pipeline
        self._kept: OrderedDict[str, np.ndarray] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    @property
    def refusal(self) -> str:
        """Why there are no layers in this project, in one sentence; "" if there are."""
        try:
            return why_no_layers(self._pipeline.encoder)
        except PatchlaneError as error:  # an older project asks its encoder, which may be gone
            return str(error)

    def beside(self, sample: Sample, parts: Float[np.ndarray, "p d"]) -> Float[np.ndarray, "p w"]:
        """The layers of a sample side by side in the width, the last of them its parts.

        Raises:
            BadInputError: the encoder gives no layers, or the sample's medium cannot be read.
        """
        key = sample.content_hash
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
        if found is None or len(found) != len(parts):
            found = self._keep(key, self._read(sample, parts))
        # Rounded where it was kept; what the project's scores rest on is the last layer.
        layers = found.astype(np.float32)
        layers[:, -1] = parts
        return layers.reshape(len(parts), -1)

    def _read(self, sample: Sample, parts: Float[np.ndarray, "p d"]) -> Float[np.ndarray, "p k d"]:
        encoder = self._pipeline.encoder
        host = layer_host(encoder)
        if host is None:
            raise BadInputError(self.refusal)
        lanes = lane_host(encoder)
        if lanes is not None:
            (reading,) = self._store.tokens.get(lanes.lane_key, [sample.content_hash])
            told = None if reading is None else layers_of_reading(host, parts, reading)
            if told is not None:
                return told
        (layers,) = host.layers([encoding.content(self._store, encoder, sample)])
        return layers

    def _keep(self, key: str, layers: Float[np.ndarray, "p k d"]) -> Float16[np.ndarray, "p k d"]:
        small = layers.astype(np.float16)
        with self._lock:
            old = self._kept.pop(key, None)
            self._bytes += small.nbytes - (0 if old is None else old.nbytes)
            self._kept[key] = small
            while self._bytes > KEPT_BYTES and len(self._kept) > 1:
                self._bytes -= self._kept.popitem(last=False)[1].nbytes
        return small
