"""Texts by the text tower of an open_clip model: one vector per text and one per word.

For texts that belong to pictures (captions, tags, queries) in the space those pictures have; for
texts of their own the sentence encoder understands more. Long texts are read in windows, as there.
"""

from __future__ import annotations

from dataclasses import dataclass

from backend.methods.encoders._clip_texts import clip_text_model
from backend.methods.encoders._clip_weights import load_clip
from backend.methods.encoders._windowed_texts import WindowedTexts
from backend.types import Kind, ScoreScale


class ClipTextEncoder(WindowedTexts):
    """Texts, their words and labels by an open_clip model."""

    @dataclass(frozen=True)
    class Settings:
        """Which model, and how to run it.

        Attributes:
            model: a name that open_clip knows, "local-dir:FOLDER" or "hf-hub:OWNER/NAME".
            pretrained: a tag of the model, or a file of weights; empty with a folder or hub name.
            batch_size: windows per run.
            is_offline: never download.
        """

        model: str = "ViT-B-32"
        pretrained: str = ""
        engine: str = "auto"
        device: str = "auto"
        dtype: str = "auto"
        threads: int = 0
        batch_size: int = 64
        is_offline: bool = True

    # Not measured, since no such weights come with the packages; texts of one tower lie close
    # together (cosines of 0.6 to 0.9 between any two).
    scale = ScoreScale(
        global_mean=0.7, global_std=0.1, local_mean=0.7, local_std=0.1, temperature=0.03
    )

    def __init__(self, settings: Settings = Settings()):
        encoder_id = f"open_clip_text:{settings.model}/{settings.pretrained}".rstrip("/")
        loaded = load_clip(
            settings.model, settings.pretrained, is_offline=settings.is_offline, kind=Kind.TEXT
        )
        model = clip_text_model(loaded, encoder_id)
        super().__init__(settings, model, encoder_id=encoder_id, family="open_clip_text")
