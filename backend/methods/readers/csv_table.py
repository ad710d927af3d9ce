"""CSV and TSV files in the three shapes that people have, told apart by header and cells.

Source: formats.md 4.5. Wide: a column per label with 1, 0, blank (unknown, not 0) or unsure.
Delimited: a column of labels, split at |, ; or comma or read as a JSON list; present only. Long:
a row per (sample, label), with a verdict, or a confidence and who gave it; with xmin, xmax, ymin
and ymax also where (in 0..1 if no number is above 1, else in pixels). A column called `label:NAME`
is a label in any shape. Other columns become metadata; where the rows of a long table say different
things of a sample there, the first row counts. In folders below the given one, `metadata.csv` is
read.
"""

from __future__ import annotations

import ast
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from backend.errors import BadInputError, RefusedError
from backend.methods.readers._drafts import (
    TOLERANCE,
    Rough,
    fraction_region,
    pixel_region,
    problem,
    verdict_of,
)
from backend.methods.readers._found import annotation_files, has_suffix, nested_files
from backend.methods.readers._media import Media
from backend.methods.readers._paths import clean_name, name_on_disk, shown
from backend.methods.readers._settings import ReaderSettings
from backend.methods.readers._table import TableRow, table_rows
from backend.types import Draft, FileProblem, Region, Verdict

_ROLES = {
    "sample": ("sample",),
    "media": (
        *("image", "file", "file_name", "filename", "filepath", "file_path", "path"),
        *("image_path", "file_path_abs"),
    ),
    "text": ("text", "sentence", "document", "utterance"),
    "name": ("name", "id", "imageid", "image_id"),
    "labels": ("labels", "tags", "classes", "ground_truth.classifications.label"),
    "label": ("label", "label_name", "labelname", "class_name", "class", "category"),
    "verdict": ("verdict",),
    "score": ("score", "confidence", "probability"),
    "source": ("source", "annotation_source"),
    "split": ("split", "subset", "partition"),
    "who": ("who",),
    "when": ("when",),
}
_ROLE_OF = {name: role for role, names in _ROLES.items() for name in names}
_ONE_DRAFT = ("sample", "media", "name", "text", "who")
"""Rows that are alike in these are one sample with the words of one person."""
_SIDES = ("xmin", "xmax", "ymin", "ymax")
NESTED = "metadata.csv"
_PREFIX = "label:"
_MACHINES = ("machine", "model", "predict", "auto")
_LABEL_SHARE = 0.9
"""Share of a column's filled cells that are verdicts, for it to be a label with typing errors."""
_DOUBTFUL_SHARE = 0.75
"""From this share on a column that is no label is told of."""


@dataclass
class _Plan:
    """What each column is."""

    roles: dict[str, int] = field(default_factory=dict)
    labels: dict[int, str] = field(default_factory=dict)
    metadata: dict[int, str] = field(default_factory=dict)
    num_columns: int = 0
    splitter: str = ","
    notes: list[str] = field(default_factory=list)
    header: Sequence[str] = ()
    sides: dict[str, int] = field(default_factory=dict)
    is_fraction: bool = True

    def cell(self, cells: Sequence[str], role: str) -> str:
        """The cell of a role; empty where there is no such column."""
        return cells[self.roles[role]] if role in self.roles else ""

    def facts(self) -> list[int]:
        """Columns that say something of a sample, whichever row they stand in."""
        roles = [self.roles[role] for role in ("split", "when") if role in self.roles]
        return [*roles, *self.metadata]


