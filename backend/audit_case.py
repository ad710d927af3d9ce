"""A project as auditors see it: its encoded samples, the labels with verdicts, what was said.

Auditors get plain arrays (`AuditCase`); here they are taken from the board, from the media and from
what came beside them. Nothing is judged here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Int8, UInt64

from backend.board import Board
from backend.contracts import has_text_side
from backend.errors import PatchlaneError
from backend.images import decode
from backend.numerics.perceptual import GREYS, picture_hash
from backend.types import AuditCase, Features, Kind, Progress, Verdict
from backend.workbench import Workbench

NEIGHBOURS = 15
_TEXT_KEYS = ("captions", "caption", "tags", "title", "description", "text", "keywords")
_CODES = {Verdict.YES: 1, Verdict.NO: 0}


@dataclass(frozen=True)
class Scope:
    """What is audited of a board: N encoded samples, C labels with verdicts, what people said.

    Attributes:
        rows: (N,) of the board.
        columns: (C,) of the board: of 5,000 labels most may have no verdict, and cost nothing then.
        given: (N, C) 1 YES, 0 NO, -1 no verdict, UNSURE, or accepted in bulk.
        imported: (N, C) the verdict came from a file.
        people: who gave the verdicts.
    """

    board: Board
    rows: Int[np.ndarray, " n"]
    columns: Int[np.ndarray, " c"]
    given: Int8[np.ndarray, "n c"]
    imported: Bool[np.ndarray, "n c"]
    people: frozenset[str]

    @property
    def taught(self) -> Bool[np.ndarray, " n"]:
        """What heads may learn from that are thrown away: the drawer, val and test teach nobody."""
        return (self.board.trainable | self.board.held_back)[self.rows]

    @property
    def contents(self) -> list[str]:
        """Content hashes of the samples."""
        return [self.board.samples[row].content_hash for row in self.rows]


def scope_of(board: Board) -> Scope:
    """All encoded samples and all labels with verdicts."""
    rows = np.flatnonzero(board.encoded)
    columns = np.zeros(0, np.int64)
    if len(board.samples):
        columns = np.flatnonzero(board.decided.any(axis=0))
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
    return Scope(board, rows, columns, given, imported, frozenset(people))


def features_of(scope: Scope) -> Features:
    """What heads read of the samples: no lane, plain numbers beside the vectors."""
    board, rows, columns = scope.board, scope.rows, scope.columns
    pooled = board.pooled[rows]
    plain = np.nan_to_num(board.plain[rows]) if board.plain.shape[1] else None
    return Features(
        pooled if plain is None else np.concatenate([pooled, plain], axis=1),
        np.nan_to_num(board.global_scores[np.ix_(rows, columns)]),
        np.nan_to_num(board.local_scores[np.ix_(rows, columns)]),
    )


def case_of(
    bench: Workbench,
    scope: Scope,
    features: Features,
    logits: Float[np.ndarray, "n c"],
    *,
    kinds: Sequence[str],
    progress: Progress | None = None,
) -> AuditCase:
    """What auditors of some kinds are told.

    Args:
        bench: the project, whose pictures and texts are looked at.
        scope: what is audited.
        features: of it.
        logits: of heads that saw no verdict on the sample; NaN where there are none.
        kinds: what is looked for; what no kind needs is not worked out.
        progress: called with (done, total, note).
    """
    board, rows, columns = scope.board, scope.rows, scope.columns
    samples = [board.samples[row] for row in rows]
    is_text = bench.kind == Kind.TEXT
    texts = [sample.text or "" if is_text else beside(sample.metadata) for sample in samples]
    match = None
    if "import" in kinds and scope.imported.any():
        match = (
            features.global_scores
            if is_text
            else _text_match(bench, texts, board.label_vectors[columns])
        )
    return AuditCase(
        vectors=board.pooled[rows],
        given=scope.given,
        logits=logits.astype(np.float32),
        whole=features.global_scores,
        local=features.local_scores,
        names=tuple(board.labels[column].name for column in columns),
        splits=tuple(str(sample.split) for sample in samples),
        neighbours=neighbours(bench, board.pooled[rows]),
        texts=tuple(texts),
        text_match=match,
        hashes=_hashes(bench, board, rows, progress)
        if not is_text and "duplicate" in kinds
        else None,
        imported=scope.imported,
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


def neighbours(bench: Workbench, vectors: Float[np.ndarray, "n d"]) -> Int[np.ndarray, "n k"]:
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
