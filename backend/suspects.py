"""Findings of an audit by the ids of a project, and those of one label and look in groups.

A group is what one decision fits: suspects of the same label that propose the same, and whose
evidence lies on parts that look alike.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from backend.audit_case import Scope
from backend.board import Board
from backend.errors import PatchlaneError
from backend.types import Finding, Progress, Verdict
from backend.workbench import Workbench

KINDS = ("label", "duplicate", "ambiguous", "import")
MOST_PARTS = 150
"""Suspects, the strongest, whose evidence part is looked up."""
SAME_PART = 0.55
"""Cosine of two evidence parts from which on they show the same thing: of suspects of one label in
`coco_mini` one pair in twelve."""
_WITHOUT_PART, _REST = 4, "rest"
"""Length of a group's key before the shared part, and what stands there without one."""


@dataclass(frozen=True)
class Suspect:
    """A finding in a project.

    Attributes:
        key: names it for `accept` and `dismiss`; the same finding has the same key next time.
        samples, labels: ids; the first label is the one in doubt.
        given: what each of `labels` said of the first sample when this was found.
        part: number of the part that carries the label in doubt; -1 where none was looked up.
    """

    key: str
    kind: str
    samples: tuple[int, ...]
    labels: tuple[int, ...]
    given: tuple[Verdict | None, ...]
    strength: float
    proposal: str
    evidence: Mapping[str, float]
    reason: str
    part: int = -1


@dataclass(frozen=True)
class SuspectGroup:
    """Suspects that one decision fits.

    Attributes:
        shares_part: their evidence lies on parts that look alike.
    """

    key: str
    kind: str
    title: str
    proposal: str
    shares_part: bool
    suspects: tuple[Suspect, ...]


def suspect_of(scope: Scope, one: Finding) -> Suspect | None:
    """A finding by ids; None where a person has done what it proposes."""
    board, rows, columns = scope.board, scope.rows, scope.columns
    samples = tuple(board.samples[rows[row]].id for row in one.rows)
    labels = tuple(board.labels[columns[column]].id for column in one.columns)
    if one.kind == "ambiguous":
        labels = tuple(e for e in labels if said(board, samples[0], e) != Verdict.UNSURE)
        if not labels:
            return None
    given = tuple(said(board, samples[0], label) for label in labels)
    first = ",".join(str(verdict or "none") for verdict in given[:1])
    return Suspect(
        key=":".join(
            [
                one.kind,
                ",".join(map(str, sorted(samples))),
                # Which other labels are in doubt, or likely instead, changes with every version.
                ",".join(map(str, labels[:1])) if one.kind in ("label", "import") else "",
                first if one.kind in ("label", "import") else "",
            ]
        ),
        kind=one.kind,
        samples=samples,
        labels=labels,
        given=given,
        strength=one.strength,
        proposal=one.proposal,
        evidence=dict(one.evidence),
        reason=one.reason,
    )


def said(board: Board, sample: int, label: int) -> Verdict | None:
    """What counts of a pair now, by ids."""
    correction = board.verdicts.get((sample, label))
    return None if correction is None else correction.verdict


def grouped(
    bench: Workbench, board: Board, suspects: Sequence[Suspect], progress: Progress | None = None
) -> list[SuspectGroup]:
    """Groups by kind, the strongest of each first.

    Args:
        bench: the project, for the parts of samples.
        board: what the suspects were found on.
        suspects: the strongest of each kind first.
        progress: called with (done, total, note).
    """
    names = {label.id: label.name for label in board.labels}
    parts = _evidence_parts(
        bench, board, [one for one in suspects if one.kind == "label"][:MOST_PARTS], progress
    )
    merged = _without_single_parts(_by_key(suspects, parts))
    made = []
    for key, members in merged.items():
        first = members[0]
        made.append(
            SuspectGroup(
                key="group:" + ":".join(map(str, key)),
                kind=first.kind,
                title=_title(first, names),
                proposal=first.proposal,
                shares_part=len(key) > _WITHOUT_PART and key[-1] != _REST,
                suspects=tuple(members),
            )
        )
    order = {kind: at for at, kind in enumerate(KINDS)}
    return sorted(
        made,
        key=lambda group: (
            order[group.kind],
            -sum(one.strength for one in group.suspects),
            group.key,
        ),
    )


def _by_key(
    suspects: Sequence[Suspect], parts: Mapping[str, tuple[int, Float[np.ndarray, " d"]]]
) -> dict[tuple, list[Suspect]]:
    """Suspects by kind, label and proposal, and by the look of the part where one is known."""
    groups: dict[tuple, list[Suspect]] = defaultdict(list)
    leaders: dict[tuple, list[np.ndarray]] = defaultdict(list)
    for one in suspects:
        key: tuple = (one.kind, one.key)
        if one.kind in ("label", "import"):
            other = one.labels[1] if one.proposal == "relabel" else 0
            key = (one.kind, one.labels[0], one.proposal, other)
            if one.key in parts:
                at, vector = parts[one.key]
                one = replace(one, part=at)
                near = [
                    k for k, lead in enumerate(leaders[key]) if float(lead @ vector) >= SAME_PART
                ]
                if not near:
                    leaders[key].append(vector)
                key = (*key, near[0] if near else len(leaders[key]) - 1)
        groups[key].append(one)
    return groups


def _without_single_parts(groups: Mapping[tuple, list[Suspect]]) -> dict[tuple, list[Suspect]]:
    """Suspects whose evidence nobody shares, or where none was looked up, stand together."""
    out: dict[tuple, list[Suspect]] = {}
    for key, members in groups.items():
        is_alone = key[0] == "label" and (len(key) == _WITHOUT_PART or len(members) == 1)
        out.setdefault((*key[:_WITHOUT_PART], _REST) if is_alone else key, []).extend(members)
    return out


def _title(one: Suspect, names: Mapping[int, str]) -> str:
    label = names.get(one.labels[0], "") if one.labels else ""
    match one.kind, one.proposal:
        case "label", "no":
            return f"{label} was given, and is probably not there"
        case "label", _:
            return f"{label} was ruled out, and is probably there"
        case "import", "relabel":
            return f"{label} is probably {names.get(one.labels[1], '')}"
        case "import", "drop":
            return f"nothing speaks for {label}"
        case "import", _:
            return f"little speaks for {label}"
    return one.reason


def _evidence_parts(
    bench: Workbench, board: Board, suspects: Sequence[Suspect], progress: Progress | None
) -> dict[str, tuple[int, Float[np.ndarray, " d"]]]:
    """The part that carries the label in doubt most, and its vector."""
    out = {}
    fingerprint = bench.pipeline.encoder.fingerprint
    for done, one in enumerate(suspects):
        sample = board.samples[board.row_of[one.samples[0]]]
        try:
            parts, layout = bench.store.vectors.parts(sample.content_hash, fingerprint)
        except PatchlaneError:
            continue
        if not len(parts):
            continue
        vector = board.label_vectors[board.column_of[one.labels[0]]][None]
        best = int(bench.pipeline.shown(parts, vector, layout).backward[0, :, 0].argmax())
        out[one.key] = (best, np.asarray(parts[best], np.float32))
        if progress is not None and done % 10 == 0:
            progress(done, len(suspects), "looking where the evidence is")
    return out
