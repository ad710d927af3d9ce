"""Vectors of the pictures that an encoder is measured on, made once and kept on disk.

Sixteen thousand photographs take ten minutes on two quiet cores and three times that on busy ones,
so a stopped run goes on where it was. What is kept is named by the encoder's fingerprint and by the
files: other weights or other pictures are made anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from backend.bench._embedded_cache import fill, open_rows, stretch, trunk_engine
from backend.bench._embedded_measures import read_pictures
from backend.methods.encoders._packaged import EFFICIENTNET_LITE0
from backend.methods.encoders._trunk import STRIDE, WIDTH
from backend.methods.encoders.embedded import EmbeddedEncoder
from backend.settings import Settings
from backend.types import Encoded, Layout

TRUNK_SIZE = 160
BATCH = 64
Say = Callable[[str], None]


@dataclass(frozen=True)
class Vectors:
    """What heads on top may read of pictures.

    Attributes:
        pooled: the whole picture among texts.
        plain: axes of the trunk's mean cell; in a project heads read both, one beside the other.
    """

    pooled: Float[np.ndarray, "n d"]
    plain: Float[np.ndarray, "n f"]

    @property
    def both(self) -> Float[np.ndarray, "n df"]:
        """Pooled beside plain."""
        return np.concatenate([self.pooled, self.plain], axis=1)


def kept_vectors(
    encoder: EmbeddedEncoder, data: Path, pack: str, files: Sequence[str], folder: Path, say: Say
) -> Vectors:
    """Pooled and plain vectors of a pack's files, kept in `folder`."""
    facts = [encoder.fingerprint, encoder.lane_key, pack, list(files)]
    width = encoder.dim + encoder.plain_dim

    def read(start: int, stop: int) -> Float[np.ndarray, "b w"]:
        found, readings = encoder.read(read_pictures(data, pack, files[start:stop]))
        return np.concatenate([found.pooled, np.stack([one.plain for one in readings])], axis=1)

    rows = _kept(folder / f"{pack}-{_key(facts)}", (len(files), width), read, f"{pack} read", say)
    return Vectors(rows[:, : encoder.dim], rows[:, encoder.dim :])


def kept_encoded(
    encoder: EmbeddedEncoder, data: Path, pack: str, files: Sequence[str], folder: Path, say: Say
) -> Encoded:
    """Pooled vectors and parts of a pack's files, kept in `folder`."""
    grid = encoder.output.size // STRIDE
    shape = (len(files), 1 + grid * grid, encoder.dim)

    def read(start: int, stop: int) -> Float[np.ndarray, "b q d"]:
        found = encoder.encode(read_pictures(data, pack, files[start:stop]))
        return np.concatenate([found.pooled[:, None], np.stack(found.parts)], axis=1)

    facts = [encoder.fingerprint, "parts", pack, list(files)]
    rows = _kept(folder / f"{pack}-parts-{_key(facts)}", shape, read, f"{pack} encoded", say)
    return Encoded(rows[:, 0], tuple(rows[:, 1:]), (Layout(grid=(grid, grid)),) * len(files))


def kept_texts(
    encoder: EmbeddedEncoder, texts: Sequence[str], folder: Path, say: Say
) -> Float[np.ndarray, "n d"]:
    """Vectors of texts in the space of pictures, kept in `folder`."""

    def read(start: int, stop: int) -> Float[np.ndarray, "b d"]:
        return encoder.encode_texts(texts[start:stop])

    stem = folder / f"texts-{_key([encoder.fingerprint, list(texts)])}"
    return _kept(stem, (len(texts), encoder.dim), read, "texts read", say)


def kept_trunk(
    data: Path, pack: str, files: Sequence[str], folder: Path, say: Say
) -> Float[np.ndarray, "n c"]:
    """The packaged trunk's mean cell at 160 pixels, as the pilot read it, of a pack's files."""
    run = trunk_engine(TRUNK_SIZE, Settings.from_environ().threads)

    def read(start: int, stop: int) -> Float[np.ndarray, "b c"]:
        pictures = read_pictures(data, pack, files[start:stop])
        return run(np.stack([stretch(np.asarray(each), TRUNK_SIZE) for each in pictures]))[0].mean(
            1
        )

    key = _key([dict(EFFICIENTNET_LITE0.files), TRUNK_SIZE, pack, list(files)])
    name = f"{pack} by the trunk alone"
    return _kept(folder / f"{pack}-trunk-{key}", (len(files), WIDTH), read, name, say)


def _key(facts: list[object]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def _kept(
    stem: Path,
    shape: tuple[int, ...],
    read: Callable[[int, int], np.ndarray],
    note: str,
    say: Say,
) -> Float[np.ndarray, "n ..."]:
    stem.parent.mkdir(parents=True, exist_ok=True)
    rows = open_rows(stem.with_suffix(".npy"), shape, np.float32)

    def work(start: int, stop: int) -> None:
        rows[start:stop] = read(start, stop)

    def told(done: int, total: int, note: str) -> None:
        say(f"{note}: {done} of {total}")

    fill(stem.with_suffix(".json"), shape[0], work, told, note, batch=BATCH)
    return np.array(rows)
