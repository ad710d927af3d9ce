"""What the experiment learns and counts, on made parts whose answers are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import ot
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.metrics import average_precision_score
from torch.nn.functional import binary_cross_entropy_with_logits

from backend.bench import _patchct_arms as arms
from backend.bench import patchct
from backend.bench._patchct_arms import Arm, Cloud, Scorer, Space
from backend.bench.claims import read_claims
from backend.numerics import transport
from backend.numerics.pooling import attended_scores, best_part_scores
from tests.transport_costs import transport_cost

DRAW = np.random.default_rng(0)


def unit(*shape):
    rows = DRAW.normal(size=shape)
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def space_of(parts, labels, temperature=0.1, rank=4):
    return Space.of(parts.astype(np.float16), labels, temperature, rank=rank)


def moved(adapter):
    """The same adapter after some training: M is no longer 0."""
    with torch.no_grad():
        adapter.matrix.copy_(0.3 * torch.from_numpy(DRAW.normal(size=adapter.matrix.shape)))
    return adapter


def whole(adapter, space):
    """1 + A M A' of an adapter, D x D."""
    return np.eye(len(space.basis)) + space.basis @ adapter.matrix.detach().numpy() @ space.basis.T


def test_the_basis_is_that_of_the_principal_directions():
    parts = unit(5, 9, 8).astype(np.float16)
    space = space_of(parts, unit(3, 8))
    rows = parts.reshape(-1, 8).astype(float)
    wanted = PCA(4).fit(rows).components_
    np.testing.assert_allclose(np.abs(wanted @ space.basis), np.eye(4), atol=1e-3)


def test_cosines_of_adapted_parts_are_those_of_the_parts_adapted_one_by_one():
    parts, labels = (2 * unit(2, 5, 8)).astype(np.float16), unit(3, 8)
    space = space_of(parts, labels)
    scorer = Scorer(Arm("average"), space)
    moved(scorer.adapter)
    cloud = Cloud.of(parts, space)
    found = scorer.cosines(cloud).detach().numpy()
    matrix = whole(scorer.adapter, space)
    for row in range(2):
        for part in range(5):
            vector = parts[row, part].astype(float) @ matrix
            wanted = labels @ vector / np.linalg.norm(vector)
            np.testing.assert_allclose(found[row, part], wanted, atol=1e-4)
    mean = parts.astype(np.float32).mean(axis=1) @ matrix
    wanted = mean @ labels.T / np.linalg.norm(mean, axis=1, keepdims=True)
    np.testing.assert_allclose(scorer.raw(cloud)[0].detach().numpy(), wanted, atol=1e-4)


def test_attention_is_asked_by_keys_and_judged_by_values():
    parts, labels = unit(2, 5, 8).astype(np.float16), unit(3, 8)
    space = space_of(parts, labels)
    scorer = Scorer(Arm("attention"), space)
    moved(scorer.adapter)
    moved(scorer.values)
    found = scorer.raw(Cloud.of(parts, space))[0].detach().numpy()
    keys, values = (parts @ whole(each, space) for each in (scorer.adapter, scorer.values))
    for row in range(2):
        cosines = keys[row] @ labels.T / np.linalg.norm(keys[row], axis=1, keepdims=True)
        shares = np.exp(cosines / 0.1) / np.exp(cosines / 0.1).sum(axis=0)
        for column in range(3):
            got = shares[:, column] @ values[row]
            wanted = got @ labels[column] / np.linalg.norm(got)
            assert found[row, column] == pytest.approx(wanted, abs=1e-3)


def test_before_training_the_arms_are_the_products_own_scores():
    parts, labels = unit(4, 6, 8).astype(np.float16), unit(3, 8)
    theta = np.full((4, 6), 1 / 6, np.float32)
    space, block = space_of(parts, labels), parts.astype(np.float32)
    cloud, mean = Cloud.of(parts, space), block.mean(axis=1)
    wanted = {
        "mean": mean @ labels.T / np.linalg.norm(mean, axis=1, keepdims=True),
        "max": best_part_scores(block, labels, theta),
        "pooled": transport.pooled_scores(block, labels, theta, 0.1),
        "attention": attended_scores(block, labels, theta, 0.1),
    }
    for way, scores in wanted.items():
        (found,) = Scorer(Arm(way), space).raw(cloud)
        np.testing.assert_allclose(found.detach().numpy(), scores, atol=2e-3)
    both = Scorer(Arm("average"), space)
    with torch.no_grad():
        both.scales[:] = torch.log(torch.tensor([2.0, 4.0]))
    found = both.logits(cloud).detach().numpy()
    np.testing.assert_allclose(found, wanted["mean"] + 2 * wanted["pooled"], atol=5e-3)


def test_a_cost_is_that_of_transport_to_the_labels_a_picture_has():
    parts, labels = unit(3, 6, 8).astype(np.float16), unit(4, 8)
    truth = np.array([[1, 0, 1, 1], [0, 1, 0, 0], [0, 0, 0, 0]], np.float32)
    space = space_of(parts, labels, temperature=0.2)
    cloud, scorer = Cloud.of(parts, space), Scorer(Arm("mean"), space)
    moved(scorer.adapter)
    cosines = scorer.cosines(cloud).detach().numpy()
    theta, beta = np.full((3, 6), 1 / 6, np.float32), transport.label_weights(3, 4, truth)
    told = transport_cost(cosines, theta, beta, 0.2)

    def cost(kind):
        return float(arms.cost_of(kind, scorer, cloud, torch.from_numpy(truth)).detach())

    assert cost("backward") == pytest.approx(told.backward.mean(), abs=1e-5)
    assert cost("both") == pytest.approx(told.total.mean(), abs=1e-5)
    by_pot = 0.0
    for row in range(2):
        own = truth[row] > 0
        costs = 1 - cosines[row][:, own].astype(np.float64)
        plan = ot.sinkhorn(np.full(6, 1 / 6), np.full(own.sum(), 1 / own.sum()), costs, 0.2)
        by_pot += (plan * costs).sum() / 3
    assert cost("sinkhorn") == pytest.approx(by_pot, abs=1e-4)


