"""The map and the order of the grid: points, density, what is inside a shape, facets.

Points and orders travel as binary arrays with an ETag. Which samples are inside a drawn shape is
decided here, from its geometry: the browser never says.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from hashlib import blake2b
from typing import Annotated, Literal

import numpy as np
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from jaxtyping import Bool, Float, Int
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from backend import api
from ui.census import Census, ranked
from ui.context import Context
from ui.desk import Desk, binary, lines
from ui.plane import SHOWN_AT_MOST, Plane

RANKED = ("doubt", "label", "disagree")
"""Orders that follow what the model says now."""
MOST_GROUPS = 8
"""More colours than this cannot be told apart; the rarer labels are "other"."""

By = Literal["best", "label", "verdict", "doubt", "decided", "brought", "disagree"]
Order = Literal["name", "doubt", "label", "new", "disagree"]
Source = Annotated[
    str, Query(max_length=1_000, description="an imported model, by the name of its file")
]
Label = Annotated[int | None, Query(ge=0)]
Filter = Annotated[str, Query(alias="filter", max_length=20_000, description="one filter per line")]


class Shape(BaseModel):
    """A box (two corners) or a lasso (its vertices), in the map's units."""

    model_config = ConfigDict(extra="forbid")
    kind: Literal["box", "lasso"]
    x: list[FiniteFloat] = Field(min_length=2, max_length=20_000)
    y: list[FiniteFloat] = Field(min_length=2, max_length=20_000)
    filters: list[str] = Field(default=[], max_length=200)
    map_version: int | None = None


class Inside(BaseModel):
    """Which samples a shape holds."""

    count: int
    ids: list[int]


class MapCaption(BaseModel):
    """What is typical of a dense area of the map: labels, or words of its texts.

    Attributes:
        x, y: where the area is densest.
        size: samples in it.
        box: left, right, bottom, top of them.
    """

    says: list[str]
    is_words: bool
    x: float
    y: float
    size: int
    box: tuple[float, float, float, float]


class Captions(BaseModel):
    """Captions of one version of the map, one list for each level, coarse to fine."""

    map_version: int
    levels: list[list[MapCaption]]


class LabelCount(BaseModel):
    """How many samples have which verdict on a label."""

    id: int
    name: str
    pack: str
    yes: int
    no: int
    unsure: int
    unknown: int


class Facets(BaseModel):
    """Everything countable about a project.

    Attributes:
        counted: kind (doubt, disagree, changed, people) -> filter -> samples.
    """

    project: str
    uid: str
    kind: str
    samples: int
    placed: int
    method: str
    map_version: int
    is_projecting: bool
    version: int
    offset: int
    read_only: bool
    is_blind: bool
    brought: dict[str, list[str]]
    labels: list[LabelCount]
    splits: dict[str, int]
    sources: dict[str, int]
    counted: dict[str, dict[str, int]]
    slices: dict[str, int]


def label_counts(census: Census, rows: Int[np.ndarray, " k"] | None = None) -> list[LabelCount]:
    """Counts by verdict of every label, over all samples or some rows."""
    return [
        LabelCount(
            id=label.id, name=label.name, pack=label.pack, unknown=none, yes=yes, no=no, unsure=un
        )
        for label, (none, yes, no, un) in zip(
            census.labels, census.counts(rows).tolist(), strict=True
        )
    ]


def slices_counted(bench: api.Workbench) -> dict[str, int]:
    """Saved slice -> number of samples in it, ordered by name."""
    return {name: len(ids) for name, ids in bench.saved_slices().items()}


def colours_of(
    bench: api.Workbench,
    plane: Plane,
    by: By,
    label: int | None,
    *,
    source: str = "",
    eyes: str | None = None,
) -> tuple[Float[np.ndarray, " n"], list[str]]:
    """One number per point in the plane's order, and the names that "best" numbers.

    Raises:
        BadInputError: a label is needed and was not named.
    """
    if by in ("label", "verdict", "brought") and label is None:
        raise api.BadInputError(f"say which label to colour by: by={by}&label=ID")
    if source and source not in (known := bench.brought()["predictions"]):
        raise api.NotFoundError(f"no scores came from {source!r}; known are {known}")
    if by == "brought" and not source:
        raise api.BadInputError("say whose scores to colour by: by=brought&label=ID&source=NAME")
    if by == "best":
        return _likeliest(bench, plane)
    asked = "verdict" if by == "decided" else by
    label = label if by != "decided" else None
    values = bench.colours(asked, label=label, source=source or None, who=eyes)
    if len(values) != len(plane.ids):
        raise api.BusyError("samples are being added just now; ask again")
    return np.asarray(values, np.float32)[plane.order], []


