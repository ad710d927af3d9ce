"""Projects of short texts that are about known things, made once a run; each test gets a copy."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from backend import api, pipeline
from backend.settings import Settings
from backend.types import Kind

Text = tuple[str, str, set[str]]
"""Name, text, and what it is about."""

# The encoder is compiled once a run: what takes seconds here is nothing that is tested.
loaded = functools.cache(pipeline.load_encoder)


def told(
    number: int, about: set[str], words: Mapping[str, Sequence[str]], draw: np.random.Generator
) -> Text:
    """A text of one phrase for each thing that it is about."""
    phrases = ", ".join(str(draw.choice(words[label])) for label in sorted(about))
    return f"t{number}", f"{number}: {phrases}", about


def made_project(
    rows: Sequence[Text],
    folder: Path,
    settings: Settings,
    *,
    labels: Sequence[str],
    encoder: str,
    packs: Mapping[str, Sequence[str]] | None = None,
) -> api.Workbench:
    """A new project of these texts, encoded; nothing is decided yet.

    Args:
        rows: the texts.
        folder: where a file of them is written.
        settings: of the home.
        labels: of the pack main.
        encoder: its id.
        packs: labels of further packs, by pack.
    """
    file = folder / "texts.jsonl"
    file.write_text("\n".join(json.dumps({"sample": name, "text": text}) for name, text, _ in rows))
    bench = api.create_project(
        "made", labels=labels, kind=Kind.TEXT, encoder=encoder, settings=settings
    )
    for pack, names in (packs or {}).items():
        bench.add_labels(names, pack=pack)
    bench.add(file)
    return bench
