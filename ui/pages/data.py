"""Data: what goes in, what the labels are, and how it is taken home."""

from __future__ import annotations

from ui.components.data import DataDesk
from ui.context import Context


def build(_context: Context) -> None:
    """Lay the page out; called inside `gr.Blocks`. The widget asks the routes for its data."""
    DataDesk()
