"""Ambiguous samples: several labels are as likely as not, so that people would disagree.

A label's doubt is the entropy of its chance in bits. A sample is ambiguous by its *second* most
doubtful label: one open label is a question, two or more are a sample that fits several. Only what
heads say that did not see the sample counts, and no verdict on it: a sample that contradicts its
verdicts is a label error, not an ambiguous one.

Source: Henriksson et al., Untangling the Unrestricted Web (registers), 2024, who find that the
texts which a classifier fails on fit several registers. They rank by the given labels and measure
on what is left, which selects on the answer; here the ranking never looks at them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backend.fingerprints import fingerprint_of
from backend.numerics.logistic import logistic
from backend.types import AuditCase, Finding


class SeveralFitAuditor:
    """Samples by the entropy of their second most doubtful label."""

    kind = "ambiguous"

    @dataclass(frozen=True)
    class Settings:
        """What is told.

        Attributes:
            least: bits of the second most doubtful label, 0..1.
            most: at most this share of the samples is told, 0..1.
        """

        least: float = 0.7
        most: float = 0.1

    def __init__(self, settings: Settings | None = None):
        self.settings = settings or self.Settings()
        self.fingerprint = fingerprint_of("auditors/several_fit", self.settings)

    def audit(self, case: AuditCase, *, seed: int = 0) -> list[Finding]:  # noqa: ARG002
        scored = np.isfinite(case.logits)
        if scored.shape[1] < 2 or not len(scored):
            return []
        chance = logistic(np.nan_to_num(case.logits))
        bits = np.where(scored, _entropy(chance), 0.0)
        best = np.argsort(-bits, axis=1, kind="stable")
        second = np.take_along_axis(bits, best[:, 1:2], axis=1)[:, 0]
        decided = np.any(case.given >= 0, axis=1)
        order = np.argsort(-np.where(decided, second, 0.0), kind="stable")
        order = order[: int(np.ceil(self.settings.most * len(order)))]
        return [
            self._finding(case, row, chance[row], bits[row], best[row])
            for row in order.tolist()
            if decided[row] and second[row] >= self.settings.least
        ]

    def _finding(
        self, case: AuditCase, row: int, chance: np.ndarray, bits: np.ndarray, best: np.ndarray
    ) -> Finding:
        open_ = [int(column) for column in best if bits[column] >= self.settings.least]
        shown = ", ".join(f"{case.names[c]} {chance[c]:.0%}" for c in open_[:4])
        return Finding(
            kind=self.kind,
            rows=(row,),
            columns=tuple(open_),
            strength=float(bits[open_[1]]),
            proposal="unsure",
            evidence={"bits": float(bits[open_].sum()), "labels": float(len(open_))},
            reason=f"{len(open_)} labels are as likely as not: {shown}",
        )


def _entropy(chance: np.ndarray) -> np.ndarray:
    inside = np.clip(chance, 1e-12, 1 - 1e-12)
    return -(inside * np.log2(inside) + (1 - inside) * np.log2(1 - inside))
