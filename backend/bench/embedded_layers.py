"""Fit how the blocks of the embedded encoder are brought to where names are, and write the file.

`python -m backend.bench.embedded_layers` fits the projections of the weights that ship and writes
them into `assets/encoder`: no vector and no fingerprint changes by it. It reads training pictures
alone, mosaics and photographs that the transformer was trained on too, without their labels: what
anything is measured on is not among them. `patchlane reproduce embedded-encoder --train` does the
same for weights that are trained again.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from backend.bench._embedded_assets import write_constant
from backend.bench._embedded_data import PACK, usable_mosaics, usable_rows
from backend.bench._embedded_measures import read_pictures
from backend.methods.encoders._layer_projections import fit_projections, write_projections
from backend.methods.encoders.embedded import EmbeddedEncoder
from backend.settings import Settings, assets_folder

PHOTOS = 1500
"""Photographs beside the mosaics, drawn of 11,146."""

CHUNK = 32
Say = Callable[[str], None]


def fit_layers(encoder: EmbeddedEncoder, data: Path, folder: Path, say: Say) -> None:
    """Fit the projections of an encoder, write them to a folder and name them in its constants.

    Raises:
        NotFoundError: a data pack is not there.
    """
    count = len(usable_mosaics(data)) + PHOTOS

    def read() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        done = 0
        for pictures in _pictures(data):
            encoded, readings = encoder.read(pictures)
            for parts, reading in zip(encoded.parts, readings, strict=True):
                yield parts, reading.tokens
            done += len(pictures)
            say(f"blocks of training pictures: {done} of {count} read")

    maps = fit_projections(read())
    write_constant(folder, "layers", write_projections(folder, maps, pictures=count))


def _pictures(data: Path) -> Iterator[list[Image.Image]]:
    """All usable mosaics, then photographs drawn at random, some at a time."""
    mosaics = [path for path, _ in usable_mosaics(data)]
    for at in range(0, len(mosaics), CHUNK):
        yield [Image.open(path).convert("RGB") for path in mosaics[at : at + CHUNK]]
    rows = usable_rows(data)
    drawn = np.random.default_rng(0).permutation(len(rows))[:PHOTOS]
    files = [rows[int(row)]["file"] for row in drawn]
    for at in range(0, len(files), CHUNK):
        yield read_pictures(data, PACK, files[at : at + CHUNK])


def main() -> None:
    """Fit those that ship."""
    argparse.ArgumentParser(description="Fit the projections of the shipped weights.").parse_args()
    settings = Settings.from_environ()
    encoder = EmbeddedEncoder(
        EmbeddedEncoder.Settings(threads=settings.threads, cache=str(settings.cache))
    )
    fit_layers(
        encoder,
        settings.data,
        assets_folder() / "encoder",
        lambda note: print(note, file=sys.stderr),  # noqa: T201
    )


if __name__ == "__main__":
    main()
