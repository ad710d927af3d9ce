"""What the auditors of single labels share: the decided pairs of a case, told as findings."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

from backend.types import AuditCase, Finding

Pairs = tuple[Int[np.ndarray, " m"], Int[np.ndarray, " m"]]


def scored_pairs(case: AuditCase) -> Pairs:
    """Rows and columns with a verdict and a score of heads that did not see it."""
    rows, columns = np.nonzero((case.given >= 0) & np.isfinite(case.logits))
    return rows, columns


def findings(
    case: AuditCase,
    pairs: Pairs,
    said: Bool[np.ndarray, " m"],
    chance: Float[np.ndarray, " m"],
    evidence: dict[str, Float[np.ndarray, " m"]],
    *,
    least: float,
) -> list[Finding]:
    """Pairs whose chance to be wrong is at least `least`, strongest first; ties by their vectors.

    Two samples can change places without a change of the order that people see: equal chances are
    told apart by what was scored, and by the row only where that is equal, too.

    Args:
        case: whose pairs they are.
        pairs: rows and columns, M of each.
        said: which of them are YES.
        chance: 0..1, that what was said is wrong.
        evidence: numbers that a finding tells of its pair, by name; `heads` and `neighbours` are
            chances of YES, 0..1, and the reason says those that speak against what was said.
        least: 0..1.
    """
    rows, columns = pairs
    logits = case.logits[rows, columns]
    order = np.lexsort((rows, columns, -np.abs(logits), -chance))
    out = []
    for at in order[chance[order] >= least].tolist():
        row, column = int(rows[at]), int(columns[at])
        told = {name: float(values[at]) for name, values in evidence.items()}
        out.append(
            Finding(
                kind="label",
                rows=(row,),
                columns=(column,),
                strength=float(np.clip(chance[at], 0, 1)),
                proposal="no" if said[at] else "yes",
                evidence=told,
                reason=_reason(case.names[column], bool(said[at]), told),
            )
        )
    return out


def _reason(name: str, said: bool, told: dict[str, float]) -> str:
    """One sentence; only evidence that speaks against what was given."""
    heads, votes = told.get("heads"), told.get("neighbours")
    parts = []
    if heads is not None and (heads < 0.5) == said:
        parts.append(f"heads taught on other samples give it {heads:.0%}")
    if votes is not None and (votes < 0.5) == said:
        parts.append(f"{votes:.0%} of its neighbours say yes")
    what = f"{name} was given" if said else f"{name} was ruled out"
    return f"{what}; {' and '.join(parts) or 'taken together the evidence is against it'}"
