"""Chances of label errors against a brute-force likelihood, a world whose truth is known, and
cleanlab's ranking; perceptual hashes and shingles against what they are for."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from backend.cross_fit import cross_fitted, folds_of
from backend.numerics import label_errors, perceptual
from backend.numerics.label_errors import neighbour_votes, self_confidence_doubt, wrong_labels
from backend.types import Features


def noisy(seed: int, *, false: float, missed: float, count: int = 4000):
    """Pairs of two labels whose truth follows their evidence; labels turned round at two rates."""
    rng = np.random.default_rng(seed)
    columns = np.repeat([0, 1], count // 2)
    evidence = rng.normal(scale=3.0, size=count)
    truth = rng.random(count) < 1 / (1 + np.exp(-(1.5 * evidence - np.where(columns, 3.0, 0.0))))
    turned = rng.random(count) < np.where(truth, missed, false)
    return evidence[:, None], truth ^ turned, columns, turned


def test_noise_rates_are_found_in_each_direction() -> None:
    evidence, said, columns, _ = noisy(0, false=0.02, missed=0.25)
    found = wrong_labels(evidence, said, columns, labels=2)
    np.testing.assert_allclose(found.false_rate, 0.02, atol=0.015)
    np.testing.assert_allclose(found.missed_rate, 0.25, atol=0.06)
    assert found.weights[0] == pytest.approx(1.5, abs=0.25)


def test_the_chance_is_what_bayes_rule_says_of_the_fitted_rates() -> None:
    evidence, said, columns, turned = noisy(1, false=0.1, missed=0.1, count=20_000)
    found = wrong_labels(evidence, said, columns, labels=2)
    # Of pairs that are wrong with a chance around c, a share of about c is wrong.
    for low, high in ((0.0, 0.02), (0.02, 0.3), (0.3, 0.7), (0.7, 1.0)):
        inside = (found.chance >= low) & (found.chance <= high)
        assert turned[inside].mean() == pytest.approx(found.chance[inside].mean(), abs=0.06)
    np.testing.assert_allclose(found.chance, np.where(said, 1 - found.truth, found.truth))
    missed, false = found.missed_rate[columns], found.false_rate[columns]
    if_yes = found.by_evidence * np.where(said, 1 - missed, missed)
    if_no = (1 - found.by_evidence) * np.where(said, false, 1 - false)
    np.testing.assert_allclose(found.truth, if_yes / (if_yes + if_no))


def test_rates_rank_the_direction_that_is_wrong_before_what_is_merely_hard_to_see() -> None:
    """Here only NO is ever wrong: self-confidence spends its first places on hard YES."""
    evidence, said, columns, turned = noisy(2, false=0.0, missed=0.3)
    k = int(turned.sum())
    ours = np.argsort(-wrong_labels(evidence, said, columns, labels=2).chance)[:k]
    plain = np.argsort(-self_confidence_doubt(1.5 * evidence[:, 0], said))[:k]
    assert turned[ours].mean() > turned[plain].mean() + 0.05


def test_a_label_nobody_decided_and_no_pairs_at_all_are_no_trouble() -> None:
    evidence, said, columns, _ = noisy(3, false=0.1, missed=0.1, count=400)
    many = wrong_labels(evidence, said, columns, labels=5000)
    assert np.isfinite(many.chance).all()
    none = wrong_labels(np.zeros((0, 2)), np.zeros(0, bool), np.zeros(0, int), labels=3)
    assert none.chance.shape == (0,)


def test_votes_are_the_weighted_share_of_decided_neighbours() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(12, 5))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    given = rng.integers(-1, 2, size=(12, 3)).astype(np.int8)
    near = np.argsort(-(vectors @ vectors.T) + 9 * np.eye(12), axis=1)[:, :4]
    pairs = np.nonzero(given >= 0)
    votes = neighbour_votes(vectors, near, given, pairs)
    for at, (row, column) in enumerate(zip(*pairs, strict=True)):
        base = ((given[:, column] == 1).sum() + 0.5) / ((given[:, column] >= 0).sum() + 1)
        yes = no = 0.0
        for other in near[row]:
            weight = np.exp((vectors[other] @ vectors[row] - 1) / label_errors.VOTE_TEMPERATURE)
            yes += weight * (given[other, column] == 1)
            no += weight * (given[other, column] == 0)
        prior = label_errors.VOTE_PRIOR
        share = (yes + prior * base) / (yes + no + prior)
        assert votes[at] == pytest.approx(np.log(share / (1 - share)), rel=1e-4)


def test_the_plain_ranking_is_that_of_cleanlab() -> None:
    scorer = pytest.importorskip("cleanlab.internal.multilabel_scorer")
    rng = np.random.default_rng(0)
    given, logits = rng.random((50, 4)) < 0.3, rng.normal(size=(50, 4))
    chance = 1 / (1 + np.exp(-logits))
    quality = scorer.MultilabelScorer(
        base_scorer=scorer.ClassLabelScorer.SELF_CONFIDENCE
    ).get_class_label_quality_scores(given.astype(int), chance)
    pairs = np.nonzero(np.ones_like(given))
    doubt = self_confidence_doubt(logits[pairs], given[pairs]).reshape(given.shape)
    np.testing.assert_allclose(doubt, 1 - quality, atol=1e-9)


def test_heads_never_saw_the_verdict_they_are_asked_about() -> None:
    """Turning one sample's verdicts round changes the scores of others, never its own."""
    rng = np.random.default_rng(0)
    pooled = rng.normal(size=(40, 6)).astype(np.float32)
    given = (pooled[:, :2] > 0).astype(np.int8)
    zero = np.zeros((40, 2), np.float32)
    features, fold = Features(pooled, zero, zero), folds_of([str(k) for k in range(40)])
    before = cross_fitted(features, given, fold)
    turned = given.copy()
    turned[7] = 1 - turned[7]
    after = cross_fitted(features, turned, fold)
    np.testing.assert_array_equal(after[fold == fold[7]], before[fold == fold[7]])
    assert np.abs(after[fold != fold[7]] - before[fold != fold[7]]).max() > 1e-4


