"""Whom learners trust: estimated from all that people said, and learned as steps of their own.

Who sees what is there and who does not is known once people have judged some of the same pairs. The
estimate looks at every verdict of the project, so no fold-in makes it: it is made beside them, when
there is enough more to look at, and its few numbers go into a step of the log ("trust") together
with the labels whose verdicts weigh otherwise by it. From then on every version has them, and a
version is what its steps say as before. Where little would change, nothing is made.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Float

from backend import replay
from backend.board import Board
from backend.jobs import Ticket
from backend.learning import TRUST
from backend.live import Live
from backend.numerics import trust as formula
from backend.store.versions import patiently
from backend.store.voices import adjudicated, is_person, votes_of
from backend.types import Correction, LearnStep, Progress, Trust, Verdict

FEWEST = 30
"""Pairs that a person has judged with others, from which on it is known how far to trust them."""
MORE = 1.25
"""Factor by which answers that can be compared have to grow in number before another estimate."""
MOVED = 0.02
"""Mean change of the weights of a label's verdicts from which on the label is learned again."""
BETTER = 0.1
"""By how much the share of YES that people see has to be above that of NO that they call YES. Below
it they contradict each other so much that nobody can be told to be right."""
AT_ONCE = 20_000
"""Verdicts that one step learns again; corrections wait for it."""
DIGITS = 4

Pair = tuple[int, int]
Answers = dict[str, bool]
"""Person -> whether the answer is YES; UNSURE is none."""


class Trusting:
    """What one open project knows of whom to trust; safe to ask from several threads."""

    def __init__(self, bench: Live):
        self._bench = bench
        self._recipe = ""
        self._look_at = 0
        self._looked = 0

    def is_due(self) -> bool:
        """Whether people gave enough more answers on the same pairs for another look."""
        bench = self._bench
        offset, recipe = bench.offset, bench.pipeline.fingerprint
        if recipe != self._recipe:  # with another encoder learning begins anew
            self._recipe, self._look_at, self._looked = recipe, 0, 0
        if offset < self._look_at or bench.store.is_read_only:
            return False
        compared, (known, left) = num_compared(bench.board), self._made()
        needed = max(FEWEST, math.ceil(MORE * max(known, self._looked)))
        if left or compared >= needed:
            return True
        self._look_at = offset + needed - compared  # an answer more takes a row of the log more
        return False

    def learn(self, *, progress: Progress | None = None) -> int:
        """Estimate whom to trust, and learn the labels again that it matters for.

        Nothing is made where it is not due or changes little.

        Args:
            progress: called with (labels done, labels, what is going on).

        Returns:
            The number of versions that were made.

        Raises:
            BusyError: another process is writing versions.
        """
        bench, report = self._bench, progress or (lambda *_: None)
        if not self.is_due():
            return 0
        report(0, 1, "comparing what people said")
        bench.resync()
        board, before = bench.board, bench.learned.trust
        compared = num_compared(board)
        _, left = self._made()
        trust, labels = before, left
        if not left:
            trust = estimate(board)
            labels = [] if trust is None else moved(board, before, trust)
            self._looked = compared
        if trust is None or not labels:
            return 0
        made, done = 0, 0
        parts = list(_parts(board, labels))
        for number, part in enumerate(parts):
            rest = [label for later in parts[number + 1 :] for label in later]
            weighing = replay.Weighing(trust, tuple(part), tuple(rest), compared)
            if not self._step(weighing, trust if made else before):
                break
            made += 1
            done += len(part)
            report(done, len(labels), "weighing verdicts")
        return made

    def learn_soon(self) -> str:
        """The same as a job; returns its id."""

        def work(ticket: Ticket) -> int:
            return self.learn(progress=ticket.progress)

        return self._bench.jobs.submit("trust", "Comparing what people said", work, key="trust")

    def _step(self, weighing: replay.Weighing, before: Trust | None) -> bool:
        """One version more, if the live one still trusts as it did `before`.

        Corrections are folded in between two of them.
        """

        def step() -> bool:
            with self._bench.learning():
                if self._bench.learned.trust != before:
                    return False  # somebody else made a step, or went back
                self._bench.fold_in(weighing)
            return True

        return patiently(step)

    def _made(self) -> tuple[int, list[int]]:
        """What was compared when it was estimated last, and the labels not learned again yet.

        Who goes back to an earlier version does not want the same estimate at once: it counts.
        """
        bench = self._bench
        newest = _newest(bench.store.versions.steps(), bench.pipeline.fingerprint)
        if newest is None:
            return 0, []
        is_live = bench.learned.trust == replay.trust_in(newest.detail[TRUST])
        live = bench.board.column_of
        left = [int(label) for label in newest.detail["left"] if is_live and label in live]
        return int(newest.detail["compared"]), left


