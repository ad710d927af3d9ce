"""Find where captions put the names of things, and write it into the embedded encoder.

`python -m backend.bench.embedded_captions` writes the nouns that ship into `assets/encoder`, and
the scale of the scores anew; `python -m backend.shipped` follows, since labels and so the
fingerprint change. `patchlane reproduce embedded-encoder --train` does the same for weights that
are trained again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from backend.bench._caption_data import (
    among_captions,
    captions_by_noun,
    read_captions,
    without_names,
)
from backend.bench._embedded_assets import write_constant, write_scale
from backend.bench._embedded_data import PACK, kept_out_labels, read_rows
from backend.bench._embedded_measures import measure_scale
from backend.methods.encoders._captioned_nouns import write_captioned_nouns
from backend.methods.encoders.embedded import EmbeddedEncoder
from backend.settings import Settings, assets_folder

SHARE = 0.35
"""Chosen by `patchlane bench foundation --part words`, on training mosaics."""


def fit_captions(folder: Path, data: Path) -> None:
    """Where the nouns of captions lie among them, but for the names that measure unseen labels.

    Args:
        folder: the encoder, dictionary included.
        data: folder of the data packs.

    Raises:
        NotFoundError: a data pack is not there.
    """
    write_constant(folder, "captions", None)
    encoder = EmbeddedEncoder(EmbeddedEncoder.Settings(folder=str(folder)))
    texts = read_captions(data)
    kept_out = kept_out_labels(read_rows(data, PACK))
    holders = without_names(captions_by_noun(texts), kept_out)
    vectors = among_captions(
        encoder.encode_labels(list(holders)), list(holders.values()), encoder.encode_texts(texts)
    )
    told = write_captioned_nouns(folder, dict(zip(holders, vectors, strict=True)), share=SHARE)
    write_constant(folder, "captions", {**told, "captions": len(texts)})


def main() -> None:
    """Write those that ship."""
    argparse.ArgumentParser(description="Write where captions put the nouns.").parse_args()
    settings, folder = Settings.from_environ(), assets_folder() / "encoder"
    fit_captions(folder, settings.data)
    encoder = EmbeddedEncoder.Settings(folder=str(folder), threads=settings.threads)
    write_scale(folder, measure_scale(encoder, settings.data))


if __name__ == "__main__":
    main()
