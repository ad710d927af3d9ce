"""Which samples match a filter: one small grammar for Explore, for slices and for the command line.

    split:val  source:NAME  meta:KEY:VALUE      what the import says
    slice:NAME                                  it is in a slice that somebody saved
    label:ID:yes|no|unsure|unknown              the verdict on a label
    said:ID:yes|no                              whether the model suggests a label
    chance:ID:LOW:HIGH  chance:any:LOW:HIGH     decided, and the model's probability in [LOW, HIGH)
    held-back:yes|no  complete:yes|no           verdicts are held back; all labels are decided
    misses:yes|no  alarms:yes|no                a YES that is not suggested, a NO that is
    certain:LEVEL:answered|wrong|left|complete  of the decided labels one is certain at LEVEL, is
                                                certain and wrong, is left undecided, or none is
    claim:LEVEL:kept|broken[:FROM:TO]           what was certain at first came true; of samples
                                                decided between two moments
    width:LEVEL:NUMBER[+]                       so many labels, or more, are undecided at LEVEL
    drawer:yes|no|counted                       it is in the calibration drawer; it is one of those
                                                that what is certain rests on
    judged:UNKNOWN:SCOPE:WHAT                   a pair that a figure of the evaluation counts; see
                                                `pair_filters`, and `Evaluator.matching`, which
                                                answers it
    agreement:LABEL:WHAT  voice:WHAT:WHO        what several people said; see `agreeing`
    formula:cat & ~dog                          the formula over labels and slices is more probable
                                                than not
    doubt:ID:LOW:HIGH  doubt:any:LOW:HIGH       the model's doubt of what is undecided
    disagree:LOW:HIGH[:SOURCE]                  an imported model is that far from ours
    changed:ONE:OTHER                           two versions suggest other labels; for these three
                                                see `model_filters`

Values of one key go together with "or", keys with "and"; each `judged` stands alone and counts what
all before it leave. A label may also be given by its name; Explore writes its id, which a new name
does not change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int

from backend import agreeing, model_filters, pair_filters, set_algebra
from backend.board import Board
from backend.errors import BadInputError, NotFoundError
from backend.model_filters import Others
from backend.pair_filters import JUDGED
from backend.store.naming import shown
from backend.store.saved_slices import no_slice, slice_called
from backend.types import LabelSets, Realised, Sample, Verdict

STATES = ("unknown", "yes", "no", "unsure")
"""Words for a verdict and for none, in the order of their codes."""
CODES: Mapping[Verdict | None, int] = {
    None: 0,
    Verdict.YES: 1,
    Verdict.NO: 2,
    Verdict.UNSURE: 3,
}
"""How a cell of a table of verdicts is written; 0 is unknown."""
ANSWERS = ("yes", "no")
FLAGS = ("held-back", "complete", "misses", "alarms")
CERTAIN = ("answered", "wrong", "left", "complete")
CLAIMS = ("kept", "broken")
DRAWER = (*ANSWERS, "counted")
SAYINGS = (
    "said",
    "chance",
    "formula",
    "misses",
    "alarms",
    "certain",
    "claim",
    "width",
    "drawer",
    *model_filters.KINDS,
    JUDGED,
)
"""Filters that follow what the model says now."""
SLICE = "slice"
MOST_SOURCE = 80
ELSEWHERE = {
    **dict.fromkeys(agreeing.KINDS, agreeing.read_key),
    **dict.fromkeys(model_filters.KINDS, model_filters.read_key),
}
"""Kinds of filters that another module reads and answers."""


@dataclass(frozen=True)
class Condition:
    """One filter; any of `values` will do.

    Attributes:
        key: a label's id for its verdicts, else what comes before the value: "split", "source",
            "slice", "meta:camera", "said:12", "chance:any", "held-back", ...
    """

    key: str | int
    values: tuple[str, ...]

    @property
    def kind(self) -> str:
        """What it is about: label, split, slice, meta, said, chance, judged, ... or a flag."""
        return "label" if isinstance(self.key, int) else self.key.partition(":")[0]


@dataclass(frozen=True)
class Claims:
    """What the model says now, rows and columns of the board.

    Attributes:
        chances: (N, L) probabilities, a rough one where a label is not calibrated.
        said: (N, L) which labels are suggested.
        is_known: (N, L) pairs with a score.
    """

    chances: Float[np.ndarray, "n l"]
    said: Bool[np.ndarray, "n l"]
    is_known: Bool[np.ndarray, "n l"]


@runtime_checkable
class Certain(Protocol):
    """What is certain, and what came true of it; `certainty.Certainty` knows."""

    def sets(self, level: float) -> LabelSets:
        """The label sets of all samples at a level."""
        ...

    def counted(self) -> Sequence[int]:
        """Ids of the drawer's samples that all of this rests on."""
        ...

    def history(self) -> Sequence[Realised]:
        """What became of claims on samples that are decided by now."""
        ...


