"""Which pairs at least two people judged, and the filters that find what the agreement counts.

    agreement:LABEL:WHAT   pairs of a label (its id, or `any`): judged by two (`twice`), all agree
                           on it (`agreed`), in dispute (`disputed`), such that nothing counts
                           (`tied`), decided for everybody (`adjudicated`)
    voice:WHAT:WHO         verdicts of one voice (`given`), those that others judged, too
                           (`shared`), those that somebody judged otherwise (`apart`)

WHAT is followed by `+files` where imported files count as people. A sample matches with one such
pair. The table of agreement counts the very pairs that are found here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from backend.board import Board
from backend.store.corrections import ADJUDICATION
from backend.store.voices import IMPORT, is_disputed, is_person, settled, voice_of, voters
from backend.types import Correction, Verdict

Pair = tuple[int, int]
KINDS = ("agreement", "voice")
OF_LABEL = ("twice", "agreed", "disputed", "tied", "adjudicated")
OF_VOICE = ("given", "shared", "apart")
FILES = "+files"
COUNTED = ("disputed", "tied", "adjudicated")
MOST_WHO = 200


@dataclass(frozen=True)
class Heard:
    """A pair that at least two judged.

    Attributes:
        said: voice -> verdict, of those that count as people.
        is_disputed: people differ and nobody adjudicated.
    """

    pair: Pair
    said: Mapping[str, Verdict]
    is_disputed: bool

    @property
    def is_agreed(self) -> bool:
        """All say the same."""
        return len({*self.said.values()}) == 1


def judged_twice(board: Board, *, with_files: bool) -> Iterator[Heard]:
    """Pairs that at least two judged; `with_files`: imported files count as people."""
    for pair, voices in board.said.items():
        said = {
            voice: row.verdict
            for voice, row in voices.items()
            if row.verdict is not None and counts_as_person(voice, with_files=with_files)
        }
        if len(said) > 1 and pair[1] in board.column_of:
            yield Heard(pair, said, is_disputed(voices))


def words_given(board: Board, *, with_files: bool) -> Iterator[tuple[Pair, str]]:
    """Every word that counts as a person's: its pair and whose it is."""
    for pair, row in board.verdicts.items():
        if pair not in board.said and row.verdict is not None:
            voice = voice_of(row)
            if counts_as_person(voice, with_files=with_files):
                yield pair, voice
    for pair, voices in board.said.items():
        for voice, row in voices.items():
            if row.verdict is not None and counts_as_person(voice, with_files=with_files):
                yield pair, voice


def counts_as_person(voice: str, *, with_files: bool) -> bool:
    """Whether a voice takes part in the agreement; adjudication and the model never do."""
    return is_person(voice) or (with_files and voice.startswith(IMPORT))


def is_tied(voices: Mapping[str, Correction]) -> bool:
    """Whether people differ such that no verdict counts."""
    return is_disputed(voices) and settled(voters(voices).values()).verdict is None


def read_key(
    kind: str, text: str, id_of: Callable[[str], int] | None = None
) -> tuple[str, str] | None:
    """What comes after `agreement:` or `voice:` -> key and value; None: it cannot be read."""
    if kind == "voice":
        what, _, who = text.partition(":")
        is_read = what.removesuffix(FILES) in OF_VOICE and 0 < len(who) <= MOST_WHO
        return (f"voice:{what}", who) if is_read else None
    label, _, what = text.rpartition(":")
    if what.removesuffix(FILES) not in OF_LABEL or not label:
        return None
    if id_of is not None and label != "any":
        label = str(id_of(label))
    if label != "any" and not (label.isascii() and label.isdigit() and len(label) < 17):
        return None
    return f"agreement:{label}", what


def matching(board: Board, key: str, values: Sequence[str]) -> Bool[np.ndarray, " n"]:
    """Rows with a pair that one filter finds; key and values as `read_key` gives them."""
    keep = np.zeros(len(board.samples), bool)
    kind, _, of = key.partition(":")
    for value in values:
        found = _of_voice(board, of, value) if kind == "voice" else _of_label(board, of, value)
        rows = [board.row_of[sample] for sample, _ in found if sample in board.row_of]
        keep[rows] = True
    return keep


def counted(board: Board) -> dict[str, int]:
    """Filter -> samples it finds: where people differ, tie, or somebody decided; empty ones out."""
    found = {what: matching(board, "agreement:any", [what]) for what in COUNTED}
    return {f"agreement:any:{what}": int(n) for what, keep in found.items() if (n := keep.sum())}


def _of_label(board: Board, label: str, text: str) -> Iterator[Pair]:
    what, with_files = text.removesuffix(FILES), text.endswith(FILES)
    if what == "adjudicated":
        found = (pair for pair, row in board.verdicts.items() if row.source == ADJUDICATION)
    elif what == "tied":
        found = (pair for pair, voices in board.said.items() if is_tied(voices))
    else:
        found = (
            one.pair
            for one in judged_twice(board, with_files=with_files)
            if what == "twice"
            or (what == "agreed" and one.is_agreed)
            or (what == "disputed" and one.is_disputed)
        )
    return (pair for pair in found if label == "any" or pair[1] == int(label))


def _of_voice(board: Board, text: str, who: str) -> Iterator[Pair]:
    what, with_files = text.removesuffix(FILES), text.endswith(FILES)
    if what == "given":
        return (p for p, voice in words_given(board, with_files=with_files) if voice == who)
    return (
        one.pair
        for one in judged_twice(board, with_files=with_files)
        if who in one.said and (what == "shared" or not one.is_agreed)
    )
