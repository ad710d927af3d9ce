"""Train one lane on the verdicts of its labels, until held-back verdicts stop improving.

The lane learns what the zero-shot score does not say: its logit is the zero-shot logit plus a
linear head on the lane's CLS. Unknown pairs are masked. The rate is constant and the order of the
batches is drawn from the seed, so the first n steps of a run are the same run: replay asks for the
number of steps that were kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from backend.methods.learners._lane_network import LaneNetwork, LaneWeights
from backend.methods.learners._lane_plan import TrainedLane, TrainingPlan
from backend.numerics.logistic import logistic
from backend.types import LaneLessons, LaneReading

GAIN = 10.0
"""A head reads the unit CLS times the root of this: unit vectors alone would need very large
weights."""


def first_lane(
    network: LaneNetwork, *, selectors: int, prefixes: int, prefixed_blocks: int, seed: int
) -> TrainedLane:
    """Where the first lane of a project starts: small random selectors and prefixes."""
    draw = np.random.default_rng(seed)
    width, blocks = network.width, min(prefixed_blocks, network.num_blocks)
    return TrainedLane(
        (0.5 * draw.standard_normal((selectors, width))).astype(np.float32),
        (0.3 * draw.standard_normal((blocks, 2, prefixes, width))).astype(np.float32),
        0,
    )


def train(
    network: LaneNetwork,
    start: TrainedLane,
    plan: TrainingPlan,
    taught: LaneLessons,
    held: LaneLessons | None,
    *,
    steps: int,
    seed: int,
    on_epoch: Callable[[int, int, float], bool],
) -> TrainedLane:
    """Move selectors, prefixes and a head together; the head is thrown away, see the learner.

    Args:
        network: the frozen blocks.
        start: warm start.
        plan: rates and limits.
        taught: learned from.
        held: tells when to stop; None: all epochs.
        steps: do exactly so many and look at nothing; 0: until `held` stops improving.
        seed: order of the batches.
        on_epoch: called with (epoch, max_epochs, held-back loss); False ends the training with
            the best state so far.
    """
    draw = torch.Generator().manual_seed(seed)
    lane = LaneWeights(*(_variable(network, x[None]) for x in (start.selectors, start.prefixes)))
    head = _Head.start(network, taught)
    groups = [
        {"params": lane.tensors(), "lr": plan.rate},
        {"params": head.tensors(), "lr": plan.head_rate},
    ]
    optimiser = torch.optim.AdamW(groups, weight_decay=plan.decay)
    counts = taught.known if taught.weights is None else taught.known * taught.weights
    targets, known, base = (
        torch.from_numpy(np.ascontiguousarray(x, np.float32)).to(network.device)
        for x in (taught.targets, counts, taught.base)
    )
    best, best_loss, done, stale = _kept(lane, 0), np.inf, 0, 0
    for epoch in range(plan.max_epochs if not steps else 1 << 30):
        for rows in torch.randperm(len(taught), generator=draw).split(plan.batch):
            tokens, real = padded([taught.readings[i] for i in rows.tolist()], network)
            logits = base[rows] + head(network(lane, tokens, real).cls[0])
            loss = functional.binary_cross_entropy_with_logits(
                logits, targets[rows], known[rows], reduction="sum"
            ) / known[rows].sum().clamp(min=1)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            done += 1
            if done == steps:
                return _kept(lane, done)
        if steps:
            continue
        loss_now = _loss(network, lane, head, held) if held is not None else -float(epoch)
        if loss_now < best_loss - 1e-4:
            best, best_loss, stale = _kept(lane, done), loss_now, 0
        else:
            stale += 1
        if not on_epoch(epoch + 1, plan.max_epochs, loss_now) or stale >= plan.patience:
            break
    return best


def cls_of(
    network: LaneNetwork,
    lanes: Sequence[TrainedLane],
    readings: Sequence[LaneReading],
    *,
    batch: int = 64,
) -> Float[np.ndarray, "t n w"]:
    """The CLS of T lanes of one shape for N samples, length 1; in bfloat16 on CUDA."""
    out = np.zeros((len(lanes), len(readings), network.width), np.float32)
    if not len(lanes):
        return out
    with torch.inference_mode(), reading_on(network.device):
        weights, asked = _loaded(network, lanes)
        for at in range(0, len(readings), batch):
            tokens, real = padded(readings[at : at + batch], network)
            found = functional.normalize(
                network(weights, tokens, real, asked=asked).cls.float(), dim=-1
            )
            out[:, at : at + batch] = found.cpu().numpy()
    return out


@contextmanager
def on_threads(count: int) -> Iterator[None]:
    """PyTorch on so many threads meanwhile."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def where_it_looks(
    network: LaneNetwork, lane: TrainedLane, reading: LaneReading
) -> tuple[Float[np.ndarray, " p"], Float[np.ndarray, "s p"]]:
    """`LanesLearner.look`."""
    weights = stacked(network, [lane])
    with torch.inference_mode():
        tokens, real = padded([reading], network)
        found = network(weights, tokens, real, with_maps=True)
        attention = found.attention[0, 0].mean(1)  # (B, S)
        selection = found.selection[0, 0]  # (B, S, P)
        flow = torch.einsum("bs,bsp->p", attention, selection)
        flow = flow / flow.sum().clamp(min=1e-12)
        return flow.float().cpu().numpy(), selection[-1].float().cpu().numpy()


