"""The same picture or text twice, exactly or nearly, in whatever splits.

Pictures are near copies where their perceptual hashes differ in few bits and their vectors agree;
texts where they share most runs of three words. Hash and runs of words alone say so where the
vectors would not be asked: the first of plain grounds, the second never. A group whose copies lie
in different splits lets a model be measured on what it was taught, and says so; so does one whose
copies have different verdicts.

Source: Zauner 2010 (perceptual hashes); Broder 1997 (shingles).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from backend.fingerprints import fingerprint_of
from backend.numerics.perceptual import connected, near_hashes, overlap, shingles
from backend.types import AuditCase, Finding


class NearCopiesAuditor:
    """Groups of copies, those across splits first."""

    kind = "duplicate"

    @dataclass(frozen=True)
    class Settings:
        """When two samples are the same.

        Photographs of `coco_mini` that were scaled down and recompressed had a cosine of 0.93 and
        2 to 6 bits of difference; no two others came below 18 bits at 0.85.

        Attributes:
            bits: of 64 that the hashes of two pictures may differ in.
            cosine: the least of the vectors of two pictures.
            words: least share of runs of words that two texts have in common, 0..1.
        """

        bits: int = 8
        cosine: float = 0.85
        words: float = 0.6

    def __init__(self, settings: Settings | None = None):
        self.settings = settings or self.Settings()
        self.fingerprint = fingerprint_of("auditors/near_copies", self.settings)

    def audit(self, case: AuditCase, *, seed: int = 0) -> list[Finding]:  # noqa: ARG002
        pairs, alike = self._pictures(case) if case.hashes is not None else self._texts(case)
        found = [
            self._finding(case, group, pairs, alike)
            for group in connected(pairs, len(case.vectors))
        ]
        found += [_many_names(row, count) for row, count in enumerate(case.known_as) if count > 1]
        return sorted(found, key=lambda one: (-one.strength, one.rows))

    def _pictures(self, case: AuditCase) -> tuple[Int[np.ndarray, "p 2"], Float[np.ndarray, " p"]]:
        assert case.hashes is not None  # noqa: S101  asked by the caller
        pairs, bits = near_hashes(case.hashes, self.settings.bits)
        first, second = pairs[:, 0], pairs[:, 1]
        cosines = np.einsum("pd,pd->p", case.vectors[first], case.vectors[second])
        same = cosines >= self.settings.cosine
        return pairs[same], (1 - bits[same] / 64) * np.minimum(cosines[same], 1)

    def _texts(self, case: AuditCase) -> tuple[Int[np.ndarray, "p 2"], Float[np.ndarray, " p"]]:
        """Neighbours are asked; whole texts that are equal but for blanks are found without."""
        runs = [shingles(text) for text in case.texts]
        asked = {tuple(sorted((row, int(n)))) for row, near in enumerate(case.neighbours)
                 for n in near} if runs else set()  # fmt: skip
        first: dict[frozenset, int] = {}
        for row, run in enumerate(runs):
            if run and (at := first.setdefault(run, row)) != row:
                asked.add((at, row))
        pairs, alike = [], []
        for one, other in sorted(asked):
            share = overlap(runs[one], runs[other])
            if share >= self.settings.words and runs[one]:
                pairs.append((one, other))
                alike.append(share)
        return np.array(pairs, np.int64).reshape(-1, 2), np.array(alike, np.float64)

    def _finding(
        self,
        case: AuditCase,
        group: list[int],
        pairs: Int[np.ndarray, "p 2"],
        alike: Float[np.ndarray, " p"],
    ) -> Finding:
        inside = np.isin(pairs[:, 0], group)
        weakest = float(alike[inside].min())
        splits = sorted({case.splits[row] for row in group})
        # Kept is what is measured on: a copy that is taught would be measured on what it taught.
        order = sorted(group, key=lambda row: (case.splits[row] == "train", row))
        given = case.given[group]
        against = np.flatnonzero((given == 1).any(axis=0) & (given == 0).any(axis=0))
        said = [f"{len(group)} copies, {weakest:.0%} alike"]
        if len(splits) > 1:
            said.append(f"in {' and '.join(splits)}")
        if len(against):
            said.append(f"with different verdicts on {_names(case, against)}")
        return Finding(
            kind=self.kind,
            rows=tuple(order),
            columns=tuple(against.tolist()),
            strength=weakest * (1.0 if len(splits) > 1 else 0.9 if len(against) else 0.8),
            proposal="remove",
            evidence={
                "alike": weakest,
                "splits": float(len(splits)),
                "contradictions": float(len(against)),
            },
            reason=", ".join(said),
        )


def _names(case: AuditCase, columns: Int[np.ndarray, " k"]) -> str:
    shown = [case.names[column] for column in columns[:3].tolist()]
    more = len(columns) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _many_names(row: int, count: int) -> Finding:
    """The same bytes, brought several times: one sample already, so there is nothing to do."""
    return Finding(
        kind=NearCopiesAuditor.kind,
        rows=(row,),
        columns=(),
        strength=0.1,
        proposal="",
        evidence={"names": float(count)},
        reason=f"the same content was brought under {count} names; it is one sample here",
    )