def parse_conditions(
    filters: Sequence[str], *, id_of: Callable[[str], int] | None = None
) -> list[Condition]:
    """Filters as text -> conditions; values of one key go together.

    Args:
        filters: one filter each.
        id_of: the id of a label by its name, where labels may be named.

    Raises:
        BadInputError: with the filter that cannot be read.
    """
    found: dict[str | int, list[str]] = {}
    judged: list[Condition] = []
    for text in filters:
        key, value = _read(text, id_of)
        if str(key).startswith(f"{JUDGED}:"):
            judged.append(Condition(key, (value,)))
        else:
            found.setdefault(key, []).append(value)
    return [*(Condition(key, tuple(values)) for key, values in found.items()), *judged]


def _read(text: str, id_of: Callable[[str], int] | None) -> tuple[str | int, str]:
    kind, _, rest = text.partition(":")
    is_formula = kind == "formula" and bool(rest.strip())
    if kind in ("split", "source") or is_formula or (kind == SLICE and rest):
        return kind, rest
    if kind == "meta" and ":" in rest:
        key, _, value = rest.partition(":")
        return f"meta:{key}", value
    if (kind in FLAGS and rest in ANSWERS) or (kind == "drawer" and rest in DRAWER):
        return kind, rest
    if kind in ("label", "said"):
        label, _, verdict = rest.rpartition(":")
        known, words = _label(label, id_of), STATES if kind == "label" else ANSWERS
        if known is not None:
            if verdict not in words:
                raise BadInputError(f"{verdict!r} is no verdict; use one of {', '.join(words)}")
            return (known if kind == "label" else f"said:{known}"), verdict
    if kind in ("certain", "claim", "width") and _is_of_level(kind, rest):
        level, _, what = rest.partition(":")
        return f"{kind}:{float(level)}", what
    if kind == JUDGED and (read := pair_filters.read_key(rest, id_of)) is not None:
        return read
    if kind in ELSEWHERE and (read := ELSEWHERE[kind](kind, rest, id_of)) is not None:
        return read
    if kind == "chance" and len(parts := rest.rsplit(":", 2)) == 3:
        label, *ends = parts
        known = None if label == "any" else _label(label, id_of)
        if _is_range(ends) and (known is not None or label == "any"):
            return f"chance:{label if known is None else known}", ":".join(ends)
    raise BadInputError(
        f"the filter {text!r} cannot be read; use split:val, source:NAME, slice:NAME, "
        "meta:KEY:VALUE, label:ID:yes, said:ID:yes, chance:ID:0.2:0.4, held-back:yes, "
        "complete:yes, misses:yes, alarms:yes, certain:0.9:wrong, claim:0.9:broken, width:0.9:2, "
        "width:0.9:1+, drawer:counted, judged:masked:any:wrong, agreement:any:disputed, "
        "voice:given:NAME, doubt:any:0.8:1.01, disagree:0.5:1.01, changed:3:7 or "
        "formula:cat & ~dog"
    )


def _label(text: str, id_of: Callable[[str], int] | None) -> int | None:
    # By name first: a label may be called "7".
    if id_of is not None and text:
        return id_of(text)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 17 else None


def _is_range(ends: Sequence[str]) -> bool:
    try:
        low, high = (float(end) for end in ends)
    except ValueError:
        return False
    return 0 <= low <= high <= 2


def _is_of_level(kind: str, rest: str) -> bool:
    """Whether LEVEL:WHAT can be read for one of the filters on what is certain."""
    level, _, what = rest.partition(":")
    try:
        is_level = 0 < float(level) < 1
    except ValueError:
        return False
    if kind == "certain":
        return is_level and what in CERTAIN
    if kind == "width":
        number = what.removesuffix("+")
        return is_level and number.isascii() and number.isdigit() and len(number) < 7
    word, *ends = what.split(":")
    return is_level and word in CLAIMS and (not ends or _are_moments(ends))


