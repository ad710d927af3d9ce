"""Several people on one project: how far they agree, where they do not, and who decides it.

What counts of a pair is settled in `store/voices.py`; here is what people see of it. A file that
was imported is a voice like a person where nobody else has spoken, but it is left out of the
agreement unless it is asked for: whoever corrects a file has seen what it says. Verdicts that were
accepted in bulk are the model's and never count here, nor does what was adjudicated.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from backend.agreeing import is_tied, judged_twice, words_given
from backend.board import Board, weigher
from backend.errors import BadInputError, NotFoundError
from backend.live import Live
from backend.numerics import agreement
from backend.store.corrections import ADJUDICATION, NewCorrection
from backend.store.voices import (
    Settled,
    adjudicated,
    is_disputed,
    is_person,
    settled,
    shown_to,
    voters,
    words_of,
)
from backend.types import CERTAIN, Correction, ExportRow, Receipt, Trust, Verdict

BLIND = "is_blind"
VALUES = tuple(Verdict)
MOST_ADJUDICATED = 5000
"""Pairs that one action may decide."""

Pair = tuple[int, int]
ByLabel = dict[int, dict[int, Verdict]]


@dataclass(frozen=True)
class PersonFacts:
    """One voice: its verdicts, how many others judged too, and the share of those that agree.

    Attributes:
        agreeing: None where nobody else judged what this one did.
        seen: of the YES that are there, the estimated share which this person calls YES.
        wrong: of the NO, the estimated share which this person calls YES. Both None while nobody
            is trusted more than another, and for files.
        is_known: whether the two are this person's own, or those of all together.
    """

    who: str
    verdicts: int
    shared: int
    agreeing: float | None
    seen: float | None = None
    wrong: float | None = None
    is_known: bool = False


@dataclass(frozen=True)
class LabelAgreement:
    """One label: pairs that at least two judged, on how many of them all agree, and alpha.

    `alpha` is None where it is not defined: nothing judged twice, or always one and the same.
    """

    label: str
    label_id: int
    pairs: int
    agreed: int
    disputed: int
    alpha: float | None


@dataclass(frozen=True)
class Agreement:
    """The whole project; `why` is a sentence where there is no alpha, else empty.

    Attributes:
        disputed: pairs on which people differ and nobody adjudicated.
        tied: those of them for which no verdict counts, so that nothing learns from them.
        adjudicated: pairs that somebody decided for everybody.
        is_trusting: whether learners of the live version weigh verdicts by who gave them.
    """

    alpha: float | None
    why: str
    pairs: int
    agreed: int
    disputed: int
    tied: int
    adjudicated: int
    people: tuple[PersonFacts, ...]
    labels: tuple[LabelAgreement, ...]
    is_trusting: bool = False


@dataclass(frozen=True)
class Word:
    """What one voice said of a pair, and when; `is_decision`: it was adjudicated for everybody."""

    who: str
    verdict: Verdict
    when: float
    is_decision: bool = False


@dataclass(frozen=True)
class Dispute:
    """A pair on which people differ; without `verdict` it is a tie, and nothing learns from it.

    `weight` is what its verdict weighs for learners, 0..1.
    """

    sample: int
    name: str
    label: str
    label_id: int
    words: tuple[Word, ...]
    verdict: Verdict | None
    weight: float


class People:
    """The people of one open project."""

    def __init__(self, live: Live):
        self._live = live
        self._own: tuple[Board, dict[str, Board]] | None = None

    # --- look --------------------------------------------------------------------------------

    @property
    def is_blind(self) -> bool:
        """Whether everybody labels without seeing what others said."""
        return bool(self._live.store.get(BLIND, False))

    def agreement(self, *, with_files: bool = False) -> Agreement:
        """How far people agree, overall and per label; the labels with the most disputes first.

        Args:
            with_files: imported files that name nobody are people, too.
        """
        board, trust = self._live.board, self._live.learned.trust
        table = _Table.of(board, with_files=with_files)
        labels = sorted(table.labels(board), key=lambda one: (-one.disputed, one.label))
        alpha = _number(agreement.alpha(table.counts))
        judged = [one for one in labels if one.pairs]
        return Agreement(
            alpha=alpha,
            why="" if alpha is not None else table.why(),
            pairs=sum(one.pairs for one in judged),
            agreed=sum(one.agreed for one in judged),
            disputed=sum(one.disputed for one in judged),
            tied=sum(is_tied(voices) for voices in board.said.values()),
            adjudicated=sum(row.source == ADJUDICATION for row in board.verdicts.values()),
            people=tuple(_trusted(one, trust) for one in table.people()),
            labels=tuple(labels),
            is_trusting=trust is not None,
        )

    def disputes(
        self, k: int = 20, *, label: int | None = None, skip: int = 0
    ) -> tuple[list[Dispute], int]:
        """Where people differ and nobody adjudicated: ties first, then the narrowest; how many.

        Args:
            k: the most to return.
            label: only those of this label.
            skip: the number of them that are passed over, for the next page.
        """
        board, weigh = self._live.board, weigher(self._live.learned.trust)
        found: list[tuple[float, int, Pair, Settled]] = []
        for pair, voices in board.said.items():
            if not is_disputed(voices) or (label is not None and pair[1] != label):
                continue
            if pair[0] in board.row_of and pair[1] in board.column_of:
                asked = voters(voices)
                counts = settled(asked.values())
                found.append((counts.weight, -len(asked), pair, counts))
        found.sort(key=lambda each: each[:3])
        told = [
            Dispute(
                sample=pair[0],
                name=board.samples[board.row_of[pair[0]]].name,
                label=board.labels[board.column_of[pair[1]]].name,
                label_id=pair[1],
                words=tuple(_word(row) for row in board.said[pair].values()),
                verdict=counts.verdict,
                weight=0.0 if counts.verdict is None else weigh(board.verdicts[pair]),
            )
            for _weight, _votes, pair, counts in found[skip : skip + k]
        ]
        return told, len(found)

    def others(self, sample: int, who: str) -> dict[int, tuple[Word, ...]]:
        """Label id -> what other people said of a sample; nothing while people label blind.

        A file or the model is told only beside a person, who counts above it.
        """
        if self.is_blind:
            return {}
        board = self._live.board
        found: dict[int, tuple[Word, ...]] = {}
        for label in board.labels:
            pair = (sample, label.id)
            voices = words_of(board.verdicts, board.said, pair)
            if not voices:
                continue
            is_alone = len(voices) == 1
            words = tuple(
                _word(row)
                for voice, row in voices.items()
                if voice != who and (is_person(voice) or not is_alone or not voice)
            )
            if words:
                found[label.id] = words
        return found

    def borrowed(self, sample: int, who: str) -> list[int]:
        """Labels of which `who` said nothing and sees what other people said."""
        if self.is_blind:
            return []
        board = self._live.board
        found = []
        for label in board.labels:
            counts = board.verdicts.get((sample, label.id))
            if counts is None or counts.verdict is None:
                continue
            voices = words_of(board.verdicts, board.said, (sample, label.id))
            if who not in voices and any(is_person(one) or not one for one in voices):
                found.append(label.id)
        return found

    def seen_by(self, who: str, ids: Iterable[int] | None = None) -> ByLabel:
        """Verdicts as one person sees them: sample id -> label id -> verdict.

        Their own word, and where they have none what counts; nothing but their own while people
        label blind.
        """
        board = self._live.board
        return seen_by(board, who, is_blind=self.is_blind, ids=ids)

    def board_of(self, who: str | None, board: Board | None = None) -> Board:
        """The board (the present one) as one person sees it; `own_board` while people label blind.

        The scores are the same for everybody: they are the model's. Without `who` it is the whole.
        """
        board = self._live.board if board is None else board
        if who is None or not self.is_blind:
            return board
        known = self._own
        if known is None or known[0] is not board:
            self._own = known = (board, {})
        if who not in known[1]:
            known[1][who] = own_board(board, who)
        return known[1][who]

    def is_hidden(self, who: str) -> bool:
        """Whether people label blind and somebody else has said something."""
        if not self.is_blind:
            return False
        board = self._live.board
        return any(
            {*words_of(board.verdicts, board.said, pair)} - {who}
            for pair in (*board.verdicts, *board.said)
        )

    def decided_by(self, who: str) -> np.ndarray:
        """(N, L) the cells that one person sees decided."""
        board = self._live.board
        table = np.zeros((len(board.samples), len(board.labels)), bool)
        for sample, said in self.seen_by(who).items():
            if sample in board.row_of:
                columns = [board.column_of[label] for label in said if label in board.column_of]
                table[board.row_of[sample], columns] = True
        return table

    # --- decide ------------------------------------------------------------------------------

    def set_blind(self, is_blind: bool) -> None:
        """Hide from everybody what others said while they label, or show it again."""
        self._live.store.set(BLIND, is_blind)

    def is_said_by_others(self, pairs: Iterable[tuple[int, int]], who: str) -> bool:
        """Whether another person than `who` has a word on one of these pairs, or it was decided."""
        board = self._live.board
        return any(
            adjudicated(voices) is not None
            or any(is_person(voice) and voice != who for voice in voices)
            for voices in (words_of(board.verdicts, board.said, pair) for pair in pairs)
        )

    def adjudicate(
        self,
        decisions: Sequence[tuple[int, int, Verdict | None]],
        *,
        who: str,
        op: str | None = None,
    ) -> Receipt:
        """Decide pairs (sample id, label id) for everybody; one action, one undo.

        Each person's own word stays in the log. None takes an adjudication back.

        Raises:
            BadInputError: nothing to decide, or too much at once.
            NotFoundError: a sample or label is unknown; nothing is stored.
        """
        if not decisions or len(decisions) > MOST_ADJUDICATED:
            raise BadInputError(
                f"adjudicate 1 to {MOST_ADJUDICATED:,} verdicts at once, not {len(decisions):,}"
            )
        rows = [NewCorrection(*decision) for decision in decisions]
        receipt = self._live.store.log.append(
            rows, who=who, op=op, version=self._live.learned.version, source=ADJUDICATION
        )
        self._live.see_stored()
        return receipt

    def label_id(self, name: str) -> int:
        """The id of a label that is named in a request for disputes.

        Raises:
            NotFoundError: there is none.
        """
        board = self._live.board
        if name not in board.column_named:
            raise NotFoundError(f"there is no label {name!r}")
        return board.labels[board.column_named[name]].id


def seen_by(board: Board, who: str, *, is_blind: bool, ids: Iterable[int] | None = None) -> ByLabel:
    """`People.seen_by` of a board."""
    wanted = None if ids is None else set(ids)
    out: ByLabel = {sample: {} for sample in wanted or ()}
    for pair, counts in _cells(board, wanted):
        voices = board.said.get(pair)
        if voices is None and not is_blind:
            shown = counts.verdict if counts else None
        else:
            said = words_of(board.verdicts, board.said, pair)
            shown = shown_to(who, said, counts, is_blind=is_blind)
        if shown is not None:
            out.setdefault(pair[0], {})[pair[1]] = shown
    return out


def own_board(board: Board, who: str) -> Board:
    """A board that knows the words of one person alone.

    Marks on places belong to the pair and not to a person: they are left where nobody else has
    a say on it.
    """
    own: dict[Pair, Correction] = {}
    for pair, counts in _cells(board, None):
        voices = words_of(board.verdicts, board.said, pair)
        if who in voices:
            own[pair] = voices[who] if len(voices) == 1 else replace(voices[who], regions=())
        elif counts is not None and not voices and counts.who == who:  # only marked
            own[pair] = counts
    return replace(board, verdicts=own, said={})


def rows_by_person(board: Board) -> Iterator[ExportRow]:
    """Every word with who said it, to take home: a sample comes once for each who spoke of it.

    Files that were imported speak, too. What was adjudicated or accepted in bulk is nobody's own
    word and is left out; `without_person` counts it. Marks on places belong to the pair and not to
    a person: they go with who spoke last of it.
    """
    found: dict[int, dict[str, dict[int, Correction]]] = {}
    for pair, counts in _cells(board, None):
        sample, label = pair
        if label not in board.column_of:
            continue
        said = found.setdefault(sample, {})
        for row in words_of(board.verdicts, board.said, pair).values():
            if _is_own(row):
                said.setdefault(row.who, {})[label] = replace(row, regions=())
        if counts is not None and counts.regions:
            words = said.setdefault(counts.who, {})
            own = words.get(label, replace(counts, verdict=None))
            words[label] = replace(own, regions=counts.regions)
    for sample in board.samples:
        said = found.get(sample.id, {})
        for words in said.values():
            yield ExportRow(sample, words)
        if not said:
            yield ExportRow(sample, {})


def without_person(board: Board, ids: set[int]) -> dict[str, int]:
    """How many words on these samples `rows_by_person` leaves out."""
    rows = [
        row
        for pair, _ in _cells(board, ids)
        for row in words_of(board.verdicts, board.said, pair).values()
    ]
    return {
        "adjudications": sum(row.source == ADJUDICATION for row in rows),
        "accepted_in_bulk": sum(row.is_accepted for row in rows),
    }


def _is_own(row: Correction) -> bool:
    return row.source != ADJUDICATION and not row.is_accepted


def _cells(board: Board, wanted: set[int] | None) -> Iterable[tuple[Pair, Correction | None]]:
    """Pairs of which something is said, of all samples or of some; whatever is less to look at."""
    cells = len(wanted or ()) * len(board.labels)
    if wanted is not None and cells < len(board.verdicts) + len(board.said):
        for sample in sorted(wanted):
            for label in board.labels:
                pair = (sample, label.id)
                counts = board.verdicts.get(pair)
                if counts is not None or pair in board.said:
                    yield pair, counts
        return
    for pair, counts in board.verdicts.items():
        if wanted is None or pair[0] in wanted:
            yield pair, counts
    for pair in board.said:  # ties, of which nothing counts
        if pair not in board.verdicts and (wanted is None or pair[0] in wanted):
            yield pair, None


def _word(row: Correction) -> Word:
    assert row.verdict is not None  # noqa: S101  words are verdicts
    # What was accepted in bulk is the model's word, not of who accepted it.
    level = row.source.removeprefix(CERTAIN)
    who = f"certain at {float(level):.0%}" if row.is_accepted else row.who
    return Word(who, row.verdict, row.when, row.source == ADJUDICATION)


def _trusted(one: PersonFacts, trust: Trust | None) -> PersonFacts:
    """The same with what learners believe of the person."""
    if trust is None or not is_person(one.who):
        return one
    seen, wrong = trust.rates(one.who)
    return replace(one, seen=seen, wrong=wrong, is_known=one.who in trust.people)


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


@dataclass(frozen=True)
class _Table:
    """The pairs that at least two judged.

    Attributes:
        counts: (U, 3) how many gave each of the verdicts.
        columns: (U,) column of the label.
        disputed: (U,) whether people differ and nobody adjudicated.
        given: voice -> number of verdicts.
        shared: voice -> pairs that others judged, too.
        agreeing: voice -> over those, the sum of the shares of others who said the same.
    """

    counts: np.ndarray
    columns: np.ndarray
    disputed: np.ndarray
    given: Mapping[str, int]
    shared: Mapping[str, int]
    agreeing: Mapping[str, float]

    @classmethod
    def of(cls, board: Board, *, with_files: bool) -> _Table:
        given: Counter[str] = Counter(who for _, who in words_given(board, with_files=with_files))
        shared: Counter[str] = Counter()
        agreeing: defaultdict[str, float] = defaultdict(float)
        rows: list[list[int]] = []
        for one in judged_twice(board, with_files=with_files):
            votes = Counter(one.said.values())
            column = board.column_of[one.pair[1]]
            rows.append([*(votes[value] for value in VALUES), column, one.is_disputed])
            for voice, verdict in one.said.items():
                shared[voice] += 1
                agreeing[voice] += (votes[verdict] - 1) / (len(one.said) - 1)
        table = np.array(rows, np.int64).reshape(-1, len(VALUES) + 2)
        return cls(table[:, :-2], table[:, -2], table[:, -1].astype(bool), given, shared, agreeing)

    def people(self) -> tuple[PersonFacts, ...]:
        """Each voice, who said most first."""
        return tuple(
            PersonFacts(
                voice,
                verdicts,
                self.shared.get(voice, 0),
                self.agreeing[voice] / self.shared[voice] if self.shared.get(voice) else None,
            )
            for voice, verdicts in sorted(self.given.items(), key=lambda one: (-one[1], one[0]))
            if verdicts
        )

    def labels(self, board: Board) -> list[LabelAgreement]:
        """Each label of the project, those that nobody judged twice included."""
        num = len(board.labels)
        alphas = agreement.alphas(self.counts, self.columns, num)
        agreed = self.counts.max(axis=1, initial=0) == self.counts.sum(axis=1)
        pairs, same, disputed = (
            np.bincount(self.columns, weights, num)
            for weights in (None, agreed.astype(float), self.disputed.astype(float))
        )
        return [
            LabelAgreement(
                label.name,
                label.id,
                int(pairs[column]),
                int(same[column]),
                int(disputed[column]),
                _number(alphas[column]),
            )
            for column, label in enumerate(board.labels)
        ]

    def why(self) -> str:
        """A sentence for a table that has no alpha."""
        if len(self.given) < 2:
            only = next(iter(self.given), None)
            said = f"all verdicts are from {only!r}" if only else "nobody has given a verdict yet"
            return f"{said}; agreement needs two people who judge the same pairs"
        if not len(self.counts):
            return (
                f"{len(self.given)} people gave verdicts, but no two of them judged the same pair "
                "of sample and label"
            )
        return (
            f"everybody said the same one thing of all {len(self.counts)} pairs that two or more "
            "judged; alpha tells agreement from chance only where different verdicts were given"
        )
