"""How quick lanes are beside the frozen transformer they live in: looking, learning, on a GPU.

The literal path runs the encoder in every epoch. It is not run to its end: one pass of the encoder
over some of the pictures is measured, and scaled to all of them and to the number of epochs. The
lanes' own part of it is taken to cost what it costs by the shortcut, so the literal path is
measured at its best; both train the same lane, since the shortcut is exact.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
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
from backend.contracts import LaneHost
from backend.methods.encoders._frozen import run_block
from backend.methods.learners._lane_network import LaneNetwork
from backend.methods.learners._lane_training import first_lane, padded, reading_on, stacked
from backend.methods.learners.lanes import LanesLearner
from backend.pipeline import Pipeline, load_encoder
from backend.settings import Settings
from backend.types import FrozenStack, LaneLessons, LaneReading

LANES, BATCH, ROUNDS = 20, 8, 5
EPOCHS, TAUGHT, MEASURED = 10, 300, 32
REACH, TIMES_LESS = 0.25, 50.0


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
    """CPU seconds of a pack from cached readings against the encoder in every epoch."""
    taught = min(TAUGHT, len(known.truth))
    rows_ = np.arange(taught)
    pictures = _pictures(settings, MEASURED)
    engine = replace(settings, engine="torch", device="cpu", dtype="float32")
    teacher = pipeline.teacher
    if isinstance(teacher, LanesLearner) and pipeline.host is not None:
        for told, host in (
            ("embedded, PyTorch", load_encoder("embedded", engine)),
            ("embedded, OpenVINO", load_encoder("embedded", settings)),
        ):
            readings = known.readings(rows_)
            yield _cost(told, host, teacher, readings, known, pictures)
    with TemporaryDirectory(prefix="patchlane-bench-") as folder:
        large = load_encoder(f"open_clip:ViT-B-16/{random_vit(Path(folder))}", engine)
        some = large.read(pictures[:BATCH])[1]  # pyright: ignore[reportAttributeAccessIssue]
        many = [some[number % BATCH] for number in range(taught)]
        own = LanesLearner(LanesLearner.Settings(lane_width=768))
        yield _cost("ViT-B-16, PyTorch", large, own, many, known, pictures[:BATCH])


def _cost(
    told: str,
    host: Any,
    learner: LanesLearner,
    readings: list[LaneReading],
    known: ReadSet,
    pictures: list[Image.Image],
) -> Row:
    count = len(readings)
    columns = list(range(min(10, len(known.names))))
    targets = known.truth[:count][:, columns].astype(np.float32)
    lessons = LaneLessons(readings, np.zeros_like(targets), targets, np.ones(targets.shape, bool))
    network = learner.network(host.frozen_stack())
    batches = -(-count // learner.settings.batch)
    learner.teach(network, lessons, None, start=None, steps=2)
    cpu = time.process_time()
    learner.teach(network, lessons, None, start=None, steps=EPOCHS * batches)
    cached = time.process_time() - cpu
    host.encode(pictures[:2])
    cpu = time.process_time()
    host.encode(pictures)
    one_pass = (time.process_time() - cpu) * count / len(pictures)
    literal = cached + EPOCHS * one_pass
    return row(
        f"{told}: a pack of {len(columns)} labels, {count} samples, {EPOCHS} epochs: "
        "literal path against cached readings, CPU",
        literal / cached,
        "times",
        at_least=TIMES_LESS,
        baseline=f"seconds from cached readings (literal {literal:.1f})",
        baseline_value=cached,
    )


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
