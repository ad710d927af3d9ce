"""Ways to score labels by frozen parts, and what training may ask of the parts beside the score.

All arms learn the same small adapter on the parts, a scale, an offset per label and, where there is
one, a temperature, by binary cross-entropy summed over the labels; the labels' vectors stay. The
adapter is linear and of low rank, e' = e + e A M A', A the `RANK` largest principal directions of
the parts and M learned from 0. S[n, m] is the cosine of an adapted part and a label:

    mean       cosine of the adapted mean part, which stands for [CLS] through its adaptive layer
    max        max_n S, multiple-instance learning
    pooled     sum_n pi_b S, the backward navigator's
    average    half of mean and half of pooled, each with its own scale
    attention  the label asks the parts by an adapter for keys, and is compared with the mean of
               what it gets from an adapter for values

A regulariser adds its weight times the transport cost to the labels that a picture has:
`backward`, `both` navigators half and half, or `sinkhorn`, whose plan is held fixed as usual.

Parts and labels are 384 wide, M is not: with u = e A, all that is asked of an adapted part is

    e'.l = e.l + u M (A' l),   e'.f' = e.f + u (M + M' + M M') v',   v = f A

so that the products of before are worked out once and no step touches the full width.

Source: Li et al., PatchCT, ICCV 2023 (2307.09066); Cuturi, NeurIPS 2013 (1306.0895) for Sinkhorn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float16, Int
from torch import Tensor, nn
from torch.nn import functional

from backend.numerics import transport

RANK = 64
EPOCHS, BATCH, RATE = 15, 16, 3e-3
MOST_INVERSE = 100.0
"""Largest 1 / temperature that training may reach."""

CHUNK = 64
"""Pictures that are scored at once."""

SPREAD = 1.3
"""Logits that a deviation of the untrained score is worth at first."""


@dataclass(frozen=True)
class Arm:
    """One way to score, and the weight of a transport cost beside it."""

    score: str
    cost: str = ""
    weight: float = 0.0


@dataclass(frozen=True)
class Space:
    """Labels, and the directions that an adapter may move parts in.

    Attributes:
        labels: (L, D) unit vectors.
        basis: (D, R) orthonormal columns.
        temperature: that the navigators start with.
    """

    labels: Float[np.ndarray, "l d"]
    basis: Float[np.ndarray, "d r"]
    temperature: float

    @classmethod
    def of(
        cls,
        parts: Float16[np.ndarray, "n p d"],
        labels: Float[np.ndarray, "l d"],
        temperature: float,
        *,
        rank: int = RANK,
    ) -> Space:
        """The largest principal directions of some parts."""
        rows = parts.reshape(-1, parts.shape[2]).astype(np.float32)
        rows = rows - rows.mean(axis=0)
        _, directions = np.linalg.eigh(rows.T @ rows)  # smallest first
        return cls(labels, directions[:, ::-1][:, :rank].copy(), temperature)


@dataclass(frozen=True)
class Cloud:
    """What the arms need of some pictures' parts e; the mean part is e too, a cloud of one.

    Attributes:
        plain: (N, P, L) products e.l.
        low: (N, P, R) u = e A.
        gram: (N, P, P) products e.f.
        mean_plain, mean_low, mean_square: (N, L), (N, R) and (N,), of the mean part.
    """

    plain: Tensor
    low: Tensor
    gram: Tensor
    mean_plain: Tensor
    mean_low: Tensor
    mean_square: Tensor

    @classmethod
    def of(cls, parts: Float16[np.ndarray, "n p d"], space: Space) -> Cloud:
        """Work out the products once for all arms."""
        labels = torch.from_numpy(space.labels.astype(np.float32)).T
        basis = torch.from_numpy(space.basis.astype(np.float32))
        found: list[list[Tensor]] = [[], [], [], []]
        for picture in parts:
            part = torch.from_numpy(picture.astype(np.float32))
            made = (part @ labels, part @ basis, part @ part.T, part.mean(dim=0))
            for many, one in zip(found, made, strict=True):
                many.append(one)
        plain, low, gram, mean = (torch.stack(each) for each in found)
        return cls(plain, low, gram, mean @ labels, mean @ basis, (mean * mean).sum(dim=1))

    def __len__(self) -> int:
        return len(self.plain)

    def of_rows(self, rows: Tensor | slice) -> Cloud:
        """Some of the pictures."""
        return Cloud(
            self.plain[rows],
            self.low[rows],
            self.gram[rows],
            self.mean_plain[rows],
            self.mean_low[rows],
            self.mean_square[rows],
        )


class Adapter(nn.Module):
    """M, from 0: at first the parts as they are."""

    def __init__(self, rank: int):
        super().__init__()
        self.matrix = nn.Parameter(torch.zeros(rank, rank))

    def products(self, plain: Tensor, low: Tensor, labels: Tensor) -> Tensor:
        """e'.l of parts (..., L); `labels` are (R, L), A' l."""
        return plain + low @ (self.matrix @ labels)

    def pairs(self) -> Tensor:
        """M + M' + M M': what it adds to products of parts."""
        return self.matrix + self.matrix.T + self.matrix @ self.matrix.T

    def cosines(self, plain: Tensor, low: Tensor, square: Tensor, labels: Tensor) -> Tensor:
        """Cosine of adapted parts and labels; `square` (...) are the parts' e.e."""
        length = (square + ((low @ self.pairs()) * low).sum(dim=-1)).clamp_min(1e-12).sqrt()
        return self.products(plain, low, labels) / length[..., None]


