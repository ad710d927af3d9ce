"""What is probably wrong in a project: suspects with their evidence, in groups to decide at once.

Verdicts are judged by heads that did not see them (`cross_fit.py`), never by the version on the
screen. Auditors say what they find; here suspects that share a label and the same evidence part
become one group, findings that a person put aside stay aside, and what was decided otherwise since
is no finding any more. Nothing is changed but by `accept` and `dismiss`, an action each.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int, Int8, UInt64

from backend import catalogue
from backend.board import Board
from backend.contracts import has_text_side
from backend.cross_fit import cross_fitted, folds_of
from backend.errors import BadInputError, NotFoundError, PatchlaneError
from backend.images import decode
from backend.numerics.perceptual import GREYS, picture_hash
from backend.numerics.scores import mean_average_precision
from backend.types import AuditCase, Features, Finding, Kind, Progress, Receipt, Verdict
from backend.workbench import Workbench

AUDITORS = (
    "auditors/noise_rates",
    "auditors/near_copies",
    "auditors/several_fit",
    "auditors/prototypes",
)
KINDS = ("label", "duplicate", "ambiguous", "import")
NEIGHBOURS = 15
MOST_PER_KIND = 500
MOST_PARTS = 150
"""Suspects, the strongest, whose evidence part is looked up."""
SAME_PART = 0.55
"""Cosine of two evidence parts from which on they show the same thing: of suspects of one label in
`coco_mini` one pair in twelve."""
_TEXT_KEYS = ("captions", "caption", "tags", "title", "description", "text", "keywords")
_WITHOUT_PART, _REST = 4, "rest"
"""Length of a group's key before the shared part, and what stands there without one."""
_CODES = {Verdict.YES: 1, Verdict.NO: 0}


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
    rows = np.flatnonzero(board.encoded)
    columns = _audited_columns(board)
    given, imported, people = _given(board, rows, columns)
    features = _features(board, rows, columns)
    keys = [board.samples[row].content_hash for row in rows]
    # Held back is right here: these heads are thrown away. The drawer, val and test teach nobody.
    taught = (board.trainable | board.held_back)[rows]
    fold = folds_of(keys)
    wants_heads = bool(set(kinds) - {"duplicate"})
    logits = (
        cross_fitted(features, given, fold, taught=taught, progress=progress)
        if wants_heads
        else np.full(given.shape, np.nan)
    )
    case = _case(bench, board, rows, columns, given, imported, features, logits, kinds, progress)
    found: list[Finding] = []
    kept: list[Suspect] = []
    aside, dismissed = bench.store.dismissals.current(), 0
    for key in AUDITORS:
        auditor = catalogue.load(key)()
        if auditor.kind not in kinds:
            continue
        mine = auditor.audit(case)
        named = [one for each in mine if (one := _suspect(board, rows, columns, each))]
        left = [one for one in named if one.key not in aside]
        dismissed += len(named) - len(left)
        kept += left[:MOST_PER_KIND]
        found += mine
    return AuditReport(
        version=version,
        offset=offset,
        groups=tuple(_grouped(bench, board, kept, progress)),
        notes=tuple(_notes(board, given, imported, people, logits, len(rows), kinds)),
        checked=int((given >= 0).sum()),
        dismissed=dismissed,
        pruning=_pruning(case, found, features, fold, taught, progress)
        if measures_pruning
        else None,
    )


