"""The Label page's widget."""

from __future__ import annotations

from ui.components.esm import EsmComponent


class LabelDesk(EsmComponent):
    """Queue, sample with its evidence, chips and neighbours of the open project."""

    module = "label.js"
    css_class = "pl-label"
