"""What several people say of one pair (sample, label): the last word of each, and what counts.

Who speaks is a voice: a person by name, a file that was imported (`import:FILE`) where it names
nobody, or the model where what it was certain of was accepted in bulk (`certain:LEVEL`; the row has
the name of who accepted it). A later row of a voice takes the place of its earlier one, and a row
without a verdict takes its word back. Marks on places belong to the pair and not to a voice: those
of its last row hold.

What counts of a pair is its adjudicated verdict; without one the verdict that more people gave than
any other; where people agree it carries more weight, where it is a tie there is none. Files and
the model are asked only where no person has spoken; among themselves they vote like people. So
with one person, or one file and one person, this is the last row of the pair, as it always was.

Projects from before people were told apart keep what counted then: up to `start` in the log the
last row of a pair, whoever wrote it, is all that is said of it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from backend.store import operations
from backend.store import tables as t
from backend.types import CERTAIN, Correction, Verdict

PERSON = "person"
ADJUDICATION = "adjudication"
"""The `source` of rows that decide a pair for everybody; the last of them holds."""
MERGED = "merge"
"""The `source` of rows that a label took over from one that was merged into it."""
IMPORT = "import:"
PEOPLE_FROM = "people_from"
"""Key in `settings`: the log offset after which people are told apart."""

Pair = tuple[int, int]
_NEVER = 2**62
MOST_WHO = 200
"""Characters of a name in the log."""
_DECIDED = ""
"""The voice of adjudication; no person and no file is called so."""


@dataclass(frozen=True)
class Settled:
    """What counts of some verdicts.

    Attributes:
        verdict: None where it is a tie.
        weight: how far people agree, 0..1: (votes for it - votes for the next) / votes.
    """

    verdict: Verdict | None
    weight: float


@dataclass
class Words:
    """All that is said, folded from the log.

    Attributes:
        verdicts: what counts of each pair of which something is said; without a verdict it is
            marked only. Of one voice it is that voice's row itself.
        said: the rows of each voice, for pairs with at least two; the last that spoke is last.
    """

    verdicts: dict[Pair, Correction] = field(default_factory=dict)
    said: dict[Pair, dict[str, Correction]] = field(default_factory=dict)

    def take(self, row: Correction, *, start: int = 0) -> None:
        """Add a row of the log, in the order of offsets; dicts of `said` are never changed."""
        pair = (row.sample, row.label)
        if row.offset <= start:
            voices = {} if row.verdict is None else {voice_of(row): row}
        else:
            voices = dict(self.of(pair))
            voices.pop(voice_of(row), None)
            if row.verdict is not None:
                voices[voice_of(row)] = row
        counts = _what_counts(voices, row)
        if counts is None:
            self.verdicts.pop(pair, None)
        else:
            self.verdicts[pair] = counts
        if len(voices) > 1:
            self.said[pair] = voices
        else:
            self.said.pop(pair, None)

    def of(self, pair: Pair) -> Mapping[str, Correction]:
        """Voice -> its row, of one pair."""
        return words_of(self.verdicts, self.said, pair)


def words_of(
    verdicts: Mapping[Pair, Correction], said: Mapping[Pair, Mapping[str, Correction]], pair: Pair
) -> Mapping[str, Correction]:
    """Voice -> its row, of one pair; empty where nobody gave a verdict."""
    several = said.get(pair)
    if several is not None:
        return several
    one = verdicts.get(pair)
    return {} if one is None or one.verdict is None else {voice_of(one): one}


def shown_to(
    who: str, voices: Mapping[str, Correction], counts: Correction | None, *, is_blind: bool = False
) -> Verdict | None:
    """What one person sees of a pair: their own word, else what counts (nothing while blind)."""
    own = voices.get(who)
    if own is not None:
        return own.verdict
    return None if is_blind or counts is None else counts.verdict


def folded(rows: Iterable[Correction], *, start: int = 0) -> Words:
    """What is said after some rows of the log, oldest first; `start` as in the module."""
    words = Words()
    for row in rows:
        words.take(row, start=start)
    return words


def voice_of(row: Correction) -> str:
    """Whose word a row is; "" for adjudication."""
    return voice(row.who, row.source)


def voice(who: str, source: str) -> str:
    """Whose word a row with these two is."""
    if source == ADJUDICATION:
        return _DECIDED
    return source if source.startswith(CERTAIN) else who


def spoken_by(who: str, source: str, by: str) -> str:
    """Whose word a row is: older imports noted who brought a file as who said it."""
    return source[:MOST_WHO] if source.startswith(IMPORT) and who == by else who


def is_person(voice: str) -> bool:
    """Whether a voice is a person: no file, not the model, and not adjudication."""
    return not voice.startswith((IMPORT, CERTAIN)) and voice != _DECIDED


def voters(voices: Mapping[str, Correction]) -> dict[str, Verdict]:
    """Whose verdicts are asked: people, or files and the model where no person has spoken."""
    said = {one: row.verdict for one, row in voices.items() if row.verdict is not None}
    said.pop(_DECIDED, None)
    return {one: verdict for one, verdict in said.items() if is_person(one)} or said


def adjudicated(voices: Mapping[str, Correction]) -> Correction | None:
    """The row that decided the pair for everybody, if there is one."""
    return voices.get(_DECIDED)


def is_disputed(voices: Mapping[str, Correction]) -> bool:
    """Whether those who are asked differ and nobody adjudicated."""
    return adjudicated(voices) is None and len({*voters(voices).values()}) > 1


def votes_of(row: Correction) -> tuple[tuple[str, Verdict], ...]:
    """By whose votes a row counts, in the order of names; empty where it is not people's votes.

    So it is of what was adjudicated, of what only files or the model say, and of marks alone.
    """
    if row.votes:
        return row.votes
    if row.verdict is None or not is_person(voice_of(row)):
        return ()
    return ((row.who, row.verdict),)


def settled(verdicts: Iterable[Verdict]) -> Settled:
    """The verdict that more people gave than any other, UNSURE being one of three.

    Example:
        >>> settled([Verdict.YES, Verdict.YES, Verdict.NO])
        Settled(verdict=<Verdict.YES: 'yes'>, weight=0.3333333333333333)
    """
    counts = Counter(verdicts)
    if not counts:
        return Settled(None, 0.0)
    (first, most), *rest = counts.most_common(2)
    ahead = most - (rest[0][1] if rest else 0)
    return Settled(first if ahead else None, ahead / counts.total())


def _what_counts(voices: Mapping[str, Correction], last: Correction) -> Correction | None:
    """One row for all: the newest that says what counts, with the marks of the pair's last row."""
    if not voices:
        return None if last.is_blank else last
    if len(voices) == 1:
        (only,) = voices.values()
        return only if only is last else replace(only, regions=last.regions)
    decided = adjudicated(voices)
    if decided is not None:
        return replace(decided, regions=last.regions)
    asked = voters(voices)
    found = settled(asked.values())
    if found.verdict is None:
        tied = replace(last, verdict=None, weight=0.0)
        return None if tied.is_blank else tied
    newest = [voices[one] for one, verdict in asked.items() if verdict is found.verdict][-1]
    is_vote = len(asked) > 1 and all(is_person(one) for one in asked)
    votes = tuple(sorted(asked.items())) if is_vote else ()
    return replace(newest, regions=last.regions, weight=found.weight, votes=votes)


# In the database -------------------------------------------------------------------------------

_START = sa.select(t.settings.c.value).where(t.settings.c.key == PEOPLE_FROM)


def people_from(connection: Connection) -> int:
    """The log offset after which people are told apart; a project never opened since: never."""
    found = connection.execute(_START).scalar()
    return _NEVER if found is None else int(json.loads(found))


def tell_people_apart(connection: Connection) -> None:
    """From the end of the log on, unless it was said before."""
    if connection.execute(_START).scalar() is None:
        value = json.dumps(operations.last_offset(connection))
        connection.execute(t.settings.insert().values(key=PEOPLE_FROM, value=value))


def newest_rows(start: int) -> sa.Select:
    """Offsets of the last row of each voice of each pair, and of the pair up to `start`."""
    c = t.corrections.c
    is_old = c.offset <= start
    is_decision = sa.and_(~is_old, c.source == ADJUDICATION)
    by_source = c.source.startswith(CERTAIN, autoescape=True)
    who = sa.case((sa.or_(is_old, is_decision), ""), (by_source, c.source), else_=c.who)
    return sa.select(sa.func.max(c.offset)).group_by(c.sample, c.label, is_old, is_decision, who)
