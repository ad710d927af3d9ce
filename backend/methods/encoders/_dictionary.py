"""What names of things mean, from a dictionary that ships with the encoder.

MiniLM knows a rare name badly and its definition well. So a label is said by its name and by each
definition that the dictionary has under it; which of several senses is meant, the closeness of each
to the bare name decides. Open English WordNet has no frequencies, and MiniLM's own idea of a name
is that of its usual sense.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from backend.errors import NotFoundError, RefusedError
from backend.methods.encoders._packaged import sha256_of

FILE = "dictionary.tsv.gz"
MOST_SENSES = 16


class Dictionary:
    """Definitions by name; the file is read when it is first asked.

    Attributes:
        share: weight of the definitions' vector beside the name's.
        temperature: of the softmax over senses, in cosine.
    """

    def __init__(self, folder: Path, constants: dict[str, Any]):
        self._path = folder / str(constants["file"])
        self.sha256 = str(constants["sha256"])
        self.share, self.temperature = float(constants["share"]), float(constants["temperature"])
        self._lock = Lock()
        self._senses: dict[str, list[str]] | None = None

    def senses(self, name: str) -> Sequence[str]:
        """Definitions of a name, or of its singular; none where the dictionary has no such noun.

        Raises:
            NotFoundError, RefusedError: the file is missing or not the pinned one.
        """
        with self._lock:
            if self._senses is None:
                self._senses = self._read()
        for form in _forms(" ".join(name.lower().split())):
            if form in self._senses:
                return self._senses[form][:MOST_SENSES]
        return ()

    def _read(self) -> dict[str, list[str]]:
        if not self._path.is_file():
            raise NotFoundError(f"{self._path.name} is missing; install Patchlane again")
        if sha256_of(self._path) != self.sha256:
            raise RefusedError(
                f"{self._path.name} is not the file that was shipped (its SHA-256 differs); "
                "install Patchlane again"
            )
        found: dict[str, list[str]] = {}
        with gzip.open(self._path, "rt", encoding="utf-8") as lines:
            for line in lines:
                terms, definition = line.rstrip("\n").split("\t", 1)
                for term in terms.split("|"):
                    found.setdefault(term, []).append(definition)
        return found


def _forms(name: str) -> Iterator[str]:
    """The name, then what it may be the plural of."""
    yield name
    if name.endswith("ies"):
        yield f"{name[:-3]}y"
    if name.endswith("s") and not name.endswith("ss"):
        yield name[:-1]
        if name.endswith("es"):
            yield name[:-2]
