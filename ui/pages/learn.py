"""Learn: what the model knows of each pack, what teaching changed, and the way back."""

from __future__ import annotations

from ui.components.learn import LearnDesk
from ui.context import Context


def build(_context: Context) -> None:
    """Lay the page out; called inside `gr.Blocks`. The widget asks the routes for its data."""
    LearnDesk()
