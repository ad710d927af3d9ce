"""Labels that are probably wrong: evidence of four kinds, weighed by each label's noise rates.

The evidence on a pair is the score of heads that did not see the sample, what its decided
neighbours say, and the two zero-shot scores, of the whole sample and by transport of its parts;
see `numerics/label_errors.py` for how they are weighed.

Source: Northcutt, Jiang and Chuang, Confident Learning, JAIR 2021 (1911.00068).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from backend.fingerprints import fingerprint_of
from backend.methods.auditors._pairs import Pairs, findings, scored_pairs
from backend.numerics.label_errors import neighbour_votes, wrong_labels
from backend.numerics.logistic import logistic
from backend.types import AuditCase, Finding


class NoiseRatesAuditor:
    """One minus the chance that the evidence gives to what was given; `chance` is told beside."""

    kind = "label"

    @dataclass(frozen=True)
    class Settings:
        """What counts and what is told.

        Attributes:
            least: findings below this strength are left out, 0..1; from a half on the evidence
                says the opposite of what was given.
            rounds: of expectation and maximisation.
        """

        least: float = 0.5
        rounds: int = 40

    def __init__(self, settings: Settings | None = None):
        self.settings = settings or self.Settings()
        self.fingerprint = fingerprint_of("auditors/noise_rates", self.settings)

    def audit(self, case: AuditCase, *, seed: int = 0) -> list[Finding]:  # noqa: ARG002
        pairs = scored_pairs(case)
        said = case.given[pairs] == 1
        kinds = self._evidence(case, pairs)
        found = wrong_labels(
            np.stack(list(kinds.values()), axis=1),
            said,
            pairs[1],
            labels=case.given.shape[1],
            rounds=self.settings.rounds,
        )
        doubt = np.where(said, 1 - found.by_evidence, found.by_evidence)
        told = {
            "chance": found.chance,
            "heads": logistic(kinds["heads"]),
            "neighbours": logistic(kinds["neighbours"]),
            "whole": kinds["whole"],
            "transport": kinds["transport"],
        }
        return findings(case, pairs, said, doubt, told, least=self.settings.least)

    def _evidence(self, case: AuditCase, pairs: Pairs) -> dict[str, Float[np.ndarray, " m"]]:
        return {
            "heads": case.logits[pairs].astype(np.float64),
            "neighbours": neighbour_votes(case.vectors, case.neighbours, case.given, pairs),
            "whole": np.nan_to_num(case.whole[pairs]).astype(np.float64),
            "transport": np.nan_to_num(case.local[pairs]).astype(np.float64),
        }
