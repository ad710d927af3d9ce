"""How quick lanes are beside the frozen transformer they live in: looking, learning, on a GPU.

The literal path runs the encoder in every epoch. With the embedded encoder it is run to its end,
and what it has learned is measured beside what was learned from cached readings; with the large
one, whose weights are random, one pass over some pictures is measured and scaled to all of them and
to the number of epochs. The lanes' own part of it goes by the shortcut in both, so the literal path
is measured at its best.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from PIL import Image

from backend.bench._embedded_data import read_rows
from backend.bench._embedded_measures import read_pictures
from backend.bench._lane_data import COCO, ReadSet
from backend.bench.lane_costs import random_vit
from backend.bench.reports import Row, row
from backend.contracts import LaneHost, State
from backend.methods.encoders._frozen import run_block
from backend.methods.learners._heads import LogisticHeads
from backend.methods.learners._lane_network import LaneNetwork
from backend.methods.learners._lane_training import first_lane, padded, reading_on, stacked
from backend.methods.learners.lanes import LanesLearner
from backend.numerics.scores import mean_average_precision
from backend.pipeline import Pipeline, load_encoder
from backend.settings import Settings
from backend.types import Features, FrozenStack, LaneLessons, LaneReading, Lessons

LANES, BATCH, ROUNDS = 20, 8, 5
EPOCHS, TAUGHT, PACK_LABELS, ENCODED = 10, 300, 10, 32
REACH, TIMES_LESS, EQUAL = 0.25, 50.0, 0.005


def inference(settings: Settings) -> Iterator[Row]:
    """Twenty lanes against the frozen blocks alone, PyTorch, one thread, the same batch."""
    engine = replace(settings, engine="torch", device="cpu", dtype="float32")
    pictures = _pictures(settings, BATCH)
    with TemporaryDirectory(prefix="patchlane-bench-") as folder:
        name = f"open_clip:ViT-B-16/{random_vit(Path(folder))}"
        yield from _inference("ViT-B-16", load_encoder(name, engine), pictures, REACH)
    yield from _inference("embedded", load_encoder("embedded", engine), pictures, None)


def _inference(
    told: str, host: Any, pictures: list[Image.Image], reach: float | None
) -> Iterator[Row]:
    readings: list[LaneReading] = host.read(pictures)[1]
    learner = LanesLearner()
    stack = host.frozen_stack()
    network = learner.network(stack)
    lanes, frozen = lanes_and_blocks(stack, network, readings)
    whole = lambda: host.encode(pictures)  # noqa: E731
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        lane_s, frozen_s = _quickest(lanes, frozen)
    finally:
        torch.set_num_threads(before)
    yield row(
        f"{told}: {LANES} lanes on cached tokens, batch of {BATCH}, against the frozen blocks",
        lane_s / frozen_s,
        "of their time",
        at_most=reach,
        baseline="the frozen blocks, ms a sample",
        baseline_value=1000 * frozen_s / BATCH,
    )
    yield row(
        f"{told}: {LANES} lanes, a sample",
        1000 * lane_s / BATCH,
        "ms",
        baseline="the whole encoder, a picture (all threads)",
        baseline_value=1000 * _quickest(whole)[0] / BATCH,
    )


def lanes_and_blocks(
    stack: FrozenStack, network: LaneNetwork, readings: Sequence[LaneReading]
) -> tuple[Callable[[], object], Callable[[], object]]:
    """Both sides of the comparison, from tokens in memory; on the network's device and dtype."""
    own = LanesLearner.Settings()
    weights = stacked(
        network,
        [
            first_lane(
                network,
                selectors=own.selectors,
                prefixes=own.prefixes,
                prefixed_blocks=own.prefixed_blocks,
                seed=seed,
            )
            for seed in range(LANES)
        ],
    )
    tokens, _ = padded(readings, network)
    with torch.inference_mode(), reading_on(network.device):
        asked = network.chain(weights)  # once for the lanes in use, as a project does
    stream = tokens[:, 0].float().cpu()

    def lanes() -> object:
        with torch.inference_mode(), reading_on(network.device):
            return network(weights, tokens, asked=asked).cls

    def blocks() -> object:
        x = stream
        with torch.inference_mode():
            for block in stack.blocks:
                x = run_block(stack, block, x)
        return x

    return lanes, blocks


def cost(settings: Settings, pipeline: Pipeline, known: ReadSet) -> Iterator[Row]:
    """CPU seconds of a pack, cached readings against the encoder in every epoch; mAP of both."""
    taught = min(TAUGHT, len(known.truth) - 1)
    pictures = _pictures(settings, taught)
    engine = replace(settings, engine="torch", device="cpu", dtype="float32")
    teacher = pipeline.teacher
    if isinstance(teacher, LanesLearner) and pipeline.host is not None:
        cached = known.readings(np.arange(taught))
        for told, host in (
            ("embedded, OpenVINO", load_encoder("embedded", settings)),
            ("embedded, PyTorch", load_encoder("embedded", engine)),
        ):
            fresh = EncodedEachEpoch(host, pictures)
            quick, seconds = _taught(host, teacher, cached, known)
            literal, literal_seconds = _taught(host, teacher, fresh, known)
            yield _cost(told, taught, seconds, literal_seconds)
            found, same = (
                _quality(host, teacher, lane, known, taught) for lane in (quick, literal)
            )
            yield row(
                f"{told}: mAP of the other {len(known.truth) - taught} pictures, cached readings",
                found,
                "mAP",
                at_least=same - EQUAL,
                baseline="literal path, run to its end",
                baseline_value=same,
            )
    with TemporaryDirectory(prefix="patchlane-bench-") as folder:
        large: Any = load_encoder(f"open_clip:ViT-B-16/{random_vit(Path(folder))}", engine)
        some = large.read(pictures[:BATCH])[1]
        many = [some[number % BATCH] for number in range(taught)]
        own = LanesLearner(LanesLearner.Settings(lane_width=768))
        _, seconds = _taught(large, own, many, known)
        started = time.process_time()
        large.encode(pictures[:BATCH])
        one_pass = (time.process_time() - started) * taught / BATCH
        yield _cost("ViT-B-16, PyTorch", taught, seconds, seconds + EPOCHS * one_pass)


