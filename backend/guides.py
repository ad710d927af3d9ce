"""The guides of one open project: what a label means, shown by examples, and what changed since.

A guide is worked out from verdicts when somebody asks for it; of it only what people wrote, pinned,
refused or kept is stored, as actions of the log like all others (store/guide_book.py).
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import Protocol, runtime_checkable

import numpy as np

from backend import views
from backend.board import Board, Sight
from backend.errors import BadInputError, NotFoundError
from backend.guide_places import Material
from backend.guide_search import Exemplar, Found, NearMiss, UsualPart, search
from backend.guide_words import UsualWord
from backend.numerics.exemplars import ALONE, SHARES
from backend.part_lessons import PartLessons
from backend.pipeline import Pipeline
from backend.store.guide_book import MOST_NOTES, Edition, GuideBook, GuideSaid, Said
from backend.store.naming import checked_text
from backend.store.project import ProjectStore
from backend.store.voices import is_disputed, voters
from backend.types import Correction, Label, Receipt, Region, Sample, Verdict

ENOUGH = 20
"""YES and NO that a label needs before examples are chosen by them: fewer tell noise."""
MOVED = 0.15
"""Change of a probability since an edition that is told."""
MOST_CHANGES = 20
NEVER = 2**62
"""An offset after which there is no verdict."""
KEPT = 64
"""Labels whose search stays in memory."""


@runtime_checkable
class Bench(Protocol):
    """What guides need of an open project; `Workbench` is one."""

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

    @property
    def version(self) -> int:
        """The newest learned version."""
        ...

    def label(self, id_or_name: int | str) -> Label:
        """One label by id or name."""
        ...

    def sample(self, id_or_name: int | str) -> Sample:
        """One sample by id or name."""
        ...


@dataclass(frozen=True)
class Lapsed:
    """A pinned exemplar that is shown no more, and why, in words."""

    sample: int
    name: str
    why: str


@dataclass(frozen=True)
class Moved:
    """The probability of the label on an exemplar, when the edition was kept and now."""

    sample: int
    name: str
    before: float
    now: float


@dataclass(frozen=True)
class Turned:
    """A verdict that is another one than when the edition was kept, or one that contradicts it.

    Attributes:
        before: None where there was none.
        why: in words.
    """

    sample: int
    name: str
    before: Verdict | None
    now: Verdict | None
    who: str
    when: float
    why: str


@dataclass(frozen=True)
class Disputed:
    """A sample on which people differ about the label, and nobody decided it for everybody.

    Attributes:
        words: who said what, the last who spoke last.
        is_new: somebody spoke since the edition was kept.
    """

    sample: int
    name: str
    words: tuple[tuple[str, Verdict], ...]
    is_new: bool


@dataclass(frozen=True)
class Drift:
    """What changed since an edition of a guide.

    Attributes:
        is_redefined: the definition or the notes are others.
        gone, new: names of samples that were exemplars and are not, and the other way round.
        moved: exemplars of the edition whose probability changed by `MOVED` or more.
        turned: verdicts reversed.
        against: later verdicts that contradict the exemplars.
        disputed: samples on which people differ, those that are new first.
    """

    is_redefined: bool
    gone: tuple[str, ...]
    new: tuple[str, ...]
    moved: tuple[Moved, ...]
    turned: tuple[Turned, ...]
    against: tuple[Turned, ...]
    disputed: tuple[Disputed, ...] = ()


@dataclass(frozen=True)
class Guide:
    """What a new annotator should read of one label.

    Attributes:
        parent: name of the label above it, or "".
        yes, no, unsure: how many verdicts of each kind there are.
        missing: YES and NO that are still needed for examples; 0 where there are enough.
        refused: samples that people refused as exemplars: id and name.
        held_out: average precision of the exemplars on `held_out_of` held-back samples.
        yes_of: what `covers` of an exemplar counts among.
        edition: what people kept last; None before that, and then there is no drift.
    """

    label: Label
    parent: str
    yes: int
    no: int
    unsure: int
    missing: int
    notes: str
    exemplars: tuple[Exemplar, ...]
    misses: tuple[NearMiss, ...]
    parts: tuple[UsualPart, ...]
    words: tuple[UsualWord, ...]
    held_out: float | None
    held_out_of: int
    yes_of: int
    refused: tuple[tuple[int, str], ...]
    lapsed: tuple[Lapsed, ...]
    edition: Edition | None
    drift: Drift | None


def blinded(guide: Guide, seen: Board, who: str) -> Guide:
    """A guide for who labels blind: only what people wrote and pinned, and their own verdicts.

    An example would tell of its sample that somebody said YES, a near miss that somebody said NO.
    A pin stays: whoever pins a sample wants it to be seen.

    Args:
        guide: as everybody sees it.
        seen: the board as this person sees it.
        who: the person.
    """
    label = guide.label.id

    def says(sample: int, verdict: Verdict) -> bool:
        own = seen.verdicts.get((sample, label))
        return own is not None and own.verdict is verdict

    shown = [
        at
        for at, one in enumerate(guide.exemplars)
        if one.is_pinned or says(one.place.sample, Verdict.YES)
    ]
    number = {-1: -1} | {at: place for place, at in enumerate(shown)}
    pinned = {one.place.sample for one in guide.exemplars if one.is_pinned}
    drift = guide.drift
    if drift is not None:
        own = [[t for t in told if t.who == who] for told in (drift.turned, drift.against)]
        drift = Drift(drift.is_redefined, (), (), (), tuple(own[0]), tuple(own[1]))
    return replace(
        guide,
        exemplars=tuple(
            replace(one, also=_others(seen, one.place.sample, label))
            for one in (guide.exemplars[at] for at in shown)
        ),
        misses=tuple(
            replace(
                one,
                like=number[one.like],
                who=who,
                instead=_others(seen, one.place.sample, label),
            )
            for one in guide.misses
            if one.like in number and says(one.place.sample, Verdict.NO)
        ),
        parts=tuple(
            one
            for one in guide.parts
            if one.place.sample in pinned or says(one.place.sample, Verdict.YES)
        ),
        lapsed=tuple(one for one in guide.lapsed if says(one.sample, Verdict.NO)),
        drift=drift,
    )


class Guides:
    """Guides of one open project; safe to call from many threads."""

    def __init__(
        self,
        bench: Bench,
        lessons: PartLessons,
        on_label: Callable[[], None],
        *,
        uses_names: bool = False,
    ):
        """Of an open project.

        Args:
            bench: the project.
            lessons: what verdicts taught about where labels are.
            on_label: called when what is written about a label changed.
            uses_names: examples are searched by beside the label's name, where that is worth more.
        """
        self._shares = SHARES if uses_names else ALONE
        self._bench = bench
        self._lessons = lessons
        self._on_label = on_label
        self._known: OrderedDict[tuple[object, ...], Found] = OrderedDict()
        self._counted: tuple[Board, dict[int, dict[Verdict, int]]] | None = None
        self._lock = Lock()

    @property
    def _book(self) -> GuideBook:
        return self._bench.store.guide_book

    def counts(self) -> dict[int, dict[Verdict, int]]:
        """Label id -> how many verdicts of each kind; labels without any are left out.

        What was accepted in bulk is not counted: it says what the model says.
        """
        board, known = self._bench.board, self._counted
        if known is not None and known[0] is board:  # a page of all labels asks for each
            return known[1]
        found: dict[int, dict[Verdict, int]] = {}
        for (_, label), one in board.verdicts.items():
            if one.verdict is not None and not one.is_accepted:
                kinds = found.setdefault(label, {})
                kinds[one.verdict] = kinds.get(one.verdict, 0) + 1
        self._counted = (board, found)
        return found

    def of(self, label: int | str, *, who: str | None = None) -> Guide:
        """The guide of one label as it is now; with `who` as this person may see it, see `blinded`.

        Raises:
            NotFoundError: there is no such label.
        """
        board = self._bench.board
        found = self._bench.label(label)
        if found.id not in board.column_of:
            raise NotFoundError(f"the label {found.name!r} has just come; ask again in a moment")
        found = board.labels[board.column_of[found.id]]
        said = self._book.of(found.id)
        counts = self.counts().get(found.id, {})
        yes, no = counts.get(Verdict.YES, 0), counts.get(Verdict.NO, 0)
        missing = max(ENOUGH - yes - no, 0)
        result = Found() if missing else self._search(board, found, said)
        names = {label.id: label.name for label in board.labels}
        drift = None
        if said.edition is not None:
            drift = self._drift(board, found, said, said.edition, result)
        guide = Guide(
            label=found,
            parent=names.get(found.parent or 0, ""),
            yes=yes,
            no=no,
            unsure=counts.get(Verdict.UNSURE, 0),
            missing=missing,
            notes=said.notes,
            exemplars=tuple(
                replace(
                    one,
                    chance=_chance(board, one.place.sample, found.id),
                    also=_others(board, one.place.sample, found.id),
                )
                for one in result.exemplars
            ),
            misses=tuple(
                replace(one, instead=_others(board, one.place.sample, found.id))
                for one in result.misses
            ),
            parts=result.parts,
            words=result.words,
            held_out=result.held_out,
            held_out_of=result.held_out_of,
            yes_of=result.yes_of,
            refused=tuple(
                (sample, board.samples[board.row_of[sample]].name)
                for sample, one in said.exemplars.items()
                if not one.is_pinned and sample in board.row_of
            ),
            lapsed=_lapsed(board, found.id, said),
            edition=said.edition,
            drift=drift,
        )
        seen = board if who is None else self._bench.people.board_of(who, board)
        return guide if who is None or seen is board else blinded(guide, seen, who)

    # --- what people say ---------------------------------------------------------------------

    def write(
        self,
        label: int | str,
        *,
        definition: str | None = None,
        notes: str | None = None,
        who: str = "me",
        op: str | None = None,
    ) -> Receipt:
        """Change the definition or the notes, one of them at a time: each is one step of undo.

        Raises:
            BadInputError: both or none were given, or the text is too long; nothing was stored.
        """
        if (definition is None) == (notes is None):
            raise BadInputError("write either the definition or the notes of a guide")
        found = self._bench.label(label)
        if notes is not None:
            return self._book.write_notes(found.id, notes, who=who, op=op)
        checked_text(definition or "", MOST_NOTES, "definition")
        receipt = self._bench.store.describe_label(found.id, definition=definition, who=who, op=op)
        self._on_label()
        return receipt

    def pin(
        self,
        label: int | str,
        sample: int | str,
        *,
        region: Region | None = None,
        who: str = "me",
        op: str | None = None,
    ) -> Receipt:
        """Show a sample as an exemplar whatever the search finds.

        Raises:
            BadInputError: its verdict is NO, or the region is none.
        """
        found, one = self._bench.label(label), self._bench.sample(sample)
        verdict = self._bench.board.verdicts.get((one.id, found.id))
        if verdict is not None and verdict.verdict == Verdict.NO:
            raise BadInputError(
                f"{one.name} is NO for {found.name!r}, so it cannot be an example of it; change "
                "the verdict first"
            )
        said = Said(is_pinned=True, region=region)
        return self._book.say(found.id, one.id, said, who=who, op=op)

    def refuse(
        self, label: int | str, sample: int | str, *, who: str = "me", op: str | None = None
    ) -> Receipt:
        """Never show a sample as an exemplar."""
        found, one = self._bench.label(label), self._bench.sample(sample)
        return self._book.say(found.id, one.id, Said(is_pinned=False), who=who, op=op)

    def release(
        self, label: int | str, sample: int | str, *, who: str = "me", op: str | None = None
    ) -> Receipt:
        """Leave it to the search whether a sample is an exemplar."""
        found, one = self._bench.label(label), self._bench.sample(sample)
        return self._book.say(found.id, one.id, None, who=who, op=op)

    def keep(self, label: int | str, *, who: str = "me", op: str | None = None) -> Receipt:
        """Keep the guide as it is now as its next edition: later changes are told against it."""
        guide = self.of(label)
        return self._book.keep(
            guide.label.id,
            version=self._bench.version,
            definition=guide.label.definition,
            exemplars=[(one.place.sample, one.chance) for one in guide.exemplars],
            when=time.time(),
            who=who,
            op=op,
        )

    # --- inside ------------------------------------------------------------------------------

    def _search(self, board: Board, label: Label, said: GuideSaid) -> Found:
        """The search of one label, again only where what it rests on has changed."""
        since = said.edition.offset if said.edition else NEVER
        told = sorted(
            (sample, one.offset)
            for (sample, each), one in board.verdicts.items()
            if each == label.id
        )
        state = repr((told, sorted(said.exemplars.items()), since, len(board.samples)))
        digest = hashlib.blake2b(state.encode(), digest_size=12).hexdigest()
        column = board.column_of[label.id]
        vector = board.label_vectors[column].tobytes()
        encoded = int(board.encoded.sum())
        place = (label.id, digest, self._bench.pipeline.fingerprint, vector, encoded)
        with self._lock:
            if place in self._known:
                self._known.move_to_end(place)
                return self._known[place]
        material = Material(self._bench.store, self._bench.pipeline, self._lessons, board, column)
        found = search(material, said.exemplars, since=since, shares=self._shares)
        with self._lock:
            self._known[place] = found
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
        return found

    def _drift(
        self,
        board: Board,
        label: Label,
        said: GuideSaid,
        edition: Edition,
        found: Found,
    ) -> Drift:
        before = self._book.verdicts(label.id, upto=edition.offset)
        now = {
            sample: one
            for (sample, each), one in board.verdicts.items()
            if each == label.id and sample in board.row_of
        }
        kept = [sample for sample, _ in edition.exemplars]
        shown = [one.place.sample for one in found.exemplars]
        return Drift(
            is_redefined=(edition.definition, edition.notes) != (label.definition, said.notes),
            gone=tuple(_name(board, one) for one in kept if one not in shown),
            new=tuple(_name(board, one) for one in shown if one not in kept),
            moved=tuple(_moved(board, label.id, edition.exemplars)),
            turned=_turned(board, before, now),
            against=_against(board, before, now, found, edition.offset),
            disputed=_disputed(board, label.id, edition.offset),
        )


def _moved(board: Board, label: int, kept: Iterable[tuple[int, float]]) -> Iterable[Moved]:
    """Exemplars of an edition whose probability is another one now."""
    for sample, before in kept:
        if sample in board.row_of:
            now = _chance(board, sample, label)
            if abs(now - before) >= MOVED:
                yield Moved(sample, _name(board, sample), before, now)


def _chance(board: Board, sample: int, label: int) -> float:
    """The probability of a label on a sample as the screen shows it."""
    row = np.array([board.row_of[sample]])
    return float(views.chances(board, row)[0, board.column_of[label]])


def _others(board: Board, sample: int, label: int) -> tuple[str, ...]:
    """Names of the other labels that people gave a sample."""
    found = []
    for each in board.labels:
        one = board.verdicts.get((sample, each.id))
        if each.id != label and one is not None and one.verdict == Verdict.YES:
            found.append(each.name)
    return tuple(found)


def _lapsed(board: Board, label: int, said: GuideSaid) -> tuple[Lapsed, ...]:
    found = []
    for sample, one in said.exemplars.items():
        if not one.is_pinned:
            continue
        if sample not in board.row_of:
            found.append(Lapsed(sample, "", "its sample was removed"))
            continue
        verdict = board.verdicts.get((sample, label))
        if verdict is not None and verdict.verdict == Verdict.NO:
            found.append(Lapsed(sample, _name(board, sample), "its verdict is NO now"))
    return tuple(found)


def _turned(
    board: Board, before: Mapping[int, Correction], now: Mapping[int, Correction]
) -> tuple[Turned, ...]:
    """YES that are NO now and the other way round, the newest first."""
    sides = (Verdict.YES, Verdict.NO)
    found = [
        _turn(board, sample, before[sample].verdict, one, "reversed")
        for sample, one in now.items()
        if sample in before
        and one.verdict in sides
        and before[sample].verdict in sides
        and one.verdict != before[sample].verdict
    ]
    return _newest(found)


def _against(
    board: Board,
    before: Mapping[int, Correction],
    now: Mapping[int, Correction],
    found: Found,
    offset: int,
) -> tuple[Turned, ...]:
    """New verdicts that say the opposite of what the exemplars say, the newest first.

    A NO that fits an exemplar as well as the usual YES, or a YES that fits none better than the
    usual NO.
    """
    fits = found.fits or {}
    told = []
    for sample, one in now.items():
        is_new = one.offset > offset and sample not in before
        if not is_new or sample not in fits or found.usual_yes is None or found.usual_no is None:
            continue
        if one.verdict == Verdict.NO and fits[sample] >= found.usual_yes:
            why = "as much like an exemplar as the usual YES"
        elif one.verdict == Verdict.YES and fits[sample] <= found.usual_no:
            why = "no more like any exemplar than the usual NO"
        else:
            continue
        told.append(_turn(board, sample, None, one, why))
    return _newest(told)


def _disputed(board: Board, label: int, offset: int) -> tuple[Disputed, ...]:
    """What people do not agree on, what somebody spoke of after `offset` in the log first."""
    found = []
    for (sample, each), voices in board.said.items():
        if each == label and sample in board.row_of and is_disputed(voices):
            newest = max(row.offset for row in voices.values())
            asked = tuple(voters(voices).items())
            told = Disputed(sample, _name(board, sample), asked, is_new=newest > offset)
            found.append((-newest, told))
    return tuple(told for _, told in sorted(found, key=lambda one: one[0]))


def _turn(board: Board, sample: int, before: Verdict | None, row: Correction, why: str) -> Turned:
    return Turned(sample, _name(board, sample), before, row.verdict, row.who, row.when, why)


def _newest(found: Sequence[Turned]) -> tuple[Turned, ...]:
    return tuple(sorted(found, key=lambda one: -one.when)[:MOST_CHANGES])


def _name(board: Board, sample: int) -> str:
    row = board.row_of.get(sample)
    return "a removed sample" if row is None else board.samples[row].name
