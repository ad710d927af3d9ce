"""The open project in memory, kept in step with its log: rows, columns, scores, the live version.

Whoever appends to the log, this process or another one, `catch_up` takes it over; `fold_in` makes
the next version of what is new and `adopt` puts a version and its scores in place together. With a
screen a thread of its own does so for every new row. Nothing here answers a person: `workbench.py`
does, from the board.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from threading import Condition, RLock, Thread
from uuid import uuid4

import numpy as np

from backend import encoding, learning, replay
from backend.board import Board
from backend.contracts import Encoder
from backend.errors import BusyError, PatchlaneError
from backend.finding import Finder
from backend.jobs import Jobs, Ticket
from backend.lane_room import LaneRoom
from backend.layer_room import LayerRoom
from backend.learning import Learned
from backend.pipeline import DeferredEncoder, EncoderFacts, Pipeline, load_encoder
from backend.recipes import load_recipe
from backend.settings import Settings
from backend.store.project import ProjectStore
from backend.store.voices import Words
from backend.types import Progress

log = logging.getLogger("patchlane.live")

LOOK_EVERY = 10
"""Rows of the log between two looks at whether a lane should be trained."""


class Live:
    """Board and live version of one open project.

    Args:
        store: the project's memory.
        settings: device, engine.
        jobs: where long work goes.
        learns: fold what is new in the log in by itself, on a thread of its own.
        encoder: the project's encoder, where it is loaded already.

    Attributes:
        encoder_id: the encoder by the name that people use.
        pipeline: the chosen methods.
        board: rows, columns and scores as they are now; never changed in place.
        learned: the live version.
        offset: the log offset that the board has seen.
        stamp: the store's revision that the board is of.
        scoring: another text whenever the board's scores were worked out anew: with a version, and
            with vectors or lanes that came after it.
        finder: index and map over the board's rows.
        is_restored: False while the newest version waits for the vectors it learned from.
        lock: held for as long as several of these have to be of one moment.
    """

    def __init__(
        self,
        store: ProjectStore,
        settings: Settings,
        jobs: Jobs,
        *,
        learns: bool = False,
        encoder: Encoder | None = None,
    ):
        self.store = store
        self.settings = settings
        self.jobs = jobs
        self.learns = learns and not store.is_read_only
        # Taken in this order where more than one is held: learning, syncing, lock.
        self._learning = RLock()
        self._syncing = RLock()
        self.lock = RLock()
        self._news = Condition(self.lock)
        self._counted = -LOOK_EVERY
        self._closing = False
        self.is_restored = True
        self.scoring = ""
        self._wake = self.learns
        self._teach_due: Callable[[], None] = lambda: None
        self._taken_over: Callable[[], None] = lambda: None
        self._has_taken_over = False
        """Another process's encoder is the one here now, and nobody was told of it yet."""
        self._thread = Thread(target=self._fold_loop, name="fold-in", daemon=True)
        self._take(self._build_pipeline(encoder), int(str(store.get("split_seed", 0))))

    def start(self, teach_due: Callable[[], None], taken_over: Callable[[], None]) -> None:
        """Fold in what comes from now on.

        Args:
            teach_due: asked when verdicts grew in number.
            taken_over: called when another process's encoder was taken over.
        """
        self._teach_due, self._taken_over = teach_due, taken_over
        if self.learns:
            self._thread.start()

    def close(self) -> None:
        """Stop the thread; waiting readers are let go."""
        with self._news:
            self._closing = True
            self._news.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    # --- see what is new ---------------------------------------------------------------------

    def resync(self) -> None:
        """See what this or another process changed: samples, labels, vectors, verdicts, encoder."""
        if not self.board.samples:
            self.store.see_kind()
        if self._is_other_encoder():
            with self._learning, self._syncing, self.lock:
                if self._is_other_encoder():  # nobody else has taken it over meanwhile
                    self._has_taken_over = True
                    self._take(self._build_pipeline(None), self.board.split_seed)
        self._see_store()
        self._rescore()
        if self._has_taken_over:  # also where it could not be read the first time
            self._has_taken_over = False
            self._taken_over()

    def catch_up(self, *, force: bool = False) -> None:
        """Take rows of the log that are newer than the board, whoever wrote them.

        Args:
            force: the store was looked at just now; do not look for other changes.
        """
        self._take_rows(None if force else self.store.revision, looks=not force)

    def _take_rows(self, revision: int | None, *, looks: bool) -> None:
        """Take new rows, and all that changed where the store is at another `revision`.

        Args:
            revision: of the store, looked at just now; None leaves other changes.
            looks: whether another process made a newer version.
        """
        with self._news:
            is_stale = revision not in (None, self.stamp, self._seeing)
            rows = self.store.log.since(self.offset)
            if rows:
                board, words = self.board, Words()
                if self.offset:
                    words = Words(dict(board.verdicts), dict(board.said))
                for row in rows:
                    words.take(row, start=self._people_from)
                self.board = replace(self.board, verdicts=words.verdicts, said=words.said)
                self.offset = rows[-1].offset
                self._wake = True
                self._news.notify_all()
            looks &= self.learns and not is_stale
            if looks and replay.is_overtaken(self.store, self.pipeline, self.learned):
                self._wake = True
                self._news.notify_all()
        if is_stale:
            self.resync()

    def board_to_decide_on(self) -> Board:
        """The board with rows, columns and verdicts as they are stored now, for new verdicts.

        Names are looked up in it and samples completed by it. Where vectors or an encoder cannot be
        read, or are being read by somebody else, it has no scores: what people say is saved all the
        same.
        """
        revision = self.store.revision
        try:
            self._take_rows(revision, looks=False)
        except Exception:
            log.exception("what is new cannot be scored; verdicts are saved all the same")
        with self.lock:
            if self.stamp is not None and self.stamp >= revision:  # it only grows
                return self.board
            board = self.board
        words = self.store.log.words()
        board = board.resized(self.store.samples(), self.store.labels())
        return replace(board, verdicts=words.verdicts, said=words.said)

    def see_stored(self, *, changes: bool = False) -> None:
        """Take over what this process has just stored; it stays stored if that fails.

        Args:
            changes: samples or labels may have changed, too.
        """
        try:
            if changes:
                self.resync()
            else:
                self.catch_up()
        except Exception:
            log.exception("it is saved, but not taken over yet; that is tried again")

    def wait_beyond(self, version: int, timeout: float) -> int:
        """The live version; waits until it is above `version`, at most `timeout` seconds."""
        with self._news:
            self._news.wait_for(lambda: self.learned.version > version or self._closing, timeout)
            return self.learned.version

    def load(self) -> None:
        """Read everything from the store: rows, columns, vectors, the newest version."""
        self.offset = 0
        self._see_store()
        with self._learning:
            self.is_restored = replay.can_restore(self.store, self.pipeline, self.board)
            if self.is_restored:
                self.learned = replay.restore(self.store, self.pipeline, self.board, self.room)
                self._fill_lanes()
            self._rescore()

    # --- make the next version ---------------------------------------------------------------

    @contextmanager
    def learning(self) -> Generator[None]:
        """While held, no other step is made in this process."""
        with self._learning:
            yield

    def fold_in(self, weighing: replay.Weighing | None = None) -> int:
        """One learn step up to the newest row of the log; callers hold `learning`.

        Args:
            weighing: labels to learn in the same step since it is known better whom to trust.

        Returns:
            The optimiser steps done.
        """
        if not self.is_restored:
            return 0  # the vectors it learned from are being computed again
        with self.lock:
            board, before, offset = self.board, self.learned, self.offset
        learned, steps = replay.next_version(
            self.store,
            self.pipeline,
            board,
            before,
            self.room,
            offset=offset,
            weighing=weighing,
        )
        if learned is not before:
            self.adopt(learned)
        return steps

    def adopt(self, learned: Learned) -> None:
        """Make a stored version the live one; callers hold `learning`."""
        with self._syncing:
            board = self.board
            has_other_lanes = {lane.digest for lane in learned.lanes} != set(board.lane_cls)
            if has_other_lanes:
                board = self.room.filled(board, learned.lanes, is_reading=False)
            with self.lock:
                if has_other_lanes:
                    self.board = _with_words(board, self.board)
                    self._scored = None
                self._rescore(learned, only_changes=True)

    def wake(self) -> None:
        """Look soon whether there is something to learn or to teach."""
        with self._news:
            self._counted = -LOOK_EVERY
            self._wake = True
            self._news.notify_all()

    def change_encoder(self, pipeline: Pipeline) -> None:
        """Begin again with the pipeline of another encoder whose vectors are stored already."""
        with self._learning, self._syncing, self.lock:
            self._take(pipeline, self.board.split_seed)

    def complete_lanes(self) -> None:
        """Read samples again whose readings were evicted before a lane had seen them.

        With a screen this is a job; a script waits for it, a read-only project goes without.
        """
        board = self.board
        lacking = [cls for cls in board.lane_cls.values() if np.isnan(cls[board.encoded, 0]).any()]
        if not lacking or self.store.is_read_only:
            return

        def complete(progress: Progress | None) -> None:
            self.room.filled(self.board, self.learned.lanes, progress=progress)
            self._fill_lanes()
            self._rescore()

        def work(ticket: Ticket) -> None:
            complete(ticket.progress)

        if self.learns:
            self.jobs.submit("encode", "Reading samples for lanes", work, key="lanes")
            return
        try:
            complete(None)
        except PatchlaneError as error:
            log.warning("lanes have not seen all samples: %s", error)

    # --- inside ------------------------------------------------------------------------------

    def _build_pipeline(self, encoder: Encoder | None) -> Pipeline:
        """The recipe made alive; weights are read later where the project knows their facts."""
        store, settings = self.store, self.settings
        recipe = load_recipe(str(store.get("recipe", "default")))
        encoder_id, known = store.encoder()
        if known is None:
            encoder = encoder or load_encoder(encoder_id, settings)
            if not store.is_read_only:
                store.set("encoder_facts", EncoderFacts.of(encoder).as_json())
            return Pipeline(recipe, encoder)
        facts = EncoderFacts.from_json(known)
        return Pipeline(recipe, DeferredEncoder(facts, lambda: load_encoder(encoder_id, settings)))

    def _is_other_encoder(self) -> bool:
        """Whether the project was given another encoder than this one has, by another process."""
        encoder_id, facts = self.store.encoder()
        if facts is None:
            return False
        return (encoder_id, facts["fingerprint"]) != (
            self.encoder_id,
            self.pipeline.encoder.fingerprint,
        )

    def _take(self, pipeline: Pipeline, split_seed: int) -> None:
        """Everything that hangs on the pipeline, made anew and read from the store."""
        plain_dim = 0 if pipeline.host is None else pipeline.host.plain_dim
        self.encoder_id = self.store.encoder()[0]
        self.pipeline = pipeline
        self.room = LaneRoom(self.store, pipeline, device=self.settings.device)
        self.layers = LayerRoom(self.store, pipeline)
        self.finder = Finder(pipeline, self.store.path / "cache")
        self.board = Board.empty(pipeline.encoder.dim, split_seed, plain_dim=plain_dim)
        self.learned = learning.start(pipeline)
        self.offset = 0
        self._people_from = self.store.log.people_from
        self.stamp: int | None = None
        self._seeing: int | None = None
        """The revision that somebody is reading now; nobody else begins to."""
        self._scored: Learned | None = None
        """The version that the board's logits are of; None after rows, columns or lanes changed."""
        self.load()

    def _see_store(self) -> None:
        """Rows, columns, vectors and verdicts as they are stored; scores are the caller's."""
        with self._syncing:
            seen = self._seeing = self.store.revision
            try:
                board = self.board.resized(self.store.samples(), self.store.labels())
                board = board.with_drawer(self.store.drawer())
                board = replace(board, slices=self.store.saved_slices.all())
                # Reading the parts of thousands of samples takes seconds; nobody waits for it.
                board = encoding.filled(board, self.pipeline, self.store.vectors)
                board = self.room.filled(board, self.learned.lanes, is_reading=False)
                self.finder.refresh(board)
                with self.lock:
                    self.board = _with_words(board, self.board)
                    self._scored = None
                    self.stamp = seen  # last: what could not be read is looked at again
            finally:
                self._seeing = None
        self.catch_up(force=True)
        if board.drawer != self.learned.drawer:
            self.wake()  # what is in the drawer now has to be forgotten

    def _fill_lanes(self) -> None:
        """What the lanes in use say of each sample, as far as it is stored or quick to have."""
        with self._syncing:
            board = self.room.filled(self.board, self.learned.lanes, is_reading=False)
            with self.lock:
                self.board = _with_words(board, self.board)
                self._scored = None

    def _rescore(self, learned: Learned | None = None, *, only_changes: bool = False) -> None:
        """Logits and probabilities of the board; whoever sees a version sees its scores.

        Args:
            learned: becomes the live version together with its scores; None keeps the live one.
            only_changes: of labels that learned something since the board was scored; rows,
                columns and lanes are still the same.
        """
        with self._news:
            learned = learned or self.learned
            scored = self._scored if only_changes else None
            logits, probabilities = learning.score(
                self.pipeline, self.board, learned, scored=scored
            )
            self.board = replace(self.board, logits=logits, probabilities=probabilities)
            self.scoring = uuid4().hex  # after the board: whoever sees it sees those scores
            self.learned = self._scored = learned
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
                    self.fold_in()
                self._teach_when_due()
            except BusyError:
                self._try_again(0.2)  # another process learns; its version is taken over then
            except PatchlaneError as error:
                log.warning("verdicts are saved, but not learned yet: %s", error)
                self._try_again(5.0)
            except Exception:
                log.exception("folding verdicts in failed; they are saved and learned later")

    def _teach_when_due(self) -> None:
        """Ask whether a lane is due, left out while few verdicts came: it looks at all of them."""
        if self.offset - self._counted < LOOK_EVERY:
            return
        busy = {job.kind for job in self.jobs.list() if job.state in ("queued", "running")}
        if busy & {"teach", "encode", "import"}:
            return  # looked at again with the next verdict
        self._counted = self.offset
        self._teach_due()

    def _try_again(self, seconds: float) -> None:
        """Wake the fold-in thread once more, unless the project is closed meanwhile."""
        with self._news:
            self._news.wait_for(lambda: self._closing, seconds)
            self._wake = True


def _with_words(board: Board, newest: Board) -> Board:
    """A board with what the newest one knows of verdicts."""
    return replace(board, verdicts=newest.verdicts, said=newest.said)
