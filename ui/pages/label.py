"""Label: look at one sample after the other, see why, decide."""

from __future__ import annotations

from ui.components.label import LabelDesk
from ui.context import Context


def build(_context: Context) -> None:
    """Lay the page out; called inside `gr.Blocks`. The widget asks the routes for its data."""
    LabelDesk()