class Scorer(nn.Module):
    """One arm: scores of labels and, for the regulariser and the maps, the cosines of parts."""

    def __init__(self, arm: Arm, space: Space):
        super().__init__()
        self.arm = arm
        labels = torch.from_numpy((space.labels @ space.basis).astype(np.float32)).T
        self.labels = labels.contiguous()
        rank = space.basis.shape[1]
        self.adapter = Adapter(rank)
        self.values = Adapter(rank) if arm.score == "attention" else None
        self.scales = nn.Parameter(torch.zeros(2 if arm.score == "average" else 1))
        self.offsets = nn.Parameter(torch.zeros(len(space.labels)))
        self.inverse = nn.Parameter(torch.tensor(math.log(1 / space.temperature)))

    @property
    def temperature(self) -> Tensor:
        """Of the navigators; learned within bounds."""
        return torch.exp(-self.inverse.clamp(0, math.log(MOST_INVERSE)))

    def cosines(self, cloud: Cloud, place: Tensor | None = None) -> Tensor:
        """S (B, P, L): the parts' order by it is that of a label's map.

        `place` (B, K) are the labels of each picture that are asked for, all of them else.
        """
        square, plain, labels = cloud.gram.diagonal(dim1=1, dim2=2), cloud.plain, self.labels
        if place is not None:
            plain = plain.gather(2, place[:, None].expand(-1, plain.shape[1], -1))
            labels = labels[:, place].permute(1, 0, 2)
        return self.adapter.cosines(plain, cloud.low, square, labels)

    def raw(self, cloud: Cloud) -> list[Tensor]:
        """(B, L) score of each way of the arm, before scale and offset."""
        way = self.arm.score
        ways: list[Tensor] = []
        if way in ("mean", "average"):
            mean = cloud.mean_plain, cloud.mean_low, cloud.mean_square
            ways.append(self.adapter.cosines(*mean, self.labels))
        if way == "max":
            ways.append(self.cosines(cloud).amax(dim=1))
        if way in ("pooled", "average"):
            cosines = self.cosines(cloud)
            shares = (cosines / self.temperature).softmax(dim=1)
            ways.append((shares * cosines).sum(dim=1))
        if self.values is not None:
            shares = (self.cosines(cloud) / self.temperature).softmax(dim=1)
            gram = cloud.gram + cloud.low @ self.values.pairs() @ cloud.low.transpose(1, 2)
            square = ((gram @ shares) * shares).sum(dim=1)
            got = self.values.products(cloud.plain, cloud.low, self.labels)
            ways.append((shares * got).sum(dim=1) / square.clamp_min(1e-12).sqrt())
        return ways

    def logits(self, cloud: Cloud) -> Tensor:
        """(B, L); two ways are averaged."""
        pairs = zip(self.scales, self.raw(cloud), strict=True)
        return torch.stack([torch.exp(scale) * way for scale, way in pairs]).mean(dim=0) + (
            self.offsets
        )


def started(arm: Arm, space: Space, cloud: Cloud, truth: Tensor) -> Scorer:
    """An untrained arm, whose scale and offsets fit the data: labels as frequent as they are."""
    scorer = Scorer(arm, space)
    with torch.no_grad():
        for at, way in enumerate(scorer.raw(cloud)):
            scorer.scales[at] = math.log(SPREAD / max(float(way.std()), 1e-6))
        shown = truth.mean(dim=0).clamp(1e-3, 1 - 1e-3).logit()
        scorer.offsets.copy_(shown - scorer.logits(cloud).mean(dim=0))
    return scorer