@pytest.fixture
def lesson(boxed, monkeypatch):
    """Course, space, cloud and truth of what is taught, and steps enough for so few pictures."""
    monkeypatch.setattr(arms, "EPOCHS", 60)
    monkeypatch.setattr(arms, "RATE", 0.03)
    course = patchct.course_of(boxed, 0)
    taught = boxed.parts[course.taught]
    space = space_of(taught, boxed.labels, rank=8)
    return course, space, Cloud.of(taught, space), boxed.truth[course.taught]


def test_a_cost_of_weight_0_changes_nothing_and_one_of_weight_1_does(lesson):
    _, space, cloud, truth = lesson
    plain, control, heavy, again = (
        arms.trained(arm, space, cloud, truth, seed=0).adapter.matrix.detach()
        for arm in (Arm("mean"), Arm("mean", "both", 0), Arm("mean", "both", 1), Arm("mean"))
    )
    assert torch.equal(plain, control)
    assert torch.equal(plain, again)
    assert float((plain - heavy).abs().max()) > 1e-3


def test_a_backward_cost_brings_parts_and_their_labels_together(lesson):
    _, space, cloud, truth = lesson
    shown = torch.from_numpy(truth.astype(np.float32))
    costs = []
    for arm in (Arm("mean"), Arm("mean", "backward", 30.0)):
        scorer = arms.trained(arm, space, cloud, truth, seed=0)
        with torch.no_grad():
            scorer.inverse.fill_(np.log(10))
            costs.append(float(arms.cost_of("backward", scorer, cloud, shown)))
    assert costs[1] < costs[0] - 0.02


def test_training_brings_the_loss_down_whatever_the_arm(lesson):
    """Labels that were exchanged: by name every answer is wrong, so that there is much to learn."""
    _, space, cloud, truth = lesson
    shown = torch.from_numpy(truth.astype(np.float32))
    others = replace(space, labels=space.labels[[1, 2, 0]])
    wrong = replace(
        cloud,
        plain=cloud.plain[:, :, [1, 2, 0]].contiguous(),
        mean_plain=cloud.mean_plain[:, [1, 2, 0]].contiguous(),
    )
    for way in ("mean", "pooled", "attention", "average", "max"):
        before = arms.started(Arm(way), others, wrong, shown)
        after = arms.trained(Arm(way), others, wrong, truth, seed=0)
        losses = [
            float(binary_cross_entropy_with_logits(each.logits(wrong), shown).detach())
            for each in (before, after)
        ]
        assert losses[1] < 0.7 * losses[0]


def test_what_is_judged_are_the_pictures_that_were_not_taught(boxed):
    course = patchct.course_of(boxed, 1)
    assert len(course.taught) == len(course.measured) == 20
    assert not set(course.taught) & set(course.measured)
    given = patchct.course_of(replace(boxed, is_taught=np.arange(40) < 25), 0)
    assert given.taught.tolist() == list(range(25))
    assert given.measured.tolist() == list(range(25, 40))
    space = space_of(boxed.parts[course.taught], boxed.labels)
    cloud = Cloud.of(boxed.parts[course.measured], space)
    scorer = Scorer(Arm("max"), space)
    parts = boxed.parts[course.measured].astype(np.float32)
    parts = parts / np.linalg.norm(parts, axis=2, keepdims=True)
    hits, best = [], np.zeros((20, 3))
    for place, row in enumerate(course.measured):
        cosines = parts[place] @ boxed.labels.T
        best[place] = cosines.max(axis=0)
        for pair in np.flatnonzero(boxed.rows == row):
            hits.append(boxed.inside[pair, cosines[:, boxed.columns[pair]].argmax()])
    found = patchct.judged(scorer, cloud, course)
    assert found["pointing"] == pytest.approx(np.mean(hits))
    wanted = average_precision_score(boxed.truth[course.measured], best, average="macro")
    assert found["mAP"] == pytest.approx(wanted, abs=1e-3)


def test_differences_are_told_of_the_same_seeds_with_their_spread():
    def run(mean, other):
        return {
            patchct.MEAN: dict.fromkeys(patchct.FIGURES, mean),
            "max": dict.fromkeys(patchct.FIGURES, other),
        }

    runs = [run(0.5, 0.6), run(0.4, 0.6)]
    row = patchct.table(runs)["max"]
    assert (row["mAP"], row["mAP, difference"], row["mAP, spread"]) == (0.6, 0.15, 0.05)
    claim = {
        "claim": "c", "data": "d", "arm": "max", "baseline": patchct.MEAN, "figure": "pointing",
        "reach": 0.12, "expected": True,
    }  # fmt: skip
    assert patchct.claim_of(claim, {"d": runs})["holds"]
    assert not patchct.claim_of({**claim, "each_seed": True}, {"d": runs})["holds"]


def test_every_claim_of_the_recipe_names_arms_sets_and_figures_that_are_measured():
    for claim in read_claims(patchct.NAME):
        assert {claim["arm"], claim["baseline"]} <= set(patchct.ARMS)
        assert claim["figure"] in patchct.FIGURES
        assert claim["data"] in patchct.SETS
