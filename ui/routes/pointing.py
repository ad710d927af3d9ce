"""Point it out: points for a label or a phrase, and the mask that points make.

Both answer in a fraction of a second and store nothing; what is accepted goes through `commit`.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from ui.context import Context
from ui.replies import fresh

Ident = Annotated[int, Field(ge=1, le=2**53)]


class Place(BaseModel):
    """A point: right and down in 0..1 of the displayed picture."""

    model_config = ConfigDict(extra="forbid")

    x: float = Field(allow_inf_nan=False)
    y: float = Field(allow_inf_nan=False)
    here: bool


class MaskOf(BaseModel):
    """Points of one sample, for a label or a phrase."""

    model_config = ConfigDict(extra="forbid")

    sample: Ident
    label: Ident | None = None
    phrase: str | None = Field(default=None, max_length=1000)
    points: list[Place] = Field(max_length=1000)


def router(context: Context) -> APIRouter:
    """The routes below /pl/api that "Point it out" uses."""
    routes = APIRouter(prefix="/pl/api")

    @routes.get("/point")
    def point(
        request: Request,
        sample: Annotated[int, Query(ge=1)],
        label: Annotated[int | None, Query(ge=1)] = None,
        phrase: Annotated[str | None, Query(max_length=1000)] = None,
        anyway: bool = False,
    ) -> Response:
        """Points, or words of a text, and the map they are from; `why` where there are none."""
        found = context.of(request).pointer.point(
            sample, label=label, phrase=phrase, anyway=anyway, who=context.user(request)
        )
        rows, cols = found.layout.grid or (0, 0)
        return fresh(
            {
                "points": [
                    {"x": round(float(x), 5), "y": round(float(y), 5), "here": bool(here)}
                    for (x, y), here in zip(found.points.xy, found.points.is_positive, strict=True)
                ],
                "words": [{"part": part, "here": here} for part, here in found.words],
                "rows": rows,
                "cols": cols,
                "heat": [round(float(value), 4) for value in found.heat],
                "why": found.why,
            }
        )

    @routes.post("/mask")
    def mask(request: Request, body: MaskOf) -> Response:
        """The mask of points as polygons and a box, in 0..1 of the displayed picture."""
        found = context.of(request).pointer.mask(
            body.sample,
            [(place.x, place.y, place.here) for place in body.points],
            label=body.label,
            phrase=body.phrase,
        )
        return fresh(
            {
                "polygons": [
                    [[round(float(x), 5), round(float(y), 5)] for x, y in outline]
                    for outline in found.polygons
                ],
                "box": None if found.box is None else [round(value, 5) for value in found.box],
                "share": round(found.share, 4),
            }
        )

    return routes