def trained(
    arm: Arm, space: Space, cloud: Cloud, truth: Bool[np.ndarray, "n l"], *, seed: int
) -> Scorer:
    """Learn an arm; one seed gives every arm the same order of batches."""
    shown = torch.from_numpy(truth.astype(np.float32))
    scorer = started(arm, space, cloud, shown)
    steps = EPOCHS * math.ceil(len(cloud) / BATCH)
    tuned = torch.optim.AdamW(scorer.parameters(), lr=RATE)
    pace = torch.optim.lr_scheduler.OneCycleLR(tuned, RATE, total_steps=steps)
    draw = np.random.default_rng(seed)
    for _ in range(EPOCHS):
        for rows in torch.from_numpy(draw.permutation(len(cloud))).split(BATCH):
            some, own = cloud.of_rows(rows), shown[rows]
            loss = functional.binary_cross_entropy_with_logits(
                scorer.logits(some), own, reduction="sum"
            ) / len(rows)
            if arm.cost:
                loss = loss + arm.weight * cost_of(arm.cost, scorer, some, own)
            tuned.zero_grad()
            loss.backward()
            tuned.step()
            pace.step()
    return scorer


def cost_of(kind: str, scorer: Scorer, cloud: Cloud, truth: Tensor) -> Tensor:
    """Mean transport cost of the pictures to their own labels, parts of equal weight.

    Args:
        kind: "backward", "both" (half and half) or "sinkhorn".
        scorer: whose cosines and temperature are asked.
        cloud: B pictures.
        truth: (B, L), 1 for a label that the picture has.
    """
    # Absent labels take no part, so that the labels of each picture are all that is looked at.
    shown, place = truth.topk(max(1, int(truth.sum(dim=1).max())), dim=1)
    cosines, temperature = scorer.cosines(cloud, place), scorer.temperature
    beta = shown / shown.sum(dim=1, keepdim=True).clamp_min(1)
    costs = 1 - cosines
    if kind == "sinkhorn":
        return (_plan(cosines, beta, temperature) * costs).sum() / len(truth)
    backward = (cosines / temperature).softmax(dim=1) * beta[:, None]
    total = (backward * costs).sum(dim=(1, 2))
    if kind == "both":
        offered = cosines / temperature + beta.clamp_min(1e-30).log()[:, None]
        forward = offered.masked_fill(beta[:, None] <= 0, -1e4).softmax(dim=2)
        forward = forward * (beta.sum(dim=1) > 0)[:, None, None]
        total = (total + (forward * costs).sum(dim=2).mean(dim=1)) / 2
    return total.mean()


def _plan(cosines: Tensor, beta: Tensor, temperature: Tensor) -> Tensor:
    """The entropic optimal plan of each picture, without gradient; 0 for absent labels."""
    values, shares = cosines.detach().numpy(), beta.numpy()
    warmth = float(temperature.detach())
    theta = np.full(values.shape[:2], 1 / values.shape[1], np.float32)
    found = transport.sinkhorn_potentials(values, theta, shares, warmth)
    _, back = transport.sinkhorn_navigators(values, found, warmth)
    return torch.from_numpy(transport.backward_plan(back, shares))


def scored(
    scorer: Scorer,
    cloud: Cloud,
    rows: Int[np.ndarray, " m"],
    columns: Int[np.ndarray, " m"],
) -> tuple[Float[np.ndarray, "n l"], Float[np.ndarray, "m p"]]:
    """Logits of pictures, and of M pairs of a picture and a label the cosines of its parts.

    A label's map is the softmax of these, so that they order the parts as it does.
    """
    logits, maps = [], np.empty((len(rows), cloud.plain.shape[1]), np.float32)
    with torch.no_grad():
        for at in range(0, len(cloud), CHUNK):
            some = cloud.of_rows(slice(at, at + CHUNK))
            logits.append(scorer.logits(some).numpy())
            mine = np.flatnonzero((rows >= at) & (rows < at + CHUNK))
            cosines = scorer.cosines(some).numpy()
            maps[mine] = cosines[rows[mine] - at, :, columns[mine]]
    return np.concatenate(logits), maps