def estimate(board: Board) -> Trust | None:
    """Whom to trust by all that is said; None where too little is known, or nobody is right.

    Everybody counts who judged `FEWEST` pairs with others who do. Whoever does not is trusted as
    all of them together.
    """
    asked = list(_asked(board.verdicts, board.said))
    people = _known(answers for _, answers, _ in asked)
    if len(people) < 2:
        return None
    number = {who: k for k, who in enumerate(people)}
    columns: dict[int, int] = {}
    rows: list[tuple[int, int, bool]] = []
    labels: list[int] = []
    decided: list[float] = []
    for pair, answers, said in asked:
        mine = [(number[who], is_yes) for who, is_yes in sorted(answers.items()) if who in number]
        if mine:
            rows += [(len(labels), who, is_yes) for who, is_yes in mine]
            labels.append(columns.setdefault(pair[1], len(columns)))
            decided.append(said)
    table = np.array(rows, np.int64)
    found = formula.estimated(
        table[:, 0],
        table[:, 1],
        table[:, 2] > 0,
        np.array(labels, np.int64),
        num_people=len(people),
        num_labels=len(columns),
        decided=np.array(decided),
    )
    seen, wrong = found.together
    if seen - wrong < BETTER:
        return None
    return Trust(
        people={who: (_told(found.seen[k]), _told(found.wrong[k])) for who, k in number.items()},
        anybody=(_told(seen), _told(wrong)),
        often=_told(float(found.chances.mean())),
    )


def num_compared(board: Board) -> int:
    """Answers, YES or NO, that stand beside an earlier one of another person on the same pair."""
    return sum(max(0, len(_answers(voices)) - 1) for voices in board.said.values())


def moved(board: Board, before: Trust | None, after: Trust) -> list[int]:
    """Labels, by id, whose verdicts weigh otherwise by another trust."""
    old, new = (
        board.lessons(board.verdicts, board.column_of, board.trainable, trust=trust)
        for trust in (before, after)
    )
    if not len(new.rows):
        return []
    change = np.abs(_weights(new.weights, len(new.rows)) - _weights(old.weights, len(new.rows)))
    count = np.bincount(new.columns, minlength=len(board.labels))
    mean = np.bincount(new.columns, change, len(board.labels)) / np.maximum(count, 1)
    return sorted(board.labels[column].id for column in np.flatnonzero(mean > MOVED).tolist())


def _weights(weights: Float[np.ndarray, " m"] | None, num: int) -> Float[np.ndarray, " m"]:
    return np.ones(num) if weights is None else weights.astype(np.float64)


def _parts(board: Board, labels: Sequence[int]) -> Iterator[list[int]]:
    """Labels in their order, as many at a time as have `AT_ONCE` verdicts together."""
    count = Counter(label for _, label in board.verdicts)
    part: list[int] = []
    held = 0
    for label in labels:
        if part and held + count[label] > AT_ONCE:
            yield part
            part, held = [], 0
        part.append(label)
        held += count[label]
    if part:
        yield part


def _newest(steps: Sequence[LearnStep], recipe: str) -> LearnStep | None:
    """The newest estimate since learning last began anew."""
    for step in reversed(steps):
        if step.recipe != recipe:
            return None
        if step.kind == TRUST:
            return step
        if not step.from_version:
            return None
    return None


def _asked(
    verdicts: Mapping[Pair, Correction], said: Mapping[Pair, Mapping[str, Correction]]
) -> Iterator[tuple[Pair, Answers, float]]:
    """Each pair that people answered, with what was adjudicated: 1 YES, 0 NO, NaN open."""
    for pair, row in verdicts.items():
        if pair not in said:
            for who, verdict in votes_of(row):
                if verdict is not Verdict.UNSURE:
                    yield pair, {who: verdict is Verdict.YES}, math.nan
    for pair, voices in said.items():
        answers = _answers(voices)
        if answers:
            decision = adjudicated(voices)
            is_decided = decision is not None and decision.verdict in (Verdict.YES, Verdict.NO)
            yes = float(is_decided and decision is not None and decision.verdict is Verdict.YES)
            yield pair, answers, yes if is_decided else math.nan


def _answers(voices: Mapping[str, Correction]) -> Answers:
    return {
        who: row.verdict is Verdict.YES
        for who, row in voices.items()
        if is_person(who) and row.verdict in (Verdict.YES, Verdict.NO)
    }


def _known(asked: Iterable[Answers]) -> list[str]:
    """Who answered `FEWEST` pairs that others of them answered, too; by name."""
    together = Counter(frozenset(answers) for answers in asked if len(answers) > 1)
    known = {who for each in together for who in each}
    while True:
        count = Counter[str]()
        for each, pairs in together.items():
            if len(each & known) > 1:
                count.update(dict.fromkeys(each & known, pairs))
        enough = {who for who in known if count[who] >= FEWEST}
        if enough == known:
            return sorted(known)
        known = enough


def _told(share: float) -> float:
    """A share as it is kept: short, and never so sure that an answer says everything."""
    least = 10.0**-DIGITS
    return float(np.clip(round(share, DIGITS), least, 1 - least))
