"""A CSV table: a column per label, or a row per (sample, label).

Source: formats.md 4.5. Writes `table.csv` (1, 0, unsure, blank for unknown) and images in
`media/`. Cells that a spreadsheet would run as a formula get an apostrophe in front, which the
reader takes away again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from backend.methods.exporters._cells import table_line
from backend.methods.exporters._staging import (
    MediaFolder,
    MediaSettings,
    count_label_losses,
    staged,
)
from backend.types import ExportRow, ExportSource, Kind, Verdict

RESERVED = frozenset(
    {"sample", "image", "file", "file_name", "filename", "filepath", "file_path", "path"}
    | {"image_path", "file_path_abs", "text", "sentence", "document", "utterance"}
    | {"name", "id", "imageid", "image_id", "labels", "tags", "classes"}
    | {"ground_truth.classifications.label", "label", "label_name", "labelname", "class_name"}
    | {"class", "category", "verdict", "score", "confidence", "probability", "source"}
    | {"annotation_source", "split", "subset", "partition", "who", "when"}
)
"""Column names that mean something else than a label to a reader (any case)."""

_CELLS = {Verdict.YES: "1", Verdict.NO: "0", Verdict.UNSURE: "unsure"}


class CsvTableExporter:
    """Verdicts of whole samples, for spreadsheets and data frames."""

    @dataclass(frozen=True)
    class Settings(MediaSettings):
        """How the table looks.

        Attributes:
            is_long: a row per (sample, label) instead of a column per label.
            is_formula_safe: put an apostrophe before cells that begin like a formula.
            has_who: also a column for who gave the verdicts of a row.
        """

        is_long: bool = False
        is_formula_safe: bool = True
        has_who: bool = False

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or self.Settings()

    def write(self, source: ExportSource, dest: Path) -> Mapping[str, int]:
        lost: Counter[str] = Counter()
        used: set[int] = set()
        told: set[int] = set()
        what = "image" if source.kind is Kind.IMAGE else "text"
        with staged(dest, source, "csv") as stage:
            media = MediaFolder(stage, "media", source, self.settings)
            with (stage / "table.csv").open("w", encoding="utf-8", newline="") as out:
                labels = ["label", "verdict"] if self.settings.is_long else _columns(source)
                who = ["who"] if self.settings.has_who else []
                out.write(self._line(["sample", what, "split", *who, *labels], lost))
                for row in source.rows():
                    path = media.add(row.sample, lost) if what == "image" else row.sample.text
                    fixed = [row.sample.name, path or "", str(row.sample.split)]
                    if who:
                        fixed.append(next((c.who for c in row.verdicts.values()), ""))
                    for cells in self._cells(row, source):
                        out.write(self._line([*fixed, *cells], lost))
                    used |= {i for i, c in row.verdicts.items() if c.verdict is not None}
                    lost["when" if who else "who_and_when"] += sum(
                        c.verdict is not None for c in row.verdicts.values()
                    )
                    _count_losses(row, lost, is_new=row.sample.id not in told)
                    told.add(row.sample.id)
        count_label_losses(source, used, lost)
        return +lost

    def _cells(self, row: ExportRow, source: ExportSource) -> Iterator[list[str]]:
        said = {i: _CELLS[c.verdict] for i, c in row.verdicts.items() if c.verdict is not None}
        if not self.settings.is_long:
            yield [said.get(label.id, "") for label in source.labels]
            return
        for label in source.labels:
            if label.id in said:
                yield [label.name, said[label.id]]
        if not said:
            yield ["", ""]

    def _line(self, cells: Sequence[str], lost: Counter[str]) -> str:
        return table_line(cells, lost, is_formula_safe=self.settings.is_formula_safe)


def _columns(source: ExportSource) -> list[str]:
    """Label names as column names, marked where a reader could take them for something else."""
    return [
        f"label:{name}"
        if name.strip().lower() in RESERVED or name.startswith("label:") or name != name.strip()
        else name
        for name in (label.name for label in source.labels)
    ]


def _count_losses(row: ExportRow, lost: Counter[str], *, is_new: bool) -> None:
    lost["regions"] += sum(len(c.regions) for c in row.verdicts.values())
    if is_new:
        lost["names"] += sum(name != row.sample.name for name in row.sample.names)
        lost["metadata"] += bool(row.sample.metadata)
