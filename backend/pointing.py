"""Point it out: points for a label or a phrase in one sample, and the mask that points make.

Formulas are in numerics/points.py and numerics/masks.py; here is where their numbers come from:
the map that the screen shows for the label, how likely it is in this sample, the picture as it is
displayed. Nothing is stored here: what a person accepts goes into the log like any correction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float
from PIL import Image

from backend import images
from backend.board import Board, Sight
from backend.contracts import has_text_side
from backend.errors import BadInputError, NotFoundError
from backend.numerics import masks, points
from backend.pipeline import Pipeline
from backend.store.project import ProjectStore
from backend.types import Explanation, Kind, Label, Layout, Sample, Verdict

MOST = 10
"""Points that are proposed: a person can look at so many."""

LIKELY = 0.25
"""Score on the encoder's scale below which a label that nothing was learned of gets no points: on
`mosaic_open` and `coco_mini` 0.87 of the labels that are there are above it, 0.35 of the others."""

MOST_POINTS = 200
LONGEST_PHRASE = 200


@runtime_checkable
class Bench(Protocol):
    """What pointing needs of an open project; `Workbench` is one."""

    store: ProjectStore

    @property
    def people(self) -> Sight:
        """Who may see what."""
        ...

    @property
    def pipeline(self) -> Pipeline:
        """The chosen methods."""
        ...

    @property
    def board(self) -> Board:
        """Rows, columns and scores as they are now."""
        ...

    def sample(self, id_or_name: int | str) -> Sample:
        """One sample by id or name."""
        ...

    def label(self, id_or_name: int | str) -> Label:
        """One label by id or name."""
        ...

    def explain(self, sample: int | str, *, label: int | str | None = None) -> Explanation:
        """Which part carries which label."""
        ...


@dataclass(frozen=True)
class Pointed:
    """Where a label is in a sample, and where it is not.

    Attributes:
        points: on a picture; none for texts.
        words: of a text, number of the part and whether the label is there.
        heat: (P,) the map they were taken from.
        layout: where the parts are.
        why: a sentence where there are no points.
    """

    points: points.Points
    words: tuple[tuple[int, bool], ...]
    heat: Float[np.ndarray, " p"]
    layout: Layout
    why: str = ""


@dataclass(frozen=True)
class Drawn:
    """A mask as geometry in 0..1 of the displayed picture.

    Attributes:
        polygons: outlines of its pieces, largest first, (K, 2) each.
        box: x, y, w, h around all of it; None where the mask is empty.
        share: of the picture that it covers.
    """

    polygons: tuple[Float[np.ndarray, "_ 2"], ...]
    box: tuple[float, float, float, float] | None
    share: float


class Pointer:
    """Points and masks of one open project."""

    def __init__(self, bench: Bench):
        self._bench = bench

    def point(
        self,
        sample: int | str,
        *,
        label: int | str | None = None,
        phrase: str | None = None,
        anyway: bool = False,
        most: int = MOST,
        who: str | None = None,
    ) -> Pointed:
        """Propose points for a label, or for a phrase that is no label.

        Args:
            sample: id or name.
            label: id or name; or
            phrase: any words.
            anyway: also where the label is unlikely or was rejected.
            most: points in all; half of them at most say yes.
            who: the person, where only verdicts that this one may see are asked.

        Raises:
            NotFoundError: the sample or label is unknown, or the sample has no vectors yet.
            BadInputError: neither a label nor a phrase, or one that the encoder cannot read.
        """
        heat, layout, score, chance = self._map(sample, label=label, phrase=phrase)
        why = ""
        if not anyway:
            why = self._refusal(sample, label, phrase, score=score, chance=chance, who=who)
        if why:
            return Pointed(points.none(), (), heat, layout, why)
        if layout.grid is None:
            return Pointed(points.none(), words_of(heat, most), heat, layout)
        found = points.points_of(heat.reshape(layout.grid), most=most)
        flat = "" if len(found) else "the map has no contrast: it does not say where"
        return Pointed(found, (), heat, layout, flat)

    def mask(
        self,
        sample: int | str,
        places: Sequence[tuple[float, float, bool]],
        *,
        label: int | str | None = None,
        phrase: str | None = None,
    ) -> Drawn:
        """The mask of points: right, down in 0..1 of the displayed picture, and yes or no.

        Raises:
            NotFoundError: as in `point`.
            BadInputError: a point lies outside of the picture, none says yes, or it is a text.
        """
        found = self._bench.sample(sample)
        if found.kind is not Kind.IMAGE:
            raise BadInputError(f"{found.name} is a text; masks are of pictures")
        given = checked(places)
        heat, layout, _, _ = self._map(sample, label=label, phrase=phrase)
        parts, _ = self._parts(found)
        grid = layout.grid or (1, 1)
        picture = self._small(found)
        chances = masks.walked(picture, parts.reshape(*grid, -1), given, heat=heat.reshape(grid))
        mask = chances >= masks.SURE
        return Drawn(tuple(masks.polygons(mask)), masks.box(mask), float(mask.mean()))

    def _map(
        self, sample: int | str, *, label: int | str | None, phrase: str | None
    ) -> tuple[Float[np.ndarray, " p"], Layout, float, float]:
        """The map, where its parts are, the shipped score and the probability (NaN: unknown)."""
        if (label is None) == (not phrase):
            raise BadInputError("say what to point out: a label, or a phrase")
        bench, found = self._bench, self._bench.sample(sample)
        if label is not None:
            seen = bench.explain(found.id, label=label)
            board = bench.board
            at = board.row_of[found.id], board.column_of[bench.label(label).id]
            chance = float(board.probabilities[at])
            return seen.similarity[:, 0], seen.layout, float(seen.scores[0]), chance
        words = " ".join(str(phrase).split())
        if not words or len(words) > LONGEST_PHRASE:
            raise BadInputError(f"a phrase has 1 to {LONGEST_PHRASE} characters")
        pipeline = bench.pipeline
        if not has_text_side(pipeline.encoder):
            raise BadInputError(f"{pipeline.encoder.id} reads no words; choose a label instead")
        parts, layout = self._parts(found)
        vector = pipeline.encoder.encode_labels([words])
        aligned = pipeline.align(parts, vector)
        board = bench.board
        whole = pipeline.global_scores(board.pooled[[board.row_of[found.id]]], vector)
        score = (whole + pipeline.local_scores([parts], vector)) / 2
        return aligned.similarity[0, :, 0], layout, float(score[0, 0]), math.nan

    def _refusal(
        self,
        sample: int | str,
        label: int | str | None,
        phrase: str | None,
        *,
        score: float,
        chance: float,
        who: str | None,
    ) -> str:
        """The presence gate: why there should be no points, or nothing."""
        bench = self._bench
        name = str(phrase)
        if label is not None:
            known = bench.label(label)
            name = known.name
            seen = bench.people.board_of(who)
            said = seen.verdicts.get((bench.sample(sample).id, known.id))
            if said is not None and said.verdict is Verdict.YES:
                return ""
            if said is not None and said.verdict is Verdict.NO:
                return f"you said no to {name} here"
        if not math.isnan(chance):
            is_likely, told = chance >= points.GATE, f" ({100 * chance:.0f} %)"
        else:
            is_likely, told = score >= LIKELY, ""
        return "" if is_likely else f"{name} is improbable here{told}"

    def _parts(self, sample: Sample) -> tuple[Float[np.ndarray, "p d"], Layout]:
        board = self._bench.board
        if not board.encoded[board.row_of[sample.id]]:
            raise NotFoundError(f"{sample.name} is not encoded yet; wait for its job")
        fingerprint = self._bench.pipeline.encoder.fingerprint
        return self._bench.store.vectors.parts(sample.content_hash, fingerprint)

    def _small(self, sample: Sample) -> np.ndarray:
        """The displayed picture, as small as the walker wants it."""
        picture = images.decode(self._bench.store.media.path(sample), at_least=2 * masks.SIDE)
        size = masks.small_size(picture.width, picture.height)
        return np.asarray(picture.resize(size, Image.Resampling.BOX))


def checked(places: Sequence[tuple[float, float, bool]]) -> points.Points:
    """Points as a person gave them.

    Raises:
        BadInputError: one is no place on the picture, there are too many, or none says yes.
    """
    if len(places) > MOST_POINTS:
        raise BadInputError(f"{len(places)} points are more than {MOST_POINTS}")
    for number, (right, down, _) in enumerate(places, 1):
        if not (0 <= right <= 1 and 0 <= down <= 1):
            raise BadInputError(
                f"point {number} lies outside of the picture: ({right:.3g}, {down:.3g}) "
                "is not in 0..1"
            )
    if not any(here for _, _, here in places):
        raise BadInputError("a mask needs a point that says: it is here")
    xy = np.array([place[:2] for place in places], np.float32)
    return points.Points(xy, np.array([bool(place[2]) for place in places]))


def words_of(heat: Float[np.ndarray, " p"], most: int) -> tuple[tuple[int, bool], ...]:
    """The words that say yes, surest first, then those that say no; half of `most` each."""
    sign = points.signs(heat)
    found: list[tuple[int, bool]] = []
    for way, room in ((1, most - most // 2), (-1, most // 2)):
        order = np.argsort(-way * heat, kind="stable")
        found += [(int(k), way > 0) for k in order[sign[order] == way][:room]]
    return tuple(found)
