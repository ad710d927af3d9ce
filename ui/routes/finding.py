"""Searches, and the cards of the samples that the grid shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from backend import api
from ui.addresses import sample_at
from ui.context import Context
from ui.desk import Desk, lines
from ui.present import utf16_spans
from ui.routes.bulk import Id
from ui.routes.points import Filter, Label, Order, Source, ordered

MOST_HITS = 500
MOST_SELECTED = 100_000
MOST_CARDS = 200
MOST_GUESSES = 20
IMAGE_BYTES = 30_000_000
SNIPPET = 400
LEAD = 80
"""Characters of a text before a match that its beginning does not hold."""
FULL_TEXT = 20_000
QUERY_CHARACTERS = 2_000

Count = Annotated[int, Query(ge=1, le=MOST_HITS)]


class Asked(BaseModel):
    """Search by a formula that may speak of what is selected."""

    model_config = ConfigDict(extra="forbid")
    query: str = Field(max_length=QUERY_CHARACTERS)
    selection: list[Id] = Field(default=[], max_length=MOST_SELECTED)


class Alike(BaseModel):
    """Search for what is like several samples together, and not like others."""

    model_config = ConfigDict(extra="forbid")
    ids: list[Id] = Field(min_length=1, max_length=1_000)
    unlike: list[Id] = Field(default=[], max_length=1_000, alias="not")


_ASKED = TypeAdapter[Alike | Asked](Alike | Asked)


class Found(BaseModel):
    """One search result.

    Attributes:
        parts: the parts that matched.
        grid: which of `Results.grids` they are numbered on; -1 for texts.
        excerpt: the piece of a text that holds the best of them; "" where its beginning does.
        spans: where they are in that piece, in UTF-16 units as a browser counts.
    """

    sample: int
    name: str
    score: float
    parts: list[int] = []
    grid: int = -1
    excerpt: str = ""
    spans: list[tuple[int, int]] = []


class Results(BaseModel):
    """Hits, best first.

    Attributes:
        formula: how a query was understood; "" where it was words, or anything else was asked.
        words: what stands in it as free text.
    """

    hits: list[Found]
    grids: list[tuple[int, int]]
    version: int
    formula: str = ""
    words: list[str] = []


class Guess(BaseModel):
    """One of a sample's likeliest labels."""

    label: str
    id: int
    value: float
    verdict: str | None


class Card(BaseModel):
    """A sample as the grid shows it; `stamp` changes when its verdicts may have."""

    id: int
    name: str
    hash: str
    width: int
    height: int
    text: str
    yes: list[int]
    yes_names: list[str]
    no: int
    unsure: int
    stamp: int
    top: list[Guess] = []


class Page(BaseModel):
    """Cards of some samples, and how many there are in all."""

    total: int
    samples: list[Card]


