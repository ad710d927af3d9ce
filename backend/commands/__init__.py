"""What each verb of the command line does: arguments in, one JSON-ready result out.

`__main__` parses (`usage.py` says what there is) and prints. Everything heavy comes in through
`backend.api` when a command runs.
"""

from __future__ import annotations

from backend.commands.deciding import agreement, certain, correct, drawer, learn, next_
from backend.commands.judging import audit, evaluate, guide
from backend.commands.learned import packs, versions
from backend.commands.looking import explain, methods, search, suggest
from backend.commands.slicing import slices
from backend.commands.taking_in import (
    compact,
    encode,
    export,
    import_,
    labels,
    new,
    projects,
    remove,
    undo,
)

__all__ = [
    "agreement",
    "audit",
    "certain",
    "compact",
    "correct",
    "drawer",
    "encode",
    "evaluate",
    "explain",
    "export",
    "guide",
    "import_",
    "labels",
    "learn",
    "methods",
    "new",
    "next_",
    "packs",
    "projects",
    "remove",
    "search",
    "slices",
    "suggest",
    "undo",
    "versions",
]
