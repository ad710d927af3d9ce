"""The Guide page's widget."""

from __future__ import annotations

from ui.components.esm import EsmComponent


class GuideDesk(EsmComponent):
    """The guide of each label of the open project: read, written, pinned, refused, taken home."""

    module = "guide.js"
    css_class = "pl-guide-root"