def test_samples_that_may_not_teach_are_scored_and_teach_nothing() -> None:
    rng = np.random.default_rng(1)
    pooled = rng.normal(size=(40, 6)).astype(np.float32)
    given = (pooled[:, :2] > 0).astype(np.int8)
    zero = np.zeros((40, 2), np.float32)
    features, fold = Features(pooled, zero, zero), folds_of([str(k) for k in range(40)])
    taught = np.arange(40) < 30
    before = cross_fitted(features, given, fold, taught=taught)
    turned = given.copy()
    turned[30:] = 1 - turned[30:]
    np.testing.assert_array_equal(cross_fitted(features, turned, fold, taught=taught), before)
    assert np.isfinite(before).all()


def test_labels_with_too_few_verdicts_are_not_judged() -> None:
    rng = np.random.default_rng(2)
    pooled = rng.normal(size=(20, 4)).astype(np.float32)
    given = np.full((20, 2), -1, np.int8)
    given[:, 0] = pooled[:, 0] > 0
    given[3, 1] = 1
    zero = np.zeros((20, 2), np.float32)
    found = cross_fitted(Features(pooled, zero, zero), given, folds_of([str(k) for k in range(20)]))
    assert np.isfinite(found[:, 0]).all()
    assert np.isnan(found[:, 1]).all()


def greys(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture.convert("L").resize((32, 32)), np.float64)


def scene(seed: int) -> Image.Image:
    """Blobs of light on a dark ground."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:120, :160]
    field = np.zeros((120, 160))
    for _ in range(6):
        cy, cx, size = rng.uniform(0, 120), rng.uniform(0, 160), rng.uniform(10, 40)
        field += np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / size**2)
    return Image.fromarray((255 * field / field.max()).astype(np.uint8))


def test_a_picture_that_was_scaled_or_lightened_has_nearly_the_same_hash() -> None:
    apart = []
    for seed in range(12):
        picture = scene(seed)
        own = perceptual.picture_hash(greys(picture))
        smaller = picture.resize((80, 60))
        lighter = picture.point(lambda value: min(255, int(value * 0.8 + 40)))
        assert (own ^ perceptual.picture_hash(greys(smaller))).bit_count() <= 4
        assert (own ^ perceptual.picture_hash(greys(lighter))).bit_count() <= 4
        apart.append((own ^ perceptual.picture_hash(greys(scene(seed + 100)))).bit_count())
    assert np.mean(apart) > 16


def test_near_hashes_are_those_of_brute_force() -> None:
    rng = np.random.default_rng(0)
    hashes = rng.integers(2**63, size=1200).astype(np.uint64)
    hashes[700] = hashes[3] ^ np.uint64(0b1011)
    hashes[701] = hashes[3]
    pairs, bits = perceptual.near_hashes(hashes, 20)
    wanted = {
        (one, other): (int(hashes[one]) ^ int(hashes[other])).bit_count()
        for one in range(1200)
        for other in range(one + 1, 1200)
        if (int(hashes[one]) ^ int(hashes[other])).bit_count() <= 20
    }
    assert dict(zip(map(tuple, pairs.tolist()), bits.tolist(), strict=True)) == wanted
    assert wanted[3, 700] == 3


def test_texts_are_compared_by_runs_of_words() -> None:
    one = perceptual.shingles("The train to the airport was late again.")
    assert (
        perceptual.overlap(one, perceptual.shingles("the TRAIN to  the airport was late, again"))
        == 1
    )
    other = perceptual.shingles("The train to the airport was late today.")
    assert perceptual.overlap(one, other) == pytest.approx(5 / 7)
    assert perceptual.overlap(one, perceptual.shingles("We baked bread")) == 0
    assert perceptual.shingles("!!") == frozenset()


def test_pairs_are_joined_to_groups() -> None:
    pairs = np.array([[4, 9], [1, 2], [2, 4], [7, 8]])
    assert perceptual.connected(pairs, 10) == [[1, 2, 4, 9], [7, 8]]
    assert perceptual.connected(np.zeros((0, 2), np.int64), 10) == []