def _likeliest(bench: api.Workbench, plane: Plane) -> tuple[Float[np.ndarray, " n"], list[str]]:
    """Each sample's likeliest label among the most frequent ones; NaN for all others."""
    labels = bench.labels()
    none = np.full(len(plane.ids), np.nan, np.float32)
    if not labels or not len(plane.ids):
        return none, []
    best = bench.chances([int(i) for i in plane.ids]).argmax(axis=1)
    counts = np.bincount(best, minlength=len(labels))
    frequent = [int(c) for c in np.argsort(-counts, kind="stable")[:MOST_GROUPS] if counts[c]]
    group = np.full(len(labels), np.nan, np.float32)
    group[frequent] = np.arange(len(frequent))
    return group[best], [labels[column].name for column in frequent]


def router(context: Context) -> APIRouter:
    """The routes, for one server."""
    desk = Desk(context)
    routes = APIRouter(prefix="/pl/api")
    _add_map(routes, desk)
    _add_lists(routes, desk, context)
    return routes


def _add_map(routes: APIRouter, desk: Desk) -> None:
    """Where samples are on the map, and which of them are inside a shape."""

    @routes.get("/points", response_class=Response)
    def points(
        request: Request,
        by: By = "best",
        label: Label = None,
        most: Annotated[int, Query(ge=1, le=SHOWN_AT_MOST, alias="max")] = SHOWN_AT_MOST,
        box: Annotated[str, Query(max_length=200)] = "",
        only: Filter = "",
        source: Source = "",
    ) -> Response:
        """Points with colours as `ui.plane.Plane.pack` writes them."""
        bench = desk.bench(request)
        plane, eyes = desk.plane(bench), desk.eyes(request)
        window = _window(box)
        tag = _tag(bench, "points", plane.version, plane.method, bench.scoring, bench.offset,
                   by, label, most, box, only, source, bench.revision, eyes)  # fmt: skip

        def make() -> tuple[bytes, dict[str, str]]:
            colours, groups = colours_of(bench, plane, by, label, source=source, eyes=eyes)
            keep = _kept(desk, bench, plane, only, eyes)
            body = plane.pack(colours, rows=plane.window(window, keep), limit=most)
            return body, {"X-Pl-Groups": json.dumps(groups)}

        return binary(request, tag, make)

    @routes.get("/density", response_class=Response)
    def density(request: Request) -> Response:
        """A picture of where all points are, for maps of more points than are sent."""
        bench = desk.bench(request)
        plane = desk.plane(bench)
        tag = _tag(bench, "density", plane.version)
        answer = binary(request, tag, lambda: (plane.density(), {}))
        answer.headers["Content-Type"] = "image/png"
        return answer

    @routes.get("/captions", response_model=Captions)
    def captions(request: Request) -> Response:
        """What is typical of the map's dense areas, at a few levels from coarse to fine."""
        bench = desk.bench(request)
        plane, eyes = desk.plane(bench), desk.eyes(request)
        tag = _tag(bench, "captions", plane.version, plane.method, bench.scoring, bench.offset,
                   bench.revision, eyes)  # fmt: skip

        def make() -> tuple[bytes, dict[str, str]]:
            levels = bench.captions(who=eyes)
            told = [[MapCaption.model_validate(asdict(one)) for one in level] for level in levels]
            return Captions(map_version=plane.version, levels=told).model_dump_json().encode(), {}

        answer = binary(request, tag, make)
        answer.headers["Content-Type"] = "application/json"
        return answer

    @routes.post("/inside")
    def inside(request: Request, shape: Shape) -> Inside:
        """Ids of the samples inside a shape that match the filters."""
        bench = desk.bench(request)
        if len(shape.x) != len(shape.y):
            raise api.BadInputError(
                f"a shape has as many x as y; got {len(shape.x)} and {len(shape.y)}"
            )
        if shape.map_version is not None and shape.map_version != desk.plane(bench).version:
            raise api.BusyError("the map has changed since this shape was drawn; draw it again")
        ids = bench.inside(shape.kind, shape.x, shape.y)
        eyes = desk.eyes(request)
        census = desk.census(bench, eyes)
        keep = desk.keep(census, shape.filters, bench, eyes)
        if keep is not None:
            allowed = census.ids[keep]
            ids = [int(i) for i in np.asarray(ids, np.int64)[np.isin(ids, allowed)]]
        return Inside(count=len(ids), ids=ids)


