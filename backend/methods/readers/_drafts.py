"""A draft in the making: what a file says of one sample, checked piece by piece.

A bad piece (a label too long, a box outside the picture) is noted as a problem with its line,
and the rest of the sample is kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from backend.errors import BadInputError, RefusedError
from backend.methods.readers._paths import shown
from backend.settings import Limits
from backend.types import Draft, FileProblem, Region, RegionVerdict, Split, Verdict

_SPLITS = {
    "train": Split.TRAIN,
    "training": Split.TRAIN,
    "val": Split.VAL,
    "valid": Split.VAL,
    "validation": Split.VAL,
    "dev": Split.VAL,
    "test": Split.TEST,
    "testing": Split.TEST,
}
_VERDICTS = {
    **dict.fromkeys(("yes", "1", "1.0", "true"), Verdict.YES),
    **dict.fromkeys(("no", "0", "0.0", "false"), Verdict.NO),
    **dict.fromkeys(("unsure", "?"), Verdict.UNSURE),
}
TOLERANCE = 1e-6
"""How far outside of 0..1 a rounded fraction may be."""


@dataclass
class Rough:
    """One sample's draft while its file is read; `where` is its place there, such as a line."""

    name: str
    file: str
    where: str
    limits: Limits
    path: Path | None = None
    text: str | None = None
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    regions: list[RegionVerdict] = field(default_factory=list)
    predictions: dict[str, float] = field(default_factory=dict)
    split: Split | None = None
    metadata: dict[str, object] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    who: str = ""
    when: float | None = None
    only_present: bool = False
    is_open: set[str] = field(default_factory=set)
    problems: list[FileProblem] = field(default_factory=list)

    def note(self, error: BadInputError | RefusedError | str) -> None:
        """Remember that a piece was left out, and why."""
        self.problems.append(problem(self.file, self.where, error))

    def decide(self, label: object, verdict: Verdict) -> None:
        """Note a verdict on a label; the last of several wins."""
        try:
            self.verdicts[label_name(label, self.limits)] = verdict
        except (BadInputError, RefusedError) as error:
            self.note(error)

    def predict(self, label: object, score: object) -> None:
        """Note another model's score of a label; of several the highest counts."""
        try:
            name, value = label_name(label, self.limits), number(score, "score")
        except (BadInputError, RefusedError) as error:
            self.note(error)
            return
        self.predictions[name] = max(value, self.predictions.get(name, -math.inf))

    def leave_open(self, label: object) -> None:
        """Note that nothing is said of a label for the whole sample, whatever its regions say."""
        try:
            self.is_open.add(label_name(label, self.limits))
        except (BadInputError, RefusedError) as error:
            self.note(error)

    def mark(self, label: object, region: Region, verdict: Verdict = Verdict.YES) -> None:
        """Note a region; a label that is seen in one is present unless the file says otherwise."""
        try:
            name = label_name(label, self.limits)
        except (BadInputError, RefusedError) as error:
            self.note(error)
            return
        self.regions.append(RegionVerdict(name, verdict, region))
        if verdict is Verdict.YES and name not in self.is_open:
            self.verdicts.setdefault(name, verdict)

    def set_text(self, raw: object) -> None:
        """Take the sample's text.

        Raises:
            BadInputError: not a text, or empty.
            RefusedError: over the limit.
        """
        if not isinstance(raw, str) or not raw.strip():
            raise BadInputError(f"the text is {shown(raw)}; give one that is not empty")
        if len(raw) > self.limits.text_characters:
            raise RefusedError(
                f"the text has {len(raw):,} characters; the limit is "
                f"{self.limits.text_characters:,}"
            )
        self.text = raw

    def set_split(self, raw: object) -> None:
        """Take the split by any of its usual names; unknown ones are noted."""
        if raw is None or raw == "":
            return
        self.split = _SPLITS.get(raw.strip().lower()) if isinstance(raw, str) else None
        if self.split is None:
            self.note(f"the split {shown(raw)} is not train, val or test")

    def set_split_by_folder(self, folder: str) -> None:
        """Where nothing else says it, the folder that is called like a split does."""
        named = [_SPLITS[part] for part in folder.lower().split("/") if part in _SPLITS]
        if self.split is None and named:
            self.split = named[0]

    def set_author(self, who: object, when: object) -> None:
        """Take who decided and when: seconds since 1970 or ISO 8601."""
        if isinstance(who, str):
            self.who = who
        try:
            self.when = moment(when)
        except BadInputError as error:
            self.note(error)

    def finish(self) -> Iterator[Draft | FileProblem]:
        """The draft, and each piece that was left out."""
        yield Draft(
            name=self.name,
            path=self.path,
            text=self.text,
            verdicts=self.verdicts,
            regions=tuple(self.regions),
            predictions=self.predictions,
            split=self.split,
            metadata=self.metadata,
            names=self.names,
            who=self.who,
            when=self.when,
            only_present=self.only_present,
        )
        yield from self.problems


def problem(file: str, where: str, error: Exception | str) -> FileProblem:
    """A problem with its file and, where there is one, the place in it."""
    return FileProblem(file, f"{where}: {error}" if where else str(error))


