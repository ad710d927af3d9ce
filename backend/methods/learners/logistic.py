"""One logistic head per label on frozen features: the plain learner, without lanes."""

from __future__ import annotations

from backend.fingerprints import fingerprint_of
from backend.methods.learners._heads import LogisticHeads


class LogisticLearner(LogisticHeads):
    """The heads alone, see `_heads.py` for what they minimise."""

    Settings = LogisticHeads.Settings

    def __init__(self, settings: LogisticHeads.Settings | None = None):
        super().__init__(settings)
        self.fingerprint = fingerprint_of("learners/logistic", self.settings)
