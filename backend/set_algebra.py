"""Search by a formula: `cat & ~dog`, `wren or not "salt & pepper"`, `"red car" | @night`.

    or       |   or     weakest
    and      &   and
    not      ~   not    strongest

Words count in any case. A name stands bare and reaches to the next operator or parenthesis, spaces
and all; one that holds an operator stands in double quotes, a quote inside them twice. Names of
labels and their aliases are known; where case alone differs from one label, that one is meant.
Words in quotes that are no label are free text: what they say, as if a label were called so. `@`
before a name means the saved slice of that name; `@selection` is what is selected on the screen.

The answer is the chance that the formula is true, see `numerics/formulas.py`: a verdict is 1 or 0,
UNSURE and no verdict are the model's chance; a sample is in a slice or it is not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
from jaxtyping import Float, Int

from backend import views
from backend.board import Board
from backend.errors import BadInputError
from backend.numerics import formulas
from backend.numerics.formulas import MOST_LABELS
from backend.store.labels import by_name
from backend.store.naming import composed, shown
from backend.store.saved_slices import SELECTION, slice_called
from backend.types import (
    Atom,
    Either,
    Every,
    Formula,
    Hit,
    Inside,
    Label,
    Named,
    Negation,
    Verdict,
    Worded,
    atoms_of,
)

WordChances = Callable[[Sequence[str]], Float[np.ndarray, "n w"]]
"""Chances of words that are no label, on the rows of a board."""

MOST_CHARACTERS = 2_000
MOST_DEPTH = 32
"""Parentheses and negations inside each other."""
MOST_OFFERED = 3

_WORDS = {"and": "&", "or": "|", "not": "~"}
_PIECES = re.compile(
    r"""(?P<symbol>[&|~()]) | (?P<at>@)?"(?P<quoted>(?:[^"]|"")*)(?P<closed>")?
    | (?P<word>[^\s&|~()]+)""",
    re.VERBOSE,
)
_NEEDS_QUOTES = re.compile(r'[&|~()"]|^$|^\s|\s$|[^\S ]|  |(?:^| )@')


@dataclass(frozen=True)
class _Token:
    """One operator, parenthesis or name.

    Attributes:
        kind: one of `& | ~ ( )`, "name", "quoted" for one in quotes, "slice", "quote" for one that
            is never closed, or "end".
        text: as it was written; of a name, the name; of a slice without its "@".
        at: its first character, counted from 1.
    """

    kind: str
    text: str
    at: int

    def __str__(self) -> str:
        return f"{shown(self.text)} at character {self.at}"


def is_formula(text: str, labels: Sequence[Label], slices: Collection[str] = ()) -> bool:
    """Whether a search text is meant as a formula and not as words.

    It is where it holds a symbol (`&`, `|`, `~`), or where operators are spelled out between names
    that are all labels, slices or in quotes: "a dog and a cat" stays words. So does a label's name
    alone, and one in quotes; a slice alone is one, `@word` alone also where there is no such slice.
    """
    known = _Known(labels, slices)
    if known.find(text) is not None:
        return False
    tokens = list(_tokens(text))
    written = [token for token in tokens if token.kind in _WORDS.values()]
    if any(token.text in _WORDS.values() for token in written):
        return True
    names = [token for token in tokens if token.kind in ("name", "quoted", "slice")]
    if [token.kind for token in tokens] == ["slice"]:
        return known.is_there(tokens[0]) or len(text.split()) == 1
    return bool(written and names) and all(map(known.is_there, names))


def parse(text: str, labels: Sequence[Label], slices: Collection[str] = ()) -> Formula:
    """Read a formula over the names of labels and saved slices, and over words in quotes.

    Raises:
        BadInputError: it cannot be read, names what is no label or slice, or is too long, too deep
            or over too many of them; the sentence says where.
    """
    if len(text) > MOST_CHARACTERS:
        raise BadInputError(
            f"the formula has {len(text):,} characters; {MOST_CHARACTERS:,} is the limit"
        )
    formula = _Reader(text, _Known(labels, slices)).formula()
    number = len(atoms_of(formula))
    if number > MOST_LABELS:
        raise BadInputError(f"the formula names {number} labels; {MOST_LABELS} is the limit")
    return formula


def words_of(formula: Formula) -> list[str]:
    """The free texts in it, in the order in which they are written."""
    return [atom.words for atom in atoms_of(formula) if isinstance(atom, Worded)]


def printed(formula: Formula) -> str:
    """The formula as text that reads back as the same.

    What is inside an "and" or an "or" stands in parentheses: nobody has to know what binds
    stronger to see how it was understood.
    """
    match formula:
        case Named(label):
            return _written(label)
        case Inside(name):
            return f"@{_written(name)}"
        case Worded(words):
            return _quoted(words)
        case Negation(inner):
            return f"~{_inner(inner)}"
        case Every(parts):
            return " & ".join(map(_inner, parts))
        case Either(parts):
            return " | ".join(map(_inner, parts))


def chances(
    board: Board,
    formula: Formula,
    *,
    selection: Collection[int] = (),
    word_chances: WordChances | None = None,
) -> Float[np.ndarray, " n"]:
    """How probable the formula is for each row; NaN where it hangs on what is not known yet.

    Args:
        board: as who asks may see it: its verdicts are facts here.
        formula: over names of its labels and slices.
        selection: ids of the samples that `@selection` means.
        word_chances: asked for the chances of free texts, if there are any.

    Raises:
        BadInputError: it names the selection, and nothing is selected.
    """
    atoms = atoms_of(formula)
    return formulas.chance(formula, atoms, _table(board, atoms, selection, word_chances))


def present(
    board: Board,
    formula: Formula,
    rows: Sequence[int],
    *,
    word_chances: WordChances | None = None,
) -> list[list[Named | Worded]]:
    """What a formula wants to be there and probably is, for some rows: what can be shown of it.

    These are the labels and words under no negation, or an even number of them, whose chance is at
    least a half; where that is none, the likeliest one.
    """
    atoms = [atom for atom in _wanted(formula) if not isinstance(atom, Inside)]
    if not atoms:
        return [[] for _ in rows]
    table = np.nan_to_num(_table(board, atoms, (), word_chances)[list(rows)])
    shown = table >= 0.5
    shown[np.arange(len(table)), table.argmax(axis=1)] = True
    return [[atoms[at] for at in np.flatnonzero(row)] for row in shown]


def _wanted(formula: Formula, *, is_negated: bool = False) -> list[Atom]:
    match formula:
        case Negation(inner):
            return _wanted(inner, is_negated=not is_negated)
        case Every(parts) | Either(parts):
            found = [atom for part in parts for atom in _wanted(part, is_negated=is_negated)]
            return list(dict.fromkeys(found))
        case _:
            return [] if is_negated else [formula]


def _table(
    board: Board,
    atoms: Sequence[Atom],
    selection: Collection[int],
    word_chances: WordChances | None,
) -> Float[np.ndarray, "n a"]:
    """The chance of each atom on each row."""
    table = np.full((len(board.samples), len(atoms)), np.nan)
    named = [at for at, atom in enumerate(atoms) if isinstance(atom, Named)]
    labels = [atom.label for atom in atoms if isinstance(atom, Named)]
    table[:, named] = _label_chances(board, labels)
    worded = [at for at, atom in enumerate(atoms) if isinstance(atom, Worded)]
    if worded and word_chances is not None:
        table[:, worded] = word_chances([atom.words for atom in atoms if isinstance(atom, Worded)])
    for at, atom in enumerate(atoms):
        if isinstance(atom, Inside):
            table[:, at] = np.isin(board.ids, sorted(_members(board, atom, selection)))
    return table


def _members(board: Board, atom: Inside, selection: Collection[int]) -> Collection[int]:
    if atom.slice != SELECTION:
        return board.slices[atom.slice]
    if not selection:
        raise BadInputError(
            f"nothing is selected that @{SELECTION} could mean; select samples in Explore, or save "
            "them as a slice and write @ before its name"
        )
    return selection


def _label_chances(board: Board, labels: Sequence[str]) -> Float[np.ndarray, "n l"]:
    columns = np.array([board.column_named[name] for name in labels], np.int64)
    known = ~np.isnan(board.logits[:, columns])
    table = np.where(known, views.chances(board, columns=columns), np.nan).astype(np.float64)
    place = {board.labels[column].id: at for at, column in enumerate(columns)}
    for (sample, label), correction in board.verdicts.items():
        at, row = place.get(label), board.row_of.get(sample)
        if at is not None and row is not None and correction.verdict in (Verdict.YES, Verdict.NO):
            table[row, at] = float(correction.verdict == Verdict.YES)
    return table


def most_probable(
    board: Board,
    formula: Formula,
    k: int,
    *,
    selection: Collection[int] = (),
    word_chances: WordChances | None = None,
    within: Int[np.ndarray, " m"] | None = None,
) -> list[Hit]:
    """The samples (of the ids in `within`) for which the formula is most probable, ties by id.

    Those for which it is certainly false, or not known yet, are no results. The rest as `chances`.
    """
    found = chances(board, formula, selection=selection, word_chances=word_chances)
    is_asked = True if within is None else np.isin(board.ids, within)
    rows = np.flatnonzero((found > 0) & is_asked)
    best = rows[np.lexsort((board.ids[rows], -found[rows]))][: max(k, 0)]
    return [Hit(int(board.ids[r]), board.samples[r].name, float(found[r])) for r in best]


# --- reading ---------------------------------------------------------------------------------


class _Known:
    """Labels and slices by what people may call them."""

    def __init__(self, labels: Sequence[Label], slices: Collection[str] = ()):
        self._slices = sorted(slices)
        self._exact: Mapping[str, Label] = by_name(labels)
        folded: dict[str, set[str]] = {}
        for name, label in self._exact.items():
            folded.setdefault(name.casefold(), set()).add(label.name)
        self._folded = folded

    def find(self, name: str) -> str | None:
        """The name of the label that is called so."""
        called = composed(name)
        exact = self._exact.get(called)
        if exact is not None:
            return exact.name
        alike = self._folded.get(called.casefold(), set())
        return next(iter(alike)) if len(alike) == 1 else None

    def slice(self, name: str) -> str | None:
        """The slice that is called so, or the selection."""
        called = composed(name)
        return SELECTION if called.casefold() == SELECTION else slice_called(self._slices, called)

    def is_there(self, token: _Token) -> bool:
        """Whether a name means something: a label or a slice; in quotes all do."""
        if token.kind == "slice":
            return self.slice(token.text) is not None
        return token.kind == "quoted" or self.find(token.text) is not None

    def slices_like(self, name: str) -> str:
        """Which slices there are, as the end of a sentence."""
        close = get_close_matches(composed(name), self._slices, MOST_OFFERED, cutoff=0.6)
        some = [f"@{_written(one)}" for one in close or self._slices[:MOST_OFFERED]]
        if not some:
            return "no slice was saved in this project yet"
        what = ("the nearest is" if len(some) == 1 else "the nearest are") if close else "there are"
        return f"{what} {', '.join(some)}"

    def nearest(self, name: str) -> list[str]:
        """Names that may have been meant: those spelled alike, then those that hold it."""
        called = composed(name).casefold()
        close = get_close_matches(called, self._folded, MOST_OFFERED, cutoff=0.6)
        holding = [one for one in self._folded if called and called in one and one not in close]
        offered = [name for one in [*close, *holding] for name in sorted(self._folded[one])]
        return list(dict.fromkeys(offered))[:MOST_OFFERED]

    def some(self) -> list[str]:
        """A few of the labels."""
        return list(dict.fromkeys(label.name for label in self._exact.values()))[:MOST_OFFERED]


class _Reader:
    """Reads tokens from left to right, the weakest operator first."""

    def __init__(self, text: str, known: _Known):
        self._tokens = [*_tokens(text), _Token("end", "", len(text) + 1)]
        self._known = known
        self._next = 0
        self._depth = 0

    def formula(self) -> Formula:
        if self._now.kind == "end":
            raise BadInputError(
                "the formula is empty; write names of labels with & (and), | (or) and ~ (not), "
                "such as cat & ~dog"
            )
        found = self._either()
        if self._now.kind == ")":
            raise BadInputError(f"nothing is opened that {self._now} could close")
        if self._now.kind != "end":
            raise BadInputError(f"& (and) or | (or) is missing before {self._now}")
        return found

    @property
    def _now(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        self._next += 1
        return self._tokens[self._next - 1]

    def _either(self) -> Formula:
        parts = [self._every()]
        while self._now.kind == "|":
            self._take()
            parts.append(self._every())
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def _every(self) -> Formula:
        parts = [self._single()]
        while self._now.kind == "&":
            self._take()
            parts.append(self._single())
        return parts[0] if len(parts) == 1 else Every(tuple(parts))

    def _single(self) -> Formula:
        token = self._now
        if token.kind == "quote":
            raise BadInputError(f"the quote {token} is never closed")
        if token.kind not in ("name", "quoted", "slice", "~", "("):
            where = f"after {self._tokens[self._next - 1]}" if self._next else f"before {token}"
            raise BadInputError(f"the name of a label is missing {where}")
        self._take()
        if token.kind == "slice":
            return self._slice(token)
        if token.kind in ("name", "quoted"):
            return self._label(token)
        self._depth += 1
        if self._depth > MOST_DEPTH:
            raise BadInputError(
                f"the formula is nested deeper than {MOST_DEPTH} parentheses and negations "
                f"from {token} on"
            )
        found = Negation(self._single()) if token.kind == "~" else self._group(token)
        self._depth -= 1
        return found

    def _group(self, opened: _Token) -> Formula:
        found = self._either()
        if self._now.kind == "end":
            raise BadInputError(f"the parenthesis {opened} is never closed")
        if self._now.kind != ")":
            raise BadInputError(f"& (and) or | (or) is missing before {self._now}")
        self._take()
        return found

    def _slice(self, token: _Token) -> Inside:
        name = self._known.slice(token.text)
        if name is not None:
            return Inside(name)
        if not token.text.strip():
            raise BadInputError(f"the name of a slice is missing after @ at character {token.at}")
        raise BadInputError(f"there is no slice {token}; {self._known.slices_like(token.text)}")

    def _label(self, token: _Token) -> Named | Worded:
        words = " ".join(token.text.split())
        label = self._known.find(token.text) or self._known.find(words)
        if label is not None:
            return Named(label)
        if token.kind == "quoted" and words:
            return Worded(words)
        near, some = self._known.nearest(token.text), self._known.some()
        if near:
            verb = "is" if len(near) == 1 else "are"
            hint = f"the nearest {verb} {', '.join(map(_written, near))}"
        elif some:
            hint = f"there are {', '.join(map(_written, some))}"
        else:
            hint = "this project has no labels yet"
        raise BadInputError(
            f"there is no label {token}; {hint}; in double quotes it is searched for as words"
        )


def _tokens(text: str) -> Iterator[_Token]:
    name: list[re.Match[str]] = []  # the words of a bare name so far
    for piece in _PIECES.finditer(text):
        word = piece["word"]
        if word and word.lower() not in _WORDS:
            if word.startswith("@"):
                yield from _bare(name)
                name = []
            name.append(piece)
            continue
        yield from _bare(name)
        name = []
        at = piece.start() + 1
        if word:
            yield _Token(_WORDS[word.lower()], word, at)
        elif piece["symbol"]:
            yield _Token(piece[0], piece[0], at)
        elif piece["closed"]:
            kind = "slice" if piece["at"] else "quoted"
            yield _Token(kind, piece["quoted"].replace('""', '"'), at)
        else:
            yield _Token("quote", '"', at)
    yield from _bare(name)


def _bare(words: Sequence[re.Match[str]]) -> Iterator[_Token]:
    if not words:
        return
    text, at = " ".join(word[0] for word in words), words[0].start() + 1
    # "meet @ noon" means no slice
    is_slice = text.startswith("@") and len(words[0][0]) > 1
    yield _Token("slice", text[1:], at) if is_slice else _Token("name", text, at)


def _written(name: str) -> str:
    """A name as it stands in a formula."""
    holds_word = any(word.lower() in _WORDS for word in name.split())
    if not holds_word and not _NEEDS_QUOTES.search(name):
        return name
    return _quoted(name)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _inner(formula: Formula) -> str:
    text = printed(formula)
    return f"({text})" if isinstance(formula, Every | Either) else text