def label_name(raw: object, limits: Limits) -> str:
    """A label's name as text.

    Raises:
        BadInputError: not a text, or empty.
        RefusedError: over the limit.
    """
    if isinstance(raw, int) and not isinstance(raw, bool):
        raw = str(raw)
    if not isinstance(raw, str) or not raw.strip():
        raise BadInputError(f"the label {shown(raw)} is not a name")
    if len(raw) > limits.label_characters:
        raise RefusedError(
            f"the label {shown(raw)} has {len(raw):,} characters; the limit is "
            f"{limits.label_characters:,}"
        )
    return raw


def verdict_of(raw: object) -> Verdict | None:
    """yes, no, unsure; 1, 0; true, false; ? in any case. None if it is none of them."""
    if isinstance(raw, bool | int | float):
        return _VERDICTS.get(str(float(raw)))
    if isinstance(raw, str):
        return _VERDICTS.get(raw.strip().lower())
    return None


def number(raw: object, what: str) -> float:
    """A finite number.

    Raises:
        BadInputError: anything else.
    """
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not math.isfinite(raw):
        raise BadInputError(f"the {what} is {shown(raw)}; give a finite number")
    return float(raw)


def numbers(raw: object, what: str) -> list[float]:
    """A list of finite numbers; [[x, y], ...] is flattened.

    Raises:
        BadInputError: anything else.
    """
    if not isinstance(raw, Sequence) or isinstance(raw, str):
        raise BadInputError(f"the {what} is {shown(raw)}; give a list of numbers")
    flat: list[float] = []
    for value in raw:
        if isinstance(value, Sequence) and not isinstance(value, str):
            flat.extend(number(one, what) for one in value)
        else:
            flat.append(number(value, what))
    return flat


def moment(raw: object) -> float | None:
    """Seconds since 1970 of a number or an ISO 8601 text; None for nothing.

    Raises:
        BadInputError: anything else.
    """
    if raw is None or raw == "":
        return None
    if isinstance(raw, str):
        try:
            parsed = datetime.fromisoformat(raw)
            return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
        except ValueError:
            pass
        try:
            raw = float(raw)  # tables have no other way to write seconds
        except ValueError:
            raise BadInputError(f"the time {shown(raw)} is not ISO 8601") from None
    return number(raw, "time")


def fraction_region(kind: str, raw: object) -> Region:
    """A box or polygon in fractions of the picture, kept exactly as it is.

    Raises:
        BadInputError: the wrong count of numbers, empty, or outside the picture.
    """
    points = numbers(raw, kind)
    _check_counts(kind, points)
    reach = (
        (points[0], points[1], points[0] + points[2], points[1] + points[3])
        if kind == "box"
        else points
    )
    if min(reach) < -TOLERANCE or max(reach) > 1 + TOLERANCE:
        raise BadInputError(f"the {kind} {shown(raw)} is not within 0..1 of the picture")
    return Region(kind, tuple(points))


def pixel_region(kind: str, raw: object, width: float, height: float) -> Region:
    """A box or polygon in pixels, cut to the picture.

    Raises:
        BadInputError: the wrong count of numbers, or nothing of it is in the picture.
    """
    points = numbers(raw, kind)
    _check_counts(kind, points)
    if width <= 0 or height <= 0:
        raise BadInputError(f"the {kind} is in pixels and the picture's size is not known")
    sides = (width, height)
    if kind == "polygon":
        return Region(
            kind, tuple(min(max(p / sides[i % 2], 0.0), 1.0) for i, p in enumerate(points))
        )
    left, top, wide, tall = points
    right, bottom = min(left + wide, width), min(top + tall, height)
    cut_left, cut_top = max(left, 0.0), max(top, 0.0)
    if right <= cut_left or bottom <= cut_top:
        raise BadInputError(f"the box {shown(raw)} is outside the picture or empty")
    return Region(
        kind,
        (
            cut_left / width,
            cut_top / height,
            min((right - cut_left) / width, 1.0),
            min((bottom - cut_top) / height, 1.0),
        ),
    )


def span_region(start: object, end: object, text: str | None) -> Region:
    """A span of characters.

    Raises:
        BadInputError: empty, or outside the text (where the text is known).
    """
    first, last = number(start, "start of a span"), number(end, "end of a span")
    if not (first.is_integer() and last.is_integer() and 0 <= first < last):
        raise BadInputError(f"the span {shown([start, end])} is empty or not whole characters")
    if text is not None and last > len(text):
        raise BadInputError(
            f"the span {shown([start, end])} ends after the text's {len(text)} characters"
        )
    return Region("span", (first, last))


def _check_counts(kind: str, points: Sequence[float]) -> None:
    if kind == "box":
        if len(points) != 4 or points[2] <= 0 or points[3] <= 0:
            raise BadInputError(f"the box {shown(list(points))} is not x, y, width, height")
    elif len(points) < 6 or len(points) % 2:
        raise BadInputError(f"the polygon {shown(list(points))} has less than three points")


def as_mapping(value: object, what: str) -> Mapping[str, object]:
    """A JSON object.

    Raises:
        BadInputError: anything else.
    """
    if not isinstance(value, Mapping):
        raise BadInputError(f"{what} is {shown(value)}; give an object in braces")
    return value


def listed(value: object) -> list[object]:
    """A list as it is, nothing as an empty one, anything else as a list of one."""
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]
