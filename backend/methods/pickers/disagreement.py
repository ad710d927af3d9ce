"""Where those who have a say on a label say different things.

Opinions are chances of the same pair from elsewhere: what the transport of parts, the look of the
whole, the verdicts of neighbours, a lane by itself or another model say. The model's own chance is
compared with each; the widest gap on an undecided label counts. A person whose verdict the model is
sure is wrong counts too: on such a sample the open labels come up, and with them the verdict.

Source: query by committee, Seung, Opper and Sompolinsky, COLT 1992; the gap instead of the vote
entropy, since opinions are few.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from backend.contracts import NO_FACTS
from backend.fingerprints import fingerprint_of
from backend.methods.pickers._openings import best, named, open_pairs, open_rows
from backend.types import PickFacts


class DisagreementPicker:
    """The widest gap first, with who says what."""

    needs = frozenset({"opinions"})

    @dataclass(frozen=True)
    class Settings:
        """Nothing to set."""

    def __init__(self, settings: Settings | None = None):
        self.settings = settings or self.Settings()
        self.fingerprint = fingerprint_of("pickers/disagreement", self.settings)

    def pick(
        self,
        scores: Float[np.ndarray, "n l"],
        pooled: Float[np.ndarray, "n d"],  # noqa: ARG002 - the shelf's signature
        decided: Bool[np.ndarray, "n l"],
        *,
        k: int,
        seed: int = 0,
        label_names: Sequence[str] = (),
        facts: PickFacts = NO_FACTS,
    ) -> list[tuple[int, float, str]]:
        is_open = open_rows(decided, facts)
        pairs = open_pairs(decided, is_open)
        gaps = {who: _gap(scores, told, pairs) for who, told in facts.opinions.items()}
        said = facts.verdicts
        if said is not None:
            gaps[PERSON] = _gap(scores, said, ~np.isnan(said) & is_open[:, None])
        if not gaps or not scores.shape[1]:
            return best(np.zeros(len(scores)), is_open, k, seed, lambda _: ALONE)
        by_row = {who: gap.max(axis=1, initial=0) for who, gap in gaps.items()}
        widest = np.max(list(by_row.values()), axis=0)

        def reason(row: int) -> str:
            who = max(by_row, key=lambda each: by_row[each][row])
            column = int(gaps[who][row].argmax())
            name, own = named(label_names, column), scores[row, column]
            if not widest[row]:
                return "nobody says anything else here"
            if who == PERSON and said is not None:
                answer = "YES" if said[row, column] == 1 else "NO"
                return f"{name}: a person said {answer}, the model {own:.0%}"
            return f"{name}: {own:.0%}, but {facts.opinions[who][row, column]:.0%} by {who}"

        return best(widest, is_open, k, seed, reason)


PERSON = "a person"
ALONE = "not decided yet; there is nothing to compare the model with"


def _gap(
    scores: Float[np.ndarray, "n l"],
    others: Float[np.ndarray, "n l"],
    pairs: Bool[np.ndarray, "n l"],
) -> Float[np.ndarray, "n l"]:
    """How far two chances are apart on some pairs; 0 elsewhere and where one says nothing."""
    return np.where(pairs, np.nan_to_num(np.abs(scores - others), nan=0.0), 0.0)