def _are_moments(ends: Sequence[str]) -> bool:
    try:
        return len(ends) == 2 and float(ends[0]) <= float(ends[1])
    except ValueError:
        return False


def source_of(sample: Sample) -> str:
    """Where an import says the sample is from, or the folder it was in."""
    said = sample.metadata.get("source")
    if isinstance(said, str) and said:
        return said[:MOST_SOURCE]
    return sample.name.rpartition("/")[0][:MOST_SOURCE]


def meta_of(sample: Sample, key: str) -> str | None:
    """One value of a sample's metadata as a filter writes it; None where it has none.

    Lists and mappings are no value to slice by.
    """
    value = sample.metadata.get(key)
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)[:MOST_SOURCE] if isinstance(value, str | int | float) else None


def members(slices: Mapping[str, frozenset[int]], names: Sequence[str]) -> set[int]:
    """Ids of the samples that are in one of some saved slices.

    Raises:
        NotFoundError: there is no slice of that name.
    """
    found: set[int] = set()
    for name in names:
        called = slice_called(slices, name)
        if called is None:
            raise NotFoundError(no_slice(slices, name))
        found |= slices[called]
    return found


def matching(
    board: Board,
    conditions: Sequence[Condition],
    claims: Callable[[], Claims],
    certain: Certain | None = None,
    others: Others | None = None,
) -> Bool[np.ndarray, " n"]:
    """Rows of the board that match all conditions.

    Args:
        board: samples and verdicts.
        conditions: from `parse_conditions`.
        claims: asked for only where a filter needs what the model says.
        certain: the same for what is certain; None: nothing is.
        others: the same for other models and versions.

    Raises:
        NotFoundError: a condition names a label or a slice that is not there.
        BadInputError: a formula cannot be read, or names what is no label.
    """
    keep = np.ones(len(board.samples), bool)
    for condition in conditions:
        if condition.kind in ("certain", "claim", "width"):
            keep &= _of_level(board, condition, certain)
        elif condition.kind == "drawer":
            keep &= _of_drawer(board, condition.values, certain)
        elif condition.kind in model_filters.KINDS:
            keep &= model_filters.matching(board, str(condition.key), condition.values, others)
        else:
            keep &= _matches(board, condition, claims)
    return keep


def _of_level(
    board: Board, condition: Condition, certain: Certain | None
) -> Bool[np.ndarray, " n"]:
    kind, _, text = str(condition.key).partition(":")
    keep = np.zeros(len(board.samples), bool)
    if certain is None:
        return keep
    level = float(text)
    if kind == "claim":
        ids = _claimed(certain.history(), level, condition.values)
        # Who labels blind is told of samples that they decided themselves.
        return np.isin(board.ids, sorted(ids)) & board.decided.any(axis=1)
    sets = certain.sets(level)
    if sets.why or len(sets.state) != len(keep):
        return keep
    shown = board.encoded & ~board.in_drawer
    if kind == "width":
        return shown & _so_many(sets.width, condition.values)
    codes = _codes(board, is_looked_at=True)
    known = shown[:, None] & sets.covered & np.isin(codes, (CODES[Verdict.YES], CODES[Verdict.NO]))
    told = known & (sets.state != 0)
    left = (known & (sets.state == 0)).any(axis=1)
    found = {
        "answered": told.any(axis=1),
        "wrong": (told & ((sets.state > 0) != (codes == CODES[Verdict.YES]))).any(axis=1),
        "left": left,
        "complete": known.any(axis=1) & ~left,
    }
    for value in condition.values:
        keep |= found[value]
    return keep


def _so_many(widths: Int[np.ndarray, " n"], values: Sequence[str]) -> Bool[np.ndarray, " n"]:
    """Whether each is one of the numbers, or at least a number that is followed by "+"."""
    keep = np.isin(widths, [int(value) for value in values if not value.endswith("+")])
    least = [int(value[:-1]) for value in values if value.endswith("+")]
    return keep | (widths >= min(least)) if least else keep


def _of_drawer(
    board: Board, values: Sequence[str], certain: Certain | None
) -> Bool[np.ndarray, " n"]:
    keep = _answered(board.in_drawer, values)
    if "counted" in values and certain is not None:
        # Who labels blind is told of samples that they decided themselves, as of claims.
        keep |= np.isin(board.ids, certain.counted()) & board.decided.any(axis=1)
    return keep