def _cost(told: str, samples: int, seconds: float, literal: float) -> Row:
    return row(
        f"{told}: a pack of {PACK_LABELS} labels, {samples} samples, {EPOCHS} epochs: "
        "literal path against cached readings, CPU",
        literal / seconds,
        "times",
        at_least=TIMES_LESS,
        baseline=f"seconds from cached readings (literal {literal:.1f})",
        baseline_value=seconds,
    )


@dataclass
class EncodedEachEpoch(Sequence[LaneReading]):
    """Readings of pictures, made anew by the encoder whenever all of them have been asked for.

    A training that asks for every sample once an epoch so runs the encoder over them all in each.
    """

    host: Any
    pictures: Sequence[Image.Image]
    _now: list[LaneReading] = field(default_factory=list[LaneReading])
    _left: int = 0

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, number: int) -> LaneReading:  # pyright: ignore
        if not self._left:
            self._now = []  # the last epoch's go before this one's come
            for at in range(0, len(self), ENCODED):
                self._now += self.host.read(list(self.pictures[at : at + ENCODED]))[1]
            self._left = len(self)
        self._left -= 1
        return self._now[number]


def _taught(
    host: Any, learner: LanesLearner, readings: Sequence[LaneReading], known: ReadSet
) -> tuple[State, float]:
    """A lane after all epochs, and the CPU seconds that it took."""
    targets = known.truth[: len(readings), :PACK_LABELS].astype(np.float32)
    lessons = LaneLessons(readings, np.zeros_like(targets), targets, np.ones(targets.shape, bool))
    network = learner.network(host.frozen_stack())
    host.encode(_blank(2))  # compiles
    started = time.process_time()
    steps = EPOCHS * -(-len(readings) // learner.settings.batch)
    lane, _ = learner.teach(network, lessons, None, start=None, steps=steps)
    return lane, time.process_time() - started


def _quality(host: Any, learner: LanesLearner, lane: State, known: ReadSet, taught: int) -> float:
    """MAP on the pictures behind the taught ones, of heads on the lane's CLS alone."""
    network = learner.network(host.frozen_stack())
    cls = learner.read(network, [lane], known.readings(np.arange(len(known.truth))))[0]
    truth = known.truth[:, :PACK_LABELS].astype(np.float32)
    probe = LogisticHeads(LogisticHeads.Settings(offset=0.0))
    nothing = np.zeros_like(truth)
    features = Features(cls, nothing, nothing)
    rows_, columns = np.indices((taught, truth.shape[1])).reshape(2, -1)
    lessons = Lessons(rows_, columns, truth[:taught].reshape(-1))
    state, _ = probe.learn(probe.start(truth.shape[1], cls.shape[1]), features, lessons)
    scores = probe.score(state, features)
    return mean_average_precision(
        scores[taught:], truth[taught:], np.ones_like(truth[taught:], bool)
    )


def _blank(count: int) -> list[Image.Image]:
    return [Image.new("RGB", (64, 64))] * count


def cuda() -> Iterator[Row]:
    """The lanes of the embedded encoder in bfloat16 on a GPU beside the CPU; none without one."""
    if not torch.cuda.is_available():
        return
    host: LaneHost = load_encoder("embedded", Settings.from_environ())  # pyright: ignore
    stack = host.frozen_stack()
    draw = np.random.default_rng(0)
    shape = (len(stack.blocks), 145, stack.width)
    readings = [
        LaneReading(draw.standard_normal(shape).astype(np.float16), np.zeros(0, np.float32))
        for _ in range(64)
    ]
    learner = LanesLearner()
    spent = {}
    for device in ("cuda", "cpu"):
        lanes, _ = lanes_and_blocks(stack, learner.network(stack, device=device), readings)

        def whole(run: Callable[[], object] = lanes) -> None:
            run()
            torch.cuda.synchronize()

        spent[device] = _quickest(whole)[0]
    yield row(
        f"embedded: {LANES} lanes, batch of {len(readings)}, bfloat16 on the GPU",
        1000 * spent["cuda"] / len(readings),
        "ms a sample",
        baseline="float32 on the CPU",
        baseline_value=1000 * spent["cpu"] / len(readings),
    )


def _pictures(settings: Settings, count: int) -> list[Image.Image]:
    files = [each["file"] for each in read_rows(settings.data, COCO)[:count]]
    return read_pictures(settings.data, COCO, files)


def _quickest(*works: Callable[[], object]) -> list[float]:
    """Seconds of each one's quickest run, in turns; the first is left out."""
    for work in works:
        work()
    turns = []
    for _ in range(ROUNDS):
        turn = []
        for work in works:
            started = time.perf_counter()
            work()
            turn.append(time.perf_counter() - started)
        turns.append(turn)
    return [min(each) for each in zip(*turns, strict=True)]
