"""Sentence encoders: the packaged MiniLM, or any sentence-transformers model by name or folder."""

from __future__ import annotations

from dataclasses import dataclass

from backend.methods.encoders._text_models import is_packaged, load_text_model
from backend.methods.encoders._windowed_texts import WindowedTexts
from backend.types import ScoreScale

SCALES = {
    "minilm": ScoreScale(
        global_mean=0.1305, global_std=0.1172, local_mean=0.1471, local_std=0.1229, temperature=0.03
    ),
}
"""Measured by `python -m backend.bench.text_scales`; other models of this kind take MiniLM's.

Names are said as they are: "a text about NAME" and three other prompts lowered the mAP of whole
texts on all three data sets there (nlupp 0.573 to 0.512, clinc150 0.682 to 0.603, banking77 0.614
to 0.574).
"""


class SentenceEncoder(WindowedTexts):
    """Texts and labels by a sentence-transformers model."""

    @dataclass(frozen=True)
    class Settings:
        """Which model, and how to run it.

        Attributes:
            model: "minilm" (packaged), a local folder, or a name that may be downloaded.
            batch_size: windows per run.
            is_offline: never download.
            cache: where compiled networks are kept, "" for nowhere; of the packaged model alone.
        """

        model: str = "minilm"
        engine: str = "auto"
        device: str = "auto"
        dtype: str = "auto"
        threads: int = 0
        batch_size: int = 64
        is_offline: bool = True
        cache: str = ""

    scale = SCALES["minilm"]

    def __init__(self, settings: Settings = Settings()):
        model = load_text_model(settings.model, is_offline=settings.is_offline)
        super().__init__(
            settings,
            model,
            encoder_id=f"sentence:{settings.model}",
            family="sentence",
            # A folder may hold the same weights in another network the next time.
            cache=settings.cache if is_packaged(settings.model) else "",
        )
