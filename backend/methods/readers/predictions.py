"""Scores that another model gave, to be looked at beside ours: {"sample", "label", "score"}.

One object per line or a JSON list of them; `patchlane suggest --out` writes the same with all
labels of a sample in one object, and {"sample", "scores": {label: score}} is taken too. Samples
are named, never brought: a path in here opens no file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from backend.errors import BadInputError, RefusedError
from backend.methods.readers._drafts import Rough, as_mapping, listed, problem
from backend.methods.readers._found import first_row, has_suffix, json_rows
from backend.methods.readers._paths import clean_name
from backend.methods.readers._settings import ReaderSettings
from backend.types import Draft, FileProblem

_SAMPLE = ("sample", "image", "file", "file_name", "name", "id")
_SCORE = ("score", "probability", "confidence")


class PredictionsReader:
    """All scores of a sample are one draft without verdicts."""

    @dataclass(frozen=True)
    class Settings(ReaderSettings):
        """Nothing of its own."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or self.Settings()

    def accepts(self, path: Path) -> bool:
        if not (path.is_file() and has_suffix(path, ".jsonl", ".ndjson", ".json")):
            return False
        first = first_row(path, self.settings.limits) or {}
        if not any(key in first for key in _SAMPLE) or {"verdict", "labels"} & first.keys():
            return False
        is_flat = "label" in first and any(key in first for key in _SCORE)
        return is_flat or "suggestions" in first or isinstance(first.get("scores"), Mapping)

    def read(self, path: Path) -> Iterator[Draft | FileProblem]:
        roughs: dict[str, Rough] = {}
        for row in json_rows(path, self.settings.limits):
            try:
                if isinstance(row.value, Exception):
                    raise row.value
                fields = as_mapping(row.value, "the row")
                name = clean_name(next((fields[k] for k in _SAMPLE if k in fields), None))
                if name not in roughs:
                    roughs[name] = Rough(name, path.name, row.where, self.settings.limits)
                roughs[name].where = row.where
                _take_scores(roughs[name], fields)
            except (BadInputError, RefusedError) as error:
                yield problem(path.name, row.where, error)
        for rough in roughs.values():
            yield from rough.finish()


def _take_scores(rough: Rough, fields: Mapping[str, object]) -> None:
    if isinstance(fields.get("scores"), Mapping):
        for label, score in as_mapping(fields["scores"], "the scores").items():
            rough.predict(label, score)
        return
    for entry in listed(fields["suggestions"]) if "suggestions" in fields else [fields]:
        one = as_mapping(entry, "a suggestion")
        score = next((one[key] for key in _SCORE if one.get(key) is not None), None)
        rough.predict(one.get("label"), score)
