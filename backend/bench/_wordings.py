"""What another way with words changes: labels said otherwise, or vectors of pictures turned.

A way is chosen among its kind on training mosaics with the untrained combination, as the encoder's
own share of definitions was: trained vectors fit the present names of these mosaics too well to
choose by. It is measured on pictures that nothing was trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from jaxtyping import Float

from backend.bench._embedded_data import MOSAICS, PACK, read_rows, usable_mosaics
from backend.bench._embedded_measures import (
    PhotoSet,
    Scene,
    fit_scale,
    names_in,
    scene_of,
)
from backend.bench._embedded_vectors import kept_encoded
from backend.bench.embedded_encoder import scene_rows, without_learning
from backend.methods.encoders.embedded import EmbeddedEncoder
from backend.types import Encoded

Say = Callable[[str], None]
Rows = Float[np.ndarray, "n d"]
COCO = "coco_mini"


def unchanged(vectors: Rows) -> Rows:
    """The vectors."""
    return vectors


@dataclass(frozen=True)
class Way:
    """One way with words.

    Attributes:
        family: ways among which one is chosen.
        name: what its share is.
        labels: names to unit vectors.
        whole, parts: what is done to unit vectors of pictures and of their parts.
    """

    family: str
    name: str
    labels: Callable[[Sequence[str]], Rows]
    whole: Callable[[Rows], Rows] = unchanged
    parts: Callable[[Rows], Rows] = unchanged


@dataclass(frozen=True)
class Pictures:
    """Encoded pictures with what they show."""

    rows: list[dict]
    encoded: Encoded

    @property
    def names(self) -> list[str]:
        """Every label of them."""
        return names_in(self.rows)

    def turned(self, way: Way) -> Encoded:
        """Their vectors by one way."""
        parts = np.stack(self.encoded.parts)
        turned = way.parts(parts.reshape(-1, parts.shape[2])).reshape(parts.shape)
        return replace(self.encoded, pooled=way.whole(self.encoded.pooled), parts=tuple(turned))


@dataclass(frozen=True)
class Trial:
    """Everything that ways are chosen and measured on.

    Attributes:
        untrained: training mosaics by the untrained combination; ways are chosen on them.
        mosaics: the same by the encoder that ships; the scale is fitted on them.
        scenes: measured, by pack.
        photos, pooled: measured, val photos of the labels kept out of training.
    """

    encoder: EmbeddedEncoder
    untrained: Pictures
    mosaics: Pictures
    scenes: dict[str, Pictures]
    photos: PhotoSet
    pooled: Rows

    @classmethod
    def read(cls, encoder: EmbeddedEncoder, data: Path, folder: Path, say: Say) -> Trial:
        """Encode what is not kept in `folder` yet."""
        by_file = {row["file"]: row for row in read_rows(data, MOSAICS)}
        files = [str(path.relative_to(data / MOSAICS)) for path, _ in usable_mosaics(data)]
        rows = [by_file[file] for file in files]

        def encoded(reader: EmbeddedEncoder, pack: str, files: Sequence[str]) -> Encoded:
            return kept_encoded(reader, data, pack, files, folder, say)

        with TemporaryDirectory(prefix="patchlane-untrained-") as place:
            plain = EmbeddedEncoder(without_learning(Path(place), encoder))
            untrained = Pictures(rows, encoded(plain, MOSAICS, files))
        scenes = {}
        for pack in (COCO, MOSAICS):
            own = scene_rows(data, pack)
            scenes[pack] = Pictures(own, encoded(encoder, pack, [each["file"] for each in own]))
        photos = PhotoSet.read(data)
        kept_out = set(photos.kept_out)
        unseen = replace(photos, val=[r for r in photos.val if r["labels"][0] in kept_out])
        val = encoded(encoder, PACK, [each["file"] for each in unseen.val])
        mosaics = Pictures(rows, encoded(encoder, MOSAICS, files))
        return cls(encoder, untrained, mosaics, scenes, unseen, val.pooled)

    def choosing(self, way: Way) -> float:
        """MAP on training mosaics with the untrained combination."""
        return self._scenes(way, self.untrained, {"": self.untrained})[""].figures()["mAP"]

    def figures(self, way: Way) -> dict[str, float]:
        """What is measured; the scale is fitted anew: turned vectors have other deviations."""
        scenes = self._scenes(way, self.mosaics, self.scenes)
        found = {
            f"{pack} {name}": value
            for pack, scene in scenes.items()
            for name, value in scene.figures().items()
            if name != "mAP transport"
        }
        truth = np.array([self.photos.kept_out.index(r["labels"][0]) for r in self.photos.val])
        scores = way.whole(self.pooled) @ way.labels(self.photos.kept_out).T
        found["top-1 unseen"] = float((scores.argmax(1) == truth).mean())
        return found

    def _scenes(
        self, way: Way, fitted_on: Pictures, measured: dict[str, Pictures]
    ) -> dict[str, Scene]:
        turned = fitted_on.turned(way)
        scale = fit_scale(
            turned.pooled,
            np.stack(turned.parts),
            way.labels(fitted_on.names),
            temperature=self.encoder.scale.temperature,
        )
        return {
            pack: scene_of(scale, each.turned(way), each.rows, each.names, way.labels(each.names))
            for pack, each in measured.items()
        }
