"""Answers in JSON that no browser keeps: what they say is true of this moment."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import orjson
from fastapi.responses import Response

NEVER_KEPT = {"Cache-Control": "no-store"}


def fresh(content: object, headers: Mapping[str, str] | None = None) -> Response:
    """Content as JSON; NaN and infinity, which JSON does not have, are null.

    Args:
        content: dicts (keys may be numbers), lists, dataclasses, NumPy arrays and what is in them.
        headers: in place of the one that forbids to keep it, a tag for instance.
    """
    options = orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY
    body = orjson.dumps(content, default=_listed, option=options)
    return Response(body, media_type="application/json", headers=dict(headers or NEVER_KEPT))


def _listed(value: object) -> object:
    """Arrays that are views with gaps, which orjson does not take as they are."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is not JSON")
