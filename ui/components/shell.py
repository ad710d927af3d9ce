"""The bar at the top of every page."""

from __future__ import annotations

from ui.components.esm import EsmComponent


class ShellBar(EsmComponent):
    """Project, pages, search, saved state, version, jobs, undo, help, light and dark."""

    module = "shell.js"
    css_class = "pl-shell"