def still_open(bench: Workbench, report: AuditReport) -> AuditReport:
    """The report without what was decided, removed, merged or put aside since it was made."""
    board, aside = bench.board, bench.store.dismissals.current()

    def is_open(one: Suspect) -> bool:
        return (
            one.key not in aside
            and all(sample in board.row_of for sample in one.samples)
            and all(label in board.column_of for label in one.labels)
            and tuple(_said(board, one.samples[0], label) for label in one.labels) == one.given
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
    said = {
        (one.samples[0], label): verdict
        for one in suspects
        for label, verdict in _proposed_verdicts(one).items()
    }
    if None not in said.values() and bench.people.is_said_by_others(said, who):
        decisions = [(*pair, verdict) for pair, verdict in said.items()]
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


# --- the case ----------------------------------------------------------------------------------


def _audited_columns(board: Board) -> Int[np.ndarray, " c"]:
    """Labels with verdicts: of 5,000 most may have none, and cost nothing then."""
    return np.flatnonzero(board.decided.any(axis=0)) if len(board.samples) else np.zeros(0, int)


def _given(
    board: Board, rows: Int[np.ndarray, " n"], columns: Int[np.ndarray, " c"]
) -> tuple[Int8[np.ndarray, "n c"], Bool[np.ndarray, "n c"], set[str]]:
    """Verdicts, which of them came from a file, and who gave them."""
    given = np.full((len(rows), len(columns)), -1, np.int8)
    imported = np.zeros(given.shape, bool)
    row_at = {board.samples[row].id: at for at, row in enumerate(rows.tolist())}
    column_at = {board.labels[column].id: at for at, column in enumerate(columns.tolist())}
    people = set()
    for (sample, label), correction in board.verdicts.items():
        row, column = row_at.get(sample), column_at.get(label)
        code = None if correction.verdict is None else _CODES.get(correction.verdict)
        if row is None or column is None or code is None:
            continue
        if correction.is_accepted:  # in bulk, from the model itself: no witness either way
            continue
        given[row, column] = code
        imported[row, column] = correction.source.startswith("import:")
        people.add(correction.who)
    return given, imported, people


def _features(
    board: Board, rows: Int[np.ndarray, " n"], columns: Int[np.ndarray, " c"]
) -> Features:
    pooled = board.pooled[rows]
    plain = np.nan_to_num(board.plain[rows]) if board.plain.shape[1] else None
    return Features(
        pooled if plain is None else np.concatenate([pooled, plain], axis=1),
        np.nan_to_num(board.global_scores[np.ix_(rows, columns)]),
        np.nan_to_num(board.local_scores[np.ix_(rows, columns)]),
    )


def _case(
    bench: Workbench,
    board: Board,
    rows: Int[np.ndarray, " n"],
    columns: Int[np.ndarray, " c"],
    given: Int8[np.ndarray, "n c"],
    imported: Bool[np.ndarray, "n c"],
    features: Features,
    logits: Float[np.ndarray, "n c"],
    kinds: Sequence[str],
    progress: Progress | None,
) -> AuditCase:
    samples = [board.samples[row] for row in rows]
    is_text = bench.kind == Kind.TEXT
    texts = [sample.text or "" if is_text else beside(sample.metadata) for sample in samples]
    match = None
    if "import" in kinds and imported.any():
        match = (
            features.global_scores
            if is_text
            else _text_match(bench, texts, board.label_vectors[columns])
        )
    return AuditCase(
        vectors=board.pooled[rows],
        given=given,
        logits=logits.astype(np.float32),
        whole=features.global_scores,
        local=features.local_scores,
        names=tuple(board.labels[column].name for column in columns),
        splits=tuple(str(sample.split) for sample in samples),
        neighbours=_neighbours(bench, board.pooled[rows]),
        texts=tuple(texts),
        text_match=match,
        hashes=_hashes(bench, board, rows, progress)
        if not is_text and "duplicate" in kinds
        else None,
        imported=imported,
        known_as=tuple(len(set(sample.names) | {sample.name}) for sample in samples),
    )


def beside(metadata: Mapping[str, object]) -> str:
    """The words that came with a picture: captions, tags, a title."""
    words = []
    for key in _TEXT_KEYS:
        value = metadata.get(key)
        if isinstance(value, str):
            words.append(value)
        elif isinstance(value, list | tuple):
            words += [each for each in value if isinstance(each, str)]
    return " ".join(words).strip()


def _text_match(
    bench: Workbench, texts: Sequence[str], labels: Float[np.ndarray, "c d"]
) -> Float[np.ndarray, "n c"] | None:
    """Cosine of the words beside pictures with the labels' names; None without any."""
    there = [at for at, text in enumerate(texts) if text]
    encoder = bench.pipeline.encoder
    if not there or not has_text_side(encoder):
        return None
    match = np.full((len(texts), len(labels)), np.nan, np.float32)
    match[there] = encoder.encode_texts([texts[at] for at in there]) @ labels.T
    return match


def _neighbours(bench: Workbench, vectors: Float[np.ndarray, "n d"]) -> Int[np.ndarray, "n k"]:
    """Nearest rows, the row itself left out."""
    count = len(vectors)
    if count < 2:
        return np.zeros((count, 0), np.int64)
    index = bench.pipeline.new_index()
    index.add(np.arange(count, dtype=np.int64), np.ascontiguousarray(vectors, np.float32))
    found, _ = index.search(np.ascontiguousarray(vectors, np.float32), min(NEIGHBOURS + 1, count))
    others = found != np.arange(count)[:, None]
    # A copy may be found before the row itself: drop the last where it was not found at all.
    others[others.all(axis=1), -1] = False
    return found[others].reshape(count, -1)


def _hashes(
    bench: Workbench, board: Board, rows: Int[np.ndarray, " n"], progress: Progress | None
) -> UInt64[np.ndarray, " n"]:
    """Of the pictures; one that cannot be read now has a hash that nothing is near to."""
    out = np.zeros(len(rows), np.uint64)
    for at, row in enumerate(rows.tolist()):
        sample = board.samples[row]
        try:
            picture = decode(bench.store.media.path(sample), at_least=GREYS)
            greys = np.asarray(picture.convert("L").resize((GREYS, GREYS)), np.float64)
            out[at] = picture_hash(greys)
        except (PatchlaneError, OSError):
            out[at] = np.random.default_rng(at).integers(2**63, dtype=np.uint64)
        if progress is not None and at % 50 == 0:
            progress(at, len(rows), "comparing pictures")
    return out


# --- the report --------------------------------------------------------------------------------


def _said(board: Board, sample: int, label: int) -> Verdict | None:
    correction = board.verdicts.get((sample, label))
    return None if correction is None else correction.verdict


def _suspect(
    board: Board, rows: Int[np.ndarray, " n"], columns: Int[np.ndarray, " c"], one: Finding
) -> Suspect | None:
    """A finding by ids; None where a person has done what it proposes."""
    samples = tuple(board.samples[rows[row]].id for row in one.rows)
    labels = tuple(board.labels[columns[column]].id for column in one.columns)
    if one.kind == "ambiguous":
        labels = tuple(e for e in labels if _said(board, samples[0], e) != Verdict.UNSURE)
        if not labels:
            return None
    given = tuple(_said(board, samples[0], label) for label in labels)
    said = ",".join(str(verdict or "none") for verdict in given[:1])
    return Suspect(
        key=":".join(
            [
                one.kind,
                ",".join(map(str, sorted(samples))),
                # Which other labels are in doubt, or likely instead, changes with every version.
                ",".join(map(str, labels[:1])) if one.kind in ("label", "import") else "",
                said if one.kind in ("label", "import") else "",
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


def _grouped(
    bench: Workbench, board: Board, suspects: Sequence[Suspect], progress: Progress | None
) -> list[SuspectGroup]:
    names = {label.id: label.name for label in board.labels}
    parts = _evidence_parts(
        bench, board, [one for one in suspects if one.kind == "label"][:MOST_PARTS], progress
    )
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
    merged = _without_single_parts(groups)
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


def _notes(
    board: Board,
    given: Int8[np.ndarray, "n c"],
    imported: Bool[np.ndarray, "n c"],
    people: set[str],
    logits: Float[np.ndarray, "n c"],
    encoded: int,
    kinds: Sequence[str],
) -> list[str]:
    notes = []
    waiting = len(board.samples) - encoded
    if waiting:
        notes.append(f"{waiting} samples are not encoded yet and were left out")
    if not (given >= 0).any():
        notes.append("no label has a YES or NO yet: nothing to doubt, only copies were looked for")
        return notes
    silent = int((~np.isfinite(logits).any(axis=0)).sum()) if len(logits) else 0
    if silent and set(kinds) - {"duplicate"}:
        notes.append(
            f"{silent} labels have too few YES or too few NO to be judged: heads need two of each "
            "on other samples"
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