def reading_on(device: torch.device) -> AbstractContextManager[object]:
    """The numbers in which lanes read samples: bfloat16 on CUDA, else those of the network."""
    return torch.autocast("cuda", torch.bfloat16, enabled=device.type == "cuda")


def _loaded(
    network: LaneNetwork, lanes: Sequence[TrainedLane]
) -> tuple[LaneWeights, Sequence[Tensor]]:
    """Lanes ready to read samples; what selectors ask is worked out once for the lanes in use."""
    digest = blake2b(digest_size=16)
    for lane in lanes:
        digest.update(lane.selectors.tobytes())
    weights, kept = stacked(network, lanes), network.known_chain
    if kept is None or kept[0] != digest.digest():
        network.known_chain = kept = digest.digest(), network.chain(weights)
    return weights, kept[1]


def stacked(network: LaneNetwork, lanes: Sequence[TrainedLane]) -> LaneWeights:
    """T lanes as one."""
    return LaneWeights(
        *(
            torch.from_numpy(np.stack(arrays)).to(network.device, network.dtype)
            for arrays in ([x.selectors for x in lanes], [x.prefixes for x in lanes])
        )
    )


def padded(readings: Sequence[LaneReading], network: LaneNetwork) -> tuple[Tensor, Tensor | None]:
    """Tokens (N, B, P, W) with zeros behind short ones, and where they are real (N, P), None: all.

    In memory blocks come first: each one's tokens are then read in one piece.
    """
    lengths = [reading.tokens.shape[1] for reading in readings]
    longest = max(lengths)
    blocks, _, width = readings[0].tokens.shape
    is_even = min(lengths) == longest
    make = np.empty if is_even else np.zeros
    block = make((blocks, len(readings), longest, width), np.float16)
    for row, reading in enumerate(readings):
        block[:, row, : lengths[row]] = reading.tokens
    real: Int[np.ndarray, "n p"] | None = None
    if not is_even:
        real = np.arange(longest)[None] < np.array(lengths)[:, None]
    if network.device.type == "cuda":  # pinned pages are copied while the GPU works
        halves = torch.from_numpy(block).pin_memory().to(network.device, non_blocking=True)
    else:
        halves = torch.from_numpy(block)
    mask = None if real is None else torch.from_numpy(real).to(network.device)
    return halves.to(network.dtype).transpose(0, 1), mask


@dataclass
class _Head:
    weight: Tensor
    bias: Tensor

    @classmethod
    def start(cls, network: LaneNetwork, taught: LaneLessons) -> _Head:
        """No weights, and the bias that makes the mean chance of a label its share of YES."""
        known = np.maximum(taught.known.sum(axis=0), 1)
        share = (taught.targets * taught.known).sum(axis=0) / known
        chance = (logistic(taught.base) * taught.known).sum(axis=0) / known
        bias = _logit(share) - _logit(chance)
        weight = np.zeros((1, len(bias), network.width), np.float32)[0]
        return cls(_variable(network, weight), _variable(network, bias.astype(np.float32)))

    def __call__(self, cls: Tensor) -> Tensor:
        return GAIN**0.5 * functional.linear(cls, self.weight) + self.bias

    def tensors(self) -> list[Tensor]:
        return [self.weight, self.bias]


def _loss(network: LaneNetwork, lane: LaneWeights, head: _Head, held: LaneLessons) -> float:
    """Mean cross entropy of the held-back verdicts."""
    total, count = 0.0, 0
    with torch.no_grad():
        for at in range(0, len(held), 64):
            rows = slice(at, at + 64)
            tokens, real = padded(held.readings[rows], network)
            logits = torch.from_numpy(held.base[rows]).to(tokens) + head(
                network(lane, tokens, real).cls[0]
            )
            known = torch.from_numpy(held.known[rows])
            wanted = torch.from_numpy(held.targets[rows]).to(tokens)
            each = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
            total += float(each.cpu()[known].sum())
            count += int(known.sum())
    return total / max(count, 1)


def _kept(lane: LaneWeights, steps: int) -> TrainedLane:
    selectors, prefixes = (x.detach()[0].float().cpu().numpy().copy() for x in lane.tensors())
    return TrainedLane(selectors, prefixes, steps)


def _variable(network: LaneNetwork, array: np.ndarray) -> Tensor:
    return torch.from_numpy(array.copy()).to(network.device).requires_grad_()


def _logit(p: np.ndarray) -> np.ndarray:
    p = np.clip(p, 0.01, 0.99)
    return np.log(p / (1 - p))