def router(context: Context) -> APIRouter:
    """The routes, for one server."""
    desk = Desk(context)
    routes = APIRouter(prefix="/pl/api")

    @routes.get("/search")
    def search(
        request: Request,
        text: Annotated[str, Query(max_length=QUERY_CHARACTERS)] = "",
        sample: Annotated[str, Query(max_length=1_000)] = "",
        name: Annotated[str, Query(max_length=1_000)] = "",
        k: Count = 100,
        vectors: Source = "",
        query: Annotated[str, Query(max_length=QUERY_CHARACTERS)] = "",
        region: Annotated[str, Query(max_length=200)] = "",
        only: Filter = "",
    ) -> Results:
        """Search by words or by a sample (see `sample_at`), the latter also in imported `vectors`.

        A `region` (x,y,width,height in 0..1) is the part of the sample's picture that is meant. A
        `query` is what somebody typed: a formula over labels if it is one, else words. Filters say
        among which samples.
        """
        bench = desk.bench(request)
        within = _left_by(desk, request, only)
        if bool(text.strip()) + bool(sample or name) + bool(query.strip()) != 1:
            raise api.BadInputError(
                "search by text or by a sample: ?text=WORDS, ?sample=ID, ?name=NAME or "
                "?query=WORDS-OR-FORMULA"
            )
        if query:
            eyes = desk.eyes(request)
            if (found := by_formula(bench, query, k, who=eyes, within=within)) is not None:
                return found
        text = text or query
        place, source = numbers(region) if region else None, vectors or None
        if sample or name:
            asked = sample_at(bench, sample, name).id
            hits = bench.search(sample=asked, region=place, k=k, vectors=source, within=within)
        else:
            hits = bench.search(text=text, region=place, k=k, vectors=source, within=within)
        return results(bench, hits)

    @routes.post("/search")
    async def search_by(request: Request, k: Count = 100, only: Filter = "") -> Results:
        """Search by a picture (the body), or by what stands in JSON.

        `{"ids": [...], "not": [...]}`: what is like samples and not like others; `{"query": ...,
        "selection": [...]}`: a formula in which `@selection` means these samples.
        """
        bench = desk.bench(request)
        body = await _read(request, IMAGE_BYTES)
        is_json = request.headers.get("content-type", "").startswith("application/json")

        def find() -> Results:
            within, eyes = _left_by(desk, request, only), desk.eyes(request)
            if not is_json:
                return results(bench, bench.search(image=body, k=k, within=within))
            asked = _asked(body)
            if isinstance(asked, Alike):
                found = bench.search(like=asked.ids, unlike=asked.unlike, k=k, within=within)
                return results(bench, found)
            query, chosen = asked.query, asked.selection
            told = by_formula(bench, query, k, selection=chosen, who=eyes, within=within)
            return told or results(bench, bench.search(text=query, k=k, within=within))

        return await run_in_threadpool(find)

    @routes.get("/page")
    def page(
        request: Request,
        ids: Annotated[str, Query(max_length=4_000, pattern=r"^[\d,]*$")] = "",
        offset: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=MOST_CARDS)] = 100,
        order: Order = "name",
        label: Label = None,
        only: Filter = "",
        top: Annotated[int, Query(ge=0, le=MOST_GUESSES)] = 0,
    ) -> Page:
        """Cards of the named samples, or of a stretch of an order; unknown ids are left out."""
        bench, eyes = desk.bench(request), desk.eyes(request)
        census = desk.census(bench, eyes)
        if ids:
            asked = [int(part) for part in ids.split(",") if part and len(part) < 19][:MOST_CARDS]
            total = len(asked)
        else:
            filters = lines(only)
            found = ordered(desk, bench, order=order, label=label, filters=filters, eyes=eyes)
            asked, total = [int(i) for i in found[offset : offset + limit]], len(found)
        there = [int(i) for i in census.ids[census.rows(asked)]]
        return Page(total=total, samples=cards(desk, bench, there, top=top, eyes=eyes))

    return routes


def by_formula(
    bench: api.Workbench,
    query: str,
    k: int,
    *,
    selection: Sequence[int] = (),
    who: str | None = None,
    within: Sequence[int] | None = None,
) -> Results | None:
    """The results of a formula; None where the query is words."""
    formula = bench.formula(query)
    if not formula:
        return None
    hits = bench.search(query=query, k=k, selection=selection, who=who, within=within)
    told = {"formula": formula, "words": bench.free_words(formula)}
    return results(bench, hits).model_copy(update=told)


def results(bench: api.Workbench, hits: list[api.Hit]) -> Results:
    """Hits with the places of the parts that matched."""
    grids: list[tuple[int, int]] = []
    found = []
    layout = None
    for hit in hits:
        one = Found(sample=hit.sample, name=hit.name, score=hit.score, parts=list(hit.parts))
        if hit.parts:
            # images of one encoder share their grid, texts do not share their words
            if layout is None or layout.grid is None:
                layout = bench.layout(hit.sample)
            if layout.grid is not None:
                if layout.grid not in grids:
                    grids.append(layout.grid)
                one.grid = grids.index(layout.grid)
            elif layout.spans is not None:
                spans = [layout.spans[part] for part in hit.parts if part < len(layout.spans)]
                one.excerpt, one.spans = excerpt(bench.sample(hit.sample).text or "", spans)
        found.append(one)
    return Results(hits=found, grids=grids, version=bench.version)


