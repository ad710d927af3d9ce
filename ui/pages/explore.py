"""Explore: all samples on a map and in a grid, found, filtered, selected and labelled in bulk."""

from __future__ import annotations

from ui.components.explore import ExploreDesk
from ui.context import Context


def build(_context: Context) -> None:
    """Lay the page out; called inside `gr.Blocks`. The widget asks the routes for its data."""
    ExploreDesk()
