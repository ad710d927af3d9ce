"""What the steps of one import share: its options, the names it knows, what it counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import sqlalchemy as sa
from PIL.Image import Image
from sqlalchemy.engine import Connection

from backend.errors import BadInputError
from backend.settings import Limits
from backend.store import operations
from backend.store import tables as t
from backend.store.media import StoredMedia
from backend.store.naming import basename, shown
from backend.store.samples import ambiguous
from backend.types import Draft, FileProblem, ImportReport, Progress

OnContent = Callable[[str, "Image | str"], None]


@dataclass(frozen=True)
class IntakeOptions:
    """How an import is taken; see `ProjectStore.take`."""

    who: str
    source: str
    op: str | None = None
    link: bool = False
    on_conflict: str = "keep"
    unlisted: str = "unknown"
    create_labels: bool = False
    at_least: int = 0
    on_content: OnContent | None = None
    predictions_source: str = ""
    progress: Progress | None = None

    def __post_init__(self) -> None:
        if self.on_conflict not in ("keep", "replace", "both"):
            raise BadInputError(
                f"on_conflict is keep, replace or both, not {shown(self.on_conflict)}"
            )
        if self.unlisted not in ("unknown", "no"):
            raise BadInputError(f"unlisted is unknown or no, not {shown(self.unlisted)}")


@dataclass(frozen=True)
class Staged:
    """A draft whose content is checked and, for images, on disk."""

    draft: Draft
    name: str
    names: tuple[str, ...]
    content_hash: str | None = None
    media: StoredMedia | None = None


@dataclass
class NameIndex:
    """Live names of live samples, as they were at `revision`."""

    revision: int = -1
    whole: dict[str, int] = field(default_factory=dict)
    last: dict[str, set[int]] = field(default_factory=dict)
    first: dict[int, str] = field(default_factory=dict)

    @classmethod
    def load(cls, connection: Connection) -> NameIndex:
        """Read the names there are."""
        n = t.sample_names.c
        names = cls(operations.revision(connection))
        rows = connection.execute(
            sa.select(n.name, n.sample)
            .join(t.samples, t.samples.c.id == n.sample)
            .where(n.is_live, t.samples.c.is_live)
            .order_by(n.id)
        )
        for name, sample in rows:
            names.add(name, sample)
        return names

    def add(self, name: str, sample: int) -> None:
        """Note one more name of a sample."""
        self.first.setdefault(sample, name)
        self.whole.setdefault(name, sample)
        self.last.setdefault(basename(name), set()).add(sample)

    def free(self, name: str) -> str:
        """The name with the first number that makes it one nobody has."""
        stem, dot, suffix = name.rpartition(".")
        if not dot or "/" in suffix:
            stem, dot, suffix = name, "", ""
        number = 2
        while f"{stem} ({number}){dot}{suffix}" in self.whole:
            number += 1
        return f"{stem} ({number}){dot}{suffix}"

    def resolve_any(self, names: tuple[str, ...]) -> int:
        """The sample that an annotation with several names is about."""
        for name in names[1:]:
            if names[0] not in self.whole and name in self.whole:
                return self.whole[name]
        return self.resolve(names[0])

    def resolve(self, name: str) -> int:
        """The sample that an annotation names.

        Raises:
            BadInputError: none has this name, or several have.
        """
        sample = self.whole.get(name)
        if sample is not None:
            return sample
        several = self.last.get(name, set())
        if len(several) == 1:
            return next(iter(several))
        if several:
            names = [n for n, sample in self.whole.items() if sample in several]
            raise BadInputError(ambiguous(name, sorted(names)))
        if name.isdecimal() and int(name) in self.first:
            return int(name)
        tail = name.rpartition("/")[2]
        if tail != name and tail in self.whole:
            # not taken for it: the same file name may stand for another picture in each folder
            raise BadInputError(
                f"no sample of this project has this name, but one is called {shown(tail)}; write "
                "the names as the project has them, or leave the file where it lists the pictures"
            )
        raise BadInputError("no sample of this project has this name; import its file first")


@dataclass
class ImportRun:
    """One import while it runs.

    Attributes:
        num_taken: of how many problems something came in all the same.
        is_resumed: it was cut off before, and goes on under the same id.
    """

    options: IntakeOptions
    limits: Limits
    op: str
    seq: int = 0
    names: NameIndex = field(default_factory=NameIndex)
    labels: dict[str, int] = field(default_factory=dict)
    unknown_labels: Counter[str] = field(default_factory=Counter)
    problems: list[FileProblem] = field(default_factory=list)
    imported: int = 0
    skipped: int = 0
    duplicates: int = 0
    matched: int = 0
    new_labels: int = 0
    annotations: int = 0
    changes: int = 0
    num_taken: int = 0
    is_resumed: bool = False

    def refuse(self, file: str, reason: str) -> None:
        """Skip a thing, and say why."""
        self.skipped += 1
        self.problems.append(FileProblem(file, reason))

    def take_otherwise(self, file: str, reason: str) -> None:
        """Say of a thing that came in that it is not as its file says."""
        self.num_taken += 1
        self.problems.append(FileProblem(file, reason, is_taken=True))

    def all_problems(self) -> Iterator[FileProblem]:
        """What was told by now, and the labels that nobody knows."""
        yield from self.problems
        for name, count in self.unknown_labels.items():
            told = "annotation" if count == 1 else "annotations"
            yield FileProblem(
                name,
                f"no label has this name: {count} {told} not stored; create labels with "
                "--create-labels, or add it first",
            )

    def report(self) -> ImportReport:
        """What came in."""
        return ImportReport(
            imported=self.imported,
            skipped=self.skipped,
            errors=tuple(self.all_problems()),
            labels=self.new_labels,
            annotations=self.annotations,
            duplicates=self.duplicates,
            matched=self.matched,
            op=self.op,
        )
