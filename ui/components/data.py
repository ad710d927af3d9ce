"""The Data page's widget."""

from __future__ import annotations

from ui.components.esm import EsmComponent


class DataDesk(EsmComponent):
    """Projects, importing, labels and exports of the open project."""

    module = "data.js"
    css_class = "pl-data"
