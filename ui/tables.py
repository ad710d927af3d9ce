"""A table as a CSV file to take home; cells are guarded against spreadsheets that run formulas."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from fastapi.responses import Response

from backend import api


def csv_file(bench: api.Workbench, name: str, rows: Sequence[Sequence[object]]) -> Response:
    """A download called after the project and the table; the first row names the columns."""
    # A spreadsheet takes UTF-8 for what it is only with this mark before it.
    content = "\ufeff" + api.score_tables.csv_of(rows)
    file = quote(f"{bench.name}-{name}.csv", safe="")
    return Response(
        content.encode(),
        media_type="text/csv; charset=utf-8",
        headers={
            "Content-Disposition": f"attachment; filename*=UTF-8''{file}",
            "X-Content-Type-Options": "nosniff",
        },
    )
