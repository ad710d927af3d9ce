"""CSV and TSV files in the three shapes that people have, told apart by header and cells.

Source: formats.md 4.5. Wide: a column per label with 1, 0, blank (unknown, not 0) or unsure.
Delimited: a column of labels, split at |, ; or comma or read as a JSON list; present only. Long:
a row per (sample, label), with a verdict, or a confidence and who gave it. A column called
`label:NAME` is a label in any shape. Other columns become metadata.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from backend.errors import BadInputError, RefusedError
from backend.methods.readers._drafts import Rough, problem, verdict_of
from backend.methods.readers._found import annotation_files, has_suffix
from backend.methods.readers._media import Media
from backend.methods.readers._paths import clean_name, shown
from backend.methods.readers._settings import ReaderSettings
from backend.methods.readers._table import TableRow, table_rows
from backend.types import Draft, FileProblem, Verdict

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

    def cell(self, cells: Sequence[str], role: str) -> str:
        """The cell of a role; empty where there is no such column."""
        return cells[self.roles[role]] if role in self.roles else ""


class CsvTableReader:
    """Each row, or each group of rows about one sample, is a draft."""

    @dataclass(frozen=True)
    class Settings(ReaderSettings):
        """Nothing of its own."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or self.Settings()

    def accepts(self, path: Path) -> bool:
        if path.is_dir():
            return bool(annotation_files(path, self._is_ours))
        return path.is_file() and self._is_ours(path)

    def read(self, path: Path) -> Iterator[Draft | FileProblem]:
        media = Media(path if path.is_dir() else path.parent, self.settings)
        for file in annotation_files(path, self._is_ours):
            yield from self._table(file, media)
        if path.is_dir():
            yield from media.rest()

    def _is_ours(self, path: Path) -> bool:
        if not has_suffix(path, ".csv", ".tsv", ".tab"):
            return False
        first = next(table_rows(path, self.settings.limits), None)
        return first is not None and (
            isinstance(first.cells, Exception) or bool(_sample_roles(_header(first.cells)))
        )

    def _table(self, file: Path, media: Media) -> Iterator[Draft | FileProblem]:
        rows = table_rows(file, self.settings.limits)
        header = next(rows, None)
        if header is None or isinstance(header.cells, Exception):
            reason = header.cells if header else BadInputError("is empty")
            yield problem(file.name, "line 1", reason)  # pyright: ignore[reportArgumentType]
            return
        plan = _plan(header.cells, rows)
        for note in plan.notes:
            yield problem(file.name, "line 1", note)
        rows = table_rows(file, self.settings.limits)
        next(rows)
        if "label" in plan.roles:
            yield from self._long(file, plan, rows, media)
            return
        for row in rows:
            rough = Rough("", file.name, f"line {row.line}", self.settings.limits)
            try:
                cells = _fitted(row, plan)
                _identify(rough, plan, cells, media, otherwise=f"{file.name}:{row.line}")
            except (BadInputError, RefusedError) as error:
                yield problem(file.name, rough.where, error)
                continue
            _take_wide(rough, plan, cells)
            _take_delimited(rough, plan, cells)
            yield from rough.finish()

    def _long(
        self, file: Path, plan: _Plan, rows: Iterator[TableRow], media: Media
    ) -> Iterator[Draft | FileProblem]:
        """Rows of one sample may be anywhere in the file, so drafts come at the end."""
        roughs: dict[tuple[str, ...], Rough] = {}
        refused: set[tuple[str, ...]] = set()
        for row in rows:
            where = f"line {row.line}"
            try:
                cells = _fitted(row, plan)
                key = tuple(plan.cell(cells, role) for role in _ONE_DRAFT)
                if key in refused:
                    continue
                rough = roughs.get(key)
                if rough is None:
                    rough = Rough("", file.name, where, self.settings.limits)
                    try:
                        _identify(rough, plan, cells, media, otherwise=f"{file.name}:{row.line}")
                    except (BadInputError, RefusedError):
                        refused.add(key)
                        raise
                    rough.only_present = True
                    roughs[key] = rough
            except (BadInputError, RefusedError) as error:
                yield problem(file.name, where, error)
                continue
            rough.where = where
            _take_long(rough, plan, cells)
            _take_wide(rough, plan, cells)
        for rough in roughs.values():
            yield from rough.finish()


def _header(cells: Sequence[str]) -> list[str]:
    return [_ROLE_OF.get(cell.strip().lower(), "") for cell in cells]


def _sample_roles(roles: Sequence[str]) -> set[str]:
    return {"sample", "media", "text", "name"} & set(roles)


def _plan(header: Sequence[str], rows: Iterator[TableRow]) -> _Plan:
    """Decide what each column is, with one look over all cells."""
    plan = _Plan(num_columns=len(header))
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


def _take_long(rough: Rough, plan: _Plan, cells: Sequence[str]) -> None:
    label, said = plan.cell(cells, "label"), plan.cell(cells, "verdict").strip()
    score, source = plan.cell(cells, "score").strip(), plan.cell(cells, "source").lower()
    if not label.strip():
        return
    if said or "verdict" in plan.roles:
        verdict = verdict_of(said)
        if verdict is not None:
            rough.decide(label, verdict)
        elif said:
            rough.note(f"the verdict {shown(said)} is not yes, no or unsure")
        rough.only_present = False
    elif not score:
        rough.decide(label, Verdict.YES)
    elif any(machine in source for machine in _MACHINES) or verdict_of(score) is None:
        try:
            rough.predict(label, float(score))
        except ValueError:
            rough.note(f"the score {shown(score)} is not a number")
    else:
        verdict = verdict_of(score)
        rough.decide(label, verdict or Verdict.YES)
        rough.only_present &= verdict is not Verdict.NO