def _claimed(rows: Sequence[Realised], level: float, values: Sequence[str]) -> set[int]:
    """Samples whose claim at a level was kept or broken."""
    found: set[int] = set()
    for value in values:
        word, *ends = value.split(":")
        first, last = (float(end) for end in ends) if ends else (-np.inf, np.inf)
        found |= {
            one.sample
            for one in rows
            if one.covered.get(level) is (word == "kept") and first <= one.when <= last
        }
    return found


def _matches(
    board: Board, condition: Condition, claims: Callable[[], Claims]
) -> Bool[np.ndarray, " n"]:
    values = condition.values
    match condition.kind:
        case "split":
            return _has(board, lambda sample: str(sample.split), values)
        case "source":
            return _has(board, source_of, values)
        case "meta":
            key = str(condition.key).partition(":")[2]
            return _has(board, lambda sample: meta_of(sample, key), values)
        case "slice":
            return np.isin(board.ids, sorted(members(board.slices, values)))
        case "held-back":
            return _answered(board.held_back, values)
        case "complete":
            return _answered(np.asarray(board.decided.all(axis=1)) & bool(board.labels), values)
        case "label":
            column = _column(board, str(condition.key))
            return np.isin(_codes(board)[:, column], [STATES.index(value) for value in values])
        case "said":
            column = _column(board, str(condition.key).partition(":")[2])
            told = claims()
            said = told.said[:, column]
            return told.is_known[:, column] & _answered(said, values)
        case "chance":
            return _likely(board, condition, claims())
        case "formula":
            return _holds(board, values)
        case "agreement" | "voice":
            return agreeing.matching(board, str(condition.key), values)
        case _:
            return _answered(_mistaken(board, condition.kind, claims()), values)


def _holds(board: Board, formulas: Sequence[str]) -> Bool[np.ndarray, " n"]:
    """Where one of the formulas is more probable than not; a verdict counts as certain."""
    keep = np.zeros(len(board.samples), bool)
    for text in formulas:
        formula = set_algebra.parse(text, board.labels, board.slices)
        if words := set_algebra.words_of(formula):
            raise BadInputError(
                f"a filter knows labels and slices alone, and {shown(words[0])} is no label; "
                "search for the formula, and save what is found as a slice"
            )
        keep |= set_algebra.chances(board, formula) > 0.5
    return keep


def _likely(board: Board, condition: Condition, told: Claims) -> Bool[np.ndarray, " n"]:
    label = str(condition.key).partition(":")[2]
    columns = slice(None) if label == "any" else [_column(board, label)]
    codes = _codes(board)[:, columns]
    decided = ((codes == CODES[Verdict.YES]) | (codes == CODES[Verdict.NO])) & told.is_known[
        :, columns
    ]
    chances = told.chances[:, columns]
    keep = np.zeros(len(board.samples), bool)
    for value in condition.values:
        low, high = (float(end) for end in value.split(":"))
        keep |= (decided & (chances >= low) & (chances < high)).any(axis=1)
    return keep


def _mistaken(board: Board, kind: str, told: Claims) -> Bool[np.ndarray, " n"]:
    codes = _codes(board)
    if kind == "misses":
        wrong = (codes == CODES[Verdict.YES]) & ~told.said
    else:
        wrong = (codes == CODES[Verdict.NO]) & told.said
    return (wrong & told.is_known).any(axis=1)


def _codes(board: Board, *, is_looked_at: bool = False) -> np.ndarray:
    """(N, L) codes of the verdicts; with `is_looked_at` without what was accepted in bulk."""
    table = np.zeros((len(board.samples), len(board.labels)), np.int8)
    for (sample, label), correction in board.verdicts.items():
        row, column = board.row_of.get(sample), board.column_of.get(label)
        if row is not None and column is not None and not (is_looked_at and correction.is_accepted):
            table[row, column] = CODES[correction.verdict]
    return table


def _column(board: Board, label: str) -> int:
    column = board.column_of.get(int(label))
    if column is None:
        raise NotFoundError(f"no label has the id {label}; reload the page")
    return column


def _has(
    board: Board, of: Callable[[Sample], str | None], values: Sequence[str]
) -> Bool[np.ndarray, " n"]:
    wanted = set(values)
    return np.array([of(sample) in wanted for sample in board.samples], bool)


def _answered(flags: Bool[np.ndarray, " n"], values: Sequence[str]) -> Bool[np.ndarray, " n"]:
    keep = np.zeros(len(flags), bool)
    if "yes" in values:
        keep |= flags
    if "no" in values:
        keep |= ~flags
    return keep
