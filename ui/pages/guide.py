"""Guide: what each label means, shown by examples, near misses and what changed."""

from __future__ import annotations

from ui.components.guide import GuideDesk
from ui.context import Context


def build(_context: Context) -> None:
    """Lay the page out; called inside `gr.Blocks`. The widget asks the routes for its data."""
    GuideDesk()
