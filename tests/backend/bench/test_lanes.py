"""The benches of lanes on a handful of samples: what their figures mean, not how long they take."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from backend.bench import _lane_speed, lanes
from backend.bench._lane_arms import Classroom, Stage
from backend.bench._lane_data import ReadSet, mosaics
from backend.bench._lane_projects import make_repeated, opened
from backend.bench.multi_lane import Run, claim_of, courses, draws_of, mean_f1
from backend.methods.learners.lanes import LanesLearner
from backend.pipeline import Pipeline, load_encoder
from backend.recipes import load_recipe
from backend.settings import Settings
from backend.types import LaneLessons, LaneReading


@pytest.fixture(scope="module")
def pipeline():
    recipe = load_recipe("default")
    recipe = replace(recipe, settings={"learners/lanes": {"max_epochs": 3}})
    return Pipeline(recipe, load_encoder("embedded", Settings(engine="torch", threads=1)))


@pytest.fixture(scope="module")
def known(pipeline):
    """Two packs of two labels; each label lifts a direction of its own."""
    draw = np.random.default_rng(0)
    num, host = 60, pipeline.host
    truth = draw.random((num, 4)) < 0.4
    names = ["cat", "car", "cup", "cow"]
    pooled = draw.standard_normal((num, pipeline.encoder.dim)).astype(np.float32)
    pooled[:, :4] += 12 * truth
    pooled /= np.linalg.norm(pooled, axis=1, keepdims=True)
    plain = draw.standard_normal((num, host.plain_dim)).astype(np.float32)
    plain /= np.linalg.norm(plain, axis=1, keepdims=True)
    stack = host.frozen_stack()
    tokens = draw.standard_normal((num, len(stack.blocks), 9, stack.width))
    tokens[:, :, :4, :4] += 6 * truth[:, None, :, None]
    return ReadSet(
        names=names,
        truth=truth,
        is_taught=np.arange(num) < 40,
        pooled=pooled,
        whole=draw.standard_normal((num, 4)).astype(np.float32),
        local=draw.standard_normal((num, 4)).astype(np.float32),
        label_vectors=pipeline.encoder.encode_labels(names),
        plain=plain,
        tokens=tokens.astype(np.float16),
    )


@pytest.fixture(scope="module")
def classroom(known, pipeline):
    network = pipeline.teacher.network(pipeline.host.frozen_stack())
    return Classroom(courses(known, seed=0, packs=2), pipeline, network)


def run_of(classroom, stages):
    course = classroom.course
    truth = course.known.truth[course.measured]
    return Run(stages, truth, course.packs, draws_of(stages[-1], truth, 5))


def test_lanes_leave_old_scores_alone_and_a_shared_lane_does_not(classroom):
    lanes_, shared = run_of(classroom, classroom.product()), None
    assert lanes_.figures()["largest change of an old score"] == 0
    assert lanes_.figures()["forgetting"] == 0
    assert [stage.columns for stage in lanes_.stages] == [(0, 1), (0, 1, 2, 3)]
    assert lanes_.figures()["last mAP"] > 0.6
    shared = run_of(classroom, classroom.paper(is_shared=True))
    assert shared.figures()["largest change of an old score"] > 0
    alone = run_of(classroom, classroom.paper())
    assert alone.figures()["largest change of an old score"] == 0
    assert np.array_equal(alone.stages[0].scores, shared.stages[0].scores)


def test_probes_learn_from_what_their_protocol_shows(classroom):
    paper, full = classroom.probe(is_paper=True), classroom.probe(is_paper=False)
    assert run_of(classroom, full).quality(full[-1]) > 0.8
    assert not np.allclose(paper[-1].scores, full[-1].scores)
    course = classroom.course
    both = {row for row in course.taught if not course.known.truth[row, :2].any()}
    assert both, "some pictures show no label of the first pack"
    assert not both & set(classroom._with_a_label(course.taught, (0, 1)).tolist())


def test_figures_are_those_of_their_formulas():
    truth = np.array([[1, 0, 1], [1, 1, 0], [0, 0, 1], [0, 1, 0]], bool)
    first = np.where(truth, 2.0, -2.0).astype(np.float32)
    worse = first.copy()
    worse[:, 0] = [-1, 1, 1, -3]  # label 0: ranks no, yes, no among its samples
    stages = [Stage(first[:, :1], (0,), 1.0, 10), Stage(worse, (0, 1, 2), 3.0, 30)]
    run = Run(stages, truth, ((0,), (1, 2)), np.zeros(1))
    told = run.figures()
    assert told["largest change of an old score"] == 3
    after = (1 / 2 + 2 / 3) / 2  # ties come together: one of two, then two of three
    assert told["forgetting"] == pytest.approx(1 - after)
    assert told["last mAP"] == pytest.approx((after + 2) / 3)
    assert told["seconds per pack"] == 2
    predicted = np.array([[1, 0], [1, 1], [0, 0]], bool)
    targets = np.array([[1, 0], [0, 1], [1, 0]], np.float32)
    assert mean_f1(predicted, targets) == pytest.approx((0.5 + 1) / 2)


def test_a_claim_holds_by_the_mean_or_on_every_seed(classroom):
    good, bad = classroom.probe(is_paper=False), classroom.paper()
    seeds = [{"a": run_of(classroom, good), "b": run_of(classroom, bad)}] * 2
    claim = {"claim": "", "data": "x", "arm": "a", "baseline": "b", "figure": "last mAP"}
    told = claim_of({**claim, "expected": True, "each_seed": True}, {"x": seeds})
    assert told["holds"] == (min(told["of_each_seed"]) > 0)
    gap = told["difference"]
    assert claim_of({**claim, "expected": True, "reach": gap - 0.01}, {"x": seeds})["holds"]
    assert not claim_of({**claim, "expected": True, "reach": gap + 0.01}, {"x": seeds})["holds"]
    exact = {"claim": "", "data": "x", "arm": "b", "figure": "forgetting", "expected": True}
    assert claim_of({**exact, "exactly": 0.0}, {"x": seeds})["holds"]


def test_composed_mosaics_hold_only_photos_that_are_measured_on(packs):
    source = mosaics(packs, composed=4)
    again = mosaics(packs, composed=4)
    assert source.labels[-4:] == again.labels[-4:]
    assert not source.is_taught[-4:].any()
    assert all(1 <= len(each) <= 6 and each <= set(source.names) for each in source.labels[-4:])
    count = len(source.labels)
    one, two = source.load([count - 1])[0], again.load([count - 1])[0]
    assert one.size == (256, 256)
    assert one.tobytes() == two.tobytes()


def test_repeated_samples_say_what_their_photograph_says(known, settings):
    path = settings.home / "many"
    settings.home.mkdir(parents=True, exist_ok=True)
    make_repeated(path, settings, known, samples=65, packs=2, verdicts=3)
    with opened(path, settings) as bench:
        board = bench.board
        assert np.allclose(board.pooled[:60], known.pooled, atol=1e-3)
        assert np.array_equal(board.pooled[0], board.pooled[60])
        assert {label.pack for label in bench.labels()} == {"pack 1", "pack 2"}
        assert len(board.verdicts) == 3 * 4
        (reading,) = bench.live.room.readings(board, [64])
        assert reading is not None
        assert len(reading.tokens) == known.tokens.shape[1]


def test_growth_measures_the_same_fold_in_at_every_size(known, pipeline, monkeypatch):
    monkeypatch.setattr(lanes, "DECIDED", 20)
    found = list(lanes.growth(pipeline, known, (30, 50)))
    assert [row.value > 0 for row in found] == [True] * 4
    assert found[2].baseline_value == found[0].value


def test_the_benches_blocks_are_the_frozen_stream(pipeline):
    picture = np.random.default_rng(0).integers(0, 255, (40, 40, 3)).astype(np.uint8)
    host = pipeline.host
    readings = host.read([picture])[1]
    stack = host.frozen_stack()
    network = LanesLearner().network(stack)
    run, blocks = _lane_speed.lanes_and_blocks(stack, network, readings)
    assert torch.as_tensor(run()).shape == (_lane_speed.LANES, 1, stack.width)
    assert torch.as_tensor(blocks()).shape == (1, readings[0].tokens.shape[1], stack.width)


class CountingHost:
    """Reads pictures by their width, which is their number, and counts how often."""

    def __init__(self, readings):
        self.readings, self.counts = readings, [0] * len(readings)

    def read(self, pictures):
        numbers = [picture.width - 1 for picture in pictures]
        for number in numbers:
            self.counts[number] += 1
        return [], [self.readings[number] for number in numbers]


def test_the_literal_path_encodes_every_sample_in_every_epoch(known, pipeline):
    readings = known.readings(np.arange(40))
    host = CountingHost(readings)
    pictures = [Image.new("L", (number + 1, 1)) for number in range(40)]
    fresh = _lane_speed.EncodedEachEpoch(host, pictures)
    targets = known.truth[:40].astype(np.float32)
    network = pipeline.teacher.network(pipeline.host.frozen_stack())

    def taught(seen):
        every = np.ones(targets.shape, bool)
        lessons = LaneLessons(readings, np.zeros_like(targets), targets, every)
        # Past the check of types, which would ask for one reading more.
        object.__setattr__(lessons, "readings", seen)
        return pipeline.teacher.teach(network, lessons, None, start=None, steps=3 * 2)[0]

    literal, cached = taught(fresh), taught(readings)
    assert host.counts == [3] * 40  # 3 epochs of 2 batches
    assert all(np.array_equal(literal[name], cached[name]) for name in cached)


def said_by_lanes(pipeline, device):
    """The CLS of the bench's lanes for the same 64 samples."""
    stack = pipeline.host.frozen_stack()
    draw = np.random.default_rng(0)
    shape = (len(stack.blocks), 30, stack.width)
    readings = [
        LaneReading(draw.standard_normal(shape).astype(np.float16), np.zeros(0, np.float32))
        for _ in range(64)
    ]
    network = LanesLearner().network(stack, device=device)
    said = _lane_speed.lanes_and_blocks(stack, network, readings)[0]()
    return torch.as_tensor(said).float().cpu()


def assert_same_ranking(one, other):
    """The same directions, and samples that a head tells apart in the same order."""
    assert float((one * other).sum(-1).min()) > 0.995  # bfloat16 has three digits
    head = torch.randn(one.shape[-1], 16, generator=torch.Generator().manual_seed(0))
    before, after = (each @ head for each in (one, other))
    gaps, still = (x[:, :, None] - x[:, None] for x in (before, after))
    clear = gaps.abs() > 0.2 * before.std(1)[:, None, None]
    share = (gaps.sign() == still.sign())[clear].float().mean()
    assert clear.float().mean() > 0.5
    assert share > 0.99


def test_bfloat16_changes_no_ranking(pipeline, monkeypatch):
    exact = said_by_lanes(pipeline, "cpu")
    monkeypatch.setattr(
        _lane_speed, "reading_on", lambda _device: torch.autocast("cpu", torch.bfloat16)
    )
    coarse = said_by_lanes(pipeline, "cpu")
    assert not torch.equal(exact, coarse)
    assert_same_ranking(exact, coarse)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_lanes_on_a_gpu_say_what_they_say_on_the_cpu(pipeline):
    assert_same_ranking(said_by_lanes(pipeline, "cpu"), said_by_lanes(pipeline, "cuda"))
