"""What the two packs of words could add to the embedded encoder: captions, and other languages.

`patchlane bench foundation --part words`. Nothing here is trained into what ships, and nothing of
it ships; `assets/encoder/MODEL_CARD.md` says what came of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from backend.bench import captions, languages
from backend.bench._wordings import Trial
from backend.bench.embedded_encoder import kept_in
from backend.bench.reports import Row
from backend.methods.encoders.embedded import EmbeddedEncoder
from backend.settings import Settings


def rows(settings: Settings, say: Callable[[str], None], *, home: Path) -> Iterator[Row]:
    """Captions, then languages; vectors of pictures and texts are kept below `home`."""
    encoder = EmbeddedEncoder(EmbeddedEncoder.Settings(threads=settings.threads))
    folder = kept_in(home)
    trial = Trial.read(encoder, settings.data, folder, say)
    yield from captions.rows(encoder, settings.data, folder, trial, say)
    yield from languages.rows(encoder, settings.data, folder, trial, say)
