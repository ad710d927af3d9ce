"""Explore's view of one server: what was counted and placed, kept until it changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from fastapi import Request
from fastapi.responses import Response
from jaxtyping import Bool

from backend import api
from ui.census import COUNTED, Census, parse_conditions
from ui.context import Context
from ui.plane import Plane


class Desk:
    """For the routes of Explore; all desks of a server know what one of them worked out."""

    def __init__(self, context: Context):
        self.context = context

    def bench(self, request: Request) -> api.Workbench:
        """The project that a request means."""
        return self.context.of(request)

    def eyes(self, request: Request) -> str | None:
        """Whose verdicts may be shown: of who asks while people label blind, else None for all.

        Explore shows what counts; blind, the own words of who asks and nothing of the others.
        """
        return self.context.user(request) if self.bench(request).people.is_blind else None

    def census(self, bench: api.Workbench, eyes: str | None = None) -> Census:
        """All samples counted, as of the present state of the log; `eyes` as `eyes` gives it.

        The log does not move when samples come, go or are told another split: the revision does.
        """
        # In the place of the one before: a table of all pairs is large, and nobody asks for it.
        return self.context.memo.get(
            ("census", bench.path, eyes),
            (bench.offset, bench.revision),
            lambda: Census.take(bench.samples(), bench.labels(), bench.verdicts(who=eyes)),
        )

    def counted(self, bench: api.Workbench, eyes: str | None = None) -> dict[str, dict[str, int]]:
        """Kind -> filter -> samples, of the filters on what models and people say."""
        return self.context.memo.get(
            ("counted", bench.path, eyes),
            (bench.scoring, bench.offset, bench.revision),
            lambda: bench.counted(who=eyes),
        )

    def plane(self, bench: api.Workbench) -> Plane:
        """The map's points, shuffled once per version of the map."""
        points = bench.map()
        version = points.version & 0xFFFFFFFF  # as much of the fingerprint as the header holds
        return self.context.memo.get(
            ("plane", bench.path),
            (points.version, points.method),
            lambda: Plane.from_points(points.ids, points.xy, method=points.method, version=version),
        )

    def keep(
        self,
        census: Census,
        filters: Sequence[str],
        bench: api.Workbench,
        eyes: str | None = None,
    ) -> Bool[np.ndarray, " n"] | None:
        """Which rows of the census match; None without filters."""
        conditions = parse_conditions(filters)
        if not conditions:
            return None
        keep = census.keep([one for one in conditions if one.kind in COUNTED])
        others = [one for one in conditions if one.kind not in COUNTED]
        if others:
            # What is judged is counted over the samples that all other filters leave.
            asked = conditions if any(one.kind == api.JUDGED for one in others) else others
            found = bench.evaluator.matching(asked, bench.people.board_of(eyes))
            keep &= np.isin(census.ids, found)
        return keep


def lines(text: str) -> list[str]:
    """The filters of a request: one per line."""
    return [line for line in text.split("\n") if line]


def binary(
    request: Request, tag: str, make: Callable[[], tuple[bytes, dict[str, str]]]
) -> Response:
    """Bytes with an ETag; 304, and nothing made, where the browser has them already."""
    headers = {"ETag": f'"{tag}"', "Cache-Control": "private, no-cache"}
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    body, more = make()
    return Response(body, media_type="application/octet-stream", headers={**headers, **more})
