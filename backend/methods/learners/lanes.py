"""Lanes and heads: what the zero-shot score and frozen vectors say, and what a pack's lane sees.

    score = a global + b local + w . [pooled, plain, share * lane CLS] + c

The head of each label is that of `LogisticHeads`, with the same prior, on wider features: the
sample's vector, the encoder's plain numbers, and the CLS of the lane of the label's pack. Verdicts
move heads at once; lanes are trained beside, on all verdicts of a pack, and swapped in. A label
without a lane has zeros there, and an encoder that lanes cannot live in makes this the head
learner. Lanes know nothing of each other: training one leaves every column of other packs as it
was, bit by bit.

The CLS of a trained lane fits the samples it was trained on better than others, so a head may
trust it too much. `share` bounds that: 1/2 or 1 where held-back verdicts like it clearly better
than 0, which makes the lane say nothing.

Tried in place of that: a convex combination, per pack, of a score of the lane, the transport score
and the global one, its weights those that held-back verdicts like best. In seven trials on packs of
`nlupp` and `goemotions`, with the lane's score read off its CLS beside pooled and plain vectors, it
was better than the heads above in three, of which two by far, and worse in four; read off the CLS
alone it was worse in the mean. No clear winner, so a pack's few held-back verdicts choose one
share, not three weights; (a, b) and w are learned from the others, for each label by itself.

Source: De Min et al., MULTI-LANE, CoLLAs 2024. Other than there: all verdicts count (a NO on every
label of the pack, "none of mine", included) unless `is_paper_protocol`; selectors and prefixes
start at random with a larger scale; heads are solved, not trained; the lane's logit starts from the
zero-shot logit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from backend.contracts import State
from backend.errors import BadInputError
from backend.fingerprints import fingerprint_of
from backend.methods.learners._heads import (
    LogisticHeads,
    by_column,
    check_scores,
    with_zero_shot,
)
from backend.methods.learners._lane_plan import TrainedLane, TrainingPlan
from backend.types import Features, FrozenStack, LaneLessons, LaneReading, Lessons


class LanesLearner:
    """State: `mix` (L, 2), `weights` (L, D + F + W), `offset` (L,), float64."""

    @dataclass(frozen=True)
    class Settings:
        """Prior of the heads as in `LogisticHeads`, and how a lane is shaped and trained.

        Chosen on the validation folds of `nlupp`: 4 or 16 selectors gave the same within 0.01 mAP.
        The rate in post-norm blocks was chosen on three packs each of `nlupp` and `goemotions`,
        five labels with 20 YES and 40 NO: at 0.03 lanes were better than at 0.01 on every pack of
        `nlupp`, and no pack of `goemotions` gave one a say at either. 0.05 in batches of 64 was
        better on one and worse on two; a head rate of 0.03 as well stopped too early.

        Attributes:
            plain_dim, lane_width: F and W; the encoder says them, 0 where it is no host.
            selectors, prefixes: S and K.
            prefixed_blocks: the first blocks that have prefixes.
            rate, head_rate, decay, max_epochs, patience, batch: see `TrainingPlan`.
            post_norm_rate: in place of `rate` where the host's blocks are post-norm, as MiniLM's
                and BERT's are: their norms stand after the sums.
            views: fixed ways to look at each taught picture (itself, mirrored, two crops), instead
                of the paper's random crops; each is encoded once. `bench lanes --part views`.
            has_crop_labels: the further views are small crops of a tenth to six tenths of the
                picture, and what a label's map says they show of a YES is the target in its place
                (ReLabel, Yun et al. 2021). Off: `reproduce relabel`, on heads, saw it win on
                mosaics and win nothing on photographs.
            is_paper_protocol: train lanes on samples with a YES in the pack only, on which every
                label of the pack without a YES counts as NO; else on all verdicts as they are.
        """

        slope: float = 1.3
        offset: float = -3.5
        mix_precision: float = 10.0
        weight_precision: float = 0.15
        offset_precision: float = 0.1
        balance: float = 0.0
        plain_dim: int = 0
        lane_width: int = 0
        selectors: int = 8
        prefixes: int = 8
        prefixed_blocks: int = 3
        rate: float = 0.01
        post_norm_rate: float = 0.03
        head_rate: float = 0.01
        decay: float = 0.01
        max_epochs: int = 40
        patience: int = 5
        batch: int = 32
        views: int = 1
        has_crop_labels: bool = False
        is_paper_protocol: bool = False

    def __init__(self, settings: Settings | None = None):
        self.settings = own = settings or self.Settings()
        if min(own.selectors, own.max_epochs, own.batch, own.views) < 1 or own.prefixes < 0:
            raise BadInputError(
                "a lane needs at least one selector, one epoch, one sample and one view"
            )
        self.fingerprint = fingerprint_of("learners/lanes", own)
        self._heads = LogisticHeads(
            LogisticHeads.Settings(
                own.slope,
                own.offset,
                own.mix_precision,
                own.weight_precision,
                own.offset_precision,
                own.balance,
            )
        )
        self._plan = TrainingPlan(
            own.rate, own.head_rate, own.decay, own.max_epochs, own.patience, own.batch
        )

    # --- heads: now --------------------------------------------------------------------------

    def start(self, num_labels: int, dim: int) -> State:
        return self._heads.start(num_labels, dim + self.settings.plain_dim + self._lane_width)

    def extend(self, state: State, num_labels: int) -> State:
        return self._heads.extend(state, num_labels)

    def learn(
        self, state: State, features: Features, lessons: Lessons, *, steps: int = 0, seed: int = 0
    ) -> tuple[State, int]:
        """Solve the heads of the labels that have lessons, one lane after the other."""
        most = 0
        lane_of = _lane_of(features)
        for lane in np.unique(lane_of[lessons.columns]).tolist():
            mine = lane_of[lessons.columns] == lane
            weights = None if lessons.weights is None else lessons.weights[mine]
            part = Lessons(
                lessons.rows[mine], lessons.columns[mine], lessons.targets[mine], weights
            )
            state, done = self._heads.learn(
                state, self._seen_by(features, lane), part, steps=steps, seed=seed
            )
            most = max(most, done)
        return state, most

    def score(self, state: State, features: Features) -> Float[np.ndarray, "n l"]:
        check_scores(state, features, self._head_width(features))
        dim = features.pooled.shape[1]
        weights = state["weights"].astype(np.float32)
        scores = by_column(features.pooled, weights[:, :dim])
        end = dim + self.settings.plain_dim
        if self.settings.plain_dim and features.plain is not None:
            scores += by_column(features.plain, weights[:, dim:end])
        lane_of = _lane_of(features)
        for lane in np.unique(lane_of[lane_of >= 0]).tolist() if self._lane_width else ():
            columns = np.flatnonzero(lane_of == lane)
            scores[:, columns] += by_column(features.lane_cls[lane], weights[columns, end:])
        return with_zero_shot(scores, state, features)

    def forget(self, state: State, columns: Sequence[int]) -> State:
        return self._heads.forget(state, columns)

    def anchored(self, state: State, columns: Sequence[int], heads: State) -> State:
        """Heads that came with a lane, see `LogisticHeads.anchored`."""
        return self._heads.anchored(state, columns, heads)

    def without_lane(self, state: State, columns: Sequence[int]) -> State:
        """The state with what the heads of these columns had learned of a lane's CLS set to 0."""
        out = {name: array.copy() for name, array in state.items()}
        if self._lane_width:
            out["weights"][list(columns), -self._lane_width :] = 0
            if "anchor" in out:
                out["anchor"][list(columns), -self._lane_width - 1 : -1] = 0
        return out

    @property
    def _lane_width(self) -> int:
        return self.settings.lane_width

    def _head_width(self, features: Features) -> int:
        return features.pooled.shape[1] + self.settings.plain_dim + self._lane_width

    def _seen_by(self, features: Features, lane: int) -> Features:
        """The features as the heads of one lane's labels read them."""
        blocks = [features.pooled]
        num = len(features.pooled)
        if self.settings.plain_dim:
            plain = features.plain
            blocks.append(np.zeros((num, self.settings.plain_dim)) if plain is None else plain)
        if self._lane_width:
            blocks.append(
                features.lane_cls[lane] if lane >= 0 else np.zeros((num, self._lane_width))
            )
        joined = np.concatenate(blocks, axis=1, dtype=np.float32) if blocks[1:] else blocks[0]
        return Features(joined, features.global_scores, features.local_scores)

    shares = (1.0, 0.5, 0.0)
    """What a lane's share may be, the first of equals is taken."""

    # --- lanes: soon -------------------------------------------------------------------------

    @property
    def views(self) -> int:
        """In how many fixed ways each taught sample is read."""
        return self.settings.views

    @property
    def has_crop_labels(self) -> bool:
        """Whether the further views are small crops with labels of their own."""
        return self.settings.has_crop_labels

    @property
    def maker(self) -> str:
        """Names the shape of this learner's lanes; a lane of another shape is refused."""
        own = self.settings
        shape = (own.lane_width, own.selectors, own.prefixes, own.prefixed_blocks)
        return "multi-lane " + "x".join(map(str, shape))

    def network(self, stack: FrozenStack, *, device: str = "cpu") -> Any:
        """The frozen blocks, ready for lanes; float32, since training moves by small steps.

        The device "auto" is CUDA where PyTorch finds it, as for encoders.
        """
        from backend.methods.learners._lane_network import LaneNetwork  # noqa: PLC0415

        return LaneNetwork(stack, device=device)

    def teach(
        self,
        network: Any,
        taught: LaneLessons,
        held: LaneLessons | None,
        *,
        start: State | None,
        steps: int = 0,
        seed: int = 0,
        threads: int = 1,
        on_epoch: Callable[[int, int, float], bool] = lambda *_: True,
    ) -> tuple[State, int]:
        """Train a lane on a pack's verdicts; returns its arrays and the steps that were kept.

        Args:
            network: of the encoder that made the readings.
            taught: learned from.
            held: tells when to stop; None or empty: all epochs.
            start: arrays of an earlier lane; None: from the seed.
            steps: do exactly so many (replay); 0: until `held` stops improving.
            seed: of the start and of the order of samples.
            threads: PyTorch's, while this runs.
            on_epoch: called with (epoch, epochs at most, held-back loss); False stops early.

        Raises:
            BadInputError: there is no YES or NO to learn from.
        """
        own = self.settings
        if own.is_paper_protocol:
            taught = _as_in_the_paper(taught)
        if not len(taught) or not taught.known.any():
            raise BadInputError("a lane learns from YES and NO verdicts, and this pack has none")
        torch_side = _torch_side()
        if start is None:
            lane = torch_side.first_lane(
                network,
                selectors=own.selectors,
                prefixes=own.prefixes,
                prefixed_blocks=own.prefixed_blocks,
                seed=seed,
            )
        else:
            lane = TrainedLane(start["selectors"], start["prefixes"], 0)
        with torch_side.on_threads(threads):
            lane = torch_side.train(
                network,
                lane,
                replace(self._plan, rate=own.post_norm_rate)
                if network.is_post_norm
                else self._plan,
                taught,
                held if held is not None and len(held) and held.known.any() else None,
                steps=steps,
                seed=seed,
                on_epoch=on_epoch,
            )
        return {"selectors": lane.selectors, "prefixes": lane.prefixes}, lane.steps

    def read(
        self, network: Any, lanes: Sequence[State], readings: Sequence[LaneReading]
    ) -> Float[np.ndarray, "t n w"]:
        """The CLS of T lanes for N samples, length 1."""
        trained = [TrainedLane(x["selectors"], x["prefixes"], 0) for x in lanes]
        return _torch_side().cls_of(network, trained, readings)

    def look(
        self, network: Any, lane: State, reading: LaneReading
    ) -> tuple[Float[np.ndarray, " p"], Float[np.ndarray, "s p"]]:
        """Where a lane looks on one sample, over its P tokens (class token included).

        Returns:
            The weight that reaches the CLS from each token through the summaries, mean of heads
            and blocks, sum 1; and the selection of each selector in the last block.
        """
        trained = TrainedLane(lane["selectors"], lane["prefixes"], 0)
        return _torch_side().where_it_looks(network, trained, reading)

    def check_lane(self, network: Any, arrays: State) -> None:
        """Refuse arrays that are no lane of this learner in this network.

        Raises:
            BadInputError: a wrong name, shape or number.
        """
        own = self.settings
        blocks = min(own.prefixed_blocks, network.num_blocks)
        shapes = {
            "selectors": (own.selectors, network.width),
            "prefixes": (blocks, 2, own.prefixes, network.width),
        }
        if arrays.keys() != shapes.keys():
            raise BadInputError(f"a lane holds selectors and prefixes, not {', '.join(arrays)}")
        for name, shape in shapes.items():
            if arrays[name].shape != shape:
                raise BadInputError(
                    f"{name} are {arrays[name].shape} and have to be {shape} for this encoder"
                )
            if arrays[name].dtype != np.float32 or not np.isfinite(arrays[name]).all():
                raise BadInputError(f"{name} hold numbers that are no finite float32")


def _torch_side() -> Any:
    """Training and reading, with PyTorch, which a project that opens has no use for yet.

    Importing it takes longer than all else of opening one.
    """
    from backend.methods.learners import _lane_training  # noqa: PLC0415

    return _lane_training


def _lane_of(features: Features) -> np.ndarray:
    if features.lane_of is None:
        return np.full(features.global_scores.shape[1], -1, np.int64)
    return features.lane_of


def _as_in_the_paper(taught: LaneLessons) -> LaneLessons:
    """Only samples that hold a label of the pack, on which all the other labels count as NO."""
    present = (taught.targets > 0) & taught.known
    rows = np.flatnonzero(present.any(axis=1)).tolist()
    return LaneLessons(
        [taught.readings[row] for row in rows],
        taught.base[rows],
        present[rows].astype(np.float32),
        np.ones((len(rows), present.shape[1]), bool),
    )