def _add_lists(routes: APIRouter, desk: Desk, context: Context) -> None:
    """The grid's order and what there is to filter by."""

    @routes.get("/order", response_class=Response)
    def order(
        request: Request, order: Order = "name", label: Label = None, only: Filter = ""
    ) -> Response:
        """Ids (uint32) of the samples that match the filters, in the order asked for."""
        bench, eyes = desk.bench(request), desk.eyes(request)
        says = any(filter_.startswith(api.SAYINGS) for filter_ in lines(only))
        scores = None
        if order in RANKED or says:
            scores = bench.scoring, desk.plane(bench).version
        tag = _tag(bench, "order", bench.offset, scores, bench.revision, order, label, only, eyes)

        def make() -> tuple[bytes, dict[str, str]]:
            filters = lines(only)
            found = ordered(desk, bench, order=order, label=label, filters=filters, eyes=eyes)
            return found.astype("<u4").tobytes(), {}

        return binary(request, tag, make)

    @routes.get("/facets")
    def facets(request: Request) -> Facets:
        """Labels with their verdicts, splits, sources, and the state of the map."""
        bench, eyes = desk.bench(request), desk.eyes(request)
        census, plane = desk.census(bench, eyes), desk.plane(bench)
        is_projecting = any(
            job.kind == "map" and job.state in ("queued", "running") for job in bench.jobs.list()
        )
        return Facets(
            project=bench.name,
            uid=bench.store.uid,
            kind=str(bench.kind),
            samples=len(census.ids),
            placed=len(plane.ids),
            method=plane.method,
            map_version=plane.version,
            is_projecting=is_projecting,
            version=bench.version,
            offset=bench.offset,
            read_only=context.only_reads(bench),
            is_blind=eyes is not None,
            brought=bench.brought(),
            labels=label_counts(census),
            splits=census.splits_counted(),
            sources=census.sources_counted(),
            counted=desk.counted(bench, eyes),
            slices=slices_counted(bench),
        )


def ordered(
    desk: Desk,
    bench: api.Workbench,
    *,
    order: Order,
    label: int | None,
    filters: list[str],
    eyes: str | None = None,
) -> Int[np.ndarray, " k"]:
    """Ids of the samples that match the filters, in the order asked for."""
    census = desk.census(bench, eyes)
    keep = desk.keep(census, filters, bench, eyes)
    if order in RANKED:
        plane = desk.plane(bench)
        values, _ = colours_of(bench, plane, order, label if order != "doubt" else None, eyes=eyes)
        scores = np.full(len(census.ids), np.nan, np.float32)
        rows = np.searchsorted(census.ids, plane.ids).clip(0, max(0, len(census.ids) - 1))
        is_there = census.ids[rows] == plane.ids if len(census.ids) else np.zeros(0, bool)
        scores[rows[is_there]] = values[is_there]
        found = ranked(census.ids, scores)
    elif order == "new":
        found = census.ids[::-1]
    else:
        found = census.ids[census.by_name]
    return found if keep is None else found[np.isin(found, census.ids[keep])]


def _kept(
    desk: Desk, bench: api.Workbench, plane: Plane, text: str, eyes: str | None
) -> Bool[np.ndarray, " n"] | None:
    """Which points of the plane match the filters; None without filters."""
    census = desk.census(bench, eyes)
    keep = desk.keep(census, lines(text), bench, eyes)
    return None if keep is None else np.isin(plane.ids, census.ids[keep])


def _window(text: str) -> tuple[float, float, float, float] | None:
    """`left,right,bottom,top` as numbers."""
    if not text:
        return None
    try:
        left, right, bottom, top = (float(part) for part in text.split(","))
    except ValueError:
        raise api.BadInputError("box is four numbers: left,right,bottom,top") from None
    return min(left, right), max(left, right), min(bottom, top), max(bottom, top)


def _tag(bench: api.Workbench, *parts: object) -> str:
    """Of what a browser keeps; another project may have this one's name, versions and offsets."""
    return blake2b(repr((bench.store.uid, parts)).encode(), digest_size=12).hexdigest()
