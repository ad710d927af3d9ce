"""Where in a sample a label is, as a guide shows it: a crop around the evidence, or a sentence.

Where a person marked a place, that is it; else it is what the label's map says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from backend.board import Board
from backend.numerics import exemplars
from backend.numerics.boxes import boxes_of
from backend.numerics.points import smoothed
from backend.numerics.regions import parts_of
from backend.numerics.sentences import sentence_span, sentence_starts, sentence_vectors
from backend.part_lessons import PartLessons
from backend.pipeline import Pipeline
from backend.store.guide_book import Said
from backend.store.project import ProjectStore
from backend.types import Correction, Kind, Layout, Region, Sample

PICTURES, TEXTS = 64, 4
"""Samples whose parts are read at a time: a text may have 2,048."""


@dataclass(frozen=True)
class Material:
    """Where a guide is made from: the open project at one moment."""

    store: ProjectStore
    pipeline: Pipeline
    lessons: PartLessons
    board: Board
    column: int


@dataclass(frozen=True)
class Place:
    """A place in a sample that is shown in a guide.

    Attributes:
        region: a box, or a span of characters; None for the whole sample.
        quote: of a text, what stands there; "" for pictures.
        words: of a text, spans within `quote` that carry the label most.
    """

    sample: int
    name: str
    region: Region | None
    quote: str = ""
    words: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Seen:
    """A candidate as its parts were read: where it is cut out, and what is strongest there."""

    row: int
    region: Region | None
    vector: Float[np.ndarray, " d"]
    heat: Float[np.ndarray, " p"]
    peak: int
    peak_vector: Float[np.ndarray, " d"]
    layout: Layout
    is_marked: bool


def read_parts(
    material: Material, rows: Sequence[int]
) -> Iterator[tuple[int, Float[np.ndarray, "p d"], Layout]]:
    """The parts of some rows, a few at a time, in their order; none of rows without vectors."""
    board = material.board
    step = PICTURES if material.store.kind == Kind.IMAGE else TEXTS
    for at in range(0, len(rows), step):
        some = rows[at : at + step]
        hashes = [board.samples[row].content_hash for row in some]
        fingerprint = material.pipeline.encoder.fingerprint
        for batch in material.store.vectors.iter_parts(hashes, fingerprint, len(hashes)):
            pairs = zip(batch.parts, batch.layouts, strict=True)
            found = dict(zip(batch.hashes, pairs, strict=True))
            for row, digest in zip(some, hashes, strict=True):
                if digest in found:
                    yield row, *found[digest]


def look(
    material: Material,
    row: int,
    parts: Float[np.ndarray, "p d"],
    layout: Layout,
    wanted: Float[np.ndarray, "1 d"],
    told: Correction | None,
    said: Mapping[int, Said],
) -> Seen:
    """Where a candidate is cut out: where a person says, else around the evidence."""
    sample = material.board.samples[row]
    asked = said.get(sample.id)
    marks = [one for one in (told.regions if told else ()) if one.is_here]
    given = asked.region if asked and asked.region else (marks[0] if marks else None)
    shown = material.pipeline.shown(parts, wanted, layout)
    if layout.grid is not None:
        heat = smoothed(shown.similarity[0, :, 0].reshape(layout.grid)).ravel()
        frames = boxes_of(shown.similarity[0, :, 0].reshape(layout.grid))
        region = given or (Region("box", frames[0]) if frames else None)
        inside = parts_of(region, layout) if region else np.zeros(0, np.int64)
        peak = int(inside[heat[inside].argmax()]) if len(inside) else int(heat.argmax())
        around = parts_of(Region("box", window(peak, layout.grid)), layout)
        peak_vector = exemplars.crop_vector(parts, around)
        vector = exemplars.crop_vector(parts, inside)
        return Seen(row, region, vector, heat, peak, peak_vector, layout, given is not None)
    heat = shown.backward[0, :, 0]
    spans = layout.spans or ()
    starts = sentence_starts(sample.text or "", spans)
    inside = parts_of(given, layout) if given else np.zeros(0, np.int64)
    at = int(inside[0]) if len(inside) else int(_heaviest(heat, starts))
    number = int(np.searchsorted(starts, at, side="right")) - 1
    span = sentence_span(sample.text or "", spans, starts, number)
    vector = sentence_vectors(parts, starts)[number]
    return Seen(
        row,
        Region("span", span),
        vector,
        heat,
        int(heat.argmax()),
        vector,
        layout,
        given is not None,
    )


def _heaviest(heat: Float[np.ndarray, " p"], starts: Int[np.ndarray, " s"]) -> int:
    """The first part of the sentence that holds most of a map."""
    return int(starts[np.add.reduceat(heat, starts).argmax()])


def window(cell: int, grid: tuple[int, int]) -> tuple[float, float, float, float]:
    """The box of a cell and its neighbours: x, y, width, height in 0..1."""
    rows, cols = grid
    down, right = divmod(cell, cols)
    top, bottom = max(down - 1, 0), min(down + 2, rows)
    left, end = max(right - 1, 0), min(right + 2, cols)
    return left / cols, top / rows, (end - left) / cols, (bottom - top) / rows


def placed(
    sample: Sample, region: Region | None, heat: Float[np.ndarray, " p"], layout: Layout
) -> Place:
    """A place with what stands there; of a text its strongest words."""
    place = Place(sample.id, sample.name, region)
    if sample.text is None or region is None or layout.spans is None:
        return place
    begin, end = int(region.points[0]), int(region.points[1])
    own = [
        (float(mass), (start - begin, stop - begin))
        for (start, stop), mass in zip(layout.spans, heat, strict=True)
        if start >= begin and stop <= end
    ]
    strong = sorted(own, key=lambda each: -each[0])[:3]
    level = strong[0][0] / 2 if strong else 0.0
    return replace(
        place,
        quote=sample.text[begin:end],
        words=tuple(sorted(span for mass, span in strong if mass >= level)),
    )
