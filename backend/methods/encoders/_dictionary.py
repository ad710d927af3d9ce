"""What names of things mean, from the definitions of ImageNet's classes that timm carries.

MiniLM knows a rare name badly and its definition well. So a label is said by its name and by each
definition that is there under it; which of several senses is meant, the closeness of each to the
bare name decides. The 21,844 classes are WordNet's nouns of things that a photograph can show.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from threading import Lock

from backend.methods.encoders._packaged import CLASS_NAMES

LEMMAS, DEFINITIONS, TRUNK_CLASSES = CLASS_NAMES.files
MOST_SENSES = 16


class Dictionary:
    """Definitions by name; the files are read when they are first asked.

    Attributes:
        share: weight of the definitions' vector beside the name's.
        temperature: of the softmax over senses, in cosine.
    """

    def __init__(self, share: float, temperature: float):
        self.share, self.temperature = share, temperature
        self._lock = Lock()
        self._senses: dict[str, list[str]] | None = None

    def senses(self, name: str) -> Sequence[str]:
        """Definitions of a name, or of its singular; none where no class has it.

        Raises:
            NotFoundError, RefusedError: timm's files are missing or not the pinned ones.
        """
        with self._lock:
            if self._senses is None:
                self._senses = _by_name()
        for form in forms(" ".join(name.lower().split())):
            if form in self._senses:
                return self._senses[form][:MOST_SENSES]
        return ()


def read_table(name: str) -> dict[str, str]:
    """One of timm's tables: what stands beside each class's number, in the file's order."""
    lines = CLASS_NAMES.locate(name).read_text(encoding="utf-8").splitlines()
    return dict(line.split("\t", 1) for line in lines)


def _by_name() -> dict[str, list[str]]:
    lemmas, definitions = read_table(LEMMAS), read_table(DEFINITIONS)
    found: dict[str, list[str]] = {}
    for number, names in lemmas.items():
        for name in dict.fromkeys(names.lower().split(", ")):
            found.setdefault(name, []).append(definitions[number])
    return found


def forms(name: str) -> Iterator[str]:
    """The name, then what it may be the plural of."""
    yield name
    if name.endswith("ies"):
        yield f"{name[:-3]}y"
    if name.endswith("s") and not name.endswith("ss"):
        yield name[:-1]
        if name.endswith("es"):
            yield name[:-2]
