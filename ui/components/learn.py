"""The Learn page's widget."""

from __future__ import annotations

from ui.components.esm import EsmComponent


class LearnDesk(EsmComponent):
    """Packs and their lanes, versions, and the curve of the open project."""

    module = "learn.js"
    css_class = "pl-learn"
