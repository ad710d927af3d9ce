"""What is known of the encoders that come as packages, before anything of them is loaded.

A project needs an encoder's width, scale and fingerprint when it is made, and importing PyTorch to
ask for them takes seconds that a person who makes a project would wait. `assets/encoders.json`
holds them; a test compares it with the encoders themselves, and after a change of one
`python -m backend.shipped` writes it anew.
"""

from __future__ import annotations

import json

from backend.methods.encoders import _packaged
from backend.pipeline import EncoderFacts, load_encoder
from backend.recipes import OFFLINE_ENCODERS
from backend.settings import Settings, assets_folder

FACTS = "encoders.json"
WEIGHTS = {
    "embedded": (_packaged.EFFICIENTNET_LITE0, _packaged.MINILM, _packaged.CLASS_NAMES),
    "sentence:minilm": (_packaged.MINILM,),
    "words": (_packaged.WORDLLAMA,),
}
"""The packages that the members of the shipped encoders read: weights, and names of classes."""


def shipped_facts(encoder_id: str, settings: Settings) -> EncoderFacts | None:
    """The facts of a shipped encoder whose weights are in place; None of any other encoder.

    Raises:
        NotFoundError: a package or file of weights is missing.
        RefusedError: a file of weights is not the pinned one.
    """
    path = assets_folder() / FACTS
    if settings.dtype not in ("auto", "float32") or not path.is_file():
        return None  # the dtype is part of the fingerprint
    known = json.loads(path.read_text(encoding="utf-8")).get(encoder_id)
    if known is None:
        return None
    for member in encoder_id.split("+"):
        for package in WEIGHTS[member]:
            package.locate_folder()
    return EncoderFacts.from_json(known)


def measured_facts() -> dict[str, object]:
    """The facts of all shipped encoders, asked of the encoders themselves."""
    settings = Settings(dtype="float32")
    return {
        encoder_id: EncoderFacts.of(load_encoder(encoder_id, settings)).as_json()
        for encoder_id in OFFLINE_ENCODERS
    }


if __name__ == "__main__":
    text = json.dumps(measured_facts(), indent=1) + "\n"
    (assets_folder() / FACTS).write_text(text, encoding="utf-8")
