"""The identity of a method: what it is and how it is set, never when or where it was made."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import Any


def fingerprint_of(key: str, settings: Any, *, weights: str = "") -> str:
    """Sixteen hex digits that change with key, settings or weights, and only then.

    Args:
        key: catalogue key of the method, e.g. `aligners/transport`.
        settings: the method's frozen `Settings`, a dataclass of plain JSON values.
        weights: hash of the weights, for methods that have any.
    """
    text = json.dumps(
        [key, asdict(settings), weights], sort_keys=True, ensure_ascii=False, allow_nan=False
    )
    return hashlib.sha256(text.encode()).hexdigest()[:16]
