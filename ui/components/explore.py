"""The Explore page's widget."""

from __future__ import annotations

from ui.components.esm import EsmComponent


class ExploreDesk(EsmComponent):
    """Map, grid, facets, search and selection of the open project."""

    module = "explore.js"
    css_class = "pl-explore-root"
