"""Gradio's own parts in Patchlane's colours; the tokens themselves are in static/base.css."""

from __future__ import annotations

from gradio.themes import Base

# Names of fonts of the system only: a font by another name would be asked from another host.
FONT = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"]
MONO = ["ui-monospace", "DejaVu Sans Mono", "monospace"]

THEME = Base(primary_hue="indigo", neutral_hue="slate", font=FONT, font_mono=MONO).set(
    body_background_fill="#f4f5f7",
    body_background_fill_dark="#101318",
    block_shadow="none",
)
