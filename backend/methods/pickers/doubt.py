"""What the model doubts, and what the verdicts so far do not cover, in one queue.

Each sample has a doubt (how near its undecided labels are to 50%) and a gain (how many samples
resemble it that resemble nothing decided yet; a facility-location gain over some samples drawn as
anchors). Samples are taken one by one, best mixture first; each one taken covers its
surroundings and lowers its near duplicates. Before any verdict only the gain counts, which begins
with the most typical samples of different kinds.

Source: uncertainty sampling, Lewis and Gale 1994; the gain as in Wei, Iyer and Bilmes,
Submodularity in Data Subset Selection and Active Learning, ICML 2015; typical first as in
Hacohen, Dekel and Weinshall, Active Learning on a Budget, ICML 2022 (2202.02794).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from backend.fingerprints import fingerprint_of

FEW = 256
"""Samples whose value is worked out again at once."""

NEAR = 0.2
"""Share of its largest value below which a gain is not worth telling."""


class DoubtPicker:
    """Uncertain first, spread out, each with its reason."""

    @dataclass(frozen=True)
    class Settings:
        """How the queue is mixed.

        Attributes:
            doubt_share: weight of doubt against gain, 0..1, once something is decided.
            sharpness: of the resemblance exp(sharpness (cosine - 1)); larger: only near ones count.
            num_anchors: samples drawn to measure what is covered.
        """

        doubt_share: float = 0.7
        sharpness: float = 5.0
        num_anchors: int = 256

    def __init__(self, settings: Settings | None = None):
        self.settings = settings or self.Settings()
        self.fingerprint = fingerprint_of("pickers/doubt", self.settings)

    def pick(
        self,
        scores: Float[np.ndarray, "n l"],
        pooled: Float[np.ndarray, "n d"],
        decided: Bool[np.ndarray, "n l"],
        *,
        k: int,
        seed: int = 0,
        label_names: Sequence[str] = (),
    ) -> list[tuple[int, float, str]]:
        # Without labels everything is still open: `all` of nothing would say the opposite.
        is_open = ~decided.all(axis=1) if scores.shape[1] else np.ones(len(scores), bool)
        if not is_open.any():
            return []
        touched = decided.any(axis=1)
        has_verdicts = bool(touched.any())
        vectors = np.nan_to_num(pooled)  # a sample that is not encoded yet resembles nothing
        doubts = _doubts(scores, decided)
        near = self._resemblance(vectors, seed)
        covered = near[touched].max(axis=0, initial=0)
        gains = _gains(near, covered)
        scale = float(gains.max()) or 1.0
        share = self.settings.doubt_share if has_verdicts else 0.0
        doubt, spread = share * doubts.max(axis=1, initial=0), (1 - share) / scale
        bound = np.where(is_open, doubt + spread * gains, -np.inf)
        picks: list[tuple[int, float, str]] = []
        for _ in range(min(k, int(is_open.sum()))):
            taken = [row for row, _, _ in picks]
            is_fresh = np.zeros(len(bound), bool)
            # Values only fall as more is taken, so old ones are upper bounds: only the best few
            # are worked out again, until one of them is the best of all.
            while not is_fresh[row := int(bound.argmax())]:
                few = np.argpartition(bound, -min(FEW, len(bound)))[-FEW:]
                few = few[np.isfinite(bound[few])]
                gains = _gains(near[few], covered)
                twins = np.maximum(vectors[few] @ vectors[taken].T, 0).max(axis=1, initial=0) ** 4
                bound[few] = (doubt[few] + spread * gains) * (1 - twins)
                is_fresh[few] = True
            is_unsure = doubt[row] > 0 and doubt[row] >= spread * _gains(near[[row]], covered)[0]
            reason = (
                _doubt_reason(doubts[row], scores[row], label_names)
                if is_unsure
                else _cover_reason(near[row], covered, has_verdicts)
            )
            picks.append((row, float(bound[row]), reason))
            bound[row] = -np.inf
            covered = np.maximum(covered, near[row])
        return picks

    def _resemblance(
        self, vectors: Float[np.ndarray, "n d"], seed: int
    ) -> Float[np.ndarray, "n a"]:
        rng = np.random.default_rng(seed)
        anchors = rng.permutation(len(vectors))[: self.settings.num_anchors]
        cosine = vectors @ vectors[np.sort(anchors)].T
        return np.exp(np.float32(self.settings.sharpness) * (cosine - 1))


def _gains(
    near: Float[np.ndarray, "n a"], covered: Float[np.ndarray, " a"]
) -> Float[np.ndarray, " n"]:
    """How much better each sample would cover the anchors than what is decided or picked."""
    return np.maximum(near - covered, 0).mean(axis=1)


def _doubts(
    scores: Float[np.ndarray, "n l"], decided: Bool[np.ndarray, "n l"]
) -> Float[np.ndarray, "n l"]:
    """1 at 50%, 0 at certainty; decided labels and missing scores are beyond doubt."""
    doubts = 1 - np.abs(2 * np.nan_to_num(scores, nan=0.0) - 1)
    return np.where(decided, 0, doubts)


def _doubt_reason(
    doubts: Float[np.ndarray, " l"], scores: Float[np.ndarray, " l"], names: Sequence[str]
) -> str:
    """Name the two labels in most doubt, the second only if it is nearly as doubtful."""
    best: Int[np.ndarray, " x"] = np.argsort(-doubts, kind="stable")[:2]
    told = [i for i in best if doubts[i] > 0 and doubts[i] >= 0.8 * doubts[best[0]]]
    words = [f"{names[i] if i < len(names) else f'label {i + 1}'}: {scores[i]:.0%}" for i in told]
    return "unsure about " + ", ".join(words)


def _cover_reason(
    near: Float[np.ndarray, " a"], covered: Float[np.ndarray, " a"], has_verdicts: bool
) -> str:
    """How many samples it stands for that nothing labelled or picked stands for yet."""
    share = float((near - covered > NEAR).mean())
    if share < 0.01:
        return "not decided yet, and not in doubt"
    about = f"stands for about {share:.0%} of the samples"
    return f"unlike anything labelled so far, {about}" if has_verdicts else f"typical, {about}"
