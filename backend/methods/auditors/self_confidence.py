"""Labels that heads which did not see the sample give the least chance: the plain auditor.

Source: Northcutt, Jiang and Chuang, Confident Learning, JAIR 2021 (1911.00068): ranking by
self-confidence, each label by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from backend.fingerprints import fingerprint_of
from backend.methods.auditors._pairs import findings, scored_pairs
from backend.numerics.label_errors import self_confidence_doubt
from backend.numerics.logistic import logistic
from backend.types import AuditCase, Finding


class SelfConfidenceAuditor:
    """One minus the chance of what was given."""

    kind = "label"

    @dataclass(frozen=True)
    class Settings:
        """What is told.

        Attributes:
            least: findings below this chance are left out, 0..1.
        """

        least: float = 0.5

    def __init__(self, settings: Settings | None = None):
        self.settings = settings or self.Settings()
        self.fingerprint = fingerprint_of("auditors/self_confidence", self.settings)

    def audit(self, case: AuditCase, *, seed: int = 0) -> list[Finding]:  # noqa: ARG002
        pairs = scored_pairs(case)
        said, logits = case.given[pairs] == 1, case.logits[pairs]
        heads = logistic(logits)
        doubt = self_confidence_doubt(logits, said)
        return findings(case, pairs, said, doubt, {"heads": heads}, least=self.settings.least)
