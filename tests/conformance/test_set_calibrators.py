"""What every calibrator that says what is certain promises."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
from safetensors.numpy import load, save
from scipy.stats import binom

from backend import catalogue
from backend.errors import BadInputError

KEYS = [
    line.key
    for line in catalogue.entries("calibrators")
    if hasattr(catalogue.load(line.key), "certificates")
]
LEVELS = (0.7, 0.8, 0.9, 0.95)


@pytest.fixture(params=KEYS)
def calibrator(request):
    return catalogue.load(request.param)()


def drawn(rng, count, labels=6):
    """Overconfident chances of labels that depend on each other, and the truth."""
    common = rng.normal(size=(count, 1))
    logits = 1.5 * rng.normal(size=(count, labels)) + common - np.linspace(0, 2, labels)
    truth = rng.random((count, labels)) < 1 / (1 + np.exp(-logits))
    chances = 1 / (1 + np.exp(-2 * logits - 0.5 * rng.normal(size=(count, labels))))
    return chances.astype(np.float32), truth.astype(np.int8)


def broken_promises(key, sure, truth):
    """Per sample (or cell), how much of the promise is broken, as the method words it."""
    wrong = (sure != 0) & ((sure > 0) != (truth > 0))
    if key == "calibrators/powerset":
        return wrong.any(axis=1).astype(float)
    if key == "calibrators/recall":
        return (wrong & (truth > 0)).sum(axis=1) / np.maximum(truth.sum(axis=1), 1)
    return wrong[truth > 0].astype(float)


@pytest.mark.parametrize("level", LEVELS)
def test_what_is_promised_holds_on_exchangeable_samples(calibrator, level, request):
    rng = np.random.default_rng(11)
    key = request.node.callspec.params["calibrator"]
    found = []
    for _ in range(300):
        chances, truth = drawn(rng, 70)
        state = calibrator.fit(chances[:60], truth[:60])
        sure = calibrator.certificates(state, chances[60:], level)
        found.append(broken_promises(key, sure, truth[60:]))
    broken = np.array([one.sum() for one in found])
    counts = np.array([len(one) for one in found])
    rate = broken.sum() / counts.sum()
    # draws share their decided samples, so the spread between them counts, not that of cells
    error = (broken / np.maximum(counts, 1)).std() / np.sqrt(len(found))
    assert rate <= 1 - level + 3 * error
    assert rate > 0 or level > 0.9


def test_the_whole_set_is_covered_as_often_as_promised_and_hardly_more():
    """Binomial tolerance, one fresh draw of decided samples for each measured one."""
    rng = np.random.default_rng(5)
    calibrator = catalogue.load("calibrators/powerset")()
    inside = 0
    for _ in range(1500):
        chances, truth = drawn(rng, 60)
        state = calibrator.fit(chances[:59], truth[:59])
        flips = calibrator.flips(state, chances[59:])
        inside += int(flips.distances(truth[59:] > 0)[0] <= calibrator.radius(state, 0.9))
    low, high = binom.interval(0.999, 1500, 0.9)
    assert low <= inside <= high


def test_more_is_certain_at_lower_levels_only(calibrator):
    rng = np.random.default_rng(0)
    chances, truth = drawn(rng, 300)
    state = calibrator.fit(chances[:150], truth[:150])
    before = None
    for level in LEVELS:
        sure = calibrator.certificates(state, chances[150:], level) != 0
        if before is not None and calibrator.promise.startswith("on average"):
            assert not (sure & ~before).any()
        before = sure
        assert sure.any()


@pytest.mark.parametrize("count", [0, 1, 18])
def test_too_few_decided_samples_make_nothing_certain(calibrator, count):
    rng = np.random.default_rng(0)
    chances, truth = drawn(rng, 100)
    assert calibrator.needed(0.95) == 19
    state = calibrator.fit(chances[:count], truth[:count])
    assert not calibrator.certificates(state, chances, 0.95).any()
    present, absent = calibrator.p_values(state, chances)
    for one in (present, absent):
        assert (np.isnan(one) | (one > 0.05)).all()


def test_unsure_never_makes_anything_more_certain_than_the_answer_that_is_not_known(calibrator):
    rng = np.random.default_rng(2)
    chances, truth = drawn(rng, 200)
    unsure = np.where(rng.random((100, 6)) < 0.1, -1, truth[:100]).astype(np.int8)
    state = calibrator.fit(chances[:100], unsure)
    known = calibrator.fit(chances[:100], truth[:100])
    if "distances" in state:
        assert (state["distances"] >= known["distances"]).all()
    assert calibrator.certificates(state, chances[100:], 0.9).shape == (100, 6)


def test_a_label_that_was_never_seen_is_never_surely_absent_where_labels_are_looked_at_alone():
    rng = np.random.default_rng(2)
    chances, truth = drawn(rng, 200)
    truth[:, 3] = 0
    calibrator = catalogue.load("calibrators/per_label")()
    sure = calibrator.certificates(calibrator.fit(chances[:100], truth[:100]), chances, 0.9)
    assert (sure[:, 3] >= 0).all()
    assert (sure[:, :3] < 0).any(axis=0).all(), "the others are, on some samples"


def test_p_values_say_what_is_certain(calibrator):
    rng = np.random.default_rng(3)
    chances, truth = drawn(rng, 300)
    state = calibrator.fit(chances[:150], truth[:150])
    present, absent = calibrator.p_values(state, chances[150:])
    if np.isnan(present).all():
        return
    for level in LEVELS:
        out = round(1 - level, 9)
        expected = (present > out).astype(int) - (absent > out).astype(int)
        expected[(present <= out) & (absent <= out)] = 0
        np.testing.assert_array_equal(
            calibrator.certificates(state, chances[150:], level), expected
        )


def test_same_call_same_answer_and_inputs_unchanged(calibrator):
    rng = np.random.default_rng(0)
    chances, truth = drawn(rng, 100)
    before = chances.copy(), truth.copy()
    one, other = calibrator.fit(chances, truth), calibrator.fit(chances, truth)
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])
    calibrator.certificates(one, chances, 0.9)
    np.testing.assert_array_equal(chances, before[0])
    np.testing.assert_array_equal(truth, before[1])


def test_save_then_load_gives_the_same_answers(calibrator):
    rng = np.random.default_rng(0)
    chances, truth = drawn(rng, 100)
    state = calibrator.fit(chances, truth)
    np.testing.assert_array_equal(
        calibrator.certificates(load(save(state)), chances, 0.9),
        calibrator.certificates(state, chances, 0.9),
    )
    settings = json.loads(json.dumps(asdict(calibrator.settings)))
    again = type(calibrator)(type(calibrator).Settings(**settings))
    assert again.fingerprint == calibrator.fingerprint


def test_other_number_of_labels_is_refused_with_both_numbers(calibrator):
    rng = np.random.default_rng(0)
    chances, truth = drawn(rng, 100)
    state = calibrator.fit(chances, truth)
    with pytest.raises(BadInputError, match=r"3 labels for sets of 6"):
        calibrator.certificates(state, chances[:, :3], 0.9)