def excerpt(text: str, spans: Sequence[tuple[int, int]]) -> tuple[str, list[tuple[int, int]]]:
    """The piece of a text to show of a match, "" for its beginning, and the spans in that piece.

    Args:
        text: the whole of it.
        spans: in characters, the best first.

    Returns:
        The piece, and those of the spans that begin in it, in UTF-16 units.
    """
    start = 0
    if spans and spans[0][1] > SNIPPET:
        lead = max(0, spans[0][0] - LEAD)
        gap = text.find(" ", lead, spans[0][0])
        start = lead if gap < 0 else gap + 1  # a whole word where there is one
    piece = text[start : start + SNIPPET]
    there = [
        (a - start, min(b - start, len(piece))) for a, b in spans if 0 <= a - start < len(piece)
    ]
    if start:
        piece, there = f"… {piece}", [(a + 2, b + 2) for a, b in there]
    return piece if start else "", [(int(a), int(b)) for a, b in utf16_spans(piece, there)]


def cards(
    desk: Desk, bench: api.Workbench, ids: list[int], *, top: int, eyes: str | None = None
) -> list[Card]:
    """What the grid shows of these samples; with `top` also their likeliest labels."""
    census = desk.census(bench, eyes)
    names = [label.name for label in census.labels]
    label_ids = np.array([label.id for label in census.labels], np.int64)
    column_of = {label.id: column for column, label in enumerate(census.labels)}
    told = bench.suggest(ids, who=eyes) if top else []
    guesses = {one.sample: one.suggestions[:top] for one in told}
    chances = bench.chances(ids) if top else None
    found = []
    for at, (sample, row) in enumerate(zip(bench.samples(ids), census.rows(ids), strict=True)):
        codes = census.table[row]
        yes = np.flatnonzero(codes == 1)
        text = sample.text or ""
        card = Card(
            id=sample.id,
            name=sample.name,
            hash=sample.content_hash,
            width=sample.width,
            height=sample.height,
            text=text[:FULL_TEXT] if top else text[:SNIPPET],
            yes=label_ids[yes].tolist(),
            yes_names=[names[column] for column in yes],
            no=int((codes == 2).sum()),
            unsure=int((codes == 3).sum()),
            stamp=bench.offset,
        )
        if chances is not None:
            card.top = [
                Guess(
                    label=guess.label,
                    id=guess.label_id,
                    value=float(chances[at, column_of[guess.label_id]]),
                    verdict=guess.verdict,
                )
                for guess in guesses.get(sample.id, ())
                if guess.label_id in column_of
            ]
        found.append(card)
    return found


def _left_by(desk: Desk, request: Request, only: str) -> list[int] | None:
    """Ids of the samples that the filters leave; None without filters."""
    bench, eyes = desk.bench(request), desk.eyes(request)
    census = desk.census(bench, eyes)
    keep = desk.keep(census, lines(only), bench, eyes)
    return None if keep is None else [int(i) for i in census.ids[keep]]


def numbers(text: str) -> list[float]:
    """A region as it stands in an address.

    Raises:
        BadInputError: it is no numbers with commas between them.
    """
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise api.BadInputError(f"a region is x,y,width,height in 0..1, not {text!r}") from None


def _asked(body: bytes) -> Alike | Asked:
    try:
        return _ASKED.validate_json(body)
    except ValidationError:
        raise api.BadInputError(
            'send {"ids": [...]} with 1 to 1,000 samples, and "not": [...] with as many that the '
            'results should not be like; or {"query": "...", "selection": [...]}'
        ) from None


async def _read(request: Request, limit: int) -> bytes:
    """The body of a request, refused as soon as it is larger than `limit`."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise api.RefusedError(
                f"this picture is larger than {limit // 1_000_000} MB; make it smaller"
            )
    if not body:
        raise api.BadInputError("the request has no body; send the bytes of a picture")
    return bytes(body)
