"""The lanes' shortcut against the algorithm as it is written, and what lanes promise each other."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from backend.methods.learners._lane_network import LaneNetwork, LaneWeights
from backend.methods.learners._lane_plan import TrainedLane
from backend.methods.learners._lane_training import cls_of
from backend.methods.learners.lanes import LanesLearner
from backend.types import FrozenBlock, FrozenStack, LaneLessons, LaneReading, Linear, Norm

N, P, W, H, S, K, B = 3, 17, 32, 4, 5, 3, 4


class LiteralBlock(nn.Module):
    """A transformer block with the lane's attention of De Min et al., token by token."""

    def __init__(self, is_post_norm):
        super().__init__()
        self.is_post_norm = is_post_norm
        self.norm1, self.norm2 = nn.LayerNorm(W), nn.LayerNorm(W)
        self.query, self.key, self.value, self.out = (nn.Linear(W, W) for _ in range(4))
        self.up, self.down = nn.Linear(W, 3 * W), nn.Linear(3 * W, W)
        for norm in (self.norm1, self.norm2):
            nn.init.normal_(norm.weight, 1, 0.2)
            nn.init.normal_(norm.bias, 0, 0.2)

    def attention(self, x, keys=None, values=None):
        """Multi-head self-attention of (N, T, W), with prefixes before its keys and values."""

        def split(y):
            return y.unflatten(-1, (H, -1)).transpose(-2, -3)

        q, k, v = split(self.query(x)), split(self.key(x)), split(self.value(x))
        if keys is not None:
            k = torch.cat([split(keys).expand(len(x), -1, -1, -1), k], 2)
            v = torch.cat([split(values).expand(len(x), -1, -1, -1), v], 2)
        weights = (q @ k.transpose(-1, -2) / math.sqrt(W // H)).softmax(-1)
        return self.out((weights @ v).transpose(1, 2).flatten(2))

    def onward(self, u, residual):
        if self.is_post_norm:
            u = self.norm1(u + residual)
            return self.norm2(u + self.down(functional.gelu(self.up(u))))
        u = u + residual
        return u + self.down(functional.gelu(self.up(self.norm2(u))))

    def attended(self, u):
        return u if self.is_post_norm else self.norm1(u)

    def frozen(self, x):
        return self.onward(x, self.attention(self.attended(x)))

    def lane(self, u, x, keys, values):
        """Summarise, attend, drop and replace; u is (N, 1 + S, W), x the frozen stream."""
        u_bar, x_bar = self.attended(u), self.attended(x)
        asked = u_bar[:, 1:]
        chosen = (asked @ x_bar.transpose(1, 2) / math.sqrt(W)).softmax(-1)
        z = torch.cat([u_bar[:, :1], chosen @ x_bar], 1)
        answer = self.attention(z, keys, values)
        return self.onward(u, torch.cat([answer[:, :1], asked], 1))

    def arrays(self):
        def linear(m):
            return Linear(m.weight.detach().numpy(), m.bias.detach().numpy())

        def norm(m):
            return Norm(m.weight.detach().numpy(), m.bias.detach().numpy(), m.eps)

        return FrozenBlock(
            norm(self.norm1),
            linear(self.query),
            linear(self.key),
            linear(self.value),
            linear(self.out),
            norm(self.norm2),
            linear(self.up),
            linear(self.down),
        )


class World:
    """Random blocks, a frozen stream through them, and random lanes."""

    def __init__(self, is_post_norm, lanes=2):
        torch.manual_seed(3)
        self.blocks = [LiteralBlock(is_post_norm).eval().requires_grad_(False) for _ in range(B)]
        self.start, self.final = torch.randn(W), None if is_post_norm else nn.LayerNorm(W)
        if self.final is not None:
            nn.init.normal_(self.final.weight, 1, 0.2)
            self.final.requires_grad_(False)
        self.stream = [torch.randn(N, P, W)]
        for block in self.blocks[:-1]:
            self.stream.append(block.frozen(self.stream[-1]))
        tokens = [b.attended(x) for b, x in zip(self.blocks, self.stream, strict=True)]
        self.tokens = torch.stack(tokens, 1)
        self.lanes = LaneWeights(torch.randn(lanes, S, W), torch.randn(lanes, 2, 2, K, W))
        final = None
        if self.final is not None:
            final = Norm(self.final.weight.numpy(), self.final.bias.numpy(), self.final.eps)
        self.network = LaneNetwork(
            FrozenStack(
                tuple(block.arrays() for block in self.blocks),
                H,
                self.start.numpy(),
                final,
                is_post_norm=is_post_norm,
            )
        )

    def literal(self, lane):
        """One lane as the paper's code runs it."""
        u = torch.cat([self.start.expand(1, W), self.lanes.selectors[lane]]).expand(N, -1, -1)
        for number, (block, x) in enumerate(zip(self.blocks, self.stream, strict=True)):
            keys = values = None
            if number < self.lanes.prefixes.shape[1]:
                keys, values = self.lanes.prefixes[lane, number]
            u = block.lane(u, x, keys, values)
        cls = u[:, 0] if self.final is None else self.final(u[:, 0])
        return functional.normalize(cls, dim=-1)


@pytest.fixture(params=[False, True], ids=["pre-norm", "post-norm"])
def world(request):
    return World(request.param)


def test_the_shortcut_equals_the_literal_algorithm(world):
    found = world.network(world.lanes, world.tokens).cls
    for lane in range(2):
        torch.testing.assert_close(found[lane], world.literal(lane), atol=1e-5, rtol=0)


def test_its_gradients_are_those_of_the_literal_algorithm(world):
    aim = torch.randn(N, W)
    gradients = []
    for run in (lambda: world.network(world.lanes, world.tokens).cls[1], lambda: world.literal(1)):
        variables = world.lanes.tensors()
        for x in variables:
            x.requires_grad_().grad = None
        (run() * aim).sum().backward()
        gradients.append([x.grad[1].clone() for x in variables])
    for fast, slow in zip(*gradients, strict=True):
        torch.testing.assert_close(fast, slow, atol=1e-5, rtol=1e-3)
        assert fast.abs().max() > 1e-3


def test_a_lane_alone_and_a_sample_alone_give_the_same(world):
    together = world.network(world.lanes, world.tokens).cls
    one = LaneWeights(world.lanes.selectors[1:], world.lanes.prefixes[1:])
    alone = world.network(one, world.tokens[2:]).cls
    torch.testing.assert_close(alone[0, 0], together[1, 2], atol=1e-6, rtol=0)


def test_padding_changes_nothing(world):
    real = torch.arange(P + 4)[None] < torch.tensor([P] * N)[:, None]
    padded = torch.cat([world.tokens, torch.full((N, B, 4, W), 7.0)], 2)
    torch.testing.assert_close(
        world.network(world.lanes, padded, real).cls,
        world.network(world.lanes, world.tokens).cls,
        atol=1e-6,
        rtol=0,
    )


def test_selections_and_attention_are_shares(world):
    found = world.network(world.lanes, world.tokens, with_maps=True)
    assert found.selection.shape == (2, N, B, S, P)
    np.testing.assert_allclose(found.selection.sum(-1), 1, atol=1e-5)
    assert found.attention.shape == (2, N, B, H, S)
    assert (found.attention.sum(-1) < 1).all()  # the rest goes to the CLS itself and prefixes


def test_without_prefixes_the_shortcut_is_exact_too(world):
    world.lanes = LaneWeights(world.lanes.selectors, torch.zeros(2, 0, 2, K, W))
    found = world.network(world.lanes, world.tokens).cls
    torch.testing.assert_close(found[0], world.literal(0), atol=1e-5, rtol=0)


def test_what_selectors_ask_is_worked_out_once_for_the_lanes_in_use(world, monkeypatch):
    draw = np.random.default_rng(0)
    readings = [
        LaneReading(draw.standard_normal((B, P, W)).astype(np.float16), np.zeros(0, np.float32))
        for _ in range(5)
    ]
    one, other = (
        TrainedLane(x.numpy(), y.numpy(), 0)
        for x, y in zip(world.lanes.selectors, world.lanes.prefixes, strict=True)
    )
    asked, plain = [], LaneNetwork.chain
    monkeypatch.setattr(LaneNetwork, "chain", lambda *x: asked.append(1) or plain(*x))
    both = cls_of(world.network, [one, other], readings, batch=2)
    np.testing.assert_array_equal(cls_of(world.network, [one, other], readings, batch=2), both)
    assert len(asked) == 1
    swapped = cls_of(world.network, [other, one], readings, batch=2)
    assert len(asked) == 2
    np.testing.assert_allclose(swapped, both[::-1], atol=1e-6)
    tokens = torch.from_numpy(np.stack([each.tokens for each in readings])).float()
    for lane in range(2):
        single = LaneWeights(world.lanes.selectors[[lane]], world.lanes.prefixes[[lane]])
        np.testing.assert_allclose(world.network(single, tokens).cls[0], both[lane], atol=1e-6)


def test_only_hosts_of_post_norm_blocks_learn_at_their_own_rate(world):
    draw = np.random.default_rng(0)
    lessons = LaneLessons(
        [
            LaneReading(draw.standard_normal((B, P, W)).astype(np.float16), np.zeros(0, np.float32))
            for _ in range(6)
        ],
        np.zeros((6, 2), np.float32),
        draw.integers(0, 2, (6, 2)).astype(np.float32),
        np.ones((6, 2), bool),
    )

    def taught(**settings):
        learner = LanesLearner(LanesLearner.Settings(selectors=S, prefixes=K, **settings))
        return learner.teach(world.network, lessons, None, start=None, steps=3)[0]["selectors"]

    plain, other = taught(rate=0.01, post_norm_rate=0.01), taught(rate=0.01, post_norm_rate=0.05)
    assert np.array_equal(plain, other) != world.network.is_post_norm
    assert np.array_equal(taught(rate=0.05, post_norm_rate=0.05), other) == (
        world.network.is_post_norm
    )
