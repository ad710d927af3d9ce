"""Backend noun -> small handle for a widget; pure functions, no project and no disk.

A handle is what one widget needs and nothing more: ids, addresses, a few numbers. Matrices leave
as bytes (`evidence_bytes`), never as lists of numbers. Nothing here decides anything.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

import numpy as np

from backend import api

SNIPPET = 140
"""Characters of a text shown in a list."""

LARGE_PIXELS = 6_000_000
"""A picture with more pixels is first shown at `SCREEN_SIZE`; zoomed into, it comes whole."""

SCREEN_SIZE = 2048
NOT_SHOWN = (".tif", ".tiff")
"""Formats that browsers do not show: they always go as a thumbnail."""

MATRIX_CELLS = 1_500_000
"""Most numbers of one matrix sent to a browser: 3 matrices of float16 make 9 MB."""

LAYERED = "layered_transport"
"""The aligner behind the maps over several layers."""


@dataclass(frozen=True)
class LabelHandle:
    """A label as the chips need it; `threshold` where a person chose one."""

    id: int
    name: str
    pack: str
    definition: str
    aliases: tuple[str, ...]
    parent: int | None
    colour: str
    key: str
    is_muted: bool
    threshold: float | None = None


@dataclass(frozen=True)
class SuggestionsHandle:
    """Scores of one sample as parallel lists, best first; a probability is None until calibrated.

    Label ids, scores and probabilities have the same length, and so has what each imported model
    (by the name of its source) says; None where it says nothing.
    """

    version: int
    labels: tuple[int, ...]
    scores: tuple[float, ...]
    probabilities: tuple[float | None, ...]
    brought: Mapping[str, tuple[float | None, ...]]


@dataclass(frozen=True)
class SampleHandle:
    """A sample in a list: where its small picture or its first words are, and why it is there.

    `asks` are the ids of the labels that it is there for.
    """

    sample: int
    name: str
    thumb: str | None
    text: str | None
    reason: str
    picker: str
    asks: tuple[int, ...] = ()


@dataclass(frozen=True)
class NeighbourHandle:
    """A near sample with what people said about it; `score` is a cosine."""

    sample: int
    name: str
    thumb: str | None
    text: str | None
    score: float
    yes: tuple[int, ...]
    no: int
    unsure: tuple[int, ...]


@dataclass(frozen=True)
class ItemHandle:
    """All that the Label page shows of one sample, except the evidence matrix.

    `is_pending`: the sample has no vectors yet; it can be looked at and labelled all the same.
    `others`: by label id, what other people said: [name, verdict, whether it was adjudicated].
    `borrowed`: labels whose verdict is of other people alone. `in_drawer`: it is decided for
    calibration alone. `offset`: what is said here is that of the log up to there, or later.
    """

    sample: int
    name: str
    names: tuple[str, ...]
    kind: str
    split: str
    width: int
    height: int
    text: str | None
    media: str | None
    full: str | None
    thumb: str | None
    suggestions: SuggestionsHandle
    verdicts: Mapping[str, str]
    others: Mapping[str, list[tuple[str, str, bool]]]
    borrowed: Sequence[int]
    marks: Mapping[str, list[dict[str, object]]]
    neighbours: tuple[NeighbourHandle, ...]
    is_pending: bool
    offset: int
    in_drawer: bool = False


def media_url(sample: api.Sample, project: str, *, size: int | None = None) -> str | None:
    """The address of a picture or of its thumbnail; None for a text.

    The content hash is part of it, so a browser may keep the bytes for ever.
    """
    if sample.kind is not api.Kind.IMAGE:
        return None
    extent = f"&size={size}" if size else ""
    tag = sample.content_hash[:16]
    return f"/media/{sample.id}?project={quote(project, safe='')}&v={tag}{extent}"


def shown_urls(
    sample: api.Sample, project: str, *, is_still: bool = False
) -> tuple[str | None, str | None]:
    """The address of the picture to show at once, and of the whole one if that is another.

    `is_still`: only a thumbnail shows what the encoder read, e.g. the first frame of an animation.
    """
    is_odd = is_still or sample.name.lower().endswith(NOT_SHOWN)
    if is_odd or sample.width * sample.height > LARGE_PIXELS:
        whole = None if is_odd else media_url(sample, project)
        return media_url(sample, project, size=SCREEN_SIZE), whole
    return media_url(sample, project), None


def label_handle(
    label: api.Label, muted: Collection[str] = (), *, threshold: float | None = None
) -> LabelHandle:
    """Make the handle of one label; `muted` are the packs that are not suggested."""
    return LabelHandle(
        id=label.id,
        name=label.name,
        pack=label.pack,
        definition=label.definition,
        aliases=label.aliases,
        parent=label.parent,
        colour=label.colour,
        key=label.key,
        is_muted=label.pack in muted,
        threshold=threshold,
    )


def gone_handle(label: api.GoneLabel) -> dict[str, object]:
    """A label that is gone, and what it was merged into, if it was."""
    into = label.into and {"label": label.into.id, "name": label.into.name}
    return {"label": label.id, "name": label.name, "into": into}


def suggestions_handle(found: api.SampleSuggestions) -> SuggestionsHandle:
    """Turn suggestions into parallel lists, rounded to what a screen can show."""
    rows = found.suggestions
    return SuggestionsHandle(
        version=found.version,
        labels=tuple(row.label_id for row in rows),
        scores=tuple(_rounded(row.score) for row in rows),
        probabilities=tuple(
            None if row.probability is None else _rounded(row.probability) for row in rows
        ),
        brought={
            source: tuple(
                _rounded(row.brought[source]) if source in row.brought else None for row in rows
            )
            for source in sorted({source for row in rows for source in row.brought})
        },
    )


def sample_handle(
    sample: api.Sample,
    project: str,
    *,
    reason: str = "",
    picker: str = "",
    asks: Sequence[int] = (),
) -> SampleHandle:
    """Make the handle of one sample in a list."""
    return SampleHandle(
        sample=sample.id,
        name=sample.name,
        thumb=media_url(sample, project, size=128),
        text=_snippet(sample.text),
        reason=reason,
        picker=picker,
        asks=tuple(asks),
    )


def neighbour_handle(
    sample: api.Sample, project: str, *, score: float, verdicts: Mapping[int, api.Verdict]
) -> NeighbourHandle:
    """Make the handle of one near sample."""
    return NeighbourHandle(
        sample=sample.id,
        name=sample.name,
        thumb=media_url(sample, project, size=128),
        text=_snippet(sample.text),
        score=_rounded(score),
        yes=tuple(label for label, v in verdicts.items() if v is api.Verdict.YES),
        no=sum(v is api.Verdict.NO for v in verdicts.values()),
        unsure=tuple(label for label, v in verdicts.items() if v is api.Verdict.UNSURE),
    )


def verdicts_handle(verdicts: Mapping[int, api.Verdict]) -> dict[str, str]:
    """Verdicts by label id, as JSON has them: keys are text."""
    return {str(label): verdict.value for label, verdict in verdicts.items()}


def others_handle(
    said: Mapping[int, Iterable[api.Word]],
) -> dict[str, list[tuple[str, str, bool]]]:
    """What other people said by label id; names are text and stay text."""
    return {
        str(label): [(word.who, word.verdict.value, word.is_decision) for word in words]
        for label, words in said.items()
    }


def dispute_handle(one: api.Dispute) -> dict[str, object]:
    """A pair on which people differ, as JSON has it; `verdict` is None for a tie."""
    return {
        "sample": one.sample,
        "name": one.name,
        "label": one.label,
        "labelId": one.label_id,
        "verdict": None if one.verdict is None else one.verdict.value,
        "weight": one.weight,
        "words": [
            {"who": word.who, "verdict": word.verdict.value, "when": word.when}
            for word in one.words
        ],
    }


def marks_handle(marks: Mapping[int, Iterable[api.Region]]) -> dict[str, list[dict[str, object]]]:
    """Verdicts on places by label id, oldest first; geometry flat, as in `Region`."""
    return {
        str(label): [
            {"kind": region.kind, "points": list(region.points), "verdict": region.verdict.value}
            for region in found
        ]
        for label, found in marks.items()
    }


def evidence_bytes(
    explanation: api.Explanation,
    label_ids: Mapping[str, int],
    *,
    packs: Mapping[int, str] | None = None,
    text: str | None = None,
    wanted: Iterable[int] = (),
    layered: api.Explanation | str | None = None,
) -> bytes:
    """Pack the evidence of one sample for the browser.

    Layout, little endian: uint32 length of the header; the header, JSON padded with spaces to a
    multiple of 4: {sample, version, labels, rows, cols, parts, left_out, lanes, temperature,
    range, claimers, layers, why}; int32 spans (parts, 2) for texts, in UTF-16 units as a browser
    counts; then float16 matrices forward, backward and similarity, each (labels, parts), label by
    label; float16 spread (labels,); float16 maps of lanes (packs, parts), `lanes` of the header has
    the ids of each pack's labels; float16 unclaimed (parts,); where `layers` is true, float16
    matrices forward and backward of `layered`, the same sample over several layers, and where it is
    not, `why` says why they could not be had. `range` is the least and the largest similarity,
    `claimers` are ids; where they are null, nobody asked what is left over, and it is 0.
    Where parts x labels is over `MATRIX_CELLS` the best-scored labels and the `wanted` ones go,
    and `left_out` says how many did not.
    """
    keep = _columns(explanation, label_ids, wanted)
    header = _evidence_header(explanation, label_ids, keep, packs=packs or {}, layered=layered)
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 4)
    pieces = [np.uint32(len(head)).astype("<u4").tobytes(), head]
    if explanation.layout.spans is not None:
        spans = utf16_spans(text or "", explanation.layout.spans)
        pieces.append(np.ascontiguousarray(spans, dtype="<i4").tobytes())
    matrices = (explanation.forward, explanation.backward, explanation.similarity)
    pieces.extend(_halves(matrix[:, keep].T) for matrix in matrices)
    pieces.append(_halves(explanation.spread[keep]))
    pieces.extend(_halves(looks) for looks in explanation.lanes.values())
    left = explanation.unclaimed
    pieces.append(_halves(np.zeros(len(explanation.forward)) if left is None else left))
    if isinstance(layered, api.Explanation):
        pieces.extend(_halves(plan[:, keep].T) for plan in (layered.forward, layered.backward))
    return b"".join(pieces)


def _evidence_header(
    explanation: api.Explanation,
    label_ids: Mapping[str, int],
    keep: Sequence[int],
    *,
    packs: Mapping[int, str],
    layered: api.Explanation | str | None,
) -> dict[str, object]:
    """What `evidence_bytes` says in words of the numbers that follow; `keep` are its columns."""
    rows, cols = explanation.layout.grid or (0, 0)
    return {
        "sample": explanation.sample,
        "version": explanation.version,
        "labels": [label_ids[explanation.labels[k]] for k in keep],
        "rows": int(rows),
        "cols": int(cols),
        "parts": len(explanation.forward),
        "left_out": len(explanation.labels) - len(keep),
        "lanes": [
            [i for i in label_ids.values() if packs.get(i) == pack] for pack in explanation.lanes
        ],
        "temperature": explanation.temperature,
        "range": _range(explanation.similarity[:, keep]),
        "claimers": None
        if explanation.unclaimed is None
        else [label_ids[name] for name in explanation.claimers if name in label_ids],
        "layers": isinstance(layered, api.Explanation),
        "why": layered if isinstance(layered, str) else "",
    }


def _halves(array: np.ndarray) -> bytes:
    """Numbers as little-endian float16, row by row."""
    return np.ascontiguousarray(array, dtype="<f2").tobytes()


def utf16_spans(text: str, spans: Sequence[tuple[int, int]]) -> np.ndarray:
    """Character spans counted in UTF-16 units, as a browser's strings are.

    Example:
        >>> utf16_spans("a😀b", [(2, 3)]).tolist()
        [[3, 4]]
    """
    array = np.asarray(spans, dtype=np.int64).reshape(-1, 2)
    if text.isascii() or not array.size:
        return array
    wide = np.frombuffer(text.encode("utf-32-le"), dtype="<u4") > 0xFFFF
    extra = np.concatenate([[0], np.cumsum(wide)])
    return array + extra[np.minimum(array, len(wide))]


def _range(similarity: np.ndarray) -> list[float]:
    """The least and the largest number, as the browser will have them: rounded to float16."""
    if not similarity.size:
        return [0.0, 1.0]
    return [float(np.float16(similarity.min())), float(np.float16(similarity.max()))]


def _columns(
    explanation: api.Explanation, label_ids: Mapping[str, int], wanted: Iterable[int]
) -> list[int]:
    known = [k for k, name in enumerate(explanation.labels) if name in label_ids]
    most = max(1, MATRIX_CELLS // max(1, explanation.forward.shape[0]))
    if len(known) <= most:
        return known
    first = set(wanted)
    by_need = sorted(
        known,
        key=lambda k: (
            label_ids[explanation.labels[k]] not in first,
            -float(explanation.scores[k]),
        ),
    )
    return sorted(by_need[:most])


def _snippet(text: str | None) -> str | None:
    if text is None:
        return None
    head = " ".join(text[: 4 * SNIPPET].split())
    return head if len(head) <= SNIPPET else head[: SNIPPET - 1].rstrip() + "…"


def _rounded(value: float) -> float:
    return round(float(value), 5)
