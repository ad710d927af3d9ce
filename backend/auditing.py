"""What is probably wrong in a project: suspects with their evidence, in groups to decide at once.

Verdicts are judged by heads that did not see them (`cross_fit.py`), never by the version on the
screen. Auditors say what they find, `suspects.py` tells it by ids and in groups. Findings that a
person put aside stay aside, and what was decided otherwise since is no finding any more. Nothing is
changed but by `accept` and `dismiss`, an action each.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from backend import catalogue
from backend.audit_case import Scope, case_of, features_of, scope_of
from backend.cross_fit import cross_fitted, folds_of
from backend.errors import BadInputError, NotFoundError
from backend.numerics.scores import mean_average_precision
from backend.suspects import KINDS, Suspect, SuspectGroup, grouped, said, suspect_of
from backend.types import AuditCase, Features, Finding, Progress, Receipt, Verdict
from backend.workbench import Workbench

AUDITORS = (
    "auditors/noise_rates",
    "auditors/near_copies",
    "auditors/several_fit",
    "auditors/prototypes",
)
MOST_PER_KIND = 500


@dataclass(frozen=True)
class Pruning:
    """What leaving the ambiguous pairs out of teaching does, on all decided pairs.

    Scores are of heads that did not see the sample, so nothing is measured on what it was chosen
    by, and the ambiguous samples are measured like all others.

    Attributes:
        pairs: how many verdicts are left out.
        before, after: mAP with and without them in teaching.
        at_random: mAP when as many others are left out.
    """

    pairs: int
    before: float
    after: float
    at_random: float


@dataclass(frozen=True)
class AuditReport:
    """Everything that was found, strongest group first within each kind.

    Attributes:
        version, offset: what the project was like.
        notes: what could not be looked for, and why.
        checked: verdicts that were looked at.
        dismissed: findings that were put aside before.
    """

    version: int
    offset: int
    groups: tuple[SuspectGroup, ...]
    notes: tuple[str, ...]
    checked: int
    dismissed: int
    pruning: Pruning | None = None

    @property
    def suspects(self) -> tuple[Suspect, ...]:
        """Of all groups."""
        return tuple(each for group in self.groups for each in group.suspects)


def audit(
    bench: Workbench,
    *,
    kinds: Sequence[str] = KINDS,
    measures_pruning: bool = False,
    progress: Progress | None = None,
) -> AuditReport:
    """Look for label errors, copies, ambiguous samples and doubtful imports.

    Args:
        bench: the project.
        kinds: what to look for.
        measures_pruning: also measure what leaving ambiguous verdicts out does; as long again.
        progress: called with (done, total, note).

    Raises:
        BadInputError: an unknown kind.
    """
    if unknown := sorted(set(kinds) - set(KINDS)):
        raise BadInputError(f"an audit looks for {', '.join(KINDS)}, not {', '.join(unknown)}")
    bench.live.resync()
    with bench.live.lock:
        board, version, offset = bench.board, bench.version, bench.offset
    scope = scope_of(board)
    features, fold = features_of(scope), folds_of(scope.contents)
    logits = np.full(scope.given.shape, np.nan)
    if set(kinds) - {"duplicate"}:
        logits = cross_fitted(features, scope.given, fold, taught=scope.taught, progress=progress)
    case = case_of(bench, scope, features, logits, kinds=kinds, progress=progress)
    found: list[Finding] = []
    kept: list[Suspect] = []
    aside, dismissed = bench.store.dismissals.current(), 0
    for key in AUDITORS:
        auditor = catalogue.load(key)()
        if auditor.kind not in kinds:
            continue
        mine = auditor.audit(case)
        named = [one for each in mine if (one := suspect_of(scope, each))]
        left = [one for one in named if one.key not in aside]
        dismissed += len(named) - len(left)
        kept += left[:MOST_PER_KIND]
        found += mine
    return AuditReport(
        version=version,
        offset=offset,
        groups=tuple(grouped(bench, board, kept, progress)),
        notes=tuple(_notes(scope, logits, kinds)),
        checked=int((scope.given >= 0).sum()),
        dismissed=dismissed,
        pruning=_pruning(case, found, features, fold, scope.taught, progress)
        if measures_pruning
        else None,
    )


def still_open(bench: Workbench, report: AuditReport, *, who: str | None = None) -> AuditReport:
    """The report without what was decided, removed, merged or put aside since it was made.

    With `who` also without what is said of verdicts that this person may not see.
    """
    board, aside = bench.people.board_of(who), bench.store.dismissals.current()

    def is_open(one: Suspect) -> bool:
        return (
            one.key not in aside
            and all(sample in board.row_of for sample in one.samples)
            and all(label in board.column_of for label in one.labels)
            and tuple(said(board, one.samples[0], label) for label in one.labels) == one.given
        )

    groups = []
    for group in report.groups:
        left = tuple(one for one in group.suspects if is_open(one))
        if left:
            groups.append(replace(group, suspects=left))
    return replace(report, groups=tuple(groups))


def chosen(report: AuditReport, keys: Iterable[str]) -> list[Suspect]:
    """Suspects by their own keys or those of their groups, each once.

    Raises:
        NotFoundError: a key names neither (any more).
    """
    known = {one.key: [one] for one in report.suspects}
    known |= {group.key: list(group.suspects) for group in report.groups}
    out: dict[str, Suspect] = {}
    for key in keys:
        if key not in known:
            raise NotFoundError(f"the audit has no finding {key!r} (any more); look again")
        out |= {one.key: one for one in known[key]}
    return list(out.values())


def accept(
    bench: Workbench, suspects: Sequence[Suspect], *, who: str = "me", op: str | None = None
) -> Receipt:
    """Do what suspects propose, as one action with one undo.

    Where another person said otherwise, who accepts decides for everybody: two words that differ
    would be a tie, and the error would stay.

    Raises:
        BadInputError: one proposes nothing, or some remove samples and others change verdicts.
        NotFoundError: a sample or label is gone; nothing is stored.
    """
    if dull := [one for one in suspects if not one.proposal]:
        raise BadInputError(f"{dull[0].reason}; there is nothing to accept")
    removals = [one for one in suspects if one.proposal == "remove"]
    if removals:
        if len(removals) < len(suspects):
            raise BadInputError("accept copies to remove and verdicts to change one at a time")
        copies = sorted({sample for one in removals for sample in one.samples[1:]})
        return bench.remove_samples(copies, who=who, op=op)
    wanted = {
        (one.samples[0], label): verdict
        for one in suspects
        for label, verdict in _proposed_verdicts(one).items()
    }
    if None not in wanted.values() and bench.people.is_said_by_others(wanted, who):
        decisions = [(*pair, verdict) for pair, verdict in wanted.items()]
        return bench.people.adjudicate(decisions, who=who, op=op)
    return bench.correct([row for one in suspects for row in proposed(one)], who=who, op=op)


def proposed(one: Suspect) -> list[dict[str, object]]:
    """The verdicts that a suspect proposes, as rows for `correct`."""
    return [
        {"sample": one.samples[0], "label": label, "verdict": verdict}
        for label, verdict in _proposed_verdicts(one).items()
    ]


def _proposed_verdicts(one: Suspect) -> dict[int, Verdict | None]:
    """Label id -> verdict; None: unknown again."""
    match one.proposal:
        case "relabel":
            first, second = one.labels
            return {first: Verdict.NO, second: Verdict.YES}
        case "drop":
            return {one.labels[0]: None}
        case "unsure":
            wanted = one.labels if one.kind == "ambiguous" else one.labels[:1]
            return dict.fromkeys(wanted, Verdict.UNSURE)
        case _:
            return {one.labels[0]: Verdict(one.proposal)}


def dismiss(
    bench: Workbench, suspects: Sequence[Suspect], *, who: str = "me", op: str | None = None
) -> Receipt:
    """Put suspects aside for good, as one action with one undo."""
    return bench.store.dismissals.add([one.key for one in suspects], who=who, op=op)


# --- the report --------------------------------------------------------------------------------


def _notes(scope: Scope, logits: Float[np.ndarray, "n c"], kinds: Sequence[str]) -> list[str]:
    """What could not be looked for, and why; a sentence each."""
    notes = []
    given, imported, people = scope.given, scope.imported, scope.people
    waiting = len(scope.board.samples) - len(scope.rows)
    if waiting:
        samples = "1 sample is" if waiting == 1 else f"{waiting} samples are"
        notes.append(f"{samples} not encoded yet, so left out")
    if not (given >= 0).any():
        notes.append("no label has a YES or NO yet: nothing to doubt, only copies were looked for")
        return notes
    silent = int((~np.isfinite(logits).any(axis=0)).sum()) if len(logits) else 0
    if silent and set(kinds) - {"duplicate"}:
        labels = "1 label has" if silent == 1 else f"{silent} labels have"
        notes.append(
            f"{labels} too few YES or too few NO to be judged: heads need two of each on other "
            "samples"
        )
    if len(people) == 1 and not imported.any():
        notes.append(
            f"all verdicts are by {next(iter(people))}: what one person sees in the same way every "
            "time looks right from here"
        )
    if "import" in kinds and not imported.any():
        notes.append("no label came with an import, so there is none to clean")
    return notes


def _pruning(
    case: AuditCase,
    found: Sequence[Finding],
    features: Features,
    fold: Int[np.ndarray, " n"],
    taught: Bool[np.ndarray, " n"],
    progress: Progress | None,
) -> Pruning | None:
    """What leaving ambiguous pairs out of teaching does; None where none was found."""
    pairs = [
        (one.rows[0], column)
        for one in found
        if one.kind == "ambiguous"
        for column in one.columns
        if case.given[one.rows[0], column] >= 0
    ]
    known = (case.given >= 0) & np.isfinite(case.logits)
    if not pairs:
        return None
    skip = np.zeros(case.given.shape, bool)
    skip[tuple(np.array(pairs).T)] = True
    drawn = np.zeros(case.given.shape, bool)
    others = np.flatnonzero((known & ~skip).ravel())
    picked = np.random.default_rng(0).permutation(others)[: int(skip.sum())]
    drawn.ravel()[picked] = True
    without, at_random = (
        cross_fitted(features, case.given, fold, taught=taught, skip=each, progress=progress)
        for each in (skip, drawn)
    )
    # The same pairs in all three, or a label would change the mean by falling out of it.
    known &= np.isfinite(without) & np.isfinite(at_random)
    truth = (case.given == 1).astype(np.float32)
    before, after, random_ = (
        float(mean_average_precision(np.nan_to_num(each).astype(np.float32), truth, known))
        for each in (case.logits, without, at_random)
    )
    return Pruning(int(skip.sum()), before, after, random_)
