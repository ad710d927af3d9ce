"""One open project: add, suggest, explain, correct, learn, pick, search, export.

What a project answers is in `open_project.py`; here is what changes it. Every correction is in the
log before it is answered. It is safe to call from many threads; whatever takes long is a job.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from threading import Thread

from backend import catalogue, encoding, intake, learning, localising
from backend.contracts import Encoder
from backend.errors import BadInputError, NotFoundError, PatchlaneError
from backend.guides import Guides
from backend.jobs import Ticket
from backend.open_project import OpenProject
from backend.people import rows_by_person, without_person
from backend.pipeline import DeferredEncoder, EncoderFacts, Pipeline, load_encoder
from backend.pointing import Pointer
from backend.settings import Settings
from backend.store.compaction import CompactReport
from backend.store.corrections import NewCorrection, NewMark
from backend.store.project import ProjectStore
from backend.store.token_cache import TokenCache
from backend.types import (
    Correction,
    ExportReport,
    ExportRow,
    ExportSource,
    FileProblem,
    GoneLabel,
    ImportReport,
    Kind,
    Label,
    LearnReport,
    Progress,
    Receipt,
    Split,
)
from backend.verdict_rows import on_living

log = logging.getLogger("patchlane.workbench")

EXPORTS: Mapping[str, tuple[str, Mapping[str, object]]] = {
    "jsonl": ("exporters/jsonl", {}),
    "csv": ("exporters/csv_table", {}),
    "coco": ("exporters/coco", {}),
    "yolo": ("exporters/yolo", {}),
    "jsonl-by-person": ("exporters/jsonl", {}),
    "csv-by-person": ("exporters/csv_table", {"has_who": True}),
    "label-maps": ("exporters/jsonl", {"has_label_maps": True}),
    "coco-boxes": ("exporters/coco", {"has_machine_boxes": True}),
}
"""Formats by the name that people use: the exporter, and how it is set."""

MEDIA: Mapping[str, Mapping[str, bool]] = {
    "copy": {},
    "link": {"is_linking": True},
    "borrow": {"is_borrowing": True},
    "none": {"has_media": False},
}
"""What an export does with pictures: how its exporter is set."""

SHOW_ENCODED = 4.0
"""Seconds between looks at what an encode job has stored so far."""


@dataclass(frozen=True)
class Corrected:
    """What came of rows some of whose labels may be gone.

    Attributes:
        receipt: None where nothing was left to store.
        rows: those that were stored, or left out because somebody decided meanwhile.
        gone: labels of which nothing could be stored, and where they went.
    """

    receipt: Receipt | None
    rows: Sequence[Mapping[str, object]]
    gone: tuple[GoneLabel, ...]


class Workbench(OpenProject):
    """One open project, and what changes it.

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
        super().__init__(store, settings, learns=learns, encoder=encoder)
        self.pointer = Pointer(self)
        self.guides = Guides(
            self,
            self._part_lessons,
            partial(self.live.see_stored, changes=True),
            uses_names=settings.guide_names,
        )
        self._warming = Thread(target=self._warm_up_quietly, name="warm-up", daemon=True)
        self.live.start(self._teach_what_is_due, self._complete_soon)
        if self.live.learns:
            self._warming.start()
            if self.num_encoded < len(self.board.samples):
                self.encode_soon()
            self.packs.resume()
            self._put_lanes_back()
        self.live.complete_lanes()

    # --- labels and samples ------------------------------------------------------------------

    # An `op` is an id of the action: the same id again is answered, not done again, and it is what
    # `undo` takes back.

    def add_labels(
        self,
        names: Sequence[str],
        *,
        pack: str = "main",
        who: str = "me",
        op: str | None = None,
    ) -> list[Label]:
        """Add labels; suggestions for them work at once, from their names."""
        added = self.store.add_labels(names, pack=pack, who=who, op=op)
        self.live.see_stored(changes=True)
        return added

    def rename_label(
        self, label: int | str, new: str, *, who: str = "me", op: str | None = None
    ) -> None:
        """Give a label another name; its verdicts stay."""
        self.store.rename_label(label, new, who=who, op=op)
        self.live.see_stored(changes=True)

    def merge_labels(
        self, source: int | str, into: int | str, *, who: str = "me", op: str | None = None
    ) -> None:
        """Move a label's verdicts to another label and remove it; one undo takes it back."""
        self.store.merge_labels(source, into, who=who, op=op)
        self.live.see_stored(changes=True)

    def describe_label(
        self,
        label: int | str,
        *,
        definition: str | None = None,
        aliases: Sequence[str] | None = None,
        colour: str | None = None,
        key: str | None = None,
        who: str = "me",
        op: str | None = None,
    ) -> None:
        """Change what is written about a label; None leaves a field as it is."""
        self.store.describe_label(
            label,
            definition=definition,
            aliases=aliases,
            colour=colour,
            key=key,
            who=who,
            op=op,
        )
        self.live.see_stored(changes=True)

    def set_parent(
        self,
        label: int | str,
        parent: int | str | None,
        *,
        who: str = "me",
        op: str | None = None,
    ) -> None:
        """Put a label below another one, or at the top."""
        self.store.set_parent(label, parent, who=who, op=op)
        self.live.see_stored(changes=True)

    def remove_label(self, label: int | str, *, who: str = "me", op: str | None = None) -> None:
        """Remove a label; undo brings it back with its verdicts until `compact`."""
        self.store.remove_label(label, who=who, op=op)
        self.live.see_stored(changes=True)

    def remove_samples(
        self, ids: Sequence[int | str], *, who: str = "me", op: str | None = None
    ) -> Receipt:
        """Remove samples; undo brings them back until `compact`."""
        wanted = [i if isinstance(i, int) else self.sample(i).id for i in ids]
        receipt = self.store.remove_samples(wanted, who=who, op=op)
        self.live.see_stored(changes=True)
        return receipt

    def save_slice(
        self, name: str, ids: Sequence[int | str], *, who: str = "me", op: str | None = None
    ) -> Receipt:
        """Put samples into a saved slice, which is made if there is none of that name."""
        wanted = [self.sample(i).id for i in ids]
        return self._sliced(self.store.saved_slices.add(name, wanted, who=who, op=op))

    def take_from_slice(
        self, name: str, ids: Sequence[int | str], *, who: str = "me", op: str | None = None
    ) -> Receipt:
        """Take samples out of a saved slice; without the last one the slice is gone."""
        wanted = [self.sample(i).id for i in ids]
        return self._sliced(self.store.saved_slices.take(name, wanted, who=who, op=op))

    def remove_slice(self, name: str, *, who: str = "me", op: str | None = None) -> Receipt:
        """Forget a saved slice; its samples stay, and one undo brings it back."""
        return self._sliced(self.store.saved_slices.remove(name, who=who, op=op))

    def _sliced(self, receipt: Receipt) -> Receipt:
        self.live.see_stored(changes=True)
        return receipt

    def compact(self, *, who: str = "me") -> CompactReport:
        """Forget for good what was removed; no undo after this."""
        report = self.store.compact(who=who)
        self.live.see_stored(changes=True)
        return report

    def compact_soon(self, *, who: str = "me") -> str:
        """The same as a job; returns its id."""

        def work(ticket: Ticket) -> CompactReport:
            report = self.compact(who=who)
            self.jobs.report(ticket.id, 1, 1, report.note)  # it is done: too late to cancel
            return report

        return self.jobs.submit("compact", "Deleting for good", work, owner=who)

    # --- taking in ---------------------------------------------------------------------------

    def preview(
        self, path: str | Path, *, format: str = "auto", follow_links: bool = False
    ) -> intake.ImportPreview:
        """What `add` would understand; stores nothing."""
        return intake.preview(
            Path(path), settings=self.settings, format=format, follow_links=follow_links
        )

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
        op: str | None = None,
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
            op: an id of the import; repeated after it was finished, it gives the same report.

        A project that never held anything takes the kind of what comes first, images or texts,
        unless its encoder was chosen.

        Raises:
            BadInputError: no reader takes it, or the media of an archive are to be linked.
            NotFoundError: nothing is at `path`.
            SaveError: the disk is full.
        """
        # An archive's files are there for as long as what was read is held.
        reader, read = intake.reading(
            Path(path), format=format, settings=self.settings, follow_links=follow_links
        )
        if link and reader == "archive":
            raise BadInputError(
                f"what is in {Path(path).name} can only be copied; unpack it first to link to it"
            )
        found = read
        if self.takes_any_kind:
            first, found = intake.begun(read)
            if first not in {None, self.kind}:
                kind = self.preview(path, format=format, follow_links=follow_links).kind
                if kind is not None and kind != self.kind:
                    self._change_kind(kind)
        encoder = self.pipeline.encoder
        is_empty = True

        def seen() -> Iterator[intake.Found]:
            nonlocal is_empty
            for item in found:
                is_empty = False
                yield item

        try:
            with encoding.StreamEncoder(encoder, self.store.vectors, self._tokens()) as stream:
                report = self.store.take(
                    seen(),
                    who=who,
                    source=f"import:{Path(path).name}",
                    op=op,
                    link=link,
                    on_conflict=on_conflict,
                    unlisted=unlisted,
                    create_labels=create_labels,
                    at_least=encoder.input_size,
                    on_content=stream.accept if encode else None,
                    progress=progress,
                )
        except Exception:
            with suppress(PatchlaneError):  # what ended the import says more
                self.live.resync()  # whole batches of it are in
            raise
        self.live.resync()
        if is_empty:
            nothing = FileProblem(Path(path).name, "holds no pictures, texts or annotations")
            return replace(report, skipped=1, errors=(nothing,))
        return report

    @property
    def takes_any_kind(self) -> bool:
        """Nothing was ever in it, and its encoder is the one that nobody had to choose."""
        chosen = self.pipeline.recipe.default_encoder(self.kind)
        return self.store.is_new and self.encoder_id == chosen

    def _change_kind(self, kind: Kind) -> None:
        """Hold what comes first: a project is made before anybody says what goes into it."""
        encoder_id = self.pipeline.recipe.default_encoder(kind)
        encoder = load_encoder(encoder_id, self.settings)
        if self.store.change_kind(
            kind, encoder=encoder_id, facts=EncoderFacts.of(encoder).as_json()
        ):
            self.live.change_encoder(Pipeline(self.pipeline.recipe, encoder))

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
                self.live.resync()
                shown = time.monotonic()

        count = encoding.encode_missing(
            self.store,
            self.pipeline.encoder,
            self.samples(),
            tokens=self._tokens(),
            progress=step,
        )
        self.live.resync()
        if not self.live.is_restored:
            self.live.load()  # the version waited for its vectors
            self._put_lanes_back()
        self.live.complete_lanes()
        self.live.wake()  # for verdicts on what had no vectors
        return count

    def encode_soon(self) -> str:
        """The same as a job; returns its id."""

        def work(ticket: Ticket) -> None:
            self.encode(progress=ticket.progress)

        return self.jobs.submit(
            "encode", "Reading samples", work, key=f"encode by {self.encoder_id}"
        )

    def change_encoder(self, encoder_id: str, *, progress: Progress | None = None) -> int:
        """Use another encoder from now on: encodes everything again, keeps every verdict.

        Returns:
            The number of samples that were encoded.

        Raises:
            BadInputError: it takes another kind of samples than this project has.
            NotFoundError, OfflineError: it cannot be loaded.
        """
        encoder = load_encoder(encoder_id, self.settings)
        if encoder.kind != self.kind:
            raise BadInputError(
                f"{encoder_id} takes {encoder.kind}s; this project has {self.kind}s"
            )
        pipeline = Pipeline(self.pipeline.recipe, encoder)
        count = encoding.encode_missing(
            self.store,
            encoder,
            self.samples(),
            tokens=self.store.tokens if pipeline.teacher is not None else None,
            progress=progress,
        )
        with self.live.learning():
            self.store.change_encoder(encoder_id, EncoderFacts.of(encoder).as_json())
            self.live.change_encoder(pipeline)
        self._put_lanes_back()
        return count

    def change_encoder_soon(self, encoder_id: str) -> str:
        """The same as a job; returns its id."""

        def work(ticket: Ticket) -> None:
            self.change_encoder(encoder_id, progress=ticket.progress)

        return self.jobs.submit("encode", f"Changing the encoder to {encoder_id}", work)

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
                "unsure" or None (unknown again); `regions` is a list of `{"box" or "polygon" or
                "span", "here"}` that takes the place of all marks on the pair, which stay without
                it. `{"sample", "label", "part": {"box": ...}, "here"}` marks one place beside the
                others, as true, false or None (not marked any more). `{"sample", "complete":
                true}` says NO to all labels of the sample that have no verdict. A row with `seen`
                follows from what the person saw of the pair, a verdict or None: where they would
                see something else by now, that stays and the row is left out.
            who: the person.
            op: an id of the action; the same id again is answered, not stored again, and refused
                for other rows than those of the first time.
            seen_version: the version the person saw.

        Raises:
            NotFoundError: a sample or label is unknown; nothing is stored.
            BadInputError: a verdict or region is not one; nothing is stored.
            SaveError: nothing was stored.
        """
        try:
            new = self._new_corrections(rows, who, op)
        except NotFoundError:
            # What was stored before the label or sample went is answered as it was.
            if op is None or self.store.log.receipt(op, who=who) is None:
                raise
            new = self._new_corrections(self._with_what_is_there(rows), who, op)
        version = self.version if seen_version is None else seen_version
        receipt = self.store.log.append(
            new,
            who=who,
            op=op,
            version=version,
            detail=self._claims(new, version),
            is_blind=self.people.is_blind,
        )
        self.live.see_stored()
        return receipt

    def correct_living(
        self,
        rows: Sequence[Mapping[str, object]],
        *,
        who: str = "me",
        op: str | None = None,
        seen_version: int | None = None,
    ) -> Corrected:
        """`correct` for a page that may not know yet which labels are gone: the rest is stored.

        Args:
            rows: as `correct` takes them, by label id, each a verdict or a part.
            who: the person.
            op: an id of the action; the same id again is answered, not stored again.
            seen_version: the version the person saw.

        Raises:
            NotFoundError: a sample is unknown, or a label that never was; nothing is stored.
            BadInputError: a verdict or region is not one; nothing is stored.
            SaveError: nothing was stored.
        """
        for is_again in (False, True):
            missing = {int(str(row["label"])) for row in rows}
            if not is_again:
                missing -= self.board.column_of.keys()
            gone = self.store.gone_labels(missing) if missing else {}
            living, told = on_living(rows, gone), tuple(gone.values())
            if rows and not living:
                known = None if op is None else self.store.log.receipt(op, who=who)
                return Corrected(known, living, told)
            try:
                receipt = self.correct(living, who=who, op=op, seen_version=seen_version)
            except NotFoundError:
                if is_again:
                    raise
                self.live.see_stored(changes=True)  # another process has taken a label away
            else:
                return Corrected(receipt, living, told)
        raise AssertionError("the second round answers or raises")

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
            self.live.see_stored(changes=True)
        return receipt

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
        self.live.resync()
        with self.live.learning():
            before, board = self.learned, self.board
            report = progress or (lambda *_: None)
            report(0, 1, "folding verdicts in")
            steps = done = self.live.fold_in()
            newest = self.store.versions.latest()
            is_new = newest is not None and newest.version == self.version > before.version
            from_version = newest.from_version if newest and is_new else before.version
            while done and (until is None or time.monotonic() - started < until):
                done = self.live.fold_in()
                steps += done
            if self.live.is_restored:
                self.packs.put_back()
                self.trusting.learn()
            report(1, 1, "")
        return LearnReport(
            version=self.learned.version,
            from_version=from_version,
            corrections=self.learned.offset - before.offset,
            steps=steps,
            seconds=time.monotonic() - started,
            changed=learning.changed_samples(board.logits, self.board.logits),
        )

    # --- take home ---------------------------------------------------------------------------

    def export(
        self,
        dest: str | Path,
        format: str = "jsonl",
        *,
        media: str = "copy",
        split: str | None = None,
        samples: Iterable[int | str] | None = None,
    ) -> ExportReport:
        """Write samples, verdicts and regions from the log; says what the format cannot hold.

        The report's files are those of the folder itself; media lie in a folder below it.

        Args:
            dest: a folder that is new, empty or an earlier export.
            format: one of `EXPORTS`.
            media: "copy" the pictures; "link" them, by hard links that are the project's own files
                under a second name; "none" leaves them out, and names them as they were imported;
                "borrow" is for a folder that is read once and thrown away.
            split: only samples of "train", "val" or "test".
            samples: only these, by id or name.

        Raises:
            BadInputError: an unknown format, split or way with media.
            NotFoundError: one of the samples is unknown.
            RefusedError: the destination is neither new nor an empty folder.
            SaveError: nothing was written.
        """
        if format not in EXPORTS:
            raise BadInputError(
                f"unknown format {format!r}; Patchlane exports {', '.join(EXPORTS)}"
            )
        if media not in MEDIA:
            raise BadInputError(f"media is {', '.join(MEDIA)}, not {media!r}")
        if split is not None and split not in set(Split):
            raise BadInputError(f"the split is {', '.join(Split)}, not {split!r}")
        self.live.resync()
        source, folder = self._export_source(), Path(dest)
        board, is_by_person = self.board, format.endswith("-by-person")
        if is_by_person:
            source = replace(source, rows=lambda: rows_by_person(board))
        wanted = None if samples is None else {self.sample(one).id for one in samples}
        source = _only(source, split, wanted)
        key, settings = EXPORTS[format]
        exporter = catalogue.load(key)
        lost = dict(exporter(exporter.Settings(**settings, **MEDIA[media])).write(source, folder))
        rows = list(source.rows())
        ids = {row.sample.id for row in rows}
        if is_by_person:
            lost |= {what: number for what, number in without_person(board, ids).items() if number}
        elif several := sum(sample in ids for sample, _ in board.said):
            lost["words_of_several_people"] = several  # what counts goes out, not who said what
        if board.slices:  # no format says which samples a person saved together
            lost["saved_slices"] = len(board.slices)
        return ExportReport(
            files=tuple(sorted(path.name for path in folder.iterdir())),
            samples=len(ids),
            annotations=sum(
                (c.verdict is not None) + len(c.regions)
                for row in rows
                for c in row.verdicts.values()
            ),
            lost=lost,
        )

    # --- open and close ----------------------------------------------------------------------

    def warm_up(self, *, compiles: bool = False) -> None:
        """Load the encoder's weights ahead of the first search or import.

        Args:
            compiles: run it once as well, on the labels' names and a sample, so that its engines
                are compiled, which takes seconds.
        """
        encoder = self.pipeline.encoder
        if isinstance(encoder, DeferredEncoder):
            encoder.loaded()
        if compiles:
            names = [label.name for label in self.labels()]
            encoding.label_vectors(self.store.vectors, encoder, names or ["a"])
            encoding.encode_once(encoder, self.kind, for_lanes=self._tokens() is not None)

    def _warm_up_quietly(self) -> None:
        try:
            self.warm_up()
        except PatchlaneError as error:
            log.warning("the encoder cannot be loaded: %s", error)

    def close(self) -> None:
        """Stop the fold-in thread, finish or interrupt jobs, close the database."""
        self._stop()
        self.store.close()

    def discard(self) -> None:
        """Close a project that was just made, and leave nothing of it."""
        self._stop()
        self.store.discard()

    def _stop(self) -> None:
        self.live.close()
        if self._warming.is_alive():
            self._warming.join()  # one that is torn down while it compiles ends the process
        self.jobs.close()

    # --- inside ------------------------------------------------------------------------------

    def _claims(
        self, new: Sequence[NewCorrection | NewMark], version: int
    ) -> dict[str, object] | None:
        """What is certain of samples before their first verdict; a fault there stops no verdict."""
        try:
            return self.certainty.claims(new, version)
        except Exception:
            log.exception("nothing is claimed of these samples; their verdicts are saved")
            return None

    def _tokens(self) -> TokenCache | None:
        """Where what lanes read is kept while samples are encoded; None without lanes."""
        return None if self.pipeline.teacher is None else self.store.tokens

    def _put_lanes_back(self) -> None:
        """With a screen, as a job; a script does it when it learns."""
        if self.live.learns and self.live.is_restored:
            self.packs.put_back_soon()

    def _complete_soon(self) -> None:
        """What an encoder that was taken over lacks here: vectors and lanes, with a screen."""
        if self.live.learns and not self.jobs.is_closed:
            if self.num_encoded < len(self.board.samples):
                self.encode_soon()
            self._put_lanes_back()

    def _teach_what_is_due(self) -> None:
        if self.live.is_restored and self.trusting.is_due():
            self.trusting.learn_soon()
        for pack in self.packs.due()[:1]:
            self.packs.teach_soon(pack, by_itself=True)

    def _export_source(self) -> ExportSource:
        with self.live.lock:
            board, version = self.board, self.version
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
            version=version,
            label_map=lambda sample: localising.map_where_encoded(
                self.store, self.pipeline, self._part_lessons, board, board.row_of[sample.id]
            ),
            boxes=lambda sample, labels: localising.machine_boxes(
                self.store,
                self.pipeline,
                self._part_lessons,
                board,
                board.row_of[sample.id],
                labels,
            ),
        )


def _only(source: ExportSource, split: str | None, wanted: Collection[int] | None) -> ExportSource:
    """The samples of a split, and of those the ones whose ids are `wanted`; None: all of them."""

    def rows() -> Iterator[ExportRow]:
        for row in source.rows():
            if split in (None, row.sample.split) and (wanted is None or row.sample.id in wanted):
                yield row

    return source if split is None and wanted is None else replace(source, rows=rows)
