"""What is certain of the samples of a project, at a level, and what to do with it.

A person decides the samples of the calibration drawer completely; nothing is learned from them. On
what they say of the live version's chances rests all that is said here (`methods/calibrators`,
`numerics/label_sets.py`). It is worked out again for every version, when somebody asks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from threading import RLock
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from backend import accepting, catalogue, drawer, realised, replay, views
from backend.board import Board
from backend.contracts import SetCalibrator
from backend.errors import BadInputError, NotFoundError
from backend.fitted import Fitted
from backend.learning import Learned
from backend.live import Live
from backend.numerics import label_sets
from backend.pack_facts import forget_taught, muted
from backend.store.claims import ACCEPTED, CLAIM, Noted
from backend.store.corrections import NewCorrection, NewMark
from backend.types import (
    CERTAIN,
    Acceptance,
    AcceptPlan,
    CoveragePoint,
    Drawer,
    DrawerReport,
    LabelSets,
    QueueEntry,
    Realised,
    Receipt,
    SampleSets,
    SampleSuggestions,
    Split,
    Verdict,
)

LEVEL = 0.9
"""The level of suggestions and of an evaluation."""
LEVELS = (0.8, 0.85, 0.9, 0.95, 0.99)
"""Levels that a claim is noted for, and that the drawer's report tells the need of."""
GUARANTEES: Mapping[str, str] = {
    "joint": "calibrators/powerset",
    "label": "calibrators/per_label",
    "recall": "calibrators/recall",
}
"""What can be promised, and the method that does."""
MOST_PAIRS = 500_000
"""Verdicts of one acceptance."""
MOST_CLAIMS, MOST_CLAIMED_LABELS = 200, 1000
"""Samples of one action, and labels, of which claims are noted; a larger action is no decision."""