class CsvTableReader:
    """Each row, or each group of rows about one sample, is a draft."""

    @dataclass(frozen=True)
    class Settings(ReaderSettings):
        """Nothing of its own."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or self.Settings()

    def accepts(self, path: Path) -> bool:
        if path.is_dir():
            return bool(self._files(path))
        return path.is_file() and self._is_ours(path)

    def read(self, path: Path) -> Iterator[Draft | FileProblem]:
        root = path if path.is_dir() else path.parent
        media = Media(root, self.settings)
        for file in self._files(path):
            yield from self._table(file, name_on_disk(file, root), media.beside(file))
        if path.is_dir():
            yield from media.rest()

    def _files(self, path: Path) -> list[Path]:
        found = annotation_files(path, self._is_ours)
        return found + (nested_files(path, NESTED, self._is_ours) if path.is_dir() else [])

    def _is_ours(self, path: Path) -> bool:
        if not has_suffix(path, ".csv", ".tsv", ".tab"):
            return False
        first = next(table_rows(path, self.settings.limits), None)
        return first is not None and (
            isinstance(first.cells, Exception) or bool(_sample_roles(_header(first.cells)))
        )

    def _table(self, file: Path, called: str, media: Media) -> Iterator[Draft | FileProblem]:
        rows = table_rows(file, self.settings.limits)
        header = next(rows, None)
        if header is None or isinstance(header.cells, Exception):
            reason = header.cells if header else BadInputError("is empty")
            yield problem(called, "line 1", reason)  # pyright: ignore[reportArgumentType]
            return
        plan = _plan(header.cells, rows)
        for note in plan.notes:
            yield problem(called, "line 1", note)
        rows = table_rows(file, self.settings.limits)
        next(rows)
        if "label" in plan.roles:
            yield from self._long(called, plan, rows, media)
            return
        for row in rows:
            rough = Rough("", called, f"line {row.line}", self.settings.limits)
            try:
                cells = _fitted(row, plan)
                _identify(rough, plan, cells, media, otherwise=f"{called}:{row.line}")
            except (BadInputError, RefusedError) as error:
                yield problem(called, rough.where, error)
                continue
            _take_wide(rough, plan, cells)
            _take_delimited(rough, plan, cells)
            yield from rough.finish()

    def _long(
        self, file: str, plan: _Plan, rows: Iterator[TableRow], media: Media
    ) -> Iterator[Draft | FileProblem]:
        """Rows of one sample may be anywhere in the file, so drafts come at the end."""
        roughs: dict[tuple[str, ...], Rough] = {}
        facts = _Facts(plan)
        refused: set[tuple[str, ...]] = set()
        num_lost_places = 0
        for row in rows:
            where = f"line {row.line}"
            try:
                cells = _fitted(row, plan)
                key = tuple(plan.cell(cells, role) for role in _ONE_DRAFT)
                if key in refused:
                    continue
                rough = roughs.get(key)
                if rough is None:
                    rough = Rough("", file, where, self.settings.limits)
                    try:
                        _identify(rough, plan, cells, media, otherwise=f"{file}:{row.line}")
                    except (BadInputError, RefusedError):
                        refused.add(key)
                        raise
                    rough.only_present = True
                    roughs[key] = rough
            except (BadInputError, RefusedError) as error:
                yield problem(file, where, error)
                continue
            rough.where = where
            facts.add(key, rough, cells)
            num_lost_places += _take_long(rough, plan, cells, media)
            _take_wide(rough, plan, cells)
        for rough in roughs.values():
            yield from rough.finish()
        for note in facts.notes():
            yield problem(file, "", note)
        if num_lost_places:
            told = "prediction has" if num_lost_places == 1 else "predictions have"
            what = f"{num_lost_places:,} {told} a place, which is not taken; the score is"
            yield problem(file, "", what)


class _Facts:
    """What the rows of a long table say of each sample besides its labels.

    A cell that the first row of a sample leaves empty is filled by a later one.
    """

    def __init__(self, plan: _Plan) -> None:
        self._plan = plan
        self._columns = plan.facts()
        self._told: dict[tuple[str, ...], list[str]] = {}
        self._differing: dict[int, set[tuple[str, ...]]] = defaultdict(set)

    def add(self, key: tuple[str, ...], rough: Rough, cells: Sequence[str]) -> None:
        """Take one row, the first of its sample or a later one."""
        now = [cells[column] for column in self._columns]
        told = self._told.setdefault(key, now)
        if told is now:
            return
        for at, (before, cell) in enumerate(zip(told, now, strict=True)):
            if not cell or cell == before:
                continue
            column = self._columns[at]
            if before:
                self._differing[column].add(key)
                continue
            told[at] = cell
            if column in self._plan.metadata:
                rough.metadata[self._plan.metadata[column]] = cell
            elif column == self._plan.roles.get("split"):
                rough.set_split(cell)
            else:
                rough.set_author(rough.who, cell)

    def notes(self) -> Iterator[str]:
        """A sentence for each column of which not everything is kept."""
        for column, samples in sorted(self._differing.items()):
            of = "one sample" if len(samples) == 1 else f"{len(samples):,} samples"
            yield (
                f"the rows of {of} say different things in the column "
                f"{shown(self._plan.header[column])}; what the first row says is kept"
            )


def _header(cells: Sequence[str]) -> list[str]:
    return [_ROLE_OF.get(cell.strip().lower(), "") for cell in cells]


def _sample_roles(roles: Sequence[str]) -> set[str]:
    return {"sample", "media", "text", "name"} & set(roles)


def _plan(header: Sequence[str], rows: Iterator[TableRow]) -> _Plan:
    """Decide what each column is, with one look over all cells."""
    plan = _Plan(num_columns=len(header), header=header)
    open_columns: dict[int, str] = {}
    for column, cell in enumerate(header):
        role = _ROLE_OF.get(cell.strip().lower(), "")
        if cell.startswith(_PREFIX) and cell != _PREFIX:
            plan.labels[column] = cell.removeprefix(_PREFIX)
        elif role and role not in plan.roles:
            plan.roles[role] = column
        elif cell.strip():
            open_columns[column] = cell.strip()
    if not {"sample", "media", "text", "name"} & plan.roles.keys():
        plan.notes.append("no column tells the sample; call one sample, image, file or text")
    _find_sides(plan, open_columns)
    if {"labels", "label"} <= plan.roles.keys():
        named = (shown(header[plan.roles[role]]) for role in ("label", "labels"))
        plan.notes.append("beside the column {}, the column {} is not read".format(*named))
    counts = _count(rows, plan, open_columns)
    is_wide = not {"labels", "label"} & plan.roles.keys()
    for column, name in open_columns.items():
        filled, verdicts, minus = counts[column]
        if name in plan.labels.values():
            plan.notes.append(f"the column {shown(name)} is there twice; the first counts")
        elif is_wide and filled and verdicts + minus >= _LABEL_SHARE * filled:
            plan.labels[column] = name
            if minus:
                plan.notes.append(
                    f"the column {shown(name)} holds -1, which some sets use for absent and others "
                    "for unsure; those cells stay unknown: write 0 or unsure"
                )
        else:
            plan.metadata[column] = name
            if is_wide and verdicts >= _DOUBTFUL_SHARE * max(1, filled):
                plan.notes.append(
                    f"the column {shown(name)} is kept as metadata: {verdicts} of its {filled} "
                    f"cells are verdicts; call it {shown(_PREFIX + name)} if it is a label"
                )
    return plan


def _find_sides(plan: _Plan, columns: dict[int, str]) -> None:
    """Take the columns of a box out of those that are left; all four or none."""
    named = {name.lower(): column for column, name in columns.items()}
    if "label" in plan.roles and all(side in named for side in _SIDES):
        for name in (*_SIDES, "width", "height"):
            if name in named:
                plan.sides[name] = named[name]
                del columns[named[name]]


def _count(
    rows: Iterator[TableRow], plan: _Plan, columns: Mapping[int, str]
) -> dict[int, tuple[int, int, int]]:
    """Per column: cells that are filled, that are verdicts, that are -1; and the splitter."""
    filled: Counter[int] = Counter()
    verdicts: Counter[int] = Counter()
    minus: Counter[int] = Counter()
    splitters: Counter[str] = Counter()
    for row in rows:
        if isinstance(row.cells, Exception):
            continue
        for column in columns:
            cell = row.cells[column].strip() if column < len(row.cells) else ""
            if cell:
                filled[column] += 1
                verdicts[column] += verdict_of(cell) is not None
                minus[column] += cell in ("-1", "-1.0")
        for side in _SIDES:
            if plan.is_fraction and plan.sides.get(side, len(row.cells)) < len(row.cells):
                number = _number(row.cells[plan.sides[side]]) or 0.0
                plan.is_fraction = number <= 1 + TOLERANCE
        if "labels" in plan.roles and plan.roles["labels"] < len(row.cells):
            cell = row.cells[plan.roles["labels"]]
            splitters.update(mark for mark in "|;" if mark in cell)
    plan.splitter = splitters.most_common(1)[0][0] if splitters else ","
    return {column: (filled[column], verdicts[column], minus[column]) for column in columns}


def _fitted(row: TableRow, plan: _Plan) -> list[str]:
    """As many cells as the header has; spreadsheets leave out empty ones at the end."""
    if isinstance(row.cells, Exception):
        raise row.cells
    if len(row.cells) > plan.num_columns and any(row.cells[plan.num_columns :]):
        raise BadInputError(
            f"has {len(row.cells)} cells and the header {plan.num_columns}; is a quote missing?"
        )
    return [*row.cells, *[""] * (plan.num_columns - len(row.cells))][: plan.num_columns]


def _identify(
    rough: Rough, plan: _Plan, cells: Sequence[str], media: Media, *, otherwise: str
) -> None:
    """Take name, media, text and all that is not about labels."""
    sample, name = plan.cell(cells, "sample"), plan.cell(cells, "name")
    if sample:
        rough.name = clean_name(sample)
    if plan.cell(cells, "media"):
        media.take(rough, plan.cell(cells, "media"))
    if plan.cell(cells, "text") and rough.path is None and rough.text is None:
        rough.set_text(plan.cell(cells, "text"))
    if not rough.name:
        if not name and rough.text is None:
            raise BadInputError("names no sample")
        rough.name = clean_name(name) if name else otherwise
    elif name:
        rough.metadata["name"] = name
    rough.set_split(plan.cell(cells, "split"))
    rough.set_split_by_folder(media.base)
    rough.set_author(plan.cell(cells, "who"), plan.cell(cells, "when"))
    rough.metadata.update({key: cells[c] for c, key in plan.metadata.items() if cells[c]})


def _take_wide(rough: Rough, plan: _Plan, cells: Sequence[str]) -> None:
    for column, label in plan.labels.items():
        cell = cells[column].strip()
        if not cell or cell in ("-1", "-1.0"):
            continue
        verdict = verdict_of(cell)
        if verdict is None:
            rough.note(f"{shown(cell)} in the column {shown(label)} is not 1, 0, unsure or blank")
        else:
            rough.decide(label, verdict)


def _take_delimited(rough: Rough, plan: _Plan, cells: Sequence[str]) -> None:
    if "labels" not in plan.roles:
        return
    rough.only_present = True
    cell = plan.cell(cells, "labels").strip()
    labels = _list_in(cell)
    if labels is None:
        labels = [label.strip() for label in cell.split(plan.splitter) if label.strip()]
    for label in labels:
        rough.decide(label, Verdict.YES)


def _list_in(cell: str) -> list[object] | None:
    """A JSON list, or a Python list of texts as data frames write it; None if it is neither."""
    if not (cell.startswith("[") and cell.endswith("]")):
        return None
    try:
        value = orjson.loads(cell)
    except orjson.JSONDecodeError:
        try:
            value = ast.literal_eval(cell) if len(cell) < 10_000 else None
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return None
    return value if isinstance(value, list) else None


def _take_long(rough: Rough, plan: _Plan, cells: Sequence[str], media: Media) -> bool:
    """Take a row's label, or where it is; True if a prediction's place was left out."""
    label, said = plan.cell(cells, "label"), plan.cell(cells, "verdict").strip()
    score, source = plan.cell(cells, "score").strip(), plan.cell(cells, "source").lower()
    if not label.strip():
        return False
    has_place = any(cells[plan.sides[side]].strip() for side in _SIDES if plan.sides)
    verdict: Verdict | None = None
    if said or "verdict" in plan.roles:
        verdict = verdict_of(said)
        if verdict is None and said:
            rough.note(f"the verdict {shown(said)} is not yes, no or unsure")
        rough.only_present = False
    elif not score:
        verdict = Verdict.YES
    elif any(machine in source for machine in _MACHINES) or verdict_of(score) is None:
        try:
            rough.predict(label, float(score))
        except ValueError:
            rough.note(f"the score {shown(score)} is not a number")
        return has_place
    else:
        verdict = verdict_of(score)
        rough.only_present &= verdict is not Verdict.NO
    if verdict is None:
        return False
    if has_place:
        try:
            # What is not in one place may be in another: such a row says nothing of the whole.
            rough.mark(label, _box(rough, plan, cells, media), verdict)
            return False
        except (BadInputError, RefusedError) as error:
            rough.note(error)
            if verdict is not Verdict.YES:
                return False
    rough.decide(label, verdict)
    return False


def _box(rough: Rough, plan: _Plan, cells: Sequence[str], media: Media) -> Region:
    sides = [_number(cells[plan.sides[side]]) for side in _SIDES]
    if None in sides:
        raise BadInputError(f"the box {shown([cells[plan.sides[s]] for s in _SIDES])} has no sides")
    left, right, top, bottom = (side or 0.0 for side in sides)
    corners = [left, top, right - left, bottom - top]
    if plan.is_fraction:
        return fraction_region("box", corners)
    said = [_number(cells[plan.sides[side]]) for side in ("width", "height") if side in plan.sides]
    return pixel_region("box", corners, *media.size(rough, *(said if len(said) == 2 else [0, 0])))


def _number(cell: str) -> float | None:
    """A finite number; None for anything else."""
    try:
        number = float(cell)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
