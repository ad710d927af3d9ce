"""One open project: add, suggest, explain, correct, learn, pick, search, export.

The workbench keeps the project's board (rows, columns, scores) in memory, appends every correction
to the log before it answers, and folds new verdicts in on a thread of its own when it serves a
screen. It is safe to call from many threads; whatever takes long is a job.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Condition, RLock, Thread
from typing import Any
from uuid import uuid4

import numpy as np
from jaxtyping import Float
from PIL import Image

from backend import catalogue, encoding, intake, learning, replay, views
from backend.board import Board
from backend.contracts import Encoder
from backend.errors import (
    BadInputError,
    BusyError,
    MissingTruthError,
    NotFoundError,
    PatchlaneError,
)
from backend.finding import Finder, inside, matching_parts, query_vector
from backend.jobs import Jobs, Ticket
from backend.lane_room import LaneRoom
from backend.learning import Learned
from backend.numerics.leftover import unclaimed
from backend.packs import Packs
from backend.pipeline import DeferredEncoder, EncoderFacts, Pipeline, load_encoder
from backend.recipes import load_recipe
from backend.scorecard import evaluation
from backend.settings import Settings
from backend.store.corrections import NewCorrection
from backend.store.project import ProjectStore
from backend.store.token_cache import TokenCache
from backend.types import (
    Correction,
    Evaluation,
    Explanation,
    ExportReport,
    ExportRow,
    ExportSource,
    Hit,
    ImportReport,
    Kind,
    Label,
    Layout,
    LearnReport,
    LearnStep,
    MapPoints,
    Progress,
    QueueEntry,
    Receipt,
    Sample,
    SampleSuggestions,
    Split,
    Verdict,
)

log = logging.getLogger("patchlane.workbench")

LOOK_EVERY = 10
"""Rows of the log between two looks at whether a lane should be trained."""

SHOW_ENCODED = 4.0
"""Seconds between looks at what an encode job has stored so far."""


@dataclass(frozen=True)
class ProjectInfo:
    """A project at a glance."""

    name: str
    path: Path
    kind: Kind
    encoder: str
    samples: int
    encoded: int
    labels: int
    verdicts: int
    version: int
    offset: int
    modified: float


class Workbench:
    """One open project.

    Args:
        store: the project's memory.
        settings: device, engine, limits.
        learns: fold corrections in by itself, as a screen wants; a script calls `learn`.
        encoder: the project's encoder, where it is loaded already.
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
        self._lock = RLock()
        self._news = Condition(self._lock)
        # Taken in this order where more than one is held: learning, syncing, lock.
        self._learning = RLock()
        self._syncing = RLock()
        self._recipe = load_recipe(str(store.get("recipe", "default")))
        self._pipeline = self._build_pipeline(encoder)
        self.room = self._new_room()
        self._board = self._empty_board(int(str(store.get("split_seed", 0))))
        self._learned = learning.start(self._pipeline)
        self._scored: Learned | None = None
        """The version that the board's logits are of; None after rows, columns or lanes changed."""
        self._offset = 0
        self._stamp: object = None
        self._brought: tuple[object, dict[tuple[int, int, str], float]] | None = None
        self._rivals: tuple[str, ...] = ()
        self._finder = Finder(self._pipeline, self.path / "cache")
        self._owner = uuid4().hex
        learns = learns and not store.is_read_only
        self._learns = learns
        self.packs = Packs(self)
        self._counted = -LOOK_EVERY
        self._closing = False
        self._is_restored = True
        self._wake = learns
        self._load()
        self._thread = Thread(target=self._fold_loop, name="fold-in", daemon=True)
        self._warming = Thread(target=self._warm_up_quietly, name="warm-up", daemon=True)
        if learns:
            self._thread.start()
            self._warming.start()
            if self.num_encoded < len(self._board.samples):
                self.encode_soon()
            self.packs.resume()
        self._complete_lanes()

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
        return str(self.store.get("encoder"))

    @property
    def version(self) -> int:
        """The newest learned version; 0 before anything was learned."""
        return self._learned.version

    @property
    def offset(self) -> int:
        """The log offset that this workbench has seen."""
        return self._offset

    @property
    def num_encoded(self) -> int:
        """Samples that have vectors."""
        return int(self._board.encoded.sum())

    def info(self) -> ProjectInfo:
        """Counts for a list of projects."""
        with self._lock:
            return ProjectInfo(
                name=self.name,
                path=self.path,
                kind=self.kind,
                encoder=self.encoder_id,
                samples=len(self._board.samples),
                encoded=self.num_encoded,
                labels=len(self._board.labels),
                verdicts=len(self._board.verdicts),
                version=self.version,
                offset=self._offset,
                modified=self.path.stat().st_mtime,
            )

    # --- what is in it -----------------------------------------------------------------------

    def samples(self, ids: Iterable[int] | None = None) -> list[Sample]:
        """Live samples in order, or those with the given ids."""
        with self._lock:
            if ids is None:
                return list(self._board.samples)
            return [self._board.samples[self._row(i)] for i in ids]

    def sample(self, id_or_name: int | str) -> Sample:
        """One sample by id, name or unique basename."""
        with self._lock:
            known = self._board.row_of if isinstance(id_or_name, int) else self._board.row_named
            row = known.get(id_or_name)  # pyright: ignore[reportArgumentType]
            if row is not None:
                return self._board.samples[row]
        return self.store.find(id_or_name)

    def labels(self) -> list[Label]:
        """Live labels in order."""
        with self._lock:
            return list(self._board.labels)

    def label(self, id_or_name: int | str) -> Label:
        """One label by id, name or alias."""
        with self._lock:
            known = (
                self._board.column_of if isinstance(id_or_name, int) else self._board.column_named
            )
            column = known.get(id_or_name)  # pyright: ignore[reportArgumentType]
            if column is not None:
                return self._board.labels[column]
        return self.store.find_label(id_or_name)

    def add_labels(
        self, names: Sequence[str], *, pack: str = "main", who: str = "me"
    ) -> list[Label]:
        """Add labels; suggestions for them work at once, from their names."""
        added = self.store.add_labels(names, pack=pack, who=who)
        self._resync()
        return added

    def rename_label(self, label: int | str, new: str, *, who: str = "me") -> None:
        """Give a label another name; its verdicts stay."""
        self.store.rename_label(self.label(label).id, new, who=who)
        self._resync()

    def merge_labels(self, source: int | str, into: int | str, *, who: str = "me") -> None:
        """Move a label's verdicts to another label and remove it; one undo takes it back."""
        self.store.merge_labels(self.label(source).id, self.label(into).id, who=who)
        self._resync()

    def describe_label(
        self,
        label: int | str,
        *,
        definition: str | None = None,
        aliases: Sequence[str] | None = None,
        colour: str | None = None,
        key: str | None = None,
        who: str = "me",
    ) -> None:
        """Change what is written about a label; None leaves a field as it is."""
        self.store.describe_label(
            self.label(label).id,
            definition=definition,
            aliases=aliases,
            colour=colour,
            key=key,
            who=who,
        )
        self._resync()

    def set_parent(self, label: int | str, parent: int | str | None, *, who: str = "me") -> None:
        """Put a label below another one, or at the top."""
        above = None if parent is None else self.label(parent).id
        self.store.set_parent(self.label(label).id, above, who=who)
        self._resync()

    def remove_label(self, label: int | str, *, who: str = "me") -> None:
        """Remove a label; undo brings it back with its verdicts until `compact`."""
        self.store.remove_label(self.label(label).id, who=who)
        self._resync()

    def remove_samples(
        self, ids: Sequence[int | str], *, who: str = "me", op: str | None = None
    ) -> Receipt:
        """Remove samples; undo brings them back until `compact`."""
        wanted = [i if isinstance(i, int) else self.sample(i).id for i in ids]
        receipt = self.store.remove_samples(wanted, who=who, op=op)
        self._resync()
        return receipt

    def compact(self) -> None:
        """Forget for good what was removed."""
        self.store.compact()
        self._resync()

    def media(self, sample: int | str, *, size: int | None = None) -> tuple[Path, str, str]:
        """A file to send: path, content type, etag; `size` asks for a thumbnail."""
        return self.store.media.served(self.sample(sample), size=size)

    # --- taking in ---------------------------------------------------------------------------

    def preview(self, path: str | Path, *, format: str = "auto") -> intake.ImportPreview:
        """What `add` would understand; stores nothing."""
        return intake.preview(Path(path), settings=self.settings, format=format)

    def add(
        self,
        path: str | Path,
        *,
        format: str = "auto",
        link: bool = False,
        on_conflict: str = "keep",
        unlisted: str = "unknown",
        create_labels: bool = False,
        follow_links: bool = False,
        who: str = "me",
        progress: Progress | None = None,
        encode: bool = True,
    ) -> ImportReport:
        """Import a folder, archive or file; whatever cannot be taken is reported by name.

        Args:
            path: what to read.
            format: a reader's name, or "auto" to look at the content.
            link: leave media where they are instead of copying them.
            on_conflict: "keep" the verdict that is there, "replace" it, or keep "both".
            unlisted: what a label means that a source listing only presence leaves out.
            create_labels: add labels that are not in the project yet.
            follow_links: follow symbolic links inside a folder.
            who: whose import it is.
            progress: called with (done, total, note).
            encode: compute vectors from the same decoded pictures; else call `encode_soon`.
        """
        encoder = self._pipeline.encoder
        _, found = intake.reading(
            Path(path), format=format, settings=self.settings, follow_links=follow_links
        )
        with encoding.StreamEncoder(encoder, self.store.vectors, self._tokens()) as stream:
            report = self.store.take(
                found,
                who=who,
                source=f"import:{Path(path).name}",
                link=link,
                on_conflict=on_conflict,
                unlisted=unlisted,
                create_labels=create_labels,
                at_least=encoder.input_size,
                on_content=stream.accept if encode else None,
                progress=progress,
            )
        self._resync()
        return report

    def encode(self, *, progress: Progress | None = None) -> int:
        """Compute the vectors that are missing; returns how many samples were encoded.

        What is encoded can be seen and labelled while the rest is on its way.
        """
        shown = time.monotonic()

        def step(done: int, total: int, note: str) -> None:
            nonlocal shown
            if progress is not None:
                progress(done, total, note)
            if done < total and time.monotonic() - shown > SHOW_ENCODED:
                self._resync()
                shown = time.monotonic()

        count = encoding.encode_missing(
            self.store,
            self._pipeline.encoder,
            self.samples(),
            tokens=self._tokens(),
            progress=step,
        )
        self._resync()
        if not self._is_restored:
            self._load()  # the version waited for its vectors
        self._complete_lanes()
        self.wake()  # for verdicts on what had no vectors
        return count

    def encode_soon(self) -> str:
        """The same as a job; returns its id."""

        def work(ticket: Ticket) -> None:
            self.encode(progress=ticket.progress)

        return self.jobs.submit("encode", "Reading samples", work, key="encode")

    # --- look --------------------------------------------------------------------------------

    def suggest(self, ids: Iterable[int | str] | None = None) -> list[SampleSuggestions]:
        """All suggestions of the given samples (all by default), best first."""
        wanted = None if ids is None else [self.sample(i).id for i in ids]
        with self._lock:
            board = self._board
            rows = range(len(board.samples)) if wanted is None else map(self._row, wanted)
            brought = self._brought_scores()
            return [
                views.suggestions_of(
                    board, row, version=self.version, encoder=self.encoder_id, brought=brought
                )
                for row in rows
            ]

    def explain(
        self, sample: int | str, *, label: int | str | None = None, with_lanes: bool = False
    ) -> Explanation:
        """Which part carries which label; with lanes also where each pack's lane looked.

        Raises:
            NotFoundError: the sample is unknown or has no vectors yet.
        """
        found = self.sample(sample)
        chosen = None if label is None else self.label(label).id
        with self._lock:
            board = self._board
            row = self._row(found.id)
            columns = [board.column_of[chosen]] if chosen else list(range(len(board.labels)))
        if not board.encoded[row]:
            raise NotFoundError(
                f"{found.name} is not encoded yet; wait for its job or run `encode`"
            )
        if not columns:
            raise NotFoundError("this project has no labels yet; add one to see where it is")
        parts, layout = self.store.vectors.parts(
            found.content_hash, self._pipeline.encoder.fingerprint
        )
        alignment = self._pipeline.align(parts, board.label_vectors[columns])
        backward = alignment.backward[0]
        entropy = -(backward * np.log(np.maximum(backward, 1e-12))).sum(axis=0)
        temperature = getattr(
            getattr(self._pipeline.aligner, "settings", None), "temperature", None
        )
        claiming = board.claimers(row) if chosen is None else np.zeros(1, bool)
        return Explanation(
            sample=found.id,
            name=found.name,
            labels=tuple(board.labels[column].name for column in columns),
            forward=alignment.forward[0],
            backward=backward,
            plan=alignment.plan[0],
            similarity=alignment.similarity[0],
            scores=np.nan_to_num(board.logits[row, columns]),
            spread=(entropy / np.log(max(len(parts), 2))).astype(np.float32),
            layout=layout,
            version=self.version,
            lanes=self._looks(board, row, columns, len(parts)) if with_lanes else {},
            temperature=temperature,
            unclaimed=None
            if chosen is not None
            else unclaimed(
                alignment.similarity[:, :, claiming],
                np.full((1, len(parts)), 1 / len(parts), np.float32),
                temperature or self._pipeline.scale.temperature,
            )[0],
            claimers=tuple(board.labels[k].name for k in np.flatnonzero(claiming)),
        )

    def neighbours(self, sample: int | str, k: int = 8, *, vectors: str | None = None) -> list[Hit]:
        """The samples most like this one, itself left out.

        Args:
            sample: id or name.
            k: the most to return.
            vectors: by the vectors of another model that were imported under this name.

        Raises:
            NotFoundError: the sample is unknown, or has no vector of that name.
        """
        found = self.sample(sample)
        if vectors is not None:
            return self._brought_neighbours(found, k, vectors)
        with self._lock:
            board = self._board
        row = board.row_of.get(found.id)
        if row is None or not board.encoded[row]:
            return []
        return self._finder.nearest(board, board.pooled[row], k, leave_out=found.id)

    def search(
        self,
        *,
        text: str | None = None,
        image: str | Path | bytes | None = None,
        region: Sequence[float] | None = None,
        sample: int | str | None = None,
        vectors: str | None = None,
        like: Sequence[int | str] = (),
        k: int = 25,
    ) -> list[Hit]:
        """Search by text, by a picture from anywhere, or by samples; a region cuts one out first.

        Args:
            text: words to look for.
            image: a file or the bytes of one (image projects).
            region: x, y, w, h in 0..1 of the displayed picture.
            sample: a sample of this project.
            vectors: search a sample by vectors that were imported under this name.
            like: several samples; what is like all of them together, themselves left out.
            k: the most hits to return.
        """
        if like:
            return self._like([self.sample(i).id for i in like], k)
        if sample is not None and region is None:
            found = self.sample(sample)
            self_hit = Hit(found.id, found.name, 1.0)
            return [self_hit, *self.neighbours(found.id, k - 1, vectors=vectors)][:k]
        if vectors is not None:
            raise BadInputError(f"{vectors!r} holds vectors of samples only; search it by a sample")
        if text is None and image is None and sample is None:
            raise BadInputError("say what to search for: a text, a picture or a sample")
        if self.kind != Kind.IMAGE and text is None:
            raise BadInputError("this project holds texts; search it by text or by a sample")
        source = image if sample is None else self.store.media.path(self.sample(sample))
        query = query_vector(self._pipeline.encoder, text=text, image=source, region=region)
        with self._lock:
            board = self._board
        hits = self._finder.nearest(board, query, k)
        fingerprint = self._pipeline.encoder.fingerprint
        return [
            replace(hit, parts=matching_parts(self._parts_of(board, hit, fingerprint), query))
            for hit in hits
        ]

    def brought(self) -> dict[str, list[str]]:
        """Names under which other models' `predictions` and `vectors` were imported."""
        self._brought_scores()
        return {"predictions": list(self._rivals), "vectors": self.store.brought_vectors.sources()}

    def layout(self, sample: int | str) -> Layout:
        """Where the parts of an encoded sample are, as hits of a search number them."""
        content = self.sample(sample).content_hash
        return self.store.vectors.parts(content, self._pipeline.encoder.fingerprint)[1]

    def chances(self, ids: Iterable[int] | None = None) -> Float[np.ndarray, "n l"]:
        """Probability of each label per sample, or a logistic of the score before it is calibrated.

        Rows are in the order of `ids` (all samples by default), columns in that of `labels`; NaN
        where a sample is not encoded yet.
        """
        with self._lock:
            board = self._board
            rows = np.arange(len(board.samples)) if ids is None else [self._row(i) for i in ids]
        rows = np.asarray(rows, np.int64)
        return np.where(board.encoded[rows, None], views.chances(board, rows), np.nan)

    def map(self) -> MapPoints:
        """Where everything sits: PCA at once, the recipe's projection when its job is done."""
        with self._lock:
            board = self._board
        if self._learns and self._finder.needs_projection(board):
            self.project_soon()
        return self._finder.points(board)

    def project(self) -> None:
        """Fit the recipe's projection now."""
        with self._lock:
            board = self._board
        self._finder.project(board)

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
        self, by: str, *, label: int | str | None = None, source: str | None = None
    ) -> Float[np.ndarray, " n"]:
        """One number per point of `map`, for colouring.

        Args:
            by: "label" (probability, or a logistic of the score before it is calibrated), "doubt"
                (0 sure, 1 undecided) or "verdict" (1 YES, 0 NO, 0.5 UNSURE, NaN unknown; without a
                label the share of decided labels).
            label: the label; for doubt None means the most doubtful one of each sample.
            source: the other model for "brought" (its score of the label as 0..1) and "disagree"
                (how far it is from ours; without a label the furthest, without a source any).
        """
        with self._lock:
            board = self._board
        column = None if label is None else board.column_of[self.label(label).id]
        return views.colours(board, by, column, brought=self._brought_scores(), source=source)

    # --- decide ------------------------------------------------------------------------------

    def correct(
        self,
        rows: Sequence[Mapping[str, object]],
        *,
        who: str = "me",
        op: str | None = None,
        seen_version: int | None = None,
    ) -> Receipt:
        """Store verdicts, durably, in one transaction; the answer comes after the commit.

        Args:
            rows: mappings `{"sample", "label", "verdict", "regions"?}` with verdict "yes", "no",
                "unsure" or None (unknown again), and `{"sample", "complete": true}`, which says
                NO to all labels of the sample that have no verdict.
            who: the person.
            op: an id of the action; the same id again is answered, not stored again.
            seen_version: the version the person saw.

        Raises:
            NotFoundError: a sample or label is unknown; nothing is stored.
            BadInputError: a verdict or region is not one; nothing is stored.
            SaveError: nothing was stored.
        """
        new = self._new_corrections(rows)
        version = self.version if seen_version is None else seen_version
        receipt = self.store.log.append(new, who=who, op=op, version=version)
        self._catch_up()
        return receipt

    def stored(self, op: str) -> tuple[Receipt, dict[tuple[int, int], Verdict]] | None:
        """The receipt of an action that is stored already, and what its pairs said before it."""
        receipt = self.store.log.receipt(op)
        if receipt is None:
            return None
        before = self.store.log.current(upto=receipt.offset - len(receipt.pairs))
        known = {pair: before[pair].verdict for pair in receipt.pairs if pair in before}
        return receipt, {pair: verdict for pair, verdict in known.items() if verdict is not None}

    def undo(
        self, who: str = "me", *, op: str | None = None, request: str | None = None
    ) -> Receipt | None:
        """Take back the newest action of a person (or a named one); None if there is none.

        Args:
            who: the person.
            op: the action to take back.
            request: an id of this undo; the same id again is answered, not done again.
        """
        receipt = self.store.log.undo(who, op=op, request=request)
        if receipt is not None:
            self._resync()
        return receipt

    def verdicts(self, ids: Iterable[int | str] | None = None) -> dict[int, dict[int, Verdict]]:
        """Current verdicts: sample id -> label id -> verdict."""
        wanted = None if ids is None else {self.sample(i).id for i in ids}
        out: dict[int, dict[int, Verdict]] = {i: {} for i in wanted or ()}
        with self._lock:
            for (sample, label), correction in self._board.verdicts.items():
                if correction.verdict is not None and (wanted is None or sample in wanted):
                    out.setdefault(sample, {})[label] = correction.verdict
        return out

    def refresh(self, since: int, timeout: float = 1.0) -> int:
        """The version now; waits until it is above `since`, at most `timeout` seconds."""
        self._catch_up()
        with self._news:
            self._news.wait_for(lambda: self._learned.version > since or self._closing, timeout)
            return self._learned.version

    def next(self, k: int = 20, *, picker: str | None = None) -> list[QueueEntry]:
        """What to look at next, each with a reason; validation and test samples are left out."""
        with self._lock:
            board, seed = self._board, self._offset
        asked = np.array([sample.split == Split.TRAIN for sample in board.samples], bool)
        rows = np.flatnonzero(board.encoded & asked)
        muted = self.packs.muted()
        columns = [c for c, label in enumerate(board.labels) if label.pack not in muted]
        method = self._pipeline.other_picker(picker)
        name = picker or self._pipeline.recipe.methods["picker"]
        found = method.pick(
            views.chances(board, rows)[:, columns],
            board.pooled[rows],
            board.decided[rows][:, columns],
            k=k,
            seed=seed,
            label_names=[board.labels[column].name for column in columns],
        )
        return [
            QueueEntry(
                sample=board.samples[rows[row]].id,
                name=board.samples[rows[row]].name,
                picker=name.split("/")[-1],
                reason=reason,
                score=float(score),
            )
            for row, score, reason in found
        ]

    def disagreements(self, k: int = 20) -> list[QueueEntry]:
        """Samples on which an imported model and ours are furthest apart, undecided labels only."""
        with self._lock:
            board = self._board
        asked = np.array([sample.split == Split.TRAIN for sample in board.samples], bool)
        rows = np.flatnonzero(board.encoded & asked)
        found = views.disagreements(board, self._brought_scores(), rows, k)
        at = board.samples
        return [QueueEntry(at[r].id, at[r].name, "disagree", why, gap) for r, why, gap in found]

    # --- learn -------------------------------------------------------------------------------

    def learn(self, *, until: float | None = None, progress: Progress | None = None) -> LearnReport:
        """Fold all corrections in and refine until converged; a no-op when nothing is new.

        Args:
            until: seconds after which no further round begins; None: until a round changes
                nothing. One round, which folds everything in, is always finished.
            progress: called with (done, total, note).

        Raises:
            BusyError: another process is writing versions of this project.
        """
        started = time.monotonic()
        self._resync()
        with self._learning:
            before, board = self._learned, self._board
            report = progress or (lambda *_: None)
            report(0, 1, "folding verdicts in")
            steps = done = self._fold_in()
            newest = self.store.versions.latest()
            is_new = newest is not None and newest.version == self.version > before.version
            from_version = newest.from_version if newest and is_new else before.version
            while done and (until is None or time.monotonic() - started < until):
                done = self._fold_in()
                steps += done
            report(1, 1, "")
        return LearnReport(
            version=self._learned.version,
            from_version=from_version,
            corrections=self._learned.offset - before.offset,
            steps=steps,
            seconds=time.monotonic() - started,
            changed=learning.changed_samples(board.logits, self._board.logits),
        )

    def versions(self) -> list[LearnStep]:
        """All learn steps, oldest first."""
        return self.store.versions.steps()

    def evaluate(
        self,
        split: str = "held-back",
        *,
        truth: Mapping[tuple[int, int], Verdict] | None = None,
    ) -> Evaluation:
        """Quality on decided pairs of a split, or on `truth`, which is not stored.

        Raises:
            MissingTruthError: nothing is decided there.
            BadInputError: an unknown split.
        """
        self._resync()
        with self._lock:
            board = self._board
        rows = views.rows_of_split(board, split) if truth is None else board.encoded
        pairs = truth if truth is not None else views.verdicts_of(board)
        result = evaluation(board, pairs, rows, split="file" if truth is not None else split)
        if result.n == 0:
            where = "the file" if truth is not None else f"the {split} samples"
            raise MissingTruthError(
                f"there is nothing to evaluate: no encoded sample of {where} has a YES or NO; "
                "label some samples first or give a file of verdicts"
            )
        return result

    def truth_from(self, rows: Iterable[Mapping[str, object]]) -> dict[tuple[int, int], Verdict]:
        """Rows as in `correct`, by name or id, as truth for one evaluation."""
        new = self._new_corrections(list(rows))
        return {(c.sample, c.label): c.verdict for c in new if c.verdict is not None}

    # --- take home ---------------------------------------------------------------------------

    def export(self, dest: str | Path, format: str = "jsonl") -> ExportReport:
        """Write samples, verdicts and regions from the log; says what the format cannot hold.

        The report's files are those of the folder itself; media lie in a folder below it.
        """
        names = [line.key.split("/")[1] for line in catalogue.entries("exporters")]
        key = {"csv": "csv_table"}.get(format, format)
        if key not in names:
            known = ", ".join(name.removesuffix("_table") for name in names)
            raise BadInputError(f"unknown format {format!r}; Patchlane exports {known}")
        self._resync()
        source, folder = self._export_source(), Path(dest)
        lost = catalogue.load(f"exporters/{key}")().write(source, folder)
        written = [row.verdicts for row in source.rows()]
        return ExportReport(
            files=tuple(sorted(path.name for path in folder.iterdir())),
            samples=len(written),
            annotations=sum(1 + len(c.regions) for row in written for c in row.values()),
            lost=lost,
        )

    def change_encoder(self, encoder_id: str, *, progress: Progress | None = None) -> int:
        """Use another encoder from now on: encodes everything again, keeps every verdict.

        Returns:
            The number of samples that were encoded.
        """
        encoder = load_encoder(encoder_id, self.settings)
        if encoder.kind != self.kind:
            raise BadInputError(
                f"{encoder_id} takes {encoder.kind}s; this project has {self.kind}s"
            )
        pipeline = Pipeline(self._recipe, encoder)
        count = encoding.encode_missing(
            self.store,
            encoder,
            self.samples(),
            tokens=self.store.tokens if pipeline.teacher is not None else None,
            progress=progress,
        )
        self.store.set("encoder", encoder_id)
        self.store.set("encoder_facts", EncoderFacts.of(encoder).as_json())
        with self._learning, self._syncing, self._lock:
            self._pipeline = pipeline
            self.room = self._new_room()
            self._finder = Finder(self._pipeline, self.path / "cache")
            self._board = self._empty_board(self._board.split_seed)
            self._learned = learning.start(self._pipeline)
            self._load()
        return count

    def change_encoder_soon(self, encoder_id: str) -> str:
        """The same as a job; returns its id."""

        def work(ticket: Ticket) -> None:
            self.change_encoder(encoder_id, progress=ticket.progress)

        return self.jobs.submit("encode", f"Changing the encoder to {encoder_id}", work)

    def warm_up(self, *, compiles: bool = False) -> None:
        """Load the encoder's weights ahead of the first search or import.

        Args:
            compiles: run it once as well, on the labels' names and a sample, so that its engines
                are compiled, which takes seconds.
        """
        encoder = self._pipeline.encoder
        if isinstance(encoder, DeferredEncoder):
            encoder.loaded()
        if compiles:
            names = [label.name for label in self.labels()]
            encoding.label_vectors(self.store.vectors, encoder, names or ["a"])
            encoder.encode([Image.new("RGB", (8, 8))] if self.kind == Kind.IMAGE else ["a"])

    def _warm_up_quietly(self) -> None:
        try:
            self.warm_up()
        except PatchlaneError as error:
            log.warning("the encoder cannot be loaded: %s", error)

    def close(self) -> None:
        """Stop the fold-in thread, finish or interrupt jobs, close the database."""
        with self._news:
            self._closing = True
            self._news.notify_all()
        for thread in (self._thread, self._warming):
            if thread.is_alive():
                thread.join()  # one that is torn down while it compiles ends the process
        self.jobs.close()
        self.store.close()

    # --- what packs need, see `packs.Bench` --------------------------------------------------

    @property
    def pipeline(self) -> Pipeline:
        """The chosen methods."""
        return self._pipeline

    @property
    def board(self) -> Board:
        """Rows, columns and scores as they are now; never changed in place."""
        with self._lock:
            return self._board

    @property
    def learned(self) -> Learned:
        """The live version."""
        return self._learned

    @contextmanager
    def learning(self) -> Generator[None]:
        """While held, no other step is made in this process."""
        with self._learning:
            yield

    def adopt(self, learned: Learned) -> None:
        """Make a stored version the live one; callers hold `learning`."""
        with self._syncing:
            board = self._board
            has_other_lanes = {lane.digest for lane in learned.lanes} != set(board.lane_cls)
            if has_other_lanes:
                board = self.room.filled(board, learned.lanes, is_reading=False)
            with self._lock:
                if has_other_lanes:
                    self._board = replace(board, verdicts=self._board.verdicts)
                    self._scored = None
                self._rescore(learned, only_changes=True)

    def fold_in(self) -> int:
        """Learn what is new in the log; callers hold `learning`."""
        return self._fold_in()

    def wake(self) -> None:
        """Look soon whether there is something to learn or to teach."""
        with self._news:
            self._counted = -LOOK_EVERY
            self._wake = True
            self._news.notify_all()

    def resync(self) -> None:
        """See what this or another process changed."""
        self._resync()

    # --- inside ------------------------------------------------------------------------------

    def _tokens(self) -> TokenCache | None:
        """Where what lanes read is kept while samples are encoded; None without lanes."""
        return None if self._pipeline.teacher is None else self.store.tokens

    def _looks(
        self, board: Board, row: int, columns: Sequence[int], num_parts: int
    ) -> dict[str, Float[np.ndarray, " p"]]:
        """Where the lanes of some labels look on a sample, by pack."""
        asked = {board.labels[column].id: board.labels[column].pack for column in columns}
        looks: dict[str, np.ndarray] = {}
        for lane in self._learned.lanes:
            packs = {asked[label] for label in lane.labels if label in asked}
            if lane.share and packs:
                found = self.room.look(board, lane, row, num_parts)
                if found is not None:
                    looks |= dict.fromkeys(packs, found)
        return looks

    def _new_room(self) -> LaneRoom:
        device = "cuda" if self.settings.device == "cuda" else "cpu"
        return LaneRoom(self.store, self._pipeline, device=device)

    def _empty_board(self, split_seed: int) -> Board:
        host = self._pipeline.host
        plain_dim = 0 if host is None else host.plain_dim
        return Board.empty(self._pipeline.encoder.dim, split_seed, plain_dim=plain_dim)

    def _build_pipeline(self, encoder: Encoder | None) -> Pipeline:
        encoder_id = self.encoder_id
        known: Any = self.store.get("encoder_facts")
        if known is None:
            encoder = encoder or load_encoder(encoder_id, self.settings)
            if not self.store.is_read_only:
                self.store.set("encoder_facts", EncoderFacts.of(encoder).as_json())
            return Pipeline(self._recipe, encoder)
        facts = EncoderFacts.from_json(dict(known))
        return Pipeline(
            self._recipe, DeferredEncoder(facts, lambda: load_encoder(encoder_id, self.settings))
        )

    def _load(self) -> None:
        """Read everything from the store: rows, columns, vectors, the newest version."""
        self._offset = 0
        self._resync(force=True)
        with self._learning:
            self._is_restored = replay.can_restore(self.store, self._pipeline, self._board)
            if self._is_restored:
                self._learned = replay.restore(self.store, self._pipeline, self._board, self.room)
                self._fill_lanes()
            self._rescore()

    def _fill_lanes(self) -> None:
        """What the lanes in use say of each sample, as far as it is stored or quick to have."""
        with self._syncing:
            board = self.room.filled(self._board, self._learned.lanes, is_reading=False)
            with self._lock:
                self._board = replace(board, verdicts=self._board.verdicts)
                self._scored = None

    def _complete_lanes(self) -> None:
        """Read samples again whose readings were evicted before a lane had seen them.

        With a screen this is a job; a script waits for it, a read-only project goes without.
        """
        board = self.board
        lacking = [cls for cls in board.lane_cls.values() if np.isnan(cls[board.encoded, 0]).any()]
        if not lacking or self.store.is_read_only:
            return

        def complete(progress: Progress | None) -> None:
            self.room.filled(self.board, self._learned.lanes, progress=progress)
            self._fill_lanes()
            self._rescore()

        def work(ticket: Ticket) -> None:
            complete(ticket.progress)

        if self._learns:
            self.jobs.submit("encode", "Reading samples for lanes", work, key="lanes")
            return
        try:
            complete(None)
        except PatchlaneError as error:
            log.warning("lanes have not seen all samples: %s", error)

    def _resync(self, *, force: bool = False) -> None:
        """See what this or another process changed: samples, labels, vectors, verdicts."""
        with self._syncing:
            self._stamp = self.store.revision
            board = self._board.resized(self.store.samples(), self.store.labels())
            # Reading the parts of thousands of samples takes seconds; nobody waits for it.
            board = encoding.filled(board, self._pipeline, self.store.vectors)
            board = self.room.filled(board, self._learned.lanes, is_reading=False)
            with self._lock:
                self._board = replace(board, verdicts=self._board.verdicts)
                self._scored = None
            self._finder.refresh(board)
        self._catch_up(force=True)
        if not force:
            self._rescore()

    def _catch_up(self, *, force: bool = False) -> None:
        """Take rows of the log that are newer than the board, whoever wrote them."""
        with self._news:
            if not force and self.store.revision != self._stamp:
                stale = True
            else:
                stale = False
                rows = self.store.log.since(self._offset)
                if rows:
                    verdicts = dict(self._board.verdicts)
                    for row in rows:
                        if row.verdict is None:
                            verdicts.pop((row.sample, row.label), None)
                        else:
                            verdicts[row.sample, row.label] = row
                    self._board = replace(self._board, verdicts=verdicts)
                    self._offset = rows[-1].offset
                    self._wake = True
                    self._news.notify_all()
                overtaken = replay.is_overtaken(self.store, self._pipeline, self._learned)
                if self._learns and not force and overtaken:
                    self._wake = True
                    self._news.notify_all()
        if stale:
            self._resync()

    def _fold_in(self) -> int:
        """One learn step up to the newest row of the log; returns the optimiser steps done."""
        if not self._is_restored:
            return 0  # the vectors it learned from are being computed again
        with self._lock:
            board, before, offset = self._board, self._learned, self._offset
        learned, steps = replay.next_version(
            self.store, self._pipeline, board, before, self.room, offset=offset, owner=self._owner
        )
        if learned is not before:
            self.adopt(learned)
        return steps

    def _rescore(self, learned: Learned | None = None, *, only_changes: bool = False) -> None:
        """Logits and probabilities of the board; whoever sees a version sees its scores.

        Args:
            learned: becomes the live version together with its scores; None keeps the live one.
            only_changes: of labels that learned something since the board was scored; rows,
                columns and lanes are still the same.
        """
        with self._news:
            learned = learned or self._learned
            scored = self._scored if only_changes else None
            logits, probabilities = learning.score(
                self._pipeline, self._board, learned, scored=scored
            )
            self._board = replace(self._board, logits=logits, probabilities=probabilities)
            self._learned = self._scored = learned
            self._news.notify_all()

    def _fold_loop(self) -> None:
        """Fold verdicts in as they come, until the project is closed."""
        while True:
            with self._news:
                self._news.wait_for(lambda: self._wake or self._closing)
                if self._closing:
                    return
                self._wake = False
            try:
                with self._learning:
                    self._fold_in()
                self._teach_when_due()
            except BusyError:
                self._try_again(0.2)  # another process learns; its version is taken over then
            except PatchlaneError as error:
                log.warning("verdicts are saved, but not learned yet: %s", error)
                self._try_again(5.0)
            except Exception:
                log.exception("folding verdicts in failed; they are saved and learned later")

    def _teach_when_due(self) -> None:
        """Submit the training of a lane whose pack has enough new verdicts.

        Counting is left out while few verdicts came: it looks at all of them.
        """
        if self._offset - self._counted < LOOK_EVERY:
            return
        busy = {job.kind for job in self.jobs.list() if job.state in ("queued", "running")}
        if busy & {"teach", "encode", "import"}:
            return  # looked at again with the next verdict
        self._counted = self._offset
        for pack in self.packs.due()[:1]:
            self.packs.teach_soon(pack, by_itself=True)

    def _try_again(self, seconds: float) -> None:
        """Wake the fold-in thread once more, unless the project is closed meanwhile."""
        with self._news:
            self._news.wait_for(lambda: self._closing, seconds)
            self._wake = True

    def _row(self, sample: int) -> int:
        row = self._board.row_of.get(sample)
        if row is None:
            raise NotFoundError(f"there is no sample {sample} in {self.name}")
        return row

    def _brought_scores(self) -> dict[tuple[int, int, str], float]:
        """Scores of other models, read anew when an import may have changed them."""
        if self._brought is None or self._brought[0] != self._stamp:
            self._brought = (self._stamp, self.store.predictions())
            self._rivals = tuple(sorted({source for _, _, source in self._brought[1]}))
        return self._brought[1]

    def _brought_neighbours(self, sample: Sample, k: int, source: str) -> list[Hit]:
        ids, vectors = self.store.brought_vectors.get(source)
        at = np.flatnonzero(ids == sample.id)
        if not len(at):
            raise NotFoundError(f"{source} brought no vector for {sample.name}")
        unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        similar = unit @ unit[at[0]]
        order = [i for i in np.argsort(-similar, kind="stable") if ids[i] != sample.id][:k]
        with self._lock:
            board = self._board
        return [
            Hit(int(ids[i]), board.samples[board.row_of[int(ids[i])]].name, float(similar[i]))
            for i in order
            if int(ids[i]) in board.row_of
        ]

    def _like(self, ids: Sequence[int], k: int) -> list[Hit]:
        """What is like the mean of several samples; without these samples."""
        with self._lock:
            board = self._board
        rows = [board.row_of[i] for i in ids if i in board.row_of]
        rows = [row for row in rows if board.encoded[row]]
        if not rows:
            return []
        mean = board.pooled[rows].mean(axis=0)
        mean /= max(float(np.linalg.norm(mean)), 1e-12)
        hits = self._finder.nearest(board, mean, k + len(rows))
        return [hit for hit in hits if hit.sample not in set(ids)][:k]

    def _parts_of(self, board: Board, hit: Hit, fingerprint: str) -> np.ndarray:
        content = board.samples[board.row_of[hit.sample]].content_hash
        return self.store.vectors.parts(content, fingerprint)[0]

    def _new_corrections(self, rows: Sequence[Mapping[str, object]]) -> list[NewCorrection]:
        new: list[NewCorrection] = []
        with self._lock:
            board = self._board
        for asked in intake.answers(rows):
            sample = self.sample(asked.sample)
            if asked.label is not None:
                label = self.label(asked.label)
                new.append(NewCorrection(sample.id, label.id, asked.verdict, asked.regions))
                continue
            decided = {pair for pair in board.verdicts if pair[0] == sample.id}
            decided |= {(row.sample, row.label) for row in new}
            new += [
                NewCorrection(sample.id, label.id, Verdict.NO)
                for label in board.labels
                if (sample.id, label.id) not in decided
            ]
        return new

    def _export_source(self) -> ExportSource:
        with self._lock:
            board = self._board
        by_sample: dict[int, dict[int, Correction]] = {}
        for (sample, label), correction in board.verdicts.items():
            if label in board.column_of:
                by_sample.setdefault(sample, {})[label] = correction
        return ExportSource(
            name=self.name,
            kind=self.kind,
            labels=board.labels,
            rows=lambda: (ExportRow(s, by_sample.get(s.id, {})) for s in board.samples),
            media=self.store.media.path,
            version=self.version,
        )