class Certainty:
    """Label sets of one open project."""

    def __init__(self, live: Live):
        self._live = live
        self._methods: dict[str, SetCalibrator] = {}
        self._fitted: Fitted | None = None
        self._sets: dict[tuple[str, float], LabelSets] = {}
        self._wrong: dict[tuple[str, float], float] = {}
        self._lock = RLock()

    # --- the drawer --------------------------------------------------------------------------

    def open_drawer(
        self,
        *,
        share: float | None = None,
        samples: int | None = None,
        level: float | None = None,
        who: str = "me",
        op: str | None = None,
    ) -> Receipt:
        """Keep a random share of the training samples for calibration; one undo closes it again.

        Heads forget at once what they learned from them; a lane that was taught on some of them has
        to be taught again, and is, where lanes are trained by themselves.

        Args:
            share: of the training samples, above 0 and at most 1.
            samples: or about so many of those there are now.
            level: or a tenth, and more where this level needs more.
            who: the person.
            op: an id of the action.

        Raises:
            BadInputError: not one of these is given, it is no share, or too few samples are there.
        """
        self._live.resync()
        board = self._live.board
        if sum(each is not None for each in (share, samples, level)) != 1:
            raise BadInputError(
                "say how large the drawer is: a share, a number of samples, or a level it is for"
            )
        if level is not None:
            share = drawer.share_for(board, checked_level(level))
        if samples is not None:
            known = sum(sample.split == Split.TRAIN for sample in board.samples)
            if not 0 < samples <= known:
                raise BadInputError(
                    f"the drawer cannot hold {samples} samples; there are {known} for training"
                )
            share = samples / known
        asked = Drawer(float(share or 0), board.split_seed)
        receipt = self._live.store.set_drawer(asked, who=who, op=op)
        self._live.resync()
        spoilt = self._spoilt_lanes()
        if spoilt:
            forget_taught(self._live, {label for lane in spoilt for label in lane.labels})
        self._live.wake()
        return receipt

    def close_drawer(self, *, who: str = "me", op: str | None = None) -> Receipt:
        """Learn from the drawer's samples like from all others; nothing is certain any more."""
        receipt = self._live.store.set_drawer(None, who=who, op=op)
        self._live.resync()
        self._live.wake()
        return receipt

    def drawer(self) -> DrawerReport:
        """How far the drawer is decided, and how much more each level needs."""
        return drawer.report(self._live.board, LEVELS)

    def is_short(self, level: float = LEVEL, guarantee: str = "joint") -> bool:
        """Whether the drawer holds too few samples for a level, even when all are decided."""
        board, needed = self._live.board, self._method(guarantee).needed(checked_level(level))
        return board.drawer is not None and int(board.in_drawer.sum()) < needed

    def ask(self, k: int = 20) -> list[QueueEntry]:
        """The next samples of the drawer to decide completely, in its own order."""
        return drawer.ask(self._live.board, k)

    def counted(self) -> list[int]:
        """Ids of the drawer's samples that what is certain rests on, in the drawer's order."""
        with self._lock:
            fitted = self._fit()
        return fitted.board.ids[fitted.decided.rows].tolist()

    # --- look --------------------------------------------------------------------------------

    def sets(self, level: float = LEVEL, guarantee: str = "joint") -> LabelSets:
        """What is certain of all samples; kept until a version or the drawer changes.

        Raises:
            BadInputError: no such level or guarantee.
        """
        level, method = checked_level(level), self._method(guarantee)
        with self._lock:
            fitted = self._fit()
            key = (guarantee, level)
            if key not in self._sets:
                rows = np.arange(len(fitted.board.samples))
                self._sets[key] = fitted.sets(rows, level, guarantee, method)
            return replace(self._sets[key], is_stale=self._is_stale(fitted))

    def of(
        self, sample: int, level: float = LEVEL, guarantee: str = "joint", *, k: int = 20
    ) -> SampleSets:
        """What is certain of one sample, by id, and its k likeliest label sets.

        A sample of the drawer is decided without the model's help: nothing is said of it.

        Raises:
            NotFoundError: there is no such sample.
            BadInputError: no such level or guarantee.
        """
        level, method = checked_level(level), self._method(guarantee)
        with self._lock:
            fitted = self._fit()
        board = fitted.board
        row = board.row_of.get(sample)
        if row is None:
            raise NotFoundError(f"there is no sample {sample} in this project")
        rows = np.array([row])
        found = fitted.sets(rows, level, guarantee, method)
        ids = np.array([label.id for label in board.labels], np.int64)
        nothing = SampleSets(
            sample=sample,
            name=board.samples[row].name,
            level=level,
            guarantee=guarantee,
            version=found.version,
            counted=found.counted,
            why=found.why,
            is_stale=self._is_stale(fitted),
            in_drawer=bool(board.in_drawer[row]),
            undecided=tuple(ids.tolist()),
        )
        if nothing.in_drawer:
            return replace(nothing, why="it is in the calibration drawer: decide it by yourself")
        if not board.encoded[row] or found.why:
            return nothing
        chance = views.chances(board, rows)[0]
        state, present, absent = found.state[0], found.present[0], found.absent[0]
        p_known = np.isfinite(present)
        return replace(
            nothing,
            yes=tuple(ids[_ordered(state == 1, absent, -chance)].tolist()),
            undecided=tuple(ids[_ordered(state == 0, -chance, -chance)].tolist()),
            no=tuple(ids[_ordered(state == -1, present, chance)].tolist()),
            present=dict(zip(ids[p_known].tolist(), present[p_known].tolist(), strict=True)),
            absent=dict(zip(ids[p_known].tolist(), absent[p_known].tolist(), strict=True)),
            **(fitted.likely(row, ids, level, k, self._powerset) if guarantee == "joint" else {}),
        )

    def told(self, found: Sequence[SampleSuggestions]) -> list[SampleSuggestions]:
        """Suggestions with p-values and sets at 90 %, where there are any."""
        method = self._method("joint")
        with self._lock:
            fitted = self._fit()
        board = fitted.board
        rows = np.array([board.row_of.get(one.sample, -1) for one in found], np.int64)
        if fitted.why(method, LEVEL) or not len(rows) or (rows < 0).any():
            return list(found)
        sets = fitted.sets(rows, LEVEL, "joint", method)
        out = []
        for at, one in enumerate(found):
            if board.in_drawer[rows[at]] or not board.encoded[rows[at]]:
                out.append(one)
                continue
            told = []
            for each in one.suggestions:
                column = board.column_of.get(each.label_id)
                if column is None or not sets.covered[column]:
                    told.append(each)
                    continue
                told.append(
                    replace(
                        each,
                        p_value=float(sets.present[at, column]),
                        in_set=bool(sets.state[at, column] >= 0),
                    )
                )
            names = tuple(each.label for each in told if each.in_set)
            out.append(replace(one, suggestions=tuple(told), set=names, coverage=LEVEL))
        return out

    def measured(
        self, truth: Mapping[tuple[int, int], Verdict], rows: Bool[np.ndarray, " n"]
    ) -> tuple[float | None, float | None]:
        """How many samples' label sets were not excluded at 90 %, and the mean size of `set`.

        Of encoded samples outside the drawer whose covered labels are all YES or NO in `truth`;
        None where there are none, or no sets.
        """
        method = self._method("joint")
        with self._lock:
            fitted = self._fit()
        board, columns = fitted.board, fitted.decided.columns
        if fitted.why(method, LEVEL) or len(rows) != len(board.samples):
            return None, None
        ids = [board.labels[column].id for column in columns]
        chosen, answers = [], []
        for row in np.flatnonzero(rows & board.encoded & ~board.in_drawer).tolist():
            said = [truth.get((board.samples[row].id, label)) for label in ids]
            if all(one in (Verdict.YES, Verdict.NO) for one in said):
                chosen.append(row)
                answers.append([one is Verdict.YES for one in said])
        if not chosen:
            return None, None
        at = np.array(chosen)
        flips = self._powerset.flips(fitted.states["joint"], fitted.chances(at))
        within = self._powerset.radius(fitted.states["joint"], LEVEL)
        inside = flips.distances(np.array(answers, bool)) <= within
        sizes = (label_sets.certificates(flips, within) >= 0).sum(axis=1)
        return float(inside.mean()), float(sizes.mean())

    # --- accept what is certain --------------------------------------------------------------

    def plan(
        self,
        level: float = LEVEL,
        guarantee: str = "joint",
        *,
        ids: Sequence[int] | None = None,
    ) -> AcceptPlan:
        """What `accept` would store now."""
        sets, _, found = self._acceptable(checked_level(level), guarantee, ids)
        return self._plan(found, sets)

    def accept(
        self,
        level: float = LEVEL,
        guarantee: str = "joint",
        *,
        who: str = "me",
        op: str | None = None,
        ids: Sequence[int] | None = None,
    ) -> Acceptance:
        """Store a verdict for everything certain and undecided, as one action; one undo.

        Samples of the drawer, of val and test, and labels of muted packs are left out. Verdicts
        that are not learned from yet are folded in first. The same `op` again is answered, not
        stored again.

        Args:
            level: what is certain.
            guarantee: in which sense.
            who: the person.
            op: an id of the action.
            ids: only these samples; all by default.

        Raises:
            BadInputError: nothing is certain, and why; or more than one action may hold.
        """
        level = checked_level(level)
        if op is not None and (known := self._live.store.noted(ACCEPTED, op=op)):
            return self._acceptance(known[0])
        with self._live.learning():
            self._live.resync()
            self._live.fold_in()
            sets, board, found = self._acceptable(level, guarantee, ids)
            if sets.why:
                raise BadInputError(f"nothing can be accepted: {sets.why}")
            count = int(found.cells.sum())
            if not count:
                raise BadInputError(f"nothing that is undecided is certain at {level:.0%}")
            if count > MOST_PAIRS:
                raise BadInputError(
                    f"{count:,} verdicts at once are too many; accept some samples at a time "
                    f"(at most {MOST_PAIRS:,} verdicts)"
                )
            told = self._plan(found, sets)
            receipt = self._live.store.log.append(
                accepting.rows_of(found, sets, board),
                who=who,
                op=op,
                version=sets.version,
                source=f"{CERTAIN}{level:g}",
                detail={ACCEPTED: {**asdict(told), "version": sets.version}},
            )
        self._live.see_stored()
        return self._acceptance(self._live.store.noted(ACCEPTED, op=receipt.op)[0])

    def acceptances(self) -> list[Acceptance]:
        """All bulk acceptances, the newest first, with what was found wrong since."""
        self._live.catch_up()
        return [self._acceptance(each) for each in self._live.store.noted(ACCEPTED)][::-1]

    def spot_check(self, op: str, k: int = 20) -> list[QueueEntry]:
        """Random samples of an acceptance that nobody has looked at since; the same each time.

        Raises:
            NotFoundError: nothing was accepted under that id.
        """
        noted = self._live.store.noted(ACCEPTED, op=op)
        if not noted:
            raise NotFoundError(f"nothing was accepted in bulk by the action {op!r}")
        return accepting.spot_check(noted[0], self._live.board, k)

    # --- claimed and realised ----------------------------------------------------------------

    def claims(
        self, new: Sequence[NewCorrection | NewMark], version: int
    ) -> dict[str, object] | None:
        """What is certain of samples that get their first verdict now, to be kept with it.

        A sample's own verdicts move the model, so the claim that can be tested is the one before
        the first of them. None where there is nothing to claim.
        """
        board = self._live.board
        if board.drawer is None or len(board.labels) > MOST_CLAIMED_LABELS:
            return None
        samples = {row.sample for row in new}
        if len(samples) > MOST_CLAIMS:
            return None
        rows = [
            row
            for row in (board.row_of.get(sample, -1) for sample in sorted(samples))
            if row >= 0 and drawer.is_untouched(board, row)
        ]
        if not rows:
            return None
        with self._lock:
            fitted = self._fit()
        levels = [one for one in LEVELS if not fitted.why(self._powerset, one)]
        if not levels or fitted.board.samples is not board.samples:
            return None
        state = fitted.states["joint"]
        flips = self._powerset.flips(state, fitted.chances(np.array(rows)))
        claim = {
            "version": fitted.learned.version,
            "seen": version,
            "counted": len(fitted.decided.rows),
            "labels": [board.labels[column].id for column in fitted.decided.columns],
            "unit": flips.unit,
            "radii": {f"{one:g}": self._powerset.radius(state, one) for one in levels},
            "samples": realised.packed(flips, [board.samples[row].id for row in rows]),
        }
        return {CLAIM: claim}

    def history(self) -> list[Realised]:
        """What became of claims, for samples that are decided completely by now; oldest first.

        Such samples were chosen, by a picker or a person, so they may be harder than the samples
        that the level is promised for. Those with an UNSURE are left out.
        """
        self._live.catch_up()
        return realised.of_claims(self._live.board, self._live.store.noted(CLAIM))

    def coverage(self, groups: int = 8) -> list[CoveragePoint]:
        """Claimed and realised coverage in so many equal groups over time, per level.

        Intervals are those of Clopper and Pearson.
        """
        return realised.coverage(self.history(), LEVELS, groups)

    # --- inside ------------------------------------------------------------------------------

    @property
    def _powerset(self) -> Any:
        """The method of joint sets; it has distances beside what its shelf promises."""
        return self._method("joint")

    def _method(self, guarantee: str) -> SetCalibrator:
        if guarantee not in GUARANTEES:
            raise BadInputError(
                f"there is no guarantee {guarantee!r}; there are {', '.join(GUARANTEES)}"
            )
        if guarantee not in self._methods:
            self._methods[guarantee] = catalogue.load(GUARANTEES[guarantee])()
        return self._methods[guarantee]

    def _fit(self) -> Fitted:
        """The live version fitted to the drawer; kept while neither changes."""
        live = self._live
        with live.lock:
            board, learned, offset = live.board, live.learned, live.offset
        known = self._fitted
        if known is not None and known.board is board and known.learned is learned:
            return known
        decided = drawer.decided_of(board)
        is_same = (
            known is not None
            and known.learned is learned
            and known.board.logits is board.logits
            and known.board.samples is board.samples
            and known.decided.is_same(decided)
        )
        if is_same and known is not None:
            states = known.states
        else:
            chances = views.chances(board, decided.rows)[:, decided.columns]
            states = {name: self._method(name).fit(chances, decided.truth) for name in GUARANTEES}
            self._sets, self._wrong = {}, {}
        self._fitted = Fitted(
            board=board,
            learned=learned,
            decided=decided,
            states=states,
            is_stale=offset > learned.offset,
            flaw=self._flaw(board, learned),
        )
        if known is not None and known.flaw != self._fitted.flaw:
            self._sets, self._wrong = {}, {}
        return self._fitted

    def _is_stale(self, fitted: Fitted) -> bool:
        return fitted.is_stale or self._live.learned is not fitted.learned

    def _flaw(self, board: Board, learned: Learned) -> str:
        """Why the drawer cannot calibrate this version at all, in one sentence, or ""."""
        if board.drawer is None:
            return "there is no calibration drawer yet; open one to have anything certain"
        if replay.to_forget(board, learned):
            return "the model has yet to forget the samples of the calibration drawer; let it learn"
        spoilt = self._spoilt_lanes()
        if spoilt:
            packs = ", ".join(sorted({repr(lane.pack) for lane in spoilt}))
            return f"the lane of {packs} was taught on the calibration drawer; teach it again"
        return ""

    def _spoilt_lanes(self) -> list[Any]:
        live = self._live
        lanes = [lane for lane in live.learned.lanes if lane.share > 0]
        return replay.saw_drawer(live.store, lanes, live.board.drawer)

    def _acceptable(
        self, level: float, guarantee: str, ids: Sequence[int] | None
    ) -> tuple[LabelSets, Board, accepting.Acceptable]:
        """What is certain, of which board, and what of it there is to accept."""
        with self._lock:
            sets, board = self.sets(level, guarantee), self._fit().board
        hidden = muted(self._live.store)
        return sets, board, accepting.acceptable(sets, board, muted=hidden, ids=ids)

    def _plan(self, found: accepting.Acceptable, sets: LabelSets) -> AcceptPlan:
        return accepting.plan_of(found, sets, lambda: self._wrong_share(sets.guarantee, sets.level))

    def _wrong_share(self, guarantee: str, level: float) -> float:
        """As `Fitted.wrong_share`, worked out once for what is certain by one fit."""
        key = (guarantee, level)
        with self._lock:
            fitted = self._fit()
            if key not in self._wrong:
                self._wrong[key] = fitted.wrong_share(self._method(guarantee), level)
            return self._wrong[key]

    def _acceptance(self, noted: Noted) -> Acceptance:
        return accepting.acceptance_of(noted, self._live.board.verdicts)


def checked_level(level: float) -> float:
    """A level as it is said: 0.5 to 0.999.

    Raises:
        BadInputError: it is another number.
    """
    if not 0.5 <= level <= 0.999:
        raise BadInputError(f"a level is between 0.5 and 0.999, such as 0.9, not {level}")
    return round(float(level), 6)


def _ordered(
    wanted: Bool[np.ndarray, " l"], first: Float[np.ndarray, " l"], then: Float[np.ndarray, " l"]
) -> Int[np.ndarray, " k"]:
    """Columns that are wanted, the smallest of `first` in front, NaN as if it were equal."""
    order = np.lexsort((then, np.nan_to_num(first)))
    return order[wanted[order]]
