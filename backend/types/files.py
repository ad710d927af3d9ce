"""What comes in and goes out: drafts of readers, rows of exporters, reports of both."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float

from backend.types.answers import LabelMap
from backend.types.samples import Correction, Kind, Label, Region, Sample, Split, Verdict

Progress = Callable[[int, int, str], None]
"""Called with (done, total, note); raises to cancel."""


@dataclass(frozen=True)
class FileProblem:
    """One thing an import skipped or an export could not hold, and why.

    Attributes:
        is_taken: it came in all the same, but not as its file says, such as by another name.
    """

    file: str
    reason: str
    is_taken: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class ImportReport:
    """What came in: new samples, what was skipped and why, labels and annotations stored.

    `matched` counts what was about a sample that is in the project now, new or not, whether it
    changed anything or not.
    """

    imported: int
    skipped: int
    errors: tuple[FileProblem, ...]
    labels: int
    annotations: int
    duplicates: int = 0
    op: str = ""
    matched: int = 0


@dataclass(frozen=True)
class PastImport:
    """An import, as the log keeps it.

    Attributes:
        source: what was imported, without the folder it lay in.
        when: seconds since 1970, at its beginning.
        report: what came in, with the first of its errors.
        num_errors: how many errors there were.
        num_taken: of how many of them something came in all the same.
        is_undone: it was taken back.
        is_finished: it came to its end; else it was cut off, or another process is at it.
        is_final: it changed nothing that undo could take back.
    """

    op: str
    source: str
    when: float
    report: ImportReport
    num_errors: int
    num_taken: int
    is_undone: bool
    is_finished: bool
    is_final: bool


@dataclass(frozen=True)
class RegionVerdict:
    """A verdict on a region of a sample, by label name (as files hold it).

    `verdict` is what counts; the region gets it when it is stored.
    """

    label: str
    verdict: Verdict
    region: Region


@dataclass(frozen=True)
class Draft:
    """What a reader understood of one sample or of an annotation for one; nothing is stored yet.

    Attributes:
        name: path relative to the imported root, forward slashes; or a sample's name.
        path: media file on disk to take in; None for texts and for annotations of samples that
            are in the project already.
        text: the text itself; None for images.
        verdicts: by label name; absent labels are unknown, also where a region shows them.
        predictions: by label name, scores that another model gave.
        only_present: the source lists only what is present (`--unlisted no` turns the rest to NO).
        names: further names of the same sample.
    """

    name: str
    path: Path | None = None
    text: str | None = None
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    regions: tuple[RegionVerdict, ...] = ()
    predictions: Mapping[str, float] = field(default_factory=dict)
    split: Split | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)
    who: str = ""
    when: float | None = None
    only_present: bool = False
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class BroughtVectors:
    """One vector per sample that another model made, searched beside ours.

    Attributes:
        source: what to call the model, by default the file's stem.
        names: (N,) names of samples, in the order of the rows.
        vectors: (N, D) finite rows, not scaled.
    """

    source: str
    names: tuple[str, ...]
    vectors: Float[np.ndarray, "n d"]


@dataclass(frozen=True)
class ExportRow:
    """One sample with its current verdicts by label id."""

    sample: Sample
    verdicts: Mapping[int, Correction]


@dataclass(frozen=True)
class MachineBox:
    """Where a label seems to be; nobody drew it.

    Attributes:
        region: a box.
        score: the share of the label's map that lies in it, 0..1.
    """

    label: int
    region: Region
    score: float


def no_label_map(_sample: Sample) -> LabelMap | None:
    """Of a project without maps."""
    return None


def no_boxes(_sample: Sample, _labels: Sequence[int]) -> Sequence[MachineBox]:
    """Of a project without maps."""
    return ()


@dataclass(frozen=True)
class ExportSource:
    """What an exporter may see of a project: the log's current state, not the screen's.

    Attributes:
        label_map: where the labels of a sample are; None while it is not encoded.
        boxes: where some labels of a sample seem to be; none for a label that is nowhere.
    """

    name: str
    kind: Kind
    labels: tuple[Label, ...]
    rows: Callable[[], Iterator[ExportRow]]
    media: Callable[[Sample], Path]
    version: int
    label_map: Callable[[Sample], LabelMap | None] = no_label_map
    boxes: Callable[[Sample, Sequence[int]], Sequence[MachineBox]] = no_boxes


@dataclass(frozen=True)
class ExportReport:
    """What was written, and the counts of what the format cannot hold (`lost`)."""

    files: tuple[str, ...]
    samples: int
    annotations: int
    lost: Mapping[str, int]
