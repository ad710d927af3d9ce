"""Labels that were imported: keep, relabel, drop or unsure, by anchors that texts choose.

Of each label the samples whose text fits it best are its anchors; they keep it for ever. Their mean
vector, and that of the samples whose text fits least, are the label's two prototypes. What the
prototypes and heads taught on other samples say together decides about the rest.

    soft = a heads + (1 - a) s((z . present - z . absent) / temperature)

A given YES is kept where soft is at least `keep`; else it is another label where one that was not
given reaches `relabel`; else it is dropped where soft is below `drop`, and in between unsure.

Source: Qin et al., CAPro, NeurIPS 2023 (2310.09761), without its training. Differs: texts keep half
of their own weight when neighbours smooth them, as most texts are fine; a label with few samples
has fewer anchors; the keeping threshold is no 1/C, which drops nothing where labels are many.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from backend.fingerprints import fingerprint_of
from backend.numerics.logistic import logistic
from backend.types import AuditCase, Finding


class PrototypesAuditor:
    """Proposals for imported YES."""

    kind = "import"

    @dataclass(frozen=True)
    class Settings:
        """Where the lines are.

        Attributes:
            anchors: samples of a label that texts choose, at most.
            share: and at most this share of the samples that were given it, 0..1.
            own: weight of a sample's own text against those of its neighbours, 0..1.
            neighbours: that smooth a text.
            heads: weight a of the heads against prototypes, 0..1.
            temperature: of the prototypes.
            keep, drop, relabel: thresholds of soft, 0..1.
        """

        anchors: int = 50
        share: float = 0.3
        own: float = 0.5
        neighbours: int = 10
        heads: float = 0.5
        temperature: float = 0.1
        keep: float = 0.35
        drop: float = 0.15
        relabel: float = 0.6

    def __init__(self, settings: Settings | None = None):
        self.settings = settings or self.Settings()
        self.fingerprint = fingerprint_of("auditors/prototypes", self.settings)

    def audit(self, case: AuditCase, *, seed: int = 0) -> list[Finding]:  # noqa: ARG002
        given = case.given == 1
        asked = given if case.imported is None else given & case.imported
        if not asked.any():
            return []
        match = self.smoothed(case)
        anchors = self.anchors(match, given)
        seen = self.seen(case.vectors, match, anchors)
        scored = np.isfinite(case.logits)
        heads = np.where(scored, logistic(np.nan_to_num(case.logits)), 0.5)
        weight = np.where(scored, self.settings.heads, 0.0)
        weight = np.where(np.isfinite(seen), weight, 1.0 * scored)
        soft = weight * heads + (1 - weight) * np.nan_to_num(seen, nan=0.5)
        votes = _votes(case)
        rows, columns = np.nonzero(asked & ~anchors & (scored | np.isfinite(seen)))
        # One other label at most: where several were missing, one is a relabelling, not three.
        taken = given | ((case.given == 0) & ~(True if case.imported is None else case.imported))
        free = np.where(taken | ~scored, -1.0, soft)
        instead = free.argmax(axis=1) if free.shape[1] else np.zeros(len(free), np.int64)
        found = []
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            value, other = float(soft[row, column]), int(instead[row])
            proposal = self._proposal(value, float(free[row, other]))
            if proposal == "keep":
                continue
            told = {
                "text": float(_rank(match[:, column], match[row, column])),
                "prototype": float(seen[row, column]),
                "heads": float(heads[row, column]),
                "neighbours": float(votes[row, column]),
                "instead": float(free[row, other]) if proposal == "relabel" else float("nan"),
            }
            told = {name: each for name, each in told.items() if np.isfinite(each)}
            found.append(_finding(case, row, column, other, proposal, value, told))
        return sorted(found, key=lambda one: (-one.strength, one.rows, one.columns))

    def smoothed(self, case: AuditCase) -> Float[np.ndarray, "n l"]:
        """How well texts fit labels, each label over all samples; NaN where there is no text.

        A sample without a text takes that of its neighbours.
        """
        if case.text_match is None:
            return np.full(case.given.shape, np.nan)
        match = case.text_match.astype(np.float64)
        near = case.neighbours[:, : self.settings.neighbours]
        around = match[near]
        there = np.isfinite(around)
        mean = np.where(there, around, 0).sum(axis=1) / np.maximum(there.sum(axis=1), 1)
        mean = np.where(there.any(axis=1), mean, np.nan)
        own = self.settings.own
        mixed = own * match + (1 - own) * np.where(np.isfinite(mean), mean, match)
        return np.where(np.isfinite(match), mixed, mean)

    def anchors(
        self, match: Float[np.ndarray, "n l"], given: Bool[np.ndarray, "n l"]
    ) -> Bool[np.ndarray, "n l"]:
        """The given samples of each label whose text fits best."""
        out = np.zeros(given.shape, bool)
        for column in np.flatnonzero(given.any(axis=0)).tolist():
            rows = np.flatnonzero(given[:, column] & np.isfinite(match[:, column]))
            count = min(self.settings.anchors, int(np.ceil(self.settings.share * len(rows))))
            best = np.argsort(-match[rows, column], kind="stable")[:count]
            out[rows[best], column] = True
        return out

    def seen(
        self,
        vectors: Float[np.ndarray, "n d"],
        match: Float[np.ndarray, "n l"],
        anchors: Bool[np.ndarray, "n l"],
    ) -> Float[np.ndarray, "n l"]:
        """The two-way softmax of both prototypes; NaN where a label has no anchors."""
        out = np.full(anchors.shape, np.nan)
        centred = vectors - vectors.mean(axis=0)
        unit = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-9)
        for column in np.flatnonzero(anchors.any(axis=0)).tolist():
            mine = np.flatnonzero(anchors[:, column])
            order = np.argsort(np.nan_to_num(match[:, column], nan=np.inf), kind="stable")
            absent = order[: max(len(mine), min(self.settings.anchors, len(order) // 2))]
            present = _unit(centred[mine].mean(axis=0)) - _unit(centred[absent].mean(axis=0))
            out[:, column] = logistic(unit @ present / self.settings.temperature)
        return out

    def _proposal(self, value: float, best_other: float) -> str:
        if value >= self.settings.keep:
            return "keep"
        if best_other >= self.settings.relabel:
            return "relabel"
        return "drop" if value < self.settings.drop else "unsure"


def _finding(
    case: AuditCase,
    row: int,
    column: int,
    other: int,
    proposal: str,
    value: float,
    told: dict[str, float],
) -> Finding:
    name = case.names[column]
    said = {
        "relabel": f"{name} came with the import; it looks like {case.names[other]}",
        "drop": f"{name} came with the import; nothing here speaks for it",
        "unsure": f"{name} came with the import; little here speaks for it",
    }[proposal]
    return Finding(
        kind=PrototypesAuditor.kind,
        rows=(row,),
        columns=(column, other) if proposal == "relabel" else (column,),
        strength=float(np.clip(1 - value, 0, 1)),
        proposal=proposal,
        evidence=told,
        reason=said,
    )


def _votes(case: AuditCase) -> Float[np.ndarray, "n l"]:
    """Share of YES among the decided neighbours; NaN where none is."""
    yes = np.zeros(case.given.shape)
    decided = np.zeros(case.given.shape)
    for near in case.neighbours.T:
        yes += case.given[near] == 1
        decided += case.given[near] >= 0
    return np.where(decided > 0, yes / np.maximum(decided, 1), np.nan)


def _rank(values: Float[np.ndarray, " n"], value: float) -> float:
    """Share of the samples whose text fits less well; NaN where there is no text."""
    known = values[np.isfinite(values)]
    return float((known < value).mean()) if len(known) and np.isfinite(value) else float("nan")


def _unit(vector: Float[np.ndarray, " d"]) -> Float[np.ndarray, " d"]:
    return vector / max(float(np.linalg.norm(vector)), 1e-9)
