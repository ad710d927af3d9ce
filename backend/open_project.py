"""One open project as it is: what is in it, what it suggests and why, what is like what, how good.

Everything is answered from the board that `live.py` keeps in step with the log; nothing here
changes what people said or what was learned. It is safe to call from many threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from backend import (
    agreeing,
    evidence,
    learning,
    localising,
    model_filters,
    picking,
    set_algebra,
    views,
)
from backend.board import Board
from backend.captions import Caption, Captions
from backend.certainty import Certainty
from backend.contracts import Encoder, needed_facts
from backend.errors import BadInputError, MissingTruthError, NotFoundError
from backend.evaluating import Evaluator, Question
from backend.finding import inside, matching_parts, nearest_brought, query_vector
from backend.jobs import Jobs, Ticket
from backend.learning import Learned
from backend.live import Live
from backend.other_models import OtherModels
from backend.packs import Packs
from backend.part_lessons import PartLessons
from backend.people import People, seen_by
from backend.pipeline import Pipeline
from backend.settings import Settings
from backend.store.corrections import NewCorrection, NewMark
from backend.store.project import ProjectStore
from backend.trusting import Trusting
from backend.types import (
    Evaluation,
    Explanation,
    Forecast,
    Hit,
    Kind,
    Label,
    LabelMap,
    Layout,
    LearnStep,
    MapPoints,
    Named,
    QueueEntry,
    Receipt,
    Region,
    Sample,
    SampleSuggestions,
    Split,
    Verdict,
)
from backend.unseen import score_unseen
from backend.verdict_rows import answers, log_rows
from backend.word_chances import WordChances


@dataclass(frozen=True)
class ProjectInfo:
    """A project at a glance.

    Attributes:
        encoded: samples that have vectors; None of a project that is not open, where counting them
            would read all of them.
        uid: its own, wherever it lies and whatever it is called.
    """

    name: str
    path: Path
    kind: Kind
    encoder: str
    samples: int
    encoded: int | None
    labels: int
    verdicts: int
    version: int
    offset: int
    modified: float
    uid: str = ""


class OpenProject:
    """What can be asked of one open project.

    Args:
        store: the project's memory.
        settings: device, engine, limits.
        learns: fold corrections in by itself, as a screen wants.
        encoder: the project's encoder, where it is loaded already.

    Attributes:
        live: board, version and offset, in step with the log.
        jobs: what takes long.
        packs, certainty, people, trusting, others, evaluator: what else can be asked, each with
            questions of its own.
    """

    def __init__(
        self,
        store: ProjectStore,
        settings: Settings,
        *,
        learns: bool = False,
        encoder: Encoder | None = None,
    ):
        self.store = store
        self.settings = settings
        self.jobs = Jobs(store)
        self.live = Live(store, settings, self.jobs, learns=learns, encoder=encoder)
        self.packs = Packs(self.live)
        self.certainty = Certainty(self.live)
        self.people = People(self.live)
        self.trusting = Trusting(self.live)
        self.others = OtherModels(self.live)
        self.evaluator = Evaluator(self.live, self.certainty, self.others)
        self._forecast: tuple[int, Forecast] | None = None
        self._part_lessons = PartLessons()
        self._captions = Captions()
        self._word_chances = WordChances(store.vectors)

    # --- facts -------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The project's name."""
        return self.store.name

    @property
    def kind(self) -> Kind:
        """Images or texts."""
        return self.store.kind

    @property
    def path(self) -> Path:
        """The project's folder."""
        return self.store.path

    @property
    def encoder_id(self) -> str:
        """The encoder by the name people use."""
        return self.live.encoder_id

    @property
    def version(self) -> int:
        """The newest learned version; 0 before anything was learned."""
        return self.live.learned.version

    @property
    def offset(self) -> int:
        """The log offset that this workbench has seen."""
        return self.live.offset

    @property
    def revision(self) -> object:
        """Changes whenever other samples or labels are seen here, and with their names or facts."""
        return self.live.stamp

    @property
    def scoring(self) -> object:
        """Changes whenever scores do: with a version, and with vectors or lanes that come later."""
        return self.live.scoring

    @property
    def pipeline(self) -> Pipeline:
        """The chosen methods."""
        return self.live.pipeline

    @property
    def board(self) -> Board:
        """Rows, columns and scores as they are now; never changed in place."""
        return self.live.board

    @property
    def learned(self) -> Learned:
        """The live version."""
        return self.live.learned

    @property
    def num_encoded(self) -> int:
        """Samples that have vectors."""
        return int(self.board.encoded.sum())

    def info(self) -> ProjectInfo:
        """Counts for a list of projects."""
        with self.live.lock:
            board, version, offset = self.board, self.version, self.offset
        return ProjectInfo(
            name=self.name,
            path=self.path,
            kind=self.kind,
            encoder=self.encoder_id,
            samples=len(board.samples),
            encoded=int(board.encoded.sum()),
            labels=len(board.labels),
            verdicts=board.num_verdicts,
            version=version,
            offset=offset,
            modified=self.path.stat().st_mtime,
            uid=self.store.uid,
        )

    # --- what is in it -----------------------------------------------------------------------

    def samples(self, ids: Iterable[int] | None = None) -> list[Sample]:
        """Live samples in order, or those with the given ids."""
        board = self.board
        if ids is None:
            return list(board.samples)
        return [board.samples[self._row(board, i)] for i in ids]

    def sample(self, id_or_name: int | str) -> Sample:
        """One sample by id, name or unique basename."""
        return self._sample_on(self.board, id_or_name)

    def labels(self) -> list[Label]:
        """Live labels in order."""
        return list(self.board.labels)

    def label(self, id_or_name: int | str) -> Label:
        """One label by id, name or alias."""
        return self._label_on(self.board, id_or_name)

    def media(self, sample: int | str, *, size: int | None = None) -> tuple[Path, str, str]:
        """A file to send: path, content type, etag; `size` asks for a thumbnail."""
        return self.store.media.served(self.sample(sample), size=size)

    def verdicts(
        self, ids: Iterable[int | str] | None = None, *, who: str | None = None
    ) -> dict[int, dict[int, Verdict]]:
        """What counts: sample id -> label id -> verdict; with `who` as that person sees it."""
        wanted = None if ids is None else [self.sample(i).id for i in ids]
        if who is not None:
            return self.people.seen_by(who, wanted)
        return views.verdicts_by_sample(self.board, wanted)

    def marks(
        self, ids: Iterable[int | str], *, who: str | None = None
    ) -> dict[int, dict[int, tuple[Region, ...]]]:
        """Verdicts on places: sample id -> label id -> marks, oldest first; empty ones left out.

        With `who` those that this person may see.
        """
        wanted = {self.sample(i).id for i in ids}
        out: dict[int, dict[int, tuple[Region, ...]]] = {i: {} for i in wanted}
        board = self.people.board_of(who)
        for (sample, label), correction in views.cells(board, wanted):
            if correction.regions:
                out[sample][label] = correction.regions
        return out

    def stored(
        self, op: str, *kinds: str, who: str
    ) -> tuple[Receipt, dict[tuple[int, int], Verdict]] | None:
        """The receipt of an action that is stored already, and what its pairs said before it.

        Raises:
            BadInputError: the id is that of another action than one of `kinds` (verdicts by
                default) by this person.
        """
        receipt = self.store.log.receipt(op, *kinds, who=who)
        if receipt is None:
            return None
        before = self.store.log.current(upto=receipt.offset - len(receipt.pairs))
        known = {pair: before[pair].verdict for pair in receipt.pairs if pair in before}
        return receipt, {pair: verdict for pair, verdict in known.items() if verdict is not None}

    def saved_slices(self) -> dict[str, frozenset[int]]:
        """Slices that people saved: name -> ids of the samples in it, ordered by name."""
        return dict(self.board.slices)

    def versions(self) -> list[LearnStep]:
        """All learn steps, oldest first."""
        return self.store.versions.steps()

    # --- look --------------------------------------------------------------------------------

    def suggest(
        self, ids: Iterable[int | str] | None = None, *, who: str | None = None
    ) -> list[SampleSuggestions]:
        """All suggestions of the given samples (all by default), best first.

        With `who` the verdicts beside them are those that this person may see.
        """
        with self.live.lock:
            board, version = self.board, self.version
        board = self.people.board_of(who, board)
        samples = board.samples if ids is None else [self.sample(i) for i in ids]
        brought, sources = self.others.brought(), self.others.sources()
        found = [
            views.suggestions_of(
                board,
                self._row(board, sample.id),
                version=version,
                encoder=self.encoder_id,
                brought=brought,
                sources=sources,
            )
            for sample in samples
        ]
        return self.certainty.told(found)

    def explain(
        self,
        sample: int | str,
        *,
        label: int | str | None = None,
        with_lanes: bool = False,
        who: str | None = None,
        aligner: str | None = None,
    ) -> Explanation:
        """Which part carries which label; with lanes also where each pack's lane looked.

        With `who` a map yields only to accepted labels that this person may see. With `aligner`
        ("maxsim", "layered_transport") the maps are those of another than the recipe's; the scores
        stay those of the version.

        Raises:
            NotFoundError: the sample is unknown or has no vectors yet, or no aligner has that name.
            BadInputError: the aligner reads layers and the encoder gives none.
        """
        with self.live.lock:
            board, learned = self.board, self.learned
        return evidence.explanation(
            self.store,
            self.pipeline,
            board,
            learned,
            self._row(board, self.sample(sample).id),
            label=None if label is None else self.label(label),
            room=self.live.room if with_lanes else None,
            lessons=self._part_lessons,
            seen=self.people.board_of(who, board),
            aligner=aligner,
            layers=self.live.layers,
        )

    @property
    def layer_refusal(self) -> str:
        """Why there are no maps over the encoder's layers, in one sentence; "" if there are."""
        return self.live.layers.refusal

    def label_map(self, sample: int | str) -> LabelMap:
        """Where the accepted and likely labels of a sample are, the strongest few of each part.

        Raises:
            NotFoundError: the sample is unknown or has no vectors yet.
        """
        board = self.board
        row = self._row(board, self.sample(sample).id)
        return localising.label_map(self.store, self.pipeline, self._part_lessons, board, row)

    def score_unseen(self, samples: Sequence[Any]) -> Float[np.ndarray, "n l"]:
        """Scores of pictures or texts that are in no project, columns in the order of `labels`."""
        with self.live.lock:
            board, learned = self.board, self.learned
        return score_unseen(self.pipeline, board, learned, self.live.room, samples)

    def neighbours(
        self,
        sample: int | str,
        k: int = 8,
        *,
        vectors: str | None = None,
        within: Sequence[int] | None = None,
    ) -> list[Hit]:
        """The samples most like this one, itself left out.

        Args:
            sample: id or name.
            k: the most to return.
            vectors: by the vectors of another model that were imported under this name.
            within: look at the samples with these ids only.

        Raises:
            NotFoundError: the sample is unknown, or has no vector of that name.
        """
        found = self.sample(sample)
        among = None if within is None else np.asarray(within, np.int64)
        if vectors is not None:
            ids, brought = self.store.brought_vectors.get(vectors)
            return nearest_brought(self.board, found, ids, brought, k, source=vectors, within=among)
        board = self.board
        row = board.row_of.get(found.id)
        if row is None or not board.encoded[row]:
            return []
        return self.live.finder.nearest(
            board, board.pooled[row], k, leave_out=found.id, within=among
        )

    def search(
        self,
        *,
        text: str | None = None,
        image: str | Path | bytes | None = None,
        region: Sequence[float] | None = None,
        sample: int | str | None = None,
        vectors: str | None = None,
        like: Sequence[int | str] = (),
        unlike: Sequence[int | str] = (),
        query: str | None = None,
        selection: Sequence[int | str] = (),
        k: int = 25,
        who: str | None = None,
        within: Sequence[int] | None = None,
    ) -> list[Hit]:
        """Search by text, by a picture from anywhere, by samples or by a formula over labels.

        Args:
            text: words to look for.
            image: a file or the bytes of one (image projects).
            region: x, y, w, h in 0..1 of the displayed picture; it is cut out first.
            sample: a sample of this project.
            vectors: search a sample by vectors that were imported under this name.
            like: several samples; what is like all of them together, themselves left out.
            unlike: beside `like`, samples that the results should not be like.
            query: a formula over labels, saved slices and words, such as `cat & ~dog` or
                `"red car" | @night`, see `backend/set_algebra.py`; a hit's score is the chance
                that it is true.
            selection: the samples that `@selection` means in a query.
            k: the most hits to return.
            who: a query takes for facts only the verdicts that this person may see.
            within: look at the samples with these ids only, as those that a filter leaves.

        Raises:
            BadInputError: nothing to search for was said, or several things, or this project
                cannot be searched by it, or the query is no formula over its labels.
            NotFoundError: a sample, or the vectors of that name, are not there.
        """
        named = {"text": text, "image": image, "sample": sample, "like": like or None}
        named["query"] = query
        asked = [name for name, value in named.items() if value is not None]
        if len(asked) > 1:
            raise BadInputError(f"search by one thing at a time, not by {' and '.join(asked)}")
        if unlike and not like:
            raise BadInputError("what is unlike some samples is like others; say which these are")
        if region is not None and asked not in (["image"], ["sample"]):
            raise BadInputError("a region is a part of an image or of a sample; name one of them")
        among = None if within is None else np.asarray(within, np.int64)
        if query is not None and vectors is None:
            chosen = [self.sample(i).id for i in selection]
            return self._by_formula(query, k, chosen, who=who, within=among)
        if like:
            ids, others = ([self.sample(i).id for i in given] for given in (like, unlike))
            if both := set(ids) & set(others):
                name = self.sample(min(both)).name
                raise BadInputError(f"{name} cannot be both like and unlike what is searched for")
            return self.live.finder.like(self.board, ids, k, unlike=others, within=among)
        if sample is not None and region is None:
            found = self.sample(sample)
            is_asked = within is None or found.id in within
            itself = [Hit(found.id, found.name, 1.0)] if is_asked else []
            others = self.neighbours(found.id, k - len(itself), vectors=vectors, within=within)
            return [*itself, *others][:k]
        if vectors is not None:
            raise BadInputError(f"{vectors!r} holds vectors of samples only; search it by a sample")
        if text is None and image is None and sample is None:
            raise BadInputError("say what to search for: a text, a picture, a sample or a query")
        if self.kind != Kind.IMAGE and text is None:
            raise BadInputError("this project holds texts; search it by text or by a sample")
        source = image if sample is None else self.store.media.path(self.sample(sample))
        vector = query_vector(self.pipeline.encoder, text=text, image=source, region=region)
        board = self.board
        hits = self.live.finder.nearest(board, vector, k, within=among)
        return [self._with_parts(board, hit, [vector]) for hit in hits]

    def formula(self, text: str) -> str:
        """How a search text is understood if it is a formula over labels; "" if it is words.

        Raises:
            BadInputError: it is a formula, but not a readable one over this project's labels.
        """
        board = self.board
        if not set_algebra.is_formula(text, board.labels, board.slices):
            return ""
        return set_algebra.printed(set_algebra.parse(text, board.labels, board.slices))

    def free_words(self, formula: str) -> list[str]:
        """What stands in a readable formula as free text, since no label is called so."""
        board = self.board
        return set_algebra.words_of(set_algebra.parse(formula, board.labels, board.slices))

    def _by_formula(
        self,
        query: str,
        k: int,
        selection: Sequence[int],
        *,
        who: str | None,
        within: Int[np.ndarray, " m"] | None,
    ) -> list[Hit]:
        board, pipeline = self.people.board_of(who), self.pipeline
        formula = set_algebra.parse(query, board.labels, board.slices)

        def word_chances(words: Sequence[str]) -> Float[np.ndarray, "n w"]:
            return self._word_chances.of(board, pipeline, words)

        hits = set_algebra.most_probable(
            board, formula, k, selection=selection, word_chances=word_chances, within=within
        )
        words = set_algebra.words_of(formula)
        vectors = dict(zip(words, self._word_chances.vectors(pipeline, words), strict=True))
        rows = [board.row_of[hit.sample] for hit in hits]
        atoms = set_algebra.present(board, formula, rows, word_chances=word_chances)
        shown = [
            [
                board.label_vectors[board.column_named[atom.label]]
                if isinstance(atom, Named)
                else vectors[atom.words]
                for atom in there
            ]
            for there in atoms
        ]
        return [self._with_parts(board, hit, asked) for hit, asked in zip(hits, shown, strict=True)]

    def _with_parts(self, board: Board, hit: Hit, asked: Sequence[np.ndarray]) -> Hit:
        """A hit with the parts that match one of several vectors."""
        if not asked or not board.encoded[board.row_of[hit.sample]]:
            return hit
        parts = self._parts_of(board, hit, self.pipeline.encoder.fingerprint)
        found = [part for vector in asked for part in matching_parts(parts, vector)]
        return replace(hit, parts=tuple(dict.fromkeys(found)))

    def brought(self) -> dict[str, list[str]]:
        """Names under which other models' `predictions` and `vectors` were imported."""
        vectors = self.store.brought_vectors.sources()
        return {"predictions": list(self.others.sources()), "vectors": vectors}

    def layout(self, sample: int | str) -> Layout:
        """Where the parts of an encoded sample are, as hits of a search number them."""
        content = self.sample(sample).content_hash
        return self.store.vectors.parts(content, self.pipeline.encoder.fingerprint)[1]

    def chances(self, ids: Iterable[int] | None = None) -> Float[np.ndarray, "n l"]:
        """Probability of each label per sample, or a logistic of the score before it is calibrated.

        Rows are in the order of `ids` (all samples by default), columns in that of `labels`; NaN
        where a sample is not encoded yet.
        """
        board = self.board
        rows = range(len(board.samples)) if ids is None else [self._row(board, i) for i in ids]
        rows = np.asarray(rows, np.int64)
        return np.where(board.encoded[rows, None], views.chances(board, rows), np.nan)

    # --- the map -----------------------------------------------------------------------------

    def map(self) -> MapPoints:
        """Where everything sits: PCA at once, the recipe's projection when its job is done."""
        board = self.board
        if self.live.learns and self.live.finder.needs_projection(board):
            self.project_soon()
        return self.live.finder.points(board)

    def captions(self, *, who: str | None = None) -> list[list[Caption]]:
        """What stands in the dense areas of `map`, coarse to fine; see `backend/captions.py`.

        With `who` by the verdicts that this person may see.
        """
        return self._captions.of(self.map(), self.people.board_of(who))

    def project(self) -> None:
        """Fit the recipe's projection now."""
        board = self.board
        self.live.finder.project(board)

    def project_soon(self) -> str:
        """The same as a job; returns its id."""

        def work(ticket: Ticket) -> None:
            ticket.progress(0, 1, "placing samples on the map")
            self.project()
            ticket.progress(1, 1, "")

        return self.jobs.submit("map", "Drawing the map", work, key="map")

    def inside(self, kind: str, x: Sequence[float], y: Sequence[float]) -> list[int]:
        """Ids of the samples in a box or lasso drawn on the map."""
        return inside(self.map(), kind, x, y)

    def colours(
        self,
        by: str,
        *,
        label: int | str | None = None,
        source: str | None = None,
        who: str | None = None,
    ) -> Float[np.ndarray, " n"]:
        """One number per point of `map`, for colouring.

        Args:
            by: "label" (probability, or a logistic of the score before it is calibrated), "doubt"
                (0 sure, 1 undecided) or "verdict" (1 YES, 0 NO, 0.5 UNSURE, NaN unknown; without a
                label the share of decided labels).
            label: the label; for doubt None means the most doubtful one of each sample.
            source: the other model for "brought" (its score of the label as 0..1) and "disagree"
                (how far it is from ours; without a label the furthest, without a source any).
            who: only verdicts that this person may see.
        """
        board = self.people.board_of(who)
        column = None if label is None else board.column_of[self.label(label).id]
        return views.colours(board, by, column, brought=self.others.brought(), source=source)

    def counted(self, *, who: str | None = None) -> dict[str, dict[str, int]]:
        """How many samples some filters find: on doubt, on other models and versions, on people.

        With `who` by the verdicts that this person may see.

        Returns:
            Kind -> filter -> samples; what finds none is left out.
        """
        board = self.people.board_of(who)
        found = model_filters.counted(board, self.others)
        people = agreeing.counted(board)
        return {**found, "people": people} if people else found

    # --- what to look at next ----------------------------------------------------------------

    def refresh(self, since: int, timeout: float = 1.0) -> int:
        """The version now; waits until it is above `since`, at most `timeout` seconds."""
        self.live.catch_up()
        return self.live.wait_beyond(since, timeout)

    def next(
        self, k: int = 20, *, picker: str | None = None, who: str | None = None
    ) -> list[QueueEntry]:
        """What to look at next, each with a reason; validation and test samples are left out.

        While people label blind, everybody (`who`) is asked for what they have not said themselves.
        """
        with self.live.lock:
            board, learned, seed = self.board, self.live.learned, self.live.offset
        rows = _askable(board)
        muted = self.packs.muted()
        columns = [c for c, label in enumerate(board.labels) if label.pack not in muted]
        name = picker or self.pipeline.recipe.methods["picker"]
        is_blind = who is not None and self.people.is_blind
        answered = self.people.decided_by(who or "") if is_blind else None
        table = picking.Table(board, rows, columns, answered=answered)
        method = self.pipeline.other_picker(picker)
        if "opinions" in needed_facts(method):
            lanes = learning.lane_logits(self.pipeline, board, learned)
            said = picking.opinions(table, self.others.brought(), lanes=lanes)
            table = replace(table, opinions=said)
        if "undecided" in needed_facts(method):
            certain = self.certainty.sets()
            if not certain.why and certain.state.shape == board.decided.shape:
                table = replace(table, undecided=(certain.state == 0)[rows][:, columns])
        encoder = self.pipeline.encoder.fingerprint

        def parts(chosen: Sequence[int]) -> list[np.ndarray]:
            hashes = [board.samples[rows[row]].content_hash for row in chosen]
            return [self.store.vectors.parts(each, encoder)[0] for each in hashes]

        return picking.queue(table, method, name, k=k, seed=seed, parts=parts)

    def forecast(self) -> Forecast:
        """What the next answers will probably bring, by the versions so far; one look a version."""
        known = self._forecast
        if known is None or known[0] != self.version:
            steps = [s for s in self.versions() if s.recipe == self.pipeline.fingerprint]
            spaced = picking.spaced([step.offset for step in steps])
            points = self.packs.curve(only={steps[at].version for at in spaced})
            told = [(float(p.offset), p.mAP) for p in points if p.mAP is not None]
            table = np.array(told, float).reshape(-1, 2)
            known = self._forecast = (self.version, picking.forecast(table[:, 0], table[:, 1]))
        return known[1]

    def disagreements(self, k: int = 20) -> list[QueueEntry]:
        """Samples on which an imported model and ours are furthest apart, undecided labels only."""
        board = self.board
        rows = _askable(board)
        found = views.disagreements(board, self.others.brought(), rows, k)
        at = board.samples
        return [QueueEntry(at[r].id, at[r].name, "disagree", why, gap) for r, why, gap in found]

    # --- how good it is ----------------------------------------------------------------------

    def evaluate(
        self,
        split: str = "held-back",
        *,
        truth: Mapping[tuple[int, int], Verdict] | None = None,
        filters: Sequence[str] = (),
        unknown: str = "masked",
    ) -> Evaluation:
        """Quality on decided pairs of a split, or on `truth`, which is not stored.

        Args:
            split: "held-back", "train", "val" or "test".
            truth: (sample id, label id) -> verdict, in place of the project's own.
            filters: only samples that match all of these; see `backend/slices.py`.
            unknown: what an undecided pair is; see `Evaluation`.

        Raises:
            MissingTruthError: nothing is decided there.
            BadInputError: an unknown split or filter.
        """
        self.live.resync()
        asked = Question(split, tuple(filters), unknown)
        comparison = self.evaluator.compare(asked, truth=truth)
        board = self.board
        rows = np.isin([sample.id for sample in board.samples], comparison.table.ids)
        pairs = truth if truth is not None else views.looked_at(board)
        coverage, size = self.certainty.measured(pairs, rows)
        result = replace(comparison.evaluation(), coverage=coverage, mean_set_size=size)
        if result.n == 0:
            where = "the file" if truth is not None else f"the {split} samples"
            where += " in this slice" if filters else ""
            raise MissingTruthError(
                f"there is nothing to evaluate: no encoded sample of {where} has a YES or NO; "
                "label some samples first or give a file of verdicts"
            )
        return result

    def truth_from(self, rows: Iterable[Mapping[str, object]]) -> dict[tuple[int, int], Verdict]:
        """Rows as in `correct`, by name or id, as truth for one evaluation."""
        new = self._new_corrections(list(rows), None)
        return {
            (c.sample, c.label): c.verdict
            for c in new
            if isinstance(c, NewCorrection) and c.verdict is not None
        }

    # --- inside ------------------------------------------------------------------------------

    def _row(self, board: Board, sample: int) -> int:
        row = board.row_of.get(sample)
        if row is None:
            raise NotFoundError(f"there is no sample {sample} in {self.name}")
        return row

    def _parts_of(self, board: Board, hit: Hit, fingerprint: str) -> np.ndarray:
        content = board.samples[board.row_of[hit.sample]].content_hash
        return self.store.vectors.parts(content, fingerprint)[0]

    def _new_corrections(
        self, rows: Sequence[Mapping[str, object]], who: str | None, op: str | None = None
    ) -> list[NewCorrection | NewMark]:
        """Rows as in `correct`, by name or id, as `who` sees what is decided.

        A sample that is complete has nothing more to decide where its action `op` is repeated.
        """
        board = self.live.board_to_decide_on()
        completes = any(row.get("complete") is True for row in rows)
        is_repeated = (
            completes
            and op is not None
            and who is not None
            and self.store.log.receipt(op, who=who) is not None
        )
        return log_rows(
            rows,
            sample_of=partial(self._sample_on, board),
            label_of=partial(self._label_on, board),
            labels=() if is_repeated else board.labels,
            seen=partial(self._decided_on, board, who),
        )

    def _with_what_is_there(
        self, rows: Sequence[Mapping[str, object]]
    ) -> list[Mapping[str, object]]:
        """Rows as in `correct` without those whose sample or label is not there (any more)."""
        board = self.live.board_to_decide_on()
        asked = list(answers(rows))
        gone_samples = _not_found(partial(self._sample_on, board), {one.sample for one in asked})
        labels = {one.label for one in asked if one.label is not None}
        gone_labels = _not_found(partial(self._label_on, board), labels)
        return [
            row
            for row, one in zip(rows, asked, strict=True)
            if one.sample not in gone_samples and one.label not in gone_labels
        ]

    def _decided_on(self, board: Board, who: str | None, sample: int) -> dict[int, Verdict]:
        """What is decided of a sample, as a person sees it (None: as it counts)."""
        if who is None:
            return views.verdicts_by_sample(board, [sample])[sample]
        return seen_by(board, who, is_blind=self.people.is_blind, ids=[sample])[sample]

    def _sample_on(self, board: Board, wanted: int | str) -> Sample:
        """One sample by id or name, as a board knows it; else as it is stored."""
        known = board.row_of if isinstance(wanted, int) else board.row_named
        row = known.get(wanted)  # pyright: ignore[reportArgumentType]
        return self.store.find(wanted) if row is None else board.samples[row]

    def _label_on(self, board: Board, wanted: int | str) -> Label:
        """One label by id, name or alias, as a board knows it; else as it is stored."""
        known = board.column_of if isinstance(wanted, int) else board.column_named
        column = known.get(wanted)  # pyright: ignore[reportArgumentType]
        return self.store.find_label(wanted) if column is None else board.labels[column]


def _not_found(find: Callable[[int | str], object], wanted: Iterable[int | str]) -> set[int | str]:
    """Those ids and names that `find` does not know."""
    missing: set[int | str] = set()
    for one in wanted:
        try:
            find(one)
        except NotFoundError:
            missing.add(one)
    return missing


def _askable(board: Board) -> Int[np.ndarray, " r"]:
    """Rows that a queue may show: encoded training samples outside the drawer."""
    asked = np.array([sample.split == Split.TRAIN for sample in board.samples], bool)
    return np.flatnonzero(board.encoded & asked & ~board.in_drawer)
